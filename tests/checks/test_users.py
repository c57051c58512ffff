"""Sessions and logins in users' words: what a healthy server has is green, each single loss is named for its user."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from record_builder import Datasets, Sessions, make_database, make_files, make_links, make_record, write_lines

from rehearsal.checks import Evidence, find_user_losses, name_unasked
from rehearsal.checks.users import check_logins, check_sessions
from rehearsal.inventory import DatabaseInventory, FilesInventory
from rehearsal.judging import judge
from rehearsal.record import Record, StoreRecord
from rehearsal.verdicts import Finding, UserLoss, Verdict

HERE = "file-storage-0"
SESSIONS: Sessions = {"s1": (["jaas/y"], ["jaas/z"]), "s2": (["jaas/z"], []), "s3": ([], [])}
# Healthy oddities: no file, one file for two datasets, an upload that broke off, an old gap, a row without a dataset.
DATASETS: Datasets = [
    ("", "s1", "d0", None, None, None),
    ("ab1", "s1", "d1", 3, HERE, 1),
    ("ab1", "s2", "d2", 3, HERE, 1),
    ("cd2", "s2", "d3", 5, HERE, 1),
    ("ef3", "s2", "d4", 9, HERE, 0),
    ("fa4", "s1", "d5", 7, HERE, 1),
    ("fb5", "", "", 1, HERE, 1),
]
FILES = {"99/99f": b"an old orphan", "ab/ab1": b"one", "cd/cd2": b"two!!", "ef/ef3": b"ef", "fb/fb5": b"5"}


def make_side(folder: Path, moment: str, sessions: Sessions, datasets: Datasets) -> DatabaseInventory:
    database = make_database(folder, moment)
    return database.model_copy(update={"link_lines": make_links(folder, moment, sessions, datasets)})


def perform(
    folder: Path,
    sessions: Sessions | None = None,
    datasets: Datasets | None = None,
    files: dict[str, bytes] | None = None,
    lost: tuple[str, ...] = ("session-db", HERE),
) -> Record:
    """A rehearsal of the data above; what is given was found after it."""
    record = make_record(folder)
    database, storage = record.stores
    database.before = make_side(folder, "before", SESSIONS, DATASETS)
    database.after = make_side(
        folder, "after", SESSIONS if sessions is None else sessions, DATASETS if datasets is None else datasets
    )
    storage.before = make_files(folder, "before", FILES)
    storage.after = make_files(folder, "after", FILES if files is None else files)
    for store in record.stores:
        store.lost = store.name in lost
    return record


def ask(record: Record, folder: Path) -> list[Finding]:
    return list(check_sessions(Evidence(record, folder)))


def without(*gone: str) -> dict[str, bytes]:
    return {path: content for path, content in FILES.items() if path not in gone}


def change_rows(file: str, *values: object) -> Datasets:
    return [(*row[:3], *values) if row[0] == file else row for row in DATASETS]  # type: ignore[misc]


def test_a_healthy_server_with_all_its_oddities_is_pass(tmp_path: Path) -> None:
    (finding,) = ask(perform(tmp_path), tmp_path)
    assert (finding.verdict, finding.message) == (Verdict.PASS, "2 of 2 sessions can be opened")
    assert find_user_losses(Evidence(perform(tmp_path), tmp_path)) is None


def test_a_missing_file_is_named_for_every_session_that_had_it(tmp_path: Path) -> None:
    summary, *lost = ask(perform(tmp_path, files=without("ab/ab1")), tmp_path)
    assert summary.verdict is Verdict.FAIL
    assert summary.message == (
        "0 of 2 sessions can be opened; session s1 of jaas/y lost dataset d1: file ab/ab1 is missing; "
        "new rows without a file: 1"
    )
    assert summary.details == ("dangling: a row, no file: ab/ab1",)
    assert [(found.subject, found.message) for found in lost] == [
        ("session s1 of jaas/y", "lost dataset d1: file ab/ab1 is missing"),
        ("session s2 of jaas/z", "lost dataset d2: file ab/ab1 is missing"),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"TWO!!", "file cd/cd2 has other bytes"),
        (b"", "file cd/cd2: size 5 → 0"),
        (b"two!!!", "file cd/cd2: size 5 → 6"),
    ],
)
def test_bytes_that_differ_lose_the_dataset(tmp_path: Path, content: bytes, why: str) -> None:
    summary, lost = ask(perform(tmp_path, files=FILES | {"cd/cd2": content}), tmp_path)
    assert summary.message.startswith("1 of 2 sessions can be opened; session s2 of jaas/z lost dataset d3")
    assert (lost.subject, lost.message) == ("session s2 of jaas/z", f"lost dataset d3: {why}")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (["cd/cd2", "link", 0, "", "0777", 1000, 1000, "elsewhere"], "file cd/cd2 is a link now"),
        (["cd/cd2", "file", 5, "unreadable", "0000", 0, 0, ""], "file cd/cd2 may not be read"),
    ],
)
def test_what_is_no_readable_file_any_more_is_lost(tmp_path: Path, line: list[object], why: str) -> None:
    record = perform(tmp_path)
    after = record.stores[1].after
    assert isinstance(after, FilesInventory)
    lines = (tmp_path / after.entry_lines.path).read_text().splitlines()
    lines = [json.dumps(line) if "cd/cd2" in old else old for old in lines]
    record.stores[1].after = after.model_copy(
        update={"entry_lines": write_lines(tmp_path, "inventory/after/changed", lines)}
    )
    assert [found.message for found in ask(record, tmp_path)][1:] == [f"lost dataset d3: {why}"]


@pytest.mark.parametrize(
    ("datasets", "why"),
    [
        (change_rows("cd2", None, None, None), "file cd/cd2 has no row any more"),
        (change_rows("cd2", 6, HERE, 1), "file cd/cd2: its row says size 6, it has 5"),
        (change_rows("cd2", 5, HERE, 0), "file cd/cd2 is no longer marked complete: state 1 → 0"),
        (change_rows("cd2", 5, "s3-storage", 1), "file cd/cd2 is said to lie on s3-storage, where nobody looked"),
        ([row for row in DATASETS if row[2] != "d3"], "its row is gone, or no longer names file cd/cd2"),
    ],
)
def test_a_row_that_no_longer_leads_to_its_bytes_loses_the_dataset(
    tmp_path: Path, datasets: Datasets, why: str
) -> None:
    _, lost = ask(perform(tmp_path, datasets=datasets), tmp_path)
    assert (lost.subject, lost.message) == ("session s2 of jaas/z", f"lost dataset d3: {why}")


def test_what_was_never_whole_cannot_be_lost(tmp_path: Path) -> None:
    datasets = change_rows("fa4", 8, HERE, 1)  # an old gap, still one
    files = without("ef/ef3") | {"99/99f": b"changed"}  # what was left of an upload; an old orphan, still one
    (finding,) = ask(perform(tmp_path, datasets=datasets, files=dict(sorted(files.items()))), tmp_path)
    assert finding.verdict is Verdict.PASS
    assert finding.message == "2 of 2 sessions can be opened; new rows without a file: 1"
    assert finding.details == ("dangling: a row, no file: ef/ef3",)


def test_a_dataset_without_a_file_is_missed_too(tmp_path: Path) -> None:
    _, lost = ask(perform(tmp_path, datasets=DATASETS[1:]), tmp_path)
    assert lost.message == "lost dataset d0: its row is gone"


@pytest.mark.parametrize(
    ("sessions", "subject", "why"),
    [
        ({"s2": ([], [])}, "session s2 of jaas/z", "its owner's rule is gone: nobody sees it"),
        ({"s1": ([], ["jaas/z"])}, "session s1 of jaas/y", "its owner's rule is gone: jaas/y no longer sees it"),
        ({"s1": (["jaas/y"], [])}, "session s1 of jaas/y", "no longer shared with jaas/z"),
    ],
)
def test_a_rule_that_is_gone_hides_the_session(tmp_path: Path, sessions: Sessions, subject: str, why: str) -> None:
    summary, lost = ask(perform(tmp_path, sessions=SESSIONS | sessions), tmp_path)
    assert summary.message == f"1 of 2 sessions can be opened; {subject} cannot be opened as before: {why}"
    assert (lost.subject, lost.message) == (subject, why)


def test_a_rule_or_a_session_that_came_newly_is_no_loss(tmp_path: Path) -> None:
    more: Sessions = {"s2": (["jaas/z"], ["everyone"]), "s3": (["jaas/y"], []), "s4": (["jaas/y"], [])}
    (finding,) = ask(perform(tmp_path, sessions=SESSIONS | more), tmp_path)
    assert (finding.verdict, finding.message) == (Verdict.PASS, "2 of 2 sessions can be opened")


def test_a_session_whose_row_is_gone_is_lost(tmp_path: Path) -> None:
    gone = {name: users for name, users in SESSIONS.items() if name != "s2"}
    _, lost = ask(perform(tmp_path, sessions=gone), tmp_path)
    assert (lost.subject, lost.message) == ("session s2 of jaas/z", "its row is gone")


def test_a_session_marked_for_deletion_is_lost(tmp_path: Path) -> None:
    record = perform(tmp_path)
    after = record.stores[0].after
    assert isinstance(after, DatabaseInventory)
    assert after.link_lines is not None
    path = after.link_lines["sessions"].path
    lines = [line.replace("[2, ", "[3, ") for line in (tmp_path / path).read_text().splitlines()]
    links = after.link_lines | {"sessions": write_lines(tmp_path, path, lines)}
    record.stores[0].after = after.model_copy(update={"link_lines": links})
    assert ask(record, tmp_path)[1].message == "it is marked for deletion: state 2 → 3"


def test_tables_that_are_gone_lose_every_session(tmp_path: Path) -> None:
    record = perform(tmp_path)
    record.stores[0].after = make_database(tmp_path, "after").model_copy(update={"link_lines": {}})
    summary, first, _ = ask(record, tmp_path)
    assert summary.message.startswith("0 of 2 sessions can be opened")
    assert first.message == "its row is gone"
    assert first.details[0] == "lost dataset d0: its row is gone"


def test_new_orphans_are_told_and_are_no_loss(tmp_path: Path) -> None:
    more = {"77/778": b"", "backup/x": b"", "lost+found/y": b"", "orphan/z": b""}
    (finding,) = ask(perform(tmp_path, files=dict(sorted((FILES | more).items()))), tmp_path)
    assert finding.verdict is Verdict.PASS
    assert finding.message == "2 of 2 sessions can be opened; new files without a row: 1"
    assert finding.details == ("orphan: 77/778",)


def test_datasets_on_a_storage_that_is_not_rehearsed_are_counted(tmp_path: Path) -> None:
    record = perform(tmp_path)
    elsewhere: Datasets = [*DATASETS, ("ff9", "s1", "d9", 1, "s3-storage", 1)]
    for moment in ("before", "after"):
        setattr(record.stores[0], moment, make_side(tmp_path, moment, SESSIONS, elsewhere))
    (finding,) = ask(record, tmp_path)
    assert finding.verdict is Verdict.PASS
    assert finding.message.endswith("; datasets on a storage that is not rehearsed: 1")


def test_bytes_are_looked_for_where_the_row_says(tmp_path: Path) -> None:
    record = perform(tmp_path, datasets=change_rows("cd2", 5, "file-storage-1", 1))
    second = record.stores[1].model_copy(update={"name": "file-storage-1"})
    for moment, files in (("before", {}), ("after", {"cd/cd2": b"two!!"})):
        entries = [
            json.loads(line) for line in (tmp_path / f"inventory/{moment}/{HERE}/entries").read_text().splitlines()
        ]
        kept = [json.dumps(entry) for entry in entries if entry[0] in files]
        inventory = getattr(second, moment).model_copy(
            update={"entry_lines": write_lines(tmp_path, f"inventory/{moment}/second", kept)}
        )
        setattr(second, moment, inventory)
    record.stores.append(second)
    (finding,) = ask(record, tmp_path)
    assert finding.verdict is Verdict.PASS, "row and bytes moved together"
    record.stores[2].after = record.stores[2].before
    assert ask(record, tmp_path)[1].message == "lost dataset d3: file cd/cd2 is missing"


def test_sessions_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    record = perform(tmp_path)
    many: Sessions = {f"t{number:02}": (["jaas/y"], []) for number in range(25)}
    record.stores[0].before = make_side(tmp_path, "before", many, [])
    record.stores[0].after = make_side(tmp_path, "after", {}, [])
    findings = ask(record, tmp_path)
    assert len(findings) == 22
    assert findings[-1].message == "… and 5 more sessions"


def test_datasets_beyond_the_first_are_counted(tmp_path: Path) -> None:
    record = perform(tmp_path, datasets=[])
    many: Datasets = [("", "s1", f"d{number}", None, None, None) for number in range(9)]
    record.stores[0].before = make_side(tmp_path, "before", SESSIONS, many)
    _, lost = ask(record, tmp_path)
    assert lost.details[-1] == "… and 4 more datasets"
    losses = find_user_losses(Evidence(record, tmp_path))
    assert losses is not None
    assert (losses.datasets, losses.users[0].datasets) == (9, 9)


@pytest.mark.parametrize("lost", [("session-db",), (HERE,)])
def test_one_lost_store_is_enough_to_ask(tmp_path: Path, lost: tuple[str, ...]) -> None:
    (finding,) = ask(perform(tmp_path, lost=lost), tmp_path)
    assert finding.verdict is Verdict.PASS


def test_nothing_is_said_when_neither_store_was_lost_and_nothing_is_missing(tmp_path: Path) -> None:
    assert ask(perform(tmp_path, lost=()), tmp_path) == []
    assert ask(perform(tmp_path, lost=(), files={}), tmp_path)[0].verdict is Verdict.FAIL


def forget_links(inventory: DatabaseInventory) -> DatabaseInventory:
    return inventory.model_copy(update={"link_lines": None})


def test_an_older_record_stays_what_it_was_and_the_report_says_what_nobody_looked_at(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    assert name_unasked(record) == ()
    store = record.stores[0]
    assert isinstance(store.before, DatabaseInventory)
    assert isinstance(store.after, DatabaseInventory)
    store.before, store.after = forget_links(store.before), forget_links(store.after)
    judgement = judge(record, tmp_path)
    assert judgement.verdict is Verdict.PASS
    assert not {"sessions", "logins"} & {finding.check for finding in judgement.findings}
    assert "the record is older than these checks" in name_unasked(record)[0]


def forget_database(record: Record) -> None:
    record.stores[0].after = None


def forget_files(record: Record) -> None:
    record.stores[1].after = None


def forget_links_after(record: Record) -> None:
    assert isinstance(record.stores[0].after, DatabaseInventory)
    record.stores[0].after = forget_links(record.stores[0].after)


@pytest.mark.parametrize("forget", [forget_database, forget_files, forget_links_after])
def test_what_was_not_looked_at_is_inconclusive(tmp_path: Path, forget: Callable[[Record], None]) -> None:
    record = perform(tmp_path)
    forget(record)
    (finding,) = ask(record, tmp_path)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert find_user_losses(Evidence(record, tmp_path)) is None


def test_no_session_before_is_inconclusive(tmp_path: Path) -> None:
    record = perform(tmp_path)
    record.stores[0].before = make_side(tmp_path, "before", {}, [])
    (finding,) = ask(record, tmp_path)
    assert finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["session-db/sessions.links", "session-db/datasets.links", f"{HERE}/entries"])
def test_evidence_that_was_edited_is_inconclusive_and_named(tmp_path: Path, name: str) -> None:
    record = perform(tmp_path)
    path = tmp_path / "inventory/after" / name
    path.write_bytes(path.read_bytes()[:-1] + b" \n")
    findings = [finding for finding in judge(record, tmp_path).findings if finding.check == "sessions"]
    assert [finding.verdict for finding in findings] == [Verdict.INCONCLUSIVE]
    assert name in " ".join(findings[0].details)


def test_evidence_that_is_not_sorted_is_inconclusive(tmp_path: Path) -> None:
    record = perform(tmp_path)
    after = record.stores[1].after
    assert isinstance(after, FilesInventory)
    lines = (tmp_path / after.entry_lines.path).read_text().splitlines()[::-1]
    record.stores[1].after = after.model_copy(
        update={"entry_lines": write_lines(tmp_path, "inventory/after/turned", lines)}
    )
    (finding,) = [finding for finding in judge(record, tmp_path).findings if finding.check == "sessions"]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "not sorted" in finding.message


def add_auth(record: Record, folder: Path, after: list[str], lost: bool = True) -> StoreRecord:
    """Auth with users y and z of jaas before, and those of `after` after."""
    plain = record.stores[0].before
    assert isinstance(plain, DatabaseInventory)
    store = record.stores[0].model_copy(update={"name": "auth", "lost": lost})
    for moment, users in (("before", ["y", "z"]), ("after", after)):
        lines = [f'["jaas", "{user}"]\t[]' for user in users]
        links = {"users": write_lines(folder, f"inventory/{moment}/auth/users.links", lines)}
        setattr(store, moment, plain.model_copy(update={"link_lines": links}))
    record.stores.append(store)
    return store


def test_users_who_are_gone_cannot_log_in(tmp_path: Path) -> None:
    record = perform(tmp_path)
    add_auth(record, tmp_path, ["y"])
    (finding,) = check_logins(Evidence(record, tmp_path))
    assert (finding.verdict, finding.subject) == (Verdict.FAIL, "auth: user jaas/z")
    assert finding.message == "cannot log in: the row in user_table is gone; sessions of this user: 1"


@pytest.mark.parametrize("after", [["y", "z"], ["x", "y", "z"]])
def test_users_who_are_back_can_log_in(tmp_path: Path, after: list[str]) -> None:
    record = perform(tmp_path)
    add_auth(record, tmp_path, after)
    (finding,) = check_logins(Evidence(record, tmp_path))
    assert (finding.verdict, finding.message) == (Verdict.PASS, "2 of 2 users can log in")


def test_a_user_table_that_is_gone_loses_every_login(tmp_path: Path) -> None:
    record = perform(tmp_path)
    store = add_auth(record, tmp_path, [])
    assert isinstance(store.after, DatabaseInventory)
    store.after = store.after.model_copy(update={"link_lines": {}})
    assert [finding.subject for finding in check_logins(Evidence(record, tmp_path))] == [
        "auth: user jaas/y",
        "auth: user jaas/z",
    ]


def test_auth_that_was_not_looked_at_again_is_inconclusive(tmp_path: Path) -> None:
    record = perform(tmp_path)
    add_auth(record, tmp_path, ["y"]).after = None
    (finding,) = check_logins(Evidence(record, tmp_path))
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_auth_that_was_not_lost_says_nothing_unless_a_user_is_gone(tmp_path: Path) -> None:
    record = perform(tmp_path)
    add_auth(record, tmp_path, ["y", "z"], lost=False)
    assert list(check_logins(Evidence(record, tmp_path))) == []
    record.stores.pop()
    add_auth(record, tmp_path, ["y"], lost=False)
    assert [finding.verdict for finding in check_logins(Evidence(record, tmp_path))] == [Verdict.FAIL]


def test_the_table_says_what_each_user_lost_the_worst_first(tmp_path: Path) -> None:
    sessions: Sessions = SESSIONS | {"s1": ([], [])}
    record = perform(tmp_path, sessions=sessions, files=without("cd/cd2"))
    add_auth(record, tmp_path, ["z"])
    losses = judge(record, tmp_path).user_losses
    assert losses is not None
    assert (losses.sessions, losses.of_sessions, losses.datasets, losses.logins) == (2, 2, 1, 1)
    assert losses.users == (
        UserLoss(
            user="jaas/z",
            sessions=2,
            datasets=1,
            first=(
                "session s1: no longer shared with this user",
                "session s2: lost dataset d3: file cd/cd2 is missing",
            ),
        ),
        UserLoss(
            user="jaas/y",
            sessions=1,
            cannot_log_in=True,
            first=("session s1: its owner's rule is gone: nobody sees it",),
        ),
    )
