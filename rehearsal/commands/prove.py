"""`rehearsal prove`: how much the judge would have caught."""

from __future__ import annotations

import argparse

from rehearsal.proof.options import declare_proof_options, read_proof_options
from rehearsal.proof.proving import prove
from rehearsal.telling_proof import LiveTrials, tell_proof


def declare(parser: argparse.ArgumentParser) -> None:
    """How many runs of what, and where the figure goes."""
    parser.description = (
        "Rehearses with every operator that damages and every change that is no damage, on the local "
        "cluster, and writes the figure to proof.json and proof.md. Exit status 0 only if every mutant was killed and "
        "named and every benign run was green."
    )
    declare_proof_options(parser.add_argument)


def act(arguments: argparse.Namespace) -> int:
    """Prove, tell, and return the exit status."""
    proven = prove(read_proof_options(arguments), LiveTrials())
    print("\n".join(tell_proof(proven)))
    return 0 if proven.proof.is_whole else 1
