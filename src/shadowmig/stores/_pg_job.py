"""Transactions and errors of long jobs over two connections: the schema of a sister, and its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from attrs import frozen
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from shadowmig.errors import ConfigError, StoreError, StoreUnavailable
from shadowmig.stores.tables import Table

Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

_LOST = ("080", "57P", "53300")  # but not 08P01: there the statement was wrong
_PASSING = ("40", "55P03", "57")
_WITH_VALUES = ("22", "P0")
"""Classes of errors whose first line may quote a value."""


@frozen
class Source:
    """A table of one server: its schema, its name, its oid, its kind, and what `Table` says of it, if there is one."""

    schema: str
    name: str
    oid: int
    kind: str
    table: Table | None = None

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def only(self) -> sql.Composable:
        """Its own rows in a statement: those of its partitions belong to it, those of tables that inherit do not."""
        return self.identifier if self.kind == "p" else sql.SQL("ONLY {}").format(self.identifier)


def checked_names(tables: Iterable[Table | str]) -> None:
    """
    Refuse an empty list of tables, names given twice, and names that Postgres cannot have.

    Raises:
        ConfigError: So it is.
    """
    names = [table.name if isinstance(table, Table) else table for table in tables]
    wrong = next((name for name in names if not isinstance(name, str) or not name or "\0" in name), None)
    if isinstance(tables, str) or not names or wrong is not None or len(set(names)) < len(names):
        raise ConfigError(
            f"tables is {tables!r}.",
            remedy="Give a list of tables, each once, by Table(...) or by a name without NUL.",
            field="tables",
            value=tables,
        )


@contextmanager
def transaction(connection: psycopg.Connection[Any], what: str, *, read_only: bool = False) -> Iterator[Cursor]:
    """
    Run a block in a transaction of its own; a read-only one sees one state throughout.

    Args:
        connection: An idle connection, in autocommit mode or not; its settings are as before afterwards.
        what: What the block does, for messages: "Provisioning the sister".
        read_only: Whether the server is to refuse writes.

    Raises:
        StoreUnavailable: The connection was lost, or a statement ran past its timeout.
        StoreError: The connection is not idle, or the server refused something.
    """
    with reported(what):
        status = connection.info.transaction_status
        if status not in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}:
            raise StoreError(f"{what}: the connection is in use.", remedy="Give one on which no transaction is open.")
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            if read_only:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor


@contextmanager
def reported(what: str, *, remedy: str = "") -> Iterator[None]:
    """
    Raise the driver's errors as ours: named by what was done, and without values.

    Args:
        what: What the block does.
        remedy: What to do if the server refuses.

    Raises:
        StoreUnavailable: The connection was lost, or a statement ran past its timeout.
        StoreError: The server refused something.
    """
    try:
        yield
    except (psycopg.Error, UnicodeError) as error:  # the second for a name that is no valid Unicode
        raise _translated(error, what, remedy) from error


def _translated(error: psycopg.Error | UnicodeError, what: str, remedy: str) -> StoreError:
    if isinstance(error, UnicodeError):
        return StoreError(f"{what}: a text cannot be encoded.", remedy="Use names and conditions of valid Unicode.")
    state = error.sqlstate or ""
    if state.startswith(_LOST) or (isinstance(error, psycopg.OperationalError) and not state):
        return StoreUnavailable(f"{what}: the connection was lost.", remedy="Try again when the server answers.")
    if state.startswith(_PASSING):
        return StoreUnavailable(
            f"{what}: the server gave up ({type(error).__name__}).",
            remedy="Try again; if it ran past a timeout, allow more, or have it do less at once.",
            code=state,
        )
    quoted = "" if state.startswith(_WITH_VALUES) else f": {error.diag.message_primary or ''}"
    refused = f"{type(error).__name__} {state}".strip()
    return StoreError(
        f"{what} was refused ({refused}{quoted}).", remedy=remedy or "Change what the server names.", code=state
    )


_FIND = """
SELECT n.nspname::text, c.oid::int8, c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname::text = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_temp\\_%%'
    AND CASE WHEN %(schema)s::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname::text = %(schema)s END
"""


def find(cursor: Cursor, table: Table | str, *, where: str = "production") -> Source:
    """
    Look a table up: in its schema, or else where the connection's ``search_path`` leads.

    Raises:
        StoreError: There is none of this name, or it is a view or a foreign table.
    """
    name, schema = (table.name, table.schema) if isinstance(table, Table) else (table, None)
    found = cursor.execute(_FIND, {"name": name, "schema": schema}).fetchone()
    full = f"{schema}.{name}" if schema else name
    if found is None or found[2] not in {"r", "p"}:
        state = "no table" if found is None else "only a view or foreign table"
        raise StoreError(
            f"There is {state} {full} in {where}.",
            remedy="Look at the name, the schema= of the Table and the search_path of the connection.",
            table=full,
        )
    return Source(found[0], name, found[1], found[2], table if isinstance(table, Table) else None)
