"""Operators on the backup set: each damages one thing, says by name what, and leaves the rest of the set alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_set import SMALL_DUMP, Prepared, prepare

from rehearsal.backup_set import read_manifest, verify_manifest, verify_set
from rehearsal.journal import Journal
from rehearsal.tampering.dump_parts import read_dump, read_rows
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator

# What pg_dump itself must make needs a server, and yesterday's set a method: see test_operators_rehearsed.py.
_NEED_A_SERVER = {
    "dump of the schema alone",
    "dump of the data alone",
    "a table left out of a dump",
    "dump of schema public alone",
    "dump without grants",
    "dump of a later moment",
    "dump of another server",
    "yesterday's set restored",
}
SET_OPERATORS = [
    found
    for found in REGISTRY.values()
    if found.area == "backup set" and not found.builtin and found.name not in _NEED_A_SERVER
]
SEEN_IN_SET = [found for found in SET_OPERATORS if found.checks == ("backup-set",)]
REMADE = [found for found in SET_OPERATORS if found not in SEEN_IN_SET]
# what they damage is another thing for the set's own digests than for what comes back
_STRIKE_EMPTY_DUMPS = {"a line of stderr at a dump's head, seen in the set", "two databases' dumps swapped"}
_SAME_DIGESTS = {"an empty folder missing from the set"}


def by_name(operators: list[Operator]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operator", operators, ids=[found.name for found in operators])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Prepared]]:
    """Makes whole sets, each in a folder of its own."""
    made: list[Prepared] = []
    with closing(Journal(tmp_path / "journal.jsonl")) as journal:

        def make_one(**options: object) -> Prepared:
            made.append(prepare(tmp_path / str(len(made)), journal, **options))  # type: ignore[arg-type]
            return made[-1]

        yield make_one


def broken(prepared: Prepared) -> list[str]:
    """Artefacts that are not what the backup wrote."""
    states = verify_set(prepared.stage.backup_folder, prepared.manifest.artefacts)
    return [state.path for state in states if not state.intact]


def everything(folder: Path) -> dict[str, object]:
    return {
        path.relative_to(folder).as_posix(): path.readlink()
        if path.is_symlink()
        else path.is_dir() or path.read_bytes()
        for path in folder.rglob("*")
    }


@by_name(SET_OPERATORS)
def test_it_strikes_what_it_says_and_the_same_again_by_the_same_seed(
    operator: Operator, make: Callable[..., Prepared]
) -> None:
    whole, first, second = make(), make(), make()
    struck = first.strike(operator, seed=3)
    assert struck
    assert struck == second.strike(operator, seed=3)
    after = everything(first.stage.backup_folder)
    assert after == everything(second.stage.backup_folder)
    assert after != everything(whole.stage.backup_folder)


@by_name(SEEN_IN_SET)
def test_the_set_as_the_backup_wrote_it_names_the_artefact(operator: Operator, make: Callable[..., Prepared]) -> None:
    prepared = make()
    struck = prepared.strike(operator)
    states = verify_manifest(prepared.stage.backup_folder, prepared.manifest)
    named = broken(prepared) if states.intact else [*broken(prepared), states.path]
    assert struck in named
    assert len(broken(prepared)) == 1, "one artefact is struck"


@by_name(REMADE)
def test_the_manifest_made_anew_agrees_with_the_damage(operator: Operator, make: Callable[..., Prepared]) -> None:
    prepared = make()
    assert prepared.strike(operator)
    folder = prepared.stage.backup_folder
    remade = read_manifest(folder)
    assert all(state.intact for state in verify_set(folder, remade.artefacts)), "only content can tell"
    unlike = broken(prepared)
    assert bool(unlike) == (operator.name not in _SAME_DIGESTS)
    assert verify_manifest(folder, prepared.manifest).intact == (not unlike), "and the first manifest is kept"


@by_name([found for found in SET_OPERATORS if found.loses != ("file-storage",)])
def test_an_empty_dump_has_nothing_to_damage(operator: Operator, make: Callable[..., Prepared]) -> None:
    struck = make(dump=b"").strike(operator)
    # a line can be put at an empty file's head, and two of them can change places
    assert (struck == "") == (operator.name not in _STRIKE_EMPTY_DUMPS)


@by_name([found for found in SET_OPERATORS if found.loses == ("file-storage",)])
def test_an_empty_tree_has_nothing_to_damage(operator: Operator, make: Callable[..., Prepared]) -> None:
    assert make(files=False).strike(operator) == ""


def dump_of(prepared: Prepared) -> Path:
    return prepared.stage.backup_folder / "session-db.sql"


def test_a_cut_loses_rows_of_the_table_it_names(make: Callable[..., Prepared]) -> None:
    for seed in range(8):
        prepared = make()
        table = prepared.strike(REGISTRY["dump cut in a table's rows"], seed)
        cut = dump_of(prepared).read_bytes()
        whole = SMALL_DUMP.read_bytes()
        assert whole.startswith(cut)
        rows = next(rows for rows in read_dump(SMALL_DUMP).rows if rows.table == table)
        assert rows.start <= len(cut) < rows.end - 1, "the last row is not whole"


def test_one_bit_of_one_row_is_flipped(make: Callable[..., Prepared]) -> None:
    prepared = make()
    struck = prepared.strike(REGISTRY["a letter of a row changed in a dump"])
    before, after = SMALL_DUMP.read_bytes(), dump_of(prepared).read_bytes()
    changed = [place for place, (old, new) in enumerate(zip(before, after, strict=False)) if old != new]
    assert len(changed) == 1
    assert (before[changed[0]] ^ after[changed[0]]).bit_count() == 1
    dump = read_dump(SMALL_DUMP)
    rows = next(rows for rows in dump.rows if rows.start <= changed[0] < rows.end)
    line = next(line for line in read_rows(dump_of(prepared), rows) if line not in read_rows(SMALL_DUMP, rows))
    keys = [line.split(b"\t")[rows.columns.index(column)].decode() for column in dump.keys[rows.table]]
    assert struck == f"{rows.table} {json.dumps(keys)}"


def test_a_block_of_zeroes_lies_within_the_rows(make: Callable[..., Prepared]) -> None:
    prepared = make()
    table = prepared.strike(REGISTRY["a block of a dump became zeroes"])
    text = dump_of(prepared).read_bytes()
    place = text.index(bytes(512))
    rows = next(rows for rows in read_dump(SMALL_DUMP).rows if rows.table == table)
    assert place % 512 == 0
    assert rows.start <= place
    assert place + 512 < rows.end


def test_normalising_makes_one_user_of_two(make: Callable[..., Prepared]) -> None:
    prepared = make()
    prepared.strike(REGISTRY["a dump's text was normalised"])
    text = (prepared.stage.backup_folder / "auth.sql").read_text(encoding="utf-8")
    assert text.count("Jörg") == 2


def test_a_mark_is_never_struck(make: Callable[..., Prepared]) -> None:
    for seed in range(8):
        assert "cdcdcdcd" not in make().strike(REGISTRY["a file missing from the set"], seed)


def test_intensity_is_the_number_of_files(make: Callable[..., Prepared]) -> None:
    prepared = make()
    operator = REGISTRY["a file missing from the set"]
    before = len(everything(prepared.stage.backup_folder))
    act = operator.act
    prepared.strike(replace(operator, act=lambda strike: act(replace(strike, intensity=3))))
    assert len(everything(prepared.stage.backup_folder)) == before - 3
