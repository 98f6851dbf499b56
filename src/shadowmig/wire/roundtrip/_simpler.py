"""Simpler values: how complex a value is, and what could be tried in place of a single one."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any, Final
from uuid import UUID

from shadowmig.wire.values import Instant

Cost = tuple[int, int, int]
"""Nodes, characters and bytes, and how unusual they are; less is simpler."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MARKS: Final = sorted(
    {sign * (2**bits + near) for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64) for near in (-1, 0, 1) for sign in (1, -1)},
    key=abs,
)
_FLOATS: Final = (
    0.0, 1.0, -0.0, 0.5, 0.1, 1.5, 16777217.0, 1e16, 1e17, 1e21, 1e39, 5e-324, 1e-310, 9007199254740992.0,
)  # fmt: skip
_TIME = re.compile(r"(\d{4})-\d\d-\d\d([Tt ])\d\d:\d\d:\d\d(\.\d+)?(.*)", re.DOTALL)
_YEARS: Final = (1, 9999, 1600, 2300, 1969)
_CHARS: Final = 40
_SHORT: Final = 10_000


def weight(value: Any) -> tuple[int, int]:
    """Give length and unusualness of a single value."""
    kind = type(value)
    weigh = _WEIGHTS.get(kind)
    if weigh is not None:
        return weigh(value)
    if isinstance(value, enum.Enum):
        members = list(type(value))
        return 0, members.index(value) if value in members else len(members)
    return 0, 0


def _of_float(value: float) -> int:
    if math.isnan(value):
        return 1_000_000
    if math.isinf(value):
        return 1_000_001 + (value < 0)
    return 1000 * len(repr(value)) + int(min(abs(value), 999))


def _of_char(char: str) -> int:
    code = ord(char)
    return 0 if char == "a" else code if code < 128 else 128 + code


def _of_datetime(value: datetime) -> int:
    parts = (value.month - 1, value.day - 1, value.hour, value.minute, value.second, value.microsecond)
    zone = 0 if value.tzinfo in (None, UTC) else 1000
    return sum(parts) + 20 * abs(value.year - 2000) + zone + value.fold


def zero(value: Any) -> Any:
    """Give the simplest value of the same kind."""
    kind = type(value)
    if kind in (bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset, timedelta):
        return kind()
    if kind is datetime:
        return _EPOCH if value.tzinfo else _EPOCH.replace(tzinfo=None)
    if kind is Instant:
        return Instant(_EPOCH, 1)
    if isinstance(value, enum.Enum):
        return next(iter(type(value)))
    table = {date: _EPOCH.date(), time: time(), Decimal: Decimal(0), UUID: UUID(int=0)}
    return table.get(kind, value)


def simpler(value: Any) -> Iterator[Any]:
    """Give what could be tried in place of a single value, the simplest first. Not all need be simpler."""
    ways = _WAYS.get(type(value))
    if ways is not None:
        yield from ways(value)
    else:
        yield zero(value)


def _integers(value: int) -> Iterator[int]:
    yield from (0, 1)
    if value < 0:
        yield from (-1, -value)
    yield from (mark for mark in _MARKS if abs(mark) < abs(value))
    size = abs(value)
    for shift in range(1, min(size.bit_length(), 80) + 1):
        less = size - (size >> shift)
        yield less if value > 0 else -less


def _floats(value: float) -> Iterator[float]:
    yield from _FLOATS
    if not math.isfinite(value):
        yield from (math.nan, math.inf)
        return
    yield from (abs(value), float(int(value)) if abs(value) < 1e300 else value, value / 2)
    yield from (float(f"{value:.{digits}g}") for digits in (1, 2, 3, 6, 9, 12))


def _texts(value: str) -> Iterator[str]:
    yield from ("", "a")
    found = _TIME.fullmatch(value)
    if found:
        year, middle, fraction, zone = found.groups()
        yield from (f"2000-01-01{middle}00:00:00{part}{end}" for part in ("", fraction or "") for end in ("Z", zone))
        yield from (f"2000-01-01{middle}00:00:00.{part}Z" for part in ("1", "001", "000001", "000000001"))
        yield f"{year}-01-01{middle}00:00:00Z"
    chars = sorted(set(value[:2000]), key=_of_char)[-_CHARS:]
    yield from chars
    yield from (a + b for a, b in islice(pairwise(value), _CHARS))
    length = len(value)
    yield from ("a" * (length - (length >> shift)) for shift in range(1, length.bit_length() + 1))
    if value.count("a") < length:
        yield "a" * length
        if length < _SHORT:
            yield "".join(char if not char.isascii() or not char.isalnum() else "a" for char in value)
        yield from _shorter(value)


def _shorter(value: Any) -> Iterator[Any]:
    """Give what is left of text or bytes without one of their parts: the larger the parts the fewer."""
    length = len(value)
    for parts in (2, 4, 8, 16, 32):
        size = -(-length // parts)
        if length >= parts:
            yield from (value[:start] + value[start + size :] for start in range(0, length, size))
    yield value[:-1]


def _bytes(value: bytes) -> Iterator[bytes]:
    yield from (b"", b"\x00", b"a", b"\x80", b"\xff")
    yield from (bytes([each]) for each in sorted(set(value[:2000]))[:_CHARS])
    yield bytes(len(value))
    yield from _shorter(value)


def _times(value: datetime) -> Iterator[datetime]:
    base = _EPOCH.replace(tzinfo=value.tzinfo)
    yield base
    if value.tzinfo is not None:
        yield _EPOCH
        yield value.replace(tzinfo=UTC)
    yield from (base.replace(microsecond=micro) for micro in (1, 1000, 100_000, value.microsecond))
    yield from (_EPOCH.replace(year=year, tzinfo=value.tzinfo) for year in (*_YEARS, value.year))
    yield value.replace(microsecond=0)
    yield value.replace(hour=0, minute=0, second=0)
    yield value.replace(month=1, day=1)
    yield value.replace(hour=0, minute=0, second=0, microsecond=0)
    yield base.replace(second=1)


def _instants(value: Instant) -> Iterator[Instant]:
    yield Instant(_EPOCH, 1)
    yield from (Instant(at, value.nanos) for at in (_EPOCH, *_times(value.at)))
    yield from (Instant(value.at, nanos) for nanos in (1, 100))


def _spans(value: timedelta) -> Iterator[timedelta]:
    return (timedelta(microseconds=each) for each in _integers(value // timedelta(microseconds=1)))


def _dates(value: date) -> Iterator[date]:
    yield from (date(year, 1, 1) for year in (2000, *_YEARS, value.year))


def _decimals(value: Decimal) -> Iterator[Decimal]:
    yield from map(Decimal, ("0", "1", "0.0", "1.0", "0.1", "0.10"))
    text = str(value)
    if value.is_finite() and "E" not in text:
        yield from (Decimal(text[:end]) for end in range(text.find(".") + 1 or 1, len(text)) if text[:end] != "-")


_WEIGHTS: Final[dict[type[Any], Callable[[Any], tuple[int, int]]]] = {
    bool: lambda value: (0, int(value)),
    int: lambda value: (0, 2 * abs(value) + (value < 0)),
    float: lambda value: (0, _of_float(value)),
    str: lambda value: (len(value), sum(map(_of_char, value[:1000]))),
    bytes: lambda value: (len(value), sum(value[:1000])),
    Instant: lambda value: (0, _of_datetime(value.at) + 1_000_000 + value.nanos),
    datetime: lambda value: (0, _of_datetime(value)),
    date: lambda value: (0, abs(value.toordinal() - _EPOCH.toordinal())),
    time: lambda value: (0, (value.hour * 60 + value.minute) * 60 + value.second + value.microsecond),
    timedelta: lambda value: (0, 2 * abs(value // timedelta(microseconds=1)) + (value < timedelta())),
    Decimal: lambda value: (len(str(value)), int(min(abs(value), Decimal(1000))) if value.is_finite() else 1000),
    set: lambda value: (len(value), 0),
    frozenset: lambda value: (len(value), 0),
    UUID: lambda value: (0, value.int.bit_length()),
}

_WAYS: Final[dict[type[Any], Callable[[Any], Iterator[Any]]]] = {
    int: _integers,
    float: _floats,
    str: _texts,
    bytes: _bytes,
    datetime: _times,
    Instant: _instants,
    timedelta: _spans,
    date: _dates,
    Decimal: _decimals,
}
