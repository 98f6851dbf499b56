"""
Reads in parts: the request is sent, what the server answers is taken later, and later still it is understood.

So several stores can be asked at the same time by one thread, whoever waits does so for the slowest of them only, and
what needs no server is done when nobody waits any more. A read in parts is a generator that yields ``None`` once its
request is on its way, may yield `ANSWERED` when it has taken all that it needs of the server, and returns what was
read. Closing it gives the read up.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")


class Answered(enum.Enum):
    """The type of `ANSWERED`."""

    ANSWERED = "answered"


ANSWERED: Final = Answered.ANSWERED
"""Yielded by a read whose answer has come: what is left to do needs no server."""

Parted: TypeAlias = Generator[Answered | None, None, T]
"""Something in parts."""


def whole(parts: Parted[T]) -> T:
    """Do all parts at once."""
    try:
        while True:
            next(parts)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic


def answered(reads: Sequence[Parted[T]]) -> list[Parted[T]]:
    """
    Begin all of them before any is waited for, and take the answers; what is left of them needs no server.

    Raises:
        Exception: What one of them raised; the others are given up.
    """
    left = list(reads)

    def step(number: int) -> bool:
        try:
            return next(left[number]) is ANSWERED
        except StopIteration as done:
            left[number] = _over(done.value)
            return True

    try:
        for number in [number for number in range(len(left)) if not step(number)]:
            while not step(number):
                pass
        return left
    except BaseException:
        for read in left:
            read.close()
        raise


def _over(value: Any) -> Parted[Any]:
    """Give what is left of something that is done."""
    return value
    yield
