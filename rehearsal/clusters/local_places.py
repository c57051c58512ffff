"""Where a local cluster lies on this machine, and as whom its pods run.

Root drops to the users of the real pods, so their directories must be reachable by them; where the wanted place is not
(a checkout below a 0700 home), a private directory below /var/tmp takes its place. Every directory is journalled
before it is made and carries `marker.json` with the run's nonce, so that only what a run made is ever removed.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.errors import EnvironmentUnfit, Refused
from rehearsal.journal import Journal

MARKER = "marker.json"
_FILES_USER = (1000, 1000)
_LONGEST_SOCKET = 107  # bytes, sun_path of unix(7) without its NUL
_SOCKET_ROOM = len("/rehearsal-01234567/99/.s.PGSQL.65535")

User = tuple[int, int]


@dataclass(frozen=True)
class PodUsers:
    """uid and gid of the pods' processes; None: ours."""

    databases: User | None
    files: User | None


def choose_users() -> PodUsers:
    """As root: `postgres` (or `nobody`; initdb wants a name) and 1000:1000, the real pod's. Otherwise ourselves.

    Raises:
        EnvironmentUnfit: we are root and there is neither user.
    """
    if os.geteuid() != 0:
        return PodUsers(None, None)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return PodUsers((entry.pw_uid, entry.pw_gid), _FILES_USER)
    raise EnvironmentUnfit("started as root, and there is no user `postgres` or `nobody`", hint="run as another user")


def _allows(path: Path, user: User, bit: int) -> bool:
    status = path.stat()
    shift = 6 if status.st_uid == user[0] else 3 if status.st_gid == user[1] else 0
    return bool(status.st_mode >> shift & bit)


def is_reachable(path: Path, user: User | None) -> bool:
    """Whether `user` may go through every directory down to `path`, itself included; missing ones count as ours."""
    if user is None:
        return True
    existing = [folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists()]
    return all(_allows(folder, user, stat.S_IXOTH) for folder in existing if folder.is_dir())


def are_usable(bin_folder: Path, user: User | None) -> bool:
    """Whether `user` may run the binaries there and read the libraries beside them."""
    if user is None:
        return True
    if not is_reachable(bin_folder, user):
        return False
    return all(_allows(path, user, stat.S_IXOTH) and _allows(path, user, stat.S_IROTH) for path in bin_folder.iterdir())


def make_owned(journal: Journal, path: Path, nonce: str) -> Path:
    """Make a directory that this run owns and marks; others may pass through it, not list it.

    Raises:
        EnvironmentUnfit: it exists and is not empty, or cannot be made.
    """
    try:
        if path.is_symlink() or (path.exists() and any(path.iterdir())):
            raise EnvironmentUnfit("the directory for a throwaway cluster is not empty", where=str(path))
        journal.own("directory", str(path), nonce=nonce)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)
        (path / MARKER).write_text(json.dumps({"run": nonce}) + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentUnfit(f"cannot make it: {error.strerror}", where=str(path)) from error
    return path


def read_nonce(folder: Path) -> str | None:
    """The nonce in a directory's marker, or None where there is no readable marker."""
    try:
        with open(os.open(folder / MARKER, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as stream:  # noqa: PTH123
            content = json.load(stream)
    except (OSError, ValueError):
        return None
    return content.get("run") if isinstance(content, dict) else None


def check_marker(folder: Path, nonce: str, doing: str) -> None:
    """Refuse to go on where `folder` is not this run's.

    Raises:
        Refused: the marker is missing or another run's.
    """
    found = read_nonce(folder)
    if found != nonce:
        said = "there is no marker" if found is None else "its marker names another run"
        raise Refused(f"{doing} refused: {said}; nothing was touched", where=str(folder), hint=f"cat {folder / MARKER}")


def choose_root(journal: Journal, wanted: Path, users: PodUsers) -> Path:
    """`wanted`, or a private directory below /var/tmp (or $TMPDIR) where the pods' users cannot reach it."""
    if is_reachable(wanted.parent, users.databases) and is_reachable(wanted.parent, users.files):
        return wanted
    for base in (os.environ.get("TMPDIR"), "/var/tmp"):  # noqa: S108 - a random name, checked to be new
        if base and is_reachable(Path(base), users.databases) and is_reachable(Path(base), users.files):
            chosen = Path(base) / f"rehearsal-{secrets.token_hex(4)}"
            journal.note(f"the pods' users cannot reach {wanted}; the cluster lies in {chosen}")
            return chosen
    raise EnvironmentUnfit(
        "the pods' users can reach neither it nor /var/tmp", where=str(wanted), hint="--runs DIR in a place open to all"
    )


_MEMORY = Path("/dev/shm")  # noqa: S108 - a random name is made in it


def find_memory_folder(need: int, base: Path = _MEMORY) -> Path | None:
    """A new name in the machine's memory file system, where `need` bytes leave at least as much free; else None.

    A throwaway cluster makes and removes thousands of small files: measured 10 to 20 times faster there than on ext4.
    """
    try:
        status = os.statvfs(base)
        available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemAvailable" in line)
    except (OSError, StopIteration):
        return None
    free = min(status.f_bavail * status.f_frsize, int(available.split()[1]) * 1024)
    if free < 2 * need or status.f_flag & os.ST_NOEXEC or not os.access(base, os.W_OK):
        return None
    return base / f"rehearsal-{secrets.token_hex(4)}"


def choose_socket_folder() -> Path:
    """A new, short name for the sockets' folder; not made yet.

    A socket's path has 107 bytes at most.
    """
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) + _SOCKET_ROOM > _LONGEST_SOCKET:
        base = "/tmp"  # noqa: S108 - a random name, checked to be new
    return Path(base) / f"rehearsal-{secrets.token_hex(4)}"


def give_to(user: User | None, *paths: Path) -> None:
    """Make `user` the owner; nothing to do where the pods run as us."""
    if user is not None:
        for path in paths:
            os.chown(path, *user, follow_symlinks=False)


def remove_tree(folder: Path) -> None:
    """Remove a directory and what is in it, never following a link; a directory closed to us is opened first.

    Raises:
        EnvironmentUnfit: something is left.
    """

    def open_up(function: Callable[..., Any], path: str, _: object) -> None:
        parent = Path(path).parent
        try:
            # never what the tree lies in: that is everybody's, such as /dev/shm
            for closed in (Path(path),) if Path(path) == folder else (parent, Path(path)):
                if stat.S_ISDIR(closed.lstat().st_mode):
                    closed.chmod(0o700)
            if function in (os.open, os.scandir, os.lstat):
                shutil.rmtree(path)
            else:
                function(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise EnvironmentUnfit(f"cannot remove it: {error.strerror}", where=path) from error

    if folder.is_symlink():
        raise Refused("a link stands where a directory was made; nothing was removed", where=str(folder))
    if folder.exists():
        shutil.rmtree(folder, onerror=open_up)
    if folder.exists():
        raise EnvironmentUnfit("something is left", where=str(folder), hint=f"rm -rf {folder}")
