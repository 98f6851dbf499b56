"""
Values as text that people read: printable, capped, and in bounded time.

Danger: what is rendered came out of somebody's service: huge, deep, cyclic, or with a ``__repr__`` that raises. So
the walk stops at fixed depths and counts, and looks into objects instead of asking them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from attrs import define, field

from shadowmig.findings._objects import PLAIN, Shown, Verbatim, attributes, class_name, is_plain, length, opaque
from shadowmig.model import MISSING, Raised
from shadowmig.sinks._printable import cut, printable

_DEPTH: Final = 30  # levels shown
_PIECES: Final = 5_000  # pieces written or counted, the bound on time
_BITS: Final = 4_000  # of an integer shown in full; the decimal text of more takes quadratic time
_SORTED: Final = 100  # elements of a set that is sorted, so that its text is the same in every process


def render(value: Any, limit: int = 500) -> str:
    """
    Write a value as one printable line.

    Looks like Python: ``{'id': 1}``. Objects appear as their stored attributes, ``Comment(id=1)``. Control characters
    and lone surrogates are escaped. Never raises.

    Args:
        value: Anything: huge, deep and cyclic values, and ones whose ``__repr__`` raises, too.
        limit: Most characters; at least 40. What was cut is told at the end as ``…+N characters``, with ``or more``
            when the value was too large to count.
    """
    limit = max(limit, 40)
    writer = _Writer(limit)
    try:
        writer.value(value, 0)
    except _Enough:
        writer.more = True
    except BaseException as error:  # noqa: BLE001 - such as RecursionError, when little of the stack was left
        return cut(f"<{class_name(value)} that could not be shown: {class_name(error)}>", limit)
    return writer.text_within()


class _Enough(Exception):
    """The value is too large to go on."""


@define
class _Writer:
    limit: int
    parts: list[tuple[str, int]] = field(factory=list)
    length: int = 0
    hidden: int = 0
    pieces: int = 0
    more: bool = False
    open: set[int] = field(factory=set)

    def put(self, text: str, hidden: int = 0) -> None:
        """Append text of which ``hidden`` characters were left out."""
        self.pieces += 1
        if self.pieces > _PIECES:
            raise _Enough
        if self.length > self.limit:
            self.hidden += len(text) + hidden
            return
        self.parts.append((text, hidden))
        self.length += len(text) + len(_note(hidden))

    def text_within(self) -> str:
        """Return what was put, within the limit."""
        if self.length <= self.limit and not self.more:
            return "".join(text + _note(hidden) for text, hidden in self.parts)
        shown, room, hidden = "", self.limit - 40, self.hidden
        for text, cut_off in self.parts:
            fits = len(text) + len(_note(cut_off)) <= room
            shown += text + _note(cut_off) if fits else text[:room]
            hidden += 0 if fits else len(text[room:]) + cut_off
            room = room - len(text) - len(_note(cut_off)) if fits else 0
        return shown + _note(hidden) + " or more" * self.more

    def value(self, value: Any, depth: int) -> None:
        kind = type(value)
        if issubclass(kind, (str, bytes, bytearray)) and not is_plain(value):
            self.text(value)
        elif kind is int and value.bit_length() > _BITS:
            self.put(f"<int of {value.bit_length()} bits>")
        elif kind in PLAIN:
            self.raw(repr(value))
        elif value is MISSING:
            self.put("<missing>")
        elif kind is Raised:
            self.put(f"{printable(value.type, 200)}: ")
            self.raw(value.message)
        elif kind is Verbatim:
            self.raw(value.text)
        elif is_plain(value):
            self.raw(opaque(value))
        else:
            self.nested(value, depth)

    def text(self, value: str | bytes | bytearray) -> None:
        # A text inside a container leaves some room for its neighbours.
        room = self.limit if not self.length else self.limit * 3 // 5
        if isinstance(value, str):
            start: object = str.__getitem__(value, slice(room)) + ""
        else:
            start = bytes(memoryview(value)[:room])
        shown = repr(start)
        # Escapes make text longer, up to ten times; then less of it is shown.
        keep = max(room, 40)
        self.put(shown[:keep], max(0, length(value) - room) + max(0, len(shown) - keep))

    def raw(self, text: str) -> None:
        start = text[: self.limit]
        self.put(printable(start, 12 * self.limit), len(text) - len(start))

    def nested(self, value: Any, depth: int) -> None:
        if id(value) in self.open:
            self.put("<cycle>")
            return
        if depth >= _DEPTH:
            self.put(f"<{class_name(value)} below {_DEPTH} levels>")
            return
        self.open.add(id(value))
        try:
            self.container(value, depth + 1)
        finally:
            self.open.discard(id(value))

    def container(self, value: Any, depth: int) -> None:
        kind = type(value)
        if issubclass(kind, dict):
            self.items("{", "}", dict.items(value), depth, separator=": ")
        elif kind is MappingProxyType:
            self.items("{", "}", value.items(), depth, separator=": ")
        elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
            names = [str(name) for name in kind._fields]
            fields = zip(map(Verbatim, names), tuple.__iter__(value), strict=False)
            self.items(f"{class_name(value)}(", ")", fields, depth, separator="=")
        elif issubclass(kind, tuple):
            self.elements("(", ",)" if tuple.__len__(value) == 1 else ")", tuple.__iter__(value), depth)
        elif issubclass(kind, list):
            self.elements("[", "]", list.__iter__(value), depth)
        elif issubclass(kind, deque):
            self.elements("deque([", "])", deque.__iter__(value), depth)
        elif issubclass(kind, (set, frozenset)):
            self.set(value, depth)
        else:
            self.object(value, depth)

    def set(self, value: Any, depth: int) -> None:
        kind = set if issubclass(type(value), set) else frozenset
        elements: Iterable[Any] = kind.__iter__(value)
        if kind.__len__(value) <= _SORTED:
            elements = sorted(elements, key=lambda element: render(element, 100))
        empty = not kind.__len__(value)
        self.elements("set(" if empty else "{", ")" if empty else "}", elements, depth)

    def object(self, value: Any, depth: int) -> None:
        if type(value) is Shown:
            name, fields = value.name, dict(value.fields)
        elif issubclass(type(value), BaseException):
            name, fields = class_name(value), {"args": value.args, **attributes(value)}
        else:
            name, fields = class_name(value), attributes(value)
        if fields:
            named = ((Verbatim(key), item) for key, item in fields.items())
            self.items(f"{printable(name, 200)}(", ")", named, depth, separator="=")
        else:
            self.raw(opaque(value))

    def elements(self, start: str, end: str, elements: Iterable[Any], depth: int) -> None:
        self.put(start)
        for number, element in enumerate(elements):
            if number:
                self.put(", ")
            self.value(element, depth)
        self.put(end)

    def items(self, start: str, end: str, items: Iterable[tuple[Any, Any]], depth: int, *, separator: str) -> None:
        self.put(start)
        for number, (key, item) in enumerate(items):
            if number:
                self.put(", ")
            self.value(key, depth)
            self.put(separator)
            self.value(item, depth)
        self.put(end)


def _note(hidden: int) -> str:
    return f"…+{hidden} characters" if hidden else ""
