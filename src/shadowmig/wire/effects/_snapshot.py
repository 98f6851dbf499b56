"""Arguments of an effect as plain data, as they were when it was tried."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from shadowmig.wire.values import Instant

DEPTH: Final = 60
"""Levels that are looked at; what is deeper is cut."""
NODES: Final = 100_000
"""Values that are looked at in one snapshot; what follows is cut."""

_ATOMS: Final = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, UUID, Fraction, Instant}
    | {date, datetime, time, timedelta, timezone}
)
_BASES: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    ((bytes, bytearray, memoryview), bytes),
    (PurePath, str),
)
_CUT: Final = "<cut>"


def snapshot(value: Any) -> Any:
    """
    Copy a value into plain data: dicts, lists, sets and what cannot change.

    Tuples become lists and members of enums their values. Of other objects the public fields are taken, as they lie
    there and without running a property, into a dict with the class under ``"$type"``; of functions, classes and
    what has no fields there is the name only. Nothing is consumed, and nothing is raised.
    """
    return _Copy().of(value, 0)


class _Copy:
    def __init__(self) -> None:
        self._left = NODES
        self._above: set[int] = set()

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        self._left -= 1
        if self._left < 0 or depth > DEPTH:
            return _CUT
        if id(value) in self._above:
            return "<cycle>"
        self._above.add(id(value))
        try:
            return self._copied(value, depth + 1)
        except Exception:  # noqa: BLE001 - a value's own code may raise anything
            return f"<unreadable {_name(kind)}>"
        finally:
            self._above.discard(id(value))

    def _copied(self, value: Any, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self.of(value.value, depth)
        if isinstance(value, Mapping):
            return {_key(key): self.of(each, depth) for key, each in self._some(value.items())}
        if isinstance(value, list | tuple | deque):
            return [self.of(each, depth) for each in self._some(value)]
        if isinstance(value, AbstractSet):
            held = [self.of(each, depth) for each in self._some(value)]
            return frozenset(held) if all(type(each) in _ATOMS for each in held) else sorted(held, key=repr)
        for base, convert in _BASES:
            if isinstance(value, base):
                return convert(value)
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if isinstance(value, BaseException):
            return {"$type": _name(kind), "args": self.of(value.args, depth)}
        fields = dict(_fields(value)) if not isinstance(value, type) and not callable(value) else {}
        if not fields:
            return f"<{_name(value if hasattr(value, '__qualname__') else kind)}>"
        return {"$type": _name(kind)} | {name: self.of(each, depth) for name, each in self._some(fields.items())}

    def _some(self, items: Any) -> Iterator[Any]:
        return islice(iter(items), max(self._left, 0))


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("_") and name in kind.__dict__ and hasattr(value, name):
                yield name, getattr(value, name)
    for name, each in getattr(value, "__dict__", {}).items():
        if not name.startswith("_"):
            yield name, each


def _key(key: Any) -> Any:
    if isinstance(key, enum.Enum):
        key = key.value
    if type(key) in _ATOMS or (isinstance(key, tuple) and all(type(each) in _ATOMS for each in key)):
        return key
    return f"<{_name(type(key))}>"


def _name(named: Any) -> str:
    return f"{getattr(named, '__module__', None) or 'builtins'}.{getattr(named, '__qualname__', '')}"
