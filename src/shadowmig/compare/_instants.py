"""
Points in time, from text or from `datetime.datetime`, as exact nanoseconds.

Text is RFC 3339 and what databases and languages write close to it: ``T`` or a space, ``Z`` or an offset of hours,
minutes and seconds, any number of fraction digits, seconds optional. Worked out with integers, so that years 1 and
9999 with an offset, which `datetime.datetime` cannot move to UTC, are no trouble.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

UNITS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""Nanoseconds in each precision."""

_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r"(?: ?([Zz])|([+-])([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_DAY = 86_400
_SECOND = 1_000_000_000


class Instant(NamedTuple):
    """
    A point in time; equal only to one of the same kind.

    Attributes:
        aware: Whether the zone is known. A naive time is no instant and equals only the same naive time.
        nanoseconds: Since the year 1, truncated to the precision.
        leap: Whether it lies in a leap second (``:60``), which follows ``:59`` and is no part of the next minute.
    """

    aware: bool
    nanoseconds: int
    leap: bool = False


def from_text(text: str, unit: int) -> Instant | None:
    """The instant a text names, truncated to units of so many nanoseconds; ``None`` if it names none."""
    if len(text) > 200 or not (found := _TEXT.fullmatch(text)):
        return None
    year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes, seconds = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None
    leap = second == "60"
    clock = _clock(hour, minute, "59" if leap else second)
    shift = _clock(hours, minutes, seconds) if sign else 0
    if clock is None or shift is None:
        return None
    total = days * _DAY + clock - (-shift if sign == "-" else shift)
    nanoseconds = total * _SECOND + int((fraction or "")[:9].ljust(9, "0"))
    return Instant(bool(zulu or sign), nanoseconds // unit * unit, leap)


def _clock(hours: str, minutes: str | None, seconds: str | None) -> int | None:
    h, m, s = int(hours), int(minutes or 0), int(seconds or 0)
    return h * 3600 + m * 60 + s if h < 24 and m < 60 and s < 60 else None


def from_datetime(value: datetime, unit: int) -> Instant:
    """The instant of a `datetime.datetime`; its ``tzinfo`` is foreign code and may raise."""
    offset = datetime.utcoffset(value)
    nanoseconds = wall(value) - (0 if offset is None else _nanoseconds(offset))
    return Instant(offset is not None, nanoseconds // unit * unit)


def wall(value: datetime) -> int:
    """What the clock shows, in nanoseconds since the year 1, whatever the zone."""
    seconds = datetime.toordinal(value) * _DAY + value.hour * 3600 + value.minute * 60 + value.second
    return seconds * _SECOND + value.microsecond * 1_000


def _nanoseconds(span: timedelta) -> int:
    return (span.days * _DAY + span.seconds) * _SECOND + span.microseconds * 1_000
