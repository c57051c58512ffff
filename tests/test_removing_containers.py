"""`rehearsal clean` on the containers level: what is not proven to be the dead run's is left, with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.cleaning import REMOVERS, Owned
from rehearsal.errors import EnvironmentUnfit, Refused, RehearsalError

NONCE = "0123456789abcdef0123456789abcdef"
NAME = f"rehearsal-{NONCE[:12]}-file-storage-0"
LABEL = "chipster-rehearsal.run"

# docker [container|volume] inspect --format F NAME, docker rm … NAME: what it knows lies in a folder, a file a name.
FAKE = """#!/bin/bash
echo "$DOCKER_HOST $*" >>{folder}/calls
[ -e {folder}/gone ] && {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}
name="${{@: -1}}"
case "$*" in
    *inspect*) cat {folder}/things/"$name" 2>/dev/null || {{ echo "Error: No such {kind}: $name" >&2; exit 1; }};;
    *rm*) [ -e {folder}/stuck ] && {{ echo "it is in use" >&2; exit 1; }}; rm {folder}/things/"$name";;
esac
"""


class Engine:
    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        (folder / "bin").mkdir()
        (folder / "things").mkdir()
        binary = folder / "bin" / "docker"
        binary.write_text(FAKE.format(folder=folder, kind=kind))
        binary.chmod(0o755)

    def add(self, labels: dict[str, str] | None) -> None:
        (self.folder / "things" / NAME).write_text(json.dumps(labels))

    @property
    def changed(self) -> list[str]:
        calls = self.folder / "calls"
        return [line for line in calls.read_text().splitlines() if " inspect " not in line] if calls.exists() else []

    def remove(self, name: str = NAME, **marks: Any) -> bool:
        return REMOVERS[self.kind](Owned(self.kind, name, {"nonce": NONCE, "engine": "unix:///e", **marks}))


@pytest.fixture(params=["container", "volume"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///another")
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    return Engine(tmp_path, request.param)


def test_what_the_run_made_is_removed_from_the_engine_it_was_made_in(engine: Engine) -> None:
    engine.add({LABEL: NONCE})
    assert engine.remove() is True
    command = {"container": "rm --force --volumes", "volume": "volume rm"}[engine.kind]
    assert engine.changed == [f"unix:///e {command} {NAME}"]


def test_what_is_gone_is_gone(engine: Engine) -> None:
    assert engine.remove() is False
    assert engine.changed == []


@pytest.mark.parametrize("labels", [{LABEL: "f" * 32}, {}, None])
def test_what_carries_another_label_is_left(engine: Engine, labels: dict[str, str] | None) -> None:
    engine.add(labels)
    with pytest.raises(Refused, match="is not that run's"):
        engine.remove()
    assert engine.changed == []


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("somebodys", {}),
        ("rehearsal-ffffffffffff-file-storage-0", {}),
        (NAME, {"nonce": ""}),
        (NAME, {"engine": "tcp://elsewhere:2375"}),
        (NAME, {"engine": ""}),
    ],
)
def test_a_journal_that_does_not_fit_is_not_obeyed(engine: Engine, name: str, marks: dict[str, str]) -> None:
    engine.add({LABEL: NONCE})
    with pytest.raises(Refused):
        engine.remove(name, **marks)
    assert not (engine.folder / "calls").exists()


def test_an_engine_that_does_not_answer_is_not_taken_for_an_empty_one(engine: Engine) -> None:
    (engine.folder / "gone").touch()
    with pytest.raises(Refused, match="does not answer: Cannot connect to the Docker daemon"):
        engine.remove()


def test_what_cannot_be_removed_is_said(engine: Engine) -> None:
    engine.add({LABEL: NONCE})
    (engine.folder / "stuck").touch()
    with pytest.raises(EnvironmentUnfit, match="it is still there: it is in use"):
        engine.remove()
    assert issubclass(EnvironmentUnfit, RehearsalError)
