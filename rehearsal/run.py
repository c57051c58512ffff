"""A run: several rehearsals with one set of options, one folder, one summary.

Both faces (the command line and pytest) go through here, so that they cannot differ. A run makes `RUNS/<run id>/`,
gives every scenario a folder and a cluster of its own, judges its record and writes its reports; whatever happens in
between, what the run created is removed again (or kept, when the user said so) and `RUNS/latest` points at it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rehearsal import __version__
from rehearsal.builtin_backup.service_file import read_service_file
from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.choosing import ClusterSession, Wish, open_session
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, RehearsalError, hint_clean
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import JOURNAL, Journal, Listener, Redactor
from rehearsal.judging import judge
from rehearsal.lifetime import close_cluster, own_ourselves, seeded_stores
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.options import Options
from rehearsal.performance import Setting
from rehearsal.record import Record, Trouble, read_record, write_record
from rehearsal.rehearse import rehearse
from rehearsal.report import Report, write_reports, write_run_summary
from rehearsal.roles import Cluster
from rehearsal.scenario import Scenario
from rehearsal.shell import Shell
from rehearsal.site_commands import SiteCommand
from rehearsal.values import make_deployment, read_values, redact_values
from rehearsal.verdicts import CLEAN_UP, Verdict, weigh, worst

SHARED = ".shared"
"""Folder of what the rehearsals of a run share, where they go on side by side."""

_MEMORY_NEED: Mapping[str, int] = {"s": 2 << 30, "m": 0, "l": 0}
"""Bytes that a local cluster of a size may take in the machine's memory: the small one only."""


@dataclass
class Performed:
    """One scenario of a run, done: its report, and what it means for the run."""

    scenario: Scenario
    folder: Path
    report: Report

    @property
    def outcome(self) -> Verdict:
        """A caught control counts as PASS; see `verdicts.weigh`."""
        return weigh(self.report.verdict, self.report.control, self.report.findings)


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _make_folder(runs: Path) -> Path:
    folder = runs.absolute() / _new_run_id()
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentUnfit(
            f"the run's folder cannot be made: {error.strerror}", where=str(folder), hint="give --runs DIR elsewhere"
        ) from error
    return folder


def _point_latest(runs: Path, folder: Path) -> None:
    """`RUNS/latest` → the run, swapped in one step; a file system without links does without."""
    link = runs / f".latest.{os.getpid()}"
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(runs / "latest")
    except OSError:
        link.unlink(missing_ok=True)


@dataclass
class Run:
    """A run in progress; a context manager that ends what its rehearsals shared.

    Args:
        options: as the user gave them.
        listeners: get every journal line of every rehearsal as it is written.

    Raises:
        ValuesError: values.yaml is malformed; nothing was started, no folder was made.
        EnvironmentUnfit: a tool is missing.
    """

    options: Options
    listeners: Sequence[Listener] = ()
    performed: list[Performed] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Commands to look into the clusters that `keep` left up."""
    at_once: int = field(default=1, init=False)
    """How many rehearsals go on at the same time."""
    trouble: RehearsalError | None = field(default=None, init=False)
    """What the rehearsals shared and could not be removed at the end; the run is INCONCLUSIVE then."""

    def __enter__(self) -> Self:
        values = read_values(self.options.values)
        self.deployment: Deployment = make_deployment(values)
        self._values_copy = redact_values(values)
        self._redactor = Redactor(self.deployment.secrets())
        self._service = read_service_file(self.options.backup_service) if self.options.backup_service else None
        if self._service is not None:
            self._redactor.learn(self._service.secrets())
        wish = Wish(
            self.options.cluster,
            self.options.pg_bin,
            _MEMORY_NEED[self.options.size],
            make_stand_ins,
            (self.deployment.postgres_image, self.deployment.file_image),
            pull=self.deployment.image_pull_policy != "Never",
            storage_class="" if self.deployment.storage_host_path else self.deployment.storage_class,
        )
        self.session: ClusterSession = open_session(wish)
        try:
            self.folder = _make_folder(self.options.runs)
            _point_latest(self.folder.parent, self.folder)
        except BaseException:
            self.session.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with hold_interrupts(patience=1):
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        # Removed first: a run that could not tidy up must never have said PASS, not even for a moment.
        if not self.options.keep:
            self._close_session()
        if self.performed:
            reports = [performed.report for performed in self.performed]
            write_run_summary(self.folder, reports, tidy=self.trouble is None)
        if self.trouble is not None and (error is not None or not self.performed):
            raise self.trouble

    def _close_session(self) -> None:
        """End what the rehearsals shared; a failure there is a trouble of each of them."""
        try:
            self.session.close()
        except (RehearsalError, OSError, KeyboardInterrupt) as error:
            what = error.what if isinstance(error, RehearsalError) else str(error) or "interrupted"
            self.trouble = EnvironmentUnfit(
                f"{Verdict.INCONCLUSIVE}: what this run created is not removed: {self._redactor.clean(what)}",
                where=error.where if isinstance(error, RehearsalError) else "",
                hint=hint_clean(self.folder.parent),
            )
            for performed in self.performed:
                self._note_trouble(performed, self.trouble)

    def _note_trouble(self, performed: Performed, trouble: RehearsalError) -> None:
        """Into the record of a rehearsal that is over, and its reports again."""
        record = read_record(performed.folder)
        _add_trouble(record, CLEAN_UP, trouble)
        write_record(performed.folder, record)
        judgement = judge(record, performed.folder)
        performed.report = write_reports(performed.folder, record, judgement, redactor=self._redactor)

    def explain_absence(self, scenario: Scenario) -> str:
        """Why this run cannot rehearse the scenario; "" when it can."""
        if not self.deployment.playing(scenario.loses):
            return f"values.yaml disables {', '.join(scenario.loses)}"
        if self._service is not None and isinstance(scenario.method, BuiltinS3):
            damages = "its damage is to a set of the stand-in's" if scenario.tampering is not None else ""
            reason = damages or scenario.method.why_stand_in()
            return f"--backup-service: {reason}" if reason else ""
        return ""

    def _with_service(self, scenario: Scenario) -> Scenario:
        """The scenario with its set written by the real services, where they were named."""
        if self._service is None or not isinstance(scenario.method, BuiltinS3):
            return scenario
        return replace(scenario, method=scenario.method.written_by(self._service))

    def perform(self, scenario: Scenario) -> Performed:
        """Rehearse one scenario, judge it, write its reports.

        Raises:
            KeyboardInterrupt: interrupted; what was created is removed, and the reports say how far it came.
        """
        scenario = self._with_service(scenario)
        folder = self.folder / scenario.name
        journal = Journal(folder / JOURNAL, self._redactor, self.listeners)
        failure: RehearsalError | None = None
        try:
            own_ourselves(journal)
            try:
                self._rehearse(scenario, folder, journal)
            except RehearsalError as error:
                failure = error
            finally:
                performed = self.conclude(scenario, failure)
                journal.write("verdict", verdict=performed.report.verdict, outcome=performed.outcome)
        finally:
            journal.close()
        return performed

    def prepare(self) -> None:
        """Make what the rehearsals share now, before any of them; its journal lies in a folder of its own.

        Raises:
            EnvironmentUnfit: it cannot be made; nothing of it is left.
        """
        folder = self.folder / SHARED
        journal = Journal(folder / JOURNAL, self._redactor, self.listeners)
        try:
            own_ourselves(journal)
            with journal.step("prepare"):
                self.session.prepare(folder, secrets.token_hex(16), journal, Shell(journal))
        finally:
            journal.close()

    def _rehearse(self, scenario: Scenario, folder: Path, journal: Journal) -> None:
        shell = Shell(journal)
        with self._cluster(folder, journal, shell) as cluster:
            rehearse(scenario, cluster, folder, self._setting(scenario, folder, shell), journal)

    @contextmanager
    def _cluster(self, folder: Path, journal: Journal, shell: Shell) -> Iterator[Cluster]:
        """A cluster of the rehearsal's own; closing it is part of the rehearsal, and a failure there is a trouble."""
        nonce = secrets.token_hex(16)
        cluster = self.session.open(folder, nonce, journal, shell)
        try:
            yield cluster
        finally:
            if self.options.keep:
                self.kept += cluster.look_inside()
                journal.note("kept: the cluster is left up; remove it with `rehearsal clean`", commands=self.kept)
            else:
                close_cluster(cluster, folder, journal)

    def _setting(self, scenario: Scenario, folder: Path, shell: Shell) -> Setting:
        options = self.options
        seed = Seed(options.seed, options.size, self.deployment.file_replicas)

        def site_command(option: str, command: str) -> SiteCommand | None:
            return SiteCommand(option, command, shell, folder) if command else None

        return Setting(
            deployment=self.deployment,
            values_copy=self._values_copy,
            seed=options.seed,
            size=options.size,
            run_id=self.folder.name,
            command=options.repeat(scenario.name, self.session.level),
            open_store=seeded_stores(seed, options.show_values),
            notes=self._notes(),
            before_backup=site_command("--before-backup", options.before_backup),
            after_backup=site_command("--after-backup", options.after_backup),
            after_restore=site_command("--after-restore", options.after_restore),
            start_services=site_command("--start-services", options.start_services),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = [f"cluster: {self.session.description}"]
        if self.at_once > 1:
            notes.append(f"up to {self.at_once} rehearsals at the same time (--jobs): each was slower than alone")
        if not self.options.values:
            notes.append("no values.yaml was given: the chart's defaults were rehearsed")
        if self.deployment.generated_passwords:
            made_up = ", ".join(self.deployment.generated_passwords)
            notes.append(f"passwords generated for the throwaway system: {made_up}")
        if self.deployment.disabled:
            notes.append(f"disabled in values.yaml, so not rehearsed: {', '.join(self.deployment.disabled)}")
        if self._service is not None:
            notes.append(f"--backup-service: sets of builtin-s3 are written and sealed by {self._service.told}")
        notes += [f"no claim protects {store.name}: hostPath" for store in self.deployment.stores if store.host_path]
        return tuple(notes)

    def conclude(self, scenario: Scenario, failure: RehearsalError | None = None) -> Performed:
        """Judge what was recorded.

        A rehearsal that could not even begin, or came to grief after its record was written, is INCONCLUSIVE.

        Args:
            failure: what broke outside of the rehearsal's own phases.
        """
        folder = self.folder / scenario.name
        try:
            record = read_record(folder)
        except RehearsalError as error:
            record = self._record_nothing(scenario, failure or error)
            folder.mkdir(exist_ok=True)  # a child may die before it made its folder
            write_record(folder, record)
        else:
            if failure is not None:
                _add_trouble(record, "after the last phase", failure)
                write_record(folder, record)
        report = write_reports(folder, record, judge(record, folder), redactor=self._redactor)
        performed = Performed(scenario, folder, report)
        self.performed.append(performed)
        return performed

    def _record_nothing(self, scenario: Scenario, error: RehearsalError) -> Record:
        return Record(
            tool_version=__version__,
            run_id=self.folder.name,
            scenario=scenario.name,
            title=scenario.title,
            started="",
            command=self.options.repeat(scenario.name, self.session.level),
            cluster=self.session.level,
            does_not_prove=self.session.does_not_prove,
            seed=self.options.seed,
            size=self.options.size,
            method=scenario.method.name,
            runbook=scenario.method.runbook,
            loss=scenario.loss.name,
            troubles=[Trouble(phase="before the first phase", message=error.what, where=error.where, hint=error.hint)],
        )

    @property
    def outcome(self) -> Verdict:
        """The worst outcome; INCONCLUSIVE when nothing ran, or when not everything was removed."""
        left = [Verdict.INCONCLUSIVE] if self.trouble is not None else []
        return worst([*left, *(performed.outcome for performed in self.performed)])


def _add_trouble(record: Record, phase: str, error: RehearsalError) -> None:
    record.troubles.append(Trouble(phase=phase, message=error.what, where=error.where, hint=error.hint))
