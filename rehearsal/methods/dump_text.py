"""Reading a plain pg_dump before it is fed to psql: what it is, and what it must not hold.

A dump that comes back from a site's own backup system is untrusted: psql obeys `\\!` and `\\i` wherever they stand
outside a literal. Large objects, rows and functions never begin a line with a backslash outside COPY data, so any
such line but pg_dump's own is refused. A meta-command further inside a line is not seen (docs/levels.md).
Source: psql's reference, "Meta-Commands"; pg_dump's notes on `\\restrict`.
"""

from __future__ import annotations

import re
from pathlib import Path

from rehearsal.errors import RehearsalError

_COPY_START = re.compile(rb"COPY .+ FROM stdin;\r?\n")
_COPY_END = (b"\\.\n", b"\\.\r\n")
_OWN_COMMANDS = (b"\\restrict ", b"\\unrestrict ")


def refuse_meta_commands(dump: Path) -> None:
    """Read the dump once and refuse it if a line outside COPY data begins with a psql meta-command.

    Raises:
        RehearsalError: the line, its number and its first word.
    """
    in_copy = False
    with dump.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if in_copy:
                in_copy = line not in _COPY_END
            elif line.startswith(b"\\"):
                if not line.startswith(_OWN_COMMANDS):
                    word = line.split()[0].decode("ascii", "backslashreplace")
                    raise RehearsalError(
                        f"the dump holds the psql meta-command {word[:20]}, which pg_dump never writes; it was not fed "
                        "to psql",
                        where=f"{dump}:{number}",
                        hint="look at that line; a dump that was altered on its way is not a backup",
                    )
            elif line.startswith(b"COPY "):
                in_copy = _COPY_START.fullmatch(line) is not None
