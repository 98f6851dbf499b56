"""What made one value of another: names that need no language to be planted, and values that resist being looked at."""

import time
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.compare import structural
from shadowmig.model import MISSING, Difference
from shadowmig.wire.roundtrip import Fault, RoundTrip
from shadowmig.wire.roundtrip._bytes import name_bytes
from shadowmig.wire.roundtrip._classes import CLASSES, name_differences
from shadowmig.wire.roundtrip._gather import Gather
from shadowmig.wire.roundtrip._judge import Judge, Remark, agree
from shadowmig.wire.roundtrip._matrix import Row
from shadowmig.wire.roundtrip._model import Cell, Outcome, RoundTripReport
from shadowmig.wire.roundtrip._text import text
from shadowmig.wire.values import plain

AT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


class Broken(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, _):
        raise RuntimeError("never")


class Rude:
    """It answers nothing."""

    def __bool__(self):
        raise RuntimeError("never")

    __eq__ = __hash__ = None


def name(want, got):
    """Name one difference at ``$.a``."""
    (found,) = name_differences([Difference("$.a", "changed", want, got)], b"{}")
    return found.name


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        (10**400, 1.0, "wrong type"),
        (10**400, 7, "number changed"),
        (2**53 + 1, 2**53, "integer above 2**53 lost precision"),
        (18014398509481991, 18014398509481990, "integer above 2**53 lost precision"),
        (2**60, float(2**60), "integer became float"),
        (1e300, 10**400, "wrong type"),
        (1e308, 5, "wrong type"),
        (5.0, "5", "number became text"),
        (5, "five", "wrong type"),
        (1, "1E+999999", "wrong type"),
        (5, False, "integer became boolean"),
        (True, 1.0, "boolean became integer"),
        (True, False, "value became default"),
        (False, True, "zero became default"),
        ("", "x", "zero became default"),
        (AT, AT.replace(tzinfo=Broken()), "value changed"),
        (AT, AT + timedelta(days=1), "time moved"),
        (AT, AT + timedelta(minutes=7), "time moved"),
        (AT, None, "value became null"),
        (AT.replace(year=1500), None, "year out of range"),
        (AT.replace(year=9000), AT.replace(year=9000, microsecond=0), "time lost its fraction"),
        (datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), "time lost microseconds"),
        ("2024-05-06T07:08:09.123456789Z", "2024-05-06T07:08:09.123456Z", "time lost nanoseconds"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09Z", "time changed its zone"),
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09", "time lost its zone"),
        ("a\ud800b\udc00", "a?b?", "lone surrogate replaced"),
        ("a\ud800", "", "text became default"),
        ("\ud83d\ude00", "\U0001f600", "text split into surrogates"),
        ("\x94", "", "text became default"),
        ("x" * 2_000_000, "y" * 2_000_000, "text changed"),
        ("caf\xc3\xa9", "caf\xe9", "text in the wrong encoding"),
        ("two words", "another thing", "text changed"),
        (b"x", "\xe9\u1234", "bytes became text"),
        (bytearray(b"x"), "eA==", "bytes became text (base64)"),
        (b"some", b"other", "value changed"),
        (Decimal("1.5"), Decimal("1.50"), "decimal lost trailing zeros"),
        (None, Rude(), "wrong type"),
        (MISSING, Rude(), "field appeared"),
        (MISSING, None, "missing became null"),
        (None, datetime(1, 1, 1, tzinfo=UTC), "null became default"),
        ([Rude()], [Rude(), 1], "list changed"),
        ([1, 2, 3], [7, 8], "list changed"),
        ([1, 2, 3], [1, 3], "list element dropped"),
        ([1], [1, 3], "list element appeared"),
        ([1], 1, "list became its element"),
        ({"a": 1}, None, "wrong type"),
    ],
)
def test_name_of_a_difference(want, got, expected):
    """A difference has the name that the two values give it."""
    assert name(want, got) == expected


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.decimals()
)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


@given(ANY, ANY | st.just(MISSING))
def test_every_difference_has_a_name(want, got):
    """Whatever the two values are, there is a name, and it is explained."""
    assert name(want, got) in CLASSES
    assert name(got, want) in CLASSES


def test_naming_is_quick_for_hostile_text():
    """Text that is made to take long is named in time."""
    start = time.monotonic()
    assert name("a\ud800" * 50_000, "a" * 70_000 + "b") == "text changed"
    assert name("&lt;" * 100_000, "b" * 300_000) == "text changed"
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((b"{}", 0), (b"{}", 1), "flags differ"),
        ((b"[1]" + b" " * 600_000, 0), (b"[1]" + b" " * 600_001, 0), "bytes differ"),
        ((b"[" * 100_000, 0), (b"[" * 99_999, 0), "bytes differ"),
        ((b"\xff", 0), (b"\xfe", 0), "bytes differ"),
        ((b"[1]", 0), (b"[2]", 0), "bytes differ"),
        ((b'["<"]', 0), (b'["\\u003C"]', 0), "HTML escaped (bytes only)"),
        ((b"[1.0]", 0), (b"[1]", 0), "numbers spelled differently (bytes only)"),
        ((b'{"a":1.0,"b":2}', 0), (b'{"b":2,"a":1}', 0), "numbers spelled differently (bytes only)"),
        ((b'{"a":1,"b":"<"}', 0), (b'{"b":"\\u003c", "a":1}', 0), "map reordered (bytes only)"),
        ((b"[NaN]", 0), (b"[ NaN]", 0), "white space differs (bytes only)"),
    ],
)
def test_name_of_bytes(one, other, expected):
    """What differs between bytes has a name."""
    assert name_bytes(one, other) == expected


def test_remarks_on_strange_values_do_not_agree(monkeypatch):
    """Remarks agree if they say the same; what cannot be compared does not."""
    remark = Remark("value changed", Outcome.DIFFERENT, "$.a", 1, 2)
    assert agree(remark, Remark("value changed", Outcome.DIFFERENT, "$.a", 5, 2))
    assert not agree(remark, Remark("value changed", Outcome.DIFFERENT, "$.a", 1, 3))
    assert not agree(remark, Remark("value changed", Outcome.DIFFERENT, "$.b", 1, 2))
    monkeypatch.setattr("shadowmig.wire.roundtrip._judge.STRICT", structural(max_nodes=10_000))
    many = [Remark("value changed", Outcome.DIFFERENT, got=[[n] for n in range(20_000)]) for _ in range(2)]
    assert not agree(*many)


def test_errors_without_end():
    """Errors that are all different fill no memory: those beyond a number are counted together."""
    gather = Gather([("a", "b", "")], "")
    words = [
        f"{chr(97 + one)}{chr(97 + two)}{chr(97 + three)} !"
        for one in range(8)
        for two in range(8)
        for three in range(8)
    ]
    for word in words:
        row = Row(1, 1, {"a": (b"1", 0)})
        row.verdicts["a", "b", ""] = Outcome.UNDECODABLE, (Remark("", Outcome.UNDECODABLE, error=word),)
        gather.add(row)
    assert len(gather.buckets) == 61
    (fault,) = gather.faults()
    assert (fault.name, fault.count) == ("unreadable", 512)


def test_judge_of_other_bytes():
    """The judge takes bytes from anywhere."""
    judge = Judge(
        lambda *, control, candidate: [] if control == candidate else [Difference("$", "changed", control, candidate)],
        plain,
    )
    assert judge.verdict(1, 1, (b"1", 0), (b"1", 0))[0] is Outcome.IDENTICAL
    assert judge.verdict(1, 2, (b"1", 0))[0] is Outcome.DIFFERENT
    assert judge.verdict([1], None, (b"1", 0))[1][0].name == "reads as a miss"


def test_text_of_a_large_report():
    """A report with very many faults is cut, and says by how much."""
    faults = [
        Fault(each, Outcome.DIFFERENT, f"w{n}", "r", meaning="M.", cause="C.", remedy="R.")
        for each in CLASSES
        for n in range(20)
    ]
    told = text(RoundTripReport((Cell("w", "r"),), tuple(faults), values=1))
    assert "    and 8 more cells" in told
    assert f"  and {len(CLASSES) - 60} more" in told
    assert text(RoundTripReport(())).startswith("0 values in 0 cells, 0.0 s, seed 0: could not be told")


def test_flags_are_shown():
    """Flags that are not 0 are shown with the bytes."""
    trip = RoundTrip({"a": lambda value: (b"x", 5)}, {"a": lambda data: 7})
    assert "b'x', flags 5" in str(trip.check([1]))
