"""How names, numbers and instants are shown to a person, the same in every form of the report.

File names and table keys come from a restored backup and are not to be trusted: a control character, an invisible
one or one that turns the writing direction is shown as an escape (`\\n`, `\\x1b`, `\\u202e`), never as itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

CHECKS = {
    "completed": "the rehearsal went through to its end",
    "loss": "the loss was real: a new claim, an empty store, before the restore",
    "nonce": "written just before the backup, and back: this very backup was restored",
    "marker": "written just after the backup, and gone: what is there came from the backup",
    "set-contents": "read as a restore would read it, the set holds what its own lists say",
    "backup-set": "every artefact was, just before the restore, what had left its source",
    "tables": "the tables, and the rows in each",
    "rows": "every row, by its content",
    "large-objects": "every large object (notes, sources, job output), by SHA-256",
    "sequences": "every sequence, at the same value",
    "schema": "columns, keys, indexes, views, functions, grants",
    "files": "every file: path, size, SHA-256, owner, mode; none missing, none extra",
    "sessions": "every session opens as before, for everyone who saw it, with every dataset",
    "logins": "every user of auth is still known",
    "untouched": "stores that were not lost are as they were",
    "settled": "starting the services on what was restored only added to it",
}
"""What each check means, for the reader; a check that is not here is shown by its name alone."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SHOWN_BLANK = " "
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_MINUTE, _HOUR = 60, 3600
_KILO = 1000
_BYTE_RANGE = range(0xDC80, 0xDD00)
"""Lone surrogates by which Python stands in for a byte of a file name that is not UTF-8."""


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code in _BYTE_RANGE:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def split_visible(text: str) -> Iterator[tuple[bool, str]]:
    """Pieces of `text` in order, each with whether it is an escape that stands for characters one cannot see."""
    run, hidden = "", False
    for character in text:
        hides = character != _SHOWN_BLANK and unicodedata.category(character) in _HIDDEN
        if hides != hidden and run:
            yield hidden, run
            run = ""
        hidden = hides
        run += _escape(character) if hides else character
    if run:
        yield hidden, run


def make_visible(text: str) -> str:
    """`text` with every character one cannot see as an escape."""
    return "".join(piece for _, piece in split_visible(text))


def word_seconds(seconds: float) -> str:
    """`0.42 s`, `12.3 s`, `1 min 45 s`, `2 h 03 min`."""
    if round(seconds, 2) < 10:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def word_bytes(size: int) -> str:
    """`812 B`, `20.4 MB`: decimal units, as `ls --si`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if round(value, 1) < _KILO:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KILO
    return f"{value:.1f} TB"


def word_count(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def word_instant(instant: str) -> str:
    """`2026-04-30 01:10:00 UTC` of an ISO 8601 instant in UTC; anything else as it is."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)", instant)
    return f"{match[1]} {match[2]} UTC" if match else instant


def word_clock(instant: str) -> str:
    """`01:10:00.2` of an ISO 8601 instant in UTC: what tells moments of one backup apart; anything else as it is."""
    match = re.fullmatch(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d(?:\.\d)?)\d*(?:Z|\+00:00)", instant)
    return match[1] if match else instant
