from pathlib import Path

import pytest

from rehearsal import doctor
from rehearsal.doctor import Tool, examine, render


def by_name(tools):
    return {tool.name: tool for tool in tools}


@pytest.fixture
def tools_folder(tmp_path, monkeypatch):
    """A PATH on which a test puts its own tools."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("REHEARSAL_KIT_CACHE", str(tmp_path / "no-kit"))
    return folder


def put(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_what_this_machine_has(tmp_path):
    found = by_name(examine(tmp_path))
    for name in ("python", "postgres", "vacuumlo", "bash", "tar", "gpg", "rclone"):
        assert found[name].found, found[name].next_command
        assert found[name].version[0].isdigit()
        assert found[name].next_command == ""


def test_every_missing_tool_has_a_next_command(tools_folder, tmp_path, monkeypatch):
    found = by_name(examine(tmp_path))
    missing = [tool for tool in found.values() if tool.found is None]
    assert {tool.name for tool in missing} >= {
        "bash",
        "tar",
        "git",
        "pv",
        "gpg",
        "kubectl",
        "kind",
        "helm",
        "container engine",
    }
    assert [tool.name for tool in missing if not tool.next_command] == []
    assert found["kubectl"].next_command == "make kind-kit"


def test_helm_is_had_where_a_kit_is_built_only_on_request(tools_folder, tmp_path):
    for name in ("kind", "kubectl"):
        put(tools_folder, name, "exit 0")
    assert "ci/kit/build --build" in by_name(examine(tmp_path))["helm"].next_command


def test_versions_are_asked_for(tools_folder, tmp_path):
    put(tools_folder, "kind", "echo 'kind v0.29.0 go1.24.2 linux/amd64'")
    put(tools_folder, "pv", "exit 3")
    found = by_name(examine(tmp_path))
    assert (found["kind"].found, found["kind"].version) == (str(tools_folder / "kind"), "v0.29.0")
    assert (found["pv"].found, found["pv"].version) == (str(tools_folder / "pv"), "")


def test_a_client_without_an_engine_is_no_engine(tools_folder, tmp_path):
    put(tools_folder, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    engine = by_name(examine(tmp_path))["container engine"]
    assert (engine.found, engine.version) == (None, "client only, no engine answers")
    assert engine.next_command
    put(tools_folder, "docker", "echo 27.1.1")
    assert by_name(examine(tmp_path))["container engine"].version == "27.1.1"


def test_bad_binaries_are_explained(tmp_path):
    (tmp_path / "bin").mkdir()
    postgres = by_name(examine(tmp_path, tmp_path / "bin"))["postgres"]
    assert postgres.found is None
    assert "--pg-bin lacks postgres, initdb" in postgres.version
    assert "make" in postgres.next_command


def test_disk_space_is_that_of_the_nearest_existing_folder(tmp_path, monkeypatch):
    space = by_name(examine(tmp_path / "not" / "yet"))["disk space"]
    assert space.found == str(tmp_path)
    monkeypatch.setattr(doctor, "_SPACE_WANTED", 1 << 60)
    low = by_name(examine(tmp_path))["disk space"]
    assert low.found is None
    assert f"df -h {tmp_path}" in low.next_command


def test_the_table_is_aligned_and_says_what_to_type():
    tools = [
        Tool("bash", "/usr/bin/bash", "5.2", "every rehearsal"),
        Tool("kubectl", None, "", "--cluster kind", "apt-get install kubernetes-client"),
    ]
    assert render(tools).splitlines() == [
        "bash     5.2  /usr/bin/bash  for every rehearsal",
        "kubectl  -    MISSING        for --cluster kind",
        "         next: apt-get install kubernetes-client",
    ]


def test_nothing_is_written(tmp_path):
    examine(tmp_path)
    assert list(Path(tmp_path).iterdir()) == []
