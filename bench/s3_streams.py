"""How fast an object is read from S3, against `rclone cat`, in one run, rounds interleaved, the best of each.

    .venv/bin/python bench/s3_streams.py --mib 512

One object on our own S3 server on loopback. A: `S3Bucket.read`, counted only, and hashed with SHA-512 as verification
does. B: `rclone cat` into `wc -c` and into `sha512sum`. Then many small objects of 4 KiB, one after the other: A alone
(rclone would be started for each). Wall seconds; the server's own work is in all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server, find_rclone
from rehearsal.journal import Journal
from rehearsal.launch import Process, default_environment
from rehearsal.shell import Shell

_KEY = "file-storage-0_2026-04-30T01:10:00.123456789Z/storage/backup/_medium_files.tar"
_SMALL = 500


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--mib", type=int, default=512)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shell = Shell(Journal(folder / "journal.jsonl"))
        with S3Server(shell, folder / "s3", folder / "s3.log") as server:
            bucket = S3Bucket(server.access())
            block = os.urandom(1 << 20)
            started = time.perf_counter()
            bucket.write(_KEY, (block for _ in range(given.mib)))
            print(f"written: {given.mib / (time.perf_counter() - started):7.0f} MiB/s")
            _compare(shell, server, bucket, given.mib, given.rounds)
            for number in range(_SMALL):
                server.folder().write(f"small/{number}", [block[:4096]])
            seconds = _best(1, lambda: [list(bucket.read(f"small/{number}")) for number in range(_SMALL)])
            print(f"small objects: {_SMALL / seconds:.0f}/s")


def _compare(shell: Shell, server: S3Server, bucket: S3Bucket, mib: int, rounds: int) -> None:
    environment = {
        **default_environment(),
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_OURS_TYPE": "s3",
        "RCLONE_CONFIG_OURS_PROVIDER": "Rclone",
        "RCLONE_CONFIG_OURS_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_OURS_ACCESS_KEY_ID": server.access_key,
        "RCLONE_CONFIG_OURS_SECRET_ACCESS_KEY": server.secret_key.get_secret_value(),
    }
    theirs = Process((find_rclone(), "cat", f"ours:{bucket.access.bucket}/{_KEY}"), env=environment)

    def hash_ours() -> str:
        digest = hashlib.sha512()
        for chunk in bucket.read(_KEY):
            digest.update(chunk)
        return digest.hexdigest()

    def hash_theirs() -> str:
        return shell.run(theirs, Process(("sha512sum",))).stdout.split()[0].decode()

    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "read": (lambda: sum(map(len, bucket.read(_KEY))), lambda: shell.run(theirs, Process(("wc", "-c")))),
        "read and SHA-512": (hash_ours, hash_theirs),
    }
    if hash_ours() != hash_theirs():
        raise SystemExit("the two read different bytes: their speed says nothing")
    for what, (ours, other) in pairs.items():
        a = b = float("inf")
        for _ in range(rounds):
            a, b = min(a, _best(1, ours)), min(b, _best(1, other))
        print(f"{what}: ours {mib / a:6.0f} MiB/s, rclone cat {mib / b:6.0f} MiB/s, ratio {b / a:.2f}")


def _best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
