"""What services do to a restored store when they start: their own additions stay PASS and are listed, harm is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from record_builder import make_files, make_record, write_lines

from rehearsal import checks
from rehearsal.checks.settled import check_settled
from rehearsal.inventory import DatabaseInventory, TableInventory
from rehearsal.judging import judge
from rehearsal.record import START_SERVICES, PhaseTime, Record, StoreRecord
from rehearsal.verdicts import Finding, Verdict

HISTORY = "public.flyway_schema_history"
Rows = dict[str, int]


def make_table(
    folder: Path, moment: str, name: str, rows: Rows, *, steady: Rows | None = None, objects: Rows | None = None
) -> TableInventory:
    """Key → digest; `steady`: without what services rewrite; `objects`: key → size of its large object in `notes`."""
    place = f"inventory/{moment}/session-db/{name}"
    lines = [f'["{key}"]\t{digest}' for key, digest in sorted(rows.items())]
    sizes = [f'["{key}"]\tnotes\t{size}\t{"ab" * 32}' for key, size in sorted((objects or {}).items())]
    steadies = [f'["{key}"]\t{digest}' for key, digest in sorted((steady or {}).items())]
    return TableInventory(
        rows=len(rows),
        digest=str(sum(rows.values())),
        key=("id",),
        row_lines=write_lines(folder, f"{place}.rows", lines),
        steady_lines=None if steady is None else write_lines(folder, f"{place}.steady", steadies),
        large_object_lines=None if objects is None else write_lines(folder, f"{place}.objects", sizes),
    )


def make_moment(folder: Path, moment: str) -> DatabaseInventory:
    """Sessions with notes, a history of one migration, a table without a key."""
    return DatabaseInventory(
        store="session-db",
        taken_at="2026-01-01T00:00:00Z",
        server_version="15",
        tables={
            HISTORY: make_table(folder, moment, HISTORY, {"1": 5}),
            "public.oidcloginsession": make_table(folder, moment, "public.oidcloginsession", {"o": 9}),
            "public.session": make_table(
                folder,
                moment,
                "public.session",
                {"a": 10, "b": 20},
                steady={"a": 1, "b": 2},
                objects={"a": 3, "b": 4},
            ),
            "public.tally": TableInventory(rows=2, digest="7"),
        },
        sequences={"public.s": "7 t"},
        schema_objects={"column public.session.name": "type text\nposition 1", "index public.i": "an index"},
        migrations={"1": "1 Base version"},
    )


def table_of(name: str, rows: Rows, **more: Rows | None) -> Callable[[Path, DatabaseInventory], DatabaseInventory]:
    def change(folder: Path, settled: DatabaseInventory) -> DatabaseInventory:
        table = make_table(folder, "settled", name, rows, **more)
        return settled.model_copy(update={"tables": {**settled.tables, name: table}})

    return change


def fields(**update: object) -> Callable[[Path, DatabaseInventory], DatabaseInventory]:
    def change(folder: Path, settled: DatabaseInventory) -> DatabaseInventory:
        return settled.model_copy(update=update)

    return change


def schema(**texts: str | None) -> Callable[[Path, DatabaseInventory], DatabaseInventory]:
    def change(folder: Path, settled: DatabaseInventory) -> DatabaseInventory:
        changed = settled.schema_objects | {name.replace("__", " ").replace("_", "."): t for name, t in texts.items()}
        return settled.model_copy(update={"schema_objects": {n: t for n, t in changed.items() if t is not None}})

    return change


def without(name: str) -> Callable[[Path, DatabaseInventory], DatabaseInventory]:
    def change(folder: Path, settled: DatabaseInventory) -> DatabaseInventory:
        return settled.model_copy(update={"tables": {n: t for n, t in settled.tables.items() if n != name}})

    return change


Change = Callable[[Path, DatabaseInventory], DatabaseInventory]
SAME = {"objects": {"a": 3, "b": 4}}
MIGRATED = (
    table_of(HISTORY, {"1": 5, "2": 6}),
    fields(migrations={"1": "1 Base version", "2": "2 Add colour"}),
)


def settle(folder: Path, *changes: Change) -> Record:
    record = make_record(folder)
    store = record.stores[0]
    settled = make_moment(folder, "settled")
    for change in changes:
        settled = change(folder, settled)
    store.before, store.after, store.settled = make_moment(folder, "before"), make_moment(folder, "after"), settled
    record.phases.append(PhaseTime(name=START_SERVICES, seconds=1.0))
    return record


def said(record: Record, folder: Path) -> list[Finding]:
    return [finding for finding in judge(record, folder).findings if finding.check == "settled"]


def test_services_that_were_not_started_are_not_spoken_of(tmp_path: Path) -> None:
    assert said(make_record(tmp_path), tmp_path) == []


def test_services_that_changed_nothing_are_pass(tmp_path: Path) -> None:
    (finding,) = said(settle(tmp_path), tmp_path)
    assert (finding.verdict, finding.subject, finding.details) == (Verdict.PASS, "session-db", ())
    assert "they changed nothing" in finding.message


@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        (MIGRATED, "migrations: 2 Add colour"),
        ((schema(column__public_session_colour="type text"),), "new schema: column public.session.colour"),
        ((schema(index__public_j="an index"),), "new schema: index public.j"),
        ((*MIGRATED, schema(index__public_i="another")), "changed schema: index public.i (an index → another)"),
        ((*MIGRATED, schema(index__public_i=None)), "gone schema: index public.i"),
        ((table_of("public.folder", {"f": 1}),), "new table: public.folder"),
        (
            (table_of("public.session", {"a": 10, "b": 20, "c": 3}, steady={"a": 1, "b": 2, "c": 3}, **SAME),),
            'new rows of public.session: ["c"]',
        ),
        (
            (table_of("public.session", {"a": 11, "b": 20}, steady={"a": 1, "b": 2}, **SAME),),
            'changed rows of public.session, only where services rewrite them: ["a"]',
        ),
        (
            (table_of("public.oidcloginsession", {"p": 9}),),
            'gone rows of public.oidcloginsession, which live as long as one login: ["o"]',
        ),
        ((fields(sequences={"public.s": "9 t"}),), "changed sequence: public.s (last_value is_called: 7 t → 9 t)"),
        ((fields(unreferenced_large_objects=3),), "large objects that nothing refers to: +3"),
    ],
)
def test_what_services_may_do_is_listed_and_pass(tmp_path: Path, changes: tuple[Change, ...], listed: str) -> None:
    (finding,) = said(settle(tmp_path, *changes), tmp_path)
    assert finding.verdict is Verdict.PASS, finding
    assert listed in finding.details


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ((without("public.session"),), "session-db: public.session"),
        (
            (table_of("public.session", {"a": 10}, steady={"a": 1}, **SAME),),
            'session-db: public.session ["b"]',
        ),
        (
            (table_of("public.session", {"a": 10, "b": 21}, steady={"a": 1, "b": 3}, **SAME),),
            'session-db: public.session ["b"]',
        ),
        (
            (table_of("public.session", {"a": 10, "b": 20}, steady={"a": 1, "b": 2}, objects={"a": 3, "b": 5}),),
            'session-db: public.session ["b"] notes',
        ),
        (
            (table_of("public.session", {"a": 10, "b": 20}, steady={"a": 1, "b": 2}, objects={"a": 3}),),
            'session-db: public.session ["b"] notes',
        ),
        ((table_of(HISTORY, {"1": 6}),), f'session-db: {HISTORY} ["1"]'),
        ((fields(sequences={"public.s": "6 t"}),), "session-db: public.s"),
        ((fields(sequences={}),), "session-db: public.s"),
        ((schema(index__public_i=None),), "session-db: index public.i"),
        ((schema(column__public_session_name=None), *MIGRATED), "session-db: column public.session.name"),
        ((schema(column__public_session_name="type int\nposition 1"),), "session-db: column public.session.name"),
        (
            (MIGRATED[0], fields(migrations={"1": "1 Base version", "2": "2 Add colour (failed)"})),
            f'session-db: {HISTORY} ["2"]',
        ),
    ],
)
def test_what_is_gone_or_changed_is_named(tmp_path: Path, changes: tuple[Change, ...], subject: str) -> None:
    (finding,) = said(settle(tmp_path, *changes), tmp_path)
    assert (finding.verdict, finding.subject) == (Verdict.FAIL, subject)


def test_a_damage_does_not_hide_the_migration(tmp_path: Path) -> None:
    (finding,) = said(settle(tmp_path, *MIGRATED, fields(sequences={})), tmp_path)
    assert finding.verdict is Verdict.FAIL
    assert finding.details[0] == "the services' own: migrations: 2 Add colour"


@pytest.mark.parametrize(
    ("rows", "verdict"), [(2, Verdict.FAIL), (3, Verdict.INCONCLUSIVE), (1, Verdict.FAIL)], ids=["same", "more", "less"]
)
def test_a_table_without_a_key_is_only_doubted_where_it_grew(tmp_path: Path, rows: int, verdict: Verdict) -> None:
    record = settle(tmp_path)
    settled = record.stores[0].settled
    assert isinstance(settled, DatabaseInventory)
    tally = TableInventory(rows=rows, digest="8")
    record.stores[0].settled = settled.model_copy(update={"tables": {**settled.tables, "public.tally": tally}})
    (finding,) = said(record, tmp_path)
    assert (finding.verdict, finding.subject) == (verdict, "session-db: public.tally")


def test_a_column_that_a_migration_turned_into_another_type_cannot_be_compared(tmp_path: Path) -> None:
    rows = table_of("public.session", {"a": 70, "b": 80}, steady={"a": 7, "b": 8}, **SAME)
    retyped = schema(column__public_session_name="type int\nposition 1")
    (finding,) = said(settle(tmp_path, *MIGRATED, rows, retyped), tmp_path)
    assert (finding.verdict, finding.subject) == (Verdict.INCONCLUSIVE, "session-db: column public.session.name")


def test_more_than_can_be_sorted_is_never_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehearsal.checks.settled.SORTED_LIMIT", 2)
    new = {f"n{number}": 1 for number in range(3)}
    (finding,) = said(settle(tmp_path, table_of(HISTORY, {"1": 5} | new)), tmp_path)
    assert (finding.verdict, finding.subject) == (Verdict.INCONCLUSIVE, "session-db: all the rest")


def test_many_damages_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    record = settle(tmp_path)
    after = record.stores[0].after
    assert isinstance(after, DatabaseInventory)
    many = {f"public.s{number}": "1 t" for number in range(30)}
    record.stores[0].after = after.model_copy(update={"sequences": many})
    findings = said(record, tmp_path)
    assert len(findings) == checks.NAMED_LIMIT + 1
    assert findings[-1].message.startswith("… and 10 more")


def lose_files(folder: Path) -> StoreRecord:
    store = make_record(folder).stores[1]
    store.lost = True
    store.after = make_files(folder, "after", {"ab/ab1": b"one", "ab/ab2": b"two", "backup/x": b"3"})
    return store


def change_owner(folder: Path, uid: int) -> StoreRecord:
    store = lose_files(folder)
    before = json.dumps(["ab/ab1", "file", 3, "x", "0644", 0, 0, ""])
    after = json.dumps(["ab/ab1", "file", 3, "x", "0644", uid, uid, ""])
    for moment, line in (("after", before), ("settled", after)):
        lines = write_lines(folder, f"inventory/{moment}/file-storage-0/entries", [line])
        inventory = make_files(folder / "elsewhere", moment).model_copy(update={"entry_lines": lines})
        setattr(store, moment, inventory)
    return store


def said_of(store: StoreRecord, folder: Path) -> Finding:
    record = make_record(folder / "elsewhere").model_copy(update={"stores": [store]})
    (finding,) = check_settled(checks.Evidence(record, folder))
    return finding


def test_new_files_and_a_running_backup_are_listed(tmp_path: Path) -> None:
    store = lose_files(tmp_path)
    store.settled = make_files(tmp_path, "settled", {"ab/ab1": b"one", "ab/ab2": b"two", "cd/cd1": b""})
    finding = said_of(store, tmp_path)
    assert finding.verdict is Verdict.PASS
    assert finding.details == ("gone file: backup/x", "new file: cd/cd1")


@pytest.mark.parametrize("now", [{"ab/ab1": b"one"}, {"ab/ab1": b"one", "ab/ab2": b"twO"}], ids=["gone", "changed"])
def test_a_file_that_is_gone_or_changed_is_named(tmp_path: Path, now: dict[str, bytes]) -> None:
    store = lose_files(tmp_path)
    store.settled = make_files(tmp_path, "settled", now | {"backup/x": b"3"})
    finding = said_of(store, tmp_path)
    assert (finding.verdict, finding.subject) == (Verdict.FAIL, "file-storage-0: ab/ab2")


@pytest.mark.parametrize(("uid", "verdict"), [(1000, Verdict.PASS), (1001, Verdict.FAIL)])
def test_a_pod_that_starts_gives_the_files_to_its_own_user(tmp_path: Path, uid: int, verdict: Verdict) -> None:
    assert said_of(change_owner(tmp_path, uid), tmp_path).verdict is verdict


def test_a_start_after_which_nobody_looked_is_inconclusive(tmp_path: Path) -> None:
    record = settle(tmp_path)
    record.stores[0].settled = None
    (finding,) = said(record, tmp_path)
    assert (finding.verdict, finding.subject) == (Verdict.INCONCLUSIVE, "session-db")


def test_two_empty_inventories_are_inconclusive(tmp_path: Path) -> None:
    nothing = {"tables": {}, "sequences": {}, "schema_objects": {}, "migrations": {}}
    record = settle(tmp_path, fields(**nothing))
    after = record.stores[0].after
    assert after is not None
    record.stores[0].after = after.model_copy(update=nothing)
    (finding,) = said(record, tmp_path)
    assert finding.verdict is Verdict.INCONCLUSIVE
