"""The rows of one table of a `MemorySpace`, as records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from shadowmig.errors import StoreError
from shadowmig.model import Change, Record, Ref
from shadowmig.stores._memory_cells import Cell, copied, written
from shadowmig.stores._memory_space import Draft, MemorySpace
from shadowmig.stores.tables import Table

ROWS: Final = "rows"
"""Where the rows that a fold was made of are kept beside the value, if there is no way back from it."""


@frozen
class Columns:
    """Takes the values of some columns out of a row."""

    names: tuple[str, ...]

    def __call__(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([row.get(name) for name in self.names])


class Rows:
    """The rows of one table."""

    def __init__(self, space: MemorySpace, table: Table) -> None:
        self.table = table
        self.shelf = space.shelf("row", table.name)
        self.by_key = Columns(table.key)
        with space.lock:
            self.shelf.index(self.by_key)  # now, because it looks through all rows
        primary = space.primary.get(table.name)
        self.primary = Columns(primary) if primary else None if table.fold else self.by_key

    def find(self, ref: Ref) -> list[Cell]:
        """Give the cells of a record, the oldest first; to be called under the space's lock."""
        if len(ref.key) != len(self.table.key):
            raise StoreError(f"A ref to {self.table.name} has {len(ref.key)} values, its key {len(self.table.key)}.")
        return [self.shelf.cells[number] for number in self.shelf.ids(self.by_key, ref.key)]

    def record(self, ref: Ref, cells: Sequence[Cell]) -> Record:
        """Make a record of cells."""
        if not cells:
            return Record(ref)
        table = self.table
        if table.fold is None:
            if len(cells) > 1:
                raise StoreError(
                    f"A ref to {table.name} leads to {len(cells)} rows.",
                    remedy="Name the whole primary key in Table(key=), or give it a fold=.",
                )
            row = self._seen(cells[0].data)
            return Record(ref, row, row.get(table.version) if table.version else None, cells[0].token)
        rows = [self._seen(cell.data) for cell in self._sorted(cells)]
        meta = {} if table.unfold else {ROWS: copied(rows)}
        versions = [row[table.version] for row in rows if row.get(table.version) is not None] if table.version else []
        version = max(versions, default=None)
        value = self._turned("fold", table.fold, rows)
        return Record(ref, value, version, tuple([cell.token for cell in cells]), meta=meta)

    def _turned(self, name: str, function: Callable[[Any], Any], value: Any) -> Any:
        try:
            return function(value)
        except Exception as error:
            raise StoreError(
                f"{name} of {self.table.name} raised {type(error).__name__}.", remedy="Correct it."
            ) from error

    def _seen(self, row: Mapping[str, Any]) -> dict[str, Any]:
        columns = self.table.columns
        if columns is None:
            return copied(row)  # type: ignore[no-any-return] # a copy is what the original was
        return {name: copied(row[name]) for name in columns if name in row}

    def _sorted(self, cells: Sequence[Cell]) -> Sequence[Cell]:
        if self.primary is not None:
            project = self.primary
            with contextlib.suppress(TypeError):  # their values have no order
                return sorted(cells, key=lambda cell: project(cell.data))
        return sorted(cells, key=lambda cell: repr(sorted(cell.data.items())))

    def write(self, draft: Draft, record: Record) -> None:
        """Put the record's rows in the place of those that are there."""
        old = draft.find(self.shelf, self.by_key, record.ref.key)
        self.delete(draft, record.ref)
        if not record.exists:
            return
        kept = old[0][1] if self.table.columns is not None and self.table.fold is None and old else {}
        for row in self._rows(record):
            if not isinstance(row, Mapping):
                raise StoreError(f"The value for a row of {self.table.name} is a {type(row).__name__}, not a dict.")
            whole = {**kept, **dict(zip(self.table.key, record.ref.key, strict=True)), **row}
            if self.by_key(whole) != record.ref.key:
                raise StoreError(f"A row of {self.table.name} has another key than its ref.")
            if not self.insert(draft, copied(whole)):
                raise StoreError(f"Another row of {self.table.name} has the primary key of one to be written.")

    def _rows(self, record: Record) -> Sequence[Any]:
        if self.table.fold is None:
            return [record.value]
        if self.table.unfold is not None:
            return list(self._turned("unfold", self.table.unfold, record.value))
        if ROWS in record.meta:
            return record.meta[ROWS]  # type: ignore[no-any-return] # whoever gave the record put rows there
        raise StoreError(
            f"A value of {self.table.name} cannot be turned into rows.", remedy="Give its Table an unfold= too."
        )

    def insert(self, draft: Draft, row: dict[str, Any]) -> bool:
        """Add a row, unless another one has its primary key; tell whether it was added."""
        return self._free(draft, row) and self._put(draft, next(draft.space.numbers), row)

    def replace(self, draft: Draft, number: Hashable, new: dict[str, Any]) -> bool:
        """Change a row, unless another one has its new primary key; tell whether it was changed."""
        old = draft.get(self.shelf, number)
        same = self.primary is None or self.primary(old) == self.primary(new)
        return (same or self._free(draft, new)) and self._put(draft, number, new)

    def _free(self, draft: Draft, row: dict[str, Any]) -> bool:
        if self.primary is None:
            return True
        key = self.primary(row)
        if draft.find(self.shelf, self.primary, key):
            return False
        draft.claim(self.shelf, self.primary, key)
        return True

    def _put(self, draft: Draft, number: Hashable, row: dict[str, Any]) -> bool:
        draft.put(self.shelf, number, row)
        if self.primary is not None and len(self.primary.names) == 1:
            key, sequences, name = row[self.primary.names[0]], draft.space.sequences, self.table.name
            if type(key) is int and key > sequences.get(name, 0):
                sequences[name] = key
        return True

    def delete(self, draft: Draft, ref: Ref) -> None:
        """Remove all rows of a record."""
        for number, _ in draft.find(self.shelf, self.by_key, ref.key):
            draft.drop(self.shelf, number)

    def changes(self, since: int) -> Iterator[Change]:
        """Tell which records were written, the latest first."""
        told = set()
        for cell in written(self.shelf, since):
            key = self.by_key(cell.data)
            if key not in told:
                told.add(key)
                yield Change(Ref("", "row", self.table.name, key), cell.token)
