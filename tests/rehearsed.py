"""One rehearsal through the real conductor, on real servers of this machine, smallest data: its record, judged."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.choosing import ClusterSession
from rehearsal.clusters.local_session import LocalSession
from rehearsal.journal import JOURNAL, Journal, Redactor
from rehearsal.judging import judge
from rehearsal.performance import Setting
from rehearsal.record import Record
from rehearsal.rehearse import rehearse
from rehearsal.scenario import Scenario
from rehearsal.shell import Shell
from rehearsal.stores import open_store
from rehearsal.values import make_deployment, read_values
from rehearsal.verdicts import Judgement


@contextmanager
def open_session(folder: Path) -> Iterator[LocalSession]:
    """What rehearsals share, for as long as the block lasts."""
    session = LocalSession(None, 1 << 30)
    with closing(Journal(folder / JOURNAL)) as journal:
        session.make_template(folder / "template", secrets.token_hex(16), journal)
        yield session
        session.close()


def perform(
    session: ClusterSession,
    folder: Path,
    scenario: Scenario,
    *,
    file_replicas: int = 1,
    databases: Collection[str] | None = None,
) -> tuple[Record, Judgement]:
    """Rehearse it.

    Args:
        databases: keys of those that the deployment has; None for all.
    """
    deployment = make_deployment(read_values(()))
    chosen = [one for one in deployment.databases if databases is None or one.key in databases]
    deployment = deployment.model_copy(update={"file_replicas": file_replicas, "databases": tuple(chosen)})
    seed = Seed(1, "xs", deployment.file_replicas)
    setting = Setting(
        deployment=deployment,
        values_copy="",
        seed=1,
        size="xs",
        run_id="test",
        command="",
        open_store=lambda spec, cluster, into, journal: open_store(spec, cluster, into, journal, seed),
    )
    with closing(Journal(folder / JOURNAL, Redactor(deployment.secrets()))) as journal:
        cluster = session.open(folder, secrets.token_hex(16), journal, Shell(journal))
        try:
            record = rehearse(scenario, cluster, folder, setting, journal)
        finally:
            cluster.close()
    return record, judge(record, folder)
