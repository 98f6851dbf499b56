"""
Adversarial pairs with what must come out: every option, alone and combined.

A case is ``(name, control, candidate, options, expected paths)``, optionally with the paths that are ignored. No path
means equal. Every case is also run with its sides swapped.
"""

from __future__ import annotations

import collections
import enum
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from shadowmig.compare import Tolerance


class Case(NamedTuple):
    """One pair."""

    name: str
    control: Any
    candidate: Any
    options: dict[str, Any]
    paths: list[str]
    ignored: list[str] | None = None


class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


class Word(str, enum.Enum):  # noqa: UP042 - the older spelling is what services have
    A = "a"


class Text(str):
    pass


class Point(NamedTuple):
    x: int
    y: int


NAN = float("nan")
NAIVE = datetime.fromisoformat("2026-01-01T00:00:00")
CET = timezone(timedelta(hours=1))
INDIA = timezone(timedelta(hours=5, minutes=30))


def _tagged(text: str) -> Text:
    tagged = Text(text)
    tagged.tag = 1  # type: ignore[attr-defined]  # the point of the class
    return tagged


def _at(precision: str = "ns") -> dict[str, Any]:
    return {"timestamps": {"paths": ["$.t"], "precision": precision}}


def _t(name: str, a: Any, b: Any, equal: bool, **options: Any) -> Case:
    return Case(f"timestamps-{name}", {"t": a}, {"t": b}, {**_at(), **options}, [] if equal else ["$.t"])


def _keyed(name: str, a: list[Any], b: list[Any], paths: list[str], ignored: Any = None, **options: Any) -> Case:
    return Case(f"keyed-{name}", {"c": a}, {"c": b}, {"unordered": {"$.c": "id"}, **options}, paths, ignored)


def _html(name: str, a: Any, b: Any, equal: bool, **options: Any) -> Case:
    where = {"html_unescape": ["$.b"], **options}
    return Case(f"html-{name}", {"b": a}, {"b": b}, where, [] if equal else ["$.b"])


def _base64(name: str, a: Any, b: Any, equal: bool, **options: Any) -> Case:
    return Case(f"base64-{name}", {"v": a}, {"v": b}, {"base64": ["$.v"], **options}, [] if equal else ["$.v"])


def _numeric(name: str, a: Any, b: Any, equal: bool, **options: Any) -> Case:
    where = {"numeric_strings": ["$.id"], **options}
    return Case(f"numeric-{name}", {"id": a}, {"id": b}, where, [] if equal else ["$.id"])


def _zero(name: str, value: Any, equal: bool) -> Case:
    return Case(f"zero-{name}", {"a": value, "k": 1}, {"k": 1}, {"missing_is_zero": True}, [] if equal else ["$.a"])


def _one(name: str, a: Any, b: Any, equal: bool, **options: Any) -> Case:
    return Case(name, [a], [b], options, [] if equal else ["$[0]"])


VALUE = {"numbers": "value"}

CASES: list[Case] = [
    # numbers
    _one("nan", NAN, float("nan"), True),
    _one("minus-zero", 0.0, -0.0, False),
    _one("minus-zero-same", 0.0, -0.0, True, signed_zero="same"),
    _one("minus-zero-decimal-same", Decimal("-0"), Decimal(0), True, signed_zero="same"),
    _one("minus-zero-complex", complex(0, -0.0), 0j, False),
    _one("complex-nan", complex(NAN, 1), complex(NAN, 1), True),
    _one("decimal-nan", Decimal("NaN"), Decimal("NaN"), True),
    _one("decimal-signalling-nan", Decimal("sNaN"), Decimal("sNaN"), True),
    _one("decimal-nan-kinds", Decimal("sNaN"), Decimal("NaN"), False),
    _one("decimal-nan-kinds-by-value", Decimal("sNaN"), Decimal("NaN"), False, **VALUE),
    _one("nan-by-value", Decimal("NaN"), NAN, True, **VALUE),
    _one("fraction-by-value", Fraction(1, 2), 0.5, True, **VALUE),
    _one("fraction-decimal-by-value", Fraction(1, 2), Decimal("0.50"), True, **VALUE),
    _one("complex-by-value", 1 + 0j, 1, True, **VALUE),
    _one("complex-by-value-imaginary", 1 + 1j, 1, False, **VALUE),
    _one("int-beside-float-by-value", 2**53 + 1, float(2**53), False, **VALUE),
    _one("decimal-is-not-float-by-value", 0.1, Decimal("0.1"), False, **VALUE),
    _one("huge-decimal-by-value", Decimal("1e999999"), 10.0, False, **VALUE),
    _one("huge-decimal-itself-by-value", Decimal("1e999999"), Decimal("10e999998"), True, **VALUE),
    _one("bool-by-value", True, 1, False, **VALUE),
    _one("int-enum", Colour.RED, 1, False),
    _one("int-enum-by-value", Colour.RED, 1, True, **VALUE),
    _one("enum-members", Colour.RED, Colour.BLUE, False),
    _one("long-ints", 10**5000, 10**5000 + 1, False),
    _one("infinities", math.inf, -math.inf, False),
    _one("denormal", 5e-324, 0.0, False),
    # tolerance
    _one("tolerance-ints", 1, 2, False, tolerance=5),
    _one("tolerance-floats", 1.0, 2.0, True, tolerance=5),
    _one("tolerance-types-stay", 1, 1.5, False, tolerance=5),
    _one("tolerance-int-float-by-value", 1, 1.5, True, tolerance=5, **VALUE),
    _one("tolerance-ints-by-value", 1, 2, False, tolerance=5, **VALUE),
    _one("tolerance-bool-by-value", True, 1.0, False, tolerance=1, **VALUE),
    _one("tolerance-nan", NAN, float("nan"), True, tolerance=1),
    _one("tolerance-nan-number", NAN, 1.0, False, tolerance=1),
    _one("tolerance-infinity", math.inf, 1.0, False, tolerance=Tolerance(rel=1)),
    _one("tolerance-same-infinity", math.inf, math.inf, True, tolerance=1),
    _one("tolerance-huge-int", 10**5000, 1.0, False, tolerance=1, **VALUE),
    _one("tolerance-huge-negative-int", -(10**5000), 1.0, False, tolerance=1, **VALUE),
    _one("tolerance-signalling-nan", Decimal("sNaN"), 1.0, False, tolerance=1, **VALUE),
    _one("tolerance-decimal-float", Decimal("1.0"), 1.05, True, tolerance=0.1, **VALUE),
    _one("tolerance-complex", 1 + 1j, 1.05 + 1.05j, True, tolerance=0.1),
    _one("tolerance-relative", 1000.0, 1000.5, True, tolerance=Tolerance(rel=1e-3)),
    _one("tolerance-minus-zero", 0.0, -0.0, True, tolerance=0.1),
    Case("tolerance-at-path", {"a": 1.0, "b": 1.0}, {"a": 1.05, "b": 1.05}, {"tolerance": {"$.a": 0.1}}, ["$.b"]),
    Case(
        "tolerance-later-wins",
        {"a": 1.0},
        {"a": 1.05},
        {"tolerance": {"$.*": 0.001, "$.a": Tolerance(abs=0.1)}},
        [],
    ),
    # numeric strings
    _numeric("int", 5, "5", True),
    _numeric("negative", -7, "-7", True),
    _numeric("zero", 0, "0", True),
    _numeric("leading-zero", 5, "05", False),
    _numeric("plus", 5, "+5", False),
    _numeric("fraction", 5, "5.0", False),
    _numeric("minus-zero", 0, "-0", False),
    _numeric("space", 5, " 5", False),
    _numeric("bool", True, "1", False),
    _numeric("arabic-digit", 5, "٥", False),  # noqa: RUF001 - the digit is the point
    _numeric("long", 10**5000, "1" + "0" * 5000, True),
    _numeric("two-texts", "5", "05", False),
    _numeric("float", 5.0, "5", False),
    _numeric("float-by-value", 5.0, "5", True, **VALUE),
    _numeric("float-near-by-value", 5.05, "5", True, tolerance=0.1, **VALUE),
    _numeric("float-far-by-value", 5.5, "5", False, tolerance=0.1, **VALUE),
    # null, missing, empty, zero
    Case("null-missing", {"a": None}, {}, {"missing_is_null": True}, []),
    Case("null-missing-at-path", {"a": None, "b": None}, {}, {"missing_is_null": ["$.a"]}, ["$.b"]),
    Case("null-missing-list", [None], [], {"missing_is_null": True}, ["$"]),
    Case("null-missing-empty", {"a": []}, {}, {"missing_is_null": True}, ["$.a"]),
    Case("null-missing-and-empty", {"a": []}, {}, {"missing_is_null": True, "empty_is_null": True}, []),
    Case("null-empty-list", {"a": None}, {"a": []}, {"empty_is_null": True}, []),
    Case("null-empty-dict", {"a": None}, {"a": {}}, {"empty_is_null": True}, []),
    Case("null-empty-not-each-other", {"a": []}, {"a": {}}, {"empty_is_null": True}, ["$.a"]),
    Case("null-empty-slot", [None], [[]], {"empty_is_null": True}, ["$[0]"]),
    Case("null-empty-root", None, {}, {"empty_is_null": True}, ["$"]),
    Case("null-empty-text", {"a": None}, {"a": ""}, {"empty_is_null": True}, ["$.a"]),
    *(
        _zero(name, value, True)
        for name, value in {
            "int": 0, "float": 0.0, "minus": -0.0, "text": "", "bool": False, "list": [], "dict": {}, "null": None,
            "bytes": b"", "decimal": Decimal(0), "fraction": Fraction(0), "struct": {"b": 0, "c": {"d": ""}},
        }.items()
    ),
    *(
        _zero(name, value, False)
        for name, value in {
            "digit": "0", "slot": [0], "true": True, "one": 1, "space": " ", "full": {"b": 1}, "object": timedelta(0),
        }.items()
    ),
    Case("zero-present-kinds", {"a": 0}, {"a": None}, {"missing_is_zero": True}, ["$.a"]),
    Case("zero-list-slots", [0], [], {"missing_is_zero": True}, ["$"]),
    Case("zero-nested", {"x": {"a": 0}}, {"x": {}}, {"missing_is_zero": True}, []),
    # timestamps
    _t("offset", "2026-11-22T10:45:16Z", "2026-11-22T16:15:16+05:30", True),
    _t("us", "2026-11-22T10:45:16.123456789Z", "2026-11-22T10:45:16.123456Z", True, **_at("us")),
    _t("ms", "2026-11-22T10:45:16.123999Z", "2026-11-22T10:45:16.123Z", True, **_at("ms")),
    _t("s", "2026-11-22T10:45:16.999Z", "2026-11-22T10:45:16Z", True, **_at("s")),
    _t("before-1970", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z", True, **_at("s")),
    _t("ten-digits", "2026-11-22T10:45:16.9999999999Z", "2026-11-22T10:45:16.999999999Z", True),
    _t("one-nanosecond", "2026-11-22T10:45:16.000000001Z", "2026-11-22T10:45:16Z", False),
    _t("year-1", "0001-01-01T00:00:00Z", "0001-01-01T05:30:00+05:30", True),
    _t("year-1-before", "0001-01-01T00:00:00+05:30", "0001-01-01T00:00:00Z", False),
    _t("year-9999", "9999-12-31T23:59:59Z", "9999-12-31T18:59:59-05:00", True),
    _t("leap-second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", False),
    _t("leap-second-zone", "2016-12-31T23:59:60Z", "2016-12-31T18:59:60-05:00", True),
    _t("no-such-day", "2026-02-30T00:00:00Z", "2026-03-02T00:00:00Z", False),
    _t("no-such-hour", "2026-02-03T24:00:00Z", "2026-02-04T00:00:00Z", False),
    _t("postgres", "2026-11-22 10:45:16+00", "2026-11-22T10:45:16z", True),
    _t("naive-aware", "2026-11-22T10:45:16", "2026-11-22T10:45:16Z", False),
    _t("naive", "2026-11-22T10:45:16", "2026-11-22T10:45:16.000", True),
    _t("no-time", "2026-01-01", "2026-01-01T00:00:00", False),
    _t("not-a-time", "x", "y", False),
    _t("epoch", 1, 1.0, False),
    _t("object-text", datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z", True),
    _t("object-naive-text", NAIVE, "2026-01-01T00:00:00", True),
    _t("object-naive-aware-text", NAIVE, "2026-01-01T00:00:00Z", False),
    _t("objects", datetime(2026, 1, 1, 1, tzinfo=CET), datetime(2026, 1, 1, tzinfo=UTC), True),
    Case(
        "timestamps-precision-by-path",
        {"a": "2026-01-01T00:00:00.1Z", "b": "2026-01-01T00:00:00.1Z"},
        {"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:00:00Z"},
        {"timestamps": {"$.a": "s", "$.b": "ns"}},
        ["$.b"],
    ),
    # datetimes
    _one("zones", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 5, 30, tzinfo=INDIA), False),
    _one(
        "zones-instant", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 5, 30, tzinfo=INDIA), True,
        datetimes="instant",
    ),
    _one("naive-instant", datetime(2026, 1, 1, tzinfo=UTC), NAIVE, False, datetimes="instant"),
    _one("naive-both-instant", NAIVE, NAIVE + timedelta(1), False, datetimes="instant"),
    _one("datetime-date", NAIVE, date(2026, 1, 1), False),
    _one("time-zone", time(1, tzinfo=UTC), time(1), False),
    _one("timedelta", timedelta(1), timedelta(hours=24), True),
    _one("uuid", uuid.UUID(int=1), uuid.UUID(int=2), False),
    # text
    _html("entity", "a &lt; b", "a < b", True),
    _html("twice", "&amp;lt;", "<", False),
    _html("double-escape-bug", "&amp;lt;", "&lt;", False),
    _html("spellings", "&#x27;", "&#39;", True),
    _html("unknown", "&nosuch;", "&nosuch", False),
    _html("bytes", b"&lt;", "<", True, text_bytes="utf8"),
    _html("nfc", "caf&eacute;", "cafe\u0301", True, unicode="NFC"),
    _html("number", "&#50;", 2, True, numeric_strings=["$.b"]),
    _base64("plain", b"abc", "YWJj", True),
    _base64("newline", b"abc", "YWJj\n", False),
    _base64("no-padding", b"a", "YQ", False),
    _base64("padding", b"a", "YQ==", True),
    _base64("empty", b"", "", True),
    _base64("texts", "YQ==", "YR==", False),
    _base64("bytes", b"a", b"b", False),
    _base64("as-text", b"abc", "abc", False),
    _base64("as-text-allowed", b"abc", "abc", True, text_bytes="utf8"),
    _base64("either", b"abc", "YWJj", True, text_bytes="utf8"),
    _base64("bytearray", bytearray(b"a"), "YQ==", True),
    _base64("bytearray-bytes", bytearray(b"a"), b"a", False),
    _base64("not-utf8", b"\xff", "\xff", False, text_bytes="utf8"),
    Case("text-bytes", {"s": b"abc"}, {"s": "abc"}, {"text_bytes": "utf8"}, []),
    Case("text-bytes-latin", {"s": b"\xff"}, {"s": "\xff"}, {"text_bytes": "utf8"}, ["$.s"]),
    Case("text-bytes-keys", {b"k": 1}, {"k": 1}, {"text_bytes": "utf8"}, []),
    Case("bytes-keys", {b"k": 1}, {"k": 1}, {}, ["$[b'k']", "$.k"]),
    _one("bytearray", bytearray(b"a"), b"a", False, text_bytes="utf8"),
    _one("memoryview", memoryview(b"a"), memoryview(b"a"), True),
    Case("nfc-keys", {"caf\u00e9": 1}, {"cafe\u0301": 1}, {"unicode": "NFC"}, []),
    Case("value-keys", {1: 2, 2: 3}, {1.0: 2, 2.0: 4}, VALUE, ["$[2]"]),
    Case("bool-keys-by-value", {True: 2}, {1: 2}, VALUE, ["$[True]", "$[1]"]),
    _one("surrogate", "\ud800", "\ufffd", False),
    _one("subclass", Text("a"), "a", False),
    _one("subclass-same", Text("a"), Text("a"), True),
    Case("subclass-state", [_tagged("a")], [Text("a")], {}, ["$[0].tag"]),
    Case("enum-key", {Word.A: 1}, {"a": 1}, {}, ["$[<Word.A: 'a'>]", "$.a"]),
    # types of containers
    _one("sequences", (1, 2), [1, 2], True, sequences="any"),
    _one("sequences-deque", collections.deque([1]), [1], True, sequences="any"),
    _one("sequences-named", Point(1, 2), [1, 2], True, sequences="any"),
    _one("sequences-text", "ab", ["a", "b"], False, sequences="any"),
    _one("sequences-set", {1}, [1], False, sequences="any"),
    _one("named-tuple", Point(1, 2), (1, 2), False),
    Case("named-field", [Point(1, 2)], [Point(1, 3)], {}, ["$[0].y"]),
    Case("deque", [collections.deque([1])], [collections.deque([2])], {}, ["$[0][0]"]),
    Case("sequences-inside", [(1, 2)], [[1, 3]], {"sequences": "any"}, ["$[0][1]"]),
    _one("dict-types", collections.OrderedDict(a=1), {"a": 1}, True, dict_types="any"),
    _one("ordered-dict", collections.OrderedDict(a=1), {"a": 1}, False),
    _one("ordered-dict-order", collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), False),
    _one(
        "ordered-dict-any", collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), True,
        dict_types="any",
    ),
    _one("counter", collections.Counter("ab"), collections.Counter("ba"), True),
    _one("default-dict", collections.defaultdict(int, a=1), collections.defaultdict(list, a=1), True),
    _one("set-types", {1}, {True}, False),
    _one("set-by-value", {1}, {1.0}, True, **VALUE),
    _one("frozenset", frozenset({(1, 2)}), frozenset({(1, 2)}), True),
    _one("frozenset-set", {1}, frozenset({1}), False),
    _one("set-sizes", {1, 2}, {1}, False),
    # order
    Case("order", [1, 2, 3], [1, 3, 2], {}, ["$"]),
    Case("order-inside", [[1, 2], [3, 4]], [[2, 1], [3, 4]], {}, ["$[0]"]),
    Case("order-outside", [[1, 2], [3, 4]], [[3, 4], [1, 2]], {}, ["$"]),
    Case("order-dicts", {"x": [{"id": 1}, {"id": 2}]}, {"x": [{"id": 2}, {"id": 1}]}, {}, ["$.x"]),
    Case("order-and-change", [1, 2, 3], [2, 1, 4], {}, ["$[0]", "$[1]", "$[2]"]),
    Case("order-bools", [True, 1], [1, True], {}, ["$"]),
    Case("order-tolerant", [1.0, 2.0], [2.01, 1.01], {"tolerance": 0.1}, ["$"]),
    Case("length", [1, 2], [1], {}, ["$"]),
    # unordered
    Case("multiset", [1, 1, 2], [2, 1, 1], {"unordered": ["$"]}, []),
    Case("multiset-counts", [1, 1, 2], [2, 2, 1], {"unordered": ["$"]}, ["$"]),
    Case("multiset-types", [1, True], [1, 1], {"unordered": ["$"]}, ["$"]),
    Case("multiset-tolerance", [0.0, 1.0], [1.05, 0.05], {"unordered": ["$"], "tolerance": 0.1}, []),
    Case("multiset-tolerance-chain", [0.0, 1.0], [1.0, 2.0], {"unordered": ["$"], "tolerance": 1.0}, []),
    Case(
        "multiset-tolerance-augments",
        [{"a": 1.0}, {"a": 0.0}, {"a": 2.0}],
        [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}],
        {"unordered": ["$"], "tolerance": 1.0},
        [],
    ),
    Case(
        "multiset-tolerance-none",
        [{"a": 0.0}, {"a": 1.0}],
        [{"a": 1.5}, {"a": 2.5}],
        {"unordered": ["$"], "tolerance": 1.0},
        ["$"],
    ),
    Case(
        "multiset-ignore",
        [{"id": 1, "ts": 5}, {"id": 2, "ts": 6}],
        [{"id": 2, "ts": 7}, {"id": 1, "ts": 5}],
        {"unordered": ["$"], "ignore": ["$[*].ts"]},
        [],
        ["$[1].ts"],
    ),
    Case("multiset-nested", [[1, 2], [3]], [[3], [2, 1]], {"unordered": ["$", "$[*]"]}, []),
    Case("multiset-not-nested", [[1, 2], [3]], [[3], [2, 1]], {"unordered": ["$"]}, ["$"]),
    Case("multiset-null", [{"a": None}, {"b": 1}], [{"b": 1}, {}], {"unordered": ["$"], "missing_is_null": True}, []),
    Case(
        "multiset-empty", [{"a": None}, {"b": 1}], [{"b": 1}, {"a": []}],
        {"unordered": ["$"], "empty_is_null": True}, [],
    ),
    Case("multiset-zero", [{"a": 0}, {"b": 1}], [{"b": 1}, {}], {"unordered": ["$"], "missing_is_zero": True}, []),
    Case("multiset-base64", [{"v": b"a"}, 1], [1, {"v": "YQ=="}], {"unordered": ["$"], "base64": ["$[*].v"]}, []),
    Case("multiset-sequences", [(1,), 1], [1, [1]], {"unordered": ["$"], "sequences": "any"}, []),
    Case("multiset-normalize", ["B", "a"], ["A", "b"], {"unordered": ["$"], "normalize": {"$[*]": str.lower}}, []),
    Case(
        "multiset-timestamps", [{"t": "2026-01-01T00:00:00Z"}, {}], [{}, {"t": "2026-01-01T01:00:00+01:00"}],
        {"unordered": ["$"], "timestamps": ["$[*].t"]}, [],
    ),
    Case(
        "multiset-mask", [{"id": "a", "n": 1}, {"id": "b", "n": 2}], [{"id": "c", "n": 2}, {"id": "d", "n": 1}],
        {"unordered": ["$"], "mask": {"$[*].id": "nonempty-string"}}, [],
    ),
    Case(
        "multiset-objects", [Point(1, 2), Fraction(1, 2), collections.OrderedDict(a=1)],
        [collections.OrderedDict(a=1), Point(1, 2), Fraction(1, 2)], {"unordered": True}, [],
    ),
    Case("everywhere", [["b", "a"], {"x": [2, 1]}], [{"x": [1, 2]}, ["a", "b"]], {"unordered": True}, []),
    _keyed("duplicates", [{"id": 1, "b": "x"}, {"id": 1, "b": "y"}], [{"id": 1, "b": "y"}, {"id": 1, "b": "x"}],
           ["$.c[id=1].b"]),
    _keyed("duplicate-missing", [{"id": 1}, {"id": 1}], [{"id": 1}], ["$.c[id=1]"]),
    _keyed("no-field", [{"b": 1}], [{"b": 2}], ["$.c[0].b"]),
    _keyed("no-field-moved", [{"b": 1}, {"id": 1}], [{"id": 1}, {"b": 1}], []),
    _keyed("types", [{"id": 1}], [{"id": "1"}], ["$.c[id=1]", "$.c[id='1']"]),
    _keyed("numeric", [{"id": 1}], [{"id": "1"}], [], numeric_strings=["$.c[*].id"]),
    _keyed("by-value", [{"id": 1.0}], [{"id": 1}], [], **VALUE),
    _keyed("tolerance", [{"id": 1.0}, {"id": 5.0}], [{"id": 5.0}, {"id": 1.0}], [], tolerance=0.1),
    _keyed("texts", [{"id": "a"}], [{"id": "b"}], ["$.c[id=a]", "$.c[id=b]"]),
    _keyed("quoted", [{"id": "a b"}], [], ["$.c[id='a b']"]),
    _keyed("null", [{"id": None}], [], ["$.c[id=None]"]),
    _keyed("scalars", [1, 2], [2, 1], ["$.c[0]", "$.c[1]"]),
    _keyed(
        "ignore-one", [{"id": 1, "x": 1}, {"id": 2, "x": 1}], [{"id": 2, "x": 2}, {"id": 1, "x": 2}],
        ["$.c[id=1].x"], ["$.c[id=2].x"], ignore=["$.c[id=2].x"],
    ),
    Case(
        "field-rule-in-order",
        {"c": [{"id": 1, "x": 1}, {"id": 2, "x": 1}]},
        {"c": [{"id": 1, "x": 2}, {"id": 2, "x": 2}]},
        {"ignore": ["$.c[id=2].x"]},
        ["$.c[0].x"],
        ["$.c[1].x"],
    ),
    Case(
        "keyed-dotted",
        {"c": [{"d": {"id": 1}}, {"d": {"id": 2}}]},
        {"c": [{"d": {"id": 2}}, {"d": {"id": 3}}]},
        {"unordered": {"$.c": "d.id"}},
        ["$.c[d.id=1]", "$.c[d.id=3]"],
    ),
    Case(
        "keyed-inside-multiset",
        {"c": [{"id": 1, "r": [{"id": 5}, {"id": 6}]}, {"id": 2, "r": []}]},
        {"c": [{"id": 2, "r": []}, {"id": 1, "r": [{"id": 6}, {"id": 5}]}]},
        {"unordered": {"$.c": None, "$.c[*].r": "id"}},
        [],
    ),
    # masks and relations
    Case("mask", {"a": "x", "b": 1}, {"a": "y", "b": 1}, {"mask": {"$.a": "nonempty-string"}}, []),
    Case("mask-both-wrong", {"a": ""}, {"a": ""}, {"mask": {"$.a": "nonempty-string"}}, ["$.a"]),
    Case("mask-one-wrong", {"a": "x"}, {"a": None}, {"mask": {"$.a": "nonempty-string"}}, ["$.a"]),
    Case("mask-missing", {"a": "x"}, {}, {"mask": {"$.a": "nonempty-string"}}, ["$.a"]),
    Case(
        "mask-timestamp", {"a": "2026-01-01T00:00:00Z"}, {"a": NAIVE},
        {"mask": {"$.a": "timestamp"}}, [],
    ),
    Case("mask-deep", {"a": {"b": [""]}}, {"a": {"b": [""]}}, {"mask": {"$..b[*]": "nonempty-string"}}, ["$.a.b[0]"]),
    Case("mask-uuid", [str(uuid.UUID(int=1))], [str(uuid.UUID(int=2))], {"mask": {"$[0]": "uuid"}}, []),
    Case("mask-not-uuid", ["x"], ["x"], {"mask": {"$[0]": "uuid"}}, ["$[0]"]),
    Case("mask-callable", {"a": 5}, {"a": 6}, {"mask": {"$.a": lambda value: value > 0}}, []),
    Case("mask-raises", {"a": 5}, {"a": "6"}, {"mask": {"$.a": lambda value: value > 0}}, ["$.a"]),
    Case("mask-type", {"a": 5}, {"a": True}, {"mask": {"$.a": int}}, ["$.a"]),
    Case("mask-ignored", {"a": ""}, {"a": "x"}, {"mask": {"$.a": "string"}, "ignore": ["$.a"]}, [], ["$.a"]),
    Case(
        "relation", {"a": 1, "b": 1}, {"a": 2, "b": 2}, {"mask": {"$.*": int}, "relations": ["$.a == $.b"]}, []
    ),
    Case(
        "relation-broken", {"a": 1, "b": 1}, {"a": 2, "b": 3},
        {"mask": {"$.*": int}, "relations": ["$.a == $.b"]}, ["$.a"],
    ),
    Case(
        "relation-on-neither", {"a": 1, "b": 2}, {"a": 2, "b": 3},
        {"ignore": ["$.*"], "relations": ["$.a == $.b"]}, [],
    ),
    Case("relation-order", {"a": 1, "b": 2}, {"a": 3, "b": 2}, {"ignore": ["$.*"], "relations": "$.a <= $.b"}, ["$.a"]),
    Case(
        "relation-many", {"x": [{"id": 1}], "y": [1]}, {"x": [{"id": 2}], "y": [1]},
        {"ignore": ["$..*"], "relations": ["$.x[*].id == $.y[*]"]}, ["$.x[*].id"],
    ),
    Case(
        "relation-by-value", {"a": 1, "b": 1.0}, {"a": 2, "b": 2.0},
        {"ignore": ["$.*"], "relations": ["$.a != $.b"], **VALUE}, [],
    ),
    # only, ignore
    Case("only", {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 1, "c": 2}, {"only": ["$.a"]}, ["$.a"], ["$.c"]),
    Case("only-above", {"a": {"b": 1}}, {"a": [1]}, {"only": ["$.a.b"]}, ["$.a"]),
    Case("only-beside", {"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, {"only": ["$.a.b"]}, [], ["$.a.c"]),
    Case("only-and-ignore", {"a": {"b": 1}}, {"a": {"b": 2}}, {"only": ["$.a"], "ignore": ["$.a.b"]}, [], ["$.a.b"]),
    Case("ignore-missing", {"a": 1}, {}, {"ignore": ["$.a"]}, [], ["$.a"]),
    Case("ignore-root", [1], [2], {"ignore": "$"}, [], ["$[0]"]),
    Case("ignore-below", {"a": {"x": [1]}}, {"a": {"x": [2]}}, {"ignore": ["$.a"]}, [], ["$.a.x[0]"]),
    Case("ignore-true-key", {True: 1}, {True: 2}, {"ignore": ["$[True]"]}, [], ["$[True]"]),
    Case("ignore-other-key", {1: 1}, {1: 2}, {"ignore": ["$[True]"]}, ["$[1]"], []),
    Case("ignore-int-key", {1: 1}, {1: 2}, {"ignore": ["$[1]"]}, [], ["$[1]"]),
    Case("ignore-nan-key", {NAN: 1}, {NAN: 2}, {"ignore": ["$[nan]"]}, [], ["$[nan]"]),
    Case("ignore-last", [0, 1], [0, 2], {"ignore": ["$[-1]"]}, [], ["$[1]"]),
    Case("ignore-enum-key", {Word.A: 1}, {Word.A: 2}, {"ignore": ["$.a"]}, [], ["$[<Word.A: 'a'>]"]),
    Case("ignore-quoted", {"a b": 1}, {"a b": 2}, {"ignore": ['$["a b"]']}, [], ["$['a b']"]),
    Case(
        "ignore-in-moved", [{"id": 1, "t": 1}, {"id": 2, "t": 2}], [{"id": 2, "t": 3}, {"id": 1, "t": 4}],
        {"ignore": ["$[*].t"]}, ["$"],
    ),
    Case(
        "ignore-is-not-order", [{"id": 1, "t": 1}, {"id": 2, "t": 2}], [{"id": 1, "t": 2}, {"id": 2, "t": 1}],
        {"ignore": ["$[*].t"]}, [], ["$[0].t", "$[1].t"],
    ),
    # text that is JSON, normalizers
    Case("json-text", '{"a":1, "b":[]}', b'{"b":[],"a":1}', {"json_text": ["$"]}, []),
    Case("json-text-path", '{"a":1}', '{"a":2}', {"json_text": ["$"]}, ["$.a"]),
    Case("json-text-broken", '{"a":1}', '{"a":', {"json_text": ["$"]}, ["$"]),
    Case(
        "json-text-duplicates", {"j": '{"a":1,"a":2}'}, {"j": '{"a":1,"a":2}'},
        {"json_text": ["$.j"], "duplicate_keys": "reject"}, ["$.j.a"],
    ),
    Case(
        "json-text-rules", {"j": b'{"t":"2026-01-01T00:00:00Z"}'}, {"j": '{"t":"2026-01-01T01:00:00+01:00"}'},
        {"json_text": ["$.j"], "timestamps": ["$.j.t"]}, [],
    ),
    Case("normalize", {"a": "B "}, {"a": "b"}, {"normalize": {"$.a": [str.lower, str.strip]}}, []),
    Case("normalize-list", {"a": [3, 1]}, {"a": [1, 3]}, {"normalize": {"$.a": sorted}}, []),
    # objects
    _one("opaque", object(), object(), False),
    _one("functions", lambda: 1, lambda: 1, False),
    _one("range", range(3), range(3), True),
    Case("exceptions", [ValueError("a")], [ValueError("b")], {}, ["$[0].args[0]"]),
]  # fmt: skip
