"""The StorageClasses that a cluster has, and those that values.yaml asks for.

A claim of a class that is not there stays Pending without a word, and its pod with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True)
class StorageClass:
    """A class of a cluster. `is_default`: a claim that names none gets it."""

    name: str
    is_default: bool = False


def see_class(name: str, annotations: Mapping[str, str]) -> StorageClass:
    """The cluster's object as a value of ours."""
    return StorageClass(name, any(annotations.get(key) == "true" for key in _IS_DEFAULT))
