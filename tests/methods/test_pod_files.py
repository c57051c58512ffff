"""A pod's files as a backup's source: what `find` lists, what tar hands over, and a stream that is cut."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import pytest

from rehearsal.builtin_backup.sources import SourceFile
from rehearsal.deployment import Deployment, FilesSpec
from rehearsal.errors import CommandFailed, RehearsalError, StreamError
from rehearsal.journal import Journal
from rehearsal.methods.pod_files import PodFiles
from rehearsal.roles import Cluster, ExecResult, Stage, Transfer

FILES = {"ab/ab1": b"one", "cd/cd 2": b"two" * 1000, "cd/cd\n3": b""}


@dataclass
class FilesCluster:
    """Plays a pod with FILES in it.

    Attributes:
        cut: how many bytes of the tar stream come through; None: all.
        status: of `find`.
    """

    cut: int | None = None
    status: int = 0
    fails: Exception | None = None
    fed: list[bytes] = field(default_factory=list)

    def exec(self, pod: str, argv: Sequence[str], *, stdin: Any = None, stdout: IO[bytes] | None = None) -> ExecResult:
        assert pod == "file-storage-0"
        if self.fails is not None and argv[0] == "tar":
            raise self.fails
        said = b""
        if argv[0] == "find":
            said = b"".join(f"{len(content)} {path}\0".encode() for path, content in FILES.items())
        else:
            self.fed.append(stdin)
            packed = _pack([name.decode() for name in stdin.split(b"\0") if name])
            assert stdout is not None
            stdout.write(packed[: self.cut])
        none = Transfer(0, "")
        return ExecResult(" ".join(argv), self.status, said, b"find: no", 0, none, none, 0.0)


def _pack(paths: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            if path in FILES:
                member = tarfile.TarInfo(path)
                member.size = len(FILES[path])
                tar.addfile(member, io.BytesIO(FILES[path]))
    return buffer.getvalue()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


def open_source(cluster: FilesCluster, journal: Journal, folder: Path) -> PodFiles:
    deployment = Deployment(databases=())
    reported: list[ExecResult] = []
    stage = Stage(
        cluster=cast(Cluster, cluster),
        deployment=deployment,
        stores=deployment.stores,
        lost=deployment.stores,
        backup_folder=folder,
        logs=folder,
        private=folder,
        run_id="r",
        values_copy="",
        journal=journal,
        report_command=lambda _, result: reported.append(result),
    )
    return PodFiles(stage, FilesSpec())


def read_all(source: PodFiles, paths: Sequence[str]) -> dict[str, bytes]:
    return {path: b"".join(chunks) for path, chunks in source.read(paths)}


def test_files_are_listed_with_their_sizes(journal: Journal, tmp_path: Path) -> None:
    source = open_source(FilesCluster(), journal, tmp_path)
    assert list(source.list_files()) == [SourceFile(path, len(content)) for path, content in FILES.items()]


def test_what_was_uploaded_later_is_not_there(journal: Journal, tmp_path: Path) -> None:
    source = PodFiles(open_source(FilesCluster(), journal, tmp_path).stage, FilesSpec(), lambda path: path == "ab/ab1")
    assert [file.path for file in source.list_files()] == ["ab/ab1"]


def test_a_failed_listing_is_an_error(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="status 1; it said: find: no"):
        list(open_source(FilesCluster(status=1), journal, tmp_path).list_files())


def test_content_comes_as_it_is_and_names_go_in_whole(journal: Journal, tmp_path: Path) -> None:
    cluster = FilesCluster()
    assert read_all(open_source(cluster, journal, tmp_path), list(FILES)) == FILES
    assert cluster.fed == [b"ab/ab1\0cd/cd 2\0cd/cd\n3\0"]


def test_a_file_that_vanished_is_not_handed_over(journal: Journal, tmp_path: Path) -> None:
    assert read_all(open_source(FilesCluster(), journal, tmp_path), ["ab/ab1", "gone"]) == {"ab/ab1": b"one"}


def test_nothing_asked_for_starts_nothing(journal: Journal, tmp_path: Path) -> None:
    cluster = FilesCluster()
    assert read_all(open_source(cluster, journal, tmp_path), []) == {}
    assert cluster.fed == []


@pytest.mark.parametrize("cut", [0, 512, 700, 1024])
def test_a_cut_stream_is_an_error_though_its_status_is_0(cut: int, journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="cut short"):
        read_all(open_source(FilesCluster(cut=cut), journal, tmp_path), list(FILES))


def test_the_clusters_own_error_is_the_one_that_is_told(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="the pod is gone"):
        read_all(open_source(FilesCluster(fails=RehearsalError("the pod is gone")), journal, tmp_path), list(FILES))


def test_a_command_that_fails_behind_a_whole_archive_is_told(journal: Journal, tmp_path: Path) -> None:
    class FailsLate(FilesCluster):
        def exec(
            self, pod: str, argv: Sequence[str], *, stdin: Any = None, stdout: IO[bytes] | None = None
        ) -> ExecResult:
            super().exec(pod, argv, stdin=stdin, stdout=stdout)
            raise StreamError("the two ends disagree")

    with pytest.raises(StreamError, match="the two ends disagree"):
        read_all(open_source(FailsLate(), journal, tmp_path), list(FILES))


def test_a_damaged_stream_is_the_reason_that_is_told_not_that_nobody_read_on(journal: Journal, tmp_path: Path) -> None:
    @dataclass
    class Damaged(FilesCluster):
        told: list[Exception] = field(default_factory=list)

        def exec(
            self, pod: str, argv: Sequence[str], *, stdin: Any = None, stdout: IO[bytes] | None = None
        ) -> ExecResult:
            assert stdout is not None
            try:
                while True:  # a header that is none, and a pod that goes on
                    stdout.write(b"\1" * (1 << 20))
            except BrokenPipeError as error:
                self.told.append(error)
                raise

    cluster = Damaged()
    with pytest.raises(StreamError):
        read_all(open_source(cluster, journal, tmp_path), list(FILES))
    assert len(cluster.told) == 1
