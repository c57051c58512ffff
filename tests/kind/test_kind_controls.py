"""Damage that only a real Kubernetes can do: the pod killed under psql, one replica forgotten, a volume retained.

Each must be caught. One after the other on the cluster of these tests, each in a namespace of its own with the stores
that it strikes; the command line on a cluster of its own is what `make rehearse-kind` runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rehearsed import perform

from rehearsal.clusters.kind import KindSession
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator, Strike
from rehearsal.tampering.rewiring import rewire, rewire_command

pytestmark = pytest.mark.kind


def kill_pod(strike: Strike) -> str:
    """The pod goes while psql reads; the admin, who saw no status, goes on when it is back."""
    stage = strike.stage
    cluster: Any = stage.cluster  # the cluster itself, for the damage that no role has a verb for

    def run(pod: str, argv: tuple[str, ...], **rest: Any) -> Any:
        whole = rest["stdin"].read_bytes()

        def feed() -> Iterator[bytes]:
            yield whole[: len(whole) // 2]
            cluster._kubectl.run("delete", "pod", pod, "--grace-period=1")
            yield whole[len(whole) // 2 :]

        with suppress(StreamError, EnvironmentUnfit):
            return cluster.exec(pod, argv, **{**rest, "stdin": feed()})
        cluster._waits.wait_ready([pod], 120.0)
        return cluster.exec(pod, ["true"])

    strike.restore(rewire_command(stage, lambda argv: "psql" in argv[-1], run))
    return stage.lost[0].name


def retain_volume(strike: Strike) -> str:
    """The claim goes, its volume stays by `reclaimPolicy: Retain`, is freed by hand and bound to the next claim."""
    stage = strike.stage
    cluster: Any = stage.cluster
    database = stage.lost[0]
    name = ("get", "pvc", database.claim, "-o", "jsonpath={.spec.volumeName}")
    volume = cluster._kubectl.run(*name).stdout.decode()

    def patch(spec: str) -> None:
        cluster._kubectl.run("patch", "pv", volume, "--type=merge", "-p", f'{{"spec": {spec}}}')

    def delete(claim: str) -> None:
        patch('{"persistentVolumeReclaimPolicy": "Retain"}')
        cluster.delete_claim(claim)
        cluster._kubectl.run("wait", "--for=delete", f"pvc/{claim}", "--timeout=60s")
        patch('{"claimRef": null}')

    strike.lose(rewire(stage, delete_claim=delete))
    assert cluster._kubectl.run(*name).stdout.decode() == volume
    patch('{"persistentVolumeReclaimPolicy": "Delete"}')
    return database.name


KILLED = Operator(name="pod killed", why="an eviction in the middle", act=kill_pod, moment="restore")
RETAINED = Operator(name="volume retained", why="reclaimPolicy Retain", act=retain_volume, moment="loss")


@pytest.mark.parametrize(
    ("operator", "loses", "check"),
    [
        pytest.param(KILLED, "session-db", "schema", id="pod-killed"),  # constraints and indexes come last
        pytest.param(REGISTRY["a replica was forgotten in the loss"], "file-storage", "loss", id="replica-forgotten"),
        pytest.param(RETAINED, "session-db", "loss", id="volume-retained"),
    ],
)
def test_damage_of_a_real_cluster_is_caught(
    operator: Operator, loses: str, check: str, kind_session: KindSession, tmp_path: Path
) -> None:
    scenario = Scenario(
        name="control",
        title=operator.name,
        loses=(loses,),
        loss=DELETE_CLAIMS,
        method=KubectlCopy(),
        tampering=operator,
        expects=Expectation(check),
    )
    stores = ["sessionDb"] if loses == "session-db" else []
    replicas = 1 if stores else 2
    record, judgement = perform(kind_session, tmp_path, scenario, file_replicas=replicas, databases=stores)
    assert [trouble.message for trouble in record.troubles] == []
    assert judgement.control is not None
    assert judgement.control.caught, judgement.findings
