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
    make_user_losses,
    passes,
    with_heartbeat,
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


def test_what_each_user_lost_is_a_table_of_whole_rows():
    losses = make_user_losses(23)
    odd = losses.users[0].model_copy(update={"user": ODD, "first": (ODD, ODD)})
    losses = losses.model_copy(update={"users": (odd, *losses.users[1:])})
    text = show(judgement=make_judgement(*damaged_findings()).model_copy(update={"user_losses": losses}))
    assert text.index("## What each user lost") < text.index("## What did not come back")
    assert "390 of 412 sessions can be opened as before; datasets lost: 23. Users who cannot log in: 1." in text
    (table,) = [rows for rows in tables(text) if len(rows) == 22]
    assert set(table) == {4}
    assert "… and 3 more users." in text
    assert "## What each user lost" not in show()


def test_the_moments_stores_were_restored_to_are_told():
    database, _, files = make_record().stores
    stores = [with_heartbeat(database, "2026-04-30T01:10:08.190Z"), with_heartbeat(files, "2026-04-30T01:10:10.890Z")]
    text = show(make_record(stores=stores))
    assert "session-db was restored to 01:10:08.1, file-storage-0 to 01:10:10.8: 2.70 s apart." in text
    assert "| file-storage-0 | 2026-04-30T01:10:10.890Z | 6.11 s |" in text
