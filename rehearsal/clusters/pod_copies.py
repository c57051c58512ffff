"""`kubectl cp` (or what stands in for it), both ways, believed only when every file is the same at both ends.

kubectl cp speaks tar by itself and can end early, or lose a file whose name it does not like, with status 0. So after
it the files of the pod and ours are listed with their SHA-256 and compared.
"""

from __future__ import annotations

import posixpath
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rehearsal.clusters.tree_listing import (
    Listing,
    list_all,
    list_given,
    list_here,
    name_differences,
    read_listing,
    summarise,
)
from rehearsal.errors import StreamError
from rehearsal.roles import ExecResult, RunInPod, Transfer
from rehearsal.shell import Outcome, Shell


class Copier(Protocol):
    """Copies without looking whether all came: `kubectl.Kubectl`, or docker's."""

    @property
    def tool(self) -> str:
        """Its name, for messages."""

    @property
    def shell(self) -> Shell: ...

    def copy_out(self, pod: str, source: str, target: Path) -> Outcome: ...

    def copy_in(self, source: Path, pod: str, target: str) -> Outcome: ...


class PodCopies:
    """Copies in one namespace.

    Args:
        scratch: a folder of ours for listings.
        tries: how often a copy out of a pod is tried.
    """

    def __init__(self, copier: Copier, run: RunInPod, scratch: Path, tries: int) -> None:
        self._copier = copier
        self._run = run
        self._scratch = scratch
        self._tries = tries

    def copy_out(self, pod: str, source: str, target: Path) -> ExecResult:
        """`kubectl cp POD:source target`; tried again when files are short and nothing was at `target` before.

        Raises:
            StreamError: files differ; the first ones are named.
        """
        was_there = target.exists()
        for attempt in range(1, self._tries + 1):
            result = self._copier.copy_out(pod, source, target).as_result()
            theirs = self._list_pod(pod, list_all(source))
            ours, size = list_here(target)
            if len(ours) == 1 == len(theirs) and not target.is_dir():
                ours = dict(zip(theirs, ours.values(), strict=True))  # a single file may change its name
            try:
                return replace(result, received=self._agree(result, theirs, ours, size))
            except StreamError as error:
                self._copier.shell.journal.write(
                    "stream-cut", attempt=attempt, tries=self._tries, pod=pod, error=str(error)
                )
                if was_there or attempt == self._tries:
                    raise
                shutil.rmtree(target, ignore_errors=True)
        raise AssertionError("unreachable")

    def copy_in(self, source: Path, pod: str, target: str) -> ExecResult:
        """`kubectl cp source POD:target`. Never twice: a copy that broke off may have changed what a restore is judged
        by.

        Raises:
            StreamError: files differ; the first ones are named.
        """
        is_folder = self._run(pod, ("test", "-d", target)).status == 0
        result = self._copier.copy_in(source, pod, target).as_result()
        final = posixpath.join(target, source.name) if is_folder else target
        ours, size = list_here(source)
        if source.is_dir():
            names = b"".join(name + b"\0" for name in ours)
            theirs = self._list_pod(pod, list_given(final), names)
        else:
            theirs = self._list_pod(pod, list_all(final))
            ours = dict(zip(theirs, ours.values(), strict=False)) or ours
        return replace(result, sent=self._agree(result, theirs, ours, size))

    def _list_pod(self, pod: str, command: Sequence[str], names: bytes | None = None) -> dict[bytes, bytes]:
        path = self._scratch / f"listing-{secrets.token_hex(4)}"
        try:
            self._run(pod, command, stdin=names, stdout=path)
            return read_listing(path)
        finally:
            path.unlink(missing_ok=True)

    def _agree(self, result: ExecResult, theirs: Listing, ours: Listing, size: int) -> Transfer:
        """The copy's figures, when every file is the same at both ends."""
        differences = name_differences(theirs, ours)
        if differences:
            said = result.stderr.decode(errors="replace").strip()[-500:]
            raise StreamError(
                f"{len(theirs)} files in the pod, {len(ours)} here: {'; '.join(differences)}"
                + (f"; {self._copier.tool} said: {said}" if said else ""),
                where=result.command,
            )
        return summarise(ours, size)
