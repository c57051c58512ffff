"""Sample records and judgements, as a rehearsal of size s on the local cluster leaves them."""

from __future__ import annotations

from typing import Any

from rehearsal.backup_set import Artefact, ArtefactState, Manifest
from rehearsal.inventory import DatabaseInventory, FilesInventory, LineFile, TableInventory
from rehearsal.record import (
    CommandOutcome,
    ControlPlan,
    HeartbeatState,
    LossProof,
    MarkState,
    PhaseTime,
    Record,
    StoreRecord,
    Trouble,
)
from rehearsal.verdicts import ControlOutcome, Finding, Judgement, UserLoss, UserLosses, Verdict, worst

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
OTHER_DIGEST = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
JUDGED_AT = "2026-04-30T01:12:00.000Z"


def make_database(store: str, rows: int = 13, large_objects: int = 2) -> DatabaseInventory:
    lines = LineFile(path=f"inventory/before/{store}/large.txt", lines=large_objects, sha256=DIGEST)
    return DatabaseInventory(
        store=store,
        taken_at="2026-04-30T01:10:07.000Z",
        server_version="15.14",
        tables={
            "public.session": TableInventory(rows=rows, digest="17", key=("sessionid",), large_object_lines=lines),
            "public.news": TableInventory(rows=1, digest="4", key=("newsid",)),
        },
        seconds=0.31,
    )


def make_files(files: int = 503, size: int = 20_412_345) -> FilesInventory:
    lines = LineFile(path="inventory/before/file-storage-0/entries.txt", lines=files + 200, sha256=DIGEST)
    return FilesInventory(
        store="file-storage-0",
        taken_at="2026-04-30T01:10:08.000Z",
        entry_lines=lines,
        files=files,
        directories=200,
        bytes=size,
        seconds=0.08,
    )


def _mark(kind: Any, found: bool, written_at: str) -> MarkState:
    written = f"{kind}-5e1f"
    return MarkState(
        kind=kind, place="mark", written=written, written_at=written_at, found=written if found else None, looked=True
    )


def make_database_store(name: str = "session-db", *, lost: bool = True, rows_after: int = 13) -> StoreRecord:
    return StoreRecord(
        name=name,
        kind="database",
        lost=lost,
        seeded={"sessions": 13, "datasets": 1204},
        before=make_database(name),
        after=make_database(name, rows_after),
        nonce=_mark("nonce", True, "2026-04-30T01:10:06.000Z"),
        marker=_mark("marker", not lost, "2026-04-30T01:10:16.500Z"),
        loss=LossProof(
            claim_name=f"data-chipster-{name}-postgresql-0",
            claim_before="a1",
            claim_after="b2",
            claim_expected_new=True,
            leftovers=(),
        )
        if lost
        else None,
    )


def make_files_store(*, lost: bool = True) -> StoreRecord:
    return StoreRecord(
        name="file-storage-0",
        kind="files",
        lost=lost,
        seeded={"files": 503},
        before=make_files(),
        after=make_files(),
        nonce=_mark("nonce", True, "2026-04-30T01:10:06.500Z"),
        marker=_mark("marker", not lost, "2026-04-30T01:10:17.000Z"),
    )


def make_record(**changes: Any) -> Record:
    """A record of lose-everything that went well; `changes` replace its fields."""
    artefacts = (
        Artefact(
            path="session-db.sql",
            size=2_345_678,
            sha256=DIGEST,
            store="session-db",
            source="chipster-session-db-postgresql-0: session_db_db",
            command="kubectl exec chipster-session-db-postgresql-0 -- pg_dump",
        ),
        Artefact(
            path="storage",
            kind="tree",
            size=20_412_345,
            sha256=OTHER_DIGEST,
            files=503,
            store="file-storage-0",
            source="file-storage-0:storage",
        ),
        Artefact(path="values.yaml", size=812, sha256=DIGEST),
    )
    fields: dict[str, Any] = {
        "tool_version": "0.1.0",
        "run_id": "2026-04-30T01-10-00Z-4f2a",
        "scenario": "lose-everything",
        "title": "All databases and all files are lost and come back from the manual's backup",
        "started": "2026-04-30T01:10:00.000Z",
        "finished": "2026-04-30T01:10:34.000Z",
        "command": "rehearsal run lose-everything --cluster local --seed 20260430 --size s --values values.yaml",
        "cluster": "local",
        "does_not_prove": (
            "nothing about Kubernetes: no pod, no volume, no image of the real server took part",
            "nothing about the server's services: none was started",
        ),
        "seed": 20260430,
        "size": "s",
        "method": "kubectl copy (cp)",
        "runbook": "Chipster manual, “Server backups”, with kubectl commands: backup-to-file.md, restore.md",
        "loss": "claim deleted, deployed again",
        "values_sources": ("values.yaml",),
        "notes": ("the password of auth was generated for the throwaway system",),
        "not_rehearsed": ("job-history: `enabled: false` in values.yaml",),
        "stores": [make_database_store(), make_database_store("auth"), make_files_store()],
        "manifest": Manifest(method="kubectl-copy", run="2026-04-30T01-10-00Z-4f2a", artefacts=artefacts),
        "artefacts": tuple(
            ArtefactState(
                path=a.path,
                expected_size=a.size,
                found_size=a.size,
                expected_sha256=a.sha256,
                found_sha256=a.sha256,
            )
            for a in artefacts
        ),
        "commands": [
            CommandOutcome(
                phase="back up",
                store="session-db",
                command="kubectl exec -i chipster-session-db-postgresql-0 -- bash -c "
                "'PGPASSWORD=$POSTGRES_PASSWORD pg_dump --clean -U postgres session_db_db' > session-db.sql",
                status=0,
                error_lines=0,
                seconds=1.4,
            ),
            CommandOutcome(
                phase="restore",
                store="session-db",
                command="cat session-db.sql | kubectl exec -i chipster-session-db-postgresql-0 -- bash -c "
                "'PGPASSWORD=$POSTGRES_PASSWORD psql -U postgres session_db_db'",
                status=0,
                error_lines=117,
                seconds=2.2,
            ),
        ],
        "phases": [
            PhaseTime(name="deploy", seconds=4.1),
            PhaseTime(name="seed", seconds=1.9),
            PhaseTime(name="inventory before", seconds=0.9),
            PhaseTime(name="back up", seconds=6.0, command_seconds=5.2),
            PhaseTime(name="mark", seconds=0.02),
            PhaseTime(name="lose", seconds=5.5, command_seconds=5.0),
            PhaseTime(name="prove the loss", seconds=0.3),
            PhaseTime(name="restore", seconds=7.2, command_seconds=6.9),
            PhaseTime(name="inventory after", seconds=1.0),
            PhaseTime(name="remove", seconds=2.0),
        ],
        "versions": {"postgres": "15.14", "pg_dump": "15.14", "psql": "15.14", "python": "3.11.2"},
        "completed": True,
    }
    return Record(**(fields | changes))


def passes(check: str, subject: str, message: str = "as it was") -> Finding:
    return Finding(check=check, verdict=Verdict.PASS, subject=subject, message=message)


def fails(check: str, subject: str, message: str = "rows changed", *details: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, subject=subject, message=message, details=details)


def untold(check: str, subject: str, message: str = "nobody looked: there is nothing to judge") -> Finding:
    return Finding(check=check, verdict=Verdict.INCONCLUSIVE, subject=subject, message=message)


def make_judgement(*findings: Finding, control: ControlOutcome | None = None) -> Judgement:
    return Judgement(verdict=worst(f.verdict for f in findings), findings=findings, control=control)


def good_findings() -> tuple[Finding, ...]:
    databases, stores = ("session-db", "auth"), ("session-db", "auth", "file-storage-0")
    return (
        passes("completed", "lose-everything", "every phase was gone through: 10"),
        *(passes("loss", s, "a new claim, empty before the restore") for s in stores),
        *(passes("nonce", s, "written 2026-04-30T01:10:06Z, found again in rehearsal_extras.mark") for s in stores),
        *(passes("marker", s, "not in rehearsal_extras.mark, as it must be") for s in stores),
        *(passes("backup-set", a, "SHA-256 as written") for a in ("session-db.sql", "storage", "values.yaml")),
        *(
            passes(check, s, "1217 compared, no difference")
            for check in ("tables", "rows", "large-objects", "sequences", "schema")
            for s in databases
        ),
        passes("files", "file-storage-0", "703 compared, no difference"),
    )


def damaged_findings() -> tuple[Finding, ...]:
    """25 failing findings over good ones: rows changed, large objects and files missing."""
    return (
        *good_findings(),
        *(
            fails("rows", f'session-db: public.dataset ["6f0c2f6e-8a1b-4d5c-9e7f-0000000000{n:02d}"]', "rows changed")
            for n in range(20)
        ),
        fails("rows", "session-db", "… and 1183 more differences of this kind"),
        fails(
            "large-objects",
            'session-db: public.session ["6f0c2f6e-8a1b-4d5c-9e7f-000000000001"] notes',
            "large object missing: expected 4096 bytes, found dangling",
        ),
        fails(
            "files",
            "file-storage-0: ab/ab12f6e0-8a1b-4d5c-9e7f-000000000001",
            "file changed: size 12 → 0, sha256 differs",
        ),
        fails("files", "file-storage-0: ab/odd\nname\u202egnp.exe", "file extra"),
        fails(
            "untouched",
            "auth",
            "a store that was not lost changed: 2 differences",
            "rows changed: a",
            "rows changed: b",
        ),
    )


def broken_record() -> Record:
    return make_record(
        finished="2026-04-30T01:10:19.000Z",
        completed=False,
        phases=[
            PhaseTime(name="deploy", seconds=4.1),
            PhaseTime(name="seed", seconds=1.9),
            PhaseTime(name="inventory before", seconds=0.9),
            PhaseTime(name="back up", seconds=12.0, command_seconds=1.2, error="the disk is full"),
        ],
        manifest=None,
        artefacts=(),
        stores=[make_database_store().model_copy(update={"after": None, "marker": None, "loss": None})],
        troubles=[
            Trouble(
                phase="back up",
                message="cannot write it: No space left on device\n(session-db.sql, after 1.2 MB)",
                where="runs/2026-04-30T01-10-00Z-4f2a/lose-everything/backup/session-db.sql",
                hint="df -h runs; or give --runs DIR on another disk",
                log="logs/trouble-1.txt",
            )
        ],
    )


def broken_findings() -> tuple[Finding, ...]:
    return (
        untold("completed", "back up", "cannot write it: No space left on device"),
        untold("loss", "session-db", "nobody looked at the store between loss and restore: there is nothing to judge"),
        untold("nonce", "session-db", "nobody looked for the nonce: there is nothing to judge"),
        untold("rows", "session-db", "no inventory before or after: there is nothing to judge"),
    )


def control_record() -> Record:
    return make_record(
        scenario="control-row-changed",
        title="One row is changed after the restore",
        control=ControlPlan(
            tampering="one row changed",
            why="an UPDATE by hand during a restore at night; row counts stay equal",
            expects_check="rows",
            expects_subject="public.session",
        ),
    )


def control_judgement(*, caught: bool) -> Judgement:
    outcome = ControlOutcome(
        tampering="one row changed",
        why="an UPDATE by hand during a restore at night; row counts stay equal",
        expects_check="rows",
        expects_subject="public.session",
        caught=caught,
    )
    found = fails("rows", 'session-db: public.session ["6f0c2f6e"]', "rows changed")
    return make_judgement(*good_findings(), *([found] if caught else []), control=outcome)


def make_user_losses(users: int = 2) -> UserLosses:
    """User 0 lost two datasets of a session, user 1 cannot log in, the others lost a dataset each."""
    lost = [
        UserLoss(
            user="jaas/u0", sessions=1, datasets=2, first=("session s0: lost dataset d0: file ab/ab1 is missing",)
        ),
        UserLoss(user="jaas/u1", cannot_log_in=True),
        *(UserLoss(user=f"jaas/u{n}", sessions=1, datasets=1, first=(f"session s{n}: lost",)) for n in range(2, users)),
    ]
    return UserLosses(users=tuple(lost[:users]), sessions=users - 1, of_sessions=412, datasets=users, logins=1)


def with_heartbeat(store: StoreRecord, at: str | None, beat: int = 7) -> StoreRecord:
    """The store, restored to that instant; None: no heartbeat came back."""
    state = HeartbeatState(
        place="mark",
        beats=9,
        first_at="2026-04-30T01:10:07.000Z",
        last_at="2026-04-30T01:10:12.000Z",
        found_beat=None if at is None else beat,
        found_at=at,
        looked=True,
    )
    return store.model_copy(update={"heartbeat": state})
