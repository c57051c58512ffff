"""What `rehearsal clean` does: removes exactly what dead runs own, by what their own journals say.

A run is dead when the harness process its journal begins with is gone. A process is ended only when pid, start time
and boot agree, or when it carries the run's tag in its environment and the run died before its verdict; a directory is
removed only when it carries the nonce that the journal gives. What cannot be recognised is left and listed. Other
kinds of thing (a kind cluster, a container) join through `REMOVERS`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.clusters.local_places import check_marker, remove_tree
from rehearsal.errors import Refused, RehearsalError, WaitTimeout
from rehearsal.journal import JOURNAL, Journal, read_journal
from rehearsal.processes import Identity, find_tagged
from rehearsal.removing_containers import remove_container, remove_volume
from rehearsal.removing_kind import remove_kind_cluster, remove_namespace
from rehearsal.waiting import wait_until

HARNESS = "harness"
_GENTLE = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True)
class Owned:
    """Something a run wrote down as its own: kind, name, and what it is recognised by."""

    kind: str
    name: str
    marks: Mapping[str, Any]

    def __str__(self) -> str:
        label = self.marks.get("label")
        return f"{self.kind} {self.name}" + (f" ({label})" if label else "")


Remover = Callable[[Owned], bool]
"""Removes one thing; False: it was gone already. Raises RehearsalError for what it does not dare or cannot."""


@dataclass(frozen=True)
class Run:
    """A rehearsal's journal and what it still owns, in the order it was made; `harness` is None where it names none."""

    journal: Path
    harness: Identity | None
    owned: tuple[Owned, ...]

    @property
    def is_alive(self) -> bool:
        return self.harness is not None and self.harness.is_alive()


@dataclass(frozen=True)
class CleanResult:
    """What `clean` did: a line for each thing removed, each thing left with the reason, each run still alive."""

    removed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    alive: tuple[str, ...] = ()


def find_runs(runs: Path) -> list[Run]:
    """Every run below `runs` that still owns something, from RUNS/*/*/journal.jsonl; links are not followed."""
    found = []
    tagged = find_tagged()
    for folder in _real_folders(runs):
        for scenario in _real_folders(folder):
            journal = scenario / JOURNAL
            if journal.is_file():
                run = _read_run(journal, tagged.get(os.path.realpath(journal), []))
                if run.owned:
                    found.append(run)
    return found


def find_dead_runs(runs: Path) -> list[Run]:
    """Those whose harness is gone."""
    return [run for run in find_runs(runs) if not run.is_alive]


def _real_folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.is_symlink())


def _read_run(journal: Path, tagged: Sequence[Identity]) -> Run:
    owned: dict[tuple[str, str], Owned] = {}
    harness: Identity | None = None
    ended = False
    for line in read_journal(journal):
        ended = ended or line.get("event") == "verdict"
        key = (str(line.get("kind")), str(line.get("name")))
        if line.get("event") == "owned" and key[0] == HARNESS:
            harness = _identify(Owned(*key, line))
        elif line.get("event") == "owned":
            owned.pop(key, None)
            owned[key] = Owned(*key, line)
        elif line.get("event") == "gone":
            owned.pop(key, None)
    for stray in tagged if not ended else ():  # what a site's command left running on purpose is not ours
        marks = {"start_time": stray.start_time, "boot_id": stray.boot_id, "label": "found by its environment"}
        owned.setdefault(("process", str(stray.pid)), Owned("process", str(stray.pid), marks))
    return Run(journal, harness, tuple(owned.values()))


def _identify(owned: Owned) -> Identity | None:
    try:
        return Identity(int(owned.name), int(owned.marks["start_time"]), str(owned.marks["boot_id"]))
    except (KeyError, ValueError, TypeError):
        return None


def end_process(owned: Owned) -> bool:
    """End a process and its group: SIGINT (a fast shutdown for postgres), SIGQUIT (an immediate one), SIGKILL.

    Raises:
        Refused: the journal does not say which process it is.
        WaitTimeout: it does not end.
    """
    identity = _identify(owned)
    if identity is None:
        raise Refused("its start time is not in the journal")
    return _end(identity, str(owned))


def _end(identity: Identity, what: str) -> bool:
    if not identity.is_alive():
        return False
    if identity.pid in (os.getpid(), os.getppid()):
        raise Refused("that is this very command, or its shell")
    for number, deadline in _GENTLE:
        with suppress(ProcessLookupError):
            if os.getpgid(identity.pid) == identity.pid:  # each of ours leads its group
                os.killpg(identity.pid, number)
            else:
                os.kill(identity.pid, number)
        with suppress(WaitTimeout):
            return wait_until(lambda: not identity.is_alive(), deadline, f"the end of {what}")
    raise WaitTimeout(f"{what} does not end")


def remove_directory(owned: Owned) -> bool:
    """Remove a directory that carries the run's nonce.

    Raises:
        Refused: it carries no marker, another run's, or is a link.
        EnvironmentUnfit: something is left.
    """
    folder = Path(owned.name)
    if not os.path.lexists(folder):
        return False
    if folder.is_symlink() or not folder.is_dir():
        raise Refused("no directory stands there any more")
    if not any(folder.iterdir()):  # made, not yet marked
        folder.rmdir()
        return True
    check_marker(folder, str(owned.marks.get("nonce", "")), "removing it")
    remove_tree(folder)
    return True


REMOVERS: dict[str, Remover] = {
    "process": end_process,
    "directory": remove_directory,
    "kind-cluster": remove_kind_cluster,
    "namespace": remove_namespace,
    "container": remove_container,
    "volume": remove_volume,
}
"""How each kind of owned thing is removed; processes before everything else, the rest newest first."""

_FIRST = ("process", "kind-cluster")
"""Kinds that go before the rest: a namespace is gone with its cluster, whichever rehearsal owned either."""


def _rank(owned: Owned) -> int:
    return _FIRST.index(owned.kind) if owned.kind in _FIRST else len(_FIRST)


def clean(runs: Path, report: Callable[[str], None], removers: Mapping[str, Remover] | None = None) -> CleanResult:
    """Remove what dead runs below `runs` left behind, and write into their journals that it is gone.

    Args:
        report: called with one line as each thing is removed, left alone or found to live.
        removers: by kind; default `REMOVERS`.
    """
    removers = REMOVERS if removers is None else removers
    removed: list[str] = []
    refused: list[str] = []
    alive: list[str] = []
    needed: set[Path] = set()
    for run in sorted(find_runs(runs), key=lambda run: all(thing.kind != "kind-cluster" for thing in run.owned)):
        place = run.journal.parent
        if run.is_alive:
            assert run.harness is not None  # noqa: S101 - it is alive
            alive.append(f"{place}: left alone, it is running (pid {run.harness.pid})")
            report(alive[-1])
            continue
        newest_first = run.owned[::-1]
        for owned in sorted(newest_first, key=_rank):
            try:
                if run.harness is None:
                    raise Refused("the journal does not say which process ran it")
                if owned.kind not in removers:
                    raise Refused(f"nothing here knows how to remove a {owned.kind}")
                if Path(owned.name) in needed:
                    raise Refused("what was left is recognised by it")
                was_there = removers[owned.kind](owned)
            except (RehearsalError, OSError) as error:
                refused.append(f"{place}: left {owned}: {error}")
                report(refused[-1])
                if "kubeconfig" in owned.marks:
                    needed.add(Path(str(owned.marks["kubeconfig"])).parent)
                continue
            _write_gone(run.journal, owned)
            if was_there:
                removed.append(f"{place}: removed {owned}")
                report(removed[-1])
    return CleanResult(tuple(removed), tuple(refused), tuple(alive))


def _write_gone(path: Path, owned: Owned) -> None:
    with path.open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)  # it is not empty: it said that the run owns something
        if stream.read(1) != b"\n":  # the run's last line is cut short
            stream.write(b"\n")
    journal = Journal(path)
    journal.phase = "clean"
    journal.disown(owned.kind, owned.name)
    journal.close()
