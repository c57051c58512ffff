"""Writing the sorted line files of an inventory: streamed, counted, hashed on the way, renamed when complete.

Memory stays flat whatever the number of lines. A file that was not finished never gets its name, so that an inventory
that died half-way leaves nothing that could pass for evidence.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType

from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import LineFile

_FLUSH_AT = 1 << 20


class LineWriter:
    """One line file being written; a context manager.

    Args:
        folder: the rehearsal's folder; `path` is relative to it, with `/`.

    Raises:
        EnvironmentUnfit: on any write that the disk refuses.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self.path = path
        self._target = folder / path
        self._temporary = self._target.with_name(f".{self._target.name}.part")
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._digest = hashlib.sha256()
        self.lines = 0

    def __enter__(self) -> LineWriter:
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._temporary.open("wb", buffering=0)
        except OSError as error:
            raise self._unfit(error) from error
        return self

    def write(self, line: bytes) -> None:
        """Append one line, its `\\n` included."""
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= _FLUSH_AT:
            self._flush()

    def finish(self) -> LineFile:
        """Give the file its name and say what it holds."""
        self._flush()
        try:
            self._stream.close()
            self._temporary.replace(self._target)
        except OSError as error:
            raise self._unfit(error) from error
        return LineFile(path=self.path, lines=self.lines, sha256=self._digest.hexdigest())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        chunk = b"".join(self._waiting)
        self.lines += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._digest.update(chunk)
        left = memoryview(chunk)
        try:
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise self._unfit(error) from error

    def _unfit(self, error: OSError) -> EnvironmentUnfit:
        return EnvironmentUnfit(
            f"cannot write the inventory: {error.strerror}",
            where=str(self._target),
            hint=f"df -h {self._target.parent}; or give --runs DIR on another disk",
        )


def file_name(text: str) -> str:
    """A file name for a table's qualified name: anything but letters, digits, `.`, `_` and `-` as `%XX` of its bytes.

    Long names are cut and end in a part of their SHA-256, so that two tables never share a file.
    """
    plain = "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "._-") else f"%{byte:02x}"
        for byte in text.encode()
    )
    return plain if len(plain) <= 150 else f"{plain[:130]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
