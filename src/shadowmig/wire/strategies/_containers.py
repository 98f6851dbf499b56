"""Nodes that hold others: records, lists and mappings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define

from shadowmig.wire.strategies._nodes import Node
from shadowmig.wire.strategies._source import Source

KEPT = 0.7
"""How often a field that may be left out is not."""

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})


@define(eq=False)
class Slot:
    """A field of a record: its key, what it holds, and whether it must be there."""

    key: str
    node: Node
    needed: bool
    along: Sequence[str] = ()
    """Keys that must be there if this one is."""


@define(eq=False)
class Extras:
    """Members of a record that have no field of their own."""

    sorts: Sequence[tuple[Node, Node]]
    """Keys, and what they hold."""
    least: int = 0
    """The fewest members that the record has, fields and extras together."""
    most: float = math.inf
    often: float = 0.3


@define(eq=False)
class Record(Node):
    """Fields, put together by a function; what it refuses is tried again."""

    path: str
    build: Callable[[dict[str, Any]], Any]
    slots: Sequence[Slot]
    extras: Extras | None = None
    height: float = math.inf

    def make(self, source: Source, room: int) -> Any:
        if self.build is dict:
            return self._members(source, room)
        why = ""
        for _ in range(source.tries):
            members = self._members(source, room)
            try:
                return self.build(members)
            except Exception as error:  # noqa: BLE001 - a class may refuse by an error of its own
                why = f"the last one by {type(error).__name__} of the class itself"
        source.give_up(self.path, why)

    def _members(self, source: Source, room: int) -> dict[str, Any]:
        members = {}
        wanted: set[str] = set()
        for slot in self.slots:
            node = slot.node
            if slot.needed or slot.key in wanted or (node.height <= room and source.chance(KEPT)):
                members[slot.key] = node.make(source, room)
                wanted.update(slot.along)
        if wanted:
            for slot in self.slots:
                if slot.key in wanted and slot.key not in members:
                    members[slot.key] = slot.node.make(source, room)
        if self.extras is not None:
            self._extend(members, self.extras, source, room)
        return members

    def _extend(self, members: dict[str, Any], extras: Extras, source: Source, room: int) -> None:
        for slot in self.slots:
            if len(members) >= extras.least:
                break
            if slot.key not in members and math.isfinite(slot.node.height):
                members[slot.key] = slot.node.make(source, room)
        self._add_extras(members, extras, source, room)
        for slot in self.slots:
            if len(members) > extras.most and not slot.needed:
                members.pop(slot.key, None)
        if not extras.least <= len(members) <= extras.most:
            source.give_up(self.path, "number of members")

    def _add_extras(self, members: dict[str, Any], extras: Extras, source: Source, room: int) -> None:
        taken = {slot.key for slot in self.slots}
        for _ in range(source.tries if extras.sorts else 0):
            enough = len(members) >= extras.least
            keys, values = source.pick(extras.sorts)
            if len(members) >= extras.most or (enough and (values.height > room or not source.chance(extras.often))):
                return
            key = keys.make(source, room)
            if key not in taken and key not in members:
                members[key] = values.make(source, room)

    def parts(self) -> Iterable[Node]:
        yield from (slot.node for slot in self.slots)
        if self.extras is not None:
            yield from (node for pair in self.extras.sorts for node in pair)

    def measure(self) -> float:
        return max((slot.node.height for slot in self.slots if slot.needed), default=0)


@define(eq=False)
class Items(Node):
    """A list: first some places of their own, then any number of items; put together by a function."""

    first: Sequence[Node]
    item: Node | None
    least: int
    most: float
    build: Callable[[list[Any]], Any] = list
    key: Callable[[Any], Any] | None = None
    """Makes what must be different of any two items; ``None`` if they may be equal."""
    musts: Sequence[Node] = ()
    path: str = ""
    height: float = math.inf

    def make(self, source: Source, room: int) -> Any:
        found: list[Any] = []
        seen: set[Any] = set()
        goal, odds = self._goal(source, room)
        refused = 0
        for node in self.first[: int(min(len(self.first), max(self.least, goal)))]:
            self._add(found, seen, node.make(source, room))
        for node in self.musts:
            self._add(found, seen, node.make(source, room))
        apart = len(found)
        while self.item is not None and (len(found) < self.least or (len(found) < goal and source.chance(odds))):
            atoms = self.key is None and len(found) > apart and type(found[-1]) in _ATOMS
            value = found[-1] if atoms and source.chance(source.bold / 4) else self.item.make(source, room)
            if not self._add(found, seen, value):
                refused += 1
                if refused > source.tries:
                    break
        if len(found) < self.least:
            source.give_up(self.path, "number of different items")
        return self.build(found)

    def _add(self, found: list[Any], seen: set[Any], value: Any) -> bool:
        if self.key is not None:
            key = self.key(value)
            if key in seen:
                return False
            seen.add(key)
        found.append(value)
        return True

    def _goal(self, source: Source, room: int) -> tuple[float, float]:
        """Give how many items there may be, and how likely each further one is."""
        if self.item is not None and self.item.height > room:
            return self.least, 0
        if source.edgy():
            # Where MessagePack and others change to a longer form; only for items that cost little.
            long = self.most >= 17 and self.item is not None and not any(True for _ in self.item.parts())
            return min(source.pick((0, 1, 1, 2, 17) if long else (0, 1, 1, 2)), self.most), 0.97
        return self.most, 0.6

    def parts(self) -> Iterable[Node]:
        return [*self.first, *self.musts, *([self.item] if self.item is not None else [])]

    def measure(self) -> float:
        needed = [*self.first[: self.least], *self.musts]
        if self.item is not None and self.least > len(needed):
            needed.append(self.item)
        return max((node.height for node in needed), default=0)


@define(eq=False)
class Pairs(Node):
    """A mapping of keys to values."""

    keys: Node
    values: Node
    least: int = 0
    most: float = math.inf
    build: Callable[[dict[Any, Any]], Any] = dict
    path: str = ""
    height: float = math.inf

    def make(self, source: Source, room: int) -> Any:
        found: dict[Any, Any] = {}
        goal = self.least if self.values.height > room else self.most
        refused = 0
        while len(found) < self.least or (len(found) < goal and source.chance(0.6)):
            key = self.keys.make(source, room)
            if key in found:
                refused += 1
                if refused > source.tries:
                    break
                continue
            found[key] = self.values.make(source, room)
        if len(found) < self.least:
            source.give_up(self.path, "number of different keys")
        return self.build(found)

    def parts(self) -> Iterable[Node]:
        return self.keys, self.values

    def measure(self) -> float:
        return max(self.keys.height, self.values.height) if self.least else 0
