"""What differs between bytes that mean the same: names, and how each is recognised."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from shadowmig.wire.roundtrip._model import Incompatibility, Outcome

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_HTML: Final = {"003c": "<", "003e": ">", "0026": "&", "0027": "'", "0022": '\\"', "2028": "\u2028", "2029": "\u2029"}
_MOST: Final = 1_000_000
"""Bytes up to which it is looked for what differs."""

_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


def _same(name: str, meaning: str, cause: str, remedy: str) -> Incompatibility:
    return Incompatibility(name, Outcome.EQUAL, meaning, cause, remedy)


_COMPARE = "Compare values and not bytes; if bytes must be the same, let both write the same form."

BYTES: Final = (
    _same(
        "unstable bytes",
        "The same value written twice gave other bytes.",
        "The writer goes through a map or set without order, or writes the time.",
        "Sort the keys when writing (deterministic marshalling), before bytes are compared or hashed.",
    ),
    _same(
        "bytes depend on the order of keys",
        "A map whose keys were put in another order gave other bytes.",
        "The writer keeps the order in which keys were put in.",
        "Sort the keys when writing (`sort_keys=True`), before bytes are compared or hashed.",
    ),
    _same("flags differ", "The flags differ, and the bytes do not.", "The clients mark types differently.", _COMPARE),
    _same(
        "HTML escaped (bytes only)",
        "One writes `<`, `>`, `&` as `\\u003c` and so on, the other as they are.",
        "Go's JSON escapes for HTML by default.",
        "Compare values and not bytes; in Go, `SetEscapeHTML(false)`.",
    ),
    _same(
        "escapes differ (bytes only)",
        "One writes characters as `\\u` escapes, the other as they are.",
        "Python's JSON writes ASCII only by default.",
        "Compare values and not bytes; in Python, `ensure_ascii=False`.",
    ),
    _same(
        "white space differs (bytes only)",
        "One writes spaces or line ends between the tokens, the other does not.",
        "Python's JSON writes spaces after `,` and `:` by default.",
        'Compare values and not bytes; in Python, `separators=(",", ":")`.',
    ),
    _same(
        "map reordered (bytes only)",
        "The members of a map come in another order.",
        "One side sorts them and the other does not.",
        _COMPARE,
    ),
    _same(
        "numbers spelled differently (bytes only)",
        "The same number is written in another way, such as 1.0 and 1, or 1e+20.",
        "Each language has its own shortest form.",
        _COMPARE,
    ),
    _same("bytes differ", "The bytes differ, and what they mean does not.", "The sides write differently.", _COMPARE),
)


def name_bytes(a: tuple[bytes, int], b: tuple[bytes, int]) -> str:
    """Name what differs between bytes and flags that were read as the same value."""
    if a[0] == b[0]:
        return "flags differ"
    if len(a[0]) + len(b[0]) > _MOST:
        return "bytes differ"
    try:
        return _name_json(a[0].decode(), b[0].decode())
    except (ValueError, RecursionError):
        return "bytes differ"


def _name_json(x: str, y: str) -> str:
    # From what is forgiven most: texts that differ in several ways are known by the first.
    if _read(x, pairs=dict, number=float) != _read(y, pairs=dict, number=float):
        return "bytes differ"
    if _read(x, pairs=dict) != _read(y, pairs=dict):
        return "numbers spelled differently (bytes only)"
    if _read(x) != _read(y):
        return "map reordered (bytes only)"
    if _html(x) == _html(y):
        return "HTML escaped (bytes only)"
    bare = _SPACE.sub(r"\1", x) == _SPACE.sub(r"\1", y)
    return "white space differs (bytes only)" if bare else "escapes differ (bytes only)"


def _html(text: str) -> str:
    return _ESCAPE.sub(lambda found: _HTML.get(found[1].lower(), found[0]), text)


def _read(text: str, *, pairs: Callable[[Any], Any] = list, number: Callable[[str], Any] = "#{}".format) -> Any:
    """Read JSON with maps and numbers as they are written, or as what they mean."""
    return json.loads(text, object_pairs_hook=pairs, parse_int=number, parse_float=number)
