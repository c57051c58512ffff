"""A pod that is a folder: `exec` runs the command there, through the one door to processes."""

# ruff: noqa: PTH101, PTH103, PTH118, PTH120, PTH123 - names are bytes

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from rehearsal.deployment import FilesSpec
from rehearsal.inventory import FilesInventory
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.roles import ByteSource, Cluster, ExecResult
from rehearsal.shell import Shell
from rehearsal.stores.files import FileStore


class NoSeed:
    """For stores whose directory is filled by the test."""

    def tar_stream(self, replica: int) -> Iterator[bytes]:
        raise AssertionError("this test does not seed")

    def file_counts(self, replica: int) -> Mapping[str, int]:
        raise AssertionError("this test does not seed")


@dataclass
class PodFolder:
    """Plays the `exec` of roles.Cluster for one file-storage pod.

    Attributes:
        has_python: False: `python3` is not to be found on its PATH.
        user: uid and gid its commands run as.
        spoil: what happens on the way to the output that a program sends into a file.
    """

    folder: Path
    journal: Journal
    has_python: bool = True
    user: tuple[int, int] | None = None
    spoil: Callable[[bytes], bytes] = bytes
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cwd = self.folder / "pod"
        self.storage = self.cwd / "storage"
        self.storage.mkdir(parents=True)
        self._tools = self.folder / "bin"
        self._tools.mkdir()
        for tool in ("find", "sort", "xargs", "sha256sum", "sh", "cat", "mktemp", "mkdir", "mv", "rm", "head", "tar"):
            self._tools.joinpath(tool).symlink_to(Path("/usr/bin", tool))

    def exec(
        self,
        pod: str,
        argv: Sequence[str],
        *,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        destructive: bool = False,
        deadline: float = 3600.0,
    ) -> ExecResult:
        self.commands.append(tuple(argv))
        path = os.environ["PATH"] if self.has_python else str(self._tools)
        process = Process(tuple(argv), env={"PATH": path}, cwd=self.cwd, user=self.user)
        outcome = Shell(self.journal).run(process, stdin=stdin, stdout=stdout, accept=None)
        if isinstance(stdout, Path):
            stdout.write_bytes(self.spoil(stdout.read_bytes()))
        return ExecResult(
            outcome.command, outcome.statuses[0], outcome.stdout, outcome.stderr, outcome.error_lines,
            outcome.sent, outcome.received, outcome.seconds,
        )  # fmt: skip

    def store(self, seed: object | None = None) -> FileStore:
        return FileStore(FilesSpec(), cast(Cluster, self), self.folder, self.journal, seed or NoSeed())  # type: ignore[arg-type]

    def look(self, moment: str) -> FilesInventory:
        return self.store().take_inventory(moment)

    def put(self, path: str | bytes, content: bytes = b"", mode: int = 0o644) -> None:
        target = os.path.join(os.fsencode(self.storage), os.fsencode(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as stream:
            stream.write(content)
        os.chmod(target, mode)
