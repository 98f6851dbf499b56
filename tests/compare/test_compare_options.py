"""Wrong options are refused when the comparator is built; every option is named in what is refused."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import shadowmig.compare
from shadowmig.compare import Rule, Tolerance, structural
from shadowmig.errors import CompareError, ConfigError


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"numbers": "loose"}, "numbers"),
        ({"numbers": None}, "numbers"),
        ({"unicode": "NFKC"}, "unicode"),
        ({"text_bytes": "latin1"}, "text_bytes"),
        ({"sequences": True}, "sequences"),
        ({"dict_types": 1}, "dict_types"),
        ({"duplicate_keys": "first"}, "duplicate_keys"),
        ({"signed_zero": "no"}, "signed_zero"),
        ({"datetimes": "utc"}, "datetimes"),
        ({"ignore": [1]}, "ignore"),
        ({"ignore": 1}, "ignore"),
        ({"ignore": {"$.a": 1}}, "ignore"),
        ({"ignore": [Rule("$.a", expires="2026-01-01")]}, "ignore"),
        ({"ignore": [Rule("a")]}, "ignore"),
        ({"only": ["a"]}, "only"),
        ({"only": b"$.a"}, "only"),
        ({"unordered": ["a"]}, "unordered"),
        ({"unordered": {"$.a": 1}}, "unordered"),
        ({"unordered": {"$.a": ""}}, "unordered"),
        ({"tolerance": -1}, "tolerance"),
        ({"tolerance": "1"}, "tolerance"),
        ({"tolerance": True}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"tolerance": Tolerance(rel=float("inf"))}, "tolerance"),
        ({"tolerance": {"$.a": None}}, "tolerance"),
        ({"normalize": {"$.a": 1}}, "normalize"),
        ({"normalize": {"$.a": [1]}}, "normalize"),
        ({"normalize": [len]}, "normalize"),
        ({"normalize": {"a": len}}, "normalize"),
        ({"timestamps": {"paths": ["$.a"], "precision": "min"}}, "timestamps"),
        ({"timestamps": {"$.a": 6}}, "timestamps"),
        ({"timestamps": 3}, "timestamps"),
        ({"html_unescape": ["body"]}, "html_unescape"),
        ({"base64": 1}, "base64"),
        ({"numeric_strings": ["$["]}, "numeric_strings"),
        ({"missing_is_null": "yes"}, "missing_is_null"),
        ({"json_text": ["x"]}, "json_text"),
        ({"mask": {"$.a": "colour"}}, "mask"),
        ({"mask": ["$.a"]}, "mask"),
        ({"mask": {"$.a": 1}}, "mask"),
        ({"relations": ["$.a"]}, "relations"),
        ({"relations": ["$.a == b"]}, "relations"),
        ({"relations": [1]}, "relations"),
        ({"max_differences": 0}, "max_differences"),
        ({"max_differences": True}, "max_differences"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_seconds": "2"}, "max_seconds"),
        ({"max_nodes": 1.5}, "max_nodes"),
    ],
    ids=repr,
)
def test_wrong_options(options: dict[str, Any], field: str) -> None:
    """Each is refused with the name of the option."""
    with pytest.raises(ConfigError, match=field) as caught:
        structural(**options)
    assert caught.value.field == field


def test_unknown_options_and_positions() -> None:
    """Options are keyword-only and known."""
    with pytest.raises(TypeError):
        structural(["$.a"])  # type: ignore[misc]  # wrong on purpose
    with pytest.raises(TypeError):
        structural(ignored=["$.a"])  # type: ignore[call-arg]  # wrong on purpose


@pytest.mark.parametrize(
    "options",
    [
        {"ignore": "$.a"}, {"ignore": Rule("$.a")}, {"ignore": ("$.a", Rule("$.b", reason="r"))}, {"ignore": None},
        {"ignore": [Rule("$.a", expires=datetime(2999, 1, 1, tzinfo=UTC))]}, {"only": "$.a"}, {"unordered": True},
        {"unordered": False}, {"unordered": "$.a"}, {"tolerance": Tolerance()}, {"tolerance": 0},
        {"timestamps": True}, {"timestamps": "$.a"}, {"timestamps": {"$.a": "ms"}}, {"timestamps": {"paths": True}},
        {"html_unescape": True}, {"missing_is_null": ["$.a"]}, {"max_seconds": timedelta(seconds=3)},
        {"mask": {"$.a": re.compile("x+")}}, {"relations": "$['a == b'] == $.b"}, {"normalize": {"$.a": [len, str]}},
    ],
    ids=repr,
)  # fmt: skip
def test_accepted_forms(options: dict[str, Any]) -> None:
    """The documented forms build a comparator that works."""
    assert not structural(**options)(control={"c": 1}, candidate={"c": 1})
    assert structural(**options)(control={"c": 1}, candidate={"d": 2}) or "only" in options


def test_repr_shows_what_was_given() -> None:
    """The repr is the call that builds it; defaults are not shown."""
    assert repr(structural()) == "structural()"
    assert repr(structural(ignore=["$.a"], numbers="value")) == "structural(ignore=['$.a'], numbers='value')"


def test_comparators_pickle() -> None:
    """A comparator built from plain options survives pickling."""
    compare = pickle.loads(pickle.dumps(structural(ignore=["$.a"], tolerance=Tolerance(abs=1))))
    assert not compare(control={"a": 1, "b": 1.0}, candidate={"a": 2, "b": 1.5})


def test_normalizers_that_raise() -> None:
    """A normalizer that raises makes the pair incomparable, naming path and rule."""
    for unordered in ((), ["$"]):
        compare = structural(normalize={"$[*].a": len}, unordered=unordered)
        with pytest.raises(CompareError, match=r"normalize \$\[\*\]\.a raised TypeError"):
            compare(
                control=[{"a": 1}, 1],
                candidate=[
                    1,
                    {"a": 2},
                ]
                if unordered
                else [{"a": 2}, 1],
            )
    with pytest.raises(CompareError, match=r"at \$\[0\]\.a"):
        structural(normalize={"$[*].a": len})(control=[{"a": 1}], candidate=[{"a": 2}])


def test_masks_of_patterns() -> None:
    """A compiled pattern must match the whole text."""
    compare = structural(mask={"$.a": re.compile("t1_[a-z]+")})
    assert not compare(control={"a": "t1_x"}, candidate={"a": "t1_y"})
    [one] = compare(control={"a": "t1_x"}, candidate={"a": "t1_Y"})
    assert one.note == "mask $.a (pattern) does not hold for candidate"
    [one] = compare(control={"a": "x"}, candidate={"a": "y"})
    assert one.note == "mask $.a (pattern) does not hold for control and candidate"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("string", "x", 1),
        ("integer", 1, True),
        ("number", 1.5, "1"),
        ("boolean", True, 1),
        ("timestamp", "2026-01-01T00:00:00Z", "now"),
    ],
)
def test_mask_classes(name: str, good: Any, bad: Any) -> None:
    """The named classes hold for what they say."""
    compare = structural(mask={"$": name})
    assert not compare(control=good, candidate=good)
    assert compare(control=good, candidate=bad)


def test_front_door() -> None:
    """The public names are a sorted list, and DeepDiff is not loaded by importing them."""
    assert shadowmig.compare.__all__ == sorted(shadowmig.compare.__all__)
    assert all(hasattr(shadowmig.compare, name) for name in shadowmig.compare.__all__)


def test_date_is_a_date() -> None:
    """A rule takes a date and prints as its path."""
    assert str(Rule("$.a", reason="because", expires=date(2026, 1, 1))) == "$.a"
