"""What gpg says of the public key in values.yaml: whether anything can be encrypted to it at all.

A key for signing only, or one that has expired, makes every backup an empty file while the server answers 200 (facts,
trap 16). gpg reads it from its standard input in a throw-away home; nothing is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rehearsal.backup_config import BackupConfig, Remark, ServiceBackup
from rehearsal.launch import Process, default_environment
from rehearsal.shell import Shell

_WORDS = {"e": "has expired", "r": "was revoked", "i": "is invalid", "d": "is disabled"}


@dataclass(frozen=True)
class PublicKey:
    """The keys in an armoured block: ids of those that encrypt, and what is wrong with the others."""

    encrypts: tuple[str, ...]
    others: tuple[str, ...]
    readable: bool


def examine_public_key(shell: Shell, armoured: str, scratch: Path) -> PublicKey:
    """Ask gpg.

    Args:
        scratch: a private folder; the home is made in it.

    Raises:
        EnvironmentUnfit: gpg is not installed.
    """
    home = scratch / "public-key"
    home.mkdir(mode=0o700, exist_ok=True)
    outcome = shell.run(
        Process(
            ("gpg", "--homedir", str(home), "--batch", "--no-autostart", "--with-colons", "--show-keys"),
            env=default_environment() | {"GNUPGHOME": str(home)},
        ),
        stdin=armoured.encode(),
        deadline=60,
        accept=None,
    )
    return read_colons(outcome.stdout.decode("utf-8", "replace"))


def read_colons(listing: str) -> PublicKey:
    """The same from gpg's listing with colons (GnuPG's doc/DETAILS): fields 2 validity, 5 key id, 12 capabilities."""
    encrypts, others = [], []
    found = False
    for line in listing.splitlines():
        kind, *fields = line.split(":")
        if kind not in ("pub", "sub") or len(fields) < 11:
            continue
        found = True
        validity, key, capabilities = fields[0], fields[3], fields[10]
        if validity[:1] in _WORDS:
            others.append(f"{key} {_WORDS[validity[0]]}")
        elif "e" in capabilities:
            encrypts.append(key)
        else:
            others.append(f"{key} is for signing only" if "s" in capabilities else f"{key} does not encrypt")
    return PublicKey(tuple(encrypts), tuple(others), found)


def remark_on_keys(shell: Shell, config: BackupConfig, scratch: Path) -> list[Remark]:
    """A remark for each service whose public key encrypts nothing."""
    remarks = []
    for service in (config.databases, config.files):
        if service.is_configured and "PUBLIC KEY" in service.public_key:
            remark = _remark(service, examine_public_key(shell, service.public_key, scratch))
            remarks += [remark] if remark is not None else []
    return remarks


def _remark(service: ServiceBackup, key: PublicKey) -> Remark | None:
    if key.encrypts:
        return None
    why = "; ".join(key.others) if key.readable else "gpg finds no key in it"
    return Remark(
        "broken",
        f"deployments.{service.service}.configs.backup-gpg-public-key",
        f"nothing can be encrypted to it ({why}): every backup is an empty file, and the admin call answers 200",
        "give a key with an encryption subkey that has not expired: gpg --armor --export KEY",
    )
