"""
What a stream of events is to us: events, pages of them, and the source that they are read from.

A source only reads. `RedisEvents` is one for Redis Streams, `MemoryEvents` one for tests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from attrs import frozen

from shadowmig import given
from shadowmig.errors import CodecUnavailable
from shadowmig.model import Undecodable
from shadowmig.wire.events._text import said

Place: TypeAlias = tuple[int, ...]
"""
The place of an entry in its stream, which grows along it and is never used twice. In Redis the two numbers of its id.
The empty tuple is before the first.
"""

Loss: TypeAlias = Literal["", "trimmed", "remade"]
"""
What may have gone before it was read. Nothing; ``trimmed``: entries after the place that was asked for may be removed;
``remade``: the stream is gone, or has not come as far as that place, so it is another one or was set back.
"""

_REASON: Final = 200


class Reader:
    """
    How the events of a source are understood. What its functions raise is kept with the event: see `Event`.

    A source whose events are made by `event` needs no other than this.

    Args:
        decode: Turns an event into its value.
        entity: Takes out of the value what the event is about; ``None`` if that cannot be told.
        version: Takes out of the value the version of the change; ``None`` if it tells none.

    Raises:
        ConfigError: One of them is no function.
    """

    def __init__(
        self,
        decode: Callable[[Event], Any],
        entity: Callable[[Any], Any] | None = None,
        version: Callable[[Any], Any] | None = None,
    ) -> None:
        given.function(entity, "entity")
        given.function(version, "version")
        self.decode = decode
        self.entity = entity
        self.version = version
        self.numbers = itertools.count()

    @property
    def tells(self) -> frozenset[str]:
        """What it takes out of events, of ``"entity"`` and ``"version"``."""
        return frozenset(name for name in ("entity", "version") if getattr(self, name) is not None)

    def event(self, entry: Place, at: float, id: str, data: bytes | None) -> Event:  # noqa: A002 - as an event has it
        """
        Make an event.

        Args:
            entry: Its place in the stream.
            at: When it was written, in seconds since 1970.
            id: Its own id.
            data: Its bytes; ``None`` if it has none, so that two are never known to be equal without a comparison.
        """
        return Event(id, at, object() if data is None else data, entry, next(self.numbers), self)

    def place(self, event: Event) -> Place:
        """Give an event's place in the stream."""
        place: Place = event.token
        return place

    def data(self, event: Event) -> bytes | None:
        """Give its payload, if it has one."""
        return event.raw if isinstance(event.raw, bytes) else None

    def size(self, event: Event) -> int:
        """Give its bytes, about."""
        return len(self.data(event) or b"")

    def entity_of(self, event: Event) -> str | None:
        """Tell what it is about, as text."""
        told: str | None = _told(self.entity, event, str)
        return told

    def keep(self, events: Sequence[Event]) -> Sequence[Any]:
        """Give what is enough to tell entity and version of each, in little room."""
        return events

    def kept(self, item: Any) -> tuple[str | None, Any]:
        """Tell entity and version, from what `keep` gave."""
        event: Event = item
        return event.entity, event.version

    def fill(self, events: Iterable[Event]) -> None:
        """Decode those that are not, where that costs less for many than for each when its value is asked for."""

    def beside(self, event: Event) -> Mapping[str, bytes] | None:
        """Give names and values that it has beside its value and that are to be compared; ``None`` for none."""
        return None


if TYPE_CHECKING:
    from functools import cached_property as kept
else:

    class kept:  # noqa: N801 - it is used as a decorator
        """A property that is worked out once. The one of `functools` takes a lock in Python 3.11, which costs more."""

        def __init__(self, work):
            self._work = work
            self.__doc__ = work.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, event, owner=None):
            if event is None:
                return self
            value = event.__dict__[self._name] = self._work(event)
            return value


class _Row(NamedTuple):
    id: str
    at: float
    raw: Any
    token: Any
    number: int
    reader: Reader


class Event(_Row):
    """
    One entry of a stream, to be read only. It is decoded when its value is first asked for.

    Attributes:
        id: The event's own id, the same in production and sister.
        at: When it was written, in seconds since 1970 by the clock of its server.
        raw: Its bytes in the source's own form: two events with the same are equal.
        token: Its place in the source's own form.
        number: Grows with each event that the source reads.
        reader: How it is understood.
    """

    # A tuple, because some hundred thousand of these are made in a second; what is worked out is kept in its dict.

    unavailable: bool = False
    """Whether the codec itself failed (see `CodecUnavailable`), so that `value` says nothing of the bytes."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Event {self.id!r} at {text_of(self.entry)}>"

    @kept
    def entry(self) -> Place:
        """Its place in the stream."""
        return self.reader.place(self)

    @kept
    def data(self) -> bytes | None:
        """The payload's bytes; ``None`` if the value is made of all fields, or if there is no payload."""
        return self.reader.data(self)

    @property
    def size(self) -> int:
        """Bytes of the entry, about."""
        return self.reader.size(self)

    @kept
    def value(self) -> Any:
        """The decoded event; `Undecodable`, with the codec's error, if its bytes cannot be read."""
        try:
            return self.reader.decode(self)
        except Exception as error:  # noqa: BLE001  # a codec may raise anything, and that is a finding
            return self.failed(error)

    def failed(self, error: Exception) -> Undecodable:
        """Give the value of an event that cannot be decoded."""
        self.unavailable = isinstance(error, CodecUnavailable)
        return Undecodable(said(error)[:_REASON], self.size)

    @property
    def readable(self) -> bool:
        """Whether the bytes could be decoded."""
        return type(self.value) is not Undecodable

    @kept
    def entity(self) -> str | None:
        """What the event is about, as text; ``None`` if it cannot be told."""
        return self.reader.entity_of(self)

    @kept
    def version(self) -> Any:
        """The version of the change that it tells about; ``None`` if it tells none."""
        return _told(self.reader.version, self)


def _told(take: Callable[[Any], Any] | None, event: Event, form: Callable[[Any], Any] | None = None) -> Any:
    if take is None or type(event.value) is Undecodable:
        return None
    try:
        told = take(event.value)
        return told if told is None or form is None else form(told)
    except Exception:  # noqa: BLE001  # an event of another shape does not tell it
        return None


@frozen
class Page:
    """
    What one read of a source gave.

    Attributes:
        events: In the order of the stream.
        position: Where to read on: the place of the last of them; where there is none, the place up to which the stream
            was read. Of a stream that is ``remade``, the place of its last entry, and there are no events.
        now: The server's time before the events were read, in seconds since 1970.
        ended: Whether this was all there is.
        loss: What may have been lost between the place that was asked for and the first event.
        size: Bytes of the largest event, if some are large.
    """

    events: Sequence[Event]
    position: Place
    now: float
    ended: bool = True
    loss: Loss = ""
    size: int = 0

    @property
    def until(self) -> float:
        """The time up to which nothing that was written is still to be read, by the server's clock."""
        # More may have been written at the same time as the last event.
        return self.now if self.ended else math.nextafter(self.events[-1].at, -math.inf)


@runtime_checkable
class EventSource(Protocol):
    """
    A stream of events that is read, and never written, acknowledged or trimmed.

    Used by one thread at a time. Building one connects to nothing, every call ends within the source's own timeout, and
    after a failure the next call tries anew. A forked child makes connections of its own.

    Every method that talks to the server raises `StoreUnavailable` if it cannot be reached or does not answer in time,
    and `StoreError` if it refuses.
    """

    def __repr__(self) -> str:
        """Name kind and place of the stream for people, without passwords."""
        ...

    def read(self, after: Place, *, count: int = 1000) -> Page:
        """
        Read what comes after a place. Does not wait for more to come.

        Args:
            after: The place; the empty tuple for the beginning of what is there.
            count: The most events.
        """
        ...

    def end(self) -> Page:
        """Tell where the stream ends now, as a page without events."""
        ...

    def find(self, entries: Sequence[Place]) -> list[Event | None]:
        """Read single entries again; ``None`` for each that is not there any more."""
        ...

    def identity(self) -> str:
        """Ask the server which stream this is: equal for two handles of one stream, different for two streams."""
        ...

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        ...


def text_of(entry: Place) -> str:
    """Write a place for people, as Redis does: ``"1700000000000-0"``."""
    return "-".join(map(str, entry))
