"""
Values as short printable text, in bounded time.

Danger: what is shown may be huge, deep or hostile, so it is looked into only so far, and nothing it has is called but
``repr`` of single values.
"""

from __future__ import annotations

from typing import Any, Final

from shadowmig.model import MISSING
from shadowmig.sinks._printable import printable
from shadowmig.wire.roundtrip._edits import is_model, is_single, parts
from shadowmig.wire.roundtrip._simpler import weight, zero

_MEMBERS: Final = 12
_LEVELS: Final = 6
_TEXT: Final = 60
_BITS: Final = 400


def shown(value: Any, limit: int = 300) -> str:
    """Give a value as one printable line of at most so many characters."""
    return printable(_shown(value, 0), limit)


def _shown(value: Any, level: int) -> str:
    kind = type(value)
    if value is MISSING:
        return "<missing>"
    if kind in (str, bytes):
        room = f"… ({len(value):,} in all)".replace(",", " ")
        return repr(value) if len(value) <= (_TEXT if level else 4 * _TEXT) else repr(value[:20]) + room
    if kind is int and value.bit_length() > _BITS:
        return f"<int of {value.bit_length()} bits>"
    if kind in (dict, list, tuple) or is_model(kind):
        return _container(value, kind, level)
    try:
        return repr(value)[: _TEXT * 5]
    except Exception:  # noqa: BLE001 - a value's own repr may raise anything
        return f"<{kind.__name__}>"


def _is_plainest(value: Any) -> bool:
    """Whether a field has nothing to tell: it is zero, empty, null, or the first of its kind."""
    try:
        return is_single(value) and weight(value) <= weight(zero(value))
    except Exception:  # noqa: BLE001 - a value's own code may raise anything
        return False


def _container(value: Any, kind: type[Any], level: int) -> str:
    if level >= _LEVELS:
        return "…"
    inner = parts(value)
    more = [f"… {len(inner) - _MEMBERS:,} more".replace(",", " ")] if len(inner) > _MEMBERS else []
    if is_model(kind):
        telling = [(key, each) for key, each in inner if not _is_plainest(each)]
        more = ["…"] if len(telling) < len(inner) else []
        more += [f"… {len(telling) - _MEMBERS} more"] if len(telling) > _MEMBERS else []
        inner = telling
    some = [(key, _shown(each, level + 1)) for key, each in inner[:_MEMBERS]]
    if kind is dict:
        return f"{{{', '.join([f'{_shown(key, level + 1)}: {text}' for key, text in some] + more)}}}"
    if kind in (list, tuple):
        return f"[{', '.join([text for _, text in some] + more)}]"
    return f"{kind.__name__}({', '.join([f'{key}={text}' for key, text in some] + more)})"
