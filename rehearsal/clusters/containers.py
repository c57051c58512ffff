"""Chipster's data tier in containers of this machine's engine: the production images, without Kubernetes.

One container a pod, one named volume a claim, made from the same objects that kind gets. Everything carries the run's
nonce as a label, which is read back from the engine before anything is destroyed. Commands and bulk go through the
docker binary between meters, as kubectl's do; a stream counts only when both of its ends agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rehearsal.clusters.container_claims import ContainerClaims
from rehearsal.clusters.container_cli import DockerCli
from rehearsal.clusters.container_engine import RUN, Engine
from rehearsal.clusters.container_guard import ContainerGuard
from rehearsal.clusters.container_plans import ContainerPlan, MountPlan, PodPlan, read_plans
from rehearsal.clusters.container_pods import ContainerPods
from rehearsal.clusters.local_places import check_marker, make_owned, remove_tree
from rehearsal.clusters.metered_exec import run_metered
from rehearsal.clusters.pod_copies import PodCopies
from rehearsal.deployment import DatabaseSpec, Deployment, StoreSpec
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError
from rehearsal.journal import Journal
from rehearsal.roles import ByteSource, ClaimIdentity, Coordinates, ExecResult
from rehearsal.shell import Shell
from rehearsal.waiting import wait_until

MakeManifests = Callable[[Deployment, str, str], list[dict[str, Any]]]

_READY_DEADLINE = 300.0
_REMOVED_DEADLINE = 30.0
_STARTERS = 4
_PORT = 5432
_CONNECTION = "sslmode=disable gssencmode=disable keepalives_idle=30 keepalives_interval=10 keepalives_count=6"


@dataclass(frozen=True)
class Workshop:
    """What the rehearsals of a run are made with.

    Attributes:
        make_manifests: `chipster.manifests.make_stand_ins`.
        images: what is run in place of an image of values.yaml; those not named run themselves.
        tries: how often a stream that can be repeated is tried.
    """

    engine: Engine
    make_manifests: MakeManifests
    images: Mapping[str, str]
    does_not_prove: tuple[str, ...]
    tries: int = 3


class ContainersCluster:
    """The data tier in containers; plays `rehearsal.roles.Cluster`.

    Args:
        folder: of the rehearsal; a folder for hostPaths and one for listings are made in it.
        nonce: this rehearsal's, hexadecimal; its first 12 digits are part of every name.

    Raises:
        EnvironmentUnfit: the engine does not answer.
    """

    level = "containers"

    def __init__(self, workshop: Workshop, folder: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        engine = workshop.engine
        self.does_not_prove = workshop.does_not_prove
        self._workshop = workshop
        self._engine = engine
        self._shell = shell
        self._journal = journal
        self._nonce = nonce
        self._host_root = (folder / "host-paths").absolute()
        self._scratch = folder / "container-listings"
        self._scratch.mkdir(parents=True, exist_ok=True)
        prefix = f"rehearsal-{nonce[:12].lower()}"
        self._cli = DockerCli(shell, engine.address, prefix, nonce)
        self._guard = ContainerGuard(engine, f"{prefix}-marker", nonce, engine.identity())
        self._claims = ContainerClaims(engine, self._guard, prefix, journal)
        self._pods = ContainerPods(engine, self._guard, self._claims, prefix, journal)
        self._copies = PodCopies(self._cli, self.exec, self._scratch, workshop.tries)
        self._plans: dict[str, PodPlan] = {}
        self._deployment: Deployment | None = None
        self._versions: dict[str, str] = {}
        engine.make_volume(self._guard.marker, {RUN: nonce}, journal)

    # -- deploy and scale ---------------------------------------------------------------------------------------------

    def deploy(self, deployment: Deployment) -> None:
        """Bring every pod up, missing claims made; a pod that runs is left as it is."""
        self._deployment = deployment
        self._journal.redactor.learn(deployment.secrets())
        objects = self._workshop.make_manifests(deployment, "", str(self._host_root))
        self._plans = {plan.name: plan for plan in read_plans(objects, self._workshop.images)}
        self._guard.check("deploy")
        self._bring_up(tuple(self._plans.values()))

    def scale(self, workload: str, replicas: int) -> None:
        """Stop and remove the pods above `replicas` (a terminating claim goes with its pod), start the ones below."""
        plans = [plan for plan in self._plans.values() if plan.workload == workload]
        if not plans:
            raise RehearsalError(f"no StatefulSet {workload} here", where=workload)
        if replicas > len(plans):
            raise RehearsalError(f"{workload} has {len(plans)} pods in this deployment, {replicas} wanted")
        self._guard.check(f"scale {workload} to {replicas}")
        for plan in plans[replicas:]:
            self._pods.stop(plan)
        self._bring_up(plans[:replicas])

    def _bring_up(self, plans: Sequence[PodPlan]) -> None:
        if any(mount.kind == "host" for plan in plans for mount in plan.main.mounts):
            self._provide_host_paths(plans)
        self._start_side_by_side(plans)
        self._pods.wait_ready(plans, _READY_DEADLINE)

    def _start_side_by_side(self, plans: Sequence[PodPlan]) -> None:
        """Most of a start is waiting for the engine. However it ends, no start of ours goes on behind it."""
        with ThreadPoolExecutor(_STARTERS) as pool:
            try:
                for started in [pool.submit(self._pods.start, plan) for plan in plans]:
                    started.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _provide_host_paths(self, plans: Sequence[PodPlan]) -> None:
        """`DirectoryOrCreate`, below a private folder of ours."""
        if not self._host_root.exists():
            make_owned(self._journal, self._host_root, self._nonce)
        for plan in plans:
            for mount in plan.main.mounts:
                if mount.kind == "host":
                    Path(mount.source).mkdir(parents=True, exist_ok=True)

    def wait_ready(self, pod: str, deadline: float = 120.0) -> None:
        self._pods.wait_ready([self._plan(pod)], deadline)

    def _plan(self, pod: str) -> PodPlan:
        plan = self._plans.get(pod)
        if plan is None:
            raise EnvironmentUnfit("there is no such pod", where=pod, hint=self._cli.show_pods())
        return plan

    # -- claims -------------------------------------------------------------------------------------------------------

    def claim_identity(self, claim: str) -> ClaimIdentity | None:
        return self._claims.find(claim)

    def delete_claim(self, claim: str) -> None:
        """Remove the claim and its content, or only mark it while its pod is there."""
        users = [plan.name for plan in self._plans.values() if claim in plan.claims]
        self._claims.delete(claim, in_use=lambda: any(self._pods.is_there(pod) for pod in users))

    def empty_host_path(self, store: StoreSpec) -> None:
        """A container of ours with that directory removes everything in it; the store's own pod must be gone."""
        self._guard.check(f"empty the hostPath of {store.name}")
        check_marker(self._host_root, self._nonce, f"emptying the hostPath of {store.name}")
        plan = self._plan(store.pod)
        if not store.host_path or self._pods.is_there(store.pod):
            raise RehearsalError(f"{store.name} still runs, or lies on a claim: its directory is not emptied")
        for mount in plan.main.mounts:
            if mount.kind == "host":
                self._empty(plan, mount.source)

    def _empty(self, plan: PodPlan, directory: str) -> None:
        """As root inside: what lies there belongs to the pods' users."""
        command = ("find", "/emptied", "-mindepth", "1", "-delete")
        mounts = (MountPlan("host", "/emptied", directory),)
        self._pods.run_once(plan, ContainerPlan("empty", plan.main.image, command, user="0:0", mounts=mounts))

    # -- commands and copies ------------------------------------------------------------------------------------------

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
        """Run the command between meters; try again after a short stream where nothing was changed by it and both of
        its ends can be had again (files and values, not streams)."""
        self._require(pod, f"run a destructive command in {pod}" if destructive else "")
        repeatable = not destructive and isinstance(stdin, bytes | Path | None) and isinstance(stdout, Path | None)
        for attempt in range(1, self._workshop.tries + 1):
            try:
                return run_metered(self._cli, self._pods, pod, argv, stdin, stdout, deadline)
            except StreamError as error:
                tries = self._workshop.tries
                self._journal.write("stream-cut", attempt=attempt, tries=tries, pod=pod, error=str(error))
                if not repeatable or attempt == tries:
                    raise
        raise AssertionError("unreachable")

    def _require(self, pod: str, doing: str = "") -> None:
        """The pod is there; and it is this run's, when something is to be destroyed in it."""
        if doing:
            self._guard.check_container(doing, self._pods.container(pod))
        if not self._pods.is_there(pod):
            raise EnvironmentUnfit("there is no such pod", where=pod, hint=self._cli.show_pods())

    def copy_out(self, pod: str, source: str, target: Path) -> ExecResult:
        """What `kubectl cp POD:source target` does, then every file compared; tried again when files are short."""
        self._require(pod)
        return self._copies.copy_out(pod, source, target)

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        """What `kubectl cp source POD:target` does, then every file compared."""
        if not source.exists():
            raise EnvironmentUnfit("there is nothing to copy into the pod", where=str(source))
        self._require(pod, f"copy files into {pod}")
        return self._copies.copy_in(source, pod, target)

    # -- looking at it ------------------------------------------------------------------------------------------------

    @contextmanager
    def reach(self, database: DatabaseSpec) -> Iterator[Coordinates]:
        """The port that the engine published on loopback."""
        found = self._engine.see_container(self._pods.container(database.pod))
        port = (found.ports or {}).get(_PORT) if found is not None else None
        if port is None:
            raise EnvironmentUnfit(
                "its port is not published: the container does not run", where=database.pod, hint=self._cli.show_pods()
            )
        password = database.password.get_secret_value()
        yield Coordinates("127.0.0.1", port, database.db_name, "postgres", password, _CONNECTION)

    def serve_s3(self, storage: Path, *, to_write: bool) -> None:
        """There is none: a process of the harness on loopback serves the folder as it lies there."""

    def hook_environment(self) -> Mapping[str, str]:
        return {}

    def versions(self) -> Mapping[str, str]:
        if not self._versions:
            self._versions["container engine"] = self._engine.version()
            if self._deployment is not None and self._deployment.databases:
                pod = self._deployment.databases[0].pod
                self._versions |= self._ask_versions(pod, "postgres", "pg_dump", "psql", "vacuumlo", "tar")
        return dict(self._versions)

    def _ask_versions(self, pod: str, *programs: str) -> dict[str, str]:
        script = 'for p; do echo "$p=$("$p" --version 2>&1 | head -n 1)"; done'
        said = self.exec(pod, ("bash", "-c", script, "versions", *programs)).stdout.decode(errors="replace")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def look_inside(self) -> tuple[str, ...]:
        """The commands to look into a cluster that is kept."""
        return (self._cli.show_pods(), self._cli.show("exec", "-it", self._cli.container("file-storage-0"), "bash"))

    def collect_logs(self, folder: Path) -> None:
        """Every pod's log as `<pod>.<container>.log`, secrets redacted."""
        folder.mkdir(parents=True, exist_ok=True)
        for plan in self._plans.values():
            text = self._engine.read_log(self._pods.container(plan.name))
            if text:
                path = folder / f"{plan.name}.{plan.main.name}.log"
                path.write_text(self._journal.redactor.clean(text), encoding="utf-8", errors="surrogateescape")

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Remove every container, volume and directory of this run; the marker last.

        Raises:
            Refused: the marker is not this run's; nothing was removed.
            EnvironmentUnfit: something is left.
        """
        self._shell.end_others()
        self._guard.check("remove what the rehearsal made")
        self._remove_containers()
        if self._host_root.exists():
            self._remove_host_paths()
        marker_last = sorted(self._engine.list_volumes(self._nonce), key=lambda one: one.name == self._guard.marker)
        for volume in marker_last:
            self._engine.remove_volume(volume.name)
            self._journal.disown("volume", volume.name)
        left = [one.name for one in self._engine.list_containers(self._nonce) + self._engine.list_volumes(self._nonce)]
        if left:
            raise EnvironmentUnfit(f"it is not removed: {', '.join(left)}", hint=self._cli.show_pods())
        remove_tree(self._scratch)

    def _remove_containers(self) -> None:
        for one in self._engine.list_containers(self._nonce):
            self._engine.remove_container(one.name)
            self._journal.disown("container", one.name)
        wait_until(
            lambda: not self._engine.list_containers(self._nonce), _REMOVED_DEADLINE, "the end of every container"
        )

    def _remove_host_paths(self) -> None:
        check_marker(self._host_root, self._nonce, "removing it")
        plan = next((plan for plan in self._plans.values() if any(m.kind == "host" for m in plan.main.mounts)), None)
        if plan is not None:
            for entry in self._host_root.iterdir():
                if entry.is_dir():
                    self._empty(plan, str(entry))
        remove_tree(self._host_root)
        self._journal.disown("directory", str(self._host_root))
