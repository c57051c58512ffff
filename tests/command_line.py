"""A user's command line on the embedded cluster, typed in a process of its own, and what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rehearsal", *words]


def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KUBECONFIG": "/nonexistent"} | changes
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def rehearse(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("run", *words, "--cluster", "local", "--runs", str(runs))


def read_report(runs: Path, scenario: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((runs / "latest" / scenario / "report.json").read_text(encoding="utf-8"))
    return report


def servers_of(runs: Path) -> list[str]:
    """Processes whose command line or open folder speaks of these runs or of our socket folders."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(runs) in words and "-m rehearsal" not in words:
                found.append(words)
    return found


def is_running(pid: str, start_time: int) -> bool:
    """Whether that very process still runs; one that only waits to be reaped by init does not."""
    try:
        state, *fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state != "Z" and int(fields[18]) == start_time


def owned_left(runs: Path) -> list[str]:
    """What a journal says was owned and is still there."""
    left = []
    for journal in runs.glob("*/*/journal.jsonl"):
        for line in journal.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["event"] != "owned":
                continue
            if entry["kind"] == "directory" and Path(entry["name"]).exists():
                left.append(entry["name"])
            if entry["kind"] == "process" and is_running(entry["name"], entry["start_time"]):
                left.append(f"process {entry['name']}")
    return left
