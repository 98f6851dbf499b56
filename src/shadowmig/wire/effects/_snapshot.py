"""Arguments of an effect as plain data, as they were when it was tried."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
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
    there and without running a property, into a dict with the class under ``"$type"``; of one without fields its
    ``repr``, if that shows a value (``URL('http://...')``) and not an identity (``<Client at 0x...>``). Else, and of
    functions and classes, there is the name only. Nothing is consumed, and nothing is raised.
    """
    return taken(value)[0]


def taken(value: Any) -> tuple[Any, bool]:
    """Give a snapshot, and whether something was cut."""
    copy = _Copy()
    return copy.of(value, 0), copy.cut


class _Copy:
    def __init__(self) -> None:
        self.cut = False
        self._left = NODES
        self._above: set[int] = set()

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if depth > DEPTH:
            self.cut = True
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
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | deque):
            return [self.of(each, depth) for each in self._some(value)]
        if isinstance(value, AbstractSet):
            held = [self.of(each, depth) for each in self._some(value)]
            return frozenset(held) if all(type(each) in _ATOMS for each in held) else sorted(held, key=repr)
        for base, convert in _BASES:
            if isinstance(value, base):
                return convert(value)
        return self._object(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, each in self._some(value.items()):
            # A tuple of atoms is as good a key as an atom; other keys are told by their text.
            plain = self.of(key, depth)
            plain = tuple(plain) if isinstance(plain, list) else plain
            plain = plain if _is_hashable(plain) else repr(plain)
            while plain in found:  # two keys that look alike stay two
                plain = f"{plain}'"
            found[plain] = self.of(each, depth)
        return found

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if isinstance(value, BaseException):
            return {"$type": _name(kind), "args": self.of(value.args, depth)}
        if isinstance(value, type) or callable(value) or hasattr(value, "__qualname__"):
            return f"<{_name(value if hasattr(value, '__qualname__') else kind)}>"
        fields: dict[str, Any] = dict(_fields(value))
        if not fields:
            text = repr(value)
            if text.startswith("<"):
                return f"<{_name(kind)}>"
            fields = {"repr": text}
        return {"$type": _name(kind)} | {name: self.of(each, depth) for name, each in self._some(fields.items())}

    def _some(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if self._left <= 0:
                self.cut = True
                return
            self._left -= 1
            yield item


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("_") and name in kind.__dict__ and hasattr(value, name):
                yield name, getattr(value, name)
    for name, each in getattr(value, "__dict__", {}).items():
        if not name.startswith("_"):
            yield name, each


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _name(named: Any) -> str:
    return f"{getattr(named, '__module__', None) or 'builtins'}.{getattr(named, '__qualname__', '')}"
