"""
Says quickly that two values are strictly equal; anything else is left to the walker.

A first pass over both values without paths, rules or bookkeeping: most pairs are equal, and this is what they cost.
``True`` is a proof. ``False`` only means "look closer": a difference, a type this pass does not know, or a pair so
large or cyclic that it needs the walker's memory.
"""

from __future__ import annotations

from typing import Any

from shadowmig.compare._family import SCALAR, family
from shadowmig.compare._keys import PLAIN_SIZES, plain_keys
from shadowmig.compare._pace import STEP, Pace
from shadowmig.compare._scalars import strict_key

_MANY = 20_000
_WIDE = 1_024


def same(control: Any, candidate: Any, limits: tuple[float, int]) -> bool:  # noqa: C901, PLR0912, PLR0915 - one loop, written out for speed
    """
    Whether two values are certainly equal in type and value, everywhere.

    ``limits`` are the CPU seconds and the values after which `CompareTimeout` is raised.
    """
    if control is candidate:
        return True
    if type(control) is not type(candidate):
        return False
    kind = type(control)
    if kind is not dict and kind is not list and kind is not tuple:
        return _leaf(control, candidate)
    todo = [(control, candidate)]
    push = todo.append
    sizes = PLAIN_SIZES
    left = STEP
    pace: Pace | None = None
    for a, b in todo:
        length = len(a)
        if length != len(b):
            return False
        left -= length + 1
        if left < 0:
            if len(todo) > _MANY:
                return False
            pace = pace or Pace(*limits)
            # A wide container ticks while it is read, so that only the rest is counted here.
            left = pace.tick(STEP - left if length <= _WIDE else STEP)
        if type(a) is dict:
            # `plain_keys`, written out: it is asked for every dict.
            size = a.__sizeof__()
            if (size not in sizes or (size != b.__sizeof__() and b.__sizeof__() not in sizes)) and not (
                plain_keys(a) and plain_keys(b)
            ):
                return False
            try:
                for k, x in a.items() if pace is None or length <= _WIDE else pace.through(a.items()):
                    y = b[k]
                    if x is y:
                        continue
                    kind = type(x)
                    if kind is type(y):
                        if kind is str or kind is int:
                            if x == y:
                                continue
                            return False
                        if kind is float:
                            if x == y and x:
                                continue
                        elif kind is dict or kind is list or kind is tuple:
                            if x or y:
                                push((x, y))
                            continue
                        if _leaf(x, y):
                            continue
                    return False
            except KeyError:
                return False
        else:
            both = zip(a, b)  # noqa: B905 - passing strict= costs more than the loop over a short list
            for x, y in both if pace is None or length <= _WIDE else pace.through(both):
                if x is y:
                    continue
                kind = type(x)
                if kind is type(y):
                    if kind is str or kind is int:
                        if x == y:
                            continue
                        return False
                    if kind is float:
                        if x == y and x:
                            continue
                    elif kind is dict or kind is list or kind is tuple:
                        if x or y:
                            push((x, y))
                        continue
                    if _leaf(x, y):
                        continue
                return False
            if len(a) != length or len(b) != length:
                return False
    return True


def _leaf(x: Any, y: Any) -> bool:
    kind = type(x)
    found = family(kind)
    if found.group != SCALAR or found.base is not kind:
        return False
    try:
        return bool(strict_key(x, kind, kind) == strict_key(y, kind, kind))
    except Exception:  # noqa: BLE001 - a hostile tzinfo; the walker says so
        return False
