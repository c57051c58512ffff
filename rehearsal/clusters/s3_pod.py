"""An S3 server as a pod of the rehearsal's namespace, for the sets of Chipster's built-in backup.

The set lies on this machine, where operators damage it and the judge measures it. So a bucket's content goes into the
pod when the server is opened, and comes back when it is closed after writing: as a tar stream that counts only when its
two ends agree, then every file of both sides by SHA-256. The pod lives as long as the rehearsal; an opening that finds
the same files in it carries nothing.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from rehearsal.clusters import rclone
from rehearsal.clusters.guard import Guard
from rehearsal.clusters.kind_tools import STAND_IN
from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.pod_states import PodState
from rehearsal.clusters.pod_waits import PodWaits
from rehearsal.clusters.tree_listing import Listing, list_all, list_here, name_differences, read_listing
from rehearsal.errors import EnvironmentUnfit, StreamError, WaitTimeout
from rehearsal.packing import pack_tree
from rehearsal.roles import ExecResult, RunInPod, S3Coordinates
from rehearsal.unpacking import unpacking

POD = "rehearsal-s3"
PORT = 9000
FOLDER = "/srv/s3"
_SERVER = "s3"
_USER = 1000
_DEADLINE = 300.0
_NOT_FOUND = 127
"""Exit status of a shell that finds no such program."""
_REPLACE = ("bash", "-c", 'find "$1" -mindepth 1 -delete && tar xf - -C "$1" --strip-components=1', "replace", FOLDER)
_PACK = ("bash", "-c", 'cd "$1" && tar cf - -- *', "pack", FOLDER)


@dataclass(frozen=True)
class S3Images:
    """What the pod runs.

    Attributes:
        stand_in: an image with rclone and the tools of a pod, for everything; "" where none stands in: then rclone's
            own public image serves, and beside it a container of `tools` takes the content and gives it back.
        tools: an image with bash and GNU tar, as values.yaml names it.
    """

    stand_in: str
    tools: str
    pull_policy: str

    @property
    def server(self) -> str:
        return self.stand_in or rclone.IMAGE


class S3Pod:
    """The server of one namespace, made when it is opened for the first time.

    Args:
        run: the cluster's exec.
        open_port: gives a pod's port on loopback.
        scratch: a folder of ours for listings.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        reads: KubeReads,
        waits: PodWaits,
        guard: Guard,
        run: RunInPod,
        open_port: Callable[[str, int], int],
        scratch: Path,
    ) -> None:
        self._kubectl = kubectl
        self._reads = reads
        self._waits = waits
        self._guard = guard
        self._run = run
        self._open_port = open_port
        self._scratch = scratch
        self._access_key = secrets.token_hex(10)
        self._secret_key = SecretStr(secrets.token_urlsafe(30))
        self._journal = kubectl.shell.journal
        self._journal.redactor.learn([self._access_key, self._secret_key.get_secret_value()])

    @contextmanager
    def serve(self, storage: Path, images: S3Images, *, to_write: bool) -> Iterator[S3Coordinates]:
        """See `roles.Cluster.serve_s3`. A block that fails leaves `storage` as it was."""
        self._guard.check("serve S3")
        is_new = self._bring_up(images)
        self._carry_in(storage, is_new)
        endpoint = f"http://127.0.0.1:{self._open_port(POD, PORT)}"
        yield S3Coordinates(endpoint, self._access_key, self._secret_key)
        if to_write:
            self._carry_out(storage)

    # -- the pod ------------------------------------------------------------------------------------------------------

    def _bring_up(self, images: S3Images) -> bool:
        """Whether the pod is a new one, with nothing in it.

        Raises:
            EnvironmentUnfit: its image cannot be had, or does not serve S3.
        """
        state = self._reads.read_pod(POD)
        if state is not None and state.ready and not state.deleting:
            return False
        if state is not None:  # it ended, or never came up
            self._kubectl.run("delete", "pod", POD, "--wait=false")
            self._waits.wait_gone(lambda seen: seen.name == POD, _DEADLINE)
            self._guard.check("make the S3 server's pod anew")
        self._journal.note(f"the S3 server runs as pod {POD}, image {images.server}")
        objects = make_objects(images, rclone.write_key(self._access_key, self._secret_key.get_secret_value()))
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        options = ("--server-side", "--force-conflicts", "--field-manager=chipster-rehearsal")
        self._kubectl.run("apply", *options, "-f", "-", stdin=json.dumps(listed).encode())
        try:
            state = self._waits.wait_settled(POD, _DEADLINE)
        except WaitTimeout as error:
            raise EnvironmentUnfit(error.what, where=POD, hint=_advise(images)) from error
        if not state.ready:
            raise self._explain_end(state, images)
        return True

    def _explain_end(self, state: PodState, images: S3Images) -> EnvironmentUnfit:
        if any(one.name == _SERVER and one.last_exit == _NOT_FOUND for one in state.containers):
            return EnvironmentUnfit("it has no rclone to serve S3 with", where=images.server, hint=_advise(images))
        said = self._reads.read_log(POD, _SERVER, lines=5).strip() or "nothing"
        return EnvironmentUnfit(
            f"the S3 server's pod ended at once; it said: {self._journal.redactor.clean(said)}",
            where=images.server,
            hint=_advise(images),
        )

    # -- its content --------------------------------------------------------------------------------------------------

    def _carry_in(self, storage: Path, is_new: bool) -> None:
        ours, _ = list_here(storage)
        if not is_new and self._list_pod() == ours:
            return
        packed = pack_tree(storage.parent, storage.name)
        result = self._run(POD, _REPLACE, stdin=packed, destructive=True)
        _require_success(result, "the S3 server's pod did not take the buckets")
        _compare(self._list_pod(), ours, result)

    def _carry_out(self, storage: Path) -> None:
        """Beside `storage` first: it is never seen half written."""
        arriving = storage.with_name(f"{storage.name}.arriving")
        arriving.mkdir()
        try:
            # as `kubectl cp` would: our modes, and no link
            with unpacking(arriving, as_kubectl_cp=True) as (sink, _):
                result = self._run(POD, _PACK, stdout=sink)
                _require_success(result, "the S3 server's pod did not give the buckets back")
            _compare(self._list_pod(), list_here(arriving)[0], result)
            shutil.rmtree(storage)
            arriving.rename(storage)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)

    def _list_pod(self) -> Listing:
        path = self._scratch / f"listing-{secrets.token_hex(4)}"
        try:
            _require_success(self._run(POD, list_all(FOLDER), stdout=path), "the buckets in the pod cannot be listed")
            return read_listing(path)
        finally:
            path.unlink(missing_ok=True)


def make_objects(images: S3Images, key: str) -> list[dict[str, Any]]:
    """The Secret, the Service and the pod.

    Args:
        key: the value of `rclone.KEY_VARIABLE`; it is in the Secret alone.
    """
    labels = {"app.kubernetes.io/name": POD}
    meta = {"name": POD, "labels": labels}
    secret = {"kind": "Secret", "metadata": meta, "data": {"key": base64.b64encode(key.encode()).decode()}}
    service = {
        "kind": "Service",
        "metadata": meta,
        "spec": {"clusterIP": "None", "selector": labels, "ports": [{"name": "s3", "port": PORT}]},
    }
    return [{"apiVersion": "v1", **one} for one in (secret, service, _make_pod(images, meta))]


def _make_pod(images: S3Images, meta: Mapping[str, Any]) -> dict[str, Any]:
    mounts = [{"name": "buckets", "mountPath": FOLDER}]
    look = {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 60}
    # by way of a shell, whose status tells a missing program from one that failed
    command = ["sh", "-c", 'exec "$@"', "sh", *rclone.serve_folder("rclone", f":{PORT}", "/tmp/rclone", FOLDER)]  # noqa: S108
    server = {
        "name": _SERVER,
        "image": images.server,
        "imagePullPolicy": images.pull_policy,
        "command": command,
        "env": [{"name": rclone.KEY_VARIABLE, "valueFrom": {"secretKeyRef": {"name": POD, "key": "key"}}}],
        "ports": [{"name": "s3", "containerPort": PORT}],
        "readinessProbe": look,
        "volumeMounts": mounts,
    }
    tools = {
        "name": "tools",
        "image": images.tools,
        "imagePullPolicy": images.pull_policy,
        "command": ["sleep", "infinity"],
        "volumeMounts": mounts,
    }
    spec = {
        "restartPolicy": "Never",  # a server that ended is an error with its log; the next opening makes another pod
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": _USER, "runAsGroup": _USER, "runAsNonRoot": True},
        "containers": [server] if images.stand_in else [tools, server],  # kubectl enters the first one
        "volumes": [{"name": "buckets", "emptyDir": {}}],
    }
    return {"kind": "Pod", "metadata": meta, "spec": spec}


def _advise(images: S3Images) -> str:
    if images.stand_in:
        return f"without {STAND_IN}: ci/kit/build --build, whose image has rclone; yours needs rclone 1.65 or later"
    return f"docker pull {images.server}: can this machine have it? Else {STAND_IN}=IMAGE or ci/kit/build --build"


def _require_success(result: ExecResult, what: str) -> None:
    if result.status != 0:
        said = result.stderr.decode(errors="replace").strip()[-500:] or "nothing"
        raise EnvironmentUnfit(f"{what} (status {result.status}); it said: {said}", where=POD)


def _compare(theirs: Listing, ours: Listing, result: ExecResult) -> None:
    differences = name_differences(theirs, ours)
    if differences:
        raise StreamError(
            f"{len(theirs)} files in the pod, {len(ours)} here: {'; '.join(differences)}", where=result.command
        )
