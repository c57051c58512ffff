"""docs/proof.md: the figure first, every table there, nothing that a name can break."""

from __future__ import annotations

from proof_builder import CUT, ROW, WHOLE, calm, mutant, prove_from

from rehearsal.proof.page import render_page
from rehearsal.proof.trials import Outcome

WHOLE_PAGE = render_page(prove_from(*WHOLE), WHOLE, "rehearsal prove --seeds 2")


def test_the_figure_is_in_the_first_line() -> None:
    first = WHOLE_PAGE.splitlines()[0]
    assert first == "**4 of 4 mutants killed, 4 named; 1 of 1 benign runs green (2 operators, 1 benign changes).**"


def test_every_table_is_whole() -> None:
    lines = WHOLE_PAGE.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("| ---"):
            width = line.count(" | ")
            for row in (lines[number - 1], lines[number + 1]):
                assert row.replace("\\|", "").count(" | ") == width, row


def test_operators_by_check_with_reasons() -> None:
    assert "| one row \\| changed | 2 | 2 | 2 | · | · | 2 | 2.0 |" in WHOLE_PAGE
    assert "| dump cut | 2 | 2 | 2 | · | 1 | 2 | 2.0 |" in WHOLE_PAGE
    assert "- dump cut: exec ends at 0" in WHOLE_PAGE
    assert "What was not as wanted" not in WHOLE_PAGE


def test_rivals_ablation_and_benign() -> None:
    assert "| this judge | 2 of 2 | 0 of 1 |" in WHOLE_PAGE
    assert "| sha256sum -c | 2 of 2 | 0 of 0 |" in WHOLE_PAGE
    assert "| row counts | 0 of 2 | 1 of 1 |" in WHOLE_PAGE
    assert "| dump cut | 1 | – | – | · |" in WHOLE_PAGE
    assert "first seed of every operator and in the first rehearsal of every benign change" in WHOLE_PAGE
    assert "1 rehearsals, two changes in each" in WHOLE_PAGE
    assert "Never the only killer: nonce, backup-set, files." in WHOLE_PAGE
    assert "- one row \\| changed: rows" in WHOLE_PAGE
    assert "| VACUUM FULL | 1 | 1 |" in WHOLE_PAGE
    assert "`rehearsal prove --seeds 2`" in WHOLE_PAGE


def test_what_was_not_as_wanted_is_told_and_stands_out() -> None:
    results = (
        mutant(ROW, 1, Outcome.SURVIVED, by=(), named=False),
        mutant(CUT, 1, Outcome.EQUIVALENT, by=(), named=False),
        calm(1, Outcome.RED, told=("FAIL rows: session-db: public.x",)),
    )
    page = render_page(prove_from(*results), results, "rehearsal prove")
    assert "| one row \\| changed | 1 | **0** | **0** | · |" in page
    assert "- one row \\| changed, seed 1: survived, not named, struck public.session" in page
    assert "- VACUUM FULL, seed 1: red\n  - FAIL rows: session-db: public.x" in page
    assert "Weak, more than a third of their mutants are equivalent: dump cut" in page
    assert "| VACUUM FULL | 1 | **0** |" in page
