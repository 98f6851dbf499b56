"""Writes when things break: stores that are down, slow, full or not isolated, late candidates, ends and forks."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from writes_support import (
    MODES,
    PATIENT,
    QUICK,
    Gate,
    Watched,
    World,
    bench,
    counted,
    errors,
    migration,
    once,
    places,
    workers,
)

import shadowmig
from shadowmig import SisterStore, Verdict
from shadowmig.engine import Breaker, Threads
from shadowmig.errors import StoreError
from shadowmig.model import Call
from shadowmig.side import checked_side
from shadowmig.stores import MemoryStore, Table
from shadowmig.stores.memory import MemorySpace

SRC = str(Path(shadowmig.__file__).parent.parent)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def space(store: Any) -> MemorySpace:
    """Give the space of a memory store."""
    assert isinstance(store, MemoryStore)
    return store.space


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How the calls are judged."""
    return str(request.param)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a step that talks to stores given up soon."""
    monkeypatch.setattr("shadowmig.engine.write_groups.PATIENCE", 0.4)


# Stores that are down -------------------------------------------------------------------------------------------------


def _proved_again(world: World) -> Callable[[], bool]:
    """Tell whether all sisters can be proved: after an outage that may take a while."""

    def proved() -> bool:
        for store in world.stores:
            try:
                store.prove()
            except StoreError:
                return False
        return True

    return proved


@pytest.mark.parametrize("which", ["db", "cache", "events"])
def test_a_sister_that_is_down(mode: str, which: str) -> None:
    """While a sister is down calls are served and broken, and once it is back they are judged."""
    world = World()
    number = world.new()
    with bench(mode) as made:
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **world.options)
        assert made.judge(update, number, "before").verdict is Verdict.MATCH
        with space(getattr(world, which).sister).outage():
            for turn in range(3):
                found = made.judge(update, number, f"during {turn}")
                assert (found.verdict, found.reason) == (Verdict.BROKEN, "sister")
                assert world.in_production(number)["body"] == f"during {turn}"
        until(_proved_again(world))
        assert made.judge(update, number, "after").verdict is Verdict.MATCH
        assert counted(made.made) == {"match": 2, "broken": 3, "broken:sister": 3}
        assert errors(made.made)["sister"] == 3


def test_a_sister_that_goes_down_under_the_candidate(mode: str) -> None:
    """A candidate that fails because the sister went down is broken, not a mismatch."""
    world = World()
    number = world.new()
    candidate = world.candidate()
    stack = contextlib.ExitStack()
    candidate.before = lambda: stack.enter_context(space(world.db.sister).outage()) if checked_side() else None
    with bench(mode) as made, stack:
        update = made.made.write(world.control.update, candidate=candidate.update, name="e", **world.options)
        found = made.judge(update, number, "x")
        assert (found.verdict, found.reason) == (Verdict.BROKEN, "sister")


def test_a_sister_that_goes_down_under_a_refusal(mode: str) -> None:
    """That the sister went down is told apart from a refusal, though control raised too."""
    world = World()
    stack = contextlib.ExitStack()

    def refuse(number: int) -> None:
        if checked_side():
            with space(world.db.sister).outage():
                world.db.client().get_row("comments", number)
        raise LookupError(number)

    with bench(mode) as made, stack:
        handler = made.made.write(
            refuse,
            candidate=refuse,
            name="e",
            touches=world.hydrate,
            hydrate=world.hydrate,
            hydrate_timeout=5,
            settle=QUICK,
        )
        found = made.judge(handler, world.new())
        assert (found.verdict, found.reason) == (Verdict.BROKEN, "sister")


@pytest.mark.parametrize("refuses", [True, False])
def test_a_sister_that_is_full(mode: str, refuses: bool) -> None:
    """A sister that can be read but not written breaks the comparison, whatever control did."""
    world = World()
    number = world.new()

    class Full(Exception):
        pass

    def write(number: int) -> None:
        if checked_side():
            raise Full
        if refuses:
            raise LookupError(number)

    def no(*args: Any, **more: Any) -> Any:
        raise StoreError("It is full.")

    with bench(mode) as made:
        handler = made.made.write(
            write,
            candidate=write,
            name="e",
            touches=world.hydrate,
            hydrate=world.hydrate,
            hydrate_timeout=5,
            settle=QUICK,
        )
        assert made.judge(handler, number).verdict is Verdict.MISMATCH  # the sister takes writes
        world.db.sister.plant = no  # type: ignore[method-assign]  # now it takes none
        found = made.judge(handler, number)
        assert (found.verdict, found.reason) == (Verdict.BROKEN, "sister")


def test_production_is_down_for_the_verifier(mode: str) -> None:
    """If production cannot be read by the verifier calls are served and broken, and judged once it can."""
    world = World()
    number = world.new()
    production = world.db.production
    assert isinstance(production, Watched)

    def fail() -> None:
        if down and (mode == "inline" or threading.current_thread().name.startswith("shadowmig")):
            raise StoreError("no")

    down = [True]
    production.before_read = fail
    with bench(mode) as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="e", **{**world.options, "hydrate": None}
        )
        found = made.judge(update, number, "x")
        assert (found.verdict, found.reason) == (Verdict.BROKEN, "production")
        assert world.in_production(number)["body"] == "x"
        down.clear()
        again = made.made.write(world.control.update, candidate=world.candidate().update, name="f", **world.options)
        assert made.judge(again, number, "y").verdict is Verdict.MATCH


def test_production_is_down_while_hydrating() -> None:
    """If production cannot be read before the call, it is served, and skipped."""
    world = World()
    number = world.new()
    with bench() as made:
        handler = made.made.write(
            lambda number: number,
            candidate=lambda number: number,
            name="e",
            hydrate=world.hydrate,
            touches=world.hydrate,
            key=lambda call: call["number"],
            hydrate_timeout=5,
        )
        with space(world.cache.production).outage(), made.made.inline() as seen:
            assert handler(number) == number
        assert seen == []
        assert counted(made.made) == {"skipped": 1, "skipped:hydrate": 1}
        assert errors(made.made) == {"hydrate": 1}
        assert made.made._get_mirror().overlap.entities == {}
        assert made.judge(handler, number).verdict is Verdict.MATCH


def test_production_goes_down_between_two_looks() -> None:
    """If production cannot be read again while something is waited for, the call is broken."""
    world = World()
    number = world.new()
    with bench("threads") as made:
        update = made.made.write(
            world.control.update,
            candidate=world.candidate("no event").update,
            name="e",
            **{**world.options, "settle": 20},
        )
        update(number, "x")
        until(lambda: world.in_sister(number) and world.in_sister(number)["body"] == "x")
        time.sleep(0.05)
        with space(world.db.production).outage():
            until(lambda: counted(made.made))
        assert counted(made.made)["broken"] == 1


def test_hydrating_too_slowly() -> None:
    """A call whose records cannot be read in time is skipped and counted, and served at once."""
    world = World()
    number = world.new()
    space(world.db.production).delay = 4.0
    with migration() as made:
        handler = made.write(
            lambda number: number,
            candidate=lambda number: number,
            name="e",
            hydrate=world.hydrate,
            touches=world.hydrate,
            hydrate_timeout=0.05,
            key=lambda call: call["number"],
        )
        started = time.monotonic()
        assert handler(number) == number
        assert time.monotonic() - started < 3
        assert counted(made) == {"skipped": 1, "skipped:hydrate": 1}
        assert made._get_mirror().overlap.entities == {}


def test_many_stores_share_the_time_to_hydrate() -> None:
    """The time to hydrate is for all stores together."""
    world = World()
    number = world.new()
    for store in (world.db, world.cache):
        space(store.production).delay = 0.15
    with migration() as made:
        handler = made.write(
            lambda number: number,
            candidate=lambda number: number,
            name="e",
            hydrate=world.hydrate,
            touches=world.hydrate,
            hydrate_timeout=0.2,
        )
        assert handler(number) == number
        assert counted(made) == {"skipped": 1, "skipped:hydrate": 1}


def test_slow_stores_hold_up_nobody() -> None:
    """Sisters that are slow delay verdicts, and no caller."""
    world = World()
    number = world.new()
    for store in world.stores:
        space(store.sister).delay = 0.05
    with bench("threads") as made:
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **world.options)
        started = time.monotonic()
        assert update(number, "x")["body"] == "x"
        assert time.monotonic() - started < 5
        assert made.made.flush(30)
        assert counted(made.made) == {"match": 1}


def test_a_store_that_hangs(impatient: None) -> None:
    """A sister that hangs makes the call broken once its time is over, and the lane goes on."""
    world = World()
    number = world.new()
    released = threading.Event()
    hangs = [True]

    def hang() -> None:
        if hangs:
            hangs.clear()
            released.wait(60)

    with bench("threads", runner=workers(2)) as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="e", **{**world.options, "deadline": 0.2}
        )
        world.db.sister.before_read = hang  # type: ignore[attr-defined]  # it is a watched store
        update(number, "x")
        until(lambda: counted(made.made))
        assert counted(made.made) == {"broken": 1, "broken:sister": 1}
        released.set()
        until(lambda: not made.made.stats().stuck)
        assert made.judge(update, number, "y").verdict is Verdict.MATCH


# Not isolated ---------------------------------------------------------------------------------------------------------


def _one_store() -> SisterStore:
    """Make a sister store that is none: both handles lead to one space, under two identities."""
    table = Table("t", key="id", version="version")
    one = MemorySpace()
    sister = MemoryStore(tables=[table], space=one)
    sister.identity = lambda: "another"  # type: ignore[method-assign]  # a proxy would give such a thing
    store = SisterStore(name="db", production=MemoryStore(tables=[table], space=one), sister=sister)
    store.production.client().insert("t", {"id": 1, "n": 0, "version": 1})
    return store


def test_not_isolated(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """Two handles of one store stop the experiment, logged and counted, before a write; the service goes on."""
    store = _one_store()
    sides: list[Any] = []

    def bump(number: int) -> int:
        sides.append(checked_side())
        client = store.client()
        row = client.get_row("t", number)
        return int(client.update("t", number, n=row["n"] + 1, version=row["version"] + 1)["n"])

    row: Callable[[Call], Any] = lambda call: [store.row("t", 1)]  # noqa: E731 - it is used twice
    with bench(mode) as made, caplog.at_level(logging.WARNING, "shadowmig"):
        handler = made.made.write(bump, candidate=bump, name="e", hydrate=row, touches=row, hydrate_timeout=5)
        found = made.judge(handler, 1)
        assert (found.verdict, found.reason) == (Verdict.SKIPPED, "not_isolated")
        assert [handler(1) for _ in range(5)] == [2, 3, 4, 5, 6]
        assert made.made.flush()
        assert counted(made.made) == {"skipped": 1, "skipped:not_isolated": 1}
        assert errors(made.made) == {"not_isolated": 1}
        assert sides == [None] * 6
        assert sum("not_isolated" in record.getMessage() for record in caplog.records) == 1
        # Whoever sets the stage has looked into it.
        made.made.stage = "shadow"
        assert made.judge(handler, 1).reason == "not_isolated"
        made.made.experiments["e"].stage = "shadow"
        assert made.judge(handler, 1).reason == "not_isolated"
        assert counted(made.made)["skipped"] == 3


def test_not_isolated_stops_one_experiment_only() -> None:
    """Other experiments of the migration go on."""
    store, world = _one_store(), World()
    number = world.new()
    with bench() as made:
        bad = made.made.write(
            lambda: 1, candidate=lambda: 1, name="bad", touches=lambda call: [store.row("t", 1)], breaker=PATIENT
        )
        good = made.made.write(world.control.update, candidate=world.candidate().update, name="good", **world.options)
        assert made.judge(bad).reason == "not_isolated"
        assert made.judge(good, number, "x").verdict is Verdict.MATCH


def test_not_isolated_and_many_calls_under_way() -> None:
    """Calls that were taken before it was known are skipped too, and none is lost."""
    store = _one_store()
    with migration() as made:
        handler = made.write(
            lambda x: x, candidate=lambda x: x, name="e", touches=lambda call: [store.row("t", 1)], breaker=PATIENT
        )
        for turn in range(50):
            handler(turn)
        assert made.flush(20)
        found = counted(made)
        assert set(found) == {"skipped", "skipped:not_isolated"}
        assert 1 <= found["skipped"] <= 50


# Candidates that are late ---------------------------------------------------------------------------------------------


def test_a_late_candidate(impatient: None) -> None:
    """A candidate past its deadline is a mismatch, and what it writes later makes no false alarm for those after it."""
    world = World()
    number = world.new()
    gate, first = Gate(), [True]

    def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        if first:
            first.clear()
            gate()
        return world.control.update(number, body, event_id=event_id)

    with bench("threads", runner=workers(4)) as made:
        update = made.made.write(
            world.control.update, candidate=candidate, name="e", **{**world.options, "deadline": 0.2}
        )
        update(number, "late")
        gate.wait()
        until(lambda: len(made.seen) == 1)
        assert places(made.seen[0]) == {("", "$", "deadline")}
        update(number, "waits")
        until(lambda: len(made.seen) == 2)
        gate.open()
        until(lambda: not made.made.stats().stuck)
        update(number, "goes on")
        assert made.made.flush(20)
        assert [found.verdict for found in made.seen] == [Verdict.MISMATCH, Verdict.RACED, Verdict.MATCH]
        assert made.seen[1].reason == "sister in use"


def test_slower_than_its_deadline(mode: str) -> None:
    """A candidate that takes longer than its deadline and comes back is a mismatch by its deadline."""
    world = World()
    number = world.new()
    candidate = world.candidate()
    candidate.before = lambda: time.sleep(0.1) if checked_side() else None
    found = once(world, "update", candidate.update, number, "x", mode=mode, deadline=0.02)
    assert places(found) == {("", "$", "deadline")}


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_a_candidate_that_writes_in_the_background(gap: float) -> None:
    """What a candidate writes within the time to settle is waited for, and disturbs no later call."""
    world = World()
    number = world.new()
    background = ThreadPoolExecutor(1)  # which keeps their order

    def update(number: int, body: str) -> Any:
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            row = transaction.update("comments", number, body=body, version=row["version"] + 1)
        cache = world.cache.client()

        def tell() -> None:
            time.sleep(0.05)
            cache.set(f"c:{number}", row, ttl=100)

        if checked_side():
            background.submit(tell)
        else:
            cache.set(f"c:{number}", row, ttl=100)
        return row

    with background, bench("threads") as made:
        handler = made.made.write(
            update,
            candidate=update,
            name="e",
            key=lambda call: call["number"],
            hydrate=world.hydrate,
            touches=world.hydrate,
            settle=0.5,
            hydrate_timeout=5,
            breaker=PATIENT,
        )
        for turn in range(3):
            handler(number, f"b{turn}")
            time.sleep(gap)
        assert made.made.flush(20)
        assert all(found.verdict is not Verdict.MISMATCH for found in made.seen), [
            found.differences for found in made.seen
        ]
        if gap:
            assert counted(made.made) == {"match": 3}


def test_the_breaker() -> None:
    """A candidate that always fails pauses the shadowing; a sister that is down does not."""
    world = World()
    number = world.new()
    with migration() as made:

        def fail(number: int, body: str, *, event_id: str | None = None) -> Any:
            raise LookupError

        update = made.write(
            world.control.update,
            candidate=fail,
            name="e",
            **{**world.options, "breaker": Breaker(errors=0.5, window=5, overhead=3600)},
        )
        for _ in range(5):
            update(number, "x")
            assert made.flush(20)
        update(number, "x")
        assert counted(made)["skipped:breaker"] == 1
        down = made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="f",
            **{**world.options, "breaker": Breaker(errors=0.5, window=5, overhead=3600)},
        )
        with space(world.db.sister).outage():
            for _ in range(8):
                down(number, "x")
                assert made.flush(20)
        assert counted(made, "f") == {"broken": 8, "broken:sister": 8}


# A full queue, the end, a fork ----------------------------------------------------------------------------------------


def test_shed() -> None:
    """Calls beyond the queue are shed and counted, and their entities are free again."""
    world = World()
    numbers = [world.new() for _ in range(10)]
    gate = Gate()
    candidate = world.candidate()
    candidate.before = lambda: gate() if checked_side() else None
    with migration(runner=Threads(workers=1, queue=3)) as made:
        update = made.write(
            world.control.update, candidate=candidate.update, name="e", **{**world.options, "deadline": 30}
        )
        for number in numbers:
            assert update(number, "x")["body"] == "x"
        assert counted(made) == {"skipped": 7, "skipped:shed": 7}
        held = made._get_mirror().overlap.entities
        assert len([key for key in held if key in {hash(number) for number in numbers}]) == 3
        gate.open()
        assert made.flush(20)
        assert counted(made)["match"] == 3
        assert made._get_mirror().overlap.entities == {}
        assert made._get_mirror().claims.active == set()


def test_close_with_looks_to_come() -> None:
    """Closing drops what waits to be looked at again, counted, and handlers go on serving."""
    world = World()
    number = world.new()
    with migration() as made:
        update = made.write(
            world.control.update,
            candidate=world.candidate("no event").update,
            name="e",
            **{**world.options, "settle": 60},
        )
        update(number, "x")
        until(lambda: world.in_sister(number) and world.in_sister(number)["body"] == "x")
        time.sleep(0.05)
        assert not made.close(0.1)
        assert counted(made) == {"skipped": 1, "skipped:closed": 1}
        assert made._get_mirror().overlap.entities == {}
        assert update(number, "y")["body"] == "y"
        assert counted(made) == {"skipped": 1, "skipped:closed": 1}


def test_close_waits_for_looks() -> None:
    """Closing with enough time waits for what is to be looked at again."""
    world = World()
    number = world.new()
    with migration() as made:
        update = made.write(
            world.control.update, candidate=world.candidate("no event").update, name="e", **world.options
        )
        update(number, "x")
        assert made.close(20)
        assert counted(made) == {"mismatch": 1}


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], tuple[str, float]]:
    """Run a program of its own, and give what it printed and the time at which it had ended."""

    def run(text: str) -> tuple[str, float]:
        file = tmp_path / "program.py"
        file.write_text(text, encoding="utf-8")
        path = os.pathsep.join([SRC, str(Path(__file__).parent)])
        done = subprocess.run(
            [sys.executable, "-W", "ignore:This process:DeprecationWarning", str(file)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout, time.monotonic()

    return run


def test_fork(program: Callable[[str], tuple[str, float]]) -> None:
    """A forked child judges its own writes, with claims and memory of its own, while its parent's are under way."""
    printed, _ = program("""
import os, sys, time
from writes_support import Gate, World, counted, migration
from shadowmig.side import checked_side

world = World()
number = world.new()
gate = Gate()
candidate = world.candidate()
candidate.before = lambda: gate() if checked_side() and os.getpid() == parent else None
parent = os.getpid()
with migration() as made:
    update = made.write(world.control.update, candidate=candidate.update, name="e", **{**world.options, "deadline": 30})
    update(number, "parent")
    gate.wait()
    child = os.fork()
    if not child:
        for turn in range(3):
            update(number, f"child {turn}")
            assert made.flush(20)
        print("child", counted(made), made._get_mirror().overlap.entities, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    gate.open()
    assert made.flush(20)
    print("parent", counted(made), flush=True)
""")
    assert printed.splitlines() == ["child {'match': 3} {}", "parent {'match': 1}"]


def test_the_end_of_a_process(program: Callable[[str], tuple[str, float]]) -> None:
    """The end of a process with writes under way in slow stores is bounded."""
    begun, ended = program("""
import time
from writes_support import World, migration
from shadowmig import Migration

world = World()
number = world.new()
for store in world.stores:
    store.sister.space.delay = 5.0
made = Migration("m", sinks=[lambda batch: None], exit_timeout=0.5)
update = made.write(world.control.update, candidate=world.candidate().update, name="e", **world.options)
print(time.monotonic())
for _ in range(20):
    update(number, "x")
""")
    assert ended - float(begun) < 4.5


def test_the_end_of_an_async_process(program: Callable[[str], tuple[str, float]]) -> None:
    """The end of an async process with writes under way in slow stores is bounded too."""
    begun, ended = program("""
import asyncio, time
from writes_support import World
from shadowmig import Migration

world = World()
number = world.new()
for store in world.stores:
    store.sister.space.delay = 5.0
made = Migration("m", sinks=[lambda batch: None], exit_timeout=0.5)

async def update(number, body):
    return world.control.update(number, body)

async def new(number, body, *, event_id=None):
    return world.control.update(number, body, event_id=event_id)

handler = made.write(update, candidate=new, name="e", **world.options)

async def main():
    print(time.monotonic())
    for _ in range(20):
        await handler(number, "x")
    await asyncio.sleep(0.1)

asyncio.run(main())
""")
    assert ended - float(begun) < 4.5


# Hostile data ---------------------------------------------------------------------------------------------------------

HOSTILE = ["a b", "'; DROP TABLE t; --", 'quo"te', "dot.ted", "new\nline", "nul\x00", "\ud800", "ü" * 300, "", "e1"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names(name: str) -> None:
    """Odd keys, tables, streams and ids of events work, or break the comparison by a named error."""
    table = Table(name or "t", key="id", version="version")
    db = World.pair("db", tables=[table])
    cache, events = World.pair("cache"), World.pair("events")

    def put(key: str) -> str:
        db.client().insert(name or "t", {"id": key, "version": 1})
        cache.client().set(key, {"version": 1})
        events.client().append(key or "s", {"event_id": key}, id="5-5")
        return key

    with bench("threads") as made:
        handler = made.made.write(
            put,
            candidate=put,
            name="e",
            settle=QUICK,
            touches=lambda call: [db.row(name or "t", name), cache.key(name), events.entry(name or "s", "5-5")],
        )
        assert handler(name) == name
        assert made.made.flush(20)
        assert set(counted(made.made)) & {"match", "broken"}, made.seen


@pytest.mark.parametrize(
    "value",
    [None, "x" * 1_000_000, b"\xff\x00" * 1000, float("nan"), 10**400, {"deep": [[[[1]]]]}, {1: 2, "1": 3}, set("ab")],
    ids=lambda value: type(value).__name__,
)
def test_hostile_values(value: Any) -> None:
    """Odd values are compared, and copied from one store to the other."""
    cache = World.pair("cache")
    cache.production.client().set("k", value)

    def touch(key: str) -> None:
        held = cache.client().get(key)
        cache.client().set(key, held)
        cache.client().set("copy", held)

    with bench() as made:
        key: Callable[[Call], Any] = lambda call: [cache.key("k")]  # noqa: E731 - it is used twice
        handler = made.made.write(
            touch,
            candidate=touch,
            name="e",
            hydrate=key,
            hydrate_timeout=5,
            settle=QUICK,
            touches=lambda call: [cache.key("k"), cache.key("copy")],
        )
        found = made.judge(handler, "k")
        assert found.verdict is Verdict.MATCH or isinstance(value, float | set), found


def test_a_table_that_is_gone_between_two_looks() -> None:
    """A store that refuses a ref at a later look makes the call broken, and not the ones beside it."""
    world = World()
    number, other = world.new(), world.new()
    with bench("threads") as made:
        update = made.made.write(
            world.control.update,
            candidate=world.candidate("no event").update,
            name="e",
            **{**world.options, "settle": 20},
        )
        update(number, "x")
        until(lambda: world.in_sister(number) and world.in_sister(number)["body"] == "x")
        time.sleep(0.05)
        place = world.db.production._place  # type: ignore[attr-defined]  # it is a memory store
        gone = place._rows.pop("comments")
        until(lambda: counted(made.made))
        place._rows["comments"] = gone
        assert counted(made.made)["broken"] == 1
        good = made.made.write(world.control.update, candidate=world.candidate().update, name="f", **world.options)
        assert made.judge(good, other, "x").verdict is Verdict.MATCH


def test_hydrating_has_one_limit() -> None:
    """Stores that are read one after the other share the time that hydrating has."""
    world = World()
    limits: list[float] = []

    def slow(store: SisterStore) -> None:
        production = store._production
        read = production.read

        def limited(refs: Any, **more: Any) -> Any:
            if more.get("timeout") is not None:
                limits.append(more["timeout"])
                time.sleep(0.03)
            return read(refs, **more)

        production.read = limited  # type: ignore[method-assign]  # for this test

    slow(world.db)
    slow(world.cache)
    with bench("inline") as made:
        update = made.made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="update",
            **{**world.options, "hydrate_timeout": 5.0},
        )
        assert made.judge(update, world.new(), "x").verdict is Verdict.MATCH
    first, second = limits
    assert first <= 5.0
    assert second <= 5.0 - 0.03


def test_no_time_left_for_the_next_store() -> None:
    """A store is not asked any more once another one has used up the time that hydrating has."""
    world = World()
    asked: list[str] = []
    for name, store in (("db", world.db), ("cache", world.cache)):
        read = store._production.read

        def limited(refs: Any, *, name: str = name, read: Any = read, **more: Any) -> Any:
            if more.get("timeout") is not None:
                asked.append(name)
                time.sleep(0.1)
            return read(refs, **more)

        store._production.read = limited  # type: ignore[method-assign]  # for this test
    with migration() as made, made.inline():
        update = made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="update",
            **{**world.options, "hydrate_timeout": 0.05},
        )
        update(world.new(), "x")
        assert counted(made) == {"skipped": 1, "skipped:hydrate": 1}
    assert asked == ["cache"]
