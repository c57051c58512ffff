"""The whole proof: trials planned, made by worker processes, added up, written to docs/proof.json and docs/proof.md.

Progress is told as it goes, with an ETA from what the trials so far took. Interrupted, nothing is written and nothing
is left behind. Both files are written to a temporary name and renamed, the page first.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rehearsal import __version__
from rehearsal.backup_set import write_atomically
from rehearsal.checks import CHECKS
from rehearsal.errors import EnvironmentUnfit, UsageError
from rehearsal.proof.matrix import Proof, add_up
from rehearsal.proof.page import render_page
from rehearsal.proof.trials import TrialResult, pick_operators, plan_trials
from rehearsal.proof.workers import Workers
from rehearsal.tampering.every import BENIGN, OPERATORS

BENIGN_TOTAL = 300
"""The least number of benign rehearsals of a whole proof."""
PROOF_JSON, PROOF_PAGE = "proof.json", "proof.md"

Tell = Callable[[int, int, TrialResult, float], None]
"""Called with how many trials are done, of how many, the last result, and the seconds gone by."""


@dataclass(frozen=True)
class ProofOptions:
    """What is asked for; `only`: names of operators and benign changes, none for all of them.

    Attributes:
        seeds, benign_seeds: runs of each operator, rehearsals in which each benign change takes part.
        runs: where the proof's folder goes.
        docs: where proof.json and proof.md go.
        pg_bin: folder of PostgreSQL server binaries.
    """

    seeds: int = 3
    benign_seeds: int = 20
    jobs: int = 0
    only: tuple[str, ...] = ()
    runs: Path = Path("runs")
    docs: Path = Path("docs")
    pg_bin: Path | None = None

    def repeat(self) -> str:
        """The command line that repeats it."""
        words = ["rehearsal", "prove", "--seeds", str(self.seeds), "--benign-seeds", str(self.benign_seeds)]
        return shlex.join([*words, *(word for name in self.only for word in ("--only", name))])


@dataclass(frozen=True)
class Proven:
    """A proof that was made: the figure, every trial, and where it was written."""

    proof: Proof
    results: tuple[TrialResult, ...]
    folder: Path
    page: Path

    @property
    def kept(self) -> tuple[Path, ...]:
        """Folders of the trials that a person must look at."""
        return tuple(self.folder / result.kept for result in self.results if result.kept)


def prove(options: ProofOptions, tell: Tell = lambda *_: None) -> Proven:
    """Make the proof.

    Raises:
        UsageError: a name or a number makes no sense; nothing was started.
        EnvironmentUnfit: there are no server binaries, no room, no folder for the result.
        KeyboardInterrupt: interrupted; what was created is removed.
    """
    _refuse_nonsense(options)
    wanted = pick_operators([*OPERATORS, *BENIGN], options.only)
    operators = [one for one in wanted if not one.benign]
    benign = [one for one in wanted if one.benign]
    total = 0 if options.only or options.benign_seeds < ProofOptions.benign_seeds else BENIGN_TOTAL
    trials = plan_trials(operators, benign, options.seeds, options.benign_seeds, total)
    folder = _make_folder(options.runs)
    started = time.monotonic()
    results: list[TrialResult] = []
    try:
        with Workers(folder, min(options.jobs or _count_workers(), len(trials)), options.pg_bin) as workers:
            for result in workers.perform(trials):
                results.append(result)
                tell(len(results), len(trials), result, time.monotonic() - started)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    order = {trial: number for number, trial in enumerate(trials)}
    results.sort(key=lambda result: order[result.trial])
    proof = add_up(
        operators,
        benign,
        results,
        checks=tuple(CHECKS),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        tool_version=__version__,
        seconds=time.monotonic() - started,
    )
    page = _write(options, proof, results)
    if not any(folder.iterdir()):
        folder.rmdir()
    return Proven(proof, tuple(results), folder, page)


def _count_workers() -> int:
    """One more than processors: a trial waits for servers to start and to stop now and then."""
    return (os.cpu_count() or 1) + 1


def _write(options: ProofOptions, proof: Proof, results: Sequence[TrialResult]) -> Path:
    page = options.docs / PROOF_PAGE
    write_atomically(page, render_page(proof, results, options.repeat()))
    write_atomically(options.docs / PROOF_JSON, proof.model_dump_json(indent=1) + "\n")
    return page


def _refuse_nonsense(options: ProofOptions) -> None:
    for option, number in (("--seeds", options.seeds), ("--benign-seeds", options.benign_seeds)):
        if number < 1:
            raise UsageError(f"a proof needs one seed or more, found {number}", where=option, hint=f"{option} 3")
    if options.jobs < 0:
        raise UsageError(f"a proof needs one worker or more, found {options.jobs}", where="--jobs", hint="--jobs 2")
    if not options.docs.is_dir():
        raise UsageError("there is no such folder to write the proof to", where=str(options.docs), hint="--docs DIR")


def _make_folder(runs: Path) -> Path:
    folder = runs.absolute() / f"proof-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentUnfit(
            f"the proof's folder cannot be made: {error.strerror}", where=str(folder), hint="give --runs DIR elsewhere"
        ) from error
    return folder
