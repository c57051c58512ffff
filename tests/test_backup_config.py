"""values.yaml's backup settings: defaults, what is broken before any run, and that no secret is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rehearsal.backup_config import BackupConfig, Remark, read_backup_config
from rehearsal.errors import ValuesError
from rehearsal.values import read_values

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDM=\n-----END PGP PUBLIC KEY BLOCK-----\n"
PASSPHRASE = "tr0ub4dor&3-secret"
SOUND = {"backup-s3-endpoint": "https://a3s.example.org", "backup-bucket": "b", "backup-gpg-passphrase": PASSPHRASE}


def read(backup: Mapping[str, object] | None = None, files: Mapping[str, object] | None = None) -> BackupConfig:
    return read_backup_config({"deployments": {"backup": {"configs": backup}, "fileStorage": {"configs": files}}})


def broken(config: BackupConfig) -> list[Remark]:
    return [remark for remark in config.remarks if remark.weight == "broken"]


def test_defaults_and_settings() -> None:
    config = read(SOUND, SOUND | {"backup-daily-count": "7", "backup-interval": "6", "backup-s3-region": "r2"})
    assert (config.databases.region, config.databases.daily, config.databases.monthly) == ("regionOne", 90, 24)
    assert (config.databases.interval_hours, config.databases.path_style) == (24, False)
    assert (config.files.daily, config.files.interval_hours, config.files.region) == (7, 6, "r2")
    assert config.databases.is_encrypted and config.remarks == ()


def test_path_style_and_interval_in_words() -> None:
    config = read(SOUND | {"backup-s3-path-style-access": "true", "backup-interval": "12 hours"}, SOUND)
    assert config.databases.path_style and config.databases.interval_hours == 12


def test_no_key_and_no_passphrase_means_no_database_backup_ever() -> None:
    bare = {"backup-s3-endpoint": "https://s3.example.org", "backup-bucket": "b"}
    config = read(bare, bare)
    (remark,) = broken(config)
    assert "NO database backup" in remark.what and remark.where.startswith("deployments.backup.configs")
    told = [one for one in config.remarks if one.weight == "told"]
    assert any("packs all of them again" in one.what for one in told)


@pytest.mark.parametrize("endpoint", ["a3s.example.org", "a3s.example.org:443", "//a3s.example.org", "s3://x"])
def test_an_endpoint_without_scheme_stops_both_services(endpoint: str) -> None:
    config = read(SOUND | {"backup-s3-endpoint": endpoint}, SOUND | {"backup-s3-endpoint": endpoint})
    databases, files = broken(config)
    assert "`backup` crashes at start" in databases.what
    assert "`file-storage` crashes at start" in files.what and "offline" in files.what
    assert "https://" in databases.hint


def test_a_private_key_or_no_key_block_is_broken() -> None:
    private = KEY.replace("PUBLIC", "PRIVATE")
    for text, word in ((private, "PRIVATE"), ("0xABCDEF", "no armoured public key")):
        (remark,) = broken(read(SOUND | {"backup-gpg-public-key": text}, SOUND))
        assert word in remark.what and "mDM=" not in remark.what + remark.hint
    assert broken(read(SOUND | {"backup-gpg-public-key": KEY}, SOUND)) == []


@pytest.mark.parametrize("count", ["many", "0", "-1", "1.5"])
def test_a_count_that_is_no_number(count: str) -> None:
    config = read(SOUND | {"backup-daily-count": count}, SOUND)
    assert config.databases.daily == 90
    assert [remark.where for remark in broken(config)] == ["deployments.backup.configs.backup-daily-count"]


def test_nothing_configured_and_half_configured() -> None:
    assert [one.weight for one in read_backup_config({}).remarks] == ["doubtful"]
    assert "only file-storage" in read(None, SOUND).remarks[0].what
    assert "only the databases" in read(SOUND, None).remarks[0].what
    assert read(None, SOUND).chosen.service == "fileStorage"


def test_a_remark_names_file_and_line_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        "deployments:\n  backup:\n    configs:\n      backup-bucket: b\n"
        f"      backup-s3-endpoint: user:{PASSPHRASE}@s3.example.org\n      backup-gpg-passphrase: {PASSPHRASE}\n"
    )
    config = read_backup_config(read_values([file]).tree)
    (remark,) = broken(config)
    assert remark.where == f"{file}:5: deployments.backup.configs.backup-s3-endpoint"
    assert PASSPHRASE not in repr(config.remarks) + repr(config.databases.passphrase)


def test_a_number_without_quotes_is_a_values_error() -> None:
    with pytest.raises(ValuesError, match="text in quotes"):
        read({"backup-daily-count": 7})
