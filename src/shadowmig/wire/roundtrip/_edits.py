"""Changes of a value at a place: what a value is made of, and the value with one or several parts changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, TypeAlias

import attrs

from shadowmig.wire.roundtrip._simpler import Cost, weight

Path: TypeAlias = tuple[Any, ...]
"""Keys from the outside in: of dicts, of lists by index, of models by the name of the field."""

DROP: Final = object()
"""In place of a part: leave it out."""

_SINGLE: Final = frozenset({type(None), bool, int, float, str, bytes, datetime, Decimal})
_PLACES: Final = 300
_LEVELS: Final = 60
_NODES: Final = 5_000_000


class Without:
    """In place of a dict, a list or a tuple: the same without a group of its members, from the first to the last."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end

    def of(self, value: Any) -> Any:
        """Give what is left of a value."""
        if type(value) is dict:
            members = value.items()
            return dict(chain(islice(members, self.start), islice(members, self.end, None)))
        return value[: self.start] + value[self.end :]


class Rename:
    """In place of a member of a dict: the same under another key."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


def is_model(kind: type[Any]) -> bool:
    """Whether its objects are made of fields."""
    return attrs.has(kind) or dataclasses.is_dataclass(kind)


def parts(value: Any, most: int | None = None) -> list[tuple[Any, Any]]:
    """Give what a value is made of, by its keys, the first ``most`` of it; nothing for a single value."""
    kind = type(value)
    if kind in _SINGLE:
        return []
    if kind is dict:
        return list(islice(value.items(), most))
    if kind is list or kind is tuple:
        return list(enumerate(value if most is None else value[:most]))
    if attrs.has(kind):
        return [(one.name, getattr(value, one.name)) for one in attrs.fields(kind) if one.init]
    if dataclasses.is_dataclass(kind):
        return [(one.name, getattr(value, one.name)) for one in dataclasses.fields(kind) if one.init]
    return []


def is_single(value: Any) -> bool:
    """Whether a value is made of nothing, or of nothing that can be told."""
    return not parts(value, 1)


def part(value: Any, key: Any) -> Any:
    """
    Give one part.

    Raises:
        Exception: There is none.
    """
    return value[key] if type(value) in (dict, list, tuple) else dict(parts(value))[key]


def default(value: Any, name: str) -> Any:
    """Give the default of a field of a model; `DROP` if there is none that can be told."""
    kind = type(value)
    if attrs.has(kind):
        given = getattr(attrs.fields(kind), name).default
        if isinstance(given, attrs.Factory):  # type: ignore[arg-type] # attrs types its class as a function
            return DROP if given.takes_self else given.factory()
        return DROP if given is attrs.NOTHING else given
    one = next(each for each in dataclasses.fields(kind) if each.name == name)
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return DROP if one.default is dataclasses.MISSING else one.default


def places(value: Any) -> Iterator[tuple[Path, Any]]:
    """Give the parts of a value with their paths, from the outside in, itself first; a few hundred at most."""
    todo: list[tuple[Path, Any]] = [((), value)]
    for path, node in todo:
        yield path, node
        if len(todo) < _PLACES and len(path) < _LEVELS:
            todo += [((*path, key), each) for key, each in parts(node, _PLACES - len(todo))]


def edited(value: Any, edits: Mapping[Path, Any]) -> Any:
    """
    Give a value with parts changed; it is built anew along the way.

    Raises:
        Exception: A model refuses, or a path leads nowhere.
    """
    if () in edits:
        new = edits[()]
        return new.of(value) if isinstance(new, Without) else new
    below: dict[Any, dict[Path, Any]] = {}
    for path, new in edits.items():
        below.setdefault(path[0], {})[path[1:]] = new
    changed: dict[Any, Any] = {}
    for key, inner in below.items():
        new = inner.get((), None)
        changed[key] = new if new is DROP or isinstance(new, Rename) else edited(part(value, key), inner)
    return built(value, changed)


def built(value: Any, changed: Mapping[Any, Any]) -> Any:
    """
    Give a value anew, with some of its parts changed.

    Raises:
        Exception: A model refuses.
    """
    kind = type(value)
    if kind is dict:
        made = {}
        for key, each in value.items():
            new = changed.get(key, each)
            if isinstance(new, Rename):
                if new.key in value:
                    raise KeyError("there is one already")
                made[new.key] = each
            elif new is not DROP:
                made[key] = new
        return made
    if kind is list or kind is tuple:
        return kind(each for index, old in enumerate(value) if (each := changed.get(index, old)) is not DROP)
    if any(new is DROP or isinstance(new, Rename) for new in changed.values()):
        raise TypeError("a model has all its fields")
    if attrs.has(kind):
        aliases: dict[str, Any] = {one.name: one.alias for one in attrs.fields(kind)}
        return attrs.evolve(value, **{aliases[name]: new for name, new in changed.items()})
    named: dict[str, Any] = dict(changed)
    return dataclasses.replace(value, **named)


def cost(value: Any) -> Cost:
    """Give how complex a value is."""
    nodes = length = unusual = 0
    todo = [value]
    for node in todo:
        nodes += 1
        if nodes > _NODES:
            break
        singles: Iterable[Any] = (node,)
        if not is_single(node):
            todo += node if type(node) is list else [each for _, each in parts(node)]
            singles = node if type(node) is dict else ()
        for each in singles:
            size, strange = weight(each)
            length, unusual = length + size, unusual + strange
    return nodes, length, unusual
