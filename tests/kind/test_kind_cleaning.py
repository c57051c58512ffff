"""A run on kind that was killed with SIGKILL: `rehearsal clean` removes its real cluster, and nothing before it can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rehearsal.cleaning import CleanResult, clean, find_runs
from rehearsal.journal import read_journal
from rehearsal.processes import find_tagged

pytestmark = pytest.mark.kind

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import secrets
from pathlib import Path
from pydantic import SecretStr
from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.kind import KindSession
from rehearsal.clusters.kind_tools import find_kind_tools
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.journal import Journal
from rehearsal.processes import identify_ourselves
from rehearsal.shell import Shell

folder = Path({folder!r})
journal = Journal(folder / "journal.jsonl")
us = identify_ourselves()
journal.own("harness", str(us.pid), start_time=us.start_time, boot_id=us.boot_id)
cluster = KindSession(find_kind_tools(), make_stand_ins).open(folder, secrets.token_hex(16), journal, Shell(journal))
spec = DatabaseSpec(key="auth", name="auth", db_name="auth_db", password=SecretStr("some password"))
cluster.deploy(Deployment(databases=(spec,)))
with cluster.reach(spec):
    journal.note("busy")
    cluster.exec(spec.pod, ["sleep", "600"])
"""


def clean_up(runs: Path) -> CleanResult:
    said: list[str] = []
    return clean(runs, said.append)


def list_nodes(name: str) -> str:
    label = f"label=io.x-k8s.kind.cluster={name}"
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
    return listed.stdout.strip()


def is_busy(journal: Path) -> bool:
    """Whether the forward and the command in the pod run, both with this journal in their environment."""
    lines = read_journal(journal) if journal.exists() else []
    begun = any("sleep 600" in str(line.get("command")) for line in lines)
    return begun and len(find_tagged().get(os.path.realpath(journal), [])) >= 2


def test_after_sigkill_the_cluster_the_forward_the_command_and_the_folder_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runs = tmp_path / "runs"
    folder = runs / "run-1" / "lose-auth"
    program = textwrap.dedent(PROGRAM.format(folder=str(folder)))
    path = os.pathsep.join([str(ROOT), *sys.path])
    harness = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path})
    try:
        while not is_busy(folder / "journal.jsonl"):
            assert harness.poll() is None
            time.sleep(0.1)
        alive = clean_up(runs)
        assert (len(alive.alive), alive.removed, alive.refused) == (1, (), ())
    finally:
        harness.kill()
    assert harness.wait() == -signal.SIGKILL
    (run,) = find_runs(runs)
    (cluster,) = [owned for owned in run.owned if owned.kind == "kind-cluster"]
    (private,) = [Path(owned.name) for owned in run.owned if owned.kind == "directory"]
    assert len([owned for owned in run.owned if owned.kind == "process"]) >= 2  # the forward and the command
    assert list_nodes(cluster.name)

    with monkeypatch.context() as no_engine:
        no_engine.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
        refused = clean_up(runs).refused
    assert [line.split(": left ")[1].split()[0] for line in refused] == ["kind-cluster", "namespace", "directory"]
    assert "it was made with this machine's own engine" in refused[0]
    assert list_nodes(cluster.name)
    assert (private / "marker.json").exists()

    result = clean_up(runs)
    assert result.refused == ()
    assert f"{folder}: removed kind-cluster {cluster.name}" in result.removed
    assert list_nodes(cluster.name) == ""
    assert not private.exists()
    assert str(folder / "journal.jsonl") not in find_tagged()
    assert find_runs(runs) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["runs"]
