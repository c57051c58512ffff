"""The site's own commands between the phases: before and after the backup, after the restore, and `--start-services`.

A site starts the services that make the backup, carries its set through its own backup system and back, runs a
post-restore step of its own, or starts the services on what was restored, which migrate it. The command gets what it
needs in its environment, passwords through a PGPASSFILE that is gone afterwards; whatever it changes must be seen by
the checks like any other damage. A non-zero status makes the rehearsal INCONCLUSIVE.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.errors import CommandFailed, RehearsalError
from rehearsal.launch import Process
from rehearsal.roles import Coordinates, Stage
from rehearsal.shell import Shell

_DSN = {
    "session-db": "REHEARSAL_DSN_SESSION_DB",
    "auth": "REHEARSAL_DSN_AUTH",
    "job-history": "REHEARSAL_DSN_JOB_HISTORY",
}


def _quote(field: str) -> str:
    """A field of a password file: `:` and `\\` are escaped (PostgreSQL, "The Password File")."""
    return field.replace("\\", "\\\\").replace(":", "\\:")


def _write_password_file(path: Path, places: list[Coordinates]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        for place in places:
            fields = (place.host, str(place.port), place.dbname, place.user, place.password)
            out.write(":".join(_quote(field) for field in fields) + "\n")


@dataclass(frozen=True)
class SiteCommand:
    """A command of the site's, run by bash on the machine of the harness, between two phases.

    Attributes:
        option: the option it was given with, for messages.
        command: as typed.
        shell: the door to processes.
        run_folder: the rehearsal's folder.
        deadline: seconds until it is ended.
    """

    option: str
    command: str
    shell: Shell
    run_folder: Path
    deadline: float = 6 * 3600.0

    def __call__(self, stage: Stage) -> None:
        """Run it.

        Raises:
            RehearsalError: it could not be run, or ended with a status other than 0.
        """
        output = stage.logs / f"{self.option.lstrip('-')}.out"
        try:
            with ExitStack() as open_ways:
                # Not in the run's folder, which is kept and carried away, and where a killed run would leave it:
                # this one `rehearsal clean` knows by the journal.
                private = open_ways.enter_context(scratch_folder(self.shell.journal, need=1))
                password_file = private / "pgpass"
                environment = self._environment(stage, open_ways, password_file)
                self.shell.run(
                    Process(("bash", "-c", self.command), env=environment),
                    stdout=output,
                    deadline=self.deadline,
                    shown=f"bash -c {self.command!r}",
                )
        except CommandFailed as error:
            raise RehearsalError(
                f"the site's own command ended with status {error.statuses[-1]}: {error.stderr_tail.strip()[-800:]}",
                where=self.option,
                hint=f"read {output}; every REHEARSAL_* variable it got is described in docs/site-commands.md",
            ) from error

    def _environment(self, stage: Stage, open_ways: ExitStack, password_file: Path) -> dict[str, str]:
        places: list[Coordinates] = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment.pop("KUBECONFIG", None)  # the ambient cluster is none of a rehearsal's business
        for store in stage.stores:
            if store.kind == "database":
                place = open_ways.enter_context(stage.cluster.reach(store))
                places.append(place)
                environment[_DSN[store.role]] = place.dsn
        _write_password_file(password_file, places)
        return environment | {
            "PGPASSFILE": str(password_file),
            "REHEARSAL_RUN_DIR": str(self.run_folder),
            "REHEARSAL_BACKUP_SET": str(stage.backup_folder),
            "REHEARSAL_CLUSTER": stage.cluster.level,
            **stage.cluster.hook_environment(),
        }
