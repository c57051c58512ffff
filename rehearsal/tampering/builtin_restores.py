"""Operators on the restore of the server's own backup, and changes of a bucket that are no damage."""

from __future__ import annotations

from rehearsal.tampering.builtin_sets import lay_backups
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.restores import make_tables
from rehearsal.tampering.sets import lost_databases, lost_files


@operator(
    "built-in dump restored over tables that a service has made",
    why="measured on the real server: the built-in backup's dump has no --clean; session-db had made its tables: "
    "status 0, every session row back, no dataset, no rule (facts, trap 5)",
    moment="restore",
    area="restore",
    checks="rows",
    builtin="unguarded",
)
def restore_dump_over_tables(strike: Strike) -> str:
    for database in lost_databases(strike.stage):
        make_tables(strike.stage, database)
    strike.restore(strike.stage)
    return "public.dataset"


@operator(
    "lines of backup-info in another order",
    why="benign: the list says what is there, not in which order it was packed",
    moment="restore",
    area="benign",
    loses=("file-storage",),
    builtin="full",
)
def shuffle_list(strike: Strike) -> str:
    backup = lay_backups(strike.stage, strike.draw.choice(lost_files(strike.stage)))[-1]
    lines = backup.read_lines()
    strike.draw.shuffle(lines)
    backup.write_lines(lines)
    strike.restore(strike.stage)
    return ""


@operator(
    "members of a tar in another order",
    why="benign: the service packs in the order of a directory listing, which no file system promises",
    moment="restore",
    area="benign",
    loses=("file-storage",),
    builtin="full",
)
def shuffle_members(strike: Strike) -> str:
    def shuffle(members: dict[str, bytes]) -> dict[str, bytes]:
        order = list(members)
        strike.draw.shuffle(order)
        return {path: members[path] for path in order}

    lay_backups(strike.stage, strike.draw.choice(lost_files(strike.stage)))[-1].change_packages(shuffle)
    strike.restore(strike.stage)
    return ""


@operator(
    "foreign objects in the bucket",
    why="benign: admins share buckets; what has no backup's name is not Chipster's",
    moment="after backup",
    area="benign",
    loses=("session-db", "file-storage"),
    builtin="full",
)
def add_strangers(strike: Strike) -> str:
    folder = lay_backups(strike.stage, strike.draw.choice(lost_files(strike.stage)))[-1].folder
    (folder / "terraform").mkdir()
    (folder / "terraform" / "state.json").write_text("{}", encoding="utf-8")
    (folder / "README").write_text("not of Chipster", encoding="utf-8")
    return ""
