"""How many examples the properties are tried on, and the one server they share.

`make test` draws the same few ones every time. Many more, and others each time:
`pytest tests/properties --hypothesis-profile=many`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))  # the server and the pod of the stores' own tests

from database_server import DatabaseServer, start_server

settings.register_profile(
    "many",
    max_examples=200,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    with start_server() as started:
        yield started
