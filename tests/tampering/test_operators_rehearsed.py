"""A few operators through the real conductor, on real servers: the right check names what was struck.

One of each kind that the other tests cannot play: pg_dump with another option, a set made before the nonce, a session
beside psql, a limit on the server's session, a command that is replaced, a store that is not lost. `make proof` does
the same with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rehearsed import open_session
from rehearsed import perform as perform_scenario

from rehearsal.clusters.local_session import LocalSession
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.record import Record
from rehearsal.scenario import Expectation, Scenario
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator
from rehearsal.verdicts import Judgement, Verdict


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSession]:
    with open_session(tmp_path_factory.mktemp("session")) as session:
        yield session


def perform(session: LocalSession, folder: Path, operator: Operator) -> tuple[Record, Judgement]:
    scenario = Scenario(
        name="proof",
        title="",
        loses=operator.loses,
        loss=DELETE_CLAIMS,
        method=KubectlCopy(operator.files_by),
        tampering=operator,
        expects=Expectation(operator.checks[0] if operator.checks else ""),
    )
    return perform_scenario(session, folder, scenario, file_replicas=2)


@pytest.mark.parametrize(
    "name",
    [
        "dump of schema public alone",
        "yesterday's set restored",
        "restored over tables that a service has made",
        "a service writes during the restore",
        "disk full during the restore of a database",
    ],
)
def test_the_right_check_names_what_was_struck(name: str, session: LocalSession, tmp_path: Path) -> None:
    operator = REGISTRY[name]
    record, judgement = perform(session, tmp_path, operator)
    assert record.completed
    assert record.control is not None
    (struck,) = record.control.damaged
    naming = [
        finding.check
        for finding in judgement.findings
        if finding.verdict is Verdict.FAIL and finding.check in operator.checks and struck in finding.subject
    ]
    assert naming, [(finding.check, finding.subject) for finding in judgement.findings]


def test_a_dump_with_clean_may_be_restored_twice(session: LocalSession, tmp_path: Path) -> None:
    record, judgement = perform(session, tmp_path, REGISTRY["restored twice"])
    assert record.completed
    assert judgement.verdict is Verdict.PASS


def test_a_file_uploaded_between_inventory_and_backup_came_with_the_backup(
    session: LocalSession, tmp_path: Path
) -> None:
    record, judgement = perform(session, tmp_path, REGISTRY["file uploaded after the inventory"])
    assert record.control is not None
    (path,) = record.control.damaged
    assert judgement.verdict is Verdict.PASS
    assert [
        finding.check for finding in judgement.findings for detail in finding.details if detail.startswith(f"{path}: ")
    ] == ["files"]
