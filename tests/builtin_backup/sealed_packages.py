"""Packages as the server makes them, with the lz4 command, and how one is opened."""

import hashlib
import random
import subprocess

from rehearsal.builtin_backup.reading import Package

PHRASE = "correct horse battery"
DRAWS = random.Random(1)  # noqa: S311 - no secret
SMALL = DRAWS.randbytes(2000)
LARGE = DRAWS.randbytes(2_500_000)


def lz4_of(data):
    return subprocess.run(["lz4", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def package(path, data, size=None, piece=100_000):
    def chunks():
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    return Package(path, len(data) if size is None else size, chunks)


def sha512(data):
    return hashlib.sha512(data).hexdigest()


def open_one(unsealer, path, data, **options):
    (opened,) = unsealer.open_all([package(path, data)], **options)
    assert (opened.path, opened.size, opened.sha512) == (path, len(data), sha512(data))
    return opened


def assert_closed(opened, *words):
    assert any(opened.error.startswith(word) for word in words), opened.error
    assert opened.plain_sha512 == ""
