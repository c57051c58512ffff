"""A password that reads like an ordinary word takes nothing from the facts, and still reaches no file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import command, owned_left, read_report, rehearse, run
from record_builder import make_record

from rehearsal.cleaning import clean
from rehearsal.clusters.local_places import make_owned
from rehearsal.inventory import FilesInventory
from rehearsal.journal import Journal, Redactor
from rehearsal.judging import judge
from rehearsal.record import (
    OTHER_CONTENT,
    CommandOutcome,
    HeartbeatState,
    PhaseTime,
    SetRemarkState,
    Trouble,
    read_record,
    write_record,
)
from rehearsal.record_redaction import clean_record
from rehearsal.verdicts import Verdict

WORDS = ("session", "file", "chipster", "1234", "public", "before", "nonce", "rows", "name", "kind")
SECRET = "Correct-h0rse/battery"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for TMPDIR that has a password in its name, short enough for the sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="chipster-"))
    folder.chmod(0o711)  # the servers run as another user
    yield folder
    shutil.rmtree(folder)


def write_values(folder: Path, password: str) -> Path:
    values = folder / "values.yaml"
    databases = {key: {"password": password} for key in ("auth", "sessionDb", "jobHistory")}
    values.write_text(json.dumps({"databases": databases}), encoding="utf-8")
    return values


@pytest.mark.parametrize("word", WORDS)
def test_a_record_is_judged_the_same_with_a_password_that_reads_like_a_word(word: str, tmp_path: Path) -> None:
    record = make_record(tmp_path)
    cleaned = clean_record(record, Redactor([word]))
    write_record(tmp_path, cleaned)
    judgement = judge(read_record(tmp_path), tmp_path)
    assert judgement.verdict is Verdict.PASS, [f for f in judgement.findings if f.verdict is not Verdict.PASS]
    assert [one.name for one in cleaned.stores] == [one.name for one in record.stores]
    assert cleaned.scenario == record.scenario


def test_a_digest_that_holds_a_password_stays_as_it_is(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    digests = [one.before.entry_lines.sha256 for one in record.stores if isinstance(one.before, FilesInventory)]
    assert digests
    cleaned = clean_record(record, Redactor([digest[10:14] for digest in digests]))
    assert cleaned.stores == record.stores
    assert judge(cleaned, tmp_path).verdict is Verdict.PASS


def test_free_text_of_a_record_holds_no_secret(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    database = next(store for store in record.stores if store.before is not None and store.before.kind == "database")
    assert database.before is not None
    texts = {"user mapping x": f"options password={SECRET}"}
    database.before = database.before.model_copy(update={"schema_objects": texts})
    record.notes = (f"note {SECRET}",)
    record.title = record.command = f"--x {SECRET}"
    record.versions = {"postgres": SECRET}
    record.phases.append(PhaseTime(name="restore", seconds=1, error=SECRET))
    record.troubles.append(Trouble(phase="restore", message=SECRET, where=SECRET, hint=SECRET))
    record.commands.append(
        CommandOutcome(phase="restore", store="auth", command=SECRET, status=0, error_lines=0, seconds=1)
    )
    record.set_remarks = (SetRemarkState(sound=False, subject="x", message=SECRET, details=(SECRET,)),)
    assert record.model_dump_json().count(SECRET) == 12
    cleaned = clean_record(record, Redactor([SECRET]))
    text = cleaned.model_dump_json()
    assert SECRET not in text
    assert text.count("[redacted]") == 12
    assert cleaned.troubles[-1].phase == "restore"


def test_a_mark_that_somebody_else_wrote_over_is_free_text(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    mark = next(store.nonce for store in record.stores if store.nonce is not None)
    mark.found = SECRET
    assert SECRET not in clean_record(record, Redactor([SECRET])).model_dump_json()


def test_the_rehearsals_own_heartbeat_is_still_known_in_a_set(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    files = next(store for store in record.stores if store.kind == "files")
    files.heartbeat = HeartbeatState(place="storage/ab/file", beats=1, first_at="", last_at="")
    record.set_remarks = (SetRemarkState(sound=False, subject="f: ab/file", message=f"file 1: {OTHER_CONTENT}"),)
    judgement = judge(clean_record(record, Redactor(["file"])), tmp_path)
    (finding,) = (one for one in judgement.findings if one.check == "set-contents")
    assert finding.verdict is Verdict.PASS
    assert finding.message.startswith("the rehearsal's own heartbeat, no user's file: [redacted] 1: ")


def test_what_a_run_owned_is_removed_where_its_path_holds_a_password(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs" / "run-1" / "x" / "journal.jsonl", Redactor(["chipster", "nonce"]))
    journal.own("harness", "4194300", start_time=1, boot_id="another boot")
    folder = make_owned(journal, tmp_path / "chipster-tmp" / "rehearsal-1", "nonce-1")
    journal.close()
    result = clean(tmp_path / "runs", lambda _: None)
    assert len(result.removed) == 1, result
    assert not folder.exists()


@pytest.mark.parametrize("word", ["session", "file", "chipster", "1234"])
def test_a_rehearsal_passes_with_a_password_that_reads_like_a_word(word: str, tmp_path: Path) -> None:
    done = rehearse(tmp_path, "lose-session-db", "--values", str(write_values(tmp_path, word)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_report(tmp_path, "lose-session-db")["verdict"] == "PASS"
    again = run("judge", str(tmp_path / "latest" / "lose-session-db"))
    assert (again.returncode, again.stdout.split()) == (0, ["PASS", "lose-session-db"])
    assert owned_left(tmp_path) == []


def test_a_killed_run_is_removed_where_its_folder_holds_the_password(tmp_path: Path, short: Path) -> None:
    values, runs = write_values(tmp_path, "chipster"), tmp_path / "runs"
    words = command("run", "lose-auth", "--cluster", "local", "--runs", str(runs), "--values", str(values))
    environment = os.environ | {"KUBECONFIG": "/nonexistent", "TMPDIR": str(short)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as harness:
        deadline = time.monotonic() + 120
        while not any('"phase": "seed"' in path.read_text() for path in runs.glob("*/lose-auth/journal.jsonl")):
            assert harness.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        harness.send_signal(signal.SIGKILL)
    left = list(short.iterdir())
    cleaned = run("clean", "--runs", str(runs), TMPDIR=str(short))
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert left, "nothing was below TMPDIR: this test shows nothing"
    assert list(short.iterdir()) == []
    assert owned_left(runs) == []
