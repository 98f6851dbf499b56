"""
A fence round code that must not reach the world: connections, processes and threads are recorded and refused.

**When:** legacy code runs only to be checked; `shadowmig.wire.consumers.Consumer` puts a fence round every run.
**Example:** ``fence = Fence(allow=["10.0.0.2:6379"]); fence.run(handle, event); print(fence.refused)``

It is an audit hook of the interpreter that looks at a context variable. So it sees what all Python code of the process
does, whichever library does it, and minds only what runs inside: other threads and tasks go on as before. The first
fence of a process puts the hook in place; the interpreter has no way to remove one.

What is refused, unless the address is allowed: looking up and connecting to hosts and unix sockets, datagrams, requests
of ``http.client`` (and so of requests and urllib3), ``smtplib``, ``ftplib``, ``imaplib`` and ``poplib``, also on
connections that were open before; starting a process, a fork, a signal to a process, opening a browser; and starting a
thread, which would begin outside of the fence. Worker threads of a ``ThreadPoolExecutor`` may start, and what is
submitted inside stays inside, `asyncio.to_thread` included, as does the ``initializer`` of a pool that is made inside.
For this the first fence also wraps ``submit`` and ``__init__`` of ``ThreadPoolExecutor``, and before Python 3.12, which
tells of no thread, ``Thread.start``; in ordinary code that is one more call.

Danger: no hook sees these, so give them to `shadowmig.wire.effects.Effects`: bytes sent over a plain socket that was
open before; drivers that connect in C (libpq, and so psycopg, to an address; librdkafka; gRPC; pycurl; uvloop);
processes that ``multiprocessing`` spawns; and whatever is handed to something that runs already, or later: a queue with
a thread behind it, a producer, a pool of processes, ``atexit``, a finalizer. Files are not fenced, nor what code does
to its own process: its environment, its working directory, its handlers of signals, ``os._exit``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, ContextVar, copy_context
from inspect import iscoroutine
from typing import Any, Final, NoReturn

from attrs import frozen

from shadowmig.errors import ConfigError, EffectRefused
from shadowmig.wire.fence._allowed import Allowed
from shadowmig.wire.fence._events import PROBE, WATCHED

__all__ = ["Fence", "Refused"]

MOST: Final = 1000
"""Refusals that one fence remembers."""


@frozen
class Refused:
    """
    Something that was tried inside of a fence.

    Attributes:
        event: What it was, as Python's audit events are called: ``"socket.connect"``, ``"subprocess.Popen"``; or the
            method of a stand-in: ``"db.copy"``.
        target: ``host:port``, a path, or the name of a program; never what was sent.
    """

    event: str
    target: str

    def __str__(self) -> str:
        return f"{self.event} {self.target}".rstrip()


class Fence:
    """
    What may be reached, and what was refused.

    Safe for threads. One fence may be round several runs at a time; then it does not tell whose a refusal was.

    Args:
        allow: Addresses that may be reached: ``"host"`` (any port), ``"host:port"``, ``("host", port)``, a URL, whose
            host and port count, or the path of a unix socket. A name also allows the addresses it has now.

    Raises:
        ConfigError: An address is none.
    """

    def __init__(self, *, allow: str | tuple[str, int] | Iterable[str | tuple[str, int]] = ()) -> None:
        self._allowed = allow if isinstance(allow, Allowed) else Allowed(allow)
        self._refused: list[Refused] = []
        self._futures: list[Any] = []
        self._sealed = False

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What was refused so far, at most a thousand."""
        return tuple(self._refused)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """
        Run a function inside, in a copy of the current context. What it returns to be iterated runs outside.

        Returns:
            What it returns.

        Raises:
            ConfigError: Another audit hook of this process keeps ours out, or the function is a coroutine function,
                whose code would run outside.
            EffectRefused: The function let it out.
            Exception: Whatever else it raised.
        """
        install()
        return copy_context().run(self._inside, function, args, kwargs)

    def _inside(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        FENCE.set(self)
        value = function(*args, **kwargs)
        if iscoroutine(value):
            value.close()
            raise ConfigError(
                "function is a coroutine function.", remedy="Run asyncio.run inside.", field="function", value=function
            )
        return value

    def seal(self) -> None:
        """Record no more. What still runs inside is refused as before."""
        self._sealed = True

    def futures(self) -> list[Any]:
        """Give what was submitted to thread pools inside."""
        return list(self._futures)

    def submitted(self, future: Any) -> None:
        """Take note of work that goes on in a pool."""
        self._futures.append(future)

    def look(self, event: str, args: tuple[Any, ...]) -> None:
        """
        Judge an audit event.

        Raises:
            EffectRefused: It must not happen.
        """
        try:
            target = WATCHED[event](self._allowed, args)
        except Exception:  # noqa: BLE001 - what cannot be judged is not let through
            target = "?"
        if target is not None:
            self.refuse(Refused(event, target), "Wrap what does it with Effects, or allow the address.")

    def refuse(self, what: Refused, remedy: str) -> NoReturn:
        """
        Record something, and refuse it.

        Raises:
            EffectRefused: Always.
        """
        if not self._sealed and len(self._refused) < MOST:
            self._refused.append(what)
        raise EffectRefused(
            f"{what} was refused: this consumer is only being checked.", remedy=remedy, effect=what.event
        )


FENCE: Final[ContextVar[Fence | None]] = ContextVar("shadowmig_fence", default=None)
"""The fence round the code of this context."""


@contextlib.contextmanager
def lifted() -> Iterator[None]:
    """Open the fence for a block: for what was decided to be performed."""
    token = FENCE.set(None)
    try:
        yield
    finally:
        FENCE.reset(token)


_lock = threading.Lock()
_installed = False


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def install() -> None:
    """
    Put the hook in place, once in a process.

    Raises:
        ConfigError: Another audit hook of this process keeps it out.
    """
    global _installed
    with _lock:
        if _installed:
            return
        sys.addaudithook(_hook())
        # A hook that was there before may keep others out, and the interpreter does not tell.
        probe = Fence()
        with contextlib.suppress(EffectRefused):
            Context().run(probe._inside, sys.audit, (PROBE,), {})
        if not probe.refused:
            raise ConfigError(
                "The fence cannot be put up: another audit hook of this process keeps it out.",
                remedy="Check consumers in a process without that hook.",
                field="effects",
            )
        _carry_into_pools()
        if sys.version_info < (3, 12):
            _watch_threads()
        _installed = True


def _hook() -> Callable[[str, tuple[Any, ...]], None]:
    # A closure, because the names of a module are gone when the interpreter ends and the hook is not.
    watched, current = frozenset(WATCHED), FENCE.get

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in watched:
            fence = current()
            if fence is not None:
                fence.look(event, args)

    return hook


def _watch_threads() -> None:
    start: Any = threading.Thread.start

    @functools.wraps(start)
    def watched(self: Any) -> None:
        fence = FENCE.get()
        if fence is not None:
            fence.look("_thread.start_new_thread", (self._bootstrap, (), {}))
        start(self)

    threading.Thread.start = watched  # type: ignore[method-assign]  # there is no event that tells of it


def _carry_into_pools() -> None:
    """Let what is given to a thread pool inside of a fence run inside; its threads belong to everybody."""
    from concurrent.futures import ThreadPoolExecutor

    submit: Any = ThreadPoolExecutor.submit
    init: Any = ThreadPoolExecutor.__init__

    @functools.wraps(submit)
    def carried(self: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        fence = FENCE.get()
        if fence is None:
            return submit(self, function, *args, **kwargs)
        # In an empty context, because a thread that is started for it goes on to work for others.
        future = Context().run(submit, self, copy_context().run, function, *args, **kwargs)
        fence.submitted(future)
        return future

    @functools.wraps(init)
    def made(
        self: Any, max_workers: Any = None, thread_name_prefix: str = "", initializer: Any = None, *args: Any, **kw: Any
    ) -> None:
        if initializer is not None and FENCE.get() is not None:
            initializer = functools.partial(_in_a_copy_of, copy_context(), initializer)
        init(self, max_workers, thread_name_prefix, initializer, *args, **kw)

    ThreadPoolExecutor.submit = carried  # type: ignore[method-assign]  # there is no event that tells of it
    ThreadPoolExecutor.__init__ = made  # type: ignore[method-assign]  # there is no event that tells of it


def _in_a_copy_of(context: Context, function: Callable[..., Any], *args: Any) -> Any:
    """Run a function in a context that may be entered by others at the same time."""
    return context.copy().run(function, *args)
