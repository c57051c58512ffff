"""Which level a run takes on a machine without an engine, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rehearsal.clusters.choosing import Wish, open_session
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit
from rehearsal.options import Options
from rehearsal.run import Run


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No docker, no kind, no kit: a PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("REHEARSAL_KIT_CACHE", str(tmp_path / "no-kit"))
    return tmp_path


def make_nothing(deployment: Deployment, image: str, host_root: str) -> list[dict[str, Any]]:
    return []


def wish(level: str) -> Wish:
    return Wish(level, None, 0, make_nothing)


def test_auto_takes_local_where_no_engine_answers_and_says_why(bare_machine: Path) -> None:
    session = open_session(wish("auto"))
    assert session.level == "local"
    assert "auto: no container engine answers" in session.description


def test_local_as_asked_gives_no_reason(bare_machine: Path) -> None:
    session = open_session(wish("local"))
    assert session.level == "local"
    assert "auto" not in session.description


@pytest.mark.parametrize("level", ["kind", "containers"])
def test_a_level_that_was_asked_for_is_never_swapped(bare_machine: Path, level: str) -> None:
    with pytest.raises(EnvironmentUnfit) as caught:
        open_session(wish(level))
    assert caught.value.hint


def test_an_engine_without_kind_is_not_kind(bare_machine: Path) -> None:
    docker = bare_machine / "docker"
    docker.write_text("#!/bin/sh\necho 28.0\n")
    docker.chmod(0o755)
    session = open_session(wish("auto"))
    assert session.level == "local"
    assert "auto: no kind kit, and kind and kubectl not on the PATH" in session.description


@pytest.mark.parametrize(("also", "named"), [("", True), (", storageHostPath: /data", False)])
def test_a_run_on_kind_says_that_the_class_of_values_yaml_is_not_proved(
    bare_machine: Path, also: str, named: bool
) -> None:
    pytest.importorskip("pytest_kind", reason="the extra `kind` is not installed")
    for name in ("docker", "kind", "kubectl"):
        (bare_machine / name).write_text("#!/bin/sh\necho 28.0\n")
        (bare_machine / name).chmod(0o755)
    values = bare_machine / "values.yaml"
    values.write_text(f"deployments: {{fileStorage: {{storageClassName: longhorn{also}}}}}")
    with Run(Options(values=(values,), cluster="kind", runs=bare_machine / "runs")) as run:
        assert any("your StorageClass longhorn" in said for said in run.session.does_not_prove) == named
