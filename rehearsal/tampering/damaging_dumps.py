"""What operators on one dump share: a damage registered once or twice, and how what it hits is drawn and named.

A damage is a function of the dump's path. The manifest is made anew over the damaged dump, so that sizes and digests
agree and only what comes back can tell; the check to name it is one of content. Where the name says "seen in the set"
the manifest is left alone, and the set's own check must name the artefact.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from rehearsal.tampering.dump_parts import Dump, Entry, Rows
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.sets import draw_dump, name_artefact, remake_manifest

Damage = Callable[[Path, Random, int], str]
"""Damages a dump, with a draw and an intensity; a piece of the name of what is lost when it is restored, "" when there
was nothing to damage."""

AFTER_DATA = ("CONSTRAINT", "FK CONSTRAINT", "INDEX", "TRIGGER")
"""Kinds of entry that come after the data and that an inventory's schema names."""


def damage_dump(
    name: str,
    *,
    why: str,
    checks: tuple[str, ...] | str,
    loses: tuple[str, ...] = ("session-db",),
    seen_in_set: bool = False,
) -> Callable[[Damage], Damage]:
    """Register a damage to a lost database's dump, its manifest made anew; `seen_in_set`: the dump alone as well."""

    def register(damage: Damage) -> Damage:
        @operator(name, why=why, moment="after backup", area="backup set", checks=checks, loses=loses)
        def strike_both(strike: Strike) -> str:
            _, dump = draw_dump(strike.stage, strike.draw)
            piece = damage(dump, strike.draw, strike.intensity)
            remake_manifest(strike.stage)
            return piece

        if seen_in_set:
            damage_alone(f"{name}, seen in the set", why=why, loses=loses)(damage)
        return damage

    return register


def damage_alone(name: str, *, why: str, loses: tuple[str, ...] = ("session-db",)) -> Callable[[Damage], Damage]:
    """Register a damage to a lost database's dump that the set's own check must name, by the artefact's path."""

    def register(damage: Damage) -> Damage:
        @operator(
            name, why=why, moment="after backup", area="backup set", checks="backup-set", loses=loses, differs="set"
        )
        def strike_dump(strike: Strike) -> str:
            database, dump = draw_dump(strike.stage, strike.draw)
            return name_artefact(strike.stage, database) if damage(dump, strike.draw, strike.intensity) else ""

        return damage

    return register


def draw_rows(dump: Dump, draw: Random, least: int = 1) -> Rows | None:
    """One of the tables with `least` rows or more; None where there is none."""
    found = [rows for rows in dump.filled() if rows.count >= least]
    return draw.choice(found) if found else None


def name_in_schema(entry: Entry) -> str:
    """As an inventory's schema names it: an index by schema, a constraint or trigger by schema and table."""
    if entry.kind == "INDEX":
        return f"index {entry.schema}.{entry.name}"
    # the name holds the table's and its own, `dataset dataset_pkey`; either may need quotes and hold spaces
    kind = "trigger" if entry.kind == "TRIGGER" else "constraint"
    table, _, name = entry.name.partition(" ")
    return f"{kind} {entry.schema}.{table}.{name}" if " " not in name else f'{kind} {entry.schema}."'
