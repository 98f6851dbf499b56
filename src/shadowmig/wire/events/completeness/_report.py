"""What the check of completeness says: the counted statement, and the faults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from shadowmig.wire.events.completeness._book import FaultKind


@frozen
class CompletenessFault:
    """
    One change without its event, or one event without its change.

    Attributes:
        kind: What is wrong.
        entity: The key of the row, as text.
        version: The version that the change made; ``None`` for a deletion where versions do not count changes.
        since: When it was first seen.
        late: Seconds after which it was taken back, because the event or the change came; ``None`` if it stands.
    """

    kind: FaultKind
    entity: str
    version: object
    since: datetime
    late: float | None = None

    def __str__(self) -> str:
        came = "" if self.late is None else f", came {self.late:.1f} s later"
        return f"{self.kind.value}: {self.entity} at version {self.version}, since {_written(self.since)}{came}"


@frozen
class CompletenessReport:
    """
    The statement: so many changes, so many events, so many missing. ``str()`` is the sentence.

    ``changes`` is ``matched + missing``, and ``events`` is ``matched + extra + doubled``.

    Attributes:
        name: As the check was called.
        matched: Changes that have exactly one event.
        missing: Changes without an event: of both kinds, `FaultKind.MISSING` and `FaultKind.SKIPPED`.
        extra: Events without a change.
        doubled: Second events of one change.
        late: How many faults were taken back, because the event or the change came later than the grace.
        earlier: Events about changes from before the base; they are in no other count.
        unexplained: Events that cannot be judged: their entity or version cannot be read, or, where versions do not
            count changes, nobody saw the row in this state.
        unversioned: How often a row was seen without a version.
        open: Changes and events that still have time to find each other.
        as_of: Everything that was committed or sent up to here is decided; ``None`` before there was a base.
        swept: Likewise for deletions of which no event tells; ``None`` before all rows were looked at once.
        base: When the base was taken that changes are counted from.
        renewed: How often a new base had to be taken, because events were removed before they could be read, or a
            server was replaced by another one. What was undecided then was never decided.
        weak: Whether only states that were seen are required, because versions do not count changes.
        unavailable: What cannot be read now, and why; empty if all can.
    """

    name: str
    matched: int = 0
    missing: int = 0
    extra: int = 0
    doubled: int = 0
    late: int = 0
    earlier: int = 0
    unexplained: int = 0
    unversioned: int = 0
    open: int = 0
    as_of: datetime | None = None
    swept: datetime | None = None
    base: datetime | None = None
    renewed: int = 0
    weak: bool = False
    unavailable: str = ""

    @property
    def changes(self) -> int:
        """Changes that are decided."""
        return self.matched + self.missing

    @property
    def events(self) -> int:
        """Events that are decided."""
        return self.matched + self.extra + self.doubled

    @property
    def ok(self) -> bool:
        """Whether there is a base, and every change has exactly one event and every event a change that can be told."""
        faults = self.missing + self.extra + self.doubled + self.unexplained + self.unversioned
        return self.as_of is not None and not faults

    def __str__(self) -> str:
        if self.as_of is None:
            return f"{self.name}: nothing is known yet" + self._unavailable()
        parts = [
            f"{self.name}: {self.changes:,} changes, {self.events:,} events, {self.missing:,} missing as of "
            + _written(self.as_of),
            *_some(self.extra, "without change"),
            *_some(self.doubled, "doubled"),
            *_some(self.late, "late"),
            *_some(self.unexplained, "unexplained"),
            *_some(self.unversioned, "rows without version"),
            *_some(self.open, "open"),
            *([f"a new base {self.renewed} times"] if self.renewed else []),
            *(["weak: only states that were seen"] if self.weak else []),
        ]
        return "; ".join(parts) + self._unavailable()

    def _unavailable(self) -> str:
        return f"; unavailable: {self.unavailable}" if self.unavailable else ""

    def to_json(self) -> dict[str, Any]:
        """Give all fields as plain data, times as text."""
        told = {name: getattr(self, name) for name in self.__annotations__} | {
            "changes": self.changes,
            "events": self.events,
            "ok": self.ok,
        }
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}


def side_by_side(*, production: CompletenessReport, sister: CompletenessReport) -> str:
    """Put the sentences of production and sister below each other."""
    return f"production  {production}\nsister      {sister}"


def _some(number: int, what: str) -> list[str]:
    return [f"{number:,} {what}"] if number else []


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
