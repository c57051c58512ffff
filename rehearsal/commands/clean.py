"""`rehearsal clean`: removes what dead or kept runs left behind, and nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from rehearsal.cleaning import clean


def declare(parser: argparse.ArgumentParser) -> None:
    """Where the runs are."""
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders are")


def act(arguments: argparse.Namespace) -> int:
    """Remove, tell each thing, and return the exit status: 2 where something was left."""
    result = clean(arguments.runs, print)
    return 2 if result.refused else 0
