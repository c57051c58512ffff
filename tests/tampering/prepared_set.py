"""A small backup set on disk, and a cluster that writes down what it is told: enough for an operator to strike."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, cast

from pydantic import SecretStr

from rehearsal.backup_set import Artefact, Manifest, measure, write_manifest
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.journal import Journal
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.roles import ByteSource, Cluster, ExecResult, Stage, Transfer
from rehearsal.tampering.operators import Operator, Strike

SMALL_DUMP = Path(__file__).with_name("small_dump.sql")
FILES = {
    "00/00000000-0000-4000-8000-000000000001": b"first",
    "ab/abababab-0000-4000-8000-000000000002": b"other" * 900,
    "ab/abababab-0000-4000-8000-000000000003": b"third" * 700,
    "cd/cdcdcdcd-0000-5000-8000-000000000004": b"nonce-1",  # version 5: a mark
}


@dataclass(frozen=True)
class Told:
    """One command: the pod it was run in, its words, what went in."""

    pod: str
    argv: tuple[str, ...]
    fed: bytes


@dataclass
class TellingCluster:
    """Plays as much of roles.Cluster as the manual's restore and loss ask for; nothing is run."""

    told: list[Told] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def exec(
        self,
        pod: str,
        argv: Sequence[str],
        *,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        destructive: bool = False,
        deadline: float = 3600.0,
    ) -> ExecResult:
        fed = _read(stdin)
        self.told.append(Told(pod, tuple(argv), fed))
        if isinstance(stdout, Path):
            stdout.write_bytes(b"")
        return ExecResult(" ".join(argv), 0, b"", b"", 0, Transfer(len(fed), ""), Transfer(0, ""), 0.0)

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        return self.exec(pod, ("copy_in", str(source), target))

    def scale(self, workload: str, replicas: int) -> None:
        self.told.append(Told(workload, ("scale", str(replicas)), b""))

    def delete_claim(self, claim: str) -> None:
        self.deleted.append(claim)

    def deploy(self, deployment: Deployment) -> None:
        self.told.append(Told("", ("deploy",), b""))

    def fed_to(self, word: str) -> list[bytes]:
        """What went into the commands that have this word."""
        return [told.fed for told in self.told if any(word in part for part in told.argv)]


def _read(source: ByteSource | None) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    if isinstance(source, Iterator):
        return b"".join(source)
    return source if isinstance(source, bytes) else b""


@dataclass(frozen=True)
class Prepared:
    """A stage with a whole set, and what it was before anybody struck."""

    stage: Stage
    cluster: TellingCluster
    manifest: Manifest

    def strike(self, operator: Operator, seed: int = 1) -> str:
        """What the operator's function says it struck."""
        lost = self.stage.deployment.playing(operator.loses)
        stage = Stage(**{**self.stage.__dict__, "lost": lost})
        restore = KubectlCopy(operator.files_by).restore
        draw = Random(f"{operator.name}:{seed}")  # noqa: S311 - repeatable on purpose
        return operator.act(Strike(stage, draw, 1, DELETE_CLAIMS.lose, restore))


def prepare(folder: Path, journal: Journal, *, dump: bytes | None = None, files: bool = True) -> Prepared:
    """Three databases with the same small dump, two replicas with the same few files; `dump`: that one instead."""
    backup = folder / "backup"
    (folder / "logs").mkdir(parents=True)
    backup.mkdir()
    deployment = Deployment(
        databases=(
            DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=SecretStr("none")),
            DatabaseSpec(key="auth", name="auth", db_name="auth_db", password=SecretStr("none")),
            DatabaseSpec(key="jobHistory", name="job-history", db_name="job_history_db", password=SecretStr("none")),
        ),
        file_replicas=2,
    )
    artefacts = []
    for store in deployment.stores:
        if store.kind == "database":
            path = f"{store.name}.sql"
            whole = SMALL_DUMP.read_bytes() + f"-- of {store.name}\n".encode()
            (backup / path).write_bytes(whole if dump is None else dump)
        else:
            path = f"{store.name}/storage"
            _fill_tree(backup / path, store.replica if files else None)
        kind = "file" if store.kind == "database" else "tree"
        size, sha256, count = measure(backup, path, kind)  # type: ignore[arg-type]
        artefacts.append(
            Artefact.model_validate(
                {"path": path, "kind": kind, "size": size, "sha256": sha256, "files": count, "store": store.name}
            )
        )
    manifest = Manifest(method="kubectl-copy", run="r", artefacts=tuple(artefacts))
    write_manifest(backup, manifest)
    cluster = TellingCluster()
    stage = Stage(
        cluster=cast(Cluster, cluster),
        deployment=deployment,
        stores=deployment.stores,
        lost=deployment.stores,
        backup_folder=backup,
        logs=folder / "logs",
        private=folder / "private",
        run_id="r",
        values_copy="",
        journal=journal,
        report_command=lambda _store, _result: None,
    )
    return Prepared(stage, cluster, manifest)


def _fill_tree(tree: Path, replica: int | None) -> None:
    tree.mkdir(parents=True)
    if replica is None:
        return
    for folder in ("00", "ab", "cd", "ee"):
        (tree / folder).mkdir()
    for path, content in FILES.items():
        (tree / path).write_bytes(content)
    (tree / "ff").mkdir()
    (tree / f"ff/ffffffff-0000-4000-8000-00000000000{replica}").write_bytes(b"of this replica alone")


def copy_set(prepared: Prepared, target: Path) -> Path:
    """The set as it lies there now, links as links."""
    return Path(shutil.copytree(prepared.stage.backup_folder, target, symlinks=True))
