"""
Whether the sister has the events of each entity in production's order.

Most streams are in the same order as a whole, and then nothing has to be known of entities. Only where an event comes
after one that production has later, those two and what is between them are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from shadowmig.wire.events.event import Event, Reader

_FRONT: Final = 32
"""Events of one entity that are looked back to, of those that could matter; nearly always one could."""

Tell: TypeAlias = Callable[[str, Event, Event], object]
"""Called with the entity, production's event and the sister's, of an event that is out of order."""

Logged: TypeAlias = tuple[Reader, list[int], Sequence[Any]]
"""Events of one page that the sister has had in order: their numbers, and what their reader keeps of them."""


class Order:
    """
    Compares the order of two streams.

    The sister has an event out of order if she has another of its entity before it that production has after it, unless
    both tell versions as numbers and the other one's is not higher: then production's own order is by chance.

    Args:
        most: Events of production whose order is known, at least. Of those that the sister has had, a quarter as many
            are looked back to.
        most_bytes: Their bytes.

    Attributes:
        largest: Bytes of the largest event lately, or more.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.largest = 0
        self._most = most
        self._most_bytes = most_bytes
        self._top = -1
        self._coming: dict[str, Event | None] = {}
        self._log: deque[Logged] = deque()
        self._logged = 0
        self._fronts: dict[str, list[tuple[int, Any]]] = {}

    def take_production(self, keys: Sequence[str], events: Sequence[Event]) -> None:
        """Take entries of production; of a doubled event the first one counts."""
        coming = self._coming
        if len(set(keys)) == len(keys) and coming.keys().isdisjoint(keys):
            coming.update(zip(keys, events, strict=True))
        else:
            for key, event in zip(keys, events, strict=True):
                coming.setdefault(key, event)
        if len(coming) > 2 * min(self._most, self._room):
            self._coming = dict(islice(coming.items(), len(coming) // 2, None))
        if len(self._fronts) > 2 * self._most:
            self._fronts = dict(islice(self._fronts.items(), self._most, None))

    def take_sister(self, keys: Sequence[str], events: Sequence[Event], tell: Tell) -> None:
        """Take entries of the sister."""
        found = list(map(self._coming.get, keys))
        self._coming.update(dict.fromkeys(keys))
        if len(set(keys)) < len(keys):
            first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
            found = [event if first[keys[number]] == number else None for number, event in enumerate(found)]
        known = [event for event in found if event is not None]
        if not known:
            return
        numbers = [event.number for event in known]
        if numbers[0] > self._top and numbers == sorted(numbers):
            self._top = numbers[-1]
            self._log.append((known[0].reader, numbers, known[0].reader.keep(known)))
            self._logged += len(known)
            while self._logged > min(self._most // 4, self._room):
                self._logged -= len(self._log.popleft()[1])
            return
        lowest = min(numbers)
        while self._log and self._log[-1][1][-1] > lowest:
            reader, passed, kept = self._log.pop()
            self._logged -= len(passed)
            for number, item in zip(passed, kept, strict=True):
                self._enter(number, *reader.kept(item))
        for event, other in zip(found, events, strict=True):
            if event is not None and self._enter(event.number, event.entity, event.version):
                tell(event.entity or "", event, other)
        self._top = max(self._top, *numbers)

    def _enter(self, number: int, entity: str | None, version: Any) -> bool:
        """Note that the sister has had an event; whether that was out of order."""
        if entity is None:
            return False
        if type(version) is not int and type(version) is not float:
            version = None
        front = self._fronts.get(entity)
        if front is None:
            self._fronts[entity] = [(number, version)]
            return False
        wrong = any(other > number and _higher(mark, version) for other, mark in front)
        # Kept is what no other one is both later and higher than.
        if not any(other > number and _covers(mark, version) for other, mark in front):
            front[:] = [each for each in front if each[0] > number or not _covers(version, each[1])][-_FRONT:]
            front.append((number, version))
        return wrong

    @property
    def _room(self) -> int:
        """How many events may be held, given their size."""
        return max(1, self._most_bytes // max(self.largest, 1))


def _covers(one: Any, other: Any) -> bool:
    """Whether a version is as good as another to show that a lower one is out of order."""
    return one is other if one is None or other is None else bool(one >= other)


def _higher(one: Any, other: Any) -> bool:
    """Whether a version is higher than another; where one is not told, place alone counts."""
    return one is None or other is None or bool(one > other)
