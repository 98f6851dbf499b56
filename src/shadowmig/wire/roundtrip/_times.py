"""What happens to times between languages: names, and how each is recognised."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from shadowmig.compare import _instants
from shadowmig.wire.roundtrip._numbers import Leaf, different, silent
from shadowmig.wire.values import Instant

_MILLI: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_HOUR: Final = 3_600 * _SECOND
_OFFSET = re.compile(r"([Zz]|[+-][0-9]{2}:?[0-9]{2})$")


class Moment(NamedTuple):
    """
    A point in time, whether it came as an object or as text.

    Attributes:
        nanoseconds: Since the year 1; in UTC if the zone is known.
        offset: Minutes from UTC; ``None`` if the zone is not known.
        kind: ``"text"`` or ``"time"``.
        year: As it was written.
    """

    nanoseconds: int
    offset: int | None
    kind: str
    year: int


def moment(value: Any) -> Moment | None:
    """Give the point in time that a value is, or that its text names; ``None`` if it is none."""
    kind = type(value)
    if kind is Instant:
        found = moment(value.at)
        return found and found._replace(nanoseconds=found.nanoseconds + value.nanos)
    if kind is datetime:
        try:
            offset = datetime.utcoffset(value)
        except Exception:  # noqa: BLE001 - a zone is foreign code
            return None
        point = _instants.wall(value) - (0 if offset is None else round(offset.total_seconds()) * _SECOND)
        return Moment(point, None if offset is None else round(offset.total_seconds() / 60), "time", value.year)
    if kind is str and 10 < len(value) < 60 and value[0].isdigit():
        named = _instants.from_text(value, 1)
        if named is None:
            return None
        suffix = _OFFSET.search(value) if named.aware else None
        return Moment(named.nanoseconds, _minutes(suffix[1]) if suffix else None, "text", int(value[:4]))
    return None


def _minutes(suffix: str) -> int:
    if suffix in "Zz":
        return 0
    minutes = int(suffix[1:3]) * 60 + int(suffix[-2:])
    return -minutes if suffix[0] == "-" else minutes


ZERO: Final = frozenset(
    moment(datetime(year, 1, 1, tzinfo=UTC)).nanoseconds  # type: ignore[union-attr] # each is a moment
    for year in (1, 1900, 1970)
)
"""Moments that stand for no time: those with which languages and databases begin."""


def _pair(want: Any, got: Any) -> tuple[Moment, Moment] | None:
    a = moment(want)
    b = moment(got) if a else None
    return (a, b) if a and b and a.kind == b.kind else None


def _coarser(unit: int, finer: int) -> Any:
    """Whether a moment was cut or rounded to a unit of nanoseconds, and was finer than that."""

    def test(want: Any, got: Any) -> bool:
        both = _pair(want, got)
        if not both:
            return False
        a, b = both[0].nanoseconds, both[1].nanoseconds
        return a % unit != 0 and a % finer == 0 and b % unit == 0 and abs(a - b) < unit

    return test


def _lost_zone(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return both is not None and both[0].offset is not None and both[1].offset is None


def _got_zone(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return both is not None and both[0].offset is None and both[1].offset is not None


def _other_zone(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return both is not None and both[0].nanoseconds == both[1].nanoseconds and both[0].offset != both[1].offset


def _spelled(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return both is not None and both[0].kind == "text" and both[0][:2] == both[1][:2]


def _far(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return both is not None and abs(both[0].nanoseconds - both[1].nanoseconds) > 24 * _HOUR


def _became_zero(want: Any, got: Any) -> bool:
    return _far(want, got) and moment(got).nanoseconds in ZERO  # type: ignore[union-attr] # both are moments


def _year(want: Any, got: Any) -> bool:
    a = moment(want)
    return a is not None and not 1678 <= a.year <= 2261 and (got is None or _far(want, got))


def _fold(want: Any, got: Any) -> bool:
    both = _pair(want, got)
    return (
        both is not None
        and 0 < abs(both[0].nanoseconds - both[1].nanoseconds) <= 14 * _HOUR
        and (both[0].nanoseconds - both[1].nanoseconds) % (_HOUR // 4) == 0
    )


def _is_time(value: Any) -> bool:
    return isinstance(value, Instant | date | timedelta)


TIMES: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "time became default",
            "A time came out as the one that stands for no time: the year 1, 1900 or 1970.",
            "It was not understood, and the zero value was left in its place.",
            "Check the field's name and format on the reader's side; use null for no time.",
        ),
        _became_zero,
    ),
    (
        silent(
            "year out of range",
            "A time outside the years 1678 to 2261 came out as another one, or as null.",
            "One side counts nanoseconds in 64 bits, which reach no further, or refuses the year.",
            "Keep such times out, or count in a wider unit.",
        ),
        _year,
    ),
    (
        silent(
            "time lost its zone",
            "A time with a zone came out as one without.",
            "One side keeps what the clock shows and drops the rest.",
            "Write the offset and read it; keep times in UTC.",
        ),
        _lost_zone,
    ),
    (
        silent(
            "time got a zone",
            "A time without a zone came out as one that has one.",
            "One side takes it for UTC, or for the zone of its machine.",
            "Write times with their zone.",
        ),
        _got_zone,
    ),
    (
        silent(
            "time changed its zone",
            "A time came out as the same instant with another offset.",
            "One side keeps times in UTC.",
            'Write times in UTC, or compare with `datetimes="instant"` or `timestamps=`.',
        ),
        _other_zone,
    ),
    (
        different(
            "time spelled differently",
            "A text that names a time came out as another text that names the same.",
            "Digits that are zero are written or not, `Z` or `+00:00`, `T` or a space.",
            "Agree on one spelling, or compare with `timestamps=`.",
        ),
        _spelled,
    ),
    (
        silent(
            "time lost nanoseconds",
            "What is finer than a microsecond was cut off or rounded.",
            "One side's times end at microseconds: those of Python and Postgres do.",
            "Cut to microseconds before writing, or carry nanoseconds as an integer.",
        ),
        _coarser(1_000, 1),
    ),
    (
        silent(
            "time lost microseconds",
            "What is finer than a millisecond was cut off or rounded.",
            "One side's times end at milliseconds: those of JavaScript and BSON do.",
            "Cut to milliseconds before writing, or carry microseconds as an integer.",
        ),
        lambda want, got: _coarser(_MILLI, 1)(want, got) and not _coarser(_SECOND, _MILLI)(want, got),
    ),
    (
        silent(
            "time lost its fraction",
            "What is finer than a second was cut off or rounded.",
            "One side keeps whole seconds.",
            "Agree on the precision.",
        ),
        _coarser(_SECOND, 1),
    ),
    (
        silent(
            "time moved by its zone",
            "A time came out as an instant that is some hours off.",
            "An offset was dropped, or applied twice.",
            "Write times in UTC with their offset.",
        ),
        _fold,
    ),
    (
        different(
            "time moved",
            "A time came out as another instant.",
            "One side counts from another day or in another unit.",
            "Agree on the unit and on where it begins.",
        ),
        lambda want, got: _pair(want, got) is not None,
    ),
    (
        silent(
            "time became text",
            "A time came out as text.",
            "The format has no times, and the reader does not make one of the text.",
            "Read it into a time, as a model does.",
        ),
        lambda want, got: _is_time(want) and type(got) is str,
    ),
    (
        silent(
            "time became number",
            "A time came out as a number.",
            "It was written as seconds, milliseconds or nanoseconds since 1970.",
            "Agree on the unit, and make a time of it when reading.",
        ),
        lambda want, got: _is_time(want) and type(got) in (int, float),
    ),
    (
        silent(
            "text became time",
            "A text came out as a time.",
            "The reader makes times of all texts that look like one.",
            "Say which fields are times.",
        ),
        lambda want, got: type(want) is str and _is_time(got),
    ),
    (
        silent(
            "date became time",
            "A date came out as a time of that day.",
            "One side has no dates.",
            "Write dates as text.",
        ),
        lambda want, got: type(want) is date and type(got) in (datetime, Instant),
    ),
    (
        silent(
            "time became date",
            "A time came out as the date of its day.",
            "One side has a date there.",
            "Agree on one type.",
        ),
        lambda want, got: type(want) in (datetime, Instant) and type(got) is date,
    ),
)
