"""Writes over three real stores when a sister is down, full, or killed in the middle of a storm."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import psycopg
import pytest
from write_faults_servers import kill, own, run, until
from write_faults_support import STORES, harmless

from shadowmig.errors import StoreUnavailable
from shadowmig.testing.servers import Memcached, Postgres, Redis

if TYPE_CHECKING:
    from write_faults_places import Faulty, Places

BROKEN = {"broken": 1, "broken:sister": 1}


def test_no_fault(places: Places) -> None:
    """Without a fault all writes match, and a defect in any store is found in it."""
    with places.world() as world:
        number = world.comment()
        world.matches(number)
        assert world.create("new")["body"] == "new"
        assert world.verdicts() == {"match": 1}
        world.refused()
        assert world.verdicts() == {"match": 1}
        for store in STORES:
            world.finds(number, store)
        with world.storm() as more:
            more(30)
        assert set(world.verdicts()) == {"match"}


@pytest.mark.parametrize("store", STORES)
def test_down_before_the_start(places: Places, store: str) -> None:
    """With a sister that is down from the start users are served and calls are broken, until it is there."""
    with places.world() as world:
        number = world.comment()
        with world.sister[store].down():
            for _ in range(3):
                world.write(number)
            assert world.verdicts() == {"broken": 3, "broken:sister": 3}
            world.refused()
            assert world.verdicts() == ({"match": 1} if store == "events" else BROKEN)  # it tells no event
        world.recovers(number, store)


# Killed and started again ---------------------------------------------------------------------------------------------


def _storm_with(world: Faulty, store: str, end: Callable[[], object], start: Callable[[], object]) -> None:
    """Kill a sister in the middle of a storm, and start it again."""
    number = world.comment()
    world.matches(number, 1)
    with world.storm() as more:
        more(20)
        assert world.harmless_until("match")
        end()
        assert world.harmless_until("broken")
        more(20)
        start()
        assert world.harmless_until("match")
        more(20)
    assert harmless(world.verdicts()), world.last()
    world.recovers(number, store)


@pytest.mark.parametrize("store", ["cache", "events"])
def test_killed_in_mid_storm(places: Places, store: str) -> None:
    """A cache or stream of the sister that is killed, and comes back empty, breaks calls and makes no false alarm."""
    kind = Memcached if store == "cache" else Redis
    with own(kind()) as first, places.world(sister={store: first.url}) as world, own(kind()) as second:

        def start() -> None:
            world.sister[store].target = second.port

        _storm_with(world, store, lambda: kill(first), start)


@pytest.mark.parametrize("store", ["cache", "events"])
def test_restarted_under_a_call(places: Places, store: str) -> None:
    """A sister that loses what the candidate has just written, because it is started anew, makes no false alarm."""
    kind = Memcached if store == "cache" else Redis
    with own(kind()) as first, places.world(sister={store: first.url}) as world, own(kind()) as second:
        number = world.comment()
        world.matches(number, 1)

        def restart() -> None:
            world.sister[store].target = second.port
            kill(first)
            until(lambda: first._watchdog is None or first._watchdog.poll() is not None)

        world.new.after["events"] = restart
        world.write(number)
        found = world.verdicts()
        world.new.after.clear()
        assert harmless(found), world.last()
        world.recovers(number, store)


def test_postgres_crashes_in_mid_storm(places: Places) -> None:
    """A database of the sister that crashes and recovers breaks calls and makes no false alarm."""
    with (
        own(Postgres(settings={"synchronous_commit": "on"})) as server,
        places.world(sister={"db": server.url}) as world,
        closing(psycopg.connect(server.url)) as victim,
        ExitStack() as outage,
    ):

        def crash() -> None:
            outage.enter_context(world.sister["db"].down())  # for it may be back in no time
            os.kill(victim.info.backend_pid, signal.SIGKILL)

        def start() -> None:
            until(lambda: _answers(server))
            outage.close()

        _storm_with(world, "db", crash, start)


def _answers(server: Postgres) -> bool:
    with suppress(psycopg.OperationalError):
        return bool(run(server.url, "SELECT 1"))
    return False


def test_postgres_replaced(places: Places) -> None:
    """A database of the sister that is killed, and comes back empty, is judged again once it is provisioned."""
    first, second = Postgres(), Postgres()
    second._password = first._password
    with own(first), places.world(sister={"db": first.url}) as world:
        number = world.comment()
        world.matches(number, 1)
        kill(first)
        world.write(number)
        assert world.verdicts() == BROKEN, world.last()
        with own(second):
            world.sister["db"].target = second.port
            world.write(number)
            assert world.verdicts() == BROKEN, world.last()  # it has no tables
            until(lambda: _provisioned(world))
            world.recovers(number, "db")


def _provisioned(world: Faulty) -> bool:
    with suppress(StoreUnavailable):  # after a failure it is proved anew only after a pause
        return world.db.provision() is not None
    return False
