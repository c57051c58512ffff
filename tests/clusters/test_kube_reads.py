"""What the API server says of claims and classes, as values of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from recorded_api import CLASSES_PATH, NAMESPACE, Recorder, list_classes, make_class, serve, write_kubeconfig

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.pod_states import ClaimState
from rehearsal.clusters.storage_classes import StorageClass
from rehearsal.errors import EnvironmentUnfit

CLAIM_PATH = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/data-db-0"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with serve(Recorder()) as served:
        yield served


@pytest.fixture
def reads(recorder: Recorder, tmp_path: Path) -> Iterator[KubeReads]:
    opened = KubeReads(write_kubeconfig(tmp_path / "kubeconfig", recorder.url), NAMESPACE)
    yield opened
    opened.close()


def make_claim(phase: str, storage_class: str | None, **meta: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-db-0", "uid": "u", "creationTimestamp": "2026-05-01T10:00:00Z", **meta},
        "spec": spec,
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("answered", "state"),
    [
        (make_claim("Pending", "longhorn"), ClaimState("data-db-0", "Pending", "longhorn")),
        (make_claim("Pending", None), ClaimState("data-db-0", "Pending")),
        (make_claim("Bound", "standard"), ClaimState("data-db-0", "Bound", "standard")),
        (
            make_claim("Bound", "standard", deletionTimestamp="2026-05-01T11:00:00Z"),
            ClaimState("data-db-0", "Bound", "standard", deleting=True),
        ),
        (None, ClaimState("data-db-0", "")),
    ],
)
def test_a_claim(recorder: Recorder, reads: KubeReads, answered: Any, state: ClaimState) -> None:
    if answered is not None:
        recorder.answers[CLAIM_PATH] = answered
    assert reads.read_claim("data-db-0") == state
    assert state.is_bound == (answered == make_claim("Bound", "standard"))


def test_the_classes_of_a_cluster(recorder: Recorder, reads: KubeReads) -> None:
    older = "storageclass.beta.kubernetes.io/is-default-class"
    recorder.answers[CLASSES_PATH] = list_classes(
        make_class("standard", default=True),
        make_class("fast"),
        make_class("old", annotations={older: "true"}),
        make_class("not", annotations={older: "false"}),
    )
    assert reads.list_storage_classes() == (
        StorageClass("standard", is_default=True),
        StorageClass("fast"),
        StorageClass("old", is_default=True),
        StorageClass("not"),
    )


def test_classes_that_may_not_be_listed_are_one_clear_error(reads: KubeReads) -> None:
    with pytest.raises(EnvironmentUnfit, match="answers 404 for storage classes"):
        reads.list_storage_classes()
