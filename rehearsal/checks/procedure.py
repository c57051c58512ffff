"""Checks of what was done: the rehearsal went through, the loss was real, and this very backup came back."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.checks.gathering import Evidence, not_looked_at
from rehearsal.record import OTHER_CONTENT
from rehearsal.verdicts import Finding, Verdict


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
        yield not_looked_at("completed", evidence.record.scenario, "the rehearsal did not reach its end")
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
            yield not_looked_at("loss", store.name, "nobody looked at the store between loss and restore")
            continue
        same_claim = proof.claim_expected_new and proof.claim_before == proof.claim_after
        if proof.claim_expected_new and (proof.claim_before is None or proof.claim_after is None):
            yield not_looked_at("loss", store.name, f"claim {proof.claim_name} was not seen before and after")
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
            yield not_looked_at("nonce", store.name, "nobody looked for the nonce")
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
            yield not_looked_at("marker", store.name, "nobody looked for the marker")
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
        yield not_looked_at("backup-set", "backup set", "the set was not looked at before the restore")
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


_TOLD = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.INCONCLUSIVE}


def check_set_contents(evidence: Evidence) -> Iterator[Finding]:
    """What the method itself, reading the set as a restore would, had to say of it before the loss.

    The rehearsal's own heartbeat is written over all the time, also between the moment at which a backup lists a
    file's hash and the one at which it packs the file: that alone is no damage. Its package cut, missing or closed is.
    """
    beats = {
        entry.heartbeat.place.removeprefix("storage/")
        for entry in evidence.record.stores
        if entry.kind == "files" and entry.heartbeat is not None
    }
    for remark in evidence.record.set_remarks:
        is_beat = (
            remark.sound is False
            and OTHER_CONTENT in remark.message
            and any(remark.subject.endswith(f": {path}") for path in beats)
        )
        yield Finding(
            check="set-contents",
            verdict=Verdict.PASS if is_beat else _TOLD[remark.sound],
            subject=remark.subject,
            message=f"the rehearsal's own heartbeat, no user's file: {remark.message}" if is_beat else remark.message,
            details=remark.details,
        )
