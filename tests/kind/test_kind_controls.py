"""Damage that only a real Kubernetes can do: the pod killed under psql, one replica forgotten, a volume retained.

Each must be caught.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kind

ROOT = Path(__file__).resolve().parents[2]
VALUES = "deployments: {fileStorage: {replicas: '2', storageVolumeSize: 1Gi}}\n"
HEAD = """
from contextlib import suppress
from dataclasses import dataclass
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator
from rehearsal.tampering.rewiring import rewire, rewire_command
"""
FORGOTTEN = """
SCENARIO = Scenario(
    name="control-replica-forgotten", title="one replica forgotten", loses=("file-storage",), loss=DELETE_CLAIMS,
    method=KubectlCopy(), tampering=REGISTRY["a replica was forgotten in the loss"], expects=Expectation("loss"),
)
"""
KILLED = '''
def kill_pod(strike):
    """The pod goes while psql reads; the admin, who saw no status, goes on when it is back."""
    stage = strike.stage
    database = stage.lost[0]

    def run(pod, argv, **rest):
        whole = rest["stdin"].read_bytes()

        def feed():
            yield whole[: len(whole) // 2]
            stage.cluster._kubectl.run("delete", "pod", pod, "--grace-period=1")
            yield whole[len(whole) // 2 :]

        with suppress(StreamError, EnvironmentUnfit):
            return stage.cluster.exec(pod, argv, **{**rest, "stdin": feed()})
        stage.cluster._waits.wait_ready([pod], 120.0)
        return stage.cluster.exec(pod, ["true"])

    strike.restore(rewire_command(stage, lambda argv: "psql" in argv[-1], run))
    return database.name

SCENARIO = Scenario(
    name="control-pod-killed", title="the pod killed under psql", loses=("session-db",), loss=DELETE_CLAIMS,
    method=KubectlCopy(), expects=Expectation("schema"),  # constraints and indexes come last
    tampering=Operator(name="pod killed", why="an eviction in the middle", act=kill_pod, moment="restore"),
)
'''
RETAINED = '''
def retain_volume(strike):
    """The claim goes, its volume stays by `reclaimPolicy: Retain`, is freed by hand and bound to the next claim."""
    stage = strike.stage
    database = stage.lost[0]
    kubectl = stage.cluster._kubectl
    ask = lambda *words: kubectl.run("get", *words).stdout.decode()
    volume = ask("pvc", database.claim, "-o", "jsonpath={.spec.volumeName}")
    patch = lambda spec: kubectl.run("patch", "pv", volume, "--type=merge", "-p", '{"spec":' + spec + "}")

    def delete(claim):
        patch('{"persistentVolumeReclaimPolicy":"Retain"}')
        stage.cluster.delete_claim(claim)
        kubectl.run("wait", "--for=delete", "pvc/" + claim, "--timeout=60s")
        patch('{"claimRef":null}')

    strike.lose(rewire(stage, delete_claim=delete))
    assert ask("pvc", database.claim, "-o", "jsonpath={.spec.volumeName}") == volume
    patch('{"persistentVolumeReclaimPolicy":"Delete"}')
    return database.name

SCENARIO = Scenario(
    name="control-volume-retained", title="the claim's volume is retained", loses=("session-db",), loss=DELETE_CLAIMS,
    method=KubectlCopy(), expects=Expectation("loss"),
    tampering=Operator(name="volume retained", why="reclaimPolicy Retain", act=retain_volume, moment="loss"),
)
'''


def test_a_killed_pod_a_forgotten_replica_and_a_retained_volume_are_caught(tmp_path: Path) -> None:
    folder, runs = tmp_path / "scenarios", tmp_path / "runs"
    folder.mkdir()
    (folder / "forgotten.py").write_text(HEAD + FORGOTTEN)
    (folder / "killed.py").write_text(HEAD + KILLED)
    (folder / "retained.py").write_text(HEAD + RETAINED)
    values = tmp_path / "values.yaml"
    values.write_text(VALUES)
    command = [sys.executable, "-m", "rehearsal", "run", "--cluster", "kind", "--jobs", "2", "--runs", str(runs)]
    command += ["--scenarios", str(folder), "--values", str(values)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    summary = json.loads((runs / "latest" / "summary.json").read_text())
    caught = {entry["scenario"]: entry["control"]["caught"] for entry in summary["entries"]}
    assert caught == dict.fromkeys(("control-pod-killed", "control-replica-forgotten", "control-volume-retained"), True)
