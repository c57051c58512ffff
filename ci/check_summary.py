"""Reads a run's summary.json: red unless every scenario is PASS and every control was caught, none missing.

A status is never evidence: the command that wrote the summary ended with 0, and this reads what it says all the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rehearsal.scenario_files import load_scenarios

ROOT = Path(__file__).resolve().parent.parent


def main(path: Path) -> int:
    """Print one line, and one for each rehearsal that is not as it should be; return the exit status."""
    if not path.is_file():
        print(f"{path}: there is no summary")
        return 1
    summary = json.loads(path.read_text(encoding="utf-8"))
    found = {entry["scenario"]: entry for entry in summary["entries"]}
    wanted = [scenario.name for scenario in load_scenarios(ROOT / "scenarios")]
    faults = []
    for name in wanted:
        entry = found.get(name)
        if entry is None:
            faults.append(f"{name}: NOT RUN")
        elif entry["control"] is None and entry["verdict"] != "PASS":
            faults.append(f"{name}: {entry['verdict']}")
        elif entry["control"] is not None and entry["control"]["caught"] is not True:
            faults.append(f"{name}: NOT CAUGHT")
    faults += [f"{name}: nobody knows this rehearsal" for name in found if name not in wanted]
    verdict = summary["verdict"]
    print(f"{path}: {verdict}, {len(found)} rehearsals, {len(wanted)} wanted, {len(faults)} not as they should be")
    print("".join(f"  {fault}\n" for fault in faults), end="")
    return 0 if wanted and not faults and verdict == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
