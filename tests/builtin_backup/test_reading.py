import io
import tarfile

import pytest

from rehearsal.builtin_backup.names import parse_name
from rehearsal.builtin_backup.places import StoredObject
from rehearsal.builtin_backup.reading import Package, Stray, walk_packages
from rehearsal.errors import EnvironmentUnfit, StreamError

NAME = parse_name("file-storage-0_2026-04-30T01:10:00.123456789Z")
TAR = f"{NAME}/storage/backup/_small_files.tar"
FILES = {"ab/ab12.lz4": b"x" * 700, "cd/cd34.lz4.gpg": b"y" * 3_000_000, "ef/empty.lz4": b""}


class MemoryPlace:
    shown = "memory"

    def __init__(self, kind, contents, chunk=1000, error=None):
        self.kind = kind
        self.contents = contents
        self.asked = []
        self._chunk = chunk
        self._error = error

    def objects(self, name):
        yield from (StoredObject(key, len(data), "") for key, data in sorted(self.contents.items()))

    def read(self, key):
        self.asked.append(key)
        data = self.contents[key]
        for start in range(0, len(data), self._chunk):
            yield data[start : start + self._chunk]
        if self._error is not None:
            raise self._error


def pack(files, *extra, form=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, kind in extra:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return buffer.getvalue()


def walk(place, **options):
    """Every package's path and bytes, and the strays."""
    packages, strays = {}, []
    for item in walk_packages(place, NAME, **options):
        if isinstance(item, Stray):
            strays.append((item.key, item.what))
        else:
            content = b"".join(map(bytes, item.chunks()))
            assert item.size == len(content)
            assert item.key in place.contents
            packages[item.path] = content
    return packages, strays


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_of_the_tars_of_a_bucket(form):
    place = MemoryPlace(
        "bucket", {TAR: pack(FILES, form=form), f"{NAME}/backup-info": b"", f"{NAME}/archive-info": b""}
    )
    assert walk(place) == (FILES, [])
    assert place.asked == [TAR]


def test_loose_files_of_an_archive():
    place = MemoryPlace(
        "archive", {f"{NAME}/{path}": data for path, data in FILES.items()} | {f"{NAME}/backup-info": b""}
    )
    assert walk(place) == (FILES, [])


def test_only_the_objects_that_are_asked_for():
    place = MemoryPlace("archive", {f"{NAME}/{path}": data for path, data in FILES.items()})
    chosen = [StoredObject(f"{NAME}/ab/ab12.lz4", 700, "")]
    assert walk(place, objects=chosen)[0].keys() == {"ab/ab12.lz4"}
    assert place.asked == [f"{NAME}/ab/ab12.lz4"]


def test_packages_that_nobody_reads_are_passed_over():
    place = MemoryPlace("bucket", {TAR: pack(FILES)})
    assert [item.path for item in walk_packages(place, NAME)] == list(FILES)


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("link.lz4", tarfile.SYMTYPE, "a link, not a file"),
        ("hard.lz4", tarfile.LNKTYPE, "a hard link, not a file"),
        ("pipe.lz4", tarfile.FIFOTYPE, "a pipe, not a file"),
        ("/etc/cron.d/x.lz4", tarfile.REGTYPE, "an unsafe name"),
        ("../../x.lz4", tarfile.REGTYPE, "an unsafe name"),
        ("../dir", tarfile.DIRTYPE, "a directory, not a file: '../dir'"),
        ("session-db.sql", tarfile.REGTYPE, "neither .lz4 nor .lz4.gpg"),
    ],
)
def test_what_is_no_package_is_a_stray_and_the_walk_goes_on(name, kind, word):
    place = MemoryPlace("bucket", {TAR: pack({"a.lz4": b"1"}, (name, kind)), f"{TAR[:-4]}2.tar": pack({"b.lz4": b"2"})})
    packages, strays = walk(place)
    assert packages == {"a.lz4": b"1", "b.lz4": b"2"}
    assert [key for key, _ in strays] == [TAR]
    assert word in strays[0][1]


def test_a_folder_in_a_tar_is_no_stray():
    assert walk(MemoryPlace("bucket", {TAR: pack({}, ("ab", tarfile.DIRTYPE))})) == ({}, [])


def test_strays_of_places():
    keys = {f"{NAME}/notes.txt": b"", f"{NAME}/storage/backup/x.zip": b""}
    assert [what for _, what in walk(MemoryPlace("bucket", keys))[1]] == ["neither a tar nor a list"] * 2
    what = walk(MemoryPlace("archive", {f"{NAME}/session-db.sql": b"plain"}))[1][0][1]
    assert "neither .lz4 nor .lz4.gpg" in what


@pytest.mark.parametrize("kept", [0, 300, 512, 900, 1400, 10_000])
def test_a_cut_tar_is_a_stray_and_the_next_object_is_read(kept):
    whole = pack({"a.lz4": b"1", "big.lz4": b"x" * 50_000})
    place = MemoryPlace("bucket", {TAR: whole[:kept], f"{TAR[:-4]}2.tar": pack({"b.lz4": b"2"})})
    found, strays = [], []
    for item in walk_packages(place, NAME):
        if isinstance(item, Package):
            try:
                found.append((item.path, b"".join(map(bytes, item.chunks()))))
            except StreamError:
                found.append((item.path, None))
        else:
            strays.append(item)
    assert ("b.lz4", b"2") in found
    assert all(content is None for path, content in found if path == "big.lz4")
    assert [stray.key for stray in strays] == [TAR]
    assert "cut short" in strays[0].what


def test_an_object_that_came_in_cut_is_a_stray():
    place = MemoryPlace("bucket", {TAR: pack({"a.lz4": b"1"})[:-512]}, error=StreamError("10 of 20 bytes"))
    packages, strays = walk(place)
    assert packages == {"a.lz4": b"1"}
    assert strays == [(TAR, "10 of 20 bytes")]


@pytest.mark.parametrize("kind", ["bucket", "archive"])
def test_a_place_that_cannot_be_read_is_no_stray(kind):
    contents = {TAR: pack({"a.lz4": b"1"})[:100]} if kind == "bucket" else {f"{NAME}/a.lz4": b"1"}
    with pytest.raises(EnvironmentUnfit, match="access denied"):
        walk(MemoryPlace(kind, contents, error=EnvironmentUnfit("access denied")))


def test_garbage_is_a_stray():
    packages, strays = walk(MemoryPlace("bucket", {TAR: b"no tar at all" * 1000}))
    assert packages == {}
    assert "no tar header" in strays[0][1]
