"""A cluster with some of its calls replaced, so that a step can be done wrong while everything around it is real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from rehearsal.roles import Cluster, ExecResult, Stage

Exec = Callable[..., ExecResult]


class Rewired:
    """A cluster on which the named calls do something else, and all others what they did."""

    def __init__(self, inner: Cluster, replaced: dict[str, Callable[..., Any]]) -> None:
        self._inner = inner
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._inner, name)


def rewire(stage: Stage, **replaced: Callable[..., Any]) -> Stage:
    """The stage with a cluster on which these calls are replaced."""
    return replace(stage, cluster=cast(Cluster, Rewired(stage.cluster, dict(replaced))))


def rewire_command(stage: Stage, wanted: Callable[[tuple[str, ...]], bool], instead: Exec) -> Stage:
    """The stage with a cluster on which `instead` runs the commands that are `wanted`.

    Args:
        instead: called as `exec` is: pod, argv, and the rest by name.
    """

    def run(pod: str, argv: Any, **rest: Any) -> ExecResult:
        command = tuple(argv)
        return instead(pod, command, **rest) if wanted(command) else stage.cluster.exec(pod, command, **rest)

    return rewire(stage, exec=run)
