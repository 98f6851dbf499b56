"""From plain values to a message of protobuf."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value

from shadowmig.compare.paths import render
from shadowmig.errors import CodecError
from shadowmig.wire.codecs._protobuf_reading import EPOCH, KINDS, MESSAGES, UNKNOWN, WRAPPERS, is_map
from shadowmig.wire.values import Instant

Path = tuple[Any, ...]


def fill(message: Any, value: Any, path: Path = ()) -> None:
    """
    Write a plain value into an empty message.

    Raises:
        CodecError: See `Protobuf.encode`.
    """
    if len(path) > 2 * _DEEPEST:  # a list in between counts too
        raise _wrong(path, "too deep", "it is nested too deeply")
    kind = message.DESCRIPTOR.full_name
    if kind in WRAPPERS:
        _put(message, "value", message.DESCRIPTOR.fields_by_name["value"], value, path)
    elif kind in _KNOWN and not (kind == _DURATION and isinstance(value, dict)):
        _KNOWN[kind](message, value, path)
    elif isinstance(value, Mapping):
        _members(message, value, path)
    else:
        raise _wrong(path, "wrong type", f"a message is a dict, not {type(value).__name__}")


def _members(message: Any, value: Mapping[Any, Any], path: Path) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    groups: dict[str, str] = {}
    for name, each in value.items():
        here = (*path, name)
        if name == UNKNOWN:
            _give_back(message, each, here)
            continue
        one = fields.get(name) if isinstance(name, str) else None
        if one is None:
            raise _wrong(here, "unknown field", f"{message.DESCRIPTOR.full_name} has no such field")
        if each is None and one.has_presence and not _takes_none(one):
            continue
        if one.containing_oneof and groups.setdefault(one.containing_oneof.name, name) != name:
            raise _wrong(here, "oneof", "another member of its oneof is given too")
        _field(message, one, each, here)


def _takes_none(one: Any) -> bool:
    return one.type in MESSAGES and one.message_type.full_name == "google.protobuf.Value"


def _field(message: Any, one: Any, value: Any, path: Path) -> None:
    if is_map(one):
        _map(getattr(message, one.name), one.message_type, value, path)
    elif one.is_repeated:
        if not isinstance(value, list | tuple):
            raise _wrong(path, "wrong type", f"it is a list, not {type(value).__name__}")
        to = getattr(message, one.name)
        for index, each in enumerate(value):
            if one.type in MESSAGES:
                fill(to.add(), each, (*path, index))
            else:
                _guarded(to.append, one, each, (*path, index))
    elif one.type in MESSAGES:
        inner = getattr(message, one.name)
        inner.SetInParent()
        fill(inner, value, path)
    else:
        _put(message, one.name, one, value, path)


def _map(to: Any, entry: Any, value: Any, path: Path) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(path, "wrong type", f"it is a dict, not {type(value).__name__}")
    key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for key, each in value.items():
        here = (*path, key)
        _check(key_field, key, here)
        if value_field.type in MESSAGES:
            _guarded(lambda given: fill(to[given], each, here), key_field, key, here)  # noqa: B023 - it runs at once
        else:
            _guarded(lambda given: to.__setitem__(key, given), value_field, each, here)  # noqa: B023 - it runs at once


def _put(message: Any, name: str, one: Any, value: Any, path: Path) -> None:
    _guarded(lambda given: setattr(message, name, given), one, value, path)


def _guarded(put: Callable[[Any], Any], one: Any, value: Any, path: Path) -> None:
    """Write one value that is no message; the package itself would take a truth value for an int, and more."""
    try:
        put(_check(one, value, path))
    except CodecError:
        raise
    except UnicodeEncodeError as error:
        raise _wrong(path, "lone surrogate", "a text has a surrogate alone") from error
    except (ValueError, OverflowError) as error:
        raise _wrong(path, "number too large", "the number is too large for its field") from error


def _check(one: Any, value: Any, path: Path) -> Any:
    if one.type == FieldDescriptor.TYPE_ENUM and isinstance(value, str):
        known = one.enum_type.values_by_name.get(value)
        if known is None:
            raise _wrong(path, "unknown enum name", "its enum has no such name")
        return known.number
    wanted: Any = _TYPES.get(one.type, (int,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise _wrong(path, "wrong type", f"it is {wanted[0].__name__}, not {type(value).__name__}")
    if float in wanted and isinstance(value, int) and float(value) != value:
        raise OverflowError
    if one.type == FieldDescriptor.TYPE_FLOAT:
        if _FLOAT < abs(value) < math.inf:
            raise OverflowError
        if isinstance(value, int) and struct.unpack("<f", struct.pack("<f", value))[0] != value:
            raise OverflowError
    return value


def _give_back(message: Any, fields: Any, path: Path) -> None:
    try:
        message.MergeFromString(_wire(fields))
    except (DecodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _wrong(path, "wrong type", "these are no unknown fields as decode gives them") from error


def _wire(fields: Any) -> bytes:
    found = []
    for number, kind, value in fields:
        code = KINDS.index(kind)
        found.append(_varint(number << 3 | code))
        if kind == "varint":
            found.append(_varint(value))
        elif kind == "bytes":
            found += [_varint(len(value)), bytes(memoryview(value))]
        elif kind == "group":
            found += [_wire(value), _varint(number << 3 | 4)]
        else:
            found.append(value.to_bytes(8 if kind == "fixed64" else 4, "little"))
    return b"".join(found)


def _varint(number: int) -> bytes:
    if not 0 <= number < 2**64:
        raise ValueError("no varint")
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


def _timestamp(message: Any, value: Any, path: Path) -> None:
    at = value.at if isinstance(value, Instant) else value
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise _wrong(path, "wrong type", f"it is a moment with a zone, not {type(value).__name__}")
    try:
        at.astimezone(UTC)
    except OverflowError as error:
        raise _wrong(path, "time out of range", "in UTC it is outside of the years 1 to 9999") from error
    message.seconds = (at - EPOCH) // timedelta(seconds=1)
    message.nanos = at.microsecond * 1000 + (value.nanos if isinstance(value, Instant) else 0)


def _duration(message: Any, value: Any, path: Path) -> None:
    if not isinstance(value, timedelta):
        raise _wrong(path, "wrong type", f"it is a timedelta, not {type(value).__name__}")
    micros = value // timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 10**6)
    sign = -1 if micros < 0 else 1
    message.seconds, message.nanos = sign * seconds, sign * rest * 1000


def _struct(message: Any, value: Any, path: Path) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(path, "wrong type", f"it is a dict, not {type(value).__name__}")
    _deeper(path)
    for key, each in value.items():
        if not isinstance(key, str):
            raise _wrong((*path, key), "wrong type", f"a key is text, not {type(key).__name__}")
        _guarded(lambda given: _value(message.fields[given], each, (*path, key)), _TEXT, key, path)  # noqa: B023 - it runs at once


def _values(message: Any, value: Any, path: Path) -> None:
    if not isinstance(value, list | tuple):
        raise _wrong(path, "wrong type", f"it is a list, not {type(value).__name__}")
    _deeper(path)
    for index, each in enumerate(value):
        _value(message.values.add(), each, (*path, index))


def _value(message: Any, value: Any, path: Path) -> None:
    if value is None:
        message.null_value = 0
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        _put(message, "number_value", _NUMBER, value, path)
    elif isinstance(value, str):
        _put(message, "string_value", _TEXT, value, path)
    elif isinstance(value, Mapping):
        message.struct_value.SetInParent()
        _struct(message.struct_value, value, path)
    elif isinstance(value, list | tuple):
        message.list_value.SetInParent()
        _values(message.list_value, value, path)
    else:
        raise _wrong(path, "wrong type", f"a Value cannot be {type(value).__name__}")


def _deeper(path: Path) -> None:
    if len(path) > _DEEPEST:
        raise _wrong(path, "too deep", "it is nested too deeply")


def _wrong(path: Path, reason: str, what: str) -> CodecError:
    where = render(path[:_SHOWN]) + "…" * (len(path) > _SHOWN)
    return CodecError(f"At {where}: {what}.", reason=reason, path=where)


_NUMBER: Final = Value.DESCRIPTOR.fields_by_name["number_value"]
_TEXT: Final = Value.DESCRIPTOR.fields_by_name["string_value"]
_FLOAT: Final = 3.4028234663852886e38  # the largest of 32 bits
_DEEPEST: Final = 100
_SHOWN: Final = 20
_DURATION: Final = "google.protobuf.Duration"
_KNOWN: Final[dict[str, Callable[[Any, Any, Path], None]]] = {
    "google.protobuf.Timestamp": _timestamp,
    _DURATION: _duration,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _value,
    "google.protobuf.ListValue": _values,
}
_TYPES: Final[dict[int, tuple[type, ...]]] = {
    FieldDescriptor.TYPE_DOUBLE: (float, int),
    FieldDescriptor.TYPE_FLOAT: (float, int),
    FieldDescriptor.TYPE_BOOL: (bool,),
    FieldDescriptor.TYPE_STRING: (str,),
    FieldDescriptor.TYPE_BYTES: (bytes,),
}
