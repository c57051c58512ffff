"""Files made into packages as the server makes them: `lz4 -q -c FILE`, then gpg with a public key or a passphrase.

Small ones go to a gpg that stays (`lanes`), large ones stream through a gpg of their own; a package lies in the
scratch folder until it was handed on, because a tar wants its size first. By default gpg takes a fifth of a second a
file to make a passphrase hard to guess; a throw-away one needs no such thing. Facts, section 6.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lz4.frame

from rehearsal.builtin_backup.gpg_words import Said, read_said
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.lanes import SMALL, Answer, Lanes
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.launch import Process
from rehearsal.shell import Shell

SealKind = Literal["public-key", "passphrase", "none"]

_CHUNK = 1 << 20
_UNYIELDED = 64  # small packages that may wait for one before them


@dataclass
class Sealed:
    """A package. `chunks` gives its bytes until the next package is asked for; sizes in bytes."""

    path: str
    size: int
    sha512: str
    package_path: str
    package_size: int
    package_sha512: str
    chunks: Callable[[], Iterator[bytes]]


@dataclass
class _Small:
    """A small file at gpg's; `sealed` once it is done."""

    path: str
    plain: _Plain
    place: Path
    sealed: Sealed | None = None


class Sealer:
    """Makes packages.

    Args:
        keyring: with the recipient's public key, or the passphrase; None for `none`.
        recipient: fingerprint or user ID of the key to seal for.
        scratch: a private folder with room for the largest package.
        rounds: of hashing a passphrase; gpg's own default is up to 65,011,712.
        at: the instant that gpg takes for now, such as `20200101T120000`: a key that has expired since was good then.
    """

    def __init__(
        self,
        shell: Shell,
        keyring: Keyring | None,
        kind: SealKind,
        recipient: str = "",
        *,
        scratch: Path,
        rounds: int = 1 << 20,
        at: str = "",
    ) -> None:
        self._shell = shell
        self._keyring = keyring
        self._kind = kind
        self._recipient = recipient
        self._scratch = scratch
        self._numbers = itertools.count()
        self._options: tuple[str, ...] = ("--compress-algo", "none", "--s2k-count", str(rounds))
        if at:
            self._options += ("--faked-system-time", at)
        if kind == "passphrase" and (keyring is None or not keyring.has_passphrase):
            raise RehearsalError("nothing can be sealed with a passphrase: none was given")

    @property
    def suffix(self) -> str:
        """`.lz4` or `.lz4.gpg`."""
        return ".lz4" if self._kind == "none" else ".lz4.gpg"

    def seal(self, files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Sealed]:
        """A package a file, in their order.

        Raises:
            RehearsalError: gpg cannot seal for this recipient: no such key, expired, or it can only sign.
            EnvironmentUnfit: gpg is missing, the scratch folder is full.
        """
        waiting: deque[_Small] = deque()
        with (
            scratch_folder(parent=self._scratch) as folder,
            Lanes[_Small](self._shell, lambda _: self._stay(folder), 1, folder / "log") as lanes,
        ):
            for path, chunks in files:
                plain = _Plain(chunks)
                head, whole = _take(plain.compressed(), SMALL)
                if whole and self._kind == "public-key":
                    place = folder / f"s{next(self._numbers)}.lz4"
                    _write(place, head)
                    waiting.append(_Small(path, plain, place))
                    lanes.submit(place.name, waiting[-1])
                else:
                    yield from self._finish_small(lanes, waiting, 0)
                    yield from self._seal_alone(path, plain, folder, itertools.chain(head, plain.compressed()))
                while lanes.is_full or len(waiting) > _UNYIELDED:
                    yield from self._finish_small(lanes, waiting, len(waiting) - 1)
            yield from self._finish_small(lanes, waiting, 0)

    def _finish_small(self, lanes: Lanes[_Small], waiting: deque[_Small], left: int) -> Iterator[Sealed]:
        """Hand on small packages, in order, until at most `left` are waiting."""
        while len(waiting) > left:
            for answer in lanes.collect(wait=waiting[0].sealed is None):
                self._take_answer(answer)
            while waiting and (sealed := waiting[0].sealed) is not None:
                waiting.popleft()
                yield sealed

    def _stay(self, folder: Path) -> Process:
        return self._process(
            "--status-fd", "1", "--yes", "--recipient", self._recipient, "--multifile", "--encrypt", cwd=folder
        )

    def _process(self, *arguments: str, cwd: Path | None = None) -> Process:
        assert self._keyring is not None  # noqa: S101 - only asked for where something is encrypted
        return self._keyring.process(*self._options, *arguments, cwd=cwd)

    def _take_answer(self, answer: Answer[_Small]) -> None:
        small = answer.job
        sealed = small.place.with_name(f"{answer.name}.gpg")
        if answer.died or not answer.said.has("END_ENCRYPTION"):
            raise self._refuse(answer.said)
        content = sealed.read_bytes()
        small.place.unlink()
        sealed.unlink()
        digest = hashlib.sha512(content).hexdigest()
        small.sealed = self._make(small.path, small.plain, len(content), digest, lambda: iter((content,)))

    def _seal_alone(self, path: str, plain: _Plain, folder: Path, compressed: Iterator[bytes]) -> Iterator[Sealed]:
        place = folder / f"s{next(self._numbers)}.alone"
        try:
            with _Out(place) as out:
                if self._kind == "none":
                    for chunk in compressed:
                        out.write(memoryview(chunk))
                else:
                    self._encrypt(compressed, out)
            yield self._make(path, plain, out.size, out.digest.hexdigest(), lambda: _read(place))
        finally:
            place.unlink(missing_ok=True)

    def _encrypt(self, compressed: Iterator[bytes], out: _Out) -> None:
        how = ("--symmetric",) if self._kind == "passphrase" else ("--recipient", self._recipient, "--encrypt")
        outcome = self._shell.run(
            self._process("--status-fd", "2", *how),
            stdin=compressed,
            stdout=out,  # type: ignore[arg-type]  # `write` is all that is asked of it
            deadline=7 * 24 * 3600,
            accept=None,
            repeated=True,
            hashed=False,
        )
        said = read_said(outcome.stderr)
        if outcome.statuses != (0,) or not said.has("END_ENCRYPTION"):
            raise self._refuse(said, outcome.stderr.decode(errors="replace"))

    def _refuse(self, said: Said, words: str = "") -> RehearsalError:
        """Why gpg did not seal; the reasons of INV_RECP are in GnuPG's doc/DETAILS."""
        why = "it said nothing" if not words else words[-300:].strip()
        if said.has("INV_RECP"):
            why = "there is no such key, or it can only sign: an encryption subkey is needed"
            if said.has("KEYEXPIRED"):
                why = "expired key: it opens old packages, and seals no new ones"
        return RehearsalError(
            f"gpg cannot seal packages for {self._recipient or 'a passphrase'}: {why}", hint="gpg --list-keys"
        )

    def _make(self, path: str, plain: _Plain, size: int, digest: str, chunks: Callable[[], Iterator[bytes]]) -> Sealed:
        return Sealed(path, plain.size, plain.digest.hexdigest(), path + self.suffix, size, digest, chunks)


class _Plain:
    """A file as it is read: counted, hashed, compressed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.size = 0
        self.digest = hashlib.sha512()
        self._compressed = self._compress(chunks)

    def compressed(self) -> Iterator[bytes]:
        """The lz4 frame, once; whoever asks again goes on where the last one stopped."""
        return self._compressed

    def _compress(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        # as the command line's: independent blocks of up to 4 MiB, a checksum over the content
        frame = lz4.frame.LZ4FrameCompressor(
            block_size=lz4.frame.BLOCKSIZE_MAX4MB, block_linked=False, content_checksum=True
        )
        yield frame.begin()
        for chunk in chunks:
            self.digest.update(chunk)
            self.size += len(chunk)
            if packed := frame.compress(chunk):
                yield packed
        yield frame.flush()


class _Out:
    """A new file in the scratch folder, counted and hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self.digest = hashlib.sha512()
        self._path = path
        try:
            self._stream = path.open("xb", buffering=0)
        except OSError as error:
            raise self._full(error) from error

    def __enter__(self) -> _Out:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, chunk: memoryview) -> int:
        self.digest.update(chunk)
        self.size += len(chunk)
        rest = chunk
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise self._full(error) from error
        return len(chunk)

    def _full(self, error: OSError) -> EnvironmentUnfit:
        folder = self._path.parent
        return EnvironmentUnfit(f"cannot write it: {error.strerror}", where=str(self._path), hint=f"df -h {folder}")


def _take(chunks: Iterator[bytes], most: int) -> tuple[list[bytes], bool]:
    """The first chunks, and whether that was all of at most `most` bytes."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size > most:
            return taken, False
    return taken, True


def _write(place: Path, chunks: Iterable[bytes]) -> None:
    with _Out(place) as out:
        for chunk in chunks:
            out.write(memoryview(chunk))


def _read(place: Path) -> Iterator[bytes]:
    with place.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
