"""
Walking a value and building a new one, which is what every redactor does.

Danger: values are hostile. The walk ends on cycles, at a depth and at a number of elements; it looks only into what
objects store, and runs none of their code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field

from shadowmig.findings._objects import Shown, Verbatim, attributes, class_name, is_plain
from shadowmig.findings.fingerprint import steps
from shadowmig.model import MISSING, Raised

_DEPTH: Final = 64
_NODES: Final = 20_000

Trail: TypeAlias = tuple[str | None, ...]
"""The way to a value: its root, then keys, with ``None`` for an element of a sequence."""


def trail_of(path: str) -> Trail:
    """Return a path's root (``$``, ``$arguments``, ``$error``) and its steps."""
    found = list(steps(path))
    root = path[: len(path) - sum(len(source) for _, _, source in found)]
    return (root, *(text if kind == "name" else None for kind, text, _ in found))


@define
class Walk:
    """
    One pass over one value.

    Attributes:
        secret: Whether what the last step of a trail leads to is hidden whole.
        hide: What stands for a value hidden whole.
        leaf: What stands for a value that holds no others; bytes, text, numbers, opaque objects.
        key: What stands for a key of a dict.
    """

    secret: Callable[[Trail], bool]
    hide: Callable[[Any], Any]
    leaf: Callable[[Any], Any]
    key: Callable[[Any], Any]
    nodes: int = 0
    open: set[int] = field(factory=set)

    def start(self, value: Any, path: str) -> Any:
        """Return the new value for one found at a path."""
        trail = trail_of(path)
        if any(self.secret(trail[:end]) for end in range(2, len(trail) + 1)):
            return self.hide(value)
        return self.visit(value, trail)

    def step(self, value: Any, trail: Trail) -> Any:
        """Return the new value for a child."""
        return self.hide(value) if self.secret(trail) else self.visit(value, trail)

    def visit(self, value: Any, trail: Trail) -> Any:
        self.nodes += 1
        if value is MISSING:
            return value
        if type(value) is Raised:
            return evolve(value, message=str(self.leaf(value.message)))
        if is_plain(value) or issubclass(type(value), (str, bytes, bytearray, Verbatim)):
            return self.leaf(value)
        if id(value) in self.open:
            return "<cycle>"
        if len(self.open) >= _DEPTH:
            return f"<{class_name(value)} below {_DEPTH} levels>"
        self.open.add(id(value))
        try:
            return self.container(value, type(value), trail)
        finally:
            self.open.discard(id(value))

    def container(self, value: Any, kind: type, trail: Trail) -> Any:
        if issubclass(kind, dict):
            return self.mapping(dict.items(value), dict.__len__(value), trail)
        if kind is MappingProxyType:
            return self.mapping(value.items(), len(value), trail)
        if issubclass(kind, tuple) and type(fields := getattr(kind, "_fields", None)) is tuple:
            return self.fields(value, dict(zip(map(str, fields), tuple.__iter__(value), strict=False)), trail)
        for sequence in (tuple, list, deque):
            if issubclass(kind, sequence):
                new = self.elements(sequence.__iter__(value), sequence.__len__(value), trail)
                return tuple(new) if sequence is tuple else new
        for group in (set, frozenset):
            if issubclass(kind, group):
                return frozenset(map(_hashable, self.elements(group.__iter__(value), group.__len__(value), trail)))
        if issubclass(kind, BaseException):
            return self.fields(value, {"args": value.args, **attributes(value)}, trail)
        return self.fields(value, attributes(value), trail)

    def mapping(self, items: Iterable[tuple[Any, Any]], size: int, trail: Trail) -> dict[Any, Any]:
        new: dict[Any, Any] = {}
        for number, (key, item) in enumerate(items):
            if self.nodes > _NODES:
                new[f"<{size - number} more items>"] = "<not looked into>"
                break
            shown = self.shown_key(key, trail)
            # Two keys may look the same once they are redacted.
            new[shown if shown not in new else f"{shown} #{number + 1}"] = self.step(item, (*trail, _name(key)))
        return new

    def elements(self, elements: Iterable[Any], size: int, trail: Trail) -> list[Any]:
        new: list[Any] = []
        first: Any = None
        for number, element in enumerate(elements):
            if self.nodes > _NODES:
                new.append(f"<{size - number} more elements>")
                break
            # ("Authorization", "...") is how headers and rows of settings come.
            pair = size == 2 and number == 1
            new.append(self.step(element, (*trail, _name(first) if pair else None)))
            first = element
        return new

    def fields(self, value: Any, fields: dict[str, Any], trail: Trail) -> Any:
        if type(value) is Shown:
            return Shown(value.name, self.mapping(value.fields.items(), len(value.fields), trail))
        if not fields:
            return self.leaf(value)
        return Shown(class_name(value), self.mapping(fields.items(), len(fields), trail))

    def shown_key(self, key: Any, trail: Trail) -> Any:
        if is_plain(key) or issubclass(type(key), (str, bytes)):
            return self.key(key)
        return _hashable(self.visit(key, (*trail, None)))


def _name(key: Any) -> str | None:
    if issubclass(type(key), str):
        return str.__str__(key)
    return bytes(key).decode("latin-1") if issubclass(type(key), bytes) else None


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        # A dict or list that came of something hashable; it is shown, and nobody looks it up.
        return Shown("", {"value": value})
    return value
