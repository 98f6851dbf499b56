"""How deep and how large a value is that was built piece by piece, and whether it holds itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import attrs

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._flags import too_deep

DEEPEST: Final = 1000
LARGEST: Final = 10_000_000


def check_nesting(
    value: Any, *, parts: Mapping[int, list[Any]] | None = None, shared: bool = True, deepest: int = DEEPEST
) -> Collection[int]:
    """
    Refuse a value that others would be lost in.

    Args:
        value: The value.
        parts: What objects are made of that only their own class can look into, by their id.
        shared: Whether one part may be in several places.
        deepest: The most levels.

    Returns:
        The ids of all that holds something; none if nothing may be in several places.

    Raises:
        CodecError: It is nested more than ``deepest`` levels deep (``too deep``), holds itself (``holds itself``), or
            is so full of parts that are in several places that whoever goes through it meets ten million (``too
            large``).
    """
    sizes: dict[int, tuple[int, int]] = {}  # of what is done: levels, and parts in all
    open_: list[tuple[Any, list[Any]]] = [(None, [value])]
    inside: set[int] = set()
    while open_:
        holder, waiting = open_[-1]
        if not waiting:
            open_.pop()
            inside.discard(id(holder))
            if open_ and shared:
                sizes[id(holder)] = _sum(_children(holder, parts), sizes, deepest)
            continue
        part = waiting.pop()
        children = _children(part, parts)
        if not children or id(part) in sizes:
            continue
        if id(part) in inside:
            raise CodecError("The value holds itself.", reason="holds itself")
        if len(open_) > deepest:
            raise too_deep()
        inside.add(id(part))
        open_.append((part, children))
    return sizes


def _sum(children: Iterable[Any], sizes: Mapping[int, tuple[int, int]], deepest: int) -> tuple[int, int]:
    levels = total = 1
    for child in children:
        below, size = sizes.get(id(child), (0, 1))
        levels = max(levels, below + 1)
        total += size
    if levels > deepest:
        raise too_deep()
    if total > LARGEST:
        raise CodecError("The value holds the same parts too many times.", reason="too large")
    return levels, total


def _children(value: Any, parts: Mapping[int, list[Any]] | None) -> list[Any]:
    kind = type(value)
    if kind in _ATOMS:
        return []
    if parts and id(value) in parts:
        return parts[id(value)][1:]
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if attrs.has(kind):
        return [getattr(value, one.name) for one in attrs.fields(kind)]
    return []


_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes})
