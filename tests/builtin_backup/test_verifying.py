"""Healthy sets are green, every damage is named, and nothing found is never green."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import lz4.frame
import pytest
from quick_seals import QuickOpener
from verified_sets import DUMP, HOUR, Server, describe, edit_list, edit_tar, flip

from rehearsal.builtin_backup import index
from rehearsal.builtin_backup.folder_places import FolderBucket
from rehearsal.builtin_backup.places import Place, StoredObject
from rehearsal.builtin_backup.verification import Verification
from rehearsal.builtin_backup.verifying import Progress, Wanted, verify_backups
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.verdicts import Finding, Verdict

VICTIM = "03/03-file.lz4.gpg"


def verify(server: Server, *places: Place, **wanted: object) -> Verification:
    asked = Wanted(now=server.now, **wanted)  # type: ignore[arg-type]
    return verify_backups(places or (server.bucket,), QuickOpener(), asked)


def not_green(found: Verification) -> list[Finding]:
    return [one for one in found.findings if one.verdict is not Verdict.PASS]


def failing(found: Verification, check: str) -> Finding:
    """The only FAIL of that check."""
    (one,) = [one for one in found.findings if one.verdict is Verdict.FAIL and one.check == check]
    return one


def green(found: Verification, check: str) -> bool:
    ones = [one for one in found.findings if one.check == check]
    return bool(ones) and all(one.verdict is Verdict.PASS for one in ones)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """One night, a full backup."""
    made = Server(tmp_path)
    made.back_up(1)
    return made


@pytest.fixture
def archived(tmp_path: Path) -> Server:
    """Three nights, each archived; the last is incremental."""
    made = Server(tmp_path)
    for day in (1, 2, 3):
        made.back_up(day)
        made.archive_all()
        made.files[f"f{day}/f{day}-new"] = b"new" * day
    made.back_up(4)
    return made


def test_a_healthy_bucket_is_green_and_says_what_it_read(server: Server) -> None:
    found = verify(server)
    assert not_green(found) == []
    assert found.verdict is Verdict.PASS
    assert (found.packages, found.packages_read) == (9, 9)
    assert [backup.restorable for backup in found.backups] == [True] * 4
    files = next(one for one in found.backups if one.source == "file-storage-0")
    assert (files.lines, files.packages_opened, files.complete, files.age_seconds) == (6, 6, True, 3600)
    assert found.oldest == found.newest == "2026-01-15T01:10:00.123456Z"
    for check in ("completeness", "packages", "contents", "chain", "freshness", "keys", "restorable"):
        assert green(found, check), check


def test_a_healthy_bucket_with_its_archive_is_green(archived: Server) -> None:
    found = verify(archived, archived.bucket, archived.archive)
    assert not_green(found) == []
    latest = found.backups[[one.name for one in found.backups].index(str(archived.latest()))]
    assert latest.lines > latest.own_lines > 0
    assert found.oldest == "2026-01-15T01:10:00.123456Z"
    assert found.newest == "2026-01-18T01:10:00.123456Z"


def test_an_archive_alone_is_green_though_files_moved_forward(archived: Server) -> None:
    archived.archive_all()
    found = verify(archived, archived.archive)
    assert not_green(found) == []
    oldest = min((one for one in found.backups if one.source == "file-storage-0"), key=lambda one: one.taken)
    assert oldest.restorable is True
    assert not any(archived.archive.path.joinpath(oldest.name).glob("0*/*"))  # all of them moved


def test_a_bucket_alone_says_nothing_of_older_files(archived: Server) -> None:
    found = verify(archived)
    doubts = [one for one in not_green(found) if one.check == "chain"]
    assert [one.verdict for one in doubts] == [Verdict.INCONCLUSIVE] * 2  # the last archived one and the newest
    for doubt in doubts:
        assert "rehearsal verify-backup" in doubt.message and VICTIM in "".join((doubt.message, *doubt.details))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert [one.restorable for one in found.backups if one.name == str(archived.latest())] == [None]


def test_an_archive_that_lost_an_older_file_is_named(archived: Server) -> None:
    archived.archive_all()
    holder = next(archived.archive.path.glob(f"*/{VICTIM}"))
    holder.unlink()
    finding_of_bucket = verify(archived, archived.bucket, archived.archive)
    chains = [one for one in finding_of_bucket.findings if one.check == "chain" and one.verdict is Verdict.FAIL]
    assert chains and all(VICTIM in one.message for one in chains)
    assert not_green(verify(archived, archived.archive))[0].verdict is Verdict.FAIL


# --- one damage each --------------------------------------------------------------------------------------------------


def files_tar(server: Server) -> Path:
    return server.folder_of(server.latest()) / "storage/backup/_small_files.tar"


def info(server: Server) -> Path:
    return server.folder_of(server.latest()) / "backup-info"


def same_size_corruption(server: Server) -> None:
    edit_tar(files_tar(server), VICTIM, flip)


def cut_package(server: Server) -> None:
    edit_tar(files_tar(server), VICTIM, lambda data: data[:-3])


def missing_package(server: Server) -> None:
    edit_tar(files_tar(server), VICTIM, lambda _: None)


def second_version(server: Server) -> None:
    edit_tar(files_tar(server), VICTIM, flip, again=True)


def swapped_and_covered_up(server: Server) -> None:
    """Another file of the same size in its place, its list agreeing: only the plain SHA-512 tells."""
    other = lz4.frame.compress(b"CONTENT OF 3" * 40)
    edit_tar(files_tar(server), VICTIM, lambda _: other)
    edit_list(info(server), lambda line: describe(line, other) if line.package_path == VICTIM else line)


def grown(server: Server) -> None:
    """The file grew between the hash and the packing."""
    grown = lz4.frame.compress(server.files["03/03-file"] + b"more")
    edit_tar(files_tar(server), VICTIM, lambda _: grown)
    edit_list(info(server), lambda line: describe(line, grown) if line.package_path == VICTIM else line)


def size_edited(server: Server) -> None:
    edit_list(info(server), lambda line: replace(line, size=481) if line.package_path == VICTIM else line)


def dump_of_another_day(server: Server) -> None:
    """The list of the first night under the name of the second."""
    first = server.folder_of(server.latest("auth-db-backup"))
    server.back_up(2)
    shutil.copy(first / "backup-info", server.folder_of(server.latest("auth-db-backup")))


def empty_package(server: Server) -> None:
    """A pipe that failed: 0 bytes, and the list agrees."""
    edit_tar(files_tar(server), VICTIM, lambda _: b"")
    edit_list(info(server), lambda line: describe(line, b"") if line.package_path == VICTIM else line)


def line_left_out(server: Server) -> None:
    edit_list(info(server), lambda line: None if line.package_path == VICTIM else line)


def list_cut_inside_a_line(server: Server) -> None:
    content = info(server).read_bytes()
    info(server).write_bytes(content[: content.index(b"03/03-file") + 60])


def line_twice(server: Server) -> None:
    lines = info(server).read_bytes().splitlines(keepends=True)
    (victim,) = [line for line in lines if line.startswith(b"03/")]
    info(server).write_bytes(b"".join(lines) + victim.replace(b"03/03-file\t480\t", b"03/03-file\t481\t"))


def list_of_another_storage(server: Server) -> None:
    other = str(server.latest()).replace("file-storage-0", "file-storage-1")
    edit_list(info(server), lambda line: replace(line, backup_name=other))


def tar_cut(server: Server) -> None:
    tar = files_tar(server)
    tar.write_bytes(tar.read_bytes()[:1800])


def broken_off(server: Server) -> None:
    """An old backup without its list; the newest is whole."""
    old = server.folder_of(server.latest())
    server.back_up(3)
    (old / "backup-info").unlink()


def archive_info_lacks_a_file(server: Server) -> None:
    shutil.copy(info(server), info(server).with_name("archive-info"))
    edit_list(info(server).with_name("archive-info"), lambda line: None if line.package_path == VICTIM else line)


def dump_cut_before_it_was_packed(server: Server) -> None:
    server.back_up(2, dump=DUMP[:30])


DAMAGES: dict[Callable[[Server], None], tuple[str, str, str]] = {
    same_size_corruption: ("packages", VICTIM, "SHA-512 is not"),
    cut_package: ("packages", VICTIM, "the list says"),
    missing_package: ("packages", VICTIM, "nowhere else"),
    swapped_and_covered_up: ("contents", VICTIM, "another SHA-512"),
    grown: ("contents", VICTIM, "484 bytes came out, the list says 480"),
    size_edited: ("contents", VICTIM, "480 bytes came out, the list says 481"),
    dump_of_another_day: ("chain", "auth-db-backup_2026-01-16", ".sql is not in it"),
    empty_package: ("contents", VICTIM, "the pipe failed"),
    line_left_out: ("completeness", VICTIM, "in no list"),
    list_of_another_storage: ("chain", "file-storage-1_", "another source"),
    broken_off: ("completeness", "file-storage-0_2026-01-15", "broken off"),
    archive_info_lacks_a_file: ("completeness", "03/03-file", "archive-info has not all"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_damage_is_one_named_finding(server: Server, damage: Callable[[Server], None]) -> None:
    check, named, words = DAMAGES[damage]
    damage(server)
    found = verify(server)
    assert found.verdict is Verdict.FAIL
    finding = failing(found, check)
    assert named in finding.subject + finding.message
    assert words in finding.message


@pytest.mark.parametrize(
    "damage", [list_cut_inside_a_line, tar_cut, line_twice, second_version, dump_cut_before_it_was_packed]
)
def test_a_damage_with_several_consequences(server: Server, damage: Callable[[Server], None]) -> None:
    words: dict[Callable[[Server], None], str] = {
        list_cut_inside_a_line: "backup-info, line 4",
        tar_cut: "_small_files.tar",
        second_version: f"{VICTIM} lies there 2 times, not the same",
        line_twice: "03/03-file is listed 2 times",
        dump_cut_before_it_was_packed: "the dump has no end",
    }
    damage(server)
    found = verify(server)
    said = [one.message for one in found.findings if one.verdict is Verdict.FAIL]
    assert any(words[damage] in message for message in said), said
    assert any(one.restorable is False for one in found.backups)


@pytest.mark.parametrize(
    "damage", [same_size_corruption, swapped_and_covered_up, missing_package, list_cut_inside_a_line]
)
def test_what_is_damaged_is_not_restorable_and_nothing_else_is_blamed(
    server: Server, damage: Callable[[Server], None]
) -> None:
    damage(server)
    found = verify(server)
    assert {one.source: one.restorable for one in found.backups} == {
        "auth-db-backup": True,
        "session-db-db-backup": True,
        "job-history-db-backup": True,
        "file-storage-0": False,
    }
    assert found.oldest is None
    assert failing(found, "restorable").subject == "everything"


def test_equal_duplicates_do_no_harm(server: Server) -> None:
    edit_tar(files_tar(server), VICTIM, lambda data: data, again=True)
    found = verify(server)
    assert found.verdict is Verdict.PASS
    assert any("2 times, all the same" in one.message for one in found.findings)


def test_damage_in_an_archive_directory(archived: Server) -> None:
    archived.archive_all()
    holder = next(archived.archive.path.glob(f"*/{VICTIM}"))
    holder.write_bytes(flip(holder.read_bytes()))
    found = verify(archived, archived.archive)
    assert all(VICTIM in one.message for one in found.findings if one.check == "packages")
    assert found.verdict is Verdict.FAIL and not green(found, "packages")


# --- known holes ------------------------------------------------------------------------------------------------------


def test_no_database_backup_at_all_names_the_missing_key(tmp_path: Path) -> None:
    server = Server(tmp_path, suffix=".lz4")
    server.back_up_files(1)
    finding = failing(verify(server), "completeness")
    assert finding.subject == "session-db-db-backup"
    assert "neither a gpg key nor a passphrase" in finding.message


def test_expected_sources_decide(server: Server) -> None:
    shutil.rmtree(server.folder_of(server.latest("auth-db-backup")))
    assert verify(server).verdict is Verdict.INCONCLUSIVE
    assert failing(verify(server, expected=("auth-db-backup",)), "completeness").subject == "auth-db-backup"
    without = ("session-db-db-backup", "job-history-db-backup", "file-storage-0")
    assert verify(server, expected=without).verdict is Verdict.PASS
    assert verify(server, expected=(*without, "file-storage-1")).verdict is Verdict.FAIL


def test_unencrypted_incremental_packs_everything_again(tmp_path: Path) -> None:
    server = Server(tmp_path, suffix=".lz4")
    for day in (1, 2):
        server.back_up(day)
        server.archive_all()
    found = verify(server, server.archive)
    assert found.verdict is Verdict.PASS
    assert [one.message.split(" were")[0] for one in found.findings if "packed again" in one.message] == [
        "6 of 6 files"
    ]


def test_of_two_archives_on_one_day_the_second_is_doomed(server: Server) -> None:
    shutil.copytree(
        server.folder_of(server.latest("auth-db-backup")),
        tmp := server.bucket.path / "auth-db-backup_2026-01-15T09:00:00Z",
    )
    found = verify(server)
    (doomed,) = [one for one in found.findings if one.check == "retention"]
    assert doomed.verdict is Verdict.INCONCLUSIVE and tmp.name in doomed.message and "deleted" in doomed.message


def test_still_running_is_not_yet_a_failure(server: Server) -> None:
    server.back_up(2)
    info(server).unlink()
    found = verify(server)
    (doubt,) = [one for one in not_green(found) if one.check == "completeness"]
    assert doubt.verdict is Verdict.INCONCLUSIVE and "still running" in doubt.message
    assert found.oldest == found.newest == "2026-01-15T01:10:00.123456Z"


def test_stale_and_future_backups(server: Server) -> None:
    server.now += 10 * 24 * HOUR
    assert "10 days old" in failing_freshness(verify(server)).message
    server.now -= 20 * 24 * HOUR
    assert {one.verdict for one in verify(server).findings if one.check == "freshness"} == {Verdict.INCONCLUSIVE}


def failing_freshness(found: Verification) -> Finding:
    ones = [one for one in found.findings if one.check == "freshness"]
    assert {one.verdict for one in ones} == {Verdict.FAIL} and len(ones) == 4
    return ones[0]


# --- nothing found is never green -------------------------------------------------------------------------------------


def test_no_backup_no_package_no_line_is_never_green(tmp_path: Path, server: Server) -> None:
    (tmp_path / "nothing").mkdir()
    empty = verify(server, FolderBucket(tmp_path / "nothing"))
    beside = verify(server, server.bucket, FolderBucket(tmp_path / "nothing"))
    assert failing(beside, "completeness").subject == str(tmp_path / "nothing")
    assert empty.verdict is Verdict.FAIL and not any(green(empty, check) for check in ("packages", "contents"))
    assert verify_backups((), QuickOpener(), Wanted()).verdict is Verdict.INCONCLUSIVE
    info(server).write_bytes(b"")
    files_tar(server).unlink()
    empty_list = verify(server)
    assert empty_list.verdict is not Verdict.PASS and empty_list.oldest is None


def test_an_empty_list_of_a_database_is_a_failure(server: Server) -> None:
    folder = server.folder_of(server.latest("session-db-db-backup"))
    (folder / "backup-info").write_bytes(b"")
    found = verify(server)
    assert any("there is no dump" in one.message for one in found.findings if one.verdict is Verdict.FAIL)


class Unreachable(FolderBucket):
    """A bucket whose files cannot be downloaded."""

    def read(self, key: str) -> Iterator[bytes]:
        if key.endswith("_small_files.tar"):
            raise StreamError("the server went away", where=key)
        return super().read(key)


def test_what_cannot_be_read_is_inconclusive_and_stops_nothing(server: Server) -> None:
    found = verify(server, Unreachable(server.bucket.path))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("the server went away" in one.message for one in not_green(found))
    assert {one.source: one.restorable for one in found.backups}["file-storage-0"] is None
    assert {one.source: one.restorable for one in found.backups}["auth-db-backup"] is True


class Unlistable(FolderBucket):
    """A bucket whose backups cannot be listed."""

    def objects(self, name: object) -> Iterator[StoredObject]:
        raise StreamError("no listing", where=self.shown)


def test_what_cannot_be_listed_is_neither_green_nor_red(server: Server) -> None:
    found = verify(server, Unlistable(server.bucket.path))
    assert found.verdict is Verdict.INCONCLUSIVE and found.packages == 0
    assert {one.verdict for one in found.findings} == {Verdict.INCONCLUSIVE}


# --- keys -------------------------------------------------------------------------------------------------------------


class Closed(QuickOpener):
    """Opens packages of the databases alone."""

    def __init__(self, error: str, key_ids: tuple[str, ...]) -> None:
        self._error = error
        self._key_ids = key_ids

    def open_all(self, packages: Iterable[object], *sink: object) -> Iterator[object]:  # type: ignore[override]
        for opened in super().open_all(packages, *sink):  # type: ignore[arg-type]
            if ".sql" in opened.path:
                yield opened
            else:
                yield replace(opened, error=self._error, key_ids=self._key_ids, plain_size=0, plain_sha512="")


@pytest.mark.parametrize(
    ("error", "key_ids", "given", "verdict"),
    [
        ("no secret key", ("0123456789ABCDEF",), {}, Verdict.INCONCLUSIVE),
        ("no secret key", ("0123456789ABCDEF",), {"key_ids": ("FEDCBA9876543210",)}, Verdict.FAIL),
        ("no passphrase was given, and it needs one", (), {}, Verdict.INCONCLUSIVE),
        ("wrong passphrase", (), {"passphrase": True}, Verdict.FAIL),
        (
            "the secret key wants its passphrase",
            ("0123456789ABCDEF",),
            {"key_ids": ("0123456789ABCDEF",)},
            Verdict.INCONCLUSIVE,
        ),
    ],
)
def test_keys(server: Server, error: str, key_ids: tuple[str, ...], given: dict[str, object], verdict: Verdict) -> None:
    opener = Closed(error, key_ids)
    found = verify_backups((server.bucket,), opener, Wanted(now=server.now, **given))  # type: ignore[arg-type]
    (finding,) = [one for one in found.findings if one.check == "keys"]
    assert finding.verdict is verdict
    assert finding.message.startswith("3 of 4 backups open; 6 packages of file-storage-0_2026-01-15")
    assert finding.subject == (key_ids[0] if key_ids else "passphrase")
    contents = [one for one in found.findings if one.check == "contents"]
    assert [one.verdict for one in contents] == [Verdict.INCONCLUSIVE]
    assert green(found, "packages")
    assert found.verdict is not Verdict.PASS
    assert found.keys.needed == key_ids
    assert {one.source: one.restorable for one in found.backups}["file-storage-0"] is None and found.oldest is None
    assert (found.keys.backups_encrypted, found.keys.backups_opened) == (4, 3)


# --- sample, progress, shape ------------------------------------------------------------------------------------------


def test_a_sample_says_so_and_reads_less(tmp_path: Path) -> None:
    server = Server(tmp_path, files=200)
    server.back_up(1)
    found = verify(server, sample_percent=25.0)
    assert 20 <= found.packages_read <= 80 and found.packages == 203
    assert found.is_sample
    said = [one.message for one in found.findings if one.check in ("packages", "contents")]
    assert len(said) == 2 and all("sample of 25%" in message for message in said)
    again = verify(server, sample_percent=25.0)
    assert again.packages_read == found.packages_read


def test_the_smallest_sample_opens_each_dump_and_a_file_of_each_backup(tmp_path: Path) -> None:
    server = Server(tmp_path, files=200)
    server.back_up(1)
    found = verify(server, sample_percent=0.0001)
    assert (found.packages_read, found.verdict) == (3 + 1, Verdict.PASS)


def test_a_destroyed_dump_is_found_by_the_smallest_sample(server: Server) -> None:
    (tar,) = server.folder_of(server.latest("auth-db-backup")).rglob("*.tar")
    with tarfile.open(tar) as packed:
        (name,) = (member.name for member in packed if member.isfile())
    edit_tar(tar, name, flip)
    found = verify(server, sample_percent=0.0001)
    assert found.verdict is Verdict.FAIL
    assert not green(found, "restorable")


def test_a_sample_still_finds_missing_packages_and_wrong_sizes(tmp_path: Path) -> None:
    for number, damage in enumerate((missing_package, cut_package)):
        server = Server(tmp_path / str(number))
        server.back_up(1)
        damage(server)
        assert verify(server, sample_percent=0.0001).verdict is Verdict.FAIL


def test_progress_counts_up(server: Server) -> None:
    steps: list[Progress] = []
    verify_backups((server.bucket,), QuickOpener(), Wanted(now=server.now), steps.append)
    assert list(dict.fromkeys(one.step for one in steps)) == ["looking", "reading", "judging"]
    last = [one for one in steps if one.step == "reading"][-1]
    assert last.packages == 9 and 0 < last.bytes_read <= last.bytes_total


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_threads_change_nothing(archived: Server, jobs: int) -> None:
    archived.archive_all()
    found = verify(archived, archived.bucket, archived.archive, jobs=jobs)
    assert found.verdict is Verdict.PASS
    assert all(one.restorable for one in found.backups)


def test_the_result_is_read_back_from_its_json(server: Server) -> None:
    found = verify(server)
    assert Verification.model_validate_json(found.render_json()) == found
    assert '"schema": "chipster-restore-rehearsal/verification/1"' in found.render_json()


def test_an_error_in_a_thread_reaches_the_caller(server: Server) -> None:
    class Crash(QuickOpener):
        def open_all(self, *_: object) -> Iterator[object]:  # type: ignore[override]
            raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError):
        verify_backups((server.bucket,), Crash(), Wanted(now=server.now))  # type: ignore[arg-type]


def test_a_full_disk_under_the_index_is_one_clear_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_SCHEMA", f"{index._SCHEMA};PRAGMA max_page_count = 6;")
    with pytest.raises(EnvironmentUnfit, match=r"(?s)temporary database cannot be written: .*full.*next: df -h"):
        verify_backups((server.bucket,), QuickOpener(), Wanted(now=server.now))
