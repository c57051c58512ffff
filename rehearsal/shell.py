"""The one door to processes: journalled, streamed, with a deadline, and with the status of every stage.

`run` is a pipeline that ends; `start` is a server that stays. Each stage has a session of its own, so it has no
terminal to ask for a password on, Ctrl-C reaches us alone, and a whole stage with its children is killed by group.
Whatever happens (deadline, Ctrl-C, a failing source), nothing that `run` started outlives it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from rehearsal.errors import CommandFailed, EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import Journal
from rehearsal.launch import Process, default_environment, install_hint, prepare, show_stage
from rehearsal.pipeline import Child, Pipeline
from rehearsal.processes import own_process, tag
from rehearsal.roles import ByteSource, ExecResult, Transfer
from rehearsal.streams import NOTHING

_TAIL = 4096


@dataclass(frozen=True)
class Outcome:
    """A pipeline that ended.

    Attributes:
        command: copy-pastable, secrets redacted.
        statuses: of every stage, in order; negative: killed by that signal.
        stdout: what was captured; b"" when it went elsewhere.
        stderr: of all stages, the first 1 MiB, secrets redacted.
        error_lines: lines of stderr that contain `ERROR`, all of them counted.
        sent, received: what went into the first stage and came out of the last one, counted and hashed by us.
        seconds: wall time.
    """

    command: str
    statuses: tuple[int, ...]
    stdout: bytes
    stderr: bytes
    error_lines: int
    sent: Transfer
    received: Transfer
    seconds: float

    def as_result(self) -> ExecResult:
        """The pipeline as one command in a pod: the first status that is not 0."""
        return ExecResult(
            command=self.command,
            status=next((status for status in self.statuses if status), 0),
            stdout=self.stdout,
            stderr=self.stderr,
            error_lines=self.error_lines,
            sent=self.sent,
            received=self.received,
            seconds=self.seconds,
        )


class Shell:
    """Starts processes and writes every one of them down.

    Args:
        journal: gets a `command-started` line before and a `command` line after each pipeline; its redactor takes the
            secrets out of whatever is shown.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._running: set[Pipeline] = set()
        self._repeated: set[str] = set()
        self._ended_by: int | None = None

    def end_others(self) -> None:
        """Kill every command that other threads of ours still run, and let those threads start no more.

        For the moment before what they work on is removed; whoever waits for such a command gets its error.
        """
        self._ended_by = threading.get_ident()
        for pipeline in tuple(self._running):
            pipeline.kill()

    def run(
        self,
        *stages: Process,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        deadline: float = 600.0,
        accept: Collection[int] | None = (0,),
        shown: str | None = None,
        repeated: bool = False,
        hashed: bool = True,
    ) -> Outcome:
        """Run a pipeline to its end.

        Args:
            stdin: streamed into the first stage; None: empty.
            stdout: what the last stage prints goes there; None: captured, up to 64 MiB.
            deadline: seconds; then every stage is killed.
            accept: the statuses every stage may end with; None: any.
            shown: the command as it is written down; default: the argument lists, quoted.
            repeated: the same command for one of many things: written down the first time, then only when it fails.
            hashed: False: both ends are only counted, for a caller with digests of its own.

        Raises:
            CommandFailed: a stage's status is not accepted.
            WaitTimeout: the deadline passed.
            EnvironmentUnfit: a tool is missing, a disk is full, too much was to be captured.
        """
        command = self._show(stages, shown)
        if self._ended_by not in (None, threading.get_ident()):
            raise RehearsalError(f"`{command}` was not started: the cluster is being removed")
        silent = repeated and command in self._repeated
        if not silent:
            self.journal.write("command-started", command=command)
        if repeated:
            self._repeated.add(command)

        def spawn(number: int, source: int | None, out: int, err: int) -> Child:
            return self._spawn(stages[number], subprocess.DEVNULL if source is None else source, out, err)

        pipeline = Pipeline(self.journal, command, [stage.argv[0] for stage in stages], spawn)
        self._running.add(pipeline)
        try:
            with pipeline:
                pipeline.start(stdin, stdout, hashed)
                pipeline.carry(deadline)
        except BaseException as error:
            self._write_end(self._tell(pipeline), self._decode(pipeline.complaints.tail), repr(error))
            raise
        finally:
            self._running.discard(pipeline)
        outcome = self._tell(pipeline)
        stderr_tail = self._decode(pipeline.complaints.tail)
        failed = accept is not None and any(status not in accept for status in outcome.statuses)
        if failed or not silent:
            self._write_end(outcome, stderr_tail)
        if failed:
            raise CommandFailed(command, outcome.statuses, self._decode(outcome.stdout[-_TAIL:]), stderr_tail)
        return outcome

    def start(self, process: Process, *, name: str, log: Path, shown: str | None = None) -> Server:
        """Start a server; its output is appended to `log`.

        Raises:
            EnvironmentUnfit: the tool is missing or the log cannot be written.
        """
        return self._stay(process, None, name, log, shown)

    def attach(self, process: Process, connection: int, *, name: str, log: Path, shown: str | None = None) -> Server:
        """Start a process that speaks with whoever is at the other end of `connection`, a socket's descriptor.

        It is the process's standard input and output; stderr is appended to `log`. Raises as `start` does.
        """
        return self._stay(process, connection, name, log, shown)

    def _stay(self, process: Process, connection: int | None, name: str, log: Path, shown: str | None) -> Server:
        command = self._show((process,), shown)
        self.journal.write("command-started", command=command, server=name)
        try:
            sink = log.open("ab")
        except OSError as error:
            raise EnvironmentUnfit(f"cannot write the log: {error.strerror}", where=str(log)) from error
        started: list[Server] = []
        try:
            with sink, hold_interrupts():
                source, out = (subprocess.DEVNULL, sink.fileno()) if connection is None else (connection, connection)
                child = self._spawn(process, source, out, sink.fileno())
                started.append(Server(self.journal, child, name, log))
                own_process(self.journal, child.pid, name)
        except BaseException:
            for server in started:  # the caller will never hold it
                server.kill()
            raise
        return started[0]

    def _spawn(self, process: Process, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        environment = default_environment() if process.env is None else process.env
        return _spawn(process, {**environment, **tag(self.journal.path)}, stdin, stdout, stderr)

    def _show(self, stages: Sequence[Process], shown: str | None) -> str:
        if shown is None:
            shown = " | ".join(show_stage(stage) for stage in stages)
        return self.journal.redactor.clean(shown)

    def _tell(self, pipeline: Pipeline) -> Outcome:
        stderr = bytes(pipeline.complaints.kept).decode("utf-8", "surrogateescape")
        return Outcome(
            command=pipeline.command,
            statuses=pipeline.statuses,
            stdout=pipeline.sink.captured if pipeline.sink is not None else b"",
            stderr=self.journal.redactor.clean(stderr).encode("utf-8", "surrogateescape"),
            error_lines=pipeline.complaints.error_lines,
            sent=pipeline.pump.transfer if pipeline.pump is not None else NOTHING,
            received=pipeline.sink.transfer if pipeline.sink is not None else NOTHING,
            seconds=round(pipeline.seconds, 6),
        )

    def _write_end(self, outcome: Outcome, stderr_tail: str, error: str = "") -> None:
        self.journal.write(
            "command",
            command=outcome.command,
            statuses=outcome.statuses,
            seconds=round(outcome.seconds, 3),
            sent=asdict(outcome.sent),
            received=asdict(outcome.received),
            error_lines=outcome.error_lines,
            stderr_tail=stderr_tail,
            **({"error": error} if error else {}),
        )

    def _decode(self, raw: bytes) -> str:
        return self.journal.redactor.clean(raw.decode("utf-8", "replace"))


class Server:
    """A process that stays until it is stopped."""

    def __init__(self, journal: Journal, child: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self._journal = journal
        self._child = child
        self.name = name
        self.log = log
        self.pid = child.pid
        self._gone = False

    def alive(self) -> bool:
        if self._child.poll() is not None:
            self._note_end()
        return not self._gone

    def stop(self, signal_number: int = signal.SIGTERM, deadline: float = 30.0) -> None:
        """Send a signal and return when the process ended; nothing happens when it ended before.

        Raises:
            WaitTimeout: it runs on after `deadline` seconds.
        """
        if not self.alive():
            return
        self._child.send_signal(signal_number)
        try:
            self._child.wait(deadline)
        except subprocess.TimeoutExpired as error:
            sent = signal.Signals(signal_number).name
            raise WaitTimeout(
                f"{self.name} runs on {deadline:g} s after {sent}; its log ends: {self.log_tail()}", where=str(self.log)
            ) from error
        self._note_end()

    def kill(self) -> None:
        """SIGKILL the process and its group."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._child.wait()
            self._note_end()

    def log_tail(self, size: int = 2048) -> str:
        """The last `size` bytes of its log, decoded with replacement, secrets redacted."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, self.log.stat().st_size - size))
                return self._journal.redactor.clean(stream.read().decode(errors="replace"))
        except OSError as error:
            return f"(no log: {error.strerror})"

    def _note_end(self) -> None:
        if not self._gone:
            self._gone = True
            self._journal.disown("process", str(self.pid))


def _spawn(
    process: Process, environment: Mapping[str, str], stdin: int, stdout: int, stderr: int
) -> subprocess.Popen[bytes]:
    tool = process.argv[0]
    try:
        with prepare(process, environment) as (argv, user, inherited):
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=process.cwd,
                user=None if user is None else user[0],
                group=None if user is None else user[1],
                extra_groups=None if user is None else [],
                start_new_session=True,
                umask=process.umask,
                pass_fds=inherited,
            )
    except FileNotFoundError as error:
        if process.cwd is not None and not process.cwd.is_dir():
            raise EnvironmentUnfit(f"cannot run `{tool}` there: no such directory", where=str(process.cwd)) from error
        raise EnvironmentUnfit(f"`{tool}` is not installed", hint=install_hint(tool)) from error
    except (PermissionError, NotADirectoryError) as error:
        place = str(error.filename or tool)
        who = "" if process.user is None else f" as uid {process.user[0]}"
        raise EnvironmentUnfit(
            f"cannot run `{tool}`{who}: {error.strerror}", where=place, hint=f"namei -l {place}"
        ) from error
