"""The judge: a perfect record is PASS; each single damage is FAIL or INCONCLUSIVE by the one finding that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from record_builder import make_database, make_files, make_record

from rehearsal import checks, judging
from rehearsal.judging import judge
from rehearsal.record import OTHER_CONTENT, ControlPlan, HeartbeatState, Record, SetRemarkState, StoreRecord, Trouble
from rehearsal.verdicts import Finding, Verdict, weigh


def not_green(record: Record, folder: Path) -> list[Finding]:
    return [finding for finding in judge(record, folder).findings if finding.verdict is not Verdict.PASS]


def session_db(record: Record) -> StoreRecord:
    return record.stores[0]


def test_a_perfect_record_is_pass_and_every_check_said_so(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    judgement = judge(record, tmp_path)
    assert judgement.verdict is Verdict.PASS
    said = {finding.check for finding in judgement.findings}
    # no file-storage and no auth was lost, no service was started, and the method has the manifest alone
    silent = {"files", "logins", "set-contents", "settled"}
    assert said == set(checks.CHECKS) - silent, "every other check has something to say"


def lose_nonce(record: Record) -> None:
    session_db(record).nonce.found = None  # type: ignore[union-attr]


def find_another_nonce(record: Record) -> None:
    session_db(record).nonce.found = "nonce-of-yesterday"  # type: ignore[union-attr]


def keep_marker(record: Record) -> None:
    session_db(record).marker.found = "marker-1"  # type: ignore[union-attr]


def keep_claim(record: Record) -> None:
    session_db(record).loss.claim_after = "1"  # type: ignore[union-attr]


def leave_something(record: Record) -> None:
    session_db(record).loss.leftovers = ("table public.session",)  # type: ignore[union-attr]


def spoil_artefact(record: Record) -> None:
    record.artefacts = (record.artefacts[0].model_copy(update={"found_sha256": "cd"}),)


def lose_artefact(record: Record) -> None:
    record.artefacts = (record.artefacts[0].model_copy(update={"found_sha256": None, "found_size": None}),)


@pytest.mark.parametrize(
    ("damage", "check", "subject"),
    [
        (lose_nonce, "nonce", "session-db"),
        (find_another_nonce, "nonce", "session-db"),
        (keep_marker, "marker", "session-db"),
        (keep_claim, "loss", "session-db"),
        (leave_something, "loss", "session-db"),
        (spoil_artefact, "backup-set", "session-db.sql"),
        (lose_artefact, "backup-set", "session-db.sql"),
    ],
)
def test_one_damage_is_one_fail_that_names_it(
    tmp_path: Path, damage: Callable[[Record], None], check: str, subject: str
) -> None:
    record = make_record(tmp_path)
    damage(record)
    (finding,) = not_green(record, tmp_path)
    assert (finding.check, finding.verdict, finding.subject) == (check, Verdict.FAIL, subject)


def test_a_changed_row_is_named_by_table_and_key(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    session_db(record).after = make_database(tmp_path, "after", {"a": 10, "b": 21})
    (finding,) = not_green(record, tmp_path)
    assert (finding.check, finding.subject) == ("rows", 'session-db: public.session ["b"]')


def test_differences_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    many = {f"k{n:03}": n for n in range(100)}
    session_db(record).before = make_database(tmp_path, "before", many)
    session_db(record).after = make_database(tmp_path, "after", {key: digest + 1 for key, digest in many.items()})
    findings = not_green(record, tmp_path)
    assert len(findings) == checks.NAMED_LIMIT + 1
    assert findings[-1].message == "… and 80 more differences of this kind"


def test_a_sequence_and_a_function_are_named(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    after = make_database(tmp_path, "after")
    session_db(record).after = after.model_copy(
        update={"sequences": {"rehearsal_extras.s": "6 t"}, "schema_objects": {}}
    )
    assert [(finding.check, finding.subject) for finding in not_green(record, tmp_path)] == [
        ("sequences", "session-db: rehearsal_extras.s"),
        ("schema", "session-db: function rehearsal_extras.f()"),
    ]


def test_an_untouched_store_that_changed_is_fail(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.stores[1].after = make_files(tmp_path, "after", {"ab/ab1": b"two"})
    (finding,) = not_green(record, tmp_path)
    assert (finding.check, finding.verdict, finding.subject) == ("untouched", Verdict.FAIL, "file-storage-0")
    assert any("ab/ab1" in detail for detail in finding.details)


def test_an_untouched_store_with_a_new_claim_is_fail(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.stores[1].claim_end = "4"
    (finding,) = not_green(record, tmp_path)
    assert finding.check == "untouched"
    assert finding.details == ("its claim was 3, is 4",)


def test_an_untouched_store_that_lost_the_marker_was_replaced(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.stores[1].marker.found = None  # type: ignore[union-attr]
    (finding,) = not_green(record, tmp_path)
    assert finding.check == "untouched"


def test_lost_files_are_named_by_path(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    files = record.stores[1]
    files.lost = True
    files.loss = session_db(record).loss
    files.marker.found = None  # type: ignore[union-attr]
    files.before = make_files(tmp_path, "before", {"ab/ab1": b"one", "ab/ab2": b"two", "ab/ab3": b"3"})
    files.after = make_files(tmp_path, "after", {"ab/ab1": b"0ne", "ab/ab3": b"3", "ab/ab4": b""})
    assert [(finding.check, finding.subject) for finding in not_green(record, tmp_path)] == [
        ("files", "file-storage-0: ab/ab1"),
        ("files", "file-storage-0: ab/ab2"),
        ("files", "file-storage-0: ab/ab4"),
    ]


def test_what_was_not_looked_at_is_inconclusive(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    store = session_db(record)
    store.after = store.nonce = store.marker = store.loss = None
    record.artefacts = ()
    findings = not_green(record, tmp_path)
    assert {finding.verdict for finding in findings} == {Verdict.INCONCLUSIVE}
    assert {finding.check for finding in findings} == set(checks.CHECKS) - {
        "completed",
        "files",
        "logins",
        "set-contents",
        "settled",
        "untouched",
    }


def test_an_inventory_of_nothing_is_inconclusive(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    empty = {"tables": {}, "schema_objects": {}, "sequences": {}}
    session_db(record).before = make_database(tmp_path, "before").model_copy(update=empty)
    session_db(record).after = make_database(tmp_path, "after").model_copy(update=empty)
    findings = not_green(record, tmp_path)
    assert {(finding.check, finding.verdict) for finding in findings} >= {
        ("tables", Verdict.INCONCLUSIVE),
        ("rows", Verdict.INCONCLUSIVE),
        ("schema", Verdict.INCONCLUSIVE),
    }


def test_a_trouble_is_inconclusive_with_what_to_do(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.troubles = [Trouble(phase="restore", message="disk full", where="/x", hint="df", log="logs/t.txt")]
    (finding,) = not_green(record, tmp_path)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.message == "/x: disk full"
    assert finding.details == ("next: df", "traceback: logs/t.txt")


def test_a_rehearsal_that_did_not_reach_its_end_is_never_pass(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.completed = False
    assert judge(record, tmp_path).verdict is Verdict.INCONCLUSIVE


def test_evidence_that_was_edited_is_inconclusive_and_named(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    path = tmp_path / "inventory/after/session-db/public.session.rows"
    path.write_bytes(path.read_bytes().replace(b"20", b"21"))
    findings = not_green(record, tmp_path)
    assert findings
    assert {finding.verdict for finding in findings} == {Verdict.INCONCLUSIVE}
    assert any("public.session.rows" in " ".join(finding.details) for finding in findings)


def test_a_check_that_crashes_is_inconclusive_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(evidence: checks.Evidence) -> list[Finding]:
        raise ZeroDivisionError("boom")

    monkeypatch.setitem(checks.CHECKS, "nonce", crash)
    record = make_record(tmp_path)
    judgement = judge(record, tmp_path)
    (finding,) = [finding for finding in judgement.findings if finding.verdict is not Verdict.PASS]
    assert (finding.check, finding.verdict) == ("nonce", Verdict.INCONCLUSIVE)
    assert "ZeroDivisionError" in (tmp_path / "logs" / "check-nonce.txt").read_text()
    assert {"rows", "marker", "untouched"} <= {finding.check for finding in judgement.findings}


def test_no_finding_at_all_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHECKS", {})
    assert judge(make_record(tmp_path), tmp_path).verdict is Verdict.INCONCLUSIVE


def test_fail_is_worse_than_inconclusive(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    lose_nonce(record)
    record.troubles = [Trouble(phase="clean up", message="left over")]
    assert judge(record, tmp_path).verdict is Verdict.FAIL


def plan(check: str, subject: str, *damaged: str) -> ControlPlan:
    return ControlPlan(tampering="t", why="w", expects_check=check, expects_subject=subject, damaged=damaged)


@pytest.mark.parametrize(
    ("expected", "caught"),
    [
        (plan("rows", "session-db", 'public.session ["b"]'), True),
        (plan("rows", "session-db", 'public.session ["a"]'), False),
        (plan("large-objects", "session-db"), False),
    ],
    ids=["right check, right row", "right check, wrong row", "wrong check"],
)
def test_a_control_is_caught_only_by_its_named_finding(tmp_path: Path, expected: ControlPlan, caught: bool) -> None:
    record = make_record(tmp_path)
    record.control = expected
    session_db(record).after = make_database(tmp_path, "after", {"a": 10, "b": 21})
    judgement = judge(record, tmp_path)
    assert judgement.verdict is Verdict.FAIL, "a control keeps its true verdict"
    assert judgement.control is not None
    assert judgement.control.caught is caught
    outcome = weigh(judgement.verdict, judgement.control, judgement.findings)
    assert outcome is (Verdict.PASS if caught else Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("subject", "damaged", "told"),
    [
        ("file-storage", ("file-storage-0: ab/1",), "file-storage-0: ab/1"),
        ("session-db", ('public.session ["b"]',), 'session-db public.session ["b"]'),
        ("session-db", ("session-db",), "session-db"),
    ],
)
def test_a_controls_object_is_told_without_repeats(
    tmp_path: Path, subject: str, damaged: tuple[str, ...], told: str
) -> None:
    record = make_record(tmp_path)
    record.control = plan("rows", subject, *damaged)
    control = judge(record, tmp_path).control
    assert control is not None
    assert control.expects_subject == told


def test_an_undamaged_control_is_not_caught(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    record.control = plan("rows", "session-db")
    judgement = judge(record, tmp_path)
    assert judgement.control is not None
    assert not judgement.control.caught


@pytest.mark.parametrize(
    ("sound", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL), (None, Verdict.INCONCLUSIVE)]
)
def test_what_the_method_says_of_its_set_is_a_finding(tmp_path: Path, sound: bool | None, verdict: Verdict) -> None:
    record = make_record(tmp_path)
    record.set_remarks = (SetRemarkState(sound=sound, subject="ab/ab1", message="said", details=("more",)),)
    judgement = judge(record, tmp_path)
    (finding,) = [finding for finding in judgement.findings if finding.check == "set-contents"]
    assert (finding.verdict, finding.subject, finding.message, finding.details) == (
        verdict,
        "ab/ab1",
        "said",
        ("more",),
    )
    assert judgement.verdict is verdict


def test_a_heartbeat_that_beat_while_it_was_packed_is_no_damage(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    (files,) = [entry for entry in record.stores if entry.kind == "files"]
    files.heartbeat = HeartbeatState(place="storage/ff/ff1", beats=8, first_at="a", last_at="b")
    said = [
        ("contents: b (bucket): ff/ff1", f"does not come back as it was: {OTHER_CONTENT}"),
        ("contents: b (bucket): aff/ff1", OTHER_CONTENT),
        ("packages: b (bucket): ff/ff1", "not as listed: its size is as listed, its SHA-512 is not"),
    ]
    record.set_remarks = tuple(SetRemarkState(sound=False, subject=subject, message=what) for subject, what in said)
    found = [finding for finding in judge(record, tmp_path).findings if finding.check == "set-contents"]
    assert [finding.verdict for finding in found] == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL]
    assert "heartbeat" in found[0].message
