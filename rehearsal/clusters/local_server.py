"""One PostgreSQL server process on a data directory: prepared, started, asked whether it is ready, stopped.

At the first start on an empty volume the template's superuser password and spare database get the pod's own values,
as the official image does from its environment; later starts take the directory as it is, old password included.
"""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psycopg
from psycopg import pq, sql

from rehearsal.clusters.local_places import remove_tree
from rehearsal.clusters.local_template import SPARE, SUPERUSER, Postgres, Template, copy_tree
from rehearsal.errors import EnvironmentUnfit, WaitTimeout
from rehearsal.interrupts import hold_interrupts
from rehearsal.shell import Server
from rehearsal.waiting import wait_until

_START_DEADLINE = 60.0
_STOP_DEADLINE = 30.0
_TRIES = 5
# lines of `postmaster.pid`, from 0
_PORT_LINE = 3
_STATUS_LINE = 7


class DatabaseServer:
    """The server of one database pod.

    Args:
        data: PGDATA, made where it is missing.
        socket_folder: holds the socket alone; short.
        log: appended to.
    """

    def __init__(self, postgres: Postgres, name: str, data: Path, socket_folder: Path, log: Path) -> None:
        self.name = name
        self.data = data
        self.socket_folder = socket_folder
        self.log = log
        self.port = 0
        self._postgres = postgres
        self._server: Server | None = None

    def alive(self) -> bool:
        return self._server is not None and self._server.alive()

    def start(self, template: Template, password: str, dbname: str) -> None:
        """Start the server and return when it takes connections; on an empty volume make its database first.

        Raises:
            EnvironmentUnfit: it does not start; the message ends with its log's tail.
        """
        if self.alive():
            return
        fresh = not (self.data / "PG_VERSION").exists()
        if fresh:
            copy_tree(self._postgres.shell, template.data, self.data)
        for _ in range(_TRIES):
            if self._try_start():
                break
        else:
            raise EnvironmentUnfit(f"{self.name} found no free port in {_TRIES} tries", where=str(self.log))
        if fresh:
            try:
                self._take_over(template.password, password, dbname)
            except psycopg.Error as error:
                self.stop()
                remove_tree(self.data)
                raise EnvironmentUnfit(f"{self.name}: its database cannot be made: {error}") from error

    def _try_start(self) -> bool:
        """Whether it started; False: another process took the port in between."""
        self.port = _find_free_port()
        written = self.log.stat().st_size if self.log.exists() else 0
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.socket_folder}
        arguments = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        process = self._postgres.process("postgres", "-D", str(self.data), *arguments, cwd=self.data)
        with hold_interrupts():
            self._server = self._postgres.shell.start(process, name=self.name, log=self.log)
        try:
            self.wait_ready(_START_DEADLINE)
        except EnvironmentUnfit:
            with self.log.open("rb") as log:
                log.seek(written)
                if b"Address already in use" in log.read():
                    return False
            raise
        return True

    def _take_over(self, old: str, password: str, dbname: str) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, dbname="postgres", user=SUPERUSER, password=old, autocommit=True
        ) as connection:
            # hashed on our side: the server, and so its log, never sees the password
            verifier = connection.pgconn.encrypt_password(password.encode(), SUPERUSER.encode(), b"scram-sha-256")
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), sql.Literal(verifier.decode()))
            )
            if dbname == SUPERUSER:
                connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(SPARE)))
            else:
                connection.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(SPARE), sql.Identifier(dbname))
                )

    def answers(self) -> bool:
        """What `pg_isready -h 127.0.0.1` says, the real pod's readiness probe: no password is needed for that.

        Two servers started at once may be given the same port; the one that loses it lives on for a moment, while the
        other answers there. So its own data directory must say first that it listens.

        Raises:
            EnvironmentUnfit: the process ended.
        """
        if self._server is None or not self._server.alive():
            tail = "" if self._server is None else f"; its log ends:\n{self._server.log_tail()}"
            raise EnvironmentUnfit(f"{self.name} does not run{tail}", where=str(self.log))
        if not self._listens():
            return False
        return pq.PGconn.ping(f"host=127.0.0.1 port={self.port} connect_timeout=2".encode()) == pq.Ping.OK

    def _listens(self) -> bool:
        """Whether `postmaster.pid` has this port and the word `ready`, which are written once the port is taken.

        Source: PostgreSQL's src/include/utils/pidfile.h; `pg_ctl --wait` reads the same lines.
        """
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return (
            len(lines) > _STATUS_LINE
            and lines[_PORT_LINE] == str(self.port)
            and lines[_STATUS_LINE].rstrip() == "ready"
        )

    def wait_ready(self, deadline: float) -> None:
        """Return when it takes connections.

        Raises:
            WaitTimeout: it does not; the message ends with its log's tail.
            EnvironmentUnfit: its process ended.
        """
        wait_until(self.answers, deadline, f"{self.name} ready", state=self._log_tail)

    def _log_tail(self) -> str:
        return "no process" if self._server is None else f"its log ends:\n{self._server.log_tail()}"

    def stop(self, *, for_good: bool = False) -> None:
        """Fast shutdown (SIGINT, the image's STOPSIGNAL), then immediate (SIGQUIT), then SIGKILL.

        `for_good`: its data goes too, so there is nothing to write down at the end; immediate from the start.
        """
        if self._server is None:
            return
        for number in (signal.SIGQUIT,) if for_good else (signal.SIGINT, signal.SIGQUIT):
            try:
                self._server.stop(number, _STOP_DEADLINE)
            except WaitTimeout as error:
                self._postgres.shell.journal.note(str(error))
            else:
                break
        else:
            self._server.kill()
        self._server = None


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
