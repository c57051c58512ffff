"""Kill a kind rehearsal at random moments; `rehearsal clean` must leave nothing, and no report may say PASS.

    python bench/kill_kind.py [--kills 50] [--seed 1] [--lanes 2] [--values FILE] [--signal KILL|INT|TERM] [--again]

Undisturbed runs of `rehearsal run lose-everything --cluster kind`, as many side by side as there are lanes, give the
duration D. Then, as often as asked: the same
run in a child, `kill -9` of its process at a moment drawn evenly from 0.5 s to D, `rehearsal clean`, and a look at what
is left: containers, volumes and networks of the engine, processes, folders. The child has a TMPDIR of its own, so that
what others do on the machine at the same time is not taken for a leak. Exits with 1 on any leak or wrong PASS.

With `--signal INT` (Ctrl-C) or TERM (a stopped CI job) the run itself must remove everything: it is looked at before
`clean`, which must find nothing to do. With `--again` the same signal comes once more within 3 s, into the clean-up.

A PASS is wrong in the run's summary whenever the run was killed, and in a rehearsal's report when the journal does not
say that the rehearsal, its own clean-up included, was over. A run that ends before its moment is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.cleaning import find_runs
from rehearsal.journal import read_journal

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-c", "import sys; from rehearsal.cli import main; sys.exit(main())")
SCENARIO = "lose-everything"
_SETTLE = 2.0
_PATIENCE = 300.0
"""Seconds that an interrupted run may take for its clean-up."""
_INTERRUPTED = 130
_LAST_MOMENT = 5.0
"""Seconds before its end in which a run may come too late to heed an interruption: all is over but its farewell."""


def ask_engine(*words: str) -> list[str]:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def list_loose_volumes() -> set[str]:
    """Volumes without a name that no container uses: a node's own is such a one when its container is gone."""
    loose = ask_engine("volume", "ls", "--quiet", "--filter", "dangling=true")
    return {name for name in loose if re.fullmatch("[0-9a-f]{64}", name)}


@dataclass
class Round:
    """One run in a child, with folders of its own.

    Attributes:
        top: its runs folder and its TMPDIR are below.
    """

    top: Path
    values: Path
    volumes: set[str] = field(default_factory=list_loose_volumes)
    networks: set[str] = field(default_factory=lambda: set(ask_engine("network", "ls", "--quiet")))

    def __post_init__(self) -> None:
        (self.top / "tmp").mkdir(parents=True)

    @property
    def runs(self) -> Path:
        return self.top / "runs"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.top / "tmp"), "PYTHONPATH": str(ROOT)}

    def start(self) -> subprocess.Popen[bytes]:
        words = ("run", SCENARIO, "--cluster", "kind", "--values", str(self.values), "--runs", str(self.runs))
        with (self.top / "out").open("wb") as out:
            return subprocess.Popen(
                [*COMMAND, *words], env=self.environment(), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
            )

    def clean(self) -> str:
        """What `rehearsal clean` said that is a fault: its status, what it refused."""
        done = subprocess.run(
            [*COMMAND, "clean", "--runs", str(self.runs)],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ROOT,
            check=False,
        )
        with (self.top / "out").open("a") as out:
            out.write(done.stdout + done.stderr)
        return "" if done.returncode == 0 else f"clean ended with {done.returncode}: {done.stdout}{done.stderr}"

    def journals(self) -> list[Path]:
        return sorted(self.runs.glob("*/*/journal.jsonl"))

    def find_leaks(self) -> list[str]:
        """Everything that is left of this run; looked at twice, for the engine may still be letting go."""
        first = self._look()
        if not first:
            return []
        time.sleep(_SETTLE)
        return [thing for thing in self._look() if thing in first]

    def _look(self) -> list[str]:
        names = set()
        for journal in self.journals():
            owned = [line for line in read_journal(journal) if line.get("event") == "owned"]
            names |= {str(line["name"]) for line in owned if line["kind"] in ("kind-cluster", "namespace")}
        left = [f"container {name}" for name in ask_engine("ps", "--all", "--format", "{{.Names}}") if _of(name, names)]
        left += [f"volume {name}" for name in sorted(list_loose_volumes() - self.volumes)]
        networks = set(ask_engine("network", "ls", "--format", "{{.ID}}@{{.Name}}"))
        left += [f"network {name}" for name in sorted(networks) if name.split("@")[1] != "kind" and _of(name, names)]
        left += [f"folder {path}" for path in (self.top / "tmp").iterdir()]
        left += [f"folder {path}" for path in Path("/dev/shm").glob("rehearsal-*") if _of(path.name, names)]  # noqa: S108
        left += [f"still owned: {thing}" for run in find_runs(self.runs) for thing in run.owned]
        return left + find_processes(str(self.top), names)

    def find_wrong_passes(self) -> tuple[list[str], bool]:
        """PASSes that a killed run must not show; and whether its rehearsal was over before the kill.

        Asked before `clean`, which is what tells a run that had removed everything from one that had not.
        """
        wrong, was_over = [], False
        if find_runs(self.runs):
            wrong += [f"PASS in {path}" for path in self.runs.glob("*/summary.json") if _says_pass(path)]
        for journal in self.journals():
            tidied = any(
                line.get("event") == "phase" and line.get("phase") == "clean up" and line.get("state") == "finished"
                for line in read_journal(journal)
            )
            was_over = was_over or tidied
            report = journal.with_name("report.json")
            if not tidied and report.exists() and _says_pass(report):
                wrong.append(f"PASS in {report}")
        return wrong, was_over

    def phase(self) -> str:
        """Where the rehearsal was."""
        for journal in self.journals():
            lines = read_journal(journal)
            if any(line.get("event") == "verdict" for line in lines):
                return "teardown"
            phases = [line for line in lines if line.get("event") == "phase"]
            if phases:
                return str(phases[-1]["phase"]) + ("" if phases[-1]["state"] == "started" else " (done)")
            commands = [str(line["command"]) for line in lines if line.get("event") == "command-started"]
            words = commands[-1].split() if commands else ["nothing"]
            return "make cluster: " + " ".join([Path(words[0]).name, *words[1:3]])
        return "start"


def _of(name: str, names: set[str]) -> bool:
    return any(ours in name for ours in names)


def _says_pass(path: Path) -> bool:
    return bool(json.loads(path.read_text())["verdict"] == "PASS")


def find_processes(top: str, names: set[str]) -> list[str]:
    """Processes that carry the tag of a journal below `top`, or name a cluster or namespace of ours."""
    left = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = os.fsdecode((entry / "cmdline").read_bytes().replace(b"\0", b" ")).strip()
            tagged = f"REHEARSAL_JOURNAL={top}/".encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if words and (tagged or _of(words, names)):
            left.append(f"process {entry.name}: {words[:100]}")
    return left


def measure_duration(top: Path, values: Path, lanes: int) -> float:
    """Seconds of the longest of undisturbed runs side by side; each must PASS and leave nothing."""

    def measure(lane: int) -> float:
        one = Round(top / f"undisturbed-{lane}", values)
        started = time.monotonic()
        status = one.start().wait()
        seconds = time.monotonic() - started
        leaks = one.find_leaks()
        if status or leaks:
            said = (one.top / "out").read_text()
            raise SystemExit(f"an undisturbed run ended with status {status} and left {leaks}:\n{said}")
        return seconds

    with ThreadPoolExecutor(lanes) as pool:
        return max(pool.map(measure, range(lanes)))


@dataclass(frozen=True)
class Blow:
    """How a run is ended: by which signal, and how many seconds later by the same again."""

    number: signal.Signals
    moment: float
    again: float | None

    def strike(self, child: subprocess.Popen[bytes]) -> bool:
        """Wait for the moment and send it; whether the run had not ended by itself."""
        try:
            child.wait(timeout=self.moment)
        except subprocess.TimeoutExpired:
            child.send_signal(self.number)
        else:
            return False
        if self.again is not None:
            try:
                child.wait(timeout=self.again)
            except subprocess.TimeoutExpired:
                child.send_signal(self.number)
        return True


def kill_once(number: int, top: Path, values: Path, blow: Blow) -> tuple[str, list[str], float]:
    """One kill: what became of it in a word, the faults, the seconds until everything was removed."""
    one = Round(top, values)
    child = one.start()
    gentle = blow.number is not signal.SIGKILL
    try:
        struck = blow.strike(child)
        started = time.monotonic()
        status = child.wait(timeout=_PATIENCE)
        went_on = time.monotonic() - started
    except BaseException:
        child.kill()
        raise
    ended_alone = not struck or (not gentle and status != -signal.SIGKILL)
    phase = "over" if ended_alone else one.phase()
    wrong, was_over = ([], True) if ended_alone else one.find_wrong_passes()
    faults = one.find_leaks() if gentle else []
    if not gentle:
        started = time.monotonic()
    fault = one.clean()
    seconds = time.monotonic() - started
    faults += [*([fault] if fault else []), *one.find_leaks(), *wrong]
    wanted = {0} if ended_alone else {0, _INTERRUPTED} if gentle else {-signal.SIGKILL}
    if status not in wanted:  # it failed, or somebody else ended it: not a kill of ours
        faults.append(f"the run ended with status {status}")
    if gentle and not ended_alone and status == 0 and went_on > _LAST_MOMENT:
        faults.append(f"the run went on for {went_on:.0f} s as if nobody had interrupted it")
    if gentle and not ended_alone:
        kind = "interrupted" if status else "too late"  # its last rehearsal was over, and so was the run
    else:
        kind = "ended before" if ended_alone else "killed in teardown" if was_over else "killed"
    intact = "nothing left, no PASS" if kind in ("killed", "interrupted") else "nothing left"
    said = "; ".join(faults) or intact
    print(f"{number:3}  at {blow.moment:6.1f} s  {kind:<18} {phase:<40} clean {seconds:5.1f} s  {said}", flush=True)
    return kind, faults, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", choices=("KILL", "INT", "TERM"), default="KILL")
    parser.add_argument("--again", action="store_true", help="the same signal a second time, within 3 s")
    parser.add_argument("--lanes", type=int, default=2, help="runs side by side")
    parser.add_argument("--values", type=Path, default=ROOT / "docs" / "values.example.yaml")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds of an undisturbed run; 0: measure it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it tidies up like after Ctrl-C
    # a shell's background job ignores SIGINT, and so would every run of ours
    signal.signal(signal.SIGINT, signal.default_int_handler)
    top = Path(tempfile.mkdtemp(prefix="kill-kind-", dir="/var/tmp"))
    draws = random.Random(arguments.seed)  # noqa: S311 - no secret
    begun = time.monotonic()
    duration = arguments.duration or measure_duration(top, arguments.values, arguments.lanes)
    print(f"{' '.join(sys.argv)}: an undisturbed run takes {duration:.1f} s", flush=True)
    blows = [
        Blow(
            signal.Signals[f"SIG{arguments.signal}"],
            draws.uniform(0.5, duration),
            draws.uniform(0.1, 3.0) if arguments.again else None,
        )
        for _ in range(arguments.kills)
    ]

    def kill(number: int) -> tuple[str, list[str], float]:
        done = kill_once(number, top / str(number), arguments.values, blows[number - 1])
        if not done[1]:
            shutil.rmtree(top / str(number))
        return done

    with ThreadPoolExecutor(arguments.lanes) as pool:
        rounds = list(pool.map(kill, range(1, arguments.kills + 1)))
    kinds = Counter(kind for kind, _, _ in rounds)
    faulty = sum(bool(faults) for _, faults, _ in rounds)
    cleaning = [seconds for _, _, seconds in rounds]
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    print(
        f"{arguments.kills} runs: {counts}; {faulty} with a leak or a wrong PASS; clean took "
        f"{statistics.median(cleaning):.1f} s (median), {max(cleaning):.1f} s at most; "
        f"{(time.monotonic() - begun) / 60:.1f} min in all"
    )
    if faulty:
        print(f"evidence: {top}")
        return 1
    shutil.rmtree(top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
