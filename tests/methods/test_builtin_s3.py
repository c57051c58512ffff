"""The method on real servers of this machine: what comes back, what is refused, and that no key outlives it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rehearsed import open_session
from rehearsed import perform as perform_scenario

from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.clusters.local_session import LocalSession
from rehearsal.journal import Journal
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods import throwaway_keys
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.record import Record
from rehearsal.roles import Cluster, S3Coordinates
from rehearsal.scenario import Expectation, Scenario
from rehearsal.shell import Shell
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator
from rehearsal.tampering.rewiring import Rewired
from rehearsal.verdicts import Finding, Judgement, Verdict

OVER_TABLES = REGISTRY["built-in dump restored over tables that a service has made"]
PASSPHRASE = "a-passphrase-of-this-test"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSession]:
    with open_session(tmp_path_factory.mktemp("session")) as session:
        yield session


def perform(
    session: LocalSession, folder: Path, method: BuiltinS3, *loses: str, operator: Operator | None = None
) -> tuple[Record, Judgement]:
    scenario = Scenario(
        name="s3",
        title="",
        loses=loses,
        loss=DELETE_CLAIMS,
        method=method,
        tampering=operator,
        expects=Expectation(operator.checks[0]) if operator else None,
    )
    return perform_scenario(session, folder, scenario)


def pick(judgement: Judgement, check: str) -> list[Finding]:
    return [finding for finding in judgement.findings if finding.check == check]


def test_everything_comes_back_from_the_archive_and_no_passphrase_is_left(
    session: LocalSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throwaway_keys.secrets, "token_urlsafe", lambda _: PASSPHRASE)
    record, judgement = perform(session, tmp_path, BuiltinS3(restore_from="archive", sealed_by="passphrase"), "*")
    assert judgement.verdict is Verdict.PASS, [f.message for f in judgement.findings if f.verdict is not Verdict.PASS]
    assert "stand-in" in record.runbook
    assert {finding.verdict for finding in pick(judgement, "set-contents")} == {Verdict.PASS}
    (files,) = pick(judgement, "files")
    assert "empty directories did not come back: such a backup holds files alone" in files.message
    assert not (tmp_path / "private").exists()
    read = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(read) > 20
    assert not [path for path in read if PASSPHRASE.encode() in path.read_bytes()]


class ServesElsewhere:
    """Clusters with an S3 server inside, which has the set's content only while it is open, as a pod's has."""

    def __init__(self, session: LocalSession, inside: Path) -> None:
        self.session = session
        self.inside = inside
        self.opened: list[bool] = []

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> Cluster:
        cluster = self.session.open(folder, nonce, journal, shell)

        @contextmanager
        def serve(storage: Path, *, to_write: bool) -> Iterator[S3Coordinates]:
            self.opened.append(to_write)
            shutil.copytree(storage, self.inside)
            with S3Server(shell, self.inside, self.inside.with_suffix(".log"), buckets=()) as server:
                yield S3Coordinates(server.endpoint, server.access_key, server.secret_key)
            if to_write:
                shutil.rmtree(storage)
                shutil.copytree(self.inside, storage)
            shutil.rmtree(self.inside)

        return cast(Cluster, Rewired(cluster, {"serve_s3": serve}))


def test_a_server_inside_the_cluster_is_used_where_there_is_one(session: LocalSession, tmp_path: Path) -> None:
    elsewhere = ServesElsewhere(session, tmp_path / "inside")
    record, judgement = perform(
        cast(LocalSession, elsewhere), tmp_path / "run", BuiltinS3(sealed_by="passphrase"), "session-db"
    )
    assert judgement.verdict is Verdict.PASS, [f.message for f in judgement.findings if f.verdict is not Verdict.PASS]
    assert elsewhere.opened == [True, False, False]  # back up, look at the set, restore
    assert not (tmp_path / "run" / "logs" / "s3-server.log").exists()
    assert record.artefacts


def test_the_latest_incremental_needs_the_archive(session: LocalSession, tmp_path: Path) -> None:
    operator = REGISTRY["clean-up removed what the chain needs"]
    record, judgement = perform(
        session, tmp_path, BuiltinS3(restore_from="incremental"), "file-storage", operator=operator
    )
    assert record.control is not None
    (struck,) = record.control.damaged
    assert any(struck in finding.subject for finding in pick(judgement, "files"))
    assert any(struck in finding.subject and "chain" in finding.subject for finding in pick(judgement, "set-contents"))


def test_a_database_with_tables_is_not_restored_over(session: LocalSession, tmp_path: Path) -> None:
    guarded = BuiltinS3(sealed_by="passphrase")
    record, judgement = perform(session, tmp_path / "guarded", guarded, "session-db", operator=OVER_TABLES)
    (trouble,) = record.troubles
    assert trouble.phase == "restore"
    assert "a service has made them" in trouble.message
    assert "kubectl delete pvc data-chipster-session-db-postgresql-0" in trouble.hint
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert not [command for command in record.commands if command.phase == "restore"]

    unguarded = replace(guarded, only_into_empty=False)
    record, judgement = perform(session, tmp_path / "unguarded", unguarded, "session-db", operator=OVER_TABLES)
    assert judgement.verdict is Verdict.FAIL
    assert any("public.dataset" in finding.subject for finding in pick(judgement, "rows"))
    sessions = [
        finding for finding in pick(judgement, "rows") if finding.subject.startswith("session-db: public.session")
    ]
    assert not sessions, "every session row comes back, which is the trap"


def test_a_set_that_the_real_service_would_never_make_is_refused() -> None:
    with pytest.raises(ValueError, match="backs up no database"):
        BuiltinS3(sealed_by="none")
