"""
Our JSON reader: exact, and safe on hostile text.

What the standard reader loses is kept: a number outside the range of floats becomes a `decimal.Decimal` instead of
``inf`` or ``0.0``, an integer too long for ``int`` too, duplicate keys can be seen, and nesting of any depth is read
with a loop once the standard reader gives up. ``NaN`` and ``Infinity`` are read, as Python writes them.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Literal

from shadowmig.errors import CompareError, ConfigError

MAX_INT_DIGITS = 4300
"""Longer integers become `decimal.Decimal`: Python itself refuses to print or parse them as ``int``."""


class DuplicateKey:
    """
    Stands for a key that came more than once in a JSON object read with ``duplicate_keys="reject"``.

    Differs from every other value, other duplicates included.

    Attributes:
        values: The values, in the order they came.
    """

    __slots__ = ("values",)

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"<duplicate key: {len(self.values)} values>"


def read_json(
    text: str | bytes | bytearray,
    *,
    duplicate_keys: Literal["last", "reject"] = "last",
) -> Any:
    """
    Read one JSON document.

    Args:
        text: Text, or bytes in UTF-8, UTF-16 or UTF-32.
        duplicate_keys: ``"last"``: the last value wins, as in most languages. ``"reject"``: the key's value
            becomes a `DuplicateKey`, which is a difference wherever it is compared.

    Raises:
        CompareError: It is not JSON; ``line`` and ``column`` say where, both from 1.
    """
    if duplicate_keys not in ("last", "reject"):
        raise ConfigError(
            f"duplicate_keys: {duplicate_keys!r} is not one of 'last', 'reject'.",
            field="duplicate_keys",
            value=duplicate_keys,
        )
    if not isinstance(text, (str, bytes, bytearray)):
        raise CompareError(f"JSON is text or bytes, not {type(text).__name__}.", line=1, column=1)
    decoded = text if isinstance(text, str) else _decode(bytes(text))
    hook = _reject if duplicate_keys == "reject" else None
    try:
        return json.loads(decoded, object_pairs_hook=hook, parse_int=_integer, parse_float=_number)
    except json.JSONDecodeError as error:
        raise _invalid(decoded, error.pos, error.msg) from None
    except RecursionError:
        return _Reader(decoded, reject=hook is not None).read()


def _decode(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        raise _invalid(before, len(before), f"bytes that are not {error.encoding}") from None


def _invalid(text: str, at: int, why: str) -> CompareError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return CompareError(f"not JSON at line {line} column {column}: {why}.", line=line, column=column)


def _integer(digits: str) -> int | Decimal:
    if len(digits) <= MAX_INT_DIGITS:
        try:
            return int(digits)
        except ValueError:  # the process has a lower limit
            pass
    return Decimal(digits)


def _number(text: str) -> float | Decimal:
    value = float(text)
    if math.isinf(value) or (value == 0.0 and _significant(text)):
        return _exact(text)
    return value


def _significant(text: str) -> bool:
    return any(digit in "123456789" for digit in re.split("[eE]", text, maxsplit=1)[0])


def _exact(text: str) -> Decimal:
    # Trailing zeros are dropped, so that 10e399 and 1e400 are one value here as 10.0 and 1e1 are.
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except ArithmeticError:  # an exponent beyond even Decimal: keep the value apart from every finite number
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
    kept = len(digits)
    while kept > 1 and digits[kept - 1] == 0:
        kept -= 1
    return Decimal((sign, digits[:kept], int(exponent) + len(digits) - kept))


def _reject(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        every: dict[str, list[Any]] = {}
        for key, value in pairs:
            every.setdefault(key, []).append(value)
        found.update((key, DuplicateKey(tuple(values))) for key, values in every.items() if len(values) > 1)
    return found


_TOKEN = re.compile(
    r"[ \t\n\r]*(?:([\[\]{},:])|(\")|(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(\w+|-\w+))"
)
_WORDS = {"null": None, "true": True, "false": False, "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


# The standard reader's own text scanner; typeshed does not list it.
_scan_text: Any = json.decoder.scanstring  # type: ignore[attr-defined]  # it is there


class _Reader:
    """The same grammar without recursion: a stack of open containers."""

    def __init__(self, text: str, *, reject: bool) -> None:
        self.text = text
        self.at = 0
        self.reject = reject

    def read(self) -> Any:
        open_: list[tuple[str, list[Any], list[str]]] = []
        value = self._value(open_)
        while open_:
            bracket, items, _ = open_[-1]
            if value is not _OPENED:
                items.append(value)
            value = self._after(bracket, open_, first=value is _OPENED)
        if self.text[self.at :].strip(" \t\n\r"):
            raise _invalid(self.text, self.at, "extra data")
        return value

    def _after(self, bracket: str, open_: list[tuple[str, list[Any], list[str]]], *, first: bool) -> Any:
        """What follows a value or an opening bracket: the end of the container, or its next value."""
        close = "]" if bracket == "[" else "}"
        before = self.at
        mark = self._token()
        if mark == ("mark", close):
            _, items, keys = open_.pop()
            if bracket == "[":
                return items
            pairs = list(zip(keys, items, strict=True))
            return _reject(pairs) if self.reject else dict(pairs)
        if first:
            self.at = before
        elif mark != ("mark", ","):
            raise _invalid(self.text, before, f"expected ',' or '{close}'")
        if bracket == "{":
            open_[-1][2].append(self._key())
        return self._value(open_)

    def _key(self) -> str:
        before = self.at
        kind, value = self._token()
        if kind != "text" or self._token() != ("mark", ":"):
            raise _invalid(self.text, before, "expected a key in double quotes and ':'")
        return str(value)

    def _value(self, open_: list[tuple[str, list[Any], list[str]]]) -> Any:
        before = self.at
        kind, value = self._token()
        if kind != "mark":
            return value
        if value not in "[{":
            raise _invalid(self.text, before, "expected a value")
        open_.append((value, [], []))
        return _OPENED

    def _token(self) -> tuple[str, Any]:
        found = _TOKEN.match(self.text, self.at)
        if not found:
            raise _invalid(self.text, self.at, "expected a value")
        self.at = found.end()
        mark, quote, whole, rest, word = found.groups()
        if mark:
            return "mark", mark
        if quote:
            try:
                value, self.at = _scan_text(self.text, self.at)
            except json.JSONDecodeError as error:
                raise _invalid(self.text, error.pos, error.msg) from None
            return "text", value
        if whole:
            return "number", _number(whole + rest) if rest else _integer(whole)
        if word in _WORDS:
            return "word", _WORDS[word]
        raise _invalid(self.text, found.start(5), "expected a value")


_OPENED = object()
