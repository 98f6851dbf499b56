"""What came of matching: verdicts, faults, and the report that counts them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from attrs import Factory, frozen

from shadowmig.model import KINDS, Difference
from shadowmig.wire.events.event import Place, text_of

Where: TypeAlias = Literal["production", "sister"]
"""Which of the two streams."""

_KEPT: Final = 20
_TEXT: Final = 200


class EventVerdict(enum.Enum):
    """
    What came of an event.

    Each event of production gets one of the first seven. The others are told beside that, about the same event or one
    that only the sister has; `UNDECODABLE`, `BROKEN` and `LOST_SIGHT` too, where it is about an entry of the sister
    that no event of production belongs to.
    """

    MATCH = "match"
    DIFFERENT = "different"
    IGNORED = "ignored"
    """Different only where a rule says that it does not matter."""
    UNDECODABLE = "undecodable"
    """The codec cannot read it."""
    BROKEN = "broken"
    """Our side could not compare, because the comparator, consumer, codec's program or ``covered`` failed."""
    MISSING = "missing"
    """The sister did not have it within the grace."""
    LOST_SIGHT = "lost sight"
    """Where it should have been, entries were removed before they could be read, or memory was full."""
    UNEXPECTED = "unexpected"
    """Only the sister has it."""
    DOUBLED = "doubled"
    """It is in one stream once more than in the other."""
    OUT_OF_ORDER = "out of order"
    """Of one entity's events, the sister has this one after a later one."""
    LATE = "late"
    """It came later than allowed, perhaps after it was told as missing."""


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def moment(seconds: float) -> datetime:
    """Give a time since 1970 as UTC; what no calendar has as its first or last moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return _LAST if seconds > 0 else _FIRST


PRIMARY: Final = tuple(EventVerdict)[:7]
BESIDE: Final = (*tuple(EventVerdict)[7:], EventVerdict.UNDECODABLE, EventVerdict.BROKEN, EventVerdict.LOST_SIGHT)


@frozen
class EventFault:
    """
    One thing that is wrong with an event.

    Attributes:
        verdict: What.
        id: The event's own id.
        where: The stream that is at fault.
        at: When the event was written, by production's clock (UTC).
        entity: What the event is about; ``None`` if it was not asked for or cannot be told.
        production: Where production has it; empty if it does not.
        sister: Where the sister has it; empty if it does not.
        lag: Seconds from production's entry to the sister's; ``None`` if one of them is missing.
        differences: Where the contents differ. Read back from the list they have no values.
        note: What a person should know, such as the codec's error.
        cursor: Its place in the list of faults, once it was read from there.
    """

    verdict: EventVerdict
    id: str
    where: Where
    at: datetime
    entity: str | None = None
    production: Place = ()
    sister: Place = ()
    lag: float | None = None
    differences: tuple[Difference, ...] = ()
    note: str = ""
    cursor: str = ""

    def __str__(self) -> str:
        places = [f"{where} {text_of(place)}" for where, place in _places(self) if place]
        paths = ", ".join(difference.path for difference in self.differences[:3])
        parts = [f"{self.verdict.value}: {self.id}", f"({', '.join(places)})", paths, self.note]
        return " ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Make of it what JSON can hold; values of events are left out."""
        return {
            "verdict": self.verdict.value,
            "id": self.id[:_TEXT],
            "where": self.where,
            "at": self.at.timestamp(),
            "entity": None if self.entity is None else self.entity[:_TEXT],
            "production": self.production,
            "sister": self.sister,
            "lag": self.lag,
            "differences": [[each.path[:_TEXT], each.kind, each.note[:_TEXT]] for each in self.differences[:_KEPT]],
            "note": self.note[:_TEXT],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any], cursor: str = "") -> EventFault:
        """Undo `to_json`."""
        return cls(
            verdict=EventVerdict(told["verdict"]),
            id=told["id"],
            where=told["where"],
            at=moment(told["at"]),
            entity=told["entity"],
            production=tuple(told["production"]),
            sister=tuple(told["sister"]),
            lag=told["lag"],
            differences=tuple(
                Difference(path, kind, note=note) for path, kind, note in told["differences"] if kind in KINDS
            ),
            note=told["note"],
            cursor=cursor,
        )


def _places(fault: EventFault) -> list[tuple[str, Place]]:
    return [("production", fault.production), ("sister", fault.sister)]


@frozen
class Gap:
    """
    A time of which a stream may have had entries that were removed before they could be read.

    Attributes:
        where: The stream.
        begin: From when (UTC).
        end: Until when (UTC).
        why: ``"trimmed"``, ``"remade"``, or ``"begin"`` for what was before matching began.
    """

    where: Where
    begin: datetime
    end: datetime
    why: str


@frozen
class Lag:
    """
    How much later the sister's entries are than production's, in seconds: of all pairs, each to an eighth.

    Attributes:
        p50: Half of them are at most so late.
        p95: 95 of a hundred.
        p99: 99 of a hundred.
        max: The latest.
    """

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


@frozen
class EventReport:
    """
    What was counted up to now, by all processes together; each event once.

    Attributes:
        name: Name of the stream of events.
        production: Events of production that the sister must have.
        sister: Entries of the sister.
        matched: Events that both streams have, whatever came of comparing them.
        verdicts: Events of production by their verdict. With `open`, they add up to `production`.
        beside: What was told beside the verdicts, or about entries that only the sister has.
        open: Events of production that have no verdict yet.
        waiting: Entries of the sister that production has not had yet.
        uncovered: Events of production that the sister need not have.
        lag: How late the sister's entries were.
        gaps: Of what times entries may have been lost sight of.
        as_of: All that was written up to this time has its verdict (UTC); ``None`` until there is such a time.
        since: When matching began (UTC); ``None`` if it has not.
        troubles: What went wrong in this process, and how often: a server that was away, a callback that raised.
    """

    name: str
    production: int = 0
    sister: int = 0
    matched: int = 0
    verdicts: Mapping[EventVerdict, int] = Factory(lambda: dict.fromkeys(PRIMARY, 0))
    beside: Mapping[EventVerdict, int] = Factory(lambda: dict.fromkeys(BESIDE, 0))
    open: int = 0
    waiting: int = 0
    uncovered: int = 0
    lag: Lag = Lag()
    gaps: tuple[Gap, ...] = ()
    as_of: datetime | None = None
    since: datetime | None = None
    troubles: Mapping[str, int] = Factory(dict)

    @property
    def ok(self) -> bool:
        """Whether no fault was found, and no entries were lost sight of."""
        good = (EventVerdict.MATCH, EventVerdict.IGNORED)
        return not any(self.beside.values()) and not any(
            count for verdict, count in self.verdicts.items() if verdict not in good
        )

    def __str__(self) -> str:
        faults = {verdict: self.verdicts.get(verdict, 0) + self.beside.get(verdict, 0) for verdict in EventVerdict}
        good = (EventVerdict.MATCH,)
        told = [f"{count} {verdict.value}" for verdict, count in faults.items() if count and verdict not in good]
        when = "no time yet" if self.as_of is None else f"{self.as_of:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"{self.name}: {self.production} events, {self.matched} matched, {', '.join(told) or 'no fault'}, "
            f"{self.open} open, as of {when}"
        )
