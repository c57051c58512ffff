"""One pipeline: its pipes, the bytes that pass through our hands, and the end of every stage.

How a stage is started is `shell.py`'s affair. Leaving a pipeline's context leaves no process and no open pipe: on an
error (deadline, Ctrl-C, a source that failed, a full disk) every stage is killed with its children before any end of a
pipe is closed, so that no stage can take a cut stream for a whole one.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Protocol

from rehearsal.errors import RehearsalError, WaitTimeout
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import Journal
from rehearsal.processes import has_ended, own_process
from rehearsal.roles import ByteSource
from rehearsal.streams import CHUNK, Complaints, Pump, Sink

_SHOWN_EVERY = 1.0
"""Seconds between two signs of life of a long command."""

_OWNED_AFTER = 1.0
"""Seconds; shorter commands are not worth two more lines of journal."""


class Child(Protocol):
    """A started process, the leader of its own session."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int:
        """Its exit status; negative: killed by that signal."""


Spawn = Callable[[int, int | None, int, int], Child]
"""Starts stage N with these descriptors as its standard input (None: empty), output and error."""


class Pipeline:
    """Stages, pipes and meters of one command.

    Args:
        command: as it is shown in messages.
        tools: argv[0] of every stage.
        spawn: starts a stage.
    """

    def __init__(self, journal: Journal, command: str, tools: Sequence[str], spawn: Spawn) -> None:
        self.command = command
        self.complaints = Complaints()
        self.statuses: tuple[int, ...] = ()
        self.seconds = 0.0
        self.pump: Pump | None = None
        self.sink: Sink | None = None
        self._journal = journal
        self._tools = tools
        self._spawn = spawn
        self._children: list[Child] = []
        self._owned = False
        self._shown = 0.0
        self._killed = False
        self._theirs: list[int] = []  # ends that only the stages may hold once they run
        self._ours = ExitStack()
        self._began = time.monotonic()

    def __enter__(self) -> Pipeline:
        return self

    def start(self, source: ByteSource | None, target: Path | IO[bytes] | None, hashed: bool = True) -> None:
        """Open the ends, start every stage, let the source flow."""
        self.sink = Sink(target, hashed)
        self._ours.callback(self.sink.close)
        reading: int | None = None
        if source is not None:
            reading, writing = self._make_pipe(ours=1)
            self.pump = Pump(source, writing, hashed)
            self._ours.callback(self.pump.close)
        self._out, out_end = self._make_pipe(ours=0)
        self._ours.callback(os.close, self._out)
        self._err, err_end = self._make_pipe(ours=0)
        self._ours.callback(os.close, self._err)
        for number in range(len(self._tools)):
            following, out = (None, out_end) if number == len(self._tools) - 1 else self._make_pipe()
            with hold_interrupts():
                self._children.append(self._spawn(number, reading, out, err_end))
            reading = following
        self._close_theirs()
        if self.pump is not None:
            self.pump.start()

    def _make_pipe(self, ours: int | None = None) -> tuple[int, int]:
        ends = os.pipe()
        with suppress(OSError):  # the user's share of pipe memory is spent: slower, not wrong
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, CHUNK)
        self._theirs += [end for side, end in enumerate(ends) if side != ours]
        return ends

    def _close_theirs(self) -> None:
        while self._theirs:
            os.close(self._theirs.pop())

    def carry(self, deadline: float) -> None:
        """Move bytes until every stage ended and both outputs are at their end.

        Raises:
            WaitTimeout: that did not come within `deadline` seconds of the start.
        """
        assert self.sink is not None  # noqa: S101 - start() made it
        takers: dict[int, Callable[[memoryview], None]] = {self._out: self.sink.add, self._err: self.complaints.add}
        poll = select.poll()
        for fd in takers:
            poll.register(fd, select.POLLIN)
        buffer = memoryview(bytearray(CHUNK))
        pause = 0.0002
        while takers or not all(has_ended(child.pid) for child in self._children):
            self._watch(deadline)
            if not takers:
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
                continue
            for fd, _ in poll.poll(100):
                if count := os.readv(fd, [buffer]):
                    takers[fd](buffer[:count])
                else:
                    poll.unregister(fd)
                    del takers[fd]
        if self.pump is not None:
            self.pump.cancel()
            if self.pump.error is not None:
                raise self.pump.error

    def _watch(self, deadline: float) -> None:
        if self._killed:
            raise RehearsalError(f"`{self.command}` was ended: the cluster is being removed")
        if self.pump is not None and self.pump.error is not None:
            raise self.pump.error
        seconds = time.monotonic() - self._began
        if seconds > deadline:
            stages = zip(self._tools, self._children, strict=True)
            running = [tool for tool, child in stages if not has_ended(child.pid)]
            state = f"still running: {', '.join(running)}" if running else "every stage ended, a child holds its output"
            raise WaitTimeout(f"`{self.command}` did not end within {deadline:g} s; {state}")
        if seconds > self._shown + _SHOWN_EVERY:
            self._shown = seconds
            self._journal.show(f"{self._tools[0]}: {seconds:.0f} s{self._say_bytes()}")
        if seconds > _OWNED_AFTER and not self._owned:
            self._owned = True
            for tool, child in zip(self._tools, self._children, strict=True):
                own_process(self._journal, child.pid, tool)

    def kill(self) -> None:
        """End it from another thread; the one that carries it gets an error."""
        self._killed = True

    def _kill_children(self) -> None:
        for child in self._children:  # not reaped yet, so the group is still its own
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _say_bytes(self) -> str:
        sent = self.pump.transfer.size if self.pump is not None else 0
        received = self.sink.transfer.size if self.sink is not None else 0
        said = [f"{size / 1e6:,.0f} MB {way}" for size, way in ((sent, "in"), (received, "out")) if size >= 1e6]
        return ", " + ", ".join(said) if said else ""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with hold_interrupts():
            if kind is not None:
                self._kill_children()
            self.statuses = tuple(child.wait() for child in self._children)
            self.seconds = time.monotonic() - self._began
            if self.pump is not None:
                self.pump.cancel()
            self._close_theirs()
            self._ours.close()
            if self._owned:
                for child in self._children:
                    self._journal.disown("process", str(child.pid))
