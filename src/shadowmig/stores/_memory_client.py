"""The client of a `MemoryStore`: what a service's own code works with, as it would with a driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shadowmig.errors import StoreError
from shadowmig.stores._memory_operations import Operations, Place
from shadowmig.stores._memory_space import Draft


class MemoryTransaction(Operations):
    """What `MemoryClient.transaction` gives: the same methods, seen by nobody else before the end."""

    def __init__(self, place: Place, draft: Draft) -> None:
        super().__init__(place)
        self._draft: Draft | None = draft

    @contextmanager
    def _writing(self) -> Iterator[Draft]:
        if self._draft is None:
            raise StoreError("The transaction has ended.", store=repr(self._place.space))
        yield self._draft

    _reading = _writing


class MemoryClient(Operations):
    """
    The service's own hands on a memory store; safe for threads.

    Values are copied on their way in and out. Every method raises `StoreUnavailable` during an outage of the space.
    """

    def __repr__(self) -> str:
        return f"MemoryClient({self._place.space!r})"

    @contextmanager
    def _reading(self) -> Iterator[Draft]:
        self._place.space.reach()
        yield Draft(self._place.space)

    @contextmanager
    def _writing(self) -> Iterator[Draft]:
        with self._place.space.draft() as draft:
            yield draft

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """
        Do several things at once: ``with client.transaction() as t: t.update(...); t.append(...)``.

        Others see all of it when the block ends, or nothing if it ends with an exception. Writers of other threads wait
        meanwhile, so that what was read inside is still true; readers do not. Danger: tasks of one event loop are one
        thread. Two that await inside of their blocks do not wait for each other; the later one gets a `StoreError`
        if they changed the same.

        Raises:
            StoreUnavailable: Another thread keeps a transaction open for more than five seconds.
            StoreError: The same thread has meanwhile changed the same, beside the transaction.
        """
        with self._place.space.draft() as draft:
            transaction = MemoryTransaction(self._place, draft)
            try:
                yield transaction
            finally:
                transaction._draft = None
