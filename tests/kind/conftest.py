"""One real kind cluster for these tests, and a small data tier in it: one database, one file-storage replica.

Nothing here skips: where the kit is missing these tests are red. `make test` leaves the whole folder out.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.kind import KindSession
from rehearsal.clusters.kind_tools import KindTools, find_kind_tools
from rehearsal.clusters.kubernetes import KubernetesCluster, Site
from rehearsal.clusters.pod_copies import PodCopies
from rehearsal.deployment import DatabaseSpec, Deployment, FilesSpec
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values

PASSWORD = "kind-test's \\ password & $1"
VALUES = f"""
databases: {{sessionDb: {{enabled: false}}, jobHistory: {{enabled: false}}, auth: {{password: {json.dumps(PASSWORD)}}}}}
deployments: {{fileStorage: {{storageVolumeSize: 1Gi}}}}
"""


@dataclass(frozen=True)
class Bench:
    """A deployed data tier and what it was made with."""

    cluster: KubernetesCluster
    deployment: Deployment
    journal: Journal
    shell: Shell
    tools: KindTools
    kubeconfig: Path
    nonce: str
    folder: Path

    @property
    def database(self) -> DatabaseSpec:
        return self.deployment.databases[0]

    @property
    def files(self) -> FilesSpec:
        return self.deployment.files[0]

    def events(self, event: str) -> list[dict[str, object]]:
        return [line for line in read_journal(self.journal.path) if line["event"] == event]

    def sibling(self, **changes: object) -> KubernetesCluster:
        """The same namespace through another `Site`, for a kubectl setting."""
        other = object.__new__(KubernetesCluster)
        other.__dict__.update(self.cluster.__dict__)
        site = Site(**{**self.cluster._site.__dict__, **changes})  # type: ignore[arg-type]
        other._site = site
        other._kubectl = replace(self.cluster._kubectl, websockets=site.websockets)
        other._copies = PodCopies(other._kubectl, other.exec, self.cluster._scratch, site.tries)
        return other


@pytest.fixture(scope="session")
def kind_session() -> Iterator[KindSession]:
    session = KindSession(find_kind_tools(), make_stand_ins)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture(scope="session")
def make_bench(kind_session: KindSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    benches: list[Bench] = []

    def make(values: str = VALUES) -> Bench:
        folder = tmp_path_factory.mktemp("rehearsal")
        path = folder / "values.yaml"
        path.write_text(values)
        deployment = make_deployment(read_values([path]))
        journal = Journal(folder / "journal.jsonl")
        shell = Shell(journal)
        nonce = secrets.token_hex(16)
        cluster = kind_session.open(folder, nonce, journal, shell)
        bench = Bench(cluster, deployment, journal, shell, find_kind_tools(), cluster._site.kubeconfig, nonce, folder)
        benches.append(bench)
        cluster.deploy(deployment)
        return bench

    yield make
    for bench in benches:
        bench.cluster.close()


@pytest.fixture(scope="session")
def bench(make_bench: object) -> Bench:
    """Shared by the tests that leave it as they found it."""
    assert callable(make_bench)
    made: Bench = make_bench()
    return made
