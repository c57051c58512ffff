"""One cluster a run: a half-made one goes after its logs, or stays known to `clean`; with a kind that is played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_kind", reason="the extra `kind` is not installed")

from recorded_api import list_classes, make_class

from rehearsal.clusters.kind import KindSession
from rehearsal.clusters.kind_tools import KindTools
from rehearsal.clusters.local_places import read_nonce
from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell

NONCE = "0123456789abcdef0123456789abcdef"
NAME = f"rehearsal-{NONCE[:12]}"

# Each verb does what a file of its name holds, in place of nothing; `nodes` is what the engine has.
PLAYED = """#!/bin/bash
here={here}
echo "$1 $2" >>$here/calls
case "$1 $2" in
    "create cluster") echo {name}-control-plane >$here/nodes ;;
    "delete cluster") [ -e $here/delete ] || : >$here/nodes ;;
    "get nodes") cat $here/nodes ;;
    "export logs") mkdir -p "${{@: -1}}"; cp $here/nodes "${{@: -1}}/nodes" ;;
esac
[ ! -e $here/$1 ] || source $here/$1
"""

PLAYED_KUBECTL = """#!/bin/bash
case " $* " in
    *" get storageclass "*) cat {here}/classes ;;
    *" create "*) cat >{here}/created ;;
    *) [ ! -e {here}/rollout ] || source {here}/rollout ;;
esac
"""


@dataclass
class Scene:
    """A session, and the files that say how kind and kubectl behave."""

    session: KindSession
    played: Path
    run: Path
    private: Path
    journal: Journal

    def play(self, verb: str, script: str) -> None:
        (self.played / verb).write_text(script)

    @property
    def calls(self) -> list[str]:
        return (self.played / "calls").read_text().splitlines()

    @property
    def nodes(self) -> str:
        return (self.played / "nodes").read_text()

    def open(self) -> Any:
        return self.session.prepare(self.run / "rehearsal", NONCE, self.journal, Shell(self.journal))

    def still_owned(self) -> list[str]:
        owned: list[str] = []
        for line in read_journal(self.journal.path):
            if line["event"] == "owned":
                owned.append(str(line["kind"]))
            elif line["event"] == "gone":
                owned.remove(str(line["kind"]))
        return owned


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    played, run, private = (tmp_path / name for name in ("played", "run", "private"))
    for folder in (played, run / "rehearsal", private):
        folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(private))
    monkeypatch.setattr("rehearsal.clusters.kind._LATE", 0.3)
    kind, kubectl = played / "kind", played / "kubectl"
    kind.write_text(PLAYED.format(here=played, name=NAME))
    kubectl.write_text(PLAYED_KUBECTL.format(here=played))
    kind.chmod(0o755)
    kubectl.chmod(0o755)
    session = KindSession(KindTools(kind, kubectl, "node:1", "", None, "played"), lambda *_: [])
    journal = Journal(run / "rehearsal" / "journal.jsonl")
    yield Scene(session, played, run, private, journal)
    journal.close()


def test_a_cluster_is_made_once_and_goes_with_its_folder(scene: Scene) -> None:
    scene.open()
    assert scene.nodes == f"{NAME}-control-plane\n"
    scene.session.close()
    assert scene.calls == ["create cluster", "export logs", "delete cluster", "get nodes"]
    assert scene.nodes == ""
    assert list(scene.private.iterdir()) == []
    assert scene.still_owned() == []


def test_a_half_made_one_goes_after_its_logs_were_kept(scene: Scene) -> None:
    scene.play("create", "echo 'kubelet is not healthy' >&2; exit 1")
    with pytest.raises(EnvironmentUnfit, match="kubelet is not healthy") as told:
        scene.open()
    logs = scene.run / "kind-logs"
    assert str(logs) in told.value.hint
    assert (logs / "nodes").read_text() == f"{NAME}-control-plane\n", "exported while its node was there"
    assert scene.nodes == ""
    assert list(scene.private.iterdir()) == []
    assert scene.still_owned() == []
    scene.session.close()  # nothing is left to do


def test_a_node_that_is_not_ready_in_time_is_told_although_kind_ends_with_0(scene: Scene) -> None:
    scene.play("create", "echo ' • WARNING: Timed out waiting for Ready ⚠️' >&2")
    with pytest.raises(EnvironmentUnfit, match="was not ready after 180s"):
        scene.open()
    assert scene.nodes == ""
    assert scene.still_owned() == []


def test_a_node_that_comes_up_after_its_creation_was_ended_goes_too(scene: Scene) -> None:
    scene.play("create", "exit 1")
    late = f"[ -e {scene.played}/was-late ] || echo {NAME}-control-plane >{scene.played}/nodes"
    scene.play("get", f"[ $2 != nodes ] || {{ {late}; touch {scene.played}/was-late; }}")
    with pytest.raises(EnvironmentUnfit, match="could not make"):
        scene.open()
    assert (scene.played / "was-late").exists()
    assert scene.nodes == ""


def test_one_that_cannot_be_removed_keeps_its_marker_and_is_tried_again(scene: Scene) -> None:
    scene.play("create", "exit 1")
    scene.play("delete", "echo 'the engine is gone' >&2; exit 1")
    with pytest.raises(EnvironmentUnfit, match="could not make"):
        scene.open()
    (folder,) = scene.private.iterdir()
    assert read_nonce(folder) == NONCE, "or `rehearsal clean` would refuse it for ever"
    assert scene.still_owned() == ["directory", "kind-cluster"]
    with pytest.raises(EnvironmentUnfit, match="neither be made nor be removed"):
        scene.session.open(scene.run / "rehearsal", NONCE, scene.journal, Shell(scene.journal))
    with pytest.raises(EnvironmentUnfit, match="the engine is gone"):
        scene.session.close()
    assert folder.is_dir()
    (scene.played / "delete").unlink()
    scene.session.close()
    assert scene.nodes == ""
    assert not folder.exists()
    assert scene.still_owned() == []


def test_ctrl_c_while_it_is_made_and_again_while_its_logs_are_kept_leaves_nothing(scene: Scene) -> None:
    scene.play("create", "kill -INT $PPID; sleep 60")
    scene.play("export", "kill -INT $PPID; sleep 0.5")
    with pytest.raises(KeyboardInterrupt):
        scene.open()
    assert scene.nodes == ""
    assert list(scene.private.iterdir()) == []
    assert scene.still_owned() == []


def test_one_whose_network_does_not_run_is_removed_and_the_next_rehearsal_gets_another(scene: Scene) -> None:
    scene.play("rollout", "exit 1")
    with pytest.raises(EnvironmentUnfit, match="kube-proxy of the throwaway cluster does not run"):
        scene.open()
    assert scene.nodes == ""
    (scene.played / "rollout").unlink()
    scene.open()
    assert scene.nodes == f"{NAME}-control-plane\n"
    scene.session.close()


def test_without_a_kind_nothing_was_begun_and_nothing_is_left(scene: Scene) -> None:
    (scene.played / "kind").unlink()
    with pytest.raises(EnvironmentUnfit, match="kind is not there"):
        scene.open()
    assert list(scene.private.iterdir()) == []
    scene.session.close()


def name_class(scene: Scene, monkeypatch: pytest.MonkeyPatch, *classes: dict[str, Any]) -> Any:
    """A rehearsal whose values.yaml names `longhorn`, on a cluster that has these classes; what its cluster is told."""
    (scene.played / "classes").write_text(json.dumps(list_classes(*classes)))
    monkeypatch.setattr("rehearsal.clusters.kind.KubernetesCluster", lambda site, *_: site)
    scene.session = KindSession(scene.session._tools, lambda *_: [], "longhorn")
    return scene.session.open(scene.run / "rehearsal", NONCE, scene.journal, Shell(scene.journal))


def test_the_class_of_values_yaml_is_stood_in_for_and_said_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    site = name_class(scene, monkeypatch, make_class("standard", default=True))
    created = json.loads((scene.played / "created").read_text())
    assert (created["metadata"]["name"], created["provisioner"]) == ("longhorn", "rancher.io/local-path")
    notes = [str(line["message"]) for line in read_journal(scene.journal.path) if line["event"] == "note"]
    assert "cluster: StorageClass longhorn of values.yaml is not in this throwaway cluster" in "\n".join(notes)
    assert any("your StorageClass longhorn" in sentence for sentence in scene.session.does_not_prove)
    assert site.storage_class == "longhorn"
    scene.session.close()


def test_one_that_the_cluster_has_is_not_made(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    name_class(scene, monkeypatch, make_class("standard", default=True), make_class("longhorn"))
    assert not (scene.played / "created").exists()
    assert "stands in for it" not in scene.journal.path.read_text()
    assert any("your StorageClass longhorn" in sentence for sentence in scene.session.does_not_prove), "its name alone"
    scene.session.close()


def test_a_cluster_without_a_class_to_copy_goes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentUnfit, match="neither a StorageClass longhorn nor a default one"):
        name_class(scene, monkeypatch, make_class("fast"))
    assert scene.nodes == ""
    assert scene.still_owned() == []


def test_without_a_class_in_values_yaml_nothing_is_asked_or_said(scene: Scene) -> None:
    scene.open()  # the played kubectl has no classes to tell
    assert not any("StorageClass" in sentence for sentence in scene.session.does_not_prove)
    scene.session.close()
