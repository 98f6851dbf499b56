"""From a message of protobuf to plain values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from shadowmig.errors import CodecError
from shadowmig.wire.values import Instant

UNKNOWN: Final = "$unknown"
"""The key of what a message does not know; no field has this name."""

KINDS: Final = ("varint", "fixed64", "bytes", "group", "", "fixed32")
"""What follows a field's number in the bytes, by the number of that type."""

WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reading:
    """
    One message being read.

    Args:
        names: Whether values of enums become names.
        memory: The most bytes that the values may come to.
    """

    def __init__(self, *, names: bool, memory: int) -> None:
        self.names = names
        self.memory = memory

    def message(self, message: Any) -> Any:
        """Give the plain value of a message."""
        kind = message.DESCRIPTOR.full_name
        if kind in WRAPPERS:
            return message.value
        if kind in _KNOWN:
            return _KNOWN[kind](self, message)
        self._count(128)
        found: dict[str, Any] = {}
        for one in message.DESCRIPTOR.fields:
            if not one.has_presence:
                found[one.name] = self._many(one, getattr(message, one.name))
            elif message.HasField(one.name):
                found[one.name] = self._one(one, getattr(message, one.name))
        if any(one.is_extension for one, _ in message.ListFields()):
            raise CodecError("The message has an extension.", reason="extension")
        unknown = self._unknown(UnknownFieldSet(message))
        if unknown:
            found[UNKNOWN] = unknown
        return found

    def _count(self, size: int) -> None:
        self.memory -= size
        if self.memory < 0:
            raise CodecError("The message makes too much.", reason="too large")

    def _many(self, one: Any, value: Any) -> Any:
        if not one.is_repeated:
            return self._one(one, value)
        self._count(64)
        if is_map(one):
            inner = one.message_type.fields_by_name["value"]
            return {key: self._one(inner, value[key]) for key in value}
        return [self._one(one, each) for each in value]

    def _one(self, one: Any, value: Any) -> Any:
        self._count(96)
        if one.type in MESSAGES:
            return self.message(value)
        if one.type == FieldDescriptor.TYPE_ENUM and self.names:
            known = one.enum_type.values_by_number.get(value)
            return known.name if known else value
        return value

    def _unknown(self, fields: UnknownFieldSet) -> list[list[Any]]:
        found = []
        for one in fields:  # type: ignore[attr-defined]  # not in its stub
            self._count(200)
            data = self._unknown(one.data) if isinstance(one.data, UnknownFieldSet) else one.data
            found.append([one.field_number, KINDS[one.wire_type], data])
        return found

    def struct(self, message: Any) -> dict[str, Any]:
        """Give the dict that a ``Struct`` stands for."""
        self._count(64)
        return {key: self.value(message.fields[key]) for key in message.fields}

    def value(self, message: Any) -> Any:
        """Give what a ``Value`` stands for."""
        self._count(96)
        kind = message.WhichOneof("kind")
        if kind is None:
            raise CodecError("A Value has no value.", reason="empty Value")
        if kind == "null_value":
            return None
        value = getattr(message, kind)
        return self.message(value) if isinstance(value, Message) else value

    def values(self, message: Any) -> list[Any]:
        """Give the list that a ``ListValue`` stands for."""
        self._count(64)
        return [self.value(each) for each in message.values]


def is_map(one: Any) -> bool:
    """Tell whether a field is a map."""
    return one.type in MESSAGES and one.message_type.GetOptions().map_entry


def _timestamp(_: Reading, message: Any) -> datetime | Instant:
    micros, nanos = divmod(message.nanos, 1000)
    try:
        if not 0 <= message.nanos < 10**9:
            raise OverflowError
        at = EPOCH + timedelta(seconds=message.seconds, microseconds=micros)
    except OverflowError as error:
        raise CodecError("A Timestamp is outside of the years 1 to 9999.", reason="time out of range") from error
    return Instant(at, nanos) if nanos else at


def _duration(_: Reading, message: Any) -> timedelta | dict[str, int]:
    seconds, nanos = message.seconds, message.nanos
    if abs(seconds) <= _LONGEST and abs(nanos) < 10**9 and nanos % 1000 == 0 and seconds * nanos >= 0:
        return timedelta(seconds=seconds, microseconds=nanos // 1000)
    return {"seconds": seconds, "nanos": nanos}


_LONGEST: Final = 315_576_000_000  # seconds that the documentation of Duration allows
_KNOWN: Final[dict[str, Callable[[Reading, Any], Any]]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.Struct": Reading.struct,
    "google.protobuf.Value": Reading.value,
    "google.protobuf.ListValue": Reading.values,
}
MESSAGES: Final = frozenset({FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP})
