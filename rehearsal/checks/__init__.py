"""The checks: from a record and its evidence files to findings, without a cluster; each is one function."""

from __future__ import annotations

from rehearsal.checks.content import ASPECTS, check_files, check_untouched, judge_database
from rehearsal.checks.gathering import NAMED_LIMIT, Check, Evidence
from rehearsal.checks.procedure import (
    check_backup_set,
    check_completed,
    check_loss,
    check_marker,
    check_nonce,
    check_set_contents,
)
from rehearsal.checks.settled import check_settled
from rehearsal.checks.users import check_logins, check_sessions, find_user_losses, name_unasked

__all__ = ["CHECKS", "NAMED_LIMIT", "Check", "Evidence", "find_user_losses", "name_unasked"]

CHECKS: dict[str, Check] = {
    "completed": check_completed,
    "loss": check_loss,
    "nonce": check_nonce,
    "marker": check_marker,
    "backup-set": check_backup_set,
    "set-contents": check_set_contents,
    **{name: judge_database(name) for name in ASPECTS},
    "files": check_files,
    "sessions": check_sessions,
    "logins": check_logins,
    "untouched": check_untouched,
    "settled": check_settled,
}
"""Every check by name, in the order of a report."""
