"""Where the check of completeness reads events, and how it understands them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from shadowmig.errors import StoreUnavailable
from shadowmig.wire.events.completeness._entity import ABOVE_ALL
from shadowmig.wire.events.completeness._rows import name_of
from shadowmig.wire.events.event import Event, EventSource, Page, Place

_PAGE: Final = 1000
_YEARS: Final = 20 * 365 * 86_400.0


class Lost(Exception):
    """Events were removed before they could be read."""


class Said(NamedTuple):
    """What an event says: whose change it tells of, and which."""

    name: str
    version: Any
    deleted: bool
    early: bool


def whole(value: Any) -> int | None:
    """Read a version that counts changes; ``None`` if it is no whole number, or more than can be counted."""
    try:
        counts = isinstance(value, int | Decimal | float) and not isinstance(value, bool)
        return int(value) if counts and abs(value) < ABOVE_ALL and value == int(value) else None
    except ArithmeticError:  # a Decimal that is no number
        return None


def hashable(value: Any) -> Any:
    """Read a version of any other kind; ``None`` if it cannot be one."""
    try:
        hash(value)
    except TypeError:
        return None
    return value


class EventReading:
    """
    Reads one stream from where it was when the check began.

    Args:
        source: The stream.
        entity: Takes the key of the row out of an event's value; ``None`` for an event about something else.
        version: Takes out its version.
        deleted: Tells whether the row was deleted; ``None`` if events do not say so.
        read: Reads a version.
    """

    def __init__(
        self,
        source: EventSource,
        entity: Callable[[Any], Any] | None,
        version: Callable[[Any], Any] | None,
        deleted: Callable[[Any], Any] | None,
        read: Callable[[Any], Any],
    ) -> None:
        self._source = source
        self._entity = entity
        self._version = version
        self._deleted = deleted
        self._read = read
        self._position: Place = ()
        self._first = True
        self._from = 0.0
        self._until = 0.0

    def begin(self, grace: float) -> None:
        """Go to where the stream was before: an event may come the grace before its change, and so one about it."""
        page = self._source.end()
        self._from = page.now - 2 * grace
        self._position = _place(page, self._from)
        self._first = True

    def based(self, grace: float) -> None:
        """Note that the base is there: what comes within the grace may be about something from before it."""
        self._until = self._source.end().now + grace

    def read(self, pages: int) -> Iterator[tuple[Sequence[Said | None], bool]]:
        """
        Read on.

        Args:
            pages: After so many it stops, to go on later.

        Yields:
            What the events of a page say, ``None`` for one that cannot be understood; and whether it was the last.

        Raises:
            Lost: Events were removed before they could be read.
            StoreUnavailable: The server, or what decodes events, is out of reach.
            StoreError: The server refused.
        """
        for _ in range(pages):
            page = self._source.read(self._position, count=_PAGE)
            if page.loss and not self._first:
                raise Lost(page.loss)
            self._first = False
            said: list[Said | None] = []
            for event in page.events:
                event.readable  # noqa: B018 - it is decoded here
                if event.unavailable:
                    yield said, False
                    raise StoreUnavailable("The codec of the events cannot be reached.", store=repr(self._source))
                if event.at >= self._from and (told := self._said(event)) is not _OTHER:
                    said.append(told)  # type: ignore[arg-type]  # the one other thing was left out
                self._position = event.entry
            self._position = page.position
            yield said, page.ended
            if page.ended:
                return

    def _said(self, event: Event) -> Said | object | None:
        if not event.readable:
            return None
        try:
            value = event.value
            key = event.entity if self._entity is None else self._entity(value)
            if key is None:
                return _OTHER
            version = self._read(event.version if self._version is None else self._version(value))
            deleted = bool(self._deleted(value)) if self._deleted is not None else False
        except Exception:  # noqa: BLE001 - an event of another shape, which the service's functions cannot read
            return None
        return None if version is None else Said(name_of(key), version, deleted, event.at < self._until)


_OTHER: Final = object()


def _place(end: Page, moment: float) -> Place:
    """Give the place in a stream at a moment before its end: entries of Redis are named by the time in milliseconds."""
    if len(end.position) == 2 and abs(end.position[0] / 1000 - end.now) < _YEARS:
        return (max(0, int(moment * 1000)), 0)
    return ()
