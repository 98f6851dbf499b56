"""Writes of async handlers: the loop goes on, hydrating is awaited and cancelled, tasks share the sister."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from writes_support import PATIENT, QUICK, Watched, World, counted, errors, migration, places

from shadowmig import Comparison, Migration, Verdict
from shadowmig.model import Call
from shadowmig.side import checked_side
from shadowmig.stores import Table

RUN = asyncio.run


def awaited(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        RUN(asyncio.wait_for(test(), 60))

    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would take it for a coroutine function
    return run


def later(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Make an async handler of a sync one."""

    async def handler(number: int, body: str, *, event_id: str | None = None) -> Any:
        await asyncio.sleep(0)
        return function(number, body, event_id=event_id)

    return handler


async def judge(made: Migration, call: Callable[..., Any], *args: Any) -> Comparison:
    """Make one call, and give its comparison."""
    seen: list[Comparison] = []
    made._on_comparison = seen.append
    with contextlib.suppress(LookupError):
        await call(*args)
    assert await made.aflush(20)
    assert len(seen) == 1, made.stats()
    return seen[0]


@awaited
async def test_update_by_tasks() -> None:
    """An async write whose candidate is async too runs in tasks, and is compared in all stores."""
    world = World()
    number = world.new()
    with migration() as made:
        update = made.write(
            later(world.control.update), candidate=later(world.candidate().update), name="e", **world.options
        )
        assert (await judge(made, update, number, "x")).verdict is Verdict.MATCH
        assert world.in_sister(number)["body"] == "x"


@awaited
async def test_defect_by_tasks() -> None:
    """A defect of an async candidate is found at its place."""
    world = World()
    with migration() as made:
        update = made.write(
            later(world.control.update), candidate=later(world.candidate("shouts").update), name="e", **world.options
        )
        found = await judge(made, update, world.new(), "x")
        assert found.verdict is Verdict.MISMATCH
        assert ("db", "$.body", "changed") in places(found)
        assert found.proof in ("version", "event")


@awaited
async def test_inline() -> None:
    """Inside of ``inline()`` an async write is judged before it returns, waiting for what comes late included."""
    world = World()
    with migration() as made:
        update = made.write(
            later(world.control.update), candidate=later(world.candidate("no event").update), name="e", **world.options
        )
        with made.inline() as seen:
            await update(world.new(), "x")
            assert [found.verdict for found in seen] == [Verdict.MISMATCH]
            assert ("events", "$", "missing") in places(seen[0])


@awaited
async def test_a_sync_candidate_of_an_async_handler() -> None:
    """The candidate of an async handler may be sync, and then runs in threads."""
    world = World()
    with migration() as made:
        update = made.write(
            later(world.control.update), candidate=world.candidate("shouts").update, name="e", **world.options
        )
        found = await judge(made, update, world.new(), "x")
        assert ("db", "$.body", "changed") in places(found)


@awaited
async def test_live() -> None:
    """In stage LIVE an async candidate writes production, and control the sister."""
    world = World()
    number = world.new()
    with migration(stage="live") as made:
        update = made.write(
            later(world.control.update), candidate=later(world.candidate("shouts").update), name="e", **world.options
        )
        found = await judge(made, update, number, "x")
        assert (world.in_production(number)["body"], world.in_sister(number)["body"]) == ("X", "x")
        assert {(one.control, one.candidate) for one in found.differences} == {("x", "X")}


@awaited
async def test_both_fail_alike() -> None:
    """Async sides that both refuse are a match, and the caller gets control's own exception."""
    world = World()
    error = LookupError("mine")

    async def refuse(number: int) -> None:
        raise error

    with migration() as made:
        handler = made.write(
            refuse,
            candidate=refuse,
            name="e",
            hydrate=world.hydrate,
            touches=world.hydrate,
            hydrate_timeout=5,
            settle=QUICK,
        )
        with pytest.raises(LookupError) as caught:
            await handler(1)
        assert caught.value is error
        assert await made.aflush(20)
        assert counted(made) == {"match": 1}


@awaited
async def test_methods() -> None:
    """Async methods and class methods are compared."""
    world = World()
    number = world.new()
    with migration() as made:

        class Comments:
            @made.write(
                candidate=lambda self, number, body, event_id=None: later(world.control.update)(
                    number, body, event_id=event_id
                ),
                name="method",
                **world.options,
            )
            async def update(self, number: int, body: str) -> Any:
                return world.control.update(number, body)

        await Comments().update(number, "x")
        assert await made.aflush(20)
        assert counted(made) == {"match": 1}


# The caller's path ----------------------------------------------------------------------------------------------------


@awaited
async def test_hydrating_is_awaited() -> None:
    """While a slow store is hydrated from, the loop goes on."""
    world = World()
    number = world.new()
    world.db.production.space.delay = 0.1  # type: ignore[attr-defined]  # it is a memory store
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    with migration() as made:
        row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - it is used twice
        seen: list[int] = []

        async def handler(number: int) -> int:
            seen.append(turns)
            return number

        decorated = made.write(
            handler, candidate=handler, name="e", hydrate=row, touches=row, hydrate_timeout=20, breaker=PATIENT
        )
        ticking = asyncio.create_task(tick())
        assert await decorated(number) == number
        assert seen[0] > 5
        ticking.cancel()
        assert await made.aflush(20)


@awaited
async def test_hydrating_too_slowly() -> None:
    """A call whose records cannot be read in time is skipped, counted, and served at once."""
    world = World()
    number = world.new()
    world.db.production.space.delay = 4.0  # type: ignore[attr-defined]  # it is a memory store
    with migration() as made:

        async def handler(number: int) -> int:
            return number

        decorated = made.write(
            handler, candidate=handler, name="e", hydrate=world.hydrate, touches=world.hydrate, hydrate_timeout=0.05
        )
        started = time.monotonic()
        assert await decorated(number) == number
        assert time.monotonic() - started < 3
        assert counted(made) == {"skipped": 1, "skipped:hydrate": 1}
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # there is a task
        assert made._get_mirror().overlap.entities == {}


@awaited
async def test_cancelled_while_hydrating() -> None:
    """A caller that is cancelled while its records are read is cancelled, and the handler never runs."""
    world = World()
    number = world.new()
    world.db.production.space.delay = 4.0  # type: ignore[attr-defined]  # it is a memory store
    ran: list[int] = []

    async def handler(number: int) -> None:
        ran.append(number)

    with migration() as made:
        decorated = made.write(
            handler,
            candidate=handler,
            name="e",
            key=lambda call: call["number"],
            hydrate=world.hydrate,
            touches=world.hydrate,
            hydrate_timeout=20,
        )
        task = asyncio.create_task(decorated(number))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ran == []
        assert made._get_mirror().overlap.entities == {}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await decorated(number)
        assert ran == []


@awaited
async def test_cancelled_while_hydrating_is_counted() -> None:
    """A call that is cancelled while its records are read is counted as skipped."""
    world = World()
    world.db.production.space.delay = 4.0  # type: ignore[attr-defined]  # it is a memory store

    async def handler(number: int) -> None:
        pass

    with migration() as made:
        decorated = made.write(
            handler, candidate=handler, name="e", hydrate=world.hydrate, touches=world.hydrate, hydrate_timeout=20
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await decorated(5)
        assert counted(made) == {"skipped": 1, "skipped:interrupted": 1}


@awaited
async def test_cancelled_while_served() -> None:
    """A caller that is cancelled while the handler runs is cancelled, and its entity is free again."""
    world = World()
    number = world.new()

    async def handler(number: int) -> None:
        await asyncio.sleep(30)

    with migration() as made:
        decorated = made.write(
            handler,
            candidate=handler,
            name="e",
            key=lambda call: call["number"],
            hydrate=world.hydrate,
            touches=world.hydrate,
            hydrate_timeout=20,
        )
        task = asyncio.create_task(decorated(number))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert counted(made) == {"skipped": 1, "skipped:interrupted": 1}
        assert made._get_mirror().overlap.entities == {}


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError, GeneratorExit, SystemExit, ValueError, TimeoutError],
    ids=lambda kind: kind.__name__,
)
def test_a_store_that_raises_while_hydrating(error: type[BaseException]) -> None:
    """Whatever a store raises by itself while it is hydrated from stays with us."""

    async def main() -> None:
        world = World()
        production = world.db.production
        assert isinstance(production, Watched)

        def fail() -> None:
            raise error

        production.before_read = fail

        async def handler(number: int) -> int:
            return number

        with migration() as made:
            decorated = made.write(
                handler, candidate=handler, name="e", hydrate=world.hydrate, touches=world.hydrate, hydrate_timeout=20
            )
            assert await decorated(5) == 5
            found = counted(made)
            assert found.get("broken:hydrate", 0) + found.get("skipped:hydrate", 0) == 1

    RUN(main())


@awaited
async def test_our_own_books_fail_while_hydrating() -> None:
    """If even our counting fails while records are read, the caller is served."""
    world = World()
    production = world.db.production
    assert isinstance(production, Watched)

    def fail() -> None:
        raise ValueError

    def worse(*args: object) -> None:
        raise RuntimeError("the books")

    production.before_read = fail

    async def handler(number: int) -> int:
        return number

    with migration() as made:
        decorated = made.write(
            handler, candidate=handler, name="e", hydrate=world.hydrate, touches=world.hydrate, hydrate_timeout=20
        )
        experiment = made.experiments["e"]
        experiment.guard.count = worse  # type: ignore[method-assign]  # so that it fails
        assert await decorated(5) == 5
        del experiment.guard.count


# The stores -----------------------------------------------------------------------------------------------------------


@awaited
async def test_a_store_without_async_reads() -> None:
    """A production store that cannot be read on a loop is read in a thread."""
    world = World()
    number = world.new()
    world.db._async = None
    threads: set[int] = set()
    production = world.db.production
    assert isinstance(production, Watched)
    production.before_read = lambda: threads.add(threading.get_ident())
    with migration() as made:
        update = made.write(
            later(world.control.update), candidate=later(world.candidate().update), name="e", **world.options
        )
        assert (await judge(made, update, number, "x")).verdict is Verdict.MATCH
    assert threads
    assert threading.get_ident() not in threads


@awaited
async def test_a_store_that_is_only_hydrated() -> None:
    """An async candidate may use a sister store that it only reads from, if it is hydrated."""
    world = World()
    number = world.new()
    users = World.pair("users", tables=[Table("users", key="id")])

    async def vote(number: int) -> Any:
        users.client().get_row("users", 1)
        client = world.db.client()
        row = client.get_row("comments", number)
        return client.update("comments", number, votes=row["votes"] + 1, version=row["version"] + 1)

    with migration() as made:
        handler = made.write(
            vote,
            candidate=vote,
            name="e",
            hydrate=lambda call: [world.row(call["number"]), users.row("users", 1)],
            touches=lambda call: [world.row(call["number"])],
            settle=QUICK,
            hydrate_timeout=20,
        )
        assert (await judge(made, handler, number)).verdict is Verdict.MATCH


@awaited
async def test_the_loop_is_never_held_up() -> None:
    """The stores are asked in threads of our own, however slow they are."""
    world = World()
    number = world.new()
    for pair in world.stores:
        pair.sister.space.delay = 0.05  # type: ignore[attr-defined]  # it is a memory store
    slow: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            slow.append(time.monotonic() - before)

    async def handler(number: int) -> int:
        return number

    with migration() as made:
        row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - it is used twice
        decorated = made.write(handler, candidate=handler, name="e", touches=row, settle=QUICK)
        ticking = asyncio.create_task(tick())
        await decorated(number)
        assert await made.aflush(20)
        ticking.cancel()
        assert len(slow) > 20


@awaited
async def test_writes_that_share_a_record() -> None:
    """Async writes of different entities to one record wait for one another, and hold up nobody else."""
    world = World()
    numbers = [world.new() for _ in range(12)]
    world.db.production.client().insert("totals", {"id": 1, "votes": 0, "version": 1})
    total = world.db.row("totals", 1)

    async def vote(number: int) -> int:
        await asyncio.sleep(0.001)
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            transaction.update("comments", number, votes=row["votes"] + 1, version=row["version"] + 1)
            all_ = transaction.get_row("totals", 1)
            version = int(all_["version"]) + 1
            transaction.update("totals", 1, votes=all_["votes"] + 1, version=version)
        return version

    refs: Callable[[Call], Any] = lambda call: [world.row(call["number"]), total]  # noqa: E731 - it is used twice
    with migration() as made:
        handler = made.write(
            vote,
            candidate=vote,
            name="e",
            key=lambda call: call["number"],
            hydrate=refs,
            touches=refs,
            version=lambda call: {total: call.result},
            breaker=PATIENT,
            hydrate_timeout=20,
        )
        await asyncio.gather(*(handler(number) for number in numbers))
        assert await made.aflush(30)
        found = counted(made)
        assert "raced:sister in use" not in found
        assert "mismatch" not in found


@awaited
async def test_the_order_of_one_entity() -> None:
    """Async writes of one entity are made in the sister in the order in which they were served."""
    world = World()
    number = world.new()
    order: list[str] = []

    async def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        await asyncio.sleep(0.01 if body == "b0" else 0)
        order.append(body)
        return world.control.update(number, body, event_id=event_id)

    with migration() as made:
        update = made.write(later(world.control.update), candidate=candidate, name="e", **world.options)
        for turn in range(10):
            await update(number, f"b{turn}")
        assert await made.aflush(30)
    assert order == [f"b{turn}" for turn in range(10)]


@awaited
async def test_a_storm_of_tasks() -> None:
    """Many tasks that write few records make no false alarm."""
    world = World()
    numbers = [world.new() for _ in range(3)]
    with migration() as made:
        vote = made.write(
            later(lambda number, body, event_id=None: world.control.increment(number, event_id=event_id)),
            candidate=later(lambda number, body, event_id=None: world.control.increment(number, event_id=event_id)),
            name="e",
            **{**world.options, "touches": world.standing},
        )
        await asyncio.gather(*(vote(numbers[turn % 3], "") for turn in range(90)))
        assert await made.aflush(60)
        found = counted(made)
        assert "mismatch" not in found, made.findings()
        assert errors(made) == {}
        assert found["match"] > 45


@awaited
async def test_contexts() -> None:
    """The candidate runs in the caller's context as the checked side, and leaves no trace in it."""
    sides: list[Any] = []

    async def handler(x: int) -> int:
        sides.append(checked_side())
        return x

    with migration() as made:
        decorated = made.write(handler, candidate=handler, name="e", touches=lambda call: [])
        await decorated(1)
        assert await made.aflush(20)
        assert checked_side() is None
    assert [side and side.value for side in sides] == [None, "candidate"]


# Ends -----------------------------------------------------------------------------------------------------------------


def test_a_loop_that_ends_while_waiting() -> None:
    """A loop that ends while a write waits to be looked at again drops it, counted, and nothing stays behind."""
    world = World()
    number = world.new()
    with migration() as made:
        update = made.write(
            later(world.control.update),
            candidate=later(world.candidate("no event").update),
            name="e",
            **{**world.options, "settle": 5},
        )

        async def main() -> None:
            await update(number, "x")
            end = time.monotonic() + 20
            while not world.in_sister(number) and time.monotonic() < end:  # noqa: ASYNC110 - a thread writes it
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)

        RUN(main())
        made.flush(10)
        assert made.stats().pending == 0
        assert counted(made).get("skipped") == 1
        assert made._get_mirror().overlap.entities == {}


def test_close_while_waiting() -> None:
    """Closing drops a write that waits to be looked at again, counted."""

    async def main() -> None:
        world = World()
        number = world.new()
        with migration() as made:
            update = made.write(
                later(world.control.update),
                candidate=later(world.candidate("no event").update),
                name="e",
                **{**world.options, "settle": 30},
            )
            await update(number, "x")
            await asyncio.sleep(0.2)
            assert not await made.aclose(0.1)
            assert counted(made) == {"skipped": 1, "skipped:closed": 1}
            assert made._get_mirror().overlap.entities == {}
            assert await update(number, "y")

    RUN(main())


def test_no_threads_are_left() -> None:
    """After ``close`` none of the threads that asked stores for async handlers is left."""

    def ours() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("shadowmig-stores")} - before

    before: set[threading.Thread] = set()  # of other tests
    before = ours()

    async def main() -> None:
        world = World()
        number = world.new()
        with migration() as made:
            update = made.write(
                later(world.control.update), candidate=later(world.candidate().update), name="e", **world.options
            )
            for _ in range(5):
                await update(number, "x")
            assert await made.aflush(20)
            assert ours()
        end = time.monotonic() + 20
        while ours():
            assert time.monotonic() < end, "threads were left behind"
            await asyncio.sleep(0.01)

    RUN(main())
