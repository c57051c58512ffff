"""gpg processes that stay: killed, silent, worn out or left early, no package is lost, none gets another's answer."""

import os

from sealed_packages import DRAWS, SMALL, lz4_of, package, sha512

from rehearsal.builtin_backup import lanes
from rehearsal.journal import read_journal


def test_a_process_that_is_killed_is_replaced(unsealer, gpg, monkeypatch):
    data = gpg(lz4_of(SMALL))
    killed = []
    receive = lanes._Lane.receive

    def kill_once(lane):
        if not killed and lane.given > 3:
            killed.append(lane)
            lane.server.kill()
        return receive(lane)

    monkeypatch.setattr(lanes._Lane, "receive", kill_once)
    opened = list(unsealer.open_all(package(f"{number}.lz4.gpg", data) for number in range(50)))
    assert killed
    assert sorted(one.path for one in opened) == sorted(f"{number}.lz4.gpg" for number in range(50))
    assert [one.error for one in opened] == [""] * 50


def test_a_process_that_passes_one_over_is_replaced(unsealer, gpg, monkeypatch):
    """Every answer belongs to its own package, also where one never got an answer."""
    plain = {f"{number}.lz4.gpg": DRAWS.randbytes(1000 + number) for number in range(12)}
    submit = lanes._Lane.submit
    lost = []

    def lose(lane, name, job):
        if not lost and lane.given == 3:
            lost.append(name)
            lane.pending.append((name, job))  # gpg never hears of it
            lane.given += 1
            return
        submit(lane, name, job)

    monkeypatch.setattr(lanes._Lane, "submit", lose)
    monkeypatch.setattr(lanes, "_PATIENCE", 5)
    opened = list(unsealer.open_all(package(path, gpg(lz4_of(data))) for path, data in plain.items()))
    assert lost
    assert {one.path: one.plain_sha512 for one in opened} == {path: sha512(data) for path, data in plain.items()}


def test_a_process_that_says_nothing_is_replaced(unsealer, gpg, monkeypatch):
    submit = lanes._Lane.submit
    lost = []

    def lose(lane, name, job):
        if not lost:
            lost.append(name)
            lane.pending.append((name, job))
            return
        submit(lane, name, job)

    monkeypatch.setattr(lanes, "_PATIENCE", 0.5)
    monkeypatch.setattr(lanes._Lane, "submit", lose)
    (opened,) = unsealer.open_all([package("a.lz4.gpg", gpg(lz4_of(SMALL)))])
    assert lost
    assert opened.plain_sha512 == sha512(SMALL)


def test_a_process_does_not_live_forever(unsealer, gpg, monkeypatch, shell):
    monkeypatch.setattr(lanes, "_WORN", 5)
    data = gpg(lz4_of(SMALL))
    before = len(read_journal(shell.journal.path))
    opened = list(unsealer.open_all(package(f"{number}.lz4.gpg", data) for number in range(30)))
    assert [one.error for one in opened] == [""] * 30
    started = [line for line in read_journal(shell.journal.path)[before:] if line["event"] == "command-started"]
    lanes_started = [line for line in started if "--multifile" in line["command"]]  # gpg may be asked again under load
    # 30 messages, 5 a process: 6, and of those that work side by side each may end with fewer
    assert 6 <= len(lanes_started) < 6 + (os.cpu_count() or 1)


def test_leaving_early_leaves_no_process_and_no_file(unsealer, gpg, shell):
    data = gpg(lz4_of(SMALL))
    before = len(read_journal(shell.journal.path))
    walk = unsealer.open_all(package(f"{number}.lz4.gpg", data) for number in range(50))
    next(walk)
    walk.close()
    events = [line["event"] for line in read_journal(shell.journal.path)[before:]]
    assert events.count("owned") == events.count("gone") > 0
