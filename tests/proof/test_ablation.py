"""Each check switched off in turn, from findings alone."""

from __future__ import annotations

from proof_builder import CHECKS, CUT, ROW, WHOLE, mutant

from rehearsal.proof.ablation import Ablated, SingleKiller, switch_off_each
from rehearsal.proof.trials import Outcome


def test_what_each_check_alone_kills() -> None:
    ablation = switch_off_each(CHECKS, [result for result in WHOLE if not result.trial.benign])
    by_check = {one.check: one for one in ablation.checks}
    assert by_check["rows"] == Ablated(check="rows", missed=3, operators=(ROW.name, CUT.name))
    assert by_check["backup-set"].missed == 0
    assert ablation.never_only_killer == ("nonce", "backup-set", "files")
    assert ablation.single_killer == (SingleKiller(operator=ROW.name, check="rows"),)


def test_what_was_not_killed_cannot_be_missed() -> None:
    results = [mutant(ROW, 1, Outcome.INCONCLUSIVE), mutant(CUT, 1, Outcome.SURVIVED, by=())]
    ablation = switch_off_each(CHECKS, results)
    assert ablation.never_only_killer == CHECKS
    assert ablation.single_killer == ()
