"""Fixtures of the tests of writes over real stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shadowmig.testing.servers import Memcached, Postgres, Redis

pytest.register_assert_rewrite("write_faults_support", "write_faults_servers")

from write_faults_places import Places  # noqa: E402 - the asserts of what it imports must be rewritten first
from write_faults_servers import database, own  # noqa: E402 - its asserts must be rewritten first


@pytest.fixture(scope="session")
def sisters(postgres: Postgres) -> Iterator[dict[str, str]]:
    """Addresses by store of sisters that tests may use one after the other."""
    with database(postgres.url) as db, own(Memcached()) as cache, own(Redis()) as events:
        yield {"db": db, "cache": cache.url, "events": events.url}


@pytest.fixture(scope="session")
def production_url(postgres: Postgres) -> Iterator[str]:
    """The address of production's database, which tests use one after the other."""
    with database(postgres.url) as db:
        yield db


@pytest.fixture
def places(
    production_url: str,
    redis_url: str,
    memcached: Any,
    memcached_prefix: str,
    sisters: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Places:
    """Production's stores, and sisters for them; after a failure nobody waits long for a new proof of isolation."""
    monkeypatch.setattr("shadowmig.stores._sister_proof._UNREACHED", (0.02, 0.2))
    return Places({"db": production_url, "cache": memcached.url, "events": redis_url}, sisters, memcached_prefix)
