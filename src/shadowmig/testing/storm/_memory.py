"""The backend over `MemoryStore`: no server needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shadowmig.testing.storm.service import Row

if TYPE_CHECKING:
    from shadowmig.stores.sister import SisterStore


class MemoryBackend:
    """
    The three stores in memory, production's or the sisters', by who asks.

    Args:
        db: The tables.
        cache: The cache.
        events: The stream.
    """

    def __init__(self, db: SisterStore, cache: SisterStore, events: SisterStore) -> None:
        self._db, self._cache, self._events = db, cache, events

    @contextmanager
    def transaction(self) -> Iterator[_Rows]:
        """Begin a transaction; a space has one at a time, so that its rows need no locks."""
        with self._db.client().transaction() as rows:
            yield _Rows(rows)

    def cache_set(self, key: str, data: bytes, *, flags: int, ttl: int) -> None:
        """Put bytes into the cache."""
        self._cache.client().set(key, data, flags=flags, ttl=ttl or None)

    def cache_delete(self, key: str) -> None:
        """Remove a key from the cache."""
        self._cache.client().delete(key)

    def send(self, stream: str, fields: Mapping[str, bytes]) -> None:
        """Append an entry to a stream."""
        self._events.client().append(stream, fields)


class _Rows:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def lock(self, table: str, key: int) -> Row | None:
        row: Row | None = self._transaction.get_row(table, key)
        return row

    def insert(self, table: str, values: Mapping[str, Any]) -> Row:
        row: Row = self._transaction.insert(table, values)
        return row

    def update(self, table: str, key: int, values: Mapping[str, Any]) -> Row | None:
        row: Row | None = self._transaction.update(table, key, **values)
        return row

    def delete(self, table: str, key: int) -> Row | None:
        row: Row | None = self._transaction.get_row(table, key)
        self._transaction.remove(table, key)
        return row
