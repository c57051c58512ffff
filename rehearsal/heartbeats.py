"""Heartbeats: while the backup runs, a number and an instant are written into every store, about twice a second.

After the restore each store says which one it came back with, so a report can tell to which moment it was restored, and
how far apart the stores are. A database takes them at any time: a dump sees one snapshot. A file-storage replica takes
none while a command of the backup runs in its pod: tar would say "file changed as we read it" (status 1), and a copy
that is held against the pod, file by file, would look short. So its moment is the last beat before its copy began, and
that is the honest one: what was uploaded later may or may not be in it. What fails here is a note, never a verdict.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

from rehearsal.deployment import StoreSpec
from rehearsal.errors import RehearsalError
from rehearsal.journal import Journal, now
from rehearsal.record import HeartbeatState
from rehearsal.roles import Cluster, Stage, Store

KIND = "heartbeat"
INTERVAL = 0.5
"""Seconds between two beats of a store …"""
_REST = 4
"""… or so many times what a beat took, where that is longer: at most a fifth of the time is spent on beats."""
_GATE_POLL = 0.02
_PATIENCE = 15.0
"""Seconds to wait for the first beat, and for the last; a beat in a pod has 10."""


class _GatedCluster:
    """The cluster as the backup sees it: its commands in a gated pod keep heartbeats out while they run."""

    def __init__(self, inner: Cluster, gates: Mapping[str, threading.Lock]) -> None:
        self._inner = inner
        self._gates = gates

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def _closed(self, pod: str) -> Iterator[None]:
        gate = self._gates.get(pod)
        if gate is None:
            yield
            return
        with gate:
            yield

    def exec(self, pod: str, *arguments: Any, **options: Any) -> Any:
        with self._closed(pod):
            return self._inner.exec(pod, *arguments, **options)

    def copy_out(self, pod: str, *arguments: Any, **options: Any) -> Any:
        with self._closed(pod):
            return self._inner.copy_out(pod, *arguments, **options)

    def copy_in(self, source: Any, pod: str, *arguments: Any, **options: Any) -> Any:
        with self._closed(pod):
            return self._inner.copy_in(source, pod, *arguments, **options)


@dataclass
class _Pulse:
    """One store's beats, in a thread of its own, so that a slow store does not slow the others."""

    store: Store
    gate: threading.Lock | None
    numbers: Iterator[int]
    stop: threading.Event
    began: threading.Event = field(default_factory=threading.Event)
    state: HeartbeatState | None = None
    error: str = ""

    def run(self) -> None:
        try:
            with self.store.repeat_mark(KIND) as write:
                while not self.stop.is_set():
                    started = time.monotonic()
                    if self.gate is not None and not self.gate.acquire(blocking=False):
                        self.stop.wait(_GATE_POLL)
                        continue
                    try:
                        at = now()
                        self._note(write(f"{next(self.numbers):010d} {at}").place, at)
                    finally:
                        if self.gate is not None:
                            self.gate.release()
                    self.began.set()
                    self.stop.wait(max(INTERVAL, _REST * (time.monotonic() - started)))
        except Exception as error:  # noqa: BLE001 - whatever broke, the backup is not to hear of it
            self.error = str(error) or repr(error)
        finally:
            self.began.set()

    def _note(self, place: str, at: str) -> None:
        if self.state is None:
            self.state = HeartbeatState(place=place, beats=1, first_at=at, last_at=at)
        else:
            self.state = self.state.model_copy(update={"beats": self.state.beats + 1, "last_at": at})


@dataclass
class Heartbeats:
    """What was written: by store, and what went wrong."""

    states: dict[str, HeartbeatState] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


@contextmanager
def beating(stage: Stage, stores: Mapping[str, Store], journal: Journal) -> Iterator[tuple[Stage, Heartbeats]]:
    """Beat into every store from before the body begins until it ends.

    Yields the stage to back up with, which knows when a pod wants no heartbeat, and the heartbeats, complete once the
    body ended.
    """
    gates = {spec.pod: threading.Lock() for spec in stage.stores if spec.kind == "files"}
    stop, numbers = threading.Event(), count(1)
    pulses = {
        spec.name: _Pulse(stores[spec.name], gates.get(spec.pod), numbers, stop) for spec in _known(stage, stores)
    }
    threads = [threading.Thread(target=p.run, name=f"heartbeat {name}", daemon=True) for name, p in pulses.items()]
    heartbeats = Heartbeats()
    for thread in threads:
        thread.start()
    patience = time.monotonic() + _PATIENCE
    for pulse in pulses.values():
        pulse.began.wait(max(0.0, patience - time.monotonic()))
    try:
        yield replace(stage, cluster=cast(Cluster, _GatedCluster(stage.cluster, gates))), heartbeats
    finally:
        stop.set()
        patience = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, patience - time.monotonic()))
        _gather(heartbeats, pulses, threads, journal)


def _known(stage: Stage, stores: Mapping[str, Store]) -> list[StoreSpec]:
    return [spec for spec in stage.stores if spec.name in stores]


def _gather(
    heartbeats: Heartbeats, pulses: Mapping[str, _Pulse], threads: list[threading.Thread], journal: Journal
) -> None:
    troubles = []
    for (name, pulse), thread in zip(pulses.items(), threads, strict=True):
        if pulse.state is not None:
            heartbeats.states[name] = pulse.state
        if pulse.error or thread.is_alive():
            troubles.append(f"no more heartbeats into {name}: {pulse.error or 'the last one never ended'}")
    heartbeats.troubles = tuple(journal.redactor.clean(trouble) for trouble in troubles)
    beats = {name: state.beats for name, state in heartbeats.states.items()}
    journal.note("heartbeats written during the backup", beats=beats, troubles=heartbeats.troubles)


def read_heartbeat(store: Store, state: HeartbeatState, journal: Journal) -> HeartbeatState:
    """The state with what is in the store now; as it was where the store cannot be asked."""
    try:
        found = store.read_mark(KIND)
    except RehearsalError as error:
        journal.note(f"no heartbeat could be read from {store.spec.name}: {error.what}")
        return state
    number, _, at = (found or "").partition(" ")
    if not number.isdecimal() or not at:
        return state.model_copy(update={"looked": True})
    return state.model_copy(update={"looked": True, "found_beat": int(number), "found_at": at})
