"""A proof for real: one operator and one benign change on the embedded cluster; what a user types, what is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rehearsal.errors import UsageError
from rehearsal.proof import proving
from rehearsal.proof.proving import ProofOptions, prove

ROOT = Path(__file__).resolve().parents[2]
MUTANT, DAMAGED_FILE, HARMLESS = "one row changed", "one file's byte flipped", "VACUUM FULL"
ALSO_HARMLESS = "lost+found"


def command(tmp_path: Path, *words: str) -> list[str]:
    (tmp_path / "docs").mkdir(exist_ok=True)
    places = ("--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs"))
    return [sys.executable, "-m", "rehearsal", "prove", *places, *words]


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(tmp_path, *words), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_two_operators_and_two_benign_changes(tmp_path: Path) -> None:
    names = [word for name in (MUTANT, DAMAGED_FILE, HARMLESS, ALSO_HARMLESS) for word in ("--only", name)]
    done = run(tmp_path, "--seeds", "1", "--benign-seeds", "1", "--jobs", "2", *names)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "2 of 2 mutants killed, 2 named; 1 of 1 benign runs green" in done.stdout
    assert "3 of 3: 2 killed, 1 green" in done.stderr
    proof = json.loads((tmp_path / "docs" / "proof.json").read_text())
    operator, damaged = proof["operators"]
    assert (operator["name"], operator["runs"], operator["killed"], operator["named"]) == (MUTANT, 1, 1, 1)
    assert "rows" in operator["by"]
    assert operator["rivals"]["psql status"] == 0
    assert operator["rivals"]["row counts"] == 0
    assert operator["rivals"]["pgcopydb's formula"] == 1
    assert damaged["by"]["files"] == 1
    assert damaged["rivals"]["row counts"] is None
    assert damaged["rivals"]["1 % of files"] is not None
    assert damaged["rivals"]["sha256sum -c"] == 0
    assert proof["benign"] == [{"name": name, "runs": 1, "green": 1} for name in (HARMLESS, ALSO_HARMLESS)]
    assert (proof["benign_runs"], proof["benign_green"]) == (1, 1)
    assert all(rival["false_alarms"] == 0 for rival in proof["rivals"])
    page = (tmp_path / "docs" / "proof.md").read_text()
    assert page.startswith("**2 of 2 mutants killed, 2 named; 1 of 1 benign runs green")
    assert not list((tmp_path / "runs").iterdir())


def test_an_interrupted_proof_leaves_nothing_and_writes_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, "--only", MUTANT, "--jobs", "1"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    owned: set[Path] = set()
    deadline = time.monotonic() + 120
    while not any("deploy" in path.read_text() for path in tmp_path.glob("runs/*/operator-*/journal.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for journal in tmp_path.glob("runs/*/*/journal.jsonl"):
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        owned |= {Path(line["name"]) for line in lines if line["event"] == "owned" and line["kind"] == "directory"}
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert b"Traceback" not in said
    assert owned
    assert not [folder for folder in owned if folder.exists()]
    assert not list((tmp_path / "runs").iterdir())
    assert not list((tmp_path / "docs").iterdir())


def test_an_unknown_name_starts_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--only", "one row chnged")
    assert done.returncode == 2
    assert "there is no operator 'one row chnged'" in done.stderr
    assert f"'{MUTANT}'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ProofOptions(seeds=0), "a proof needs one seed or more, found 0"),
        (ProofOptions(benign_seeds=-1), "a proof needs one seed or more, found -1"),
        (ProofOptions(jobs=-2), "a proof needs one worker or more"),
        (ProofOptions(docs=Path("/nonexistent")), "there is no such folder"),
    ],
)
def test_numbers_that_make_no_sense_start_nothing(
    options: ProofOptions, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "Workers", None)
    with pytest.raises(UsageError, match=said):
        prove(options)
