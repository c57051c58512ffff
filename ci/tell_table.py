"""Prints scenario × cluster × verdict × seconds from the summaries of several runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(paths: list[str]) -> int:
    """Print one table for all summaries; a summary that is missing is a line of its own, and red."""
    status = 0
    print(f"{'scenario':<30} {'cluster':<11} {'verdict':<13} {'seconds':>8}")
    for path in map(Path, paths):
        if not path.is_file():
            print(f"{path}: there is no summary")
            status = 1
            continue
        summary = json.loads(path.read_text(encoding="utf-8"))
        for entry in summary["entries"]:
            control = entry["control"]
            verdict = entry["verdict"] if control is None else "CAUGHT" if control["caught"] else "NOT CAUGHT"
            print(f"{entry['scenario']:<30} {summary['clusters'][0]:<11} {verdict:<13} {entry['seconds']:8.1f}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
