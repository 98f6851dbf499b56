"""Whether the events of one entity are in the sister's stream in production's order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

MOST_ENTITIES: Final = 4096
REMEMBERED: Final = 4
"""Events of one entity that a further one is compared with."""


class EventOrder:
    """The places of the latest events of each entity, on both sides. Used by one thread, the judge's."""

    def __init__(self) -> None:
        self._entities: OrderedDict[Hashable, OrderedDict[int, tuple[int, tuple[Any, Any]]]] = OrderedDict()

    def agrees(self, entity: Hashable, version: Any, run: int, *, ours: Any, theirs: Any) -> bool:
        """
        Compare an event's place with those of the entity's other events, and remember it.

        Args:
            entity: Whose event it is.
            version: The version that the event tells of.
            run: The number of the checked side's run; a later one has a higher number.
            ours: Its place in production's stream: the entry's id or number.
            theirs: Its place in the sister's.

        Returns:
            Whether it comes before and after the same events in both; true where nothing can be said, also where
            production's own order, or that of the runs, is not that of the versions.
        """
        place = _sortable(ours), _sortable(theirs)
        if None in place or type(version) is not int:
            return True
        known = self._entities.setdefault(entity, OrderedDict())
        self._entities.move_to_end(entity)
        others = [
            other
            for number, (earlier, other) in known.items()
            if number != version and (number < version) == (other[0] < place[0]) == (earlier < run)
        ]
        known[version] = run, place
        known.move_to_end(version)
        if len(known) > REMEMBERED:
            known.popitem(last=False)
        if len(self._entities) > MOST_ENTITIES:
            self._entities.popitem(last=False)
        return all((other[0] < place[0]) == (other[1] < place[1]) for other in others)


def _sortable(token: Any) -> tuple[int, ...] | None:
    """Read a number, or the id of a stream's entry such as ``1700000000000-3``."""
    if isinstance(token, bytes):
        token = token.decode("ascii", "replace")
    if isinstance(token, int):
        return (token,)
    if not isinstance(token, str):
        return None
    parts = token.split("-")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else None
