"""One throwaway kind cluster for the rehearsals of a run, each of which gets a namespace of its own in it.

`pytest-kind`'s KindCluster is the base (GPL-3: an optional extra, imported in this file alone). Its faults are
overridden: it downloads binaries, writes into the current directory, reads the ambient environment, knows neither
`--wait` nor a deadline, leaves a half-made cluster behind, and its port-forward guesses a port. Every process of it
goes through our shell, and logs are exported before the cluster goes.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_kind import KindCluster

from rehearsal.clusters.forward import Forward
from rehearsal.clusters.kind_tools import KindTools, engine_environment, name_engine
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.kubernetes import KubernetesCluster, MakeManifests, Site, limit_proof
from rehearsal.clusters.local_places import make_owned
from rehearsal.clusters.storage_classes import stand_in
from rehearsal.errors import CommandFailed, EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import JOURNAL, Journal, Redactor
from rehearsal.launch import Process
from rehearsal.shell import Outcome, Shell

_CREATE_DEADLINE = 600.0
_WAIT = "180s"
_SYSTEM = (("kube-system", "daemonset/kube-proxy"), ("local-path-storage", "deployment/local-path-provisioner"))
"""What kind itself starts, and every pod of ours needs: namespace and workload."""
_SYSTEM_WAIT = 90
"""Seconds."""
_TIMED_OUT = b"timed out waiting for ready"
"""What kind says, with status 0, of a node that was not ready in time (its actions/waitforready)."""
_LATE = 2.0
"""Seconds in which a node may still come up after whoever asked for it was ended: the engine ends what it began."""


class ThrowawayCluster(KindCluster):  # type: ignore[misc] # pytest-kind ships no types
    """A kind cluster of ours.

    Args:
        name: carries the run's nonce.
        folder: a private folder of ours for its kubeconfig.
        logs: where the node's logs go before it does.
    """

    def __init__(self, name: str, tools: KindTools, folder: Path, logs: Path, shell: Shell) -> None:
        # The base's own __init__ would make `.pytest-kind/` in the current directory.
        self.name = name
        self.image = tools.node_image or None
        self.path = folder
        self.kubeconfig_path = folder / "kubeconfig"
        self.kind_path = tools.kind
        self.kubectl_path = tools.kubectl
        self.platform = platform.system().lower()
        self.tools = tools
        self.logs = logs
        self.shell = shell
        self.begun = self.made = False

    def ensure_kind(self) -> None:
        """Never downloads."""
        _require(self.kind_path)

    def ensure_kubectl(self) -> None:
        """Never downloads."""
        _require(self.kubectl_path)

    def create(self, config_file: str | Path | None = None) -> None:
        """Make the cluster and wait until its node is ready; what failed half-way stays for its logs, until `delete`.

        Raises:
            EnvironmentUnfit: kind could not; its last words are in the message.
        """
        self.ensure_kind()
        self.ensure_kubectl()
        self.kubeconfig_path.touch(0o600)
        arguments = ["create", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig_path)]
        # --retain: a node that failed stays for its logs
        arguments += ["--wait", _WAIT, "--retain"]
        arguments += ["--image", self.image] if self.image else []
        config = config_file or self.tools.config
        arguments += ["--config", str(config)] if config else []
        self.begun = True
        marks = {"binary": str(self.kind_path), "kubeconfig": str(self.kubeconfig_path), "engine": name_engine()}
        self.shell.journal.own("kind-cluster", self.name, **marks)
        try:
            outcome = self._kind(*arguments, deadline=_CREATE_DEADLINE)
        except (CommandFailed, WaitTimeout) as error:
            raise EnvironmentUnfit(
                f"kind could not make a cluster: {error.what}",
                where=self.name,
                hint=f"docker info; make kind-kit; logs of its node, where it had one: {self.logs}",
            ) from error
        if _TIMED_OUT in outcome.stderr.lower():
            raise EnvironmentUnfit(
                f"the node of the throwaway cluster was not ready after {_WAIT}",
                where=self.name,
                hint=f"logs of the node: {self.logs}",
            )
        self.made = True

    def wait_for_system(self) -> None:
        """Wait until the node's own network and the maker of its volumes run.

        `kind --wait` asks for the node alone, and without these two no pod of ours ever starts.

        Raises:
            EnvironmentUnfit: one does not; its last words, and how many clusters share the engine, are in the message.
                The usual reason is the kernel's number of watches, which the others use up.
        """
        for namespace, workload in _SYSTEM:
            kubectl = self._make_kubectl(namespace)
            try:
                kubectl.run("rollout", "status", workload, f"--timeout={_SYSTEM_WAIT}s", deadline=_SYSTEM_WAIT + 30.0)
            except (CommandFailed, WaitTimeout) as error:
                raise EnvironmentUnfit(
                    f"{workload} of the throwaway cluster does not run after {_SYSTEM_WAIT} s"
                    f"{self._ask_last_words(kubectl, workload)}; clusters on this engine: {self._count_clusters()}",
                    where=self.name,
                    hint="remove clusters that nobody needs (rehearsal clean; kind get clusters), or give the kernel "
                    "more: sysctl fs.inotify.max_user_instances=512",
                ) from error

    def _ask_last_words(self, kubectl: Kubectl, workload: str) -> str:
        try:
            log = kubectl.run("logs", workload, "--tail", "1", deadline=30.0)
        except RehearsalError:
            return ""
        return f": {log.stdout.decode(errors='replace').strip()[-300:]}"

    def _count_clusters(self) -> str:
        try:
            return str(len(self._kind("get", "clusters", deadline=30.0).stdout.split()))
        except RehearsalError:
            return "unknown"

    def stand_in(self, storage_class: str) -> str:
        """A copy of the default StorageClass under that name; what was done, "" where there is one."""
        return stand_in(self._make_kubectl("default"), storage_class)

    def load_docker_image(self, docker_image: str) -> None:
        """Carry an image of the engine into the node."""
        self._kind("load", "docker-image", "--name", self.name, docker_image)

    def kubectl(self, *args: str, **_: Any) -> str:
        """Run kubectl in the default namespace; its output."""
        outcome: Outcome = self._make_kubectl("default").run(*args)
        return outcome.stdout.decode()

    @contextmanager
    def port_forward(
        self, service_or_pod_name: str, remote_port: int, *_: str, local_port: int | None = None, retries: int = 0
    ) -> Iterator[int]:
        """A forward to a pod of the default namespace: kubectl picks the port, the process ends with the block."""
        if local_port is not None or retries:
            raise ValueError("kubectl picks the port")
        log = self.path / f"forward-{service_or_pod_name}.log"
        forward = Forward(self._make_kubectl("default"), service_or_pod_name, remote_port, log)
        try:
            yield forward.open()
        finally:
            forward.close()

    def export_logs(self) -> None:
        """`kind export logs`: the node's journal, kubelet and containers."""
        self._kind("export", "logs", "--name", self.name, str(self.logs), deadline=120.0)

    def delete(self) -> None:
        """Remove the cluster, also a half-made one.

        Raises:
            EnvironmentUnfit: it is still there.
        """
        hint = f"{self.kind_path} delete cluster --name {self.name}"
        late = time.monotonic() + (0.0 if self.made else _LATE)
        try:
            while True:
                self._kind("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig_path))
                left = self._kind("get", "nodes", "--name", self.name).stdout.decode().split()
                if time.monotonic() >= late:
                    break
                time.sleep(0.25)
        except (CommandFailed, WaitTimeout) as error:
            raise EnvironmentUnfit(f"the cluster is not removed: {error.what}", where=self.name, hint=hint) from error
        if left:
            raise EnvironmentUnfit(f"nodes are left: {', '.join(left)}", where=self.name, hint=hint)
        self.shell.journal.disown("kind-cluster", self.name)

    def _make_kubectl(self, namespace: str) -> Kubectl:
        return Kubectl(self.shell, self.kubectl_path, self.kubeconfig_path, namespace, self.path)

    def _kind(self, *arguments: str, deadline: float = 300.0) -> Outcome:
        # `load` saves whole images below TMPDIR; killed, it leaves them, and in our folder `clean` takes them along
        environment = {**engine_environment(), "TMPDIR": str(self.path)}
        return self.shell.run(Process((str(self.kind_path), *arguments), env=environment), deadline=deadline)


class KindSession:
    """What the rehearsals of a run share on kind: one cluster, made when the first of them opens.

    Args:
        make_manifests: `chipster.manifests.make_stand_ins`.
        storage_class: that values.yaml names, "" for none; the cluster gets one of that name.
    """

    level = "kind"

    def __init__(self, tools: KindTools, make_manifests: MakeManifests, storage_class: str = "") -> None:
        self._tools = tools
        self._make_manifests = make_manifests
        self._storage_class = storage_class
        self._cluster: ThrowawayCluster | None = None
        self._usable = False
        self._folder: Path | None = None
        self._owner: tuple[Path, Redactor] | None = None
        self.description = f"kind: {tools.choice}"
        self.does_not_prove = limit_proof(tools.workload_image, storage_class)

    def prepare(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        """The cluster, before the first rehearsal."""
        self._make_cluster(folder, nonce, journal, shell)

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> KubernetesCluster:
        """A namespace of its own for one rehearsal."""
        if self._cluster is not None and not self._usable:
            raise EnvironmentUnfit(
                "an earlier rehearsal's cluster could neither be made nor be removed",
                where=self._cluster.name,
                hint="rehearsal clean, then repeat it",
            )
        cluster = self._cluster or self._make_cluster(folder, nonce, journal, shell)
        site = Site(
            kubeconfig=cluster.kubeconfig_path,
            kubectl=self._tools.kubectl,
            make_manifests=self._make_manifests,
            image=self._tools.workload_image,
            storage_class=self._storage_class,
        )
        return KubernetesCluster(site, cluster.path / nonce[:20], nonce, journal, shell)

    def _make_cluster(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> ThrowawayCluster:
        journal.note(f"cluster: {self._tools.choice}")
        for reason in self._tools.reasons():
            journal.note(f"cluster configuration: {reason}")
        self._folder = make_owned(journal, Path(tempfile.gettempdir()) / f"rehearsal-kind-{nonce[:12]}", nonce)
        cluster = ThrowawayCluster(
            f"rehearsal-{nonce[:12]}", self._tools, self._folder, folder.parent / "kind-logs", shell
        )
        self._cluster = cluster  # from here on `close` removes it, whatever happens
        self._owner = (journal.path, journal.redactor)
        try:
            cluster.create()
            cluster.wait_for_system()
            if self._storage_class and (said := cluster.stand_in(self._storage_class)):
                journal.note(f"cluster: {said}")
            if self._tools.image_to_load:
                cluster.load_docker_image(self._tools.image_to_load)
        except BaseException:
            # What cannot be removed now, `close` tries again, and tells; by its folder, which stays, `clean` knows it.
            with hold_interrupts(patience=1), suppress(RehearsalError):
                self._remove(journal)
            raise
        self._usable = True
        return cluster

    def close(self) -> None:
        """Export the node's logs, remove the cluster; the journal of the rehearsal that made it tells of it.

        Raises:
            EnvironmentUnfit: it is still there.
        """
        if self._cluster is None or self._owner is None or self._folder is None:
            return
        path, redactor = self._owner
        journal = Journal(path if path.parent.is_dir() else self._folder / JOURNAL, redactor)
        try:
            self._remove(journal)
        finally:
            journal.close()

    def _remove(self, journal: Journal) -> None:
        """The cluster with its logs written first, then its folder, whose marker tells `clean` whose the cluster is."""
        cluster, folder = self._cluster, self._folder
        if cluster is None or folder is None:
            return
        cluster.shell = Shell(journal)
        if cluster.begun:
            with suppress(RehearsalError):
                if cluster.logs.parent.is_dir():
                    cluster.export_logs()
            cluster.delete()
        self._cluster, self._usable = None, False
        shutil.rmtree(folder, ignore_errors=True)
        journal.disown("directory", str(folder))


def _require(binary: Path) -> None:
    if not os.access(binary, os.X_OK):
        raise EnvironmentUnfit(
            f"{binary.name} is not there, and is never downloaded", where=str(binary), hint="make kind-kit"
        )
