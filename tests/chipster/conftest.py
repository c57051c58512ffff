"""A PostgreSQL for the tests of the seed, with seed 1 of size s in it, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from seed_server import Postgres, Seeded, fill, start_postgres

from rehearsal.chipster.seeding import Seed


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def seeded(postgres: Postgres) -> Seeded:
    return fill(postgres, Seed(1, "s"), "one")
