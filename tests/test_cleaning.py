import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rehearsal.cleaning import REMOVERS, clean, find_dead_runs
from rehearsal.journal import Journal, read_journal
from rehearsal.processes import (
    Identity,
    find_tagged,
    identify,
    identify_ourselves,
    read_boot_id,
    read_start_time,
    tag,
)

ROOT = Path(__file__).parent.parent
DEAD = Identity(pid=4_194_300, start_time=1, boot_id="another boot")


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def sleeper():
    """A process of ours that a journal may claim."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def write_journal(runs, harness=DEAD, scenario="lose-auth"):
    journal = Journal(runs / "run-1" / scenario / "journal.jsonl")
    if harness is not None:
        own(journal, "harness", harness)
    return journal


def own(journal, kind, identity, **fields):
    fields = {"start_time": identity.start_time, "boot_id": identity.boot_id, **fields}
    journal.own(kind, str(identity.pid), **fields)


def mark(folder, nonce="nonce"):
    folder.mkdir(parents=True)
    (folder / "marker.json").write_text(json.dumps({"run": nonce}))
    (folder / "content").write_text("x")
    return folder


def clean_up(runs, **options):
    said = []
    result = clean(runs, said.append, **options)
    assert sorted(said) == sorted(result.removed + result.refused + result.alive)
    return result


SERVER = "chipster-auth-postgresql-0"

# -- a really killed run ----------------------------------------------------------------------------------------------

PROGRAM = """
    import time
    from pathlib import Path
    from pydantic import SecretStr
    from rehearsal.clusters.local import LocalCluster
    from rehearsal.clusters.postgres_binaries import find_binaries
    from rehearsal.deployment import DatabaseSpec, Deployment
    from rehearsal.journal import Journal
    from rehearsal.processes import identify_ourselves
    from rehearsal.shell import Shell

    folder = Path({folder!r})
    journal = Journal(folder / "journal.jsonl")
    us = identify_ourselves()
    journal.own("harness", str(us.pid), start_time=us.start_time, boot_id=us.boot_id)
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "nonce", find_binaries())
    spec = DatabaseSpec(key="auth", name="auth", db_name="auth_db", password=SecretStr("some password"))
    cluster.deploy(Deployment(databases=(spec,)))
    journal.note("up")
    cluster.exec(spec.pod, ["bash", "-c", "sleep 600; :"])
"""


def test_a_killed_run_is_removed_to_the_last_process_and_folder(runs):
    folder = runs / "run-1" / "lose-auth"
    program = textwrap.dedent(PROGRAM.format(folder=str(folder)))
    harness = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    )
    journal = folder / "journal.jsonl"

    def owned(kind):
        names = {}
        for line in read_journal(journal):
            if line.get("kind") == kind and line["event"] == "owned":
                names[line.get("label", line["name"])] = line["name"]
            elif line.get("kind") == kind and line["event"] == "gone":
                names = {label: name for label, name in names.items() if name != line["name"]}
        return names

    for _ in range(3000):
        if journal.exists() and set(owned("process")) == {SERVER, "bash"}:  # the command runs on
            break
        assert harness.poll() is None
        time.sleep(0.01)
    alive = clean_up(runs)
    assert len(alive.alive) == 1
    assert alive.removed == ()
    harness.kill()
    harness.wait()
    folders = [Path(name) for name in owned("directory")]
    pids = [int(owned("process")[label]) for label in (SERVER, "bash")]
    assert len(folders) == 2
    assert all(path.is_dir() for path in folders)
    assert [pid for pid in pids if read_start_time(pid) is None] == []
    children = [int(pid) for pid in Path(f"/proc/{pids[1]}/task/{pids[1]}/children").read_text().split()]
    backends = [int(pid) for pid in Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split()]
    assert children
    assert backends
    result = clean_up(runs)
    assert result.refused == ()
    assert result.removed
    assert [path for path in folders if path.exists()] == []
    assert [pid for pid in (*pids, *children, *backends) if read_start_time(pid) is not None] == []
    assert clean_up(runs).removed == ()
    assert find_dead_runs(runs) == []


def test_a_server_that_came_up_unjournalled_is_ended_with_its_folder(runs):
    folder = runs / "run-1" / "lose-auth"
    program = textwrap.dedent(PROGRAM.format(folder=str(folder)))
    harness = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    )
    journal = folder / "journal.jsonl"
    for _ in range(3000):
        if journal.exists() and any(line.get("message") == "up" for line in read_journal(journal)):
            break
        assert harness.poll() is None
        time.sleep(0.01)
    harness.kill()
    harness.wait()
    lines = journal.read_bytes().splitlines(keepends=True)
    servers = [json.loads(line)["name"] for line in lines if b'"label": "chipster-auth' in line]
    journal.write_bytes(b"".join(line for line in lines if b'"kind": "process"' not in line))
    assert read_start_time(int(servers[0])) is not None
    assert clean_up(runs).refused == ()
    assert read_start_time(int(servers[0])) is None
    assert find_tagged().get(str(journal)) is None  # nor is the command left that ran in the pod


@pytest.mark.parametrize("verdict", [True, False])
def test_a_tagged_process_is_ended_only_when_the_run_died_on_the_way(runs, verdict):
    journal = write_journal(runs)
    if verdict:
        journal.write("verdict", verdict="PASS")
    child = subprocess.Popen(["sleep", "600"], env={**os.environ, **tag(journal.path)}, start_new_session=True)
    result = clean_up(runs)
    if verdict:
        assert child.poll() is None
        child.kill()
    else:
        assert f"removed process {child.pid} (found by its environment)" in result.removed[0]
    assert child.wait(20) != 0


# -- what is left alone -----------------------------------------------------------------------------------------------


def test_a_live_run_is_left_alone(runs, tmp_path, sleeper):
    journal = write_journal(runs, identify_ourselves())
    own(journal, "process", identify(sleeper.pid))
    journal.own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    result = clean_up(runs)
    assert f"it is running (pid {os.getpid()})" in result.alive[0]
    assert (result.removed, result.refused) == ((), ())
    assert sleeper.poll() is None
    assert (tmp_path / "cluster").is_dir()


@pytest.mark.parametrize("wrong", ["start_time", "boot_id"])
def test_another_process_of_that_pid_is_left_alone(runs, sleeper, wrong):
    journal = write_journal(runs)
    own(journal, "process", identify(sleeper.pid), **{wrong: 7 if wrong == "start_time" else "another boot"})
    assert clean_up(runs) == clean_up(runs)
    assert sleeper.poll() is None


def test_a_process_without_a_start_time_is_refused(runs, sleeper):
    write_journal(runs).own("process", str(sleeper.pid), boot_id=read_boot_id())
    result = clean_up(runs)
    assert "its start time is not in the journal" in result.refused[0]
    assert sleeper.poll() is None


def test_we_never_end_ourselves(runs):
    own(write_journal(runs), "process", identify_ourselves())
    assert "this very command" in clean_up(runs).refused[0]


@pytest.mark.parametrize("case", ["no marker", "another nonce", "a link", "a file"])
def test_a_folder_that_cannot_be_recognised_is_left_and_named(runs, tmp_path, case):
    folder = mark(tmp_path / "cluster", "other" if case == "another nonce" else "nonce")
    if case == "no marker":
        (folder / "marker.json").unlink()
    named = folder
    if case == "a link":
        named = tmp_path / "link"
        named.symlink_to(folder)
    elif case == "a file":
        named = folder / "content"
    write_journal(runs).own("directory", str(named), nonce="nonce")
    result = clean_up(runs)
    assert result.removed == ()
    assert str(named) in result.refused[0]
    assert (folder / "content").read_text() == "x"


def test_a_journal_that_names_no_harness_is_refused(runs, tmp_path):
    write_journal(runs, None).own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    assert "which process ran it" in clean_up(runs).refused[0]
    assert (tmp_path / "cluster").is_dir()


def test_an_unknown_kind_is_refused_and_can_be_taught(runs):
    write_journal(runs).own("balloon", "rehearsal-1")
    assert "knows how to remove a balloon" in clean_up(runs).refused[0]
    seen = []
    taught = {**REMOVERS, "balloon": lambda owned: not seen.append(owned.name)}
    assert len(clean_up(runs, removers=taught).removed) == 1
    assert seen == ["rehearsal-1"]
    assert clean_up(runs, removers=taught).removed == ()


# -- what is removed --------------------------------------------------------------------------------------------------


def test_a_marked_folder_of_a_dead_run_is_removed_once(runs, tmp_path):
    journal = write_journal(runs)
    journal.own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    journal.own("directory", str(tmp_path / "never-made"), nonce="nonce")
    (tmp_path / "unmarked").mkdir()
    journal.own("directory", str(tmp_path / "unmarked"), nonce="nonce")
    result = clean_up(runs)
    assert len(result.removed) == 2
    assert not (tmp_path / "cluster").exists()
    assert not (tmp_path / "unmarked").exists()
    assert find_dead_runs(runs) == []


def test_what_was_given_back_is_not_looked_for(runs, tmp_path):
    journal = write_journal(runs)
    journal.own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    journal.disown("directory", str(tmp_path / "cluster"))
    assert clean_up(runs).removed == ()
    assert (tmp_path / "cluster").is_dir()


def test_a_journal_cut_in_its_last_line_is_read_and_written_on(runs, tmp_path):
    journal = write_journal(runs)
    journal.own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    with journal.path.open("ab") as stream:
        stream.write(b'{"event": "owned", "kind": "dir')
    assert len(clean_up(runs).removed) == 1
    assert read_journal(journal.path)[-1]["event"] == "gone"
    assert find_dead_runs(runs) == []


def test_the_link_to_the_newest_run_is_not_a_second_run(runs, tmp_path):
    journal = write_journal(runs)
    journal.own("directory", str(mark(tmp_path / "cluster")), nonce="nonce")
    (runs / "latest").symlink_to("run-1")
    assert len(find_dead_runs(runs)) == 1


def test_a_stubborn_process_is_killed_with_its_group(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("rehearsal.cleaning._GENTLE", ((signal.SIGINT, 0.2), (signal.SIGKILL, 20.0)))
    script = f"trap '' INT QUIT; sleep 600 & echo $! > {tmp_path}/pid; echo > {tmp_path}/up; while :; do sleep 1; done"
    child = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    own(write_journal(runs), "process", identify(child.pid), label="stubborn")
    assert "(stubborn)" in clean_up(runs).removed[0]
    assert child.wait(20) == -signal.SIGKILL
    grandchild = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        if read_start_time(grandchild) is None:
            break
        time.sleep(0.01)
    assert read_start_time(grandchild) is None


def test_no_runs_is_nothing_to_do(tmp_path):
    assert clean_up(tmp_path / "nowhere").removed == ()
