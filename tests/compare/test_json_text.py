"""Our JSON reader: exact numbers, duplicate keys, any depth, errors with a place."""

from __future__ import annotations

import json
import math
import sys
from decimal import Decimal
from typing import Any

import pytest
from compare_support import nest, trees
from hypothesis import given, settings

from shadowmig.compare import read_json, structural
from shadowmig.compare.json_text import DuplicateKey, _Reader
from shadowmig.errors import CompareError, ConfigError


@settings(max_examples=200, deadline=None)
@given(trees())
def test_reads_what_python_writes(tree: Any) -> None:
    """Both readers read what `json.dumps` wrote, in any spelling."""
    for text in (json.dumps(tree), json.dumps(tree, indent=2), json.dumps(tree, ensure_ascii=False)):
        assert not structural()(control=tree, candidate=read_json(text))
        assert not structural()(control=tree, candidate=_Reader(text, reject=False).read())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-0", 0), ("1.0", 1.0), ("1e2", 100.0), ("1" + "0" * 30, 10**30),
        ("1e400", Decimal("1e400")), ("-1e400", Decimal("-1e400")), ("10e399", Decimal("1e400")),
        ("1e-400", Decimal("1e-400")), ("0e-400", 0.0), ("0.0", 0.0), ("1e99999999999999999999", Decimal("Infinity")),
        ("-1e99999999999999999999", Decimal("-Infinity")), ("5e-324", 5e-324), ('"\\ud83d\\ude00"', "😀"),
        ('"\\ud800"', "\ud800"), ("Infinity", math.inf), ("-Infinity", -math.inf), ("null", None), ("true", True),
        ("false", False), (" [ ] ", []), ("{}", {}), ("1" * 5000, Decimal("1" * 5000)),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    """Numbers keep their value and type, in both readers."""
    for found in (
        read_json(text),
        _Reader(text, reject=False).read(),
        read_json(text.encode("utf-8", "surrogatepass")),
    ):
        assert not structural()(control=value, candidate=found)


def test_integers_longer_than_the_process_allows() -> None:
    """A lower limit of the process makes a Decimal, not an error."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert read_json("1" * 700) == Decimal("1" * 700)
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(encoding: str) -> None:
    """Bytes are read in the encodings JSON may have."""
    assert read_json('{"é": "日"}'.encode(encoding)) == {"é": "日"}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("[1,\n 2,]", 2, 4),
        ('{"a" 1}', 1, 6),
        ("[1] x", 1, 5),
        (b'["\xff"]', 1, 3),
        ("nul", 1, 1),
        ("01", 1, 2),
    ],
)
def test_invalid_text(text: Any, line: int, column: int) -> None:
    """What is not JSON is refused with line and column."""
    with pytest.raises(CompareError) as caught:
        read_json(text)
    assert (caught.value.line, caught.value.column) == (line, column)  # type: ignore[attr-defined]  # wrong types on purpose


@pytest.mark.parametrize(
    "text",
    ["", "[1,]", "[,1]", "[1", '{"a" 1}', "{1:2}", '{"a":1,}', "[1 2]", "tru", "-", '"a', "]", "[}", '{"a":}', "[1]]"],
)
def test_invalid_text_in_the_loop(text: str) -> None:
    """The reader for deep text refuses what the standard one refuses."""
    with pytest.raises(CompareError):
        _Reader(text, reject=False).read()
    if text:
        with pytest.raises(CompareError):
            read_json("[" * 3_000 + text + "]" * 3_000)


def test_any_depth() -> None:
    """Text nested 100 000 deep is read and compared."""
    text = "[" * 100_000 + "1" + "]" * 100_000
    assert not structural(max_seconds=20)(control=nest(100_000, 1), candidate=read_json(text))


@pytest.mark.parametrize("depth", [0, 3_000])
def test_duplicate_keys(depth: int) -> None:
    """The last value wins, or the key becomes a marker that differs from everything, another marker included."""
    text = "[" * depth + '{"a":1,"b":0,"a":2}' + "]" * depth
    last, rejected, again = read_json(text), *(read_json(text, duplicate_keys="reject") for _ in range(2))
    path = "$" + "[0]" * depth + ".a"
    assert [one.path for one in structural()(control=last, candidate=rejected)] == [path]
    assert [one.path for one in structural()(control=again, candidate=rejected)] == [path]
    for _ in range(depth):
        rejected = rejected[0]
    assert isinstance(rejected["a"], DuplicateKey)
    assert (rejected["a"].values, repr(rejected["a"])) == ((1, 2), "<duplicate key: 2 values>")


def test_wrong_arguments() -> None:
    """Another option or another type is refused."""
    with pytest.raises(ConfigError, match="first"):
        read_json("1", duplicate_keys="first")  # type: ignore[arg-type]  # wrong types on purpose
    with pytest.raises(CompareError, match="int"):
        read_json(1)  # type: ignore[arg-type]  # wrong types on purpose
