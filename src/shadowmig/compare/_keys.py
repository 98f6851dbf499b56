"""
Tells at once whether every key of a dict is exactly ``str``, so that key types cost nothing on ordinary data.

``{"a": 1}[StrEnum.A]`` finds a value, as ``{True: 1}[1]`` does: a lookup alone cannot prove that keys have the same
type, and asking each key costs as much as the rest of the comparison. CPython keeps dicts that only ever had plain
``str`` keys in a smaller layout (PEP 659 era, 3.11 and later), whose sizes no other dict has. The sizes are worked
out here and checked against real dicts at import; where they do not fit, every key is asked.
"""

from __future__ import annotations

import sys
from typing import Any

_ANCHORS = (1, 5, 6, 40, 90, 400)


def _sizes(entry: int, base: int) -> set[int]:
    found = {base}
    for log2 in range(3, 41):
        width = 1 if log2 < 8 else 2 if log2 < 16 else 4 if log2 < 32 else 8
        found.add(base + _HEAD + (width << log2) + (2 << log2) // 3 * entry)
    return found


_BASE = {}.__sizeof__()
# The header of the key table is what is left of the smallest table: 8 index bytes and 5 entries of two words.
_HEAD = {"a": 0}.__sizeof__() - _BASE - 8 - 5 * 16


def _calibrated() -> frozenset[int]:
    plain, general = _sizes(16, _BASE), _sizes(24, _BASE) - {_BASE}
    fits = all(
        {str(key): 0 for key in range(n)}.__sizeof__() in plain and dict.fromkeys(range(n), 0).__sizeof__() in general
        for n in _ANCHORS
    )
    if sys.implementation.name != "cpython" or plain & general or not fits:
        return frozenset()  # pragma: no cover - another interpreter or layout
    return frozenset(plain)


PLAIN_SIZES = _calibrated()
"""Sizes of dicts whose keys are all exactly ``str``; empty where that cannot be told from the size."""


def plain_keys(value: dict[Any, Any]) -> bool:
    """Whether all keys are exactly ``str``."""
    return value.__sizeof__() in PLAIN_SIZES or {*map(type, value)} <= {str}
