"""
Tagged JSON: values in a form that every language can read and write without losing anything.

JSON itself cannot tell bytes from text, a moment from text, an int from a float in JavaScript, or an int key from a
text. What it can tell is written as it is; the rest is an object with one key, the tag:

==============  ===================================================  ==========================================
tag             content                                              in Python
==============  ===================================================  ==========================================
``$int``        decimal digits; needed beyond 2**53 either way       `int`
``$float``      a number as text, ``NaN``, ``Infinity``,             `float`
                ``-Infinity``; needed for these, and for whole
                numbers such as ``1.0``
``$bytes``      base64                                               `bytes`
``$time``       RFC 3339 with a zone and up to nine digits           `~datetime.datetime` with a zone, or
                                                                     `shadowmig.wire.values.Instant`
``$local``      a date and a time of day without a zone              `~datetime.datetime` without a zone
``$date``       ``2024-02-29``                                       `~datetime.date`
``$clock``      ``23:59:59.999999``                                  `~datetime.time`
``$duration``   seconds as decimal text                              `~datetime.timedelta`
``$decimal``    a decimal number as text                             `~decimal.Decimal`
``$uuid``       ``8-4-4-4-12`` hexadecimal digits                    `~uuid.UUID`
``$text``       code points as a list; needed where lone surrogates  `str`
                make it no Unicode
``$map``        ``[[key, value], ...]``; needed for keys that are    `dict`
                no text, or begin with ``$``
``$missing``    ``true``                                             `shadowmig.model.MISSING`
==============  ===================================================  ==========================================

Numbers without a tag are ints if they have neither fraction nor exponent, else floats.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from shadowmig.errors import CodecError
from shadowmig.model import Missing
from shadowmig.wire.tagged._reading import DEEPEST, EXACT, LONGEST, from_tagged, is_text, too_deep
from shadowmig.wire.values import Instant, plain

__all__ = ["from_tagged", "to_tagged"]


def to_tagged(value: Any) -> Any:
    """
    Give the tagged form of a value: only dicts with texts as keys, lists, texts, ints, floats, truth values, ``None``.

    Objects of attrs and dataclasses, members of enums, mappings and tuples are taken by their
    `~shadowmig.wire.values.plain` form. An offset from UTC that is no whole number of minutes is given up for UTC.

    Raises:
        CodecError: There is something without a tagged form, an int of more than 4299 digits, or more than 400 levels.
    """
    try:
        return _tag(value, 0)
    except RecursionError as error:
        raise too_deep() from error
    except CodecError:
        raise
    except Exception as error:  # of the value's own code, or for want of an attribute
        raise CodecError(
            f"Something has no tagged form: it raised {type(error).__name__}.", reason="no tagged form"
        ) from error


def _tag(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if is_text(value) else {"$text": [ord(each) for each in value]}
    if kind is int:
        return value if -EXACT <= value <= EXACT else _int(value)
    if kind is bool or value is None:
        return value
    if kind is dict:
        return _dict(value, depth + 1)
    if kind is list or kind is tuple:
        if depth >= DEEPEST:
            raise too_deep()
        return [_tag(each, depth + 1) for each in value]
    if kind is float:
        # A difference with itself that is not zero: NaN, and the infinities.
        return _float(value) if value.is_integer() or value - value != 0.0 else value
    write = _WRITERS.get(kind)
    return write(value) if write else _other(value, depth)


def _dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise too_deep()
    made = {}
    for key, each in value.items():
        if type(key) is not str or key[:1] == "$" or not is_text(key):
            return {"$map": [[_tag(one, depth), _tag(two, depth)] for one, two in value.items()]}
        made[key] = _tag(each, depth)
    return made


def _int(value: int) -> dict[str, str]:
    # Asked first, because turning an int into digits takes quadratic time; one digit has 3.32 bits.
    if value.bit_length() > LONGEST * 3.32 or len(text := str(value)) > LONGEST:
        raise CodecError(f"An int has more than {LONGEST - 1} digits.", reason="number")
    return {"$int": text}


def _float(value: float) -> dict[str, str]:
    text = repr(value)
    return {"$float": _NAMES.get(text, text)}


_NAMES: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _moment(value: datetime) -> dict[str, str]:
    offset = value.utcoffset()
    if offset is None:
        return {"$local": datetime.isoformat(value.replace(tzinfo=None))}
    return {"$time": datetime.isoformat(_whole_minutes(value, offset))}


def _instant(value: Instant) -> dict[str, str]:
    text = datetime.isoformat(_whole_minutes(value.at, value.at.utcoffset()), timespec="microseconds")
    end = len("0001-01-01T00:00:00.000000")
    return {"$time": f"{text[:end]}{value.nanos:03d}{text[end:]}"}


def _whole_minutes(value: datetime, offset: timedelta | None) -> datetime:
    if offset is None or not offset % timedelta(minutes=1):
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise CodecError("A moment has no date in UTC.", reason="time") from error


def _duration(value: timedelta) -> dict[str, str]:
    micros = value // timedelta(microseconds=1)
    whole, rest = divmod(abs(micros), 1_000_000)
    return {"$duration": f"{'-' if micros < 0 else ''}{whole}.{rest:06d}"}


def _clock(value: time) -> dict[str, str]:
    if value.tzinfo is not None:
        raise CodecError("A time of day with a zone has no tagged form.", reason="no tagged form")
    return {"$clock": value.isoformat()}


def _bytes(value: Any) -> dict[str, str]:
    return {"$bytes": base64.b64encode(value).decode()}


def _decimal(value: Decimal) -> dict[str, str]:
    if value.is_snan():
        raise CodecError("A signalling NaN has no tagged form.", reason="no tagged form")
    return {"$decimal": str(value)}


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    datetime: _moment,
    Instant: _instant,
    date: lambda value: {"$date": value.isoformat()},
    time: _clock,
    timedelta: _duration,
    Decimal: _decimal,
    UUID: lambda value: {"$uuid": str(value)},
    Missing: lambda _: {"$missing": True},
}

_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, _bytes),
    (datetime, _moment),
    (date, lambda value: {"$date": date.isoformat(value)}),
)
"""For classes derived from these; their own methods are not asked."""


def _other(value: Any, depth: int) -> Any:
    form = plain(value)
    if form is not value:
        return _tag(form, depth)
    for base, make in _BASES:
        if isinstance(value, base):
            made = make(value)
            return made if type(made) is dict else _tag(made, depth)
    raise CodecError(
        f"A {type(value).__name__} has no tagged form.",
        remedy="Give dicts, lists, texts, bytes, numbers, truth values and times, or objects of attrs made of them.",
        reason="no tagged form",
    )
