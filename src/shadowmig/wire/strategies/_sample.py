"""Many different values of a strategy, drawn at once."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs

from shadowmig.wire.strategies._root import Root
from shadowmig.wire.strategies._source import RandomSource, by_hypothesis

if TYPE_CHECKING:
    from hypothesis import strategies as st

_PATIENCE = 1000

_PLAIN = frozenset({
    type(None), bool, int, float, str, bytes, bytearray, datetime.date, datetime.time, datetime.timedelta,
    decimal.Decimal, uuid.UUID,
})  # fmt: skip


def stream_of(strategy: st.SearchStrategy[Any], root: Root | None, seed: int) -> Iterator[Any]:
    """Draw different values, by random choices if the root of the strategy is known."""
    return _by_hypothesis(strategy, seed) if root is None else _by_random(root, seed)


def _by_random(root: Root, seed: int) -> Iterator[Any]:
    source = RandomSource(seed)
    seen: set[int] = set()
    misses = 0
    while misses < _PATIENCE:
        value = root.draw(source)
        key = identity(value)
        if key in seen:
            misses += 1
            continue
        misses = 0
        seen.add(key)
        yield value


def _by_hypothesis(strategy: st.SearchStrategy[Any], seed: int) -> Iterator[Any]:
    """Run hypothesis again and again, with a seed of its own each time: one long run gets slower and slower."""
    seen: set[int] = set()
    for run in count():
        before = len(seen)
        for value in by_hypothesis(strategy, min(100 << run, 1600), seed * 1_000_003 + run):
            key = identity(value)
            if key not in seen:
                seen.add(key)
                yield value
        if len(seen) == before:
            return


def identity(value: Any) -> int:
    """Give a number that is the same for values that are alike, and for no others but by an accident of 2**-64."""
    return hash(_spelled(value))


def _spelled(value: Any) -> Any:
    """Spell a value out with its types, as text and tuples."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is datetime.datetime:
        return f"{value!r}{value.fold}"
    if isinstance(value, enum.Enum):
        return str(value)
    if isinstance(value, Mapping):
        return kind, *((_spelled(key), _spelled(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return kind, *map(_spelled, value)
    if isinstance(value, AbstractSet):
        return kind, frozenset(map(_spelled, value))
    if attrs.has(kind):
        return kind, *(_spelled(getattr(value, one.name, None)) for one in attrs.fields(kind))
    if hasattr(kind, "__dataclass_fields__"):
        return kind, *(_spelled(getattr(value, name, None)) for name in kind.__dataclass_fields__)
    return kind, repr(value)
