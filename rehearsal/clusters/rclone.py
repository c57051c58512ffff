"""How rclone is told to serve S3, wherever it runs: as a process of ours, or in a pod.

Its keys reach it by its environment alone. It reads nobody's settings, keeps no cache, and sees a millisecond later
what was changed in a bucket's folder behind its back.
"""

from __future__ import annotations

from typing import Final

IMAGE: Final = "docker.io/rclone/rclone:1.75.2"
"""The public image of the version that constraints.txt pins, for a cluster on which no image stands in."""

KEY_VARIABLE: Final = "RCLONE_AUTH_KEY"
"""rclone takes any of its flags from a variable; this one is secret."""


def write_key(access_key: str, secret_key: str) -> str:
    """The value of `KEY_VARIABLE`: a flag of CSV, hence the quotes."""
    return f'"{access_key},{secret_key}"'


def serve_folder(rclone: str, address: str, cache: str, storage: str) -> tuple[str, ...]:
    """The command that serves a folder, each folder in it a bucket.

    Args:
        address: `HOST:PORT`; port 0 for any, which its log tells.
        cache: a folder that it may make, and makes only where it needs one.
    """
    return (
        rclone,
        "serve",
        "s3",
        f"--addr={address}",
        "--config=/dev/null",
        f"--cache-dir={cache}",
        # how long it may believe what it listed; with 0 its timer fires without a pause and takes a whole core
        "--dir-cache-time=1ms",
        "--poll-interval=0s",
        "--etag-hash=",
        storage,
    )
