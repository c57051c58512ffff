"""What the kernel says about processes: enough to know one again, and never to take another for it.

A pid alone is reused; a pid with its start time in clock ticks (field 22 of /proc/PID/stat, proc(5)) and the boot's
identity is not.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal

OWNER = "REHEARSAL_JOURNAL"
"""Variable in the environment of everything a run starts, and of what that starts in turn: the run's journal."""

_PROC = Path("/proc")
_SETTLES_WITHIN = 0.5
"""Seconds from fork to an environment of its own, with much to spare."""


def read_boot_id() -> str:
    """This boot's identity, a UUID.

    Raises:
        EnvironmentUnfit: there is no /proc: not Linux.
    """
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError as error:
        raise EnvironmentUnfit("no /proc here; a rehearsal needs Linux", where=str(error.filename)) from error


def read_start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is no such process, or only its zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name, field 2, may hold spaces and parentheses
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


@dataclass(frozen=True)
class Identity:
    """A process that will not be taken for another one.

    Attributes:
        start_time: clock ticks since boot.
        boot_id: the boot in which the ticks count.
    """

    pid: int
    start_time: int
    boot_id: str

    def is_alive(self) -> bool:
        """Whether this very process runs now."""
        return read_boot_id() == self.boot_id and read_start_time(self.pid) == self.start_time


def identify(pid: int) -> Identity | None:
    """The running process of that pid, or None."""
    start_time = read_start_time(pid)
    return None if start_time is None else Identity(pid, start_time, read_boot_id())


def identify_ourselves() -> Identity:
    """This process: what a run journals first, so that `rehearsal clean` leaves a live run alone."""
    start_time = read_start_time(os.getpid())
    if start_time is None:
        raise EnvironmentUnfit("no /proc here; a rehearsal needs Linux", where="/proc/self/stat")
    return Identity(os.getpid(), start_time, read_boot_id())


def own_process(journal: Journal, pid: int, label: str) -> None:
    """Write down that this run owns the process `pid`, so that `rehearsal clean` knows it again."""
    identity = identify(pid)
    if identity is not None:
        journal.own("process", str(pid), start_time=identity.start_time, boot_id=identity.boot_id, label=label)


def tag(journal: Path) -> dict[str, str]:
    """What to add to a process's environment so that `find_tagged` finds it and its children."""
    return {OWNER: os.path.realpath(journal)}


def find_tagged() -> dict[str, list[Identity]]:
    """Every running process that carries a tag, by the journal's real path.

    Only those whose environment we may read; a server that writes its title over it (PostgreSQL) is not found. A
    process that has only just started still shows its parent's environment, or none: it is looked at once more, half a
    second later, because whoever killed a run may come in the middle of it.
    """
    found: dict[str, list[Identity]] = {}
    every = [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()]
    young = [pid for pid in every if not _note_tag(pid, found) and _is_young(pid)]
    if young:
        time.sleep(_SETTLES_WITHIN)
        for pid in young:
            _note_tag(pid, found)
    return found


def _note_tag(pid: int, found: dict[str, list[Identity]]) -> bool:
    prefix = f"{OWNER}=".encode()
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    journals = [os.fsdecode(variable[len(prefix) :]) for variable in variables if variable.startswith(prefix)]
    identity = identify(pid) if journals else None
    if identity is not None:
        found.setdefault(journals[0], []).append(identity)
    return bool(journals)


def _is_young(pid: int) -> bool:
    """Whether it may not have come through its exec yet."""
    started = read_start_time(pid)
    up = float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
    return started is not None and up - started / os.sysconf("SC_CLK_TCK") < _SETTLES_WITHIN


def has_ended(pid: int) -> bool:
    """Whether a child of ours ended, without reaping it: until it is reaped its pid cannot be another's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
