"""The last look at a report's text before it is written: secrets out, and nothing that UTF-8 cannot hold.

Everything that reaches a report was redacted when it was journalled; this is the second fence. Only free text is
touched: a password that happens to read `PASS` or `files` must not break a verdict or a kind.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar, get_origin

from pydantic import BaseModel

from rehearsal.journal import Redactor
from rehearsal.report.words import make_visible

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def _make_encodable(text: str) -> str:
    """Lone surrogates (bytes of a name that is not UTF-8) as escapes; everything else as it is."""
    return "".join(make_visible(c) if "\ud800" <= c <= "\udfff" else c for c in text)


def _clean(value: Any, redactor: Redactor) -> Any:
    if type(value) is str:
        return _make_encodable(redactor.clean(value))
    if isinstance(value, BaseModel):
        return clean_model(value, redactor)
    if isinstance(value, tuple):
        return tuple(_clean(item, redactor) for item in value)
    if isinstance(value, dict):
        return {_clean(key, redactor): _clean(item, redactor) for key, item in value.items()}
    return value


def clean_model(model: AnyModel, redactor: Redactor) -> AnyModel:
    """A copy of `model` with every free string cleaned, at any depth; verdicts and other fixed words stay."""
    free = {
        name: _clean(getattr(model, name), redactor)
        for name, field in type(model).model_fields.items()
        if get_origin(field.annotation) is not Literal
    }
    return model.model_copy(update=free)
