"""A set written by Chipster's own services, in place of the stand-in's: asked by their admin calls, then waited for.

A call answers 200 even when the work fails, and with neither a key nor a passphrase no database backup is ever made
(trap 16). So the bucket decides: a source has its backup when a new one is there with its `backup-info`, which is
uploaded last. What is complete is copied, object by object, into the set of the rehearsal. Facts, sections 6 to 8.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from rehearsal.builtin_backup.admin_calls import AdminAccess, AdminCalls
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.listing import ListedFile, read_listing
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, is_database_source, role_of_source
from rehearsal.builtin_backup.places import Place, WritablePlace
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.writer import NO_DATABASE_BACKUP, SET_A_KEY
from rehearsal.errors import RehearsalError, StreamError, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.shell import Shell
from rehearsal.waiting import wait_until

_LOOK_EVERY = 5.0  # seconds, at most: a listing a source


@dataclass(frozen=True)
class RealService:
    """The services, the bucket that they write to, and what opens their packages.

    Attributes:
        deadline: seconds until every source must have its backup, counted from the last call.
        look_every: seconds between two looks into the bucket, at most.
    """

    admin: AdminAccess
    bucket: S3Access
    key_files: tuple[Path, ...] = ()
    passphrase: SecretStr | None = field(default=None, repr=False)
    deadline: float = 3600.0
    look_every: float = _LOOK_EVERY

    @property
    def told(self) -> str:
        """Who wrote the set, for a report."""
        return f"Chipster's own services at {self.admin.backup_admin} and {self.admin.file_broker_admin}"

    def secrets(self) -> tuple[str, ...]:
        """For a redactor: what the files hold, and the S3 keys of the environment."""
        known = [os.environ.get(name, "") for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
        known += [self.passphrase.get_secret_value()] if self.passphrase is not None else []
        return (*self.admin.secrets(), *filter(None, known))

    def open_keyring(self, shell: Shell) -> Keyring:
        """The admin's keys; a context manager. They are read where they lie and copied nowhere but into memory."""
        return Keyring(shell, key_files=self.key_files, passphrase=self.passphrase)

    def write(self, into: WritablePlace, sources: Sequence[str], journal: Journal) -> tuple[BackupName, ...]:
        """Have a backup made of each source, and copy it; in the order of `sources`.

        Args:
            sources: `session-db-db-backup`, `file-storage-0`.

        Raises:
            RehearsalError: a call was not answered with 200, or a backup did not come: its source is named.
            StreamError: an object is not as long as the bucket lists it.
        """
        place = S3Bucket(self.bucket)
        calls = AdminCalls(self.admin, journal.redactor, self.deadline)
        before = frozenset(place.names())
        calls.log_in()
        for source in sources:
            journal.note(f"asking for a backup of {role_of_source(source)}")
            if is_database_source(source):
                calls.back_up_database(role_of_source(source))
            else:
                calls.back_up_files(source)
        made = await_backups(place, sources, before, self.deadline, self.look_every, journal.show)
        for name in made.values():
            self._fetch(place, name, into, journal)
        return tuple(made[source] for source in sources)

    def _fetch(self, place: Place, name: BackupName, into: WritablePlace, journal: Journal) -> None:
        """The backup, and the older ones that it refers to, as far as the bucket still has them."""
        journal.note(f"{name}: {copy_backup(place, name, into, journal.show)} bytes fetched from {place.shown}")
        here = set(place.names())
        lines = (line for line in read_listing(into.read(f"{name}/{INFO}")) if isinstance(line, ListedFile))
        for older in sorted({line.backup_name for line in lines} - {str(name)}):
            found = next((one for one in here if str(one) == older), None)
            if found is None:
                journal.note(f"{name} refers to {older}, which the bucket no longer has: only the archive server does")
            else:
                journal.note(f"{older}: {copy_backup(place, found, into, journal.show)} bytes fetched, {name} needs it")


def await_backups(
    place: Place,
    sources: Sequence[str],
    before: frozenset[BackupName],
    deadline: float,
    look_every: float,
    show: Callable[[str], None],
) -> Mapping[str, BackupName]:
    """The new complete backup of each source, when each has one.

    Args:
        before: what was there before the services were asked, complete or not.
        deadline, look_every: seconds.

    Raises:
        RehearsalError: the deadline passed; the sources that have none are named, and what that usually means.
    """
    made: dict[str, BackupName] = {}
    begun: dict[str, BackupName] = {}
    started = time.monotonic()

    def look() -> bool:
        fresh = [name for name in place.names() if name not in before]
        for name in fresh:
            if name.source in sources and name.source not in made:
                begun[name.source] = name
                if any(found.key == f"{name}/{INFO}" for found in place.objects(name)):
                    made[name.source] = name
        missing = [role_of_source(source) for source in sources if source not in made]
        if missing:
            show(
                f"{len(made)} of {len(sources)} backups; waiting for {', '.join(missing)}: "
                f"{time.monotonic() - started:.0f} s"
            )
        return not missing

    try:
        wait_until(look, deadline, "the backups", longest_pause=look_every)
    except WaitTimeout:
        half = {source: name for source, name in begun.items() if source not in made}
        raise _explain_missing(place, [source for source in sources if source not in made], half, deadline) from None
    return made


def _explain_missing(
    place: Place, missing: Sequence[str], begun: Mapping[str, BackupName], deadline: float
) -> RehearsalError:
    roles = ", ".join(role_of_source(source) for source in missing)
    what = f"no new backup of {roles} is complete {deadline:g} s after the calls, though each was answered with 200"
    if begun:
        what += f"; begun, without its {INFO}: {', '.join(map(str, begun.values()))}"
    databases = any(is_database_source(source) for source in missing)
    if databases:
        what += f"; {NO_DATABASE_BACKUP}, and a key that can only sign is as good as none"
    logs = "kubectl logs deployment/backup" if databases else "kubectl logs file-storage-0"
    return RehearsalError(what, where=place.shown, hint=f"{SET_A_KEY}; {logs}" if databases else logs)


def copy_backup(place: Place, name: BackupName, into: WritablePlace, show: Callable[[str], None]) -> int:
    """Every object of a backup, the lists last, so that a copy that broke off is never taken for a complete one.

    Returns:
        bytes.

    Raises:
        StreamError: an object is not as long as the place lists it.
    """
    total = 0
    ends = (f"{name}/{INFO}", f"{name}/{ARCHIVE_INFO}")
    for found in sorted(place.objects(name), key=lambda one: one.key in ends):
        show(f"fetching {found.key}: {found.size} bytes")
        written = into.write(found.key, place.read(found.key))
        if written != found.size:
            raise StreamError(f"{written} bytes came of {found.size}", where=f"{place.shown}: {found.key}")
        total += written
    return total
