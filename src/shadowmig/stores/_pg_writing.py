"""
How records are written as they were read, and deleted.

Each value goes as text that the server reads as the type of its column, so that no type is lost on the way. What the
server generates itself is left out. Triggers and foreign keys are passed over where the user may do that: what is
copied was checked, and changed by triggers, in production.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import psycopg
from attrs import define, field, frozen
from psycopg.sql import SQL, Identifier

from shadowmig.errors import StoreError
from shadowmig.model import Record, Ref
from shadowmig.stores._pg_tables import joined, key_texts, named, parameter
from shadowmig.stores._pg_values import array_of, json_of, load, text_of
from shadowmig.stores._pg_wire import Command
from shadowmig.stores.tables import Table

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

# One row for each column. ON CONFLICT needs a unique index on the key's columns, whole and checked at once.
_LAYOUT: Final = b"""
SELECT a.attname, a.attgenerated <> '', a.attidentity = 'a', base.typname IN ('json', 'jsonb'),
       element.typname IN ('json', 'jsonb'), element.typdelim, c.relhastriggers,
       current_setting('server_version_num')::int,
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                 AND i.indpred IS NULL AND i.indexprs IS NULL
                 AND ARRAY(SELECT k.attname::text FROM pg_catalog.pg_attribute k
                           WHERE k.attrelid = c.oid AND k.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                           ORDER BY 1) = ARRAY(SELECT unnest($2::text[]) ORDER BY 1))
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type own ON own.oid = a.atttypid
JOIN pg_catalog.pg_type base ON base.oid = CASE own.typtype WHEN 'd' THEN own.typbasetype ELSE own.oid END
LEFT JOIN pg_catalog.pg_type element ON element.oid = base.typelem AND base.typcategory = 'A'
WHERE c.oid = pg_catalog.to_regclass($1)
"""

_UNCHECKED: Final = SQL("SELECT pg_catalog.set_config('session_replication_role', 'replica', true) WHERE {}")
_MOST_INSERTS: Final = 100
"""Statements kept of one table."""
_INSERT: Final = SQL("INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values}){conflict}")


@frozen
class _Column:
    """What must be known of a column to write it."""

    generated: bool
    identity: bool
    json: bool
    json_array: bool
    delimiter: bytes


@define(eq=False)
class Layout:
    """
    What must be known of a table to write to it.

    Attributes:
        columns: By name.
        triggers: Whether it has triggers; foreign keys, also those of other tables to it, are made of them.
        server: The version of the server, as 150004.
        unique: Whether no two rows can have one key.
    """

    table: Table
    columns: dict[str, _Column]
    triggers: bool
    server: int
    unique: bool
    _inserts: dict[tuple[str, ...], bytes] = field(factory=dict, init=False)
    """Statements, by the columns that they write."""

    @staticmethod
    def ask(table: Table) -> Command:
        """Give the command that asks for it."""
        keys = array_of(table.key)
        return Command(_LAYOUT, (named(table).as_bytes(None), keys), table.name, keep=False)

    @classmethod
    def of(cls, table: Table, result: PGresult) -> Layout:
        """
        Make it of the answer.

        Raises:
            StoreError: There is no such table.
        """
        rows = load(result)
        if not rows:
            raise StoreError(
                f"There is no table {table.name!r}.", remedy="Create it, or correct name= or schema= of its Table."
            )
        columns = {
            name: _Column(generated, identity, json, bool(json_array), (delimiter or ",").encode())
            for name, generated, identity, json, json_array, delimiter, *_ in rows
        }
        triggers, server, unique = rows[0][6:]
        return cls(table, columns, triggers, server, unique)

    def unchecked(self) -> Command:
        """Pass over triggers and foreign keys until the end of the transaction, if this user may."""
        may = "pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
        if self.server < 150000:
            may = "current_setting('is_superuser')::bool"
        return Command(_UNCHECKED.format(SQL(may)).as_bytes(None), table=self.table.name)

    def delete(self, ref: Ref) -> Command:
        """Delete the rows of a ref."""
        same = [SQL("{} = {}").format(Identifier(c), parameter(n)) for n, c in enumerate(self.table.key, 1)]
        text = SQL("DELETE FROM {} WHERE {}").format(named(self.table), joined(" AND ", same)).as_bytes(None)
        return Command(text, key_texts(ref), self.table.name)

    def write(self, record: Record) -> list[Command]:
        """Put a record's rows in the place of those that are there."""
        if not record.exists:
            return [self.delete(record.ref)]
        rows = [self._row(record.ref, row) for row in _rows(self.table, record)]
        # A key that may be there twice has nothing for ON CONFLICT, and an identity cannot be updated.
        replace = self.table.fold is not None or not self.unique
        replace = replace or any(c.identity for name, c in self.columns.items() if name not in self.table.key)
        first = [self.delete(record.ref)] if replace else []
        return first + [self._insert(row, upsert=not replace) for row in rows]

    def _row(self, ref: Ref, row: Any) -> dict[str, Any]:
        if not isinstance(row, Mapping):
            raise StoreError(
                f"The value for a row of {self.table.name!r} is a {type(row).__name__}.",
                remedy="Give a dict of its columns; where a fold= makes something else, give an unfold= too.",
            )
        whole = {**dict(zip(self.table.key, ref.key, strict=True)), **row}
        if unknown := sorted(map(str, whole.keys() - self.columns.keys())):
            raise StoreError(
                f"Table {self.table.name!r} has no column {', '.join(map(repr, unknown))}.",
                remedy="Provision the sister anew, so that it has the schema of production.",
            )
        return {name: value for name, value in whole.items() if not self.columns[name].generated}

    def _insert(self, row: Mapping[str, Any], *, upsert: bool) -> Command:
        names = tuple(row)
        text = self._inserts.get(names)
        if text is None:
            if len(self._inserts) >= _MOST_INSERTS:  # rows that somebody unfolds may have any columns
                self._inserts.clear()
            text = self._inserts[names] = self._insert_into(names, upsert=upsert)
        return Command(text, tuple([self._text(name, value) for name, value in row.items()]), self.table.name)

    def _insert_into(self, names: Sequence[str], *, upsert: bool) -> bytes:
        conflict = SQL("")
        if upsert:
            others = [name for name in names if name not in self.table.key]
            changes = [SQL("{0} = EXCLUDED.{0}").format(Identifier(name)) for name in others]
            update = SQL("UPDATE SET {}").format(joined(", ", changes)) if changes else SQL("NOTHING")
            keys = joined(", ", [Identifier(name) for name in self.table.key])
            conflict = SQL(" ON CONFLICT ({}) DO {}").format(keys, update)  # type: ignore[assignment] # both are SQL
        text = _INSERT.format(
            table=named(self.table),
            columns=joined(", ", [Identifier(name) for name in names]),
            values=joined(", ", [parameter(number) for number in range(1, len(names) + 1)]),
            conflict=conflict,
        )
        return text.as_bytes(None)

    def _text(self, name: str, value: Any) -> bytes | None:
        column = self.columns[name]
        if value is None:
            return None
        try:
            if column.json:
                return json_of(value)
            if isinstance(value, list):
                return array_of(value, json=column.json_array, delimiter=column.delimiter)
            return text_of(value)
        except (psycopg.Error, ValueError, TypeError) as error:
            raise StoreError(
                f"The value of {self.table.name!r}.{name!r}, a {type(value).__name__}, cannot be written.",
                remedy="Give a value as a read gives it.",
            ) from error


def _rows(table: Table, record: Record) -> Sequence[Any]:
    if table.fold is None:
        return [record.value]
    if table.unfold is not None:
        return table.unfold(record.value)
    if "rows" in record.meta:
        rows: Sequence[Any] = record.meta["rows"]
        return rows
    raise StoreError(f"A value of {table.name!r} cannot be turned into rows.", remedy="Give its Table an unfold= too.")
