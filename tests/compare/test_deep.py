"""DeepDiff as judge and as explainer."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from compare_support import nest

from shadowmig.compare import deep, explain, structural
from shadowmig.errors import CompareError, CompareTimeout, ConfigError
from shadowmig.model import MISSING


class Holder:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


def test_not_imported_before_use() -> None:
    """Importing the comparators does not import DeepDiff."""
    code = "import sys, shadowmig.compare; sys.exit('deepdiff' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_differences() -> None:
    """DeepDiff's categories become kinds, and its paths ours."""
    control = {"a": 1, "b": [1, 2], "t": "x", "gone": None, "h": Holder(p=1, q=1), "s": {1}}
    candidate = {"a": 2, "b": [1, 2, 3], "t": 4, "a b": None, "h": Holder(p=2, r=1), "s": {2}}
    found = deep()(control=control, candidate=candidate)
    assert sorted((one.path, one.kind) for one in found) == [
        ("$.a", "changed"), ("$.b[2]", "unexpected"), ("$.gone", "missing"), ("$.h.p", "changed"), ("$.h.q", "missing"),
        ("$.h.r", "unexpected"), ("$.s", "missing"), ("$.s", "unexpected"), ("$.t", "type"), ("$['a b']", "unexpected"),
    ]  # fmt: skip
    assert {one.path: one.control for one in found}["$['a b']"] is MISSING
    assert not deep()(control=control, candidate=control)


def test_options_reach_deepdiff() -> None:
    """Its options mean what they mean there."""
    assert not deep(ignore_order=True)(control=[1, [2, 3]], candidate=[[3, 2], 1])
    assert not deep(exclude_paths=["root['a']"])(control={"a": 1}, candidate={"a": 2})
    found = deep(ignore_order=True, report_repetition=True)(control=[1, 1, 2], candidate=[1, 2])
    assert [one.kind for one in found] == ["changed"]
    assert repr(deep(ignore_order=True)) == "deep(ignore_order=True)"


def test_limits() -> None:
    """Differences are cut, large values refused, slow comparisons ended."""
    found = deep(max_differences=3)(control=[*range(9)], candidate=[*range(9, 18)])
    assert (len(found), found.truncated) == (3, True)
    with pytest.raises(CompareTimeout):
        deep(max_nodes=100)(control=[*range(1_000)], candidate=[])
    slow = [{"a": n} for n in range(1_500)], [{"a": n + 0.5} for n in range(1_500)]
    with pytest.raises(CompareTimeout):
        deep(ignore_order=True, max_seconds=timedelta(milliseconds=50))(control=slow[0], candidate=slow[1])


@pytest.mark.parametrize(
    ("options", "value"), [({"ignore_order": True}, ["\ud800"]), ({}, nest(3_000, 1))], ids=["surrogate", "deep"]
)
def test_what_deepdiff_raises(options: dict[str, Any], value: Any) -> None:
    """Whatever it raises becomes an error that names it."""
    with pytest.raises(CompareError, match="DeepDiff raised"):
        deep(**options)(control=value, candidate=nest(3_000, 2) if value[0] != "\ud800" else ["b"])


@pytest.mark.parametrize(
    "options",
    [{"bogus": 1}, {"view": "text"}, {"t1": 1}, {"multiprocessing": True}, {"_parameters": {}}, {"verbose_level": 9},
     {"max_seconds": 0}, {"max_nodes": True}, {"max_differences": "3"}],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any]) -> None:
    """Options it does not know, or that change its form, are refused when it is built."""
    with pytest.raises(ConfigError):
        deep(**options)


class Swallowing:
    """A custom operator whose time is up while DeepDiff would go on."""

    def match(self, level: Any) -> bool:
        return False

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
        return False


def test_own_operators_stay() -> None:
    """Operators given are used beside ours."""
    assert deep(custom_operators=[Swallowing()])(control=1, candidate=2)


def test_explain() -> None:
    """A mismatch is described in words, at its place in the whole."""
    text = explain(
        {"a": [1, {"b": "x"}], "c": 1, "big": "z" * 9_000}, {"a": [1, {"b": "y"}], "d": 1, "big": "z" * 9_000}
    )
    assert "root['a'][1]['b'] changed from \"x\" to \"y\"" in text
    assert "root['c']" in text
    assert "root['d']" in text
    assert "zzz" not in text
    assert explain(1, "x") == 'Type of root changed from int to str and value changed from 1 to "x".'


def test_explain_nothing() -> None:
    """Equal values, and what cannot be said within the limits, give no text; nothing raises."""
    assert explain({"a": 1}, {"a": 1}) == ""
    assert explain([1], [2], max_chars=0) == ""
    assert explain([[n] for n in range(50_000)], [[n + 1] for n in range(50_000)], max_seconds=0.000001) == ""


def test_explain_is_short_and_printable() -> None:
    """The text is cut to its size, and can be encoded whatever the values are."""
    assert len(explain([*range(99)], [*range(99, 0, -1)], max_chars=50)) == 50
    explain({"\ud800": "\ud800"}, {"\ud800": "b"}).encode()
    assert explain(nest(5_000, 1), nest(5_000, 2))
    assert explain({(1, 2): 1, True: 1}, {(1, 2): 2, True: 2})
    wide = {
        "list": [*range(99)],
        "tuple": (1, object()),
        "text": "x" * 999,
        "nest": nest(9, 1),
        "h": Holder(a={(1,): 2}),
    }
    assert len(explain({"a": wide, "d": structural}, {"a": 1, "d": 1.5})) < 4_001
