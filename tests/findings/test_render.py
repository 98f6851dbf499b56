"""Rendering: one printable line of any value, capped, always."""

import collections
import enum
import pathlib
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.findings import render
from shadowmig.model import MISSING, Raised

VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())) | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.integers()),
)


class Color(enum.Enum):
    """A choice."""

    RED = "red"


class Point(collections.namedtuple("Point", "x y")):
    """A named tuple."""


class Slots:
    """An object with one slot filled and one not."""

    __slots__ = ("full", "hollow")

    def __init__(self):
        self.full = 1


class Bad:
    """An object whose repr raises what it was told to."""

    error = ValueError

    def __repr__(self):
        raise self.error("no")


class Worse(Bad):
    """Its repr wants to end the process."""

    error = SystemExit


class Liar:
    """An object that lies about its class, and fails when asked for more."""

    __class__ = dict


class Loud(str):
    """Text with methods that fail."""

    def __len__(self):
        raise RuntimeError

    def __getitem__(self, _):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


class Shy:
    """An object that refuses to show its attributes."""

    @property
    def __dict__(self):
        raise KeyboardInterrupt


@given(VALUES, st.integers(40, 600))
def test_printable_and_capped(value, limit):
    """The text is printable, encodes everywhere, and keeps the limit."""
    text = render(value, limit)
    assert text.isprintable()
    text.encode("utf-8")
    assert len(text) <= limit


@given(st.recursive(st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.tuples(inner, inner)))
def test_small_values_look_like_python(value):
    """A value that fits looks as Python writes it."""
    assert render(value, 100_000) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, None]}, "{'a': [1, None]}"),
        ((1,), "(1,)"),
        (set(), "set()"),
        ({2, 1}, "{1, 2}"),
        (collections.deque([1]), "deque([1])"),
        (types.MappingProxyType({1: 2}), "{1: 2}"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Slots(), "Slots(full=1)"),
        (Color.RED, "<Color.RED: 'red'>"),
        (int, "<class 'int'>"),
        (pathlib.PurePosixPath("/a"), "PurePosixPath('/a')"),
        (ValueError("x"), "ValueError(args=('x',))"),
        (Raised("builtins.KeyError", "a\nb"), "builtins.KeyError: a\\nb"),
        (MISSING, "<missing>"),
        ("\ud800\x1b[31m\u202e", "'\\ud800\\x1b[31m\\u202e'"),
        (bytearray(b"ab"), "b'ab'"),
        (1 << 100_000, "<int of 100001 bits>"),
        (Bad(), "<Bad whose repr raised ValueError>"),
        (Worse(), "<Worse whose repr raised SystemExit>"),
        (Shy(), "<Shy that could not be shown: KeyboardInterrupt>"),
        (Loud("x"), "'x'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shown(value, expected):
    """Each kind of value is shown in its own way."""
    assert render(value) == expected


def test_a_liar_is_not_believed():
    """The class is what it is, not what an object says."""
    assert "Liar object" in render(Liar())


@pytest.mark.parametrize("size", [600, 10_000])
def test_says_how_much_was_cut(size):
    """The number of characters left out is exact for text and for values small enough to count."""
    text = render("x" * size, 100)
    shown, _, note = text.partition("…+")
    assert len(shown) + int(note.removesuffix(" characters")) == size + 2
    text = render(["x"] * 1000, 100)
    shown, _, note = text.partition("…+")
    assert len(shown) + int(note.removesuffix(" characters")) == len(repr(["x"] * 1000))


def test_long_text_leaves_room_for_its_neighbours():
    """A long text in a dict is cut itself, and the fields after it are still seen."""
    assert render({"body": "x" * 9999, "id": 7}, 200).endswith("characters, 'id': 7}")


def test_huge_deep_and_cyclic_values_end():
    """Values without end, or nearly so, are cut off with a note."""
    assert render(range(10**9)) == "range(0, 1000000000)"
    assert render([0] * 10**7).endswith("characters or more")
    assert render("x" * 10**8, 100).endswith("characters")
    deep = cycle = []
    cycle.append(cycle)
    assert render(cycle) == "[<cycle>]"
    for _ in range(100_000):
        deep = [deep]
    assert "below 30 levels" in render(deep)


def test_sets_are_sorted():
    """Small sets look the same in every process; large ones are not worth the time."""
    assert render({"b", "a"}) == "{'a', 'b'}"
    assert render(set(range(1000))).startswith("{")


def test_little_stack_left():
    """When the caller has used up the stack, a note comes back instead of an error."""

    def down():
        try:
            return down()
        except RecursionError:
            return render([[[[[1]]]]])

    assert isinstance(down(), str)
