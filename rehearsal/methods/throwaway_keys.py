"""Keys that live as long as one rehearsal: made for its backup, needed again for its restore, then gone.

An admin's own private key is never asked for. What is proven is that a set sealed like this one can be opened with the
key that belongs to it; whether the admin still has that key, `rehearsal verify-backup --key` says.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.builtin_backup.set_layout import PASSPHRASE, SECRET_KEY
from rehearsal.shell import Shell

SealKind = Literal["public-key", "passphrase", "none"]
_OWNER = "Throw-away key of a restore rehearsal"


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


@contextmanager
def open_sealer(shell: Shell, kind: SealKind, private: Path, scratch: Path) -> Iterator[Sealer]:
    """What seals a backup with a key made now; the key that opens it is left in `private`.

    Raises:
        EnvironmentUnfit: gpg is missing or cannot make a key.
    """
    if kind == "none":
        yield Sealer(shell, None, kind, scratch=scratch)
    elif kind == "passphrase":
        passphrase = secrets.token_urlsafe(24)
        shell.journal.redactor.learn([passphrase])
        _write_private(private / PASSPHRASE, passphrase.encode())
        with Keyring(shell, passphrase=SecretStr(passphrase)) as keyring:
            yield Sealer(shell, keyring, kind, scratch=scratch)
    else:
        with Keyring(shell) as keyring:
            recipient = keyring.generate(_OWNER)
            _write_private(private / SECRET_KEY, keyring.export_secret(recipient))
            yield Sealer(shell, keyring, kind, recipient, scratch=scratch)


@contextmanager
def open_keyring(shell: Shell, private: Path) -> Iterator[Keyring]:
    """The keys that were left in `private`, for the restore; a keyring that opens nothing where there are none."""
    passphrase = private / PASSPHRASE
    secret = SecretStr(passphrase.read_text(encoding="utf-8")) if passphrase.is_file() else None
    keys = [path for path in (private / SECRET_KEY,) if path.is_file()]
    with Keyring(shell, key_files=keys, passphrase=secret) as keyring:
        yield keyring
