"""The conductor: one rehearsal from an empty cluster to a complete record, phase by phase.

It reads like a programme: deploy, seed, nonce, inventory, back up, marker, lose, prove the loss, restore, inventory.
It knows no store and no method by name, judges nothing, and lets no error escape: what broke is written into the
record, because a rehearsal that learnt nothing must say so. Only an interruption by the user goes on upwards.
"""

from __future__ import annotations

import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal import __version__
from rehearsal.backup_set import read_manifest, verify_set
from rehearsal.deployment import Deployment, StoreSpec
from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.journal import Journal, now
from rehearsal.record import (
    CommandOutcome,
    ControlPlan,
    LossProof,
    MarkState,
    PhaseTime,
    Record,
    StoreRecord,
    Trouble,
    write_record,
)
from rehearsal.roles import Cluster, ExecResult, Mark, Stage, Store
from rehearsal.scenario import Scenario
from rehearsal.tampering import Harmless

_RESERVED = 4 << 20
"""Bytes kept free on the disk until the record is written."""

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
        after_backup, after_restore: the site's own commands.
    """

    deployment: Deployment
    values_copy: str
    seed: int
    size: str
    run_id: str
    command: str
    open_store: Callable[[StoreSpec, Cluster, Path, Journal], Store]
    notes: tuple[str, ...] = ()
    after_backup: Hook | None = None
    after_restore: Hook | None = None


class _Performance:
    """The state of one rehearsal while it runs: the record being filled, and the phase that is on."""

    def __init__(self, scenario: Scenario, cluster: Cluster, folder: Path, setting: Setting, journal: Journal) -> None:
        self.cluster = cluster
        self.setting = setting
        self.journal = journal
        self.folder = folder
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

    # The programme, a method a phase.

    def deploy(self) -> None:
        with self._all_runbook():
            self.cluster.deploy(self.setting.deployment)
        self.record.versions = dict(self.cluster.versions())

    def seed(self) -> None:
        def fill(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            del spec
            entry.seeded = dict(store.seed())

        self._across_stores(fill)

    def write_nonces(self) -> None:
        self._write_marks("nonce")

    def write_markers(self) -> None:
        self._write_marks("marker")

    def _write_marks(self, kind: str) -> None:
        def write(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            mark = store.write_mark(kind, f"{kind}-{self.setting.run_id}-{secrets.token_hex(8)}")
            setattr(entry, kind, _as_written(kind, mark))
            entry.claim_start = entry.claim_start or self._claim_uid(spec)

        self._across_stores(write)

    def take_inventory_before(self) -> None:
        def look(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            del spec
            entry.before = store.take_inventory("before")

        self._across_stores(look)

    def back_up(self) -> None:
        self.method.back_up(self.stage)
        self.record.manifest = read_manifest(self.stage.backup_folder)

    def verify_set(self) -> None:
        if self.record.manifest is not None:
            self.record.artefacts = verify_set(self.stage.backup_folder, self.record.manifest.artefacts)

    def lose(self) -> None:
        for spec in self.stage.lost:
            entry = self._entry(spec)
            entry.loss = LossProof(
                claim_name=spec.claim,
                claim_before=self._claim_uid(spec),
                claim_after=None,
                claim_expected_new=not spec.host_path,
                leftovers=None,
            )
        with self._all_runbook():
            self.loss.lose(self.stage)

    @contextmanager
    def _all_runbook(self) -> Iterator[None]:
        """Deploying (`deploy.bash`), scaling and deleting are the runbook's own commands from the first to the last."""
        started, before = time.monotonic(), self._command_seconds
        yield
        self._command_seconds = before + time.monotonic() - started

    def prove_loss(self) -> None:
        for spec in self.stage.lost:
            proof = self._entry(spec).loss
            if proof is not None:
                proof.claim_after = self._claim_uid(spec)
                proof.leftovers = self.stores[spec.name].leftovers()

    def restore(self) -> None:
        self.method.restore(self.stage)

    def take_inventory_after(self) -> None:
        def look(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            for mark in (entry.nonce, entry.marker):
                if mark is not None:
                    mark.found, mark.looked = store.read_mark(mark.kind), True
            entry.after = store.take_inventory("after")
            entry.claim_end = self._claim_uid(spec)

        self._across_stores(look)

    def _across_stores(self, work: Callable[[StoreSpec, Store, StoreRecord], None]) -> None:
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

    def _entry(self, spec: StoreSpec) -> StoreRecord:
        entry = self.record.store(spec.name)
        if entry is None:
            raise LookupError(spec.name)
        return entry

    def _claim_uid(self, spec: StoreSpec) -> str | None:
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


def _as_written(kind: str, mark: Mark) -> MarkState:
    return MarkState.model_validate(
        {"kind": kind, "place": mark.place, "written": mark.value, "written_at": mark.written_at}
    )


def _say(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    return f"{type(error).__name__}: {error}"


def _programme(performance: _Performance) -> Sequence[tuple[str, Callable[[], None]]]:
    """The phases in order, by name."""
    p, stage, setting = performance, performance.stage, performance.setting
    phases: list[tuple[str, Callable[[], None] | None]] = [
        ("deploy", p.deploy),
        ("seed", p.seed),
        ("tamper before nonce", lambda: p.note_damage(p.tampering.before_nonce(stage, p.method))),
        ("nonce", p.write_nonces),
        ("inventory before", p.take_inventory_before),
        ("back up", p.back_up),
        ("marker", p.write_markers),
        ("tamper with the set", lambda: p.note_damage(p.tampering.after_backup(stage))),
        ("after-backup command", _bind(setting.after_backup, stage)),
        ("look at the set", p.verify_set),
        ("lose", p.lose),
        ("prove the loss", p.prove_loss),
        ("restore", p.restore),
        ("tamper with the system", lambda: p.note_damage(p.tampering.after_restore(stage))),
        ("after-restore command", _bind(setting.after_restore, stage)),
        ("inventory after", p.take_inventory_after),
    ]
    tampers = performance.record.control is not None
    return [(name, step) for name, step in phases if step and (tampers or not name.startswith("tamper"))]


def _bind(hook: Hook | None, stage: Stage) -> Callable[[], None] | None:
    return None if hook is None else lambda: hook(stage)


def rehearse(scenario: Scenario, cluster: Cluster, folder: Path, setting: Setting, journal: Journal) -> Record:
    """Perform one rehearsal and return its record, also written to `record.json` in `folder`.

    The cluster is not closed: its owner does, after the logs were collected here.

    Args:
        scenario: what is lost, how it comes back, what is tampered with.
        cluster: empty, this run's own.
        folder: the rehearsal's folder; evidence is written below it.
        setting: everything else.

    Raises:
        KeyboardInterrupt: the user interrupted it; the record says how far it came.
    """
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    reserve = _reserve_room(folder)
    performance = _Performance(scenario, cluster, folder, setting, journal)
    record = performance.record
    try:
        if not performance.stage.lost:
            raise EnvironmentUnfit(f"this deployment has none of the stores that are lost: {', '.join(scenario.loses)}")
        for name, step in _programme(performance):
            with performance.phase(name):
                step()
        record.completed = True
    except Exception as error:  # noqa: BLE001 - whatever broke is evidence that we learnt nothing, and is recorded
        reserve.unlink(missing_ok=True)
        journal.forgive()
        performance.note_trouble(journal.phase or "rehearsal", error)
    except BaseException as error:
        performance.note_trouble(journal.phase or "rehearsal", error)
        raise
    finally:
        reserve.unlink(missing_ok=True)
        record.finished = now()
        write_record(folder, _cleaned(record, journal))
        try:
            cluster.collect_logs(folder / "logs")
        except Exception as error:  # noqa: BLE001 - logs are a help, never a reason to lose the record
            journal.note(f"the cluster's logs could not be collected: {error}")
    return record


def _reserve_room(folder: Path) -> Path:
    """A file that keeps room on the disk, so that a record and a report can still say that it was full."""
    reserve = folder / ".reserve"
    try:
        with reserve.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, _RESERVED)
    except OSError as error:
        reserve.unlink(missing_ok=True)
        raise EnvironmentUnfit(
            f"there is no room for a rehearsal: {error.strerror}",
            where=str(folder),
            hint=f"df -h {folder}; or give --runs DIR on another disk",
        ) from error
    return reserve


def _cleaned(record: Record, journal: Journal) -> Record:
    """The record with every secret taken out; nothing of it should hold one, and nothing is left to chance."""
    data: Mapping[str, object] = journal.redactor.clean_value(record.model_dump(mode="json"))
    return Record.model_validate(data)
