"""How fast a directory is fingerprinted, against find and sha256sum, in one run, rounds interleaved.

    .venv/bin/python bench/file_inventory.py

A: `tree_lister.py`, as it runs in a pod (type, size, SHA-256, mode, owner of every entry, sorted). B: only the SHA-256
of every file, `find -print0 | xargs -0 -P2 -n 200 sha256sum`. C: our script of GNU tools, for pods without Python. Once
with many small files, once with a few large ones, all of them in the page cache. Medians; memory of A is the largest
resident set of any of its processes, buffers for 1 MiB reads included.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Shell
from rehearsal.stores import tree_lister
from rehearsal.stores.tree_tools import SCRIPT

_LISTER = Path(tree_lister.__file__)
_PEER = (Process(("find", "storage", "-type", "f", "-print0")), Process(("xargs", "-0", "-P2", "-n200", "sha256sum")))


def make_small_files(folder: Path, count: int) -> None:
    """Files of 200 bytes to 4 KiB at `storage/<xx>/<uuid>`."""
    draws = random.Random(1)  # noqa: S311 - no secret
    block = draws.randbytes(1 << 16)
    for number in range(256):
        (folder / "storage" / f"{number:02x}").mkdir(parents=True)
    for _ in range(count):
        name = str(uuid.UUID(int=draws.getrandbits(128)))
        start = draws.randrange(60_000)
        (folder / "storage" / name[:2] / name).write_bytes(block[start : start + draws.randrange(200, 4096)])


def make_large_files(folder: Path, count: int, size: int) -> None:
    block = random.Random(2).randbytes(1 << 20)  # noqa: S311 - no secret
    (folder / "storage" / "ab").mkdir(parents=True)
    for number in range(count):
        with (folder / "storage" / "ab" / f"{number}").open("wb") as stream:
            for _ in range(size >> 20):
                stream.write(block)


def compare(shell: Shell, folder: Path, title: str, rounds: int) -> None:
    out = folder / "out"
    ways: dict[str, Callable[[], object]] = {
        "A": lambda: shell.run(Process((sys.executable, "-I", "-S", "-"), cwd=folder), stdin=_LISTER, stdout=out),
        "B": lambda: shell.run(*(Process(stage.argv, cwd=folder) for stage in _PEER), stdout=out),
        "C": lambda: shell.run(Process(("sh", "-s"), cwd=folder), stdin=SCRIPT, stdout=out),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first round fills the page cache
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                times[name].append(time.perf_counter() - started)
    a, b, c = (statistics.median(times[name]) for name in "ABC")
    print(f"{title:34} A {a:6.3f} s   B {b:6.3f} s   C {c:6.3f} s   B/A {b / a:5.2f}x   B/C {b / c:5.2f}x", flush=True)


def measure_memory(folder: Path) -> float:
    """MiB: the largest resident set of the lister and its workers."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(_LISTER, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-"])  # noqa: S606 - ours
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    return usage.ru_maxrss / 1024


def run(arguments: argparse.Namespace) -> None:
    top = Path(tempfile.mkdtemp(prefix="rehearsal-bench-", dir=arguments.folder))
    journal = Journal(top / "journal.jsonl")
    shell = Shell(journal)
    try:
        print(f"median of {arguments.rounds} rounds, {os.cpu_count()} cores")
        memory = []
        for count in (arguments.small // 10, arguments.small):
            folder = top / f"small-{count}"
            make_small_files(folder, count)
            memory.append((f"{count:,} files", measure_memory(folder)))
        compare(shell, folder, f"{count:,} files of 0.2 to 4 KiB", arguments.rounds)
        folder = top / "large"
        make_large_files(folder, 8, arguments.large // 8)
        compare(shell, folder, f"8 files of {arguments.large / 8e6:,.0f} MB", arguments.rounds)
        memory.append(("large files", measure_memory(folder)))
        print("peak memory of A: " + ", ".join(f"{title} {mib:.0f} MiB" for title, mib in memory))
    finally:
        journal.close()
        shutil.rmtree(top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=100_000, metavar="FILES")
    parser.add_argument("--large", type=int, default=2 << 30, metavar="BYTES")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, metavar="DIR")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
