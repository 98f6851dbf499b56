"""What waits for the grace to be over, in ledgers of every kind."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque

from shadowmig.wire.events.completeness._book import Book
from shadowmig.wire.events.completeness._horizon import Horizon


class Waiting(ABC):
    """
    A ledger's clockwork: when changes are to be told as missing, and which rows are to be looked at again.

    Args:
        book: Counts and tells.
        grace: Seconds for which a change may be without its event, and an event without its change.
        began: When the check began.
    """

    def __init__(self, book: Book, grace: float, began: float) -> None:
        self.book = book
        self.horizon = Horizon(grace, began)
        self.began = began
        self._grace = grace
        self._changes: list[tuple[float, str]] = []
        self._signs: deque[tuple[float, str]] = deque()
        self._wanted: dict[str, None] = {}

    @abstractmethod
    def undecided(self) -> tuple[int, float]:
        """Count what is not decided, and tell since when the oldest of it is so."""

    @abstractmethod
    def _is_open(self, name: str) -> bool:
        """Tell whether something of an entity is undecided."""

    @abstractmethod
    def _overdue(self, name: str, now: float) -> None:
        """Tell of an entity what was due before now, all events having been fed."""

    def decided(self) -> tuple[int, float]:
        """Count what is not decided, and give the time up to which everything is."""
        number, since = self.undecided()
        return number, self.horizon.decided(since)

    def read(self, now: float) -> None:
        """Take in that all events added before this time were fed: changes that waited long enough are without one."""
        self.horizon.read(now)
        while self._changes and self._changes[0][0] + self._grace <= now:
            name = heapq.heappop(self._changes)[1]
            if self._is_open(name):
                self._overdue(name, now)

    def looked(self, now: float) -> None:
        """Take in that all changes committed before this time, and all that was wanted, were fed."""
        self.horizon.looked(now)

    def wanted(self, now: float) -> list[str]:
        """List the entities that have to be looked at before anything more is said about them."""
        while self._signs and self._signs[0][0] + self._grace <= now:
            name = self._signs.popleft()[1]
            if self._is_open(name):
                self._wanted[name] = None
        return list(self._wanted)

    def passed(self, name: str) -> None:
        """Take in that a row was looked at and has no version."""
        self._wanted.pop(name, None)

    def _tell_at(self, since: float, name: str) -> None:
        """Have what is overdue told once the grace is over."""
        heapq.heappush(self._changes, (since, name))

    def _look_at(self, now: float, name: str) -> None:
        """Have the row looked at once the grace is over."""
        self._signs.append((now, name))
