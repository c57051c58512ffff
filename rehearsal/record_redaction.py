"""Secrets out of a record before it is written, and nothing but secrets: a fact that reads like one stays.

A password may read `session` or `1234`. What a check compares or a file is found by (names, paths, digests, marks) was
made by us, never from a secret, and is left alone, as are fixed words, numbers and the keys of mappings. Every other
text is cleaned; so is a field that is not listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar, get_origin

from pydantic import BaseModel

from rehearsal.backup_set import Artefact, ArtefactState, Manifest
from rehearsal.inventory import DatabaseInventory, FilesInventory, LineFile, TableInventory
from rehearsal.journal import Redactor
from rehearsal.record import (
    OTHER_CONTENT,
    CommandOutcome,
    ControlPlan,
    HeartbeatState,
    LossProof,
    MarkState,
    PhaseTime,
    Record,
    SetRemarkState,
    StoreRecord,
    Trouble,
)

AnyModel = TypeVar("AnyModel", bound=BaseModel)

_FACTS: Final[Mapping[type[BaseModel], frozenset[str]]] = {
    Record: frozenset(
        ("tool_version", "run_id", "scenario", "started", "finished", "cluster", "size", "method", "loss")
    )
    | {"not_carried", "not_rehearsed"},
    PhaseTime: frozenset({"name"}),
    CommandOutcome: frozenset({"phase", "store"}),
    Trouble: frozenset({"phase", "log"}),
    ControlPlan: frozenset({"tampering", "expects_check", "expects_subject", "damaged"}),
    StoreRecord: frozenset({"name", "claim_start", "claim_end"}),
    MarkState: frozenset({"place", "written", "written_at"}),
    HeartbeatState: frozenset({"place", "first_at", "last_at", "found_at"}),
    LossProof: frozenset({"claim_name", "claim_before", "claim_after"}),
    SetRemarkState: frozenset({"subject"}),
    Manifest: frozenset({"method", "run"}),
    Artefact: frozenset({"path", "sha256", "store", "started", "finished"}),
    ArtefactState: frozenset({"path", "expected_sha256", "found_sha256"}),
    LineFile: frozenset({"path", "sha256"}),
    TableInventory: frozenset({"digest", "key", "columns"}),
    DatabaseInventory: frozenset({"store", "taken_at", "server_version", "sequences"}),
    FilesInventory: frozenset({"store", "taken_at"}),
}
"""By model, the fields with text that is no free text."""

_FIXED: Final = (OTHER_CONTENT, " (failed)")
"""What a check looks for in a text that is free but for this: a set's remark, a migration."""


def clean_record(record: Record, redactor: Redactor) -> Record:
    """A copy of the record with every secret taken out of its free text."""
    return _clean_model(record, redactor)


def _clean_model(model: AnyModel, redactor: Redactor) -> AnyModel:
    facts = _FACTS.get(type(model), frozenset())
    if isinstance(model, MarkState) and model.found == model.written:
        facts |= {"found"}  # ours; anything else was put there by somebody else
    update = {
        name: _clean(getattr(model, name), redactor)
        for name, field in type(model).model_fields.items()
        if name not in facts and get_origin(field.annotation) is not Literal
    }
    return model.model_copy(update=update)


def _clean(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return _clean_text(value, redactor)
    if isinstance(value, BaseModel):
        return _clean_model(value, redactor)
    if isinstance(value, tuple):
        return tuple(_clean(item, redactor) for item in value)
    if isinstance(value, list):
        return [_clean(item, redactor) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item, redactor) for key, item in value.items()}
    return value


def _clean_text(text: str, redactor: Redactor) -> str:
    for fixed in _FIXED:
        if fixed in text:
            return fixed.join(_clean_text(part, redactor) for part in text.split(fixed))
    return redactor.clean(text)
