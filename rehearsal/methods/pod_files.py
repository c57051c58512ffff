"""The files of a file-storage pod as a backup's source: listed by `find`, handed over in one tar stream.

What the pod says is not trusted: the writer refuses what it was not asked for, and the stream is read strictly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, cast

from rehearsal.builtin_backup.sources import SourceFile
from rehearsal.chipster import runbook
from rehearsal.deployment import FilesSpec
from rehearsal.errors import CommandFailed, RehearsalError
from rehearsal.methods.read_ahead import ReadAhead
from rehearsal.roles import ExecResult, Stage
from rehearsal.tar_members import read_members


@dataclass(frozen=True)
class PodFiles:
    """A file-storage pod's `storage`; plays `builtin_backup.sources.Source`.

    Attributes:
        takes: which of the files are there at all, by path: a rehearsal makes a backup "of the day before" that has
            not seen what was uploaded since.
    """

    stage: Stage
    files: FilesSpec
    takes: Callable[[str], bool] = lambda _: True

    def list_files(self) -> Iterator[SourceFile]:
        """Every regular file of the pod.

        Raises:
            CommandFailed: `find` failed in the pod.
        """
        result = self.stage.cluster.exec(self.files.pod, runbook.LIST_FILES)
        if result.status != 0:
            said = result.stderr.decode(errors="replace")
            raise CommandFailed(result.command, [result.status], stderr_tail=said, where=self.files.pod)
        for entry in result.stdout.decode("utf-8", "surrogateescape").split("\0"):
            size, _, path = entry.partition(" ")
            if path and self.takes(path):
                yield SourceFile(path, int(size))

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each of these files that is still there, in the order of `paths`; no more than `read_ahead.ROOM` of
        them is ever held on our side.

        Raises:
            StreamError: the stream was cut short.
        """
        if not paths:
            return
        failed: list[Exception] = []
        told: list[ExecResult] = []
        stream = ReadAhead()
        sink = cast(IO[bytes], stream)

        def pack() -> None:
            names = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
            try:
                told.append(self.stage.cluster.exec(self.files.pod, runbook.PACK_LISTED, stdin=names, stdout=sink))
            except Exception as error:  # noqa: BLE001 - raised again below, in the reader's thread
                failed.append(error)
            finally:
                stream.end()

        thread = threading.Thread(target=pack, daemon=True, name="pack")
        thread.start()
        try:
            for member in read_members(sink):
                if member.kind == "file":
                    yield member.name, (bytes(piece) for piece in member.content())
        except RehearsalError as error:
            # what had failed before the reader met a fault explains it; what fails after it has left does not
            raise (failed[0] if failed else error) from error
        finally:
            stream.leave()
            thread.join()
        if failed:
            raise failed[0]
        for result in told:
            self.stage.report_command(self.files.name, result)
