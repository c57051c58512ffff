"""write_reports: every form is there, whole or not at all, and holds no secret."""

from __future__ import annotations

import base64

import pytest
from samples import JUDGED_AT, fails, good_findings, make_judgement, make_record

from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Redactor
from rehearsal.report import write_reports
from rehearsal.verdicts import Verdict

FORMS = {"report.json", "report.md", "report.html", "junit.xml", "metrics.prom"}
SECRET = "s3cret|<pass>"


def test_every_form_is_written_and_no_temporary_file_stays(tmp_path):
    write_reports(tmp_path, make_record(), make_judgement(*good_findings()))
    assert {path.name for path in tmp_path.iterdir()} == FORMS


def test_instant_of_the_judgement_is_now_unless_given(tmp_path):
    judgement = make_judgement(*good_findings())
    assert write_reports(tmp_path, make_record(), judgement, judged_at=JUDGED_AT).judged_at == JUDGED_AT
    assert write_reports(tmp_path, make_record(), judgement).judged_at > JUDGED_AT


def test_no_form_holds_a_secret_plain_or_encoded(tmp_path):
    encoded = base64.b64encode(SECRET.encode()).decode()
    record = make_record(
        title=f"title {SECRET}",
        command=f"rehearsal run --x {SECRET}",
        versions={SECRET: encoded},
        notes=(f"note {encoded}",),
    )
    judgement = make_judgement(fails("rows", f"subject {SECRET}", f"message {SECRET}", f"detail {SECRET}"))
    report = write_reports(tmp_path, record, judgement, redactor=Redactor([SECRET]))
    assert report.findings[0].details == ("detail [redacted]",)
    for form in FORMS:
        text = (tmp_path / form).read_text(encoding="utf-8")
        for piece in (SECRET, encoded, "s3cret"):
            assert piece not in text, form


def test_secret_that_reads_like_a_fixed_word_breaks_nothing(tmp_path):
    redactor = Redactor(["PASS", "files", "database", "file", "recorded, never evidence", "chipster-restore-rehearsal"])
    report = write_reports(tmp_path, make_record(), make_judgement(*good_findings()), redactor=redactor)
    assert report.verdict is Verdict.PASS
    assert report.schema_name == "chipster-restore-rehearsal/report/1"
    assert {store.kind for store in report.stores} == {"database", "files"}


def test_name_that_is_not_utf8_reaches_every_form_as_an_escape(tmp_path):
    report = write_reports(tmp_path, make_record(), make_judgement(fails("files", "file-storage-0: ab/\udcff\ud800")))
    assert report.findings[0].subject == "file-storage-0: ab/\\xff\\ud800"
    for form in FORMS - {"metrics.prom"}:
        assert "xff" in (tmp_path / form).read_text(encoding="utf-8"), form


def test_folder_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(EnvironmentUnfit, match="cannot write it"):
        write_reports(tmp_path / "gone", make_record(), make_judgement(*good_findings()))
