"""What a rehearsal holds while it runs: the record being filled, the phase that is on, the stores at hand.

Every phase is journalled and timed here, and what breaks is written down here, once. What the phases do, and in which
order, is `rehearse.py`'s affair.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal import __version__
from rehearsal.deployment import Deployment, StoreSpec
from rehearsal.errors import RehearsalError
from rehearsal.journal import Journal, now
from rehearsal.record import CommandOutcome, ControlPlan, PhaseTime, Record, StoreRecord, Trouble
from rehearsal.roles import Cluster, ExecResult, Stage, Store
from rehearsal.scenario import Scenario
from rehearsal.tampering import Harmless

Hook = Callable[[Stage], None]
"""A site's own command between two phases; raises RehearsalError when it fails."""


@dataclass(frozen=True)
class Setting:
    """Everything about a rehearsal but the scenario and the cluster.

    Attributes:
        deployment: what is deployed.
        values_copy: text of the merged values.yaml without secrets, for the backup set.
        seed, size: of the data.
        run_id: of the run that this rehearsal belongs to.
        command: the command line to repeat it.
        open_store: makes the Store for a spec on a cluster.
        notes: remarks for the report.
        before_backup, after_backup, after_restore, start_services: the site's own commands.
    """

    deployment: Deployment
    values_copy: str
    seed: int
    size: str
    run_id: str
    command: str
    open_store: Callable[[StoreSpec, Cluster, Path, Journal], Store]
    notes: tuple[str, ...] = ()
    before_backup: Hook | None = None
    after_backup: Hook | None = None
    after_restore: Hook | None = None
    start_services: Hook | None = None


class Performance:
    """The state of one rehearsal while it runs: the record being filled, and the phase that is on."""

    def __init__(self, scenario: Scenario, cluster: Cluster, folder: Path, setting: Setting, journal: Journal) -> None:
        self.cluster = cluster
        self.setting = setting
        self.journal = journal
        self.folder = folder
        self.tampers = scenario.tampering is not None
        self.tampering = scenario.tampering or Harmless()
        self.method = self.tampering.method(scenario.method)
        self.loss = self.tampering.loss(scenario.loss)
        deployment = setting.deployment
        lost = deployment.playing(scenario.loses)
        self.stage = Stage(
            cluster=cluster,
            deployment=deployment,
            stores=deployment.stores,
            lost=lost,
            backup_folder=folder / "backup",
            logs=folder / "logs",
            private=folder / "private",
            run_id=setting.run_id,
            values_copy=setting.values_copy,
            journal=journal,
            report_command=self.report_command,
        )
        self.stores = {spec.name: setting.open_store(spec, cluster, folder, journal) for spec in deployment.stores}
        self.record = Record(
            tool_version=__version__,
            run_id=setting.run_id,
            scenario=scenario.name,
            title=scenario.title,
            started=now(),
            command=setting.command,
            cluster=cluster.level,
            does_not_prove=tuple(cluster.does_not_prove),
            seed=setting.seed,
            size=setting.size,
            method=self.method.name,
            runbook=self.method.runbook,
            not_carried=self.method.not_carried,
            loss=self.loss.name,
            control=_plan_control(scenario),
            values_sources=deployment.sources,
            notes=setting.notes,
            not_rehearsed=deployment.disabled,
            stores=[StoreRecord(name=spec.name, kind=spec.kind, lost=spec in lost) for spec in deployment.stores],
        )
        self._command_seconds = 0.0

    def report_command(self, store: str, result: ExecResult) -> None:
        self._command_seconds += result.seconds
        self.record.commands.append(
            CommandOutcome(
                phase=self.journal.phase,
                store=store,
                command=result.command,
                status=result.status,
                error_lines=result.error_lines,
                seconds=round(result.seconds, 3),
            )
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """One phase: journalled, timed; an error becomes a trouble in the record and ends the rehearsal."""
        started, before, error = time.monotonic(), self._command_seconds, ""
        try:
            with self.journal.step(name):
                yield
        except Exception as caught:
            self.journal.forgive()
            error = str(caught) or repr(caught)
            self.note_trouble(name, caught)
            raise
        except BaseException:
            error = "interrupted"
            raise
        finally:
            self.record.phases.append(
                PhaseTime(
                    name=name,
                    seconds=round(time.monotonic() - started, 3),
                    command_seconds=round(self._command_seconds - before, 3),
                    error=self.journal.redactor.clean(error),
                )
            )

    def note_trouble(self, phase: str, error: BaseException) -> None:
        """Write what broke into the record, its traceback into `logs/`, once."""
        if getattr(error, "_rehearsal_noted", False):
            return
        error._rehearsal_noted = True  # type: ignore[attr-defined]
        clean = self.journal.redactor.clean
        log = f"logs/trouble-{len(self.record.troubles)}.txt"
        try:
            (self.folder / log).write_text(clean("".join(traceback.format_exception(error))), encoding="utf-8")
        except OSError:
            log = ""  # a full disk must not hide what broke
        ours = error if isinstance(error, RehearsalError) else None
        trouble = Trouble(
            phase=phase,
            message=clean(ours.what if ours else _say(error)),
            where=clean(ours.where) if ours else "",
            hint=clean(ours.hint) if ours else "",
            log=log,
        )
        self.record.troubles.append(trouble)
        self.journal.write("trouble", **trouble.model_dump())

    def each_store(self) -> Iterator[tuple[StoreSpec, Store, StoreRecord]]:
        for spec, entry in zip(self.setting.deployment.stores, self.record.stores, strict=True):
            yield spec, self.stores[spec.name], entry

    def note_damage(self, damaged: str) -> None:
        if damaged and self.record.control:
            self.record.control.damaged += (damaged,)
            self.journal.note(f"tampering: {self.record.control.tampering}: {damaged}")

    @contextmanager
    def all_runbook(self) -> Iterator[None]:
        """Deploying (`deploy.bash`), scaling and deleting are the runbook's own commands from the first to the last."""
        started, before = time.monotonic(), self._command_seconds
        yield
        self._command_seconds = before + time.monotonic() - started

    def across_stores(self, work: Callable[[StoreSpec, Store, StoreRecord], None]) -> None:
        """Do the same with every store, side by side; each thread touches its own store's entry only.

        Interrupted, it does not wait: closing the cluster ends what the other threads still run.
        """
        pool = ThreadPoolExecutor(len(self.record.stores), thread_name_prefix="store")
        try:
            for done in [pool.submit(work, *triple) for triple in self.each_store()]:
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()

    def entry(self, spec: StoreSpec) -> StoreRecord:
        entry = self.record.store(spec.name)
        if entry is None:
            raise LookupError(spec.name)
        return entry

    def claim_uid(self, spec: StoreSpec) -> str | None:
        identity = None if spec.host_path else self.cluster.claim_identity(spec.claim)
        return identity.uid if identity else None


def _plan_control(scenario: Scenario) -> ControlPlan | None:
    if scenario.expects is None:
        return None
    tampering = scenario.tampering or Harmless()
    return ControlPlan(
        tampering=tampering.name,
        why=tampering.why,
        expects_check=scenario.expects.check,
        expects_subject=scenario.expects.subject,
    )


def _say(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    return f"{type(error).__name__}: {error}"
