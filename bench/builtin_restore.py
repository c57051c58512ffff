"""How fast small files come out of a built-in backup, against the manual's loop, in one run, rounds interleaved.

    .venv/bin/python bench/builtin_restore.py

A: `restore_files` on a bucket in a folder: listed, planned, hashed, decrypted, decompressed, hashed again, written.
B: the manual's loop over packages already unpacked, a process a file, one after the other:
`gpg --decrypt F.lz4.gpg | lz4 -d > F`, or `lz4 -d F.lz4 F` where nothing is encrypted; nothing is compared. C: the
same, two at a time. Of the encrypted set B and C take every tenth file, and their time is multiplied. Everything lies
in memory, because making a file on a disk costs as much as opening a small package, in all three. Then the peak memory
of restoring from lists of 100,000 and 1,000,000 lines, on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lz4.frame

from rehearsal.builtin_backup.folder_places import FolderBucket
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.listing import ListedFile, format_line
from rehearsal.builtin_backup.names import INFO, BackupName, make_name, object_key
from rehearsal.builtin_backup.places import Kind, StoredObject
from rehearsal.builtin_backup.restoring import restore_files
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.sealing import Sealer, SealKind
from rehearsal.builtin_backup.sources import FolderSource
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.builtin_backup.writer import write_files_backup
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Shell
from rehearsal.tar_members import read_members

_NAME = make_name("file-storage-0", 1_768_439_400_123_456_789)
_GPG = "gpg -q --no-options --batch --pinentry-mode loopback --homedir"


def make_files(folder: Path, count: int) -> None:
    draws = random.Random(1)  # noqa: S311 - no secret
    for _ in range(count):
        name = f"{draws.getrandbits(128):032x}"
        (folder / name[:2]).mkdir(parents=True, exist_ok=True)
        (folder / name[:2] / name).write_bytes(draws.randbytes(draws.randrange(200, 4096)))


def unpack(bucket: Path, loose: Path) -> None:
    """The packages of all tars, as loose files for B."""
    for tar in bucket.rglob("*.tar"):
        with tar.open("rb") as stream:
            for member in read_members(stream):
                if member.kind == "file":
                    target = loose / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(b"".join(bytes(chunk) for chunk in member.content()))


def make_home(shell: Shell, keyring: Keyring, fingerprint: str, home: Path) -> Path:
    """An admin's own home with the same key, made as gpg makes it."""
    home.mkdir(mode=0o700)
    command = ("gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--import")
    shell.run(Process(command), stdin=keyring.export_secret(fingerprint))
    return home


def by_hand(shell: Shell, folder: Path, loop: str, every: int, at_once: int) -> float:
    """B or C: seconds for all files."""
    started = time.perf_counter()
    listing = Process(("find", "loose", "-type", "f"), cwd=folder)
    some = Process(("awk", f"NR % {every} == 0"), cwd=folder)
    both = Process(("xargs", f"-P{at_once}", "-n100", "bash", "-c", loop, "x"), cwd=folder)
    shell.run(listing, some, both, stdout=folder / "out", deadline=3600)
    return (time.perf_counter() - started) * every


def compare(shell: Shell, top: Path, count: int, rounds: int, kind: SealKind) -> None:
    folder = top / kind
    make_files(folder / "storage", count)
    with Keyring(shell) as keyring, scratch_folder(parent=top) as scratch:
        recipient = keyring.generate("Bench")
        sealer = Sealer(shell, keyring, kind, recipient, scratch=scratch)
        (folder / "bucket").mkdir()
        bucket = FolderBucket(folder / "bucket")
        source = FolderSource(folder / "storage")
        name = write_files_backup(bucket, source, sealer, storage_id="file-storage-0", nanoseconds=_NAME.nanoseconds)
        unpack(folder / "bucket", folder / "loose")
        home = make_home(shell, keyring, recipient, folder / "home")
        decrypt = f'{_GPG} {home} -d "$f" 2>/dev/null | lz4 -d -c -q > "${{f%.lz4.gpg}}"'
        one = 'lz4 -d -q -f "$f" "${f%.lz4}"' if kind == "none" else decrypt
        times: dict[str, list[float]] = {"A": [], "B": [], "C": []}
        for _ in range(rounds):
            shutil.rmtree(folder / "out-a", ignore_errors=True)
            started = time.perf_counter()
            restored = restore_files([bucket], name, Unsealer(shell, keyring, scratch), folder / "out-a")
            times["A"].append(time.perf_counter() - started)
            assert restored.whole, restored
            assert restored.files == count
            for way, at_once in (("B", 1), ("C", 2)):
                every = 1 if kind == "none" else 10
                times[way].append(by_hand(shell, folder, f"for f; do {one}; done", every, at_once))
    ours = statistics.median(times["A"])
    print(f"{count:,} small files, {kind}: A {ours:.2f} s", end="")
    for way in "BC":
        theirs = statistics.median(times[way])
        print(f"   {way} {theirs:.2f} s, {theirs / ours:.1f}x", end="")
    print(flush=True)
    shell.run(Process(("gpgconf", "--homedir", str(home), "--kill", "all")))
    shutil.rmtree(folder)


def _hash(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


class LongSet:
    """A bucket with one backup of many files of one byte, list and tar made as they are read."""

    kind: Kind = "bucket"
    shown = "bench"

    def __init__(self, count: int) -> None:
        self._count = count
        self._package = lz4.frame.compress(b"x")
        self._line = ListedFile("", 1, _hash(b"x"), "", len(self._package), _hash(self._package), str(_NAME))

    def names(self) -> tuple[BackupName, ...]:
        return (_NAME,)

    def strangers(self) -> tuple[str, ...]:
        return ()

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        yield StoredObject(f"{name}/{INFO}", 0, "")
        yield StoredObject(object_key(name, "all.tar"), 0, "")

    def read(self, key: str) -> Iterator[bytes]:
        paths = (f"{number % 256:02x}/{number:032x}" for number in range(self._count))
        if key.endswith(INFO):
            for path in paths:
                yield format_line(replace(self._line, path=path, package_path=f"{path}.lz4"))
            return
        for path in paths:
            info = tarfile.TarInfo(f"{path}.lz4")
            info.size = len(self._package)
            yield info.tobuf() + self._package.ljust(512, b"\0")
        yield bytes(1024)


def measure_memory(shell: Shell, top: Path, count: int) -> None:
    child = os.fork()
    if child == 0:
        started = time.perf_counter()
        restored = restore_files([LongSet(count)], _NAME, Unsealer(shell, None, top), top / f"out-{count}")
        assert restored.whole
        assert restored.files == count
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count:,} lines: {time.perf_counter() - started:.1f} s, peak memory {memory:.0f} MiB", flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    shutil.rmtree(top / f"out-{count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, nargs="*", default=(100_000, 1_000_000))
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="rehearsal-bench-"))
    memory = Path(tempfile.mkdtemp(prefix="rehearsal-bench-", dir="/dev/shm"))
    journal = Journal(top / "journal.jsonl")
    shell = Shell(journal)
    try:
        for count in given.lines:
            measure_memory(shell, top, count)
        for kind in ("public-key", "none"):
            compare(shell, memory, given.files, given.rounds, kind)
    finally:
        journal.close()
        shutil.rmtree(top)
        shutil.rmtree(memory)


if __name__ == "__main__":
    main()
