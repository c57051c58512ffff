"""The roles of a rehearsal, each a tiny Protocol: who plays them is picked by a scenario, never by the conductor.

A Cluster is where pods run; a Store holds state and can be fingerprinted; a Method backs up and restores as a runbook
says; a Loss takes stores away; a Tampering damages one thing on purpose. They meet only in `rehearse.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from pydantic import SecretStr

from rehearsal.deployment import DatabaseSpec, Deployment, StoreSpec
from rehearsal.inventory import Inventory
from rehearsal.journal import Journal

SETTLED = "settled"
"""The moment after the services were started: what they rewrite or add by themselves is left out of the row lines that
are held against the inventory before it."""

ByteSource = bytes | Path | IO[bytes] | Iterator[bytes]
"""Bytes for a process's standard input: a value, a file, an open binary stream, or an iterator of chunks."""


@dataclass(frozen=True)
class Transfer:
    """One end of a stream: how many bytes went through our hands, and their SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class ExecResult:
    """A command that ran inside a pod.

    Attributes:
        command: the copy-pastable command, as the manual writes it (`kubectl exec …`), secrets redacted.
        status: exit status; recorded, never evidence.
        stdout: what it printed, when it was captured; b"" when it went to a file.
        stderr: all of it up to 1 MiB, then only counted.
        error_lines: number of lines on stderr that contain `ERROR`.
        sent: what went in through standard input, counted and hashed on our side.
        received: what came out of standard output, counted and hashed on our side.
        seconds: wall time.
    """

    command: str
    status: int
    stdout: bytes
    stderr: bytes
    error_lines: int
    sent: Transfer
    received: Transfer
    seconds: float


@dataclass(frozen=True)
class ClaimIdentity:
    """A claim as the cluster knows it: `uid` is new for every new claim; `created` an instant; `terminating` set once a
    delete was asked for while a pod still uses it."""

    name: str
    uid: str
    created: str
    terminating: bool = False


@dataclass(frozen=True)
class Coordinates:
    """How psycopg and psql reach a database from where the harness runs. The password is in `password` only.

    `dsn` is `host=… port=… dbname=… user=…`, without a password; `options` is more of the same kind, such as
    `sslmode=disable`.
    """

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)
    options: str = ""

    @property
    def dsn(self) -> str:
        return f"host={self.host} port={self.port} dbname={self.dbname} user={self.user} {self.options}".rstrip()


@dataclass(frozen=True)
class S3Coordinates:
    """How the harness reaches an S3 server: `endpoint` is a URL on loopback; the keys are of that server alone."""

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: SecretStr = field(repr=False)


class RunInPod(Protocol):
    """A cluster's own `exec`, for whoever needs nothing else of it; the guard comes before what is destructive."""

    def __call__(
        self,
        pod: str,
        argv: Sequence[str],
        *,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        destructive: bool = False,
    ) -> ExecResult: ...


@runtime_checkable
class Cluster(Protocol):
    """A throwaway cluster with Chipster's data tier. Everything it touches, the same run created.

    Every destructive call (`delete_claim`, `scale` to 0, `exec` and `copy_in` with `destructive=True`) first reads the
    run's marker back from the cluster and raises `Refused`, with nothing done, when its nonce is not this run's.
    """

    @property
    def level(self) -> str:
        """`local`, `containers` or `kind`."""

    @property
    def does_not_prove(self) -> tuple[str, ...]:
        """What a PASS on this level says nothing about, one sentence each."""

    def deploy(self, deployment: Deployment) -> None:
        """Apply the data tier (`bash deploy.bash -f values.yaml` of the manual): idempotent, makes missing claims,
        sets every replica count back, returns when every pod is ready. Raises WaitTimeout, EnvironmentUnfit."""

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
        """Run a command inside a pod's main container. `stdout`: a file to stream into; None captures it (up to 64 MiB,
        more is an error). A non-zero status is returned, not raised. Raises StreamError, WaitTimeout, Refused."""

    def copy_out(self, pod: str, source: str, target: Path) -> ExecResult:
        """`kubectl cp POD:source target`: a directory or file out of the pod (source relative to its working
        directory)."""

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        """`kubectl cp source POD:target`: a directory or file into the pod (target relative to its working
        directory)."""

    def scale(self, workload: str, replicas: int) -> None:
        """`kubectl scale --replicas N sts/workload`; returns when the pods are there and ready, or gone."""

    def delete_claim(self, claim: str) -> None:
        """`kubectl delete pvc claim`; only marks it while a pod uses it; returns at once in that case."""

    def empty_host_path(self, store: StoreSpec) -> None:
        """Where `hostPath` or `storageHostPath` stands in for a claim: remove everything in that directory, which this
        run created; the workload is at 0 replicas. Destructive."""

    def claim_identity(self, claim: str) -> ClaimIdentity | None:
        """The claim now, or None where there is none."""

    def wait_ready(self, pod: str, deadline: float = 120.0) -> None:
        """Return when the pod is ready; raise WaitTimeout with the last state and the log's tail."""

    def reach(self, database: DatabaseSpec) -> AbstractContextManager[Coordinates]:
        """A way to the database for psycopg; on Kubernetes a port-forward that ends with the context."""

    def serve_s3(self, storage: Path, *, to_write: bool) -> AbstractContextManager[S3Coordinates] | None:
        """An S3 server inside the cluster, each folder of `storage` a bucket; None on a level that has no place for
        one: the harness then starts its own on loopback.

        What lies in `storage` is served when the context opens. Opened `to_write`, what the buckets hold when the block
        ends without an error takes the place of what lay there. Each way every file is compared by SHA-256. Raises
        EnvironmentUnfit, StreamError, WaitTimeout, Refused."""

    def hook_environment(self) -> Mapping[str, str]:
        """What this level adds to the environment of the site's own commands (`KUBECONFIG`, `REHEARSAL_FILES`)."""

    def versions(self) -> Mapping[str, str]:
        """Versions of the tools and servers in use, `postgres`, `pg_dump`, `psql`, …"""

    def look_inside(self) -> tuple[str, ...]:
        """Commands to look into a cluster that is kept, ready to paste, without a secret."""

    def collect_logs(self, folder: Path) -> None:
        """Copy the pods' logs into `folder`, before teardown."""

    def close(self) -> None:
        """Remove everything this run created. Raises EnvironmentUnfit when something is left."""


@dataclass(frozen=True)
class Mark:
    """A nonce or a marker in a store: `place` is where it lies (`rehearsal_extras.mark` or a path below `storage`)."""

    store: str
    place: str
    value: str
    written_at: str


class Store(Protocol):
    """A component that holds state, on one cluster."""

    @property
    def spec(self) -> StoreSpec:
        """Its names."""

    def seed(self) -> Mapping[str, int]:
        """Fill the empty store with this rehearsal's seed; returns what was written, counted."""

    def write_mark(self, kind: str, value: str) -> Mark:
        """Write the nonce (`kind="nonce"`) or the marker (`kind="marker"`) into the store, where its inventory does not
        look."""

    def repeat_mark(self, kind: str) -> AbstractContextManager[Callable[[str], Mark]]:
        """A way to write a mark of that kind (`kind="heartbeat"`) again and again at little cost, each over the one
        before, whole or not at all; what was written last stays. Values of one length."""

    def read_mark(self, kind: str) -> str | None:
        """The value written by `write_mark`, or None where it is not there."""

    def take_inventory(self, moment: str) -> Inventory:
        """Fingerprint the store now; line files go to `inventory/<moment>/<store>/` below the rehearsal's folder."""

    def leftovers(self) -> tuple[str, ...]:
        """What an empty store should not hold: user tables, large objects, or entries of the storage directory, hidden
        ones too, `lost+found` excepted; the first 20, named."""


@dataclass(frozen=True)
class SetRemark:
    """What a method itself has to say of a backup set, before it restores it.

    Attributes:
        sound: True: looked at and good; False: damaged; None: it could not be told.
        subject: which part of the set, such as a backup and a path in it.
        message: one sentence.
        details: further named objects, one sentence each.
    """

    sound: bool | None
    subject: str
    message: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """What a method, a loss or a tampering may touch."""

    cluster: Cluster
    deployment: Deployment
    stores: tuple[StoreSpec, ...]
    """Every store of the deployment."""
    lost: tuple[StoreSpec, ...]
    """The ones the scenario loses, in the order they are restored."""
    backup_folder: Path
    """Where the backup set lies."""
    logs: Path
    """Where the output of long commands goes."""
    private: Path
    """Keys of the throw-away backup and what is being restored lie there; it goes with the rehearsal."""
    run_id: str
    values_copy: str
    """Text of the merged values.yaml, passwords taken out, for the set."""
    journal: Journal
    report_command: Callable[[str, ExecResult], None]
    """Called with a store's name and the outcome of each of the runbook's own commands."""


class Method(Protocol):
    """A way to back up and restore, as a runbook says it."""

    @property
    def name(self) -> str:
        """Such as `kubectl-copy`."""

    @property
    def runbook(self) -> str:
        """The documented procedure: source and section."""

    @property
    def not_carried(self) -> tuple[str, ...]:
        """What a backup of this kind does not hold by its nature: see `record.Record.not_carried`."""

    def back_up(self, stage: Stage) -> None:
        """Back up every store of the stage into `stage.backup_folder`, manifest last."""

    def examine(self, stage: Stage) -> tuple[SetRemark, ...]:
        """Read the backup set of `stage.lost` as whoever would restore it can, and say what is wrong with it; () where
        this method has no way to tell but the manifest, which is looked at anyway."""

    def restore(self, stage: Stage) -> None:
        """Bring back `stage.lost` from `stage.backup_folder`. Statuses and ERROR counts are reported, never judged."""


class Loss(Protocol):
    """What happens to the stores."""

    @property
    def name(self) -> str:
        """What is done, in the runbook's words."""

    def lose(self, stage: Stage) -> None:
        """Lose `stage.lost` and deploy again, as the manual's "How to delete a database" does."""


class Tampering(Protocol):
    """Damage done on purpose, so that a check can be seen to catch it. Every hook may do nothing."""

    @property
    def name(self) -> str:
        """What is damaged, in words."""

    @property
    def why(self) -> str:
        """The incident, bug report or measurement that it stands for."""

    def method(self, method: Method) -> Method:
        """The method to use instead (a restore that is skipped)."""

    def loss(self, loss: Loss) -> Loss:
        """The loss to use instead (a claim that is kept)."""

    def before_nonce(self, stage: Stage, method: Method) -> str:
        """After the seed, before the nonce is written. Every hook returns a piece of the damaged object's name, as a
        finding's subject must contain it, or "" when it damaged nothing yet."""

    def before_backup(self, stage: Stage) -> str:
        """The inventory is taken, the backup is not."""

    def after_backup(self, stage: Stage) -> str:
        """The backup set is complete."""

    def after_restore(self, stage: Stage) -> str:
        """The stores are back, before they are looked at."""
