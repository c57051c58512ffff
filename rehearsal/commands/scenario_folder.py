"""Where scenario files are, for the commands that read them."""

from __future__ import annotations

import argparse
from pathlib import Path

from rehearsal.scenario import Scenario
from rehearsal.scenario_files import default_folder, load_scenarios


def declare_folder(parser: argparse.ArgumentParser) -> None:
    """Declare `--scenarios`."""
    parser.add_argument(
        "--scenarios",
        dest="folder",
        type=Path,
        default=None,
        metavar="DIR",
        help="a folder of scenario files (default: the ones that come with the harness)",
    )


def load_all(arguments: argparse.Namespace) -> tuple[Scenario, ...]:
    """Every scenario and control of the folder that was asked for."""
    return load_scenarios(arguments.folder or default_folder())
