"""
The caller's view of one call, and what may not differ between a decorated handler and its undecorated twin.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final

from attrs import frozen

import shadowmig
from shadowmig.side import checked_side
from shadowmig.testing._harm_scene import MARK, STAIN, Scene

PATIENCE: Final = 5.0
"""Seconds a call may take; far above what it needs on a busy machine, and far below a hang."""

_HOME: Final = str(Path(shadowmig.__file__).parent)
_TRIAL: Final = str(Path(__file__).parent)


@frozen
class Seen:
    """What a caller can notice of one call. Two of them are compared field by field."""

    ended: str
    very_object: bool
    chain: tuple[object, ...]
    frames: tuple[tuple[str, int], ...]
    arguments_passed: bool
    arguments_kept: bool
    mark: str
    stain: str
    side: object
    handling: object
    cancelling: int
    waited: bool
    ours: int


_NOTICED: Final = {
    "ended": "the call ended otherwise",
    "very_object": "the value or exception is not the very object that the handler gave",
    "chain": "cause, context or suppression of the exception changed",
    "frames": "the frames of the traceback changed",
    "arguments_passed": "the handler did not get the caller's own argument objects",
    "arguments_kept": "the caller's arguments were changed",
    "mark": "a context variable that the handler set reads otherwise",
    "stain": "a context variable of the checked side leaked",
    "side": "the caller runs on as a checked side",
    "handling": "an exception is still being handled after the call",
    "cancelling": "the count of cancellations of the task changed",
    "waited": "the caller waited",
}


def noticed(twin: Seen, seen: Seen) -> list[str]:
    """Say what a caller noticed of us: differences to the undecorated twin, in words."""
    found = [
        f"{text}: {getattr(twin, name)!r} became {getattr(seen, name)!r}"
        for name, text in _NOTICED.items()
        if getattr(twin, name) != getattr(seen, name)
    ]
    # An exception of ours would have other frames anyway; this is about those that are the handler's own.
    if seen.frames and seen.ours != 1 and not found:
        found.append(f"the traceback has {seen.ours} frames of shadowmig, not one")
    return found


class Witness:
    """Makes one call and keeps what it saw. The arguments are fresh for each."""

    def __init__(self, scene: Scene, payload: Any = None) -> None:
        self._scene = scene
        self._plain = payload is None
        self.payload = ["plain", {"deep": [1]}] if payload is None else payload
        self.options = {"limit": 3, "tags": ["x"]}
        self._options_before = copy.deepcopy(self.options)
        self.seen: Seen | None = None

    def call(self, fetch: Callable[..., Any], outcome: str) -> Seen:
        """Call a sync handler, in a context of its own."""
        return copy_context().run(self._call, fetch, outcome)

    def _call(self, fetch: Callable[..., Any], outcome: str) -> Seen:
        self._begin()
        started = monotonic()
        try:
            value = fetch(outcome, self.payload, options=self.options)
        except BaseException as error:  # noqa: BLE001 - whatever comes is what the caller gets
            return self._look(None, error, started)
        return self._look(value, None, started)

    async def call_async(self, fetch: Callable[..., Awaitable[Any]], outcome: str) -> Seen:
        """Call an async handler in a task of its own; the outcome ``cancelled`` is cancelled from outside."""
        task = asyncio.create_task(self._call_async(fetch, outcome))
        if outcome == "cancelled":
            for _ in range(20):  # steps in which it may get to the point where it waits
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return task.result()

    async def _call_async(self, fetch: Callable[..., Awaitable[Any]], outcome: str) -> Seen:
        self._begin()
        started = monotonic()
        try:
            value = await fetch(outcome, self.payload, options=self.options)
        except BaseException as error:  # noqa: BLE001 - whatever comes is what the caller gets
            return self._look(None, error, started)
        return self._look(value, None, started)

    def _begin(self) -> None:
        self._scene.forget()
        MARK.set("caller")
        STAIN.set("")

    def _look(self, value: Any, error: BaseException | None, started: float) -> Seen:
        scene = self._scene
        frames = list(_frames(None if error is None else error.__traceback__))
        # What a task or an engine raises for a cancellation is made anew, so only the handler's own can be the same.
        made = scene.made if error is None or scene.made is not None else error
        self.seen = Seen(
            ended="returned" if error is None else f"raised {type(error).__name__}",
            very_object=(value if error is None else error) is made,
            chain=() if error is None else (error.__cause__ is scene.cause, _kind(error), error.__suppress_context__),
            frames=tuple((name, line) for home, name, line in frames if not home),
            arguments_passed=not scene.saw or (scene.saw[0] is self.payload and scene.saw[1] is self.options),
            arguments_kept=self.arguments_kept,
            mark=MARK.get(),
            stain=STAIN.get(),
            side=checked_side(),
            handling=sys.exc_info()[0] if error is None else type(error),
            cancelling=_cancelling(),
            waited=monotonic() - started > PATIENCE,
            ours=sum(home for home, _, _ in frames),
        )
        return self.seen

    @property
    def arguments_kept(self) -> bool:
        """Whether the arguments are as they were; also to be asked once the checked side had its time."""
        if self.options != self._options_before:
            return False
        return not self._plain or self.payload == ["plain", {"deep": [1]}]


def _kind(error: BaseException) -> str:
    return type(error.__context__).__name__


def _cancelling() -> int:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return 0
    return 0 if task is None else task.cancelling()


def _frames(traceback: TracebackType | None) -> Iterator[tuple[bool, str, int]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        ours = code.co_filename.startswith(_HOME) and not code.co_filename.startswith(_TRIAL)
        yield ours, code.co_name, traceback.tb_lineno
        traceback = traceback.tb_next
