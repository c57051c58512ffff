"""Operators on the restore: the set is whole, and a step of the manual is left out, done twice, or done elsewhere.

Only what came back can tell, for statuses are 0 and good restores print ERROR lines too (facts, traps 3 to 6).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg

from rehearsal.chipster.schemas import DDL
from rehearsal.deployment import DatabaseSpec
from rehearsal.roles import ExecResult, Stage
from rehearsal.tampering.dump_parts import END_OF_ROWS, cut_at, name_objects, read_dump, strip_removals
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.rewiring import rewire_command
from rehearsal.tampering.sets import draw_dump, lost_databases, name_artefact


@contextmanager
def lay_aside(stage: Stage, source: Path, path: str) -> Iterator[Stage]:
    """The stage with a backup folder that holds one artefact, a copy of `source` under `path`."""
    folder = stage.logs / "tampered-set"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / path)
    try:
        yield replace(stage, backup_folder=folder)
    finally:
        shutil.rmtree(folder)


def restore_changed(strike: Strike, change: Callable[[Path], str]) -> str:
    """Restore a lost database from a changed copy of its dump, the others as they should be; what `change` returned."""
    stage = strike.stage
    database, dump = draw_dump(stage, strike.draw)
    with lay_aside(stage, dump, name_artefact(stage, database)) as aside:
        piece = change(aside.backup_folder / name_artefact(stage, database))
        strike.restore(replace(stage, lost=tuple(store for store in stage.lost if store is not database)))
        strike.restore(replace(aside, lost=(database,)))
    return piece


@operator(
    "restore skipped",
    why="a cron job that died between loss and restore left every exit status of the night at 0",
    moment="restore",
    area="restore",
    checks=("nonce", "tables"),
    differs="content",
)
def skip_restore(strike: Strike) -> str:
    strike.stage.journal.note("tampering: the restore is skipped")
    return strike.draw.choice(strike.stage.lost).name


@operator(
    "one store left out of the restore",
    why="the manual restores each database by a command of its own; with three of them one is easily forgotten",
    moment="restore",
    area="restore",
    checks=("nonce", "tables"),
    loses=("session-db", "auth", "job-history"),
)
def leave_out_store(strike: Strike) -> str:
    if len(strike.stage.lost) < 2:
        return ""
    forgotten = strike.draw.choice(strike.stage.lost)
    strike.restore(replace(strike.stage, lost=tuple(store for store in strike.stage.lost if store is not forgotten)))
    return forgotten.name


@operator(
    "restored twice from a dump without --clean",
    why="the built-in backup's dump has no --clean (facts, trap 5): keyed tables refuse their rows, others double them",
    moment="restore",
    area="restore",
    checks="rows",
)
def restore_twice(strike: Strike) -> str:
    dump = read_dump(draw_dump(strike.stage, strike.draw)[1])
    keyless = [rows.table for rows in dump.filled() if rows.table not in dump.keys]

    def strip(copy: Path) -> str:
        strip_removals(copy)
        return strike.draw.choice(keyless) if keyless else ""

    strike.restore(strike.stage)
    return restore_changed(strike, strip)


@operator(
    "restored twice",
    why="benign: with --clean the second restore begins by dropping what the first one made",
    moment="restore",
    area="benign",
)
def restore_again(strike: Strike) -> str:
    strike.restore(strike.stage)
    strike.restore(strike.stage)
    return ""


@operator(
    "restored by a psql that does not know \\restrict",
    why="benign: psql before the releases of August 2025 calls it an invalid command and goes on (CVE-2025-8714)",
    moment="restore",
    area="benign",
)
def forget_restrict(strike: Strike) -> str:
    def unfence(copy: Path) -> str:
        text = copy.read_bytes().replace(b"\n\\restrict ", b"\n-- ").replace(b"\n\\unrestrict ", b"\n-- ")
        copy.write_bytes(text)
        return ""

    return restore_changed(strike, unfence)


@operator(
    "restored into another database of the server",
    why="psql without its last word goes to `postgres`, and everything works there",
    moment="restore",
    area="restore",
    checks="tables",
)
def restore_elsewhere(strike: Strike) -> str:
    stage = strike.stage
    database, path = draw_dump(stage, strike.draw)
    filled = read_dump(path).filled()
    others = tuple(store for store in stage.lost if store is not database)
    strike.restore(replace(stage, lost=(*others, database.model_copy(update={"db_name": "postgres"}))))
    return strike.draw.choice(filled).table if filled else ""


@operator(
    "restored into another store's database",
    why="pod names differ by one word; --clean drops what it finds there under the same names",
    moment="restore",
    area="restore",
    checks="untouched",
    needs=("auth", "job-history"),
)
def restore_into_neighbour(strike: Strike) -> str:
    stage = strike.stage
    database, dump = draw_dump(stage, strike.draw)
    neighbours = [store for store in stage.stores if store.kind == "database" and store not in stage.lost]
    if not neighbours:
        return ""
    neighbour = strike.draw.choice(neighbours)
    strike.restore(replace(stage, lost=tuple(store for store in stage.lost if store is not database)))
    with lay_aside(stage, dump, name_artefact(stage, neighbour)) as aside:
        strike.restore(replace(aside, lost=(neighbour,)))
    return neighbour.name


@operator(
    "restored over tables that a service has made",
    why="measured: a dump without --clean onto tables that Flyway made: status 0, every session row back, no dataset, "
    "no rule: no user sees any session (facts, trap 5)",
    moment="restore",
    area="restore",
    checks="rows",
)
def restore_over_tables(strike: Strike) -> str:
    for database in lost_databases(strike.stage):
        make_tables(strike.stage, database)

    def strip(copy: Path) -> str:
        dump = read_dump(copy)
        strip_removals(copy)
        # a table that refers to a later one refuses its rows: dataset comes before file, rule before session
        bound = [rows.table for rows in dump.filled() if rows.table in ("public.dataset", "public.rule")]
        return bound[0] if bound else ""

    return restore_changed(strike, strip)


def make_tables(stage: Stage, database: DatabaseSpec) -> None:
    """Chipster's own tables, empty, as its services' migrations leave them."""
    ddl = (resources.files("rehearsal.chipster") / "ddl" / DDL[database.key]).read_bytes()
    with (
        stage.cluster.reach(database) as there,
        psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
    ):
        connection.execute(ddl)


@operator(
    "restore interrupted after a table",
    why="a laptop that sleeps, a VPN that drops: the tables so far are whole, and nothing says that there are more",
    moment="restore",
    area="restore",
    checks=("rows", "large-objects"),
)
def interrupt_after_table(strike: Strike) -> str:
    def interrupt(copy: Path) -> str:
        dump = read_dump(copy)
        filled = dump.filled()
        if not filled:
            return ""
        last = strike.draw.randrange(len(filled))
        cut_at(copy, filled[last].end + len(END_OF_ROWS))
        # after the last table only the large objects are left
        return filled[last + 1].table if last + 1 < len(filled) else name_objects(copy, dump, dump.written)

    return restore_changed(strike, interrupt)


@operator(
    "psql told to stop at the first error",
    why="ON_ERROR_STOP stops at the DROPs of `--clean` without --if-exists, on an empty database the first statement "
    "(facts, traps 4 and 20)",
    moment="restore",
    area="restore",
    checks="tables",
)
def stop_on_error(strike: Strike) -> str:
    filled = read_dump(draw_dump(strike.stage, strike.draw)[1]).filled()

    def insert_option(pod: str, argv: tuple[str, ...], **rest: Any) -> ExecResult:
        words = tuple(word.replace(" psql -U", " psql -v ON_ERROR_STOP=1 -U") for word in argv)
        return strike.stage.cluster.exec(pod, words, **rest)

    strike.restore(rewire_command(strike.stage, is_psql, insert_option))
    return strike.draw.choice(filled).table if filled else ""


def is_psql(argv: tuple[str, ...]) -> bool:
    """Whether this is the manual's psql command."""
    return any(" psql -U " in word for word in argv)


@operator(
    "dump grants to a role that is missing",
    why="pg_dump dumps no roles (PostgreSQL, pg_dumpall -r): a grant to one that is not there is an ERROR line",
    moment="restore",
    area="restore",
    checks="schema",
)
def miss_role(strike: Strike) -> str:
    def rename_role(copy: Path) -> str:
        dump = read_dump(copy)
        granted = [entry for entry in dump.of_kind("ACL") if entry.name.startswith("TABLE ")]
        text = copy.read_bytes()
        hit = [entry for entry in granted if b" TO pg_monitor" in text[entry.start : entry.end]]
        # the seed's grants are to a role that every server has
        copy.write_bytes(text.replace(b" TO pg_monitor", b" TO monitoring_of_the_old_server"))
        entry = strike.draw.choice(hit) if hit else None
        return f"{entry.schema}.{entry.name.removeprefix('TABLE ')}" if entry else ""

    return restore_changed(strike, rename_role)
