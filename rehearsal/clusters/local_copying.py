"""`kubectl cp`, both ways, as kubectl does it: a tar at each end, the pod's end as the pod's user.

Out of a pod kubectl unpacks by itself: modes are left to the umask and symbolic links are skipped (kubernetes issue
40869, never fixed). Into a pod its tar carries the modes, `tar -xmf -` in the pod unpacks, and the files belong to the
pod's user.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.launch import Process
from rehearsal.shell import Outcome, Shell
from rehearsal.unpacking import unpacking

_DEADLINE = 24 * 3600.0


class Inside(Protocol):
    """A pod in which a command can be one stage of a pipeline of ours."""

    def process(self, argv: Sequence[str]) -> Process: ...

    def show(self, argv: Sequence[str]) -> str: ...


def copy_out(shell: Shell, pod: Inside, source: str, target: Path) -> Outcome:
    """`kubectl cp POD:source target`: what lies at `source` comes to lie at `target`.

    Raises:
        RehearsalError: a member of the stream is unsafe, or it is cut short.
    """
    argv = ("tar", "cf", "-", source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = f"{pod.show(argv)} | tar xf - -C {shlex.quote(str(target.parent))}"
    failed: Outcome | None = None
    try:
        with unpacking(target, as_kubectl_cp=True, source=source) as (sink, count):
            outcome = shell.run(pod.process(argv), stdout=sink, deadline=_DEADLINE, accept=None, shown=shown)
            if any(outcome.statuses):
                failed = outcome
    except RehearsalError:
        if failed is None or failed.received.size:
            raise
        return failed  # tar said why: nothing came, so nothing could be unpacked
    skipped = b"" if not count.skipped else f"warning: {count.skipped} symbolic links skipped\n".encode()
    return replace(outcome, stderr=outcome.stderr + skipped)


def copy_in(shell: Shell, pod: Inside, source: Path, target: str) -> Outcome:
    """`kubectl cp source POD:target`: into `target` when it is a directory there, else it becomes `target`.

    Raises:
        EnvironmentUnfit: there is no `source`.
    """
    if not source.exists():
        raise EnvironmentUnfit("there is nothing to copy into the pod", where=str(source))
    source = Path(os.path.realpath(source))
    is_directory = shell.run(pod.process(("test", "-d", target)), accept=(0, 1), deadline=60.0).statuses == (0,)
    final = posixpath.normpath(posixpath.join(target, source.name) if is_directory else target)
    folder, name = posixpath.split(final)
    pack = ["tar", "cf", "-", "-C", str(source.parent)]
    if name != source.name:
        pack += ["--transform", rf"s|^\(\./\)\{{0,1\}}{_pattern(source.name)}|{_replacement(name)}|rSH"]
    unpack = ("tar", "-xmf", "-", "-C", folder or ".")
    packing = Process((*pack, f"./{source.name}" if source.name.startswith("-") else source.name))
    shown = f"{shlex.join(packing.argv)} | {pod.show(unpack)}"
    return shell.run(packing, pod.process(unpack), deadline=_DEADLINE, accept=None, shown=shown)


def _pattern(text: str) -> str:
    """For the left side of GNU tar's --transform: a basic regular expression."""
    return re.sub(r"([\\|.*^$\[\]])", r"\\\1", text)


def _replacement(text: str) -> str:
    return re.sub(r"([\\|&])", r"\\\1", text)
