"""One command through `kubectl exec` (or `docker exec`), believed only when the pod's figures and ours agree.

What the pod says comes at the end of stderr, or, when that was cut or longer than what is kept, from a file in the pod.
Where there is neither, the stream ended before the command did, and what the pod is doing now is the best explanation.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, NoReturn, Protocol, cast

from rehearsal.clusters.pod_states import PodState, describe_pod
from rehearsal.clusters.pod_streams import END_FILE, StreamEnd, compare_ends, meter_command, read_end, take_end
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError
from rehearsal.roles import ByteSource, ExecResult
from rehearsal.shell import Outcome
from rehearsal.streams import read_chunks

_CLOCK_SKEW = timedelta(seconds=2)


class Entrance(Protocol):
    """The way into a pod: `kubectl.Kubectl`, or docker's."""

    @property
    def tool(self) -> str:
        """The binary's name, for messages."""

    def enter(self, pod: str, *, with_input: bool) -> tuple[str, ...]:
        """The arguments that come before the command to run."""

    def run(
        self,
        *arguments: str,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        deadline: float = 120.0,
        accept: Collection[int] | None = (0,),
        shown: str | None = None,
    ) -> Outcome:
        """See `Shell.run`."""

    def show(self, *arguments: str) -> str:
        """The command to paste."""

    def show_pods(self) -> str:
        """The command that lists the pods."""


class PodReads(Protocol):
    """Says what a pod is doing."""

    def read_pod(self, name: str) -> PodState | None:
        """The pod now, or None where there is none. Raises EnvironmentUnfit."""


class _Source:
    """Standard input that knows whether all of it was taken: a tool that closes its input early, after the pod got
    every byte so far, would leave both ends equal and the rest behind."""

    def __init__(self, stdin: ByteSource) -> None:
        self._chunks = read_chunks(stdin)
        self.exhausted = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return cast(bytes, next(self._chunks))
        except StopIteration:
            self.exhausted = True
            raise


def run_metered(
    entrance: Entrance,
    reads: PodReads,
    pod: str,
    argv: Sequence[str],
    stdin: ByteSource | None,
    stdout: Path | IO[bytes] | None,
    deadline: float,
) -> ExecResult:
    """Run it once.

    Raises:
        StreamError: the two ends differ, or the pod's end was never told.
        EnvironmentUnfit: there is no such pod.
        WaitTimeout: the deadline passed.
    """
    token = secrets.token_hex(8)
    source = None if stdin is None else _Source(stdin)
    options = entrance.enter(pod, with_input=stdin is not None)
    shown = _redirect(entrance.show(*options, *argv), stdin, stdout)
    began = datetime.now(UTC)
    outcome = entrance.run(
        *options,
        *meter_command(argv, token, stdin),
        stdin=source,
        stdout=stdout,
        deadline=deadline,
        accept=None,
        shown=shown,
    )
    end, stderr = take_end(outcome.stderr, token)
    if end is None:
        end = _ask_pod(entrance, pod, token)
    if end is None:
        _explain_cut(entrance, reads, pod, outcome, began)
    differences = compare_ends(end, outcome.sent if source is not None else None, outcome.received)
    if source is not None and not source.exhausted:
        differences += (
            f"standard input: {entrance.tool} took no more than {outcome.sent.size} bytes, and there were more",
        )
    if differences:
        raise StreamError("; ".join(differences), where=outcome.command)
    return ExecResult(
        command=outcome.command,
        status=end.status,
        stdout=outcome.stdout,
        stderr=stderr,
        error_lines=outcome.error_lines,
        sent=outcome.sent,
        received=outcome.received,
        seconds=outcome.seconds,
    )


def _redirect(command: str, stdin: ByteSource | None, stdout: Path | IO[bytes] | None) -> str:
    source = f" < {shlex.quote(str(stdin))}" if isinstance(stdin, Path) else ""
    target = f" > {shlex.quote(str(stdout))}" if isinstance(stdout, Path) else ""
    return f"{command}{source}{target}"


def _ask_pod(entrance: Entrance, pod: str, token: str) -> StreamEnd | None:
    try:
        answer = entrance.run(*entrance.enter(pod, with_input=False), "cat", END_FILE, deadline=30.0, accept=None)
    except RehearsalError:
        return None
    return read_end(answer.stdout.decode("ascii", "replace"), token)


def _explain_cut(entrance: Entrance, reads: PodReads, pod: str, outcome: Outcome, began: datetime) -> NoReturn:
    lines = outcome.stderr.decode(errors="replace").strip().splitlines()
    said = "\n".join(line for line in lines if not line.startswith("Defaulted container"))[-500:] or "nothing"
    try:
        state = reads.read_pod(pod)
        if state is None:
            now = "the pod is not there any more"
        elif state.created > began - _CLOCK_SKEW:
            now = f"the pod is a new one, created {state.created:%H:%M:%S} UTC"
        else:
            now = f"the pod now: {describe_pod(state)}"
    except EnvironmentUnfit as error:
        now = f"the pod's state is unknown: {error.what}"
    if f'(NotFound): pods "{pod}" not found' in said:
        raise EnvironmentUnfit("there is no such pod", where=pod, hint=entrance.show_pods())
    raise StreamError(
        f"the stream ended before its command did: {outcome.sent.size} bytes sent (SHA-256 {outcome.sent.sha256}), "
        f"{outcome.received.size} bytes received (SHA-256 {outcome.received.sha256}), the pod's figures never came; "
        f"{entrance.tool} ended with status {outcome.statuses[0]} and said: {said}; {now}",
        where=outcome.command,
        hint=entrance.show_pods(),
    )
