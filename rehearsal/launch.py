"""What one process is started with: arguments, rights, environment, and the pipe that its secret comes through.

Nothing is started here: that is left to `Shell`, because every process is written down.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from rehearsal.errors import RehearsalError

_DEBIAN_PACKAGES = {
    **dict.fromkeys(("psql", "pg_dump", "pg_restore", "pg_isready"), "postgresql-client"),
    **dict.fromkeys(("postgres", "initdb", "vacuumlo"), "postgresql"),
    **dict.fromkeys(("gpg", "gpgconf"), "gnupg"),
    "docker": "docker.io",
    "kubectl": "kubernetes-client",
    "bash": "bash",
    "git": "git",
    "pv": "pv",
    "tar": "tar",
}

INHERITED_FD = "{secret-fd}"
"""Stands in an argument for the number of the descriptor from which a process reads its secret."""

_SETPRIV = which("setpriv")
# Where a child drops its rights by itself, Python copies the whole page table of its parent (fork, not vfork), which
# takes longer than most of our commands: so the second time setpriv(1) drops them. The first time says what is wrong.
_RUN_AS: set[tuple[str, tuple[int, int]]] = set()

_LONGEST_SECRET = 4096  # bytes; a pipe takes that much at once, whoever reads it


@dataclass(frozen=True)
class Process:
    """One stage of a pipeline, or a server.

    Attributes:
        env: the full environment, but for the tag by which `clean` knows it; None: this process's PATH, HOME and
            TMPDIR, and LANG=C.UTF-8.
        user: uid and gid to drop to, without supplementary groups; only root can.
        umask: -1: ours.
        secret: up to 4 KiB, to be read from an inherited pipe: its number takes the place of `{secret-fd}` in the
            arguments. Neither they nor the environment nor any file hold it.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    user: tuple[int, int] | None = None
    umask: int = -1
    secret: bytes = field(default=b"", repr=False)


def install_hint(tool: str) -> str:
    """The next command to type where `tool` is missing."""
    package = _DEBIAN_PACKAGES.get(Path(tool).name)
    if package:
        return f"apt-get install {package}"
    return f"put `{Path(tool).name}` on the PATH, then: rehearsal doctor"


def default_environment() -> dict[str, str]:
    """What a process of ours gets unless told otherwise: nothing that could carry a secret or change a locale."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LANG": "C.UTF-8"}


def _drop_to(user: tuple[int, int], argv: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """The command line that makes this one run as that uid and gid; empty where the child must drop its rights itself.

    setpriv still has root's rights when it runs the tool, so only one that is open to everybody is left to it.
    """
    tool = which(argv[0], path=environment.get("PATH", os.defpath))
    unsure = "/" in argv[0] and not Path(argv[0]).is_absolute()
    if _SETPRIV is None or tool is None or unsure or (argv[0], user) not in _RUN_AS:
        return ()
    path = Path(os.path.abspath(tool))  # noqa: PTH100 - links stay as they are
    if not all(
        place.stat().st_mode & 0o001 for place in (path, path.resolve(), *path.parents, *path.resolve().parents)
    ):
        return ()
    return (_SETPRIV, f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups", "--", str(path), *argv[1:])


@contextmanager
def prepare(
    process: Process, environment: Mapping[str, str]
) -> Iterator[tuple[Sequence[str], tuple[int, int] | None, tuple[int, ...]]]:
    """What to start it with, within the block: arguments, the user to drop to (None: the arguments see to it, or
    nobody), and the descriptors to inherit."""
    with _hand_over(process) as (argv, inherited):
        dropping = _drop_to(process.user, argv, environment) if process.user is not None else ()
        yield dropping or argv, None if dropping else process.user, inherited
    if process.user is not None:  # not where the block raised
        _RUN_AS.add((process.argv[0], process.user))


def show_stage(process: Process) -> str:
    if not process.secret:
        return shlex.join(process.argv)
    return shlex.join(part.replace(INHERITED_FD, "3") for part in process.argv) + " 3< SECRET-FILE"


@contextmanager
def _hand_over(process: Process) -> Iterator[tuple[Sequence[str], tuple[int, ...]]]:
    """The arguments, and the descriptors that the process inherits; ours are closed once it runs."""
    if not process.secret:
        yield process.argv, ()
        return
    if len(process.secret) > _LONGEST_SECRET:
        raise RehearsalError(f"a secret of more than {_LONGEST_SECRET} bytes cannot be handed to `{process.argv[0]}`")
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb", buffering=0) as stream:
            stream.write(process.secret)
        yield tuple(part.replace(INHERITED_FD, str(reading)) for part in process.argv), (reading,)
    finally:
        os.close(reading)
