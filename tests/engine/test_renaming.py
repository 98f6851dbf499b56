"""Values that each side makes up itself are matched up to a consistent renaming."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.engine.renaming import Renaming, generated
from shadowmig.errors import ConfigError
from shadowmig.model import Ref

ROW = Ref("db", "row", "comments", (1,))
EVENT = Ref("events", "entry", "ev", ("e1",))
KEY = Ref("cache", "key", "", ("c:1",))


def renaming(*paths: str) -> Renaming:
    """Make a renaming of these places."""
    return Renaming(generated(paths))


# The option -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("$.id", {None, ROW, EVENT, KEY}),
        ("answer:$.id", {None}),
        ("db:$.id", {ROW}),
        ("db.comments:$.id", {ROW}),
        ("db.totals:$.id", set()),
        ("cache:$.id", {KEY}),
        ("events.ev:$.after.id", {EVENT}),
    ],
)
def test_places(text: str, covered: set[Ref | None]) -> None:
    """A path stands for all places, or for the answer, a store, or one of its tables or streams."""
    (place,) = generated([text])
    assert {ref for ref in (None, ROW, EVENT, KEY) if place.covers(ref)} == covered


@pytest.mark.parametrize(
    "given_",
    [
        "$.id",
        5,
        None,
        [5],
        ["id"],
        ["$..id"],
        ["answer:id"],
        ["db.comments:"],
        ["$.items[?(@.a == 1)]"],
        [None],
        [b"$"],
    ],
)
def test_wrong_places_are_refused(given_: Any) -> None:
    """What is no list of simple paths is refused by the option's name."""
    with pytest.raises(ConfigError) as caught:
        generated(given_)
    assert caught.value.field == "generated"


def test_no_places() -> None:
    """Nothing declared means nothing is replaced."""
    value = {"id": 5}
    assert generated(()) == ()
    assert renaming().apply({"id": 4}, value, None) is value


def test_a_store_with_a_dot_in_its_name() -> None:
    """A sister store may be named with a dot, and its places can be declared."""
    (place,) = generated(["pg.main.comments:$.id"])
    assert place.covers(Ref("pg.main", "row", "comments", (1,)))


# One value ------------------------------------------------------------------------------------------------------------


def test_a_made_up_value_becomes_controls() -> None:
    """The candidate's value is replaced by control's, and neither argument is changed."""
    control, candidate = {"id": 4, "body": "x"}, {"id": 9, "body": "y"}
    before = copy.deepcopy((control, candidate))
    assert renaming("$.id").apply(control, candidate, None) == {"id": 4, "body": "y"}
    assert (control, candidate) == before


def test_the_whole_value() -> None:
    """The path of the root renames a value that is an id itself."""
    assert renaming("$").apply("a", "b", None) == "a"


def test_what_is_not_covered_stays() -> None:
    """A record of another place keeps its value."""
    assert renaming("answer:$.id").apply({"id": 4}, {"id": 9}, ROW) == {"id": 9}


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        ({"id": 4}, {"id": "4"}),
        ({"id": 4}, {"id": None}),
        ({"id": None}, {"id": 4}),
        ({"id": 4}, {}),
        ({}, {"id": 4}),
        ({"id": 4}, {"id": True}),
        ({"id": [4]}, {"id": [5]}),
        ({"id": 4}, [4]),
        ([4], {"id": 4}),
        (None, {"id": 4}),
        ({"id": 4}, None),
        ("id", "id"),
    ],
)
def test_what_cannot_be_matched_stays(control: Any, candidate: Any) -> None:
    """A value of another type, none at all, or one that is no id, is left to be compared."""
    assert renaming("$.id").apply(control, copy.deepcopy(candidate), None) == candidate


# Consistency ----------------------------------------------------------------------------------------------------------


def test_the_same_everywhere() -> None:
    """An id that was matched once is matched again in every record."""
    matched = renaming("$.id", "$.after.id")
    assert matched.apply({"id": 4}, {"id": 9}, None) == {"id": 4}
    assert matched.apply({"id": 4}, {"id": 9}, ROW) == {"id": 4}
    assert matched.apply({"after": {"id": 4}}, {"after": {"id": 9}}, EVENT) == {"after": {"id": 4}}


def test_another_one_somewhere_is_found() -> None:
    """A candidate that calls one thing by two ids, or two things by one, keeps what is wrong."""
    matched = renaming("$.id")
    assert matched.apply({"id": 4}, {"id": 9}, None) == {"id": 4}
    assert matched.apply({"id": 4}, {"id": 10}, ROW) == {"id": 10}
    assert matched.apply({"id": 5}, {"id": 9}, KEY) == {"id": 9}
    assert matched.apply({"id": 4}, {"id": 9}, EVENT) == {"id": 4}


def test_a_wrong_value_spoils_no_other() -> None:
    """After one id was wrong, the right ones of other things are still matched."""
    matched = renaming("$.id", "$.parent")
    assert matched.apply({"id": 4, "parent": 5}, {"id": 9, "parent": 9}, None) == {"id": 4, "parent": 9}
    assert matched.apply({"id": 5, "parent": 4}, {"id": 10, "parent": 9}, ROW) == {"id": 5, "parent": 4}


def test_types_are_told_apart() -> None:
    """The number 1, the text "1" and ``True`` are three different ids."""
    matched = renaming("$[*]")
    assert matched.apply([1, "1", True, 1.0], [7, "7", False, 7.0], None) == [1, "1", True, 1.0]


def test_lists() -> None:
    """A star stands for every element, an index for one, also from the end."""
    rows = [{"id": 1}, {"id": 2}]
    assert renaming("$[*].id").apply(rows, [{"id": 8}, {"id": 9}], None) == rows
    assert renaming("$[0].id").apply(rows, [{"id": 8}, {"id": 9}], None) == [{"id": 1}, {"id": 9}]
    assert renaming("$[-1].id").apply(rows, [{"id": 8}, {"id": 9}], None) == [{"id": 8}, {"id": 2}]
    assert renaming("$[5].id").apply(rows, [{"id": 8}], None) == [{"id": 8}]


def test_lists_of_different_lengths() -> None:
    """What one side has more of stays as it is."""
    assert renaming("$[*].id").apply([{"id": 1}], [{"id": 8}, {"id": 9}], None) == [{"id": 1}, {"id": 9}]
    assert renaming("$[*].id").apply([{"id": 1}, {"id": 2}], [{"id": 8}], None) == [{"id": 1}]


def test_an_element_without_the_value() -> None:
    """An element that lacks the value does not shift those after it."""
    control = [{"id": 1}, {}, {"id": 3}]
    assert renaming("$[*].id").apply(control, [{"id": 7}, {}, {"id": 9}], None) == control
    found = renaming("$[*].id").apply(control, [{"id": 7}, {"id": 8}, {"id": 9}], None)
    assert found == [{"id": 1}, {"id": 8}, {"id": 3}]


def test_maps_in_another_order() -> None:
    """The star of a map pairs values by their keys, in whatever order they are."""
    control, candidate = {"a": 1, "b": 2}, {"b": 8, "a": 7}
    matched = renaming("$[*]")
    assert matched.apply(control, candidate, None) == control
    assert matched.apply({"a": 1}, {"a": 7}, ROW) == {"a": 1}


def test_tuples() -> None:
    """A value inside a tuple is matched too, and the tuple stays one."""
    assert renaming("$.pair[0]").apply({"pair": (1, "x")}, {"pair": (9, "x")}, None) == {"pair": (1, "x")}


@given(
    ids=st.lists(st.integers(0, 5), max_size=8),
    shift=st.integers(1, 5),
    places=st.lists(st.sampled_from([None, ROW, EVENT, KEY]), min_size=8, max_size=8),
)
def test_a_consistent_renaming_is_always_matched(ids: list[int], shift: int, places: list[Ref | None]) -> None:
    """Whatever ids the candidate makes up, one to one with control's, every value becomes control's."""
    matched = renaming("$.id")
    for number, place in zip(ids, places, strict=False):
        assert matched.apply({"id": number}, {"id": (number * 7 + shift) % 41}, place) == {"id": number}


@given(ids=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=10))
def test_what_is_matched_is_one_to_one(ids: list[tuple[int, int]]) -> None:
    """What was matched never calls one thing by two ids, nor two things by one."""
    matched, pairs = renaming("$.id"), set()
    for ours, theirs in ids:
        found = matched.apply({"id": ours}, {"id": theirs + 100}, None)["id"]
        assert found in (ours, theirs + 100)
        if found == ours:
            pairs.add((ours, theirs))
    assert len({ours for ours, _ in pairs}) == len(pairs) == len({theirs for _, theirs in pairs})
