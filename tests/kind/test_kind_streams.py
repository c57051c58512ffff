"""Bytes through kubectl on a real cluster: equal content or a named failure, never a quiet loss.

Each with both settings of KUBECTL_REMOTE_COMMAND_WEBSOCKETS, since kubectl speaks two protocols.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError
from rehearsal.packing import pack_tree
from rehearsal.roles import ExecResult
from rehearsal.unpacking import unpacking
from tests.kind.conftest import Bench

pytestmark = pytest.mark.kind
MakeBench = Callable[..., Bench]
GIB = 1 << 30
PAUSED = 1 << 28
"""Four streams of it side by side take some 10 s: enough to be in the middle when a pause comes after 2."""
WEBSOCKETS = pytest.mark.parametrize("websockets", [True, False], ids=["websockets", "spdy"])


def chunks(size: int) -> Iterator[bytes]:
    """Bytes that differ everywhere, cheap to make."""
    block = os.urandom(1 << 20)
    for number in range(size >> 20):
        yield number.to_bytes(8, "big") + block[8:]


def do_soon(action: Callable[[], None], seconds: float) -> threading.Thread:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


@WEBSOCKETS
def test_a_gibibyte_goes_out_in_flat_memory(bench: Bench, websockets: bool) -> None:
    cluster = bench.sibling(websockets=websockets)
    cluster.exec(bench.files.pod, ["bash", "-c", f"head -c {GIB} /dev/urandom >storage/big"])
    inside = cluster.exec(bench.files.pod, ["sha256sum", "storage/big"]).stdout.split()[0].decode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = cluster.exec(bench.files.pod, ["cat", "storage/big"], stdout=_Discard())  # type: ignore[arg-type]
    print(f"\nout, websockets {websockets}: {result.received.size / result.seconds / 1e6:.0f} MB/s")
    assert (result.status, result.received.size, result.received.sha256) == (0, GIB, inside)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    cluster.exec(bench.files.pod, ["rm", "storage/big"])


@WEBSOCKETS
def test_a_gibibyte_goes_in_in_flat_memory(bench: Bench, websockets: bool) -> None:
    cluster = bench.sibling(websockets=websockets)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = cluster.exec(bench.files.pod, ["sha256sum"], stdin=chunks(GIB))
    print(f"\nin, websockets {websockets}: {result.sent.size / result.seconds / 1e6:.0f} MB/s")
    assert (result.status, result.sent.size) == (0, GIB)
    assert result.stdout.split()[0].decode() == result.sent.sha256
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@WEBSOCKETS
def test_every_byte_passes_unaltered(bench: Bench, websockets: bool) -> None:
    every = bytes(range(256)) * 4096 + b"\r\n\x04\x1b[A\n"
    result = bench.sibling(websockets=websockets).exec(
        bench.files.pod, ["bash", "-c", "cat; echo complaint >&2; exit 5"], stdin=every
    )
    assert (result.stdout, result.status) == (every, 5)
    assert b"complaint\n" in result.stderr
    assert b"rehearsal-stream" not in result.stderr


HARD_NAMES = [
    "plain", "with space", "quo'te", 'dou"ble', "new\nline", "-dash", "\u00fcml\u00e4ut \U0001f600", "x" * 255
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree") / "storage"
    for number in range(20_000):
        folder = root / f"{number % 256:02x}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number:05d}").write_bytes(os.urandom(number % 700))
    hard = root / "hard names"
    hard.mkdir()
    for name in HARD_NAMES:
        (hard / name).write_bytes(name.encode())
    (root / "zero").touch()
    (root / "empty folder").mkdir()
    (root / "link").symlink_to("zero")
    return root


def content(root: Path) -> dict[str, str]:
    """Regular files and empty directories by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"link to {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            found[str(path.relative_to(root))] = "empty folder"
    return found


@WEBSOCKETS
def test_20000_files_by_cp_both_ways(bench: Bench, websockets: bool, tree: Path, tmp_path: Path) -> None:
    cluster = bench.sibling(websockets=websockets)
    cluster.exec(bench.files.pod, ["bash", "-c", "find storage -mindepth 1 -delete"], destructive=True)
    came_in = cluster.copy_in(tree, bench.files.pod, ".")
    went_out = cluster.copy_out(bench.files.pod, "storage", tmp_path / "storage")
    assert came_in.sent == went_out.received
    wanted = content(tree)
    # kubectl cp leaves links out (kubernetes/kubernetes#40869), and says so
    del wanted["link"]
    assert b"skipping symlink" in went_out.stderr
    assert content(tmp_path / "storage") == wanted
    owners = cluster.exec(bench.files.pod, ["bash", "-c", "find storage -type f -not -user 1000 | wc -l"])
    assert owners.stdout == b"0\n"


@WEBSOCKETS
def test_20000_files_by_tar_both_ways(bench: Bench, websockets: bool, tree: Path, tmp_path: Path) -> None:
    cluster = bench.sibling(websockets=websockets)
    cluster.exec(bench.files.pod, ["bash", "-c", "find storage -mindepth 1 -delete"], destructive=True)
    packed = pack_tree(tree.parent, "storage")
    command = ["tar", "xf", "-", "--no-overwrite-dir"]
    assert cluster.exec(bench.files.pod, command, stdin=packed, destructive=True).status == 0
    (tmp_path / "out").mkdir()
    with unpacking(tmp_path / "out") as (sink, _):
        assert cluster.exec(bench.files.pod, ["tar", "cf", "-", "storage"], stdout=sink).status == 0
    assert content(tmp_path / "out" / "storage") == content(tree)


def test_a_name_that_cp_loses_with_status_0_is_noticed(bench: Bench, tmp_path: Path) -> None:
    """kubectl cp takes a backslash for a path separator on its way in."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "back\\slash").write_text("x")
    with pytest.raises(StreamError, match="is not in the pod") as caught:
        bench.cluster.copy_in(tmp_path / "odd", bench.files.pod, "storage")
    assert "back" in str(caught.value)
    bench.cluster.exec(bench.files.pod, ["rm", "-rf", "storage/odd"], destructive=True)


WAYS = list(product(("out", "in"), (True, False)))
"""Both directions through both protocols: four streams that go on at the same time, so that all meet one incident."""


def stream_all_ways(carry: Callable[[str, bool], ExecResult]) -> dict[tuple[str, bool], ExecResult | RehearsalError]:
    """What each of the four streams came to, with what it said."""

    def try_one(way: tuple[str, bool]) -> ExecResult | RehearsalError:
        try:
            return carry(*way)
        except RehearsalError as error:
            return error

    with ThreadPoolExecutor(len(WAYS)) as pool:
        outcomes = dict(zip(WAYS, pool.map(try_one, WAYS), strict=True))
    for (direction, websockets), outcome in outcomes.items():
        said = str(outcome)[-600:] if isinstance(outcome, RehearsalError) else f"ended after {outcome.seconds:.0f} s"
        print(f"\n{direction}, websockets {websockets}: {said}")
    return outcomes


def test_a_pod_deleted_in_the_middle_is_a_named_error(make_bench: MakeBench) -> None:
    bench = make_bench()
    pod = bench.files.pod

    def carry(direction: str, websockets: bool) -> ExecResult:
        cluster = bench.sibling(websockets=websockets, tries=1)
        if direction == "out":
            return cluster.exec(pod, ["cat", "/dev/zero"], stdout=_Discard())  # type: ignore[arg-type]
        return cluster.exec(pod, ["bash", "-c", "cat >/dev/null"], stdin=_endless(), destructive=True)

    def delete() -> None:
        bench.cluster._kubectl.run("delete", "pod", pod, "--wait=false", "--grace-period=1")

    timer = do_soon(delete, 3.0)
    outcomes = stream_all_ways(carry)
    timer.join()
    for way, outcome in outcomes.items():
        assert isinstance(outcome, StreamError | EnvironmentUnfit), way
        assert all(word in str(outcome) for word in ("bytes sent", "bytes received", "pod")), way
    bench.cluster.wait_ready(pod)


def test_an_api_server_paused_for_10_s_loses_nothing_quietly(bench: Bench) -> None:
    node = f"{_cluster_name(bench)}-control-plane"
    pod = bench.files.pod
    frozen = threading.Event()

    def freeze() -> None:
        subprocess.run(["docker", "exec", node, "pkill", "-STOP", "kube-apiserver"], check=True)
        frozen.set()
        time.sleep(10)
        subprocess.run(["docker", "exec", node, "pkill", "-CONT", "kube-apiserver"], check=True)

    def carry(direction: str, websockets: bool) -> ExecResult:
        cluster = bench.sibling(websockets=websockets, tries=1)
        if direction == "out":
            made = ["bash", "-c", f"head -c {PAUSED} /dev/zero"]
            return cluster.exec(pod, made, stdout=_Discard())  # type: ignore[arg-type]
        result = cluster.exec(pod, ["sha256sum"], stdin=chunks(PAUSED))
        assert result.stdout.split()[0].decode() == result.sent.sha256
        return result

    timer = do_soon(freeze, 2.0)
    try:
        outcomes = stream_all_ways(carry)
    finally:
        timer.join()
        _wait_until_it_answers(bench)
    assert frozen.is_set()
    for (direction, websockets), outcome in outcomes.items():
        if isinstance(outcome, RehearsalError):
            assert isinstance(outcome, StreamError), (direction, websockets)
        else:
            carried = outcome.received if direction == "out" else outcome.sent
            assert carried.size == PAUSED, (direction, websockets)
    assert any(isinstance(outcome, RehearsalError) or outcome.seconds > 8 for outcome in outcomes.values()), (
        "no stream met the pause"
    )


def _wait_until_it_answers(bench: Bench) -> None:
    for _ in range(60):
        try:
            bench.cluster.wait_ready(bench.files.pod)
        except EnvironmentUnfit:
            time.sleep(1)
        else:
            return
    raise AssertionError("the API server does not answer again")


def test_a_short_stream_is_tried_again_and_journalled(bench: Bench, tmp_path: Path) -> None:
    """A kubectl that cuts its first two streams at 100,000 bytes and says 0."""
    count = tmp_path / "count"
    count.write_text("")
    wrapper = tmp_path / "kubectl"
    wrapper.write_text(
        f'#!/bin/bash\nif [[ " $* " == *" head "* && $(wc -c <{count}) -lt 2 ]]; then echo -n x >>{count};\n'
        f'{bench.tools.kubectl} "$@" | head -c 100000; exit 0; fi\nexec {bench.tools.kubectl} "$@"\n'
    )
    wrapper.chmod(0o755)
    cluster = bench.sibling()
    cluster._kubectl = type(cluster._kubectl)(**{**cluster._kubectl.__dict__, "binary": wrapper})
    target = tmp_path / "out"
    before = len(bench.events("stream-cut"))
    result = cluster.exec(bench.files.pod, ["head", "-c", "500000", "/dev/zero"], stdout=target)
    assert (result.received.size, target.read_bytes()) == (500_000, bytes(500_000))
    cuts = bench.events("stream-cut")[before:]
    assert [(cut["attempt"], cut["tries"]) for cut in cuts] == [(1, 3), (2, 3)]
    assert all("100000 bytes" in str(cut["error"]) for cut in cuts)
    count.write_text("")
    with pytest.raises(StreamError, match="100000 bytes"):
        cluster.exec(bench.files.pod, ["head", "-c", "500000", "/dev/zero"], stdout=_Discard())  # type: ignore[arg-type]


def _cluster_name(bench: Bench) -> str:
    listed = subprocess.run([bench.tools.kind, "get", "clusters"], capture_output=True, check=True, text=True)
    server = bench.kubeconfig.read_text()
    return next(name for name in listed.stdout.split() if f"kind-{name}\n" in server)


def _endless() -> Iterator[bytes]:
    block = bytes(1 << 20)
    while True:
        yield block


class _Discard:
    """A stream that keeps nothing."""

    name = "discard"

    def write(self, chunk: bytes) -> int:
        return len(chunk)
