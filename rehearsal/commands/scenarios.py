"""`rehearsal scenarios`: lists the scenarios and controls."""

from __future__ import annotations

import argparse

from rehearsal.commands.scenario_folder import declare_folder, load_all
from rehearsal.telling import NAME_WIDTH


def declare(parser: argparse.ArgumentParser) -> None:
    """Where they are."""
    declare_folder(parser)


def act(arguments: argparse.Namespace) -> int:
    """Print names and titles."""
    for scenario in load_all(arguments):
        print(f"{scenario.name:<{NAME_WIDTH}} {scenario.title}")
    return 0
