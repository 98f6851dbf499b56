"""Paths: what is read, what is refused, how keys are printed."""

from __future__ import annotations

from typing import Any

import pytest
from compare_support import KEYS
from hypothesis import given, settings

from shadowmig.compare import paths, structural
from shadowmig.compare._pace import Pace
from shadowmig.compare._relations import select
from shadowmig.compare.paths import Deep, Field, Index, Key, Keyed, Name, Wild
from shadowmig.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("$", ()),
        ("$.a.b_1", (Name("a"), Name("b_1"))),
        ("$.é", (Name("é"),)),
        ("$['a b'][\"c\"]", (Name("a b"), Name("c"))),
        (r"$['it\'s\n\u0041\ud83d\ude00\\']", (Name("it's\nA😀\\"),)),
        (r"$['\ud800']", (Name("\ud800"),)),
        ("$[3][-1][ 0 ]", (Index(3), Index(-1), Index(0))),
        ("$[*].*", (Wild(), Wild())),
        ("$..a..*..[0]", (Deep(), Name("a"), Deep(), Wild(), Deep(), Index(0))),
        ("$[True][False][None][1.5][-inf]", (Key(True), Key(False), Key(None), Key(1.5), Key(float("-inf")))),
        ("$[id=2][id='2'][id=a][id=t1-x]", (Field("id", 2), Field("id", "2"), Field("id", "a"), Field("id", "t1-x"))),
        ("$[d.id=None]", (Field("d.id", None),)),
    ],
)
def test_parse(text: str, segments: tuple[Any, ...]) -> None:
    """The documented subset is read."""
    path = paths.parse(text, option="ignore")
    assert (path.segments, str(path)) == (segments, text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0), ("a", 0), ("$a", 1), ("$.", 2), ("$.a-b", 3), ("$..", 3), ("$[", 2), ("$[]", 2), ("$[1:2]", 3),
        ("$[?@.a]", 2), ("$[0,1]", 3), ("$[a]", 2), ("$['a", 2), ("$[01]", 2), ("$[id=]", 5), ("$.a b", 3),
    ],
)  # fmt: skip
def test_refused(text: str, position: int) -> None:
    """Anything else is refused with the option and the position."""
    with pytest.raises(ConfigError, match="ignore") as caught:
        structural(ignore=[text])
    assert (caught.value.field, caught.value.position) == ("ignore", position)  # type: ignore[attr-defined]  # wrong types on purpose


def test_a_path_is_text() -> None:
    """Something that is not text is refused."""
    with pytest.raises(ConfigError, match="int"):
        paths.parse(1, option="ignore")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", ".a"), ("a b", "['a b']"), ("", "['']"), ("1", "['1']"), ("it's", r"['it\'s']"), ("\\", r"['\\']"),
        ("\n\x01", r"['\n\u0001']"), ("\ud800", r"['\ud800']"), ("\U000e0001", r"['\udb40\udc01']"), (1, "[1]"),
        (True, "[True]"), (None, "[None]"), (1.5, "[1.5]"), (b"a", "[b'a']"), ((1, 2), "[(1, 2)]"),
        (Keyed("id", 2), "[id=2]"), (Keyed("id", "2"), "[id='2']"), (Keyed("id", "a"), "[id=a]"),
        (Keyed("id", "True"), "[id='True']"), (Keyed("id", "nan"), "[id='nan']"),
    ],
)  # fmt: skip
def test_labels(key: Any, text: str) -> None:
    """Each kind of key has one printed form."""
    assert paths.label(key) == text


def test_long_keys_are_capped() -> None:
    """A key that is not text is printed up to a size."""
    assert len(paths.label((1,) * 1000)) < 210
    assert paths.label(("\x00",)) == r"[('\x00',)]"


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_printed_paths_are_read_back(key: str) -> None:
    """The path printed for a text key is read as that key."""
    assert paths.parse(paths.render([key, 3]), option="x").segments == (Name(key), Index(3))


VALUE: dict[Any, Any] = {
    "a": [{"id": 1, "x": 10}, {"id": 2, "x": 20}], "b": {"x": 30, "a": [1]}, 1: "one", None: "null"
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$.a[*].x", [10, 20]),
        ("$.a[-1].x", [20]),
        ("$.a[id=2].x", [20]),
        ("$..x", [10, 20, 30]),
        ("$.b.*", [30, [1]]),
        ("$[None]", ["null"]),
        ("$.nothing.x", []),
        ("$.b.x.y", []),
        ("$..[0]", [VALUE["a"][0], 1]),
    ],
)
def test_select(text: str, found: list[Any]) -> None:
    """A path finds its values in order."""
    assert select(VALUE, paths.parse(text, option="x").segments, Pace(5, 10**6)) == found


def test_select_on_cycles() -> None:
    """Searching at any depth ends on a value that contains itself, and on a very deep one."""
    value: dict[str, Any] = {"x": 1}
    value["me"] = value
    assert select(value, paths.parse("$..x", option="x").segments, Pace(5, 10**6)) == [1]
    deep: Any = {"x": 1}
    for _ in range(5_000):
        deep = {"d": deep}
    assert select(deep, paths.parse("$..x", option="x").segments, Pace(5, 10**6)) == [1]
