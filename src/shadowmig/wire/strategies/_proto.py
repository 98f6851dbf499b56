"""Models that are protobuf messages, as the dicts of `shadowmig.wire.codecs.Protobuf`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import evolve

from shadowmig.wire.strategies import _leaves as leaves
from shadowmig.wire.strategies import _times as clocks
from shadowmig.wire.strategies._containers import Items, Pairs, Record, Slot
from shadowmig.wire.strategies._nodes import Changed, Choice, Leaf, Node, Union, either
from shadowmig.wire.strategies._options import Options, Overrides, json_node, refuse
from shadowmig.wire.strategies._source import Source
from shadowmig.wire.strategies._types import Memory

_SIGNED: Mapping[int, tuple[int, ...]] = {32: (5, 15, 17), 64: (3, 16, 18)}
_UNSIGNED: Mapping[int, tuple[int, ...]] = {32: (13, 7), 64: (4, 6)}
UNKNOWN = "$unknown"
"""The codec's key for what a message does not know; not imported, for it needs the package protobuf."""

_DOUBLE, _FLOAT, _BOOL, _TEXT, _GROUP, _MESSAGE, _BYTES, _ENUM = 1, 2, 8, 9, 10, 11, 12, 14
"""Numbers of types of fields, as descriptor.proto has them."""


def descriptor_of(model: Any) -> Any:
    """Give the descriptor of a message class, or of what is one itself; ``None`` for anything else."""
    found = getattr(model, "DESCRIPTOR", model)
    is_one = hasattr(found, "fields_by_name") and hasattr(found, "oneofs") and hasattr(found, "full_name")
    return found if is_one else None


class MessageReader:
    """Makes nodes of messages."""

    def __init__(self, options: Options, overrides: Overrides) -> None:
        self._options = options
        self._overrides = overrides
        # By name, for a class and its descriptor, and copies of them in several pools, are one type.
        overrides.types[:] = [(_name_of(key), key, strategy) for _, key, strategy in overrides.types]
        self._memory = Memory(overrides)
        self.seen: set[str] = set()

    def node(self, descriptor: Any, path: str = "") -> Node:
        """Give the node of a message."""
        given = self._given(path, descriptor.full_name)
        if given is not None:
            return given
        name = descriptor.full_name
        if name in _WRAPPERS:
            return self._single(descriptor.fields_by_name["value"], path)
        known = _WELL_KNOWN.get(name)
        if known is not None:
            return known(self._options)
        return self._memory.node(descriptor.full_name, path, partial(self._read, descriptor, path))

    def _given(self, path: str, kind: Any = None) -> Node | None:
        self.seen.add(path)
        return self._overrides.at(path, kind)

    def _read(self, descriptor: Any, path: str) -> Node:
        slots = []
        groups: dict[str, list[Slot]] = {}
        for one in descriptor.fields:
            inside = f"{path}.{one.name}" if path else one.name
            # What has no presence has a value always, if only an empty one.
            slot = Slot(one.name, self._field(one, inside), one.is_required or not one.has_presence)
            group = one.containing_oneof
            if group is not None and len(group.fields) > 1:
                groups.setdefault(group.name, []).append(slot)
            else:
                slots.append(slot)
        if self._options.unknown_fields:
            # What no reader of this message knows, in the order in which it is written.
            slots.append(Slot(UNKNOWN, _unknown(descriptor), needed=False))
        plain = Record(path, dict, slots)
        if not groups:
            return plain
        # Of each group at most one field is set: a choice of nothing and of each.
        sides = [either([Record(path, dict, []), *(_only(path, slot) for slot in group)]) for group in groups.values()]
        return Items([plain, *sides], None, 1 + len(sides), 1 + len(sides), _united, path=path)

    def _field(self, one: Any, path: str) -> Node:
        given = self._given(path)
        if given is not None:
            return given
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            key, value = one.message_type.fields_by_name["key"], one.message_type.fields_by_name["value"]
            keys = self._given(f"{path}{{}}") or self._single(key, f"{path}{{}}")
            return Pairs(keys, self._element(value, f"{path}[]"), path=path)
        if one.is_repeated:
            return Items((), self._element(one, f"{path}[]"), 0, float("inf"), path=path)
        return self._single(one, path)

    def _element(self, one: Any, path: str) -> Node:
        return self._given(path) or self._single(one, path)

    def _single(self, one: Any, path: str) -> Node:
        if one.type in (_MESSAGE, _GROUP):
            return self.node(one.message_type, path)
        if one.type == _ENUM:
            return self._given(path, one.enum_type.full_name) or self._members(one.enum_type)
        maker = _SCALARS.get(one.type)
        if maker is None:
            refuse(path, f"a field of type {one.type} is not known")
        return maker(self._options)

    def _members(self, kind: Any) -> Node:
        known = {value.number: value.name for value in kind.values_by_number.values()}
        found = list(known) if self._options.enums == "numbers" else list(known.values())
        if not self._options.unknown_enums or kind.is_closed:
            return Choice(found)
        table = (max(known) + 1, -1, 2**31 - 1, -(2**31), 99)
        return Leaf([one for one in table if one not in known], lambda source: source.pick(found))


def _name_of(kind: Any) -> Any:
    return getattr(getattr(kind, "DESCRIPTOR", kind), "full_name", kind)


def _only(path: str, slot: Slot) -> Node:
    return Record(path, dict, [Slot(slot.key, slot.node, needed=True)])


def _united(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


def _scalars() -> Mapping[int, Callable[[Options], Node]]:
    found: dict[int, Callable[[Options], Node]] = {
        _DOUBLE: lambda options: leaves.floats(nan=options.nan),
        _FLOAT: lambda options: leaves.floats(nan=options.nan, width=32),
        _BOOL: lambda _: leaves.booleans(),
        _TEXT: lambda options: leaves.texts(longest=options.longest),
        _BYTES: lambda options: leaves.binaries(longest=options.longest),
    }
    for bits, numbers in _SIGNED.items():
        for number in numbers:
            found[number] = partial(_whole, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for bits, numbers in _UNSIGNED.items():
        for number in numbers:
            found[number] = partial(_whole, 0, 2**bits - 1)
    return found


def _whole(low: int, high: int, _: Options) -> Node:
    return leaves.integers(low, high)


def _unknown(descriptor: Any) -> Node:
    """Give fields that a later version of a message may have, as the codec tells of them."""
    taken = set(descriptor.fields_by_number)
    numbers = [one for one in (max(taken, default=0) + 1, 18_999, 2**29 - 1) if one not in taken]
    kinds: list[tuple[str, Node]] = [
        ("varint", leaves.integers(0, 2**64 - 1)),
        ("fixed32", leaves.integers(0, 2**32 - 1)),
        ("fixed64", leaves.integers(0, 2**64 - 1)),
        ("bytes", leaves.binaries()),
    ]
    first = [Items([Choice([number]), Choice([name]), node], None, 3, 3) for name, node in kinds for number in numbers]
    group = Items([Choice(numbers), Choice(["group"]), Items((), either(first), 0, 3)], None, 3, 3)
    return Items((), either([*first, group]), 1, 3)


def _durations(_: Options) -> Node:
    most = timedelta(seconds=315_576_000_000)
    fine = Changed(clocks.durations(-most / 2, most / 2), _finer)
    return Union([clocks.durations(-most, most)], rare=fine)


def _finer(value: timedelta, source: Source) -> Any:
    """Give a duration finer than a microsecond, which only a dict can hold: both numbers have one sign."""
    micros = abs(value) // timedelta(microseconds=1)
    sign = -1 if value < timedelta(0) else 1
    nanos = micros % 1_000_000 * 1000 + 1 + source.below(999)
    return {"seconds": sign * (micros // 1_000_000), "nanos": sign * nanos}


def _json(options: Options) -> Node:
    # Its numbers are doubles; and messages must not be nested more than 100 deep, three for each level.
    return json_node(evolve(options, nan=False, surrogates=False), ints=False, deep=False)


_SCALARS = _scalars()

_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)

_WELL_KNOWN: Mapping[str, Callable[[Options], Node]] = {
    # Only in UTC, for the message has no zone.
    "google.protobuf.Timestamp": lambda _: clocks.times(zones=False, nanos=True),
    "google.protobuf.Duration": _durations,
    "google.protobuf.Value": _json,
    "google.protobuf.Struct": lambda options: Pairs(leaves.keys(), _json(options)),
    "google.protobuf.ListValue": lambda options: Items((), _json(options), 0, float("inf")),
}
