import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rehearsal.errors import CommandFailed, EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.journal import Journal, Redactor, read_journal
from rehearsal.launch import Process
from rehearsal.processes import find_tagged, identify, read_start_time
from rehearsal.roles import Transfer
from rehearsal.shell import Shell
from rehearsal.streams import CAPTURE_LIMIT

DATA = os.urandom(1 << 20) * 10
ROOT = Path(__file__).parent.parent


@pytest.fixture
def shell(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", Redactor(["s3cret-word"]))
    yield Shell(journal)
    journal.close()


def bash(script, **fields):
    return Process(("bash", "-c", script), **fields)


def transfer(data):
    return Transfer(len(data), hashlib.sha256(data).hexdigest())


def lines(shell, event):
    return [line for line in read_journal(shell.journal.path) if line["event"] == event]


def wait_gone(pid):
    for _ in range(1000):
        if read_start_time(pid) is None:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} still runs")


def words_of(pid):
    """Everything that anybody may read of a running process: arguments and environment."""
    folder = Path("/proc") / str(pid)
    return (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()


# -- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["value", "file", "stream", "pipe", "iterator"])
def test_ten_mebibytes_go_in_and_come_out_counted_and_hashed(shell, tmp_path, kind):
    (tmp_path / "in").write_bytes(DATA)
    if kind == "pipe":
        feeder = subprocess.Popen(["cat", tmp_path / "in"], stdout=subprocess.PIPE)
    source = {
        "value": lambda: DATA,
        "file": lambda: tmp_path / "in",
        "stream": lambda: io.BytesIO(DATA),
        "pipe": lambda: feeder.stdout,
        "iterator": lambda: iter([DATA[:5], b"", DATA[5:]]),
    }[kind]()
    outcome = shell.run(Process(("cat",)), Process(("cat",)), stdin=source, stdout=tmp_path / "out")
    if kind == "pipe":
        feeder.stdout.close()
        feeder.wait()
    assert (tmp_path / "out").read_bytes() == DATA
    assert outcome.sent == outcome.received == transfer(DATA)
    assert outcome.statuses == (0, 0)
    assert outcome.stdout == b""


def test_output_is_captured(shell):
    outcome = shell.run(Process(("cat",)), stdin=DATA)
    assert outcome.stdout == DATA
    assert outcome.received == transfer(DATA)


def test_output_goes_to_a_stream(shell):
    sink = io.BytesIO()
    assert shell.run(Process(("cat",)), stdin=DATA, stdout=sink).stdout == b""
    assert sink.getvalue() == DATA


def test_no_input_is_an_empty_input(shell):
    outcome = shell.run(Process(("cat",)))
    assert outcome.stdout == b""
    assert outcome.sent == transfer(b"")


def test_who_has_digests_of_its_own_gets_no_others(shell):
    outcome = shell.run(Process(("cat",)), stdin=DATA, hashed=False)
    assert outcome.stdout == DATA
    assert outcome.sent == outcome.received == Transfer(len(DATA), "")


def test_more_than_the_limit_is_not_captured(shell):
    with pytest.raises(EnvironmentUnfit, match="64 MiB"):
        shell.run(Process(("head", "-c", str(CAPTURE_LIMIT + 1), "/dev/zero")))


def test_a_consumer_that_closes_early_neither_blocks_nor_hides_its_status(shell):
    with pytest.raises(CommandFailed) as caught:
        shell.run(bash("exec 0<&-; sleep 0.1; exit 7"), stdin=DATA)
    assert caught.value.statuses == (7,)


def test_a_consumer_that_takes_a_little_is_fine(shell):
    outcome = shell.run(Process(("head", "-c", "5")), stdin=DATA)
    assert outcome.stdout == DATA[:5]
    assert 5 <= outcome.sent.size < len(DATA)


def test_an_endless_source_ends_with_its_consumer(shell):
    def endless():
        while True:
            yield b"x" * 4096

    assert shell.run(Process(("head", "-c", "5")), stdin=endless()).stdout == b"xxxxx"


def test_a_failing_source_kills_the_consumer_before_it_sees_an_end(shell, tmp_path):
    def failing():
        yield b"half"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        shell.run(bash(f"cat > {tmp_path}/got; touch {tmp_path}/took-it-for-whole"), stdin=failing())
    assert not (tmp_path / "took-it-for-whole").exists()


def test_a_full_disk_names_the_path(shell):
    with pytest.raises(EnvironmentUnfit, match=r"(?s)/dev/full.*No space left.*df -h"):
        shell.run(Process(("head", "-c", "100000", "/dev/zero")), stdout=Path("/dev/full"))


def test_an_unwritable_output_names_the_path(shell, tmp_path):
    with pytest.raises(EnvironmentUnfit, match="nowhere/out"):
        shell.run(Process(("true",)), stdout=tmp_path / "nowhere" / "out")


def test_a_missing_input_file_is_raised(shell, tmp_path):
    with pytest.raises(FileNotFoundError):
        shell.run(Process(("cat",)), stdin=tmp_path / "nothing")


# -- statuses ---------------------------------------------------------------------------------------------------------


def test_a_failing_first_stage_is_not_hidden_by_the_last(shell):
    with pytest.raises(CommandFailed) as caught:
        shell.run(bash("echo oh no >&2; exit 3"), Process(("cat",)))
    assert caught.value.statuses == (3, 0)
    assert "oh no" in str(caught.value)


def test_any_status_is_returned_when_asked_for(shell):
    outcome = shell.run(bash("exit 3"), bash("kill -9 $$"), accept=None)
    assert outcome.statuses == (3, -9)


def test_only_the_named_statuses_are_accepted(shell):
    assert shell.run(bash("exit 1"), accept=(0, 1)).statuses == (1,)
    with pytest.raises(CommandFailed):
        shell.run(bash("exit 2"), accept=(0, 1))


def test_error_lines_are_counted_beyond_what_is_kept(shell):
    script = "yes 'ERROR:  relation exists' | head -n 100000 >&2; yes NOTICE | head -n 10 >&2; printf 'last ERROR' >&2"
    outcome = shell.run(bash(script))
    assert outcome.error_lines == 100_001
    assert len(outcome.stderr) == 1 << 20
    assert lines(shell, "command")[-1]["stderr_tail"].endswith("last ERROR")


def test_an_error_in_a_line_without_end_is_counted_once(shell):
    script = "{ head -c 65534 /dev/zero | tr '\\0' x; printf ERR; sleep 0.1; printf OR; sleep 0.1; "
    script += "head -c 200000 /dev/zero | tr '\\0' x; echo; echo fine; } >&2"
    assert shell.run(bash(script)).error_lines == 1


# -- what is written down ---------------------------------------------------------------------------------------------


def test_a_line_before_and_a_line_after(shell):
    shell.run(Process(("printf", "a b")), Process(("cat",)), stdin=b"123")
    events = [(line["event"], line["command"]) for line in read_journal(shell.journal.path)]
    assert events == [("command-started", "printf 'a b' | cat"), ("command", "printf 'a b' | cat")]
    line = lines(shell, "command")[0]
    assert line["statuses"] == [0, 0]
    assert line["received"] == {"size": 3, "sha256": hashlib.sha256(b"a b").hexdigest()}
    assert "error" not in line


def test_the_line_before_is_there_while_the_command_runs(shell):
    outcome = shell.run(Process(("cat", str(shell.journal.path))))
    assert [json.loads(line)["event"] for line in outcome.stdout.splitlines()] == ["command-started"]


def test_secrets_are_taken_out_everywhere(shell):
    with pytest.raises(CommandFailed) as caught:
        shell.run(bash("echo s3cret-word; echo s3cret-word >&2; exit 1"), shown="login s3cret-word")
    outcome = shell.run(bash("echo s3cret-word >&2"), shown="login s3cret-word")
    assert outcome.command == "login [redacted]"
    assert outcome.stderr == b"[redacted]\n"
    for text in (str(caught.value), caught.value.stdout_tail, shell.journal.path.read_text()):
        assert "s3cret-word" not in text
        assert "[redacted]" in text


def test_a_long_command_is_owned_while_it_runs(shell):
    seen = shell.run(bash(f"sleep 1.5; cat {shell.journal.path}"))
    owned = json.loads(seen.stdout.splitlines()[1])
    assert owned["event"] == "owned"
    assert owned["kind"] == "process"
    assert owned["start_time"] > 0
    assert [line["name"] for line in lines(shell, "gone")] == [owned["name"]]


def test_the_environment_is_empty_but_for_what_is_named(shell, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "from outside")
    names = {line.split(b"=")[0] for line in shell.run(Process(("env",))).stdout.splitlines()}
    assert names <= {b"PATH", b"HOME", b"LANG", b"TMPDIR", b"REHEARSAL_JOURNAL"}
    given = shell.run(Process(("/usr/bin/env",), env={"A": "1"})).stdout
    assert given == f"A=1\nREHEARSAL_JOURNAL={shell.journal.path}\n".encode()


def test_working_directory_umask_and_session(shell, tmp_path):
    outcome = shell.run(bash("pwd; umask; cut -d' ' -f6 /proc/$$/stat; echo $$", cwd=tmp_path, umask=0o027))
    folder, umask, session, pid = outcome.stdout.decode().split()
    assert (folder, umask) == (str(tmp_path), "0027")
    assert session == pid


def test_a_repeated_command_is_written_down_once(shell):
    for _ in range(5):
        shell.run(bash("cat; exit 3"), stdin=b"x", accept=None, repeated=True)
    shell.run(bash("echo other"), repeated=True)
    assert [line["command"] for line in lines(shell, "command-started")] == [
        "bash -c 'cat; exit 3'",
        "bash -c 'echo other'",
    ]
    assert len(lines(shell, "command")) == 2
    shell.run(bash("cat; exit 3"), accept=None)
    assert len(lines(shell, "command")) == 3


def test_a_repeated_command_that_fails_is_written_down_again(shell):
    shell.run(bash("exit 3"), accept=None, repeated=True)
    with pytest.raises(CommandFailed):
        shell.run(bash("exit 3"), repeated=True)
    with pytest.raises(ZeroDivisionError):
        shell.run(bash("exit 3"), stdin=(1 / 0 for _ in "x"), repeated=True)
    assert [("error" in line, line["statuses"][0] == 3) for line in lines(shell, "command")][:2] == [(False, True)] * 2
    assert "ZeroDivisionError" in lines(shell, "command")[2]["error"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_rights_are_dropped_alike_by_python_and_by_setpriv(shell: Shell) -> None:
    rights = Process(("grep", "-E", "^(Uid|Gid|Groups|Cap...|NoNewPrivs):", "/proc/self/status"), user=(1000, 1001))
    first, second = (shell.run(rights).stdout.decode().splitlines() for _ in range(2))
    assert "Uid:\t1000\t1000\t1000\t1000" in first
    assert "CapEff:\t0000000000000000" in first
    assert second == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_a_tool_that_went_missing_is_told_though_it_ran_before(shell: Shell, tmp_path: Path) -> None:
    for folder in (tmp_path, *(one for one in tmp_path.parents if one.name.startswith(("pytest-", "popen-")))):
        folder.chmod(0o755)
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho ran\n")
    tool.chmod(0o755)
    process = Process((str(tool),), user=(1000, 1000), cwd=Path("/"))
    assert shell.run(process).stdout == shell.run(process).stdout == b"ran\n"
    tool.unlink()
    with pytest.raises(EnvironmentUnfit, match="is not installed"):
        shell.run(process)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_a_stage_drops_to_its_user_without_groups(shell):
    outcome = shell.run(Process(("id", "-G"), user=(1000, 1000), cwd=Path("/")), Process(("cat",)))
    assert outcome.stdout == b"1000\n"


# -- secrets over a pipe ----------------------------------------------------------------------------------------------

SECRET = b"pass phrase \xc3\xa4\n"


def test_a_secret_comes_over_a_pipe_and_stands_nowhere_else(shell):
    script = "cat /proc/$$/cmdline /proc/$$/environ; echo; cat <&$1"
    outcome = shell.run(Process(("bash", "-c", script, "x", "{secret-fd}"), secret=SECRET))
    public, _, secret = outcome.stdout.partition(b"\n")
    assert secret == SECRET
    assert b"pass phrase" not in public
    assert outcome.command == f"bash -c '{script}' x 3 3< SECRET-FILE"
    assert "pass phrase" not in shell.journal.path.read_text()
    assert "pass phrase" not in repr(Process(("x",), secret=SECRET))


def test_each_stage_reads_its_own_secret(shell):
    first = bash("cat <&{secret-fd}", secret=b"one")
    second = bash("cat; cat <&{secret-fd}", secret=b"two")
    assert shell.run(first, second).stdout == b"onetwo"


def test_a_secret_is_not_inherited_by_another_stage(shell):
    # the second stage is started while the first one's pipe may still be open
    listing = bash("ls /proc/self/fd | wc -l")
    alone = shell.run(listing).stdout
    assert shell.run(bash("cat <&{secret-fd} >&2", secret=SECRET), listing).stdout == alone


def test_a_server_reads_its_secret(shell, tmp_path):
    script = "read -r word <&$1; echo ${#word}; exec sleep 600"
    server = shell.start(
        Process(("bash", "-c", script, "x", "{secret-fd}"), secret=b"12345\n"), name="s", log=tmp_path / "log"
    )
    while "5" not in server.log_tail():
        time.sleep(0.01)
    assert b"12345" not in words_of(server.pid)
    server.kill()


def test_a_secret_that_does_not_fit_into_the_pipe_is_refused(shell):
    with pytest.raises(RehearsalError, match="more than 4096 bytes"):
        shell.run(Process(("cat", "{secret-fd}"), secret=b"x" * 4097))


def test_no_descriptor_of_a_secret_is_left_open(shell):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        shell.run(Process(("true",), secret=SECRET))
        with pytest.raises(EnvironmentUnfit):
            shell.run(Process(("no-such-tool",), secret=SECRET))
    assert len(os.listdir("/proc/self/fd")) == before


# -- bad days ---------------------------------------------------------------------------------------------------------


def test_a_missing_tool_says_how_to_install_it(shell):
    with pytest.raises(
        EnvironmentUnfit, match=r"(?s)`/nowhere/psql` is not installed.*apt-get install postgresql-client"
    ):
        shell.run(Process(("/nowhere/psql",)))


def test_a_missing_second_stage_leaves_no_first(shell):
    with pytest.raises(EnvironmentUnfit, match="no-such-tool"):
        shell.run(Process(("sleep", "600")), Process(("no-such-tool",)))
    assert find_tagged().get(str(shell.journal.path)) is None
    assert "error" in lines(shell, "command")[-1]


def test_a_missing_working_directory_is_named(shell, tmp_path):
    with pytest.raises(EnvironmentUnfit, match="nowhere"):
        shell.run(Process(("true",), cwd=tmp_path / "nowhere"))


def test_the_deadline_kills_every_stage_and_its_children(shell, tmp_path):
    script = f"sleep 600 & echo $! >> {tmp_path}/pids; echo $$ >> {tmp_path}/pids; wait"
    with pytest.raises(WaitTimeout, match=r"within 0\.5 s; still running: bash, bash"):
        shell.run(bash(script), bash(script), deadline=0.5)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 4
    for pid in pids:
        wait_gone(pid)


def test_an_output_that_a_child_holds_is_not_taken_for_whole(shell):
    with pytest.raises(WaitTimeout, match="every stage ended, a child holds its output"):
        shell.run(bash("sleep 600 & echo started"), deadline=0.5)


def test_no_descriptor_is_left_open(shell, tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd"))

    shell.run(Process(("true",)))
    before = count()
    shell.run(Process(("cat",)), Process(("cat",)), stdin=b"x", stdout=tmp_path / "out")
    with pytest.raises(CommandFailed):
        shell.run(Process(("false",)), stdin=DATA)
    with pytest.raises(EnvironmentUnfit):
        shell.run(Process(("no-such-tool",)), stdin=DATA)
    with pytest.raises(WaitTimeout):
        shell.run(Process(("sleep", "600")), stdin=DATA, deadline=0.1)
    assert count() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_orphan(tmp_path, number):
    program = f"""
        import signal, sys
        from pathlib import Path
        from rehearsal.journal import Journal
        from rehearsal.shell import Shell
        from rehearsal.launch import Process
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        shell = Shell(Journal(Path({str(tmp_path)!r}) / "journal.jsonl"))
        script = "trap '' INT TERM; sleep 600 & echo $! >> {tmp_path}/pids; echo $$ >> {tmp_path}/pids; wait"
        stage = Process(("bash", "-c", script))
        shell.run(stage, stage, stdin=iter(lambda: b"x" * 4096, b""))
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stderr=subprocess.PIPE,
    )
    pids = tmp_path / "pids"
    for _ in range(1000):
        if pids.exists() and len(pids.read_text().split()) == 4:
            break
        time.sleep(0.01)
    child.send_signal(number)
    assert child.wait(20) != 0
    child.stderr.close()
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 4
    for pid in started:
        wait_gone(pid)
    last = read_journal(tmp_path / "journal.jsonl")[-1]
    assert last["event"] == "command"
    assert "error" in last


# -- servers ----------------------------------------------------------------------------------------------------------


def test_a_server_is_owned_until_it_is_stopped(shell, tmp_path):
    server = shell.start(bash("echo up s3cret-word; exec sleep 600"), name="sleeper", log=tmp_path / "log")
    owned = lines(shell, "owned")[0]
    identity = identify(server.pid)
    assert (owned["kind"], owned["name"], owned["label"]) == ("process", str(server.pid), "sleeper")
    assert (owned["start_time"], owned["boot_id"]) == (identity.start_time, identity.boot_id)
    assert server.alive()
    while "up" not in server.log_tail():
        time.sleep(0.01)
    server.stop(signal.SIGTERM, 20)
    assert not server.alive()
    assert read_start_time(server.pid) is None
    assert [line["name"] for line in lines(shell, "gone")] == [str(server.pid)]
    assert server.log_tail() == "up [redacted]\n"
    server.stop()


def test_a_server_that_does_not_stop_is_a_timeout_and_can_be_killed(shell, tmp_path):
    server = shell.start(
        bash("trap '' INT; echo up; while :; do sleep 0.1; done"), name="stubborn", log=tmp_path / "log"
    )
    while "up" not in server.log_tail():
        time.sleep(0.01)
    with pytest.raises(WaitTimeout, match=r"stubborn runs on 0\.3 s after SIGINT; its log ends: up"):
        server.stop(signal.SIGINT, 0.3)
    server.kill()
    assert not server.alive()


def test_a_server_that_died_is_seen(shell, tmp_path):
    server = shell.start(bash("exit 1"), name="dead", log=tmp_path / "log")
    for _ in range(1000):
        if not server.alive():
            break
        time.sleep(0.01)
    assert not server.alive()
    assert len(lines(shell, "gone")) == 1


def test_a_missing_server_is_named(shell, tmp_path):
    with pytest.raises(EnvironmentUnfit, match="apt-get install postgresql"):
        shell.start(Process(("/nowhere/postgres",)), name="x", log=tmp_path / "log")
