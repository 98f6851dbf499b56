"""
Which store objects are production, so that the checked side is refused their clients.

`SisterStore` declares its production store here; each adapter's ``client()`` calls `check` with itself.

Danger: what is refused is the store object that a `SisterStore` was given. A second object for the same datastore, or a
client that the service has built on its own, is not known here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Final

from shadowmig.errors import ProductionRefused
from shadowmig.side import MIRRORED

# By identity: a store may have an equality of its own, or no hash.
_PRODUCTION: Final[dict[int, Callable[[], object]]] = {}


def declare(store: object) -> None:
    """Make this very object known as production, as long as it lives. May be called twice."""
    number = id(store)
    try:
        _PRODUCTION[number] = weakref.ref(store, lambda _: _PRODUCTION.pop(number, None))
    except TypeError:  # a class with slots need not allow weak references
        _PRODUCTION[number] = lambda: store


def is_production(store: object) -> bool:
    """Tell whether this very object was declared."""
    found = _PRODUCTION.get(id(store))
    return found is not None and found() is store


def check(store: object) -> None:
    """
    Let ordinary code pass, and the checked side of a write unless the store is production: in half a microsecond.

    Raises:
        ProductionRefused: The checked side of a write runs, and the store was declared as production.
    """
    if MIRRORED.get() and is_production(store):
        raise ProductionRefused(
            f"{store!r} is production, and the checked side asks for it.",
            remedy="Have the handler ask SisterStore.client(), which gives each side its own.",
            store=repr(store),
        )
