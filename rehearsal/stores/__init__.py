"""The stores of Chipster's data tier: three databases and the file-storage directories, each with its fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rehearsal.deployment import StoreSpec
from rehearsal.journal import Journal
from rehearsal.roles import Cluster, Store
from rehearsal.stores.files import FileSeed, FileStore
from rehearsal.stores.postgres import DatabaseSeed, PostgresStore


class DataSeed(DatabaseSeed, FileSeed, Protocol):
    """What fills the stores."""


def open_store(
    spec: StoreSpec, cluster: Cluster, folder: Path, journal: Journal, seed: DataSeed, show_values: bool = False
) -> Store:
    """The store that a spec describes, on a cluster; its inventories go below `folder`.

    Args:
        show_values: keep the values of rows beside their digests, so that findings can show them.
    """
    if spec.kind == "database":
        return PostgresStore(spec, cluster, folder, journal, seed, show_values=show_values)
    return FileStore(spec, cluster, folder, journal, seed)
