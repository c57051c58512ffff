"""What values.yaml says of the built-in backup, and what is wrong with it before anything has run.

Two services back themselves up: `backup` the databases, `fileStorage` its own files; each reads `backup-*` lines of its
`configs` (facts, section 6). Some settings mean that no backup is ever made while every call answers 200 (trap 16), or
that a service does not start at all: those are remarks, each with the line to change. Passphrases and S3 keys are held
as secrets or not at all, and no remark repeats one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from rehearsal.values_file import Node
from rehearsal.values_reader import ValuesReader, plant

Service = Literal["backup", "fileStorage"]
_PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_WHOLE_NUMBER = re.compile(r"[0-9]{1,6}")
_HOURS = re.compile(r"([0-9]{1,5})( ?(h|hours?))?")


@dataclass(frozen=True)
class Remark:
    """One thing to know about the configuration.

    Attributes:
        weight: `broken`: no backup is made, or a service does not start; `doubtful`: it cannot be told; `told`: worth
            knowing, no harm.
        where: file, line and key path, as in `values.yaml:12: deployments.backup.configs.backup-s3-endpoint`.
        what: one sentence; never a secret's value.
        hint: what to write instead; "" where nothing is to be done.
    """

    weight: Literal["broken", "doubtful", "told"]
    where: str
    what: str
    hint: str = ""


class ServiceBackup(BaseModel):
    """The `backup-*` settings of one service, defaults filled in.

    Attributes:
        endpoint: with its scheme, as written; "" where none is set.
        public_key: the armoured block; "" where none is set. Public, so no secret, but never shown.
        daily, monthly: how many archives of databases the clean-up keeps.
        interval_hours: between two backups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: Service
    endpoint: str = ""
    region: str = "regionOne"
    path_style: bool = False
    bucket: str = ""
    daily: int = 90
    monthly: int = 24
    interval_hours: int = 24
    public_key: str = ""
    passphrase: SecretStr = SecretStr("")

    @property
    def is_configured(self) -> bool:
        """Whether somebody wanted this service to back up: it has a bucket or an endpoint."""
        return bool(self.bucket or self.endpoint)

    @property
    def is_encrypted(self) -> bool:
        return bool(self.public_key.strip() or self.passphrase.get_secret_value())


@dataclass(frozen=True)
class BackupConfig:
    """Both services' settings and the remarks about them."""

    databases: ServiceBackup
    files: ServiceBackup
    remarks: tuple[Remark, ...]

    @property
    def chosen(self) -> ServiceBackup:
        """The one to take endpoint, region and counts from: of the databases where they are backed up."""
        return self.databases if self.databases.is_configured else self.files


def read_backup_config(values: Node | Mapping[str, Any]) -> BackupConfig:
    """The built-in backup's settings out of merged values: `Values.tree`, or a plain mapping without line numbers.

    Raises:
        ValuesError: `configs` is no mapping, or a setting is no text (the chart itself stops at that).
    """
    tree = values if isinstance(values, Node) else plant(values)
    remarks: list[Remark] = []
    databases, files = (_Settings(tree, service, remarks).read() for service in ("backup", "fileStorage"))
    if not databases.is_configured and not files.is_configured:
        remarks.append(
            Remark(
                "doubtful",
                "deployments.{backup,fileStorage}.configs",
                "the built-in backup is not configured: neither service has a backup-bucket",
                "give the values.yaml of the server these backups come from",
            )
        )
    elif not databases.is_configured:
        remarks.append(
            Remark(
                "told", "deployments.backup.configs", "the databases are not backed up this way, only file-storage is"
            )
        )
    elif not files.is_configured:
        remarks.append(
            Remark(
                "told",
                "deployments.fileStorage.configs",
                "files are not backed up this way, only the databases are",
            )
        )
    return BackupConfig(databases, files, tuple(remarks))


class _Settings:
    """Reads one service's settings; what is wrong with them goes to `remarks`."""

    def __init__(self, tree: Node, service: Service, remarks: list[Remark]) -> None:
        self._tree = tree
        self._reader = ValuesReader(tree)
        self._path = ("deployments", service, "configs")
        self._service: Service = service
        self._remarks = remarks

    def read(self) -> ServiceBackup:
        found = ServiceBackup(
            service=self._service,
            endpoint=self._text("backup-s3-endpoint"),
            region=self._text("backup-s3-region") or "regionOne",
            path_style=self._text("backup-s3-path-style-access").strip().lower() == "true",
            bucket=self._text("backup-bucket"),
            daily=self._number("backup-daily-count", 90, _WHOLE_NUMBER),
            monthly=self._number("backup-monthly-count", 24, _WHOLE_NUMBER),
            interval_hours=self._number("backup-interval", 24, _HOURS),
            public_key=self._text("backup-gpg-public-key"),
            passphrase=SecretStr(self._text("backup-gpg-passphrase")),
        )
        if found.is_configured:
            self._judge_place(found)
            self._judge_encryption(found)
        return found

    def _text(self, key: str) -> str:
        return self._reader.text(*self._path, key)

    def _number(self, key: str, default: int, pattern: re.Pattern[str]) -> int:
        text = self._text(key).strip()
        if not text:
            return default
        match = pattern.fullmatch(text)
        number = int(re.match("[0-9]+", text).group()) if match else 0  # type: ignore[union-attr]
        if not number:
            self._remark(
                "broken",
                key,
                f"found {text!r}; wanted a whole number above zero",
                f'write "{default}" or nothing',
            )
            return default
        return number

    def _judge_place(self, found: ServiceBackup) -> None:
        name = "backup" if self._service == "backup" else "file-storage"
        if not found.bucket:
            self._remark("broken", "backup-bucket", "an endpoint without a bucket: there is nowhere to back up to")
        if not found.endpoint:
            self._remark("told", "backup-s3-endpoint", "no endpoint is set")
            return
        parts = urlsplit(found.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = found.endpoint.rpartition("@")[2]
            self._remark(
                "broken",
                "backup-s3-endpoint",
                f"the endpoint {shown!r} has no scheme: `{name}` crashes at start"
                + (", so the users' files are offline" if self._service == "fileStorage" else ""),
                f'write "https://{shown.rpartition("//")[2]}"',
            )

    def _judge_encryption(self, found: ServiceBackup) -> None:
        key = found.public_key.strip()
        if not found.is_encrypted and self._service == "backup":
            self._remark(
                "broken",
                "backup-gpg-public-key",
                "neither a gpg public key nor a passphrase is set: NO database backup is ever made, and the admin call "
                "answers 200 all the same",
                "set backup-gpg-public-key (a key with an encryption subkey) or backup-gpg-passphrase",
            )
        elif not found.is_encrypted:
            self._remark(
                "told",
                "backup-gpg-public-key",
                "the files are not encrypted: every incremental backup packs all of them again",
                "set backup-gpg-public-key or backup-gpg-passphrase",
            )
        elif "PRIVATE KEY" in key:
            self._remark(
                "broken",
                "backup-gpg-public-key",
                "holds a PRIVATE key: whoever takes the server can read every backup",
                "write what `gpg --armor --export KEY` prints",
            )
        elif key and not key.startswith(_PUBLIC_KEY):
            self._remark(
                "broken",
                "backup-gpg-public-key",
                "is no armoured public key, so gpg cannot import it and no backup is made",
                "write what `gpg --armor --export KEY` prints",
            )

    def _remark(self, weight: Literal["broken", "doubtful", "told"], key: str, what: str, hint: str = "") -> None:
        self._remarks.append(Remark(weight, self._locate(key), what, hint))

    def _locate(self, key: str) -> str:
        """File, line and key path of a key, or of the last one above it that a file gave."""
        node, path = self._tree, (*self._path, key)
        place = node.place
        for part in path:
            if not isinstance(node.value, dict) or part not in node.value:
                break
            node = node.value[part]
            place = node.place if node.place.file else place
        return place.at(".".join(path))
