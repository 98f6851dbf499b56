"""Models that are Python types: attrs, dataclasses, typed dicts, named tuples, and plain annotations."""

from __future__ import annotations

import collections
import collections.abc
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from attrs import evolve
from hypothesis.strategies import SearchStrategy

from shadowmig.wire.strategies import _edges as edges
from shadowmig.wire.strategies._containers import Extras, Items, Pairs, Record, Slot
from shadowmig.wire.strategies._fields import Field, fields_of, is_record, is_typed_dict
from shadowmig.wire.strategies._leaves import Contradiction, keys
from shadowmig.wire.strategies._limits import FREE, Limits, of_metadata
from shadowmig.wire.strategies._nodes import Choice, Node, Ref, either, node_of
from shadowmig.wire.strategies._options import Options, Overrides, json_node, refuse
from shadowmig.wire.strategies._scalars import checked, members, scalar, with_unknown

_LISTS: Mapping[Any, Callable[[list[Any]], Any]] = {
    list: list,
    collections.deque: collections.deque,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    tuple: tuple,
}

_SETS: Mapping[Any, Callable[[list[Any]], Any]] = {
    set: set,
    frozenset: frozenset,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
}

_MAPPINGS: Mapping[Any, Callable[[dict[Any, Any]], Any]] = {
    dict: dict,
    collections.OrderedDict: collections.OrderedDict,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}

_WRAPPERS = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})


class Memory:
    """Named parts of a model: each is read once, and inside itself it is a `Ref`."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._done: dict[Any, Node] = {}
        self._open: dict[Any, list[Ref]] = {}

    def node(self, key: Any, path: str, read: Callable[[], Node]) -> Node:
        """Give the node of a part by its key, and read it if it is not known."""
        if self._overrides.below(path):
            key = key, path  # a place of its own, for a field in it is unlike other places
        if key in self._done:
            return self._done[key]
        if key in self._open:
            ref = Ref()
            self._open[key].append(ref)
            return ref
        self._open[key] = []
        try:
            node = read()
        finally:
            refs = self._open.pop(key)
        for ref in refs:
            ref.target = node
        self._done[key] = node
        return node


class TypeReader:
    """Makes nodes of types."""

    def __init__(self, options: Options, overrides: Overrides) -> None:
        self._options = options
        self._overrides = overrides
        self._memory = Memory(overrides)
        self._json: Node | None = None
        self.seen: set[str] = set()

    def node(
        self,
        kind: Any,
        path: str = "",
        limits: Limits = FREE,
        *,
        names: Mapping[Any, Any] = types.MappingProxyType({}),
        dictlike: bool = True,
    ) -> Node:
        """
        Give the node of a type.

        Args:
            kind: The type, or what stands for one in an annotation.
            path: Where in the model it stands.
            limits: What its values must be, besides.
            names: What type variables stand for.
            dictlike: Whether values of no member may stand for an enum: not as an attribute of a class.
        """
        self.seen.add(path)
        given = self._overrides.at(path, kind if isinstance(kind, collections.abc.Hashable) else None)
        if given is not None:
            return given
        again = partial(self.node, names=names, dictlike=dictlike)
        try:
            if limits.members is not None and not len(limits.members):
                raise Contradiction("it is one of no values")
            return self._wrapped(kind, path, limits, again) or self._single(kind, path, limits, again, names, dictlike)
        except Contradiction as error:
            error.path = path if error.path is None else error.path
            raise

    def _wrapped(self, kind: Any, path: str, limits: Limits, again: Callable[..., Node]) -> Node | None:
        """Look through what stands for another type."""
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            for one in args[1:]:
                if isinstance(one, SearchStrategy):
                    return node_of(one)
            return again(args[0], path, of_metadata(limits, args[1:]))
        if getattr(origin, "_name", "") in _WRAPPERS:
            return again(args[0], path, limits)
        if hasattr(kind, "__supertype__"):
            return again(kind.__supertype__, path, limits)
        if origin in {typing.Union, types.UnionType}:
            return self._union(args, path, limits, again)
        return None

    def _union(self, args: Sequence[Any], path: str, limits: Limits, again: Callable[..., Node]) -> Node:
        empty = type(None) in args
        if limits.members is not None:
            found: Node = Choice(limits.members)
            return either([again(None, path), found]) if empty and limits.optional else checked(found, limits, path)
        inner = evolve(limits, checks=(), kinds=None)
        return checked(either([again(one, path, FREE if one is type(None) else inner) for one in args]), limits, path)

    def _single(
        self,
        kind: Any,
        path: str,
        limits: Limits,
        again: Callable[..., Node],
        names: Mapping[Any, Any],
        dictlike: bool,
    ) -> Node:
        if limits.members is not None:
            return checked(Choice(limits.members), limits, path)
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        plain = origin or kind
        if kind in (Any, object):
            if isinstance(limits.kinds, type):
                return again(limits.kinds, path, evolve(limits, kinds=None))
            return checked(self._any(), limits, path)
        if origin is typing.Literal:
            return with_unknown(list(args), list(args), self._options if dictlike else None)
        if isinstance(kind, TypeVar):
            return again(names.get(kind, kind.__bound__ or _either_of(kind.__constraints__)), path, limits)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return checked(members(kind, self._options, dictlike=dictlike), limits, path)
        node = scalar(plain, limits, self._options) or self._container(plain, args, path, limits, again)
        node = node or self._named(plain, args, path, names)
        if node is None:
            refuse(path, *_why_not(kind))
        return checked(node, limits, path)

    def _named(self, kind: Any, args: Sequence[Any], path: str, names: Mapping[Any, Any]) -> Node | None:
        """Read what has a name, so that it can speak of itself: classes, and aliases of types."""
        alias = hasattr(kind, "__value__")
        if not alias and not is_record(kind):
            return None
        variables = getattr(kind, "__type_params__" if alias else "__parameters__", ())
        inner = {one: names.get(arg, arg) for one, arg in zip(variables, args, strict=False)}
        read = (
            partial(self.node, kind.__value__, path, names=inner) if alias else partial(self._record, kind, path, inner)
        )
        return self._memory.node((kind, tuple(inner.items())), path, read)

    def _any(self) -> Node:
        self._json = self._json or json_node(self._options)
        return self._json

    def _container(
        self, kind: Any, args: Sequence[Any], path: str, limits: Limits, again: Callable[..., Node]
    ) -> Node | None:
        inside = f"{path}[]"
        items = limits.items or FREE
        if kind is tuple and args and args[-1] is not Ellipsis:
            first = [again(one, f"{path}[{place}]", items) for place, one in enumerate(args)]
            return Items(first, None, len(first), len(first), tuple)
        if kind is tuple and args == ():
            args = (Any, ...)
        item = args[0] if args else Any
        if kind in _LISTS:
            return Items((), again(item, inside, items), limits.least, limits.most, _LISTS[kind], path=path)
        if kind in _SETS:
            make = _SETS[kind]
            # In one order, so that sets of equal items look alike.
            build = partial(_sorted_into, make)
            node = again(str if item is Any else item, inside, items)
            return Items((), node, limits.least, limits.most, build, _same, path=path)
        if kind in _MAPPINGS:
            name, value = args or (str, Any)
            texts = name is str and limits.keys is None
            names = (
                keys(surrogates=self._options.surrogates) if texts else again(name, f"{path}{{}}", limits.keys or FREE)
            )
            return Pairs(names, again(value, inside, items), limits.least, limits.most, _MAPPINGS[kind], path)
        return None

    def _record(self, kind: Any, path: str, names: Mapping[Any, Any]) -> Node:
        dictlike = is_typed_dict(kind)
        fields = fields_of(kind, path)
        slots = [self._slot(one, path, names, dictlike) for one in fields]
        extras = None
        if dictlike and self._options.unknown_fields:
            extras = unknown_members([slot.key for slot in slots], self._any())
        return Record(path, dict if dictlike else lambda members: kind(**members), slots, extras)

    def _slot(self, one: Field, path: str, names: Mapping[Any, Any], dictlike: bool) -> Slot:
        inside = f"{path}.{one.name}" if path else one.name
        return Slot(one.key, self.node(one.kind, inside, one.limits, names=names, dictlike=dictlike), one.needed)


def unknown_members(known: Sequence[str], values: Node) -> Extras:
    """Give members that a model does not have, some of them its own in another spelling."""
    return Extras([(Choice([*edges.in_other_case(known), *edges.UNKNOWN_NAMES]), values)])


def _sorted_into(make: Callable[[list[Any]], Any], found: list[Any]) -> Any:
    return make(sorted(found, key=repr))


def _same(value: Any) -> Any:
    return value


def _either_of(constraints: Sequence[Any]) -> Any:
    return typing.Union[tuple(constraints)] if constraints else Any  # noqa: UP007 - made of a tuple at run time


def _why_not(kind: Any) -> tuple[str, str]:
    if isinstance(kind, str | typing.ForwardRef):
        name = kind if isinstance(kind, str) else kind.__forward_arg__
        return f"the name {name!r} leads to no type", "Define it where its module can see it, or give overrides for it."
    name = getattr(kind, "__qualname__", None) or repr(kind)
    return f"{name} is of no type that values can be made for", ""
