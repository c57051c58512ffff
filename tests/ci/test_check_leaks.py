"""What is told as left behind: names of ours always; what has no name of ours only when it was not there before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load

ANONYMOUS = "4f" * 32
OTHER = "a1" * 32
USED = "0e" * 32

# docker ps, volume ls, network ls: what there is, a line each; what a --filter leaves lies in a file of its own.
DOCKER = """#!/bin/bash
[ ! -e {here}/down ] || {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}
path={here}/$1
for word; do case "$word" in -*) ;; *=*) path+=-$word ;; esac; done
[ ! -e "$path" ] || /bin/cat "$path"
"""


@dataclass
class Machine:
    """An engine, folders and no processes, all of them played."""

    here: Path
    leaks: ModuleType

    def has(self, listing: str, *lines: str) -> None:
        (self.here / listing).write_text("".join(f"{line}\n" for line in lines))

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["check_leaks.py", *arguments])
        return int(self.leaks.main())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    leaks = load("check_leaks")
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.write_text(DOCKER.format(here=tmp_path))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(leaks, "_FOLDERS", (tmp_path / "tmp",))
    monkeypatch.setattr(leaks, "_SETTLE", 0.0)
    monkeypatch.setattr(leaks, "find_processes", list)
    return Machine(tmp_path, leaks)


@pytest.fixture
def note(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> str:
    """Written on a machine where others have a cluster, a failed build and a volume."""
    machine.has("ps", "other-control-plane|kindest/node:v1|", "angry_fermi|0123456789ab|")
    machine.has("volume", f"{USED}|", f"{OTHER}|", "postgres-of-mine|")
    machine.has("network", "bridge|", "kind|")
    path = str(machine.here / "note")
    assert machine.run(monkeypatch, "--note", path) == 0
    return path


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_nothing_is_left_of_what_was_there_before(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("volume-dangling=true", f"{OTHER}|", f"{USED}|")  # its container was removed meanwhile: not by us
    assert machine.run(monkeypatch, "--since", note) == 0
    assert told(capsys) == ["nothing is left behind"]


@pytest.mark.parametrize(
    ("listing", "line", "said"),
    [
        ("ps", "rehearsal-0123-control-plane|kindest/node:v1|", "rehearsal-0123-control-plane"),
        ("ps", "happy_bell|postgres:14|chipster-rehearsal.run=abc", "happy_bell"),
        ("ps", "kind-build-1764340000-77|localhost/base:1|", "kind-build-1764340000-77"),
        ("ps", "happy_bell|localhost/chipster-rehearsal/workload:1|", "happy_bell"),
        ("ps", "happy_bell|ba9876543210|", "happy_bell"),
        ("ps", f"happy_bell|sha256:{OTHER}|", "happy_bell"),
        ("volume-dangling=true", f"{ANONYMOUS}|", ANONYMOUS),
        ("volume", "rehearsal-0123-data|", "rehearsal-0123-data"),
        ("network", "rehearsal-0123|", "rehearsal-0123"),
    ],
)
def test_what_a_run_leaves_is_told_by_name(
    machine: Machine,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    listing: str,
    line: str,
    said: str,
) -> None:
    path = machine.here / listing
    path.write_text((path.read_text() if path.exists() else "") + f"{line}\n")
    assert machine.run(monkeypatch, "--since", note) == 1
    (only,) = told(capsys)
    assert said in only


@pytest.mark.parametrize(
    ("listing", "line"),
    [("ps", "somebodys|nginx:1|"), ("volume", f"{ANONYMOUS}|"), ("volume", "mine|"), ("network", "compose_default|")],
)
def test_what_cannot_be_ours_is_not_told(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, listing: str, line: str
) -> None:
    path = machine.here / listing
    path.write_text(path.read_text() + f"{line}\n")
    assert machine.run(monkeypatch, "--since", note) == 0


def test_without_a_note_only_names_of_ours_count(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("volume-dangling=true", f"{OTHER}|")
    assert machine.run(monkeypatch) == 0
    (machine.here / "tmp" / "rehearsal-kind-0123").mkdir()
    machine.has("ps", "kind-build-1|localhost/base:1|", "rehearsal-0123-auth|r/postgres:1|")
    capsys.readouterr()
    assert machine.run(monkeypatch) == 1
    first, second = told(capsys)
    assert "rehearsal-0123-auth" in first
    assert second == f"folder {machine.here}/tmp/rehearsal-kind-0123"


@pytest.fixture
def no_network(machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch) -> str:
    machine.has("network", "bridge|")
    machine.run(monkeypatch, "--note", note)
    machine.has("network", "bridge|", "kind|")
    return note


def test_the_network_kind_is_a_leak_where_there_was_none_and_nobody_is_on_it(
    machine: Machine, no_network: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.run(monkeypatch, "--since", no_network) == 1
    assert told(capsys) == ["docker network: kind"]


def test_the_network_kind_is_left_to_others_who_are_on_it_now(
    machine: Machine, no_network: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("ps-network=kind", "mine-control-plane")
    assert machine.run(monkeypatch, "--since", no_network) == 0
    assert told(capsys) == [
        "docker network: kind is left deliberately, mine-control-plane is on it",
        "nothing is left behind",
    ]


def test_an_engine_that_does_not_answer_may_hold_anything(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.here / "down").touch()
    assert machine.run(monkeypatch, "--since", note) == 1
    assert all("not looked at" in line and "Cannot connect" in line for line in told(capsys))
    machine.run(monkeypatch, "--note", note)
    assert machine.run(monkeypatch, "--since", note) == 1, "not looked at before, and not now: never a known thing"


def test_where_nobody_looked_before_only_names_of_ours_count(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that was started in between has the volumes and networks of earlier days."""
    (machine.here / "down").touch()
    machine.run(monkeypatch, "--note", note)
    (machine.here / "down").unlink()
    machine.has("volume-dangling=true", f"{OTHER}|")
    assert machine.run(monkeypatch, "--since", note) == 0
    assert told(capsys)[0].startswith("docker: nobody looked before the run")
    machine.has("ps", "rehearsal-0123-auth|r/postgres:1|")
    assert machine.run(monkeypatch, "--since", note) == 1


def test_what_is_let_go_of_in_a_moment_is_no_leak(
    machine: Machine, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("volume-dangling=true", f"{ANONYMOUS}|")
    monkeypatch.setattr(machine.leaks.time, "sleep", lambda _: machine.has("volume-dangling=true"))
    assert machine.run(monkeypatch, "--since", note) == 0


@pytest.fixture
def tagged(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    environment = {**os.environ, "REHEARSAL_JOURNAL": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_known_by_its_journal(tagged: subprocess.Popen[bytes]) -> None:
    assert any(line.startswith(f"process {tagged.pid}: ") for line in load("check_leaks").find_processes())
