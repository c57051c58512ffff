"""gpg processes that stay: each is told the name of one small message after the other, and says what became of it.

Starting gpg takes longer than decrypting a small file. `gpg --multifile` reads file names from its standard input and
answers each with FILE_START … FILE_DONE, so a few processes do for any number of messages, each message is told by
itself, and the journal has a line a process. Messages and plaintexts lie in the scratch folder for the moment, never
more than a few of them; a message that expands to more than its share ends its process (SIGXFSZ, setrlimit(2)), and is
handed back together with nothing else lost.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from rehearsal.builtin_backup.gpg_words import Said
from rehearsal.errors import WaitTimeout
from rehearsal.launch import Process
from rehearsal.shell import Shell

SMALL = 1 << 20
"""Bytes; larger messages are not worth a lane: starting a process for each is cheaper than copying them."""

_LARGEST_OUTPUT = SMALL + (1 << 17)
_DEPTH = 6  # messages that wait at each process, so that none is idle while we hash
_WORN = 5000  # messages; then a new process, so that neither its log nor its memory grows
_PATIENCE = 300.0  # seconds without a word

JobT = TypeVar("JobT")


@dataclass(frozen=True)
class Answer(Generic[JobT]):
    """What gpg said of one message. `died`: gpg ended over it, and `said` is all that came before."""

    job: JobT
    name: str
    said: Said
    died: bool


class _Lane(Generic[JobT]):
    """One process."""

    def __init__(self, shell: Shell, process: Process, log: Path) -> None:
        ours, theirs = socket.socketpair()
        try:
            self.server = shell.attach(process, theirs.fileno(), name="gpg", log=log)
            with suppress(OSError, ValueError):  # gone already, which its silence will tell
                resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (_LARGEST_OUTPUT, _LARGEST_OUTPUT))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.connection = ours
        self.pending: deque[tuple[str, JobT]] = deque()
        self.given = 0
        self.heard = time.monotonic()
        self._said = Said()
        self._rest = b""

    def submit(self, name: str, job: JobT) -> None:
        if not self.pending:
            self.heard = time.monotonic()
        self.pending.append((name, job))
        self.given += 1
        with suppress(OSError):  # it ended: `receive` will tell
            self.connection.sendall(os.fsencode(name) + b"\n")

    def receive(self) -> tuple[list[Answer[JobT]], bool]:
        """What it said since, and whether it is still there."""
        try:
            data = self.connection.recv(1 << 16)
        except OSError:
            data = b""
        self.heard = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers: list[Answer[JobT]] = []
        for line in lines:
            if self._said.add(line) == "FILE_DONE":
                if not self._is_about_first():
                    return answers, False  # it lost count: nothing it says can be trusted any more
                answers.append(self._answer(died=False))
        return answers, bool(data)

    def _is_about_first(self) -> bool:
        """Whether what was said is about the message whose turn it is."""
        return bool(self.pending) and self._said.has("FILE_START", self.pending[0][0])

    def give_up(self) -> Answer[JobT] | None:
        """The message it ended over."""
        return self._answer(died=True) if self.pending else None

    def _answer(self, *, died: bool) -> Answer[JobT]:
        name, job = self.pending.popleft()
        answer = Answer(job, name, self._said, died)
        self._said = Said()
        return answer

    def close(self) -> None:
        self.connection.close()
        try:
            self.server.stop(signal.SIGTERM, 5.0)
        except WaitTimeout:
            self.server.kill()


class Lanes(Generic[JobT]):
    """Up to `count` processes. A context manager; they are started when there is something to do.

    Args:
        make: the process of lane N, to run in the scratch folder; it must read names and write status lines
            (`--status-fd 1 --multifile …`).
        log: where their other words go, for the moment.
    """

    def __init__(self, shell: Shell, make: Callable[[int], Process], count: int, log: Path) -> None:
        self._shell = shell
        self._make = make
        self._count = count
        self._log = log
        self._lanes: list[_Lane[JobT]] = []
        self._started = 0

    def __enter__(self) -> Lanes[JobT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._lanes:
            self._remove(self._lanes[0])

    @property
    def waiting(self) -> int:
        return sum(len(lane.pending) for lane in self._lanes)

    @property
    def is_full(self) -> bool:
        return self.waiting >= _DEPTH * self._count

    def submit(self, name: str, job: JobT) -> None:
        """Hand a message over: a file of that name in the scratch folder."""
        fresh = [lane for lane in self._lanes if lane.given < _WORN]
        lane = min(fresh, key=lambda lane: len(lane.pending), default=None)
        if lane is None or (len(lane.pending) > 1 and len(self._lanes) < self._count):
            lane = self._start()
        lane.submit(name, job)

    def _start(self) -> _Lane[JobT]:
        log = self._log.with_name(f"{self._log.name}-{self._started}")
        lane: _Lane[JobT] = _Lane(self._shell, self._make(self._started), log)
        self._started += 1
        self._lanes.append(lane)
        return lane

    def _remove(self, lane: _Lane[JobT]) -> None:
        self._lanes.remove(lane)
        lane.close()
        lane.server.log.unlink(missing_ok=True)

    def collect(self, *, wait: bool) -> Iterator[Answer[JobT]]:
        """The answers that are there; with `wait`, at least one where any is awaited."""
        while self.waiting:
            poll = select.poll()
            for lane in self._lanes:
                poll.register(lane.connection, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(1000 if wait else 0)}
            found = False
            for lane in tuple(self._lanes):
                if lane.connection.fileno() in ready:
                    answers, alive = lane.receive()
                elif lane.pending and time.monotonic() - lane.heard > _PATIENCE:
                    answers, alive = [], False
                else:
                    continue
                if not alive:
                    answers += self._replace(lane)
                elif lane.given >= _WORN and not lane.pending:
                    self._remove(lane)
                found = found or bool(answers)
                yield from answers
            if found or not wait:
                return

    def _replace(self, lane: _Lane[JobT]) -> list[Answer[JobT]]:
        """The first message of a process that ended is handed back; the others go to another one."""
        over = lane.give_up()
        left = tuple(lane.pending)
        lane.pending.clear()
        self._remove(lane)
        for name, job in left:
            self.submit(name, job)
        return [] if over is None else [over]
