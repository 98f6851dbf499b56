"""
Paths: the documented subset of JSONPath (RFC 9535) that rules are written in and differences are reported in.

========================  ===========================================================================
``$``                     the value itself
``.name``                 a key that is an identifier, or an attribute
``['a b']``, ``["a b"]``  any text key, with the escapes of JSON
``[3]``, ``[-1]``         a list index (from the end if negative), or an ``int`` key
``[True]``, ``[None]``    a key that is not text
``[*]``, ``.*``           every element, every key
``..name``, ``..*``       at any depth
``[id=2]``, ``[id='2']``  the list element whose field has this value: not in the RFC, short for a filter
========================  ===========================================================================

Slices, filters and unions are refused. Printing and reading are loops, never recursion: a path may have 100 000 parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn, TypeAlias

from attrs import field, frozen

from shadowmig.errors import ConfigError


@frozen
class Name:
    """A text key or an attribute."""

    name: str


@frozen
class Index:
    """A list index, negative from the end, or an ``int`` key."""

    index: int


@frozen
class Key:
    """A key that is neither text nor ``int``: ``True``, ``None`` or a ``float``."""

    value: bool | float | None


@frozen
class Field:
    """The list element whose field has this value."""

    name: str
    value: Any


@frozen
class Wild:
    """Every element and every key."""


@frozen
class Deep:
    """Any number of levels; always followed by another segment."""


Segment: TypeAlias = Name | Index | Key | Field | Wild | Deep


@frozen
class Path:
    """A parsed path; ``str()`` gives the text it was written as."""

    text: str
    segments: tuple[Segment, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.text


@frozen
class Keyed:
    """The label of a list element that was aligned by a field."""

    field: str
    value: Any


_NAME = re.compile(r"[^\s.\[\]'\"*]+")
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)(?![\w.])")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])|-?inf\b|nan\b")
_FIELD = re.compile(r"([\w.$-]+)\s*=\s*")
_BARE = re.compile(r"[^\s'\"\[\]=]+")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPE = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)", re.DOTALL
)
_PLAIN: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, bool | None]] = {
    "True": True, "true": True, "False": False, "false": False, "None": None, "null": None
}  # fmt: skip


def parse(text: object, *, option: str) -> Path:
    """
    Read a path.

    Args:
        text: What was written.
        option: The name of the option it was given to, for the message.

    Raises:
        ConfigError: It is not a path of the subset; ``position`` says where, from 0.
    """
    if not isinstance(text, str):
        raise ConfigError(
            f"{option}: a path is text like '$.a[0]', not {type(text).__name__}", field=option, value=text
        )
    if not text.startswith("$"):
        _refuse(text, 0, option, "a path begins with '$'")
    segments: list[Segment] = []
    at = 1
    while at < len(text):
        at = _segment(text, at, option, segments)
    return Path(text, tuple(segments))


def _segment(text: str, at: int, option: str, out: list[Segment]) -> int:
    if text.startswith("..", at):
        out.append(Deep())
        at += 2
        if text.startswith("[", at):
            return _bracket(text, at, option, out)
        return _dotted(text, at, option, out)
    if text[at] == ".":
        return _dotted(text, at + 1, option, out)
    if text[at] == "[":
        return _bracket(text, at, option, out)
    _refuse(text, at, option, "expected '.', '..' or '['")


def _dotted(text: str, at: int, option: str, out: list[Segment]) -> int:
    if text.startswith("*", at):
        out.append(Wild())
        return at + 1
    found = _NAME.match(text, at)
    name = found[0] if found else ""
    if not name.isidentifier():
        good = next((i for i in range(len(name), 0, -1) if name[:i].isidentifier()), 0)
        _refuse(text, at + good, option, "expected a name or '*'; quote other keys, as ['a b']")
    out.append(Name(name))
    return at + len(name)


def _bracket(text: str, start: int, option: str, out: list[Segment]) -> int:
    at = _space(text, start + 1)
    segment: Segment
    if text.startswith("*", at):
        segment, at = Wild(), at + 1
    elif found := _TEXT.match(text, at):
        segment, at = Name(_unescape(found)), found.end()
    elif found := _FIELD.match(text, at):
        value, at = _value(text, found.end(), option)
        segment = Field(found[1], value)
    else:
        before = at
        value, at = _value(text, at, option)
        if isinstance(value, str):
            _refuse(text, before, option, "expected an index, '*', True, False, None, a quoted key or field=value")
        segment = Index(value) if type(value) is int else Key(value)
    at = _space(text, at)
    if not text.startswith("]", at):
        _refuse(text, at, option, "expected ']' (slices, filters and unions are not supported)")
    out.append(segment)
    return at + 1


def _value(text: str, at: int, option: str) -> tuple[Any, int]:
    if found := _TEXT.match(text, at):
        return _unescape(found), found.end()
    if found := _INT.match(text, at):
        return int(found[0]), found.end()
    if found := _FLOAT.match(text, at):
        return float(found[0]), found.end()
    if found := _BARE.match(text, at):
        return _WORDS.get(found[0], found[0]), found.end()
    _refuse(text, at, option, "expected a value")


def _space(text: str, at: int) -> int:
    while text.startswith((" ", "\t", "\n", "\r"), at):
        at += 1
    return at


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPE.sub(_char, found[1] if found[1] is not None else found[2])


def _char(found: re.Match[str]) -> str:
    high, low, single, other = found.groups()
    if high:
        pair = chr(int(high, 16)) + chr(int(low, 16))
        return pair.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if single:
        return chr(int(single, 16))
    return _PLAIN.get(other, other)


def _refuse(text: str, at: int, option: str, why: str) -> NoReturn:
    raise ConfigError(
        f"{option}: {text!r} is not a path: {why}, at position {at}.",
        remedy="Supported: $ .name ['a b'] [0] [*] .* ..name [id=2].",
        field=option,
        value=text,
        position=at,
    )


def label(key: Any) -> str:
    """One segment as it is printed: safe for every terminal, whatever the key is."""
    kind = type(key)
    if kind is str:
        return f".{key}" if key.isidentifier() else f"[{quote(key)}]"
    if kind is int:
        return f"[{shown(key)}]"
    if kind is Keyed:
        return f"[{key.field}={_keyed(key.value)}]"
    return f"[{shown(key)}]"


def render(keys: Iterable[Any]) -> str:
    """A path from its keys, the outermost first."""
    return "$" + "".join(map(label, keys))


def quote(text: str) -> str:
    """Text in single quotes, in the normal form of RFC 9535; what cannot be printed is escaped."""
    if text.isprintable() and "'" not in text and "\\" not in text:
        return f"'{text}'"
    return "'" + "".join(map(_quoted, text)) + "'"


_SHORT: Final = {"'": "\\'", "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _quoted(char: str) -> str:
    if short := _SHORT.get(char):
        return short
    if char.isprintable():
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _keyed(value: Any) -> str:
    if type(value) is not str:
        return shown(value)
    return value if value.isidentifier() and value not in _WORDS and value not in ("inf", "nan") else quote(value)


def shown(value: Any) -> str:
    """The ``repr`` of a value: printable, capped, and never raising."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a key's own repr may raise anything; a path must be printable all the same
        text = f"<{type(value).__name__}>"
    if len(text) > 200:
        text = text[:199] + "…"
    return text if text.isprintable() else "".join(map(_quoted, text))
