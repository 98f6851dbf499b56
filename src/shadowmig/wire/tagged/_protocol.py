"""
The protocol by which other programs encode and decode: what is asked, and what may be answered.

A request has an id, what to do, and items; the reply has the same id and as many items, in their order::

    {"id": 1, "op": "encode", "items": [{"value": {"body": "hi"}}]}
    {"id": 1, "items": [{"data": "eyJib2R5IjoiaGkifQ==", "flags": 0}]}

    {"id": 2, "op": "decode", "items": [{"data": "eyJib2R5IjoiaGkifQ==", "flags": 0}, {"data": "?", "flags": 0}]}
    {"id": 2, "items": [{"value": {"body": "hi"}}, {"error": "invalid character '?'"}]}

Data are base64, values tagged JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from math import inf
from typing import Any, Final, Literal, TypeAlias

from shadowmig.errors import CodecError, CodecUnavailable
from shadowmig.model import MISSING
from shadowmig.wire.tagged import to_tagged
from shadowmig.wire.tagged._reading import untag

PROTOCOL: Final = 1

Op: TypeAlias = Literal["encode", "decode"]

_TEXT: Final = 500
"""The most characters taken of what a program says."""


def item_of_value(value: Any) -> bytes:
    """
    Write what `encode` is asked about.

    Raises:
        CodecError: It has no tagged form.
    """
    try:
        return b'{"value":%s}' % _WRITER(to_tagged(value)).encode()
    except RecursionError as error:
        raise CodecError("The value has too many levels.", reason="too deep") from error


def item_of_data(data: bytes, flags: int) -> bytes:
    """Write what `decode` is asked about."""
    return b'{"data":"%s","flags":%d}' % (base64.b64encode(data), flags)


def request(number: int, op: Op, items: Sequence[bytes]) -> bytes:
    """Write a request, as one line."""
    return b'{"id":%d,"op":"%s","items":[%s]}\n' % (number, op.encode(), b",".join(items))


def answers(line: bytes | bytearray, number: int, op: Op, count: int, *, flags: int = 0) -> list[Any]:
    """
    Read a reply.

    Args:
        line: The reply.
        number: The id of the request.
        op: What was asked.
        count: The number of items asked about.
        flags: Flags of encoded items where the program gives none.

    Returns:
        One result for each item: bytes and flags, or a value; a `CodecError` where the program refused the item or
        its answer is no value.

    Raises:
        CodecUnavailable: The program broke the protocol.
    """
    reply = read_line(line)
    if type(reply) is not dict:
        raise broke("its reply is no object")
    if type(reply.get("id")) is not int or reply["id"] != number:
        raise broke("its reply has not the id of the request")
    items = reply.get("items")
    if type(items) is not list or len(items) != count:
        raise broke(f"it was asked about {count}, and did not reply with so many items")
    if op == "encode":
        return [_encoded(item, flags) for item in items]
    return [_decoded(item) for item in items]


def read_line(line: bytes | bytearray) -> Any:
    """
    Read one line of a program.

    Raises:
        CodecUnavailable: It is no JSON.
    """
    try:
        return _READER.decode(line.decode())
    except RecursionError as error:
        raise broke("its line has too many levels") from error
    except ValueError as error:
        # Not chained: the error shows the line, and values in it.
        where = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise broke(f"its line of {len(line)} bytes is no JSON{where}") from None


def broke(what: str) -> CodecUnavailable:
    """Give the error about a broken protocol."""
    return CodecUnavailable(f"It broke the protocol: {what}.", reason="broke the protocol")


def printable(text: str, most: int = _TEXT) -> str:
    """Cut down what a program said, to what a terminal may be given."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)


def _encoded(item: Any, flags: int) -> tuple[bytes, int] | CodecError:
    if type(item) is dict and type(data := item.get("data")) is str:
        given = item.get("flags", flags)
        if type(given) is not int or not 0 <= given < 2**32:
            raise broke("flags are not 32 bits")
        try:
            return binascii.a2b_base64(data, strict_mode=True), given
        except ValueError:
            raise broke("data are no base64") from None
    return _refused(item)


def _decoded(item: Any) -> Any:
    if type(item) is dict and "value" in item:
        try:
            return untag(item["value"])
        except CodecError as error:
            return error
    if type(item) is dict and item.get("miss") is True:
        return MISSING
    return _refused(item)


def _refused(item: Any) -> CodecError:
    if type(item) is not dict or type(text := item.get("error")) is not str:
        raise broke("an item has no answer")
    reason = item.get("reason", "refused")
    if type(reason) is not str:
        raise broke("a reason is no text")
    return CodecError(printable(text), reason=printable(reason, 60))


def _members(pairs: list[tuple[str, Any]]) -> Any:
    members = dict(pairs)
    # No tag: whoever reads the value finds it, so that the other items of the line keep their answers.
    return members if len(members) == len(pairs) else {"$": "a key is there twice"}


def _number(digits: str) -> int:
    # As far beyond what needs a tag as any other: for those, int() would take its time, or refuse.
    return int(digits) if len(digits) < 20 else 10**20


_WRITER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_READER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_int=_number, parse_constant=lambda _: inf)
