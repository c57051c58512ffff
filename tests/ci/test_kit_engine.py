"""`ci/kit/engine` in a copy of the kit, on a machine that is played: it stops what it started, itself or by way of the
package that it installed, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

KIT = Path(__file__).resolve().parent.parent.parent / "ci" / "kit"
TOOLS = "bash cat chmod cut dirname grep mkdir mv nohup rm sed setsid sleep tail touch tr"
UNITS = ("docker.socket", "docker.service", "containerd.service")

# A unit that runs is a file with the id of its run; the engine answers while docker.service or our dockerd runs.
SYSTEMCTL = """
echo "$*" >>{here}/systemctl-calls
case "$1" in
    is-active) [ -e {here}/units/"$3" ] ;;
    show) cat {here}/units/"$5" ;;
    stop) shift; for unit; do rm {here}/units/"$unit"; done ;;
esac
"""
DOCKER = "[ -e {here}/units/docker.service ] || [ -e {here}/answers ]"
DOCKERD = """
echo $$ >"${{1#--pidfile=}}"
trap 'rm {here}/answers; exit' TERM
touch {here}/answers
while :; do sleep 0.05; done
"""
# As the package does: its units are started where systemd runs, unless something forbids it.
APT = """
[ "$1" = install ] || exit 0
for name in docker dockerd runc; do mv {here}/package/$name {here}/path/; done
[ -e {here}/systemd ] || exit 0
for unit in {units}; do [ -e {here}/units/$unit ] || echo "$unit-run-1" >{here}/units/$unit; done
"""


@dataclass
class Machine:
    """Where no engine was ever installed."""

    here: Path

    def put(self, folder: str, name: str, script: str) -> None:
        path = self.here / folder / name
        path.write_text(f"#!/bin/bash\n{script.format(here=self.here, units=' '.join(UNITS))}\n")
        path.chmod(0o755)

    def engine(self, verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.here / "kit" / "engine"), verb],
            env={"PATH": str(self.here / "path"), "REHEARSAL_KIT_CACHE": str(self.here / "cache")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_unit(self, unit: str, run: str) -> None:
        (self.here / "units" / unit).write_text(f"{run}\n")

    @property
    def units(self) -> set[str]:
        return {path.name for path in (self.here / "units").iterdir()}


def swap(source: Path, target: Path, words: dict[str, str]) -> None:
    text = source.read_text()
    for there, here in words.items():
        assert text.count(there) == 1, f"{source.name} no longer says {there}: this test would reach the real one"
        text = text.replace(there, here)
    target.write_text(text)
    target.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    kit = tmp_path / "kit"
    (kit / "src" / "oci-wrapper").mkdir(parents=True)
    for folder in ("path", "package", "units", "sbin"):
        (tmp_path / folder).mkdir()
    shutil.copy(KIT / "versions.env", kit)
    # The script also looks where root's programs lie: a played machine must never come to a real dockerd, nor to what
    # decides over this machine's services.
    swap(KIT / "engine", kit / "engine", {"setsid nohup dockerd": f"setsid nohup {tmp_path}/path/dockerd"})
    places = {"/run/systemd/system": f"{tmp_path}/systemd", "/usr/sbin/policy-rc.d": f"{tmp_path}/sbin/policy-rc.d"}
    swap(KIT / "lib.sh", kit / "lib.sh", places)
    for name in TOOLS.split():
        found = shutil.which(name)
        assert found, name
        (tmp_path / "path" / name).symlink_to(os.path.realpath(found))
    one = Machine(tmp_path)
    for name, script in (("id", "echo 0"), ("go", ":"), ("apt-get", APT), ("systemctl", SYSTEMCTL)):
        one.put("path", name, script)
    for name, script in (("docker", DOCKER), ("dockerd", DOCKERD), ("runc", ":")):
        one.put("package", name, script)
    yield one
    one.engine("stop")


@pytest.fixture
def systemd(machine: Machine) -> Machine:
    (machine.here / "systemd").mkdir()
    return machine


def test_the_dockerd_that_it_started_is_stopped(machine: Machine) -> None:
    started = machine.engine("start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "dockerd started, pid" in started.stdout
    assert machine.units == set()
    assert machine.engine("status").returncode == 0
    stopped = machine.engine("stop")
    assert (stopped.returncode, "stopped after" in stopped.stdout) == (0, True)
    assert machine.engine("status").returncode == 1
    assert "none that this kit started" in machine.engine("stop").stdout


def test_beside_one_that_does_not_answer_no_second_one_is_started(machine: Machine) -> None:
    """It would take the socket away from the first for good."""
    machine.engine("start")
    script = machine.here / "kit" / "engine"
    swap(script, script, {"-lt 60 ] || give_up": "-lt 1 ] || give_up"})
    (machine.here / "answers").unlink()
    machine.put("path", "dockerd", "touch {here}/second")
    again = machine.engine("start")
    assert again.returncode != 0
    assert "of this kit runs and does not answer" in again.stdout
    assert "ci/kit/engine stop, then start it again" in again.stderr
    assert not (machine.here / "second").exists()
    (machine.here / "answers").touch()
    assert machine.engine("start").returncode == 0
    assert "stopped after" in machine.engine("stop").stdout


def test_what_the_package_started_when_it_was_installed_is_stopped_too(systemd: Machine) -> None:
    started = systemd.engine("start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "started by its package" in started.stdout
    assert systemd.units == set(UNITS)
    assert "started by its package, which this kit installed" in systemd.engine("status").stdout
    stopped = systemd.engine("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert systemd.units == set()
    assert "at the next boot" in stopped.stdout, "the package stays"
    assert "none that this kit started" in systemd.engine("stop").stdout


def test_a_unit_that_ran_before_is_left(systemd: Machine) -> None:
    systemd.run_unit("containerd.service", "somebodys")
    systemd.engine("start")
    systemd.engine("stop")
    assert systemd.units == {"containerd.service"}


def test_a_service_that_was_started_again_since_is_left(systemd: Machine) -> None:
    """After a reboot, or by another hand: it is another run of it, and not the kit's to stop."""
    systemd.engine("start")
    systemd.run_unit("docker.service", "run-2")
    stopped = systemd.engine("stop")
    assert (stopped.returncode, systemd.units) == (0, set(UNITS))
    assert "none that this kit started" in stopped.stdout
    systemd.run_unit("docker.service", "docker.service-run-1")
    systemd.engine("stop")
    assert systemd.units == set(UNITS), "the note is gone"


def test_an_engine_that_answers_is_nobodys_to_stop(systemd: Machine) -> None:
    for name in ("docker", "dockerd", "runc"):
        (systemd.here / "package" / name).rename(systemd.here / "path" / name)
    systemd.run_unit("docker.service", "somebodys")
    assert "used as it is" in systemd.engine("start").stdout
    systemd.engine("stop")
    assert systemd.units == {"docker.service"}
