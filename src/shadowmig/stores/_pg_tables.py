"""
The statements that read tables, composed once for each table.

All names go through `psycopg.sql`. All values are parameters without a type of their own, so that the server reads each
one as the type of the column it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import psycopg
from attrs import define
from psycopg.sql import SQL, Composable, Identifier

from shadowmig.errors import StoreError
from shadowmig.model import Ref
from shadowmig.stores._pg_values import text_of
from shadowmig.stores.tables import Table

MOST_CHANGES: Final = 1000

MARK: Final = b"SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"

# The joins give a row for a ref without a record too, so that the mark comes in any case.
_ONE: Final = SQL("SELECT ({mark}), 1, t.xmin, {columns} FROM (SELECT 1) AS k LEFT JOIN {table} AS t ON {same}")

# An unknown parameter takes the type of the other argument: an array of what the column holds. Only its type is used.
_MANY: Final = SQL(
    "SELECT ({mark}), k.n, t.xmin, {columns} FROM unnest({keys}) WITH ORDINALITY AS k ({names}, n)"
    " LEFT JOIN {table} AS t ON {same}"
)
_KEYS: Final = SQL("coalesce({parameter}, ARRAY(SELECT {column} FROM {table} WHERE false))")

# xmin has 32 bits and goes round, so it cannot be compared with a mark of 64 bits. The age of a transaction is its
# distance from the newest one modulo 2**32, as a signed number: what began at the mark or later has an age from 1 to
# the mark's own. Rows frozen long ago keep an xmin that may seem to lie ahead; their age is negative, so they are out.
_CHANGES: Final = SQL(
    "SELECT pg_catalog.age($1::xid) - pg_catalog.age(t.xmin), {columns} FROM {table} AS t"
    " WHERE pg_catalog.age(t.xmin) BETWEEN 1 AND pg_catalog.age($1::xid) LIMIT {limit}"
)

PRIMARY: Final = (
    b"SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a"
    b" ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
    b" WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisprimary"
    b" ORDER BY array_position(i.indkey::int2[], a.attnum)"
)


def named(table: Table) -> Identifier:
    """Give a table's name as SQL."""
    return Identifier(table.schema, table.name) if table.schema else Identifier(table.name)


def parameter(number: int) -> SQL:
    """Give a parameter as SQL; the first one is 1."""
    return SQL(f"${number:d}")


def joined(separator: str, parts: Iterable[Composable]) -> Composable:
    """Join pieces of SQL."""
    return SQL(separator).join(parts)


@define(eq=False)
class TableReads:
    """The statements that read one table."""

    table: Table
    one: bytes
    many: bytes
    changes: bytes
    primary: tuple[str, ...] | None = None
    """Columns of the primary key, once they are known; only tables with a fold need them."""

    @classmethod
    def of(cls, table: Table) -> TableReads:
        """Compose them."""
        name = named(table)
        t, k = SQL("t.{}"), SQL("k.{}")
        wanted = SQL("t.*") if table.columns is None else joined(", ", [t.format(Identifier(c)) for c in table.columns])
        columns = [Identifier(column) for column in table.key]
        numbers = range(1, len(columns) + 1)
        names = [Identifier(f"k{number}") for number in numbers]
        keys = [
            _KEYS.format(parameter=parameter(n), column=c, table=name) for n, c in zip(numbers, columns, strict=True)
        ]
        equal = SQL("t.{} = {}")
        by_value = [equal.format(c, parameter(n)) for n, c in zip(numbers, columns, strict=True)]
        by_name = [equal.format(c, k.format(n)) for c, n in zip(columns, names, strict=True)]
        parts = {"mark": SQL(MARK.decode()), "columns": wanted, "table": name}
        return cls(
            table,
            _ONE.format(**parts, same=joined(" AND ", by_value)).as_bytes(None),
            _MANY.format(
                **parts, keys=joined(", ", keys), names=joined(", ", names), same=joined(" AND ", by_name)
            ).as_bytes(None),
            _CHANGES.format(
                columns=joined(", ", [t.format(c) for c in columns]),
                table=name,
                limit=SQL(str(MOST_CHANGES)),
            ).as_bytes(None),
        )


def key_texts(ref: Ref) -> tuple[bytes, ...]:
    """
    Give the key values of a ref as text.

    Raises:
        StoreError: One of them is ``None``, or of a type that a key cannot have.
    """
    try:
        if any(value is None for value in ref.key):
            raise ValueError("NULL equals nothing")
        return tuple([text_of(value) for value in ref.key])
    except (psycopg.Error, ValueError, TypeError) as error:
        kinds = ", ".join(type(value).__name__ for value in ref.key)
        raise StoreError(
            f"A ref to {ref.space!r} has a key that Postgres cannot compare with the column's values ({kinds}).",
            remedy="Give values of the types that the key columns have, none of them None.",
        ) from error
