"""What happens to bytes between languages: names, and how each is recognised."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from shadowmig.wire.roundtrip._numbers import Leaf, silent


def _base64(want: Any, got: Any) -> bool:
    if type(want) not in (bytes, bytearray) or type(got) is not str:
        return False
    try:
        given = got.encode("ascii").rstrip(b"=")
    except UnicodeEncodeError:
        return False
    return given in (base64.b64encode(want).rstrip(b"="), base64.urlsafe_b64encode(want).rstrip(b"="))


BINARY: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "bytes became text (base64)",
            "Bytes came out as text in base64.",
            "The format has no bytes: Go's JSON writes them so.",
            "Decode when reading; the field's type must say so.",
        ),
        _base64,
    ),
    (
        silent(
            "bytes became text (hex)",
            "Bytes came out as hexadecimal text.",
            "The format has no bytes, or a database gave them as its text.",
            "Decode when reading; the field's type must say so.",
        ),
        lambda want, got: (
            type(want) is bytes
            and type(got) is str
            and got.lower().removeprefix("\\x").removeprefix("0x") == binascii.hexlify(want).decode()
        ),
    ),
    (
        silent(
            "bytes became text",
            "Bytes came out as text.",
            "The format does not tell them apart, as the old msgpack, or one side has text there.",
            "Use a format that does (`use_bin_type` for msgpack).",
        ),
        lambda want, got: type(want) is bytes and type(got) is str,
    ),
    (
        silent(
            "bytes became list of numbers",
            "Bytes came out as a list of the numbers 0 to 255.",
            "One side has a list or an array of numbers there.",
            "Use the type for bytes on both sides.",
        ),
        lambda want, got: type(want) is bytes and type(got) is list and list(want) == got,
    ),
    (
        silent(
            "bytes truncated",
            "The end of some bytes is gone.",
            "One side has a limit, or takes them for text that ends at a zero byte.",
            "Agree on the limit, and refuse what is longer.",
        ),
        lambda want, got: type(want) is bytes and type(got) is bytes and want.startswith(got),
    ),
)
