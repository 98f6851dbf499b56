"""Front doors of rooms: names loaded at first use, so that importing a room loads nothing that is not wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def front_door(space: dict[str, Any], homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Make what a package needs to load its names late.

        __getattr__, __dir__ = front_door(globals(), _HOMES)

    Args:
        space: The package's globals.
        homes: The module of each name, within the package.
    """
    package = space["__name__"]

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = space[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return value

    def names() -> list[str]:
        return [*space, *(name for name in homes if name not in space)]

    return get, names
