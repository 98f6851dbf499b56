"""Whether what Avro has written is what it was given, and whether it can be given it at all."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from shadowmig.errors import CodecError


def check_exponents(value: Any) -> None:
    """
    Refuse decimals of which fastavro would write out billions of zeros.

    Raises:
        CodecError: There is one (``number too large``).
    """
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, Decimal) and part.is_finite() and int(part.as_tuple().exponent) > _ZEROS:
            raise CodecError("A decimal has too many zeros.", reason="number too large")


def is_same(value: Any, found: Any) -> bool:
    """
    Tell whether what is read is what was written.

    Args:
        value: What was written.
        found: What is read: plain dicts and lists, with the defaults of fields that were not given.
    """
    if isinstance(found, dict):
        return all(key == "-type" or (key in found and is_same(each, found[key])) for key, each in value.items())
    if isinstance(found, list):
        return len(value) == len(found) and all(map(is_same, value, found))
    if isinstance(found, float):
        return bool(value == found) or value != value or (isinstance(value, float) and _single(value) == found)  # noqa: PLR0124 - so is NaN told
    if isinstance(found, bytes):
        return isinstance(value, bytes | bytearray) and value == found
    return isinstance(value, type(found)) and bool(value == found)


def _single(number: float) -> float | None:
    """Round to 32 bits."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return None


_ZEROS: Final = 10_000
