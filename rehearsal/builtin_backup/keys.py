"""Keys in a home that lives as long as they are needed, and gpg set up so that it asks nobody and nothing.

The admin's own keyring is never read and never touched: key files are imported over a pipe, a passphrase is handed over
another one, and at the end the agents are stopped and the home is removed. An agent decrypts one thing at a time
whatever the number of processors, so a keyring can be spread over several homes, each with an agent of its own.

The public keys lie in a keyring of the older format, where gpg remembers which signatures it has verified: in a keybox
it verifies a key's own signatures again for every message, which takes four times as long as opening a small one.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pydantic import SecretStr

from rehearsal.builtin_backup.gpg_words import read_said
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.errors import EnvironmentUnfit, RehearsalError, UsageError
from rehearsal.launch import Process
from rehearsal.shell import Outcome, Shell

_LONGEST_HOME = 80  # bytes; `/S.gpg-agent.browser` is added, and a socket's path ends at 107
_LARGEST_KEY_FILE = 16 << 20
_CURVE = ["Subkey-Type: ECDH", "Subkey-Curve: cv25519"]
_PUBRING = "pubring.gpg"  # where it is there before the first key, gpg makes no keybox
_PARTS = (_PUBRING, "trustdb.gpg", "private-keys-v1.d")


@dataclass(frozen=True)
class Key:
    """A key or a subkey.

    Attributes:
        key_id: 16 hex digits, as in a package.
        fingerprint: of this very key or subkey; `primary` that of the key it belongs to.
        owner: the user ID, may be "".
        encrypts: whether something can be encrypted to it, by its flags.
        secret: whether its secret part is here, so that it opens packages.
        expired, revoked: now. An expired key opens what it always opened, but nothing new is sealed with it.
    """

    key_id: str
    fingerprint: str
    primary: str
    owner: str
    encrypts: bool
    secret: bool
    expired: bool
    revoked: bool


class Keyring:
    """Keys and a passphrase. A context manager.

    Args:
        folder: where to make the home; None: in memory where there is room.
        key_files: armoured or binary, public or secret keys.
        passphrase: of packages sealed with one, and of the secret keys that are protected.

    Raises:
        UsageError: a file cannot be read or holds no key; a passphrase with a line break.
        EnvironmentUnfit: gpg is missing, or the home cannot be made.
    """

    def __init__(
        self,
        shell: Shell,
        folder: Path | None = None,
        key_files: Sequence[Path] = (),
        passphrase: SecretStr | None = None,
    ) -> None:
        self.shell = shell
        self._folder = folder
        self._key_files = tuple(key_files)
        self._passphrase = "" if passphrase is None else passphrase.get_secret_value()
        self._stack = ExitStack()
        self._home = Path()
        self._lock = threading.Lock()
        self._copies: set[Path] = set()
        self._secret_ids: frozenset[str] | None = None
        if any(mark in self._passphrase for mark in "\r\n\0"):
            raise UsageError("a passphrase is one line", hint="tr -d '\\r\\n' < FILE > NEW-FILE")
        shell.journal.redactor.learn([self._passphrase])

    @property
    def has_passphrase(self) -> bool:
        return bool(self._passphrase)

    def __enter__(self) -> Keyring:
        with ExitStack() as stack:
            home = stack.enter_context(scratch_folder(self.shell.journal, parent=self._folder))
            if len(os.fsencode(home.absolute())) > _LONGEST_HOME:
                raise EnvironmentUnfit("too long a path for gpg's sockets", where=str(home), hint="TMPDIR=/tmp …")
            self._home = home.absolute()
            (home / _PUBRING).touch(mode=0o600)
            stack.callback(self._stop_agents)
            for path in self._key_files:
                self._import(path)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def process(self, *arguments: str, home: Path | None = None, cwd: Path | None = None) -> Process:
        """gpg with these arguments. Without a passphrase an empty one is handed over: gpg gives up and goes on to the
        next message, where it would otherwise end because there is nobody to ask."""
        argv = ("gpg", "--homedir", str(home or self._home), "--no-options", "--batch", "--no-tty")
        options = ("--no-permission-warning", "--trust-model", "always", "--no-auto-key-locate", "--disable-dirmngr")
        secret = ("--no-symkey-cache", "--pinentry-mode", "loopback", "--passphrase-fd", "{secret-fd}")
        return Process(
            (*argv, *options, *secret, *arguments), cwd=cwd, umask=0o077, secret=self._passphrase.encode() + b"\n"
        )

    def spread(self, count: int) -> tuple[Path, ...]:
        """`count` homes with the same keys, the first one ours; more of them decrypt at a time."""
        homes = [self._home, *(self._home / str(number) for number in range(1, count))]
        with self._lock:
            for home in homes[1:]:
                if home not in self._copies:
                    self._copy_keys(home)
        return tuple(homes)

    def _copy_keys(self, home: Path) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        for part in _PARTS:
            if (self._home / part).is_dir():
                shutil.copytree(self._home / part, home / part, dirs_exist_ok=True)
            elif (self._home / part).exists():
                shutil.copy2(self._home / part, home / part)
        self._copies.add(home)

    def _take_in(self) -> None:
        """There is a key more: its signatures are verified now, once, and what was known of all keys holds no more."""
        self._run("--rebuild-keydb-caches")
        with self._lock:
            self._secret_ids = None
            self._copies.clear()

    def _stop_agents(self) -> None:
        for home in (self._home, *sorted(path for path in self._home.glob("[0-9]*") if path.is_dir())):
            for action in (("--kill", "all"), ("--remove-socketdir",)):
                self.shell.run(Process(("gpgconf", "--homedir", str(home), *action)), accept=None, deadline=30)

    def _run(self, *arguments: str, stdin: bytes | Path | None = None, told: str = "") -> Outcome:
        process = self.process("--status-fd", "2", *arguments)
        return self.shell.run(process, stdin=stdin, accept=None, deadline=300, shown=told or None)

    def _import(self, path: Path) -> None:
        try:
            if path.stat().st_size > _LARGEST_KEY_FILE:
                raise UsageError("no key file: larger than 16 MiB", where=str(path))
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"the key cannot be read: {error.strerror}", where=str(path)) from error
        if not read_said(self._run("--import", stdin=content).stderr).has("IMPORT_OK"):
            raise UsageError(
                "no OpenPGP key in it", where=str(path), hint="gpg --armor --export-secret-keys KEY > FILE"
            )
        self._take_in()

    def generate(
        self, user_id: str, *, sign_only: bool = False, expired: bool = False, protected: bool = False, rsa: int = 0
    ) -> str:
        """Make a key; returns its fingerprint.

        Args:
            rsa: bits; 0: elliptic curves, which are made at once.
            sign_only: nothing can be encrypted to it.
            expired: valid on 2020-01-01 only.
            protected: by the keyring's passphrase.
        """
        if any(mark in user_id for mark in "\r\n\0"):
            raise RehearsalError("a line break in a user ID")
        lines = ["Key-Type: RSA", f"Key-Length: {rsa}"] if rsa else ["Key-Type: EDDSA", "Key-Curve: ed25519"]
        lines += ["Key-Usage: sign"]
        if not sign_only:
            lines += ["Subkey-Type: RSA", f"Subkey-Length: {rsa}"] if rsa else _CURVE
            lines += ["Subkey-Usage: encrypt"]
        lines += [f"Passphrase: {self._passphrase}" if protected else "%no-protection", f"Name-Real: {user_id}"]
        if expired:
            lines += ["Creation-Date: 20200101T000000", "Expire-Date: 1d"]
        outcome = self._run("--full-generate-key", stdin="\n".join([*lines, "%commit", ""]).encode())
        for word, arguments in read_said(outcome.stderr).lines:
            if word == "KEY_CREATED":
                self._take_in()
                return arguments[1]
        raise EnvironmentUnfit("gpg made no key: " + outcome.stderr.decode(errors="replace")[-400:].strip())

    def export_public(self, fingerprint: str) -> bytes:
        """The armoured public key."""
        return self._export("--export", fingerprint)

    def export_secret(self, fingerprint: str) -> bytes:
        """The armoured secret key, protected as it is here."""
        return self._export("--export-secret-keys", fingerprint)

    def _export(self, action: str, fingerprint: str) -> bytes:
        exported = self._run("--armor", action, fingerprint).stdout
        if not exported.startswith(b"-----BEGIN PGP "):
            raise RehearsalError("no such key here", where=fingerprint)
        return exported

    def list_keys(self) -> tuple[Key, ...]:
        """Every key and subkey."""
        secret = {key.fingerprint for key in self._list("--list-secret-keys")}
        return tuple(Key(**{**vars(key), "secret": key.fingerprint in secret}) for key in self._list("--list-keys"))

    def _list(self, action: str) -> list[Key]:
        """The records of `--with-colons` (GnuPG's doc/DETAILS); of a listing of secret keys those that are here."""
        keys: list[Key] = []
        fields: list[str] = []
        primary = owner = ""
        for line in (
            self._run("--with-colons", "--fixed-list-mode", action).stdout.decode(errors="replace").splitlines()
        ):
            kind, *record = line.split(":")
            if kind in ("pub", "sub", "sec", "ssb"):
                fields = [kind, *record]
            elif kind == "fpr" and fields:
                fingerprint = record[8]
                if fields[0] in ("pub", "sec"):
                    primary, owner = fingerprint, ""
                if fields[0] in ("pub", "sub") or fields[14] not in ("#", ">"):
                    encrypts = "e" in fields[11]
                    keys.append(
                        Key(fields[4], fingerprint, primary, owner, encrypts, False, fields[1] == "e", fields[1] == "r")
                    )
                fields = []
            elif kind == "uid" and not owner:
                owner = record[8]
                keys = [Key(**{**vars(key), "owner": owner}) if key.primary == primary else key for key in keys]
        return keys

    def encryption_keys(self) -> tuple[str, ...]:
        """Ids of the keys that open packages."""
        return tuple(key.key_id for key in self.list_keys() if key.secret and key.encrypts)

    def secret_ids(self) -> frozenset[str]:
        """Ids of every secret key here, whatever its flags say it is for."""
        if self._secret_ids is None:
            self._secret_ids = frozenset(key.key_id for key in self.list_keys() if key.secret)
        return self._secret_ids
