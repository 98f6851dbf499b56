"""The moments, dates and durations at which languages and stores differ; every table starts with the simplest."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final


def _moment(*parts: int) -> datetime:
    year, month, day, *rest = parts
    return datetime(year, month, day, tzinfo=UTC) + _clock(*rest)


def _clock(hours: int = 0, minutes: int = 0, seconds: int = 0, micros: int = 0) -> timedelta:
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)


MOMENTS: Final = (
    _moment(1970, 1, 1),
    _moment(2000, 1, 1),
    _moment(1, 1, 1),
    _moment(1, 1, 1, 0, 0, 0, 1),
    _moment(1582, 10, 4, 23, 59, 59),
    _moment(1582, 10, 10),
    _moment(1582, 10, 15),
    _moment(1677, 9, 21, 0, 12, 43),  # nanoseconds since 1970 in 64 bits reach from here
    _moment(1677, 9, 21, 0, 12, 44),
    _moment(1900, 2, 28, 12),
    _moment(1900, 3, 1),
    _moment(1969, 12, 31, 23, 59, 59),
    _moment(1969, 12, 31, 23, 59, 59, 999999),
    _moment(1970, 1, 1, 0, 0, 0, 1),
    _moment(2024, 2, 29, 12, 30),
    _moment(2000, 2, 29),
    _moment(2016, 12, 31, 23, 59, 59, 999999),
    _moment(2024, 1, 1, 12, 0, 0, 1000),
    _moment(2024, 1, 1, 12, 0, 0, 120000),
    _moment(2024, 1, 1, 12, 0, 0, 100),
    _moment(2024, 1, 1, 12, 0, 0, 1),
    _moment(2024, 5, 6, 7, 8, 9),
    _moment(2024, 5, 6, 7, 8, 9, 999999),
    _moment(2038, 1, 19, 3, 14, 7),
    _moment(2038, 1, 19, 3, 14, 8),
    _moment(2106, 2, 7, 6, 28, 16),
    _moment(2262, 4, 11, 23, 47, 16, 854775),  # to here
    _moment(2262, 4, 11, 23, 47, 17),
    _moment(9999, 12, 31),
    _moment(9999, 12, 31, 23, 59, 59),
    _moment(9999, 12, 31, 23, 59, 59, 999999),
)
"""In UTC; each is drawn in other zones too."""

DATES: Final = tuple(dict.fromkeys(moment.date() for moment in MOMENTS))

CLOCKS: Final = (
    time(0, 0),
    time(12, 30),
    time(23, 59, 59),
    time(23, 59, 59, 999999),
    time(0, 0, 0, 1),
    time(12, 0, 0, 1000),
)

DURATIONS: Final = (
    timedelta(0),
    timedelta(seconds=1),
    timedelta(microseconds=1),
    timedelta(microseconds=-1),
    timedelta(milliseconds=1),
    timedelta(milliseconds=-1500),
    timedelta(seconds=-1),
    timedelta(seconds=59, microseconds=999999),
    timedelta(days=1),
    timedelta(days=-1, microseconds=1),
    timedelta(seconds=2**31),
    timedelta(days=106751, seconds=85636, microseconds=854775),  # nanoseconds in 64 bits end here
    timedelta(days=106752),
    timedelta(seconds=315576000000),  # a protobuf Duration ends here
    timedelta(seconds=-315576000000),
)
NANOS: Final = (1, 999, 500, 100, 10)


def _zones() -> tuple[tzinfo, ...]:
    minutes = (60, -300, 345, -210, 840, -720, -1, 1439, -1439)
    liberia = timezone(-timedelta(minutes=44, seconds=30))  # until 1972; RFC 3339 cannot write the seconds
    return UTC, *(timezone(timedelta(minutes=one)) for one in minutes), liberia


ZONES: Final = _zones()


def _turns() -> tuple[datetime, ...]:
    found = []
    # A machine may have no zones at all; then there are no such values.
    for name, month, day, hour in (("Europe/Berlin", 10, 27, 2), ("America/New_York", 11, 3, 1)):
        try:
            zone = zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError:
            continue
        local = datetime(2024, month, day, hour, 30, tzinfo=zone)
        found += [local, local.replace(fold=1), datetime(2024, 7, 1, 12, tzinfo=zone)]
    return tuple(found)


TURNS: Final = _turns()
"""Local times that are there twice, by the end of daylight saving time, and one in summer."""
