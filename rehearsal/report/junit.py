"""junit.xml, for continuous integration: a test case per finding, named by its check and subject.

FAIL is a `failure`; INCONCLUSIVE and NOT RUN are an `error`, never a skip, for a skip counts as green in too many
places. In a control the findings FAIL as they must, so they are written down as output, and one more case is red when
the control was not caught.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from rehearsal.report.model import Report
from rehearsal.report.words import make_visible
from rehearsal.verdicts import Finding, Verdict


def _add_case(suite: ET.Element, report: Report, name: str) -> ET.Element:
    classname = make_visible(f"{report.cluster}.{report.scenario}")
    return ET.SubElement(suite, "testcase", classname=classname, name=make_visible(name), time="0")


def _write_finding(suite: ET.Element, report: Report, finding: Finding) -> None:
    case = _add_case(suite, report, f"{finding.check}: {finding.subject}")
    text = "\n".join(make_visible(line) for line in (finding.message, *finding.details))
    if finding.verdict is Verdict.PASS or (report.control and finding.verdict is Verdict.FAIL):
        ET.SubElement(case, "system-out").text = f"{finding.verdict}: {text}"
        return
    tag = "failure" if finding.verdict is Verdict.FAIL else "error"
    element = ET.SubElement(case, tag, type=finding.verdict.value, message=make_visible(finding.message))
    element.text = text


def _write_control(suite: ET.Element, report: Report) -> None:
    if report.control is None:
        return
    control = report.control
    case = _add_case(suite, report, f"control: {control.tampering} is caught by {control.expects_check}")
    if not control.caught:
        message = f"NOT CAUGHT: no finding `{control.expects_check}` with `{control.expects_subject}` says FAIL"
        ET.SubElement(case, "failure", type="NOT CAUGHT", message=make_visible(message)).text = make_visible(
            control.why
        )


def render_junit(report: Report) -> str:
    """The report as one JUnit test suite; a report without findings has one case that is an error."""
    suite = ET.Element("testsuite", name=make_visible(report.scenario), timestamp=make_visible(report.started))
    properties = ET.SubElement(suite, "properties")
    for name, value in (("verdict", report.verdict.value), ("run_id", report.run_id), ("command", report.command)):
        ET.SubElement(properties, "property", name=name, value=make_visible(value))
    _write_control(suite, report)
    for finding in report.findings:
        _write_finding(suite, report, finding)
    if not report.findings:
        case = _add_case(suite, report, "nothing was judged")
        ET.SubElement(case, "error", type=report.verdict.value, message=make_visible(report.headline))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("time", f"{report.seconds:.3f}")
    ET.indent(suite, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"
