"""Who holds a file that a list speaks of: the backup's own tars, an older backup, or a later archive directory.

An incremental backup lists files that only an older one has packed, and the archive server moves files forward: what
two archives share lies in the newer one alone. So a package is looked for where its line says, in every place, and then
in the later archive directories of the same storage, newest first: by path and size, and by SHA-512 where a list there
speaks of it. Reading tells whether the content is right; here nothing is opened but lists. Facts, section 6.

The lines lie in a temporary database (`wanted_lines`), so that a list of a million costs disk and not memory.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rehearsal.builtin_backup.listing import BadLine, ListedFile, read_listing
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, parse_name
from rehearsal.builtin_backup.places import Place
from rehearsal.builtin_backup.retention import Rules, explain_absence
from rehearsal.builtin_backup.wanted_lines import HeldLines, Pending, WantedLines
from rehearsal.errors import RehearsalError

_Stock = tuple[tuple[Place, tuple[BackupName, ...]], ...]  # the places and what they hold, asked once


class Gone(RehearsalError):
    """The backup is in none of the places; `what` says why, as far as the clean-up's rules explain it."""


@dataclass(frozen=True)
class Holder:
    """A backup in a place: tars of a bucket, or a directory of the archive server."""

    place: Place
    name: BackupName

    def __str__(self) -> str:
        return f"{self.place.shown}/{self.name}"


@dataclass(frozen=True)
class RestorePlan:
    """Where each file of a backup is to be read.

    Attributes:
        listed_in: the list it was made from.
        lines: of the list, all that can be true.
        give: per holder, the lines whose packages it must give, by the path of the package.
        missing: the lines that nobody holds.
        reasons: for each `backupName` of a missing line, why, in words.
        troubles: what is wrong with the list itself: a line or path, and why it is left out.
    """

    name: BackupName
    listed_in: str
    lines: WantedLines
    give: tuple[tuple[Holder, HeldLines], ...]
    missing: tuple[ListedFile, ...]
    reasons: Mapping[str, str]
    troubles: tuple[tuple[str, str], ...]


def plan_restore(places: Sequence[Place], name: BackupName, rules: Rules | None = None) -> RestorePlan:
    """Find every file of a backup.

    Args:
        places: where to look, the first one first.
        rules: of the archive server's clean-up, for the reasons.

    Raises:
        Gone: none of the places has this backup.
        RehearsalError: a place has it, but neither `backup-info` nor `archive-info`: it was never completed.
    """
    stock = _take_stock(places)
    place, key = _find_list(stock, name, rules)
    wanted, troubles = _read_wanted(place, key)
    own = Holder(place, name) if key.endswith(f"/{INFO}") and place.kind == "bucket" else None
    give = _share_out(stock, wanted, own)
    missing = tuple(wanted.missing())
    reasons = {}
    for line in missing:
        if line.backup_name not in reasons:
            reasons[line.backup_name] = _explain_missing(stock, line.backup_name, rules)
    return RestorePlan(name, f"{place.shown}/{key}", wanted, give, missing, reasons, tuple(troubles))


def find_holder(places: Sequence[Place], name: BackupName, line: ListedFile) -> Holder | None:
    """Who holds the package of one line of the list of `name`; None where nobody does.

    For many lines `plan_restore` is the cheaper way: here every list on the way is read for this one line.
    """
    del name  # the line says where it was packed, and whatever archive came later may hold it
    wanted = WantedLines()
    wanted.add(line)
    give = _share_out(_take_stock(places), wanted, None)
    return give[0][0] if give else None


def find_list(places: Sequence[Place], name: BackupName, rules: Rules | None = None) -> tuple[Place, str]:
    """The place and key of a backup's list: `backup-info` before `archive-info`, which lacks what got lost on the way.

    Raises:
        as `plan_restore`.
    """
    return _find_list(_take_stock(places), name, rules)


def verify_command(place: Place) -> str:
    """The command that tells all about a place, ready to paste."""
    shown, _, endpoint = place.shown.partition(" at ") if place.shown.startswith("s3://") else (place.shown, "", "")
    option = f" --endpoint {endpoint}" if "://" in endpoint else ""
    return f"rehearsal verify-backup {shlex.quote(shown)}{option}"


def find_latest(places: Sequence[Place], source: str) -> BackupName | None:
    """The newest complete backup of a source in any of the places; None where there is none."""
    complete = (
        name
        for place in places
        for name in place.names()
        if name.source == source and any(_has(place, name, f"{name}/{info}") for info in (INFO, ARCHIVE_INFO))
    )
    return max(complete, default=None)


def _take_stock(places: Sequence[Place]) -> _Stock:
    return tuple((place, place.names()) for place in places)


def _find_list(stock: _Stock, name: BackupName, rules: Rules | None) -> tuple[Place, str]:
    holding = [place for place, names in stock if name in names]
    if not holding:
        raise Gone(
            f"this backup is gone: {_explain_absence(stock, name, rules)}",
            where=str(name),
            hint=verify_command(stock[0][0]) if stock else "",
        )
    for wanted in (INFO, ARCHIVE_INFO):
        for place in holding:
            key = f"{name}/{wanted}"
            if _has(place, name, key):
                return place, key
    raise RehearsalError(
        "this backup was never completed: it has no `backup-info`",
        where=f"{holding[0].shown}/{name}",
        hint=f"take an older or a newer one; {verify_command(holding[0])}",
    )


def _has(place: Place, name: BackupName, key: str) -> bool:
    return any(found.key == key for found in place.objects(name))


def _read_wanted(place: Place, key: str) -> tuple[WantedLines, list[tuple[str, str]]]:
    wanted = WantedLines()
    troubles = []
    for line in read_listing(place.read(key)):
        if isinstance(line, BadLine):
            troubles.append((f"line {line.number}", line.what))
        elif wanted.add(line):
            continue
        elif wanted.has_path(line.path):
            troubles.append((line.path, "listed twice; the first line is taken"))
        else:
            troubles.append((line.path, f"its package {line.package_path} is also that of another file"))
    return wanted, troubles


def _share_out(stock: _Stock, wanted: WantedLines, own: Holder | None) -> tuple[tuple[Holder, HeldLines], ...]:
    """Who gives what; what nobody gives stays pending.

    Args:
        own: the bucket's backup whose `backup-info` the lines are from: what it says of itself need not be read again.
    """
    numbers: dict[tuple[int, BackupName], int] = {}
    holders: list[Holder] = []
    for text in wanted.backup_names():
        packer = parse_name(text)
        pending = wanted.pending(text)
        for holder in _suggest_holders(stock, packer) if packer is not None else ():
            number = numbers.setdefault((id(holder.place), holder.name), len(holders))
            if number == len(holders):
                holders.append(holder)
            if holder.place.kind == "archive":
                _find_in_archive(holder, number, pending, moved=holder.name != packer)
            else:
                _find_in_bucket(holder, number, pending, own)
            if not pending:
                break
    return tuple((holder, lines) for number, holder in enumerate(holders) if (lines := wanted.held(number)))


def _suggest_holders(stock: _Stock, packer: BackupName) -> Iterator[Holder]:
    """The backup that packed it, wherever it is; then the archive directories it may have been moved to."""
    for place, names in stock:
        if packer in names:
            yield Holder(place, packer)
    for place, names in stock:
        if place.kind == "archive":
            for later in reversed(names):
                if later.source == packer.source and later > packer:
                    yield Holder(place, later)


def _find_in_archive(holder: Holder, number: int, pending: Pending, *, moved: bool) -> None:
    """The packages that lie in an archive directory in the right size.

    Args:
        moved: it is not the directory that the line names: then its list must not speak of another package there.
    """
    start = len(f"{holder.name}/")
    packages = ((item.key[start:], item.size) for item in holder.place.objects(holder.name))
    if pending.give_by_size(number, packages) and moved:
        pending.take_back(number, _read_good_lines(holder, ARCHIVE_INFO))


def _find_in_bucket(holder: Holder, number: int, pending: Pending, own: Holder | None) -> None:
    """The packages that a backup in a bucket has packed itself, by its own `backup-info`; which tar, only reading
    tells."""
    if not any(item.key.endswith(".tar") for item in holder.place.objects(holder.name)):
        return
    if holder == own:
        pending.give_all(number)
        return
    lines = _read_good_lines(holder, INFO)
    pending.give_by_digest(number, (line for line in lines if line.backup_name == str(holder.name)))


def _read_good_lines(holder: Holder, info: str) -> Iterable[ListedFile]:
    key = f"{holder.name}/{info}"
    if _has(holder.place, holder.name, key):
        for line in read_listing(holder.place.read(key)):
            if isinstance(line, ListedFile):
                yield line


def _explain_missing(stock: _Stock, backup_name: str, rules: Rules | None) -> str:
    packer = parse_name(backup_name)
    if packer is None:  # read_listing lets none through
        return "no such backup"
    if any(packer in names for _, names in stock):
        return f"{packer} is there, and does not hold it; no later archive does"
    if not any(place.kind == "archive" for place, _ in stock):
        return f"{packer} is not in the bucket any more: give the archive server's directory too"
    return f"{packer} is gone, and no later archive holds it: {_explain_absence(stock, packer, rules)}"


def _explain_absence(stock: _Stock, name: BackupName, rules: Rules | None) -> str:
    present = {other for _, names in stock for other in names}
    now = max((other.nanoseconds for other in present), default=name.nanoseconds)
    return explain_absence(name, present, rules or Rules(), now)
