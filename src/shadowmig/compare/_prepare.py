"""What rules do to a value before it is compared: normalizers, JSON text, masks. User code runs here, guarded."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shadowmig.compare import _instants
from shadowmig.compare.json_text import read_json
from shadowmig.errors import CompareError

if TYPE_CHECKING:
    from shadowmig.compare._states import State


def prepare(value: Any, at: State, where: Callable[[], str] | None = None) -> Any:
    """
    The value that is compared at a place instead of this one.

    ``where`` gives the path for a message; it is asked only when something raises.
    """
    for use, function in at.normalize:
        try:
            value = function(value)
        except Exception as error:
            path = f" at {where()}" if where else ""
            raise CompareError(
                f"{at.text(use)} raised {type(error).__name__}{path}.",
                remedy="A normalizer is called with whatever is there, on both sides; make it accept that.",
                path=where() if where else None,
                rule=at.text(use),
            ) from error
    if at.json_text and isinstance(value, (str, bytes, bytearray)):
        try:
            return read_json(value, duplicate_keys="reject" if at.options.reject_duplicates else "last")
        except CompareError:
            return value  # text that is not JSON is compared as text: a difference, not a failure
    return value


def holds(mask: Callable[[Any], Any], value: Any) -> bool:
    """Whether a value is of a mask's class; a predicate that raises does not hold."""
    try:
        return mask(value) is True
    except Exception:  # noqa: BLE001 - a predicate may raise anything
        return False


def _timestamp(value: Any) -> bool:
    if type(value) is str:
        return _instants.from_text(value, 1) is not None
    return type(value) is datetime


def _uuid(value: Any) -> bool:
    return type(value) is uuid.UUID or (type(value) is str and str(uuid.UUID(value)) == value.lower())


CLASSES: Final[dict[str, Callable[[Any], bool]]] = {
    "nonempty-string": lambda value: type(value) is str and value != "",
    "timestamp": _timestamp,
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
    "uuid": _uuid,
}
"""The mask classes that have a name."""
