"""Operators on single values of the restored rows: every one leaves the number of rows as it was.

Each stands for a way in which a value comes back almost right: the driver, the tool or the hand that wrote it again had
another idea of the type. Struck are session-db's own tables, and `rehearsal_extras` where Chipster has no such type.
"""

from __future__ import annotations

from functools import partial

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_databases import Connection, change_rows, in_database

_value = partial(operator, moment="after restore", area="restored system", checks="rows")


@_value(
    "one row changed", why="a row that a half-applied migration or a stray UPDATE touched; row counts stay the same"
)
@in_database()
def change_row(connection: Connection, strike: Strike) -> str:
    change = "name = coalesce(name, '') || '.'"
    return change_rows(connection, strike, "public.session", change, "length(coalesce(name, '')) < 255")


@_value("NULL for an empty string", why="a restore through CSV cannot tell them apart unless FORCE_NULL says so")
@in_database()
def null_for_empty(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.dataset", "name = NULL", "name = ''")


@_value("an empty string for NULL", why="Oracle-minded tools and spreadsheets write NULL as nothing at all")
@in_database()
def empty_for_null(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.dataset", "name = ''", "name IS NULL")


@_value(
    "numeric scale changed", why="1.0 = 1.00 to every comparison, hash and index; a client that prints it disagrees"
)
@in_database()
def change_scale(connection: Connection, strike: Strike) -> str:
    change, where = "exact = (exact::text || '0')::numeric", r"exact::text ~ '^-?\d+\.\d+$'"
    return change_rows(connection, strike, "rehearsal_extras.extremes", change, where)


@_value("double rounded to 15 digits", why="dumps of servers before PostgreSQL 12 lost the last digits by default")
@in_database()
def round_double(connection: Connection, strike: Strike) -> str:
    change, finite = "double = double::numeric::float8", "double > -1e300 AND double < 1e300"
    where = f"CASE WHEN {finite} THEN double::numeric::float8::text <> double::text END"
    return change_rows(connection, strike, "rehearsal_extras.extremes", change, where)


@_value("jsonb number written otherwise", why="jsonb says 1.0 = 1.00; whoever parses the document sees another text")
@in_database()
def rewrite_json_number(connection: Connection, strike: Strike) -> str:
    change = r"contents = regexp_replace(contents::text, '([0-9]\.[0-9]+)', '\10', 'g')::jsonb"
    return change_rows(connection, strike, "public.news", change, r"contents::text ~ '[0-9]\.[0-9]'")


@_value(
    "jsonb array reversed", why="a document rebuilt by a tool that keeps sets, not lists: a job's parameters in a row"
)
@in_database()
def reverse_array(connection: Connection, strike: Strike) -> str:
    change = (
        "parameters = (SELECT jsonb_agg(e ORDER BY n DESC) "
        "FROM jsonb_array_elements(parameters) WITH ORDINALITY AS x(e, n))"
    )
    where = "CASE WHEN jsonb_typeof(parameters) = 'array' THEN jsonb_array_length(parameters) > 1 END"
    return change_rows(connection, strike, "public.job", change, where)


@_value("an instant an hour off", why="timestamptz written as local time and read in another zone, or over the change")
@in_database()
def shift_hour(connection: Connection, strike: Strike) -> str:
    change = "created = created + interval '1 hour'"
    return change_rows(connection, strike, "public.session", change, "isfinite(created)")


@_value("microseconds cut off", why="a migration tool whose driver knows milliseconds only")
@in_database()
def cut_microseconds(connection: Connection, strike: Strike) -> str:
    change = "created = date_trunc('milliseconds', created)"
    return change_rows(connection, strike, "public.dataset", change, "date_trunc('milliseconds', created) <> created")


@_value("session state flipped", why="a session in state DELETE is removed by the next clean-up (facts, section 4)")
@in_database()
def flip_session_state(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.session", "state = 3", "state <> 3")


@_value("job state flipped", why="a finished job that comes back as another is run again, or its results are not shown")
@in_database()
def flip_job_state(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.job", "state = CASE state WHEN 2 THEN 3 ELSE 2 END", "state >= 0")


@_value("file size off by one in its row", why="Chipster's own check compares sizes: a healthy file is then reported")
@in_database()
def change_file_size(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.file", "size = size + 1")


@_value(
    "text in the wrong encoding", why="UTF-8 read as Latin-1 and written again (PGCLIENTENCODING, a client's locale)"
)
@in_database()
def mistake_encoding(connection: Connection, strike: Strike) -> str:
    change = "name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"
    where = "octet_length(name) <> length(name) AND octet_length(name) <= 255"
    return change_rows(connection, strike, "public.dataset", change, where)


@_value("text in another normalisation", why="macOS and some converters decompose: it looks the same, equality says no")
@in_database()
def decompose_text(connection: Connection, strike: Strike) -> str:
    where = "name <> normalize(name, NFD) AND length(normalize(name, NFD)) <= 255"
    return change_rows(connection, strike, "public.dataset", "name = normalize(name, NFD)", where)


@_value(
    "trailing blanks trimmed", why="character(n), spreadsheets and form fields all trim; a name is another name then"
)
@in_database()
def trim_text(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.dataset", "name = rtrim(name)", "name <> rtrim(name)")


@_value("line ends of a text changed", why="a dump that passed through a terminal or an editor (facts, trap 1)")
@in_database()
def change_line_ends(connection: Connection, strike: Strike) -> str:
    change = "name = replace(name, chr(10), chr(13) || chr(10))"
    return change_rows(connection, strike, "public.dataset", change, "strpos(name, chr(10)) > 0 AND length(name) < 200")


@_value("read-only share made writable", why="a right that nobody granted: only the rule's flag differs")
@in_database()
def widen_rule(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.rule", "readwrite = NOT readwrite")


@_value("a session given to somebody else", why="user names that differ in case only are two users; a merge mixes them")
@in_database()
def give_session_away(connection: Connection, strike: Strike) -> str:
    return change_rows(connection, strike, "public.rule", "username = 'jaas/somebody-else'", "sharedby IS NULL")
