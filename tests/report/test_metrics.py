"""metrics.prom: what node exporter's textfile collector reads."""

from __future__ import annotations

import re

from samples import (
    JUDGED_AT,
    broken_findings,
    broken_record,
    control_judgement,
    control_record,
    damaged_findings,
    good_findings,
    make_judgement,
    make_record,
)

from rehearsal.record import PhaseTime
from rehearsal.report.json_report import build_report
from rehearsal.report.metrics import render_metrics

SAMPLE = re.compile(r'chipster_rehearsal_([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (-?\d+(?:\.\d+)?)')


def read(record=None, judgement=None) -> dict[str, float]:
    """Values by `name` or `name verdict` or `name phase`; a line that is no sample and no comment fails."""
    record = record or make_record()
    judgement = judgement or make_judgement(*good_findings())
    text = render_metrics(build_report(record, judgement, JUDGED_AT))
    assert text.endswith("\n")
    values: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        special = re.search(r'(?:verdict|phase)="((?:[^"\\]|\\.)*)"', match[2])
        key = f"{match[1]} {special[1]}" if special else match[1]
        assert key not in values, f"a series twice: {line}"
        values[key] = float(match[3])
    return values


def test_figures_of_a_pass():
    values = read()
    assert values["as_wanted"] == 1
    assert values["verdict PASS"] == 1
    assert values["verdict FAIL"] == 0
    assert values["findings PASS"] == 24
    assert values["differences_named"] == 0
    assert values["seconds"] == 28.92
    assert values["phase_seconds restore"] == 7.2
    assert values["recovery_seconds"] == 14
    assert values["data_loss_window_seconds"] == 11
    assert values["finished_timestamp_seconds"] - values["started_timestamp_seconds"] == 34


def test_figures_of_a_fail():
    values = read(judgement=make_judgement(*damaged_findings()))
    assert (values["as_wanted"], values["verdict FAIL"], values["verdict PASS"]) == (0, 1, 0)
    assert values["differences_named"] == 26  # 24 findings without details, and one with two


def test_what_was_not_measured_is_left_out():
    values = read(broken_record().model_copy(update={"finished": ""}), make_judgement(*broken_findings()))
    assert "verdict INCONCLUSIVE" in values
    for name in ("recovery_seconds", "data_loss_window_seconds", "finished_timestamp_seconds"):
        assert name not in values


def test_control_is_as_wanted_when_caught():
    assert read(control_record(), control_judgement(caught=True))["as_wanted"] == 1
    assert read(control_record(), control_judgement(caught=False))["as_wanted"] == 0


def test_phases_of_one_name_are_added_up():
    phases = [PhaseTime(name="mark", seconds=1.0), PhaseTime(name="mark", seconds=2.5)]
    assert read(make_record(phases=phases))["phase_seconds mark"] == 3.5


def test_labels_are_escaped():
    record = make_record(phases=[PhaseTime(name='a\nb\\"c', seconds=1.0)], cluster='lo"cal\\')
    text = render_metrics(build_report(record, make_judgement(*good_findings()), JUDGED_AT))
    labels = r'scenario="lose-everything",cluster="lo\"cal\\",control="",phase="a\\nb\\\"c"'
    assert f"chipster_rehearsal_phase_seconds{{{labels}}} 1\n" in text
    read(record)
