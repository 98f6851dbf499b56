"""Writes over three real stores when a sister is full: out of memory, out of disk, out of time, or evicting."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis as redis_driver
from psycopg import sql
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheServerError
from write_faults_servers import own, run

from shadowmig.testing.servers import Memcached, Redis

if TYPE_CHECKING:
    from write_faults_places import Faulty, Places

BROKEN = {"broken": 1, "broken:sister": 1}


KINDS = [pytest.param(True, id="known"), pytest.param(False, id="new")]
"""Whether the sister holds the record already, so that it need not be hydrated."""


# Redis ----------------------------------------------------------------------------------------------------------------


def _redis(world: Faulty) -> redis_driver.Redis:
    return redis_driver.Redis.from_url(world.servers["events"])


def _fill_redis(client: redis_driver.Redis) -> None:
    client.set("much", b"x" * 5_000_000)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "4mb")


def _empty_redis(client: redis_driver.Redis) -> None:
    client.config_set("maxmemory", "0")
    client.delete("much")


@pytest.mark.parametrize("started", [True, False])
def test_redis_full(places: Places, started: bool) -> None:
    """A sister's Redis without memory breaks calls, and calls are judged once it has some again."""
    with own(Redis()) as server, places.world(sister={"events": server.url}) as world, _redis(world) as client:
        number = world.comment()
        if started:
            world.matches(number, 1)
        _fill_redis(client)
        for _ in range(3):
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        _empty_redis(client)
        world.recovers(number, "events")


def test_redis_full_under_the_candidate(places: Places) -> None:
    """A candidate that is refused memory by the sister's Redis is not to blame."""
    with own(Redis()) as server, places.world(sister={"events": server.url}) as world, _redis(world) as client:
        number = world.comment()
        world.matches(number, 1)
        world.new.after["cache"] = lambda: _fill_redis(client)
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        world.new.after.clear()
        _empty_redis(client)
        world.recovers(number, "events")


# Postgres -------------------------------------------------------------------------------------------------------------

TRIGGER = """
CREATE FUNCTION quota() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN NEW; END $$;
CREATE TRIGGER quota BEFORE INSERT OR UPDATE ON comments EXECUTE FUNCTION quota();
ALTER TABLE comments ENABLE ALWAYS TRIGGER quota;
"""
"""Always: the verifier's own writes pass other triggers over."""
FULL = TRIGGER.format("RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'")
SLEEP = TRIGGER.format("PERFORM pg_sleep(3)")


@pytest.mark.parametrize("known", KINDS)
def test_disk_full(places: Places, known: bool) -> None:
    """A sister's Postgres without disk breaks calls, and calls are judged once it has some again."""
    with places.world() as world:
        number = world.comment()
        if known:
            world.matches(number, 1)
        run(world.servers["db"], FULL)
        for _ in range(3):
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        run(world.servers["db"], "DROP FUNCTION quota CASCADE")
        world.recovers(number, "db")


@pytest.mark.parametrize("known", KINDS)
def test_statement_timeout(places: Places, known: bool) -> None:
    """A sister's Postgres that ends statements for their time breaks calls until it does not."""
    with places.world() as world:
        number = world.comment()
        if known:
            world.matches(number, 1)
        name = sql.Identifier(world.servers["db"].rpartition("/")[2])
        run(world.servers["db"], SLEEP, sql.SQL("ALTER DATABASE {} SET statement_timeout = 50").format(name))
        world.sister["db"].cut()
        for _ in range(2):
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        run(world.servers["db"], "DROP FUNCTION quota CASCADE")
        world.recovers(number, "db")


# Memcached ------------------------------------------------------------------------------------------------------------

BIG = b"x" * 100_000


def _flood(world: Faulty) -> None:
    """Put so much into the sister's cache that nothing else stays."""
    host, port = world.servers["cache"].split(":")
    with closing(Client((host, int(port)))) as client:
        for number in range(100):
            client.set(f"flood {number}".replace(" ", "-"), BIG, noreply=False)


def test_evicting_between_calls(places: Places) -> None:
    """A sister's cache that loses what it held between calls makes no false alarm and no broken call."""
    with own(Memcached(settings={"-m": "8"})) as server, places.world(sister={"cache": server.url}) as world:
        number = world.comment()
        for turn in range(3):
            world.write(number, f"{turn}" * 100_000)
            assert world.verdicts() == {"match": 1}, world.last()
            _flood(world)
            assert world.sister_clients["cache"].get(world.key_name(number)) is None
        world.recovers(number, "cache")


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="a key that the sister evicts before it is read is called missing"
)
def test_evicting_under_a_call(places: Places) -> None:
    """A sister's cache that evicts what the candidate has just put there makes no false alarm."""
    with own(Memcached(settings={"-m": "8"})) as server, places.world(sister={"cache": server.url}) as world:
        number = world.comment()
        world.matches(number, 1)
        world.new.after["cache"] = lambda: _flood(world)
        world.write(number, "a" * 100_000)
        assert world.verdicts() == BROKEN, world.last()
        world.new.after.clear()
        world.recovers(number, "cache")


def test_memcached_refuses(places: Places) -> None:
    """A sister's cache that refuses what is too much for it breaks calls until there is room."""
    with (
        own(Memcached(settings={"-m": "8", "-M": "-v"})) as server,
        places.world(sister={"cache": server.url}) as world,
    ):
        number = world.comment()
        world.matches(number, 1)
        with pytest.raises(MemcacheServerError, match="out of memory"):
            _flood(world)
        for _ in range(3):
            world.write(number, "a" * 100_000)
            assert world.verdicts() == BROKEN, world.last()
        world.sister_clients["cache"].flush_all(noreply=False)
        world.recovers(number, "cache")
