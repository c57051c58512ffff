"""A set written by services that run on the rehearsal's stores, asked by their admin calls: the whole rehearsal.

The services are played: the calls arrive at a server of these tests, and what they make is the stand-in's work. What is
shown is that the rehearsal asks, waits, fetches, opens and restores; the real ones were never asked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import admin_server
import pytest
from pydantic import SecretStr
from rehearsed import open_session, perform

from rehearsal.builtin_backup.admin_calls import AdminAccess
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.real_writer import RealService
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.clusters.local_session import LocalSession
from rehearsal.journal import Journal
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.builtin_s3 import BuiltinS3
from rehearsal.methods.stand_in_nights import StandInNights
from rehearsal.roles import Cluster, Stage
from rehearsal.scenario import Scenario
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values
from rehearsal.verdicts import Verdict

PASSPHRASE = "a-passphrase-of-this-test"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSession]:
    with open_session(tmp_path_factory.mktemp("session")) as session:
        yield session


class RunsServices:
    """Clusters on whose stores services run that make a backup when they are asked, sealed with a passphrase."""

    def __init__(self, session: LocalSession, folder: Path, bucket: S3Bucket) -> None:
        self.session, self.folder, self.bucket = session, folder, bucket
        self.private = folder / "services"
        self.stage: Stage | None = None

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> Cluster:
        cluster = self.session.open(folder, nonce, journal, shell)
        deployment = make_deployment(read_values(()))
        stores = deployment.stores
        self.stage = Stage(
            backup_folder=self.folder / "theirs",
            logs=self.folder,
            private=self.private,
            cluster=cluster,
            deployment=deployment,
            stores=stores,
            lost=(),
            run_id="theirs",
            values_copy="",
            journal=journal,
            report_command=lambda *_: None,
        )
        return cluster

    def back_up(self, path: str) -> None:
        """What the service behind that call does."""
        assert self.stage is not None
        shell = Shell(self.stage.journal)
        wanted = path.removesuffix("/backup").rpartition("/")[2]
        stores = [store for store in self.stage.stores if wanted in (store.pod, store.name)]
        passphrase = SecretStr((self.private / "passphrase").read_text())
        with scratch_folder() as scratch, Keyring(shell, passphrase=passphrase) as keyring:
            sealer = Sealer(shell, keyring, "passphrase", scratch=scratch)
            StandInNights(self.stage, self.bucket, sealer, stores).write("full")


def test_services_that_run_on_the_stores_write_the_set_when_they_are_asked(
    session: LocalSession, tmp_path: Path
) -> None:
    with (
        closing(Journal(tmp_path / "s3.jsonl")) as journal,
        admin_server.serve() as admin,
        S3Server(Shell(journal), tmp_path / "s3", tmp_path / "s3.log", ("theirs",)) as s3,
    ):
        services = RunsServices(session, tmp_path, S3Bucket(s3.access("theirs")))
        services.private.mkdir()
        (services.private / "passphrase").write_text(PASSPHRASE)
        admin.work = services.back_up
        url, password = admin.url, SecretStr(admin_server.PASSWORD)
        access = AdminAccess(f"{url}/backup-admin", f"{url}/file-broker-admin", f"{url}/auth", password=password)
        service = RealService(access, s3.access("theirs"), passphrase=SecretStr(PASSPHRASE), deadline=60.0)
        scenario = Scenario(
            name="s3",
            title="",
            loses=("session-db", "file-storage"),
            loss=DELETE_CLAIMS,
            method=BuiltinS3().written_by(service),
        )
        record, judgement = perform(cast(LocalSession, services), tmp_path / "run", scenario)
    assert judgement.verdict is Verdict.PASS, [f.message for f in judgement.findings if f.verdict is not Verdict.PASS]
    assert len(admin.asked) == 5
    assert record.method == "builtin-s3 (full, written by Chipster's own services)"
    assert record.runbook.endswith(f"the set is written by {service.told}")
    assert "stand-in" not in record.runbook
    looked = [finding.verdict for finding in judgement.findings if finding.check == "set-contents"]
    assert set(looked) == {Verdict.PASS}
    read = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    for secret in (PASSPHRASE, admin_server.PASSWORD, admin_server.TOKEN, s3.secret_key.get_secret_value()):
        assert not [path for path in read if secret.encode() in path.read_bytes()]


def test_what_only_the_stand_in_writes_is_not_asked_of_the_services() -> None:
    service = cast(RealService, None)
    assert BuiltinS3(restore_from="incremental").why_stand_in()
    assert BuiltinS3(sealed_by="none", databases_by="kubectl").why_stand_in()
    assert BuiltinS3(sealed_by="passphrase", databases_by="kubectl").why_stand_in() == ""
    with pytest.raises(ValueError, match="by the stand-in alone"):
        BuiltinS3(restore_from="archive").written_by(service)
