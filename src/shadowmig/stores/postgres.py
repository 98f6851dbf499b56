"""
Rows of Postgres: read, compared, and written to the sister.

**When:** the record of your service is in Postgres 14 or later.
**Example:** ``PostgresStore("postgresql://reader@10.0.0.1/app", tables=[Table("comments", key="id")])``
**Units:** ``timeout`` is seconds.
**When it is down:** calls raise `StoreUnavailable` within ``timeout``; a later call connects anew.

Values are what psycopg makes of them, or the server's text where psycopg knows no type (enums, composites, ``money``)
or cannot hold the value (``infinity``). A JSON ``null`` is `JSON_NULL`, unlike NULL; an interval with months is text.

Danger: through a pooler that shares sessions (PgBouncer in transaction mode) give ``pool=`` and no conninfo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.sql import SQL

from shadowmig.errors import ConfigError, StoreError
from shadowmig.given import seconds
from shadowmig.model import Reading, Record, Ref
from shadowmig.stores import _pg_nonce, _pg_options, _roles
from shadowmig.stores._pg_client import Connections
from shadowmig.stores._pg_link import Link
from shadowmig.stores._pg_reading import Reader
from shadowmig.stores._pg_tables import joined, named
from shadowmig.stores._pg_values import JSON_NULL, load
from shadowmig.stores._pg_wire import Command
from shadowmig.stores._pg_writing import Layout
from shadowmig.stores.parted import ANSWERED, Parted, whole
from shadowmig.stores.tables import Table, by_name, version_in

__all__ = ["JSON_NULL", "PostgresStore"]


class PostgresStore:
    """
    The tables of one Postgres database.

    Our own connections are made at first use, are in autocommit, and serve one call at a time. They are never those of
    `client`. With ``pool=``, each call borrows a connection and runs in one transaction, for reads a read-only one.

    Args:
        conninfo: Where the database is, as libpq takes it; an empty text leaves all to ``PGHOST`` and its like.
            Let production's user be one that may only read.
        tables: The tables that are covered: refs lead to them, and what was written besides is looked for in them.
        client: What `client` is to give: a pool, a connection, a factory of sessions. By default the pool, or else
            `Connections` of ours, whose ``with client.connection() as connection:`` commits at the end of the block.
        pool: A pool of psycopg 3 connections to use instead of ``conninfo``: any object whose ``connection()`` gives a
            context manager. Never closed by us.
        timeout: Seconds for each call; the server itself stops a statement a little earlier.
        connections: Most connections at a time: for threads together, and for each event loop.

    Attributes:
        conninfo: As it was given.

    Raises:
        ConfigError: A field is wrong.
    """

    def __init__(
        self,
        conninfo: str | None = None,
        *,
        tables: Iterable[Table],
        client: Any = None,
        pool: Any = None,
        timeout: float | timedelta = 1.0,
        connections: int = 4,
    ) -> None:
        parameters = _pg_options.parameters(conninfo, pool)
        self.conninfo = conninfo
        self._tables = by_name(tables)
        for table in self._tables.values():
            _pg_options.check_names(table)
        if type(connections) is not int or connections < 1:
            raise ConfigError(
                f"connections is {connections!r}.", remedy="Use 1 or more.", field="connections", value=connections
            )
        self._place = f"pool={type(pool).__name__}" if pool is not None else repr(_pg_options.place(parameters))
        self._own = (
            Connections(conninfo, connections) if client is None and pool is None and conninfo is not None else None
        )
        self._client = client if client is not None else pool if pool is not None else self._own
        self._reader = Reader(self._tables)
        self._where = _pg_nonce.schemas(self._tables.values())
        self._layouts: dict[str, Layout] = {}
        self._link = Link(
            parameters, pool, name=repr(self), timeout=seconds(timeout, "timeout"), connections=connections
        )

    @property
    def tables(self) -> Mapping[str, Table]:
        """The covered tables by name."""
        return self._tables

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place})"

    def client(self) -> Any:
        """
        Give what the service's own code works with; see ``client=``.

        Raises:
            ProductionRefused: The checked side asks, and this store is production.
        """
        _roles.check(self)
        return self._client

    def version_of(self, ref: Ref, value: Any) -> Any:
        """Take the version out of a record's value, as an event may tell it; ``None`` if it has none."""
        return version_in(value, self._tables.get(ref.space))

    def is_outage(self, error: type[BaseException]) -> bool:
        """Tell whether an exception of psycopg is about the server: gone, full, too slow, or in somebody's way."""
        return issubclass(error, psycopg.OperationalError | psycopg.InterfaceError)

    def identity(self) -> str:
        """
        Ask the server which database and which schemas this is: equal for a primary and its replica.

        Where the user may not ask for the number that ``initdb`` gave the server, it is the time the server started,
        which a replica does not share.
        """
        try:
            results = self._link.run([_pg_nonce.SYSTEM, _pg_nonce.DATABASE, self._where])
        except StoreError as error:
            if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
            results = self._link.run([_pg_nonce.START, _pg_nonce.DATABASE, self._where])
        system, database, names = map(load, results)
        return f"postgres {system[0][0]} / {database[0][0]} / {', '.join(str(name) for name, _ in names)}"

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """
        Read records in one round trip, all of the same moment.

        The mark is the number of the next transaction. With ``since``, rows written by transactions that began at that
        mark or later are told; those of one that began before it and committed after it are missed, and deleted rows
        leave nothing to be found. For tables with ``footprint=False`` nothing is looked for.

        Args:
            refs: Rows of covered tables.
            since: The mark of an earlier reading.
            timeout: Seconds for this call, if shorter than the store's.

        Raises:
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses, a ref does not fit its table, or a ref leads to several rows without a ``fold=``.
        """
        return whole(self.reading(refs, since=since, timeout=timeout))

    def reading(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Parted[Reading]:
        """Do what `read` does, in parts."""
        plan = self._reader.plan(refs, since)
        results = yield from self._link.running(plan.commands, joint=plan.joint, timeout=timeout)
        yield ANSWERED
        return plan.reading(results)

    async def aread(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Do what `read` does, on the running event loop; with ``pool=``, in a thread."""
        plan = self._reader.plan(refs, since)
        return plan.reading(await self._link.arun(plan.commands, joint=plan.joint, timeout=timeout))

    def select(
        self, statements: Iterable[tuple[str, Sequence[str | None]]], *, table: str = ""
    ) -> list[tuple[list[str], Sequence[tuple[Any, ...]]]]:
        """
        Run statements of one's own, in one round trip and in a read-only transaction that sees one moment.

        Args:
            statements: SQL with ``$1``, ``$2``, each with the values for these as text, as the server writes it.
            table: The table that messages name.

        Returns:
            For each statement the names of its columns, and its rows.

        Raises:
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses.
        """
        commands = [
            # Not kept prepared: a plan that is made without the values may pass over an index.
            Command(text.encode(), tuple([v if v is None else v.encode() for v in values]), table, keep=False)
            for text, values in statements
        ]
        results = self._link.run(commands, joint=True)
        return [
            ([(result.fname(place) or b"").decode() for place in range(result.nfields)], load(result))
            for result in results
        ]

    def write(self, records: Sequence[Record]) -> None:
        """
        Write records as they were read, all or none, in one round trip (one more for the first of each table).

        Triggers and foreign keys are passed over if the user may set ``session_replication_role``.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses, or a value does not fit its table.
        """
        self._link.refuse_if_forbidden()
        names = {self._reader.reads(record.ref).table.name for record in records}
        layouts = self._layouts_of(names)
        try:
            commands = [command for record in records for command in layouts[record.ref.space].write(record)]
            wary = [layout for layout in layouts.values() if layout.triggers]
            if commands:
                self._link.run([*(layout.unchecked() for layout in wary[:1]), *commands], write=True)
        except StoreError:
            self._layouts.clear()  # the schema may have changed
            raise

    def delete(self, refs: Sequence[Ref]) -> None:
        """
        Delete the rows of refs, all or none, in one round trip.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses, or a ref does not fit its table.
        """
        self.write([Record(ref) for ref in refs])

    def reset(self) -> None:
        """
        Empty the covered tables, and those that refer to them, and start their sequences anew.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses.
        """
        self._link.refuse_if_forbidden()
        if self._tables:
            names = joined(", ", [named(table) for table in self._tables.values()])
            text = SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names).as_bytes(None)
            self._link.run([Command(text, keep=False)], write=True)

    def forbid_writes(self) -> None:
        """Make our sessions read-only from now on; those there are, are closed."""
        self._link.forbid()

    def plant(self, nonce: str) -> None:
        """
        Leave a mark in each schema that holds a covered table, in a table ``shadowmig_nonce``; an empty one removes it.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: The server cannot be reached, or does not answer in time.
            StoreError: It refuses.
        """
        self._link.refuse_if_forbidden()
        schemas = [schema for schema, _ in self._schemas()]
        plant = [_pg_nonce.plant(schema, nonce.encode()) if nonce else _pg_nonce.uproot(schema) for schema in schemas]
        self._link.run([command for commands in plant for command in commands], write=True)

    def finds(self, nonce: str) -> bool:
        """Tell whether one of those schemas has the mark."""
        asked = [_pg_nonce.find(schema, nonce.encode()) for schema, marked in self._schemas() if marked]
        try:
            return any(load(result)[0][0] for result in self._link.run(asked)) if asked else False
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):  # removed just now
                return False
            raise

    def close(self) -> None:
        """Close the connections made by this object. May be called twice; a later call makes new ones."""
        self._link.close()
        if self._own is not None:
            self._own.close()

    async def aclose(self) -> None:
        """Do what `close` does, which waits for nothing."""
        self.close()

    def _layouts_of(self, names: Collection[str]) -> Mapping[str, Layout]:
        unknown = [self._tables[name] for name in names if name not in self._layouts]
        if unknown:
            results = self._link.run([Layout.ask(table) for table in unknown])
            self._layouts |= {t.name: Layout.of(t, result) for t, result in zip(unknown, results, strict=True)}
        return {name: self._layouts[name] for name in names}

    def _schemas(self) -> Sequence[tuple[str, bool]]:
        found = [(schema, marked) for schema, marked in load(self._link.run([self._where])[0]) if schema is not None]
        if not found:
            raise StoreError(
                f"{self!r} has no current schema.", remedy="Create the one that search_path names.", store=repr(self)
            )
        return found
