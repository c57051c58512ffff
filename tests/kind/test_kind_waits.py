"""Pods that will not get ready, on a real cluster: named before the deadline, with what a person would look up next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.kubernetes import KubernetesCluster
from rehearsal.clusters.pod_waits import PodWaits
from rehearsal.clusters.storage_classes import stand_in
from rehearsal.errors import EnvironmentUnfit, WaitTimeout
from tests.kind.conftest import VALUES, Bench

pytestmark = pytest.mark.kind
MakeBench = Callable[..., Bench]
OF_LONGHORN = VALUES.replace("storageVolumeSize: 1Gi", "storageVolumeSize: 1Gi, storageClassName: longhorn")


def spoil(cluster: KubernetesCluster, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the pods of file-storage in whatever is deployed from now on; the one that runs goes."""

    def make(*given: Any) -> list[dict[str, Any]]:
        objects = make_stand_ins(*given)
        for made in objects:
            if made["kind"] == "StatefulSet" and made["metadata"]["name"] == "file-storage":
                change(made["spec"]["template"]["spec"])
        return objects

    cluster._site = replace(cluster._site, make_manifests=make)
    cluster.scale("file-storage", 0)


def test_a_crash_loop_is_named_at_its_fourth_end_with_its_log(make_bench: MakeBench) -> None:
    bench = make_bench()
    ends = ["bash", "-c", "echo why it ended; exit 3"]
    spoil(bench.cluster, lambda pod: pod["containers"][0].update(command=ends))
    began = time.monotonic()
    with pytest.raises(WaitTimeout) as caught:
        bench.cluster.deploy(bench.deployment)
    message = str(caught.value)
    print(f"{time.monotonic() - began:.1f} s: {message}")
    assert 30 < time.monotonic() - began < 60
    assert "container file-storage ended with status 3, 3 restarts" in message
    assert "its log ends: (file-storage) why it ended" in message
    assert "last events: " in message
    assert f"logs {bench.files.pod} -c file-storage --previous" in message


def test_a_pod_that_no_node_takes_is_named(make_bench: MakeBench) -> None:
    bench = make_bench()
    spoil(bench.cluster, lambda pod: pod.update(nodeSelector={"no-such": "node"}))
    bench.cluster._waits = replace(bench.cluster._waits, node_patience=2.0)
    with pytest.raises(WaitTimeout, match="cannot become ready: phase Pending; Unschedulable: 0/1 nodes") as caught:
        bench.cluster.deploy(bench.deployment)
    print(caught.value)
    assert "FailedScheduling" in str(caught.value)
    assert f"describe pod {bench.files.pod}" in caught.value.hint


def test_a_class_of_values_yaml(make_bench: MakeBench, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before anything is applied; told of the claim, were it not; and a copy of the default one serves."""
    with pytest.raises(EnvironmentUnfit, match=r"no StorageClass longhorn, .* it has: standard \(the default\)"):
        make_bench(OF_LONGHORN)
    with monkeypatch.context() as changed:
        changed.setattr("rehearsal.clusters.kubernetes.require_classes", lambda *_: None)
        changed.setattr("rehearsal.clusters.kubernetes.PodWaits", partial(PodWaits, node_patience=2.0))
        with pytest.raises(WaitTimeout) as caught:
            make_bench(OF_LONGHORN)
    print(caught.value)
    claim = "claim storage-file-storage-0 of StorageClass longhorn, which the cluster does not have, is Pending"
    assert claim in caught.value.what
    assert 'storageclass.storage.k8s.io "longhorn" not found' in caught.value.what
    assert "describe pvc storage-file-storage-0" in caught.value.hint
    kubectl = bench.cluster._kubectl
    try:
        assert "a copy of standard" in stand_in(kubectl, "longhorn")
        assert stand_in(kubectl, "longhorn") == ""
        served = make_bench(OF_LONGHORN)
        state = served.cluster._reads.read_claim("storage-file-storage-0")
        assert (state.storage_class, state.is_bound) == ("longhorn", True)
        assert served.cluster._reads.read_claim(served.database.claim).storage_class == "standard"
    finally:
        kubectl.run("delete", "storageclass", "longhorn", "--ignore-not-found")
