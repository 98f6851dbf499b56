"""Every edge that the reference lists is really drawn: within a few thousand values, alone and with others."""

import enum
import math
import unicodedata
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NotRequired, TypedDict

import pytest

from shadowmig.wire.strategies import binaries, floats, integers, json_values, sample, texts, times, values_of
from shadowmig.wire.values import Instant

DRAWS = 6000


class Color(enum.Enum):
    """An enum as services have it."""

    RED = "red"
    BLUE = "blue"


class Posted(TypedDict):
    """A dict-like model."""

    id: int
    parent_id: int | None
    body: str
    color: Color
    likes: NotRequired[list[int]]
    by_id: dict[int, str]
    by_name: dict[str, bool | int]


SOURCES = {
    "integers": integers,
    "uint64": lambda: integers(bits=64, signed=False),
    "floats": floats,
    "singles": lambda: floats(bits=32),
    "texts": lambda: texts(surrogates=True),
    "utf8": texts,
    "binaries": binaries,
    "times": lambda: times(nanos=True, naive=True),
    "dates": lambda: values_of(date),
    "durations": lambda: values_of(timedelta),
    "decimals": lambda: values_of(Decimal),
    "uuids": lambda: values_of({"type": "string", "format": "uuid"}),
    "moments": lambda: values_of({"type": "string", "format": "date-time"}),
    "base64": lambda: values_of({"type": "string", "format": "byte"}),
    "json": json_values,
    "dicts": lambda: values_of(Posted, unknown_enums=True, unknown_fields=True),
}


@cache
def drawn(name):
    """Draw once for all edges of one kind."""
    return sample(SOURCES[name](), DRAWS, seed=7)


def depth_of(value):
    """Count how deep lists and dicts are nested."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def offset(moment):
    """Give the offset of a moment in minutes, or nothing."""
    found = moment.utcoffset() if isinstance(moment, datetime) else None
    return None if found is None else found / timedelta(minutes=1)


def micros(moment):
    """Give the microseconds of a moment; none of one that is finer."""
    return moment.microsecond if isinstance(moment, datetime) else 0


def year(number):
    """Look for a year."""
    return lambda moment: isinstance(moment, datetime) and moment.year == number


def keyed(*wanted):
    """Look for keys that are there together."""
    return lambda value: isinstance(value, dict) and all(key in value for key in wanted)


def near(power):
    """Look for a power of two, and for what is next to it."""
    return {f"2**{power}{step:+d}": (lambda value, end=2**power + step: value == end) for step in (-1, 0, 1)}


EDGES = {
    "integers": {
        **near(31),
        **near(32),
        **near(53),
        **near(63),
        **near(64),
        "-2**31-1": lambda value: value == -(2**31) - 1,
        "-2**53-1": lambda value: value == -(2**53) - 1,
        "-2**63": lambda value: value == -(2**63),
        "-2**63-1": lambda value: value == -(2**63) - 1,
        "zero": lambda value: value == 0,
        "minus one": lambda value: value == -1,
        "short forms": lambda value: value in {127, 128, 255, 256},
    },
    "uint64": {"its largest": lambda value: value == 2**64 - 1, "beyond int64": lambda value: value == 2**63},
    "floats": {
        "-0.0": lambda value: value == 0 and math.copysign(1, value) < 0,
        "NaN": math.isnan,
        "infinity": lambda value: value == math.inf,
        "minus infinity": lambda value: value == -math.inf,
        "smallest denormal": lambda value: value == 5e-324,
        "largest denormal": lambda value: value == 2.225073858507201e-308,
        "1e21": lambda value: value == 1e21,
        "1e-7": lambda value: value == 1e-7,
        "0.1+0.2": lambda value: value == 0.1 + 0.2,
        "whole": lambda value: value == 100.0,
        "2**53": lambda value: value == 2.0**53,
        "no float of 32 bits": lambda value: value == 2**24 + 1,
        "too large for 32 bits": lambda value: value == 3.5e38,
        "largest": lambda value: value == 1.7976931348623157e308,
        "a tie": lambda value: value == 2.5,
    },
    "singles": {
        "denormal": lambda value: value == 1.401298464324817e-45,
        "largest": lambda value: value == 3.4028234663852886e38,
        "0.1 of 32 bits": lambda value: value == 0.10000000149011612,
    },
    "texts": {
        "high surrogate": lambda value: "\ud800" in value,
        "low surrogate": lambda value: "\udc00" in value,
        "pair of surrogates": lambda value: "\ud83d\ude00" in value,
        "pair the wrong way": lambda value: "\ude00\ud83d" in value,
    },
    "utf8": {
        "empty": lambda value: value == "",
        "NFC": lambda value: value == "caf\u00e9",
        "NFD": lambda value: value == "cafe\u0301",
        "changed by NFC": lambda value: unicodedata.normalize("NFC", value) != value,
        "changed by NFKC": lambda value: "\ufb01" in value,
        "<>&": lambda value: "<>&" in value,
        "U+2028": lambda value: "\u2028" in value,
        "U+2029": lambda value: "\u2029" in value,
        "NUL": lambda value: "\x00" in value,
        "entity": lambda value: "&amp;" in value,
        "entity of an entity": lambda value: "&amp;lt;" in value,
        "BOM": lambda value: value.startswith("\ufeff"),
        "astral": lambda value: "\U0001f600" in value,
        "right to left": lambda value: "\u05e9" in value,
        "override of direction": lambda value: "\u202e" in value,
        "combining alone": lambda value: value == "\u0301",
        "joined emoji": lambda value: "\U0001f468\u200d\U0001f469" in value,
        "very long": lambda value: len(value) > 65536,
        "space at the end": lambda value: value != value.rstrip(" "),
        "space at the start": lambda value: value != value.lstrip(" "),
        "null": lambda value: value == "null",
        "true": lambda value: value == "true",
        "NaN": lambda value: value == "NaN",
        "numeric": lambda value: value == "9007199254740993",
        "leading zero": lambda value: value == "01",
        "digits of another script": lambda value: "\u0661" in value,
        "dotted I": lambda value: "\u0130" in value,
        "dotless i": lambda value: "\u0131" in value,
        "sharp s": lambda value: "\u00df" in value,
        "read as Latin-1": lambda value: "\u00c3\u00a9" in value,
        "names in other case": lambda value: value in {"ID", "Id"},
        "backslash": lambda value: value == "\\",
        "an escape, spelled": lambda value: "\\u0041" in value,
        "CR LF": lambda value: "\r\n" in value,
        "an edge inside other text": lambda value: "&amp;" in value and len(value) > 7,
    },
    "binaries": {
        "empty": lambda value: value == b"",
        "no UTF-8": lambda value: value == b"\xff",
        "overlong": lambda value: value == b"\xc0\x80",
        "a surrogate": lambda value: value == b"\xed\xa0\x80",
        "cut": lambda value: value == b"\xe2\x82",
        "looks like text": lambda value: value == b"hello",
        "looks like JSON": lambda value: value == b'{"a":1}',
        "looks like base64": lambda value: value == b"aGVsbG8=",
        "looks like a pickle": lambda value: value.startswith(b"\x80\x04"),
        "NUL": lambda value: value == b"\x00",
        "very long": lambda value: len(value) > 65536,
    },
    "times": {
        **{str(number): year(number) for number in (1, 1582, 1900, 1969, 1970, 2038, 9999)},
        "leap day": lambda value: isinstance(value, datetime) and (value.month, value.day) == (2, 29),
        "23:59:59.999999": lambda value: isinstance(value, datetime) and value.strftime("%T.%f") == "23:59:59.999999",
        "nanoseconds": lambda value: isinstance(value, Instant),
        "one nanosecond": lambda value: isinstance(value, Instant) and value.nanos == 1,
        "one microsecond": lambda value: isinstance(value, datetime) and value.microsecond == 1,
        "whole milliseconds": lambda value: micros(value) > 0 and micros(value) % 1000 == 0,
        "whole seconds": lambda value: isinstance(value, datetime) and value.microsecond == 0,
        "UTC": lambda value: isinstance(value, datetime) and value.tzinfo is UTC,
        "no zone": lambda value: isinstance(value, datetime) and value.tzinfo is None,
        "+05:45": lambda value: offset(value) == 345,
        "-03:30": lambda value: offset(value) == -210,
        "-00:01": lambda value: offset(value) == -1,
        "+14:00": lambda value: offset(value) == 840,
        "seconds in the offset": lambda value: (offset(value) or 0) % 1 != 0,
        "fold": lambda value: isinstance(value, datetime) and value.fold == 1,
        "end of 64 bits of nanoseconds": year(2262),
    },
    "dates": {
        "first": lambda value: value == date.min,
        "last": lambda value: value == date.max,
        "leap day": lambda value: value == date(2024, 2, 29),
        "days that never were": lambda value: value == date(1582, 10, 10),
    },
    "durations": {
        "none": lambda value: not value,
        "one microsecond back": lambda value: value == timedelta(microseconds=-1),
        "beyond 64 bits of nanoseconds": lambda value: value == timedelta(days=106752),
        "as long as protobuf allows": lambda value: value == timedelta(seconds=315576000000),
    },
    "decimals": {
        "a zero at the end": lambda value: str(value) == "1.10",
        "exponent": lambda value: str(value) == "1E+2",
        "minus zero": lambda value: str(value) == "-0",
        "beyond floats": lambda value: value == Decimal("1E+400"),
        "NaN": lambda value: value.is_nan(),
    },
    "uuids": {
        "lower": lambda value: value != value.upper(),
        "upper": lambda value: value != value.lower(),
        "nil": lambda value: uuid.UUID(value).int == 0,
    },
    "moments": {
        "Z": lambda value: value.endswith("Z"),
        "+00:00": lambda value: value.endswith("+00:00"),
        "-00:00": lambda value: value.endswith("-00:00"),
        "+05:45": lambda value: value.endswith("+05:45"),
        "nine digits": lambda value: len(value.partition(".")[2].rstrip("Z")) == 9,
        "no fraction": lambda value: "." not in value,
        "leap second": lambda value: ":60" in value,
        "year 1": lambda value: value.startswith("0001-"),
    },
    "base64": {"+ and /": lambda value: "+" in value and "/" in value, "padding": lambda value: value.endswith("==")},
    "json": {
        "empty list": lambda value: value == [],
        "empty dict": lambda value: value == {},
        "null": lambda value: value is None,
        "true": lambda value: value is True,
        "one": lambda value: value == 1 and type(value) is int,
        "list of one": lambda value: isinstance(value, list) and len(value) == 1,
        "duplicates": lambda value: isinstance(value, list) and len(value) == 2 and value[0] == value[1],
        "list of null": lambda value: value == [None],
        "deeply nested": lambda value: depth_of(value) >= 60,
        "empty key": keyed(""),
        "key like an int": keyed("1"),
        "key with a leading zero": keyed("01"),
        "key of minus zero": keyed("-0"),
        "key of a prototype": keyed("__proto__"),
        "several edges at once": lambda value: (
            isinstance(value, list) and len({"''", "-1", "-0.0", "None", "[]"}.intersection(map(repr, value))) > 1
        ),
    },
    "dicts": {
        "null": lambda value: value["parent_id"] is None,
        "missing": lambda value: "likes" not in value,
        "empty": lambda value: value.get("likes") == [],
        "17 items": lambda value: len(value.get("likes", ())) == 17,
        "duplicates": lambda value: len(set(value.get("likes", ()))) < len(value.get("likes", ())),
        "int keys": lambda value: -1 in value["by_id"],
        "bool as a value": lambda value: True in [each for each in value["by_name"].values() if type(each) is bool],
        "int beside bool": lambda value: {bool, int} <= {type(each) for each in value["by_name"].values()},
        "unknown enum value": lambda value: value["color"] == "red_LATER",
        "enum value in other case": lambda value: value["color"] == "RED",
        "member": lambda value: value["color"] is Color.RED,
        "unknown field": keyed("addedLater"),
        "field in other case": keyed("BODY", "body"),
        "field in another spelling": keyed("parentId"),
        "both kinds of unknown": lambda value: "Body" in value and not isinstance(value["color"], Color),
    },
}


@pytest.mark.parametrize(
    ("source", "edge"),
    [pytest.param(source, edge, id=f"{source}: {edge}") for source in EDGES for edge in EDGES[source]],
)
def test_edge_is_reached(source, edge):
    """Each edge is drawn within six thousand values."""
    assert any(EDGES[source][edge](value) for value in drawn(source))


@pytest.mark.parametrize("source", SOURCES)
def test_values_without_edges_are_drawn_too(source):
    """Most values of each kind come from no table, so they differ."""
    values = drawn(source)
    assert len(values) > DRAWS * 0.8
    assert len({repr(value) for value in values}) > len(values) * 0.9


def test_utf8_texts_have_no_surrogate():
    """Without the option each text can be written as UTF-8."""
    for value in drawn("utf8"):
        value.encode()


def test_moments_can_be_told_in_utc():
    """Each moment with a zone is one of the years 1 to 9999 in UTC."""
    for value in drawn("times"):
        moment = value.at if isinstance(value, Instant) else value
        assert moment.tzinfo is None or moment.astimezone(UTC)
