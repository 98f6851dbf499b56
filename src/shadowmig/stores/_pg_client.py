"""What a `PostgresStore` gives to the service's own code if the service has no pool: ordinary connections, reused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus

from shadowmig.stores._pg_wire import hung_up

_FOREIGN: list[list[psycopg.Connection]] = []
"""Connections of a parent process: kept, for psycopg warns about those that are dropped and not closed."""


class Connections:
    """
    Connections to one database. Safe for threads, and for a forked child, which makes its own.

    ``with connections.connection() as connection:`` gives one, in a transaction from its first statement on: it is
    committed at the end of the block, or rolled back if the block raises. The connection is kept for the next block.

    Args:
        conninfo: Where to connect to; also holds the time to wait for a connection, ``connect_timeout``.
        keep: Most connections kept open; more are made when more are needed at a time.
    """

    def __init__(self, conninfo: str, keep: int) -> None:
        self._conninfo = conninfo
        self._keep = keep
        self._idle: list[psycopg.Connection] = []
        self._pid = os.getpid()
        self._closed = 0

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """
        Give a connection for the time of a block.

        Raises:
            psycopg.Error: Connecting, committing, or rolling back failed.
        """
        closed, connection = self._closed, self._take()
        try:
            yield connection
            if connection.broken or not connection.closed:  # not if the service has closed it
                connection.commit()
        except BaseException:
            self._end(connection, closed)
            raise
        self._end(connection, closed)

    def close(self) -> None:
        """Close the connections that nobody uses; the others close when they come back. More can be made later."""
        self._closed += 1
        idle, self._idle = self._mine(), []
        for connection in idle:
            connection.close()

    def _mine(self) -> list[psycopg.Connection]:
        if self._pid != os.getpid():
            _FOREIGN.append(self._idle)
            self._idle, self._pid = [], os.getpid()
        return self._idle

    def _take(self) -> psycopg.Connection:
        idle = self._mine()
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return psycopg.connect(self._conninfo)
            if not hung_up(connection.pgconn):
                return connection
            connection.close()

    def _end(self, connection: psycopg.Connection, closed: int) -> None:
        try:
            if connection.info.transaction_status != TransactionStatus.IDLE:
                connection.rollback()
            if connection.autocommit:
                connection.autocommit = False
        except psycopg.Error:
            connection.close()
        if connection.closed or closed != self._closed or len(self._mine()) >= self._keep:
            connection.close()
        else:
            self._idle.append(connection)
