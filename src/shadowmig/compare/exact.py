"""`exact`: equal or not, as a whole; for bytes, text, and values with a trustworthy ``==``."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.errors import CompareError
from shadowmig.model import Difference, Differences

_EQUAL: Final = Differences()


def exact(*, control: Any, candidate: Any) -> Differences:
    """
    Compare two values of the same type with ``==``; one difference at ``$`` if they are not equal.

    The type is checked at the root only: ``1``, ``1.0`` and ``True`` differ, ``[1]`` and ``[True]`` do not. ``NaN``
    equals ``NaN``. An ``__eq__`` that raises or does not answer with a bool means different (so numpy arrays are
    always different; compare their bytes). Runs foreign code without a time limit.

    Raises:
        CompareError: The values are nested too deeply for ``==``; use `structural`.
    """
    kind = type(control)
    if kind is not type(candidate):
        return Differences([Difference("$", "type", control, candidate)])
    try:
        if control is candidate or (control == candidate) is True:
            return _EQUAL
        if kind is float and control != control and candidate != candidate:
            return _EQUAL
    except RecursionError as error:
        raise CompareError("the values are nested too deeply for ==.", remedy="Use structural().") from error
    except Exception:  # noqa: BLE001 - an __eq__ may raise anything, and has then not said that they are equal
        return Differences([Difference("$", "changed", control, candidate)])
    return Differences([Difference("$", "changed", control, candidate)])
