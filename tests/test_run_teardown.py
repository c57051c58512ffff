"""A run that cannot remove what it created is INCONCLUSIVE at both faces, whatever its rehearsals proved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import sys
from rehearsal.clusters.local_session import LocalSession
from rehearsal.errors import EnvironmentUnfit

really = LocalSession.close

def close(self):
    really(self)
    raise {error}

LocalSession.close = close
{call}
"""
UNFIT = "EnvironmentUnfit('nodes are left: node-1', where='cluster-1', hint='look there')"
COMMAND = "from rehearsal.cli import main; sys.exit(main(sys.argv[1:]))"
PYTEST = "import pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider', *sys.argv[1:]]))"


def start(call: str, error: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(error=error, call=call)
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(("error", "said"), [(UNFIT, "nodes are left: node-1"), ("KeyboardInterrupt()", "interrupted")])
@pytest.mark.parametrize("scenario", ["lose-auth", "control-byte-flipped"])
def test_the_command_line_says_inconclusive_once_and_status_2(
    tmp_path: Path, error: str, said: str, scenario: str
) -> None:
    runs = tmp_path / "runs"
    done = start(COMMAND, error, "run", scenario, "--cluster", "local", "--runs", str(runs))
    assert done.returncode == 2, done.stderr
    message = f"INCONCLUSIVE: what this run created is not removed: {said}"
    assert done.stderr.count(message) == 1
    assert f"next: rehearsal clean --runs {runs}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\nINCONCLUSIVE: " in done.stdout
    summary = json.loads((runs / "latest" / "summary.json").read_text())
    assert summary["verdict"] == "INCONCLUSIVE"
    report = json.loads((runs / "latest" / scenario / "report.json").read_text())
    assert report["verdict"] != "PASS"
    assert any(message in finding["message"] for finding in report["findings"])


def test_pytest_is_red(tmp_path: Path) -> None:
    done = start(PYTEST, UNFIT, "scenarios", "-k", "lose-auth", "--cluster", "local", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 1, done.stdout
    assert "what this run created is not removed: nodes are left: node-1" in done.stdout
    assert "\nINCONCLUSIVE: " in done.stdout
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert summary["verdict"] == "INCONCLUSIVE"
