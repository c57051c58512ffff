"""Operators on the packages and lists of the server's own backup, in the bucket and on the archive server.

"Not checked yet", says the manual of the SHA-512 values in these lists: the archive server compares sizes alone (facts,
trap 11), so a package of the right size with other bytes goes all the way into the restore.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from random import Random

from rehearsal.builtin_backup.listing import ListedFile
from rehearsal.tampering.builtin_sets import LaidBackup, lay_archives, lay_backups, lay_moved, relist
from rehearsal.tampering.operators import BuiltinSet, Strike, operator
from rehearsal.tampering.sets import lost_files, remake_manifest

Damage = Callable[[Strike, LaidBackup], str]
"""Damages one backup; what a finding must name (a file's path, or the source of the whole backup); empty: nothing was
there to damage."""
PackageDamage = Callable[[bytes, Random], bytes | None]
"""Damages the bytes of one package; None: it is taken out."""
_CHECKS = ("set-contents", "files")


def damage_backup(
    name: str, *, why: str, builtin: BuiltinSet = "full", list_only: bool = False
) -> Callable[[Damage], Damage]:
    """Register a damage to the newest backup of a lost file-storage in the bucket; `list_only`: its files come back
    all the same, and the set's own lists alone can tell."""

    def register(damage: Damage) -> Damage:
        @operator(
            name,
            why=why,
            moment="after backup",
            area="backup set",
            checks=_CHECKS[:1] if list_only else _CHECKS,
            loses=("file-storage",),
            builtin=builtin,
            differs="set" if list_only else "content",
        )
        def strike_backup(strike: Strike) -> str:
            backups = lay_backups(strike.stage, strike.draw.choice(lost_files(strike.stage)))
            piece = damage(strike, backups[-1]) if backups else ""
            remake_manifest(strike.stage)
            return piece

        return damage

    return register


def _draw_line(strike: Strike, backup: LaidBackup, least: int = 1) -> ListedFile | None:
    lines = backup.uploads(least)
    return strike.draw.choice(lines) if lines else None


def damage_package(name: str, *, why: str) -> Callable[[PackageDamage], PackageDamage]:
    """Register a damage to the package of one user's file, drawn, in the newest backup of a lost file-storage."""

    def register(damage: PackageDamage) -> PackageDamage:
        @damage_backup(name, why=why)
        def strike_package(strike: Strike, backup: LaidBackup) -> str:
            line = _draw_line(strike, backup)
            if line is None:
                return ""
            backup.change_package(line.package_path, lambda content: damage(content, strike.draw))
            return line.path

        return damage

    return register


@damage_package(
    "a byte of a package flipped",
    why="the archive server checks packages by size alone (facts, trap 11); one byte of a disk is enough",
)
def flip_package(content: bytes, draw: Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]


@damage_package(
    "a package cut short",
    why="`lz4 | gpg` on a full disk ends early, and the tar takes what is there (facts, trap 16)",
)
def cut_package(content: bytes, draw: Random) -> bytes:
    return content[: draw.randrange(len(content))]


@damage_backup(
    "two packages swapped",
    why="names are all that ties bytes to a file; a loop over two lists that are off by one gives every file another's",
)
def swap_packages(_: Strike, backup: LaidBackup) -> str:
    lines = backup.uploads()
    pairs = [(one, other) for one in lines for other in lines if one.path < other.path and one.sha512 != other.sha512]
    if not pairs:
        return ""
    # of nearly equal size, so that sizes alone say little
    one, other = min(pairs, key=lambda pair: (abs(pair[0].package_size - pair[1].package_size), pair[0].path))
    names = {one.package_path: other.package_path, other.package_path: one.package_path}
    found: dict[str, bytes] = {}
    for path in names:
        backup.change_package(path, lambda content, path=path: found.setdefault(path, content))  # type: ignore[misc]
    for path, from_path in names.items():
        backup.change_package(path, lambda _, content=found[from_path]: content)  # type: ignore[misc]
    return one.path


@damage_package(
    "a package with other bytes of the same size",
    why="same size, other content: what the archive server's own check cannot see (facts, trap 11)",
)
def replace_package(content: bytes, draw: Random) -> bytes:
    return draw.randbytes(len(content))


@damage_package(
    "a package missing from its tar",
    why="tar skips a file that vanished and goes on; the list was written from another pass over the folder",
)
def drop_package(_: bytes, __: Random) -> None:
    return None


@damage_backup(
    "a whole tar missing from the bucket",
    why="a lifecycle rule or a hand removed one object; `backup-info` is there, so the backup counts as complete",
)
def drop_tar(_: Strike, backup: LaidBackup) -> str:
    if not backup.uploads():
        return ""
    for tar in backup.tars():
        tar.unlink()
    return backup.name.source


@damage_backup(
    "packages of another day",
    why="a copy of a bucket that took hours: the list is of tonight, the tar of the night before",
    builtin="incremental",
)
def use_old_packages(strike: Strike, backup: LaidBackup) -> str:
    line = _draw_line(strike, backup)
    archived = lay_archives(strike.stage, strike.draw.choice(lost_files(strike.stage)))
    old = sorted((archived[-1].folder / str(archived[-1].name)).rglob("*.lz4*")) if archived else []
    if line is None or not old:
        return ""
    content = old[0].read_bytes()
    backup.change_package(line.package_path, lambda _: content)
    return line.path


@damage_backup(
    "backup-info cut short",
    why="the list is uploaded last and alone says that all is there; a short upload leaves fewer files, all fine",
)
def cut_list(_: Strike, backup: LaidBackup) -> str:
    text = backup.list_path.read_bytes()
    lines = backup.uploads()
    if len(lines) < 2:
        return ""
    last = lines[-1]
    backup.list_path.write_bytes(text[: text.index(last.path.encode())])
    return last.path


@damage_backup(
    "backup-info edited together with its package",
    why="who repairs a list after a digest failed makes the set agree with itself, and no SHA-512 can tell any more",
)
def edit_list(strike: Strike, backup: LaidBackup) -> str:
    lines = backup.uploads()
    changed = [line for line in lines if line.sha512 != lines[0].sha512]
    if not changed:
        return ""
    victim, donor = strike.draw.choice(changed), lines[0]
    found: list[bytes] = []
    backup.change_package(donor.package_path, lambda content: found.append(content) or content)  # type: ignore[func-returns-value]
    if not found:
        return ""
    backup.change_package(victim.package_path, lambda _: found[0])
    edited = replace(relist(victim, found[0]), size=donor.size, sha512=donor.sha512)
    backup.write_lines([edited if line.path == victim.path else line for line in backup.read_lines()])
    return victim.path


@damage_backup(
    "backup-info missing",
    why="without its list a backup is not complete and the restore takes an older one, or none (facts, section 6)",
)
def drop_list(_: Strike, backup: LaidBackup) -> str:
    if not backup.uploads():
        return ""
    backup.list_path.unlink()
    return backup.name.source


@damage_backup(
    "a line of backup-info with a tab in its name",
    why="the list is tab separated and nothing escapes: a tab or a line break makes a line that nobody reads",
)
def break_line(strike: Strike, backup: LaidBackup) -> str:
    line = _draw_line(strike, backup)
    if line is None:
        return ""
    between = strike.draw.choice((b"\t", b"\n"))
    name = line.path.encode()
    text = backup.list_path.read_bytes()
    at = text.index(name + b"\t") + len(name) // 2
    backup.list_path.write_bytes(text[:at] + between + text[at:])
    return line.path


@damage_backup(
    "a file that grew between hash and package",
    why="the service hashes a file first and packs it afterwards; an upload that goes on is listed as it was",
    list_only=True,
)
def list_earlier(strike: Strike, backup: LaidBackup) -> str:
    line = _draw_line(strike, backup, least=2)
    if line is None:
        return ""
    earlier = replace(line, size=line.size - 1, sha512=f"{strike.draw.getrandbits(512):0128x}")
    backup.write_lines([earlier if one.path == line.path else one for one in backup.read_lines()])
    return line.path


def _remove_moved(strike: Strike) -> str:
    """Remove a file that the newest archive alone has; its path."""
    newest, lines = lay_moved(strike.stage, strike.draw.choice(lost_files(strike.stage)))
    if not lines:
        return ""
    line = strike.draw.choice(lines)
    newest.locate(line).unlink()
    remake_manifest(strike.stage)
    return line.path


@operator(
    "chain broken at an old archive",
    why="an incremental backup names files of older ones; the bucket keeps the latest alone, the rest is archived",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    loses=("file-storage",),
    builtin="incremental",
)
def break_chain(strike: Strike) -> str:
    return _remove_moved(strike)


@operator(
    "clean-up removed what the chain needs",
    why="file archives older than 60 days are removed; one that the latest incremental refers to is needed all the "
    "same (facts, section 6)",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    loses=("file-storage",),
    builtin="incremental",
)
def clean_up_chain(strike: Strike) -> str:
    newest, lines = lay_moved(strike.stage, strike.draw.choice(lost_files(strike.stage)))
    if not lines:
        return ""
    line = strike.draw.choice(lines)
    shutil.rmtree(newest.folder / str(newest.name))
    remake_manifest(strike.stage)
    return line.path


@operator(
    "a file missing on the archive server",
    why="files are moved from one archive directory to the next every night; a move that failed was only logged",
    moment="after backup",
    area="backup set",
    checks=_CHECKS,
    loses=("file-storage",),
    builtin="archive",
)
def lose_moved_file(strike: Strike) -> str:
    return _remove_moved(strike)
