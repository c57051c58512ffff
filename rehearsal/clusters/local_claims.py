"""Claims on this machine: a directory each, with an identity beside it, that come and go as on Kubernetes.

A claim that a pod uses is only marked when it is deleted, and goes when its pod goes; the next one of that name is
empty and has another uid. A store on a host path has a directory and no claim.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, replace
from pathlib import Path

from rehearsal.backup_set import write_atomically
from rehearsal.clusters.local_places import User, give_to, remove_tree
from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import now
from rehearsal.roles import ClaimIdentity


class Claims:
    """The claims of one local cluster.

    Args:
        folder: holds `<claim>.json`, the identities; the directories lie in the pods.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> ClaimIdentity | None:
        """The claim of that name, or None."""
        try:
            stored = json.loads(self._file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ClaimIdentity(**stored["identity"])

    def ensure(self, name: str, directory: Path, owner: User | None, mode: int) -> ClaimIdentity:
        """The claim of that name, made with an empty directory where there is none."""
        found = self.find(name)
        if found is not None:
            return found
        if directory.exists():
            raise EnvironmentUnfit("a new claim's directory is there already", where=str(directory))
        make_volume(directory, owner, mode)
        identity = ClaimIdentity(name, str(uuid.uuid4()), now())
        self._write(identity, directory)
        return identity

    def mark_terminating(self, identity: ClaimIdentity) -> None:
        self._write(replace(identity, terminating=True), self._directory(identity.name))

    def remove(self, name: str) -> None:
        """Remove the claim and everything in its directory."""
        remove_tree(self._directory(name))
        self._file(name).unlink()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _directory(self, name: str) -> Path:
        return Path(json.loads(self._file(name).read_text(encoding="utf-8"))["directory"])

    def _write(self, identity: ClaimIdentity, directory: Path) -> None:
        stored = {"identity": asdict(identity), "directory": str(directory)}
        write_atomically(self._file(identity.name), json.dumps(stored) + "\n")


def make_volume(directory: Path, owner: User | None, mode: int) -> None:
    """An empty directory that belongs to a pod's user."""
    directory.mkdir()
    directory.chmod(mode)
    give_to(owner, directory)
