"""Heartbeats: every store gets some, a pod at work gets none, and nothing that goes wrong reaches the backup."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from rehearsal import heartbeats
from rehearsal.deployment import DatabaseSpec, Deployment, FilesSpec, StoreSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.heartbeats import beating, read_heartbeat
from rehearsal.journal import Journal
from rehearsal.record import HeartbeatState
from rehearsal.roles import Cluster, Mark, Stage, Store
from rehearsal.waiting import wait_until

DATABASE = DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=SecretStr("none"))
FILES = FilesSpec()


@dataclass
class HeardStore:
    """A store that keeps what is written into it."""

    spec: StoreSpec
    fails_at: int = 0
    opens: threading.Event | None = None
    heard: list[str] = field(default_factory=list)
    open: bool = False

    @contextmanager
    def repeat_mark(self, kind: str) -> Iterator[Callable[[str], Mark]]:
        assert kind == "heartbeat"
        assert self.opens is None or self.opens.wait(20)
        self.open = True
        try:
            yield self._write
        finally:
            self.open = False

    def _write(self, value: str) -> Mark:
        if self.fails_at and len(self.heard) + 1 >= self.fails_at:
            raise EnvironmentUnfit("the pod said no: hunter22-secret")
        self.heard.append(value)
        return Mark(self.spec.name, "place", value, "now")

    def read_mark(self, kind: str) -> str | None:
        return self.heard[-1] if self.heard else None


class StillCluster:
    """Runs nothing; `exec` returns once `proceed` is set."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.proceed = threading.Event()

    def exec(self, pod: str, argv: Any, **options: Any) -> str:
        self.entered.set()
        assert self.proceed.wait(20)
        return f"{pod} {argv} {options}"

    def copy_out(self, pod: str, source: str, target: Path) -> str:
        return self.exec(pod, source)

    def versions(self) -> dict[str, str]:
        return {"tar": "1"}


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "INTERVAL", 0.005)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    kept = Journal(tmp_path / "journal.jsonl")
    kept.redactor.learn(["hunter22-secret"])
    yield kept
    kept.close()


def make_stage(journal: Journal, cluster: StillCluster) -> Stage:
    return Stage(
        cluster=cast(Cluster, cluster),
        deployment=Deployment(databases=(DATABASE,)),
        stores=(DATABASE, FILES),
        lost=(),
        backup_folder=Path(),
        logs=Path(),
        private=Path(),
        run_id="r",
        values_copy="",
        journal=journal,
        report_command=lambda *_: None,
    )


def start(journal: Journal, fails_at: int = 0) -> tuple[Stage, StillCluster, dict[str, HeardStore], dict[str, Store]]:
    cluster = StillCluster()
    stores = {spec.name: HeardStore(spec, fails_at if spec is FILES else 0) for spec in (DATABASE, FILES)}
    return make_stage(journal, cluster), cluster, stores, cast(dict[str, Store], stores)


def wait_for_beats(store: HeardStore, more: int = 2) -> None:
    wanted = len(store.heard) + more
    wait_until(lambda: len(store.heard) >= wanted, 20.0, f"{more} more heartbeats")


def test_every_store_has_one_before_the_backup_begins_and_none_after_it_ended(journal: Journal) -> None:
    stage, _, heard, stores = start(journal)
    with beating(stage, stores, journal) as (_, found):
        assert all(store.heard for store in heard.values())
        for store in heard.values():
            wait_for_beats(store)
    assert not any(store.open for store in heard.values())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("heartbeat")]
    assert found.troubles == ()
    assert {name: state.beats for name, state in found.states.items()} == {
        name: len(store.heard) for name, store in heard.items()
    }
    numbers = sorted(int(value.split()[0]) for store in heard.values() for value in store.heard)
    assert numbers == list(range(1, len(numbers) + 1)), "one counter for all"
    for name, store in heard.items():
        assert store.heard == sorted(store.heard)
        assert len({len(value) for value in store.heard}) == 1
        assert found.states[name].first_at == store.heard[0].split()[1]
        assert found.states[name].last_at == store.heard[-1].split()[1]


def test_the_backup_waits_for_a_store_that_is_slow_to_begin(journal: Journal) -> None:
    stage, _, heard, stores = start(journal)
    heard[FILES.name].opens = slow = threading.Event()
    late = threading.Timer(0.1, slow.set)
    late.start()
    with beating(stage, stores, journal):
        assert heard[FILES.name].heard
    late.join()


@pytest.mark.parametrize("command", ["exec", "copy_out"])
def test_a_pod_whose_files_are_being_copied_gets_none_meanwhile(journal: Journal, command: str) -> None:
    stage, cluster, heard, stores = start(journal)
    with beating(stage, stores, journal) as (gated, _):
        arguments = ("storage", Path("x")) if command == "copy_out" else (("tar",),)
        copying = threading.Thread(target=getattr(gated.cluster, command), args=(FILES.pod, *arguments))
        copying.start()
        assert cluster.entered.wait(20)
        quiet = list(heard[FILES.name].heard)
        wait_for_beats(heard[DATABASE.name], 5)
        assert heard[FILES.name].heard == quiet
        cluster.proceed.set()
        copying.join()
        wait_for_beats(heard[FILES.name])


def test_a_dump_does_not_keep_heartbeats_out_of_its_database(journal: Journal) -> None:
    stage, cluster, heard, stores = start(journal)
    with beating(stage, stores, journal) as (gated, _):
        dumping = threading.Thread(target=gated.cluster.exec, args=(DATABASE.pod, ("pg_dump",)))
        dumping.start()
        assert cluster.entered.wait(20)
        wait_for_beats(heard[DATABASE.name])
        cluster.proceed.set()
        dumping.join()


def test_the_backup_sees_the_cluster_as_it_is(journal: Journal) -> None:
    stage, cluster, _, stores = start(journal)
    cluster.proceed.set()
    with beating(stage, stores, journal) as (gated, _):
        assert gated.cluster.versions() == {"tar": "1"}
        assert cast(Any, gated.cluster.exec)("p", ("a",), stdin=b"x") == "p ('a',) {'stdin': b'x'}"


@pytest.mark.parametrize("fails_at", [1, 3])
def test_what_fails_is_a_note_without_secrets_and_the_others_go_on(journal: Journal, fails_at: int) -> None:
    stage, _, heard, stores = start(journal, fails_at)
    with beating(stage, stores, journal) as (_, found):
        wait_for_beats(heard[DATABASE.name], 5)
    assert found.troubles == ("no more heartbeats into file-storage-0: the pod said no: [redacted]",)
    assert (FILES.name in found.states) is (fails_at > 1)
    assert "hunter22" not in journal.path.read_text()


def test_heartbeats_end_when_the_backup_fails(journal: Journal) -> None:
    stage, _, heard, stores = start(journal)
    with pytest.raises(ZeroDivisionError), beating(stage, stores, journal):
        raise ZeroDivisionError
    assert not any(store.open for store in heard.values())


STATE = HeartbeatState(place="p", beats=9, first_at="2026-01-01T00:00:00.000Z", last_at="2026-01-01T00:00:04.000Z")


@pytest.mark.parametrize(
    ("content", "beat", "at"),
    [
        (["0000000007 2026-01-01T00:00:03.100Z"], 7, "2026-01-01T00:00:03.100Z"),
        ([], None, None),
        ([""], None, None),
        (["something else"], None, None),
    ],
)
def test_the_one_that_came_back_is_read(journal: Journal, content: list[str], beat: int | None, at: str | None) -> None:
    store = HeardStore(FILES, heard=content)
    found = read_heartbeat(cast(Store, store), STATE, journal)
    assert (found.looked, found.found_beat, found.found_at) == (True, beat, at)


def test_a_store_that_cannot_be_asked_leaves_it_open(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: HeardStore, kind: str) -> str:
        raise EnvironmentUnfit("gone")

    monkeypatch.setattr(HeardStore, "read_mark", refuse)
    assert read_heartbeat(cast(Store, HeardStore(FILES)), STATE, journal) == STATE
