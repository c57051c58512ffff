"""Changes around files and dumps that are no damage: times, i-nodes, a mount's own, what users do meanwhile.

A server is in use while it is backed up: a file uploaded after the inventory comes back with the backup, one uploaded
after the backup does not, and neither is a loss.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_files import FilesPod, draw_new_name, in_files

_benign = partial(operator, area="benign", checks=(), loses=("file-storage",))
_restored = partial(_benign, moment="after restore")

_RESTRICT = re.compile(rb"^\\(un)?restrict [A-Za-z0-9]+", re.MULTILINE)
_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@_restored("other times of files", why="kubectl cp and many tools give every file the time of the restore")
@in_files
def touch_files(pod: FilesPod, strike: Strike) -> str:
    instant = f"@{strike.draw.randint(10**8, 2 * 10**9)}"
    pod.run('find storage -print0 | xargs -0 -r touch -h -d "$1" --', arguments=(instant,))
    return instant


@_restored(
    "files copied anew", why="other i-nodes, other order in the directory, other blocks: what every restore does"
)
@in_files
def copy_files(pod: FilesPod, strike: Strike) -> str:
    del strike
    pod.run(
        """
        mkdir storage/.again
        for entry in storage/*; do
          [ -e "$entry" ] && [ "$entry" != storage/lost+found ] || continue
          cp -a -- "$entry" storage/.again/
          rm -r -- "$entry"
        done
        mv -- storage/.again/* storage/
        rmdir storage/.again
        """
    )
    return "storage"


@_restored("lost+found", why="every new ext4 volume has one at its top; it belongs to the file system")
@in_files
def add_lost_and_found(pod: FilesPod, strike: Strike) -> str:
    del strike
    pod.run("mkdir -m 0700 -p storage/lost+found")
    return "lost+found"


@_restored("storage directory's own mode", why="the mount point's mode comes from the claim, not from the backup")
@in_files
def change_top(pod: FilesPod, strike: Strike) -> str:
    del strike
    pod.run("chmod 0750 storage")
    return "storage"


@_restored("holes punched", why="a copier that keeps holes, or makes them: the bytes read the same")
@in_files
def punch_files(pod: FilesPod, strike: Strike) -> str:
    del strike
    pod.run(
        """
        for folder in storage/*/; do
          [ -e "$folder" ] && [ "$folder" != storage/lost+found/ ] || continue
          cp -a --sparse=always -- "$folder" storage/.holes
          rm -r -- "$folder"
          mv -- storage/.holes "$folder"
        done
        """
    )
    return "storage"


def _upload(pod: FilesPod, strike: Strike) -> str:
    names = [draw_new_name(strike) for _ in range(strike.intensity)]
    text = strike.draw.randbytes(500).hex()
    body = f'mkdir -p -- "${{path%/*}}"; printf "%s\\n" {text} "$name" > "$path"; chmod 0644 -- "$path"'
    return pod.damage_each([name.encode() for name in names], body)


@_benign(
    "file uploaded after the inventory",
    why="users go on working: it is in the set, it comes back, and nobody had listed it",
    moment="before backup",
)
@in_files
def upload_before_backup(pod: FilesPod, strike: Strike) -> str:
    return _upload(pod, strike)


@_benign(
    "file uploaded after the backup",
    why="users go on working: it is in no backup, and its loss is the data-loss window, not damage",
    moment="after backup",
)
@in_files
def upload_after_backup(pod: FilesPod, strike: Strike) -> str:
    return _upload(pod, strike)


@operator(
    "another \\restrict key in the dump",
    why="pg_dump draws a new key for every dump since August 2025: two dumps of the same data are not the same bytes",
    moment="restore",
    area="benign",
    checks=(),
)
def change_restrict_key(strike: Strike) -> str:
    """Restores from a copy of the set, taken after the set was verified, in which the key is another."""
    key = "".join(strike.draw.choices(_KEY_LETTERS, k=63)).encode()
    copy = strike.stage.backup_folder.with_name("backup-other-key")
    shutil.copytree(strike.stage.backup_folder, copy, symlinks=True)
    changed = [dump.name for dump in sorted(copy.glob("*.sql")) if _rewrite_key(dump, key)]
    strike.restore(replace(strike.stage, backup_folder=copy))
    return changed[0] if changed else ""


def _rewrite_key(dump: Path, key: bytes) -> bool:
    """Whether there was one: older versions of pg_dump write none."""
    text, count = _RESTRICT.subn(lambda found: b"\\" + (found[1] or b"") + b"restrict " + key, dump.read_bytes())
    dump.write_bytes(text)
    return count > 0
