"""Which kind, kubectl and images are taken, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.clusters import rclone
from rehearsal.clusters.kind_tools import find_kind_tools
from rehearsal.errors import EnvironmentUnfit


def write_kit(folder: Path, leave_out: str = "") -> Path:
    kit = folder / "chipster-rehearsal-kit" / "current"
    kit.mkdir(parents=True)
    for name in ("kind", "kubectl"):
        (kit / name).touch(mode=0o755)
    (kit / "cluster.yaml").write_text("# why one\nkind: Cluster\n  x: 1 # why two\n")
    lines = [
        "# comment",
        "KIT_DIGEST=abc",
        f"KIT_KIND={kit}/kind",
        f"KIT_KUBECTL={kit}/kubectl",
        "KIT_NODE_IMAGE=node:1",
        "KIT_WORKLOAD_IMAGE=work:1",
        f"KIT_CLUSTER_CONFIG={kit}/cluster.yaml",
        "KIT_KUBERNETES_VERSION=v1.33.13",
    ]
    (kit / "kit.env").write_text("".join(f"{line}\n" for line in lines if not line.startswith(leave_out or "\0")))
    return kit


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME", "REHEARSAL_KIT_CACHE"])
def test_the_kit_is_taken_where_it_lies(tmp_path: Path, variable: str) -> None:
    base = tmp_path / ".cache" if variable == "HOME" else tmp_path
    kit = write_kit(base)
    place = base / "chipster-rehearsal-kit" if variable == "REHEARSAL_KIT_CACHE" else tmp_path
    tools = find_kind_tools({variable: str(place), "PATH": ""})
    assert (tools.kind, tools.kubectl) == (kit / "kind", kit / "kubectl")
    assert (tools.node_image, tools.workload_image, tools.image_to_load) == ("node:1", "work:1", "work:1")
    assert tools.reasons() == ("why one", "why two")
    assert tools.choice.startswith("the kit abc, Kubernetes v1.33.13")


def test_an_image_that_lies_in_the_node_image_is_not_loaded(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    (kit / "kit.env").write_text((kit / "kit.env").read_text() + "KIT_NODE_HAS_WORKLOAD=yes\n")
    tools = find_kind_tools({"XDG_CACHE_HOME": str(tmp_path), "PATH": ""})
    assert (tools.workload_image, tools.image_to_load) == ("work:1", "")


def test_without_a_kit_the_path_is_searched(tmp_path: Path) -> None:
    for name in ("kind", "kubectl"):
        (tmp_path / name).touch(mode=0o755)
    tools = find_kind_tools({"HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert (tools.kind, tools.node_image, tools.workload_image) == (tmp_path / "kind", "", "")
    assert tools.reasons() == ()
    assert f"{rclone.IMAGE} for S3" in tools.choice
    (tmp_path / "kind").unlink()
    with pytest.raises(EnvironmentUnfit, match="no kind kit, and kind not on the PATH") as caught:
        find_kind_tools({"HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert caught.value.hint == "make kind-kit, which builds a kit with both; or install what is missing"


def test_without_a_kit_an_image_at_hand_may_stand_in(tmp_path: Path) -> None:
    for name in ("kind", "kubectl"):
        (tmp_path / name).touch(mode=0o755)
    image = "localhost/ours:1"
    tools = find_kind_tools({"PATH": str(tmp_path), "HOME": str(tmp_path), "REHEARSAL_WORKLOAD_IMAGE": image})
    assert tools.workload_image == tools.image_to_load == image
    assert image in tools.choice
    assert rclone.IMAGE not in tools.choice


def test_an_image_of_ones_own_stands_in_with_a_kit_too(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    (kit / "kit.env").write_text((kit / "kit.env").read_text() + "KIT_NODE_HAS_WORKLOAD=yes\n")
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "", "REHEARSAL_WORKLOAD_IMAGE": "example.org/ours:1"}
    tools = find_kind_tools(environment)
    assert (tools.kind, tools.node_image) == (kit / "kind", "node:1")
    assert tools.workload_image == tools.image_to_load == "example.org/ours:1", "the node image does not hold it"
    assert "example.org/ours:1 (REHEARSAL_WORKLOAD_IMAGE) in place of the images of values.yaml" in tools.choice
    tools = find_kind_tools({**environment, "REHEARSAL_WORKLOAD_IMAGE": "work:1"})
    assert (tools.workload_image, tools.image_to_load) == ("work:1", ""), "the kit's own, by name"


def test_an_incomplete_kit_is_named(tmp_path: Path) -> None:
    kit = write_kit(tmp_path, leave_out="KIT_NODE_IMAGE")
    with pytest.raises(EnvironmentUnfit, match="does not say KIT_NODE_IMAGE"):
        find_kind_tools({"XDG_CACHE_HOME": str(tmp_path)})
    (kit / "kit.env").write_text((kit / "kit.env").read_text() + "KIT_NODE_IMAGE=x\n")
    (kit / "kubectl").unlink()
    with pytest.raises(EnvironmentUnfit, match="names a file that is not there: .*kubectl"):  # noqa: RUF043
        find_kind_tools({"XDG_CACHE_HOME": str(tmp_path)})
