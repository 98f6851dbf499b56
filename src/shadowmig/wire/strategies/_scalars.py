"""Nodes of plain types, within the limits that a model sets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from shadowmig.wire.strategies import _leaves as leaves
from shadowmig.wire.strategies import _times as clocks
from shadowmig.wire.strategies._limits import Limits
from shadowmig.wire.strategies._nodes import Changed, Checked, Choice, Foreign, Leaf, Node
from shadowmig.wire.strategies._options import Options
from shadowmig.wire.values import Instant


def scalar(kind: Any, limits: Limits, options: Options) -> Node | None:
    """
    Give the node of a plain type, or ``None`` if it is not one.

    Raises:
        Contradiction: Nothing is within the limits.
    """
    maker = _MAKERS.get(kind)
    return None if maker is None else maker(limits, options)


def _integers(limits: Limits, options: Options) -> Node:
    low, high = options.span
    if limits.low is not None:
        low = math.floor(limits.low) + 1 if limits.above else math.ceil(limits.low)
    if limits.high is not None:
        high = math.ceil(limits.high) - 1 if limits.under else math.floor(limits.high)
    multiple = limits.multiple
    if multiple is not None and multiple != int(multiple):
        fraction = Fraction(str(multiple))
        multiple = fraction.numerator  # the least whole number that is a multiple of it
    return leaves.integers(low, high, int(multiple or 1))


def _floats(limits: Limits, options: Options) -> Node:
    low = None if limits.low is None else float(limits.low)
    high = None if limits.high is None else float(limits.high)
    if low is not None and limits.above and low <= limits.low:
        low = math.nextafter(low, math.inf)
    if high is not None and limits.under and high >= limits.high:
        high = math.nextafter(high, -math.inf)
    if limits.multiple is None:
        return leaves.floats(low, high, nan=options.nan and not limits.checks)
    step = Fraction(str(limits.multiple))
    first = -(2**31) if low is None else math.ceil(Fraction(low) / step)
    last = 2**31 if high is None else math.floor(Fraction(high) / step)
    node = Changed(leaves.integers(first, last), lambda number, _: float(number * step))
    return Checked(node, partial(is_multiple, step=limits.multiple), "", "no multiple")


def is_multiple(number: Any, step: Any) -> bool:
    """Whether it is a whole multiple, as decimal numbers and as floats."""
    exact = Fraction(str(number)) / Fraction(str(step))
    return exact.denominator == 1 and (isinstance(step, int) or float(number / step).is_integer())


def _texts(limits: Limits, options: Options) -> Node:
    if limits.patterns:
        return of_pattern(limits)
    return leaves.texts(limits.least, limits.most, surrogates=options.surrogates, longest=options.longest)


def of_pattern(limits: Limits) -> Node:
    """Give text that matches the first pattern, and is checked against the others and for its length."""
    pattern, whole = limits.patterns[0]
    node: Node = Foreign(st.from_regex(pattern, fullmatch=whole))
    others = [(re.compile(one), full) for one, full in limits.patterns[1:]]

    def check(text: str) -> bool:
        fits = all((one.fullmatch(text) if full else one.search(text)) is not None for one, full in others)
        return fits and limits.least <= len(text) <= limits.most

    if others or limits.least or limits.most < math.inf:
        node = Checked(node, check, "", "pattern and length together")
    return node


def _binaries(limits: Limits, options: Options) -> Node:
    return leaves.binaries(limits.least, limits.most, longest=options.longest)


def _arrays(limits: Limits, options: Options) -> Node:
    return Changed(_binaries(limits, options), lambda data, _: bytearray(data))


def _times(limits: Limits, options: Options) -> Node:
    bounds = [one for one in (limits.low, limits.high) if one is not None]
    if any(one.tzinfo is None for one in bounds):
        # Bounds without a zone cannot be compared with moments that have one.
        node = clocks.times(
            None if limits.low is None else limits.low.replace(tzinfo=UTC),
            None if limits.high is None else limits.high.replace(tzinfo=UTC),
            zones=False,
        )
        return _bounded(Changed(node, lambda moment, _: moment.replace(tzinfo=None)), limits)
    naive = options.naive and not bounds
    node = clocks.times(limits.low, limits.high, zones=options.zones, nanos=options.nanos and not bounds, naive=naive)
    return _bounded(node, limits)


def _bounded(node: Node, limits: Limits) -> Node:
    if limits.low is None and limits.high is None:
        return node
    return Checked(node, limits.inside, "", "bounds")


def _durations(limits: Limits, options: Options) -> Node:
    return _bounded(clocks.durations(limits.low, limits.high), limits)


def _decimals(limits: Limits, options: Options) -> Node:
    low = None if limits.low is None else Decimal(str(limits.low))
    high = None if limits.high is None else Decimal(str(limits.high))
    node = _bounded(leaves.decimals(low, high, nan=options.nan), limits)
    if limits.multiple is None:
        return node
    step = Fraction(str(limits.multiple))
    first = -(2**31) if low is None else math.ceil(Fraction(low) / step)
    last = 2**31 if high is None else math.floor(Fraction(high) / step)
    unit = Decimal(str(limits.multiple))
    return _bounded(Changed(leaves.integers(first, last), lambda number, _: number * unit), limits)


def _fractions(limits: Limits, options: Options) -> Node:
    node = Changed(leaves.integers(), lambda number, source: Fraction(number, 1 + source.below(1000)))
    return _bounded(node, limits)


_MAKERS: dict[Any, Callable[[Limits, Options], Node]] = {
    None: lambda limits, options: leaves.nothing(),
    type(None): lambda limits, options: leaves.nothing(),
    bool: lambda limits, options: leaves.booleans(),
    int: _integers,
    float: _floats,
    str: _texts,
    bytes: _binaries,
    bytearray: _arrays,
    memoryview: _binaries,
    datetime: _times,
    Instant: lambda limits, options: clocks.instants(),
    date: lambda limits, options: _bounded(clocks.dates(), limits),
    time: lambda limits, options: _bounded(clocks.clocks(), limits),
    timedelta: _durations,
    Decimal: _decimals,
    Fraction: _fractions,
    UUID: lambda limits, options: leaves.uuids(),
}


def members(kind: type[Enum], options: Options, *, dictlike: bool) -> Node:
    """Give the members of an enum; flags also together; and, if asked for, values of no member."""
    found: list[Any] = list(kind)
    if not found:
        raise leaves.Contradiction("it is an enum without members")
    if issubclass(kind, Flag):
        found += [one | other for one in found for other in found if one.value < other.value][:64]
        found += [kind(0)]
    return with_unknown(found, [one.value for one in kind], options if dictlike else None)


def with_unknown(found: list[Any], values: list[Any], options: Options | None) -> Node:
    """Give some values, and at times one that a later version of the model may have added."""
    node = Choice(found)
    if options is None or not options.unknown_enums or not values:
        return node
    if all(isinstance(value, str) for value in values):
        table: list[Any] = [f"{values[0]}_LATER", values[0].swapcase(), f"{values[0]} ", "", "UNKNOWN"]
    elif all(type(value) is int for value in values):
        table = [max(values) + 1, -1, 0, 2**31 - 1, 99]
    else:
        return node
    unknown = [value for value in table if value not in values]
    return Leaf(unknown, lambda source: source.pick(found))


def checked(node: Node, limits: Limits, path: str) -> Node:
    """Have what cannot be built in drawn anew until it fits."""
    checks = list(limits.checks)
    if limits.kinds is not None:
        checks.append(lambda value: isinstance(value, limits.kinds))
    if not checks:
        return node

    def check(value: Any) -> bool:
        return (value is None and limits.optional) or all(one(value) for one in checks)

    return Checked(node, check, path, "instance_of or another check of the model")
