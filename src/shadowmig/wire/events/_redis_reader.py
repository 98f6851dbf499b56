"""How the entries of a Redis stream are understood: id, payload, entity, and what is beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from shadowmig.stores._redis_values import as_bytes, as_name, decoded, pairs
from shadowmig.stores.streams import Stream
from shadowmig.wire.events.event import Event, Place, Reader

_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})


class RedisReader(Reader):
    """How the entries of a stream are understood; ``raw`` is names and values in turn, ``token`` the entry id."""

    def __init__(self, stream: Stream, entity: str | Callable[[Any], Any] | None, *, beside: bool) -> None:
        super().__init__(self._decode, entity if callable(entity) else None, stream.version)
        self._codec = stream.codec
        self._id = None if stream.id is None else as_bytes(stream.id)
        self._payload = None if stream.payload is None else as_bytes(stream.payload)
        self._field = as_bytes(entity) if isinstance(entity, str) else None
        self._beside = beside and self._payload is not None

    def place(self, event: Event) -> Place:
        """Take the entry id apart."""
        return place_of(event.token)

    def data(self, event: Event) -> bytes | None:
        """Give the payload, if there is to be one."""
        return None if self._payload is None else field_of(event.raw, self._payload)

    def size(self, event: Event) -> int:
        """Count the bytes of names and values."""
        return sum(map(len, event.raw))

    @property
    def tells(self) -> frozenset[str]:
        """Do what `Reader.tells` says; a field may hold the entity."""
        return super().tells | ({"entity"} if self._field is not None else frozenset())

    def entity_of(self, event: Event) -> str | None:
        """Tell what it is about, from its field or its value."""
        if self._field is None:
            return super().entity_of(event)
        told = field_of(event.raw, self._field)
        return None if told is None else as_name(told)

    def keep(self, events: Sequence[Event]) -> Sequence[Any]:
        """Give the payloads, where entity and version are in them; else the events."""
        name = self._payload
        if name is None or self._field is not None:
            return events
        raws = [event.raw for event in events]
        # Nearly always it is the second field.
        return [raw[3] if len(raw) > 3 and raw[2] == name else field_of(raw, name) for raw in raws]

    def kept(self, item: Any) -> tuple[str | None, Any]:
        """Tell entity and version, from what `keep` gave."""
        if isinstance(item, Event):
            return item.entity, item.version
        event = Event("", 0.0, [] if item is None else [self._payload, item], b"0-0", 0, self)
        return event.entity, event.version

    def fill(self, events: Iterable[Event]) -> None:
        """Decode the payloads of those that are not decoded."""
        codec, name = self._codec, self._payload
        if codec is None or name is None:
            return
        decode = codec.decode
        for event in events:
            raw, made = event.raw, event.__dict__
            # What is not as usual is left to when the value is asked for.
            if "value" not in made and len(raw) > 3 and raw[2] == name:
                try:
                    made["value"] = decode(raw[3], 0)
                except Exception as error:  # noqa: BLE001  # a codec may raise anything, and that is a finding
                    made["value"] = event.failed(error)

    def beside(self, event: Event) -> Mapping[str, bytes] | None:
        """Give the fields that are neither the payload nor the id."""
        if not self._beside:
            return None
        payload, id_, raw = self._payload, self._id, event.raw
        if len(raw) == 4 and raw[2] == payload and raw[0] == id_:
            return _NOTHING
        names = [name for name in raw[::2] if name not in (payload, id_)]
        return {as_name(name): field_of(raw, name) or b"" for name in names}

    def _decode(self, event: Event) -> Any:
        if self._payload is not None:
            data = field_of(event.raw, self._payload)
            if data is None:
                raise KeyError(as_name(self._payload))
            return data if self._codec is None else self._codec.decode(data, 0)
        if self._codec is None:
            return dict(pairs(event.raw))
        return {as_name(name): decoded(self._codec, data) for name, data in pairs(event.raw)}


def field_of(flat: list[bytes], name: bytes) -> bytes | None:
    """Find a field's value in a flat list of names and values."""
    index = 0
    try:
        while True:
            index = flat.index(name, index)
            if not index % 2:
                return flat[index + 1]
            index += 1
    except ValueError:
        return None


def place_of(entry_id: bytes) -> Place:
    head, _, tail = entry_id.partition(b"-")
    return int(head), int(tail)
