"""A rehearsal on kind against a plain shell that types the manual's own commands, on the same cluster, in one run.

    python bench/kind_copies.py [--size s|m|l] [--rounds 3] [--skip memory]

Backup, loss and restore: the harness' method (A) and bash scripts of the same kubectl commands (B), rounds interleaved,
on the seed of that size; goal at size m: A/B at most 1.15. Streams: `cluster.exec` of tar, out and in (A), against
`kubectl exec … tar` and a redirection (B), with a payload that does not compress; goal: A at least 0.9 of B's bytes a
second. From `kind create` to the first Ready pod of ours: goal under 60 s. Whole rehearsals of size s on the cluster
that is up: goal under 45 s. Peak memory (VmHWM) of the harness in a child that rehearses the size: goal under 300 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rehearsal.chipster import runbook
from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.kind import KindSession
from rehearsal.clusters.kind_tools import KindTools, find_kind_tools
from rehearsal.clusters.kubernetes import KubernetesCluster
from rehearsal.deployment import Deployment
from rehearsal.journal import JOURNAL, Journal, Redactor
from rehearsal.losses import DELETE_CLAIMS
from rehearsal.methods.kubectl_copy import KubectlCopy
from rehearsal.options import Options, Size, choose_size
from rehearsal.processes import identify_ourselves
from rehearsal.roles import Stage
from rehearsal.run import Run
from rehearsal.scenario_files import default_folder, load_scenarios, pick_scenarios
from rehearsal.shell import Shell
from rehearsal.stores import open_store
from rehearsal.values import make_deployment, read_values

ROOT = Path(__file__).resolve().parent.parent
SCENARIO = "lose-everything"
METHOD = KubectlCopy(files_by="tar")
PAYLOAD_MIB = {"s": 64, "m": 1024, "l": 4096}
PHASES = ("back up", "lose", "restore")


class Place:
    """One namespace on one kind cluster, deployed, and what a shell needs to reach it."""

    def __init__(self, folder: Path, values: Path) -> None:
        self.folder = folder
        self.deployment: Deployment = make_deployment(read_values([values]))
        self.tools: KindTools = find_kind_tools()
        self.session = KindSession(self.tools, make_stand_ins)
        self.journal = Journal(folder / "runs" / "bench" / "bench" / JOURNAL, Redactor(self.deployment.secrets()))
        ours = identify_ourselves()
        self.journal.own("harness", str(ours.pid), start_time=ours.start_time, boot_id=ours.boot_id)
        self.shell = Shell(self.journal)
        self.cluster: KubernetesCluster | None = None

    def up(self) -> tuple[float, float]:
        """Make the cluster and deploy: seconds until the first of our pods was Ready, and until all were."""
        began = time.time()
        nonce = secrets.token_hex(16)
        self.cluster = self.session.open(self.folder / "runs" / "bench" / "bench", nonce, self.journal, self.shell)
        self.cluster.deploy(self.deployment)
        everything = time.time() - began
        pods = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        ready = [
            datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()
            for pod in pods
            for condition in pod["status"]["conditions"]
            if condition["type"] == "Ready" and condition["status"] == "True"
        ]
        return min(ready) + 1 - began, everything  # Kubernetes writes whole seconds

    @property
    def kubectl_words(self) -> list[str]:
        assert self.cluster is not None
        kubeconfig = self.cluster.hook_environment()["KUBECONFIG"]
        return [str(self.tools.kubectl), "--kubeconfig", kubeconfig, "-n", self.cluster.namespace]

    def kubectl(self, *words: str) -> str:
        done = subprocess.run([*self.kubectl_words, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def run_script(self, script: str) -> None:
        """bash with `k` for kubectl; anything that fails ends it."""
        head = f'set -euo pipefail\nk() {{ {shlex.join(self.kubectl_words)} "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-c", head + script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"the shell's side failed with {done.returncode}: {done.stderr[-2000:]}")

    def close(self) -> None:
        try:
            if self.cluster is not None:
                self.cluster.close()
        finally:
            self.session.close()
            self.journal.close()


def timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


# -- backup, loss, restore --------------------------------------------------------------------------------------------


def make_stage(place: Place, folder: Path) -> Stage:
    assert place.cluster is not None
    (folder / "logs").mkdir(parents=True)
    return Stage(
        cluster=place.cluster,
        deployment=place.deployment,
        stores=place.deployment.stores,
        lost=place.deployment.stores,
        backup_folder=folder / "backup",
        logs=folder / "logs",
        private=folder / "private",
        run_id="bench",
        values_copy="",
        journal=place.journal,
        report_command=lambda *_: None,
    )


def time_harness(place: Place, folder: Path) -> list[float]:
    """Seconds of each of PHASES with our own method."""
    stage = make_stage(place, folder)
    steps = (METHOD.back_up, DELETE_CLAIMS.lose, METHOD.restore)
    return [timed(lambda step=step: step(stage)) for step in steps]  # type: ignore[misc]


def write_scripts(place: Place, folder: Path) -> tuple[str, str, str]:
    """The manual's own commands, as a person would put them into three scripts."""
    assert place.cluster is not None
    manifests = folder / "manifests.json"
    objects = make_stand_ins(place.deployment, place.tools.workload_image, place.cluster._host_root)
    manifests.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    into = shlex.quote(str(folder))
    back_up, lose, restore = [], [], []
    for database in place.deployment.databases:
        dump = f"{into}/{database.name}.sql"
        back_up += [
            f"k exec {database.pod} -- {shlex.join(runbook.vacuum_large_objects(database))}",
            f"k exec {database.pod} -- {shlex.join(runbook.dump(database))} > {dump}",
        ]
        restore += [f"cat {dump} | k exec -i {database.pod} -- {shlex.join(runbook.feed_psql(database))}"]
    for files in place.deployment.files:
        mine = f"{into}/{files.pod}"
        back_up += [
            f"mkdir {mine}",
            f"k exec {files.pod} -- {shlex.join(runbook.MEASURE_FILES)}",
            f"k exec {files.pod} -- {shlex.join(runbook.PACK_FILES)} | tar xf - -C {mine}",
        ]
        lose += [f"k exec {files.pod} -- {shlex.join(runbook.REMOVE_FILES)}"]
        restore += [
            f"k exec {files.pod} -- {shlex.join(runbook.REMOVE_FILES)}",
            f"tar cf - -C {mine} storage | k exec -i {files.pod} -- {shlex.join(runbook.UNPACK_FILES)}",
        ]
    stores = place.deployment.stores
    workloads = list(dict.fromkeys(store.workload for store in stores))
    for workload in workloads:  # one after the other, as the harness and the manual do
        pods = " ".join(f"pod/{store.pod}" for store in stores if store.workload == workload)
        lose += [f"k scale --replicas 0 sts/{workload}", f"k wait --for=delete --timeout=300s {pods}"]
    lose += [f"k delete pvc {store.claim}" for store in stores]
    lose += [f"k apply --server-side --force-conflicts --field-manager=chipster-rehearsal -f {manifests}"]
    lose += [f"k rollout status --timeout=300s sts/{workload}" for workload in workloads]
    return "\n".join(back_up), "\n".join(lose), "\n".join(restore)


def time_shell(place: Place, folder: Path) -> list[float]:
    """Seconds of each of PHASES with plain bash and kubectl."""
    folder.mkdir()
    return [timed(lambda script=script: place.run_script(script)) for script in write_scripts(place, folder)]  # type: ignore[misc]


def compare_procedures(place: Place, size: Size, rounds: int) -> None:
    assert place.cluster is not None
    seed = Seed(1, size, place.deployment.file_replicas)
    work = place.folder / "work"
    work.mkdir()
    seconds = timed(
        lambda: [open_store(spec, place.cluster, work, place.journal, seed).seed() for spec in place.deployment.stores]  # type: ignore[arg-type]
    )
    print(f"seed of size {size}: {seconds:.1f} s", flush=True)
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    for number in range(rounds):
        for name, times, way in (("a", ours, time_harness), ("b", theirs, time_shell)):
            folder = work / f"{number}{name}"
            times.append(way(place, folder))
            shutil.rmtree(folder)
    for index, phase in enumerate(PHASES):
        tell(phase, [times[index] for times in ours], [times[index] for times in theirs])
    tell("backup, loss and restore", list(map(sum, ours)), list(map(sum, theirs)), "goal at size m: 1.15")


def tell(what: str, ours: Sequence[float], theirs: Sequence[float], goal: str = "") -> None:
    a, b = statistics.median(ours), statistics.median(theirs)
    spread = f"A {min(ours):.1f}-{max(ours):.1f}, B {min(theirs):.1f}-{max(theirs):.1f}"
    print(
        f"{what:26} A {a:7.2f} s   B {b:7.2f} s   A/B {a / b:5.2f}  ({spread}){'  ' + goal if goal else ''}", flush=True
    )


# -- streams ----------------------------------------------------------------------------------------------------------


def compare_streams(place: Place, mebibytes: int, rounds: int) -> None:
    """tar of one folder with incompressible files, out to a file here and in to a folder there."""
    cluster = place.cluster
    assert cluster is not None
    pod = place.deployment.files[0].pod
    make = (
        "mkdir -p /tmp/payload /tmp/in && cd /tmp/payload && "
        f"for i in $(seq {mebibytes // 16}); do head -c 16777216 /dev/urandom > $i; done"
    )
    place.kubectl("exec", pod, "--", "bash", "-c", make)
    target = place.folder / "payload.tar"
    pack = ("tar", "cf", "-", "-C", "/tmp", "payload")  # noqa: S108 - in the pod
    unpack = ("tar", "xf", "-", "-C", "/tmp/in")  # noqa: S108 - in the pod
    quoted = shlex.quote(str(target))
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "out": (
            lambda: cluster.exec(pod, pack, stdout=target),
            lambda: place.run_script(f"k exec {pod} -- {shlex.join(pack)} > {quoted}"),
        ),
        "in": (
            lambda: cluster.exec(pod, unpack, stdin=target, destructive=True),
            lambda: place.run_script(f"k exec -i {pod} -- {shlex.join(unpack)} < {quoted}"),
        ),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
    for number in range(rounds + 1):  # the first round fills the page cache
        for name, pair in ways.items():
            for side, way in enumerate(pair):
                seconds = timed(way)
                if number:
                    times[name][side].append(seconds)
    size = target.stat().st_size / 1e6
    for name, (ours, theirs) in times.items():
        a, b = (size / statistics.median(side) for side in (ours, theirs))
        print(
            f"stream {name:3} of {size:6.0f} MB     A {a:6.1f} MB/s   B {b:6.1f} MB/s   A/B {a / b:5.2f}  goal: 0.9",
            flush=True,
        )
    place.kubectl("exec", pod, "--", "rm", "-rf", "/tmp/payload", "/tmp/in")  # noqa: S108 - in the pod
    target.unlink()


# -- whole rehearsals and memory --------------------------------------------------------------------------------------


def time_whole(place: Place, values: Path, rounds: int) -> None:
    """Whole rehearsals of size s in namespaces of their own on the cluster that is up."""
    (scenario,) = pick_scenarios(load_scenarios(default_folder()), [SCENARIO])
    times = []
    for _ in range(rounds):
        run = Run(Options(values=(values,), cluster="kind", runs=place.folder / "whole", size="s"))
        run.__enter__()
        run.session = place.session  # the cluster that is up; the run's own was never made
        started = time.monotonic()
        performed = run.perform(scenario)
        times.append(time.monotonic() - started)
        assert performed.outcome == "PASS", performed.report.findings
    spread = f"{min(times):.1f}-{max(times):.1f}"
    print(
        f"whole rehearsal of size s on a cluster that is up: {statistics.median(times):.1f} s ({spread})  goal: 45 s",
        flush=True,
    )


def measure_memory(folder: Path, values: Path, size: str) -> None:
    """VmHWM of a harness in a child that rehearses once, cluster included."""
    command = (sys.executable, "-c", "import sys; from rehearsal.cli import main; sys.exit(main())", "run", SCENARIO)
    options = ("--cluster", "kind", "--size", size, "--values", str(values), "--runs", str(folder / "memory"))
    with (folder / "memory.out").open("wb") as out:
        child = subprocess.Popen(
            [*command, *options], stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    peak = 0
    started = time.monotonic()
    while child.poll() is None:
        time.sleep(0.1)
        try:
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
    status = child.wait()
    seconds = time.monotonic() - started
    said = "" if status == 0 else f" (status {status}: {(folder / 'memory.out').read_text()[-1500:]})"
    print(
        f"peak memory of the harness at size {size}: {peak / 1024:.0f} MiB, {seconds:.0f} s  goal: 300 MB{said}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="s", choices=("s", "m", "l"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--values", type=Path, default=ROOT / "docs" / "values.example.yaml")
    parser.add_argument("--skip", nargs="*", default=(), choices=("procedures", "streams", "whole", "memory"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it tidies up like after Ctrl-C
    size = choose_size(arguments.size)
    folder = Path(tempfile.mkdtemp(prefix="bench-kind-", dir="/var/tmp"))
    print(
        f"{shlex.join(sys.argv)}: medians of {arguments.rounds} interleaved rounds, {os.cpu_count()} cores", flush=True
    )
    try:
        place = Place(folder, arguments.values)
        try:
            first, everything = place.up()
            print(
                f"kind up to the first Ready pod of ours: {first:.1f} s, to all: {everything:.1f} s  goal: 60 s",
                flush=True,
            )
            if "whole" not in arguments.skip:
                time_whole(place, arguments.values, arguments.rounds)
            if "streams" not in arguments.skip:
                compare_streams(place, PAYLOAD_MIB[size], arguments.rounds)
            if "procedures" not in arguments.skip:
                compare_procedures(place, size, arguments.rounds)
        finally:
            place.close()
        if "memory" not in arguments.skip:
            measure_memory(folder, arguments.values, size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
