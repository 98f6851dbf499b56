"""
One entity of which something is undecided: changes that need an event, and events that need a change.

An entity may be deleted and created anew, with versions from the beginning, several times between two looks. So a
version can need several events. Which of two events of one version belongs to which life is of no account: what has to
agree is their number. So lives are only counted, and no order of events is relied on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from attrs import define, field

ABOVE_ALL: Final = 2**62
"""A version above all that can be counted."""


class Sign(NamedTuple):
    """
    An event that has found no change yet.

    Attributes:
        version: The version that the change made.
        deleted: Whether it tells of a deletion.
        at: When it was read.
        early: Whether it may be about something from before the start.
        passed: When a look that should have shown the change did not.
        over: When it was known that the life which was there then is over.
    """

    version: int
    deleted: bool
    at: float
    early: bool = False
    passed: float | None = None
    over: float | None = None


class Life(NamedTuple):
    """
    A life whose end, or whose beginning, was taken from what cannot prove it.

    Attributes:
        opened: Since when it was in question.
        since: When it was taken so; after the grace it is certain or was wrong.
        versions: What is required for this reason only.
        sign: The event that tells of its deletion; ``None`` if it is the life that is there.
    """

    opened: float
    since: float
    versions: Sequence[int]
    sign: Sign | None


@define(eq=False)
class Entity:
    """
    What is undecided of one entity, and what was told.

    Attributes:
        base: Nothing is required of versions up to this one.
        row: The highest version that the row of this life is known to have had.
        alive: Whether the row is there, as far as is known.
        top: The highest version of earlier lives; ``None`` if there was none.
        short: By version, since when a change needs an event.
        loose: Events without a change so far, by version, but for those in `deletions`.
        deletions: Events of deletions that are not known to have been made.
        ends: Last versions of lives that are over, each with an event of its deletion among `deletions`.
        lives: What is guessed of lives.
        witnessed: Versions in `short` at which the row was seen.
        missing: Numbers of the faults told of changes without an event, by version.
        extras: Numbers of the faults told of events without a change, by version and whether they tell of a deletion.
        lost: Of lives that are over without an event that says so: the last version, the number of the fault, and what
            `top` was before.
        ended: When a look last showed that a life is over.
        odd: Since when looks show something else than `alive` and `row`, and nothing says why.
        vague: Until when nothing can be told, because an event from before the start may have been taken for another.
        born: When it was first heard of, if it may have been there at the start.
    """

    base: int
    row: int
    alive: bool
    top: int | None = None
    short: dict[int, list[float]] = field(factory=dict)
    loose: dict[int, list[Sign]] = field(factory=dict)
    deletions: tuple[Sign, ...] = ()
    ends: tuple[int, ...] = ()
    lives: tuple[Life, ...] = ()
    witnessed: frozenset[int] = frozenset()
    missing: dict[int, list[int]] = field(factory=dict)
    extras: dict[tuple[int, bool], int] = field(factory=dict)
    lost: tuple[tuple[int, int, int | None], ...] = ()
    ended: float = -math.inf
    odd: float | None = None
    vague: float | None = None
    born: float = -math.inf

    @property
    def settled(self) -> bool:
        """Whether nothing need be remembered but the versions."""
        open_ = self.short or self.loose or self.deletions or self.lives or self.missing or self.extras or self.lost
        return not open_ and self.odd is None and self.vague is None

    def undecided(self) -> tuple[int, float]:
        """Count the changes and events that are not decided, and tell since when the oldest of them is so."""
        waits = [*self.short.values()]
        number = sum(map(len, waits))
        since = min(waits)[0] if waits else math.inf
        for signs in (*self.loose.values(), self.deletions) if self.loose or self.deletions else ():
            number += len(signs)
            since = min([since, *[sign.at for sign in signs]])
        if self.odd is not None:
            number, since = number + 1, min(since, self.odd)
        for life in self.lives:
            number, since = number + (life.sign is not None), min(since, life.opened)
        return number, since

    def has_end(self) -> bool:
        """Whether there is an event of a deletion for the life that is known, beside those of `ends`."""
        lasts = sorted([*self.ends, self.row], reverse=True)
        ends = sorted([sign.version for sign in self.deletions], reverse=True)
        return len(ends) >= len(lasts) and all(end > last for last, end in zip(lasts, ends, strict=False))

    def early(self) -> bool:
        """Whether an event that found no change may be about something from before the start."""
        unseen = self.born > -math.inf and self.top is None and min(self.loose, default=math.inf) <= self.base
        return unseen or any(sign.early for signs in (*self.loose.values(), self.deletions) for sign in signs)

    def take(self, version: int) -> Sign | None:
        """Take the oldest event of a version out of the loose ones."""
        signs = self.loose.get(version)
        if signs is None:
            return None
        sign = signs.pop(0)
        if not signs:
            del self.loose[version]
        return sign

    def serve(self, version: int, place: int = 0) -> bool:
        """Give up that a change of this version needs an event, by default the oldest; tell whether there was one."""
        times = self.short.get(version)
        if times is None:
            return False
        del times[place]
        if not times:
            del self.short[version]
            self.witnessed -= {version}
        return True
