"""A record of a perfect rehearsal with real evidence files, to be damaged one thing at a time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from rehearsal.backup_set import ArtefactState
from rehearsal.inventory import DatabaseInventory, FilesInventory, LineFile, TableInventory
from rehearsal.record import LossProof, MarkState, PhaseTime, Record, StoreRecord


def write_lines(folder: Path, path: str, lines: list[str]) -> LineFile:
    content = "".join(line + "\n" for line in lines).encode()
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return LineFile(path=path, lines=len(lines), sha256=hashlib.sha256(content).hexdigest())


Sessions = dict[str, tuple[list[str], list[str]]]
Datasets = list[tuple[str, str, str, int | None, str | None, int | None]]


def make_links(
    folder: Path, moment: str, sessions: Sessions | None = None, datasets: Datasets | None = None
) -> dict[str, LineFile]:
    """Sessions with their owners and the others who see them; datasets as (file, session, dataset, size, storage,
    state). By default one session with one dataset, which has no file."""
    sessions = {"s1": (["jaas/y"], [])} if sessions is None else sessions
    datasets = [("", "s1", "d1", None, None, None)] if datasets is None else datasets
    lines = {
        "sessions": [f'["{name}"]\t{json.dumps([2, *users])}' for name, users in sessions.items()],
        "datasets": [f"{json.dumps(row[:3])}\t{json.dumps(row[3:])}" for row in datasets],
    }
    return {
        name: write_lines(folder, f"inventory/{moment}/session-db/{name}.links", sorted(those))
        for name, those in lines.items()
    }


def make_database(folder: Path, moment: str, rows: dict[str, int] | None = None) -> DatabaseInventory:
    """Table public.session with these key → digest rows."""
    rows = {"a": 10, "b": 20} if rows is None else rows
    lines = sorted(f'["{key}"]\t{digest}' for key, digest in rows.items())
    table = TableInventory(
        rows=len(rows),
        digest=str(sum(rows.values())),
        key=("sessionid",),
        row_lines=write_lines(folder, f"inventory/{moment}/session-db/public.session.rows", lines),
    )
    return DatabaseInventory(
        store="session-db",
        taken_at="2026-01-01T00:00:00Z",
        server_version="15",
        tables={"public.session": table},
        sequences={"rehearsal_extras.s": "7 t"},
        schema_objects={"function rehearsal_extras.f()": "text"},
        link_lines=make_links(folder, moment),
    )


def make_files(folder: Path, moment: str, files: dict[str, bytes] | None = None, mode: str = "0644") -> FilesInventory:
    files = {"ab/ab1": b"one"} if files is None else files
    lines = [
        json.dumps([path, "file", len(content), hashlib.sha256(content).hexdigest(), mode, 1000, 1000, ""])
        for path, content in sorted(files.items())
    ]
    return FilesInventory(
        store="file-storage-0",
        taken_at="2026-01-01T00:00:00Z",
        entry_lines=write_lines(folder, f"inventory/{moment}/file-storage-0/entries", lines),
        files=len(files),
        directories=0,
        bytes=sum(map(len, files.values())),
    )


def _mark(kind: str, found: bool) -> MarkState:
    return MarkState.model_validate(
        {
            "kind": kind,
            "place": "rehearsal_extras.mark",
            "written": f"{kind}-1",
            "written_at": "2026-01-01T00:00:00Z",
            "found": f"{kind}-1" if found else None,
            "looked": True,
        }
    )


def make_record(folder: Path) -> Record:
    """Session-db was lost and came back; file-storage-0 was not lost."""
    return Record(
        tool_version="0",
        run_id="r",
        scenario="lose-session-db",
        title="t",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:05Z",
        command="rehearsal run lose-session-db",
        cluster="local",
        does_not_prove=(),
        seed=1,
        size="s",
        method="kubectl-copy",
        runbook="manual",
        loss="delete",
        stores=[
            StoreRecord(
                name="session-db",
                kind="database",
                lost=True,
                before=make_database(folder, "before"),
                after=make_database(folder, "after"),
                nonce=_mark("nonce", found=True),
                marker=_mark("marker", found=False),
                loss=LossProof(
                    claim_name="data-x", claim_before="1", claim_after="2", claim_expected_new=True, leftovers=()
                ),
            ),
            StoreRecord(
                name="file-storage-0",
                kind="files",
                lost=False,
                before=make_files(folder, "before"),
                after=make_files(folder, "after"),
                nonce=_mark("nonce", found=True),
                marker=_mark("marker", found=True),
                claim_start="3",
                claim_end="3",
            ),
        ],
        artefacts=(
            ArtefactState(
                path="session-db.sql", expected_size=3, found_size=3, expected_sha256="ab", found_sha256="ab"
            ),
        ),
        phases=[PhaseTime(name="deploy", seconds=1.0)],
        completed=True,
    )
