"""report.json: what is added up, what is left null, and that it fits its published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from samples import (
    JUDGED_AT,
    broken_findings,
    broken_record,
    control_judgement,
    control_record,
    damaged_findings,
    good_findings,
    make_database_store,
    make_files_store,
    make_judgement,
    make_record,
    make_user_losses,
    with_heartbeat,
)

from rehearsal.errors import EnvironmentUnfit
from rehearsal.record import PhaseTime
from rehearsal.report import read_report, write_reports
from rehearsal.report.json_report import build_report, render_json
from rehearsal.report.schema import render_schema
from rehearsal.verdicts import Judgement, Verdict

PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"


def good_report(**changes):
    return build_report(make_record(**changes), make_judgement(*good_findings()), JUDGED_AT)


def test_published_schema_is_the_models():
    assert PUBLISHED.read_text(encoding="utf-8") == render_schema(), (
        "renew it: python -m rehearsal.report.schema > docs/report.schema.json"
    )


@pytest.mark.parametrize(
    ("record", "judgement"),
    [
        (make_record(), make_judgement(*good_findings())),
        (make_record(), make_judgement(*damaged_findings())),
        (broken_record(), make_judgement(*broken_findings())),
        (control_record(), control_judgement(caught=True)),
        (make_record(stores=[], phases=[], manifest=None), Judgement(verdict=Verdict.NOT_RUN, findings=())),
    ],
    ids=["pass", "fail", "inconclusive", "control", "not run"],
)
def test_report_fits_the_published_schema(record, judgement):
    raw = json.loads(render_json(build_report(record, judgement, JUDGED_AT)))
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8"))).validate(raw)
    assert raw["schema"] == "chipster-restore-rehearsal/report/1"
    assert raw["verdict"] == judgement.verdict.value


def test_schema_wants_the_promised_fields_and_lets_later_ones_pass():
    schema = json.loads(render_schema())
    promised = {"schema", "verdict", "scenario", "cluster", "findings", "phases", "versions", "command"}
    assert promised <= set(schema["required"])
    assert "additionalProperties" not in schema
    raw = json.loads(render_json(good_report()))
    del raw["verdict"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(raw)


def test_recovery_goes_from_the_loss_to_the_last_inventory():
    assert good_report().recovery_seconds == 14.0  # lose 5.5, prove 0.3, restore 7.2, inventory 1.0; not the removal


def test_recovery_is_null_where_it_was_not_reached_or_not_complete():
    phases = make_record().phases
    assert good_report(phases=phases[:-2]).recovery_seconds is None
    assert good_report(phases=phases[:5]).recovery_seconds is None
    broke = [*phases[:7], PhaseTime(name="restore", seconds=1.0, error="broke"), *phases[8:]]
    assert good_report(phases=broke).recovery_seconds is None
    failed = build_report(make_record(), make_judgement(*damaged_findings()), JUDGED_AT)
    assert (failed.recovery_seconds, failed.data_loss) == (None, None)
    missed = build_report(control_record(), control_judgement(caught=False), JUDGED_AT)
    assert (missed.recovery_seconds, missed.data_loss) == (None, None)


def test_data_loss_lies_between_oldest_nonce_back_and_newest_marker_gone():
    window = good_report().data_loss
    assert window is not None
    assert window.seconds == 11.0
    assert window.last_write_back == "2026-04-30T01:10:06Z"
    assert window.first_write_lost == "2026-04-30T01:10:17Z"


@pytest.mark.parametrize("changes", [{"nonce": None}, {"marker": None}])
def test_data_loss_is_null_where_one_lost_store_does_not_prove_it(changes):
    store = make_database_store().model_copy(update=changes)
    assert good_report(stores=[store, make_files_store()]).data_loss is None


def test_data_loss_is_null_where_a_mark_says_otherwise():
    store = make_database_store()
    assert store.nonce is not None
    assert store.marker is not None
    back = store.marker.model_copy(update={"found": store.marker.written})
    unseen = store.marker.model_copy(update={"looked": False})
    other = store.nonce.model_copy(update={"found": "yesterday's"})
    for changes in ({"marker": back}, {"marker": unseen}, {"nonce": other}):
        assert good_report(stores=[store.model_copy(update=changes)]).data_loss is None


def test_stores_that_were_not_lost_do_not_count_for_data_loss():
    window = good_report(stores=[make_database_store(), make_files_store(lost=False)]).data_loss
    assert window is not None
    assert window.seconds == 10.5


def test_overhead_sets_the_runbook_apart():
    overhead = good_report().overhead
    assert overhead.runbook_seconds == 17.1
    assert overhead.other_seconds == 11.82
    assert overhead.ratio == 0.691
    assert good_report(phases=[PhaseTime(name="deploy", seconds=2.0)]).overhead.ratio is None


def test_inventories_are_summed_up_by_kind():
    database, _, files = good_report().stores
    assert database.before is not None
    assert (database.before.tables, database.before.rows, database.before.large_objects) == (2, 14, 2)
    assert database.before.files is None
    assert files.after is not None
    assert (files.after.files, files.after.bytes, files.after.rows) == (503, 20_412_345, None)


def test_artefacts_say_whether_they_were_intact_or_not_looked_at():
    record = make_record()
    damaged = record.artefacts[0].model_copy(update={"found_size": 1})
    report = good_report(artefacts=(damaged, record.artefacts[1]))
    assert [artefact.intact for artefact in report.artefacts] == [False, True, None]


def test_control_without_a_judgement_of_it_is_not_caught():
    report = build_report(control_record(), make_judgement(*broken_findings()), JUDGED_AT)
    assert report.control is not None
    assert not report.control.caught
    assert not report.as_wanted


def test_caught_control_keeps_its_true_verdict():
    report = build_report(control_record(), control_judgement(caught=True), JUDGED_AT)
    assert report.verdict is Verdict.FAIL
    assert report.as_wanted
    assert report.headline.startswith("Damaged on purpose, and seen")


def test_headline_of_an_uncaught_control_claims_nothing():
    report = build_report(control_record(), control_judgement(caught=False), JUDGED_AT)
    assert report.verdict is Verdict.PASS
    assert "worth nothing" in report.headline
    assert not report.as_wanted


def test_headline_names_the_stores_that_are_not_as_they_were():
    report = build_report(make_record(), make_judgement(*damaged_findings()), JUDGED_AT)
    assert report.headline.endswith("25 of 49 findings FAIL in session-db, auth, file-storage-0.")


def test_json_is_ascii_and_survives_a_round_trip(tmp_path):
    judgement = make_judgement(*damaged_findings())
    report = write_reports(tmp_path, make_record(), judgement, judged_at=JUDGED_AT)
    assert (tmp_path / "report.json").read_bytes().isascii()
    assert read_report(tmp_path) == report


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no report"),
        ("{", "cannot be read"),
        ("[]", "its schema is None"),
        ('{"schema": "chipster-restore-rehearsal/report/2"}', "report/2"),
        ('{"schema": "chipster-restore-rehearsal/report/1"}', "does not fit its schema: verdict"),
    ],
)
def test_report_that_cannot_be_read_is_refused_in_words(tmp_path, text, said):
    if text is not None:
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(EnvironmentUnfit, match=said):
        read_report(tmp_path)


def restored_to(*instants):
    stores = [make_database_store(), make_database_store("auth"), make_files_store()]
    return good_report(stores=[with_heartbeat(store, at) for store, at in zip(stores, instants, strict=False)])


def test_each_lost_store_says_to_which_moment_it_was_restored_and_how_far_they_are_apart():
    report = restored_to("2026-04-30T01:10:08.100Z", "2026-04-30T01:10:10.800Z", "2026-04-30T01:10:09.000Z")
    assert [(moment.store, moment.beat, moment.behind_seconds) for moment in report.restored_moments] == [
        ("session-db", 7, 8.4),
        ("auth", 7, 5.7),
        ("file-storage-0", 7, 8.0),
    ]
    assert report.skew_seconds == 2.7


def test_stores_without_a_heartbeat_or_that_were_not_lost_say_nothing():
    report = restored_to("2026-04-30T01:10:08.100Z", None)
    assert [moment.store for moment in report.restored_moments] == ["session-db"]
    assert report.skew_seconds is None
    kept = with_heartbeat(make_files_store(lost=False), "2026-04-30T01:10:08.100Z")
    assert good_report(stores=[make_database_store(), kept]).restored_moments == ()


def test_what_users_lost_goes_into_the_report_and_fits_its_schema(tmp_path):
    judgement = make_judgement(*damaged_findings()).model_copy(update={"user_losses": make_user_losses()})
    report = write_reports(tmp_path, make_record(), judgement, judged_at=JUDGED_AT)
    raw = json.loads((tmp_path / "report.json").read_text())
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8"))).validate(raw)
    assert raw["user_losses"]["users"][0]["user"] == "jaas/u0"
    assert read_report(tmp_path) == report
    assert good_report().user_losses is None


def test_a_record_older_than_the_users_checks_says_so_under_what_it_does_not_prove():
    assert "older than these checks" in good_report().does_not_prove[-1]
    store = make_database_store()
    assert store.before is not None
    newer = store.model_copy(update={"before": store.before.model_copy(update={"link_lines": {}})})
    assert good_report(stores=[newer]).does_not_prove == make_record().does_not_prove
