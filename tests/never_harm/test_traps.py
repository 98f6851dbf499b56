"""Single traps, each a way in which a wrapper has harmed its callers before."""

import asyncio
import sys
import threading
import time

import pytest

from shadowmig import Difference, Migration, Verdict
from shadowmig.engine import Breaker, Inline, Tasks, Threads


def compare(*, control, candidate):
    return [] if control == candidate else [Difference("$", "changed", control, candidate)]


def migrate(handler, candidate, *, runner=None, stage="shadow", **options):
    owner = Migration("traps", sinks=[lambda batch: None], budget=1.0, runner=runner, stage=stage)
    options = {"compare": compare, "name": "get", "breaker": Breaker(errors=2)} | options
    return owner, owner.read(handler, candidate=candidate, **options)


def verdicts(owner):
    summary = owner.stats().experiments["get"]
    return {verdict: count for verdict, count in summary.verdicts.items() if count}


def deepest(function):
    """How deep a stack may be for the function still to be called."""

    def dive(left):
        return function(1) if left == 0 else dive(left - 1)

    depth = sys.getrecursionlimit()
    while True:
        try:
            dive(depth)
        except RecursionError:
            depth -= 1
        else:
            return depth


def test_full_stack():
    """A handler called on a nearly full stack still answers, but for the frame of the wrapper."""
    owner, get = migrate(lambda x: [x], lambda x: [x], sample=lambda call: True)
    with owner:
        get(1)
        # Three frames of grace: a tracer, such as coverage's, and the collector's callbacks need some of their own.
        assert deepest(get) >= deepest(lambda x: [x]) - 1 - 3


def test_sampler_cannot_change_keywords():
    """A sampler that empties the keyword arguments it is shown does not change what the handler gets."""
    seen = []
    owner, get = migrate(
        lambda **more: seen.append(more),
        lambda **more: None,
        sample=lambda call: call.kwargs.clear() or True,
    )
    with owner:
        get(limit=3)
        assert seen[0] == {"limit": 3}


@pytest.mark.parametrize("runner", [Threads, Tasks])
def test_hostile_key(runner):
    """A key that cannot be compared stops neither the conductor nor the calls that follow."""

    class Key:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            raise SystemExit

    async def handler(x):
        return x

    async def main():
        owner, get = migrate(handler, handler, runner=runner(), key=lambda call: Key())
        async with owner:
            assert [await get(number) for number in range(20)] == list(range(20))
            assert await owner.aflush(20)
            assert owner.stats().pending == 0
            assert verdicts(owner) == {Verdict.MATCH: 20}

    asyncio.run(main())


def test_no_more_threads(monkeypatch):
    """When the system gives no thread, calls are served, nothing piles up, and judging begins once it gives one."""
    start = threading.Thread.start
    refused = []

    def refuse(thread):
        if thread.name.startswith("shadowmig"):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    for spared in (0, 1, 2):  # conductor, then worker, then desk
        left = [spared]

        def rationed(thread, left=left):
            if thread.name.startswith("shadowmig") and left[0]:
                left[0] -= 1
                start(thread)
            else:
                refuse(thread)

        owner, get = migrate(lambda x: x, lambda x: x, runner=Threads(queue=50))
        monkeypatch.setattr(threading.Thread, "start", rationed)
        assert [get(number) for number in range(200)] == list(range(200))
        time.sleep(0.05)
        assert owner.stats().pending <= 50
        monkeypatch.setattr(threading.Thread, "start", start)
        until = time.monotonic() + 20
        while not verdicts(owner).get(Verdict.MATCH) and time.monotonic() < until:
            get(1)
            time.sleep(0.01)
        assert verdicts(owner).get(Verdict.MATCH)
        assert owner.flush(20)
        assert owner.close(20)
    assert len(refused) >= 3


def test_hang_is_a_deadline():
    """A candidate that hangs is a mismatch by deadline, and its caller does not wait."""
    released, returned = threading.Event(), threading.Event()
    owner, get = migrate(lambda x: x, lambda x: released.wait(30) and returned.set(), deadline=0.1)
    with owner:
        assert get(1) == 1
        assert not returned.is_set()
        assert owner.flush(20)
        released.set()
        assert verdicts(owner) == {Verdict.MISMATCH: 1}
        assert owner.findings()[0].kind == "deadline"


@pytest.mark.parametrize("runner", [Inline, Threads, Tasks])
def test_timeout_of_the_caller(runner):
    """``asyncio.timeout`` around a sampled call ends it, once, and the task can be cancelled later as ever."""

    async def handler(x):
        await asyncio.sleep(0 if x == "quick" else 30)
        return x

    async def main():
        owner, get = migrate(handler, handler, runner=runner())
        async with owner:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await get("slow")
            task = asyncio.current_task()
            assert task.cancelling() == 0
            assert await get("quick") == "quick"

    asyncio.run(main())


def test_stop_iteration():
    """A served sync candidate that raises ``StopIteration`` ends the awaiting of its async handler."""

    async def handler(x):
        return x

    async def main():
        owner, get = migrate(handler, lambda x: next(iter(())), stage="live")
        async with owner:
            with pytest.raises(RuntimeError, match="StopIteration"):
                await asyncio.wait_for(get(1), 10)

    asyncio.run(main())


def test_foreign_task_factory():
    """A loop whose task factory knows no context, or starts tasks at once, does not come between."""

    async def handler(x):
        return x

    async def main():
        loop = asyncio.get_running_loop()
        made = []

        def factory(loop, coroutine):
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop)

        owner, get = migrate(handler, handler, runner=Tasks(), key=lambda call: "k")
        loop.set_task_factory(factory)
        values = [await get(number) for number in range(3)]
        loop.set_task_factory(None)
        assert values == [0, 1, 2]
        assert await owner.aflush(20)
        assert made == []
        assert verdicts(owner) == {Verdict.MATCH: 3}
        assert await owner.aclose(20)

    asyncio.run(main())


def test_awaitable_of_a_sync_handler():
    """A sync handler that gives a coroutine gives just that one, unawaited."""

    async def answer():
        return 1

    made = []

    def handler(x):
        made.append(answer())
        return made[-1]

    owner, get = migrate(handler, lambda x: x)
    with owner:
        value = get(1)
        assert value is made[0]
        assert asyncio.run(value) == 1


def test_on_comparison_hangs():
    """A hook that hangs once a call is judged is given up, and judging goes on."""
    released = threading.Event()
    seen = []

    def note(comparison):
        seen.append(comparison)
        if len(seen) == 1:
            released.wait(30)

    owner = Migration("traps", sinks=[lambda batch: None], budget=1.0, on_comparison=note)
    owner._desk._patience = 0.1
    get = owner.read(lambda x: x, candidate=lambda x: x, name="get", compare=compare)
    try:
        get(1)
        until = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < until:
            get(2)
            time.sleep(0.02)
        assert len(seen) > 1
    finally:
        released.set()
    assert owner.close(20)
