"""
The names of what goes wrong between languages, and how a difference gets one.

The tables are in the siblings, by what they are about; the first rule that holds gives the name. A name never changes
its meaning: people accept faults by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from shadowmig.compare.paths import Index, Key, Name, Segment, parse
from shadowmig.errors import ConfigError
from shadowmig.model import MISSING, Difference
from shadowmig.wire.roundtrip._binary import BINARY
from shadowmig.wire.roundtrip._bytes import BYTES
from shadowmig.wire.roundtrip._errors import ERRORS
from shadowmig.wire.roundtrip._gaps import GAPS
from shadowmig.wire.roundtrip._model import Incompatibility, Outcome
from shadowmig.wire.roundtrip._numbers import NUMBERS, different, silent
from shadowmig.wire.roundtrip._shapes import FIELDS, LISTS, SHAPES
from shadowmig.wire.roundtrip._texts import TEXTS
from shadowmig.wire.roundtrip._times import TIMES

_LEAVES: Final = (*NUMBERS, *TIMES, *TEXTS, *BINARY, *LISTS, *GAPS, *SHAPES)

_WHOLE: Final = (
    Incompatibility(
        "reads as a miss",
        Outcome.MISS,
        "The reader takes the bytes for a miss.",
        "It swallows the error of bytes that it cannot read, as `pickle_serde` does, or does not know the flags.",
        "Look at the smallest value and its bytes; count misses in the service.",
    ),
    Incompatibility(
        "re-encoding refused",
        Outcome.REFUSED,
        "One side could not write back what it had read.",
        "It reads more than it writes: a time without a zone, an unknown member of an enum.",
        "Let it write what it reads.",
    ),
    different(
        "writer changed the value",
        "The value was another one after it had been written.",
        "The writer adds or removes fields in place.",
        "Let it work on a copy.",
    ),
    silent(
        "value holds itself",
        "What was read holds itself, or is nested without end.",
        "The reader shares an object that it should make anew.",
        "Make a new object for each value.",
    ),
)

_BROKEN: Final = tuple(
    Incompatibility(name, Outcome.BROKEN, meaning, cause, remedy)
    for name, meaning, cause, remedy in (
        (
            "codec unavailable",
            "The codec could not do its work, so nothing is known of the bytes.",
            "Its program died, hung, or broke the protocol.",
            "See its error, and run it by hand with the value shown.",
        ),
        (
            "comparison failed",
            "Two values could not be compared.",
            "The comparator, `plain=` or `miss=` raised, or ran out of time.",
            "See the error; give a `compare=` that can.",
        ),
        (
            "not bytes",
            "The writer gave something else than bytes.",
            "It gives text, or another pair than bytes and flags.",
            "Wrap it in a function that gives bytes.",
        ),
        (
            "no plain form",
            "The value to be written holds itself, or cannot be read, so there is nothing to compare with.",
            "It is no value that can be written.",
            "Leave it out.",
        ),
    )
)

CLASSES: Final[dict[str, Incompatibility]] = {
    each.name: each
    for each in (
        *(leaf for leaf, _ in _LEAVES[: -len(SHAPES)]),
        *FIELDS.values(),
        *(leaf for leaf, _ in SHAPES),
        *_WHOLE,
        *ERRORS,
        *BYTES,
        *_BROKEN,
    )
}
"""Every class of faults by its name, in the order in which they are looked for."""

DROPS: Final = frozenset({"field dropped", "field not written", "unknown field dropped"})
"""A field that did not come through; on the way back it is named for that."""


@frozen
class Named:
    """A difference with the name of its class."""

    name: str
    path: str
    want: Any = MISSING
    got: Any = MISSING


def name_differences(differences: Iterable[Difference], data: bytes, whole: Any = MISSING) -> list[Named]:
    """
    Name each difference.

    Args:
        differences: What the comparator found, the value written being ``control``.
        data: The bytes: they tell who dropped a field.
        whole: The value written, in plain form: it tells elements of lists from numbered keys.
    """
    found = list(differences)
    named = []
    gone = [each for each in found if each.candidate is MISSING and each.control is not MISSING]
    come = [each for each in found if each.control is MISSING and each.candidate is not MISSING]
    if gone and come:
        named = _moved(gone, come, found)
    seen = _seen(found, data)
    return named + [
        Named(_name(each, data, whole, self_describing=seen), each.path, each.control, each.candidate) for each in found
    ]


def _moved(gone: list[Difference], come: list[Difference], found: list[Difference]) -> list[Named]:
    """Name the fields that are there under another key, and take them out of what was found."""
    named = []
    theirs: dict[Any, list[tuple[Segment, Difference]]] = {}
    for each in come:
        parent, key = _place(each.path)
        theirs.setdefault(parent, []).append((key, each))
    for each in gone:
        parent, key = _place(each.path)
        for pair in theirs.get(parent, ()):
            name = "" if key is None or pair[0] is None else _rekeyed(key, pair[0])
            if name:
                named.append(Named(name, each.path, *_keys(key, pair[0])))
                theirs[parent].remove(pair)
                found.remove(each)
                found.remove(pair[1])
                break
    return named


def _place(path: str) -> tuple[tuple[Segment, ...] | None, Any]:
    try:
        segments = parse(path, option="path").segments
    except ConfigError:  # the key is no number and no text, and only shown
        return None, None
    return segments[:-1], segments[-1] if segments else None


def _keys(*keys: Any) -> tuple[Any, ...]:
    return tuple(
        key.name if isinstance(key, Name) else key.index if isinstance(key, Index) else key.value for key in keys
    )


def _rekeyed(old: Any, new: Any) -> str:
    a, b = _keys(old, new)
    if isinstance(new, Name):
        if isinstance(old, Index) and str(a) == b:
            return "integer key became text"
        if isinstance(old, Key):
            return "key became text" if b.casefold() in (str(a).casefold(), "null", "nil", "") else ""
        if isinstance(old, Name):
            if _bare(a) == _bare(b):
                return "field renamed"
            return next((each.name for each, test in TEXTS if each.name in _OF_KEYS and test(a, b)), "")
    if isinstance(old, Name) and isinstance(new, Index) and a == str(b):
        return "text key became integer"
    return ""


_OF_KEYS: Final = frozenset(
    {
        "text split into surrogates",
        "lone surrogate replaced",
        "text replaced by U+FFFD",
        "text normalized",
        "HTML escaped",
        "HTML unescaped",
        "text in the wrong encoding",
    }
)
"""What happens to text that is recognised in keys; the rest could be another field."""


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _seen(found: list[Difference], data: bytes) -> bool:
    """Whether the names of fields are in the bytes, so that their absence says something."""
    return data[:1] in (b"{", b"[") or any(
        each.candidate is not MISSING and isinstance(key, Name) and _holds(data, key.name)
        for each in found
        for key in (_place(each.path)[1],)
    )


def _holds(data: bytes, name: str) -> bool:
    """Whether the name of a field is in the bytes: quoted if they are JSON."""
    if data[:1] in (b"{", b"["):
        return any(json.dumps(name, ensure_ascii=way).encode("utf-8", "replace") in data for way in (True, False))
    return bool(name) and name.encode("utf-8", "replace") in data


def _is_element(each: Difference, whole: Any) -> bool:
    """Whether it is about an element of a list that one side has, and the other has not."""
    if (each.control is MISSING) == (each.candidate is MISSING) or not each.path.endswith("]"):
        return False
    parent, key = _place(each.path)
    if type(key) is not Index:
        return False
    for segment in parent or ():
        try:
            whole = whole[_keys(segment)[0]]
        except Exception:  # noqa: BLE001 - a path of a comparator's own may lead nowhere
            return True
    return not isinstance(whole, Mapping)


def _name(each: Difference, data: bytes, whole: Any, *, self_describing: bool) -> str:
    want, got = each.control, each.candidate
    if each.kind == "order":
        return "map reordered" if isinstance(want, dict) else "list reordered"
    if _is_element(each, whole):
        return "list element dropped" if got is MISSING else "list element appeared"
    if got is None and each.path == "$" and type(want) in (dict, list) and want:
        return "reads as a miss"
    name = next(leaf.name for leaf, test in _LEAVES if test(want, got))
    return _dropped(each, data, self_describing) if name == "wrong type" and got is MISSING else name


def _dropped(each: Difference, data: bytes, self_describing: bool) -> str:
    key = _place(each.path)[1]
    if not isinstance(key, Name):
        return "field dropped"
    if _holds(data, key.name):
        return "unknown field dropped"
    return "field not written" if self_describing else "field dropped"
