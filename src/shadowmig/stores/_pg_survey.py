"""How the rows of one table can be copied from production to the sister: columns, order, format, condition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen
from psycopg import sql

from shadowmig.errors import StoreError
from shadowmig.stores._pg_job import Cursor, Source, reported

SPELLING: Final = (
    "SELECT set_config('client_encoding', 'UTF8', true), set_config('DateStyle', 'ISO, YMD', true),"
    " set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '3', true),"
    " set_config('bytea_output', 'hex', true), set_config('lc_monetary', 'C', true)"
)
"""Has both servers write and read the same texts."""

_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '',
    t.typtype = 'e' OR (t.oid < 16384 AND t.typname !~ '^_?reg' AND t.typtype = 'b'), a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_PRIMARY = """
SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %s AND i.indisprimary AND i.indimmediate ORDER BY k.place
"""

_SEQUENCES = """
SELECT DISTINCT a.attname::text, format('%%I.%%I', n.nspname, s.relname), q.seqincrement > 0, q.seqmin, q.seqmax
FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
    LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    JOIN pg_depend d ON (d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass)
        OR (d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
            AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    JOIN pg_class s ON s.oid IN (d.refobjid, d.objid) AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
WHERE a.attrelid = %s AND a.attnum > 0 AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
"""


@frozen
class Way:
    """
    How the rows of one table go over.

    Attributes:
        source: The table in production.
        target: The table in the sister.
        columns: Those that are copied; generated ones are made anew.
        key: The columns that give the order, each with its type as production spells it.
        format: ``binary``, or ``text`` where a type's bytes hold numbers that mean something in one database only.
        where: The operator's condition, or ``None``.
        upsert: Whether the sister has the key as its primary key.
        sequences: Of the sister: column, sequence, whether it counts up, least and greatest value.
    """

    source: Source
    target: Source
    columns: tuple[str, ...]
    key: tuple[tuple[str, str], ...]
    format: str
    where: sql.Composable | None
    upsert: bool
    sequences: tuple[tuple[Any, ...], ...]

    @property
    def key_columns(self) -> sql.Composed:
        """The key's columns, for a statement."""
        return names(name for name, _ in self.key)


def names(given: Iterable[str]) -> sql.Composed:
    """Put names of columns into a statement."""
    return sql.SQL(", ").join(map(sql.Identifier, given))


def survey(production: Cursor, sister: Cursor, source: Source, target: Source, where: sql.Composable | None) -> Way:
    """
    Find out how a table can be copied.

    Raises:
        StoreError: The sister lacks columns, there is no key to order by, or the condition is not one condition.
    """
    ours = production.execute(_COLUMNS, [source.oid]).fetchall()
    theirs = {row[0]: row[1:] for row in sister.execute(_COLUMNS, [target.oid]).fetchall()}
    copied = [row for row in ours if not row[2]]
    lacking = sorted(row[0] for row in copied if row[0] not in theirs or theirs[row[0]][1])
    if lacking:
        raise StoreError(
            f"The sister's table {target} lacks columns of production's: {', '.join(lacking)}.",
            remedy="Provision the sister anew after a change of production's schema.",
            table=str(source),
        )
    types = {row[0]: row[1] for row in copied}
    key = _key(production, source, {row[0]: row[4] for row in copied})
    if where is not None:
        _check_condition(production, source, where)
    binary = all(row[3] and theirs[row[0]][0] == row[1] for row in copied)
    return Way(
        source,
        target,
        tuple(types),
        tuple((name, types[name]) for name in key),
        "binary" if binary else "text",
        where,
        _primary(sister, target) == key,
        tuple(sister.execute(_SEQUENCES, [target.oid]).fetchall()),
    )


def _primary(cursor: Cursor, source: Source) -> tuple[str, ...]:
    return tuple(name for (name,) in cursor.execute(_PRIMARY, [source.oid]))


def _key(cursor: Cursor, source: Source, not_null: dict[str, bool]) -> tuple[str, ...]:
    key = _primary(cursor, source) or (source.table.key if source.table else ())
    if not key or not not_null.keys() >= set(key):
        unknown = sorted(set(key) - not_null.keys())
        raise StoreError(
            f"{source} has no primary key, and {f'its columns lack {unknown}' if key else 'no other key is known'}.",
            remedy="Give Table(name, key=...) with columns whose values no two rows share.",
            table=str(source),
        )
    return key


def _check_condition(cursor: Cursor, source: Source, where: sql.Composable) -> None:
    """Have the server parse it in two places, so that it is one condition and not the end of one and more."""
    query = sql.SQL("SELECT FROM {} WHERE CASE WHEN {}\n THEN ({}\n) END LIMIT 0").format(source.only, where, where)
    with reported(f"The condition for {source}", remedy="Give one SQL condition on the table's columns."):
        # With its answer asked for in binary, the server takes no second statement.
        cursor.execute(query, binary=True)


def require_unique(cursor: Cursor, way: Way) -> None:
    """
    Refuse rows that the key does not tell apart.

    Raises:
        StoreError: Two rows share a key, or a key is NULL.
    """
    cursor.execute(SPELLING)
    if _primary(cursor, way.source):
        return
    rows = sql.SQL("FROM {} WHERE {}").format(way.source.only, condition_of(way))
    nulls = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name, _ in way.key)
    query = sql.SQL("SELECT EXISTS (SELECT {} AND ({})), EXISTS (SELECT {} GROUP BY {} HAVING count(*) > 1)").format(
        rows, nulls, rows, way.key_columns
    )
    found = cursor.execute(query).fetchone()
    if found is not None and any(found):
        key = ", ".join(name for name, _ in way.key)
        raise StoreError(
            f"The key ({key}) of {way.source} {'may be NULL' if found[0] else 'is shared by several rows'}.",
            remedy="Give the Table a key= that tells all rows apart, or the table a primary key.",
            table=str(way.source),
        )


def condition_of(way: Way) -> sql.Composable:
    """Give the operator's condition for a statement."""
    return sql.SQL("true") if way.where is None else sql.SQL("({}\n)").format(way.where)
