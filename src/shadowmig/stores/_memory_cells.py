"""What a `MemorySpace` is made of: cells, and shelves of them that are found by what is in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Hashable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final, NamedTuple
from uuid import UUID

from shadowmig.errors import StoreError

_ATOMS: Final = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, UUID, date, datetime, time, timedelta, timezone}
)
Project = Callable[[Any], tuple[Any, ...]]
"""Takes out of a cell's data what an index finds it by; equal ones make one index."""


class Cell(NamedTuple):
    """One row, key or entry as it was committed; never changed, only replaced. The token is new at each write."""

    data: Any
    token: int


class Kept(NamedTuple):
    """What a key holds; ``expires`` is a time of the space's clock."""

    value: Any
    flags: int = 0
    expires: float | None = None


def copied(value: Any) -> Any:
    """
    Copy a value so that nothing mutable is shared.

    Raises:
        StoreError: A part cannot be copied.
    """
    if type(value) in _ATOMS:
        return value
    try:
        if type(value) is dict:
            return {name: part if type(part) in _ATOMS else copy.deepcopy(part) for name, part in value.items()}
        return copy.deepcopy(value)
    except Exception as error:
        raise StoreError(
            f"A {type(value).__name__} cannot be copied: {type(error).__name__}.", remedy="Store plain data."
        ) from error


class Shelf:
    """The cells of one table, of one stream, or of all keys, in the order in which they were last written."""

    def __init__(self) -> None:
        self.cells: dict[Hashable, Cell] = {}
        self._indexes: dict[Project, dict[Any, dict[Hashable, None]]] = {}

    def index(self, project: Project) -> dict[Any, dict[Hashable, None]]:
        """Give the ids of the cells by what `project` takes out of their data."""
        found = self._indexes.get(project)
        if found is None:
            found = {}
            for number, cell in self.cells.items():
                found.setdefault(project(cell.data), {})[number] = None
            self._indexes[project] = found
        return found

    def ids(self, project: Project, key: tuple[Any, ...]) -> Collection[Hashable]:
        """
        Give the ids of the cells with a key, the oldest first.

        Raises:
            StoreError: A part of it cannot be a key.
        """
        try:
            return self.index(project).get(key, ())
        except TypeError as error:
            raise StoreError("A value of the key cannot be a key.", remedy="Use plain, immutable keys.") from error

    def check(self, data: Any) -> None:
        """
        Make sure that data can be found again.

        Raises:
            StoreError: A part of its key cannot be a key.
        """
        for project in self._indexes:
            self.ids(project, project(data))

    def put(self, number: Hashable, cell: Cell) -> None:
        """Take in a cell, in place of the one that has its id."""
        self.drop(number)
        self.cells[number] = cell
        for project, index in self._indexes.items():
            index.setdefault(project(cell.data), {})[number] = None

    def drop(self, number: Hashable) -> None:
        """Take out a cell, if it is there."""
        cell = self.cells.pop(number, None)
        if cell is not None:
            for project, index in self._indexes.items():
                key = project(cell.data)
                del index[key][number]
                if not index[key]:
                    del index[key]


def is_over(kept: Kept, now: float) -> bool:
    """Whether the time of a key is over."""
    return kept.expires is not None and kept.expires <= now


def written(shelf: Shelf, since: int) -> Iterator[Cell]:
    """Give the cells that were written at this token or later, the latest first."""
    return takewhile(lambda cell: cell.token >= since, reversed(shelf.cells.values()))
