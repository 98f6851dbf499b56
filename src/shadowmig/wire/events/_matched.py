"""What matching is made of: its plan, what waits, what has come of it, and what could not be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import define, evolve, field, frozen

from shadowmig.wire.events._judge import Judge
from shadowmig.wire.events._text import brief
from shadowmig.wire.events.event import Event
from shadowmig.wire.events.report import EventFault, EventVerdict, Where, moment

BLINDS: Final = 64
"""Times of which entries may be lost that are kept; the oldest go."""

BEGIN: Final = "begin"
"""Why nothing is known of what was before matching began."""


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
            return brief(event.id)
        entity, version = event.entity, event.version
        if entity is None or version is None:
            return None
        try:
            return brief(f"{entity}\0{version!r}")
        except Exception:  # noqa: BLE001 - a version of any kind may have no form
            return None


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

    def __str__(self) -> str:
        return f"entries of {self.where} may be lost: {self.why}"


def joined(blinds: Iterable[Blind]) -> list[Blind]:
    """Give times that touch as one: what several partitions have noted is mostly the same."""
    found: list[Blind] = []
    last: dict[tuple[Where, str], Blind] = {}
    for blind in sorted(blinds, key=lambda each: each.begin):
        before = last.get((blind.where, blind.why))
        if before is not None and blind.begin <= before.end:
            before.end = max(before.end, blind.end)
        else:
            found.append(evolve(blind))
            last[blind.where, blind.why] = found[-1]
    return sorted(found, key=lambda each: each.end)[-BLINDS:]


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

    def surplus(self, most: int, most_bytes: int, largest: int) -> int:
        """Count the oldest that wait and are too many; ``largest`` is no less than the bytes of any."""
        waiting = self.waiting
        count = max(0, len(waiting) - most)
        if len(waiting) * largest > most_bytes:
            size = sum(event.size for event in waiting.values())
            for number, event in enumerate(waiting.values()):
                if size <= most_bytes:
                    return max(count, number)
                size -= event.size
        return count

    def due(self, until: float, surplus: int) -> Iterator[tuple[str, Event, str]]:
        """Give those that wait no more, with a note: what was written up to a time, and the oldest too many."""
        for number, (key, event) in enumerate(self.waiting.items()):
            if event.at <= until:
                yield key, event, ""
            elif number < surplus:
                yield key, event, "too many events were waiting"
            else:
                return

    def forget(self, until: float, surplus: int) -> None:
        """Forget what was told of: what was written up to a time, and the oldest too many."""
        gone = []
        for number, (key, (event, _)) in enumerate(self.told.items()):
            if number >= surplus and event.at > until:
                break
            gone.append(key)
        for key in gone:
            del self.told[key]

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
