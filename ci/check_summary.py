"""Reads a run's summary.json: red unless every rehearsal that was to run is there, PASS or, a control, caught.

    check_summary.py SUMMARY [LIST]    LIST: rehearsals that were left out, see chosen.py

A status is never evidence: the command that wrote the summary ended with 0, and this reads what it says all the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chosen import choose, read_list


def main(path: Path, left_out: list[str]) -> int:
    """Print one line and what is wrong; return the exit status."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    wanted = choose(left_out)
    entries = {entry["scenario"]: entry for entry in summary["entries"]}
    good = {
        name
        for name, entry in entries.items()
        if (entry["verdict"] == "PASS" if entry["control"] is None else entry["control"]["caught"] is True)
    }
    faults = [
        f"{name}: {entries[name]['verdict'] if name in entries else 'NOT RUN'}" for name in wanted if name not in good
    ]
    faults += [f"{name}: was not to run" for name in entries if name not in wanted]
    print(f"{path}: {len(good)} of {len(wanted)} rehearsals as they should be, {len(left_out)} left to the nightly run")
    print("".join(f"  {fault}\n" for fault in faults), end="")
    return 1 if faults or len(good) != len(wanted) or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), read_list(Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
