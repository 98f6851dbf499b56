"""How two events are compared: their bytes, else their values, what they have beside them, and what a consumer does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from shadowmig.given import differences
from shadowmig.model import Difference, Undecodable
from shadowmig.protocols import Comparator
from shadowmig.wire.events._text import said
from shadowmig.wire.events.event import Event, Reader
from shadowmig.wire.events.report import EventVerdict, Where

Consume = Callable[[Event, Event], Any]


@frozen
class Judgement:
    """
    What came of comparing two events.

    Attributes:
        verdict: `MATCH`, `DIFFERENT`, `IGNORED`, `UNDECODABLE` or `BROKEN`.
        where: The stream at fault.
        differences: Those that count.
        note: Why, where it is none of them.
    """

    verdict: EventVerdict
    where: Where = "sister"
    differences: tuple[Difference, ...] = ()
    note: str = ""


EQUAL: Final = Judgement(EventVerdict.MATCH)
IGNORED: Final = Judgement(EventVerdict.IGNORED)


class Judge:
    """
    Compares events that belong together. Raises nothing.

    Args:
        compare: For their values.
        consume: Tells what differs in what a consumer does with them; ``None`` if there is no consumer.

    Attributes:
        slow: Whether one pair may take long.
    """

    def __init__(self, compare: Comparator, consume: Consume | None = None) -> None:
        self._compare = compare
        self._consume = consume
        self.slow = consume is not None

    def __call__(self, production: Event, sister: Event) -> Judgement:
        """Compare production's event with the sister's."""
        equal = bool(production.raw == sister.raw)
        if equal:
            if self._consume is None:
                return EQUAL
        elif type(production.value) is Undecodable:
            return unreadable(production, "production")
        elif type(sister.value) is Undecodable:
            return unreadable(sister, "sister")
        counted: list[Difference] = []
        ignored = False
        try:
            if not equal:
                found = differences(self._compare(control=production.value, candidate=sister.value))
                counted, ignored = [*found.found, *_beside(production, sister)], bool(found.ignored)
            if self._consume is not None:
                consumed = differences(self._consume(production, sister))
                counted += map(_noted, consumed)
                ignored = ignored or bool(consumed.ignored)
        except Exception as error:  # noqa: BLE001 - a comparator or a consumer may raise anything, and the next goes on
            return Judgement(EventVerdict.BROKEN, note=said(error))
        if counted:
            return Judgement(EventVerdict.DIFFERENT, differences=tuple(counted))
        return IGNORED if ignored else EQUAL


def _lost(_: Event) -> Any:
    raise LookupError("its entry was removed before the partner came")


GONE: Final = Reader(_lost)
"""Of an event that waited and is in its stream no more."""


def unreadable(event: Event, where: Where) -> Judgement:
    """Say that an event cannot be read, or that its codec failed."""
    if event.reader is GONE:
        return Judgement(EventVerdict.LOST_SIGHT, where, note=event.value.reason)
    verdict = EventVerdict.BROKEN if event.unavailable else EventVerdict.UNDECODABLE
    return Judgement(verdict, where, note=event.value.reason)


def consuming(consumer: Any) -> Consume | None:
    """Make a function of events of what is given as a consumer: see `EventStream`."""
    if consumer is None:
        return None
    compare = getattr(consumer, "compare", None)
    if compare is not None:
        return lambda production, sister: compare(production=_given(production), sister=_given(sister))
    return lambda production, sister: consumer(_given(production), _given(sister))


def _given(event: Event) -> Any:
    return event.data if event.data is not None else event.value


def _noted(difference: Difference) -> Difference:
    note = f"consumer: {difference.note}" if difference.note else "consumer"
    return Difference(difference.path, difference.kind, difference.control, difference.candidate, difference.rule, note)


def _beside(production: Event, sister: Event) -> list[Difference]:
    ours, theirs = production.reader.beside(production), sister.reader.beside(sister)
    if (not ours and not theirs) or ours is None or theirs is None:
        return []
    found = []
    for name in {**ours, **theirs}:
        if name not in theirs:
            found.append(Difference(f"@{name}", "missing", control=ours[name]))
        elif name not in ours:
            found.append(Difference(f"@{name}", "unexpected", candidate=theirs[name]))
        elif ours[name] != theirs[name]:
            found.append(Difference(f"@{name}", "changed", ours[name], theirs[name]))
    return found
