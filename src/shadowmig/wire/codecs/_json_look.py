"""`look`: what in a JSON document readers of several languages take differently."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from decimal import Decimal
from typing import Any, Final, NoReturn

from attrs import frozen

from shadowmig.compare.paths import render
from shadowmig.wire.codecs._flags import LIMIT

NOTES: Final = {
    "too large": "Not looked at: more bytes than the limit.",
    "not UTF-8": "JSON between programs is UTF-8; most readers refuse this, some put U+FFFD in place.",
    "byte order mark": "Most readers refuse a document that begins with one.",
    "not JSON": "The rest was not looked at.",
    "something follows": "Some readers ignore what follows the document, others refuse it.",
    "too deep": "Nested more than 10000 deep, where most readers end; the rest was not looked at.",
    "deep nesting": "Nested more than 64 deep; limits of readers are 64, 100, 128, 512, 1000 and 10000.",
    "duplicate key": "Readers take the last value, the first, or both, or refuse it.",
    "lone surrogate": "Half a character: some readers keep it, some put U+FFFD in place, some refuse it.",
    "NaN": "NaN and the infinities are no JSON; Python writes and reads them, most others refuse.",
    "integer beyond 2**53": "Readers that take numbers for doubles, as JavaScript does, round it.",
    "integer beyond int64": "It fits an unsigned integer of 64 bits only.",
    "integer beyond 64 bits": "Python reads it exactly; others round, refuse, or wrap around.",
    "float spelled integer": "A whole number with fraction or exponent: an int to some readers, a float to others.",
    "negative zero": "Readers of integers drop the sign.",
    "number too large": "Larger than any double: an infinity to some readers, refused by others.",
    "number too small": "Smaller than any double: zero to most readers.",
    "digits lost": "More digits than a double holds.",
    "escaped HTML": "Escaped by Go and others for the sake of HTML: the same text in other bytes.",
    "NUL": "Postgres and C refuse it or end the text there.",
    "not NFC": "The same to a person as other code points, but not equal to them.",
    "many more": "There are more; the rest was not looked at.",
}
"""The kinds of oddities, and what is to be known of each."""


@frozen
class Oddity:
    """
    Something in a document that readers of several languages take differently.

    Attributes:
        kind: What it is; the kinds are the keys of `NOTES`.
        path: Where, as a JSONPath; of a key, the path of its value. One more than 64 deep ends with ``…``.
        note: What readers do with it.
    """

    kind: str
    path: str
    note: str


def look(data: bytes, *, limit: int = LIMIT, most: int = 100) -> tuple[Oddity, ...]:
    """
    List what in a document readers of several languages take differently, in its order.

    It does not fail: what cannot be read is an oddity too.

    Args:
        data: The document, in UTF-8.
        limit: The most bytes that are looked at.
        most: The most oddities that are listed; if there are more, the last one says so.
    """
    eyes = _Eyes(most)
    try:
        if len(data) > limit:
            eyes.saw("too large")
        else:
            eyes.read(eyes.text_of(data))
    except _Enough:
        pass
    return tuple(eyes.found)


class _Enough(Exception):
    """Nothing more is to be seen."""


class _Eyes:
    """One pass over a document, with a list of open containers in place of recursion."""

    def __init__(self, most: int) -> None:
        self.found: list[Oddity] = []
        self.most = most
        self.path: list[Any] = []  # keys and indices of the open containers
        self.seen: list[set[str] | None] = []  # their keys; None for a list
        self.deep = False

    def saw(self, kind: str) -> None:
        if len(self.found) >= self.most:
            self.found[-1:] = [Oddity("many more", "$", NOTES["many more"])]
            raise _Enough
        path = render(self.path[:_SHOWN]) + ("…" if len(self.path) > _SHOWN else "")
        self.found.append(Oddity(kind, path, NOTES[kind]))

    def text_of(self, data: bytes) -> str:
        encoding = json.detect_encoding(data)
        if encoding == "utf-8-sig":
            self.saw("byte order mark")
        elif encoding != "utf-8":
            self.saw("not UTF-8")
        try:
            return data.decode(encoding, "surrogatepass")
        except UnicodeDecodeError:
            if encoding in ("utf-8", "utf-8-sig"):
                self.saw("not UTF-8")
            return data.decode(encoding, "replace")

    def read(self, text: str) -> None:
        at = self.value(text, 0)
        while self.path:
            at = self.member(text, at)
        if text[at:].strip(" \t\n\r"):
            self.saw("something follows")

    def member(self, text: str, at: int) -> int:
        """Read what is next in the innermost container: its end, or one more value with its key."""
        seen = self.seen[-1]
        first = self.path[-1] is None
        found = _PART.match(text, at)
        mark = found[1] if found else ""
        if found and mark == ("]" if seen is None else "}"):
            self.path.pop()
            self.seen.pop()
            return found.end()
        if not first:
            if not found or mark != ",":
                self.broken()
            at = found.end()
        if seen is None:
            self.path[-1] = 0 if first else self.path[-1] + 1
            return self.value(text, at)
        return self.value(text, self.key(text, at, seen))

    def key(self, text: str, at: int, seen: set[str]) -> int:
        found = _PART.match(text, at)
        if not found or found[1] != '"':
            self.broken()
        key, at = self.text(text, found.end(), key=True)
        if key in seen:
            self.saw("duplicate key")
        seen.add(key)
        colon = _PART.match(text, at)
        if not colon or colon[1] != ":":
            self.broken()
        return colon.end()

    def value(self, text: str, at: int) -> int:
        found = _PART.match(text, at)
        if not found:
            self.broken()
        mark, number, rest, word = found.groups()
        if mark == '"':
            return self.text(text, found.end())[1]
        if mark in ("[", "{"):
            self.open(mark)
        elif number:
            self.number(number, rest)
        elif word in _NO_NUMBERS:
            self.saw("NaN")
        elif word not in _WORDS:
            self.broken()
        return found.end()

    def open(self, mark: str) -> None:
        if len(self.path) == _SHOWN and not self.deep:
            self.deep = True
            self.saw("deep nesting")
        if len(self.path) == _DEEPEST:
            self.saw("too deep")
            raise _Enough
        self.path.append(None)
        self.seen.append(set() if mark == "{" else None)

    def broken(self) -> NoReturn:
        if self.path and self.path[-1] is None:
            self.path.pop()
        self.saw("not JSON")
        raise _Enough

    def text(self, source: str, at: int, *, key: bool = False) -> tuple[str, int]:
        try:
            text, end = _scan_text(source, at)
        except json.JSONDecodeError:
            self.broken()
        if key:
            self.path[-1] = text
        if not text.isascii():
            if _SURROGATE.search(text):
                self.saw("lone surrogate")
            if not _normal(text):
                self.saw("not NFC")
        if "\0" in text:
            self.saw("NUL")
        if "\\" in source[at:end] and any(found[1] for found in _HTML.finditer(source, at, end)):
            self.saw("escaped HTML")
        return text, end

    def number(self, whole: str, rest: str) -> None:
        if rest:
            kind = _float_kind(whole + rest)
        elif whole == "-0":
            kind = "negative zero"
        elif len(whole) < _SAFE:
            return
        else:
            kind = _int_kind(whole)
        if kind:
            self.saw(kind)


def _int_kind(text: str) -> str:
    if len(text) > 20 or not -(2**63) <= (number := int(text)) < 2**64:
        return "integer beyond 64 bits"
    if number >= 2**63:
        return "integer beyond int64"
    return "integer beyond 2**53" if abs(number) > 2**53 else ""


def _float_kind(text: str) -> str:
    if len(text) > _LONGEST:
        return "digits lost"
    number = float(text)
    if math.isinf(number):
        return "number too large"
    if number == 0:
        if text.lower().partition("e")[0].strip("-0."):
            return "number too small"
        return "negative zero" if text[0] == "-" else "float spelled integer"
    if Decimal(text) != Decimal(repr(number)):
        return "digits lost"
    return "float spelled integer" if number.is_integer() else ""


def _normal(text: str) -> bool:
    # In parts that overlap: to put many marks on one letter in order takes time by the square of their number.
    return all(
        unicodedata.is_normalized("NFC", text[start : start + _PIECE + _OVERLAP])
        for start in range(0, len(text), _PIECE)
    )


_SAFE: Final = 16  # digits that 2**53 has
_SHOWN: Final = 64
_DEEPEST: Final = 10_000
_LONGEST: Final = 1000
_PIECE: Final = 1000
_OVERLAP: Final = 100
_PART: Final = re.compile(
    r"[ \t\n\r]*+(?:([\[\]{},:\"])|(-?(?:0|[1-9][0-9]*+))((?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)|(-?[A-Za-z]{1,9}))"
)
_WORDS: Final = frozenset({"null", "true", "false"})
_NO_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HTML: Final = re.compile(r"\\(?:(u003[cCeE]|u0026|u202[89])|.)", re.DOTALL)

# The standard reader's own text scanner; typeshed does not list it.
_scan_text: Any = json.decoder.scanstring  # type: ignore[attr-defined]  # it is there
