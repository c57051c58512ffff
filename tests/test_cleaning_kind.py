"""`rehearsal clean` and kind clusters, with an engine that is a script: it lists and removes what lies in a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import removing_kind
from rehearsal.cleaning import CleanResult, clean, find_runs
from rehearsal.journal import Journal
from rehearsal.processes import OWNER

NONCE = "0123456789abcdef0123456789abcdef"
NAME = f"rehearsal-{NONCE[:12]}"
NODE = f"{NAME}-control-plane"
DEAD = {"start_time": 1, "boot_id": "another boot"}

DOCKER = """#!/bin/bash
# Containers are files, `name@label`. With `broken` it does not answer, with `stuck` it removes nothing.
echo "$*" >> {calls}
[ ! -e {state}/broken ] || {{ echo 'Cannot connect to the Docker daemon' >&2; exit 1; }}
case "$1" in
ps) label=${{4#label=io.x-k8s.kind.cluster=}}
    for file in {state}/nodes/*@"$label"; do [ ! -e "$file" ] || basename "${{file%@*}}"; done ;;
rm) [ ! -e {state}/stuck ] || {{ echo 'device or resource busy' >&2; exit 1; }}
    shift; for name; do rm -f {state}/nodes/"$name"@*; done ;;
*) exit 64 ;;
esac
"""


class Engine:
    """What the script works on."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.calls = state / "calls"
        (state / "nodes").mkdir(parents=True)

    def add(self, node: str = NODE, cluster: str = NAME) -> None:
        (self.state / "nodes" / f"{node}@{cluster}").touch()

    def set(self, mode: str) -> None:
        (self.state / mode).touch()

    def mend(self) -> None:
        for mode in ("broken", "stuck"):
            (self.state / mode).unlink(missing_ok=True)

    @property
    def nodes(self) -> list[str]:
        return sorted(path.name for path in (self.state / "nodes").iterdir())

    @property
    def removals(self) -> list[str]:
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [call for call in calls if call.startswith("rm ")]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(removing_kind, "_SETTLE", 0.0)
    monkeypatch.setattr(removing_kind, "_DEADLINE", 1.0)
    engine = Engine(tmp_path / "engine")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER.format(state=engine.state, calls=engine.calls))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}{os.pathsep}{os.environ['PATH']}")
    return engine


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """The run's private folder, with its marker and kubeconfig."""
    folder = tmp_path / f"rehearsal-kind-{NONCE[:12]}"
    folder.mkdir()
    (folder / "marker.json").write_text(json.dumps({"run": NONCE}))
    (folder / "kubeconfig").write_text("apiVersion: v1\n")
    return folder


def write_run(
    runs: Path,
    private: Path,
    scenario: str = "lose-auth",
    *,
    cluster: str = NAME,
    with_cluster: bool = True,
    engine: str | None = None,
) -> Path:
    """The journal of a dead rehearsal on kind, as kind.py and kubernetes.py write it."""
    journal = Journal(runs / "run-1" / scenario / "journal.jsonl")
    journal.own("harness", "4194300", **DEAD)
    kubeconfig = str(private / "kubeconfig")
    if with_cluster:
        journal.own("directory", str(private), nonce=NONCE)
        marks = {"binary": "/nowhere/kind", "kubeconfig": kubeconfig}
        journal.own("kind-cluster", cluster, **marks, **({} if engine is None else {"engine": engine}))
    journal.own("namespace", f"rehearsal-{scenario}", server="https://127.0.0.1:1", kubeconfig=kubeconfig, nonce=NONCE)
    journal.close()
    return journal.path


def clean_up(runs: Path) -> CleanResult:
    said: list[str] = []
    return clean(runs, said.append)


def test_a_dead_runs_cluster_goes_with_its_namespace_and_folder(runs: Path, private: Path, engine: Engine) -> None:
    write_run(runs, private)
    engine.add()
    engine.add("another-control-plane", "another")
    result = clean_up(runs)
    place = runs / "run-1" / "lose-auth"
    assert result.removed == (f"{place}: removed kind-cluster {NAME}", f"{place}: removed directory {private}")
    assert result.refused == ()
    assert engine.removals == [f"rm --force --volumes {NODE}"]
    assert engine.nodes == ["another-control-plane@another"]
    assert not private.exists()
    assert find_runs(runs) == []
    assert clean_up(runs) == CleanResult()


@pytest.mark.parametrize(
    ("made_with", "asked", "hint"),
    [
        ("DOCKER_HOST=tcp://10.0.0.1:2375", "", "DOCKER_HOST=tcp://10.0.0.1:2375 rehearsal clean"),
        ("", "tcp://10.0.0.1:2375", "rehearsal clean"),
    ],
)
def test_another_engine_than_the_one_it_was_made_with_knows_nothing_of_it(
    runs: Path, private: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, made_with: str, asked: str, hint: str
) -> None:
    write_run(runs, private, engine=made_with)
    monkeypatch.setenv("DOCKER_HOST", asked)
    refused = clean_up(runs).refused
    assert any(f"left kind-cluster {NAME}: it was made with" in line and f"next: {hint}" in line for line in refused)
    assert private.exists()
    assert not engine.calls.exists() or engine.removals == []
    monkeypatch.setenv("DOCKER_HOST", made_with.partition("=")[2])
    engine.add()
    assert clean_up(runs).refused == ()
    assert engine.nodes == []


def test_a_cluster_that_was_never_made_is_quietly_gone(runs: Path, private: Path, engine: Engine) -> None:
    write_run(runs, private)
    result = clean_up(runs)
    assert [line.split(": ")[1] for line in result.removed] == [f"removed directory {private}"]
    assert engine.removals == []


def test_the_cluster_goes_first_also_when_another_rehearsal_of_the_run_comes_first_by_name(
    runs: Path, private: Path, engine: Engine
) -> None:
    write_run(runs, private, "b-made-it")
    write_run(runs, private, "a-used-it", with_cluster=False)
    engine.add()
    assert clean_up(runs).refused == ()
    assert find_runs(runs) == []


def test_a_namespace_whose_cluster_belongs_to_a_live_run_is_left_and_listed(
    runs: Path, private: Path, engine: Engine
) -> None:
    write_run(runs, private, with_cluster=False)
    engine.add()
    (refused,) = clean_up(runs).refused
    assert f"left namespace rehearsal-lose-auth: its cluster {NAME} is still there" in refused
    assert f"next: kubectl --kubeconfig {private / 'kubeconfig'} get all,pvc -n rehearsal-lose-auth" in refused
    assert engine.nodes == [f"{NODE}@{NAME}"]
    assert engine.removals == []


def spoil_marker(private: Path) -> None:
    (private / "marker.json").write_text(json.dumps({"run": "f" * 32}))


def remove_marker(private: Path) -> None:
    (private / "marker.json").unlink()


@pytest.mark.parametrize(("spoil", "why"), [(spoil_marker, "names another run"), (remove_marker, "has no marker")])
def test_without_its_marker_a_cluster_is_refused(
    runs: Path, private: Path, engine: Engine, spoil: object, why: str
) -> None:
    write_run(runs, private)
    engine.add()
    assert callable(spoil)
    spoil(private)
    refused = clean_up(runs).refused
    assert any(f"left kind-cluster {NAME}" in line and why in line for line in refused)
    assert engine.removals == []
    assert private.exists()


@pytest.mark.parametrize("name", ["kind", "rehearsal-0123456789ab-2", "rehearsal-ffffffffffff", "--all"])
def test_a_name_of_another_form_or_folder_is_refused_without_a_call(
    runs: Path, private: Path, engine: Engine, name: str
) -> None:
    write_run(runs, private, cluster=name)
    engine.add(f"{name}-control-plane", name)
    assert any("not of the form that a run gives" in line for line in clean_up(runs).refused)
    assert engine.removals == []


def test_a_strange_container_with_the_label_is_refused(runs: Path, private: Path, engine: Engine) -> None:
    write_run(runs, private)
    engine.add()
    engine.add("production-database")
    assert any("other names: production-database" in line for line in clean_up(runs).refused)
    assert engine.removals == []


@pytest.mark.parametrize("mode", ["broken", "stuck"])
def test_what_the_engine_does_not_remove_is_listed_and_the_next_clean_still_knows_it(
    runs: Path, private: Path, engine: Engine, mode: str
) -> None:
    write_run(runs, private)
    engine.add()
    engine.set(mode)
    result = clean_up(runs)
    assert result.removed == ()
    assert len(result.refused) == 3  # cluster, namespace, and the folder that the cluster is recognised by
    if mode == "broken":
        assert "the container engine does not answer" in result.refused[0]
        assert "Cannot connect to the Docker daemon" in result.refused[0]
        assert "rehearsal clean" in result.refused[0].split("next: ")[1]
    else:
        assert "nodes are left: device or resource busy" in result.refused[0]
    assert "what was left is recognised by it" in result.refused[2]
    assert private.exists()
    engine.mend()
    assert clean_up(runs).refused == ()
    assert engine.nodes == []
    assert not private.exists()


@pytest.fixture
def at_work(runs: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes with the cluster's name in their arguments: one started by a run, one by somebody else."""
    command = [sys.executable, "-c", "import time; time.sleep(600)", "delete", "cluster", "--name", NAME]
    tagged = {**os.environ, OWNER: str(runs / "run-1" / "lose-auth" / "journal.jsonl")}
    started = [
        subprocess.Popen(command, env=tagged, start_new_session=True),
        subprocess.Popen(command, start_new_session=True),
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_what_the_run_still_had_at_work_on_the_cluster_is_ended_also_after_its_verdict(
    runs: Path, private: Path, engine: Engine, at_work: list[subprocess.Popen[bytes]]
) -> None:
    path = write_run(runs, private)
    journal = Journal(path)
    journal.write("verdict", verdict="PASS")
    journal.close()
    clean_up(runs)
    assert at_work[0].wait(timeout=10) == -signal.SIGKILL
    assert at_work[1].poll() is None
