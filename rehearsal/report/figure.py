"""The figure beside the verdict: how much of what can go wrong this very judge was shown to catch, and when.

`make proof` measures it; `docs/proof.json` of a checkout holds it, and the wheel carries it along. A judge that was
never measured, or measured in another version, says so in every report: a PASS is worth what its judge is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rehearsal import __version__

_CHECKOUT = Path(__file__).parents[2] / "docs" / "proof.json"
_SHIPPED = Path(__file__).parents[1] / "_proof.json"


class ProofFigure(BaseModel):
    """What the judge was measured to catch.

    Attributes:
        state: `measured` in this version, in `another version`, or `never measured`.
        says: the same in a sentence, with figure and date.
        date: day of the measurement; "" where there is none.
        tool_version: of the release that was measured.
        killed, named: of `runs` mutants by `operators` operators, those found, and those found by name.
        benign_green: of `benign_runs` changes that are no damage, those that stayed PASS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

    state: Literal["measured", "another version", "never measured"] = "never measured"
    says: str = "the judge was never measured: run `make proof`"
    date: str = ""
    tool_version: str = ""
    operators: int = 0
    runs: int = 0
    killed: int = 0
    named: int = 0
    benign_runs: int = 0
    benign_green: int = 0


NEVER_MEASURED = ProofFigure()


class _Line(BaseModel):
    name: str


class _Measured(BaseModel):
    """The part of proof.json that is told; a newer one may hold more."""

    schema_version: Literal[1]
    date: str
    tool_version: str
    operators: tuple[_Line, ...]
    runs: int
    killed: int
    named: int
    benign_runs: int
    benign_green: int


def read_figure(path: Path | None = None, version: str = __version__) -> ProofFigure:
    """The figure of a proof.json; one that is missing or cannot be read is no measurement.

    Args:
        path: default: the checkout's, else the one shipped with the package.
        version: of the judge that the figure is to stand beside.
    """
    found = path or (_CHECKOUT if _CHECKOUT.is_file() else _SHIPPED)
    try:
        measured = _Measured.model_validate_json(found.read_bytes())
    except FileNotFoundError:
        return NEVER_MEASURED
    except (OSError, ValidationError):
        return ProofFigure(says="the judge's proof cannot be read, so it counts as never measured: run `make proof`")
    same = measured.tool_version == version
    return ProofFigure(
        state="measured" if same else "another version",
        says=_word(measured)
        if same
        else f"{_word(measured)}; measured with {measured.tool_version}, not with {version}",
        operators=len(measured.operators),
        **measured.model_dump(exclude={"schema_version", "operators"}),
    )


def _word(measured: _Measured) -> str:
    return (
        f"this judge found {measured.killed} of {measured.runs} damaged restores, {measured.named} by name, and kept "
        f"{measured.benign_green} of {measured.benign_runs} harmless ones green ({measured.date})"
    )
