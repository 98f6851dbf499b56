"""
The two sides of an endpoint on trial, in every kind of callable that can be decorated.

The served side leaves marks by which its caller can check that nothing came between them; the checked side does all
the harm a candidate can do: it changes its arguments, sets context variables, and answers otherwise.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from shadowmig.side import checked_side
from shadowmig.testing._harm_faults import Mischief, ServerTimeout, Trouble

MARK: Final[ContextVar[str]] = ContextVar("shadowmig_harm_mark", default="")
"""Set by the served side; its caller must see it."""
STAIN: Final[ContextVar[str]] = ContextVar("shadowmig_harm_stain", default="")
"""Set by the checked side; nobody may see it."""

INTERRUPTS: Final[dict[str, type[BaseException]]] = {
    kind.__name__: kind
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, ServerTimeout)
}
"""What a handler may raise beside Exceptions, all of which its caller must get."""

SYNC_KINDS: Final = ("function", "method", "callable", "partial")
ASYNC_KINDS: Final = ("coroutine", "async method")

Fetch = Callable[..., Any]


class Scene:
    """
    One endpoint: what its served side saw and made in the latest call.

    Args:
        trouble: Strikes in the checked side when armed; ``None`` for a side that works.
        values: Answers for outcomes beside the usual ones.
        write: Writes to a store by how much a number is to change; both sides do it, the checked one wrongly for the
            outcome ``differs``.
    """

    def __init__(
        self,
        trouble: Trouble | None = None,
        values: dict[str, Callable[[], Any]] | None = None,
        write: Callable[[int], object] = lambda by: None,
    ) -> None:
        self._trouble = trouble
        self._values = values or {}
        self._write = write
        self.forget()

    def forget(self) -> None:
        """Begin a new call."""
        self.saw: tuple[Any, ...] = ()
        self.made: Any = None
        self.cause: BaseException | None = None

    def serve(self, outcome: str, payload: Any, options: Any) -> Any:
        """Be the served side."""
        MARK.set("served")
        first = checked_side() is None  # else it is run again, off the path of any caller
        if first:
            self.saw = (payload, options)
        self._write(1)
        if outcome == "raises" or outcome in INTERRUPTS:
            self._fail(INTERRUPTS.get(outcome, LookupError), first)
        value = self._values[outcome]() if outcome in self._values else {"n": [1, 2], "who": "a", "payload": payload}
        if first:
            self.made = value
        return value

    def _fail(self, kind: type[BaseException], first: bool) -> None:
        cause, error = KeyError("cause"), kind("served")
        if first:
            self.made, self.cause = error, cause
        try:
            raise ValueError("context")
        except ValueError:
            raise error from cause

    def check(self, outcome: str, payload: Any, options: Any) -> Any:
        """Be the checked side."""
        self._spoil(payload, options)
        if self._trouble is not None and self._trouble.armed:
            return self._trouble.strike()
        self._write(2 if outcome == "differs" else 1)
        return self._answer(outcome)

    async def check_async(self, outcome: str, payload: Any, options: Any) -> Any:
        """Be the checked side, as a coroutine."""
        self._spoil(payload, options)
        await asyncio.sleep(0)
        if self._trouble is not None and self._trouble.armed:
            return await self._trouble.strike_async()
        self._write(2 if outcome == "differs" else 1)
        return self._answer(outcome)

    def _spoil(self, payload: Any, options: Any) -> None:
        STAIN.set("checked")
        MARK.set("checked")
        if type(payload) is list and payload and payload[0] == "plain":
            payload[1]["deep"].append("stain")
            payload.append("stain")
            options.clear()

    def _answer(self, outcome: str) -> Any:
        if outcome == "raises":
            raise RuntimeError("checked")  # another type, so that a call that ends like this is never a match
        if outcome in INTERRUPTS:
            raise Mischief("the checked side must not run for a call that was interrupted")
        if outcome in self._values:
            return self._values[outcome]()
        return {"n": [1, 3 if outcome == "differs" else 2], "who": "a", "payload": ["plain", {"deep": [1]}]}


def sides(kind: str, scene: Scene) -> tuple[Fetch, Fetch]:
    """Give the served and the checked side as callables of a kind."""
    if kind in ASYNC_KINDS:
        return _async_sides(scene, method=kind == "async method")
    if kind == "method":

        def get(self: Any, outcome: str, payload: Any, *, options: Any) -> Any:
            return scene.serve(outcome, payload, options)

        def get_new(self: Any, outcome: str, payload: Any, *, options: Any) -> Any:
            return scene.check(outcome, payload, options)

        return get, get_new
    return _plain(kind, scene.serve), _plain(kind, scene.check)


def _plain(kind: str, act: Fetch) -> Fetch:
    def fetch(outcome: str, payload: Any, *, options: Any) -> Any:
        return act(outcome, payload, options)

    if kind == "callable":

        class Fetcher:
            def __call__(self, outcome: str, payload: Any, *, options: Any) -> Any:
                return act(outcome, payload, options)

        return Fetcher()
    if kind == "partial":

        def fetch_from(_source: str, outcome: str, payload: Any, *, options: Any) -> Any:
            return act(outcome, payload, options)

        return functools.partial(fetch_from, "here")
    return fetch


def _async_sides(scene: Scene, *, method: bool) -> tuple[Fetch, Fetch]:
    async def serve(outcome: str, payload: Any, options: Any) -> Any:
        await asyncio.sleep(0)
        if outcome == "cancelled":
            await asyncio.Event().wait()
        return scene.serve(outcome, payload, options)

    if method:

        async def aget(self: Any, outcome: str, payload: Any, *, options: Any) -> Any:
            return await serve(outcome, payload, options)

        async def aget_new(self: Any, outcome: str, payload: Any, *, options: Any) -> Any:
            return await scene.check_async(outcome, payload, options)

        return aget, aget_new

    async def afetch(outcome: str, payload: Any, *, options: Any) -> Any:
        return await serve(outcome, payload, options)

    async def afetch_new(outcome: str, payload: Any, *, options: Any) -> Any:
        return await scene.check_async(outcome, payload, options)

    return afetch, afetch_new


def bound(kind: str, function: Fetch) -> Fetch:
    """Make a callable as its users call it: a method hangs on a class and is called by an instance."""
    if kind not in ("method", "async method"):
        return function
    service = type("Service", (), {"get": function})
    fetch: Fetch = service().get
    return fetch
