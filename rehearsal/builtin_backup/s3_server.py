"""An S3 server of our own on loopback: `rclone serve s3`, for rehearsals and tests.

It has fresh random keys, which reach it by its environment alone, and refuses others. A bucket is a folder below its
storage, so what lies there can be looked at, and damaged, as a `FolderBucket`: rclone serves it a millisecond later. It
reads none of the user's settings and leaves no cache behind.
"""

from __future__ import annotations

import re
import secrets
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from types import TracebackType

from pydantic import SecretStr

from rehearsal.builtin_backup.folder_places import FolderBucket
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.clusters import rclone
from rehearsal.errors import EnvironmentUnfit, RehearsalError, WaitTimeout
from rehearsal.launch import Process, default_environment
from rehearsal.shell import Server, Shell
from rehearsal.waiting import wait_until

DEFAULT_BUCKET = "chipster-backups"
_ADDRESS = re.compile(r"Starting s3 server on \[(http://127\.0\.0\.1:\d+)/?\]")
_READY_WITHIN = 30.0  # seconds; 0.3 on a free machine
_LOG_HEAD = 1 << 16


def find_rclone() -> str:
    """The path of the rclone that our own wheel brought, else of one on the PATH.

    Raises:
        EnvironmentUnfit: there is none.
    """
    ours = Path(sysconfig.get_path("scripts")) / "rclone"
    if ours.is_file():
        return str(ours)
    found = which("rclone")
    if found is None:
        raise EnvironmentUnfit(
            "there is no rclone to serve S3 with",
            hint="pip install 'chipster-restore-rehearsal[s3-server]'; or apt-get install rclone",
        )
    return found


class S3Server:
    """The server while the context is open.

    Args:
        storage: its folder; made with one folder a bucket; what already lies there is served.
        log: what it says; holds no key.

    Attributes:
        endpoint: `http://127.0.0.1:PORT`.
        access_key, secret_key: random, of this server alone; the journal's redactor knows both.

    Raises:
        EnvironmentUnfit: no rclone, no place for the folders, or it did not start.
    """

    def __init__(self, shell: Shell, storage: Path, log: Path, buckets: Sequence[str] = (DEFAULT_BUCKET,)) -> None:
        self.storage = storage
        self.access_key = secrets.token_hex(10)
        self.secret_key = SecretStr(secrets.token_urlsafe(30))
        self.endpoint = ""
        self._shell = shell
        self._log = log
        self._buckets = tuple(buckets)
        self._server: Server | None = None
        shell.journal.redactor.learn([self.access_key, self.secret_key.get_secret_value()])

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._server is not None, "the server's context is not open"  # noqa: S101
        return self._server.pid

    def access(self, bucket: str = DEFAULT_BUCKET) -> S3Access:
        """The way to one of its buckets."""
        return S3Access(self.endpoint, bucket, path_style=True, access_key=self.access_key, secret_key=self.secret_key)

    def folder(self, bucket: str = DEFAULT_BUCKET) -> FolderBucket:
        """The same bucket as the folder that it is."""
        return FolderBucket(self.storage / bucket)

    def __enter__(self) -> S3Server:
        try:
            for bucket in self._buckets:
                (self.storage / bucket).mkdir(parents=True, exist_ok=True)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            begin = self._log.stat().st_size if self._log.exists() else 0
        except OSError as error:
            raise EnvironmentUnfit(f"cannot make it: {error.strerror}", where=str(error.filename)) from error
        server = self._shell.start(self._describe(), name="s3-server", log=self._log)
        self._server = server
        try:
            self.endpoint = self._wait_for_address(server, begin)
        except BaseException:
            server.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            try:
                self._server.stop(deadline=10.0)
            except WaitTimeout:
                self._server.kill()

    def _describe(self) -> Process:
        environment = default_environment()
        environment.pop("HOME", None)  # nothing of the user's is read or written
        environment[rclone.KEY_VARIABLE] = rclone.write_key(self.access_key, self.secret_key.get_secret_value())
        argv = rclone.serve_folder(find_rclone(), "127.0.0.1:0", f"{self.storage}.cache", str(self.storage))
        return Process(argv, env=environment)

    def _wait_for_address(self, server: Server, begin: int) -> str:
        def look() -> str:
            with self._log.open("rb") as stream:
                stream.seek(begin)
                found = _ADDRESS.search(stream.read(_LOG_HEAD).decode(errors="replace"))
            if found:
                return found[1]
            if not server.alive():
                raise EnvironmentUnfit(
                    f"the S3 server ended at once; it said: {server.log_tail().strip()}", where=str(self._log)
                )
            return ""

        try:
            return wait_until(look, _READY_WITHIN, "the S3 server's address", server.log_tail)
        except OSError as error:
            raise RehearsalError(f"cannot read its log: {error.strerror}", where=str(self._log)) from error
