"""Schema and rows from production to the sister, where both are Postgres; loads the driver only then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.protocols import Store
from shadowmig.stores.tables import Table

if TYPE_CHECKING:
    import psycopg

    from shadowmig.stores._pg_backfill import Progress
    from shadowmig.stores._pg_provision import Provisioned

_PATIENCE: Final = 10
"""Seconds for connecting, unless a conninfo says otherwise."""


def provision(production: Store, sister: Store, tables: Sequence[Table | str] | None) -> Provisioned | None:
    """
    Clone the schema.

    Raises:
        StoreUnavailable: A server could not be reached.
        StoreError: This kind of store cannot, or a server refused.
    """
    from shadowmig.stores.memory import MemoryStore

    if isinstance(production, MemoryStore) and isinstance(sister, MemoryStore):
        return None
    with _connections(production, sister, "provision") as (source, target):
        from shadowmig.stores import _pg_provision

        return _pg_provision.provision(source, target, tables=_tables(production, tables))


def backfill(
    production: Store,
    sister: Store,
    tables: Sequence[Table | str] | None,
    *,
    where: Mapping[str, str] | None,
    batch: int,
    rate: float | None,
    progress: Callable[[Progress], object] | None,
    restart: bool,
) -> Mapping[str, int]:
    """
    Copy rows.

    Raises:
        StoreUnavailable: A server could not be reached.
        StoreError: This kind of store cannot, or a server refused.
    """
    with _connections(production, sister, "backfill") as (source, target):
        from shadowmig.stores import _pg_backfill

        return _pg_backfill.backfill(
            source,
            target,
            tables=_tables(production, tables),
            where=where,
            batch=batch,
            rate=rate,
            progress=progress,
            restart=restart,
        ).rows


def _tables(production: Store, tables: Sequence[Table | str] | None) -> Sequence[Table | str]:
    """Complete names by what production's store knows of the tables."""
    known: Mapping[str, Table] = getattr(production, "tables", {})
    if tables is None:
        return list(known.values())
    return [known.get(table, table) if isinstance(table, str) else table for table in tables]


@contextlib.contextmanager
def _connections(
    production: Store, sister: Store, what: str
) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    """Open a connection to each, production's for read-only transactions."""
    source, target = getattr(production, "conninfo", None), getattr(sister, "conninfo", None)
    if not isinstance(source, str) or not isinstance(target, str):
        raise StoreError(
            f"{production!r} and {sister!r} cannot {what}.",
            remedy="Two PostgresStores with a conninfo can; the sister of a cache or stream fills as it is used.",
            store=repr(sister),
        )
    with (
        contextlib.closing(_connect(source, "production")) as ours,
        contextlib.closing(_connect(target, "sister")) as theirs,
    ):
        ours.read_only = True
        yield ours, theirs


def _connect(conninfo: str, which: str) -> psycopg.Connection[Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        given: dict[str, Any] = conninfo_to_dict(conninfo)
        return psycopg.connect(make_conninfo(**{"connect_timeout": _PATIENCE} | given))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(
            f"No connection could be made to {which}.",
            remedy="Check that the server runs and that its conninfo is right.",
            store=which,
        ) from error
