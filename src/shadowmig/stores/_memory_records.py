"""The entries of a stream and the keys of a `MemorySpace`, as records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from attrs import field as attrs_field
from attrs import frozen

from shadowmig.errors import StoreError
from shadowmig.model import Change, Record, Ref, Undecodable
from shadowmig.protocols import Codec
from shadowmig.stores._memory_cells import Cell, Kept, copied, is_over, written
from shadowmig.stores._memory_space import Draft, MemorySpace
from shadowmig.stores.streams import Stream

BESIDE: Final = "beside"
"""Where the fields beside the payload are kept."""

_ENTRY_ID: Final = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)


class Entry(NamedTuple):
    """An entry of a stream."""

    id: str
    fields: dict[str, Any]


@frozen
class EventId:
    """
    Takes out of an entry what its event is known by, as text: a field, or a key of the payload, or the entry's id.

    An entry that has neither is known by its id.
    """

    field: str | None = None
    payload: str | None = None
    codec: Codec | None = attrs_field(default=None, eq=id)

    def __call__(self, entry: Entry) -> tuple[str]:
        return (entry.id if (event := self.told(entry.fields)) is None else event,)

    def told(self, fields: Mapping[str, Any]) -> str | None:
        """Take it out of the fields, if they have it."""
        if self.field is None:
            return None
        value = fields.get(self.field)
        if value is None and self.payload is not None and self.payload in fields:
            event = _read(self.codec, fields[self.payload])
            value = event.get(self.field) if isinstance(event, Mapping) else None
        return None if value is None else as_text(value)


def as_text(value: Any) -> str:
    """Make of an id, however it came, the text that it is compared by."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


class Entries:
    """The entries of one stream."""

    def __init__(self, space: MemorySpace, stream: Stream) -> None:
        self.stream = stream
        self.shelf = space.shelf("entry", stream.name)
        self.by_event = EventId(stream.id, stream.payload, stream.codec if stream.payload else None)
        with space.lock:
            self.shelf.index(self.by_event)  # now, because it looks through all entries

    def find(self, ref: Ref) -> list[Cell]:
        """Give the entries of an event, the oldest first; to be called under the space's lock."""
        return [self.shelf.cells[number] for number in self.shelf.ids(self.by_event, (_only(ref),))]

    def record(self, ref: Ref, cells: Sequence[Cell]) -> Record:
        """Make a record of the first entry; the others are counted."""
        if not cells:
            return Record(ref)
        entry: Entry = cells[0].data
        payload, codec = self.stream.payload, self.stream.codec
        meta: dict[str, Any] = {"count": len(cells)}
        raw = None
        if payload is None:
            value: Any = {name: _read(codec, data) for name, data in entry.fields.items()}
        elif payload in entry.fields:
            data = entry.fields[payload]
            value = _read(codec, data)
            raw = data if codec is not None and isinstance(data, bytes) else None
            meta[BESIDE] = {name: copied(other) for name, other in entry.fields.items() if name != payload}
        else:
            value = Undecodable("the field of the payload is not there", 0)
        return Record(ref, value, version_of(self.stream.version, value), entry.id, raw, meta)

    def write(self, draft: Draft, record: Record) -> None:
        """Put one entry in the place of all that there are of the event."""
        self.delete(draft, record.ref)
        if not record.exists:
            return
        stream, event = self.stream, _only(record.ref)
        if stream.payload is not None:
            fields = {**record.meta.get(BESIDE, {}), stream.payload: _written_value(stream.codec, record)[0]}
        elif isinstance(record.value, Mapping):
            fields = {name: _encoded(stream.codec, value)[0] for name, value in record.value.items()}
        else:
            raise StoreError(f"The value for an entry of {stream.name} is a {type(record.value).__name__}, not a dict.")
        if stream.id is not None and self.by_event.told(fields) != event:
            # It is told by the ref: a codec need not write it as it was.
            fields[stream.id] = event if stream.codec is None else _as_bytes(event)
        self.append(draft, copied(fields), event if stream.id is None else None)

    def append(self, draft: Draft, fields: dict[str, Any], number: str | None) -> str:
        """Add an entry, with an id of its own or the one that is given."""
        space, name = draft.space, self.stream.name
        last = space.last_entry.get(name, (0, 0))
        if number is None:
            now = (int(space.clock() * 1000), 0)
            place = now if now > last else (last[0], last[1] + 1)
            number = f"{place[0]}-{place[1]}"
        else:
            found = _ENTRY_ID.fullmatch(number)
            if found is None:
                raise StoreError(f"The id of an entry of {name} is wrong.", remedy='Use text like "1700000000000-0".')
            place = (int(found[1]), int(found[2]))
        space.last_entry[name] = max(last, place)
        draft.put(self.shelf, next(space.numbers), Entry(number, fields))
        return number

    def delete(self, draft: Draft, ref: Ref) -> None:
        """Remove all entries of an event."""
        for number, _ in draft.find(self.shelf, self.by_event, (_only(ref),)):
            draft.drop(self.shelf, number)

    def changes(self, since: int) -> Iterator[Change]:
        """Tell which events were written, and how often."""
        told = set()
        for cell in written(self.shelf, since):
            event = self.by_event(cell.data)
            if event not in told:
                told.add(event)
                yield Change(
                    Ref("", "entry", self.stream.name, event), cell.token, len(self.shelf.ids(self.by_event, event))
                )


class Keys:
    """What the keys hold."""

    def __init__(self, space: MemorySpace, codec: Codec | None, version: Callable[[Any], Any] | None) -> None:
        self.shelf = space.shelf("key")
        self._clock = space.clock
        self._codec = codec
        self._version = version

    def find(self, ref: Ref) -> list[Cell]:
        """Give what a key holds; to be called under the space's lock."""
        cell = self.shelf.cells.get(_only(ref))
        return [] if cell is None else [cell]

    def record(self, ref: Ref, cells: Sequence[Cell]) -> Record:
        """Make a record of it."""
        now = self._clock()
        if not cells or is_over(cells[0].data, now):
            return Record(ref)
        kept: Kept = cells[0].data
        value = copied(kept.value) if self._codec is None else decoded(self._codec, kept.value, kept.flags)
        return Record(
            ref,
            value,
            version_of(self._version, value),
            cells[0].token,
            None if self._codec is None else kept.value,
            {"flags": kept.flags, "ttl": None if kept.expires is None else kept.expires - now},
        )

    def write(self, draft: Draft, record: Record) -> None:
        """Have the key hold what the record has; one whose time is over is deleted."""
        ttl = record.meta.get("ttl")
        if not record.exists or (ttl is not None and ttl <= 0):
            return self.delete(draft, record.ref)
        value, flags = _written_value(self._codec, record)
        kept = Kept(value, flags, None if ttl is None else self._clock() + ttl)
        return draft.put(self.shelf, _only(record.ref), kept)

    def delete(self, draft: Draft, ref: Ref) -> None:
        """Remove the key."""
        draft.drop(self.shelf, _only(ref))


def version_of(function: Callable[[Any], Any] | None, value: Any) -> Any:
    """Take the version out of a value; ``None`` where it has none or cannot be read."""
    if function is None or isinstance(value, Undecodable):
        return None
    try:
        return function(value)
    except Exception:  # noqa: BLE001 - a value of another form has no version
        return None


def decoded(codec: Codec, data: bytes, flags: int) -> Any:
    """Turn bytes into a value, or into `Undecodable`."""
    try:
        return codec.decode(data, flags)
    except Exception as error:  # noqa: BLE001 - whatever a codec raises, the bytes cannot be read
        return Undecodable(f"{type(error).__name__}: {error}"[:200], len(data))


def _as_bytes(event: str) -> bytes:
    try:
        return event.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise StoreError("The id of an event holds lone surrogates, which no text has.") from error


def _read(codec: Codec | None, data: Any) -> Any:
    return copied(data) if codec is None or not isinstance(data, bytes) else decoded(codec, data, 0)


def _written_value(codec: Codec | None, record: Record) -> tuple[Any, int]:
    """Give what is to be stored for a record, and its flags: its very bytes, if a codec reads bytes here."""
    flags = record.meta.get("flags", 0)
    if codec is not None and record.raw is not None:
        return record.raw, flags
    value, own = _encoded(codec, record.value)
    return value, flags if own is None else own


def _encoded(codec: Codec | None, value: Any) -> tuple[Any, int | None]:
    if isinstance(value, Undecodable):
        raise StoreError("A value that could not be read cannot be written.", remedy="Give both stores one codec.")
    return (copied(value), None) if codec is None else codec.encode(value)


def _only(ref: Ref) -> str:
    if len(ref.key) != 1:
        raise StoreError(f"A ref of kind {ref.kind} has {len(ref.key)} values, not one.")
    return as_text(ref.key[0])
