"""Checks of what came back: tables, rows, large objects, sequences, schema, files, and the stores nobody touched."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.checks.gathering import NAMED_LIMIT, Check, Evidence, judge_differences, not_looked_at
from rehearsal.inventory import Differences
from rehearsal.verdicts import Finding, Verdict

ASPECTS = {
    "tables": "table",
    "rows": "rows",
    "large-objects": "large object",
    "sequences": "sequence",
    "schema": "schema",
}
"""Database checks, each with the aspect of `compare_databases` that it judges."""


def judge_database(check: str) -> Check:
    def judge_aspect(evidence: Evidence) -> Iterator[Finding]:
        for store in evidence.lost:
            if store.kind != "database":
                continue
            compared = evidence.compare(store)
            if compared is None:
                yield not_looked_at(check, store.name, "no inventory before or after")
            else:
                # A Chipster database may hold no large object and no sequence; it always holds tables and a schema.
                optional = check in ("large-objects", "sequences")
                yield from judge_differences(check, store, compared[ASPECTS[check]], none_is_fine=optional)

    return judge_aspect


def check_files(evidence: Evidence) -> Iterator[Finding]:
    """Every file is back: path, size, SHA-256, owner, mode; nothing missing, extra or changed."""
    for store in evidence.lost:
        if store.kind == "files":
            compared = evidence.compare(store)
            if compared is None:
                yield not_looked_at("files", store.name, "no inventory before or after")
            else:
                judged = judge_differences("files", store, compared["files"], none_is_fine=False)
                yield from (_tell_explained(finding, compared["files"]) for finding in judged)


def _tell_explained(finding: Finding, compared: Differences) -> Finding:
    """Told with a PASS, and no difference: files that came to the store between the inventory and the backup, and
    directories that were empty, where the backup holds files alone."""
    if not compared.explained_total or finding.verdict is not Verdict.PASS:
        return finding
    message = finding.message
    if any(one.kind == "missing" for one in compared.explained):
        message += f"; {compared.explained_total} empty directories did not come back: such a backup holds files alone"
    else:
        message += f"; {compared.explained_total} came with the backup, uploaded after the inventory"
    where = {"missing": "not carried", "extra": "as in the set"}
    details = tuple(f"{one.subject}: {one.detail}, {where.get(one.kind, one.kind)}" for one in compared.explained)
    return finding.model_copy(update={"message": message, "details": details})


def check_untouched(evidence: Evidence) -> Iterator[Finding]:
    """A store that was not lost is what it was: same claim, same content, nonce and marker still there."""
    for store in evidence.kept:
        compared = evidence.compare(store)
        if compared is None or store.nonce is None or store.marker is None or not store.marker.looked:
            yield not_looked_at("untouched", store.name, "the store was not looked at again")
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
            yield not_looked_at("untouched", store.name, "its inventory is empty")
        else:
            yield Finding(
                check="untouched", verdict=Verdict.PASS, subject=store.name, message="same claim, same content"
            )
