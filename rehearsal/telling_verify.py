"""What a person reads of `rehearsal verify-backup`: how far it is, and at the end backups, findings, verdict."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TextIO

from rehearsal.builtin_backup.verification import Verification, VerifiedBackup
from rehearsal.builtin_backup.verify_words import plural, say_age, say_size
from rehearsal.builtin_backup.verifying import Progress
from rehearsal.verdicts import Finding, Verdict

_SHOWN = 5
_EVERY = 1.0
_EVERY_LINE = 10.0


class LiveVerification:
    """Shows progress: on a terminal one line that is written over, elsewhere a line every ten seconds."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._shown = time.monotonic()
        self._open = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._shown < (_EVERY if self._live else _EVERY_LINE):
            return
        self._shown = now
        start, end = ("\r\x1b[K", "") if self._live else ("", "\n")
        print(f"{start}  {tell_progress(progress)}", end=end, file=self._out, flush=True)
        self._open = self._live

    def finish(self) -> None:
        """Leave the terminal's line empty."""
        if self._open:
            print("\r\x1b[K", end="", file=self._out, flush=True)


def tell_progress(progress: Progress) -> str:
    """`reading: 1,024 packages, 1.2 GB of 3.4 GB`."""
    words = [f"{progress.step}:"]
    if progress.name:
        words.append(progress.name)
    if progress.step == "reading":
        total = f" of {say_size(progress.bytes_total)}" if progress.bytes_total else ""
        words.append(f"{plural(progress.packages, 'package')}, {say_size(progress.bytes_read)}{total}")
    return " ".join(words)


def tell_verification(found: Verification) -> Iterator[str]:
    """Line by line: the places, every backup, the findings with the worst first, the verdict."""
    for place in found.places:
        yield f"{place.kind} {place.shown}: {plural(place.backups, 'backup')}"
        for stranger in place.strangers[:_SHOWN]:
            yield f"  belongs to no backup: {stranger}"
    if found.backups:
        yield ""
    for backup in sorted(found.backups, key=lambda one: (one.source, one.taken, one.place)):
        yield _tell_backup(backup)
    yield ""
    yield from _tell_findings(found.findings)
    yield ""
    yield f"{found.verdict}: {_tell_total(found)}"


def _tell_backup(backup: VerifiedBackup) -> str:
    if not backup.complete:
        state = "INCOMPLETE"
    else:
        state = {True: "restores", False: "BROKEN", None: "not proven"}[backup.restorable]
    files = f", {plural(backup.lines, 'file')}" if backup.complete else ""
    others = f" ({backup.lines - backup.own_lines:,} in others)" if backup.lines > backup.own_lines else ""
    age = f"{say_age(backup.age_seconds)} old" if backup.age_seconds >= 0 else "of the future"
    return f"  {state:<11} {backup.name}  {backup.kind}, {age}, {say_size(backup.bytes)}{files}{others}"


def _tell_findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    """The first of every check and verdict, the rest counted, so that none hides another."""
    groups: dict[tuple[Verdict, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.verdict, finding.check), []).append(finding)
    for (verdict, check), group in groups.items():
        for finding in group[:_SHOWN]:
            yield f"{verdict} {check}: {finding.subject}: {finding.message}"
            yield from (f"    {detail}" for detail in finding.details[:_SHOWN])
            if len(finding.details) > _SHOWN:
                yield "    … more with --json"
        if len(group) > _SHOWN:
            yield f"    … and {len(group) - _SHOWN} more of {check}, with --json"


def _tell_total(found: Verification) -> str:
    keys = found.keys
    words = [f"{found.packages_read:,} of {plural(found.packages, 'package')} read, {say_size(found.bytes_read)}"]
    if found.is_sample:
        words.append(f"a SAMPLE of {found.sample_percent:g}%: not everything was read")
    if keys.backups_encrypted:
        words.append(f"keys: {keys.backups_opened} of {plural(keys.backups_encrypted, 'backup')} open")
    words.append(f"{found.seconds:.1f} s")
    return ", ".join(words)
