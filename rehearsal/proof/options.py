"""The options of `rehearsal prove`, declared for argparse and read back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehearsal.proof.proving import ProofOptions

_DEFAULTS = ProofOptions()


def declare_proof_options(add: Callable[..., Any]) -> None:
    """Declare them with `add`, which takes what `ArgumentParser.add_argument` takes."""
    add("--seeds", type=int, default=_DEFAULTS.seeds, metavar="N", help="runs of every operator (default: 3)")
    add(
        "--benign-seeds",
        type=int,
        default=_DEFAULTS.benign_seeds,
        metavar="N",
        help="rehearsals of every benign change, two changes in each; from 20 on 300 in all at least (default: 20)",
    )
    add("--jobs", type=int, default=_DEFAULTS.jobs, metavar="N", help="worker processes (default: processors + 1)")
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="this operator or benign change alone, by its name in docs/proof.md; may be repeated",
    )
    add("--runs", type=Path, default=_DEFAULTS.runs, metavar="DIR", help="where what must be looked at is kept")
    add(
        "--docs",
        type=Path,
        default=_DEFAULTS.docs,
        metavar="DIR",
        help="where proof.json and proof.md go (default: docs)",
    )
    add("--pg-bin", type=Path, default=None, metavar="DIR", help="folder of PostgreSQL server binaries")


def read_proof_options(namespace: argparse.Namespace) -> ProofOptions:
    """The options as given on a command line."""
    return ProofOptions(
        seeds=namespace.seeds,
        benign_seeds=namespace.benign_seeds,
        jobs=namespace.jobs,
        only=tuple(namespace.only),
        runs=namespace.runs,
        docs=namespace.docs,
        pg_bin=namespace.pg_bin,
    )
