"""
One entity of which something is undecided: changes that need an event, and events that need a change.

An entity may be deleted and created anew, with versions from the beginning, several times between two looks. So a
version can need several events. Which of two events of one version belongs to which life is of no account: what has to
agree is their number. So lives are only counted, and no order of events is relied on.
"""

from __future__ import annotations

from typing import NamedTuple

from attrs import define, field


class Sign(NamedTuple):
    """An event that has found no change yet; ``early`` if it may be about something from before the start."""

    version: int
    deleted: bool
    at: float
    early: bool = False


@define(eq=False)
class Entity:
    """
    What is undecided of one entity, and what was told.

    Attributes:
        base: Nothing is required of versions up to this one.
        row: The highest version that the row of this life is known to have had.
        since: When something was first left undecided.
        alive: Whether the row is there, as far as is known.
        top: The highest version of earlier lives; ``None`` if there was none.
        short: By version, since when a change needs an event.
        loose: Events without a change so far.
        witnessed: Versions in `short` at which the row was seen.
        missing: Numbers of the faults told of changes without an event, by version.
        extras: Numbers of the faults told of events without a change.
        lost: The number of the fault told of a row that is gone without an event.
        absent: Since when the row is not there, without an event that says so.
        lower: Since when the row has a lower version than it had, or is there again, without an event that says why.
    """

    base: int
    row: int
    since: float
    alive: bool
    top: int | None = None
    short: dict[int, list[float]] = field(factory=dict)
    loose: list[Sign] = field(factory=list)
    witnessed: set[int] = field(factory=set)
    missing: dict[int, list[int]] = field(factory=dict)
    extras: dict[int, int] = field(factory=dict)
    lost: int | None = None
    absent: float | None = None
    lower: float | None = None

    @property
    def undecided(self) -> int:
        """How many changes and events are not decided."""
        changes = sum(map(len, self.short.values())) if self.short else 0
        return changes + len(self.loose) + (self.absent is not None) + (self.lower is not None)

    @property
    def settled(self) -> bool:
        """Whether nothing need be remembered but the versions."""
        return not (self.undecided or self.missing or self.extras or self.lost is not None)

    def deletions(self) -> list[Sign]:
        """List the events that tell of deletions which are not known to have been made, the lowest first."""
        return sorted([sign for sign in self.loose if sign.deleted])

    def take(self, version: int, *, deleted: bool) -> bool:
        """Take the oldest event of a version out of the loose ones; tell whether there was one."""
        for place, sign in enumerate(self.loose):
            if sign.version == version and sign.deleted == deleted:
                del self.loose[place]
                return True
        return False

    def serve(self, version: int) -> bool:
        """Give an event to a change that needs one; tell whether there was such a change."""
        times = self.short.get(version)
        if times is None:
            return False
        del times[0]
        if not times:
            del self.short[version]
            self.witnessed.discard(version)
        return True

    def updates(self) -> dict[int, list[Sign]]:
        """List the loose events that do not tell of a deletion, by version, the early ones first."""
        found: dict[int, list[Sign]] = {}
        for sign in sorted(self.loose, key=lambda sign: not sign.early):
            if not sign.deleted:
                found.setdefault(sign.version, []).append(sign)
        return found
