r"""Rows of `rehearsal_extras`: the edges of PostgreSQL's types, a table without a key, keys that need escapes.

Values are PostgreSQL's own text (input forms of chapter 8 of its manual). A few large objects are referred to from here
too, and three from nowhere: a healthy server has such, and vacuumlo removes them.
"""

from __future__ import annotations

from typing import Any

import psycopg

from rehearsal.chipster.draws import Draws, write_instant
from rehearsal.chipster.hard_values import LARGE_OBJECTS, TEXTS
from rehearsal.chipster.loading import Loading
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.schemas import EXTRAS

UNREFERENCED = 3
_UNREFERENCED_OID = 3_000_000_000

_EXTREMES: tuple[tuple[object, ...], ...] = (
    # small, whole, big, exact, scaled, single, double, moment, local, day, clock, span, flag, bits, address, token,
    # raw, words, grid, period, document, json, feeling, share, fixed, line
    (None,) * 26,
    (-32768, -(2**31), -(2**63), "NaN", "-99999999999999999999.99999999999999999999", "NaN", "NaN", "-infinity",
     "-infinity", "-infinity", "00:00:00+15:59", "-178000000 years", False, "", "0.0.0.0/0",
     "00000000-0000-0000-0000-000000000000", "\\x", "{}", "{}", "empty", "null", "null", "quiet", "0", "", ""),
    (32767, 2**31 - 1, 2**63 - 1, "Infinity", "99999999999999999999.99999999999999999999", "Infinity", "-Infinity",
     "infinity", "infinity", "infinity", "24:00:00-15:59", "178000000 years 11 mons 30 days 23:59:59.999999", True, "1",
     "2001:db8::/32", "ffffffff-ffff-ffff-ffff-ffffffffffff", "\\x00", "{NULL}", "{{1,2},{3,4}}", "(,)", "{}", "{}",
     "it's loud", "100.0000", "          ", "\\N"),
    (0, 0, 0, "-Infinity", "0", "-0", "-0", "4713-01-01 00:00:00+00 BC", "4713-01-01 00:00:00 BC", "4713-01-01 BC",
     "12:34:56.000001+05:30", "1 mon", True, "00000000", "127.0.0.1", None, "\\x5c2e0a", '{"NULL",NULL,"",null}',
     "[0:1]={7,8}", "[2024-01-01 00:00+00,2024-01-01 00:00:00.000001+00)", "1.0", '{"a":1,  "a":1.0}', "tab\tinside",
     "0.0001", "trailing  ", "\\."),
    (1, 1, 1, "1.0", "1.0", "1e-37", "1e-307", "294276-12-31 23:59:59.999999+00", "294276-12-31 23:59:59.999999",
     "5874897-12-31", "00:00:00.1+00", "30 days", None, "01", "::ffff:192.0.2.1", None, "\\x0d0a",
     '{"a b","c,d","{}","\\"q\\"","back\\\\slash"}', "{-2147483648,2147483647,NULL}", "(-infinity,infinity)", "1.00",
     "[1.0,1.00]", "żółć", "99.9900", "é", "line\r\nbreak"),
    (-1, -1, -1, "1.00", "1.00000000000000000000", "3.4028235e38", "1.7976931348623157e308",
     "0001-01-01 00:00:00+00", "2024-02-29 23:59:59.999999", "0001-01-01", "23:59:60+00", "720:00:00", False,
     "1111111111", "10.0.0.0/8", None, "\\xff", '{"line\nbreak","tab\t"}', "{}", "[2024-03-31 01:00+00,]",
     '{"a": {"a": {"A": 1.10}}}', '"\\u00e9 \\ud83e\\uddec"', None, None, "\U0001f9ec", "\x7f"),
    (7, 7, 7, "1e1000", "0.00000000000000000001", "1.4e-45", "5e-324", "2024-03-10 02:30:00-08",
     "1582-10-10 00:00:00", "1582-10-10", "00:00:00+00", "-1 mon +1 day -00:00:00.000001", None, None, None, None, None,
     None, None, None, "123456789012345678901234567890.10", "  1.0 ", None, None, None, "NULL"),
    (8, 8, 8, "-1e-1000", "-0.00000000000000000001", "0.1", "0.30000000000000004", "2024-06-30 23:59:60+00",
     "2024-06-30 23:59:59.9999995", "2024-06-30", "00:00+00", "1 day", None, None, None, None, None, None, None, None,
     "-0.0", "-0.0", None, None, None, " "),
)  # fmt: skip

_COLUMNS = 27

_GRANT_OBJECTS = b"""
DO $$ DECLARE granted oid; BEGIN
    FOR granted IN SELECT content FROM rehearsal_extras.attachment WHERE id IN (3, 5, 7) LOOP
        EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO pg_monitor', granted);
    END LOOP;
END $$
"""


def add_extras(loading: Loading, plan: Plan) -> None:
    """Fill the tables of `rehearsal_extras`."""
    draws = Draws(plan.number, "extras")
    for index, values in enumerate(_EXTREMES):
        loading.add(f"{EXTRAS}.extremes", index, *values)
    seeded: list[object] = [None] * (_COLUMNS - 1)
    seeded[2], seeded[4], seeded[7] = (
        draws.bits(62),
        f"{draws.bits(48)}.{draws.bits(16)}0",
        write_instant(draws.bits(40)),
    )
    seeded[5] = f"{draws.bits(24)}e-12"
    seeded[6] = f"{draws.bits(53)}e-{draws.below(300)}"
    seeded[16] = "\\x" + bytes(range(256)).hex()
    loading.add(f"{EXTRAS}.extremes", len(_EXTREMES), *seeded)
    for repeat in range(24):
        amount = ("1.0", "1.00", None)[repeat % 3]
        word = ("twice", None, "", "twice ")[repeat // 3 % 4]
        loading.add(f"{EXTRAS}.no_key", word, amount, "2024-01-01 00:00:00.000001+00" if repeat % 4 else None)
    loading.add(f"{EXTRAS}.no_key", f"seed {plan.number}", str(draws.bits(100)), write_instant(draws.bits(40)))
    for number, text in enumerate(TEXTS):
        if text is not None:
            loading.add(f"{EXTRAS}.Order by", text, number // 4 - 2, draws.pick(TEXTS))
    _add_attachments(loading, plan, draws)


def _add_attachments(loading: Loading, plan: Plan, draws: Draws) -> None:
    for index, data in enumerate(LARGE_OBJECTS):
        loading.add(f"{EXTRAS}.attachment", index, f"attachment {index}", loading.place(data))
    own = loading.place(draws.bits(128).to_bytes(16, "big") * 500)
    loading.add(f"{EXTRAS}.attachment", len(LARGE_OBJECTS), f"of seed {plan.number}", own)
    loading.add(f"{EXTRAS}.attachment", len(LARGE_OBJECTS) + 1, None, None)
    for index in range(UNREFERENCED):
        loading.place_at(_UNREFERENCED_OID + index, b"referred to from nowhere %d" % index)


def finish_extras(connection: psycopg.Connection[Any], plan: Plan) -> int:
    """What COPY cannot do: rows that draw from sequences, the sequences' own values, the view, rights on objects.

    Returns the number of rows of `counted`.
    """
    draws = Draws(plan.number, "sequences")
    inserted = connection.execute(
        """
        INSERT INTO rehearsal_extras.counted (revision, word, parent)
        SELECT n % 5, nullif(repeat('w', n % 7), 'ww'), nullif(n / 2, 0) FROM generate_series(1, 40) AS n ORDER BY n
        """
    ).rowcount
    deleted = connection.execute("DELETE FROM rehearsal_extras.counted WHERE id > 37").rowcount
    connection.execute("UPDATE rehearsal_extras.counted SET word = 'changed' WHERE id % 10 = 3")
    connection.execute(
        """
        SELECT setval('rehearsal_extras.called', %s, true),
            setval('rehearsal_extras.set_not_called', %s, false),
            setval('rehearsal_extras.downwards', -9223372036854775808, true)
        """,
        (1_000 + draws.bits(40), 1 + draws.bits(30)),
    )
    connection.execute("REFRESH MATERIALIZED VIEW rehearsal_extras.repeats")
    connection.execute(_GRANT_OBJECTS)
    return inserted - deleted
