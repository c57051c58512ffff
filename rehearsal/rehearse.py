"""The conductor: one rehearsal from an empty cluster to a complete record, phase by phase.

It reads like a programme: deploy, seed, nonce, inventory, back up, marker, lose, prove the loss, restore, inventory.
It knows no store and no method by name, judges nothing, and lets no error escape: what broke is written into the
record, because a rehearsal that learnt nothing must say so. Only an interruption by the user goes on upwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rehearsal.backup_set import Artefact, read_manifest, verify_manifest, verify_set
from rehearsal.deployment import StoreSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.heartbeats import beating, read_heartbeat
from rehearsal.journal import Journal, now
from rehearsal.performance import Hook, Performance, Setting
from rehearsal.record import START_SERVICES, LossProof, MarkState, Record, SetRemarkState, StoreRecord, write_record
from rehearsal.record_redaction import clean_record
from rehearsal.roles import SETTLED, Cluster, Mark, Stage, Store
from rehearsal.scenario import Scenario
from rehearsal.stores.line_files import LineWriter

_RESERVED = 4 << 20
"""Bytes kept free on the disk until the record is written."""


class _Programme(Performance):
    """The phases, a method each."""

    def deploy(self) -> None:
        with self.all_runbook():
            self.cluster.deploy(self.setting.deployment)
        self.record.versions = dict(self.cluster.versions())

    def seed(self) -> None:
        def fill(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            del spec
            entry.seeded = dict(store.seed())

        self.across_stores(fill)

    def write_nonces(self) -> None:
        self._write_marks("nonce")

    def write_markers(self) -> None:
        self._write_marks("marker")

    def _write_marks(self, kind: str) -> None:
        def write(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            mark = store.write_mark(kind, f"{kind}-{self.setting.run_id}-{secrets.token_hex(8)}")
            setattr(entry, kind, _as_written(kind, mark))
            entry.claim_start = entry.claim_start or self.claim_uid(spec)

        self.across_stores(write)

    def take_inventory_before(self) -> None:
        def look(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            del spec
            entry.before = store.take_inventory("before")

        self.across_stores(look)

    def back_up(self) -> None:
        with beating(self.stage, self.stores, self.journal) as (stage, heartbeats):
            self.method.back_up(stage)
        self.record.notes += heartbeats.troubles
        for spec, _, entry in self.each_store():
            entry.heartbeat = heartbeats.states.get(spec.name)
        self.record.manifest = read_manifest(self.stage.backup_folder)

    def verify_set(self) -> None:
        manifest, folder = self.record.manifest, self.stage.backup_folder
        if manifest is not None:
            states = verify_set(folder, manifest.artefacts, self._keep_listing)
            self.record.artefacts = (*states, verify_manifest(folder, manifest))
        remarks = self.method.examine(self.stage)
        self.record.set_remarks = tuple(SetRemarkState.model_validate(asdict(remark)) for remark in remarks)

    def _keep_listing(self, artefact: Artefact, lines: list[bytes]) -> None:
        entry = self.record.store(artefact.store)
        if entry is not None:
            with LineWriter(self.folder, f"inventory/set/{artefact.store}/entries") as writer:
                for line in lines:
                    writer.write(line)
                entry.set_lines = writer.finish()

    def lose(self) -> None:
        for spec in self.stage.lost:
            entry = self.entry(spec)
            entry.loss = LossProof(
                claim_name=spec.claim,
                claim_before=self.claim_uid(spec),
                claim_after=None,
                claim_expected_new=not spec.host_path,
                leftovers=None,
            )
        with self.all_runbook():
            self.loss.lose(self.stage)

    def prove_loss(self) -> None:
        for spec in self.stage.lost:
            proof = self.entry(spec).loss
            if proof is not None:
                proof.claim_after = self.claim_uid(spec)
                proof.leftovers = self.stores[spec.name].leftovers()

    def restore(self) -> None:
        self.method.restore(self.stage)

    def take_inventory_after(self) -> None:
        def look(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            for mark in (entry.nonce, entry.marker):
                if mark is not None:
                    mark.found, mark.looked = store.read_mark(mark.kind), True
            if entry.heartbeat is not None:
                entry.heartbeat = read_heartbeat(store, entry.heartbeat, self.journal)
            entry.after = store.take_inventory("after")
            entry.claim_end = self.claim_uid(spec)

        self.across_stores(look)

    def take_inventory_settled(self) -> None:
        """Once more, of what was restored, now that the services run on it."""

        def look(spec: StoreSpec, store: Store, entry: StoreRecord) -> None:
            del spec
            if entry.lost:
                entry.settled = store.take_inventory(SETTLED)

        self.across_stores(look)


def _as_written(kind: str, mark: Mark) -> MarkState:
    return MarkState.model_validate(
        {"kind": kind, "place": mark.place, "written": mark.value, "written_at": mark.written_at}
    )


def _programme(performance: _Programme) -> Sequence[tuple[str, Callable[[], None]]]:
    """The phases in order, by name."""
    p, stage, setting = performance, performance.stage, performance.setting
    phases: list[tuple[str, Callable[[], None] | None]] = [
        ("deploy", p.deploy),
        ("seed", p.seed),
        ("before-backup command", _bind(setting.before_backup, stage)),
        ("tamper before nonce", lambda: p.note_damage(p.tampering.before_nonce(stage, p.method))),
        ("nonce", p.write_nonces),
        ("inventory before", p.take_inventory_before),
        ("tamper before backup", lambda: p.note_damage(p.tampering.before_backup(stage))),
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
        (START_SERVICES, _bind(setting.start_services, stage)),
        ("inventory settled", p.take_inventory_settled if setting.start_services else None),
    ]
    tampers = performance.tampers
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
    performance = _Programme(scenario, cluster, folder, setting, journal)
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
        _remove_private(performance.stage.private, journal)
        record.finished = now()
        write_record(folder, clean_record(record, journal.redactor))
        try:
            cluster.collect_logs(folder / "logs")
        except Exception as error:  # noqa: BLE001 - logs are a help, never a reason to lose the record
            journal.note(f"the cluster's logs could not be collected: {error}")
    return record


def _remove_private(folder: Path, journal: Journal) -> None:
    """The keys of the throw-away backup, and what a restore that broke left of it."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        journal.note(f"{folder} could not be removed: {error.strerror}")


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
