"""What is required and what is told: the half of the ledger that knows of numbers, not of rows."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final

from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._entity import Entity, Sign
from shadowmig.wire.events.completeness._horizon import Horizon
from shadowmig.wire.events.completeness._shelf import Shelf

MOST_GAP: Final = 1000
"""Of a row that goes past more versions than this at once, only the last two are required."""


class Needs:
    """
    Changes that need an event and events that need a change.

    Args:
        book: Counts and tells.
        grace: Seconds for which a change may be without its event, and an event without its change.
        first: The version of a new row.
        step: What a change adds to the version.
        deletes: Whether events say that they tell of a deletion.
        began: When the check began.
    """

    def __init__(self, book: Book, *, grace: float, first: int, step: int, deletes: bool, began: float) -> None:
        self.book = book
        self.horizon = Horizon(grace, began)
        self.shelf = Shelf(book)
        self.began = began
        self._grace = grace
        self._first = first
        self._step = step
        self._deletes = deletes
        self._changes: list[tuple[float, str]] = []
        self._signs: deque[tuple[float, str]] = deque()
        self._wanted: dict[str, None] = {}

    def _take_in(self, name: str, entity: Entity, sign: Sign, now: float) -> None:
        version = sign.version
        if not sign.deleted and entity.serve(version):
            self.book.matched += 1
        elif entity.lost is not None and (sign.deleted or not self._deletes) and version >= entity.row:
            self.book.take_back(entity.lost, now)
            self.book.matched += 1
            entity.lost = None
            before, entity.top = entity.row, version
            self._need(name, entity, before - self._step, version - self._step, now)
        elif not sign.deleted and version in entity.missing:
            numbers = entity.missing[version]
            self.book.take_back(numbers.pop(0), now)
            self.book.matched += 1
            if not numbers:
                del entity.missing[version]
        elif not sign.early and entity.alive and version <= entity.base >= self._first and not entity.deletions():
            self.book.earlier += 1
        else:
            if entity.settled:
                entity.since = now
            entity.loose.append(sign)
            self._signs.append((now, name))
            if sign.deleted or (not entity.alive and entity.top is not None):
                self._wanted[name] = None

    def _deletions(self, entity: Entity) -> list[Sign]:
        """List the events that may tell of deletions; where events do not say so, the last of a life not yet seen."""
        if self._deletes:
            return entity.deletions()
        if entity.alive or not any(sign.version == self._first for sign in entity.loose):
            return []
        return [sign for sign in [max(entity.loose)] if sign.version > self._first]

    def _need(self, name: str, entity: Entity, after: int, upto: int, since: float, *, seen: bool = False) -> None:
        """Require an event of each version after one, up to another one."""
        if upto - after > MOST_GAP * self._step:
            after = upto - 2 * self._step
        waits = False
        for version in range(after + self._step, upto + 1, self._step):
            if entity.take(version, deleted=False):
                self.book.matched += 1
            elif (number := entity.extras.pop(version, None)) is not None:
                self.book.take_back(number, since)
                self.book.matched += 1
            else:
                if not waits and entity.settled:
                    entity.since = since
                waits = True
                entity.short.setdefault(version, []).append(since)
        if seen and upto in entity.short:
            entity.witnessed.add(upto)
        if waits:
            heapq.heappush(self._changes, (since, name))

    def _miss(self, name: str, entity: Entity, now: float) -> None:
        """Tell which changes have waited long enough for their event."""
        for version, times in list(entity.short.items()):
            while times and times[0] + self._grace <= now:
                kind = FaultKind.MISSING if version in entity.witnessed else FaultKind.SKIPPED
                entity.missing.setdefault(version, []).append(self.book.tell(kind, name, version, times[0]))
                entity.serve(version)
                self.shelf.keep(name, entity)

    def _judge(self, name: str, entity: Entity, now: float) -> None:
        """Tell which events have no change, now that the row was looked at."""
        due = [sign for sign in entity.loose if sign.at + self._grace <= now]
        if self._deletions(entity) if entity.alive else not self._deletes and len(due) < len(entity.loose):
            return  # what is left may be of a life that is yet to be known
        for sign in due:
            entity.loose.remove(sign)
            self._surplus(name, entity, sign)

    def _surplus(self, name: str, entity: Entity, sign: Sign) -> None:
        version, top = sign.version, entity.top if entity.top is not None else entity.base
        if sign.early:
            self.book.earlier += 1
        elif version <= max(top, entity.row if entity.alive else top) or version in entity.extras:
            self.book.tell(FaultKind.DOUBLED, name, version, sign.at, final=True)
        else:
            entity.extras[version] = self.book.tell(FaultKind.EXTRA, name, version, sign.at)
            self.shelf.keep(name, entity)
