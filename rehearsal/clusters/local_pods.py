"""Pods on this machine: a folder each, with the environment, working directory and volume of the real one.

`pods/<pod>/` holds the volume at the real path below it (`var/lib/postgresql`, `opt/chipster/storage`), a home, the
server's log, and `environment`, a file for `. FILE` that only the pod's user can read: it holds the password, and
makes the commands that are shown copy-pastable without it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.clusters.local_places import User, give_to
from rehearsal.clusters.local_server import DatabaseServer
from rehearsal.deployment import StoreSpec
from rehearsal.launch import Process

_UMASK = 0o022  # the container's default
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass
class Pod:
    """One pod of a local cluster.

    Attributes:
        folder: `pods/<name>`.
        volume: the store's directory, where the claim (or the host path) is mounted.
        cwd: the working directory of `exec`.
        user: of everything that runs in it; None: ours.
        server: of a database.
        running: whether its StatefulSet wants it.
    """

    spec: StoreSpec
    folder: Path
    volume: Path
    cwd: Path
    user: User | None
    server: DatabaseServer | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    running: bool = False

    @property
    def name(self) -> str:
        return self.spec.pod

    def make_folders(self) -> None:
        """Everything but the volume; idempotent."""
        home = self.folder / "home"
        above = self.volume.relative_to(self.folder).parents  # nearest first, "." last
        for folder in (*(self.folder / part for part in reversed(above)), home):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # whatever our umask: the pod's user passes through
        give_to(self.user, home, self.cwd)

    def write_environment(self, environment: Mapping[str, str]) -> None:
        """Set the environment of `exec` and write it down for the pod's user alone."""
        self.environment = environment
        path = self.folder / "environment"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.writelines(f"{key}={shlex.quote(value)}\n" for key, value in environment.items())
        give_to(self.user, path)

    def process(self, argv: Sequence[str]) -> Process:
        """A command as it runs inside the pod."""
        return Process(tuple(argv), env=self.environment, cwd=self.cwd, user=self.user, umask=_UMASK)

    def show(self, argv: Sequence[str]) -> str:
        """The same, to be pasted into a shell on this machine."""
        inner = (
            f"set -a; . {shlex.quote(str(self.folder / 'environment'))}; cd {shlex.quote(str(self.cwd))}; umask 022; "
        )
        inner += f"exec {shlex.join(argv)}"
        if self.user is None:
            return f"({inner})"
        drop = f"setpriv --reuid={self.user[0]} --regid={self.user[1]} --clear-groups"
        return f"{drop} bash -c {shlex.quote(inner)}"


def describe_environment(pod: Pod, bin_folder: Path, password: str = "") -> dict[str, str]:
    """The real pod's variables (facts, section 3). PGHOST and PGPORT are ours: several servers share this machine, and
    the manual's bare `psql -U postgres session_db_db` must find its own."""
    common = {
        "HOME": str(pod.folder / "home"),
        "HOSTNAME": pod.name,
        "LANG": "C.UTF-8",
        "PSQLRC": "/dev/null",
        "TZ": "UTC",
    }
    if pod.server is None or pod.spec.kind == "files":
        return {"PATH": _SYSTEM_PATH, **common}
    return {
        "PATH": f"{bin_folder}:{_SYSTEM_PATH}",
        **common,
        "PGDATA": str(pod.server.data),
        "POSTGRES_DB": pod.spec.db_name,
        "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256",
        "POSTGRES_PASSWORD": password,
        "PGHOST": str(pod.server.socket_folder),
        "PGPORT": str(pod.server.port),
    }
