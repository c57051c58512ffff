"""Chipster's data tier on a real Kubernetes cluster, in a namespace of this rehearsal's own.

Commands, copies and streams go through the kubectl binary, as the manual's do; claims, pods and events are read through
the API. Every change is preceded by the guard, which reads the run's marker back. A stream counts only when both of its
ends agree in length and SHA-256; a copy only when every file does.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rehearsal.clusters.guard import MARKER, Guard
from rehearsal.clusters.kube_logs import collect_logs
from rehearsal.clusters.kube_reads import KubeReads, read_address
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.metered_exec import run_metered
from rehearsal.clusters.pod_copies import PodCopies
from rehearsal.clusters.pod_ports import PodPorts
from rehearsal.clusters.pod_waits import PodWaits
from rehearsal.clusters.s3_pod import S3Images, S3Pod
from rehearsal.clusters.storage_classes import require_classes
from rehearsal.deployment import DatabaseSpec, Deployment, StoreSpec
from rehearsal.errors import CommandFailed, EnvironmentUnfit, RehearsalError, StreamError, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.roles import ByteSource, ClaimIdentity, Coordinates, ExecResult, S3Coordinates
from rehearsal.shell import Shell

MakeManifests = Callable[[Deployment, str, str], list[dict[str, Any]]]
"""The data tier's objects from a deployment, the image that stands in for all ("" for values.yaml's own), and the
folder of the node below which every hostPath is put. `chipster.manifests.make_stand_ins`."""

_HOST_ROOT = "/var/local/chipster-rehearsal"
_READY_DEADLINE = 300.0
_GONE_DEADLINE = 120.0
_DATABASE_PORT = 5432
_CONNECTION = "sslmode=disable gssencmode=disable keepalives_idle=30 keepalives_interval=10 keepalives_count=6"


@dataclass(frozen=True)
class Site:
    """Where the rehearsal takes place.

    Attributes:
        kubeconfig: the private one of a cluster that this run made.
        kubectl: absolute path of the binary.
        image: stands in for every image of values.yaml; "" for none.
        storage_class: that values.yaml names; "" for none.
        make_manifests: see above.
        tries: how often a stream that can be repeated is tried.
        websockets: KUBECTL_REMOTE_COMMAND_WEBSOCKETS; None for kubectl's own default.
    """

    kubeconfig: Path
    kubectl: Path
    make_manifests: MakeManifests
    image: str = ""
    storage_class: str = ""
    tries: int = 3
    websockets: bool | None = None


def limit_proof(image: str, storage_class: str = "") -> tuple[str, ...]:
    """What a PASS says nothing about, where that image stands in for those of values.yaml ("" for none), and where
    values.yaml names that StorageClass ("" for none): one of a throwaway node has the name alone in common with it."""
    sentences = list(KubernetesCluster.does_not_prove)
    if image:
        sentences.append(f"nothing about the images of values.yaml: {image} stands in for them")
    if storage_class:
        sentences.append(f"nothing about your StorageClass {storage_class}: the node's own volumes stand in for its")
    return tuple(sentences)


class KubernetesCluster:
    """The data tier in one namespace; plays `rehearsal.roles.Cluster`.

    Args:
        scratch: a folder of ours for logs of forwards, listings and kubectl's cache.
        nonce: this rehearsal's, hexadecimal; part of the namespace's name.

    Raises:
        EnvironmentUnfit, CommandFailed: the namespace cannot be made.
    """

    level = "kind"
    does_not_prove: tuple[str, ...] = (
        "nothing about your own cluster: this is one throwaway node with its own storage class and network",
        "nothing about Chipster's services: the data tier alone is deployed, and none migrates an empty database",
    )

    def __init__(self, site: Site, scratch: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        self._site = site
        self._journal = journal
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self.namespace = f"rehearsal-{nonce[:20].lower()}"
        address = read_address(site.kubeconfig)
        self._kubectl = Kubectl(shell, site.kubectl, site.kubeconfig, self.namespace, scratch, site.websockets)
        self._reads = KubeReads(site.kubeconfig, self.namespace)
        self._guard = Guard(self._reads, site.kubeconfig, self.namespace, nonce, address)
        self._waits = PodWaits(self._reads, self._kubectl)
        self._copies = PodCopies(self._kubectl, self.exec, scratch, site.tries)
        self._ports = PodPorts(self._kubectl, self._reads, scratch)
        self._s3 = S3Pod(self._kubectl, self._reads, self._waits, self._guard, self.exec, self._ports.open, scratch)
        self._deployment: Deployment | None = None
        self._versions: dict[str, str] = {}
        self.does_not_prove = limit_proof(site.image, site.storage_class)
        self._make_namespace(nonce, address.server)

    def _make_namespace(self, nonce: str, server: str) -> None:
        """A namespace and its marker; `create`, so that one that is already there is never taken over."""
        labels = {"app.kubernetes.io/managed-by": "chipster-rehearsal"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        marker = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARKER, "namespace": self.namespace, "labels": labels},
            "data": {"nonce": nonce, "server": server},
        }
        self._journal.own(
            "namespace", self.namespace, server=server, kubeconfig=str(self._site.kubeconfig), nonce=nonce
        )
        self._kubectl.run("create", "-f", "-", stdin=_as_list([namespace, marker]))
        self._guard.check("use the namespace")

    # -- deploy and scale ---------------------------------------------------------------------------------------------

    def deploy(self, deployment: Deployment) -> None:
        """Apply the objects on the server's side and wait for every pod.

        Raises:
            EnvironmentUnfit: the cluster cannot make their claims; nothing was applied.
            WaitTimeout: a pod does not get ready.
        """
        self._deployment = deployment
        self._journal.redactor.learn(deployment.secrets())
        objects = self._site.make_manifests(deployment, self._site.image, self._host_root)
        self._guard.check("deploy")
        require_classes(deployment, self._reads.list_storage_classes(), self._kubectl.show("get", "storageclass"))
        self._kubectl.run(
            *("apply", "--server-side", "--force-conflicts", "--field-manager=chipster-rehearsal", "-f", "-"),
            stdin=_as_list(objects),
        )
        workloads = dict.fromkeys(spec.workload for spec in deployment.stores)
        self._waits.wait_ready([spec.pod for spec in deployment.stores], _READY_DEADLINE, tuple(workloads))

    @property
    def _host_root(self) -> str:
        return f"{_HOST_ROOT}/{self.namespace}"

    def _require_deployment(self) -> Deployment:
        if self._deployment is None:
            raise RehearsalError("nothing is deployed yet")
        return self._deployment

    def scale(self, workload: str, replicas: int) -> None:
        pods = [spec.pod for spec in self._require_deployment().stores if spec.workload == workload]
        self._guard.check(f"scale {workload} to {replicas}")
        for pod in pods[replicas:]:
            self._ports.close(pod)
        self._kubectl.run("scale", "--replicas", str(replicas), f"sts/{workload}")
        self._waits.wait_gone(lambda state: state.name in pods[replicas:], _GONE_DEADLINE)
        self._waits.wait_ready(pods[:replicas], _READY_DEADLINE)

    def wait_ready(self, pod: str, deadline: float = 120.0) -> None:
        self._waits.wait_ready([pod], deadline)

    # -- claims -------------------------------------------------------------------------------------------------------

    def claim_identity(self, claim: str) -> ClaimIdentity | None:
        return self._reads.claim_identity(claim)

    def delete_claim(self, claim: str) -> None:
        """Returns when the claim is gone, or at once when a pod still uses it and it is only marked."""
        self._guard.check(f"delete claim {claim}")
        before = self._reads.claim_identity(claim)
        self._kubectl.run("delete", "pvc", claim, "--wait=false")
        pods, _ = self._reads.list_pods()
        if before is not None and not any(claim in pod.claims for pod in pods):
            self._waits.wait_claim_gone(claim, before.uid, _GONE_DEADLINE)

    def empty_host_path(self, store: StoreSpec) -> None:
        """A pod of ours with that directory removes everything in it; the store's own pod must be gone."""
        self._guard.check(f"empty the hostPath of {store.name}")
        if not store.host_path or self._reads.read_pod(store.pod) is not None:
            raise RehearsalError(f"{store.name} still runs, or lies on a claim: its directory is not emptied")
        deployment = self._require_deployment()
        name = f"empty-{store.name}-{secrets.token_hex(3)}"
        mounts = [{"name": "emptied", "mountPath": "/emptied"}]
        container = {
            "name": "empty",
            "image": self._site.image or deployment.postgres_image,
            "imagePullPolicy": deployment.choose_pull_policy(self._site.image),
            "command": ["find", "/emptied", "-mindepth", "1", "-delete"],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": mounts,
        }
        directory = {"path": f"{self._host_root}{store.host_path}", "type": "Directory"}
        spec = {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "emptied", "hostPath": directory}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self._kubectl.run("create", "-f", "-", stdin=_as_list([pod]))
        phase = self._waits.wait_ended(name, _READY_DEADLINE)
        if phase != "Succeeded":
            said = self._reads.read_log(name, "empty", lines=5).strip()
            raise EnvironmentUnfit(f"its directory could not be emptied ({phase}): {said}", where=store.name)
        self._kubectl.run("delete", "pod", name, "--wait=false")

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
        repeatable = not destructive and isinstance(stdin, bytes | Path | None) and isinstance(stdout, Path | None)
        for attempt in range(1, self._site.tries + 1):
            if destructive:
                self._guard.check(f"run a destructive command in {pod}")
            try:
                return run_metered(self._kubectl, self._reads, pod, argv, stdin, stdout, deadline)
            except StreamError as error:
                self._journal.write("stream-cut", attempt=attempt, tries=self._site.tries, pod=pod, error=str(error))
                if not repeatable or attempt == self._site.tries:
                    raise
        raise AssertionError("unreachable")

    def copy_out(self, pod: str, source: str, target: Path) -> ExecResult:
        """`kubectl cp POD:source target`, then every file compared; tried again when files are short."""
        return self._copies.copy_out(pod, source, target)

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        """`kubectl cp source POD:target`, then every file compared."""
        if not source.exists():
            raise EnvironmentUnfit("there is nothing to copy into the pod", where=str(source))
        self._guard.check(f"copy files into {pod}")
        return self._copies.copy_in(source, pod, target)

    # -- looking at it ------------------------------------------------------------------------------------------------

    @contextmanager
    def reach(self, database: DatabaseSpec) -> Iterator[Coordinates]:
        """A port on loopback; its forward stays up for the next caller, until `close`.

        Where no forward can be held, each connection goes through an exec.
        """
        yield Coordinates(
            "127.0.0.1",
            self._ports.open(database.pod, _DATABASE_PORT),
            database.db_name,
            "postgres",
            database.password.get_secret_value(),
            _CONNECTION,
        )

    def serve_s3(self, storage: Path, *, to_write: bool) -> AbstractContextManager[S3Coordinates]:
        """A pod of this namespace, which lives until `close`."""
        deployment = self._require_deployment()
        image = self._site.image
        images = S3Images(image, deployment.postgres_image, deployment.choose_pull_policy(image))
        return self._s3.serve(storage, images, to_write=to_write)

    def hook_environment(self) -> Mapping[str, str]:
        return {"KUBECONFIG": str(self._site.kubeconfig), "REHEARSAL_NAMESPACE": self.namespace}

    def versions(self) -> Mapping[str, str]:
        if not self._versions:
            self._versions["kubernetes"] = self._reads.server_version()
            said = json.loads(self._kubectl.run("version", "--client", "-o", "json").stdout)
            self._versions["kubectl"] = str(said["clientVersion"]["gitVersion"])
            databases = self._require_deployment().databases
            if databases:
                self._versions |= self._ask_versions(databases[0].pod, "postgres", "pg_dump", "psql", "vacuumlo", "tar")
        return dict(self._versions)

    def _ask_versions(self, pod: str, *programs: str) -> dict[str, str]:
        script = 'for p; do echo "$p=$("$p" --version 2>&1 | head -n 1)"; done'
        said = self.exec(pod, ("bash", "-c", script, "versions", *programs)).stdout.decode(errors="replace")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def look_inside(self) -> tuple[str, ...]:
        """The commands to look into a cluster that is kept, and to remove this rehearsal from it."""
        return (
            self._kubectl.show("get", "sts,pod,pvc,svc"),
            self._kubectl.show("exec", "-it", "file-storage-0", "--", "bash"),
            self._kubectl.show("delete", "namespace", self.namespace),
        )

    def collect_logs(self, folder: Path) -> None:
        """Every container's log as `<pod>.<container>.log`, the events, and `kubectl get`, secrets redacted."""
        collect_logs(self._reads, self._kubectl, folder)

    def close(self) -> None:
        """End the forwards, remove everything in the namespace, then the namespace.

        Returns when pods and claims are gone; the empty namespace is let go of by Kubernetes some 6 s later.

        Raises:
            Refused: the namespace is not this run's; nothing was deleted.
            EnvironmentUnfit: something is left.
        """
        self._ports.close_all()
        try:
            if self._reads.namespace_exists():
                self._guard.check("delete the namespace")
                self._empty_namespace()
            self._journal.disown("namespace", self.namespace)
        finally:
            self._reads.close()

    def _empty_namespace(self) -> None:
        """Pods first: a namespace that holds running ones is looked at again only after half their grace period."""
        try:
            self._kubectl.run("delete", "sts,pod,pvc", "--all", "--wait=false")
            self._waits.wait_gone(lambda _: True, _GONE_DEADLINE)
            self._waits.wait_no_claims(_GONE_DEADLINE)
            self._guard.check("delete the empty namespace")
            self._kubectl.run("delete", "namespace", self.namespace, "--wait=false")
        except (CommandFailed, WaitTimeout) as error:
            hint = self._kubectl.show("get", "all,pvc")
            raise EnvironmentUnfit(
                f"the namespace is not empty: {error.what}", where=self.namespace, hint=hint
            ) from error


def _as_list(objects: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()
