"""
Which database this is, and the mark that shows whether two handles lead to one.

The mark is a row of the table ``shadowmig_nonce`` in each schema that holds a covered table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from psycopg.sql import SQL, Identifier

from shadowmig.stores._pg_tables import named
from shadowmig.stores._pg_values import array_of
from shadowmig.stores._pg_wire import Command
from shadowmig.stores.tables import Table

_TABLE: Final = "shadowmig_nonce"
_LOCK: Final = 0x5AD0_0319
"""A number of ours, so that two processes do not create the table at a time."""

# Made by initdb and kept by replicas.
SYSTEM: Final = Command(b"SELECT system_identifier::text FROM pg_catalog.pg_control_system()", keep=False)
START: Final = Command(b"SELECT 'since ' || extract(epoch FROM pg_catalog.pg_postmaster_start_time())", keep=False)
DATABASE: Final = Command(
    b"SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()", keep=False
)

_SCHEMAS: Final = b"""
SELECT DISTINCT coalesce(n.nspname, k.schema, current_schema()),
       pg_catalog.to_regclass(quote_ident(coalesce(n.nspname, k.schema, current_schema())) || $3::text) IS NOT NULL
FROM unnest($1::text[], $2::text[]) AS k (name, schema)
LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(k.name)
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1
"""


def schemas(tables: Iterable[Table]) -> Command:
    """Ask for the schemas of tables, and whether there is a mark in each."""
    names: list[tuple[str | None, str | None]] = [
        (named(table).as_bytes(None).decode(), table.schema) for table in tables
    ]
    names = names or [(None, None)]
    columns = [array_of(column) for column in zip(*names, strict=True)]
    return Command(_SCHEMAS, (*columns, f".{_TABLE}".encode()), keep=False)


def plant(schema: str, nonce: bytes) -> Sequence[Command]:
    """Put the mark in the place of an older one."""
    table = Identifier(schema, _TABLE)
    return [
        Command(b"SELECT pg_catalog.pg_advisory_xact_lock(%d)" % _LOCK, keep=False),
        _on(SQL("CREATE TABLE IF NOT EXISTS {} (nonce text NOT NULL)"), table),
        _on(SQL("DELETE FROM {}"), table),
        _on(SQL("INSERT INTO {} VALUES ($1)"), table, nonce),
    ]


def uproot(schema: str) -> Sequence[Command]:
    """Remove the mark and its table."""
    return [_on(SQL("DROP TABLE IF EXISTS {}"), Identifier(schema, _TABLE))]


def find(schema: str, nonce: bytes) -> Command:
    """Ask whether the mark is there."""
    return _on(SQL("SELECT EXISTS (SELECT FROM {} WHERE nonce = $1)"), Identifier(schema, _TABLE), nonce)


def _on(text: SQL, table: Identifier, *values: bytes) -> Command:
    return Command(text.format(table).as_bytes(None), values, _TABLE, keep=False)
