"""What can go wrong outside the thing under judgement, said once, in words a person can act on.

Every error of ours says what happened, to what, and the next command to type. None of them is ever a verdict about a
backup: a rehearsal that ends in one of these learnt nothing (INCONCLUSIVE), it did not find a loss (FAIL).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


class RehearsalError(Exception):
    """Base of all our errors.

    Args:
        what: one sentence, what happened and what was wanted.
        where: the file, pod, path or key it happened to; empty when `what` says it.
        hint: what to type or change next; empty when nothing can be done.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  next: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class UsageError(RehearsalError):
    """The command line or a file the admin gave is wrong; nothing was started."""


class ValuesError(UsageError):
    """values.yaml is malformed or contradicts itself; nothing was started."""


class EnvironmentUnfit(RehearsalError):
    """Our own environment is not fit: a missing tool, a full disk, a server that does not start."""


class WaitTimeout(RehearsalError):
    """A state was waited for and did not come; `what` ends with the last state seen."""


class StreamError(RehearsalError):
    """The two ends of a transfer disagree in length or SHA-256."""


class Refused(RehearsalError):
    """A destructive call was refused: this run cannot prove that it created the target. No call was made."""


class CommandFailed(RehearsalError):
    """A process ended with a status that its caller does not accept.

    Args:
        command: the copy-pastable command line, secrets redacted.
        statuses: exit status of every stage of the pipeline, in order (negative: killed by that signal).
        stdout_tail, stderr_tail: the last bytes of each, decoded with replacement, secrets redacted.
    """

    def __init__(
        self,
        command: str,
        statuses: Sequence[int],
        stdout_tail: str = "",
        stderr_tail: str = "",
        *,
        where: str = "",
        hint: str = "",
    ) -> None:
        self.command = command
        self.statuses = tuple(statuses)
        self.stdout_tail = stdout_tail
        self.stderr_tail = stderr_tail
        tail = (stderr_tail or stdout_tail).strip()
        said = f"; it said: {tail[-800:]}" if tail else "; it said nothing"
        shown = ", ".join(str(status) for status in self.statuses)
        super().__init__(f"`{command}` ended with status {shown}{said}", where=where, hint=hint)


def hint_clean(runs: Path | str) -> str:
    """The command to type that removes what dead and kept runs left below `runs`."""
    return f"rehearsal clean --runs {shlex.quote(str(runs))}"
