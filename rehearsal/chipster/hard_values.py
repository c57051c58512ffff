r"""Values that break naive backups: each was chosen because some tool on the way has mistaken it for something else.

`\N` and `\.` mean NULL and end-of-data to COPY; CR comes and goes in a terminal; equal-looking text differs in bytes;
NULL is not the empty string; 1.0 equals 1.00 and is not identical. Infinite and BC instants stay in `rehearsal_extras`:
Chipster's own tables hold what its services could have written, so that a real server can run on them.
"""

from __future__ import annotations

import struct

USER_NAMES = (
    ("jaas", "chipster"),
    ("jaas", "admin"),
    ("jaas", "Chipster"),
    ("jaas", "o'hara"),
    ("jaas", 'back\\slash"quote'),
    ("jaas", "J\u00f6rg"),  # composed
    ("jaas", "Jo\u0308rg"),  # decomposed: looks the same, is another user
    ("oidc", "chipster"),
    ("oidc", "3f9c@example.org"),
)

TEXTS: tuple[str | None, ...] = (
    None,
    "",
    " ",
    "  leading and trailing  ",
    "tab\there",
    "line\nbreak",
    "\n",
    "ends with a line break\n",
    "carriage\rreturn",
    "both\r\nof them\r\n",
    'it\'s "quoted" `thrice` $$ $1 %s',
    "\\",
    "\\N",
    "\\.",
    "before\n\\.\nafter",
    "path\\to\\new\\table",
    "NULL",
    "null",
    "-- no comment",
    "'; DROP TABLE session; --",
    "\\connect template1",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001d518\U0001d4b7\U00020000 \U0001f9ec\U0001f468\u200d\U0001f52c",
    "\u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u202edetrever\u202c",
    "\ufeffbyte order mark",
    "no\u00a0break, zero\u200bwidth, line\u2028separator, next\u0085line",
    "\x01\x02\b\v\f\x1b[31m\x1f\x7f",
    "\uffff\U0010ffff",
    "<script>alert('&amp;')</script>",
    "{{ jinja }} {% raw %} ${SHELL} $(date) `date`",
    "\U0001f9ec" * 255,
    "x" * 255,
)
"""At most 255 characters each; None is SQL NULL."""

DOCUMENTS: tuple[str | None, ...] = (
    None,
    "null",
    "{}",
    "[]",
    '""',
    "true",
    "0",
    "-0.0",
    "1",
    "1.0",
    "1.00",
    "123456789012345678901234567890.12345678901234567890",
    "1e300",
    "1E-300",
    '{"a": 1, "A": 2, "a ": 3, "": 4, " a": 5, "caf\u00e9": 6, "cafe\u0301": 7, "a\\tb": 8}',
    '{"n": null, "e": "", "l": [[], {}, [null], [""], [0.10, 0.1]]}',
    '{"path": "C:\\\\new\\\\table", "quote": "\\"", "slash": "\\/", "lines": "a\\nb\\r\\nc", "bell": "\\u0007\\u001f"}',
    '"\U0001f9ec \\ud83e\\uddec \\\\N \\\\."',
    "[" * 60 + "]" * 60,
    '{"k": ' * 40 + "1.50" + "}" * 40,
    "[" + ", ".join(f'{{"id": {n}, "name": "row {n}"}}' for n in range(300)) + "]",
)
"""JSON texts for jsonb columns that may hold anything; None is SQL NULL, beside the JSON null."""

_EVERY_BYTE = bytes(range(256))

LARGE_OBJECTS: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\n",
    _EVERY_BYTE,
    _EVERY_BYTE[::-1] * 8,  # 2 KiB: one page of pg_largeobject, full
    _EVERY_BYTE * 8 + b"\xff",  # one byte over
    (_EVERY_BYTE * 8)[:-1],  # one byte under
    _EVERY_BYTE * 280 + b"tail",  # over 64 KiB
    b"\x00" * 5_000,
    b"\\N\n\\.\n\\\\x00\n",
    b"line\r\nline\rline\n",
    b"\xff\xfe\x00not UTF-8\xc3\x28",
    "\U0001f9ec\u00e9e\u0301\u05e9 \ufeff".encode(),
    b"--\n-- PostgreSQL database dump complete\n--\n\n",
)

MEBIBYTE_OBJECT = struct.pack(f">{1 << 18}I", *range(1 << 18)) + b"!"
"""One byte over 1 MiB, no two pages alike."""

INSTANTS: tuple[str | None, ...] = (
    None,
    "1970-01-01 00:00:00+00",
    "1999-12-31 23:59:59.999999+00",
    "2000-02-29 12:00:00.000001+00",
    "2021-03-28 01:00:00+00",
    "2021-10-31 00:59:59.5+00",
    "2038-01-19 03:14:08.123450+00",
    "2106-02-07 06:28:16+14",
)
"""Instants at which clocks, time zones or 32-bit seconds turn over."""

INTEGERS: tuple[int | None, ...] = (None, 0, -1, 1, 2**31 - 1, -(2**31))
BIG_INTEGERS: tuple[int | None, ...] = (None, 0, -1, 2**53 + 1, 2**63 - 1, -(2**63))
