"""What a person reads of a verification: progress, broken and incomplete backups by name, no finding hidden."""

from __future__ import annotations

import io

import pytest

from rehearsal.builtin_backup.verification import Verification, VerifiedBackup, VerifiedKeys, VerifiedPlace
from rehearsal.builtin_backup.verify_words import say_age, say_size
from rehearsal.builtin_backup.verifying import Progress
from rehearsal.telling_verify import LiveVerification, tell_progress, tell_verification
from rehearsal.verdicts import Finding, Verdict


def backup(name: str, *, complete: bool = True, restorable: bool | None = True) -> VerifiedBackup:
    return VerifiedBackup(
        place="/b",
        kind="bucket",
        name=name,
        source="file-storage-0",
        taken="2026-01-15T01:10:00Z",
        age_seconds=7200,
        complete=complete,
        objects=2,
        bytes=3_400_000,
        lines=10 if complete else 0,
        own_lines=4,
        restorable=restorable,
    )


def verification(*findings: Finding, sample: float = 100) -> Verification:
    return Verification(
        tool_version="1",
        as_of="2026-01-15T03:10:00Z",
        seconds=1.5,
        verdict=Verdict.FAIL,
        sample_percent=sample,
        places=(VerifiedPlace(kind="bucket", shown="/b", backups=4, strangers=("lost+found",)),),
        backups=(
            backup("one"),
            backup("two", restorable=False),
            backup("three", restorable=None),
            backup("four", complete=False, restorable=None),
        ),
        keys=VerifiedKeys(backups_encrypted=3, backups_opened=2),
        packages=30,
        packages_read=20,
        bytes_read=1000,
        findings=findings,
    )


def find(verdict: Verdict, check: str, number: int = 0) -> Finding:
    details = tuple(f"detail {n}" for n in range(number))
    return Finding(check=check, verdict=verdict, subject=f"s{number}", message="m", details=details)


def test_every_state_of_a_backup_has_its_word() -> None:
    said = list(tell_verification(verification()))
    states = {name: line for name in ("one", "two", "four") for line in said if f" {name} " in line}
    assert states["one"].startswith("  restores ") and "2 hours old, 3.4 MB, 10 files (6 in others)" in states["one"]
    assert states["two"].startswith("  BROKEN ") and states["four"].startswith("  INCOMPLETE ")
    assert any(line.startswith("  not proven") for line in said)
    assert "  belongs to no backup: lost+found" in said
    assert said[-1] == "FAIL: 20 of 30 packages read, 1.0 kB, keys: 2 of 3 backups open, 1.5 s"


def test_a_sample_is_shouted() -> None:
    assert "a SAMPLE of 5%: not everything was read" in list(tell_verification(verification(sample=5)))[-1]


def test_no_check_hides_another() -> None:
    many = [find(Verdict.FAIL, "packages", n) for n in range(9)]
    said = list(tell_verification(verification(*many, find(Verdict.FAIL, "keys"), find(Verdict.PASS, "chain"))))
    assert "    … and 4 more of packages, with --json" in said
    assert "FAIL keys: s0: m" in said and "PASS chain: s0: m" in said


def test_progress_is_worded_and_not_chatty() -> None:
    assert (
        tell_progress(Progress("reading", "", 1, 1_200_000_000, 3_400_000_000))
        == "reading: 1 package, 1.2 GB of 3.4 GB"
    )
    assert tell_progress(Progress("judging", "name")) == "judging: name"
    out = io.StringIO()
    live = LiveVerification(out)
    for number in range(1000):
        live(Progress("reading", "", number, number))
    live.finish()
    assert out.getvalue() == ""  # not even a second has passed


@pytest.mark.parametrize(
    ("seconds", "said"), [(59, "59 s"), (60, "1 minute"), (7200, "2 hours"), (86_400 * 3, "3 days"), (-7200, "2 hours")]
)
def test_ages(seconds: float, said: str) -> None:
    assert say_age(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**9, "2.0 GB")]
)
def test_sizes(size: int, said: str) -> None:
    assert say_size(size) == said
