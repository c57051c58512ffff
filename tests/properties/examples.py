"""How many examples a property is tried on: a few, the same every time, unless a profile was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

_MANY = "many"


def few(number: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Settings for `make test`: that many examples; `--hypothesis-profile=many` has its own number."""
    if settings.get_current_profile_name() == _MANY:
        return settings.get_profile(_MANY)
    return settings(
        max_examples=number,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
