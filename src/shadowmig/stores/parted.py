"""
Reads in two parts: the request is sent, and what the server answers is taken later.

So several stores can be asked at the same time by one thread, and whoever waits does so for the slowest of them only. A
read in two parts is a generator that yields once its request is on its way and returns what was read. Closing it gives
the read up.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Parted: TypeAlias = Generator[None, None, T]
"""Something in two parts."""


def whole(parts: Parted[T]) -> T:
    """Do both parts at once."""
    try:
        while True:
            next(parts)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic


def side_by_side(reads: Sequence[Parted[T]]) -> list[T]:
    """
    Begin all of them before any is waited for.

    Raises:
        Exception: What one of them raised; the others are given up.
    """
    results: dict[int, Any] = {}
    try:
        for number, read in enumerate(reads):
            try:
                next(read)
            except StopIteration as done:  # it was over at once
                results[number] = done.value
        return [results[number] if number in results else whole(read) for number, read in enumerate(reads)]
    finally:
        for read in reads:
            read.close()
