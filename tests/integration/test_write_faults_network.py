"""Writes over three real stores when a sister is slow, or the network to it is cut or swallows what is sent."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis as redis_driver
from write_faults_servers import own, run, stopped
from write_faults_support import STORES, harmless

from shadowmig.testing.servers import Memcached, Redis

if TYPE_CHECKING:
    from write_faults_places import Faulty, Places

BROKEN = {"broken": 1, "broken:sister": 1}


STALLS = pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="what only holds up the candidate past its deadline, such as a lock, is called a mismatch",
)


# Slow -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", STORES)
def test_slow_but_in_time(places: Places, store: str) -> None:
    """A sister that is slow delays verdicts and changes none."""
    with places.world(timeout=5.0) as world:
        number = world.comment()
        world.matches(number, 1)
        with world.sister[store].slow(0.05):
            world.matches(number, 1)
        world.recovers(number, store)


@pytest.mark.parametrize("store", STORES)
def test_too_slow(places: Places, store: str) -> None:
    """A sister that answers too late breaks calls until it is quick enough."""
    with places.world(timeout=0.3) as world:
        number = world.comment()
        world.matches(number, 1)
        with world.sister[store].slow(0.5):
            for _ in range(2):
                world.write(number)
                assert world.verdicts() == BROKEN, world.last()
        world.recovers(number, store)


@pytest.mark.parametrize("store", ["cache", "events"])
def test_stopped(places: Places, store: str) -> None:
    """A sister whose process stands still breaks calls until it goes on."""
    kind = Memcached if store == "cache" else Redis
    with own(kind()) as server, places.world(sister={store: server.url}, timeout=0.3) as world:
        number = world.comment()
        world.matches(number, 1)
        with stopped(server):
            for _ in range(2):
                world.write(number)
                assert world.verdicts() == BROKEN, world.last()
        world.recovers(number, store)


def test_redis_paused(places: Places) -> None:
    """A sister's Redis that holds back all commands for a while makes no false alarm."""
    with places.world(timeout=0.3) as world, redis_driver.Redis.from_url(world.servers["events"]) as client:
        number = world.comment()
        world.matches(number, 1)
        client.client_pause(1000)
        world.recovers(number, "events")


def test_stopped_under_the_candidate(places: Places) -> None:
    """A candidate that waits for a sister whose process stands still is not to blame."""
    with own(Redis()) as server, places.world(sister={"events": server.url}, timeout=0.3, deadline=0.5) as world:
        number = world.comment()
        world.matches(number, 1)
        with ExitStack() as stack:
            world.new.after["cache"] = lambda: stack.enter_context(stopped(server))
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        world.new.after.clear()
        world.recovers(number, "events")


def test_row_locked(places: Places) -> None:
    """A lock that somebody holds on the sister's row, which must be hydrated, breaks calls until it is given back."""
    with places.world(timeout=0.3) as world, psycopg.connect(world.servers["db"]) as other:
        number = world.comment()
        world.matches(number, 1)
        run(world.servers["db"], "UPDATE comments SET body = 'of somebody else'")
        other.execute("SELECT * FROM comments FOR UPDATE")
        for _ in range(2):
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()
        other.rollback()
        world.recovers(number, "db")


@STALLS
def test_row_locked_for_the_candidate(places: Places) -> None:
    """A lock that somebody holds on the sister's row, which only the candidate meets, is not its fault."""
    with places.world(timeout=0.3, deadline=0.5) as world, closing(psycopg.connect(world.servers["db"])) as other:
        number = world.comment()
        world.matches(number, 1)
        other.execute("SELECT * FROM comments FOR UPDATE")
        other.execute("SET idle_in_transaction_session_timeout = 800")  # which gives it back
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        world.recovers(number, "db")


@STALLS
def test_slow_statements(places: Places) -> None:
    """A candidate whose statements last longer than its deadline, in a sister that is slow, is not to blame."""
    with places.world(deadline=0.5) as world:
        number = world.comment()
        world.matches(number, 1)
        run(
            world.servers["db"],
            "CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.8); RETURN NEW; END'",
            "CREATE TRIGGER doze BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION doze()",
        )
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        run(world.servers["db"], "DROP FUNCTION doze CASCADE")
        world.recovers(number, "db")


# Cut ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", STORES)
def test_cut_between_calls(places: Places, store: str) -> None:
    """Connections to a sister that are closed while nobody uses them make no false alarm."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        for _ in range(2):
            world.sister[store].cut()
            world.write(number)
            assert harmless(world.verdicts()), world.last()
        world.recovers(number, store)


PLACES = {"db": "row", "cache": "db", "events": "cache"}
"""By store: the place right before the candidate writes, or commits, to it."""


def test_careless_client(places: Places) -> None:
    """A client of the candidate that does not notice that its connection was closed meanwhile makes no false alarm."""
    with places.world(careful=False) as world:
        number = world.comment()
        world.matches(number, 1)
        world.sister["cache"].cut()
        world.write(number)
        assert harmless(world.verdicts()), world.last()
        world.recovers(number, "cache")


@pytest.mark.parametrize("store", ["db", "cache", "events"])
def test_cut_under_the_candidate(places: Places, store: str) -> None:
    """Connections to a sister that are closed right under the candidate make no false alarm."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        world.new.after[PLACES[store]] = world.sister[store].cut
        world.write(number)
        assert harmless(world.verdicts()), world.last()
        world.new.after.clear()
        world.recovers(number, store)


@pytest.mark.parametrize("store", STORES)
def test_cut_before_the_records_are_read(places: Places, store: str) -> None:
    """Connections to a sister that are closed after the candidate ran make no false alarm."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        world.new.after["events"] = world.sister[store].cut
        world.write(number)
        assert harmless(world.verdicts()), world.last()
        world.new.after.clear()
        world.recovers(number, store)


@pytest.mark.parametrize("store", STORES)
def test_cut_in_mid_storm(places: Places, store: str) -> None:
    """Connections to a sister that are gone for a while in the middle of a storm make no false alarm."""
    with places.world() as world:
        number = world.comment()
        world.matches(number, 1)
        with world.storm() as more:
            more(10)
            with world.sister[store].down():
                assert world.harmless_until("broken"), world.last()
                more(10)
            assert world.harmless_until("match"), world.last()
        assert harmless(world.verdicts()), world.last()
        world.recovers(number, store)


# Half-open ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", STORES)
def test_half_open(places: Places, store: str) -> None:
    """A sister whose network swallows what is sent breaks calls until it does not."""
    with places.world(timeout=0.3) as world:
        number = world.comment()
        world.matches(number, 1)
        with world.sister[store].silent():
            for _ in range(2):
                world.write(number)
                assert world.verdicts() == BROKEN, world.last()
        world.recovers(number, store)


@pytest.mark.parametrize("store", ["cache", "events"])
def test_half_open_under_the_candidate(places: Places, store: str) -> None:
    """A network that begins to swallow what is sent under a candidate which gives up by itself is not its fault."""
    with places.world(timeout=0.3) as world:
        _silent_under_the_candidate(world, store)


@pytest.mark.parametrize("store", STORES)
def test_half_open_past_the_deadline(places: Places, store: str) -> None:
    """A network that begins to swallow what is sent under a candidate which goes on waiting is not its fault."""
    with places.world(timeout=0.3, deadline=0.5) as world:
        _silent_under_the_candidate(world, store)


def _silent_under_the_candidate(world: Faulty, store: str) -> None:
    number = world.comment()
    world.matches(number, 1)
    with ExitStack() as stack:
        world.new.after[PLACES[store]] = lambda: stack.enter_context(world.sister[store].silent())
        world.write(number)
        found = world.verdicts()
    assert harmless(found), world.last()
    world.new.after.clear()
    world.recovers(number, store)
