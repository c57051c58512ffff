"""Named operators that damage one thing on purpose, a module for each thing that can be damaged.

`Harmless` is the do-nothing form: an operator overrides the one hook at which it strikes.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.roles import Loss, Method, Stage


@dataclass(frozen=True)
class Harmless:
    """Damages nothing; the base of every operator."""

    name: str = "nothing"
    why: str = "the do-nothing form"

    def method(self, method: Method) -> Method:
        return method

    def loss(self, loss: Loss) -> Loss:
        return loss

    def before_nonce(self, stage: Stage, method: Method) -> str:  # noqa: ARG002 - the do-nothing form
        return ""

    def before_backup(self, stage: Stage) -> str:  # noqa: ARG002
        return ""

    def after_backup(self, stage: Stage) -> str:  # noqa: ARG002
        return ""

    def after_restore(self, stage: Stage) -> str:  # noqa: ARG002
        return ""
