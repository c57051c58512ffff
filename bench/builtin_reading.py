"""How fast the packages of a built-in backup are read, against the manual's loop, in one run, rounds interleaved.

    .venv/bin/python bench/builtin_reading.py

A: two tars read by two threads, packages hashed, decrypted, decompressed, hashed again, as `rehearsal verify-backup`
does it. B: by hand, from packages already unpacked to a folder, `for f: gpg -d | lz4 -d | sha512sum` in two processes.
C, where nothing is encrypted: a process a file, `lz4 -d` in two processes, without hashing. A passphrase is hashed as
gpg does by default. Medians of wall time, and of processor time (gpg's agents, the same in all, left out), which other
work on the machine disturbs less. Memory of A is the largest resident set of Python and of any gpg.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builtin_restore import make_home
from pydantic import SecretStr

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.names import BackupName, make_name, object_key
from rehearsal.builtin_backup.places import Kind, StoredObject
from rehearsal.builtin_backup.reading import Stray, walk_packages
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.sealing import Sealer, SealKind
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Shell

_NAME = make_name("file-storage-0", 0)
_GPG = "gpg -q --no-options --batch --pinentry-mode loopback --passphrase-file ../pass --homedir"
_GPG_ROUNDS = 65_011_712


class Bucket:
    """Tars in a folder."""

    kind: Kind = "bucket"
    shown = "bench"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[BackupName, ...]:
        return (_NAME,)

    def strangers(self) -> tuple[str, ...]:
        return ()

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        for tar in sorted(self._folder.glob("*.tar")):
            yield StoredObject(object_key(name, tar.name), tar.stat().st_size, "")

    def read(self, key: str) -> Iterator[bytes]:
        with (self._folder / key.rpartition("/")[2]).open("rb", buffering=0) as stream:
            while chunk := stream.read(1 << 20):
                yield chunk


def make_packages(folder: Path, sealer: Sealer, count: int, sizes: tuple[int, int]) -> None:
    """Two tars, and the same packages as loose files."""
    draws = random.Random(1)  # noqa: S311 - no secret
    block = draws.randbytes(sizes[1])
    files = ((f"f{number}", [block[: draws.randrange(*sizes)]]) for number in range(count))
    (folder / "loose").mkdir(parents=True)
    with tarfile.open(folder / "0.tar", "w") as first, tarfile.open(folder / "1.tar", "w") as second:
        for number, sealed in enumerate(sealer.seal(files)):
            info = tarfile.TarInfo(sealed.package_path)
            info.size = sealed.package_size
            content = b"".join(sealed.chunks())
            (second if number % 2 else first).addfile(info, io.BytesIO(content))
            (folder / "loose" / sealed.package_path).write_bytes(content)


def read_all(shell: Shell, keyring: Keyring, folder: Path) -> int:
    """A: the number of packages that opened."""
    bucket = Bucket(folder)
    with scratch_folder() as scratch, ThreadPoolExecutor(2) as pool:
        unsealer = Unsealer(shell, keyring, scratch)

        def read(item: StoredObject) -> int:
            packages = (found for found in walk_packages(bucket, _NAME, [item]) if not isinstance(found, Stray))
            opened = [one.error for one in unsealer.open_all(packages)]
            assert not any(opened), opened
            return len(opened)

        return sum(pool.map(read, bucket.objects(_NAME)))


def by_hand(shell: Shell, folder: Path, home: Path, way: str, count: int) -> None:
    """B or C, over the loose files, in two processes."""
    loop = {
        "gpg": f'for f; do {_GPG} {home} -d "$f" 2>/dev/null | lz4 -d -c -q | sha512sum; done',
        "lz4": 'for f; do lz4 -d -c -q "$f" | sha512sum; done',
        "one": 'for f; do lz4 -d -c -q "$f" > /dev/null; done',
    }[way]
    listing = Process(("find", "loose", "-type", "f", "-print0"), cwd=folder)
    both = Process(("xargs", "-0", "-P2", f"-n{min(100, -(-count // 2))}", "bash", "-c", loop, "x"), cwd=folder)
    shell.run(listing, both, stdout=folder / "out", deadline=3600)


def compare(ways: dict[str, Callable[[], object]], title: str, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first round fills the page cache
        for name, way in ways.items():
            started, before = time.perf_counter(), read_busy()
            way()
            if number or not rounds:
                times[name].append(time.perf_counter() - started)
                busy[name].append(read_busy() - before)
    print(title)
    for what, measured in (("wall", times), ("processor", busy)):
        medians = {name: statistics.median(measured[name]) for name in ways}
        shown = "   ".join(f"{name} {seconds:7.3f} s" for name, seconds in medians.items())
        ratios = "   ".join(f"{name}/A {medians[name] / medians['A']:6.2f}x" for name in ways if name != "A")
        print(f"    {what:10} {shown}   {ratios}", flush=True)


def read_busy() -> float:
    """Seconds of processor time of Python and of all processes that it waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure_memory(shell: Shell, keyring: Keyring, folder: Path) -> tuple[float, float]:
    """MiB: the largest resident set of Python, and of its gpg processes."""
    child = os.fork()
    if child == 0:
        read_all(shell, keyring, folder)
        own, theirs = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(f"{own / 1024:.0f} {theirs / 1024:.0f}", file=(folder / "memory").open("w"), flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    python, gpg = map(float, (folder / "memory").read_text().split())
    return python, gpg


def run(arguments: argparse.Namespace) -> None:
    top = Path(tempfile.mkdtemp(prefix="rehearsal-bench-", dir=arguments.folder))
    journal = Journal(top / "journal.jsonl")
    shell = Shell(journal)
    cases: tuple[tuple[str, SealKind, int, tuple[int, int]], ...] = (
        ("small files, to a key", "public-key", arguments.small, (200, 4096)),
        ("small files, with a passphrase", "passphrase", max(1, arguments.small // 40), (200, 4096)),
        ("small files, not encrypted", "none", arguments.small * 10, (200, 4096)),
        ("large files, to a key", "public-key", 8, (arguments.large // 8, arguments.large // 8 + 1)),
        ("large files, not encrypted", "none", 8, (arguments.large // 8, arguments.large // 8 + 1)),
    )
    try:
        print(f"median of {arguments.rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
        with Keyring(shell, passphrase=SecretStr("bench")) as keyring, scratch_folder(parent=top) as scratch:
            recipient = keyring.generate("Bench", rsa=arguments.rsa)
            home = make_home(shell, keyring, recipient, top / "home")
            for title, kind, count, sizes in cases:
                folder = top / title.replace(" ", "-")
                (top / "pass").write_text("bench\n")
                sealer = Sealer(shell, keyring, kind, recipient, scratch=scratch, rounds=_GPG_ROUNDS)
                make_packages(folder, sealer, count, sizes)
                assert read_all(shell, keyring, folder) == count
                ways: dict[str, Callable[[], object]] = {
                    "A": lambda folder=folder: read_all(shell, keyring, folder),  # type: ignore[misc]
                    "B": lambda folder=folder, kind=kind, count=count: by_hand(  # type: ignore[misc]
                        shell, folder, home, "lz4" if kind == "none" else "gpg", count
                    ),
                }
                if kind == "none":
                    ways["C"] = lambda folder=folder, count=count: by_hand(shell, folder, home, "one", count)  # type: ignore[misc]
                compare(ways, f"{count:,} {title}", arguments.rounds)
                own, theirs = measure_memory(shell, keyring, folder)
                print(f"    peak memory of A: Python {own:.0f} MiB, gpg {theirs:.0f} MiB", flush=True)
                shutil.rmtree(folder)
            shell.run(Process(("gpgconf", "--homedir", str(home), "--kill", "all")))
    finally:
        journal.close()
        shutil.rmtree(top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=2_000, metavar="FILES")
    parser.add_argument("--large", type=int, default=512 << 20, metavar="BYTES")
    parser.add_argument("--rsa", type=int, default=3072, metavar="BITS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, metavar="DIR")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
