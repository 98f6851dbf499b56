"""What there is in a value that some language cannot take."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from shadowmig.wire.roundtrip._times import moment
from shadowmig.wire.roundtrip._walk import walk
from shadowmig.wire.values import Instant

_LONG: Final = 1_000
_DEEP: Final = 40
_SURROGATE = re.compile("[\ud800-\udfff]")


class Feature(enum.Flag):
    """What there is in a value that some language cannot take."""

    NONE = 0
    SURROGATE = enum.auto()
    STRANGE = enum.auto()  # NaN or an infinity
    OVER64 = enum.auto()
    OVER63 = enum.auto()
    OVER53 = enum.auto()
    OVER31 = enum.auto()
    NEGATIVE = enum.auto()
    FRACTION = enum.auto()
    NUMBER = enum.auto()
    KEY = enum.auto()  # one that is no text
    NUL = enum.auto()
    LONG = enum.auto()
    DEEP = enum.auto()
    YEAR = enum.auto()
    TIME = enum.auto()
    BYTES = enum.auto()
    DECIMAL = enum.auto()
    NULL = enum.auto()
    EMPTY = enum.auto()


def features(value: Any) -> Feature:
    """Give what there is in a value in plain form."""
    found = Feature.NONE
    for node, depth in walk(value):
        found |= _of(node)
        if depth > _DEEP:
            found |= Feature.DEEP
    return found


def _of(node: Any) -> Feature:
    kind = type(node)
    look = _LOOKS.get(kind)
    if look is not None:
        return look(node)
    found = Feature.NONE
    if isinstance(node, Mapping) and any(type(key) is not str for key in node):
        found = Feature.KEY
    try:
        size = len(node)
    except Exception:  # noqa: BLE001 - most have none, and a value's own may raise anything
        return found
    return found | _sized(size)


def _sized(size: int) -> Feature:
    return Feature.LONG if size > _LONG else Feature.NONE if size else Feature.EMPTY


def _float(number: float) -> Feature:
    if not math.isfinite(number):
        return Feature.STRANGE
    return Feature.NUMBER | (Feature.FRACTION if number != int(number) else Feature.NONE)


def _time(value: Any) -> Feature:
    year = value.at.year if type(value) is Instant else value.year
    return Feature.TIME | (Feature.YEAR if not 1678 <= year <= 2261 else Feature.NONE)


def _integer(number: int) -> Feature:
    found = Feature.NUMBER | (Feature.NEGATIVE if number < 0 else Feature.NONE)
    size = abs(number)
    for bits, feature in (
        (64, Feature.OVER64),
        (63, Feature.OVER63),
        (53, Feature.OVER53),
        (31, Feature.OVER31),
    ):
        if size >= 1 << bits:
            found |= feature
    return found


def _text(text: str) -> Feature:
    found = Feature.LONG if len(text) > _LONG else Feature.NONE
    if not text:
        return found | Feature.EMPTY
    if _SURROGATE.search(text):
        found |= Feature.SURROGATE
    if "\0" in text:
        found |= Feature.NUL
    point = moment(text)
    if point:
        found |= Feature.TIME | (Feature.YEAR if not 1678 <= point.year <= 2261 else Feature.NONE)
    return found


_LOOKS: Final[dict[type[Any], Callable[[Any], Feature]]] = {
    type(None): lambda _: Feature.NULL,
    bool: lambda _: Feature.NONE,
    int: _integer,
    float: _float,
    str: _text,
    bytes: lambda data: Feature.BYTES | _sized(len(data)) if data else Feature.EMPTY,
    datetime: _time,
    Instant: _time,
    date: _time,
    Decimal: lambda _: Feature.DECIMAL,
}
