"""
Copying one batch of a table's rows from production to the sister, by COPY, in the order of a key.

Danger: the order is production's. The sister may sort texts otherwise (another collation, another C library), so the
last key of a batch is that of the row which arrived last, never the sister's greatest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import psycopg
from psycopg import sql

from shadowmig.stores._pg_job import Cursor, Source, reported
from shadowmig.stores._pg_survey import SPELLING, Way, condition_of, names

_CHUNK: Final = 256 * 1024
"""Bytes that are gathered before they are handed on: the driver gives one row at a time."""

_ARRIVED: Final = sql.Identifier("shadowmig batch")
"""The temporary table that a batch arrives in."""

_FIRING = """
WITH RECURSIVE part(oid) AS (
    SELECT %s::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN part p ON p.oid = i.inhparent
        JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
)
SELECT n.nspname::text, c.relname::text, t.tgname::text, t.tgenabled::text
FROM part p JOIN pg_trigger t ON t.tgrelid = p.oid JOIN pg_class c ON c.oid = p.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled IN (%s, 'A')
"""


def fetch(production: Cursor, sister: Cursor, way: Way, last: Sequence[str] | None, batch: int) -> int:
    """
    Copy the rows after a key into the sister's temporary table.

    Args:
        production: In a read-only transaction.
        sister: In the transaction that `merge` goes on with.
        way: The table.
        last: The key of the last row copied, as texts; ``None`` at the start.
        batch: The most rows.

    Returns:
        How many there were.
    """
    for cursor in (production, sister):
        cursor.execute(SPELLING)
    arrival = _arrival(way)
    sister.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            _ARRIVED, names(way.columns), way.target.identifier
        )
    )
    sister.execute(
        sql.SQL("ALTER TABLE pg_temp.{} ADD COLUMN {} bigint GENERATED ALWAYS AS IDENTITY").format(_ARRIVED, arrival)
    )
    after: sql.Composable = sql.SQL("true")
    if last is not None:
        values = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(cast("Any", kind)))
            for value, (_, kind) in zip(last, way.key, strict=True)
        )
        after = sql.SQL("({}) > ({})").format(way.key_columns, values)
    options = sql.SQL(f"(FORMAT {way.format})")
    select = sql.SQL("SELECT {} FROM {} WHERE {} AND {} ORDER BY {} LIMIT {}").format(
        names(way.columns), way.source.only, after, condition_of(way), way.key_columns, sql.Literal(batch)
    )
    receive = sql.SQL("COPY pg_temp.{} ({}) FROM STDIN {}").format(_ARRIVED, names(way.columns), options)
    with (
        production.copy(sql.SQL("COPY ({}) TO STDOUT {}").format(select, options)) as source,
        sister.copy(receive) as target,
    ):
        _stream(source.read, target.write)
    return max(sister.rowcount, 0)


def _stream(read: Callable[[], Any], write: Callable[[bytes], None]) -> None:
    chunk = bytearray()
    while block := read():
        chunk += block
        if len(chunk) >= _CHUNK:
            write(bytes(chunk))
            chunk.clear()
    write(bytes(chunk))


def merge(sister: Cursor, way: Way) -> list[str]:
    """
    Put the rows that arrived into the sister's table, in place of those with the same key, without its triggers.

    Returns:
        The key of the row that arrived last, as texts.
    """
    same = sql.SQL(" AND ").join(
        sql.SQL("t.{} = a.{}").format(sql.Identifier(name), sql.Identifier(name)) for name, _ in way.key
    )
    # A row that somebody else hydrated between our two statements is as good as ours.
    kept = sql.SQL("ON CONFLICT ({}) DO NOTHING").format(way.key_columns) if way.upsert else sql.SQL("")
    undo = _silence(sister, way.target)
    # The keys come in order, so looking each up in an index is cheap; planned as random, it would scan the whole table.
    sister.execute("SET LOCAL random_page_cost = 0.1")
    sister.execute(sql.SQL("DELETE FROM {} t USING pg_temp.{} a WHERE {}").format(way.target.only, _ARRIVED, same))
    sister.execute(
        sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_temp.{} {}").format(
            way.target.identifier, names(way.columns), names(way.columns), _ARRIVED, kept
        )
    )
    if undo:
        # The server changes no table for which a check is still put off.
        sister.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for statement in undo:
        sister.execute(statement)
    for column, sequence, upward, least, most in way.sequences:
        sister.execute(
            _RAISE[upward].format(column=sql.Identifier(column), rows=_ARRIVED, sequence=sql.SQL(sequence)),
            {"sequence": sequence, "least": least, "most": most},
        )
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name, _ in way.key)
    last = sister.execute(
        sql.SQL("SELECT {} FROM pg_temp.{} ORDER BY {} DESC LIMIT 1").format(texts, _ARRIVED, _arrival(way))
    ).fetchone()
    return list(last or ())


_RAISE: Final = {
    True: sql.SQL(
        "SELECT setval(%(sequence)s::regclass, least(m, %(most)s)) FROM (SELECT max({column}) m FROM pg_temp.{rows}) r,"
        " {sequence} WHERE m >= last_value"
    ),
    False: sql.SQL(
        "SELECT setval(%(sequence)s::regclass, greatest(m, %(least)s))"
        " FROM (SELECT min({column}) m FROM pg_temp.{rows}) r, {sequence} WHERE m <= last_value"
    ),
}
"""By whether the sequence counts up: sets it past the rows that arrived, never back."""


def _arrival(way: Way) -> sql.Identifier:
    """Name the column that numbers the rows as they arrive, unlike any other."""
    name = "arrival"
    while name in way.columns:
        name += "_"
    return sql.Identifier(name)


def _silence(sister: Cursor, target: Source) -> list[sql.Composed]:
    """Keep triggers from firing in this transaction; give the statements that take back what stays changed."""
    role = "R"
    try:
        with sister.connection.transaction():
            sister.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        role = "O"
    remedy = "Have the sister's user own the table, or give it the right to set session_replication_role."
    change = sql.SQL("ALTER TABLE {} {} TRIGGER {}")
    undo: list[sql.Composed] = []
    for schema, table, trigger, enabled in sister.execute(_FIRING, [target.oid, role]).fetchall():
        where, name = sql.Identifier(schema, table), sql.Identifier(trigger)
        with reported(f"Keeping the triggers of {target} from firing", remedy=remedy):
            sister.execute(change.format(where, sql.SQL("DISABLE"), name))
        how = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}[enabled]
        undo.append(change.format(where, sql.SQL(cast("Any", how)), name))
    return undo
