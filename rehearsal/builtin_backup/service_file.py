"""The file that `--backup-service` names: where Chipster's real services and their bucket are, as YAML.

    backup-admin: https://chipster.example.org/backup-admin            # base URLs of the admin APIs
    file-broker-admin: https://chipster.example.org/file-broker-admin
    auth: https://chipster.example.org/auth                            # with password-file
    password-file: admin-password                                      # or token-file
    bucket: s3://chipster-backups
    endpoint: https://s3.example.org

Secrets lie in files of their own, which it names; the S3 keys come from the environment or the usual profile.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from rehearsal.builtin_backup.admin_calls import AdminAccess
from rehearsal.builtin_backup.real_writer import RealService
from rehearsal.builtin_backup.s3_access import S3Access, parse_s3_url
from rehearsal.builtin_backup.secret_files import read_secret
from rehearsal.errors import UsageError

_HINT = 'docs/builtin-backup.md, "Where the real service is", has every key'


class _Keys(BaseModel):
    """The file's keys, with `-` for `_`; paths are relative to the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    backup_admin: str
    file_broker_admin: str
    auth: str = ""
    user: str = "admin"
    password_file: Path | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    bucket: str
    endpoint: str = ""
    region: str = ""
    virtual_host: bool = False
    s3_ca_file: Path | None = None
    keys: tuple[Path, ...] = ()
    passphrase_file: Path | None = None
    deadline_minutes: float = Field(default=60.0, gt=0, le=7 * 24 * 60)


def read_service_file(path: Path) -> RealService:
    """The services and their bucket.

    Raises:
        UsageError: the file, or one that it names, is wrong; nothing was asked.
    """
    keys = _read_keys(path)
    folder = path.parent

    def secret(file: Path | None, what: str) -> SecretStr | None:
        return None if file is None else read_secret(folder / file, what)

    def beside(file: Path | None) -> Path | None:
        return None if file is None else folder / file

    bucket, prefix = parse_s3_url(keys.bucket)
    try:
        admin = AdminAccess(
            backup_admin=keys.backup_admin,
            file_broker_admin=keys.file_broker_admin,
            auth=keys.auth,
            user=keys.user,
            password=secret(keys.password_file, "password"),
            token=secret(keys.token_file, "token"),
            ca_file=beside(keys.ca_file),
        )
    except UsageError as error:
        if error.where:
            raise
        raise UsageError(error.what, where=str(path), hint=_HINT) from None
    return RealService(
        admin=admin,
        bucket=S3Access(
            endpoint=keys.endpoint,
            bucket=bucket,
            prefix=prefix,
            region=keys.region,
            path_style=not keys.virtual_host,
            ca_file=beside(keys.s3_ca_file),
        ),
        key_files=tuple(folder / file for file in keys.keys),
        passphrase=secret(keys.passphrase_file, "passphrase"),
        deadline=keys.deadline_minutes * 60,
    )


def _read_keys(path: Path) -> _Keys:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"cannot be read: {why}", where=str(path), hint=_HINT) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"no YAML{line}", where=str(path), hint=_HINT) from None
    if not isinstance(content, dict):
        raise UsageError("wanted keys and values, such as `backup-admin: https://…`", where=str(path), hint=_HINT)
    try:
        return _Keys.model_validate(content)
    except ValidationError as error:
        # never the value: whoever wrote a password here must not find it in a log
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {_say(one['type'], one['msg'])}" for one in error.errors())
        raise UsageError(told, where=str(path), hint=_HINT) from None


def _say(kind: str, message: str) -> str:
    return {"missing": "is missing", "extra_forbidden": "there is no such key"}.get(kind, message.lower())
