"""The file of `--backup-service`: read whole, refused with its key's name, and never with a secret in the message."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.builtin_backup.service_file import read_service_file
from rehearsal.errors import UsageError

GOOD = """
backup-admin: https://chipster.example.org/backup-admin
file-broker-admin: https://chipster.example.org/file-broker-admin
auth: https://chipster.example.org/auth
password-file: secrets/admin
ca-file: authorities.pem
bucket: s3://chipster-backups/prefix
endpoint: https://s3.example.org
region: regionOne
virtual-host: true
keys: [old.asc, new.asc]
passphrase-file: secrets/passphrase
deadline-minutes: 1.5
"""


def write(folder: Path, content: str) -> Path:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "admin").write_text("the-admins-password\n")
    (folder / "secrets" / "passphrase").write_text("open sesame\n")
    path = folder / "service.yaml"
    path.write_text(content)
    return path


def test_every_key_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    service = read_service_file(write(tmp_path, GOOD))
    assert service.admin.backup_admin == "https://chipster.example.org/backup-admin"
    assert service.admin.password is not None
    assert service.admin.password.get_secret_value() == "the-admins-password"
    assert service.admin.user == "admin"
    assert service.admin.ca_file == tmp_path / "authorities.pem"
    assert service.bucket.shown == "s3://chipster-backups/prefix at https://s3.example.org"
    assert service.bucket.region == "regionOne"
    assert service.bucket.path_style is False
    assert service.key_files == (tmp_path / "old.asc", tmp_path / "new.asc")
    assert service.passphrase is not None
    assert service.passphrase.get_secret_value() == "open sesame"
    assert service.deadline == 90.0


def test_a_token_and_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    lines = [line for line in GOOD.splitlines() if line.startswith(("backup-admin", "file-broker", "bucket"))]
    service = read_service_file(write(tmp_path, "\n".join([*lines, "token-file: token"])))
    assert service.admin.token is not None
    assert service.admin.token.get_secret_value() == "a.b.c"
    assert service.bucket.path_style
    assert service.deadline == 3600.0
    assert service.key_files == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("backup-admin: https", "other: https"), "backup-admin: is missing"),
        (("auth:", "password: hunter2-in-the-wrong-place\nauth:"), "password: there is no such key"),
        (("deadline-minutes: 1.5", "deadline-minutes: 0"), "deadline-minutes: input should be greater than 0"),
        (("keys: [old.asc, new.asc]", "keys: hunter2-in-the-wrong-place"), "keys: input should be a valid tuple"),
        (("auth: https://chipster.example.org/auth\n", ""), "with a password the address of auth is needed"),
        (("password-file: secrets/admin\n", ""), "the admin's password or a token is needed"),
        (("file-broker-admin: https", "file-broker-admin: ftp"), "no base URL of a service"),
        (("s3://chipster", "chipster"), "not the address of a bucket"),
        (("endpoint: https://", "endpoint: "), "has no http:// or https:// in front"),
        (("secrets/admin", "secrets/nobody"), "the password cannot be read: No such file"),
        (("virtual-host: true", "virtual-host: [hunter2-in-the-wrong-place"), "no YAML, line "),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in GOOD
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(UsageError) as caught:
        read_service_file(path)
    assert said in str(caught.value)
    assert caught.value.where
    assert "hunter2" not in str(caught.value)
    assert "the-admins-password" not in str(caught.value)


def test_no_file_and_no_keys(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_service_file(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="wanted keys and values"):
        read_service_file(write(tmp_path, "- a list\n"))
    (tmp_path / "service.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_service_file(tmp_path / "service.yaml")
