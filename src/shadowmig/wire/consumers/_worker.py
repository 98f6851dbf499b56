"""Threads that run consumers under a deadline, each with an event loop of its own for those that are async."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextvars import Context, copy_context
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_HUNG: Final = 8
"""Threads that may hang at a time; while so many do, no other is started."""
SETTLE: Final = 1.0
"""Seconds that are waited for what a consumer started and did not wait for itself."""


class Hung(Exception):
    """It did not return in time."""


class Worker:
    """A thread that does one thing at a time. It ends when the crew does, or when it hung."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=_work, args=(self._jobs,), name="shadowmig-consumer", daemon=True)
        # In an empty context: one that is checked itself may start no thread.
        Context().run(self.thread.start)

    def do(self, function: Callable[[], T], seconds: float | None, returned: Callable[[], bool]) -> T:
        """Call a function in the thread; raises `Hung` if it does not return in time, see `Crew.do`."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - carried to the caller, whatever it is
                future.set_exception(error)

        self._jobs.put(job)
        for patience in (seconds, 2 * SETTLE):
            with contextlib.suppress(Late):
                return future.result(patience)
            if future.done():  # meanwhile, or the function itself raised a timeout
                return future.result()
            if not returned():
                break
        raise Hung(f"no answer in {seconds} s")

    def end(self) -> None:
        """Have the thread end when it has done what it does."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait a little for an idle thread to end, so that its event loop is closed."""
        if self.pid == os.getpid() and self.thread is not threading.current_thread():
            self.thread.join(SETTLE)


class Crew:
    """Workers, as many as there are callers at a time. Safe for threads; a forked child has workers of its own."""

    def __init__(self) -> None:
        # A deque needs no lock, which a fork could leave locked.
        self._idle: deque[Worker] = deque()
        self._hung: set[threading.Thread] = set()
        weakref.finalize(self, _dismiss, self._idle)

    def do(self, function: Callable[[], T], seconds: float | None, returned: Callable[[], bool] = lambda: False) -> T:
        """
        Call a function in a worker.

        Args:
            function: What to call.
            seconds: How long it may take, or ``None``.
            returned: Tells whether all that may hang has returned, so that it is worth to wait a little longer.

        Raises:
            Hung: It does not return in time, or too many hang already.
            BaseException: What it raised.
        """
        self._hung.difference_update([thread for thread in list(self._hung) if not thread.is_alive()])
        if len(self._hung) >= MOST_HUNG:
            raise Hung(f"not run, for {MOST_HUNG} earlier runs still hang")
        worker = self._worker()
        try:
            result = worker.do(function, seconds, returned)
        except Hung:
            self._hung.add(worker.thread)
            worker.end()
            raise
        except BaseException:
            worker.end()  # the caller was interrupted, and the worker may still be at it
            raise
        self._idle.append(worker)
        return result

    def close(self) -> None:
        """Let the idle workers go; new ones are made when they are needed."""
        _dismiss(self._idle)

    def _worker(self) -> Worker:
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return Worker()
            if worker.pid == os.getpid():
                return worker


def _dismiss(idle: deque[Worker]) -> None:
    gone = []
    while idle:
        gone.append(idle.pop())
        gone[-1].end()
    for worker in gone:
        worker.join()


_local = threading.local()


def _work(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    try:
        while (job := jobs.get()) is not None:
            job()
            del job  # or the last event would be kept until the next one
    finally:
        runner = getattr(_local, "runner", None)
        if runner is not None:
            runner.close()


def wait_for(value: Awaitable[Any], end: float | None) -> tuple[Any, int]:
    """
    Await something on this worker's loop, in a copy of the current context, and then what it has started there.

    Args:
        value: What to await.
        end: Until when (monotonic seconds).

    Returns:
        What it gave, and how many tasks had not ended.

    Raises:
        Hung: It did not end in time, and was cancelled.
        BaseException: What it raised.
    """
    import asyncio

    runner = getattr(_local, "runner", None)
    if runner is None:
        # Not that of the service's policy: what a loop in C connects to, no hook sees. In an empty context, which the
        # loop keeps: the first check would never be let go.
        runner = _local.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        Context().run(runner.get_loop)
    ended = runner.run(_ended(value, end), context=copy_context())
    if isinstance(ended, BaseException):
        raise ended
    result, left = ended
    return result, left


async def _ended(value: Awaitable[Any], end: float | None) -> tuple[Any, int] | BaseException:
    import asyncio

    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(None if end is None else end - monotonic()) as limit:
            try:
                result = await value
            except asyncio.CancelledError as error:
                if limit.expired():
                    raise
                return error
            except BaseException as error:  # noqa: BLE001 - carried as a value, for a loop lets some of them through
                return error
    except TimeoutError:
        return Hung("cancelled at the deadline")
    others = asyncio.all_tasks() - before
    if not others:
        return result, 0
    _, pending = await asyncio.wait(others, timeout=SETTLE)
    return result, len(pending)


def settle(futures: list[Any]) -> int:
    """Wait a little for work that goes on in thread pools, and tell how much of it has not ended."""
    from concurrent.futures import wait

    return len(wait(futures, timeout=SETTLE).not_done) if futures else 0
