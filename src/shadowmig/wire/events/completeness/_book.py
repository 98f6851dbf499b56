"""What a check of completeness has counted and told: the numbers, the faults that stand, and those taken back."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Final

from attrs import define, field, frozen

KEPT: Final = 10_000
"""Faults kept with entity and version, of those that stand and of those taken back; more are only counted."""


class FaultKind(enum.Enum):
    """
    What is wrong with the event of one change.

    Attributes:
        MISSING: A row was seen at this version, or seen to be gone, and no event told of it.
        SKIPPED: A row passed this version without being seen at it, and no event told of it: the event was lost, or
            the service spent two versions on one change. Counted as missing too.
        EXTRA: An event tells of a version that the row never reached, such as one sent for a transaction that was
            rolled back.
        DOUBLED: A second event tells of a change that had one.
    """

    MISSING = "missing event"
    SKIPPED = "version skipped"
    EXTRA = "event without change"
    DOUBLED = "doubled event"


@frozen
class Told:
    """One fault; the times are seconds of the check's clock."""

    kind: FaultKind
    entity: str
    version: object
    since: float
    back: float | None = None


@define(eq=False)
class Book:
    """
    The numbers.

    Attributes:
        matched: Changes that have exactly one event.
        late: Those of them that were told as a fault before.
        earlier: Events about changes from before the base, which nothing is known of.
        unexplained: Events that cannot be judged: without an entity's version, or of a state nobody saw.
        unversioned: Rows seen without a version.
        counts: Faults that stand, by kind.
    """

    matched: int = 0
    late: int = 0
    earlier: int = 0
    unexplained: int = 0
    unversioned: int = 0
    counts: dict[FaultKind, int] = field(factory=lambda: dict.fromkeys(FaultKind, 0))
    standing: dict[int, Told] = field(factory=dict)
    back: deque[Told] = field(factory=lambda: deque(maxlen=KEPT))
    kinds: dict[int, FaultKind] = field(factory=dict)
    """Kinds of the told faults whose numbers are held by entities, so that each can be taken back."""
    _numbers: count[int] = field(factory=count)

    @property
    def missing(self) -> int:
        """Changes without an event."""
        return self.counts[FaultKind.MISSING] + self.counts[FaultKind.SKIPPED]

    def tell(self, kind: FaultKind, entity: str, version: object, since: float, *, final: bool = False) -> int:
        """
        Count a fault.

        Args:
            kind: What is wrong.
            entity: Whose event it is about.
            version: And of which version.
            since: When it was first seen.
            final: Whether it will never be taken back.

        Returns:
            Its number.
        """
        number = next(self._numbers)
        self.counts[kind] += 1
        if not final:
            self.kinds[number] = kind
        if len(self.standing) < KEPT:
            self.standing[number] = Told(kind, entity, version, since)
        return number

    def take_back(self, number: int, now: float) -> None:
        """Take a fault back: what was missing has come."""
        kind = self.kinds.pop(number)
        self.counts[kind] -= 1
        self.late += 1
        if told := self.standing.pop(number, None):
            self.back.append(Told(told.kind, told.entity, told.version, told.since, now))

    def forget(self, numbers: Iterable[int]) -> None:
        """Let faults stand for good."""
        for number in numbers:
            self.kinds.pop(number, None)
