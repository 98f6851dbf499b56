"""Streams of events in memory: for tests, and for events that were recorded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from shadowmig import given
from shadowmig.protocols import Codec
from shadowmig.wire.events.event import Event, Page, Place, Reader

_SERIAL: Final = itertools.count()


class MemoryEvents:
    """
    A stream of events that this process holds.

    Args:
        codec: Turns the bytes of an event into its value; ``None`` if events are given as values.
        entity: Takes out of a value what the event is about.
        version: Takes out of a value the version of the change.
        clock: Gives the time, in seconds since 1970.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        *,
        codec: Codec | None = None,
        entity: Callable[[Any], Any] | None = None,
        version: Callable[[Any], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given.codec(codec, "codec")
        given.function(clock, "clock")
        self._codec = codec
        self._reader = Reader(self._decode, entity, version)
        self._clock = clock
        self._entries: list[tuple[Place, float, str, Any]] = []
        self._first = 1
        self._name = f"memory:{next(_SERIAL)}"

    def __repr__(self) -> str:
        return f"<MemoryEvents: {len(self._entries)} entries>"

    def append(self, event: Any, *, id: str, at: float | None = None) -> Place:  # noqa: A002 - as an event has it
        """
        Add an event.

        Args:
            event: Its bytes, or, without a codec, its value.
            id: Its own id.
            at: When it is written; by default now.

        Returns:
            The place of its entry.
        """
        place = (self._first + len(self._entries),)
        self._entries.append((place, self._clock() if at is None else at, id, event))
        return place

    def trim(self, count: int) -> None:
        """Remove the first entries until this many are left."""
        gone = max(0, len(self._entries) - count)
        del self._entries[:gone]
        self._first += gone

    def restart(self) -> None:
        """Remove everything, and count places from the beginning again."""
        self._entries.clear()
        self._first = 1

    def read(self, after: Place, *, count: int = 1000) -> Page:
        """Do what `EventSource.read` says."""
        now, end = self._clock(), self._end()
        begin = after[0] if after else self._first - 1
        if after > end:
            return Page((), end, now, loss="remade")
        index = begin - self._first + 1
        events = [self._event(entry) for entry in self._entries[max(index, 0) : max(index, 0) + count]]
        ended = max(index, 0) + len(events) == len(self._entries)
        position = events[-1].entry if events else end
        return Page(events, position, now, ended, "trimmed" if index < 0 else "")

    def end(self) -> Page:
        """Tell where the stream ends now."""
        return Page((), self._end(), self._clock())

    def find(self, entries: Sequence[Place]) -> list[Event | None]:
        """Read single entries again."""
        held = {entry[0]: entry for entry in self._entries} if entries else {}
        return [self._event(held[entry]) if entry in held else None for entry in entries]

    @property
    def tells(self) -> frozenset[str]:
        """What it takes out of events, of ``"entity"`` and ``"version"``."""
        return self._reader.tells

    def identity(self) -> str:
        """Tell this object from others."""
        return self._name

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _end(self) -> Place:
        """Give the place of the last entry that there was."""
        last = self._first + len(self._entries) - 1
        return (last,) if last else ()

    def _event(self, entry: tuple[Place, float, str, Any]) -> Event:
        place, at, name, held = entry
        event = self._reader.event(place, at, name, None if self._codec is None else held)
        if self._codec is None:
            event.value = held
        return event

    def _decode(self, event: Event) -> Any:
        assert self._codec is not None
        return self._codec.decode(event.data or b"", 0)
