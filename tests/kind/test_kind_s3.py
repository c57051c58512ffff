"""The S3 server as a pod of a real cluster: written and read through it, refused without its keys, gone with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from rehearsal.builtin_backup.names import parse_name
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.clusters import rclone
from rehearsal.clusters.s3_pod import POD, S3Images
from rehearsal.errors import EnvironmentUnfit, Refused, UsageError
from rehearsal.roles import S3Coordinates
from tests.kind.conftest import Bench

pytestmark = pytest.mark.kind
MakeBench = Callable[..., Bench]

BUCKET = "chipster-backups"
NAME = "session-db-db-backup_2026-04-30T01:15:00.123456789Z"
KEY = f"{NAME}/db-backups/{NAME}/{NAME}.tar"
LARGE = bytes(range(256)) * (40 << 12)  # 40 MiB: an upload in parts


def reach(server: S3Coordinates, secret: str = "") -> S3Bucket:
    secret_key = SecretStr(secret) if secret else server.secret_key
    return S3Bucket(S3Access(server.endpoint, BUCKET, access_key=server.access_key, secret_key=secret_key))


def make_storage(folder: Path) -> Path:
    storage = folder / "s3"
    (storage / BUCKET).mkdir(parents=True)
    return storage


def test_what_is_written_comes_back_and_what_was_changed_meanwhile_is_served(bench: Bench, tmp_path: Path) -> None:
    storage = make_storage(tmp_path)
    with bench.cluster.serve_s3(storage, to_write=True) as server:
        bucket = reach(server)
        bucket.write(KEY, iter([LARGE]))
        bucket.write(f"{NAME}/backup-info", [b"a line\n"])
        bucket.write("other_2026-04-29T01:15:00Z/backup-info", [b"to be removed"])
        other = parse_name("other_2026-04-29T01:15:00Z")
        assert other is not None
        bucket.remove(other)
        assert not list((storage / BUCKET).iterdir()), "the set is written when the server is closed"
        with pytest.raises(UsageError, match="the secret key is wrong"):
            reach(server, "another-secret").names()
    assert (storage / BUCKET / KEY).read_bytes() == LARGE
    assert [str(name) for name in reach(server).names()] == [NAME]

    (storage / BUCKET / NAME / "backup-info").write_bytes(b"a LINE\n")  # as an operator would, of the same size
    applied = len([event for event in bench.events("command") if " apply " in str(event["command"])])
    with bench.cluster.serve_s3(storage, to_write=False) as server:
        assert b"".join(reach(server).read(f"{NAME}/backup-info")) == b"a LINE\n"
        assert b"".join(reach(server).read(KEY)) == LARGE
    assert len([event for event in bench.events("command") if " apply " in str(event["command"])]) == applied


def test_its_keys_are_in_a_secret_and_in_nothing_that_is_shown(bench: Bench, tmp_path: Path) -> None:
    with bench.cluster.serve_s3(make_storage(tmp_path), to_write=True) as server:
        reach(server).write(f"{NAME}/backup-info", [b"a line\n"])
    arguments = "cat /proc/[0-9]*/cmdline"
    argv = bench.cluster.exec(POD, ["bash", "-c", arguments]).stdout.replace(b"\0", b" ").decode()
    assert "rclone serve s3" in argv
    pod = bench.cluster._kubectl.run("get", "pod,svc", "-o", "yaml").stdout.decode()
    assert "RCLONE_AUTH_KEY" in pod
    bench.cluster.collect_logs(tmp_path / "logs")
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "Starting s3 server" in logs
    for secret in (server.access_key, server.secret_key.get_secret_value()):
        assert secret not in argv + pod + logs + bench.journal.path.read_text()


def test_another_marker_refuses_before_a_pod_is_made(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = make_bench()
    kubectl = bench.cluster._kubectl
    kubectl.run("patch", "configmap", "rehearsal-marker", "-p", '{"data": {"nonce": "another"}}')
    with pytest.raises(Refused), bench.cluster.serve_s3(make_storage(tmp_path), to_write=True):
        pass
    assert POD not in kubectl.run("get", "pod,svc,secret").stdout.decode()
    kubectl.run("patch", "configmap", "rehearsal-marker", "-p", json.dumps({"data": {"nonce": bench.nonce}}))


def test_without_a_stand_in_two_containers_share_the_buckets(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the workload image in the place of rclone's own, which a machine without a registry cannot have."""
    bench = make_bench()
    monkeypatch.setattr(rclone, "IMAGE", bench.tools.workload_image)
    images = S3Images("", bench.tools.workload_image, "IfNotPresent")
    storage = make_storage(tmp_path)
    with bench.cluster._s3.serve(storage, images, to_write=True) as server:
        reach(server).write(KEY, [b"abc"])
    assert (storage / BUCKET / KEY).read_bytes() == b"abc"
    pod = json.loads(bench.cluster._kubectl.run("get", "pod", POD, "-o", "json").stdout)
    assert [container["name"] for container in pod["spec"]["containers"]] == ["tools", "s3"]


def test_an_image_without_rclone_is_told_at_once(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = make_bench()
    node = json.loads(bench.cluster._kubectl.run("get", "nodes", "-o", "json").stdout)["items"][0]
    names = [name for image in node["status"]["images"] for name in image["names"]]
    busybox = next(name for name in names if "local-path-helper" in name)  # on every node of kind; has a shell
    bench.cluster._site = replace(bench.cluster._site, image=busybox)
    expected = pytest.raises(EnvironmentUnfit, match="it has no rclone to serve S3 with")
    with expected as caught, bench.cluster.serve_s3(make_storage(tmp_path), to_write=False):
        pass
    assert caught.value.where == busybox
    assert "ci/kit/build --build" in caught.value.hint
