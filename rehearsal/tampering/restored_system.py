"""Operators on the restored system, after the restore and before anybody looks."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import Stage
from rehearsal.tampering import Harmless

_FIRST_FILE = (
    "bash",
    "-c",
    "set -o pipefail; find storage -type f -size +0c -printf '%P\\n' | LC_ALL=C sort | { head -n 1; cat >/dev/null; }",
)
_FLIP = """
path="storage/$(cat)"
byte=$(dd if="$path" bs=1 count=1 status=none | od -An -tu1)
printf "\\\\$(printf %o $((byte ^ 1)))" | dd of="$path" bs=1 count=1 conv=notrunc status=none
"""


@dataclass(frozen=True)
class FlipByte(Harmless):
    """One bit of one restored file: same size, same name, other content."""

    name: str = "one file's byte flipped"
    why: str = "a bit that rots on disk or in transit; Chipster's own check compares names and sizes only (facts, 5)"

    def after_restore(self, stage: Stage) -> str:
        pod = next(store.pod for store in stage.lost if store.kind == "files")
        path = stage.cluster.exec(pod, _FIRST_FILE).stdout.rstrip(b"\n")
        if not path:
            raise EnvironmentUnfit("there is no file to flip a byte of", where=pod)
        result = stage.cluster.exec(pod, ("bash", "-e", "-o", "pipefail", "-c", _FLIP), stdin=path, destructive=True)
        if result.status != 0:
            raise EnvironmentUnfit(f"the byte was not flipped: {result.stderr.decode(errors='replace')}", where=pod)
        return path.decode()


@dataclass(frozen=True)
class ChangeRow(Harmless):
    """One column of one row."""

    name: str = "one row changed"
    why: str = "a row that a half-applied migration or a stray UPDATE touched; row counts stay the same"

    def after_restore(self, stage: Stage) -> str:
        database = next(store for store in stage.lost if store.kind == "database" and store.key == "sessionDb")
        with (
            stage.cluster.reach(database) as there,
            psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
        ):
            row = connection.execute(
                "UPDATE public.session SET name = coalesce(name, '') || '.' "
                "WHERE sessionid = (SELECT min(sessionid::text)::uuid FROM public.session) RETURNING sessionid::text"
            ).fetchone()
        if row is None:
            raise EnvironmentUnfit("there is no session to change", where=database.name)
        return f'public.session ["{row[0]}"]'
