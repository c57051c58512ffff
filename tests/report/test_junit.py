"""junit.xml: a case per finding; nothing that was not proven is green."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from samples import (
    JUDGED_AT,
    broken_findings,
    broken_record,
    control_judgement,
    control_record,
    damaged_findings,
    fails,
    good_findings,
    make_judgement,
    make_record,
    passes,
    untold,
)

from rehearsal.report.json_report import build_report
from rehearsal.report.junit import render_junit
from rehearsal.verdicts import Finding, Verdict


def parse(record, judgement) -> ET.Element:
    return ET.fromstring(render_junit(build_report(record, judgement, JUDGED_AT)))  # noqa: S314 - our own text


def count(suite: ET.Element) -> tuple[str | None, str | None, str | None]:
    return suite.get("tests"), suite.get("failures"), suite.get("errors")


def test_every_finding_is_a_case():
    assert count(parse(make_record(), make_judgement(*good_findings()))) == ("24", "0", "0")
    assert count(parse(make_record(), make_judgement(*damaged_findings()))) == ("49", "25", "0")
    assert count(parse(broken_record(), make_judgement(*broken_findings()))) == ("4", "0", "4")


def test_not_run_is_an_error_and_never_a_skip():
    finding = Finding(check="rows", verdict=Verdict.NOT_RUN, subject="auth", message="nobody tried")
    suite = parse(make_record(), make_judgement(finding, untold("files", "x"), passes("a", "b")))
    assert count(suite) == ("3", "0", "2")
    assert suite.findall("testcase/skipped") == []


def test_report_without_findings_is_not_green():
    assert count(parse(make_record(), make_judgement())) == ("1", "0", "1")


def test_caught_control_is_green_and_says_what_failed():
    suite = parse(control_record(), control_judgement(caught=True))
    assert count(suite) == ("26", "0", "0")
    assert suite.findall("testcase")[0].get("name") == "control: one row changed is caught by rows"
    assert "FAIL: rows changed" in [element.text for element in suite.findall("testcase/system-out")]


def test_uncaught_control_is_red():
    suite = parse(control_record(), control_judgement(caught=False))
    assert count(suite) == ("25", "1", "0")


def test_inconclusive_finding_of_a_control_is_an_error():
    judgement = make_judgement(untold("rows", "x"), control=control_judgement(caught=False).control)
    assert count(parse(control_record(), judgement)) == ("2", "1", "1")


def test_names_that_xml_cannot_hold_are_shown_as_escapes():
    suite = parse(make_record(), make_judgement(fails("files", 'a\x00\x1b\n"<b>', "m\x01", "d\x02")))
    case = suite.find("testcase")
    assert case is not None
    assert case.get("name") == 'files: a\\x00\\x1b\\n"<b>'
    assert case.findtext("failure") == "m\\x01\nd\\x02"
