"""
What stands for the server of a `MemoryStore`: rows, keys and entries in the memory of one process.

One lock guards what is committed and is held for moments only; another one makes writers take turns, and a transaction
holds it to its end. So readers never wait for a transaction, and see all of it or nothing.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from shadowmig.errors import ConfigError, StoreError, StoreUnavailable
from shadowmig.model import MISSING
from shadowmig.stores._memory_cells import Cell, Project, Shelf, is_over

TIMEOUT: Final = 5.0
"""Seconds a call waits for the space at most: for its delay, or for a transaction that others keep open."""

_SWEEP: Final = 1024
"""Writes after which keys whose time is over are looked for."""


class MemorySpace:
    """
    A place for `MemoryStore` to be: stores over one space are handles of one store. Lives as long as the process.

    A forked child has a copy of it, as it is at that moment.

    Args:
        primary: The primary key of tables where it is not the key of their `Table`: for tables with one row for each
            property, so that the service's code can address one.
        clock: The current time in seconds, for time to live and the ids of entries.

    Attributes:
        delay: Seconds that every call takes, to try out a slow store; one that has less time raises
            `StoreUnavailable`. It is also how a call of `MemoryClient` is slowed.

    Raises:
        ConfigError: A primary key is no name or list of names.
    """

    def __init__(
        self, *, primary: Mapping[str, str | Sequence[str]] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.primary = {table: _key(table, key) for table, key in (primary or {}).items()}
        self.clock = clock
        self.delay = 0.0
        self.identity = f"memory:{uuid.uuid4().hex}"
        self.nonce = ""
        self.counter = 0
        self.numbers = itertools.count()
        self.sequences: dict[str, int] = {}
        self.last_entry: dict[str, tuple[int, int]] = {}
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._outages = 0
        self._renew_locks()
        _spaces.add(self)

    def __repr__(self) -> str:
        return f"<MemorySpace {self.identity[7:15]}>"

    def _renew_locks(self) -> None:
        self.lock = threading.RLock()
        self._turn = threading.RLock()

    def shelf(self, kind: str, name: str = "") -> Shelf:
        """Give the cells of a table, of a stream, or of the keys."""
        with self.lock:
            return self._shelves.setdefault((kind, name), Shelf())

    @contextmanager
    def outage(self) -> Iterator[None]:
        """For tests: make every call of the space's stores and clients raise `StoreUnavailable` meanwhile."""
        with self.lock:
            self._outages += 1
        try:
            yield
        finally:
            with self.lock:
                self._outages -= 1

    def pause(self, timeout: float | None = None) -> float:
        """Give the seconds a call has to wait before it goes on with `arrive`."""
        return min(self.delay, TIMEOUT if timeout is None else timeout)

    def arrive(self, timeout: float | None = None) -> None:
        """
        Go on after the pause.

        Raises:
            StoreUnavailable: There is an outage, or the delay is longer than the time the call has.
        """
        if self._outages or self.delay > self.pause(timeout):
            raise StoreUnavailable(f"{self!r} does not answer.", store=repr(self))

    def reach(self, timeout: float | None = None) -> None:
        """
        Wait as long as the space is slow.

        Raises:
            StoreUnavailable: As `arrive`.
        """
        if self.delay:
            time.sleep(self.pause(timeout))
        self.arrive(timeout)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """
        Collect changes, which are committed together at the end; none of them if there is an exception.

        Raises:
            StoreUnavailable: A transaction of another thread stays open for too long, or as `reach`.
            StoreError: The same thread has meanwhile committed another change to the same cell.
        """
        self.reach()
        turn = self._turn  # a fork inside of the block puts another one in its place
        if not turn.acquire(timeout=TIMEOUT):
            raise StoreUnavailable(f"{self!r} is kept by an open transaction.", remedy="End it.", store=repr(self))
        try:
            draft = Draft(self)
            yield draft
            self.arrive()
            self._commit(draft)
        finally:
            turn.release()

    def _commit(self, draft: Draft) -> None:
        with self.lock:
            draft.check()
            for shelf, changes in draft.changes.items():
                for number, data in changes.items():
                    self.counter += 1
                    if data is MISSING:
                        shelf.drop(number)
                    else:
                        shelf.put(number, Cell(data, self.counter))
                    if self.counter % _SWEEP == 0:
                        self._sweep()

    def _sweep(self) -> None:
        """Forget keys whose time is over, so that a space does not grow for ever."""
        keys, now = self.shelf("key"), self.clock()
        for key in [key for key, cell in keys.cells.items() if is_over(cell.data, now)]:
            keys.drop(key)


class Draft:
    """
    A view of a space with changes of its own; what others commit meanwhile is seen.

    Attributes:
        changes: New data by id, `MISSING` for what is to be gone.
    """

    def __init__(self, space: MemorySpace) -> None:
        self.space = space
        self.changes: dict[Shelf, dict[Hashable, Any]] = {}
        self._seen: dict[tuple[Shelf, Hashable], Cell | None] = {}
        self._claims: list[tuple[Shelf, Project, Any]] = []

    def get(self, shelf: Shelf, number: Hashable) -> Any:
        """Give the data of a cell, or `MISSING`."""
        changes = self.changes.get(shelf, {})
        if number in changes:
            return changes[number]
        cell = shelf.cells.get(number)
        self._seen.setdefault((shelf, number), cell)
        return MISSING if cell is None else cell.data

    def find(self, shelf: Shelf, project: Project, key: tuple[Any, ...]) -> list[tuple[Hashable, Any]]:
        """Give ids and data of the cells with this key, the oldest first."""
        changes = self.changes.get(shelf, {})
        with self.space.lock:
            old = [number for number in shelf.ids(project, key) if number not in changes]
            found = [(number, self.get(shelf, number)) for number in old]
        new = [(number, data) for number, data in changes.items() if data is not MISSING and project(data) == key]
        return sorted([*found, *new], key=_number)

    def all(self, shelf: Shelf) -> list[Any]:
        """Give the data of all cells, the oldest first."""
        with self.space.lock:
            found = {number: cell.data for number, cell in shelf.cells.items()}
        found |= self.changes.get(shelf, {})
        return [data for _, data in sorted(found.items(), key=_number) if data is not MISSING]

    def put(self, shelf: Shelf, number: Hashable, data: Any) -> None:
        """Change a cell, or with an id of its own (`MemorySpace.numbers`) make one."""
        shelf.check(data)
        self.get(shelf, number)
        self.changes.setdefault(shelf, {})[number] = data

    def drop(self, shelf: Shelf, number: Hashable) -> None:
        """Remove a cell."""
        self.get(shelf, number)
        self.changes.setdefault(shelf, {})[number] = MISSING

    def claim(self, shelf: Shelf, project: Project, key: tuple[Any, ...]) -> None:
        """Ask that at the end no other cell has this key."""
        self._claims.append((shelf, project, key))

    def check(self) -> None:
        """
        Make sure that what is to be changed is still as it was seen here.

        Raises:
            StoreError: It is not.
        """
        moved = any(
            shelf.cells.get(number) is not cell
            for (shelf, number), cell in self._seen.items()
            if number in self.changes.get(shelf, {})
        )
        taken = any(
            number not in self.changes[shelf]
            for shelf, project, key in self._claims
            for number in shelf.ids(project, key)
        )
        if moved or taken:
            raise StoreError(
                "What a transaction changes was changed beside it by its own thread.",
                remedy="Inside of a transaction use only the object that it gives.",
                store=repr(self.space),
            )


def _number(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _key(table: str, key: object) -> tuple[str, ...]:
    names = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Sequence) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            f"primary of {table} is {key!r}.",
            remedy="Use a column name or a list of them.",
            field="primary",
            value=key,
        )
    return names


_spaces: weakref.WeakSet[MemorySpace] = weakref.WeakSet()


def _after_fork() -> None:
    """A lock that another thread held at the fork would stay locked in the child for ever."""
    for space in list(_spaces):
        space._renew_locks()


os.register_at_fork(after_in_child=_after_fork)
