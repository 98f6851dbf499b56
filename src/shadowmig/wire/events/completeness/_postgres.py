"""
Rows of Postgres as the check of completeness sees them: keys and versions, by snapshots.

What a transaction wrote is seen by the first look after its commit, however long it was open: each look asks for all
rows written by transactions that had not ended when the look before began. Only a table scan tells that, for no index
knows who wrote a row; `recent` names a column that one has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.stores._pg_values import load, quoted, text_of
from shadowmig.stores._pg_wire import Command
from shadowmig.stores.tables import Table
from shadowmig.wire.events.completeness._rows import Seen, Where, key_of, name_of
from shadowmig.wire.events.completeness._statements import MARK, PAGE, Statements


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

    def __init__(self, store: Any, table: Table, where: Where | None, recent: str | None, margin: float) -> None:
        self._link = store._link  # the way by which the store itself reads, with its bounds
        self._table = table.name
        self._key = table
        self._where = where
        self._recent = recent is not None
        self._statements = Statements.of(table, whole=where is not None, recent=recent)
        self._now = Command(MARK, (b"%f" % margin,), table.name)
        self._width = len(table.key)
        self._start: Any = None
        self._mark: Any = None

    def begin(self) -> None:
        """Do what `Rows.begin` says."""
        lowest, highest, before, time = load(self._link.run([self._now])[0])[0]
        self._mark, self._start = (before, time) if self._recent else (lowest, highest)

    def scan(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.scan` says."""
        first, further = self._statements.scan
        rows, names = self._page(Command(first, (), self._table))
        while rows:
            yield self._seen(rows, names)
            if len(rows) < PAGE:
                return
            rows, names = self._page(Command(further, self._last(rows), self._table))

    def changed(self) -> Iterator[Sequence[Seen]]:
        """Do what `Rows.changed` says."""
        first, further = self._statements.changed
        values = (self._mark.encode(), self._start.encode()) if self._recent else (b"%d" % (self._mark % 2**32),)
        # Not kept prepared: a plan that is made without the values would pass over the index.
        look = Command(first, values, self._table, keep=False)
        mark, result = self._link.run([self._now, look], joint=True)
        lowest, _, before, _ = load(mark)[0]
        if not self._recent and lowest < self._mark:
            raise StoreError("The server counts transactions anew.", remedy="It is another one.", anew=True)
        rows, names = load(result), _names(result)
        # The number of the first transaction that began after the start, as the statement counts.
        after = None if self._recent else self._start - self._mark
        while rows:
            yield self._seen(rows, names, after)
            if len(rows) < PAGE:
                break
            rows, names = self._page(Command(further, (*values, *self._last(rows)), self._table, keep=False))
        self._mark = before if self._recent else lowest

    def find(self, names: Sequence[str]) -> list[Seen | None]:
        """Do what `Rows.find` says; a text that the key's type has no value for is no row's."""
        keys = [(place, key) for place, name in enumerate(names) if (key := key_of(name, self._key)) is not None]
        found: list[Seen | None] = [None] * len(names)
        for place, seen in self._found(keys):
            found[place] = seen
        return found

    def _found(self, keys: Sequence[tuple[int, list[str]]]) -> Iterator[tuple[int, Seen]]:
        if not keys:
            return
        columns = zip(*(key for _, key in keys), strict=True)
        arrays = [b"{%b}" % b",".join(quoted(text.encode(errors="replace")) for text in column) for column in columns]
        try:
            rows, names = self._page(Command(self._statements.find, tuple(arrays), self._table))
        except StoreUnavailable:
            raise
        except StoreError:
            if len(keys) == 1:
                return
            half = len(keys) // 2
            yield from self._found(keys[:half])
            yield from self._found(keys[half:])
            return
        for row in rows:
            for seen in self._seen([row], names):
                yield keys[row[0] - 1][0], seen

    def _page(self, command: Command) -> tuple[Sequence[tuple[Any, ...]], list[str]]:
        result = self._link.run([command])[0]
        return load(result), _names(result)

    def _last(self, rows: Sequence[tuple[Any, ...]]) -> tuple[bytes, ...]:
        return tuple([text_of(value) for value in rows[-1][1 : 1 + self._width]])

    def _seen(self, rows: Sequence[tuple[Any, ...]], names: Sequence[str], after: int | None = None) -> list[Seen]:
        width, where = self._width, self._where
        return [
            Seen(name_of(row[1 : 1 + width]), row[1 + width], bool(row[0]) if after is None else row[0] >= after)
            for row in rows
            if where is None or where(dict(zip(names[width + 2 :], row[width + 2 :], strict=True)))
        ]


def _names(result: Any) -> list[str]:
    return [(result.fname(number) or b"").decode() for number in range(result.nfields)]
