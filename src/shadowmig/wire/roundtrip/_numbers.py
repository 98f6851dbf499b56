"""What happens to numbers and truth values between languages: names, and how each is recognised."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from shadowmig.wire.roundtrip._model import Incompatibility, Outcome

Leaf = tuple[Incompatibility, Callable[[Any, Any], bool]]
"""A class, and whether it is what made the second value of the first."""


def silent(name: str, meaning: str, cause: str, remedy: str) -> Incompatibility:
    """Name what decodes without an error and is wrong."""
    return Incompatibility(name, Outcome.SILENTLY_WRONG, meaning, cause, remedy)


def different(name: str, meaning: str, cause: str, remedy: str) -> Incompatibility:
    """Name what decodes to another value."""
    return Incompatibility(name, Outcome.DIFFERENT, meaning, cause, remedy)


def is_int(value: Any) -> bool:
    """Whether it is an integer, and no truth value."""
    return type(value) is int


def _both(kind: type[Any], want: Any, got: Any) -> bool:
    return type(want) is kind and type(got) is kind


def _nearest(want: Any, got: Any) -> bool:
    if not is_int(want) or type(got) not in (int, float) or abs(want) <= 2**53 or got == want:
        return False
    try:
        return float(got) == float(want)
    except OverflowError:
        return False


def _overflows(bits: int) -> Callable[[Any, Any], bool]:
    low, high, whole = -(1 << bits - 1), (1 << bits - 1) - 1, 1 << bits

    def test(want: Any, got: Any) -> bool:
        if not is_int(want) or not is_int(got) or low <= want <= high or not low <= got < whole or want == got:
            return False
        return (want - got) % whole == 0 or got in (low, high, whole - 1)

    return test


def _unsigned(want: Any, got: Any) -> bool:
    return is_int(want) and is_int(got) and want < 0 < got and any(got - want == 1 << bits for bits in (8, 16, 32, 64))


def _is_negative_zero(value: Any) -> bool:
    return type(value) is float and value == 0 and math.copysign(1, value) < 0


def _single(number: float) -> float:
    """Give the nearest float of 32 bits."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _near(want: Any, got: Any) -> bool:
    return _both(float, want, got) and math.isfinite(got) and math.isclose(want, got, rel_tol=1e-3)


def _lost_fraction(want: Any, got: Any) -> bool:
    return type(want) is float and is_int(got) and math.isfinite(want) and want != got and abs(int(want) - got) <= 1


def _strange(want: Any) -> bool:
    return type(want) is float and not math.isfinite(want)


def _text_of_number(want: Any, got: Any) -> bool:
    if type(got) is not str or type(want) not in (int, float):
        return False
    try:
        return bool(Decimal(got) == Decimal(want))
    except ArithmeticError:
        return False


NUMBERS: Final[tuple[Leaf, ...]] = (
    (
        silent(
            "integer above 2**53 lost precision",
            "An integer came out as the nearest number that a float of 64 bits can hold.",
            "One side keeps all numbers as floats, as JavaScript does, and Go's `any`.",
            "Read numbers as integers (in Go `UseNumber`, or a field of type `int64`), or write such integers as text.",
        ),
        _nearest,
    ),
    (
        silent(
            "negative integer became unsigned",
            "A negative integer came out as a large positive one.",
            "One side has an unsigned type there.",
            "Use a signed type on both sides.",
        ),
        _unsigned,
    ),
    *(
        (
            silent(
                f"integer overflows {bits} bits",
                f"An integer that does not fit into {bits} bits was wrapped around, or cut down to the limit.",
                f"One side has an integer of {bits} bits there; Python's have no limit.",
                "Use a wider type, or refuse such integers where they enter, or write them as text.",
            ),
            _overflows(bits),
        )
        for bits in (64, 32, 16, 8)
    ),
    (
        silent(
            "integer became float",
            "An integer came out as a float of the same value.",
            "One side keeps all numbers as floats, or has a float there.",
            "Use an integer type on both sides.",
        ),
        lambda want, got: is_int(want) and type(got) is float and want == got,
    ),
    (
        silent(
            "integer became boolean",
            "An integer came out as true or false.",
            "One side has a truth value there, as a database without a type for it gives 0 and 1.",
            "Agree on one type.",
        ),
        lambda want, got: is_int(want) and type(got) is bool,
    ),
    (
        silent(
            "boolean became integer",
            "True or false came out as a number.",
            "One side's type there is a number; in Python, `True` is one.",
            "Agree on one type; in Python, convert with `bool()` before writing.",
        ),
        lambda want, got: type(want) is bool and type(got) in (int, float),
    ),
    (
        silent(
            "boolean became text",
            "True or false came out as text.",
            "It was written with `str()`, or into a format that has only text.",
            "Write a truth value.",
        ),
        lambda want, got: type(want) is bool and type(got) is str,
    ),
    (
        silent(
            "NaN or infinity became text",
            "A number that is not finite came out as text.",
            "One side writes it by its name, because its format has no number for it.",
            "Keep such numbers out, or agree on one form.",
        ),
        lambda want, got: _strange(want) and type(got) is str,
    ),
    (
        silent(
            "NaN or infinity became null",
            "A number that is not finite came out as null.",
            "JSON has no number for it, and one side writes null instead, as JavaScript does.",
            "Keep such numbers out, or agree on one form.",
        ),
        lambda want, got: _strange(want) and got is None,
    ),
    (
        silent(
            "NaN or infinity changed",
            "A number that is not finite came out as another number.",
            "One side cannot hold it, and takes its largest number or zero.",
            "Keep such numbers out.",
        ),
        lambda want, got: _strange(want) and type(got) in (int, float),
    ),
    (
        silent(
            "negative zero lost its sign",
            "-0.0 came out as 0.",
            "One side has an integer there, or writes 0.0 for -0.0.",
            'If the sign matters, write the number as text; if not, compare with `signed_zero="same"`.',
        ),
        lambda want, got: _is_negative_zero(want) and type(got) is float and got == 0,
    ),
    (
        silent(
            "float became integer",
            "A float came out as an integer of the same value.",
            "One side writes 1.0 as 1, as JavaScript and Go do.",
            'Read into a float, or compare with `numbers="value"`.',
        ),
        lambda want, got: type(want) is float and is_int(got) and math.isfinite(want) and _float(got) == want,
    ),
    (
        silent(
            "float lost its fraction",
            "A float came out as an integer near it.",
            "One side has an integer there.",
            "Use a float on both sides.",
        ),
        _lost_fraction,
    ),
    (
        silent(
            "denormal flushed",
            "A float very close to zero came out as zero.",
            "One side treats denormal numbers as zero.",
            "Keep such numbers out, or compare with a tolerance.",
        ),
        lambda want, got: _both(float, want, got) and got == 0 and 0 < abs(want) < 2.2250738585072014e-308,
    ),
    (
        silent(
            "float overflows 32 bits",
            "A float came out as infinity.",
            "One side has a float of 32 bits there.",
            "Use 64 bits on both sides.",
        ),
        lambda want, got: _both(float, want, got) and math.isinf(got),
    ),
    (
        silent(
            "float lost precision (32 bits)",
            "A float came out as the nearest one of 32 bits.",
            "One side has a float of 32 bits there.",
            "Use 64 bits on both sides.",
        ),
        lambda want, got: _both(float, want, got) and got == _single(want),
    ),
    (
        silent(
            "float lost precision",
            "A float came out as another one near it.",
            "It was written with too few digits, or rounded.",
            "Write the shortest digits that give the same float again, 17 at most.",
        ),
        _near,
    ),
    (
        silent(
            "decimal became float",
            "A decimal number came out as a float.",
            "The format has no decimal numbers, or one side has a float there.",
            "Write it as text, or as an integer of the smallest unit.",
        ),
        lambda want, got: type(want) is Decimal and type(got) is float,
    ),
    (
        silent(
            "decimal became text",
            "A decimal number came out as text.",
            "The format has no decimal numbers, and the reader does not make one of the text.",
            "Make a decimal of the text when reading.",
        ),
        lambda want, got: type(want) is Decimal and type(got) is str,
    ),
    (
        silent(
            "decimal became integer",
            "A decimal number came out as an integer.",
            "The format has no decimal numbers, and a number without fraction is written as an integer.",
            "Write it as text.",
        ),
        lambda want, got: type(want) is Decimal and is_int(got),
    ),
    (
        silent(
            "decimal lost trailing zeros",
            "A decimal number came out with the same value and another number of digits.",
            "It was normalized, or went through a float.",
            'Write it as text, or compare with `numbers="value"`.',
        ),
        # A signalling NaN raises when it is compared.
        lambda want, got: _both(Decimal, want, got) and want.is_finite() and got.is_finite() and want == got,
    ),
    (
        silent(
            "decimal lost precision",
            "A decimal number came out as another one.",
            "It went through a float, or one side rounds to fewer digits.",
            "Write it as text, and agree on the digits.",
        ),
        lambda want, got: _both(Decimal, want, got),
    ),
    (
        silent(
            "number became text",
            "A number came out as text.",
            "One side writes numbers in quotes, as protobuf's JSON does for 64 bits, or has text there.",
            "Agree on one type.",
        ),
        _text_of_number,
    ),
)
