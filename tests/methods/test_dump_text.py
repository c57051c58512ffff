"""A dump with a psql meta-command outside its data is not fed to psql; data that look like one are data."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.errors import RehearsalError
from rehearsal.methods.dump_text import refuse_meta_commands

GOOD = b"""--
-- PostgreSQL database dump
--

\\restrict abc

SET statement_timeout = 0;
COPY public.session (sessionid, name) FROM stdin;
\\N\t\\\\! rm -rf /
\\\\i /etc/passwd\tx
\\.

SELECT pg_catalog.lowrite(0, '\\x00');
\\unrestrict abc
"""


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_real_dump_is_let_through(tmp_path: Path, ends: bytes) -> None:
    dump = tmp_path / "d.sql"
    dump.write_bytes(GOOD.replace(b"\n", ends))
    refuse_meta_commands(dump)


@pytest.mark.parametrize("command", [b"\\! touch /tmp/x", b"\\i /etc/passwd", b"\\o /tmp/x", b"\\copy t from '/x'"])
@pytest.mark.parametrize("before", [b"SET statement_timeout = 0;\n", b"\\.\n"], ids=["head", "after-copy"])
def test_a_meta_command_is_refused_with_its_line(tmp_path: Path, command: bytes, before: bytes) -> None:
    dump = tmp_path / "d.sql"
    content = GOOD.replace(before, before + command + b"\n", 1)
    dump.write_bytes(content)
    number = content.split(b"\n").index(command) + 1
    with pytest.raises(RehearsalError, match="meta-command") as caught:
        refuse_meta_commands(dump)
    assert caught.value.where == f"{dump}:{number}"
