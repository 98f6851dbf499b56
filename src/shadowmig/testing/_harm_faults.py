"""What can go wrong in one operation, and `Trouble`, which makes it go wrong there on demand and counts."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

from attrs import frozen

HANG: Final = 30.0
"""Seconds a hang lasts if nobody ends it; far above every bound that is checked."""


class Mischief(Exception):
    """Raised where a fault is injected."""


class ServerTimeout(BaseException):
    """Stands for a server's own timeout, which many servers derive from ``BaseException``."""


@frozen
class Fault:
    """
    One way in which an operation goes wrong.

    Attributes:
        name: For people.
        error: What is raised, or ``None``.
        hangs: Whether the operation does not come back until it is released.
    """

    name: str
    error: type[BaseException] | None = None
    hangs: bool = False


HANGS: Final = Fault("hangs", hangs=True)
NONSENSE: Final = Fault("returns nonsense")
FAULTS: Final = (
    Fault("raises Exception", Mischief),
    Fault("raises KeyboardInterrupt", KeyboardInterrupt),
    Fault("raises SystemExit", SystemExit),
    Fault("raises GeneratorExit", GeneratorExit),
    Fault("raises CancelledError", asyncio.CancelledError),
    Fault("raises a server's timeout", ServerTimeout),
    NONSENSE,
    HANGS,
)
"""Every fault the suite provokes in every operation."""


def _refuse(*_: object, **__: object) -> NoReturn:
    raise Mischief("a hostile object was touched")


class Hostile:
    """An object that raises whatever is done with it; only its type can be asked."""

    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = _refuse
    __bool__ = __len__ = __iter__ = __next__ = __getitem__ = __contains__ = _refuse
    __repr__ = __str__ = __format__ = __call__ = __index__ = __int__ = __float__ = _refuse
    __enter__ = __exit__ = __add__ = __getattr__ = _refuse
    __hash__ = _refuse
    __reduce_ex__ = __reduce__ = _refuse


class Trouble:
    """
    Sits in one operation, lets it be until it is armed, and then makes it go wrong.

    Attributes:
        hits: How often the operation was reached while armed.
    """

    def __init__(self) -> None:
        self.hits = 0
        self._fault: Fault | None = None
        self._released = threading.Event()

    @property
    def armed(self) -> bool:
        """Whether the operation goes wrong now."""
        return self._fault is not None

    def arm(self, fault: Fault) -> None:
        """Begin."""
        self.hits = 0
        self._released = threading.Event()
        self._fault = fault

    def lift(self) -> None:
        """End; what hangs goes on, with an exception."""
        self._fault = None
        self._released.set()

    def strike(self) -> Any:
        """Do what the fault says."""
        fault, released = self._fault, self._released
        if fault is None:
            return None
        self.hits += 1
        if fault.hangs:
            released.wait(HANG)
            raise Mischief("it hung")
        if fault.error is not None:
            raise fault.error("injected")
        return Hostile()

    async def strike_async(self) -> Any:
        """Do the same in a coroutine; a hang there can be cancelled."""
        fault, released = self._fault, self._released
        if fault is None or not fault.hangs:
            return self.strike()
        self.hits += 1
        while not released.is_set():  # noqa: ASYNC110 - it is released from another thread
            await asyncio.sleep(0.005)
        raise Mischief("it hung")

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Put the trouble in front of a function."""

        @functools.wraps(function, updated=())
        def troubled(*args: Any, **kwargs: Any) -> Any:
            return self.strike() if self.armed else function(*args, **kwargs)

        return troubled
