"""Flyway's history of a database, so that a migration can be named as its author named it.

Its rows are compared like any other table's; this adds the words. A restore may have left a table of that name with
other columns, and then there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

from rehearsal.stores.sessions import Connection
from rehearsal.stores.tables import Table

_HISTORY = "public.flyway_schema_history"
_COLUMNS = {"installed_rank", "version", "description", "success"}
_QUERY = """
SELECT coalesce(installed_rank::text, ''),
    concat_ws(' ', version, description) || CASE WHEN success::text = 'true' THEN '' ELSE ' (failed)' END
FROM ONLY public.flyway_schema_history ORDER BY installed_rank
"""


def read_migrations(connection: Connection, tables: Sequence[Table]) -> dict[str, str]:
    """Version and description of every migration by its rank; empty where there is no history. Raises psycopg.Error."""
    history = next((table for table in tables if table.name == _HISTORY), None)
    if history is None or not {column.name for column in history.columns} >= _COLUMNS:
        return {}
    return dict(connection.execute(_QUERY).fetchall())
