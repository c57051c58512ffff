"""Changes to a server around the database that are no damage: settings, roles, passwords, neighbours, autovacuum.

A dump holds none of these. An inventory must read the same through whatever an admin has set: every session of ours
pins what shapes text (stores/sessions.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import partial

from psycopg import sql

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_databases import Connection, find_database, in_database, run
from rehearsal.waiting import wait_until

_benign = partial(operator, moment="after restore", area="benign", checks=())

_SETTINGS = {
    "TimeZone": "'Asia/Kathmandu'",
    "DateStyle": "'German, DMY'",
    "IntervalStyle": "'sql_standard'",
    "extra_float_digits": "-10",
    "bytea_output": "'escape'",
    "search_path": "'rehearsal_extras, public'",
    "xmlbinary": "'hex'",
    "statement_timeout": "'1s'",
    "default_transaction_isolation": "'serializable'",
    "synchronize_seqscans": "off",
    "enable_indexscan": "off",
    "quote_all_identifiers": "on",
}
"""What an admin may set for everybody; all of it shapes how values are shown, or how they are fetched."""


@_benign("other settings on the server", why="postgresql.conf is not in a dump: a new server has its own")
@in_database()
def set_server(connection: Connection, strike: Strike) -> str:
    del strike
    for name, value in _SETTINGS.items():
        run(connection, f"ALTER SYSTEM SET {name} = {value}")
    _reload(connection)
    return "ALTER SYSTEM"


@_benign("other settings on the database", why="ALTER DATABASE … SET comes with pg_dumpall or --create alone")
@in_database()
def set_database(connection: Connection, strike: Strike) -> str:
    del strike
    for name, value in _SETTINGS.items():
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}").format(
            sql.Identifier(connection.info.dbname), sql.Identifier(name), sql.SQL(value)
        )
        connection.execute(statement)
    return "ALTER DATABASE"


@_benign("other settings on the role", why="ALTER ROLE … SET is the role's own; a new server's postgres has none")
@in_database()
def set_role(connection: Connection, strike: Strike) -> str:
    del strike
    for name, value in _SETTINGS.items():
        run(connection, f"ALTER ROLE postgres SET {name} = {value}")
    return "ALTER ROLE"


@_benign("autovacuum at work all the time", why="it runs while we look: it moves and freezes, and changes no content")
@in_database()
def hurry_autovacuum(connection: Connection, strike: Strike) -> str:
    del strike
    for setting in ("naptime = '1s'", "vacuum_threshold = 0", "vacuum_scale_factor = 0", "vacuum_cost_delay = 0",
                    "analyze_threshold = 0", "analyze_scale_factor = 0"):  # fmt: skip
        run(connection, f"ALTER SYSTEM SET autovacuum_{setting}")
    _reload(connection)
    run(connection, "UPDATE public.dataset SET name = name")
    run(connection, "UPDATE public.file SET size = size")
    return "autovacuum"


@_benign("an empty database beside it", why="an admin's scratch database, or a tool's: not Chipster's, not lost")
@in_database()
def add_database(connection: Connection, strike: Strike) -> str:
    name = f"beside_{strike.draw.getrandbits(32):08x}"
    run(connection, f"CREATE DATABASE {name} TEMPLATE template0")
    return name


@_benign("another role, with a password", why="a monitoring user made on the new server: roles are in no dump")
@in_database()
def add_role(connection: Connection, strike: Strike) -> str:
    name = f"visitor_{strike.draw.getrandbits(32):08x}"
    verifier = _make_verifier(secrets.token_urlsafe(16), 4096)
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier)))
    return name


@_benign("postgres's password hashed anew", why="a new salt and another scram_iterations: the same password logs in")
@in_database()
def hash_password(connection: Connection, strike: Strike) -> str:
    store = find_database(strike, "session-db")
    password = store.password.get_secret_value() if store else ""
    if not password.isascii():
        return ""  # SASLprep, and not ours to do
    verifier = _make_verifier(password, 8192)
    connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(verifier)))
    return "postgres"


def _make_verifier(password: str, iterations: int) -> str:
    """What PostgreSQL keeps of a password (RFC 5802; manual: pg_authid). The server, and its log, see this alone."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def _reload(connection: Connection) -> None:
    """Return when the server has read its settings again. Raises WaitTimeout."""
    before = run(connection, "SELECT pg_conf_load_time()::text")
    run(connection, "SELECT pg_reload_conf()")
    wait_until(lambda: run(connection, "SELECT pg_conf_load_time()::text") != before, 30.0, "the server's new settings")
