"""What matching is made of: its plan, what waits, what has come of it, and what could not be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field, frozen

from shadowmig.wire.events._judge import Judge
from shadowmig.wire.events.event import Event
from shadowmig.wire.events.report import EventFault, EventVerdict, Where, moment


@frozen
class Plan:
    """
    How events are matched.

    Attributes:
        judge: Compares the contents of a pair.
        grace: Seconds for which the other stream's entry is waited for.
        late: Seconds by which the sister's entry may be later.
        remember: Seconds for which an event that was told as missing may still come.
        covered: Tells of an event of production whether the sister must have it.
        by_version: Whether events are matched by entity and version instead of their own id.
        most_open: Events of each stream that may wait.
        most_bytes: Their bytes.
        most_seen: Events that are remembered, at least; at most twice as many.
    """

    judge: Judge
    grace: float = 30.0
    late: float = 5.0
    remember: float = 60.0
    covered: Callable[[Event], Any] | None = None
    by_version: bool = False
    most_open: int = 200_000
    most_bytes: int = 512 * 1024 * 1024
    most_seen: int = 200_000

    def key(self, event: Event) -> str | None:
        """Give what an event is matched by; ``None`` if it tells no entity or no version."""
        if not self.by_version:
            return event.id
        entity, version = event.entity, event.version
        return None if entity is None or version is None else f"{entity}\0{version!r}"


@define
class Outcome:
    """
    What has come of matching since it was last committed.

    Attributes:
        counts: By name: ``production``, ``sister``, ``matched``, ``uncovered``, the values of verdicts, and with a
            ``+`` before them what was told beside.
        faults: What was told.
        lags: Of each pair, in seconds.
    """

    counts: dict[str, int] = field(factory=dict)
    faults: list[EventFault] = field(factory=list)
    lags: list[float] = field(factory=list)

    def count(self, name: str, change: int = 1) -> None:
        """Count something."""
        self.counts[name] = self.counts.get(name, 0) + change

    def beside(self, verdict: EventVerdict, fault: EventFault) -> None:
        """Tell something beside an event's verdict."""
        self.count(f"+{verdict.value}")
        self.faults.append(fault)


@define
class Blind:
    """A time, in seconds since 1970 by production's clock, of which entries of a stream may not have been seen."""

    where: Where
    begin: float
    end: float
    why: str


@define(eq=False)
class Half:
    """
    One stream's events without a partner.

    Attributes:
        waiting: By key, those without a verdict.
        told: By key, those told as missing or unexpected, with that verdict, in case that the partner comes after all.
    """

    waiting: dict[str, Event] = field(factory=dict)
    told: dict[str, tuple[Event, EventVerdict]] = field(factory=dict)

    def knows(self, keys: Iterable[str]) -> bool:
        """Whether any of these is here."""
        waiting, told = self.waiting, self.told
        return not ((not waiting or waiting.keys().isdisjoint(keys)) and (not told or told.keys().isdisjoint(keys)))


def fault_of(
    verdict: EventVerdict,
    where: Where,
    production: Event | None,
    sister: Event | None,
    *,
    offset: float,
    **more: Any,
) -> EventFault:
    """Make a fault of the entries that it is about, at least one."""
    event = production or sister
    assert event is not None
    return EventFault(
        verdict,
        event.id,
        where,
        moment(event.at - (offset if event is sister else 0.0)),
        event.entity,
        production.entry if production is not None else (),
        sister.entry if sister is not None else (),
        **more,
    )
