"""Prints scenario × cluster × verdict × seconds from the summaries of several runs.

tell_table.py SUMMARY[:LIST]...    LIST: rehearsals that were left out of that run, see chosen.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chosen import read_list


def main(arguments: list[str]) -> int:
    """Print one table for all summaries; a summary that is missing is a line of its own."""
    print(f"{'scenario':<32} {'cluster':<11} {'verdict':<13} {'seconds':>8}")
    for argument in arguments:
        name, _, left_out = argument.partition(":")
        path = Path(name)
        if not path.is_file():
            print(f"{path}: there is no summary")
            return 1
        summary = json.loads(path.read_text(encoding="utf-8"))
        cluster = summary["clusters"][0]
        for entry in summary["entries"]:
            control = entry["control"]
            verdict = entry["verdict"] if control is None else "CAUGHT" if control["caught"] else "NOT CAUGHT"
            print(f"{entry['scenario']:<32} {cluster:<11} {verdict:<13} {entry['seconds']:8.1f}")
        for scenario in read_list(Path(left_out) if left_out else None):
            print(f"{scenario:<32} {cluster:<11} {'NOT RUN':<13} {'':>8} left to the nightly run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
