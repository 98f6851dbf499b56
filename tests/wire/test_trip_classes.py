"""Every class of faults is found by its name, in a language that makes just that mistake, with its smallest value."""

import json
import math
import pickle
import re
import struct
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from shadowmig.wire.roundtrip import CLASSES, Outcome, RoundTrip
from shadowmig.wire.values import Instant

T0 = datetime(2000, 1, 1, tzinfo=UTC)
BUSY = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))


def deep(value, change):
    """Change each single value of a value, containers that it is told about included."""
    new = change(value)
    if new is not value:
        return new
    if isinstance(value, dict):
        return {key: deep(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [deep(each, change) for each in value]
    return value


def of(kind, change):
    """Make a mistake with the values of one type."""
    return lambda value: deep(value, lambda each: change(each) if type(each) is kind else each)


def drop(test):
    """Make the mistake of leaving members out."""

    def dropped(value):
        if isinstance(value, dict):
            return {key: dropped(each) for key, each in value.items() if not test(each)}
        return [dropped(each) for each in value] if isinstance(value, list) else value

    return dropped


def keys(change):
    """Make a mistake with keys."""

    def changed(value):
        if isinstance(value, dict):
            return {change(key): changed(each) for key, each in value.items()}
        return [changed(each) for each in value] if isinstance(value, list) else value

    return changed


def wrapped(bits):
    """Give the integer that a type of so many bits makes of one."""
    half = 1 << (bits - 1)
    return of(int, lambda n: (n + half) % (2 * half) - half)


def single(number):
    """Give the nearest float of 32 bits."""
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)


def trip(mistake, **options):
    """Let one side read as it was written, and another with a mistake."""
    readers = {"good": pickle.loads, "bad": lambda data: mistake(pickle.loads(data))}
    return RoundTrip({"good": pickle.dumps}, readers, **options)


NOISE = {"noise": [1, "x", {"more": None, "when": BUSY}], "flag": True, "text": "<b>"}

FOUND = [
    # name, mistake, value with it, the smallest one
    ("integer above 2**53 lost precision", of(int, lambda n: int(float(n))), 2**60 + 12345, 2**53 + 1),
    ("integer overflows 64 bits", wrapped(64), 2**70 + 99, 2**63),
    ("integer overflows 32 bits", wrapped(32), 2**40 + 99, 2**31),
    ("integer overflows 32 bits", of(int, lambda n: min(n, 2**31 - 1)), 2**33 + 7, 2**31),
    ("integer overflows 16 bits", wrapped(16), 70_000, 2**15),
    ("integer overflows 8 bits", wrapped(8), 300, 2**7),
    ("negative integer became unsigned", of(int, lambda n: n % 2**64), -77, -1),
    ("integer became float", of(int, float), 77, 0),
    ("integer became boolean", of(int, bool), 77, 0),
    ("boolean became integer", of(bool, int), True, False),
    ("boolean became text", of(bool, str), True, False),
    ("NaN or infinity became text", of(float, lambda x: x if math.isfinite(x) else str(x)), -math.inf, math.nan),
    ("NaN or infinity became null", of(float, lambda x: x if math.isfinite(x) else None), math.inf, math.nan),
    ("NaN or infinity changed", of(float, lambda x: min(x, 1.7976931348623157e308)), math.inf, math.inf),
    ("negative zero lost its sign", of(float, lambda x: x + 0.0), -0.0, -0.0),
    ("float became integer", of(float, lambda x: int(x) if x.is_integer() else x), 17.0, 0.0),
    ("float lost its fraction", of(float, lambda x: x if x.is_integer() else int(x)), 17.25, 0.5),
    ("denormal flushed", of(float, lambda x: 0.0 if abs(x) < 2e-308 else x), 3.3e-310, 5e-324),
    ("float overflows 32 bits", of(float, single), 4.5e200, 1e39),
    ("float lost precision (32 bits)", of(float, single), 123.456, 0.1),
    ("float lost precision", of(float, lambda x: float(f"{x:.6g}")), 1234567.0, 617283.5),
    ("decimal became float", of(Decimal, float), Decimal("12.50"), Decimal(0)),
    ("decimal became text", of(Decimal, str), Decimal("12.50"), Decimal(0)),
    ("decimal became integer", of(Decimal, int), Decimal("12.50"), Decimal(0)),
    ("decimal lost trailing zeros", of(Decimal, lambda x: x.normalize()), Decimal("12.50"), Decimal("0.0")),
    ("decimal lost precision", of(Decimal, lambda x: x.quantize(Decimal(1))), Decimal("12.25"), Decimal("0.1")),
    ("number became text", of(int, str), 77, 0),
    ("number changed", of(int, lambda n: n + 7), 77, 1),
    ("time became default", of(datetime, lambda t: datetime(1970, 1, 1, tzinfo=UTC)), BUSY, T0),
    (
        "year out of range",
        of(datetime, lambda t: t if t.year > 1900 else T0.replace(year=1754)),
        BUSY.replace(year=3),
        T0.replace(year=1600),
    ),
    ("time lost its zone", of(datetime, lambda t: t.replace(tzinfo=None)), BUSY, T0),
    (
        "time got a zone",
        of(datetime, lambda t: t.replace(tzinfo=UTC)),
        BUSY.replace(tzinfo=None),
        T0.replace(tzinfo=None),
    ),
    (
        "time changed its zone",
        of(datetime, lambda t: t.astimezone(UTC)),
        BUSY.astimezone(EAST),
        T0.replace(tzinfo=EAST),
    ),
    ("time lost nanoseconds", of(Instant, lambda t: t.at), Instant(BUSY, 77), Instant(T0, 1)),
    (
        "time lost microseconds",
        of(datetime, lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
        BUSY,
        T0.replace(microsecond=1),
    ),
    ("time lost its fraction", of(datetime, lambda t: t.replace(microsecond=0)), BUSY, T0.replace(microsecond=1000)),
    ("time moved by its zone", of(datetime, lambda t: t + timedelta(hours=2)), BUSY, T0),
    ("time moved", of(datetime, lambda t: t + timedelta(days=2)), BUSY, T0),
    ("time became text", of(datetime, str), BUSY, T0),
    ("time became number", of(datetime, datetime.timestamp), BUSY, T0),
    ("date became time", of(date, lambda d: datetime(d.year, d.month, d.day)), BUSY.date(), T0.date()),  # noqa: DTZ001 - just this is the mistake
    ("time became date", of(datetime, datetime.date), BUSY, T0),
    (
        "text split into surrogates",
        of(str, lambda s: s.replace("\U0001f600", "\ud83d\ude00")),
        "hi \U0001f600!",
        "\U0001f600",
    ),
    ("lone surrogate replaced", of(str, lambda s: s.replace("\ud800", "\ufffd")), "bad \ud800 half", "\ud800"),
    ("lone surrogate replaced", of(str, lambda s: s.replace("\ud800", "?")), "bad \ud800 half", "\ud800"),
    ("text replaced by U+FFFD", of(str, lambda s: s.replace("\xe9", "\ufffd\ufffd")), "caf\xe9 au lait", "\xe9"),
    ("text normalized", of(str, lambda s: s.replace("e\u0301", "\xe9")), "cafe\u0301 au lait", "e\u0301"),
    ("text encoded twice", of(str, json.dumps), "some text", ""),
    ("HTML escaped", of(str, lambda s: s.replace("<", "&lt;")), "a <b> c", "<"),
    ("HTML unescaped", of(str, lambda s: s.replace("&lt;", "<")), "a &lt;b", "&lt;"),
    ("NUL cut the text", of(str, lambda s: s.split("\0")[0]), "some\0text", "a\0"),
    ("control characters lost", of(str, lambda s: s.replace("\x07", "")), "some\x07text", "a\x07"),
    ("line ends changed", of(str, lambda s: s.replace("\r\n", "\n")), "one\r\ntwo", "\r\n"),
    ("characters above U+FFFF lost", of(str, lambda s: s.replace("\U0001f600", "?")), "so \U0001f600!", "\U0001f600"),
    ("text in the wrong encoding", of(str, lambda s: s.replace("\xe9", "\xc3\xa9")), "caf\xe9", "\xe9"),
    ("text stripped", of(str, str.strip), "  some text ", "a "),
    ("text truncated", of(str, lambda s: s[:20]), "word " * 100, "a" * 21),
    ("text became default", of(str, lambda s: ""), "some text", "a"),
    ("text changed its case", of(str, str.upper), "some text", "a"),
    ("unknown enum value became default", of(str, lambda s: s if s == "x" else "UNKNOWN"), "brand_new", "a"),
    ("text changed", of(str, lambda s: "#" + s), "some text", "a"),
    ("text became number", of(str, lambda s: int(s) if s.isdigit() else s), "123", "1"),
    ("text became boolean", of(str, lambda s: True if s == "yes" else s), "yes", "yes"),
    ("text became bytes", of(str, str.encode), "some text", ""),
    ("text became time", of(str, lambda s: BUSY if s[:4] == "2024" else s), "2024-01-01", "2024"),
    (
        "time spelled differently",
        of(str, lambda s: s.replace("+00:00", "Z")),
        "2024-05-06T07:08:09+00:00",
        "2000-01-01T00:00:00+00:00",
    ),
    ("bytes became text (base64)", of(bytes, lambda b: b64encode(b).decode()), b"some", b""),
    ("bytes became text (hex)", of(bytes, bytes.hex), b"some", b"\x00"),
    ("bytes became text", of(bytes, lambda b: b.decode("latin-1")), b"some", b"\x00"),
    ("bytes became list of numbers", of(bytes, list), b"some", b""),
    ("bytes truncated", of(bytes, lambda b: b[:3]), b"something", b"\x00" * 4),
    ("empty list became null", of(list, lambda x: x or None), [], []),
    ("empty list became missing", drop(lambda x: x == []), [], []),
    ("empty map became null", of(dict, lambda x: x or None), {}, {}),
    ("empty map became missing", drop(lambda x: x == {}), {}, {}),
    ("empty text became null", of(str, lambda x: x or None), "", ""),
    ("empty text became missing", drop(lambda x: x == ""), "", ""),
    ("empty bytes became null", of(bytes, lambda x: x or None), b"", b""),
    ("empty bytes became missing", drop(lambda x: x == b""), b"", b""),
    ("zero became null", of(int, lambda x: x or None), 0, 0),
    ("zero became missing", drop(lambda x: type(x) is int and not x), 0, 0),
    ("false became null", of(bool, lambda x: x or None), False, False),
    ("false became missing", drop(lambda x: x is False), False, False),
    ("null became missing", drop(lambda x: x is None), None, None),
    ("null became empty", of(type(None), lambda _: ""), None, None),
    ("null became default", of(type(None), lambda _: 0), None, None),
    ("zero became default", of(bool, lambda x: True), False, False),
    ("value became null", of(int, lambda _: None), 77, 1),
    ("value became default", of(int, lambda n: 0), 77, 1),
    ("list became map", of(list, lambda x: dict(enumerate(x))), [5, 6], []),
    (
        "map became list",
        lambda v: {**v, "at": list(v["at"].items())} if isinstance(v.get("at"), dict) else v,
        {"x": 9},
        {},
    ),
    ("list became its element", of(list, lambda x: x[0] if len(x) == 1 else x), [55], [0]),
    ("set became list", of(set, sorted), {5, 6}, set()),
    ("UUID became text", of(UUID, str), UUID(int=77), UUID(int=0)),
    ("wrong type", of(int, lambda n: [n]), 77, 0),
    ("value changed", of(timedelta, lambda t: t * 2), timedelta(hours=5), timedelta(microseconds=1)),
    ("list element dropped", of(list, lambda x: [each for each in x if each is not None]), [5, None], [None]),
    ("list element appeared", of(list, lambda x: [*x, 7]), [5], []),
    ("list reordered", of(list, lambda x: x[::-1]), [5, 6, 7], [1, 0]),
    ("integer key became text", keys(lambda k: str(k) if isinstance(k, int) else k), {77: 5}, {0: 0}),
    ("key became text", keys(lambda k: {True: "true", None: "null"}.get(k, k)), {None: 5}, {None: 0}),
    ("text key became integer", keys(lambda k: int(k) if k.isdigit() else k), {"77": 5}, {"7": 0}),
    ("field renamed", keys(lambda k: k.replace("_", "")), {"user_id": 5}, {"user_id": 0}),
    ("text normalized", keys(lambda k: k.replace("e\u0301", "\xe9")), {"cafe\u0301": 5}, {"e\u0301": 0}),
    ("unknown field dropped", lambda v: {key: each for key, each in v.items() if key != "at"}, 77, 1),
]


each_class = pytest.mark.parametrize(
    ("name", "mistake", "value", "smallest"), FOUND, ids=[f"{number}-{each[0]}" for number, each in enumerate(FOUND)]
)


@each_class
def test_class_is_found(name, mistake, value, smallest):
    """A mistake is found by its name in the cell of the reader that makes it, with the smallest value that shows it."""
    report = trip(mistake).check([{"at": value}], seconds=30)
    assert [(fault.writer, fault.reader, fault.name) for fault in report.faults] == [("good", "bad", name)]
    (fault,) = report.faults
    # A map in it can be the whole value.
    assert repr(fault.value) in (repr({"at": smallest}), repr(smallest))
    assert (repr(pickle.loads(fault.data)), fault.shrunk, fault.count) == (repr(fault.value), True, 1)
    assert fault.outcome is CLASSES[name].outcome
    assert [cell.counts[fault.outcome] for cell in report.cells] == [0, 1]
    assert fault.paths[0].startswith("$.at")


@each_class
def test_class_is_found_among_others(name, mistake, value, smallest):
    """What else is in the value is left out, in whatever depth the mistake is."""

    def only_there(given):
        inner = given["deep"][0]
        rest = {key: each for key, each in inner.items() if key != "at"}
        return {**given, "deep": [rest | mistake({"at": inner["at"]} if "at" in inner else {})]}

    report = trip(only_there).check([{**NOISE, "deep": [{**NOISE, "at": value}]}], seconds=30)
    assert [(fault.name, repr(fault.value)) for fault in report.faults] == [(name, repr({"deep": [{"at": smallest}]}))]


def test_good_side_has_no_faults():
    """What was written as it is has no faults, whatever the values are."""
    report = trip(lambda value: value).check([{"at": value} for _, _, value, _ in FOUND])
    assert report.ok
    assert [cell.counts[Outcome.IDENTICAL] for cell in report.cells] == [len(FOUND)] * 2


def test_names_are_many_and_explained():
    """There are more than a hundred names, each with its meaning, cause and remedy."""
    assert len(CLASSES) > 100
    for name, each in CLASSES.items():
        assert each.name == name
        for text in (each.meaning, each.cause, each.remedy):
            assert re.fullmatch(r"[A-Z`-].*\.", text)
    assert len({each.meaning for each in CLASSES.values()}) == len(CLASSES)
