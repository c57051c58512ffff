"""`rehearsal verify-backup` as a user types it: on directories and a real S3 server, with real keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr
from quick_seals import START
from verified_sets import FILES, Server, edit_tar, flip

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.builtin_backup.verification_schema import render_schema
from rehearsal.journal import Journal
from rehearsal.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "Tr0ub4dor-und-drei"
AS_OF = ("--as-of", "2026-01-15T02:00:00Z")


def run(*words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "verify-backup", *map(str, words)],
        cwd=ROOT,
        env=environment | {"HOME": "/nonexistent"} | changes,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def shell_of(folder: Path) -> Shell:
    return Shell(Journal(folder / "journal.jsonl"))


@dataclass
class Sealed:
    """A server's set that was encrypted for real."""

    server: Server
    key_file: Path
    key_id: str
    passphrase_file: Path

    @property
    def bucket(self) -> Path:
        return self.server.bucket.path

    @property
    def private_lines(self) -> list[str]:
        return [line for line in self.key_file.read_text().splitlines() if len(line) > 30]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Keyring, str, str, Path]]:
    """A keyring with our key, another one, and a folder with both private keys."""
    folder = tmp_path_factory.mktemp("keys")
    with Keyring(shell_of(folder)) as keyring:
        ours, other = keyring.generate("backup"), keyring.generate("somebody else")
        (folder / "key.asc").write_bytes(keyring.export_secret(ours))
        (folder / "other.asc").write_bytes(keyring.export_secret(other))
        yield keyring, ours, other, folder


def make_set(folder: Path, seal: Callable[[Path], Sealer]) -> Server:
    with scratch_folder() as scratch:
        server = Server(folder, sealer=seal(scratch))
        server.back_up(1)
    return server


@pytest.fixture(scope="module")
def original(keys: tuple[Keyring, str, str, Path], tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    keyring, ours, _, folder = keys
    server = make_set(
        tmp_path_factory.mktemp("public"),
        lambda scratch: Sealer(keyring.shell, keyring, "public-key", ours, scratch=scratch),
    )
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    key_id = next(key.key_id for key in keyring.list_keys() if key.encrypts and key.primary == ours)
    return Sealed(server, folder / "key.asc", key_id, folder / "passphrase")


@pytest.fixture
def sealed(original: Sealed, tmp_path: Path) -> Sealed:
    """A copy that may be damaged."""
    server = Server(tmp_path / "set")
    shutil.rmtree(server.bucket.path)
    shutil.copytree(original.bucket, server.bucket.path)
    return Sealed(server, original.key_file, original.key_id, original.passphrase_file)


@pytest.fixture(scope="module")
def symmetric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("symmetric")
    with Keyring(shell_of(folder), passphrase=SecretStr(PASSPHRASE)) as keyring:
        server = make_set(folder, lambda scratch: Sealer(keyring.shell, keyring, "passphrase", scratch=scratch))
    return server.bucket.path


def test_a_healthy_directory(sealed: Sealed) -> None:
    done = run(sealed.bucket, "--key", sealed.key_file, *AS_OF)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS keys: keys: 4 of 4 backups open" in done.stdout
    assert "PASS: 9 of 9 packages read" in done.stdout
    assert done.stdout.count("  restores ") == 4


def test_a_damaged_package_is_named(sealed: Sealed) -> None:
    name = sealed.server.latest()
    victim = "03/03-file.lz4.gpg"
    edit_tar(sealed.bucket / str(name) / "storage/backup/_small_files.tar", victim, flip)
    done = run(sealed.bucket, "--key", sealed.key_file, *AS_OF)
    assert done.returncode == 1
    assert f"FAIL packages: {name} (bucket): not as listed: {victim}" in done.stdout
    assert "FAIL contents" not in done.stdout


def test_without_a_key_packages_are_checked_and_contents_are_not(sealed: Sealed) -> None:
    done = run(sealed.bucket, *AS_OF)
    assert done.returncode == 2
    assert "PASS packages" in done.stdout and "INCONCLUSIVE contents" in done.stdout
    assert f"INCONCLUSIVE keys: {sealed.key_id}" in done.stdout and "--key FILE" in done.stdout


def test_the_wrong_key_is_a_failure_by_key_id(sealed: Sealed, keys: tuple[Keyring, str, str, Path]) -> None:
    done = run(sealed.bucket, "--key", keys[3] / "other.asc", *AS_OF)
    assert done.returncode == 1
    assert f"FAIL keys: {sealed.key_id}: 0 of 4 backups open" in done.stdout


def test_passphrases(symmetric: Path, tmp_path: Path, original: Sealed) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one")
    values = tmp_path / "values.yaml"
    values.write_text(
        "deployments:\n  backup:\n    configs: &c\n      backup-bucket: b\n      backup-s3-endpoint: https://s3.example.org\n"
        f"      backup-gpg-passphrase: {PASSPHRASE}\n  fileStorage:\n    configs: *c\n"
    )
    right = run(symmetric, "--passphrase-file", original.passphrase_file, *AS_OF)
    assert right.returncode == 0, right.stdout + right.stderr
    assert run(symmetric, "--values", values, *AS_OF).returncode == 0
    without, other = run(symmetric, *AS_OF), run(symmetric, "--passphrase-file", wrong, *AS_OF)
    assert (without.returncode, other.returncode) == (2, 1)
    assert "FAIL keys: passphrase" in other.stdout and "not this one" not in other.stdout + other.stderr
    assert "--passphrase-file FILE" in without.stdout


def test_json_is_the_published_shape(sealed: Sealed) -> None:
    done = run(sealed.bucket, "--key", sealed.key_file, "--json", *AS_OF)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["schema"] == "chipster-restore-rehearsal/verification/1"
    jsonschema.validate(result, json.loads(render_schema()))
    assert (ROOT / "docs/verification.schema.json").read_text(encoding="utf-8") == render_schema()
    assert result["verdict"] == "PASS" and result["sample_percent"] == 100
    assert result["keys"] == {
        "needed": [sealed.key_id],
        "given": [sealed.key_id],
        "passphrase": False,
        "backups_encrypted": 4,
        "backups_opened": 4,
    }
    assert result["oldest"].startswith("2026-01-15T01:10:00")


def test_a_sample_is_called_one(sealed: Sealed) -> None:
    done = run(sealed.bucket, "--key", sealed.key_file, "--sample", "60%", *AS_OF)
    assert done.returncode in (0, 2)
    assert "a SAMPLE of 60%: not everything was read" in done.stdout


def test_an_archive_is_told_from_a_bucket_and_they_are_verified_together(sealed: Sealed) -> None:
    sealed.server.now = START + 10**9
    sealed.server.archive_all()
    archive = sealed.server.archive.path
    both = run(sealed.bucket, archive, "--key", sealed.key_file, *AS_OF)
    assert both.returncode == 0, both.stdout + both.stderr
    assert f"archive {archive}: 4 backups" in both.stdout and f"bucket {sealed.bucket}" in both.stdout
    next(archive.glob(f"{FILES}_*/03/03-file.lz4.gpg")).unlink()
    alone = run(archive, "--key", sealed.key_file, *AS_OF)
    assert alone.returncode == 1 and "03/03-file.lz4.gpg" in alone.stdout


def test_a_real_s3_server_and_no_secret_anywhere(sealed: Sealed, tmp_path: Path) -> None:
    """Every gpg writes down its arguments and environment; the output, those, and nothing else could leak."""
    tools, seen = tmp_path / "tools", tmp_path / "seen"
    tools.mkdir()
    (tmp_path / "tmp").mkdir()
    real = shutil.which("gpg")
    (tools / "gpg").write_text(f'#!/bin/sh\n{{ printf "%s\\n" "$@"; env; }} >> {seen}\nexec {real} "$@"\n')
    (tools / "gpg").chmod(0o755)
    with S3Server(shell_of(tmp_path), tmp_path / "s3", tmp_path / "s3.log", ("chipster",)) as s3:
        shutil.copytree(sealed.bucket, tmp_path / "s3/chipster/some/prefix")
        keys = {
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key.get_secret_value(),
            "TMPDIR": str(tmp_path / "tmp"),
            "PATH": f"{tools}:{os.environ['PATH']}",
        }
        words = ("s3://chipster/some/prefix", "--endpoint", s3.endpoint, *AS_OF)
        opened = ("--key", sealed.key_file, "--passphrase-file", sealed.passphrase_file)
        good = run(*words, *opened, **keys)
        as_json = run(*words, *opened, "--json", **keys)
        wrong = run(*words, *opened, **keys | {"AWS_SECRET_ACCESS_KEY": "wrong-secret-of-somebody"})
        nobody = run(*words)
        missing = run("s3://other", *words[1:], **keys)
    assert good.returncode == 0, good.stdout + good.stderr
    assert as_json.returncode == 0 and json.loads(as_json.stdout)["packages_read"] == 9
    for refused in (wrong, nobody, missing):
        assert refused.returncode == 2 and "next:" in refused.stderr and not refused.stdout, refused
    written = seen.read_text()
    assert "--decrypt" in written
    homes = {Path(home) for home in re.findall(r"--homedir\n(/.*)\n", written)}
    assert homes and not any(home.exists() for home in homes)
    assert list((tmp_path / "tmp").iterdir()) == []  # nothing was left on the disk
    for secret in (s3.secret_key.get_secret_value(), PASSPHRASE, *sealed.private_lines, "wrong-secret-of-somebody"):
        assert secret not in written
        for done in (good, as_json, wrong, nobody, missing):
            assert secret not in done.stdout + done.stderr


def test_values_alone_tell_trap_16_and_a_missing_scheme(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "deployments:\n  backup:\n    configs:\n      backup-bucket: b\n      backup-s3-endpoint: a3s.example.org\n"
        "      backup-s3-secret-key: verysecretkey\n"
    )
    done = run("--values", values)
    assert done.returncode == 1
    assert f"FAIL configuration: {values}:5" in done.stdout and "crashes at start" in done.stdout
    assert "NO database backup is ever made" in done.stdout
    assert "verysecretkey" not in done.stdout + done.stderr


@pytest.mark.parametrize(("kind", "words"), [("sign_only", "signing only"), ("expired", "has expired")])
def test_values_alone_tell_a_key_that_encrypts_nothing(
    keys: tuple[Keyring, str, str, Path], tmp_path: Path, kind: str, words: str
) -> None:
    keyring, ours, _, _ = keys
    bad = keyring.generate(kind, **{kind: True})
    outputs = []
    for fingerprint in (bad, ours):
        block = keyring.export_public(fingerprint).decode()
        configs = {
            "backup-bucket": "b",
            "backup-s3-endpoint": "https://s3.example.org",
            "backup-gpg-public-key": block,
        }
        values = tmp_path / "values.json"
        values.write_text(json.dumps({"deployments": {n: {"configs": configs} for n in ("backup", "fileStorage")}}))
        outputs.append(run("--values", values))
    assert outputs[0].returncode == 1 and words in outputs[0].stdout
    assert outputs[1].returncode == 2 and "FAIL" not in outputs[1].stdout  # nothing was read


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("/nonexistent-folder",),
        ("s3://",),
        ("s3://bucket", "--endpoint", "a3s.example.org"),
        ("s3://bucket", "--path-style", "--virtual-host"),
        (".", "--sample", "0%"),
        (".", "--sample", "all"),
        (".", "--jobs", "0"),
        (".", "--as-of", "yesterday"),
        (".", "--values", "/nonexistent.yaml"),
        ("{bucket}", "--key", "/nonexistent.asc"),
        ("{bucket}", "--key", "{passphrase}"),
        ("{bucket}", "--passphrase-file", "/nonexistent"),
        ("{bucket}", "--passphrase-file", "{key}"),
        ("{bucket}", "{bucket}"),
        ("{bucket}", "--ca-file", "/nonexistent", "s3://bucket"),
    ],
)
def test_wrong_usage_is_one_message(sealed: Sealed, words: tuple[str, ...]) -> None:
    places = {"bucket": sealed.bucket, "key": sealed.key_file, "passphrase": sealed.passphrase_file}
    done = run(*(word.format(**places) for word in words))
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr) > 20 and PASSPHRASE not in done.stderr
