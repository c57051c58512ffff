"""What `rehearsal doctor` prints: every tool, found or missing, what needs it, and the next command to type."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rehearsal.builtin_backup.s3_server import find_rclone
from rehearsal.clusters.kind_tools import find_kind_tools
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.journal import Journal
from rehearsal.launch import Process, default_environment, install_hint
from rehearsal.shell import Shell

_KIT = "make kind-kit"
# `make kind-kit` builds a kit where kind or kubectl is missing; helm alone is no reason for it
_KIT_TOOLS = {"kind": _KIT, "kubectl": _KIT, "helm": "ci/kit/build --build; or put `helm` on the PATH"}
_SPACE_WANTED = 2 << 30
_VERSION = re.compile(r"v?\d+(\.\d+)+[^\s,()]*")
_TOOLS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("bash", ("--version",), "every rehearsal: the manual's commands"),
    ("tar", ("--version",), "every rehearsal: copies of files"),
    ("gpg", ("--version",), "method builtin-s3 and verify-backup: encrypted packages"),
    ("git", ("--version",), "a checkout of this project"),
    ("pv", ("--version",), "typing the manual's tar command by hand"),
    ("kubectl", ("version", "--client"), "--cluster kind"),
    ("kind", ("version",), "--cluster kind"),
    ("helm", ("version", "--short"), "--cluster kind with Chipster's chart"),
)


@dataclass(frozen=True)
class Tool:
    """One line of the table.

    Attributes:
        found: path, or the place it was found in; None: missing.
        version: as it says itself; "" where it does not.
        next_command: what to type where it is missing; "" where nothing is to be done.
    """

    name: str
    found: str | None
    version: str
    needed_for: str
    next_command: str = ""


def examine(runs: Path = Path("runs"), pg_bin: Path | None = None) -> list[Tool]:
    """Look for every tool; a missing one is a line, never an error."""
    shell = Shell(Journal(Path(os.devnull)))
    try:
        return [
            Tool("python", sys.executable, platform.python_version(), "everything"),
            *_examine_postgres(shell, pg_bin),
            *(_examine_tool(shell, *entry) for entry in _TOOLS),
            _examine_rclone(shell),
            _examine_engine(shell),
            _examine_space(runs),
        ]
    finally:
        shell.journal.close()


def _ask(shell: Shell, *argv: str) -> tuple[bool, str]:
    """Whether the command ended with status 0, and the first version number it printed."""
    environment = default_environment()
    if "DOCKER_HOST" in os.environ:
        environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    try:
        outcome = shell.run(Process(argv, env=environment), deadline=15.0, accept=None)
    except RehearsalError:
        return False, ""
    text = outcome.stdout.decode(errors="replace")
    version = _VERSION.search(text)
    return outcome.statuses == (0,), version.group() if version else text.strip().partition("\n")[0]


def _examine_tool(shell: Shell, name: str, question: tuple[str, ...], needed_for: str) -> Tool:
    path = _find_in_kit(name) or shutil.which(name)
    if path is None:
        return Tool(name, None, "", needed_for, _KIT_TOOLS.get(name) or install_hint(name))
    return Tool(name, path, _ask(shell, path, *question)[1], needed_for)


def _find_in_kit(name: str) -> str | None:
    """Where `make kind-kit` put it; the kit is taken before the PATH, as a rehearsal does."""
    if name not in _KIT_TOOLS:
        return None
    try:
        path = find_kind_tools().kind.with_name(name)
    except EnvironmentUnfit:
        return None
    return str(path) if path.is_file() else None


def _examine_postgres(shell: Shell, pg_bin: Path | None) -> list[Tool]:
    needed_for = "--cluster local: the databases"
    try:
        binaries = find_binaries(pg_bin)
    except RehearsalError as error:
        return [Tool("postgres", None, error.what, needed_for, error.hint)]
    tools = []
    for name in ("postgres", "vacuumlo"):
        answered, version = _ask(shell, str(binaries.bin / name), "--version")
        found = f"{binaries.bin / name} ({binaries.source})"
        hint = "" if answered else f"{binaries.bin / name} --version"
        tools.append(Tool(name, found if answered else None, version, needed_for, hint))
    return tools


def _examine_rclone(shell: Shell) -> Tool:
    needed_for = "method builtin-s3: the S3 server of a rehearsal"
    try:
        path = find_rclone()
    except EnvironmentUnfit as error:
        return Tool("rclone", None, "", needed_for, error.hint)
    return Tool("rclone", path, _ask(shell, path, "version")[1].removeprefix("v"), needed_for)


def _examine_engine(shell: Shell) -> Tool:
    needed_for = "--cluster kind, --cluster containers"
    path = shutil.which("docker")
    if path is None:
        return Tool("container engine", None, "", needed_for, _KIT)
    answered, version = _ask(shell, path, "version", "--format", "{{.Server.Version}}")
    if not answered:
        return Tool(
            "container engine", None, "client only, no engine answers", needed_for, f"systemctl start docker; or {_KIT}"
        )
    return Tool("container engine", path, version, needed_for)


def _examine_space(runs: Path) -> Tool:
    existing = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    needed_for = "every rehearsal: size s needs 2 GiB, size m 8 GiB"
    state = f"{free / (1 << 30):.1f} GiB free"
    if free < _SPACE_WANTED:
        return Tool("disk space", None, state, needed_for, f"df -h {existing}; or --runs DIR on another disk")
    return Tool("disk space", str(existing), state, needed_for)


def render(tools: list[Tool]) -> str:
    """An aligned table, a line per tool, and a `next:` line below each one missing."""
    rows = [(tool.name, tool.version or "-", tool.found or "MISSING", f"for {tool.needed_for}") for tool in tools]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for tool, row in zip(tools, rows, strict=True):
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[3]]).rstrip())
        if tool.found is None and tool.next_command:
            lines.append(f"{' ' * widths[0]}  next: {tool.next_command}")
    return "\n".join(lines)
