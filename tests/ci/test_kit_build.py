"""`ci/kit/build` in a copy of the kit with steps that take no time: when it builds, and that a rehearsal finds what it
left. Engine and registry are played; no command of this machine's own PATH is seen but the usual tools.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rehearsal.clusters.kind_tools import find_kind_tools
from rehearsal.errors import EnvironmentUnfit

KIT = Path(__file__).resolve().parent.parent.parent / "ci" / "kit"
TOOLS = (
    "bash cat chmod cp cut dirname find flock ln mkdir mv rm sed sha256sum sleep sort tail timeout touch uname xargs"
)
STEPS = {
    "10-kubernetes": 'mkdir "$OUT/bin"; touch "$OUT/bin/kubectl"; chmod +x "$OUT/bin/kubectl"',
    "40-clients": 'mkdir "$OUT/bin"; touch "$OUT/bin/"{kind,helm}; chmod +x "$OUT/bin/"*',
    "70-workload": 'touch "$OUT/image.tar"; echo localhost/work:1 >"$OUT/image.ref"',
    "80-node-image": 'touch "$OUT/image.tar"; echo localhost/node:1 >"$OUT/image.ref"',
}
# The registry answers while the file is there; the engine has every image.
DOCKER = '#!/bin/bash\ncase "$1" in manifest) [ -e {here}/registry ] ;; info) echo 2 ;; esac\n'


@dataclass
class Machine:
    """What is on the PATH, and whether a registry answers."""

    here: Path

    def put(self, name: str, script: str = "exit 0") -> None:
        (self.here / "path" / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.here / "path" / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.here / "path"),
            "REHEARSAL_KIT_CACHE": str(self.here / "cache"),
            "HOME": "/nonexistent",
        }

    def build(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.here / "kit" / "build"), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def built(self) -> list[str]:
        parts = self.here / "cache" / "parts"
        return sorted(path.name.rpartition("-")[0] for path in parts.glob("*")) if parts.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An ordinary machine for root, with Go: engine and registry answer."""
    kit = tmp_path / "kit"
    (kit / "steps").mkdir(parents=True)
    for name in ("build", "lib.sh", "versions.env", "steps/common.sh"):
        shutil.copy(KIT / name, kit / name)
    for name, script in STEPS.items():
        (kit / "steps" / name).write_text(f"# {name}, played\n{script}\n")
    (kit / "engine").write_text("#!/bin/bash\necho 'engine: answers'\n")
    (kit / "engine").chmod(0o755)
    (tmp_path / "path").mkdir()
    for name in TOOLS.split():
        found = shutil.which(name)
        assert found, name
        (tmp_path / "path" / name).symlink_to(os.path.realpath(found))
    one = Machine(tmp_path)
    one.put("id", "echo 0")
    one.put("go")
    (tmp_path / "path" / "docker").write_text(DOCKER.format(here=tmp_path))
    (tmp_path / "path" / "docker").chmod(0o755)
    (tmp_path / "registry").touch()
    return one


def test_an_ordinary_machine_needs_no_kit(machine: Machine) -> None:
    for name in ("kind", "kubectl"):
        machine.put(name)
    done = machine.build()
    assert done.returncode == 0, done.stderr
    assert "choice: ordinary machine" in done.stdout
    assert machine.built == []
    assert find_kind_tools(machine.environment).kind == machine.here / "path" / "kind"


@pytest.mark.parametrize(
    ("there", "missing"), [((), "kind and kubectl are"), (("kubectl",), "kind is"), (("kind",), "kubectl is")]
)
def test_where_kind_or_kubectl_is_missing_the_kit_is_built_though_a_registry_answers(
    machine: Machine, there: tuple[str, ...], missing: str
) -> None:
    """The hint of a rehearsal that finds neither names this command, which used to build nothing, with status 0."""
    for name in there:
        machine.put(name)
    with pytest.raises(EnvironmentUnfit) as caught:
        find_kind_tools(machine.environment)
    assert caught.value.hint.startswith("make kind-kit")
    done = machine.build()
    assert done.returncode == 0, done.stderr
    assert f"{missing} not on the PATH" in done.stdout
    assert machine.built == ["clients", "kubernetes", "node-image", "workload"]
    assert find_kind_tools(machine.environment).node_image == "localhost/node:1"


@pytest.mark.parametrize("lacking", ["root", "go"])
def test_who_cannot_build_is_told_what_to_do_before_anything_is_built(machine: Machine, lacking: str) -> None:
    if lacking == "root":
        machine.put("id", "echo 1000")
    else:
        (machine.here / "path" / "go").unlink()
    done = machine.build()
    assert done.returncode == 1
    assert "kind and kubectl are not on the PATH" in done.stderr
    assert "ci/kit/build --build" in done.stderr
    assert machine.built == []
    assert not (machine.here / "cache" / "current").exists()


def test_a_kit_that_was_asked_for_is_built_though_nothing_is_missing(machine: Machine) -> None:
    for name in ("kind", "kubectl"):
        machine.put(name)
    assert machine.build("--build").returncode == 0
    again = machine.build()
    assert "choice: the kit, built before" in again.stdout
    assert find_kind_tools(machine.environment).kind.name == "kind"


def test_a_kit_that_lost_a_file_is_made_whole(machine: Machine) -> None:
    """The hint of a rehearsal that misses it is this command too."""
    assert machine.build("--build").returncode == 0
    kubectl = find_kind_tools(machine.environment).kubectl
    kubectl.unlink()
    with pytest.raises(EnvironmentUnfit, match="names a file that is not there") as caught:
        find_kind_tools(machine.environment)
    assert caught.value.hint == "make kind-kit"
    done = machine.build()
    assert done.returncode == 0, done.stderr
    assert find_kind_tools(machine.environment).kubectl == kubectl


def test_where_no_registry_answers_the_kit_is_built(machine: Machine) -> None:
    for name in ("kind", "kubectl"):
        machine.put(name)
    (machine.here / "registry").unlink()
    done = machine.build()
    assert done.returncode == 0, done.stderr
    assert "no image registry answers" in done.stdout
    assert machine.build("--where").stdout.startswith(str(machine.here / "cache"))
