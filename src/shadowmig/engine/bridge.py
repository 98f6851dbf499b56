"""
Where sync and async meet: coroutines for sync callers, sync functions for async ones.

One event loop runs in a daemon thread of its own, started at first use and again after a fork.
"""

from __future__ import annotations

import os
import sys
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


def start(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop | None) -> Future[Ended]:
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


Ended = tuple[Any, BaseException | None]
"""A value or an exception, carried as a value: asyncio lets a few exceptions out of a task and into its loop."""


async def _finish(awaitable: Awaitable[Any]) -> Ended:
    try:
        return await awaitable, None
    except BaseException as error:
        if cancelled_from_outside(error):
            raise
        return None, error


def _end(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Ended:
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001 - carried to the caller, whatever it is
        return None, error


def outcome(ended: Ended) -> Any:
    """Return the value, or raise the exception."""
    value, error = ended
    if error is not None:
        raise error
    return value


def as_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a coroutine function callable from sync code: it runs on the bridge's loop, the caller waits."""

    def call(*args: Any, **kwargs: Any) -> Any:
        future = start(function(*args, **kwargs), None)
        try:
            return outcome(future.result())
        except BaseException:
            future.cancel()  # the caller was interrupted: do not go on without it
            raise

    return call


def as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a sync function awaitable: it runs in the loop's thread pool, so that the loop goes on."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        import asyncio

        value = outcome(await asyncio.to_thread(_end, function, *args, **kwargs))
        return await value if hasattr(type(value), "__await__") else value

    return call


def cancelled_from_outside(error: BaseException) -> bool:
    """Whether the running task was told to stop, rather than the code in it having raised this by itself."""
    asyncio = sys.modules.get("asyncio")  # not imported: this may run while the interpreter ends
    if asyncio is None or isinstance(error, GeneratorExit):
        return isinstance(error, GeneratorExit) and not _runs(asyncio)
    task = asyncio.current_task() if _runs(asyncio) else None
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _runs(asyncio: Any) -> bool:
    """Whether a loop runs in this thread; if not, the coroutine of a loop that was closed is being destroyed."""
    return asyncio is not None and asyncio._get_running_loop() is not None
