"""Operators on one dump of the backup set: its text was altered on its way, by a terminal, a tool or a disk.

Most of it restores, and what does not is one ERROR line among the many that a good restore prints (facts, traps 1 and
4). See `damaging_dumps.py` for what is done about the manifest.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random

from rehearsal.tampering.damaging_dumps import AFTER_DATA, damage_alone, damage_dump, draw_rows, name_in_schema
from rehearsal.tampering.dump_parts import END_OF_ROWS, Dump, Rows, read_dump, read_rows, write_lines_anew, write_over

_MIXED_IN = b'E1123 18:04:01.000000   42 v2.go:150] "Unhandled Error" err="lost connection to pod"\n'
_BLOCK = 512


@damage_dump(
    "line ends of a dump became CRLF",
    why="kubectl exec -t gives the dump to a terminal, which turns LF into CRLF (kubernetes/kubernetes#105061; facts, "
    "trap 1): rows survive it, function bodies and comments do not",
    checks="schema",
    seen_in_set=True,
)
def make_crlf(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    functions = read_dump(path).of_kind("FUNCTION")
    changed = write_lines_anew(path, lambda line: line.removesuffix(b"\n").removesuffix(b"\r") + b"\r\n")
    if not changed or not functions:
        return ""
    entry = draw.choice(functions)
    return f"function {entry.schema}.{entry.name.partition('(')[0]}("


@damage_alone(
    "a line of stderr at a dump's head, seen in the set",
    why="kubectl says `Defaulted container …` on stderr; a terminal mixes both streams (kubernetes/kubernetes#105061). "
    "It spoils one SET, so content comes back all the same",
)
def mix_in_at_head(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    write_over(path, 0, 0, b'Defaulted container "postgresql" out of: postgresql, configure (init)\n')
    return path.name


@damage_dump(
    "a line of stderr among a table's rows",
    why="one line too many, and COPY refuses the whole table; psql goes on and ends with status 0 (facts, trap 1)",
    checks="rows",
)
def mix_in_rows(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    rows = draw_rows(read_dump(path), draw)
    if rows is None:
        return ""
    lines = read_rows(path, rows)
    place = rows.start + sum(map(len, lines[: draw.randrange(rows.count)]))
    write_over(path, place, place, _MIXED_IN)
    return rows.table


@damage_dump(
    "a line of stderr between two statements",
    why="it becomes the beginning of the next statement, which fails as one of the many ERROR lines that a good "
    "restore prints too (facts, traps 1 and 4)",
    checks="schema",
)
def mix_in_between(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    found = read_dump(path).of_kind(*AFTER_DATA)
    if not found:
        return ""
    entry = draw.choice(found)
    write_over(path, entry.start, entry.start, _MIXED_IN)
    return name_in_schema(entry)


@damage_dump(
    "a letter of a row changed in a dump",
    why="a bit that rots in a backup system: psql accepts it, counts agree, one text is another",
    checks="rows",
    seen_in_set=True,
)
def flip_in_rows(path: Path, draw: Random, intensity: int) -> str:
    dump = read_dump(path)
    named = ""
    for _ in range(intensity):
        tables = [rows for rows in dump.filled() if _flippable(dump, rows)]
        draw.shuffle(tables)
        named = next((struck for rows in tables if (struck := _flip_letter(path, dump, rows, draw))), "") or named
    return named


def _flippable(dump: Dump, rows: Rows) -> list[int]:
    """Places of the text columns of a table whose key is made of UUIDs, which need no escapes to be named."""
    types = dump.types.get(rows.table, {})
    key = dump.keys.get(rows.table, ())
    if not key or any(not types.get(column, "").startswith("uuid") for column in key):
        return []
    return [place for place, column in enumerate(rows.columns) if types.get(column, "").startswith("character varying")]


def _flip_letter(path: Path, dump: Dump, rows: Rows, draw: Random) -> str:
    lines = read_rows(path, rows)
    for number in draw.sample(range(len(lines)), len(lines)):
        fields = lines[number].rstrip(b"\n").split(b"\t")
        for place in _flippable(dump, rows):
            letters = fields[place]
            if letters.isalnum():  # no escape, no NULL, no byte of a longer character
                before = sum(map(len, lines[:number])) + sum(len(text) + 1 for text in fields[:place])
                write_over(path, rows.start + before, rows.start + before + 1, bytes([_flip(letters[0])]))
                keys = ", ".join(f'"{fields[rows.columns.index(column)].decode()}"' for column in dump.keys[rows.table])
                return f"{rows.table} [{keys}]"
    return ""


def _flip(letter: int) -> int:
    """Another letter or digit, one bit away."""
    return next(letter ^ bit for bit in (1, 2, 4) if bytes([letter ^ bit]).isalnum())


@damage_dump(
    "a block of a dump became zeroes",
    why="a crash or a failing disk leaves whole blocks of zeroes in files of the right size",
    checks="rows",
)
def zero_block(path: Path, draw: Random, intensity: int) -> str:
    found = [rows for rows in read_dump(path).filled() if _first_block(rows) + _BLOCK < rows.end - len(END_OF_ROWS)]
    if not found:
        return ""
    rows = draw.choice(found)
    last = (rows.end - len(END_OF_ROWS)) // _BLOCK - 1
    for _ in range(intensity):
        block = draw.randint(_first_block(rows) // _BLOCK, last) * _BLOCK
        write_over(path, block, block + _BLOCK, bytes(_BLOCK))
    return rows.table


def _first_block(rows: Rows) -> int:
    return -(-rows.start // _BLOCK) * _BLOCK


@damage_dump(
    "a dump's text was decoded as Latin-1",
    why="an editor or a `recode` that took UTF-8 for Latin-1 and saved it as UTF-8 again: mojibake, counts agree",
    checks="rows",
    loses=("auth",),
)
def double_encode(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    dump = read_dump(path)
    hit = [rows.table for rows in dump.filled() if any(not line.isascii() for line in read_rows(path, rows))]
    changed = write_lines_anew(path, lambda line: line.decode("latin-1").encode())
    return hit[0] if changed and hit else ""


@damage_dump(
    "a dump's text was normalised",
    why="a tool that composes Unicode (NFC) makes one user of two who look the same, and the key refuses them both",
    checks="rows",
    loses=("auth",),
)
def normalise(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    def compose(line: bytes) -> bytes:
        return unicodedata.normalize("NFC", line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    dump = read_dump(path)
    hit = [rows.table for rows in dump.filled() if any(compose(line) != line for line in read_rows(path, rows))]
    return hit[0] if write_lines_anew(path, compose) and hit else ""


@damage_dump(
    "a dump went through PowerShell",
    why="`kubectl exec … > file` in Windows PowerShell 5 writes UTF-16 with a byte order mark (about_Redirection)",
    checks="tables",
)
def encode_as_powershell(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    filled = read_dump(path).filled()
    path.write_bytes(path.read_bytes().decode("utf-8", "replace").replace("\n", "\r\n").encode("utf-16"))
    return draw.choice(filled).table if filled else ""
