"""A bucket on an S3 server, as a place of backups: listed page by page, read and written as streams.

A download that is cut goes on where it stopped, as often as the access allows, and only while the object is still the
same one; then it is a StreamError with both figures. An upload of unknown length goes in parts that grow, so memory
stays flat and 500 GB still fit into S3's 10,000 parts. Facts, section 6.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore import exceptions as boto

from rehearsal.builtin_backup.names import BackupName, parse_name
from rehearsal.builtin_backup.places import (
    Kind,
    StoredObject,
    find_owner,
    order_removal,
    pick_strangers,
    show_key,
)
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_errors import S3_FAILURES, Action, explain, not_s3
from rehearsal.errors import RehearsalError, StreamError, UsageError

_CHUNK = 1 << 20
_PART = 8 << 20
_PARTS_OF_A_SIZE = 1000
_DOUBLINGS = 3
_CUT = (boto.HTTPClientError, boto.IncompleteReadError, OSError)
_Version = tuple[str, datetime | None]
"""ETag, which a server may leave empty, and last change."""

_CHANGED = ("PreconditionFailed", "412", "InvalidRange", "416")


class S3Bucket:
    """A bucket; one client for all threads. Keys are told and taken without the access's prefix."""

    kind: Kind = "bucket"

    def __init__(self, access: S3Access) -> None:
        self.access = access
        self.shown = access.shown
        self._lock = threading.Lock()

    def names(self) -> tuple[BackupName, ...]:
        """Oldest first; a page of 1,000 backups a request, however many objects they have."""
        found: set[BackupName] = set()
        for page in self._list("", delimiter="/"):
            heads = [head["Prefix"] for head in page.get("CommonPrefixes", ())]
            for key in (*heads, *(item["Key"] for item in page.get("Contents", ()))):
                first, slash, _ = self._strip(key).partition("/")
                name = parse_name(first) if slash else None
                if name is not None:
                    found.add(name)
        return tuple(sorted(found))

    def strangers(self) -> tuple[str, ...]:
        """The first 20; reads the whole listing where there are fewer."""
        return pick_strangers(item.key for item in self._items(""))

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        """A page of 1,000 held at a time, in the server's order, which S3 defines as that of the keys."""
        for item in self._items(f"{name}/"):
            if find_owner(item.key) == name:
                yield item

    def read(self, key: str) -> Iterator[bytes]:
        """In chunks of at most 1 MiB, as they arrive; nothing is kept."""
        done, size, why = 0, -1, ""
        version: _Version = ("", None)
        for _ in range(self.access.attempts):
            body, start, size, version = self._fetch(key, done, size, version)
            try:
                while chunk := body.read(_CHUNK):
                    fresh = chunk[max(0, done - start) :]  # a server without ranges begins again
                    start += len(chunk)
                    done += len(fresh)
                    if fresh:
                        yield fresh
            except _CUT as error:
                timed_out = isinstance(error, boto.ReadTimeoutError)
                why = f"; nothing came for {self.access.timeout:g} s" if timed_out else ""
            finally:
                body.close()
            if done == size:
                return
        times = "once" if self.access.attempts == 1 else f"{self.access.attempts} times"
        raise StreamError(
            f"{done} bytes came of {size}: the download was cut, tried {times}{why}",
            where=f"{self.shown}: {show_key(self.access.key_prefix + key)}",
            hint="try again; is a proxy or a load balancer in between?",
        )

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """One request below 8 MiB, a multipart upload from there on."""
        parts = _gather(chunks)
        first = next(parts, bytearray())
        second = next(parts, None)
        if second is None:
            size = len(first)
            with self._explained("write", key):
                self._client.put_object(Bucket=self.access.bucket, Key=self.access.key_prefix + key, Body=first)
        else:
            size = self._upload(key, _chain(first, second, parts))
        listed = next((item.size for item in self._items(key) if item.key == key), None)
        if listed != size:
            raise StreamError(
                f"{size} bytes were sent, the bucket lists {'none' if listed is None else listed}",
                where=f"{self.shown}: {show_key(self.access.key_prefix + key)}",
            )
        return size

    def remove(self, name: BackupName) -> None:
        """A request an object: the call for many at once needs a checksum that older servers do not know."""
        for key in order_removal([item.key for item in self._items(f"{name}/")]):
            with self._explained("delete", key):
                self._client.delete_object(Bucket=self.access.bucket, Key=self.access.key_prefix + key)
        left = next((item.key for item in self._items(f"{name}/")), None)
        if left is not None:
            raise RehearsalError(
                "it was deleted, and the bucket still lists it", where=f"{self.shown}: {show_key(left)}"
            )

    @cached_property
    def _made(self) -> Any:
        with self._explained("list"):
            return self.access.make_client()

    @property
    def _client(self) -> Any:
        with self._lock:
            return self._made

    @contextmanager
    def _explained(self, action: Action, key: str = "") -> Iterator[None]:
        try:
            yield
        except S3_FAILURES as error:
            # without its cause: the client's own text may hold keys
            raise explain(error, self.access, action, self.access.key_prefix + key if key else "") from None

    def _strip(self, key: str) -> str:
        return key.removeprefix(self.access.key_prefix)

    def _items(self, prefix: str) -> Iterator[StoredObject]:
        for page in self._list(prefix):
            for item in page.get("Contents", ()):
                if not (item["Key"].endswith("/") and item["Size"] == 0):  # a folder, as web consoles make them
                    yield StoredObject(self._strip(item["Key"]), item["Size"], _say_instant(item.get("LastModified")))

    def _list(self, prefix: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
        """The pages of a listing; refuses an answer that is none, or that ends although there is more."""
        paginator = self._client.get_paginator("list_objects_v2")
        wanted = {"Delimiter": delimiter} if delimiter else {}
        whole_prefix = self.access.key_prefix + prefix
        pages = iter(paginator.paginate(Bucket=self.access.bucket, Prefix=whole_prefix, **wanted))
        while True:
            with self._explained("list"):
                page = next(pages, None)
            if page is None:
                return
            if "IsTruncated" not in page or "Name" not in page:  # any XML page would pass for an empty bucket
                raise not_s3(self.access)
            yield page
            if page["IsTruncated"] and not page.get("NextContinuationToken"):
                raise UsageError(
                    "the S3 server lists only the first page: it does not know ListObjectsV2", where=self.shown
                )

    def _fetch(self, key: str, done: int, size: int, version: _Version) -> tuple[Any, int, int, _Version]:
        """A body, the byte it starts at (0, or `done` where the server can), the object's whole size and version.

        Args:
            done: bytes that came before the download was cut; 0: begin anew, whatever object it is.
            size, version: of the object they came from.
        """
        wanted = {"Range": f"bytes={done}-"} if done else {}
        if done and version[0].strip('"'):
            wanted["IfMatch"] = version[0]
        where = f"{self.shown}: {show_key(self.access.key_prefix + key)}"
        with self._explained("read", key):
            try:
                answer = self._client.get_object(Bucket=self.access.bucket, Key=self.access.key_prefix + key, **wanted)
            except boto.ClientError as error:
                if done and error.response.get("Error", {}).get("Code") in _CHANGED:
                    raise StreamError(
                        f"{done} bytes came of {size}, then the download was cut and the object replaced", where=where
                    ) from None
                raise
        length = int(answer["ContentLength"])
        ranged = str(answer.get("ContentRange", ""))  # bytes 5-9/10
        start = int(ranged.removeprefix("bytes ").partition("-")[0]) if ranged else 0
        found = (answer.get("ETag", ""), answer.get("LastModified"))
        if done and (start + length != size or start > done or found != version):
            answer["Body"].close()
            raise StreamError(
                f"{done} bytes came of {size}, then the download was cut and the object replaced by another one",
                where=where,
            )
        return answer["Body"], start, start + length, found

    def _upload(self, key: str, parts: Iterator[bytearray]) -> int:
        target = {"Bucket": self.access.bucket, "Key": self.access.key_prefix + key}
        with self._explained("write", key):
            target["UploadId"] = self._client.create_multipart_upload(**target)["UploadId"]
        try:
            size, sent = 0, []
            for number, part in enumerate(parts, 1):
                with self._explained("write", key):
                    answer = self._client.upload_part(**target, PartNumber=number, Body=part)
                sent.append({"PartNumber": number, "ETag": answer["ETag"]})
                size += len(part)
            with self._explained("write", key):
                self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": sent})
        except BaseException:
            with suppress(*S3_FAILURES):  # what matters is why
                self._client.abort_multipart_upload(**target)
            raise
        return size


def _gather(chunks: Iterable[bytes]) -> Iterator[bytearray]:
    """The same bytes in parts of 8 MiB, from the thousandth on of 16, then of 32 and 64."""
    number, part = 0, bytearray()
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            room = (_PART << min(number // _PARTS_OF_A_SIZE, _DOUBLINGS)) - len(part)
            part += rest[:room]
            rest = rest[room:]
            if room == 0:
                yield part
                number, part = number + 1, bytearray()
    if part:
        yield part


def _chain(first: bytearray, second: bytearray, others: Iterator[bytearray]) -> Iterator[bytearray]:
    yield first
    yield second
    yield from others


def _say_instant(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
