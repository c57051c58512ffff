"""Several rehearsals of one run at the same time, each in a child process of its own.

A rehearsal mostly waits (for pods, claims, probes), so two of them share a machine well. What they share is made first,
by the parent, which then only waits: a child is a fork that performs one scenario as the run would have, and hands back
its report. Each child has its own main thread, so that Ctrl-C is handled there as it is anywhere else.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from rehearsal.errors import EnvironmentUnfit
from rehearsal.interrupts import hold_interrupts
from rehearsal.report import Report
from rehearsal.run import Performed, Run
from rehearsal.scenario import Scenario

_PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that a child gets when its parent dies

Adapt = Callable[[Run, Scenario], None]
"""Called in the child before its rehearsal begins; a face changes the run's listeners there."""


@dataclass
class _Child:
    """A rehearsal that goes on in a process of its own."""

    scenario: Scenario
    process: ForkProcess
    answers: Connection


def perform_side_by_side(run: Run, scenarios: Sequence[Scenario], jobs: int, adapt: Adapt) -> Iterator[Performed]:
    """Perform the scenarios, at most `jobs` at a time; yields each as it ends, and keeps the run's order in `run`.

    Raises:
        EnvironmentUnfit: what they share cannot be made.
        KeyboardInterrupt: interrupted; every child has cleaned up behind itself.
    """
    run.at_once = jobs
    run.prepare()
    waiting, active = list(scenarios), list[_Child]()
    try:
        while waiting or active:
            while waiting and len(active) < jobs:
                active.append(_start(run, waiting.pop(0), adapt))
            ready = wait([child.answers for child in active])
            for child in [child for child in active if child.answers in ready]:
                performed = _receive(run, child)
                active.remove(child)
                yield performed
    except BaseException:
        _interrupt(active)
        raise
    finally:
        order = {scenario.name: place for place, scenario in enumerate(scenarios)}
        run.performed.sort(key=lambda performed: order[performed.scenario.name])


def _start(run: Run, scenario: Scenario, adapt: Adapt) -> _Child:
    answers, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    parent = os.getpid()
    process = context.Process(target=_perform, args=(run, scenario, sender, parent, adapt), name=scenario.name)
    process.start()
    sender.close()  # the child's end alone: its death is then seen here as the end of the answers
    return _Child(scenario, process, answers)


def _perform(run: Run, scenario: Scenario, sender: Connection, parent: int, adapt: Adapt) -> None:
    """The child: one rehearsal, its report sent back; an interruption ends it quietly, after its clean-up."""
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the parent alone, which passes it on once
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    with suppress(KeyboardInterrupt):
        if os.getppid() != parent:
            return
        run.performed, run.kept = [], []
        adapt(run, scenario)
        performed = run.perform(scenario)
        sender.send((str(performed.folder), performed.report.model_dump_json(), run.kept))


def _receive(run: Run, child: _Child) -> Performed:
    """The child's answer; a child that died without one learnt nothing: INCONCLUSIVE."""
    try:
        folder, report, kept = child.answers.recv()
    except EOFError:
        child.process.join()
        died = EnvironmentUnfit(
            f"the process that performed it died (status {child.process.exitcode})",
            where=child.scenario.name,
            hint="rehearsal clean; then repeat it with --jobs 1",
        )
        return run.conclude(child.scenario, died)
    child.process.join()
    performed = Performed(child.scenario, Path(folder), Report.model_validate_json(report))
    run.performed.append(performed)
    run.kept += kept
    return performed


def _interrupt(active: Sequence[_Child]) -> None:
    """End the children and wait for their clean-up, also when Ctrl-C comes a second time; a third one leaves them."""
    try:
        with hold_interrupts(patience=1):
            for child in active:
                child.process.terminate()
            for child in active:
                child.process.join()
    except KeyboardInterrupt as error:
        if any(child.process.is_alive() for child in active):
            error.add_note("rehearsals still clean up behind themselves; then: rehearsal clean")
        raise
