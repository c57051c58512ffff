"""The checks: from a record and its evidence files to findings, without a cluster.

Each check is a function from the evidence to findings; one that had nothing to compare is INCONCLUSIVE. Differences
become one finding each, the first ones named, the rest counted, so that a report (and a control) can point at the
very row, object or file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from rehearsal.differences import compare_databases, compare_files
from rehearsal.inventory import DatabaseInventory, Differences, FilesInventory
from rehearsal.record import Record, StoreRecord
from rehearsal.verdicts import Finding, Verdict

NAMED_LIMIT = 20
"""Differences named per check and store; the rest are counted."""

_ASPECTS = {
    "tables": "table",
    "rows": "rows",
    "large-objects": "large object",
    "sequences": "sequence",
    "schema": "schema",
}
"""Database checks, each with the aspect of `compare_databases` that it judges."""


class Evidence:
    """A record and its folder; comparisons are made once and shared by the checks that need them."""

    def __init__(self, record: Record, folder: Path) -> None:
        self.record = record
        self.folder = folder
        self._compared: dict[str, dict[str, Differences]] = {}

    @cached_property
    def lost(self) -> tuple[StoreRecord, ...]:
        return tuple(store for store in self.record.stores if store.lost)

    @cached_property
    def kept(self) -> tuple[StoreRecord, ...]:
        return tuple(store for store in self.record.stores if not store.lost)

    def compare(self, store: StoreRecord) -> dict[str, Differences] | None:
        """Differences between the inventories before and after, by aspect; None where one was never taken."""
        if store.name not in self._compared:
            before, after = store.before, store.after
            if isinstance(before, DatabaseInventory) and isinstance(after, DatabaseInventory):
                self._compared[store.name] = compare_databases(before, after, self.folder, NAMED_LIMIT)
            elif isinstance(before, FilesInventory) and isinstance(after, FilesInventory):
                self._compared[store.name] = {"files": compare_files(before, after, self.folder, NAMED_LIMIT)}
            else:
                return None
        return self._compared[store.name]


Check = Callable[[Evidence], Iterable[Finding]]


def _not_looked_at(check: str, subject: str, what: str) -> Finding:
    return Finding(
        check=check, verdict=Verdict.INCONCLUSIVE, subject=subject, message=f"{what}: there is nothing to judge"
    )


def _judge_differences(
    check: str, store: StoreRecord, differences: Differences, none_is_fine: bool
) -> Iterator[Finding]:
    """One finding per named difference, one that counts the rest; PASS when all that was compared is equal."""
    for difference in differences.named:
        detail = f": {difference.detail}" if difference.detail else ""
        yield Finding(
            check=check,
            verdict=Verdict.FAIL,
            subject=f"{store.name}: {difference.subject}",
            message=f"{difference.aspect} {difference.kind}{detail}",
        )
    unnamed = differences.total - len(differences.named)
    if unnamed > 0:
        yield Finding(
            check=check,
            verdict=Verdict.FAIL,
            subject=store.name,
            message=f"… and {unnamed} more differences of this kind",
        )
    if differences.total == 0:
        if differences.compared == 0 and not none_is_fine:
            yield _not_looked_at(check, store.name, "the inventory before holds none")
        else:
            yield Finding(
                check=check,
                verdict=Verdict.PASS,
                subject=store.name,
                message=f"{differences.compared} compared, no difference"
                if differences.compared
                else "none before, none after",
            )


def check_completed(evidence: Evidence) -> Iterator[Finding]:
    """The rehearsal itself went through; what broke on our side is INCONCLUSIVE."""
    for trouble in evidence.record.troubles:
        place = f"{trouble.where}: " if trouble.where else ""
        details = [f"next: {trouble.hint}"] if trouble.hint else []
        details += [f"traceback: {trouble.log}"] if trouble.log else []
        yield Finding(
            check="completed",
            verdict=Verdict.INCONCLUSIVE,
            subject=trouble.phase,
            message=f"{place}{trouble.message}",
            details=tuple(details),
        )
    if not evidence.record.completed and not evidence.record.troubles:
        yield _not_looked_at("completed", evidence.record.scenario, "the rehearsal did not reach its end")
    if evidence.record.completed and not evidence.record.troubles:
        yield Finding(
            check="completed",
            verdict=Verdict.PASS,
            subject=evidence.record.scenario,
            message=f"every phase was gone through: {len(evidence.record.phases)}",
        )


def check_loss(evidence: Evidence) -> Iterator[Finding]:
    """The loss was real: a claim with a new identity, an empty store, before the restore began."""
    for store in evidence.lost:
        proof = store.loss
        if proof is None or proof.leftovers is None:
            yield _not_looked_at("loss", store.name, "nobody looked at the store between loss and restore")
            continue
        same_claim = proof.claim_expected_new and proof.claim_before == proof.claim_after
        if proof.claim_expected_new and (proof.claim_before is None or proof.claim_after is None):
            yield _not_looked_at("loss", store.name, f"claim {proof.claim_name} was not seen before and after")
        elif same_claim:
            yield Finding(
                check="loss",
                verdict=Verdict.FAIL,
                subject=store.name,
                message=f"claim {proof.claim_name} is still the old one ({proof.claim_before}): nothing was lost, "
                "so nothing was proven",
            )
        if proof.leftovers:
            yield Finding(
                check="loss",
                verdict=Verdict.FAIL,
                subject=store.name,
                message="the store was not empty before the restore began",
                details=proof.leftovers,
            )
        if not same_claim and not proof.leftovers:
            claim = "a new claim" if proof.claim_expected_new else "no claim protects it"
            yield Finding(
                check="loss", verdict=Verdict.PASS, subject=store.name, message=f"{claim}, empty before the restore"
            )


def check_nonce(evidence: Evidence) -> Iterator[Finding]:
    """The nonce written just before the backup is back: this very backup was restored."""
    for store in evidence.lost:
        mark = store.nonce
        if mark is None or not mark.looked:
            yield _not_looked_at("nonce", store.name, "nobody looked for the nonce")
        elif mark.found == mark.written:
            yield Finding(
                check="nonce",
                verdict=Verdict.PASS,
                subject=store.name,
                message=f"written {mark.written_at}, found again in {mark.place}",
            )
        else:
            found = "something else" if mark.found else "nothing"
            yield Finding(
                check="nonce",
                verdict=Verdict.FAIL,
                subject=store.name,
                message=f"the nonce written just before the backup ({mark.written_at}) is not back: {found} in "
                f"{mark.place}; this is not the backup that was taken, or it was not restored",
            )


def check_marker(evidence: Evidence) -> Iterator[Finding]:
    """The marker written just after the backup is not there: what is there came from the backup."""
    for store in evidence.lost:
        mark = store.marker
        if mark is None or not mark.looked:
            yield _not_looked_at("marker", store.name, "nobody looked for the marker")
        elif mark.found is None:
            yield Finding(
                check="marker", verdict=Verdict.PASS, subject=store.name, message=f"not in {mark.place}, as it must be"
            )
        else:
            yield Finding(
                check="marker",
                verdict=Verdict.FAIL,
                subject=store.name,
                message=f"the marker written after the backup is in {mark.place}: this is the old store, not a "
                "restored one",
            )


def check_backup_set(evidence: Evidence) -> Iterator[Finding]:
    """Every artefact was, just before the restore, what left its source."""
    if not evidence.record.artefacts:
        yield _not_looked_at("backup-set", "backup set", "the set was not looked at before the restore")
    for state in evidence.record.artefacts:
        if state.intact:
            message, verdict = f"{state.found_size} bytes, SHA-256 as written", Verdict.PASS
        elif state.found_size is None:
            message, verdict = "missing from the set", Verdict.FAIL
        else:
            size = (
                f"size {state.expected_size} → {state.found_size}, " if state.expected_size != state.found_size else ""
            )
            message, verdict = f"not what the backup wrote: {size}SHA-256 differs", Verdict.FAIL
        yield Finding(check="backup-set", verdict=verdict, subject=state.path, message=message)


def _check_database(check: str) -> Check:
    def judge_aspect(evidence: Evidence) -> Iterator[Finding]:
        for store in evidence.lost:
            if store.kind != "database":
                continue
            compared = evidence.compare(store)
            if compared is None:
                yield _not_looked_at(check, store.name, "no inventory before or after")
            else:
                # A Chipster database may hold no large object and no sequence; it always holds tables and a schema.
                optional = check in ("large-objects", "sequences")
                yield from _judge_differences(check, store, compared[_ASPECTS[check]], none_is_fine=optional)

    return judge_aspect


def check_files(evidence: Evidence) -> Iterator[Finding]:
    """Every file is back: path, size, SHA-256, owner, mode; nothing missing, extra or changed."""
    for store in evidence.lost:
        if store.kind == "files":
            compared = evidence.compare(store)
            if compared is None:
                yield _not_looked_at("files", store.name, "no inventory before or after")
            else:
                yield from _judge_differences("files", store, compared["files"], none_is_fine=False)


def check_untouched(evidence: Evidence) -> Iterator[Finding]:
    """A store that was not lost is what it was: same claim, same content, nonce and marker still there."""
    for store in evidence.kept:
        compared = evidence.compare(store)
        if compared is None or store.nonce is None or store.marker is None or not store.marker.looked:
            yield _not_looked_at("untouched", store.name, "the store was not looked at again")
            continue
        problems = [
            f"{difference.aspect} {difference.kind}: {difference.subject} {difference.detail}".rstrip()
            for differences in compared.values()
            for difference in differences.named
        ]
        total = sum(differences.total for differences in compared.values())
        if store.claim_start != store.claim_end:
            problems.insert(0, f"its claim was {store.claim_start}, is {store.claim_end}")
        for mark in (store.nonce, store.marker):
            if mark.found != mark.written:
                problems.insert(0, f"the {mark.kind} written to it is gone")
        if problems or total:
            yield Finding(
                check="untouched",
                verdict=Verdict.FAIL,
                subject=store.name,
                message=f"a store that was not lost changed while another was restored: {total} differences",
                details=tuple(problems[:NAMED_LIMIT]),
            )
        elif not any(differences.compared for differences in compared.values()):
            yield _not_looked_at("untouched", store.name, "its inventory is empty")
        else:
            yield Finding(
                check="untouched", verdict=Verdict.PASS, subject=store.name, message="same claim, same content"
            )


CHECKS: dict[str, Check] = {
    "completed": check_completed,
    "loss": check_loss,
    "nonce": check_nonce,
    "marker": check_marker,
    "backup-set": check_backup_set,
    **{name: _check_database(name) for name in _ASPECTS},
    "files": check_files,
    "untouched": check_untouched,
}
"""Every check by name, in the order of a report."""
