"""What verify-backup says, as remarks: one a damaged file, its path in the subject; nothing about age or retention."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.methods import set_remarks
from rehearsal.methods.set_remarks import examine_places
from rehearsal.roles import SetRemark
from rehearsal.verdicts import Finding, Verdict

NAME = "file-storage-0_2026-04-30T01:10:00Z"


class NoKeys:
    has_passphrase = False

    def encryption_keys(self) -> tuple[str, ...]:
        return ("AB",)


def examine(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> tuple[SetRemark, ...]:
    class Told:
        pass

    told = Told()
    told.findings = findings  # type: ignore[attr-defined]
    seen: dict[str, Any] = {}

    def verify(places: Any, unsealer: Any, wanted: Any) -> Any:
        seen["wanted"] = wanted
        return told

    monkeypatch.setattr(set_remarks, "verify_backups", verify)
    remarks = examine_places([], cast(Unsealer, None), cast(Keyring, NoKeys()), ["file-storage-0"])
    assert seen["wanted"].expected == ("file-storage-0",)
    assert seen["wanted"].key_ids == ("AB",)
    return remarks


def find(check: str, verdict: Verdict, message: str, *details: str) -> Finding:
    return Finding(check=check, verdict=verdict, subject=f"{NAME} (bucket)", message=message, details=details)


def test_every_damaged_file_is_a_remark_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    remarks = examine(
        monkeypatch,
        find(
            "packages",
            Verdict.FAIL,
            "not as listed: ab/ab1.lz4.gpg: 3 bytes, the list says 4 (and 1 more)",
            "cd/cd2.lz4: no",
        ),
    )
    assert [(remark.sound, remark.subject) for remark in remarks] == [
        (False, f"packages: {NAME} (bucket): ab/ab1"),
        (False, f"packages: {NAME} (bucket): cd/cd2"),
    ]


def test_a_closed_backup_is_named_though_the_finding_is_about_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(check="keys", verdict=Verdict.FAIL, subject="AABB", message=f"1 package of {NAME} needs key AABB")
    (remark,) = examine(monkeypatch, finding)
    assert (remark.sound, remark.subject) == (False, f"keys: AABB: {NAME}")


def test_good_and_unclear_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    remarks = examine(
        monkeypatch,
        find("packages", Verdict.PASS, "9 of 9 packages"),
        find("contents", Verdict.INCONCLUSIVE, "nothing was learnt"),
    )
    assert [remark.sound for remark in remarks] == [True, None]


def test_age_and_retention_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine(monkeypatch, find("freshness", Verdict.FAIL, "old"), find("retention", Verdict.FAIL, "x")) == ()


def test_without_sources_nothing_is_looked_at() -> None:
    assert examine_places([], cast(Unsealer, None), cast(Keyring, NoKeys()), []) == ()
