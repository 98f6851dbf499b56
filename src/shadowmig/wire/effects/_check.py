"""A running check: which effects there were, and where the code of its context finds it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NoReturn

from attrs import Factory, frozen

from shadowmig.wire.effects._snapshot import taken
from shadowmig.wire.fence import Fence, Refused, lifted

MOST: Final = 10_000
"""Effects recorded in one check; more are not performed either, but only counted."""


@frozen
class Effect:
    """
    Something that a consumer wanted to do to the world.

    Attributes:
        target: The name that was given to what it used.
        method: The method, statement or command; empty for a function.
        args: The arguments as plain data, as they were then; see `Effects`.
        kwargs: Those given by name.
        performed: Whether it was performed, on the sister.
    """

    target: str
    method: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = Factory(dict)
    performed: bool = False

    def plain(self) -> dict[str, Any]:
        """Give what is compared: method and arguments."""
        return {"method": self.method, "args": list(self.args), "kwargs": dict(self.kwargs)}

    def __str__(self) -> str:
        name = f"{self.target}.{self.method}" if self.method else self.target
        given = [*map(repr, self.args), *(f"{key}={value!r}" for key, value in self.kwargs.items())]
        return f"{name}({', '.join(given)})"


class Check:
    """
    One run of a consumer.

    Args:
        fence: What stands round it.

    Attributes:
        kept: What stands for a client as long as the check runs, by the ``id`` of the client.
    """

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.kept: dict[int, Any] = {}
        self._effects: list[Effect] = []
        self._ends: list[Callable[[], object]] = []
        self._sealed = False
        self._more = 0

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What was recorded."""
        return tuple(self._effects)

    @property
    def more(self) -> int:
        """How many effects there were above `MOST`, and how many of the others were cut."""
        return self._more

    @property
    def sealed(self) -> bool:
        """Whether it is over."""
        return self._sealed

    def note(
        self,
        target: str,
        method: str = "",
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        performed: bool = False,
    ) -> None:
        """Record an effect, unless the check is over."""
        if self._sealed:
            return
        if len(self._effects) >= MOST:
            self._more += 1
            return
        (copied, cut), (named, also) = taken(args), taken(kwargs or {})
        self._more += cut or also
        self._effects.append(Effect(target, method, tuple(copied), named, performed))

    def refuse(self, name: str, remedy: str) -> NoReturn:
        """
        Refuse by its name what a stand-in can neither perform nor answer.

        Raises:
            EffectRefused: Always.
        """
        self.fence.refuse(Refused(name, ""), remedy)

    def at_end(self, end: Callable[[], object]) -> None:
        """Have a function called when the run has ended."""
        self._ends.append(end)

    def end(self) -> None:
        """Do what is to be done at the end, the last first."""
        while self._ends:
            # What cannot be rolled back because its connection is gone was rolled back by the server.
            with contextlib.suppress(Exception):
                self._ends.pop()()

    def seal(self) -> None:
        """Record no more; what still runs in this context is neither performed nor recorded."""
        self._sealed = True
        self.fence.seal()


CHECK: Final[ContextVar[Check | None]] = ContextVar("shadowmig_check", default=None)
"""The check that the code of this context runs in."""


def answer(returns: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Give what a recorded effect returns: a fresh copy of a container, what a function makes of the arguments."""
    if callable(returns):
        return returns(*args, **kwargs)
    return copy.deepcopy(returns) if isinstance(returns, list | dict | set | tuple | bytearray) else returns


def perform(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    Call what was decided to be performed, outside of the fence; what it gives to be awaited is too.

    Raises:
        EffectRefused: The check is over.
    """
    check = CHECK.get()
    if check is not None and check.sealed:
        check.refuse("a stand-in", "The check is over.")
    with lifted():
        value = function(*args, **kwargs)
    return _performed(value) if isinstance(value, Awaitable) else value


async def _performed(value: Awaitable[Any]) -> Any:
    with lifted():
        return await value
