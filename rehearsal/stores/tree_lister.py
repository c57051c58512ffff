"""The program that fingerprints a directory from inside its pod: `python3 -I -S - [PATH…] < tree_lister.py`.

It walks `storage` below its working directory, hashes regular files in forked workers, and prints a JSON array a line,
sorted bytewise by path, then a trailer with the count and SHA-256 of these lines. Standard library only, Python 3.7 or
later. Links are never followed. Memory is flat: entries go through in batches, at most WINDOW of them at a time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import marshal
import os
import select
import stat
import struct
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

BATCH_ENTRIES = 128
BATCH_BYTES = 4 << 20
BATCH_PATHS = 16 << 10  # two requests fit into a pipe, so nobody ever blocks on writing one
WINDOW = 64
CHUNK = 1 << 20
LOST_AND_FOUND = b"lost+found"

_quote = json.encoder.encode_basestring_ascii
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Failed(Exception):
    """The tree cannot be fingerprinted: it changed while it was read, or it cannot be read."""


def entry_line(path: bytes, kind: str, size: int, sha256: str, mode: int, uid: int, gid: int, target: bytes) -> bytes:
    """One line of the inventory: `["ab/ab12…","file",12,"9f…","0644",1000,1000,""]`."""
    return b'[%b,"%b",%d,"%b","%04o",%d,%d,%b]\n' % (
        _quote(os.fsdecode(path)).encode("ascii"),
        kind.encode("ascii"),
        size,
        sha256.encode("ascii"),
        mode,
        uid,
        gid,
        _quote(os.fsdecode(target)).encode("ascii") if target else b'""',
    )


def list_folder(folder: bytes, without: frozenset[bytes]) -> list[bytes]:
    """What a walk in path order does in one folder: names of entries, and `name/` where a directory's content comes.

    `ab-x` lies between `ab` and `ab/…`, so a directory and its content are two steps. A folder that may not be read
    has no steps: its own line tells of its mode and owner.
    """
    try:
        descriptor = os.open(folder or b".", _FLAGS | os.O_DIRECTORY)
    except PermissionError:
        return []
    steps = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if folder + name not in without:
                    steps.append(name)
                    if entry.is_dir(follow_symlinks=False):
                        steps.append(name + b"/")
    finally:
        os.close(descriptor)
    steps.sort()
    return steps


def walk(without: frozenset[bytes], alone: frozenset[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every entry below the working directory in bytewise order of its path, with its lstat.

    Args:
        without: paths to leave out.
        alone: directories to leave out when nothing else is in them.
    """
    stack = [(b"", iter(list_folder(b"", without)))]
    while stack:
        folder, steps = stack[-1]
        name = next(steps, None)
        if name is None:
            stack.pop()
            continue
        path = folder + name
        if name.endswith(b"/"):
            stack.append((path, iter(list_folder(path, without))))
        elif path not in alone or list_folder(path + b"/", without):
            yield path, os.lstat(path)


def hash_file(path: bytes, size: int, buffer: bytearray, view: memoryview) -> bytes | None:
    """SHA-256 of a regular file of `size` bytes; None where it may not be read."""
    try:
        descriptor = os.open(path, _FLAGS)
    except PermissionError:
        return None
    try:
        if size < CHUNK:
            data = os.read(descriptor, size + 1)
            found = len(data)
            digest = hashlib.sha256(data)
        else:
            digest = hashlib.sha256()
            found = 0
            while True:
                count = os.readv(descriptor, [buffer])
                if count == 0:
                    break
                found += count
                digest.update(view[:count])
    finally:
        os.close(descriptor)
    if found != size:
        raise Failed(f"{os.fsdecode(path)} changed while it was read: {size} bytes, then {found}")
    return digest.digest()


def read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes from a pipe; b"" at its end."""
    parts = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def send(descriptor: int, message: Any) -> None:
    body = marshal.dumps(message)
    left = memoryview(struct.pack("=I", len(body)) + body)
    while left:
        left = left[os.write(descriptor, left) :]


def receive(descriptor: int) -> Any:
    """The next message, or None at the end of the pipe."""
    head = read_exactly(descriptor, 4)
    if not head:
        return None
    return marshal.loads(read_exactly(descriptor, struct.unpack("=I", head)[0]))  # noqa: S302 - from our own fork


def work(requests: int, answers: int) -> None:
    """A worker: hash what is asked for until the requests end; an answer is a list of digests, or a sentence."""
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    while True:
        request = receive(requests)
        if request is None:
            return
        try:
            answer = [hash_file(path, size, buffer, view) for path, size in request]
        except (Failed, OSError) as error:
            send(answers, str(error))
            return
        send(answers, answer)


class Batch:
    """Consecutive entries of the walk, written together once their files are hashed."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, os.stat_result]] = []
        self.files: list[tuple[bytes, int]] = []
        self.bytes = 0
        self.path_bytes = 0
        self.digests: list[bytes | None] | None = None

    def add(self, path: bytes, state: os.stat_result) -> None:
        self.entries.append((path, state))
        if stat.S_ISREG(state.st_mode):
            self.files.append((path, state.st_size))
            self.bytes += state.st_size
            self.path_bytes += len(path) + 16

    @property
    def full(self) -> bool:
        return len(self.entries) >= BATCH_ENTRIES or self.bytes >= BATCH_BYTES or self.path_bytes >= BATCH_PATHS


class Worker:
    """A forked process with a pipe each way."""

    def __init__(self, others: list[Worker]) -> None:
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.batches: deque[Batch] = deque()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                for descriptor in [self.requests, self.answers] + [other.requests for other in others]:
                    os.close(descriptor)  # a worker must see the end of its requests
                work(requests, answers)
                status = 0
            finally:
                os._exit(status)
        os.close(requests)
        os.close(answers)

    @property
    def free(self) -> bool:
        """One small batch may wait behind another, so that a worker never idles; nothing waits behind a large file."""
        return not self.batches or (len(self.batches) == 1 and self.batches[0].bytes < BATCH_BYTES)

    def take(self, batch: Batch) -> None:
        self.batches.append(batch)
        send(self.requests, batch.files)

    def answer(self) -> None:
        answer = receive(self.answers)
        if not isinstance(answer, list):
            raise Failed(str(answer or "a worker died"))
        self.batches.popleft().digests = answer


class Listing:
    """Lines on their way out: in order, counted, hashed."""

    def __init__(self, out: int) -> None:
        self.out = out
        self.digest = hashlib.sha256()
        self.counts = {"lines": 0, "files": 0, "directories": 0, "bytes": 0}

    def write(self, batch: Batch) -> None:
        digests = iter(batch.digests or ())
        lines = []
        for path, state in batch.entries:
            mode = state.st_mode
            kind, size, sha256, target = "other", 0, "", b""
            if stat.S_ISREG(mode):
                kind, size = "file", state.st_size
                found = next(digests)
                sha256 = "unreadable" if found is None else found.hex()
                self.counts["files"] += 1
                self.counts["bytes"] += size
            elif stat.S_ISDIR(mode):
                kind = "dir"
                self.counts["directories"] += 1
            elif stat.S_ISLNK(mode):
                kind, target = "link", os.readlink(path)
            lines.append(entry_line(path, kind, size, sha256, stat.S_IMODE(mode), state.st_uid, state.st_gid, target))
        self.counts["lines"] += len(lines)
        text = b"".join(lines)
        self.digest.update(text)
        self.put(text)

    def put(self, text: bytes) -> None:
        left = memoryview(text)
        while left:
            left = left[os.write(self.out, left) :]

    def finish(self) -> None:
        self.put(json.dumps({**self.counts, "sha256": self.digest.hexdigest()}).encode("ascii") + b"\n")


def batches_of(entries: Iterator[tuple[bytes, os.stat_result]]) -> Iterator[Batch]:
    batch = Batch()
    for path, state in entries:
        batch.add(path, state)
        if batch.full:
            yield batch
            batch = Batch()
    if batch.entries:
        yield batch


def write_listing(workers: list[Worker], batches: Iterator[Batch], listing: Listing) -> None:
    """Hand batches to whoever is free, write them in order; never more than WINDOW of them in memory."""
    waiting: deque[Batch] = deque()

    def settle() -> None:
        """Wait for an answer, then write what is complete."""
        ready, _, _ = select.select([worker.answers for worker in workers if worker.batches], [], [])
        for worker in workers:
            if worker.answers in ready:
                worker.answer()
        while waiting and waiting[0].digests is not None:
            listing.write(waiting.popleft())

    for batch in batches:
        waiting.append(batch)
        if not batch.files:
            batch.digests = []
        else:
            while not any(worker.free for worker in workers):
                settle()
            min((worker for worker in workers if worker.free), key=lambda worker: len(worker.batches)).take(batch)
        while len(waiting) >= WINDOW:
            settle()
    while any(worker.batches for worker in workers):
        settle()
    while waiting:
        listing.write(waiting.popleft())


def main(arguments: list[str]) -> int:
    """`[WITHOUT…] -- [ALONE…]`: paths below `storage` to leave out, and directories to leave out when otherwise empty.

    An empty or unreadable `lost+found` at the top belongs to the file system and is always left out.
    """
    border = arguments.index("--") if "--" in arguments else len(arguments)
    without = frozenset(os.fsencode(path) for path in arguments[:border])
    alone = frozenset([LOST_AND_FOUND] + [os.fsencode(path) for path in arguments[border + 1 :]])
    workers: list[Worker] = []
    try:
        os.chdir("storage")
        for _ in range(max(2, min(4, len(os.sched_getaffinity(0))))):
            workers.append(Worker(workers))
        listing = Listing(sys.stdout.fileno())
        write_listing(workers, batches_of(walk(without, alone)), listing)
    except (Failed, OSError) as error:
        vanished = isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
        sys.stderr.write(f"{'it changed while it was listed: ' if vanished else ''}{error}\n")
        return 1
    finally:
        for worker in workers:
            os.close(worker.requests)
        for worker in workers:
            os.waitpid(worker.pid, 0)
    listing.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
