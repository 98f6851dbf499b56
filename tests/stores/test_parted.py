"""Reads in parts, of several stores side by side."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TypeVar

import psycopg
import pytest
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError, MemcacheUnexpectedCloseError
from redis import exceptions as redis_errors

from shadowmig.errors import StoreUnavailable
from shadowmig.model import MISSING
from shadowmig.stores import MemcachedStore, MemoryStore, PostgresStore, RedisStore, Table
from shadowmig.stores.parted import ANSWERED, Answered, Parted, answered, whole
from shadowmig.stores.sister import SisterStore
from shadowmig.testing.servers import Memcached

TABLES = [Table("things", key="id")]
T = TypeVar("T")


def _side_by_side(reads: Sequence[Parted[T]]) -> list[T]:
    return [whole(read) for read in answered(reads)]


class Reads:
    """Reads that note what they do."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def read(
        self, name: str, *, parts: int = 1, fails: str = "", later: bool = False
    ) -> Generator[Answered | None, None, str]:
        """Read in so many parts."""
        try:
            self.log.append(f"{name} asked")
            if fails == "first":
                raise StoreUnavailable(name)
            for _ in range(parts):
                yield
            if fails == "second":
                raise StoreUnavailable(name)
            if later:
                self.log.append(f"{name} answered")
                yield ANSWERED
            self.log.append(f"{name} told")
            return name
        except GeneratorExit:
            self.log.append(f"{name} given up")
            raise


def test_all_are_asked_first() -> None:
    """Nobody is waited for before all have been asked, and results come in their order."""
    reads = Reads()
    assert _side_by_side([reads.read("a"), reads.read("b"), reads.read("c")]) == ["a", "b", "c"]
    assert reads.log == ["a asked", "b asked", "c asked", "a told", "b told", "c told"]


def test_any_number_of_parts() -> None:
    """A read may be over at once, or take more than two parts."""
    reads = Reads()
    assert _side_by_side([reads.read("a", parts=0), reads.read("b", parts=3)]) == ["a", "b"]
    assert whole(reads.read("c", parts=2)) == "c"
    assert _side_by_side([]) == []


def test_what_is_understood_later() -> None:
    """A read goes on until its answer has come, in however many parts, and is understood when somebody asks for it."""
    reads = Reads()
    asked = [
        reads.read("a", parts=2, later=True),
        reads.read("b", parts=0, later=True),
        reads.read("c"),
        reads.read("d", parts=0),
    ]
    left = answered(asked)
    assert reads.log == [
        *("a asked", "b asked", "b answered", "c asked", "d asked", "d told"),
        *("a answered", "c told"),
    ]
    assert [whole(read) for read in left] == ["a", "b", "c", "d"]
    assert reads.log[-2:] == ["a told", "b told"]


@pytest.mark.parametrize("when", ["first", "second"])
def test_one_that_fails(when: str) -> None:
    """If one fails, the others are given up."""
    reads = Reads()
    with pytest.raises(StoreUnavailable, match="b"):
        _side_by_side([reads.read("a", parts=2), reads.read("b", fails=when), reads.read("c")])
    asked = {line for line in reads.log if line.endswith("asked")}
    over = {line.split()[0] for line in reads.log if not line.endswith("asked")} | {"b"}
    assert {line.split()[0] for line in asked} == over


def test_hydrating_from_three_stores(postgres_url: str, memcached: Memcached, redis_url: str) -> None:
    """Stores that can be read in parts and those that cannot are read side by side."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO things VALUES (1, 'one')")
    production = PostgresStore(postgres_url, tables=TABLES), RedisStore(redis_url), MemcachedStore(memcached.url)
    pairs = [
        SisterStore(name=f"s{number}", production=store, sister=MemoryStore())
        for number, store in enumerate(production)
    ]
    try:
        refs = [pairs[0].row("things", 1), pairs[1].key("parted"), pairs[2].key("parted")]
        readings = _side_by_side([pair.reading_production([ref]) for pair, ref in zip(pairs, refs, strict=True)])
        assert [reading.records[0].ref for reading in readings] == refs
        assert readings[0].records[0].value == {"id": 1, "name": "one"}
        assert [reading.records[0].value for reading in readings[1:]] == [MISSING, MISSING]
    finally:
        for pair in pairs:
            pair.close()


def test_given_up_in_between(postgres_url: str, memcached: Memcached) -> None:
    """A connection whose answer nobody took is not used again."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY, name text)")
    stores = PostgresStore(postgres_url, tables=TABLES, connections=1), MemcachedStore(memcached.url, connections=1)
    for store in stores:
        pair = SisterStore(name="s", production=store, sister=MemoryStore())
        ref = pair.row("things", 1) if isinstance(store, PostgresStore) else pair.key("parted")
        for _ in range(3):
            reading = pair.reading_production([ref])
            next(reading)
            reading.close()
            assert pair.read_production([ref]).records[0].value is MISSING
        pair.close()


@pytest.mark.parametrize("size", [3, 4000, 30_000])
def test_held_up_in_between(memcached: Memcached, size: int) -> None:
    """A reply that came in time is taken, however late whoever asked comes back to it."""
    store = MemcachedStore(memcached.url, timeout=0.3)
    pair = SisterStore(name="s", production=store, sister=MemoryStore())
    try:
        store.client().set("held-up", b"x" * size)
        ref = pair.key("held-up")
        pair.read_production([ref])
        reading = pair.reading_production([ref])
        next(reading)
        time.sleep(0.4)
        assert whole(reading).records[0].value == b"x" * size
        assert pair.read_production([ref]).records[0].value == b"x" * size
    finally:
        pair.close()


def test_nothing_came_in_between() -> None:
    """A server that did not answer in time is called unavailable at once by whoever comes back late."""
    with Memcached() as server:
        pair = SisterStore(name="s", production=MemcachedStore(server.url, timeout=0.3), sister=MemoryStore())
        ref = pair.key("stopped")
        pair.read_production([ref])
        assert server.folder is not None
        pid = int((server.folder / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            reading = pair.reading_production([ref])
            next(reading)
            time.sleep(0.4)
            with pytest.raises(StoreUnavailable, match="in time"):
                whole(reading)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert pair.read_production([ref]).records[0].value is MISSING
        pair.close()


OUTAGES = {
    PostgresStore: [psycopg.OperationalError, psycopg.errors.DiskFull, psycopg.errors.QueryCanceled],
    RedisStore: [redis_errors.ConnectionError, redis_errors.TimeoutError, redis_errors.OutOfMemoryError],
    MemcachedStore: [MemcacheServerError, MemcacheUnexpectedCloseError, ConnectionResetError, TimeoutError],
}
REFUSALS = {
    PostgresStore: [psycopg.errors.UniqueViolation, psycopg.errors.UndefinedTable, ValueError],
    RedisStore: [redis_errors.ResponseError, redis_errors.DataError, OSError],
    MemcachedStore: [MemcacheClientError, KeyError, ConnectionError],
}


@pytest.mark.parametrize("kind", list(OUTAGES), ids=lambda kind: kind.__name__)
def test_outages(kind: type) -> None:
    """An adapter tells its client's exceptions about the server from those about what it was asked."""
    store = kind("postgresql://127.0.0.1:1/x", tables=[]) if kind is PostgresStore else None
    with suppress(TypeError):
        store = store or kind("redis://127.0.0.1:1/0" if kind is RedisStore else "127.0.0.1:1")
    assert store is not None
    assert all(store.is_outage(error) for error in OUTAGES[kind])
    assert not any(store.is_outage(error) for error in REFUSALS[kind])
    pair = SisterStore(name="s", production=MemoryStore(), sister=store)
    assert pair.is_outage(StoreUnavailable)
    assert pair.is_outage(OUTAGES[kind][0])
    assert not pair.is_outage(ValueError)
