"""What a sister store checks of its options when it is built."""

from __future__ import annotations

import re
from typing import Any, Final

from shadowmig.errors import ConfigError
from shadowmig.protocols import Comparator, Store

_METHODS: Final = tuple(name for name in vars(Store) if not name.startswith("_"))
_NAME: Final = re.compile(r"[\w.-]{1,64}")


def store(value: Any, field: str) -> Store:
    """
    Read a store.

    Raises:
        ConfigError: It lacks a method of `Store`.
    """
    lacking = [name for name in _METHODS if not callable(getattr(value, name, None))]
    if lacking or isinstance(value, type):
        what = f"has no {lacking[0]}()" if lacking else "is a class"
        raise ConfigError(
            f"{field} {what}, so it is no store.",
            remedy="Give a store object, such as PostgresStore(...).",
            field=field,
            value=value,
        )
    checked: Store = value
    return checked


def name(value: object, production: Store) -> str:
    """
    Read a name; an empty one becomes the kind of the store.

    Raises:
        ConfigError: It is not made of letters, digits, ``_``, ``-`` and ``.``, or is longer than 64.
    """
    if value == "":
        kind = type(production).__name__
        value = (kind.removesuffix("Store") or kind).strip("_").lower() or "store"
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ConfigError(
        f"name is {value!r}.",
        remedy="Use up to 64 letters, digits, '_', '-' and '.'.",
        field="name",
        value=value,
    )


def comparator(value: Any) -> Comparator | None:
    """
    Read an optional comparator.

    Raises:
        ConfigError: It cannot be called.
    """
    if value is None or callable(value):
        checked: Comparator | None = value
        return checked
    raise ConfigError(
        f"compare is {value!r}, which cannot be called.",
        remedy="Use structural(...), exact, deep(...) or a function (*, control, candidate).",
        field="compare",
        value=value,
    )
