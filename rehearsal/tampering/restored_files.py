"""Operators on the restored files: their bytes, their names, their owner and mode, their places.

Chipster's own check compares names and sizes (facts, section 5), so what keeps both is what matters most here.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import combinations
from pathlib import Path

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_files import FilesPod, StoredFile, draw_files, draw_new_name, in_files

_files = partial(operator, moment="after restore", area="restored system", checks="files", loses=("file-storage",))


def _filled(pod: FilesPod, least: int = 1) -> list[StoredFile]:
    return [file for file in pod.list_files() if file.size >= least]


@_files(
    "one file's byte flipped",
    why="a bit that rots on disk or in transit; Chipster's own check compares names and sizes only (facts, 5)",
)
@in_files
def flip_byte(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(
        draw_files(strike, _filled(pod)),
        """
        at=$(($(stat -c %s "$path") / 2))
        byte=$(dd if="$path" bs=1 skip="$at" count=1 status=none | od -An -tu1)
        printf "\\\\$(printf %o $((byte ^ 1)))" | dd of="$path" bs=1 seek="$at" count=1 conv=notrunc status=none
        """,
    )


@_files("file missing", why="a copy that ended early: kubectl cp says unexpected EOF, or nothing (facts, trap 2)")
@in_files
def remove_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, pod.list_files()), 'rm -- "$path"')


@_files("file that was never there", why="a restore over another server's storage: orphans that no row knows")
@in_files
def add_file(pod: FilesPod, strike: Strike) -> str:
    names = [draw_new_name(strike).encode() for _ in range(strike.intensity)]
    return pod.damage_each(names, 'mkdir -p -- "${path%/*}"; printf orphan > "$path"')


@_files("file a byte short", why="the last block of a stream that was cut; tar pads it, so the archive looks whole")
@in_files
def shorten_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, _filled(pod)), 'truncate -s -1 -- "$path"')


@_files("file emptied", why="a disk that was full: the name was made, the bytes were not written")
@in_files
def empty_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, _filled(pod)), ': > "$path"')


@_files("two files swap their names", why="an index that mixed two entries up: every name, every byte is there")
@in_files
def swap_files(pod: FilesPod, strike: Strike) -> str:
    """Of equal size where there are such, so that no size tells either."""
    files = _filled(pod)
    strike.draw.shuffle(files)
    if len(files) < 2:
        return ""
    equal = (pair for pair in combinations(files, 2) if pair[0].size == pair[1].size)
    one, other = (file.path for file in next(equal, (files[0], files[1])))
    script = """
        IFS= read -r -d '' one; IFS= read -r -d '' other
        mv -- "storage/$one" storage/.swapped
        mv -- "storage/$other" "storage/$one"
        mv -- storage/.swapped "storage/$other"
    """
    return pod.damage((one, other), lambda: pod.run(script, (one, other)))


@_files("file of zeros", why="a crash before the data were flushed leaves the length and no content (XFS, ext4)")
@in_files
def zero_file(pod: FilesPod, strike: Strike) -> str:
    body = 'size=$(stat -c %s "$path"); truncate -s 0 -- "$path"; truncate -s "$size" -- "$path"'
    return pod.damage_each(draw_files(strike, _filled(pod)), body)


@_files("a block of a file zeroed", why="one bad sector, skipped by dd conv=noerror or a copier that carries on")
@in_files
def zero_block(pod: FilesPod, strike: Strike) -> str:
    body = 'dd if=/dev/zero of="$path" bs=512 seek=1 count=1 conv=notrunc status=none'
    return pod.damage_each(draw_files(strike, _filled(pod, least=1024)), body)


@_files("file with another's bytes at the end", why="two appends to one name: rsync --append, a retried upload")
@in_files
def lengthen_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, pod.list_files()), 'printf more >> "$path"')


@_files(
    "file's mode 0600", why="restored under umask 077: right for its owner, gone for a service that runs as another"
)
@in_files
def close_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, pod.list_files()), 'chmod 0600 -- "$path"')


@_files("file executable", why="copied through a file system without modes, everything comes back 0755 or 0777")
@in_files
def open_file(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, pod.list_files()), 'chmod 0777 -- "$path"')


@_files("directory not writable", why="restored read-only: downloads work, every upload and every delete fails")
@in_files
def close_folder(pod: FilesPod, strike: Strike) -> str:
    folders = sorted({file.path.rpartition(b"/")[0] for file in pod.list_files()} - {b""})
    chosen = [StoredFile(folder, 0) for folder in folders]
    return pod.damage_each(draw_files(strike, chosen), 'chmod 0555 -- "$path"')


@_files("file owned by root", why="bytes that arrived another way: it serves, and deleting it fails silently (trap 9)")
@in_files
def give_file_to_root(pod: FilesPod, strike: Strike) -> str:
    """The pod's user may not do that: only where its directory lies on this machine and we are root."""
    storage = pod.cluster.hook_environment().get("REHEARSAL_FILES", "")
    if not storage or os.geteuid() != 0 or pod.spec.replica != 0:
        return ""
    chosen = draw_files(strike, pod.list_files())

    def give() -> None:
        for path in chosen:
            os.chown(Path(storage, os.fsdecode(path)), 0, 0, follow_symlinks=False)

    return pod.damage(chosen, give)


@_files("symbolic link in place of a file", why="a deduplicating or staging copy left its link: reading it works, here")
@in_files
def link_file(pod: FilesPod, strike: Strike) -> str:
    body = 'kept=$(mktemp -p "$HOME" 2>/dev/null || mktemp); mv -- "$path" "$kept"; ln -s -- "$kept" "$path"'
    return pod.damage_each(draw_files(strike, pod.list_files()), body)


@_files("name changed in case", why="a round trip through a file system that keeps no case (macOS, Windows, some NAS)")
@in_files
def raise_case(pod: FilesPod, strike: Strike) -> str:
    files = [file for file in pod.list_files() if (name := file.path.rpartition(b"/")[2]) != name.upper()]
    body = 'name=${path##*/}; mv -- "$path" "${path%/*}/${name^^}"'
    return pod.damage_each(draw_files(strike, files), body)


@_files("empty directory missing", why="tools that keep files only (S3, git, zip) bring no empty directory back")
@in_files
def remove_folder(pod: FilesPod, strike: Strike) -> str:
    return pod.damage_each(draw_files(strike, pod.list_empty_folders()), 'rmdir -- "$path"')


@_files("file in the wrong directory", why="a copy whose target lacked the slash: same name, same bytes, one level off")
@in_files
def misplace_file(pod: FilesPod, strike: Strike) -> str:
    files = [file for file in pod.list_files() if b"/" in file.path]
    return pod.damage_each(draw_files(strike, files), 'mv -- "$path" "storage/${path##*/}"')
