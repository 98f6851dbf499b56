"""The values at which languages, their libraries and their stores differ; every table starts with the simplest."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

# Ends of integers of every width, of what a float holds exactly, and of the short forms of MessagePack and protobuf.
_ENDS = (2**5, 2**7, 2**8, 2**15, 2**16, 2**24, 2**31, 2**32, 2**53, 2**63, 2**64)
INTEGERS: Final = (
    0,
    1,
    -1,
    *(sign * (end + step) for end in _ENDS for step in (-1, 0, 1) for sign in (1, -1)),
    *(10**power for power in (3, 15, 16, 17, 18, 21)),
)

FLOATS: Final = (
    0.0,
    1.0,
    -0.0,
    -1.0,
    0.1,
    0.1 + 0.2,
    1 / 3,
    2.5,  # a tie: rounds to even, or away from zero
    100.0,
    1e16,  # Python's repr changes to exponents here
    1e21,  # and JavaScript's and Go's here
    999999999999999900000.0,
    1e-5,
    1e-6,
    1e-7,
    1e23,  # a shortest spelling that some printers miss
    float(2**24 + 1),  # no float of 32 bits
    16777216.0,
    float(2**31),
    float(2**53),
    float(2**53 + 2),
    float(2**63),
    float(2**64),
    3.4028234663852886e38,  # the largest float of 32 bits, and what is above it
    3.5e38,
    1.1754943508222875e-38,
    1.401298464324817e-45,
    5e-324,  # the smallest of all, and the largest denormal
    2.225073858507201e-308,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    1e308,
    123456789.125,
    1.1,
    -273.15,
)

TEXTS: Final = (
    "",
    " ",
    "a ",
    " a",
    "\n",
    "a\r\nb",
    "\t",
    "\u00a0",
    "\x00",
    "a\x00b",
    "\x7f",
    "\x1b[0m",
    "\x85",
    "null",
    "None",
    "true",
    "True",
    "false",
    "NaN",
    "Infinity",
    "undefined",
    "0",
    "1",
    "-0",
    "01",
    "1.0",
    "1e3",
    "1_000",
    "\u0661\u0662",  # digits to Python's int()
    "9007199254740993",
    "18446744073709551616",
    "1970-01-01T00:00:00Z",
    "<",
    ">",
    "&",
    "<>&",
    "<b>bold</b>",
    "</script>",
    "&amp;",
    "&lt;",
    "&amp;lt;",
    "&#39;",
    "&nbsp;",
    "'",
    '"',
    "\\",
    "\\u0041",
    "\\n",
    "/",
    "\u2028",
    "a\u2029b",
    "\ufeff",
    "\ufeffbom",
    "\ufffd",
    "\uffff",
    "\u00e9",  # the same letter composed and decomposed
    "e\u0301",
    "caf\u00e9",
    "cafe\u0301",
    "\u212b",  # another way to write the next
    "\u00c5",
    "\ufb01",
    "\u00c3\u00a9",  # UTF-8 that was read as Latin-1
    "stra\u00dfe",
    "\u1e9e",
    "I",
    "i",
    "\u0130",  # the Turkish ones
    "\u0131",
    "\u01c5",
    "\u0301",
    "o\u0308\u0323",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202eabc",
    "\u200b",
    "\u200d",
    "\U0001f600",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea",
    "\U0010ffff",
    "\U00010000",
    "%s",
    "%00",
    "${a}",
    "{}",
    "[]",
    "a,b;c",
    "=1+1",
    "id",
    "ID",
    "Id",
    *("a" * size for size in (31, 32, 127, 128, 255, 256)),
)
SURROGATES: Final = ("\ud800", "\udfff", "a\ud83d", "\udc00b", "\ud83d\ude00", "\ude00\ud83d")

KEYS: Final = (
    "a",
    "",
    "1",
    "01",
    "-0",
    "0",
    "1.0",
    "true",
    "null",
    "id",
    "ID",
    "Id",
    "a b",
    "a.b",
    "$ref",
    "__proto__",
    "constructor",
    "__class__",
    "\u00e9",
    "e\u0301",
    "i",
    "\u0131",
    "<&>",
    "\u2028",
    "\x00",
    "\U0001f600",
)

BINARIES: Final = (
    b"",
    b"a",
    b"\x00",
    b"a\x00b",
    b"\xff",
    b"\x80",
    b"\xc3\x28",  # no UTF-8, and what only looks like it: overlong, a surrogate, cut
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xe2\x82",
    b"null",
    b"true",
    b"1",
    b'{"a":1}',
    b"hello",
    b"<&>",
    "\u00e9".encode(),
    "\u00e9".encode("latin-1"),
    b"\xef\xbb\xbfbom",
    b"\xff\xfea\x00",
    b"\x80\x04N.",
    b"x\x9c\x03\x00\x00\x00\x00\x01",
    b"\x1f\x8b",
    b"aGVsbG8=",
    b"-_-_",
    b"\xfb\xff\xfe",  # in base64 with + and /, or - and _
    b"\r\n",
    b" ",
    *(b"a" * size for size in (31, 32, 255, 256)),
)


DECIMALS: Final = tuple(
    Decimal(text)
    for text in (
        "0 1 1.1 1.10 1.100 -0 0.00 -0.0 1E+2 100 1E-7 0E-10 1E+21 0.1 0.3 1E+400 1E-400 -273.15 9007199254740993"
        " 18446744073709551616 3.14159265358979323846264338327950288 12345678901234567890.12345678901234567890"
    ).split()
)
DECIMALS_NOT_FINITE: Final = (Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"))

UUIDS: Final = tuple(
    UUID(text)
    for text in (
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "c232ab00-9414-11ec-b3c8-9f6bdeced846",  # versions 1, 4 and 7, and one of Microsoft's
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "a0a0a0a0-b1b1-c2c2-d3d3-e4e4e4e4e4e4",
    )
)


UNKNOWN_NAMES: Final = ("addedLater", "added_later", "__proto__", "$schema", "_", "0", "")


def in_other_case(names: Sequence[str]) -> tuple[str, ...]:
    """Give names as other languages spell them: readers that ignore case take them for the known ones."""
    found: dict[str, Any] = {}
    for name in names:
        words = name.split("_")
        camel = words[0] + "".join(word.capitalize() for word in words[1:])
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        found |= dict.fromkeys((name.upper(), name.capitalize(), camel, snake, camel[:1].upper() + camel[1:]))
    return tuple(name for name in found if name not in names)
