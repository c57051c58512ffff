"""A node whose disk is full: the rehearsal learnt nothing, says so in words, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.journal import read_journal

pytestmark = pytest.mark.kind

ROOT = Path(__file__).resolve().parents[2]
VOLUMES = "/var/local-path-provisioner"


def read_lines(runs: Path) -> Iterator[dict[str, Any]]:
    for journal in runs.glob("*/*/journal.jsonl"):
        yield from read_journal(journal)


def wait_for_node(runs: Path, harness: subprocess.Popen[bytes]) -> str:
    """The node's container, as soon as kind says that it is ready."""
    while not any(line["event"] == "command" and " create cluster " in line["command"] for line in read_lines(runs)):
        assert harness.poll() is None
        time.sleep(0.1)
    owned = next(line for line in read_lines(runs) if line["event"] == "owned" and line["kind"] == "kind-cluster")
    return f"{owned['name']}-control-plane"


def test_a_full_disk_on_the_node_is_inconclusive_and_leaves_nothing(tmp_path: Path) -> None:
    runs, temporary = tmp_path / "runs", tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "rehearsal", "run", "lose-files-tar", "--cluster", "kind", "--runs", str(runs)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "said").open("wb") as said:
        harness = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        node = wait_for_node(runs, harness)
        # three fresh database folders fit, and then there is no room for the seed
        mount = f"mkdir -p {VOLUMES} && mount -t tmpfs -o size=150m tmpfs {VOLUMES}"
        subprocess.run(["docker", "exec", node, "sh", "-c", mount], check=True)
        assert harness.wait(timeout=300) == 2
    text = (tmp_path / "said").read_text()
    print(text)
    assert "Traceback" not in text
    assert "INCONCLUSIVE" in text
    (record,) = runs.glob("2*/lose-files-tar/record.json")
    troubles = json.loads(record.read_text())["troubles"]
    # a statement fails, or the server goes down with its disk, or it cannot even let us in: its own words, or its log's
    logs = [log.read_text(errors="replace") for log in record.parent.glob("logs/chipster-*.log")]
    texts = [troubles[0]["message"], *logs]
    assert any(words in text for words in ("No space left on device", "could not write init file") for text in texts)
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", f"name={node}"], capture_output=True, check=True)
    assert listed.stdout == b""
    assert list(temporary.iterdir()) == []
