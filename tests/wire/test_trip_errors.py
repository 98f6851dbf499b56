"""Errors get their names from their own words, in several languages, and from the smallest value."""

import enum
import math
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal

import attrs
import pytest

from shadowmig.model import MISSING, Difference
from shadowmig.wire.roundtrip._classes import CLASSES, name_differences
from shadowmig.wire.roundtrip._errors import RULES, name_error
from shadowmig.wire.roundtrip._features import Feature, features
from shadowmig.wire.roundtrip._shown import shown
from shadowmig.wire.roundtrip._times import moment
from shadowmig.wire.values import Instant

TIME = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "value", "name"),
    [
        (
            "json: cannot unmarshal number 3000000000 into Go struct field T.a of type int32",
            3_000_000_000,
            "integer overflows 32 bits",
        ),
        (
            "json: cannot unmarshal number 9223372036854775808 into Go value of type int64",
            2**63,
            "integer overflows 64 bits",
        ),
        ("OverflowError: int too big to convert", 2**64, "integer overflows 64 bits"),
        ("json: cannot unmarshal number -1 into Go value of type uint8", -1, "negative integer refused"),
        ("json: cannot unmarshal number 300 into Go value of type int8", 300, "number out of range"),
        ("json: cannot unmarshal number 1.5 into Go value of type int", 1.5, "fraction refused"),
        ("RangeError: unsafe", 2**53 + 1, "integer above 2**53 refused"),
        ("json: cannot unmarshal string into Go value of type int", "a", "wrong type refused"),
        ("ValueError: invalid literal for int() with base 10: 'a'", "a", "wrong type refused"),
        ("exceeded max depth", [], "nesting refused"),
        ("RecursionError: maximum recursion depth exceeded", [], "nesting refused"),
        ("a key is there twice", {}, "duplicate key"),
        ("whatever", "a\ud800", "lone surrogate refused"),
        ("json: unsupported value: NaN", math.nan, "NaN or infinity refused"),
        ('json: unknown field "b"', {"b": 1}, "unknown field refused"),
        ("TypeError: __init__() got an unexpected keyword argument 'b'", {"b": 1}, "unknown field refused"),
        ("KeyError: 'id'", {}, "missing field refused"),
        ("ValueError: 'x' is not a valid Color", "x", "unknown enum value refused"),
        ("Time.MarshalJSON: year outside of range [0,9999]", datetime(9999, 12, 31, tzinfo=UTC), "year out of range"),
        ("parsing time: cannot parse", TIME, "time refused"),
        ("whatever", Instant(TIME, 7), "time refused"),
        ("whatever", {1: 2}, "key refused"),
        ("A string literal cannot contain NUL", "a\0b", "NUL refused"),
        ("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff", "x", "bytes are no UTF-8"),
        ("message too long", "x" * 2000, "too long refused"),
        ("whatever", "x" * 2000, "too long refused"),
        ("whatever", b"x", "bytes refused"),
        ("whatever", Decimal("1.5"), "decimal refused"),
        ("NoneType found", None, "null refused"),
        ("whatever", None, "null refused"),
        ("unexpected EOF", "x", "bytes cut"),
        ("must not be empty", "", "empty value refused"),
        ("invalid character 'x' looking for beginning of value", "x", "bytes of another format"),
        ("no", "x", "unreadable"),
    ],
)
def test_name_of_an_error(error, value, name):
    """An error has the name that its words and the value give it."""
    assert name_error(error, {"at": value} if not isinstance(value, dict) else value, fallback="unreadable") == name


def test_rules_name_classes():
    """Each rule gives a name that is explained."""
    assert {rule.name for rule in RULES} <= CLASSES.keys()


class Color(enum.Enum):
    """An enum."""

    RED = 1


class Strange:
    """It says that it has a length, and has none."""

    def __len__(self):
        raise RuntimeError("never")


@pytest.mark.parametrize(
    ("value", "has"),
    [
        ({"a": [True, 1, -1, 1.0]}, Feature.NUMBER | Feature.NEGATIVE),
        (2**31, Feature.NUMBER | Feature.OVER31),
        (2**63, Feature.NUMBER | Feature.OVER31 | Feature.OVER53 | Feature.OVER63),
        (date(1, 1, 1), Feature.TIME | Feature.YEAR),
        ("2000-01-01T00:00:00Z", Feature.TIME),
        ("0001-01-01T00:00:00Z", Feature.TIME | Feature.YEAR),
        ([[]], Feature.EMPTY),
        ([0] * 1001, Feature.LONG | Feature.NUMBER),
        (Strange(), Feature.NONE),
        (set(), Feature.EMPTY),
    ],
)
def test_features(value, has):
    """What is strange in a value is found."""
    assert features(value) == has


def test_features_of_deep_values():
    """Depth is a feature, and is no danger."""
    value = "x"
    for _ in range(30_000):
        value = [value]
    assert Feature.DEEP in features(value)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2000-01-01T00:00:00Z", 0),
        ("2000-01-01T00:00:00+02:00", 120),
        ("2000-01-01T00:00:00-0130", -90),
        ("2000-01-01T00:00:00", None),
    ],
)
def test_offset_of_text(text, offset):
    """The offset of a time in text is known."""
    assert moment(text).offset == offset


@pytest.mark.parametrize("value", ["2000-99-01T00:00:00Z", "12345678901", "x", 5, None, date(2000, 1, 1)])
def test_no_moment(value):
    """What names no point in time is none."""
    assert moment(value) is None


def names(data, *found):
    """Name differences of a comparator."""
    return [each.name for each in name_differences(found, data)]


def test_who_dropped_a_field():
    """The bytes tell whether the writer or the reader dropped a field, if they hold names."""
    gone = Difference("$.b", "missing", 5, MISSING)
    assert names(b'{"a":1,"b":5}', gone) == ["unknown field dropped"]
    assert names(b'{"a":1}', gone) == ["field not written"]
    assert names(b"\x08\x01", gone) == ["field dropped"]
    assert names(b"\x81\xa1a", gone, Difference("$.a", "changed", 1, 2)) == ["field not written", "number changed"]
    assert names(b"", Difference("$[<object>]", "missing", 5, MISSING)) == ["field dropped"]


def test_elements_of_lists():
    """An element that a comparator says is missing is one of a list."""
    assert names(b"", Difference("$.a[2]", "missing", 5, MISSING)) == ["list element dropped"]
    assert names(b"", Difference("$.a[2]", "unexpected", MISSING, 5)) == ["list element appeared"]


def test_numbered_keys():
    """A number may be a key of a map: the value tells."""
    gone = Difference("$.a[2]", "missing", 5, MISSING)
    assert [each.name for each in name_differences([gone], b"", {"a": {2: 5}})] == ["field dropped"]
    assert [each.name for each in name_differences([gone], b"", {"a": [1, 2, 5]})] == ["list element dropped"]


def test_order():
    """An order is one of a list or of a map."""
    assert names(b"", Difference("$.a", "order", [1, 2], [2, 1])) == ["list reordered"]
    assert names(b"", Difference("$.a", "order", OrderedDict(a=1), OrderedDict(a=1))) == ["map reordered"]


def test_keys_are_paired_with_care():
    """Two fields are one under another name only if the names say so."""
    gone, come = Difference("$.a", "missing", 5, MISSING), Difference("$.b", "unexpected", MISSING, 5)
    assert sorted(names(b"{}", gone, come)) == ["field appeared", "field not written"]
    odd = Difference("$[<object>]", "unexpected", MISSING, 5)
    assert sorted(names(b"{}", gone, odd)) == ["field appeared", "field not written"]
    other = Difference("$.x[1]", "missing", 5, MISSING), Difference("$.y['1']", "unexpected", MISSING, 5)
    assert "integer key became text" not in names(b"{}", *other)
    index = Difference("$[1]", "unexpected", MISSING, 5)
    assert "text key became integer" not in names(b"{}", gone, index)


class Ugly:
    """It has no text."""

    def __repr__(self):
        raise RuntimeError("never")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MISSING, "<missing>"),
        ("x" * 300, "'xxxxxxxxxxxxxxxxxxxx'\u2026 (300 in all)"),
        ([[[[[[[1]]]]]]], "[[[[[[\u2026]]]]]]"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, \u2026 8 more]"),
        (2**9999, "<int of 10000 bits>"),
        ({1: "a\x1b"}, "{1: 'a\\x1b'}"),
        (Ugly(), "<Ugly>"),
        (b"\x00", "b'\\x00'"),
    ],
)
def test_shown(value, text):
    """Values are shown short and printable."""
    assert shown(value) == text


@attrs.frozen
class Model:
    """A model with fields that say nothing."""

    a: int = 0
    b: object = None
    c: str = ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Model(), "Model(\u2026)"),
        (Model(5, None, "x"), "Model(a=5, c='x', \u2026)"),
        (Model(5, [1], "x"), "Model(a=5, b=[1], c='x')"),
        (
            attrs.make_class("Wide", [f"f{n}" for n in range(20)])(*range(1, 21)),
            "Wide(" + ", ".join(f"f{n}={n + 1}" for n in range(12)) + ", \u2026 8 more)",
        ),
        (Model(b=Color.RED), "Model(\u2026)"),
        (Model(b=Ugly()), "Model(\u2026)"),
    ],
)
def test_models_shown(value, text):
    """Of a model the fields that have something to say are shown."""
    assert shown(value) == text
