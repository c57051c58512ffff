"""report.md: tables hold whatever a name holds, and the order is the page's."""

from __future__ import annotations

import re

import pytest
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
)

from rehearsal.report.json_report import build_report
from rehearsal.report.markdown import render_markdown
from rehearsal.report.pages import escape_markdown

ODD = "a|b`c``d\ne<script>\u202e*x* _y_ [z](http://q)"


def show(record=None, judgement=None) -> str:
    record = record or make_record()
    judgement = judgement or make_judgement(*good_findings())
    return render_markdown(build_report(record, judgement, JUDGED_AT))


def tables(text: str) -> list[list[int]]:
    """Number of cells of each row, by table: a pipe without a backslash ends a cell."""
    found: list[list[int]] = []
    previous = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not previous.startswith("|"):
                found.append([])
            found[-1].append(len(re.findall(r"(?<!\\)\|", line)) - 1)
        previous = line
    return found


@pytest.mark.parametrize("odd", ["", ODD])
def test_every_table_has_as_many_cells_in_each_row(odd):
    record = make_record(
        title=odd,
        loss=odd,
        versions={"v" + odd: odd},
        commands=[make_record().commands[0].model_copy(update={"command": odd})],
    )
    found = tables(show(record, make_judgement(*good_findings(), passes("rows" + odd, odd, odd))))
    assert len(found) == 7
    assert all(len(set(rows)) == 1 and len(rows) > 2 for rows in found)


def test_odd_names_are_text():
    text = show(judgement=make_judgement(fails("files", ODD, ODD, ODD)))
    shown = "a|b`c``d\\ne<script>\\u202e*x* _y_ [z](http://q)"
    assert f"- ```{shown}```: " in text
    assert f"  - ```{shown}```\n" in text
    assert r"a\|b\`c\`\`d\\ne&lt;script&gt;\\u202e\*x\* \_y\_ \[z\](http://q)" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("snake_case stays", "snake_case stays"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "\\1. no list"),
        ("- no list", "\\- no list"),
        ("12.3 s", "12.3 s"),
        ("a & b", "a &amp; b"),
    ],
)
def test_escape_markdown(text, escaped):
    assert escape_markdown(text) == escaped


def test_order_is_that_of_the_page():
    text = show(judgement=make_judgement(*damaged_findings()))
    order = [
        "# FAIL: ",
        "## What did not",
        "## What was proven",
        "## What this does not prove",
        "## Timeline",
        "## Stores",
    ]
    order += ["## Backup set", "## The runbook's commands: recorded, never evidence", "## To repeat it"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert all(f"### {check}" in text for check in ("rows", "large-objects", "files", "untouched"))


def test_control_and_trouble_are_told():
    assert "expected finding `rows` on `public.session`: NOT CAUGHT**" in show(
        control_record(), control_judgement(caught=False)
    )
    text = show(broken_record(), make_judgement(*broken_findings()))
    assert "Type next:\n\n```\ndf -h runs; or give --runs DIR on another disk\n```\n" in text
    assert text.index("## What broke") < text.index("## What could not be told")
    assert "### completed" not in text  # the trouble itself says it


def test_block_cannot_be_left():
    text = show(make_record(command="rehearsal run \\\n```\n# out\r\n"))
    assert "````\nrehearsal run \\\n```\n# out\\r\n````\n" in text


def test_no_blank_lines_pile_up():
    assert "\n\n\n" not in show()
