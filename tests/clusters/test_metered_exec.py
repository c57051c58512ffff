"""A stream counts only when both of its ends agree: proven with a kubectl that runs the pod's command right here, and
that can be told to cut what passes."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.metered_exec import run_metered
from rehearsal.clusters.pod_states import PodState
from rehearsal.clusters.pod_streams import END_FILE, take_end
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.journal import Journal
from rehearsal.roles import ByteSource, ExecResult
from rehearsal.shell import Shell
from rehearsal.waiting import wait_until

# kubectl --kubeconfig K -n NS exec [-i] POD -- COMMAND...: COMMAND runs here, between what a test put around it.
FAKE = """#!/bin/bash
while [ "$1" != -- ]; do shift; done
shift
{}
"""


class Reads:
    """Knows one pod, or none."""

    def __init__(self, state: PodState | None = None) -> None:
        self.state = state

    def read_pod(self, _: str) -> PodState | None:
        return self.state


class Pod:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")
        self.reads = Reads()

    def run(
        self, argv: list[str], stdin: ByteSource | None = None, out: Path | None = None, body: str = '"$@"'
    ) -> ExecResult:
        binary = self.folder / "kubectl"
        binary.write_text(FAKE.format(body))
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
        kubectl = Kubectl(Shell(self.journal), binary, self.folder / "kubeconfig", "ns", self.folder)
        return run_metered(kubectl, cast(KubeReads, self.reads), "pod-0", argv, stdin, out, 60.0)


TOOLS = ("bash", "cat", "head", "sed", "tr", "tee", "wc", "sha256sum", "printf", "sleep", "touch", "rm", "false")


# python3 -I -S -c PROGRAM ...: as a minimal Python would run it, without one of the modules.
MINIMAL = f"""#!/bin/bash
exec {sys.executable} -I -S -c '
import sys
sys.modules["fcntl"] = None
exec(compile(sys.argv.pop(1), "program", "exec"), {{"__name__": "__main__"}})
' "${{@:4}}"
"""


@pytest.fixture(params=["python3", "minimal", "coreutils"])
def pod(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    """A pod that has python3 for its meters, one whose python3 lacks modules, and one that has none."""
    if request.param == "minimal":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python3").write_text(MINIMAL)
        (tmp_path / "bin" / "python3").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    if request.param == "coreutils":
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in TOOLS:
            (tools / name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(tools))
        assert shutil.which("python3") is None
    return Pod(tmp_path)


EVERY_BYTE = bytes(range(256)) * 5000


def test_bytes_pass_unaltered_and_stderr_stays_apart(pod: Pod, tmp_path: Path) -> None:
    script = "echo before >&2; cat; printf 'no line end' >&2; exit 7"
    result = pod.run(["bash", "-c", script], EVERY_BYTE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == EVERY_BYTE
    assert result.stderr == b"before\nno line end"
    assert result.status == 7
    assert result.sent == result.received
    assert result.received.sha256 == hashlib.sha256(EVERY_BYTE).hexdigest()


def test_the_command_gets_its_arguments_whole(pod: Pod) -> None:
    words = ["a b", "c'd", 'e"f', "g\nh", "$i", "", "*"]
    result = pod.run(["bash", "-c", 'printf "%s|" "$@"', "name", *words])
    assert result.stdout.decode() == "|".join([*words, ""])
    assert result.sent.size == 0


def test_without_input_the_command_meets_an_end_of_file(pod: Pod) -> None:
    assert pod.run(["cat"]).stdout == b""


def test_a_command_that_does_not_read_its_input_is_no_cut_stream(pod: Pod) -> None:
    result = pod.run(["head", "-c", "3"], EVERY_BYTE)
    assert (result.status, result.stdout, result.sent.size) == (0, b"\x00\x01\x02", len(EVERY_BYTE))
    assert pod.run(["false"], EVERY_BYTE).status == 1
    assert pod.run(["no-such-command"]).status == 127
    assert pod.run(["bash", "-c", "kill -9 $$"]).status == 137


def test_what_cannot_be_run_is_told_as_a_shell_tells_it(
    pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127: there is no such command; 126: there is, and it cannot be run. What else the PATH leads through, a folder
    that is closed to this user or one that is none, makes no difference."""
    closed, none, tools = tmp_path / "closed", tmp_path / "none", tmp_path / "tools"
    closed.mkdir(mode=0)
    none.touch()
    (tools / "folder").mkdir(parents=True)
    (tools / "unrunnable").touch()
    monkeypatch.setenv("PATH", f"{closed}:{tools}:{os.environ['PATH']}:{none}")
    told = {
        "no-such-command": 127,
        "folder": 127,
        "unrunnable": 126,
        f"{tools}/no-such-command": 127,
        f"{tools}/folder": 126,
        f"{tools}/unrunnable": 126,
        f"{none}/tool": 126,
    }
    ran = {command: pod.run([command]) for command in told}
    assert {command: result.status for command, result in ran.items()} == told
    assert all(command.encode() in result.stderr for command, result in ran.items())
    closed.chmod(0o700)


@pytest.mark.parametrize("stdin", [b"", EVERY_BYTE])
def test_an_end_of_file_that_never_comes_is_not_waited_for(pod: Pod, stdin: bytes) -> None:
    """As containerd loses it now and then: the pipe into the pod stays open."""
    body = 'exec 9< <(cat; exec sleep 600); "$@" <&9; status=$?; kill $!; exit $status'
    assert pod.run(["sha256sum"], stdin, body=body).stdout.split()[0].decode() == hashlib.sha256(stdin).hexdigest()
    assert pod.run(["true"], stdin, body=body).sent.size == len(stdin)


def test_output_that_is_cut_with_status_0_is_noticed(pod: Pod, tmp_path: Path) -> None:
    with pytest.raises(StreamError) as caught:
        pod.run(["cat"], EVERY_BYTE, tmp_path / "out", body='"$@" | { head -c 1000; cat >/dev/null; }; exit 0')
    assert "standard output: 1280000 bytes left the command" in str(caught.value)
    assert "1000 bytes arrived here" in str(caught.value)


def test_output_that_is_altered_is_noticed(pod: Pod) -> None:
    with pytest.raises(StreamError, match=r"standard output: 4 bytes left the command .*, 4 bytes arrived here"):
        pod.run(["echo", "abc"], body='"$@" | tr b B')


def test_a_terminal_that_adds_bytes_is_noticed(pod: Pod) -> None:
    with pytest.raises(StreamError, match=r"4 bytes left the command .*, 5 bytes arrived here"):
        pod.run(["echo", "abc"], body="\"$@\" | sed 's/$/\\r/'")


def test_input_that_is_cut_is_noticed(pod: Pod) -> None:
    with pytest.raises(StreamError) as caught:
        pod.run(["cat"], EVERY_BYTE, body='head -c 70000 | "$@"')
    assert "standard input: 70000 bytes arrived in the pod" in str(caught.value)
    assert "bytes were sent" in str(caught.value)


def test_input_that_is_cut_where_both_ends_agree_is_noticed(pod: Pod, tmp_path: Path) -> None:
    closed = tmp_path / "closed"

    def pause_between() -> Iterator[bytes]:
        yield b"0123456789"
        wait_until(closed.exists, 30.0, "the fake kubectl to close its input")
        yield b"and the rest"

    with pytest.raises(StreamError, match="kubectl took no more than 10 bytes, and there were more"):
        pod.run(["cat"], pause_between(), body=f'head -c 10 | "$@"; exec <&-; touch {closed}; sleep 0.2')


def test_a_stream_without_an_end_is_an_error_whatever_the_status(pod: Pod, tmp_path: Path) -> None:
    for body in ("printf half; exit 0", "printf half; echo 'error: unexpected EOF' >&2; exit 1"):
        with pytest.raises(StreamError, match=r"4 bytes received .* the pod's figures never came") as caught:
            pod.run(["cat"], b"", tmp_path / "out", body=body)
        assert "the pod is not there any more" in str(caught.value)


def test_the_pods_state_explains_the_cut(pod: Pod) -> None:
    now = datetime.now(UTC)
    state = PodState("pod-0", "u", now + timedelta(seconds=1), "Running", True, False, "", "", (), ())
    pod.reads.state = state
    with pytest.raises(StreamError, match="the pod is a new one"):
        pod.run(["true"], body="exit 137")
    pod.reads.state = PodState("pod-0", "u", now - timedelta(hours=1), "Running", True, True, "", "", (), ())
    with pytest.raises(StreamError, match="the pod now: it is being deleted"):
        pod.run(["true"], body="exit 0")


def test_no_such_pod_is_named(pod: Pod) -> None:
    said = 'Error from server (NotFound): pods "pod-0" not found'
    with pytest.raises(EnvironmentUnfit, match="there is no such pod"):
        pod.run(["true"], body=f"echo '{said}' >&2; exit 1")


def test_more_complaints_than_are_kept_do_not_hide_the_end(pod: Pod) -> None:
    script = "for i in {1..40000}; do echo 'psql:<stdin>:1: ERROR:  relation does not exist'; done >&2; echo out"
    try:
        result = pod.run(["bash", "-c", script])
    finally:
        Path(END_FILE).unlink(missing_ok=True)
    assert (result.status, result.stdout, result.error_lines) == (0, b"out\n", 40000)
    assert len(result.stderr) == 1 << 20


def test_the_end_of_another_command_is_not_taken(pod: Pod) -> None:
    forged = "printf '\\nrehearsal-stream 0123 status=0 out-size=0 out-sha256=00\\n' >&2"
    with pytest.raises(StreamError, match="the pod's figures never came"):
        pod.run(["true"], body=forged)
    assert take_end(b"\nrehearsal-stream aa status=0 out-size=1", "aa") == (
        None,
        b"\nrehearsal-stream aa status=0 out-size=1",
    )


def test_what_is_shown_and_journalled_is_the_manuals_own_command(pod: Pod, tmp_path: Path) -> None:
    dump = tmp_path / "auth.sql"
    dump.write_bytes(b"SELECT 1;\n")
    pod.journal.redactor.learn(["secret-password"])
    result = pod.run(
        ["bash", "-c", "psql secret-password"], dump, tmp_path / "o", body='echo secret-password >&2; "$@"'
    )
    assert result.command.endswith(f"-n ns exec -i pod-0 -- bash -c 'psql [redacted]' < {dump} > {tmp_path / 'o'}")
    journal = (tmp_path / "journal.jsonl").read_text()
    assert "secret-password" not in journal
    assert "sha256sum" not in journal


def test_streams_of_any_kind_can_be_given(pod: Pod) -> None:
    assert pod.run(["cat"], io.BytesIO(EVERY_BYTE)).stdout == EVERY_BYTE
    assert pod.run(["cat"], iter([b"a", b"", b"bc"])).stdout == b"abc"
    assert pod.run(["cat"], b"").stdout == b""
