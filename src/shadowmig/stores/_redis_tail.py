"""
The end of a stream, remembered: which entries tell of which event, and which of them are new.

Redis finds an entry by its entry id only, and services know their events by ids of their own. So the last entries are
kept here by the event's id. Each reading asks for what was added since the one before; every entry is fetched once.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define

from shadowmig.errors import StoreError
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_steps import Steps
from shadowmig.stores._redis_values import Fields, as_bytes, pairs
from shadowmig.stores.streams import Stream

PAGE: Final = 1000
"""Entries asked for in one round trip."""

PAGES: Final = 20
"""After so many pages without reaching the end, what lies between is skipped."""

BYTES: Final = 64 * 1024 * 1024
"""Of all entries remembered of one stream."""

AGE: Final = 600.0
"""Seconds for which an entry is remembered."""


@define(eq=False)
class Entry:
    """
    One entry of a stream.

    Attributes:
        id: Its entry id, as Redis writes it.
        at: The same as two numbers, which tell the order.
        fields: Names and values.
        event: The event's own id.
        number: Counts the entries of all streams in the order in which this process saw them.
        seen: When it saw this one, on the monotonic clock.
        gone: Whether it has been deleted since, or cut off by the stream's limit.
    """

    id: bytes
    at: tuple[int, int]
    fields: Fields
    event: bytes
    number: int = 0
    seen: float = 0.0
    gone: bool = False

    @property
    def size(self) -> int:
        """Bytes of its fields."""
        return sum(map(len, itertools.chain.from_iterable(self.fields)))


def order(entry_id: bytes) -> tuple[int, int]:
    """Take an entry id apart."""
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def parse(rows: Sequence[Any], event_of: Callable[[bytes, Fields], bytes]) -> list[Entry]:
    """Make entries of the reply to ``XRANGE``."""
    found = []
    for entry_id, flat in rows:
        fields = tuple(pairs(flat))
        found.append(Entry(entry_id, order(entry_id), fields, event_of(entry_id, fields)))
    return found


class Counter:
    """
    Numbers entries as they are seen; shared by all streams of a store, so that one number is a mark in all.

    It begins at the clock's nanoseconds, so that marks made before a fork are older than all that comes after it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = time.monotonic_ns()


class Tail:
    """
    The end of one stream. Shared by threads; whoever reads brings it up to date for all.

    Args:
        stream: What is known of the stream.
        counter: Numbers the entries, and holds the lock under which they change.
        store: The store, as it calls itself.
    """

    def __init__(self, stream: Stream, counter: Counter, store: str) -> None:
        self.stream = stream
        self.name = as_bytes(stream.name)
        self._counter = counter
        self._store = store
        self._life = 0
        self._restart()

    def _restart(self) -> None:
        """Forget everything: the stream is another one now."""
        self._life += 1
        self._loaded = False
        self._suspect = False
        self._last: Entry | None = None
        self._entries: deque[Entry] = deque()
        self._events: dict[bytes, list[Entry]] = {}
        self._size = 0

    def restart(self) -> None:
        """Begin anew at the next reading."""
        with self._counter.lock:
            self._restart()

    def follow(self, events: Sequence[bytes]) -> Steps[dict[bytes, list[Entry]]]:
        """
        Fetch what was added up to now, and look whether the entries of these events are still there.

        Returns:
            The entries of each event, in their order.
        """
        checked = False
        for pages in itertools.count():
            with self._counter.lock:
                if pages == PAGES:
                    self._restart()
                life, loaded, last, suspect = self._life, self._loaded, self._last, self._suspect
                doubtful = [] if checked else [e for event in events for e in self._events.get(event, ())]
            if not loaded:
                if (yield from self._load(life)):
                    break
                continue
            ask = [("XRANGE", self.name, last.id if last else "-", "+", "COUNT", PAGE + 1)]
            info = [("XINFO", "STREAM", self.name)] if suspect else []
            replies = yield [*ask, *info, *(("XRANGE", self.name, e.id, e.id) for e in doubtful)]
            checked = True
            page = parse(self._sound(replies[0]), self._event_of)
            alive = [self._sound(reply) for reply in replies[1 + len(info) :]]
            with self._counter.lock:
                for entry, reply in zip(doubtful, alive, strict=True):
                    entry.gone = not reply
                if life == self._life and self._take(page, last, replies[1] if suspect else None):
                    break
        with self._counter.lock:
            return {event: list(self._events.get(event, ())) for event in events}

    def since(self, mark: int) -> list[Entry]:
        """List the entries after a mark that are still there. To be called under the counter's lock."""
        late = itertools.takewhile(lambda entry: entry.number > mark, reversed(self._entries))
        return [entry for entry in late if not entry.gone]

    def of(self, event: bytes) -> list[Entry]:
        """List the entries of an event that are still there. To be called under the counter's lock."""
        return [entry for entry in self._events.get(event, ()) if not entry.gone]

    def _load(self, life: int) -> Steps[bool]:
        """Fetch the last entries, back to where the first reading of a stream begins."""
        found: list[Entry] = []
        top = b"+"
        while True:
            rows, now = yield [("XREVRANGE", self.name, top, "-", "COUNT", PAGE + 1), ("TIME",)]
            page = parse(self._sound(rows), self._event_of)
            found += page[1:] if page and page[0].id == top else page
            begin = (int(self._sound(now)[0]) - self.stream.lookback) * 1000
            if len(page) <= PAGE or len(found) >= self.stream.keep or page[-1].at[0] < begin:
                break
            top = page[-1].id
        with self._counter.lock:
            if life != self._life or self._loaded:
                return False
            self._loaded = True
            self._append(found[::-1])
            return True

    def _take(self, page: list[Entry], last: Entry | None, info: Any) -> bool:
        """Add what came after `last`; whether that was all. The first of the page should be `last` itself."""
        full = len(page) > PAGE
        if last is None or (page and page[0].id == last.id):
            self._suspect = False
        elif info is None:
            # Deleted, cut off by the stream's limit, or all of the stream is new: to be asked in another round trip.
            self._suspect = True
            return False
        elif _remade(info, last, self._store):
            self._restart()
            return False
        self._append(page)
        return not full

    def _append(self, page: list[Entry]) -> None:
        now = time.monotonic()
        for entry in page:
            # Another thread may have brought it already.
            if self._last is not None and entry.at <= self._last.at:
                continue
            self._counter.last += 1
            entry.number, entry.seen = self._counter.last, now
            self._entries.append(entry)
            self._events.setdefault(entry.event, []).append(entry)
            self._size += entry.size
            self._last, self._suspect = entry, False
        while self._entries and (
            len(self._entries) > self.stream.keep or self._size > BYTES or self._entries[0].seen < now - AGE
        ):
            old = self._entries.popleft()
            self._size -= old.size
            same = self._events[old.event]
            same.remove(old)
            if not same:
                del self._events[old.event]

    def _event_of(self, entry_id: bytes, fields: Fields) -> bytes:
        """Find the event's own id; an entry that has none goes by its entry id."""
        stream = self.stream
        if stream.id is None:
            return entry_id
        wanted = as_bytes(stream.id)
        payload = None
        for name, data in fields:
            if name == wanted:
                return data
            if stream.payload is not None and name == as_bytes(stream.payload):
                payload = data
        if payload is not None and stream.codec is not None:
            try:
                return as_bytes(stream.codec.decode(payload, 0)[stream.id])
            except Exception:  # noqa: BLE001  # a codec may raise anything, and then there is no id
                return entry_id
        return entry_id

    def _sound(self, reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise translate(reply, self._store, where=f"stream {self.stream.name!r}") from reply
        return reply


def _remade(info: Any, last: Entry, store: str) -> bool:
    """Whether the stream is another one than `last` was in: gone, or its ids have started over."""
    if isinstance(info, Exception):
        error = translate(info, store)
        if type(error) is StoreError and "no such key" in str(info):
            return True
        raise error from info
    told = dict(pairs(info))
    return order(told[b"last-generated-id"]) < last.at
