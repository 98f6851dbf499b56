"""What is raised between languages: names, recognised by the error's own words and by what the smallest value has."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

from shadowmig.wire.roundtrip._features import Feature, features
from shadowmig.wire.roundtrip._model import Incompatibility


@frozen
class ErrorRule:
    """
    When an error is of a class.

    Attributes:
        name: The class.
        words: What its text has, if anything.
        has: What the value has: one of them, if any are given.
    """

    name: str
    words: re.Pattern[str] | None = None
    has: Feature = Feature.NONE


def _rule(name: str, words: str = "", has: Feature = Feature.NONE) -> ErrorRule:
    return ErrorRule(name, re.compile(words) if words else None, has)


_RANGE = r"range|overflow|too (large|big|high|small)|exceed|does(n't| not) fit|more than|\bbits?\b|unmarshal number"

RULES: Final = (
    _rule("nesting refused", r"recurs|depth|nest|too deep|levels"),
    _rule("duplicate key", r"duplicate|twice"),
    _rule("lone surrogate refused", "", Feature.SURROGATE),
    _rule("NaN or infinity refused", "", Feature.STRANGE),
    _rule("float overflows 32 bits", r"[+-]inf|float32"),
    _rule(
        "unknown field refused",
        r"unknown field|unexpected (keyword|field|key|attr)|extra (field|key)|additional|unrecogni",
    ),
    _rule("missing field refused", r"missing|required|keyerror|no (such )?(key|field)\b|lacks"),
    _rule("unknown enum value refused", r"enum|is not a valid \w|is not one of|not in literal|literal_error"),
    _rule("null refused", r"nonetype|\bnull\b|\bnil\b"),
    _rule("integer overflows 64 bits", "", Feature.OVER64),
    _rule("negative integer refused", r"negative|unsigned|uint|range|greater than or equal", Feature.NEGATIVE),
    _rule("integer overflows 64 bits", _RANGE, Feature.OVER63),
    _rule("integer overflows 32 bits", r"int32|32.bit", Feature.OVER31),
    _rule("integer above 2**53 refused", "", Feature.OVER53),
    _rule("integer overflows 32 bits", _RANGE, Feature.OVER31),
    _rule("year out of range", "", Feature.YEAR),
    _rule("time refused", r"time|date|zone|iso|rfc|instant", Feature.TIME),
    _rule("fraction refused", "", Feature.FRACTION),
    _rule("number out of range", _RANGE, Feature.NUMBER),
    _rule("key refused", "", Feature.KEY),
    _rule("NUL refused", "", Feature.NUL),
    _rule("bytes are no UTF-8", r"utf-?8|unicode|codec can't|surrogate"),
    _rule("nesting refused", "", Feature.DEEP),
    _rule("too long refused", "", Feature.LONG),
    _rule("bytes refused", "", Feature.BYTES),
    _rule("decimal refused", "", Feature.DECIMAL),
    _rule("bytes cut", r"\beof\b|truncat|\bcut\b|unexpected end|incomplete|too short|unterminated"),
    _rule("empty value refused", r"empty|blank|zero.length|at least", Feature.EMPTY),
    _rule(
        "wrong type refused",
        r"unmarshal|invalid (literal|code)|could not convert|expect|type|attribute|convert|must be|cannot be"
        r"|not (an? )?(int|str|float|bool|dict|list)",
    ),
    _rule(
        "bytes of another format",
        r"invalid|json|unpack|magic|header|format|decod|pars|syntax|unknown (tag|wire|byte)",
    ),
    _rule("time refused", "", Feature.TIME),
    _rule("null refused", "", Feature.NULL),
)


def _error(name: str, meaning: str, cause: str, remedy: str) -> Incompatibility:
    return Incompatibility(name, None, meaning, cause, remedy)


_NARROW = "Use a type that can hold it, or keep such values out where they enter."

ERRORS: Final = (
    _error(
        "nesting refused",
        "A value was nested too deep.",
        "Parsers have a limit, each another one.",
        "Keep values flat, or refuse deep ones where they enter.",
    ),
    _error(
        "duplicate key",
        "A map had a key twice.",
        "Two keys became the same text, or the writer writes a field twice.",
        "Write each key once; parsers take the first, the last, or refuse.",
    ),
    _error(
        "lone surrogate refused",
        "Half a character, which is no text, was refused.",
        "Texts cut in the middle of a character; only some languages can hold the half.",
        "Clean texts where they enter; do not cut them by units of 16 bits.",
    ),
    _error(
        "NaN or infinity refused",
        "A number that is not finite was refused.",
        "JSON has no number for it; Python's writes `NaN` all the same.",
        "Keep such numbers out, or agree on one form; in Python, `allow_nan=False`.",
    ),
    _error(
        "unknown field refused",
        "A field that the reader does not know was refused.",
        "The reader is strict.",
        "Teach all readers a field before it is written, or let them ignore what they do not know.",
    ),
    _error(
        "missing field refused",
        "A field that was not there was asked for.",
        "The writer leaves it out when it is empty, or does not know it.",
        "Write it always, or give the reader a default.",
    ),
    _error(
        "unknown enum value refused",
        "A value that is no member of an enum was refused.",
        "One side has a newer list of members.",
        "Teach all readers a new member before it is written.",
    ),
    _error(
        "negative integer refused",
        "A negative integer was refused.",
        "One side has an unsigned type there.",
        "Use a signed type on both sides.",
    ),
    _error(
        "integer above 2**53 refused",
        "An integer that a float cannot hold exactly was refused.",
        "One side keeps numbers as floats, and checks.",
        "Write such integers as text.",
    ),
    _error("number out of range", "A number was refused for its size.", "One side's type is smaller.", _NARROW),
    _error(
        "time refused",
        "A time was refused.",
        "The sides write times in different forms, or with different precision.",
        "Agree on one form: RFC 3339 in UTC, with a fixed precision.",
    ),
    _error(
        "key refused",
        "A key that is no text was refused.",
        "JSON has no other keys.",
        "Write text keys, or a list of pairs.",
    ),
    _error("NUL refused", "The character U+0000 was refused.", "Postgres and C cannot hold it.", "Keep it out."),
    _error(
        "bytes are no UTF-8",
        "Text was read in an encoding in which its bytes are not valid.",
        "The writer wrote another encoding, or bytes as text.",
        "Write UTF-8, and bytes as base64.",
    ),
    _error("too long refused", "A value was refused for its length.", "One side has a limit.", "Agree on the limit."),
    _error(
        "bytes refused",
        "Bytes were refused.",
        "The format has no bytes, or one side has text there.",
        "Write them as base64.",
    ),
    _error(
        "decimal refused",
        "A decimal number was refused.",
        "The format has none.",
        "Write it as text, or as an integer of the smallest unit.",
    ),
    _error(
        "fraction refused",
        "A number with a fraction was refused.",
        "One side has an integer there.",
        "Use a float on both sides.",
    ),
    _error(
        "null refused",
        "Null was refused.",
        "One side's type there has no null.",
        "Use a type that has (a pointer in Go, `optional` in protobuf), or do not write it.",
    ),
    _error(
        "bytes cut",
        "The bytes ended too early.",
        "The writer writes in parts, or the store has a limit.",
        "Look at the bytes; compare their length with the store's limit.",
    ),
    _error(
        "empty value refused",
        "An empty text, list or map was refused.",
        "One side demands a content.",
        "Agree on what is valid.",
    ),
    _error(
        "wrong type refused",
        "A value was refused for its type.",
        "The sides have different types there.",
        "Agree on one type.",
    ),
    _error(
        "bytes of another format",
        "The reader could make nothing of the bytes.",
        "The writer writes another format, another version of it, or compressed.",
        "Check the codec and the flags on both sides.",
    ),
    _error(
        "unreadable",
        "The reader raised, and neither its words nor the value tell why.",
        "See the reader's own error.",
        "Look at the smallest value and its bytes.",
    ),
    _error(
        "unwritable",
        "The writer raised for a value that another writes, and neither its words nor the value tell why.",
        "See the writer's own error.",
        "Look at the smallest value.",
    ),
)


def name_error(error: str, value: Any, *, fallback: str) -> str:
    """
    Name what was raised.

    Args:
        error: Class, reason and text of the error.
        value: The smallest value that shows it, in plain form.
        fallback: The name if nothing tells.
    """
    words = error.lower()
    has = features(value)
    for rule in RULES:
        if (rule.words is None or rule.words.search(words)) and (not rule.has or rule.has & has):
            return rule.name
    return fallback
