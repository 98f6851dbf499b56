"""
A Redis stream as a source of events.

**When:** the service tells its changes by a stream in Redis, Valkey or a like server (5.0 or later).
**Example:** ``RedisEvents(URL, Stream("comment_events", id="event_id", payload="body", codec=Json()))``
**Units:** ``timeout`` is seconds.
**When it is down:** every call ends within ``timeout`` and raises `StoreUnavailable`; the next call tries anew.

It reads by ``XRANGE``, with ``TIME``, ``TYPE``, ``XINFO STREAM`` and ``INFO replication``, on connections that refuse
any command that writes. No group is made, nothing is acknowledged, trimmed or deleted: the groups of the stream's own
consumers are not touched.

Danger: an entry is read whole, however big it is. Of several at most 256 MiB are read at once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import repeat
from operator import itemgetter
from typing import Any, Final

from redis import exceptions as driver

from shadowmig.errors import ConfigError, StoreError, StoreUnavailable
from shadowmig.given import seconds
from shadowmig.protocols import BatchCodec
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_lines import HERE
from shadowmig.stores._redis_link import Place as Server
from shadowmig.stores._redis_steps import Command, Gate
from shadowmig.stores._redis_values import as_bytes, as_name, pairs
from shadowmig.stores.streams import Stream
from shadowmig.wire.events._redis_capped import LIMIT, Capped, TooMuch
from shadowmig.wire.events._redis_reader import RedisReader, field_of, place_of
from shadowmig.wire.events.event import Event, Loss, Page, Place, text_of

__all__ = ["RedisEvents"]

_PAGE_BYTES: Final = 16 * 1024 * 1024
"""What a page should come to: after big entries, fewer are asked for."""

_BIG: Final = 64 * 1024
"""Bytes above which an entry is not read again with each page that follows it."""


class RedisEvents:
    """
    A stream of one Redis server, or of the primary that a sentinel knows.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; or a client of redis-py for threads, of which only the settings
            are used.
        stream: What is known of the stream: name, the event's own id, payload, codec, version.
        entity: What an event is about: the name of a field, or a function of the event's value. It is needed to check
            the order of events about one thing, and to match by version.
        timed: Whether entry ids are times, as the server makes them. ``False`` where the service chooses them: an event
            then counts from when it is first read, and its lag cannot be known.
        beside: Whether the fields beside the payload and the id are compared too, as bytes.
        timeout: Seconds for each call.

    Raises:
        ConfigError: An option is wrong. Its message holds nothing of the URL.
    """

    def __init__(
        self,
        url: Any,
        stream: Stream,
        *,
        entity: str | Callable[[Any], Any] | None = None,
        timed: bool = True,
        beside: bool = True,
        timeout: float | timedelta = 5.0,
    ) -> None:
        if not isinstance(stream, Stream):
            raise ConfigError(f"stream is {stream!r}.", remedy='Use Stream("name", ...).', field="stream", value=stream)
        if entity is not None and not callable(entity) and not isinstance(entity, str):
            raise ConfigError(
                f"entity is {entity!r}.", remedy="Name a field, or give a function.", field="entity", value=entity
            )
        self._server = Server(url, "url")
        if self._server.nodes:
            raise ConfigError(
                "url is a cluster, whose nodes have clocks of their own.",
                remedy="Give the node that holds the stream.",
                field="url",
            )
        self._timeout = seconds(timeout, "timeout")
        self._gate = Gate(self._server.name)
        self._gate.closed = True
        self._stream = stream
        self._key = as_bytes(stream.name)
        self._id = None if stream.id is None else as_bytes(stream.id)
        self._reader = RedisReader(stream, entity, beside=beside)
        self._timed = timed
        self._batch = stream.codec if stream.payload and isinstance(stream.codec, BatchCodec) else None
        self._lines: dict[int, Capped] = {}
        self._most = 1000
        self._big: Place | None = None

    def __repr__(self) -> str:
        return f"<RedisEvents: stream {self._stream.name!r} of {self._gate.store}>"

    @property
    def server(self) -> Server:
        """Where the stream is."""
        return self._server

    def read(self, after: Place, *, count: int = 1000) -> Page:
        """
        Do what `EventSource.read` says: one round trip, and another where entries may be gone.

        The entry at ``after`` is read again, to see that it is still there. Entries that were deleted one by one are
        not missed, unless the server (7.0 or later) tells that it was one after this place.
        """
        # A big one is not read again until something has come after it.
        again = bool(after) and after != self._big
        first = "-" if not after else text_of(after if again else _next(after))
        most = min(count, self._most)
        replies = self._ask([("TIME",), ("XRANGE", self._key, first, "+", "COUNT", most + again)])
        if replies is None:
            return self.read(after, count=count)
        now, rows = _clock(replies[0]), replies[1]
        if again and rows and place_of(rows[0][0]) == after:
            self._note_size(after, sum(map(len, rows.pop(0)[1])))
        elif after and (again or not self._still(after, rows)):
            loss, last = self._lost(after)
            if loss == "remade" or not rows:
                return Page((), last, now, loss=loss)
            return self._page(rows, now, ended=len(rows) < most, loss=loss)
        return self._page(rows, now, ended=len(rows) < most) if rows else Page((), after, now)

    def _page(self, rows: list[Any], now: float, *, ended: bool, loss: Loss = "") -> Page:
        size = self._paced(rows)
        events = self._events(rows, now)
        self._note_size(events[-1].entry, events[-1].size)
        return Page(events, events[-1].entry, now, ended, loss, size)

    def _note_size(self, entry: Place, size: int) -> None:
        self._big = entry if size > _BIG else None

    def _still(self, after: Place, rows: Sequence[Any]) -> bool:
        """Whether a big entry is still in its stream; it is only read again if something has come after it."""
        if not rows:
            return bool(self._ask_one(("TYPE", self._key)) == b"stream")
        return self.find([after])[0] is not None

    def end(self) -> Page:
        """Tell where the stream ends now."""
        now = _clock(self._ask_one(("TIME",)))
        info = self._info()
        last = (0, 0) if info is None else place_of(info[b"last-generated-id"])
        return Page((), last if any(last) else (), now)

    def find(self, entries: Sequence[Place]) -> list[Event | None]:
        """Read single entries again, some hundred in one round trip."""
        found: list[Event | None] = []
        while len(found) < len(entries):
            wanted = [text_of(entry) for entry in entries[len(found) : len(found) + min(self._most, 200)]]
            replies = self._ask([("TIME",), *(("XRANGE", self._key, entry, entry) for entry in wanted)])
            if replies is not None:
                now = _clock(replies[0])
                self._paced([row for rows in replies[1:] for row in rows])
                found += [next(iter(self._events(rows, now)), None) for rows in replies[1:]]
        return found

    @property
    def tells(self) -> frozenset[str]:
        """What it takes out of events, of ``"entity"`` and ``"version"``."""
        return self._reader.tells

    def identity(self) -> str:
        """Tell which stream this is, by the server's replication id, the database and the key."""
        info = self._ask_one(("INFO", "replication"))
        told = dict(line.partition(b":")[::2] for line in info.splitlines())
        name = as_name(told.get(b"master_replid", b""))
        if not name:
            raise StoreError(f"{self._gate.store} does not tell its replication id.", store=self._gate.store)
        return f"redis:{name}/{self._server.database}/{self._stream.name}"

    def close(self) -> None:
        """Close the connection. A later call opens a new one."""
        if lines := self._lines.pop(os.getpid(), None):
            lines.close()

    # The connection.

    def _ask(self, commands: list[Command]) -> list[Any] | None:
        """Make one round trip; ``None`` if the answers were too large, and fewer entries are to be asked for."""
        pid = os.getpid()
        lines = self._lines.get(pid)
        if lines is None:
            pool = self._server.pool
            lines = Capped(pool, timeout=self._timeout, connections=1, gate=self._gate)
            self._lines.clear()  # what a parent left
            self._lines[pid] = lines
        lines.limit = LIMIT if self._most > 1 else None
        try:
            replies = lines.exchange({HERE: commands}, time.monotonic() + self._timeout)[HERE]
        except TooMuch:
            self._most = max(1, self._most // 16)
            return None
        except (driver.RedisError, OSError) as error:
            told = translate(error, self._gate.store)
            self._most = max(1, self._most // 4)  # it may have been too much for the time
            raise told from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise translate(reply, self._gate.store, where=f"stream {self._stream.name!r}") from reply
        return replies

    def _ask_one(self, command: Command) -> Any:
        replies = self._ask([command])
        while replies is None:
            replies = self._ask([command])
        return replies[0]

    def _info(self) -> dict[bytes, Any] | None:
        try:
            return dict(pairs(self._ask_one(("XINFO", "STREAM", self._key))))
        except StoreUnavailable:
            raise
        except StoreError as error:
            if "no such key" in str(error.__cause__):
                return None
            raise

    def _lost(self, after: Place) -> tuple[Loss, Place]:
        """Tell what has become of the entry that was read last, and where the stream ends."""
        info = self._info()
        if info is None:
            return "remade", ()
        last = place_of(info[b"last-generated-id"])
        if last < after:
            return "remade", last
        first = info[b"first-entry"]
        gone = place_of(info.get(b"max-deleted-entry-id", b"0-0")) > after
        trimmed = last > after and (first is None or place_of(first[0]) > after)
        # A first entry before this place means that only the entry here was deleted.
        return ("trimmed" if gone or trimmed else ""), (last if first is None else after)

    # Entries.

    def _events(self, rows: list[Any], now: float) -> list[Event]:
        tokens = [row[0] for row in rows]
        raws = [row[1] for row in rows]
        rows.clear()  # before more is made, for the sake of the garbage collector
        times = _times(tokens, now) if self._timed else [now] * len(tokens)
        reader = self._reader
        columns = zip(self._ids(raws), times, raws, tokens, reader.numbers, repeat(reader), strict=False)
        # As the type does it, but without a call of Python for each.
        events: list[Event] = list(map(tuple.__new__, repeat(Event), columns))
        if self._batch is not None:
            self._decode_all(events)
        if self._id is None or not all(map(itemgetter(0), events)):
            events = [event if event.id else event._replace(id=self._id_of(event)) for event in events]
        return events

    def _ids(self, raws: list[list[bytes]]) -> list[str]:
        """Find the events' own ids in the fields; empty where there is none."""
        name = self._id
        if name is None:
            return [""] * len(raws)
        try:
            # Nearly always it is the first field.
            return [raw[1].decode() if raw[0] == name else as_name(field_of(raw, name) or b"") for raw in raws]
        except UnicodeDecodeError:
            return [as_name(field_of(raw, name) or b"") for raw in raws]

    def _paced(self, rows: Sequence[Any]) -> int:
        """Ask for as many next time as should come to a page; gives the bytes of the largest entry."""
        if not rows:
            return 0
        total = self._lines[os.getpid()].taken + 1
        self._most = max(1, min(self._most * 2, _PAGE_BYTES * len(rows) // total, 10_000))
        # Only where it matters is it looked at closely.
        return total // len(rows) if total < _BIG * 16 else max(sum(map(len, row[1])) for row in rows)

    def _id_of(self, event: Event) -> str:
        """Find the id in the value; an event that has none goes by its entry id."""
        if self._id is not None and self._stream.payload is not None and event.readable:
            with contextlib.suppress(Exception):  # an event of another shape has no id
                return str(event.value[self._stream.id])
        return text_of(event.entry)

    def _decode_all(self, events: list[Event]) -> None:
        """Have a codec that is quicker for many decode a page at once."""
        assert self._batch is not None
        whole = [event for event in events if event.data is not None]
        try:
            values = self._batch.decode_many([(event.data or b"", 0) for event in whole])
        except Exception:  # noqa: BLE001  # then each is tried alone, where the error is kept with the event
            return
        for event, value in zip(whole, values, strict=True):
            if not isinstance(value, Exception):
                event.value = value


def _next(after: Place) -> Place:
    """Give the first place after one."""
    return (after[0], after[1] + 1) if after[1] < 2**64 - 1 else (after[0] + 1, 0)


def _times(tokens: list[bytes], now: float) -> list[float]:
    """Take the times out of entry ids."""
    times = [int(token[:13]) / 1000 for token in tokens if token[13:14] == b"-"]
    if len(times) < len(tokens):  # before 2001 or after 2286, or none at all
        times = [int(token.partition(b"-")[0]) / 1000 for token in tokens]
    # Where the server's clock was set back, it goes on from the last entry id.
    return times if not times or times[-1] <= now else [min(at, now) for at in times]


def _clock(reply: Sequence[bytes]) -> float:
    return int(reply[0]) + int(reply[1]) / 1_000_000
