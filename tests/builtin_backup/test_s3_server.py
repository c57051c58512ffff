import json
import os
from pathlib import Path

import pytest

from rehearsal.builtin_backup import s3_server
from rehearsal.builtin_backup.names import parse_name
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server, find_rclone
from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal, read_journal
from rehearsal.processes import read_start_time
from rehearsal.shell import Shell
from rehearsal.waiting import wait_until

NAME = "session-db-db-backup_2026-04-30T01:15:00.123456789Z"
KEY = f"{NAME}/db-backups/{NAME}/{NAME}.tar"


@pytest.fixture
def shell(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    yield Shell(journal)
    journal.close()


def test_a_bucket_is_a_folder_below_the_storage_both_ways(shell, tmp_path):
    with S3Server(shell, tmp_path / "s3", tmp_path / "s3.log", ("one-bucket", "other")) as server:
        bucket, folder = S3Bucket(server.access("one-bucket")), server.folder("one-bucket")
        bucket.write(KEY, [b"abc"])
        assert b"".join(folder.read(KEY)) == b"abc"
        folder.write(KEY, [b"damaged behind its back"])
        wait_until(lambda: [item.size for item in bucket.objects(parse_name(NAME))] == [23], 10, "the damage")
        assert b"".join(bucket.read(KEY)) == b"damaged behind its back"
        folder.remove(parse_name(NAME))
        wait_until(lambda: bucket.names() == (), 10, "the removal")
        assert S3Bucket(server.access("other")).names() == ()


def test_its_keys_are_in_its_environment_alone(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with S3Server(shell, tmp_path / "s3", tmp_path / "s3.log") as server:
        secret = server.secret_key.get_secret_value()
        S3Bucket(server.access()).write(KEY, [b"abc"])
        argv = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode()
        assert secret in Path(f"/proc/{server.pid}/environ").read_bytes().decode()
        assert f"HOME={tmp_path}" not in Path(f"/proc/{server.pid}/environ").read_bytes().decode()
        assert secret not in argv
        assert server.access_key not in argv
        assert secret not in repr(server.access()) + str(vars(server))
    written = (tmp_path / "journal.jsonl").read_text() + (tmp_path / "s3.log").read_text()
    assert "serve s3" in written
    assert secret not in written
    assert server.access_key not in written
    assert not list((tmp_path / "home").iterdir())
    assert sorted(os.listdir(tmp_path)) == ["home", "journal.jsonl", "s3", "s3.log"]


def test_every_server_has_keys_of_its_own_and_the_redactor_knows_them(shell, tmp_path):
    one, other = (S3Server(shell, tmp_path / "s3", tmp_path / "log") for _ in range(2))
    assert one.secret_key != other.secret_key
    assert one.access_key != other.access_key
    shell.journal.note(f"a slip: {one.secret_key.get_secret_value()} {other.access_key}")
    assert read_journal(shell.journal.path)[-1]["message"] == "a slip: [redacted] [redacted]"


@pytest.mark.parametrize("fails", [False, True])
def test_it_ends_with_its_context_and_clean_up_owns_it_meanwhile(shell, tmp_path, fails):
    class Broken(Exception):
        pass

    try:
        with S3Server(shell, tmp_path / "s3", tmp_path / "s3.log") as server:
            owned = [line for line in read_journal(shell.journal.path) if line["event"] == "owned"]
            assert [line["name"] for line in owned] == [str(server.pid)]
            if fails:
                raise Broken
    except Broken:
        pass
    assert read_start_time(server.pid) is None
    assert [line["name"] for line in read_journal(shell.journal.path) if line["event"] == "gone"] == [str(server.pid)]


def test_a_second_server_goes_on_with_the_storage_and_the_log(shell, tmp_path):
    places = tmp_path / "s3", tmp_path / "s3.log"
    with S3Server(shell, *places) as first:
        S3Bucket(first.access()).write(KEY, [b"abc"])
    with S3Server(shell, *places) as second:
        assert str(S3Bucket(second.access()).names()[0]) == NAME


def test_a_server_that_ends_at_once_says_what_it_said(shell, tmp_path, monkeypatch):
    broken = tmp_path / "rclone"
    broken.write_text("#!/bin/sh\necho 'unknown flag: --addr' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(s3_server, "find_rclone", lambda: str(broken))
    server = S3Server(shell, tmp_path / "s3", tmp_path / "log")
    with pytest.raises(EnvironmentUnfit, match="unknown flag: --addr"), server:
        pass


def test_a_server_that_says_no_address_is_ended(shell, tmp_path, monkeypatch):
    silent = tmp_path / "rclone"
    silent.write_text("#!/bin/sh\nexec sleep 1000\n")
    silent.chmod(0o755)
    monkeypatch.setattr(s3_server, "find_rclone", lambda: str(silent))
    monkeypatch.setattr(s3_server, "_READY_WITHIN", 0.05)
    server = S3Server(shell, tmp_path / "s3", tmp_path / "log")
    with pytest.raises(Exception, match="the S3 server's address did not come"), server:
        pass
    assert read_start_time(server.pid) is None


def test_without_rclone_it_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(EnvironmentUnfit) as caught:
        find_rclone()
    assert "pip install" in caught.value.hint
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rclone").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "rclone").chmod(0o755)
    assert find_rclone() == str(tmp_path / "bin" / "rclone")


def test_a_storage_that_cannot_be_made_is_said(shell, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(EnvironmentUnfit, match="cannot make it"),
        S3Server(shell, tmp_path / "file" / "s3", tmp_path / "log"),
    ):
        pass
    assert json.dumps([line["event"] for line in read_journal(shell.journal.path)]) == "[]"
