"""The rehearsals that a run is to have: every scenario of the checkout but those that a list leaves out.

chosen.py [LIST]    prints their names; LIST: a file with a name a line, # for comments
"""

from __future__ import annotations

import sys
from pathlib import Path

from rehearsal.scenario_files import load_scenarios

ROOT = Path(__file__).resolve().parent.parent


def read_list(path: Path | None) -> list[str]:
    """The names in such a file; none without one.

    Raises:
        SystemExit: it names a rehearsal that there is not, which somebody renamed and nobody leaves out any more.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path else []
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if unknown := set(names) - set(name_all()):
        raise SystemExit(f"{path}: there is no rehearsal {', '.join(sorted(unknown))}")
    return names


def name_all() -> list[str]:
    """Every scenario and control, in the order of a run."""
    return [scenario.name for scenario in load_scenarios(ROOT / "scenarios")]


def choose(left_out: list[str]) -> list[str]:
    """What is to run."""
    return [name for name in name_all() if name not in left_out]


if __name__ == "__main__":
    print("\n".join(choose(read_list(Path(sys.argv[1]) if len(sys.argv) > 1 else None))))
