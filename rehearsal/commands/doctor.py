"""`rehearsal doctor`: every tool found or missing, with the next command to type."""

from __future__ import annotations

import argparse

from rehearsal.doctor import examine, render


def declare(parser: argparse.ArgumentParser) -> None:
    """It has no options."""
    del parser


def act(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    del arguments
    print(render(examine()))
    return 0
