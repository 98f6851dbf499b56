"""
When two single values are equal: one definition, used by the walker and by the tokens of multisets.

Each value has a key; keys that differ mean different values. Where a rule is not an equivalence (a tolerance is not
transitive) the key is coarse, and `alike` decides for the pair. A key never compares values of different types by
accident: its first part is the type, or the name of the rule that makes types meet.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
import uuid
from base64 import b64encode
from datetime import datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from shadowmig.compare import _instants
from shadowmig.compare._family import FOREIGN, SCALAR, Family
from shadowmig.compare.json_text import DuplicateKey

if TYPE_CHECKING:
    from shadowmig.compare._rules import Tolerance
    from shadowmig.compare._states import State

NUMBERS: Final = frozenset({int, float, complex, Decimal, Fraction})
BYTES: Final = frozenset({bytes, bytearray, memoryview})
_CANONICAL_INT = re.compile(r"-?[1-9][0-9]{0,19999}|0")
_COARSE_TEXT: Final = ("text or bytes",)
_COARSE_NUMBER: Final = ("number",)


def strict_key(value: Any, kind: type[Any], base: type[Any], *, same_zero: bool = False) -> Any:  # noqa: C901 - a table of types
    """Equal for two scalars of one family exactly if they have the same type and value."""
    if base is str:
        return kind, value if kind is str else str.__getitem__(value, slice(None))
    if base is float:
        return kind, _float(value, same_zero)
    if base is complex:
        return kind, _float(value.real, same_zero), _float(value.imag, same_zero)
    if base is Decimal:
        sign, digits, exponent = Decimal.as_tuple(value)
        return kind, 0 if same_zero and not any(digits) else sign, digits, exponent
    if base in BYTES:
        return kind, bytes(value)
    if base is datetime:
        return kind, _instants.wall(value), datetime.utcoffset(value)
    if base is time:
        return kind, value.hour, value.minute, value.second, value.microsecond, time.utcoffset(value)
    if base is uuid.UUID:
        return kind, value.int
    if base is int:
        return kind, int.__pos__(value)
    if base is DuplicateKey:
        return kind, object()  # equal to nothing, itself included: a document with duplicates was refused
    return kind, value


def _float(value: float, same_zero: bool) -> Any:
    if value != value:
        return "nan"
    if value == 0.0:
        return "zero" if same_zero or math.copysign(1.0, value) > 0 else "minus zero"
    return float.__pos__(value)


def key(value: Any, kind: type[Any], family: Family, state: State, applied: list[str]) -> tuple[Any, bool]:
    """
    The key of a scalar under the rules of a state, and whether it is coarse.

    ``applied`` gets the names of the options that took part.
    """
    base = family.base
    if base is str:
        return _text(value if kind is str else str.__getitem__(value, slice(None)), kind, state, applied)
    if base in NUMBERS:
        return _number(value, kind, base, state, applied)
    if base in BYTES:
        return _bytes(bytes(value), kind, state, applied)
    if base is datetime and (state.timestamps or state.options.instants):
        instant = _instants.from_datetime(value, state.timestamps or 1)
        # A naive time stays what it is, unless text that names a naive time may meet it.
        if instant.aware or state.timestamps:
            applied.append("timestamps" if state.timestamps else "datetimes")
            return ("instant", instant), False
    return strict_key(value, kind, base, same_zero=state.options.same_zero), False


def _text(text: str, kind: type[Any], state: State, applied: list[str]) -> tuple[Any, bool]:
    if state.html_unescape and "&" in text:
        applied.append("html_unescape")
        text = html.unescape(text)
    if state.options.nfc and not unicodedata.is_normalized("NFC", text):
        applied.append("unicode")
        text = unicodedata.normalize("NFC", text)
    if state.numeric_strings and _CANONICAL_INT.fullmatch(text):
        applied.append("numeric_strings")
        return _number(_integer(text), int, int, state, applied)
    if state.timestamps and (instant := _instants.from_text(text, state.timestamps)):
        applied.append("timestamps")
        return ("instant", instant), False
    if state.base64:
        return _COARSE_TEXT, True
    return (kind, text), False


def _bytes(data: bytes, kind: type[Any], state: State, applied: list[str]) -> tuple[Any, bool]:
    if state.base64:
        return _COARSE_TEXT, True
    if state.options.text_bytes:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return (kind, data), False
        applied.append("text_bytes")
        return _text(text, str, state, applied)[0], True
    return (kind, data), False


def _number(value: Any, kind: type[Any], base: type[Any], state: State, applied: list[str]) -> tuple[Any, bool]:
    if state.options.by_value:
        applied.append("numbers")
        if state.tolerance:
            return _COARSE_NUMBER, True
        return ("number", exact_number(value)), False
    if state.tolerance and base in (float, complex):
        return (kind, "near"), True
    return strict_key(value, kind, base, same_zero=state.options.same_zero), False


def alike(x: Any, y: Any, fx: Family, fy: Family, state: State, applied: list[str]) -> bool:
    """Whether two scalars with the same coarse key are equal under the rules of a state."""
    if fx.base in BYTES or fy.base in BYTES or (state.base64 and fx.base is str):
        return _alike_text(x, y, fx, fy, state, applied)
    number_x, number_y = _as_number(x, fx, state), _as_number(y, fy, state)
    if number_x is None or number_y is None:
        return False
    if exact_number(number_x) == exact_number(number_y) and (state.options.by_value or number_x != 0):
        return True
    if state.tolerance and (isinstance(number_x, (float, complex)) or isinstance(number_y, (float, complex))):
        applied.append("tolerance")
        return close(number_x, number_y, state.tolerance)
    return False


def _as_number(value: Any, family: Family, state: State) -> Any:
    if family.base in NUMBERS:
        return value
    if family.base is str and state.numeric_strings:
        return _integer(value)
    return None


def _integer(text: str) -> int:
    # Through Decimal when the text is long: int(text) refuses more than 4300 digits, or fewer if so configured.
    return int(text) if len(text) < 600 else int(Decimal(text))


def _alike_text(x: Any, y: Any, fx: Family, fy: Family, state: State, applied: list[str]) -> bool:
    plain = state.without_base64
    if (fx.base is str) == (fy.base is str):
        if type(x) is not type(y):
            return False
        keys = (key(one, type(one), fx, plain, applied)[0] for one in (x, y))
        return bool(next(keys) == next(keys))
    text, data = (x, bytes(y)) if fx.base is str else (y, bytes(x))
    if state.base64 and b64encode(data).decode("ascii") == text:
        applied.append("base64")
        return True
    if not state.options.text_bytes:
        return False
    return bool(_bytes(data, bytes, plain, applied)[0] == _text(text, str, plain, applied)[0])


def exact_number(value: Any) -> Any:
    """A hashable stand-in that is equal for numbers of the same mathematical value, whatever their types."""
    if isinstance(value, complex):
        if value.imag:
            return (exact_number(value.real), exact_number(value.imag))
        value = value.real
    if isinstance(value, Decimal):
        if value.is_nan():
            return "signalling nan" if value.is_snan() else "nan"
        exponent = value.as_tuple().exponent
        # Larger ones would be written out digit by digit; no float and no number of sane size equals them.
        if isinstance(exponent, int) and abs(exponent) <= 5_000:
            return Fraction(Decimal(value))
        return Decimal(value)
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int):
        return int.__pos__(value)
    return "nan" if value != value else float.__pos__(value)


def close(x: Any, y: Any, tolerance: Tolerance) -> bool:
    """Whether two numbers are within a tolerance; ``NaN`` is close to ``NaN``, an infinity only to itself."""
    if isinstance(x, complex) or isinstance(y, complex):
        x, y = complex(x), complex(y)
        return close(x.real, y.real, tolerance) and close(x.imag, y.imag, tolerance)
    p, q = _as_float(x), _as_float(y)
    if p != p or q != q:
        return p != p and q != q
    return math.isclose(p, q, rel_tol=tolerance.rel, abs_tol=tolerance.abs)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all floats is close to none of them
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def is_scalar(family: Family, state: State) -> bool:
    """Whether values of the family have a key; members of number-valued enums have one when numbers go by value."""
    return family.group == SCALAR or (family.base in NUMBERS and family.group != FOREIGN and state.options.by_value)
