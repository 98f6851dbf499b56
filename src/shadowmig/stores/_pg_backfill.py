"""
Copying rows from production in Postgres to the sister, in batches, so that it can be stopped and goes on later.

How far it came is kept in the sister, in the table ``shadowmig_backfill``, in the same transaction as the rows: a run
that is killed loses no row and copies none twice.

Danger: a condition (``where=``) is code of the operator, not data. It runs in a read-only transaction under a timeout,
so the server lets it write nothing; but a function that it calls may do more than write (end a session, call out).

Danger: each batch is read in a transaction of its own, so that production need not keep old rows alive for hours. What
changes behind it is not copied again: hydrate a record before it is compared, or run again with ``restart=True``. And
it replaces what the candidate wrote to a row by then: copy before writes are compared, not while.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, cast

import psycopg
from attrs import Factory, frozen
from psycopg import sql

from shadowmig.errors import ConfigError
from shadowmig.stores._pg_copy import fetch, merge
from shadowmig.stores._pg_job import Cursor, checked_names, find, transaction
from shadowmig.stores._pg_survey import Way, require_unique, survey
from shadowmig.stores.tables import Table

STATE: Final = sql.Identifier("shadowmig_backfill")
"""The sister's table that tells how far each table came, in the first schema of the connection's ``search_path``."""


@frozen
class Progress:
    """
    How far the copying of one table came; given after each batch, when its rows are committed.

    Attributes:
        table: Its schema and name, with a dot between.
        rows: Rows copied so far, those of earlier runs included.
        total: Rows that production's statistics tell of; ``None`` if they tell nothing, or not all are copied.
        seconds: Time since the run began.
        done: Whether this table is finished.
    """

    table: str
    rows: int
    total: int | None
    seconds: float
    done: bool


@frozen
class Backfilled:
    """
    What a run copied.

    Attributes:
        rows: Rows copied by this run, by the table's schema and name; 0 where an earlier run had finished.
        seconds: Time that it took.
    """

    rows: Mapping[str, int] = Factory(dict)
    seconds: float = 0.0


@frozen
class _Run:
    production: psycopg.Connection[Any]
    sister: psycopg.Connection[Any]
    batch: int
    timeout: float

    def reading(self, what: str) -> AbstractContextManager[Cursor]:
        """Open a read-only transaction on production."""
        return transaction(self.production, what, read_only=True)


def backfill(
    production: psycopg.Connection[Any],
    sister: psycopg.Connection[Any],
    *,
    tables: Sequence[Table | str],
    where: Mapping[str, str | sql.Composable] | None = None,
    batch: int = 5_000,
    rate: float | None = None,
    progress: Callable[[Progress], object] | None = None,
    restart: bool = False,
    timeout: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Backfilled:
    """
    Copy rows of tables, in the order of the primary key, or of the `Table`'s key where there is none.

    A row that the sister has already is replaced by production's; others there stay. Columns of the sister that
    production lacks keep their defaults. Triggers of the sister do not fire, and its sequences are set past the numbers
    that were copied. Memory stays bounded: a batch goes through, and is never held.

    Args:
        production: An idle connection; every batch is read in a read-only transaction of its own.
        sister: An idle connection; every batch is committed.
        tables: The tables, with or without what is known of them. A `Table` is needed where there is no primary key.
        where: By the table's name, an SQL condition on its columns: ``{"comments": "at > now() - interval '7 days'"}``.
            Another condition starts its table anew.
        batch: Most rows of a batch.
        rate: Most rows a second, over all tables; ``None`` for no limit.
        progress: Called after each batch. What it raises ends the run, which can go on later.
        restart: Whether to start anew, instead of where an earlier run stopped.
        timeout: Seconds that production may take for one statement.
        clock: Monotonic clock in seconds.
        sleep: Waits for seconds.

    Raises:
        ConfigError: An option is wrong.
        StoreUnavailable: A connection was lost, or production took too long; batches before it are kept.
        StoreError: The sister lacks a table or a column, a table has no key, or a server refused something; batches
            before it are kept.
    """
    checked_names(tables)
    conditions = _conditions(tables, where)
    _check_numbers(batch=batch, rate=rate, timeout=timeout)
    if rate is not None:
        batch = max(1, min(batch, int(rate)))  # no burst is longer than a second
    run = _Run(production, sister, batch, timeout)
    start, counts = clock(), dict[str, int]()
    with transaction(sister, "Preparing the backfill") as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('shadowmig backfill'))")
        cursor.execute(_MAKE_STATE.format(STATE))
    for table in tables:
        name = table.name if isinstance(table, Table) else table
        way, total, mark = _begin(run, table, conditions.get(name), restart=restart)
        counts[str(way.source)] = 0
        done = False
        while not done:
            copied, rows, done = _step(run, way, mark)
            counts[str(way.source)] += copied
            if progress is not None:
                progress(Progress(str(way.source), rows, total, clock() - start, done))
            if rate is not None and not done:
                sleep(max(0.0, sum(counts.values()) / rate - (clock() - start)))
    return Backfilled(counts, clock() - start)


def _conditions(
    tables: Sequence[Table | str], where: Mapping[str, str | sql.Composable] | None
) -> dict[str, sql.Composable]:
    known = {table.name if isinstance(table, Table) else table for table in tables}
    found: dict[str, sql.Composable] = {}
    for name, condition in (where or {}).items():
        text = isinstance(condition, str)
        if name not in known or not (isinstance(condition, sql.Composable) or (text and condition.strip())):
            raise ConfigError(
                f"where has {'no condition' if name in known else 'a condition'} for {name!r}.",
                remedy="Give one SQL condition, for tables that are among tables.",
                field="where",
            )
        found[name] = sql.SQL(cast("Any", condition)) if isinstance(condition, str) else condition
    return found


def _check_numbers(*, batch: object, rate: object, timeout: object) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"batch is {batch!r}.", remedy="Use a number of rows.", field="batch", value=batch)
    for field, value in (("rate", 1.0 if rate is None else rate), ("timeout", timeout)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ConfigError(f"{field} is {value!r}.", remedy="Use a number above 0.", field=field, value=value)


_MAKE_STATE: Final = sql.SQL("""
CREATE TABLE IF NOT EXISTS {} (
    table_name text, where_hash text, last_key text[], rows int8 NOT NULL DEFAULT 0, done bool NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (table_name, where_hash)
)
""")

_FORGET: Final = sql.SQL("DELETE FROM {} WHERE table_name = %s AND where_hash = %s")
_REMEMBER: Final = sql.SQL("INSERT INTO {} (table_name, where_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING")
_HOW_FAR: Final = sql.SQL("SELECT last_key, rows, done FROM {} WHERE table_name = %s AND where_hash = %s FOR UPDATE")
_CAME: Final = sql.SQL(
    "UPDATE {} SET last_key = coalesce(%s::text[], last_key), rows = rows + %s, done = %s, updated_at = now()"
    " WHERE table_name = %s AND where_hash = %s"
)

_ESTIMATE = """
WITH RECURSIVE part(oid) AS (
    SELECT %s::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN part p ON p.oid = i.inhparent
        JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
)
SELECT sum(greatest(c.reltuples, 0))::int8 FROM pg_class c JOIN part p ON p.oid = c.oid WHERE c.relkind = 'r'
"""


def _begin(
    run: _Run, table: Table | str, where: sql.Composable | None, *, restart: bool
) -> tuple[Way, int | None, tuple[str, str]]:
    """Look at a table on both sides; give how it goes over, how many rows it may have, and the mark of its state."""
    what = f"Looking at {table.name if isinstance(table, Table) else table}"
    with transaction(run.sister, what) as sister, run.reading(what) as production:
        _limit(production, run.timeout)
        source, target = find(production, table), find(sister, table, where="the sister")
        way = survey(production, sister, source, target, where)
        condition = where.as_bytes(run.production) if where is not None else b""
        told = repr((condition, way.key)).encode()
        mark = str(source), hashlib.sha256(told).hexdigest()
        if restart:
            sister.execute(_FORGET.format(STATE), mark)
        sister.execute(_REMEMBER.format(STATE), mark)
        state = sister.execute(_HOW_FAR.format(STATE), mark).fetchone()
        if state is not None and not state[2]:
            require_unique(production, way)
        estimate = production.execute(_ESTIMATE, [source.oid]).fetchone()
    return way, (estimate[0] or None) if estimate and where is None else None, mark


def _step(run: _Run, way: Way, mark: tuple[str, str]) -> tuple[int, int, bool]:
    """Copy one batch; give its rows, all rows so far, and whether it was the last."""
    what = f"Copying {way.source}"
    with transaction(run.sister, what) as sister:
        # The lock on the state: a second process on the same table takes the next batch, not the same.
        state = sister.execute(_HOW_FAR.format(STATE), mark).fetchone()
        last, rows, done = state or (None, 0, True)
        if done:
            return 0, rows, True
        with run.reading(what) as production:
            _limit(production, run.timeout)
            copied = fetch(production, sister, way, last, run.batch)
        came = merge(sister, way) if copied else None
        done = copied < run.batch
        sister.execute(_CAME.format(STATE), [came, copied, done, *mark])
    return copied, rows + copied, done


def _limit(production: Cursor, timeout: float) -> None:
    production.execute("SELECT set_config('statement_timeout', %s, true)", [f"{max(1, round(timeout * 1000))}ms"])
