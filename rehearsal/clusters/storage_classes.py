"""The StorageClasses that a cluster has, and those that values.yaml asks for.

A claim of a class that is not there stays Pending without a word, and its pod with it: so the cluster is asked before
anything is applied. A throwaway cluster can have no `longhorn`; there a copy of its own default class takes that name,
so that an admin's values.yaml works as it is, and every report says that nothing was proved about the real one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.clusters.kubectl import Kubectl
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit

KEY = "deployments.fileStorage.storageClassName"
"""Where values.yaml names a class; the databases' claims name none."""
_IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True)
class StorageClass:
    """A class of a cluster. `is_default`: a claim that names none gets it."""

    name: str
    is_default: bool = False


def see_class(name: str, annotations: Mapping[str, str]) -> StorageClass:
    """The cluster's object as a value of ours."""
    return StorageClass(name, any(annotations.get(key) == "true" for key in _IS_DEFAULT))


def require_classes(deployment: Deployment, found: Sequence[StorageClass], ask: str) -> None:
    """Return when the cluster can make every claim of the deployment.

    Args:
        ask: the command that lists the cluster's classes, for the message.

    Raises:
        EnvironmentUnfit: a class is missing, or the default one.
    """
    has = ", ".join(f"{one.name} (the default)" if one.is_default else one.name for one in found) or "none"
    named = deployment.storage_class
    for store in deployment.stores:
        if store.host_path:
            continue
        wanted = named if store.kind == "files" else ""
        if wanted and wanted not in [one.name for one in found]:
            raise EnvironmentUnfit(
                f"the cluster has no StorageClass {wanted}, which claim {store.claim} asks for; it has: {has}",
                where=f"values.yaml: {KEY}",
                hint=f'{ask}; then name one of these there, or "" for the default',
            )
        if not wanted and not any(one.is_default for one in found):
            raise EnvironmentUnfit(
                f"the cluster has no default StorageClass, and claim {store.claim} names none; it has: {has}",
                where=store.claim,
                hint=f"{ask}; then mark one of these: kubectl annotate storageclass NAME {_IS_DEFAULT[0]}=true",
            )


def stand_in(kubectl: Kubectl, name: str) -> str:
    """Give a cluster of our own a class of that name, a copy of its default one; what was done, "" where it has one.

    Raises:
        EnvironmentUnfit: it has no default class.
        CommandFailed, WaitTimeout: it cannot be asked, or refuses.
    """
    listed = json.loads(kubectl.run("get", "storageclass", "-o", "json").stdout)["items"]
    if any(one["metadata"]["name"] == name for one in listed):
        return ""
    model = next((one for one in listed if see_class(name, one["metadata"].get("annotations") or {}).is_default), None)
    if model is None:
        raise EnvironmentUnfit(
            f"the cluster has neither a StorageClass {name} nor a default one to stand in for it",
            where=f"values.yaml: {KEY}",
            hint=kubectl.show("get", "storageclass"),
        )
    kubectl.run("create", "-f", "-", stdin=json.dumps(_copy_class(model, name)).encode())
    return (
        f"StorageClass {name} of values.yaml is not in this throwaway cluster: a copy of {model['metadata']['name']} "
        f"(provisioner {model['provisioner']}) stands in for it"
    )


def _copy_class(model: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Everything but what makes the model itself, and the default: two default ones would be told apart by age."""
    labels = {"app.kubernetes.io/managed-by": "chipster-rehearsal"}
    return {**model, "metadata": {"name": name, "labels": labels}}
