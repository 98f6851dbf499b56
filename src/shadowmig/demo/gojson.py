r"""
JSON as Go's ``encoding/json`` writes it, as far as a reader can tell the difference.

Map keys are sorted, ``<``, ``>`` and ``&`` are escaped, times are RFC 3339 without trailing zeros. Ordinary floats and
text are written as a careful rewrite would, so that they survive the way; `Float64` and `GoString` are what Go does
when nobody took care.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any


class Float64(float):
    """A float as Go writes it: a whole number loses its ``.0``."""


class GoString(str):
    """Text as Go writes it: what is no valid Unicode becomes U+FFFD."""

    __slots__ = ()


_UNSAFE = re.compile("[<>&\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Any) -> str:
    """
    Write a value as JSON text.

    Args:
        value: Dicts with text as keys, lists, text, numbers, bools, times and ``None``.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(key)}:{encode(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, str):
        return _text(_SURROGATE.sub("\ufffd", value) if isinstance(value, GoString) else value)
    if isinstance(value, Float64):
        return _float64(value)
    if isinstance(value, datetime):
        return f'"{_rfc3339(value)}"'
    return json.dumps(value)


def _text(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)).translate(
        _ESCAPES
    )


# Only lone surrogates are left in a Python text; written as they are they could not be sent.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}


def _float64(value: float) -> str:
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        return re.sub(r"e([+-])0", r"e\1", float.__repr__(value))
    text = format(Decimal(float.__repr__(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rfc3339(value: datetime) -> str:
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{value:%Y-%m-%dT%H:%M:%S}{fraction}Z"
