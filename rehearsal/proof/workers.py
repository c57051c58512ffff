"""Worker processes of a proof: each has its own cluster session and does one trial after the other.

A worker has a session of its own, so Ctrl-C reaches the proof alone, which then asks each to stop and waits while it
removes its cluster. A worker that dies takes one trial with it, INCONCLUSIVE, and is replaced; a trial that does not
end is stopped the same way. If the proof itself is killed, its workers read the end of their pipe and go too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from rehearsal.errors import EnvironmentUnfit, RehearsalError, hint_clean
from rehearsal.proof.performing import Workshop
from rehearsal.proof.trials import Outcome, Trial, TrialResult

TRIAL_DEADLINE = 300.0
"""Seconds; a trial takes about three."""
_STOP_DEADLINE = 90.0
_POLL = 1.0
_MOST_DEATHS = 20
READY = "ready"
"""What a worker says first: only then does its first trial's time begin."""


def work(trials: Connection, folder: Path, name: str, pg_bin: Path | None) -> None:
    """What a worker process does: read trials, send results, until None or the pipe's end."""
    os.setsid()
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        del number, frame
        if not stopping:  # once: a second one would interrupt the tidying up
            stopping = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        try:
            with Workshop(folder, name, pg_bin) as workshop:
                trials.send(READY)
                while (trial := trials.recv()) is not None:
                    trials.send(workshop.perform(trial))
        except RehearsalError as error:
            trials.send(error)


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    trial: Trial | None = None
    started: float = 0.0
    ready: bool = False
    late: bool = False

    def give(self, trial: Trial) -> None:
        self.trial, self.started = trial, time.monotonic()
        with suppress(OSError):  # it died meanwhile: its pipe's end says so
            self.pipe.send(trial)

    def note_ready(self) -> None:
        self.ready, self.started = True, time.monotonic()

    def stop_late(self) -> None:
        """Stop a trial that does not end; its pipe's end will be read as a worker that died."""
        if self.trial is not None and self.ready and not self.late and time.monotonic() - self.started > TRIAL_DEADLINE:
            self.late = True
            self.process.terminate()

    def explain_death(self) -> TrialResult:
        assert self.trial is not None  # noqa: S101 - it had one
        self.process.join(_STOP_DEADLINE)
        why = f"not over after {TRIAL_DEADLINE:g} s" if self.late else f"its worker ended: {self.process.exitcode}"
        return TrialResult(self.trial, Outcome.INCONCLUSIVE, told=(why,), kept=self.trial.folder)


class Workers:
    """A handful of worker processes; a context manager that ends them.

    Args:
        folder: the proof's.
        count: how many.
        target: what a worker runs; `work`, unless a test says otherwise.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        pg_bin: Path | None = None,
        target: Callable[[Connection, Path, str, Path | None], None] = work,
    ) -> None:
        self._folder = folder
        self._pg_bin = pg_bin
        self._target = target
        self._count = count
        self._born = 0
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            if worker.trial is not None:
                worker.process.terminate()
            with suppress(OSError):
                worker.pipe.send(None)
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(_STOP_DEADLINE)
        left = [worker.process.pid for worker in self._workers if worker.process.is_alive()]
        if left:
            raise EnvironmentUnfit(
                f"workers do not end: pid {', '.join(map(str, left))}",
                hint=hint_clean(self._folder.parent),
            )

    def perform(self, trials: Sequence[Trial]) -> Iterator[TrialResult]:
        """Results as they come.

        Raises:
            RehearsalError: a worker cannot work at all (no server binaries, no room).
        """
        waiting = list(reversed(trials))
        deaths = 0
        while waiting or any(worker.trial for worker in self._workers):
            while waiting and len(self._workers) < self._count:
                self._hire()
            for worker in self._workers:
                if waiting and worker.trial is None:
                    worker.give(waiting.pop())
            busy = {worker.pipe: worker for worker in self._workers if worker.trial is not None}
            for pipe in wait(list(busy), _POLL):
                worker = busy[pipe]  # type: ignore[index]
                result = self._read(worker)
                if result == READY:
                    worker.note_ready()
                elif not isinstance(result, TrialResult):
                    deaths += 1
                    yield worker.explain_death()
                    self._workers.remove(worker)
                    worker.pipe.close()
                    if deaths > _MOST_DEATHS:
                        raise EnvironmentUnfit(
                            f"{deaths} workers died; the last one said nothing", where=str(self._folder)
                        )
                else:
                    worker.trial = None
                    yield result
            for worker in self._workers:
                worker.stop_late()

    def _read(self, worker: _Worker) -> TrialResult | str | None:
        """What it sent: a result or `READY`; None when it is gone."""
        try:
            said: object = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(said, TrialResult | str):
            return said
        raise said if isinstance(said, RehearsalError) else EnvironmentUnfit(f"a worker said {said!r}")

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        name = f"worker-{self._born}"
        self._born += 1
        process = context.Process(target=self._target, args=(theirs, self._folder, name, self._pg_bin), name=name)
        with _ignoring_interrupts():  # until it listens itself
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
