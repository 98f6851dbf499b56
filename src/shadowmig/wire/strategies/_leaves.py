"""Nodes of single values: numbers, texts, bytes, and what is written like them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from uuid import UUID

from attrs import define

from shadowmig.wire.strategies import _edges as edges
from shadowmig.wire.strategies._nodes import RARE, Choice, Leaf, Node
from shadowmig.wire.strategies._source import Source

WIDE = 2**64 + 1
"""Ints without bounds are drawn up to here, so that no width of any language holds them all."""


class Contradiction(ValueError):
    """No value can be within these limits; turned into a `ConfigError` by whoever reads the model."""

    path: str | None = None


def nothing() -> Node:
    """Give ``None``."""
    return Choice((None,))


def booleans() -> Node:
    """Give both truth values."""
    return Choice((False, True))


def integers(low: int | None = None, high: int | None = None, multiple: int = 1) -> Node:
    """Give ints within bounds, multiples of an int."""
    least = low if low is not None else min(-WIDE, (high or 0) - WIDE)
    most = high if high is not None else max(WIDE, (low or 0) + WIDE)
    first, last = -(-least // multiple), most // multiple
    if first > last:
        raise Contradiction(f"no int from {least} to {most} is a multiple of {multiple}")
    near = (last, first, last - 1, first + 1) if low is not None or high is not None else ()
    table = (*edges.INTEGERS, *(number * multiple for number in near))
    found = [number // multiple * multiple for number in table]
    found = list(dict.fromkeys(number for number in found if first * multiple <= number <= last * multiple))
    if multiple == 1:
        return Leaf(found, lambda source: source.between(first, last))
    return Leaf(found, lambda source: source.between(first, last) * multiple)


def floats(
    low: float | None = None,
    high: float | None = None,
    *,
    width: int = 64,
    nan: bool = False,
    check: Callable[[float], bool] | None = None,
) -> Node:
    """Give floats of 32 or 64 bits within bounds, with NaN and infinities if there are no bounds."""
    largest = 3.4028234663852886e38 if width == 32 else 1.7976931348623157e308
    least, most = (-largest if low is None else low), (largest if high is None else high)
    table = [number if width == 64 else single(number) for number in edges.FLOATS]
    table += [number for number in (low, high) if number is not None]
    table = [number for number in table if least <= number <= most and (check is None or check(number))]
    unique = list({repr(number): number for number in table}.values())
    if width == 32:
        least, most = _inward(least, most)
    if least > most:
        raise Contradiction(f"no float lies between {low} and {high}")
    if nan:
        unique += [math.inf] if high is None else []
        unique += [-math.inf] if low is None else []
        unique += [math.nan] if low is high is None else []
    return Leaf(unique, lambda source: source.floating(least, most, width=width))


def single(number: float) -> float:
    """Round to 32 bits; what is too large becomes the largest of them."""
    try:
        found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        found = math.copysign(3.4028234663852886e38, number)
    return found


def _inward(low: float, high: float) -> tuple[float, float]:
    """Give the outermost floats of 32 bits that lie between two of 64."""
    first, last = single(low), single(high)
    if first < low:
        first = _next_single(first, 1)
    if last > high:
        last = _next_single(last, -1)
    return first, last


def _next_single(number: float, way: int) -> float:
    if number == 0:
        return way * 1.401298464324817e-45
    bits = struct.unpack("<i", struct.pack("<f", number))[0]
    found: float = struct.unpack("<f", struct.pack("<i", bits + (way if number > 0 else -way)))[0]
    return found


@define(eq=False)
class Texts(Node):
    """Text of some length; an edge may stand alone or inside other text."""

    least: int
    most: float
    table: Sequence[str]
    surrogates: bool
    longest: int

    def make(self, source: Source, room: int) -> str:
        if not source.edgy():
            return self._calm(source)
        if self.longest and source.chance(RARE / 4):
            size = int(min(self.most, self.longest))
            part = self._calm(source) or "a"
            return (part * (size // len(part) + 1))[:size]
        found = source.pick(self.table) if self.table else ""
        if source.chance(0.3):
            found = source.text(0, 4, surrogates=False) + found + source.text(0, 4, surrogates=False)
        if len(found) > self.most:
            found = found[: int(self.most)]
        if len(found) < self.least:
            gap = self.least - len(found)
            found += source.text(gap, gap, surrogates=False)
        return found

    def _calm(self, source: Source) -> str:
        most = int(min(self.most, max(self.least + 12, 24)))
        return source.text(self.least, most, surrogates=self.surrogates and source.edgy())


def texts(least: int = 0, most: float = math.inf, *, surrogates: bool = False, longest: int = 0) -> Node:
    """Give text of some length in code points; very long ones rarely, up to ``longest``."""
    if least > most:
        raise Contradiction(f"no length is from {least} to {most}")
    table = edges.TEXTS + (edges.SURROGATES if surrogates else ())
    fit = [text for text in table if least <= len(text) <= most] or [text for text in table if text]
    return Texts(least, most, fit, surrogates, longest if most > 65536 and least <= longest else 0)


def binaries(least: int = 0, most: float = math.inf, *, longest: int = 0) -> Node:
    """Give so many bytes; very many rarely, up to ``longest``."""
    if least > most:
        raise Contradiction(f"no length is from {least} to {most}")
    fit = [data for data in edges.BINARIES if least <= len(data) <= most]

    def calm(source: Source) -> bytes:
        if longest and most > 65536 and least <= longest and source.edgy() and source.chance(RARE / 4):
            size = int(min(most, longest))
            return (source.binary(7, 7) * (size // 7 + 1))[:size]
        return source.binary(least, int(min(most, max(least + 12, 24))))

    return Leaf(fit, calm)


def decimals(low: Decimal | None = None, high: Decimal | None = None, *, nan: bool = False) -> Node:
    """Give decimals, written in several ways that are the same number."""
    free = low is high is None
    fit = [one for one in edges.DECIMALS if (low is None or one >= low) and (high is None or one <= high)]
    fit += [one for one in (low, high) if one is not None]

    def calm(source: Source) -> Decimal:
        if free:
            return Decimal(source.between(-(10**12), 10**12)).scaleb(-source.below(9))
        least = low if low is not None else (high or 0) - Decimal(10**12)
        most = high if high is not None else least + Decimal(10**12)
        digits = max(-int(least.as_tuple().exponent), -int(most.as_tuple().exponent), 0) + source.below(3)
        first, last = math.ceil(least.scaleb(digits)), math.floor(most.scaleb(digits))
        return Decimal(source.between(first, last)).scaleb(-digits)

    if low is not None and high is not None and low > high:
        raise Contradiction(f"no decimal lies between {low} and {high}")
    return Leaf([*fit, *(edges.DECIMALS_NOT_FINITE if nan and free else ())], calm)


def uuids() -> Node:
    """Give UUIDs of several versions."""
    return Leaf(edges.UUIDS, lambda source: UUID(int=source.between(0, 2**128 - 1), version=4))


def keys(*, surrogates: bool = False) -> Node:
    """Give names for members of a mapping."""
    table = edges.KEYS + (edges.SURROGATES[:1] if surrogates else ())
    return Leaf(table, lambda source: source.text(1, 8, surrogates=False))
