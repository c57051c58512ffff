"""The journal is whole up to the moment of a kill, and holds no secret in any of its forms."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

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
