"""Where the check of completeness sees rows: what changed, what is there, and all of them once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from shadowmig.errors import ConfigError, StoreError
from shadowmig.model import Ref
from shadowmig.protocols import Store
from shadowmig.stores.memory import MemoryStore
from shadowmig.stores.tables import Table

_MOST: Final = 1000
"""Changes that one reading tells at most."""

_CHUNK: Final = 500

_WHOLE: Final = re.compile("-?[0-9]{1,40}")

Where = Callable[[Mapping[str, Any]], Any]


class Seen(NamedTuple):
    """A row that was seen: its key as text, its version, and whether it is certain to have changed since the start."""

    name: str
    version: Any
    fresh: bool = True


class Rows(Protocol):
    """The rows of one table. Every method raises `StoreUnavailable` or `StoreError`."""

    def begin(self) -> None:
        """Note what the rows are like now, so that `changed` tells what came after."""
        ...

    def scan(self) -> Iterator[Sequence[Seen]]:
        """Give all rows, in pages."""
        ...

    def changed(self) -> Iterator[Sequence[Seen]]:
        """Give the rows that were written since the last time it came to its end, in pages; some may be given again."""
        ...

    def find(self, names: Sequence[str]) -> list[Seen | None]:
        """Look at single rows; ``None`` for each that is not there."""
        ...


def name_of(key: Any) -> str:
    """
    Write a key as text, so that those of rows and events can be compared.

    Args:
        key: A value, or a tuple or list of those of a key of several columns.
    """
    if isinstance(key, tuple | list):
        return _text(key[0]) if len(key) == 1 else json.dumps([_text(value) for value in key])
    return _text(key)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"\\x{bytes(value).hex()}" if isinstance(value, bytes | bytearray | memoryview) else str(value)


def key_of(name: str, table: Table) -> list[str] | None:
    """Take the text of a key apart again; ``None`` if it cannot be one of this table."""
    try:
        name.encode()
        parts = [name] if len(table.key) == 1 else json.loads(name)
    except (ValueError, RecursionError):
        return None
    good = isinstance(parts, list) and len(parts) == len(table.key) and all(isinstance(part, str) for part in parts)
    return parts if good else None


def rows_of(store: Store, table: Table, where: Where | None, recent: str | None, margin: float) -> Rows:
    """
    Make what sees the rows of a store.

    Raises:
        ConfigError: ``recent`` is of no use here.
    """
    where = None if where is None else covering(where)
    # Where the module was never imported there is no such store, and its driver need not be installed.
    postgres = sys.modules.get("shadowmig.stores.postgres")
    if postgres is not None and isinstance(store, postgres.PostgresStore):
        from shadowmig.wire.events.completeness._postgres import PostgresRows

        return PostgresRows(store, table, where, recent, margin)
    if recent is not None:
        raise ConfigError("recent is for tables of Postgres.", remedy="Leave it out.", field="recent", value=recent)
    return StoreRows(store, table, where)


def covering(where: Where) -> Where:
    """Have what a function of the service raises told as what it is."""

    def covered(row: Mapping[str, Any]) -> bool:
        try:
            return bool(where(row))
        except Exception as error:  # the service's own function
            raise StoreError(f"where= raised {type(error).__name__}.", remedy="Correct it.") from error

    return covered


class StoreRows:
    """
    The rows of any store that tells what changed since a mark, such as a `MemoryStore`.

    Args:
        store: The store.
        table: The table; the store has to cover it with ``footprint``.
        where: Tells of a row whether it is covered.
    """

    def __init__(self, store: Store, table: Table, where: Where | None) -> None:
        self._store = store
        self._table = table
        self._where = where
        self._mark: Any = None
        self._keys: dict[str, tuple[Any, ...]] = {}

    def begin(self) -> None:
        """Do what `Rows.begin` says."""
        self._mark = self._store.read([], since=None).mark
        if self._mark is None:
            raise StoreError(f"{self._store!r} cannot tell what changed.", remedy="Use another store.")

    def scan(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.scan` says."""
        if not isinstance(self._store, MemoryStore):
            raise StoreError(f"{self._store!r} cannot list its rows.", remedy='Use baseline="now".')
        yield from self._since(0)

    def changed(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.changed` says."""
        mark = self._store.read([]).mark
        yield from self._since(self._mark)
        self._mark = mark

    def find(self, names: Sequence[str]) -> list[Seen | None]:
        """Do what `Rows.find` says."""
        found: list[Seen | None] = []
        for name in names:
            records = self._store.read([self._ref(key) for key in self._possible(name)]).records
            found.append(next((seen for seen in self._seen(records) if seen.name == name), None))
        return found

    def _since(self, mark: Any) -> Iterator[Sequence[Seen]]:
        while True:
            changes = self._store.read([], since=mark).changed
            refs = [
                change.ref for change in changes if change.ref.kind == "row" and change.ref.space == self._table.name
            ]
            for begin in range(0, len(refs), _CHUNK):
                yield self._seen(self._store.read(refs[begin : begin + _CHUNK]).records)
            if len(changes) < _MOST:
                return
            if changes[-1].at == mark:
                raise StoreError(f"{self._store!r} tells of too many changes at once.")
            mark = changes[-1].at

    def _seen(self, records: Sequence[Any]) -> list[Seen]:
        found = []
        for record in records:
            if record.exists and (self._where is None or self._where(record.value)):
                name = name_of(record.ref.key)
                self._keys[name] = record.ref.key
                found.append(Seen(name, record.version))
        return found

    def _possible(self, name: str) -> list[tuple[Any, ...]]:
        """Give the keys that a name may stand for: the one it was seen with, or else texts and whole numbers."""
        if name in self._keys:
            return [self._keys[name]]
        texts = key_of(name, self._table)
        if texts is None:
            return []
        return [tuple(texts), tuple([int(text) if _WHOLE.fullmatch(text) else text for text in texts])]

    def _ref(self, key: tuple[Any, ...]) -> Ref:
        return Ref("", "row", self._table.name, key)
