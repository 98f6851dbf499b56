"""Entries of streams as records: found by the event's own id or the entry id, and what was added since a mark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from shadowmig.errors import StoreError
from shadowmig.model import Change, Record, Ref
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_steps import Command, Steps, together
from shadowmig.stores._redis_tail import Counter, Entry, Tail, parse
from shadowmig.stores._redis_values import (
    Fields,
    as_bytes,
    as_name,
    attempt,
    decoded,
    encoded,
    version_of,
)
from shadowmig.stores.streams import Stream

CHANGES: Final = 1000
"""The most changes that one reading tells."""

_ENTRY_ID = re.compile(rb"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_LARGEST = 2**64 - 1
_UNDECLARED = Stream("undeclared")

Wanted: TypeAlias = Mapping[str, Sequence[bytes]]
"""Ids of events by stream."""

Found: TypeAlias = Mapping[tuple[str, bytes], list[Entry]]
"""Entries by stream and event, those that are gone too."""


class Entries:
    """
    All streams of a store; shared by threads.

    Args:
        streams: Those that are declared; any other is read by entry id.
        store: The store, as it calls itself.
    """

    def __init__(self, streams: Mapping[str, Stream], store: str) -> None:
        self._store = store
        self._counter = Counter()
        self._tails = {name: Tail(stream, self._counter, store) for name, stream in streams.items()}

    def read(self, wanted: Wanted, *, since: Any = None, all_streams: bool = True) -> Steps[Found]:
        """
        Find entries.

        Args:
            wanted: What to find.
            since: The mark that will be given to `told`.
            all_streams: Also bring streams up to date of which nothing is wanted, so that `told` covers them.
        """
        tails = [tail for name, tail in self._tails.items() if all_streams or name in wanted]
        direct = [name for name in wanted if self._native(name)]
        results = yield from together(
            [
                *(
                    tail.follow([] if self._native(tail.stream.name) else wanted.get(tail.stream.name, ()))
                    for tail in tails
                ),
                *(self._by_entry_id(name, wanted[name]) for name in direct),
            ]
        )
        yield from self._look_again(since)
        names = [*(tail.stream.name for tail in tails), *direct]
        return {
            (name, event): each for name, result in zip(names, results, strict=True) for event, each in result.items()
        }

    def _look_again(self, since: Any) -> Steps[None]:
        """
        Look whether the entries of events that seem to be there twice still are, in another round trip.

        One that was replaced has two entries, of which we may not know that the first was removed.
        """
        with self._counter.lock:
            doubled = [
                (tail, entry)
                for tail in self._tails.values()
                for event in dict.fromkeys(entry.event for entry in self._since(tail, since))
                if len(entries := tail.of(event)) > 1
                for entry in entries
            ]
        replies = (yield [("XRANGE", tail.name, entry.id, entry.id) for tail, entry in doubled]) if doubled else []
        for (_, entry), reply in zip(doubled, replies, strict=True):
            entry.gone = reply == []

    @staticmethod
    def _since(tail: Tail, since: Any) -> list[Entry]:
        return tail.since(since) if isinstance(since, int) else []

    def told(self, since: Any) -> tuple[int | None, tuple[Change, ...]]:
        """
        Tell the number of the last entry seen, and the events with an entry after an earlier one of these numbers.

        To be called after `read`. There is no number where no stream is declared; of too many events the first ones
        are told.
        """
        if not self._tails:
            return None, ()
        found: dict[tuple[Tail, bytes], int] = {}
        with self._counter.lock:
            for tail in self._tails.values():
                for entry in self._since(tail, since):
                    found.setdefault((tail, entry.event), entry.number)
            return self._counter.last, tuple(
                Change(Ref("", "entry", tail.stream.name, (as_name(event),)), number - 1, len(tail.of(event)))
                for (tail, event), number in sorted(found.items(), key=lambda item: item[1])[:CHANGES]
            )

    def restart(self) -> None:
        """Forget what was seen: the streams were removed."""
        for tail in self._tails.values():
            tail.restart()

    def record(self, ref: Ref, entries: Sequence[Entry]) -> Record:
        """Make the record of a ref out of its entries: the first of them, and how many there are."""
        alive = [entry for entry in entries if not entry.gone]
        if not alive:
            return Record(ref, meta={"gone": _ids(entries)} if entries else {})
        first, stream = alive[0], self._stream(ref)
        payload = next((data for name, data in first.fields if name == as_bytes(stream.payload)), None)
        meta = {"count": len(alive), "entry_ids": _ids(alive), "order": first.at, "fields": first.fields}
        value = attempt(lambda: _value(stream, first.fields, payload), first.fields)
        version = version_of(stream.version, value)
        return Record(ref, value, version=version, token=first.id.decode(), raw=payload, meta=meta)

    def write(self, record: Record, entries: Sequence[Entry]) -> list[Command]:
        """
        Say how to make the stream hold this event once, as the record has it.

        Raises:
            StoreError: Its value has no form in a stream.
        """
        alive = [entry for entry in entries if not entry.gone]
        stream, key = self._stream(record.ref), as_bytes(record.ref.key[0])
        if not record.exists:
            return self.delete(record.ref, entries)
        fields = record.meta.get("fields") or _fields(stream, record)
        same = [entry for entry in alive if entry.fields == tuple(fields)][:1]
        others = [entry.id for entry in alive if entry not in same]
        entry_id = "*" if not self._native(record.ref.space) else key
        name = as_bytes(record.ref.space)
        made: list[Command] = [("XDEL", name, *others)] if others else []
        return made if same else [*made, ("XADD", name, entry_id, *sum(fields, ()))]

    def delete(self, ref: Ref, entries: Sequence[Entry]) -> list[Command]:
        """Say how to remove an event."""
        alive = [entry.id for entry in entries if not entry.gone]
        return [("XDEL", as_bytes(ref.space), *alive)] if alive else []

    def _stream(self, ref: Ref) -> Stream:
        tail = self._tails.get(ref.space)
        return tail.stream if tail else _UNDECLARED

    def _native(self, name: str) -> bool:
        return name not in self._tails or self._tails[name].stream.id is None

    def _by_entry_id(self, name: str, events: Sequence[bytes]) -> Steps[dict[bytes, list[Entry]]]:
        ids = {event: entry_id for event in events if (entry_id := _entry_id(event))}
        replies = yield [("XRANGE", as_bytes(name), entry_id, entry_id) for entry_id in ids.values()]
        found: dict[bytes, list[Entry]] = {event: [] for event in events}
        for event, reply in zip(ids, replies, strict=True):
            if isinstance(reply, Exception):
                raise translate(reply, self._store, where=f"stream {name!r}") from reply
            found[event] = parse(reply, lambda entry_id, _: entry_id)
        return found


def _entry_id(event: bytes) -> bytes | None:
    """Write an entry id in full; ``None`` for what can be none, so that there is no such entry."""
    match = _ENTRY_ID.fullmatch(event)
    parts = [int(part or 0) for part in match.groups()] if match else [_LARGEST + 1]
    return b"%d-%d" % (parts[0], parts[1]) if max(parts) <= _LARGEST else None


def _ids(entries: Iterable[Entry]) -> list[str]:
    return [entry.id.decode() for entry in entries]


def _value(stream: Stream, fields: Fields, payload: bytes | None) -> Any:
    if stream.payload is not None:
        if payload is None:
            raise KeyError(stream.payload)
        return decoded(stream.codec, payload)
    if stream.codec is None:
        return dict(fields)
    return {as_name(name): decoded(stream.codec, data) for name, data in fields}


def _fields(stream: Stream, record: Record) -> list[tuple[bytes, bytes]]:
    """Make the fields of an event that comes from elsewhere."""
    value, ref = record.value, record.ref
    if stream.payload is not None:
        own = [] if stream.id is None else [(as_bytes(stream.id), as_bytes(ref.key[0]))]
        data = record.raw if record.raw is not None else encoded(stream.codec, value, ref)
        return [*own, (as_bytes(stream.payload), data)]
    if not isinstance(value, Mapping) or not value:
        raise StoreError(
            f"The value of {ref} is no dict of fields.",
            remedy="Name the field that holds the event, with payload=.",
        )
    return [(as_bytes(name), encoded(stream.codec, each, ref)) for name, each in value.items()]
