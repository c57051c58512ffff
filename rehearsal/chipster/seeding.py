"""A seed: data of a Chipster server from one integer, the same on every machine, made to hurt whoever copies it.

`fill_database` makes the schema and the rows of one database, `tar_stream` the files of one file-storage replica. They
may run apart and in any order: what they share is derived from the number (`plan.py`), never handed over. Numbers that
are multiples of 5 leave job history empty, as on a server where nobody has run a tool yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from rehearsal.chipster.extras import UNREFERENCED, add_extras, finish_extras
from rehearsal.chipster.files import count_files, stream_tar
from rehearsal.chipster.jobs import add_job_history
from rehearsal.chipster.loading import Loading
from rehearsal.chipster.plan import Plan, Size
from rehearsal.chipster.schemas import EXTRAS, create_schema, describe_migrations
from rehearsal.chipster.sessions import add_session_db
from rehearsal.chipster.users import add_auth
from rehearsal.deployment import DatabaseKey
from rehearsal.errors import EnvironmentUnfit, UsageError

_TABLES: dict[DatabaseKey, tuple[str, ...]] = {
    "sessionDb": ("file", "session", "dataset", "job", "label", "news", "rule"),
    "auth": ("oidcloginsession", "user_table"),
    "jobHistory": ("jobhistory",),
}
_EXTRA_TABLES = ("mark", "counted", "extremes", "no_key", "nothing_yet", "Order by", "attachment")
_FILLERS: dict[DatabaseKey, Callable[[Loading, Plan], None]] = {
    "sessionDb": add_session_db,
    "auth": add_auth,
    "jobHistory": add_job_history,
}
# How the texts of the seed are to be read, whatever the server's or the caller's defaults are.
_SETTINGS = b"""
    SET LOCAL client_encoding TO 'UTF8';
    SET LOCAL datestyle TO 'ISO, YMD';
    SET LOCAL timezone TO 'UTC';
    SET LOCAL intervalstyle TO 'postgres';
    SET LOCAL synchronous_commit TO off;
"""


class Seed:
    """Deterministic data for one rehearsal.

    Args:
        number: everything is derived from it.
        size: `xs` (the proof's own: 60 files), `s` (about 20 MB, 500 files), `m` (1 GB, 20,000 files) or `l` (10 GB,
            200,000 files).
        file_replicas: number of file-storage pods the files are spread over.

    Raises:
        UsageError: the size is none of these, or there is no replica.
    """

    def __init__(self, number: int, size: Size, file_replicas: int = 1) -> None:
        self.plan = Plan.of(number, size, file_replicas)

    def fill_database(self, connection: psycopg.Connection[Any], key: DatabaseKey) -> dict[str, int]:
        """Create the schema in an empty database and fill it; commits.

        Returns:
            rows by qualified table name (`public.session`), then `large objects` (all of them) and
            `unreferenced large objects` (those that no row refers to).

        Raises:
            EnvironmentUnfit: the database refused something, such as tables that are there already; nothing was kept.
        """
        try:
            with connection.transaction():
                connection.execute(_SETTINGS)
                create_schema(connection, key)
                counts = self._load(connection, key)
            connection.commit()
        except psycopg.Error as error:
            said = (error.diag.message_primary or str(error)).strip()
            raise EnvironmentUnfit(
                f"the seed could not be written: {said}",
                where=f"database {connection.info.dbname}",
                hint="a seed wants an empty database of PostgreSQL 14 or later, and its superuser",
            ) from error
        return counts

    def _load(self, connection: psycopg.Connection[Any], key: DatabaseKey) -> dict[str, int]:
        tables = [f"public.{name}" for name in ("flyway_schema_history", *_TABLES[key])]
        loading = Loading(connection, tables + [f"{EXTRAS}.{name}" for name in _EXTRA_TABLES])
        for row in describe_migrations(key, self.plan.number):
            loading.add("public.flyway_schema_history", *row)
        _FILLERS[key](loading, self.plan)
        add_extras(loading, self.plan)
        loading.finish()
        loading.counts[f"{EXTRAS}.counted"] = finish_extras(connection, self.plan)
        return loading.counts | {"unreferenced large objects": UNREFERENCED}

    def tar_stream(self, replica: int) -> Iterator[bytes]:
        """The tree of that replica as an uncompressed tar stream, in chunks of 256 KiB or more.

        Members are `storage/<xx>/` (all 256, some of them empty) and `storage/<xx>/<uuid>`, owner and group 1000, modes
        0755 and 0644; `storage/` itself, a mount point, is not among them.
        """
        return stream_tar(self.plan, self._check(replica))

    def file_counts(self, replica: int) -> dict[str, int]:
        """`files` and `bytes` of that replica, broken-off uploads included; no content is made."""
        return count_files(self.plan, self._check(replica))

    def _check(self, replica: int) -> int:
        if not 0 <= replica < self.plan.replicas:
            raise UsageError(f"this seed has file-storage replicas 0 to {self.plan.replicas - 1}, found {replica}")
        return replica
