"""The journal is whole up to the moment of a kill, and holds no secret in any of its forms."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal, Redactor, read_journal


def test_lines_are_on_disk_before_the_step_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("first")
    assert [line["message"] for line in read_journal(journal.path)] == ["first"]
    journal.close()


def test_a_phase_that_fails_says_so_with_its_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(ValueError, match="broken"), journal.step("back up"):
        journal.note("inside")
        raise ValueError("broken")
    journal.note("outside")
    lines = read_journal(journal.path)
    assert [(line["event"], line["phase"]) for line in lines] == [
        ("phase", "back up"),
        ("note", "back up"),
        ("phase", "back up"),
        ("note", ""),
    ]
    assert lines[2]["state"] == "failed"
    assert lines[2]["error"] == "broken"
    journal.close()


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("whole")
    journal.close()
    with journal.path.open("ab") as stream:
        stream.write(b'{"event": "no')
    assert [line["message"] for line in read_journal(journal.path)] == ["whole"]


def test_secrets_are_gone_in_every_form(tmp_path: Path) -> None:
    secret = 'p"ss:w/rd é'
    encoded = base64.b64encode(secret.encode()).decode()
    journal = Journal(tmp_path / "journal.jsonl", Redactor([secret]))
    journal.write("command", command=f"PGPASSWORD={secret} psql", nested={"list": [secret, encoded], secret: 1})
    journal.write("command", command=f"Authorization: {encoded.rstrip('=')}", escaped=json.dumps(secret))
    text = journal.path.read_text(encoding="utf-8")
    assert secret not in text
    assert encoded.rstrip("=") not in text
    assert json.dumps(secret)[1:-1] not in text
    assert text.count("[redacted]") == 6
    journal.close()


def test_listeners_get_every_line(tmp_path: Path) -> None:
    seen: list[str] = []
    journal = Journal(tmp_path / "journal.jsonl", listeners=[lambda line: seen.append(line["event"])])
    journal.own("directory", "somewhere", nonce="n")
    journal.disown("directory", "somewhere")
    assert seen == ["owned", "gone"]
    journal.close()


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("name \udcff")
    assert len(read_journal(journal.path)) == 1
    journal.close()


def test_a_full_disk_stops_a_rehearsal_but_not_its_clean_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.jsonl")

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(EnvironmentUnfit, match="cannot go on without the journal: No space left on device"):
        journal.note("one")
    journal.forgive()
    journal.note("two")
    monkeypatch.undo()
    assert read_journal(journal.path) == []
    journal.close()


def test_what_a_late_thread_writes_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.close()
    journal.note("late")
    assert read_journal(journal.path) == []


def test_progress_is_shown_and_not_kept(tmp_path: Path) -> None:
    seen: list[str] = []
    journal = Journal(tmp_path / "journal.jsonl", Redactor(["hunter22"]), [lambda line: seen.append(line["message"])])
    journal.show("1 MB hunter22")
    assert seen == ["1 MB [redacted]"]
    assert read_journal(journal.path) == []
    journal.close()


def test_what_is_owned_is_named_as_it_is_whatever_the_password(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", Redactor(["chipster", "name", "kind", "state", "started"]))
    marks = {"nonce": "chipster-1", "kubeconfig": "/chipster-tmp/k", "engine": "unix:///chipster"}
    journal.own("kind-cluster", "/chipster-tmp/x", **marks, label="chipster says")
    journal.disown("kind-cluster", "/chipster-tmp/x")
    with journal.step("seed"):
        journal.note("chipster", path="/chipster-tmp")
    journal.close()
    owned, gone, started, note, _ = read_journal(journal.path)
    assert {key: owned[key] for key in marks} == marks
    assert (owned["kind"], owned["name"]) == (gone["kind"], gone["name"]) == ("kind-cluster", "/chipster-tmp/x")
    assert owned["label"] == "[redacted] says"
    assert started["state"] == "started"
    assert (note["message"], note["path"]) == ("[redacted]", "/[redacted]-tmp")
