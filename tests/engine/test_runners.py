"""Runners: bounded, ordered by key, never stuck for ever, born late, reborn after a fork, gone at exit."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from shadowmig import Migration, Side, Verdict
from shadowmig.engine import Breaker, Inline, Tasks, Threads
from shadowmig.engine.desk import MOST_STUCK, NAP, SLICE, Pacer
from shadowmig.errors import ConfigError
from shadowmig.side import checked_side
from shadowmig.sinks import Memory

PATIENT = Breaker(errors=2)
"""A breaker that never opens."""


def until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until something holds; the bound only ends a test that would hang."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event that hanging candidates wait for, set at the end."""
    event = threading.Event()
    yield event
    event.set()


def reasons(migration: Migration) -> dict[str, int]:
    """Why calls of the only experiment were not judged."""
    (summary,) = migration.stats().experiments.values()
    return dict(summary.reasons)


def verdict(migration: Migration, verdict: Verdict) -> int:
    """How many calls of the only experiment had this verdict."""
    (summary,) = migration.stats().experiments.values()
    return summary.verdicts[verdict]


def shadowmig_threads() -> list[str]:
    """The names of our threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("shadowmig")]


def test_threads_are_born_late_and_end() -> None:
    """No thread is started before the first sampled call, and none is left after ``close``."""
    before = len(shadowmig_threads())
    migration = Migration("m", sinks=[Memory()])
    get = migration.read(lambda: 1, candidate=lambda: 1, name="get")
    assert len(shadowmig_threads()) == before
    get()
    assert len(shadowmig_threads()) > before
    assert migration.close()
    until(lambda: len(shadowmig_threads()) == before)


def test_a_full_queue_sheds_and_counts(release: threading.Event) -> None:
    """Calls beyond the queue are shed by name; users get their answers all the same."""
    with Migration("m", sinks=[], runner=Threads(workers=1, queue=5)) as migration:
        options: dict[str, Any] = {"candidate": lambda n: n if release.wait(30) else -1, "deadline": 30}
        options["breaker"] = Breaker(errors=2, overhead=60)  # a busy machine would be taken for slowness of ours
        get = migration.read(lambda n: n, name="get", **options)
        assert [get(n) for n in range(20)] == list(range(20))
        assert migration.stats().pending == 5
        assert reasons(migration) == {"skipped:shed": 15}
        release.set()
        assert migration.flush()
        assert migration.stats().pending == 0
        assert verdict(migration, Verdict.MATCH) == 5


@pytest.mark.parametrize("runner", [lambda: Threads(workers=4), Tasks])
def test_lanes_keep_the_order_of_an_entity(runner: Callable[[], Any]) -> None:
    """Calls of one key are checked one after the other, in their order; calls of other keys go on beside them."""
    seen: list[tuple[int, int]] = []
    busy: set[int] = set()

    async def candidate(entity: int, number: int) -> int:
        assert entity not in busy
        busy.add(entity)
        await asyncio.sleep(0.001 * (5 - number))
        seen.append((entity, number))
        busy.discard(entity)
        return number

    async def handler(entity: int, number: int) -> int:
        return number

    async def main() -> None:
        async with Migration("m", sinks=[], runner=runner()) as migration:
            get = migration.read(handler, candidate=candidate, key=lambda call: call["entity"], name="get")
            for number in range(5):
                for entity in range(4):
                    await get(entity, number)
            assert await migration.aflush(20)
            assert verdict(migration, Verdict.MATCH) == 20

    asyncio.run(main())
    for entity in range(4):
        assert [number for other, number in seen if other == entity] == list(range(5))
    assert seen != sorted(seen)


def test_a_lane_goes_on_after_a_deadline(release: threading.Event) -> None:
    """A call that hangs delays its lane no longer than its deadline."""
    seen = []

    def candidate(n: int) -> int:
        if n == 0:
            release.wait(30)
        seen.append(n)
        return n

    with Migration("m", sinks=[], runner=Threads(workers=2)) as migration:
        get = migration.read(lambda n: n, candidate=candidate, key=lambda call: 1, deadline=0.1, name="get")
        for n in range(4):
            get(n)
        assert migration.flush(20)
        assert seen == [1, 2, 3]
        assert [finding.kind for finding in migration.findings()] == ["deadline"]
        assert migration.stats().stuck == 1
        release.set()
        until(lambda: migration.stats().stuck == 0)


def test_hanging_candidates_do_not_eat_all_workers(release: threading.Event) -> None:
    """With more hangs than threads allowed, jobs are dropped by name, and all is well once the hangs end."""
    before = len(shadowmig_threads())
    with Migration("m", sinks=[], runner=Threads(workers=2, stuck=2)) as migration:
        get = migration.read(
            lambda n: n,
            candidate=lambda n: n if n >= 10 or release.wait(30) else -1,
            deadline=0.05,
            breaker=PATIENT,
            name="get",
        )
        for n in range(10):
            get(n)
        assert migration.flush(20)
        assert migration.stats().stuck == 4
        assert len(shadowmig_threads()) - before <= 4 + 2
        assert reasons(migration) == {"skipped:stuck": 6}
        release.set()
        until(lambda: migration.stats().stuck == 0)
        get(11)
        assert migration.flush(20)
        assert verdict(migration, Verdict.MATCH) == 1


def test_stale_calls_are_dropped(release: threading.Event) -> None:
    """A call that waited too long for a worker is dropped by name, lane and all."""
    with Migration("m", sinks=[], runner=Threads(workers=1, max_wait=0.05)) as migration:
        get = migration.read(
            lambda n: n,
            candidate=lambda n: n if release.wait(30) else -1,
            key=lambda call: call["n"] % 2,
            deadline=30,
            name="get",
        )
        for n in range(1, 5):
            get(n)
        time.sleep(0.1)
        release.set()
        assert migration.flush(20)
        assert reasons(migration) == {"skipped:stale": 3}


def test_a_hanging_comparator_is_broken_and_replaced(release: threading.Event) -> None:
    """A comparator past its time makes the call broken; judging goes on in another thread."""

    def compare(*, control: int, candidate: int) -> list[Any]:
        if control == 0:
            release.wait(30)
        return []

    with Migration("m", sinks=[]) as migration:
        get = migration.read(lambda n: n, candidate=lambda n: n, compare=compare, judging=0.1, name="get")
        for n in range(5):
            get(n)
        assert migration.flush(20)
        assert reasons(migration) == {"broken:judging took too long": 1}
        assert verdict(migration, Verdict.MATCH) == 4
        release.set()
        until(lambda: migration.stats().stuck == 0)


def test_comparators_that_always_hang_are_given_up(release: threading.Event) -> None:
    """After a few hung judging threads calls are dropped by name instead of starting more threads."""

    def compare(*, control: int, candidate: int) -> list[Any]:
        release.wait(30)
        return []

    with Migration("m", sinks=[]) as migration:
        get = migration.read(lambda n: n, candidate=lambda n: n, compare=compare, judging=0.05, name="get")
        for n in range(20):
            get(n)
        until(lambda: migration.stats().pending == 0)
        hung = MOST_STUCK + 1
        assert reasons(migration) == {"broken:judging took too long": hung, "skipped:stuck": 20 - hung}
        release.set()
        until(lambda: migration.stats().stuck == 0)
        get(1)
        assert migration.flush(20)
        assert verdict(migration, Verdict.MATCH) == 1


def test_a_hanging_sink_stops_neither_judging_nor_the_others(release: threading.Event) -> None:
    """Other sinks get their findings, and the hanging one gets its own once it is back."""
    got: list[int] = []

    def hanging(batch: Any) -> None:
        release.wait(30)
        got.append(len(batch.findings))

    sink = Memory()
    with Migration("m", sinks=[hanging, sink], publish_every=0.01) as migration:
        migration._desk._patience = 0.1
        get = migration.read(lambda n: n, candidate=lambda n: -n, name="get")
        get(1)
        until(lambda: len(sink.findings) == 1)
        get(2)
        until(lambda: sink.findings[0].count == 2)
        release.set()
        until(lambda: bool(got))


def test_the_context_goes_along() -> None:
    """The checked side sees the caller's context variables; what it sets stays with it; it knows what it is."""
    user: ContextVar[str] = ContextVar("user", default="nobody")
    seen: list[tuple[str, Side | None]] = []

    def candidate() -> int:
        seen.append((user.get(), checked_side()))
        user.set("candidate")
        return 1

    def control() -> int:
        assert checked_side() is None
        return 1

    for runner in (Inline(), Threads()):
        with Migration("m", sinks=[], runner=runner) as migration:
            get = migration.read(control, candidate=candidate, name="get")
            user.set("alice")
            get()
            assert migration.flush()
            assert user.get() == "alice"
    assert seen == [("alice", Side.CANDIDATE)] * 2


def test_async_clients_stay_on_their_loop() -> None:
    """Async other sides of async handlers run on the handler's own loop, whichever runner takes them."""
    loops: list[Any] = []

    async def candidate() -> int:
        loops.append(asyncio.get_running_loop())
        return 1

    async def handler() -> int:
        return 1

    async def main(runner: Any) -> None:
        async with Migration("m", sinks=[], runner=runner) as migration:
            await migration.read(handler, candidate=candidate, name="get")()
            assert await migration.aflush()
            assert loops.pop() is asyncio.get_running_loop()

    for runner in (None, Threads(), Inline()):
        asyncio.run(main(runner))


def test_an_async_candidate_is_cancelled_at_its_deadline() -> None:
    """Coroutines can be stopped: past the deadline the candidate gets its cancellation."""
    cancelled: list[str] = []

    async def candidate(name: str) -> int:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return 1

    async def handler(name: str) -> int:
        return 1

    async def main() -> None:
        for runner in (Tasks(), Threads()):
            async with Migration("m", sinks=[], runner=runner) as migration:
                await migration.read(handler, candidate=candidate, deadline=0.05, name="get")(type(runner).__name__)
                assert await migration.aflush()
                assert [finding.kind for finding in migration.findings()] == ["deadline"]

    asyncio.run(main())
    with Migration("m", sinks=[]) as migration:
        migration.read(lambda name: 1, candidate=candidate, deadline=0.05, name="get")("sync")
        assert migration.flush()
        until(lambda: len(cancelled) == 3)
    assert sorted(cancelled) == ["Tasks", "Threads", "sync"]


def test_a_candidate_that_cancels_itself_raised() -> None:
    """A ``CancelledError`` of the candidate's own making is what it raised, not a cancelled check."""

    async def candidate() -> int:
        raise asyncio.CancelledError

    async def handler() -> int:
        return 1

    async def main() -> None:
        async with Migration("m", sinks=[], runner=Tasks()) as migration:
            await migration.read(handler, candidate=candidate, name="get")()
            assert await migration.aflush()
            assert migration.findings()[0].types[1] == "asyncio.exceptions.CancelledError"

    asyncio.run(main())


def test_tasks_are_bounded() -> None:
    """Beyond its limit the asyncio runner sheds by name."""

    async def candidate() -> int:
        await asyncio.sleep(0.05)
        return 1

    async def handler() -> int:
        return 1

    async def main() -> None:
        async with Migration("m", sinks=[], runner=Tasks(limit=3)) as migration:
            get = migration.read(handler, candidate=candidate, name="get")
            for _ in range(10):
                await get()
            assert await migration.aflush()
            assert reasons(migration) == {"skipped:shed": 7}
            assert verdict(migration, Verdict.MATCH) == 3

    asyncio.run(main())


def test_checks_end_with_their_loop() -> None:
    """When the loop ends, checks under way are cancelled and counted; nothing is logged and nothing waits."""

    async def candidate() -> int:
        await asyncio.sleep(30)
        return 1

    async def handler() -> int:
        return 1

    migration = Migration("m", sinks=[], runner=Tasks())
    get = migration.read(handler, candidate=candidate, deadline=60, key=lambda call: 1, name="get")

    async def main() -> None:
        await get()
        await get()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert reasons(migration)["skipped:cancelled"] >= 1
    migration.close(0.1)
    assert migration.stats().pending == 0
    assert sum(reasons(migration).values()) == 2


def test_a_second_run_on_a_closed_loop_is_dropped() -> None:
    """A mismatch that could not be confirmed because the loop is gone is dropped by name."""

    async def candidate() -> int:
        return 2

    async def handler() -> int:
        return 1

    gate = threading.Event()

    def compare(*, control: int, candidate: int) -> list[Any]:
        from shadowmig import Difference

        gate.wait(30)
        return [Difference("$", "changed")]

    migration = Migration("m", sinks=[], runner=Tasks())
    get = migration.read(handler, candidate=candidate, compare=compare, name="get")

    async def main() -> None:
        await get()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    gate.set()
    assert migration.flush()
    assert reasons(migration) == {"skipped:loop_closed": 1}
    migration.close()


def test_jobs_of_a_loop_that_was_just_closed_are_dropped() -> None:
    """A loop that is closed without cancelling its tasks leaves no job behind, and its lane does not hold others up."""

    async def candidate() -> int:
        await asyncio.sleep(30)
        return 1

    async def handler() -> int:
        return 1

    migration = Migration("m", sinks=[], runner=Tasks(limit=2))
    get = migration.read(handler, candidate=candidate, deadline=60, key=lambda call: 1, name="get")
    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(get())
        loop.run_until_complete(get())
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # what we leave behind on purpose
        loop.close()
    assert reasons(migration) == {"skipped:loop_closed": 2}
    assert migration.stats().pending == 0
    assert reasons(migration) == {"skipped:loop_closed": 4}
    migration.close()


def test_threads_drop_what_belongs_to_an_ended_loop() -> None:
    """A coroutine of an async handler is never run on another loop than its own."""
    ran: list[int] = []

    async def candidate() -> int:
        ran.append(1)
        return 1

    async def handler() -> int:
        return 1

    with Migration("m", sinks=[], runner=Threads()) as migration:
        get = migration.read(handler, candidate=candidate, name="get")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(get())
        loop.close()
        assert migration.flush()
        assert reasons(migration) == {"skipped:loop_closed": 1} or ran
    assert verdict(migration, Verdict.MISMATCH) == 0


def test_inline_deadlines() -> None:
    """Inline, a sync candidate past its deadline is a difference afterwards, and an async one is cancelled."""

    def slow() -> int:
        time.sleep(0.1)
        return 1

    async def endless() -> int:
        await asyncio.sleep(30)
        return 1

    async def handler() -> int:
        return 1

    async def main() -> None:
        await migration.read(handler, candidate=endless, deadline=0.05, name="async")()

    with Migration("m", sinks=[], runner=Inline()) as migration:
        migration.read(lambda: 1, candidate=slow, deadline=0.05, name="sync")()
        asyncio.run(main())
        assert {finding.experiment: finding.kind for finding in migration.findings()} == {
            "sync": "deadline",
            "async": "deadline",
        }


def test_a_runner_serves_one_migration() -> None:
    """A runner given to a second migration is refused."""
    runner = Threads()
    Migration("m", sinks=[], runner=runner)
    with pytest.raises(ConfigError, match="a runner of its own"):
        Migration("n", sinks=[], runner=runner)


@pytest.mark.parametrize("field", ["workers", "queue", "stuck", "max_wait"])
def test_wrong_limits_are_refused(field: str) -> None:
    """Limits out of range are refused by name."""
    with pytest.raises(ConfigError, match=f"{field} is -1"):
        Threads(**{field: -1})  # type: ignore[arg-type]  # one of several fields
    with pytest.raises(ConfigError, match="limit is 0"):
        Tasks(limit=0)


def test_closing_drops_what_is_left(release: threading.Event) -> None:
    """What is not judged when the time is up is dropped by name."""
    migration = Migration("m", sinks=[], runner=Threads(workers=1))
    get = migration.read(
        lambda n: n, candidate=lambda n: n if release.wait(30) else -1, deadline=30, key=lambda call: 1, name="get"
    )
    for n in range(5):
        get(n)
    assert not migration.flush(0.05)
    assert not migration.close(0.05)
    assert reasons(migration) == {"skipped:closed": 5}
    assert migration.stats().pending == 0


def test_a_thread_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread, the call is broken and the user has the answer."""
    with Migration("m", sinks=[]) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 1, name="get")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no thread")))
            assert get() == 1
        assert reasons(migration) == {"broken:submit": 1}
        assert migration.stats().pending == 0
        get()
        assert migration.flush()
        assert verdict(migration, Verdict.MATCH) == 1


def test_an_idle_conductor_sleeps_and_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without traffic nobody looks at the queue; the next call wakes the conductor."""
    monkeypatch.setattr("shadowmig.engine.threads.LINGER", 0.01)
    runner = Threads()
    with Migration("m", sinks=[], runner=runner) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 1, name="get")
        for calls in range(1, 4):
            get()
            assert migration.flush()
            assert verdict(migration, Verdict.MATCH) == calls
            until(lambda: runner._asleep)


def test_a_fork_starts_over() -> None:
    """A forked child has threads and counts of its own; its parent's calls are its parent's."""
    got: list[int] = []
    with Migration("m", sinks=[lambda batch: got.append(1)], publish_every=60) as migration:
        get = migration.read(lambda n: n, candidate=lambda n: -n, name="get")
        for n in range(1, 4):
            get(n)
        pid = os.fork()
        if pid == 0:
            ok = migration.stats().pending == 0 and verdict(migration, Verdict.MISMATCH) == 0
            get(1)
            ok = ok and migration.flush(20) and verdict(migration, Verdict.MISMATCH) == 1 and len(got) == 1
            os._exit(0 if ok else 1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert migration.flush(20)
        assert verdict(migration, Verdict.MISMATCH) == 3


@pytest.mark.parametrize("hangs", [False, True])
def test_the_end_of_the_process_drains_within_a_bound(hangs: bool) -> None:
    """At exit calls under way are judged and published if they can be, and never waited for longer than the bound."""
    program = f"""
import time
from shadowmig import Migration
migration = Migration("m", sinks=[lambda batch: print(batch.findings[0].count, flush=True)], exit_timeout=1.0)
@migration.read(candidate=lambda n: {"time.sleep(60)" if hangs else "-n"}, deadline=90)
def get(n): return n
for n in range(1, 21): get(n)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert (done.stdout, done.stderr) == ("" if hangs else "20\n", "")


def test_the_pacer_keeps_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a slice the thread sleeps for as long as its budget demands, in naps, and not at all before."""
    cpu, slept = [10.0], []
    monkeypatch.setattr("shadowmig.engine.desk.time.thread_time", lambda: cpu[0])
    monkeypatch.setattr("shadowmig.engine.desk.time.sleep", slept.append)
    pacer = Pacer(0.2)
    pacer.start()
    cpu[0] += SLICE / 2
    pacer.pause()
    assert slept == []
    cpu[0] += 0.01
    pacer.pause()
    assert sum(slept) == pytest.approx((0.01 + SLICE / 2) * 4)
    assert max(slept) <= NAP
    slept.clear()
    pacer.pause()
    assert slept == []


def test_nobody_who_waits_is_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody waits in ``flush`` or ``close``, the budget is set aside."""
    slept: list[float] = []
    monkeypatch.setattr("shadowmig.engine.desk.time.sleep", slept.append)
    pacer = Pacer(0.01, lambda: True)
    pacer.start()
    pacer._since -= 1.0
    pacer.pause()
    assert slept == []


def test_a_budget_of_a_whole_core_does_not_pause() -> None:
    """With a budget of 1 nothing is paced."""
    pacer = Pacer(1.0)
    pacer.start()
    sum(range(10_000))
    pacer._since -= 1.0
    pacer.pause()
    assert pacer._since < time.thread_time() - 0.9
