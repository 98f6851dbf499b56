"""What happens to null, to what is empty, and to what is missing: names, and how each is recognised."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.model import MISSING
from shadowmig.wire.roundtrip._numbers import Leaf, different, silent
from shadowmig.wire.roundtrip._times import ZERO, moment

_ABSENT = "One side leaves out what is empty (Go's `omitempty`, proto3), or drops it."
_ZEROS: Final = (bool, int, float, str, bytes, dict)
_KEEP = "Write it always, or agree that a missing one means just that, and compare with `missing_is_zero`."


def is_default(value: Any) -> bool:
    """Whether it is what a language puts where nothing was given."""
    if value is None or value is MISSING:
        return False
    try:
        if not value:
            return True
    except Exception:  # noqa: BLE001 - a value's own truth may raise anything
        return False
    point = moment(value)
    return point is not None and point.nanoseconds in ZERO


def _emptied(name: str, kinds: tuple[type[Any], ...], zero: str, more: str = "") -> tuple[Leaf, Leaf]:
    """Name what becomes of one kind of empty value: null, or nothing."""
    return (
        (
            silent(
                f"{name} became null",
                f"{zero} came out as null.",
                "One side does not tell them apart: Go writes a nil slice or map as null, Oracle keeps '' as null.",
                f"Write it as it is, or turn null into it where it is read{more}.",
            ),
            lambda want, got: type(want) in kinds and not want and got is None,
        ),
        (
            silent(f"{name} became missing", f"{zero} was left out.", _ABSENT, _KEEP),
            lambda want, got: type(want) in kinds and not want and got is MISSING,
        ),
    )


GAPS: Final[tuple[Leaf, ...]] = (
    *_emptied("empty list", (list,), "An empty list", ", or compare with `empty_is_null`"),
    *_emptied("empty map", (dict,), "An empty map", ", or compare with `empty_is_null`"),
    *_emptied("empty text", (str,), "An empty text"),
    *_emptied("empty bytes", (bytes,), "No bytes"),
    *_emptied("false", (bool,), "False"),
    *_emptied("zero", (int, float), "A zero"),
    (
        silent("null became missing", "A null was left out.", _ABSENT, "Write it always, or use `missing_is_null`."),
        lambda want, got: want is None and got is MISSING,
    ),
    (
        silent(
            "null became empty",
            "Null came out as an empty text, list or map.",
            "One side's type there has no null.",
            "Use a type that has (a pointer in Go, `optional` in protobuf), or `empty_is_null` for lists and maps.",
        ),
        lambda want, got: want is None and type(got) in (str, bytes, list, dict, tuple, set) and not got,
    ),
    (
        silent(
            "null became default",
            "Null came out as zero, false, or the time that stands for none.",
            "One side's type there has no null.",
            "Use a type that has (a pointer in Go, `optional` in protobuf).",
        ),
        lambda want, got: want is None and is_default(got),
    ),
    (
        silent(
            "missing became null",
            "A field that was not there came out as null.",
            "One side writes all its fields.",
            "Agree that both mean the same, and compare with `missing_is_null`.",
        ),
        lambda want, got: want is MISSING and got is None,
    ),
    (
        silent(
            "missing became default",
            "A field that was not there came out as zero, false or empty.",
            "One side has a type there that is always something.",
            "Use a type that can be absent (a pointer in Go, `optional` in protobuf), or `missing_is_zero`.",
        ),
        lambda want, got: want is MISSING and is_default(got),
    ),
    (
        different(
            "field appeared",
            "A field that was not there came out with a value.",
            "One side has a default of its own for it.",
            "Agree on the default, and write it.",
        ),
        lambda want, got: want is MISSING,
    ),
    (
        silent(
            "value became null",
            "A value came out as null.",
            "It was not understood, or its field is unknown.",
            "Check the field's name and type on both sides; refuse what is not understood.",
        ),
        lambda want, got: got is None and not isinstance(want, dict),
    ),
    (
        silent(
            "zero became default",
            "Zero, false or what is empty came out as something else.",
            "One side leaves it out, and the other has a default of its own for what is not there.",
            "Write it always, or have no other default than zero.",
        ),
        lambda want, got: type(want) is type(got) and type(want) in _ZEROS and not want and got,
    ),
    (
        silent(
            "value became default",
            "A value came out as zero, false or empty.",
            "It was not understood (an unknown member of an enum, another name of the field), and the zero was left.",
            "Check the field's name and type on both sides; refuse what is not understood.",
        ),
        lambda want, got: want is not None and type(want) is type(got) and not is_default(want) and is_default(got),
    ),
)
