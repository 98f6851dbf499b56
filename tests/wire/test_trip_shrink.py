"""The smallest value: from whatever value, by whatever fault, always the same, and never a larger one."""

import enum
import time
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.model import MISSING
from shadowmig.wire.roundtrip._edits import DROP, Rename, cost, default, edited, parts
from shadowmig.wire.roundtrip._shrink import Shrinker
from shadowmig.wire.roundtrip._simpler import simpler, weight, zero
from shadowmig.wire.values import Instant

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LOCAL = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 - one without a zone
LOCAL2 = datetime(2000, 1, 1, 0, 0, 0, 1)  # noqa: DTZ001 - one without a zone
HOUR = timedelta(hours=1)


class Color(enum.Enum):
    """An enum."""

    RED = 1
    BLUE = 2


class Mix(enum.Flag):
    """A flag whose members can be put together."""

    A = 1
    B = 2


@dataclass(frozen=True)
class Item:
    """A dataclass."""

    name: str
    count: int = 1
    tags: list = field(default_factory=list)
    made: int = field(default=0, init=False)


@attrs.frozen
class Box:
    """A class of attrs."""

    items: list
    color: Color = Color.RED
    self_made: int = attrs.field(default=attrs.Factory(lambda self: len(self.items), takes_self=True))
    _hidden: int = attrs.field(factory=lambda: 3)


def smallest(value, shows, path="$", rounds=1_000):
    """Shrink by a test; give the value and how many batches were asked for."""
    shrinker = Shrinker(value, path)
    asked = 0
    while values := shrinker.propose():
        asked += 1
        assert asked < rounds
        assert all(cost(each) < cost(shrinker.value) for each in values)
        shrinker.learn([shows(each) for each in values])
    assert shrinker.done
    return shrinker.value, asked


def holds(test):
    """Whether any part of a value passes a test."""

    def shows(value):
        return test(value) or any(shows(each) for _, each in parts(value))

    return shows


@pytest.mark.parametrize(
    ("value", "test", "expected"),
    [
        ({"a": [1, {"b": 99}], "c": "text"}, lambda x: type(x) is int and x > 10, {"b": 11}),
        ([5, [6, [7, "x" * 50]]], lambda x: type(x) is str and len(x) >= 7, ["aaaaaaa"]),
        ({"a": {"b": {"c": None}}}, lambda x: x is None, {"c": None}),
        (Item("long name", 7, ["a", "b"]), lambda x: x == "b", Item("", 0, ["b"])),
        (
            Box([1, 2, Item("x", 50)], Color.BLUE, 9, 8),
            lambda x: type(x) is Item and x.count > 20,
            Box([Item("", 21)], Color.RED, 0, 0),
        ),
        ({"t": LOCAL.replace(microsecond=9)}, lambda x: type(x) is datetime and x.microsecond % 1000, {"t": LOCAL2}),
        ({"d": date(1212, 5, 6)}, lambda x: type(x) is date and x.year < 1700, {"d": date(1600, 1, 1)}),
        ({"d": timedelta(days=5)}, lambda x: type(x) is timedelta and x >= HOUR, {"d": HOUR}),
        ({"d": Decimal("12345.678")}, lambda x: type(x) is Decimal and x > 1000, {"d": Decimal(1234)}),
        ({"c": clock(5, 6)}, lambda x: type(x) is clock, {"c": clock()}),
        ({"c": Color.BLUE}, lambda x: type(x) is Color, {"c": Color.RED}),
        ({"i": Instant(FIRST, 123)}, lambda x: type(x) is Instant and x.nanos >= 100, {"i": Instant(FIRST, 100)}),
        ({"u": UUID(int=5)}, lambda x: type(x) is UUID, {"u": UUID(int=0)}),
        ({"s": {1, 2}}, lambda x: type(x) is set, {"s": set()}),
        ((1, 2, (3, 4)), lambda x: x == 3, (3,)),
        ({"n": -12345}, lambda x: type(x) is int and x < -100, {"n": -101}),
        ({"n": 1.0e300}, lambda x: type(x) is float and x > 1e200, {"n": 1e300}),
        ({"b": b"some\xfftext"}, lambda x: type(x) is bytes and b"\xff" in x, {"b": b"\xff"}),
        ({"\u00e9 a": 5}, lambda x: type(x) is dict and "\u00e9" in str(x), {"\u00e9": 0}),
    ],
)  # fmt: skip
def test_smallest(value, test, expected):
    """The smallest value is found, of whatever kind it is, by few questions."""
    found, asked = smallest(value, holds(test))
    assert (found, type(found)) == (expected, type(value))
    assert asked < 60


def test_many_independent_parts():
    """Parts that can be made simpler each by itself are made so together."""
    value = {f"k{number}": 1000 + number for number in range(30)}
    found, asked = smallest(value, lambda each: each.keys() == value.keys() and min(each.values()) >= 7)
    assert set(found.values()) == {7}
    assert asked < 150


def test_path_leads():
    """What is not on the way to the fault is left out at once, however much it is."""
    value = {
        "noise": list(range(5_000)),
        "deep": [{"x": 1}, {"at": "<", "y": 2}],
        "more": {str(n): n for n in range(2_000)},
    }
    shrinker = Shrinker(value, "$.deep[1].at")
    assert shrinker.propose()[0] == {"deep": [{"at": "<"}]}


@pytest.mark.parametrize("path", ["$.nowhere", "$[<object>]", "$..a", "$.a[5].b"])
def test_path_that_leads_nowhere(path):
    """A path that leads nowhere does no harm."""
    assert smallest({"a": [50, 2]}, holds(lambda x: type(x) is int and x > 9), path)[0] == {"a": 10}


def test_time_is_kept():
    """When time is up nothing more is proposed, and the value stays."""
    shrinker = Shrinker({"a": 50}, "$.a")
    assert shrinker.propose(time.monotonic() - 1) == []
    assert not shrinker.done
    assert shrinker.value == {"a": 50}


def test_rounds_are_bounded(monkeypatch):
    """After many rounds it ends, and says that it gave up."""
    monkeypatch.setattr("shadowmig.wire.roundtrip._shrink._ROUNDS", 3)
    shrinker = Shrinker({"a": [50] * 9}, "$")
    while values := shrinker.propose():
        shrinker.learn([each == values[-1] for each in values])
    assert shrinker.done
    assert shrinker.gave_up


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=15,
    ),
    st.integers(0, 3),
)
def test_always_ends_with_what_shows(value, modulus):
    """From whatever value, it ends, deterministically, with a value that is no larger and shows the fault."""

    def shows(each):
        return len(repr(each)) % 4 == modulus

    if shows(value):
        found, _ = smallest(value, shows, rounds=5_000)
        assert shows(found)
        assert cost(found) <= cost(value)
        assert repr(smallest(value, shows, rounds=5_000)[0]) == repr(found)


SINGLE = [
    None, True, False, 0, -5, 2**70, 0.0, -0.0, 1.5, float("nan"), float("-inf"), 1e308, "", "abc", "\ud800",
    "2024-05-06T07:08:09.123+02:00", b"", b"abc", FIRST.replace(microsecond=5), LOCAL.replace(year=1),
    date(1, 1, 1), clock(1), timedelta(-1), Decimal("NaN"), Decimal("1E+500"), Decimal("-1.5"), Color.BLUE,
    Mix.A | Mix.B, UUID(int=9), Instant(datetime(2024, 1, 1, tzinfo=UTC), 5), {1},
    frozenset({1}), object, MISSING, range(3),
]  # fmt: skip


@pytest.mark.parametrize("value", SINGLE, ids=repr)
def test_simpler_values(value):
    """What is tried in place of a single value is of its kind, and what is no simpler is known by its cost."""
    for each in simpler(value):
        assert type(each) is type(value)
    assert weight(zero(value)) <= weight(value) or isinstance(value, Instant)
    assert isinstance(cost(value)[2], int)


def test_edits():
    """Parts are put in place, left out and renamed along their paths; the rest stays as it is."""
    value = {"a": [1, {"b": 2}], "c": (3, 4)}
    assert edited(value, {("a", 1, "b"): 9, ("c", 0): DROP}) == {"a": [1, {"b": 9}], "c": (4,)}
    assert edited(value, {("a",): Rename("z")}) == {"z": [1, {"b": 2}], "c": (3, 4)}
    assert value == {"a": [1, {"b": 2}], "c": (3, 4)}
    assert edited(Box([1]), {("_hidden",): 5}) == Box([1], hidden=5)
    with pytest.raises(KeyError):
        edited(value, {("a",): Rename("c")})
    with pytest.raises(TypeError):
        edited(Item("x"), {("name",): DROP})


def test_defaults():
    """Defaults of fields are known, where they can be told."""
    box, item = Box([1]), Item("x")
    assert (default(box, "color"), default(box, "_hidden")) == (Color.RED, 3)
    assert default(box, "items") is DROP
    assert default(box, "self_made") is DROP
    assert (default(item, "count"), default(item, "tags")) == (1, [])
    assert default(item, "name") is DROP


def test_other_tuples_are_left_alone():
    """A named tuple is a single value."""
    pair = namedtuple("pair", "a b")(1, 2)
    assert parts(pair) == []
    assert zero(pair) is pair
