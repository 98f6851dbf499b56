"""Many lags in little room: counted by their size, each to an eighth of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from shadowmig.wire.events.report import Lag

_FINE: Final = 16
"""Milliseconds below which each has a count of its own."""


def bucket(milliseconds: int) -> int:
    """Number the bucket of a lag."""
    if milliseconds < _FINE:
        return max(milliseconds, 0)
    shift = milliseconds.bit_length() - 4
    return shift * 8 + (milliseconds >> shift)


def least(number: int) -> float:
    """Give the smallest lag of a bucket, in milliseconds."""
    return number if number < _FINE else ((number % 8) + 8) << (number // 8 - 1)


def add(counts: dict[int, int], lags: Iterable[float]) -> None:
    """Count lags, in seconds."""
    for milliseconds, count in Counter([int(lag * 1000) for lag in lags]).items():
        number = bucket(milliseconds)
        counts[number] = counts.get(number, 0) + count


def of(counts: Mapping[int, int], longest: float) -> Lag:
    """Tell percentiles and the longest."""
    total = sum(counts.values())
    if not total:
        return Lag()
    shares, passed = [0.5, 0.95, 0.99], 0
    found: list[float] = []
    for number, count in sorted(counts.items()):
        passed += count
        while len(found) < len(shares) and passed >= shares[len(found)] * total:
            found.append(min(least(number + 1) / 1000, longest))
    return Lag(found[0], found[1], found[2], longest)
