"""Operators on the keys of the server's own backup, and on what gpg leaves behind when it has none that will do.

A backup that nobody can open is no backup, and looks like one: the objects are there, of the right size, every night.
"""

from __future__ import annotations

import secrets

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.builtin_backup.set_layout import PASSPHRASE, SECRET_KEY
from rehearsal.shell import Shell
from rehearsal.tampering.builtin_sets import LaidBackup, lay_backups, relist
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.sets import lost_databases, remake_manifest

_CHECKS = ("set-contents", "tables")


@operator(
    "no key at hand",
    why="the private key was on the server that was lost; the backup's own public key opens nothing",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    builtin="full",
)
def lose_key(strike: Strike) -> str:
    (strike.stage.private / SECRET_KEY).unlink()
    return strike.draw.choice(lost_databases(strike.stage)).name


@operator(
    "another private key",
    why="keys are renewed and old ones thrown away; the backups of last year want the old one",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    builtin="full",
)
def use_other_key(strike: Strike) -> str:
    with Keyring(Shell(strike.stage.journal)) as keyring:
        (strike.stage.private / SECRET_KEY).write_bytes(keyring.export_secret(keyring.generate("Another key")))
    return strike.draw.choice(lost_databases(strike.stage)).name


@operator(
    "another passphrase",
    why="the Secret with the passphrase was generated anew with the server; the note in the safe is of the one before",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    builtin="passphrase",
)
def use_other_passphrase(strike: Strike) -> str:
    passphrase = secrets.token_urlsafe(24)
    strike.stage.journal.redactor.learn([passphrase])
    (strike.stage.private / PASSPHRASE).write_text(passphrase, encoding="utf-8")
    return strike.draw.choice(lost_databases(strike.stage)).name


def _replace_dump(strike: Strike, backup: LaidBackup, package: bytes) -> None:
    """Put other bytes in place of a dump's package and list them as the service would: with their own figures."""
    lines = backup.read_lines()
    for line in lines:
        backup.change_package(line.package_path, lambda _: package)
    backup.write_lines([relist(line, package) for line in lines])
    remake_manifest(strike.stage)


@operator(
    "encrypted to an expired key",
    why="gpg refuses an expired or a sign-only key, and a 0-byte .lz4.gpg stays behind, of a pipe whose status nobody "
    "reads (facts, trap 16)",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    builtin="full",
)
def leave_nothing(strike: Strike) -> str:
    store = strike.draw.choice(lost_databases(strike.stage))
    _replace_dump(strike, lay_backups(strike.stage, store)[-1], b"")
    return store.name


@operator(
    "gpg of an empty stream",
    why="pg_dump failed and the pipe went on: lz4 and gpg make a sound package of nothing",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    builtin="full",
)
def seal_nothing(strike: Strike) -> str:
    store = strike.draw.choice(lost_databases(strike.stage))
    shell = Shell(strike.stage.journal)
    with Keyring(shell, key_files=[strike.stage.private / SECRET_KEY]) as keyring, scratch_folder() as scratch:
        recipient = keyring.encryption_keys()[0]
        sealer = Sealer(shell, keyring, "public-key", recipient, scratch=scratch)
        package = b"".join(chunk for sealed in sealer.seal([("empty", [])]) for chunk in sealed.chunks())
    _replace_dump(strike, lay_backups(strike.stage, store)[-1], package)
    return store.name
