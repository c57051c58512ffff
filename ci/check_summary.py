"""Reads a run's summary.json: red unless every scenario is PASS and every control was caught, none missing.

A status is never evidence: the command that wrote the summary ended with 0, and this reads what it says all the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def count_files(folder: Path) -> int:
    return len(list(folder.glob("*.py")))


def main(path: Path) -> int:
    """Print one line and return the exit status."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    proper = [entry for entry in summary["entries"] if entry["control"] is None]
    controls = [entry for entry in summary["entries"] if entry["control"] is not None]
    passed = sum(entry["verdict"] == "PASS" for entry in proper)
    caught = sum(entry["control"]["caught"] is True for entry in controls)
    wanted = (count_files(ROOT / "scenarios"), count_files(ROOT / "scenarios" / "controls"))
    print(f"{path}: {passed} of {wanted[0]} scenarios PASS, {caught} of {wanted[1]} controls caught")
    return 0 if (passed, caught) == (len(proper), len(controls)) == wanted else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
