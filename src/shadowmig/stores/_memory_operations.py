"""What the client of a `MemoryStore` can do, at once or inside of a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shadowmig.errors import ConfigError, ShadowmigError, StoreError
from shadowmig.model import MISSING
from shadowmig.protocols import Codec
from shadowmig.stores._memory_cells import Kept, copied, is_over
from shadowmig.stores._memory_records import Entries, EventId, as_text
from shadowmig.stores._memory_rows import Columns, Rows
from shadowmig.stores._memory_space import Draft, MemorySpace
from shadowmig.stores.streams import Stream


class DuplicateKey(ShadowmigError, KeyError):
    """
    A row or entry with this key is there already.

    Attributes:
        space: The table or stream.
    """

    space: str

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError would show its message in quotes


class Place:
    """Where the records of one store are: its space, tables, streams and keys."""

    def __init__(
        self, space: MemorySpace, rows: dict[str, Rows], streams: dict[str, Stream], codec: Codec | None
    ) -> None:
        self.space = space
        self.codec = codec
        self._rows = rows
        self._entries = {name: Entries(space, stream) for name, stream in streams.items()}
        self.declared = tuple(self._entries.values())
        self.keys = space.shelf("key")

    def rows(self, table: str) -> Rows:
        """
        Give a table.

        Raises:
            StoreError: It was not declared.
        """
        try:
            return self._rows[table]
        except KeyError:
            raise StoreError(
                f"There is no table {table!r}.", remedy="Name it in MemoryStore(tables=).", store=repr(self.space)
            ) from None

    def entries(self, stream: str) -> Entries:
        """
        Give a stream; one that was not declared is addressed by the ids of its entries.

        Raises:
            StoreError: The name is empty.
        """
        found = self._entries.get(stream)
        if found is None:
            if not isinstance(stream, str) or not stream:
                raise StoreError("A stream has no name.", remedy="Use its name.", store=repr(self.space))
            found = self._entries.setdefault(stream, Entries(self.space, Stream(stream)))
        return found


class Operations:
    """What can be done at once and inside of a transaction."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @contextmanager
    def _reading(self) -> Iterator[Draft]:
        raise NotImplementedError

    @contextmanager
    def _writing(self) -> Iterator[Draft]:
        raise NotImplementedError

    # Rows.

    def insert(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """
        Add a row. A key of one column that is left out becomes the next whole number.

        Returns:
            The row, with its key.

        Raises:
            DuplicateKey: One with its key is there.
            StoreError: The table was not declared, or the row lacks a part of its key.
        """
        rows, new = self._place.rows(table), copied(dict(row))
        with self._writing() as draft:
            self._complete(draft, rows, new)
            if not rows.insert(draft, new):
                raise DuplicateKey(f"A row of {table} has this key already.", space=table)
            return dict(copied(new))

    def get_row(self, table: str, *key: Any) -> dict[str, Any] | None:
        """
        Give the row with a key, or ``None``.

        Raises:
            StoreError: The table was not declared, or its key has another number of columns.
        """
        rows = self._place.rows(table)
        with self._reading() as draft:
            found = draft.find(rows.shelf, *_address(rows, key))
            return dict(copied(found[0][1])) if found else None

    def update(self, table: str, /, *key: Any, **changes: Any) -> dict[str, Any] | None:
        """
        Change columns of the row with a key. A version is a column like any other: the service raises it itself.

        Of a table with a fold and no primary key (`MemorySpace`), all rows of the record are changed.

        Returns:
            The new row; ``None`` if there is none.

        Raises:
            DuplicateKey: The changed key is that of another row.
            StoreError: The table was not declared, or its key has another number of columns.
        """
        rows, changes = self._place.rows(table), copied(changes)
        with self._writing() as draft:
            new = None
            for number, row in draft.find(rows.shelf, *_address(rows, key)):
                new = {**row, **changes}
                if not rows.replace(draft, number, new):
                    raise DuplicateKey(f"Another row of {table} has this key already.", space=table)
            return None if new is None else dict(copied(new))

    def remove(self, table: str, *key: Any) -> bool:
        """
        Remove the row with a key; of a table with a fold and no primary key, all rows of the record.

        Returns:
            Whether there was one.

        Raises:
            StoreError: The table was not declared, or its key has another number of columns.
        """
        rows = self._place.rows(table)
        with self._writing() as draft:
            found = draft.find(rows.shelf, *_address(rows, key))
            for number, _ in found:
                draft.drop(rows.shelf, number)
            return bool(found)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """
        Give all rows of a table, in the order in which they were added.

        Raises:
            StoreError: The table was not declared.
        """
        rows = self._place.rows(table)
        with self._reading() as draft:
            return [dict(copied(row)) for row in draft.all(rows.shelf)]

    def _complete(self, draft: Draft, rows: Rows, row: dict[str, Any]) -> None:
        """Give a row its key, if it may be made here."""
        names = (rows.primary or rows.by_key).names
        if len(names) == 1 and names[0] not in row:
            row[names[0]] = draft.space.sequences.get(rows.table.name, 0) + 1
        for name in names:
            if name not in row:
                raise StoreError(f"A row of {rows.table.name} lacks {name}, a part of its key.")

    # Keys.

    def get(self, key: str | bytes | int) -> Any:
        """Give what a key holds, or ``None``."""
        with self._reading() as draft:
            kept = self._kept(draft, key)
            return None if kept is None else copied(kept.value)

    def set(self, key: str | bytes | int, value: Any, *, ttl: float | None = None, flags: int = 0) -> None:
        """
        Have a key hold a value.

        Args:
            key: The key.
            value: Any plain data; for a store with a codec: bytes.
            ttl: Seconds to live; ``None`` for no end.
            flags: A number that is kept with the value, as Memcached's client flags are.

        Raises:
            ConfigError: ``ttl`` is not above 0, or the value is not bytes although the store has a codec.
        """
        kept = self._new(value, ttl, flags)
        with self._writing() as draft:
            draft.put(self._place.keys, as_text(key), kept)

    def add(self, key: str | bytes | int, value: Any, *, ttl: float | None = None, flags: int = 0) -> bool:
        """
        Do what `set` does, unless the key holds something.

        Returns:
            Whether it was set.

        Raises:
            ConfigError: As `set`.
        """
        kept = self._new(value, ttl, flags)
        with self._writing() as draft:
            if self._kept(draft, key) is not None:
                return False
            draft.put(self._place.keys, as_text(key), kept)
            return True

    def delete(self, key: str | bytes | int) -> bool:
        """Forget a key; tell whether it held something."""
        with self._writing() as draft:
            there = self._kept(draft, key) is not None
            draft.drop(self._place.keys, as_text(key))
            return there

    def touch(self, key: str | bytes | int, ttl: float | None) -> bool:
        """
        Give a key another time to live, in seconds.

        Returns:
            Whether it holds something.

        Raises:
            ConfigError: ``ttl`` is not above 0.
        """
        expires = self._end(ttl)
        with self._writing() as draft:
            kept = self._kept(draft, key)
            if kept is None:
                return False
            draft.put(self._place.keys, as_text(key), kept._replace(expires=expires))
            return True

    def incr(self, key: str | bytes | int, by: int = 1) -> int:
        """
        Add to the whole number that a key holds, from 0 if it holds nothing; its time to live stays.

        For a store with a codec the number is kept as decimal digits.

        Returns:
            The new number.

        Raises:
            StoreError: The key holds something else.
        """
        with self._writing() as draft:
            kept = self._kept(draft, key) or Kept(0)
            try:
                number = int(kept.value) + by
            except (TypeError, ValueError) as error:
                raise StoreError("What the key holds is no whole number.", store=repr(draft.space)) from error
            value = number if self._place.codec is None else b"%d" % number
            draft.put(self._place.keys, as_text(key), kept._replace(value=value))
            return number

    def _kept(self, draft: Draft, key: str | bytes | int) -> Kept | None:
        kept = draft.get(self._place.keys, as_text(key))
        return None if kept is MISSING or is_over(kept, draft.space.clock()) else kept

    def _new(self, value: Any, ttl: float | None, flags: int) -> Kept:
        if self._place.codec is not None and not isinstance(value, bytes):
            raise ConfigError(
                f"value is a {type(value).__name__}.", remedy="Encode it: the store has a codec.", field="value"
            )
        return Kept(copied(value), flags, self._end(ttl))

    def _end(self, ttl: float | None) -> float | None:
        if ttl is not None and not ttl > 0:
            raise ConfigError(f"ttl is {ttl!r}.", remedy="Use seconds above 0, or None.", field="ttl", value=ttl)
        return None if ttl is None else self._place.space.clock() + ttl

    # Entries.

    def append(
        self,
        stream: str,
        fields: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 - an entry's id is called so everywhere
    ) -> str:
        """
        Add an entry to a stream.

        Args:
            stream: Its name.
            fields: Plain data by field; for a stream with a codec: bytes.
            id: Its id, as ``"milliseconds-number"``; by default one is made of the time.

        Returns:
            The id of the entry.

        Raises:
            DuplicateKey: An entry with this id is there.
            StoreError: The id has another form.
        """
        entries, new = self._place.entries(stream), copied(dict(fields))
        with self._writing() as draft:
            if id is not None and draft.find(entries.shelf, EventId(None), (id,)):
                raise DuplicateKey(f"An entry of {stream} has this id already.", space=stream)
            return entries.append(draft, new, id)

    def entries(self, stream: str) -> list[tuple[str, dict[str, Any]]]:
        """Give ids and fields of all entries of a stream, in the order in which they were added."""
        with self._reading() as draft:
            return [(entry.id, copied(entry.fields)) for entry in draft.all(self._place.entries(stream).shelf)]


def _address(rows: Rows, key: tuple[Any, ...]) -> tuple[Columns, tuple[Any, ...]]:
    project = rows.primary or rows.by_key
    if len(key) != len(project.names):
        raise StoreError(f"The key of {rows.table.name} has {len(project.names)} columns, not {len(key)}.")
    return project, key
