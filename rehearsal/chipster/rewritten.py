"""What a running Chipster service rewrites by itself, so that it is no damage when the services run again.

Session-db and auth write down when a session or a user was last seen. Nothing else of an existing row changes without a
user: notes are written again, with the same content, to a new large object (facts, trap 19), which is compared by
content anyhow.
"""

from __future__ import annotations

from collections.abc import Mapping

REWRITTEN: Mapping[str, tuple[str, ...]] = {
    "public.session": ("accessed",),
    "public.user_table": ("accessed",),
}
"""Columns by table."""
