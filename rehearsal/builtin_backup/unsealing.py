"""Packages opened in one pass: hashed, decrypted, decompressed, hashed again; nothing is held whole but small packages.

`.lz4` is expanded here; a small `.lz4.gpg` goes to a gpg that stays (`lanes`), a large one streams through a gpg of its
own. What cannot be opened is told in words with the package's own digest, and spoils no other package. For whom a
package is sealed is read off its head first: where no key of ours fits, gpg is not even asked. Facts, section 6.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rehearsal.builtin_backup import gpg_words
from rehearsal.builtin_backup.expanding import EMPTY, Expander, Expanding, TooMuch, most_plain
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.lanes import SMALL, Answer, Lanes
from rehearsal.builtin_backup.opened import Opened, Sink
from rehearsal.builtin_backup.packets import HEAD, read_recipients
from rehearsal.builtin_backup.reading import Package
from rehearsal.builtin_backup.rewinding import Rewindable
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.errors import RehearsalError, StreamError
from rehearsal.launch import Process
from rehearsal.shell import Shell

EMPTY_INSIDE = "empty inside: gpg of an empty stream"
_KEPT = 8 << 20  # bytes of a package that gpg may be asked about again
_TRIES = 3
_SLOWEST = 1 << 20  # bytes a second; what is slower is taken for stuck
_HEAD = 4096
_WORTH_A_THREAD = 1 << 16

Limit = Callable[[Package], int | None]


@dataclass
class _Read:
    """A package on its way: what was read of it so far."""

    package: Package
    digest: hashlib._Hash = field(default_factory=hashlib.sha512)
    size: int = 0
    trouble: str = ""
    key_ids: tuple[str, ...] = ()

    def chunks(self, pool: Executor) -> Iterator[bytes]:
        """The package's bytes, counted, and hashed while they are made use of; a cut ends them and is noted."""
        try:
            for chunk in self.package.chunks():
                self.size += len(chunk)
                if len(chunk) < _WORTH_A_THREAD:
                    self.digest.update(chunk)
                    yield chunk
                    continue
                hashing = pool.submit(self.digest.update, chunk)
                try:
                    yield chunk
                finally:
                    hashing.result()
        except StreamError as error:
            self.trouble = f"cut: {error.what}"
        if not self.trouble and self.size != self.package.size:
            self.trouble = f"cut: {self.size} of {self.package.size} bytes"

    def tell(self, error: str, expander: Expander | None = None) -> Opened:
        error = self.trouble or error
        return Opened(
            self.package.path,
            self.size,
            self.digest.hexdigest(),
            0 if expander is None else expander.size,
            "" if error or expander is None else expander.sha512,
            error,
            self.key_ids,
            self.package.key,
        )


def no_sink(_: Package) -> IO[bytes] | None:
    """The plain bytes are hashed and dropped."""
    return None


def no_limit(_: Package) -> int | None:
    """Nothing is known of the plain file's size."""
    return None


class Unsealer:
    """Opens packages. May be used by several threads at a time.

    Args:
        keyring: None: only what is not encrypted can be opened.
        scratch: a private folder, better in memory (`scratch.scratch_folder`); a few MiB lie there for a moment.
    """

    def __init__(self, shell: Shell, keyring: Keyring | None, scratch: Path) -> None:
        self._shell = shell
        self._keyring = keyring
        self._scratch = scratch
        self._closed: dict[str, str] = {}  # keys that did not open for want of their passphrase

    def open_all(self, packages: Iterable[Package], sink: Sink = no_sink, limit: Limit = no_limit) -> Iterator[Opened]:
        """Open every package; the order is not kept.

        Args:
            sink: where the plain bytes go; called in the caller's thread, closed here; None: hashed only.
            limit: the bytes that a file is listed with, where that is known: a package that makes more is stopped. It
                is stopped anyway where it makes more than lz4 can.

        Raises:
            EnvironmentUnfit: a sink or the scratch folder cannot be written, or gpg is missing.
        """
        homes = () if self._keyring is None else self._keyring.spread(os.cpu_count() or 1)
        with (
            scratch_folder(parent=self._scratch) as folder,
            Lanes[_Read](
                self._shell, lambda number: self._stay(homes[number % len(homes)], folder), len(homes), folder / "log"
            ) as lanes,
            ThreadPoolExecutor(1) as pool,
        ):
            call = _Call(self, folder, pool, sink, limit)
            for package in packages:
                if package.path.endswith(".gpg"):
                    yield from call.take_sealed(package, lanes)
                else:
                    yield call.open_plain(package)
            while lanes.waiting:
                yield from map(call.answer, lanes.collect(wait=True))

    def _stay(self, home: Path, folder: Path) -> Process:
        assert self._keyring is not None  # noqa: S101 - no lane is started without
        arguments = ("--status-fd", "1", "--yes", "--multifile", "--decrypt")
        return self._keyring.process(*arguments, home=home, cwd=folder)


class _Call:
    """One call of `open_all`."""

    def __init__(self, unsealer: Unsealer, folder: Path, pool: Executor, sink: Sink, limit: Limit) -> None:
        self._unsealer = unsealer
        self._folder = folder
        self._pool = pool
        self._numbers = itertools.count()
        self._shell = unsealer._shell
        self._keyring = unsealer._keyring
        self._sink = sink
        self._limit = limit

    def open_plain(self, package: Package) -> Opened:
        """A `.lz4`, in this process."""
        read = _Read(package)
        with self._expanding(package) as expanding:
            for chunk in read.chunks(self._pool):
                expanding.feed(chunk)
            return read.tell(expanding.finish(), expanding.expander)

    def take_sealed(self, package: Package, lanes: Lanes[_Read]) -> Iterator[Opened]:
        """A `.lz4.gpg`: its answer, now or later, and those of others that came meanwhile."""
        read = _Read(package)
        chunks = read.chunks(self._pool)
        head = _take_head(chunks)
        error, read.key_ids = self._foresee(head)
        if error or not head:
            for _ in chunks:
                pass
            yield read.tell(error if head else EMPTY)
        elif package.size > SMALL:
            yield self._stream(read, itertools.chain((head,), chunks))
        else:
            name = f"p{next(self._numbers)}"
            whole = self._folder / f"{name}.gpg"
            _write_scratch(whole, itertools.chain((head,), chunks))
            if read.trouble:
                whole.unlink()
                yield read.tell("")
                return
            lanes.submit(whole.name, read)
            yield from map(self.answer, lanes.collect(wait=False))
            while lanes.is_full:
                yield from map(self.answer, lanes.collect(wait=True))

    def _foresee(self, head: bytes) -> tuple[str, tuple[str, ...]]:
        """Why gpg need not be asked ("" where it must), and the keys that the package is sealed for."""
        keyring = self._keyring
        recipients = read_recipients(head[:HEAD])
        if recipients is None:
            return (gpg_words.NO_SECRET_KEY if keyring is None else ""), ()
        has_passphrase = keyring is not None and keyring.has_passphrase
        if recipients.passphrase and has_passphrase:
            return "", recipients.key_ids
        if recipients.passphrase and not recipients.key_ids and not recipients.hidden:
            return gpg_words.NO_PASSPHRASE, ()
        if keyring is not None and recipients.hidden:
            return "", recipients.key_ids
        secret = frozenset() if keyring is None else keyring.secret_ids()
        ours = [key for key in recipients.key_ids if key in secret]
        if not ours:
            return gpg_words.NO_SECRET_KEY, recipients.key_ids
        closed = [self._unsealer._closed.get(key, "") for key in ours]
        return (closed[0] if all(closed) else ""), recipients.key_ids

    def answer(self, answer: Answer[_Read]) -> Opened:
        """What gpg made of a small package."""
        read = answer.job
        package = self._folder / answer.name
        plain = package.with_suffix("")
        try:
            if answer.died:  # perhaps too large for its share, perhaps gpg's own trouble: alone it will tell
                with package.open("rb") as stream:
                    return self._stream(read, iter(lambda: stream.read(1 << 18), b""))
            error = self._explain(answer.said, read)
            if error == gpg_words.DAMAGED_KEY:  # perhaps the agent's trouble, not the package's: asked once more
                with package.open("rb") as stream:
                    return self._stream(read, iter(lambda: stream.read(1 << 18), b""))
            if error:
                return read.tell(error)
            with self._expanding(read.package) as expanding, plain.open("rb", buffering=0) as stream:
                while chunk := stream.read(1 << 18):
                    expanding.feed(chunk)
                return read.tell(_inside(expanding.finish()), expanding.expander)
        finally:
            package.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)

    def _explain(self, said: gpg_words.Said, read: _Read) -> str:
        read.key_ids = said.key_ids or read.key_ids
        given = self._keyring is not None and self._keyring.has_passphrase
        error = said.explain(passphrase_given=given)
        if error in (gpg_words.NO_KEY_PASSPHRASE, gpg_words.WRONG_PASSPHRASE) and len(read.key_ids) == 1:
            self._unsealer._closed[read.key_ids[0]] = error
        if error == gpg_words.DAMAGED_KEY:
            told = "; ".join(" ".join((word, *arguments)) for word, arguments in said.lines if word == "ERROR")
            self._shell.journal.note(f"gpg on the session key of {read.package.path}: {told}")
        return error

    def _stream(self, read: _Read, chunks: Iterator[bytes]) -> Opened:
        """A package through a gpg of its own, which writes nothing to any disk."""
        assert self._keyring is not None  # noqa: S101 - without keys nobody gets here
        source = Rewindable(chunks, _KEPT)
        with self._expanding(read.package) as expanding:
            error = self._decrypt(read, source, expanding)
            for _ in range(_TRIES - 1):
                # an agent that is short of something says so of a sound session key; a damaged one fails every time
                if error != gpg_words.DAMAGED_KEY or not source.rewind():
                    break
                error = self._decrypt(read, source, expanding)
            for _ in source:  # the package's digest is wanted, whatever gpg left unread
                pass
            return read.tell(error or _inside(expanding.finish()), expanding.expander)

    def _decrypt(self, read: _Read, source: Rewindable, expanding: Expanding) -> str:
        assert self._keyring is not None  # noqa: S101 - as above
        try:
            outcome = self._shell.run(
                self._keyring.process("--status-fd", "2", "--decrypt"),
                stdin=source,
                stdout=expanding.expander,  # type: ignore[arg-type]  # `write` is all that is asked of it
                deadline=600 + read.package.size / _SLOWEST,
                accept=None,
                repeated=True,
                hashed=False,
            )
        except TooMuch:
            expanding.too_much = True
            return ""
        said = gpg_words.read_said(outcome.stderr)
        if not said.lines:
            return f"gpg failed: {outcome.stderr[-300:].decode(errors='replace').strip()}"
        return self._explain(said, read)

    def _expanding(self, package: Package) -> Expanding:
        listed = self._limit(package)
        most = most_plain(package.size)
        return Expanding(self._sink(package), most if listed is None else min(listed, most))


def _inside(error: str) -> str:
    return EMPTY_INSIDE if error == EMPTY else error


def _take_head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD:
            break
    return head


def _write_scratch(path: Path, chunks: Iterable[bytes]) -> None:
    try:
        with path.open("xb", buffering=0) as stream:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[stream.write(rest) :]
    except OSError as error:
        raise RehearsalError(
            f"the scratch folder cannot be written: {error.strerror}",
            where=str(path.parent),
            hint=f"df -h {path.parent}",
        ) from error
