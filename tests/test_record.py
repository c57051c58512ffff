"""Records, judged again: old ones, ones of a later release, cut, edited, of a run that died, elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_builder import make_record

from rehearsal import __version__
from rehearsal.cli import main
from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import JOURNAL, Journal
from rehearsal.judging import judge
from rehearsal.record import RECORD, SCHEMA_VERSION, read_record, write_record
from rehearsal.verdicts import Judgement

OLD = Path(__file__).parent / "records"
OLD_RECORDS = sorted(OLD.glob(f"v*/*/{RECORD}"))
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A perfect rehearsal with its record on disk."""
    folder = tmp_path / "lose-session-db"
    folder.mkdir()
    write_record(folder, make_record(folder))
    return folder


def judge_by_hand(folder: Path, capsys: Capture, *words: str) -> tuple[int, str]:
    """`rehearsal judge`: its exit status, and all that it said."""
    status = main(["judge", str(folder), *words])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_a_record_comes_back_as_it_was_written(folder: Path) -> None:
    assert read_record(folder) == make_record(folder)
    assert read_record(folder).schema_version == SCHEMA_VERSION


def test_it_is_judged_again_on_another_machine(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    elsewhere = tmp_path / "laptop" / "copied"
    shutil.copytree(folder, elsewhere)
    shutil.rmtree(folder)
    assert judge_by_hand(elsewhere, capsys) == (0, "PASS         lose-session-db\n")
    assert judge_by_hand(elsewhere / RECORD, capsys)[0] == 0


# older records


def test_every_version_that_was_ever_written_is_kept() -> None:
    versions = {json.loads(path.read_text(encoding="utf-8"))["schema_version"] for path in OLD_RECORDS}
    assert versions == set(range(1, SCHEMA_VERSION)), "a new version needs a record of the one before in tests/records"


@pytest.mark.parametrize("path", OLD_RECORDS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_an_older_record_is_judged_as_it_was(path: Path) -> None:
    then = Judgement.model_validate(
        {
            key: value
            for key, value in json.loads(path.with_name("report.json").read_text(encoding="utf-8")).items()
            if key in Judgement.model_fields
        }
    )
    now = judge(read_record(path.parent), path.parent)
    assert now.verdict is then.verdict
    assert now.control == then.control
    told = {(finding.check, finding.subject): finding for finding in now.findings}
    for finding in then.findings:
        assert told[finding.check, finding.subject].verdict is finding.verdict


def test_a_run_folder_is_judged_whole_and_says_which_release_wrote_it(capsys: Capture) -> None:
    status, said = judge_by_hand(OLD / "v1", capsys)
    assert status == 0
    assert "FAIL         control-row-changed  (control caught)" in said
    assert "PASS         lose-everything\n  its record is of schema version 1, by release 0.1.0" in said
    assert said.endswith("\nPASS: 2 PASS\n")


def test_an_older_record_gets_its_reports_anew(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "old"
    shutil.copytree(OLD / "v1" / "lose-everything", folder)
    assert judge_by_hand(folder, capsys, "--write")[0] == 0
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["judged_by"] == __version__
    assert json.loads((folder / RECORD).read_text(encoding="utf-8"))["schema_version"] == 1, "the record is left alone"


def test_a_line_of_an_older_record_that_was_edited_is_inconclusive(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "old"
    shutil.copytree(OLD / "v1" / "lose-everything", folder)
    lines = folder / "inventory/after/file-storage-0/entries"
    lines.write_bytes(lines.read_bytes().replace(b'"0644"', b'"0600"', 1))
    status, said = judge_by_hand(folder, capsys)
    assert status == 2
    assert "files: lose-everything: could not be judged: the evidence was cut or edited" in said


# records that cannot be judged


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        facts = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        change(facts)
        (folder / RECORD).write_text(json.dumps(facts), encoding="utf-8")

    return spoil


def put(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / RECORD).write_bytes(content) and None


def cut(folder: Path) -> None:
    path = folder / RECORD
    path.write_bytes(path.read_bytes()[:-200])


def turn_into_a_folder(folder: Path) -> None:
    (folder / RECORD).unlink()
    (folder / RECORD).mkdir()


def find_the_nonce(facts: dict[str, Any]) -> None:
    facts["stores"][0]["nonce"]["found"] = "another"


SPOILT = {
    "cut short": (cut, "cut short or was edited", "rehearse again"),
    "empty": (put(b""), "cut short or was edited", "rehearse again"),
    "no UTF-8": (put(b"\xff\xfe{}"), "cut short or was edited", "rehearse again"),
    "no object": (put(b"[]"), "it holds no JSON object", ""),
    "nested too deep": (put(b"[" * 100_000), "cut short or was edited", "rehearse again"),
    "a number too long": (put(b'{"seed": ' + b"9" * 5000 + b"}"), "cut short or was edited", "rehearse again"),
    "a folder": (turn_into_a_folder, "cannot be read: Is a directory", ""),
    "no version": (edit(lambda facts: facts.pop("schema_version")), "no schema version", "rehearse again"),
    "a version in words": (edit(lambda facts: facts.update(schema_version="2")), "no schema version", "rehearse again"),
    "a true version": (edit(lambda facts: facts.update(schema_version=True)), "no schema version", "rehearse again"),
    "a later version": (
        edit(lambda facts: facts.update(schema_version=SCHEMA_VERSION + 1, tool_version="9.1")),
        f"its schema version is {SCHEMA_VERSION + 1}; release {__version__} reads versions 1 to {SCHEMA_VERSION}",
        "judge it with release 9.1, which wrote it, or later",
    ),
    "version 0": (edit(lambda facts: facts.update(schema_version=0)), "its schema version is 0", "judge it with"),
    "one value edited": (edit(find_the_nonce), "the record was edited", "from a copy"),
    "one value taken out": (edit(lambda facts: facts.pop("stores")), "the record was edited", "from a copy"),
    "its seal taken out": (edit(lambda facts: facts.pop("sha256")), "the record was edited", "from a copy"),
    "its seal of another type": (edit(lambda facts: facts.update(sha256=[1])), "the record was edited", "from a copy"),
    "made an older one": (edit(lambda facts: facts.update(schema_version=1)), "the record was edited", "from a copy"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_record_that_cannot_be_trusted_is_inconclusive_in_clear_words(
    folder: Path, capsys: Capture, how: str
) -> None:
    spoil, wanted, hint = SPOILT[how]
    spoil(folder)
    status, said = judge_by_hand(folder, capsys)
    assert status == 2
    assert said.startswith(f"INCONCLUSIVE lose-session-db: {folder / RECORD}: ")
    assert wanted in said
    assert hint in said
    assert "Traceback" not in said


MISFITS = {
    "wrong type": (lambda facts: facts.update(completed="yes"), "does not fit its schema: completed"),
    "a number as text": (lambda facts: facts.update(seed="1"), "does not fit its schema: seed"),
    "a field gone": (lambda facts: facts.pop("scenario"), "does not fit its schema: scenario"),
    "stores of another kind": (lambda facts: facts.update(stores={}), "does not fit its schema: stores"),
    "a path that leads out": (
        lambda facts: facts["stores"][0]["after"]["tables"]["public.session"]["row_lines"].update(path="../../x"),
        "leads out of the rehearsal's folder",
    ),
    "a path of a machine": (
        lambda facts: facts["stores"][0]["after"]["tables"]["public.session"]["row_lines"].update(path="/x"),
        "leads out of the rehearsal's folder",
    ),
    "half a character": (lambda facts: facts.update(title="\ud800"), "does not fit its schema"),
    "a field of a later release": (
        lambda facts: facts["stores"][0].update(feelings=[]),
        f"release {__version__} does not know its field stores.0.feelings\n  next: judge it with release",
    ),
}


@pytest.mark.parametrize("how", MISFITS)
def test_an_unsealed_record_of_wrong_types_is_inconclusive_in_clear_words(
    folder: Path, capsys: Capture, how: str
) -> None:
    change, wanted = MISFITS[how]
    edit(lambda facts: (facts.pop("sha256"), facts.update(schema_version=1), change(facts)))(folder)
    status, said = judge_by_hand(folder, capsys)
    assert status == 2
    assert wanted in said
    assert "Traceback" not in said


def spoil_somewhere(facts: Any, steps: list[int], value: object) -> None:
    """Follow the steps down into the record and put `value` there."""
    for step in steps:
        keys = list(facts) if isinstance(facts, dict) else list(range(len(facts)))
        key = keys[step % len(keys)]
        if step == steps[-1] or not isinstance(facts[key], dict | list) or not facts[key]:
            facts[key] = value
            return
        facts = facts[key]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=st.lists(st.integers(0, 50), min_size=1, max_size=7), value=ANYTHING)
def test_whatever_is_edited_in_an_unsealed_record_ends_in_words(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], value: object
) -> None:
    folder = tmp_path_factory.getbasetemp() / "edited"
    folder.mkdir(exist_ok=True)
    facts = json.loads(make_record(folder).model_dump_json()) | {"schema_version": 1}
    spoil_somewhere(facts, steps, value)
    (folder / RECORD).write_text(json.dumps(facts), encoding="utf-8")
    try:
        judge(read_record(folder), folder)
    except EnvironmentUnfit as error:
        assert error.what


# runs that died


def test_a_run_that_died_says_how_far_its_journal_came(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "run" / "lose-auth"
    journal = Journal(folder / JOURNAL)
    journal.phase = "restore"
    journal.write("command", command="psql -h … < auth.sql")
    journal.close()
    with (folder / JOURNAL).open("ab") as stream:
        stream.write(b'{"at": "2026-')  # cut by the kill
    for place in (folder, folder.parent):
        status, said = judge_by_hand(place, capsys)
        assert status == 2
        assert f"INCONCLUSIVE lose-auth: {folder}: no record: the rehearsal died before it wrote one" in said
        assert "in phase 'restore': command psql -h … < auth.sql" in said
        assert f"next: tail -n 3 {folder / JOURNAL}" in said


def test_a_dead_rehearsal_beside_a_good_one_makes_the_run_inconclusive(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    dead = tmp_path / "lose-auth"
    dead.mkdir()
    (dead / JOURNAL).write_bytes(b"")
    status, said = judge_by_hand(tmp_path, capsys)
    assert status == 2
    assert "its journal is empty" in said
    assert said.endswith("\nINCONCLUSIVE: 1 PASS, 1 INCONCLUSIVE\n")


@pytest.mark.parametrize("name", ["nothing-here", "empty", "a-file"])
def test_a_place_without_a_rehearsal_is_a_usage_error(tmp_path: Path, capsys: Capture, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a-file").write_text("x")
    status, said = judge_by_hand(tmp_path / name, capsys)
    assert status == 2
    assert said.startswith(f"rehearsal: {tmp_path / name}: there is no")
    assert "next: give a run's folder" in said


# what a judge leaves behind


def test_a_check_that_crashes_leaves_its_traceback_and_the_rest_of_the_run_is_judged(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(evidence: object) -> list[Any]:
        raise ZeroDivisionError("boom")

    monkeypatch.setitem(__import__("rehearsal.checks").checks.CHECKS, "nonce", crash)
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    status, said = judge_by_hand(folder.parent, capsys)
    assert status == 2
    assert said.count("INCONCLUSIVE nonce: lose-session-db: the check itself crashed: ZeroDivisionError('boom')") == 2
    assert "Traceback" in (folder / "logs" / "check-nonce.txt").read_text(encoding="utf-8")
    assert "Traceback" not in said
