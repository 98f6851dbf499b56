"""What happens to text between languages: names, and how each is recognised."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

from shadowmig.wire.roundtrip._numbers import Leaf, different, silent

_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_STAND_INS: Final = ("\ufffd", "?", "", "\ufffd\ufffd\ufffd", "??", "???", " ")
_MOST: Final = 1_000_000
"""Characters up to which a text is looked at in all these ways."""


def _texts(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def both(want: Any, got: Any) -> bool:
        return type(want) is str and type(got) is str and len(want) <= _MOST and len(got) <= _MOST and test(want, got)

    return both


def _surrogate(want: str, got: str) -> bool:
    """Whether what differs is only what became of lone surrogates."""
    return got != "" and _SURROGATE.search(want) is not None and got in {_SURROGATE.sub(by, want) for by in _STAND_INS}


def _pairs(want: str, got: str) -> bool:
    """Whether characters above U+FFFF came out as two halves, or halves as one."""
    return (_SURROGATE.search(want) is not None or _SURROGATE.search(got) is not None) and want.encode(
        "utf-16-le", "surrogatepass"
    ) == got.encode("utf-16-le", "surrogatepass")


def _replaced(want: str, got: str) -> bool:
    return "\ufffd" in got and got.count("\ufffd") > want.count("\ufffd")


def _normalized(want: str, got: str) -> bool:
    return any(unicodedata.normalize(form, want) == got for form in ("NFC", "NFD", "NFKC", "NFKD"))


def _mistaken(want: str, got: str) -> bool:
    for encoding in ("latin-1", "cp1252"):
        try:
            if want.encode().decode(encoding) == got or want.encode(encoding).decode("utf-8", "replace") == got:
                return True
        except UnicodeError:
            continue
    return False


def _twice(want: str, got: str) -> bool:
    return got in (json.dumps(want), json.dumps(want, ensure_ascii=False))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _another_word(want: str, got: str) -> bool:
    return want[:1] != "" and _WORD.fullmatch(want) is not None and _WORD.fullmatch(got) is not None


TEXTS: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "text split into surrogates",
            "A character above U+FFFF came out as two halves, or two halves as one character.",
            "One side's texts are made of units of 16 bits, as in JavaScript and Java.",
            "Write UTF-8, or `\\u` escapes in pairs.",
        ),
        _texts(_pairs),
    ),
    (
        silent(
            "lone surrogate replaced",
            "Half a character, which is no text, came out as another character, or not at all.",
            "Texts cut in the middle of a character; one side keeps the half, the other must not.",
            "Clean texts where they enter; do not cut them by units of 16 bits.",
        ),
        _texts(_surrogate),
    ),
    (
        silent(
            "text replaced by U+FFFD",
            "Characters came out as the replacement character.",
            "The bytes were read in an encoding in which they are not valid.",
            "Write and read UTF-8.",
        ),
        _texts(_replaced),
    ),
    (
        silent(
            "text normalized",
            "A text came out in another Unicode normal form.",
            "One side composes or decomposes characters.",
            'Normalize where texts enter, or compare with `unicode="NFC"`.',
        ),
        _texts(_normalized),
    ),
    (
        silent(
            "text encoded twice",
            "A text came out as JSON of that text.",
            "It was encoded twice and decoded once.",
            "Encode once.",
        ),
        _texts(_twice),
    ),
    (
        silent(
            "HTML escaped",
            "Characters such as `<` came out as HTML entities.",
            "One side escapes for a page when it stores.",
            "Escape when a page is made.",
        ),
        _texts(lambda want, got: html.unescape(got) == want),
    ),
    (
        silent(
            "HTML unescaped",
            "HTML entities came out as the characters that they stand for.",
            "One side takes stored text for HTML.",
            "Keep text as it is.",
        ),
        _texts(lambda want, got: html.unescape(want) == got),
    ),
    (
        silent(
            "NUL cut the text",
            "A text ended at the character U+0000.",
            "One side's texts end there, as those of C do.",
            "Keep U+0000 out.",
        ),
        _texts(lambda want, got: "\0" in want and want.split("\0")[0] == got != ""),
    ),
    (
        silent(
            "text stripped",
            "White space at an end of the text is gone.",
            "One side strips what it reads.",
            "Do the same on both sides, where texts enter.",
        ),
        _texts(lambda want, got: got in (want.strip(), want.rstrip(), want.lstrip()) and bool(got)),
    ),
    (
        silent(
            "control characters lost",
            "Characters that cannot be seen are gone or replaced.",
            "One side removes what it takes for harmful.",
            "Do the same on both sides, where texts enter.",
        ),
        _texts(
            lambda want, got: (
                got != ""
                and _CONTROL.search(want) is not None
                and got in {_CONTROL.sub(by, want) for by in ("", " ", "?")} | {want.replace("\0", "")}
            )
        ),
    ),
    (
        silent(
            "line ends changed",
            "A text came out with other line ends.",
            "One side reads or writes in text mode, or takes the text out of XML or a form.",
            "Read and write bytes.",
        ),
        _texts(lambda want, got: _lines(want) == _lines(got)),
    ),
    (
        silent(
            "characters above U+FFFF lost",
            "Characters such as emoji are gone or replaced.",
            "One side keeps three bytes for each character, as MySQL's `utf8` does.",
            "Use four bytes (`utf8mb4`).",
        ),
        _texts(
            lambda want, got: (
                got != ""
                and _ASTRAL.search(want) is not None
                and got in {_ASTRAL.sub(by, want) for by in ("", "?", "??", "????")}
            )
        ),
    ),
    (
        silent(
            "text in the wrong encoding",
            "Characters outside ASCII came out as others: é as Ã©.",
            "One side writes UTF-8 and the other reads Latin-1, or the other way round.",
            "Write and read UTF-8.",
        ),
        _texts(_mistaken),
    ),
    (
        silent(
            "text became default",
            "A text came out empty.",
            "It was not understood, or its field is unknown, and the zero value was left in its place.",
            "Check the field's name and type on both sides; refuse what is not understood.",
        ),
        _texts(lambda want, got: not got),
    ),
    (
        silent(
            "text truncated",
            "The end of a text is gone.",
            "One side has a limit, such as the length of a column.",
            "Agree on the limit, and refuse what is longer.",
        ),
        _texts(lambda want, got: want.startswith(got.rstrip("\ufffd….")) and len(got) < len(want)),
    ),
    (
        different(
            "text changed its case",
            "A text came out in upper or lower case.",
            "One side folds it.",
            "Keep it as it is, or fold on both sides.",
        ),
        _texts(lambda want, got: want.casefold() == got.casefold()),
    ),
    (
        silent(
            "unknown enum value became default",
            "A word came out as another word.",
            "It is no member of the reader's enum, which has a default for that.",
            "Teach the readers a new member before it is written; refuse or keep what is unknown.",
        ),
        _texts(_another_word),
    ),
    (
        silent(
            "text became boolean",
            "A text came out as true or false.",
            "The reader guesses at types, as YAML does.",
            "Say which fields are text.",
        ),
        lambda want, got: type(want) is str and type(got) is bool,
    ),
    (
        silent(
            "text became number",
            "A text came out as a number.",
            "The reader guesses at types, or has a number there.",
            "Say which fields are text.",
        ),
        lambda want, got: type(want) is str and type(got) in (int, float),
    ),
    (
        silent(
            "text became bytes",
            "A text came out as bytes.",
            "The format does not tell them apart, as the old msgpack, or one side has bytes there.",
            "Use a format that does (`use_bin_type` for msgpack), or decode when reading.",
        ),
        lambda want, got: type(want) is str and type(got) in (bytes, bytearray),
    ),
)
