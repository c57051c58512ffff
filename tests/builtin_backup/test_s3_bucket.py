"""The bucket against a real S3 server, and where that one never fails, against a fake one."""

import hashlib
import itertools
import socket
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import pytest
from fake_s3 import list_page, refuse, serve
from pydantic import SecretStr

from rehearsal.builtin_backup import s3_bucket
from rehearsal.builtin_backup.names import parse_name
from rehearsal.builtin_backup.places import ObjectMissing
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.errors import RehearsalError, StreamError, UsageError
from rehearsal.journal import Journal
from rehearsal.shell import Shell

FILES = "file-storage-0_2026-04-30T01:10:00.123456789Z"
LATER = "file-storage-0_2026-05-01T01:10:00.5Z"
DUMP = "session-db-db-backup_2026-04-30T01:15:00Z"
TAR = f"{FILES}/storage/backup/_small_files.tar"
SECRET = "Zq7verysecretindeed0123456789abcdefghijk"
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    journal = Journal(folder / "journal.jsonl")
    with S3Server(Shell(journal), folder / "storage", folder / "log", ("unused-bucket",)) as running:
        yield running
    journal.close()


@pytest.fixture
def bucket(server):
    """An empty one."""
    name = f"bucket-{next(_NUMBERS)}"
    place = S3Bucket(server.access(name))
    place._client.create_bucket(Bucket=name)
    return place


_NUMBERS = itertools.count()


def reach(fake, **fields):
    given = {"access_key": "AKIAEXAMPLE", "secret_key": SecretStr(SECRET), "timeout": 5.0, "attempts": 1, **fields}
    return S3Bucket(S3Access(fake.endpoint, "b-1", **given))


def keys(place, name):
    return [item.key for item in place.objects(parse_name(name))]


def make_blocks(count, size=MIB):
    """Different blocks, each made when it is asked for."""
    for number in range(count):
        yield hashlib.sha256(str(number).encode()).digest() * (size // 32)


# -- rclone serve s3 --------------------------------------------------------------------------------------------------


def test_backups_are_listed_oldest_first_and_what_is_none_is_a_stranger(bucket):
    for key in (f"{LATER}/backup-info", f"{DUMP}/backup-info", TAR, "readme", "some/folder/file"):
        bucket.write(key, [key.encode()])
    assert [str(name) for name in bucket.names()] == [FILES, DUMP, LATER]
    assert bucket.strangers() == ("readme", "some/folder/file")
    (found,) = bucket.objects(parse_name(FILES))
    assert (found.key, found.size, found.modified[-1]) == (TAR, len(TAR), "Z")
    assert bucket.kind == "bucket"


def test_objects_come_in_the_order_of_their_keys(bucket):
    wanted = [f"{FILES}/{name}" for name in ("a-", "a.tar", "a/z", "a0", "backup-info", "storage/backup/x.tar")]
    for key in reversed(wanted):
        bucket.write(key, [b""])
    assert keys(bucket, FILES) == wanted


def test_a_prefix_holds_a_place_of_its_own(bucket):
    inner = S3Bucket(replace(bucket.access, prefix="/some/prefix/"))
    bucket.write(f"{DUMP}/backup-info", [b"outside"])
    inner.write(f"{FILES}/backup-info", [b"inside"])
    assert [str(name) for name in inner.names()] == [FILES]
    assert keys(inner, FILES) == [f"{FILES}/backup-info"]
    assert b"".join(inner.read(f"{FILES}/backup-info")) == b"inside"
    assert b"".join(bucket.read(f"some/prefix/{FILES}/backup-info")) == b"inside"
    assert inner.strangers() == ()
    inner.remove(parse_name(FILES))
    assert inner.names() == ()
    assert [str(name) for name in bucket.names()] == [DUMP]


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB + 7])
def test_what_is_written_is_read_again(bucket, size):
    content = b"".join(make_blocks(21))[:size]
    pieces = (content[start : start + 300_000] for start in range(0, size, 300_000))
    assert bucket.write(TAR, pieces) == size
    chunks = list(bucket.read(TAR))
    assert b"".join(chunks) == content
    assert max(map(len, chunks), default=0) <= MIB
    assert [item.size for item in bucket.objects(parse_name(FILES))] == [size]


def test_streams_need_no_memory_to_speak_of(bucket):
    bucket.write("warm/up", [b""])
    tracemalloc.start()
    try:
        bucket.write(TAR, make_blocks(96))
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        digest = hashlib.sha512()
        for chunk in bucket.read(TAR):
            digest.update(chunk)
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert digest.digest() == hashlib.sha512(b"".join(make_blocks(96))).digest()
    assert written < 40 * MIB
    assert read < 8 * MIB


def test_a_source_that_fails_leaves_no_object_and_no_half_upload(bucket):
    def broken():
        yield from make_blocks(20)
        raise ValueError("the source broke")

    bucket.write(f"{FILES}/backup-info", [b"x"])
    with pytest.raises(ValueError, match="the source broke"):
        bucket.write(TAR, broken())
    assert keys(bucket, FILES) == [f"{FILES}/backup-info"]
    uploads = bucket._client.list_multipart_uploads(Bucket=bucket.access.bucket)
    assert uploads.get("Uploads", []) == []


def test_parts_grow_so_that_500_gb_fit(monkeypatch):
    monkeypatch.setattr(s3_bucket, "_PART", 8)  # bytes, not MiB
    sizes = [len(part) for part in s3_bucket._gather(itertools.repeat(bytes(1000), 500))]
    assert sum(sizes) == 500_000
    assert len(sizes) < 10_000
    assert sizes[0] == sizes[999] == 8
    assert (sizes[1000], sizes[2000], sizes[3000], sizes[-2]) == (16, 32, 64, 64)


def test_an_object_that_is_not_there_is_missing(bucket):
    with pytest.raises(ObjectMissing) as caught:
        next(bucket.read(f"{FILES}/absent:x"))
    assert f"s3://{bucket.access.bucket} at {bucket.access.endpoint}: {FILES}/absent:x" in str(caught.value)


def test_a_backup_is_removed_whole_and_no_other(bucket):
    for key in (f"{FILES}/backup-info", f"{FILES}/archive-info", TAR, f"{LATER}/backup-info"):
        bucket.write(key, [b"x"])
    bucket.remove(parse_name(FILES))
    bucket.remove(parse_name(FILES))
    assert [str(name) for name in bucket.names()] == [LATER]


def test_one_client_serves_threads(bucket):
    from concurrent.futures import ThreadPoolExecutor

    for number in range(8):
        bucket.write(f"{FILES}/{number}", [bytes([number]) * 100_000])
    fresh = S3Bucket(bucket.access)
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda number: b"".join(fresh.read(f"{FILES}/{number}")), range(8)))
    assert contents == [bytes([number]) * 100_000 for number in range(8)]


# -- what rclone cannot be made to do ---------------------------------------------------------------------------------


def test_twelve_thousand_objects_come_page_by_page():
    stored = [(f"{FILES}/storage/backup/{number:05}.tar", number) for number in range(12_000)]
    stored.append((f"{DUMP}/backup-info", 1))
    with serve(lambda asked: list_page(stored, asked)) as fake:
        bucket = reach(fake)
        found = list(bucket.objects(parse_name(FILES)))
        assert [(item.key, item.size) for item in found] == stored[:-1]
        assert found[0].modified == "2026-04-30T01:10:00.000Z"
        assert len(fake.asked) == 12
        fake.asked.clear()
        assert [str(name) for name in bucket.names()] == [FILES, DUMP]
        assert len(fake.asked) == 1, "a backup's objects are not listed to learn its name"


def test_keys_that_no_file_system_may_see_are_strangers():
    stored = [(f"{FILES}/../../etc/passwd", 1), (f"{FILES}//x", 1), (f"{FILES}/ok", 1), (f"{FILES}/folder/", 0)]
    with serve(lambda asked: list_page(stored, asked)) as fake:
        bucket = reach(fake)
        assert keys(bucket, FILES) == [f"{FILES}/ok"]
        assert set(bucket.strangers()) == {f"{FILES}/../../etc/passwd", f"{FILES}//x"}


def test_a_server_that_lists_only_its_first_page_is_an_error_not_a_small_bucket():
    def answer(asked):
        status, headers, body = list_page([(f"{FILES}/{number}", 1) for number in range(9)], asked, page=5)
        begin, end = body.index(b"<NextC"), body.index(b"</NextContinuationToken>") + len(b"</NextContinuationToken>")
        return status, headers, body[:begin] + body[end:]

    with serve(answer) as fake, pytest.raises(UsageError, match="lists only the first page"):
        keys(reach(fake), FILES)


@contextmanager
def cut_after(*sizes, content, ranges=True, replaced=False, **fields):
    """A server whose first answers end after so many bytes, although they promised all."""
    cuts = iter(sizes)
    versions = itertools.count()

    def answer(asked):
        version = f'"{next(versions) if replaced else 0}"'
        if asked.headers.get("if-match", version) != version:
            return refuse(412, "PreconditionFailed")
        start = int(asked.headers["range"].removeprefix("bytes=").rstrip("-")) if "range" in asked.headers else 0
        headers = {"ETag": version, "Last-Modified": "Thu, 30 Apr 2026 01:10:00 GMT"}
        if start and ranges:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        else:
            start = 0
        left = content[start:]
        return (206 if start else 200), {**headers, "Content-Length": str(len(left))}, left[: next(cuts, None)]

    with serve(answer) as fake:
        yield fake, reach(fake, **fields)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(ranges):
    content = b"".join(make_blocks(5)) + b"end"
    cuts = (2 * MIB + 5, MIB) if ranges else (2 * MIB + 5, 3 * MIB)
    with cut_after(*cuts, content=content, ranges=ranges, attempts=3) as (fake, bucket):
        assert b"".join(bucket.read(TAR)) == content
    asked = [request.headers.get("range") for request in fake.asked]
    assert asked[0] is None
    assert [request.headers.get("if-match") for request in fake.asked] == [None, '"0"', '"0"']
    assert len(asked) == 3
    assert all(request.startswith("bytes=") for request in asked[1:])


def test_a_download_that_is_always_cut_is_a_stream_error_with_both_figures():
    content = bytes(3 * MIB)
    with cut_after(MIB, 10, 20, 30, content=content, attempts=3) as (fake, bucket):
        with pytest.raises(
            StreamError, match=f"{MIB + 30} bytes came of {3 * MIB}: the download was cut, tried 3 times"
        ):
            list(bucket.read(TAR))
        assert len(fake.asked) == 3


def test_a_cut_download_is_not_tried_again_where_that_is_not_allowed():
    with cut_after(7, content=bytes(100), attempts=1) as (fake, bucket):
        with pytest.raises(StreamError, match="7 bytes came of 100: the download was cut, tried once"):
            list(bucket.read(TAR))
        assert len(fake.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_two_halves_of_different_objects_are_never_joined(ranges):
    with (
        cut_after(7, content=bytes(100), attempts=3, replaced=True, ranges=ranges) as (_, bucket),
        pytest.raises(StreamError, match="7 bytes came of 100, then the download was cut and the object replaced"),
    ):
        list(bucket.read(TAR))


def test_the_halves_of_an_object_replaced_by_a_server_without_etags_are_not_joined():
    answers = iter([b"1234567", b"7654321abc"])

    def answer(asked):
        body = next(answers)
        changed = "Thu, 30 Apr 2026 01:10:00 GMT" if body[0] == 49 else "Thu, 30 Apr 2026 01:10:01 GMT"
        return 200, {"ETag": '""', "Last-Modified": changed, "Content-Length": "10"}, body

    with serve(answer) as fake, pytest.raises(StreamError, match="the object replaced"):
        list(reach(fake, attempts=3).read(TAR))
    assert all("if-match" not in request.headers for request in fake.asked)


def test_an_upload_that_the_server_lists_with_another_size_is_a_stream_error():
    def answer(asked):
        return list_page([(TAR, 3)], asked) if asked.method == "GET" else (200, {"ETag": '"x"'}, b"")

    with serve(answer) as fake, pytest.raises(StreamError, match="5 bytes were sent, the bucket lists 3"):
        reach(fake).write(TAR, [b"12345"])


def test_info_files_are_removed_first_and_a_server_that_keeps_them_is_found_out():
    stored = [(TAR, 1), (f"{FILES}/backup-info", 1), (f"{FILES}/a.tar", 1)]

    def answer(asked):
        return list_page(stored, asked) if asked.method == "GET" else (204, {}, b"")

    with serve(answer) as fake:
        with pytest.raises(RehearsalError, match="still lists it"):
            reach(fake).remove(parse_name(FILES))
        deleted = [request.path for request in fake.asked if request.method == "DELETE"]
    assert len(deleted) == 3
    assert deleted[0].endswith("/backup-info")


def test_no_checksum_is_sent_or_asked_for_that_older_servers_refuse():
    def answer(asked):
        if asked.query.get("list-type"):
            return list_page([(TAR, 5)], asked)
        return 200, {"ETag": '"x"'}, b"12345" if asked.method == "GET" else b""

    with serve(answer) as fake:
        bucket = reach(fake)
        bucket.write(TAR, [b"12345"])
        list(bucket.read(TAR))
        sent = {name for request in fake.asked for name in request.headers}
    assert "x-amz-content-sha256" in sent
    assert not {name for name in sent if "checksum" in name or name in ("x-amz-trailer", "content-encoding")}


@pytest.mark.parametrize("path_style", [True, False])
def test_a_bucket_is_addressed_by_path_or_by_host(path_style, monkeypatch):
    real = socket.getaddrinfo

    def resolve(host, *args, **options):
        return real("127.0.0.1" if str(host).endswith("s3.test") else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("no_proxy", "*")
    with serve(lambda asked: list_page([], asked)) as fake:
        port = fake.endpoint.rpartition(":")[2]
        access = S3Access(
            f"http://s3.test:{port}",
            "b-1",
            region="regionOne",
            path_style=path_style,
            access_key="AKIAEXAMPLE",
            secret_key=SecretStr(SECRET),
        )
        assert S3Bucket(access).names() == ()
    (asked,) = fake.asked
    host, path = (f"s3.test:{port}", "/b-1") if path_style else (f"b-1.s3.test:{port}", "/")
    assert (asked.headers["host"], asked.path.rstrip("/") or "/") == (host, path)
    assert "/regionOne/s3/aws4_request" in asked.headers["authorization"]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(lambda asked: list_page([], asked)) as fake:
        assert reach(fake).names() == ()


def test_a_server_that_is_busy_once_is_asked_again():
    answers = iter([refuse(503, "SlowDown")])

    with serve(lambda asked: next(answers, None) or list_page([], asked)) as fake:
        assert reach(fake, attempts=3).names() == ()
        assert len(fake.asked) == 2
