"""`.ci/run` in a copy of the tree where make, engine and docker are played: a red night tells what a green one does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripts import ROOT

TOOLS = "basename bash cat dirname env find grep ln mkdir mktemp rm sleep sort tail touch"
STEPS = ["test", "rehearse", "kind-kit", "rehearse-kind", "test-kind"]

# Everything that is played writes down its call; `plays/NAME`, where there is one, says what it does.
PLAYED = """#!/bin/bash
set -euo pipefail
echo "{name} $*" >>{here}/calls
name={name}-$(basename "${{1:-}}")
[ ! -e {here}/plays/$name ] || source {here}/plays/$name
"""
ENGINE = """
engine-status) [ -e {here}/engine-runs ]
engine-start) touch {here}/engine-runs
engine-stop) rm {here}/engine-runs
"""
DOCKER = """
[ -e {here}/engine-runs ] || exit 1
case "$*" in
    "network ls"*) cat {here}/networks ;;
    "network rm kind") echo bridge >{here}/networks ;;
    "ps "*network=kind*) cat {here}/on-network ;;
esac
"""
LEAKS = """
import pathlib, sys, time
here = pathlib.Path({here!r})
with (here / "calls").open("a") as calls:
    print("leaks", *sys.argv[1:2], file=calls)
if "--note" in sys.argv:
    pathlib.Path(sys.argv[2]).write_text("noted")
else:
    assert "--since" not in sys.argv or pathlib.Path(sys.argv[2]).read_text() == "noted"
    if (here / "slow").exists():
        (here / "looking").touch()
        time.sleep(1)
    left = here / "left"
    print(left.read_text() if left.exists() else "nothing is left behind")
    sys.exit(left.exists())
"""


def summarise(runs: str, run: str, verdict: str = "PASS", scenario: str = "lose-auth") -> str:
    """A shell script that leaves what a rehearsal would."""
    cluster = "kind" if runs == "runs-kind" else "local"
    entry = {"scenario": scenario, "verdict": verdict, "control": None, "seconds": 4.2}
    summary = json.dumps({"clusters": [cluster], "verdict": verdict, "entries": [entry]})
    return f"mkdir -p {runs}/{run}; echo '{summary}' >{runs}/{run}/summary.json; ln -sfn {run} {runs}/latest\n"


@dataclass
class Tree:
    """The copy, and how it ended."""

    here: Path

    def play(self, name: str, script: str) -> None:
        (self.here / "plays" / name).write_text(script)

    def start(self, *shell: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*shell, str(self.here / "tree" / ".ci" / "run")],
            env={"PATH": str(self.here / "path"), "TMPDIR": str(self.here / "tmp"), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> tuple[int, str]:
        with self.start() as process:
            said, _ = process.communicate(timeout=60)
        return process.returncode, said

    @property
    def calls(self) -> list[str]:
        return (self.here / "calls").read_text().splitlines()

    @property
    def made(self) -> list[str]:
        return [call.split()[1] for call in self.calls if call.startswith("make ")]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A clean clone on a machine whose engine does not run, where all goes well."""
    copy = tmp_path / "tree"
    for folder in (
        copy / ".ci",
        copy / "ci" / "kit",
        copy / ".venv" / "bin",
        *(tmp_path / n for n in ("path", "plays", "tmp")),
    ):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", copy / ".ci" / "run")
    shutil.copy(ROOT / "ci" / "tell_table.py", copy / "ci" / "tell_table.py")
    (copy / "ci" / "check_leaks.py").write_text(LEAKS.format(here=str(tmp_path)))
    for name in TOOLS.split():
        found = shutil.which(name)
        assert found, name
        (tmp_path / "path" / name).symlink_to(os.path.realpath(found))
    (tmp_path / "path" / "python3").symlink_to(os.path.realpath(sys.executable))
    played = {"make": tmp_path / "path" / "make", "engine": copy / "ci" / "kit" / "engine"}
    played |= {"docker": tmp_path / "path" / "docker", "python": copy / ".venv" / "bin" / "python"}
    for name, path in played.items():
        path.write_text(PLAYED.format(name=name, here=tmp_path))
        path.chmod(0o755)
    one = Tree(tmp_path)
    for line in ENGINE.format(here=tmp_path).strip().splitlines():
        name, script = line.split(") ", 1)
        one.play(name, script)
    for verb in ("network", "ps"):
        one.play(f"docker-{verb}", DOCKER.format(here=tmp_path))
    (tmp_path / "networks").write_text("bridge\nhost\n")
    (tmp_path / "on-network").write_text("")
    one.play("make-rehearse", summarise("runs", "20261128T000001Z-aaaaaa"))
    one.play("make-rehearse-kind", summarise("runs-kind", "20261128T000002Z-bbbbbb"))
    return one


def find_line(said: str, *words: str) -> str:
    found = [line for line in said.splitlines() if all(word in line for word in words)]
    assert found, f"no line with {words} in:\n{said}"
    return found[-1]


def check_the_end(tree: Tree, said: str) -> None:
    """What is told and done however it ended."""
    assert "scenario " in said, "the table"
    assert "nothing is left behind" in said
    assert tree.calls[-2:] == ["leaks --since", "engine stop"], "the engine is asked before it is stopped"
    assert list((tree.here / "tmp").iterdir()) == [], "the note is removed"


def test_a_green_night(tree: Tree) -> None:
    status, said = tree.run()
    assert status == 0, said
    assert tree.made == STEPS
    assert [call for call in tree.calls if call.startswith("python ")] == [
        "python ci/check_summary.py runs/20261128T000001Z-aaaaaa/summary.json",
        "python ci/check_summary.py runs-kind/20261128T000002Z-bbbbbb/summary.json",
    ]
    check_the_end(tree, said)
    assert find_line(said, "lose-auth", "local", "PASS", "4.2")
    assert find_line(said, "lose-auth", "kind", "PASS", "4.2")
    for name in STEPS:
        assert find_line(said, " s ", "ok", f"make {name}")
    assert said.splitlines()[-1].endswith("green")


@pytest.mark.parametrize("red", ["test", "rehearse", "rehearse-kind", "test-kind"])
def test_a_red_step_leaves_the_independent_ones_to_speak(tree: Tree, red: str) -> None:
    script = tree.here / "plays" / f"make-{red}"
    tree.play(f"make-{red}", (script.read_text() if script.exists() else "") + "exit 2\n")
    status, said = tree.run()
    assert status == 2
    assert tree.made == STEPS
    check_the_end(tree, said)
    assert find_line(said, "status 2", f"make {red}")
    assert find_line(said, "lose-auth", "kind", "PASS")
    assert find_line(said, "red", f"make {red}") == said.splitlines()[-1]


def test_a_summary_that_is_not_as_it_should_be_is_red_though_the_command_was_green(tree: Tree) -> None:
    tree.play("python-check_summary.py", "exit 1")
    status, said = tree.run()
    assert status == 1
    check_the_end(tree, said)
    assert find_line(said, "status 1", "check_summary.py runs/")


def test_without_a_kit_nothing_on_kind_is_tried(tree: Tree) -> None:
    tree.play("make-kind-kit", "exit 2")
    status, said = tree.run()
    assert status == 2
    assert tree.made == ["test", "rehearse", "kind-kit"]
    check_the_end(tree, said)
    assert find_line(said, "not run", "make rehearse-kind")
    assert find_line(said, "not run", "make test-kind")
    assert find_line(said, "lose-auth", "local", "PASS")


def test_without_an_engine_the_embedded_cluster_is_rehearsed_all_the_same(tree: Tree) -> None:
    tree.play("engine-start", "exit 1")
    tree.play("engine-stop", "echo none that this kit started")
    status, said = tree.run()
    assert status == 1
    assert tree.made == ["test", "rehearse"]
    assert find_line(said, "status 1", "ci/kit/engine start")
    assert find_line(said, "not run", "make kind-kit")
    check_the_end(tree, said)


def test_the_first_failure_is_the_status(tree: Tree) -> None:
    tree.play("make-test", "exit 7")
    tree.play("make-test-kind", "exit 3")
    (tree.here / "left").write_text("docker volume: 4f4f")
    status, said = tree.run()
    assert status == 7
    assert "docker volume: 4f4f" in said
    assert find_line(said, "status 3", "make test-kind")


def test_a_leak_alone_is_a_failure(tree: Tree) -> None:
    (tree.here / "left").write_text("docker volume: 4f4f")
    status, said = tree.run()
    assert status == 1
    assert "docker volume: 4f4f" in said
    assert find_line(said, "red", "left behind") == said.splitlines()[-1]
    assert tree.calls[-1] == "engine stop"


@pytest.mark.parametrize("how", ["exit 2", ""])
def test_an_earlier_runs_summary_is_never_told_as_this_ones(tree: Tree, how: str) -> None:
    earlier = summarise("runs", "20261127T000000Z-cccccc", scenario="lose-yesterday")
    subprocess.run(["bash", "-c", earlier], cwd=tree.here / "tree", check=True)
    tree.play("make-rehearse", how)
    time.sleep(0.05)
    status, said = tree.run()
    assert status != 0, "no rehearsal was seen"
    assert "lose-yesterday" not in said
    assert not [call for call in tree.calls if "20261127" in call]
    assert find_line(said, "runs: no rehearsal of this run wrote a summary")
    assert find_line(said, "lose-auth", "kind", "PASS")
    check_the_end(tree, said)


LONG = """
signals=0
trap 'signals=$((signals + 1))' INT
touch {here}/begun
for _ in {{1..200}}; do [ $signals = 0 ] || break; sleep 0.05 || true; done
for _ in {{1..12}}; do sleep 0.05 || true; done
echo "cleaned up after $signals" >>{here}/calls
exit 130
"""


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "script alone"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_for_the_clean_up_and_tells_what_there_is(
    tree: Tree, number: signal.Signals, whole_group: bool
) -> None:
    here = tree.here
    tree.play("make-rehearse-kind", LONG.format(here=here))
    with tree.start() as process:
        wait_for((here / "begun").exists)
        send: Callable[[int, int], None] = os.killpg if whole_group else os.kill
        send(process.pid, number)
        time.sleep(0.2)
        send(process.pid, number)  # a second one hurries nothing
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    told = [call for call in tree.calls if call.startswith(("cleaned", "leaks --since"))]
    assert told == ["cleaned up after 1", "leaks --since"], "a rehearsal removes what it made, and is waited for"
    assert tree.made == STEPS[:4]
    check_the_end(tree, said)
    assert find_line(said, "interrupted", "make rehearse-kind")
    assert find_line(said, "not run", "make test-kind")
    assert find_line(said, "lose-auth", "local", "PASS")


def test_ctrl_c_at_the_end_keeps_nobody_from_looking_for_leaks(tree: Tree) -> None:
    (tree.here / "slow").touch()
    with tree.start() as process:
        wait_for((tree.here / "looking").exists)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    check_the_end(tree, said)


def test_before_a_note_was_taken_none_is_compared_with(tree: Tree) -> None:
    """Everything on the engine would be new."""
    tree.play("engine-start", LONG.format(here=tree.here))
    tree.play("engine-stop", "")
    with tree.start() as process:
        wait_for((tree.here / "begun").exists)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert [call for call in tree.calls if call.startswith("leaks")] == ["leaks"]
    assert tree.made == []


def test_where_ctrl_c_is_ignored_a_stopped_job_cleans_up_all_the_same(tree: Tree) -> None:
    """As in the background of a shell without job control; what is started there ignores it too, unless told."""
    tree.play("make-rehearse-kind", LONG.format(here=tree.here))
    with tree.start("bash", "-c", "trap '' INT; exec \"$0\"") as process:
        wait_for((tree.here / "begun").exists)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "cleaned up after 1" in tree.calls


def test_an_engine_that_ran_before_goes_on(tree: Tree) -> None:
    (tree.here / "engine-runs").touch()
    status, said = tree.run()
    assert status == 0, said
    assert "engine stop" not in tree.calls


def test_an_engine_that_does_not_stop_is_a_failure(tree: Tree) -> None:
    tree.play("engine-stop", "exit 1")
    status, said = tree.run()
    assert status == 1
    assert find_line(said, "red", "ci/kit/engine stop") == said.splitlines()[-1]


MAKE_NETWORK = "echo kind >>{here}/networks\n"


@pytest.mark.parametrize(
    ("before", "users", "removed"), [("", "", True), ("kind\n", "", False), ("", "somebodys-control-plane\n", False)]
)
def test_kinds_network_goes_where_there_was_none_and_nobody_is_on_it(
    tree: Tree, before: str, users: str, removed: bool
) -> None:
    (tree.here / "engine-runs").touch()
    (tree.here / "networks").write_text(f"bridge\n{before}")
    (tree.here / "on-network").write_text(users)
    tree.play("make-kind-kit", MAKE_NETWORK.format(here=tree.here))
    status, said = tree.run()
    assert status == 0, said
    assert ("docker network rm kind" in tree.calls) is removed
    if removed:
        assert tree.calls.index("docker network rm kind") < tree.calls.index("leaks --since")


def test_a_network_that_nobody_asked_about_before_is_left(tree: Tree) -> None:
    tree.play("docker-network", f'echo "$*" | grep -q rm || exit 1; touch {tree.here}/wrong')
    tree.run()
    assert "docker network rm kind" not in tree.calls


def wait_for(predicate: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not predicate():
        assert time.monotonic() < end
        time.sleep(0.02)
