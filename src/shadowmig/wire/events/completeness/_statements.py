"""
The statements by which the check of completeness reads a table of Postgres, composed once.

All names go through `psycopg.sql`. All values are parameters that the server reads as the type of the column they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen
from psycopg.sql import SQL, Composable, Identifier

from shadowmig.stores._pg_tables import joined, named, parameter
from shadowmig.stores.tables import Table

PAGE: Final = 20_000
"""Rows asked for at once."""

# In hot standby a snapshot tells no list of open transactions, but its lowest one holds there too. Rows written below a
# savepoint have a number above that of their transaction, so the lowest open one is below all that is to come.
MARK: Final = (
    "SELECT pg_catalog.pg_snapshot_xmin(s)::text::bigint, pg_catalog.pg_snapshot_xmax(s)::text::bigint,"
    " (n - pg_catalog.make_interval(secs => $1::float8))::text, n::text"
    " FROM pg_catalog.pg_current_snapshot() AS s, pg_catalog.statement_timestamp() AS n"
)
"""The lowest and the next transaction of a snapshot, and two times: some seconds ago, and now."""

# As in the store's own reading: the age of a transaction is its distance from the newest one modulo 2**32.
_WRITTEN: Final = SQL("pg_catalog.age($1::xid) - pg_catalog.age(t.xmin)")
_SINCE: Final = SQL("pg_catalog.age(t.xmin) BETWEEN 1 AND pg_catalog.age($1::xid)")

_ROWS: Final = SQL("SELECT {first}, {columns} FROM {table} AS t{where} ORDER BY {keys} LIMIT {page}")

# An unknown parameter takes the type of the other argument: an array of what the column holds. Only its type is used.
_KEYS: Final = SQL("coalesce({}, ARRAY(SELECT {} FROM {} WHERE false))")

_FIND: Final = SQL(
    "SELECT k.n, {columns} FROM unnest({arrays}) WITH ORDINALITY AS k ({names}, n) JOIN {table} AS t ON {same}"
)


@frozen
class Statements:
    """
    The statements for one table. Rows begin with one column more, then key, version, and whole rows where wanted.

    Attributes:
        changed: What was written since a mark: the first page, and a further one after a key. The column more tells by
            how much later than the mark, or, by the time of the last change, whether after the start.
        scan: All rows, likewise.
        find: Single rows, with their places among those asked for.
    """

    changed: tuple[str, str]
    scan: tuple[str, str]
    find: str

    @classmethod
    def of(cls, table: Table, *, whole: bool, recent: str | None) -> Statements:
        """
        Compose them.

        Args:
            table: The table; it has a version.
            whole: Whether rows are wanted as they are, too.
            recent: A column with the time of the last change.
        """
        t = SQL("t.{}")
        keys = [t.format(Identifier(column)) for column in table.key]
        wanted = [*keys, t.format(Identifier(table.version or ""))]
        if whole and table.columns is None:
            wanted.append(SQL("t.*"))  # type: ignore[arg-type]  # both are pieces of SQL
        elif whole:
            wanted += [t.format(Identifier(name)) for name in table.columns or ()]
        parts: dict[str, Composable] = {"columns": joined(", ", wanted), "table": named(table)}
        paged = {**parts, "keys": joined(", ", keys), "page": SQL(str(PAGE))}
        if recent is None:
            first, since, begin = _WRITTEN, SQL(" WHERE ") + _SINCE, 2
        else:
            column = t.format(Identifier(recent))
            first, begin = SQL("{} >= $2").format(column), 3  # type: ignore[assignment]  # both are pieces of SQL
            since = SQL(" WHERE {} >= $1").format(column)
        changed = [since, since + SQL(" AND ") + _after(keys, begin)]
        scan = [SQL(""), SQL(" WHERE ") + _after(keys, 1)]
        return cls(
            tuple([_ROWS.format(first=first, where=each, **paged).as_string(None) for each in changed]),  # type: ignore[arg-type]  # two of them
            tuple([_ROWS.format(first=SQL("true"), where=each, **paged).as_string(None) for each in scan]),  # type: ignore[arg-type]  # two of them
            _finding(table, keys, parts),
        )


def _after(keys: Sequence[Composable], begin: int) -> Composable:
    places = joined(", ", [parameter(number) for number in range(begin, begin + len(keys))])
    return SQL("({}) > ({})").format(joined(", ", keys), places)


def _finding(table: Table, keys: Sequence[Composable], parts: dict[str, Composable]) -> str:
    numbers = range(1, len(keys) + 1)
    columns = [Identifier(column) for column in table.key]
    arrays = [_KEYS.format(parameter(n), column, parts["table"]) for n, column in zip(numbers, columns, strict=True)]
    names = [Identifier(f"k{number}") for number in numbers]
    same = [SQL("{} = k.{}").format(key, name) for key, name in zip(keys, names, strict=True)]
    return _FIND.format(
        arrays=joined(", ", arrays), names=joined(", ", names), same=joined(" AND ", same), **parts
    ).as_string(None)
