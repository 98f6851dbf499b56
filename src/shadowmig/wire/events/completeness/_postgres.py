"""
Rows of Postgres as the check of completeness sees them: keys and versions, by snapshots.

What a transaction wrote is seen by the first look after its commit, however long it was open: each look asks for all
rows written by transactions that had not ended when the look before began. Only a table scan tells that, for no index
knows who wrote a row; `recent` names a column that one has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from shadowmig.errors import StoreError
from shadowmig.stores._pg_values import quoted, text_of
from shadowmig.stores.postgres import PostgresStore
from shadowmig.stores.tables import Table
from shadowmig.wire.events.completeness._rows import Seen, Where, key_of, name_of
from shadowmig.wire.events.completeness._statements import MARK, PAGE, Statements

_DATA: Final = "22"
"""The class of the server's errors that are about values."""

Answer = tuple[list[str], Sequence[tuple[Any, ...]]]


class PostgresRows:
    """
    The rows of one table of a `PostgresStore`.

    Args:
        store: The store; its connections, timeout and limits are used.
        table: The table.
        where: Tells of a row, as a dict, whether it is covered; then whole rows are read.
        recent: A column with the time of the last change, and an index.
        margin: Seconds by which a change may be visible later than that time says.
    """

    def __init__(
        self, store: PostgresStore, table: Table, where: Where | None, recent: str | None, margin: float
    ) -> None:
        self._store = store
        self._table = table
        self._where = where
        self._recent = recent is not None
        self._statements = Statements.of(table, whole=where is not None, recent=recent)
        self._now = (MARK, (f"{margin:f}",))
        self._width = len(table.key)
        self._start: Any = None
        self._mark: Any = None

    def begin(self) -> None:
        """Do what `Rows.begin` says."""
        lowest, highest, before, time = self._select(self._now)[0][1][0]
        self._mark, self._start = (before, time) if self._recent else (lowest, highest)

    def scan(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.scan` says."""
        first, further = self._statements.scan
        names, rows = self._page(first)
        while rows:
            yield self._seen(rows, names)
            if len(rows) < PAGE:
                return
            names, rows = self._page(further, *self._last(rows))

    def changed(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.changed` says."""
        first, further = self._statements.changed
        values = (self._mark, self._start) if self._recent else (str(self._mark % 2**32),)
        (_, [(lowest, _, before, _)]), (names, rows) = self._select(self._now, (first, values))
        if not self._recent and lowest < self._mark:
            raise StoreError("The server counts transactions anew.", remedy="It is another one.", anew=True)
        # The number of the first transaction that began after the start, as the statement counts.
        after = None if self._recent else self._start - self._mark
        while rows:
            yield self._seen(rows, names, after)
            if len(rows) < PAGE:
                break
            names, rows = self._page(further, *values, *self._last(rows))
        self._mark = before if self._recent else lowest

    def find(self, names: Sequence[str]) -> list[Seen | None]:
        """Do what `Rows.find` says; a text that the key's type has no value for, or writes otherwise, is no row's."""
        keys = [(place, key) for place, name in enumerate(names) if (key := key_of(name, self._table)) is not None]
        found: list[Seen | None] = [None] * len(names)
        for place, seen in self._found(keys):
            if seen.name == names[place]:
                found[place] = seen
        return found

    def _found(self, keys: Sequence[tuple[int, list[str]]]) -> Iterator[tuple[int, Seen]]:
        if not keys:
            return
        columns = zip(*(key for _, key in keys), strict=True)
        arrays = [b"{%b}" % b",".join(quoted(text.encode()) for text in column) for column in columns]
        try:
            names, rows = self._page(self._statements.find, *(array.decode() for array in arrays))
        except StoreError as error:
            if not str(getattr(error.__cause__, "sqlstate", "")).startswith(_DATA):
                raise
            if len(keys) == 1:
                return
            half = len(keys) // 2
            yield from self._found(keys[:half])
            yield from self._found(keys[half:])
            return
        for row in rows:
            for seen in self._seen([row], names):
                yield keys[row[0] - 1][0], seen

    def _page(self, text: str, *values: str) -> Answer:
        return self._select((text, values))[0]

    def _select(self, *statements: tuple[str, Sequence[str]]) -> list[Answer]:
        return self._store.select(statements, table=self._table.name)

    def _last(self, rows: Sequence[tuple[Any, ...]]) -> list[str]:
        return [text_of(value).decode() for value in rows[-1][1 : 1 + self._width]]

    def _seen(self, rows: Sequence[tuple[Any, ...]], names: Sequence[str], after: int | None = None) -> list[Seen]:
        width, where = self._width, self._where
        return [
            Seen(name_of(row[1 : 1 + width]), row[1 + width], bool(row[0]) if after is None else row[0] >= after)
            for row in rows
            if where is None or where(dict(zip(names[width + 2 :], row[width + 2 :], strict=True)))
        ]
