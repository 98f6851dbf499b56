"""Where the entities of one table are kept: those of which all is decided as one or two numbers each."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Final

from shadowmig.wire.events.completeness._book import KEPT, Book
from shadowmig.wire.events.completeness._entity import Entity

MOST_GONE: Final = 100_000
"""Entities remembered after their deletion, so that a second event about them is known as one."""


class Shelf:
    """
    The entities of one table.

    Attributes:
        known: Those of which all is decided: the version, or base and version if they changed since the start.
        open: Those of which something is not, or of which a fault may still be taken back.
        gone: The last version of each that was deleted.
        lent: Those that were put there by hydration, so that they may go without an event.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self.known: dict[str, int | tuple[int, int]] = {}
        self.open: dict[str, Entity] = {}
        self.gone: OrderedDict[str, int] = OrderedDict()
        self.lent: set[str] = set()
        self._told: deque[tuple[str, Entity]] = deque()

    def version(self, name: str) -> int | None:
        """Give the version of an entity of which all is decided."""
        known = self.known.get(name)
        return known[1] if isinstance(known, tuple) else known

    def alive(self) -> list[str]:
        """List the entities whose rows should be there."""
        return [*self.known, *(name for name, entity in self.open.items() if entity.alive)]

    def undecided(self) -> tuple[int, float]:
        """Count what is not decided, and tell since when the oldest of it is so."""
        number, since = 0, math.inf
        for entity in self.open.values():
            few, at = entity.undecided()
            number += few
            since = min(since, at)
        return number, since

    def find(self, name: str) -> Entity | None:
        """Give an entity, brought back if all of it was decided."""
        entity = self.open.get(name)
        if entity is not None:
            return entity
        known = self.known.pop(name, None)
        if known is not None:
            base, row = known if isinstance(known, tuple) else (known, known)
            entity = Entity(base, row, alive=True)
        elif (top := self.gone.pop(name, None)) is not None:
            entity = Entity(top, top, alive=False, top=top)
        else:
            return None
        self.open[name] = entity
        return entity

    def keep(self, name: str, entity: Entity) -> None:
        """Remember that a fault was told, so that it can be taken back; so many of them at most."""
        self._told.append((name, entity))
        while len(self._told) > KEPT:
            name, old = self._told.popleft()
            self.forget(old)
            if self.open.get(name) is old:
                self.settle(name, old)

    def forget(self, entity: Entity) -> None:
        """Let all that was told of an entity stand for good."""
        for numbers in entity.missing.values():
            self._book.forget(numbers)
        self._book.forget(entity.extras.values())
        self._book.forget(number for _, number, _ in entity.lost)
        entity.missing, entity.extras, entity.lost = {}, {}, ()

    def settle(self, name: str, entity: Entity) -> None:
        """Forget all of an entity but its versions, if nothing of it is undecided."""
        if not entity.settled or self.open.pop(name, None) is None:
            return
        if entity.alive:
            self.known[name] = entity.row if entity.row == entity.base else (entity.base, entity.row)
        elif entity.top is not None:
            self.lent.discard(name)
            self.gone[name] = entity.top
            if len(self.gone) > MOST_GONE:
                self.gone.popitem(last=False)
