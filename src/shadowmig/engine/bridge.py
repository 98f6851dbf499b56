"""
Where sync and async meet: coroutines for sync callers, sync functions for async ones.

One event loop runs in a daemon thread of its own, started at first use and again after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _after_fork() -> None:
    global _lock, _loop
    _lock = threading.Lock()
    _loop = None


os.register_at_fork(after_in_child=_after_fork)


def background_loop() -> asyncio.AbstractEventLoop:
    """Give the loop of the bridge thread."""
    global _loop
    import asyncio

    with _lock:
        if _loop is not None and not _loop.is_closed():
            return _loop
        loop = _loop = asyncio.new_event_loop()
    # Not under the lock: under gevent another greenlet runs before a thread has started.
    threading.Thread(target=loop.run_forever, name="shadowmig-loop", daemon=True).start()
    return loop


class LoopGone(Exception):
    """The loop of an async handler has ended; what belongs to it cannot be run any more."""


def start(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop | None) -> Future[Any]:
    """
    Start an awaitable from a thread that is not its loop's.

    Args:
        awaitable: What to run.
        loop: The loop it belongs to, or ``None`` for the bridge's.

    Returns:
        A future of ``concurrent.futures``; cancelling it cancels the awaitable.

    Raises:
        LoopGone: Its loop no longer runs.
    """
    import asyncio

    home = background_loop() if loop is None else loop
    finish = _finish(awaitable)
    try:
        if home.is_running() or loop is None:
            return asyncio.run_coroutine_threadsafe(finish, home)
    except RuntimeError:  # closed this very moment
        pass
    finish.close()
    if isinstance(awaitable, Coroutine):
        awaitable.close()
    raise LoopGone


async def _finish(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def as_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a coroutine function callable from sync code: it runs on the bridge's loop, the caller waits."""

    def call(*args: Any, **kwargs: Any) -> Any:
        future = start(function(*args, **kwargs), None)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # the caller was interrupted: do not go on without it
            raise

    return call


def as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a sync function awaitable: it runs in the loop's thread pool, so that the loop goes on."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        import asyncio

        value = await asyncio.to_thread(function, *args, **kwargs)
        return await value if hasattr(type(value), "__await__") else value

    return call


def cancelled_from_outside(error: BaseException) -> bool:
    """Whether the running task was told to stop, rather than the code in it having raised this by itself."""
    import asyncio

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs: the coroutine of a loop that was closed is being destroyed
        return True
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
