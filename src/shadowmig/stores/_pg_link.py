"""
How a `PostgresStore` reaches its server: a few connections of its own, or the pool of the service.

Danger: a session of the service's pool is not ours. What is changed there is undone by the end of the transaction, and
no statement is left prepared on it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from attrs import define, field
from psycopg import waiting
from psycopg.pq import TransactionStatus

from shadowmig.errors import ProductionRefused, StoreError
from shadowmig.stores._pg_errors import outage, refusal
from shadowmig.stores._pg_session import READ_ONLY, SNAPSHOT, WRITE, borrowed, conninfo
from shadowmig.stores._pg_wire import Broken, Command, Late, Line, Refused, Unreached, connect, exchange, hung_up
from shadowmig.stores.parted import Parted, whole

if TYPE_CHECKING:
    import asyncio

    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGresult
    from psycopg.waiting import Wait


T = TypeVar("T")


@define(eq=False)
class _State:
    """What belongs to one process; ``room`` has an element for each connection that may still be taken."""

    room: SimpleQueue[None]
    pid: int = field(factory=os.getpid)
    idle: list[Line] = field(factory=list)
    rooms: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(factory=dict)


class Link:
    """
    Run commands within a deadline. Connects at first use; a forked child makes connections of its own.

    Args:
        parameters: The conninfo, taken apart; not used if there is a pool.
        pool: An object whose ``connection()`` gives a context manager around a psycopg connection.
        name: How the store calls itself in messages.
        timeout: Seconds for one call.
        connections: Most connections at a time for threads, and for each event loop.
    """

    def __init__(
        self, parameters: Mapping[str, Any], pool: Any, *, name: str, timeout: float, connections: int
    ) -> None:
        self._parameters = parameters
        self._pool = pool
        self._name = name
        self._timeout = timeout
        self._connections = connections
        self._generation = 0
        self._state = self._new_state()
        self.forbidden = False
        self._bounded = pool is not None and "timeout" in _parameters_of(pool.connection)

    def _new_state(self) -> _State:
        room: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._connections):
            room.put(None)
        return _State(room)

    def _mine(self) -> _State:
        # The parent's connections are let go, not closed: libpq's object closes nothing in another process.
        if self._state.pid != os.getpid():
            self._state = self._new_state()
        return self._state

    def close(self) -> None:
        """Close our connections, those in use when they come back."""
        self._generation += 1
        idle = self._mine().idle
        while idle:
            idle.pop().pgconn.finish()

    def forbid(self) -> None:
        """Open connections read-only from now on, and close those there are."""
        self.forbidden = True
        self.close()

    def refuse_if_forbidden(self) -> None:
        """
        Let pass unless there was a `forbid`.

        Raises:
            ProductionRefused: There was one.
        """
        if self.forbidden:
            raise ProductionRefused(
                f"{self._name} is production: shadowmig writes nothing to it.",
                remedy="Write to the sister.",
                store=self._name,
            )

    def run(
        self, commands: Sequence[Command], *, write: bool = False, joint: bool = False, timeout: float | None = None
    ) -> list[PGresult]:
        """
        Run commands in one round trip.

        Args:
            commands: What to run.
            write: Whether they write; then all or none of them take effect. What only reads is tried once more on a
                new connection if the old one is found broken.
            joint: Whether reads must see the same moment.
            timeout: Seconds for this call, if shorter than those of the store.

        Raises:
            StoreUnavailable: The server cannot be reached, or did not answer in time.
            StoreError: It refused.
            ProductionRefused: Something is to be written after `forbid`.
        """
        return whole(self.running(commands, write=write, joint=joint, timeout=timeout))

    def running(
        self, commands: Sequence[Command], *, write: bool = False, joint: bool = False, timeout: float | None = None
    ) -> Parted[list[PGresult]]:
        """Do what `run` does, in parts."""
        with self._told(timeout, write=write) as (deadline, interval):
            for fresh in (write, True):
                try:
                    with self._line(deadline, interval, fresh=fresh and not write, live=write) as line:
                        talk = exchange(line, commands, self._begin(write=write, joint=joint), deadline)
                        wants = next(talk)
                        yield None
                        return waiting.wait(_going_on(talk, wants), line.pgconn.socket, interval)
                except Broken:
                    if fresh:
                        raise
        raise AssertionError("the second try returns or raises")

    async def arun(
        self, commands: Sequence[Command], *, joint: bool = False, timeout: float | None = None
    ) -> list[PGresult]:
        """Do what `run` does for reads, on the running event loop; with the service's pool, in a thread."""
        import asyncio

        if self._pool is not None:
            return await asyncio.to_thread(self.run, commands, joint=joint, timeout=timeout)
        with self._told(timeout) as (deadline, interval):
            for fresh in (False, True):
                try:
                    async with self._aline(deadline, interval, fresh=fresh) as line:
                        talk = exchange(line, commands, self._begin(write=False, joint=joint), deadline)
                        return await waiting.wait_async(talk, line.pgconn.socket, interval)
                except Broken:
                    if fresh:
                        raise
        raise AssertionError("the second try returns or raises")

    def _told(self, timeout: float | None, *, write: bool = False) -> _Told:
        if write:
            self.refuse_if_forbidden()
        return _Told(self._name, self._timeout if timeout is None else min(timeout, self._timeout), write)

    def _begin(self, *, write: bool, joint: bool) -> Sequence[Command]:
        if self._pool is None:
            return (WRITE,) if write else (SNAPSHOT,) if joint else ()
        return WRITE if write else SNAPSHOT, borrowed(self._timeout)

    def _line(self, deadline: float, interval: float, *, fresh: bool, live: bool) -> AbstractContextManager[Line]:
        if self._pool is not None:
            return self._borrowed(deadline)
        state = self._mine()
        try:
            state.room.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            raise Late from None
        try:
            line = self._idle(state, fresh=fresh, live=live) or self._open(deadline, interval)
        except BaseException:
            state.room.put(None)
            raise
        return _Used(self, state, line)

    @asynccontextmanager
    async def _aline(self, deadline: float, interval: float, *, fresh: bool) -> AsyncIterator[Line]:
        import asyncio

        state = self._mine()
        loop = asyncio.get_running_loop()
        if loop not in state.rooms:
            for closed in [each for each in list(state.rooms) if each.is_closed()]:
                state.rooms.pop(closed, None)
            state.rooms[loop] = asyncio.Semaphore(self._connections)
        async with asyncio.timeout(deadline - monotonic()):
            await state.rooms[loop].acquire()
        try:
            line = self._idle(state, fresh=fresh, live=False)
            if line is None:
                # In a thread: libpq may block while it looks up the host's name.
                async with asyncio.timeout(deadline - monotonic()):
                    line = await asyncio.to_thread(self._open, deadline, interval)
            with _Used(self, state, line, in_room=False):
                yield line
        finally:
            state.rooms[loop].release()

    def _idle(self, state: _State, *, fresh: bool, live: bool) -> Line | None:
        """Give the connection last used, if there is one; with ``live``, one on which the server has not hung up."""
        while not fresh:
            try:
                line = state.idle.pop()
            except IndexError:
                return None
            if line.generation == self._generation and not (live and hung_up(line.pgconn)):
                return line
            line.pgconn.finish()
        return None

    def _open(self, deadline: float, interval: float) -> Line:
        generation, forbidden = self._generation, self.forbidden
        where = conninfo(self._parameters, self._timeout, read_only=forbidden)
        pgconn = waiting.wait_conn(connect(where, deadline), interval)
        # A pooler between us and the server may have left our settings out.
        if forbidden and pgconn.server_version >= 140000 and pgconn.parameter_status(READ_ONLY.encode()) != b"on":
            pgconn.finish()
            raise StoreError(
                f"{self._name} did not make the session read-only.",
                remedy="Connect to Postgres itself and not to a pooler, or hand in the service's own pool=.",
                store=self._name,
            )
        return Line(pgconn, {}, generation)

    def put_back(self, state: _State, line: Line) -> None:
        """Keep a connection for later calls, if it is still good for that."""
        if line.generation == self._generation and len(state.idle) < self._connections:
            state.idle.append(line)
        else:
            line.pgconn.finish()

    @contextmanager
    def _borrowed(self, deadline: float) -> Iterator[Line]:
        with ExitStack() as stack:
            try:
                limit = {"timeout": max(0.0, deadline - monotonic())} if self._bounded else {}
                connection = stack.enter_context(self._pool.connection(**limit))
            except (psycopg.Error, OSError) as error:
                raise Unreached from error
            pgconn = getattr(connection, "pgconn", None)
            if pgconn is None or pgconn.transaction_status != TransactionStatus.IDLE:
                what = "is no psycopg 3 connection" if pgconn is None else "is in a transaction or closed"
                raise StoreError(
                    f"What pool= gave {what}.", remedy="Give a psycopg_pool.ConnectionPool.", store=self._name
                )
            try:
                yield Line(pgconn)
            except Refused:
                raise
            except BaseException:
                connection.close()  # nobody knows what it is doing; the pool sees that it is closed
                raise


@define(eq=False)
class _Told:
    """Gives deadline and interval of a call, and tells in our words what goes wrong in it."""

    name: str
    seconds: float
    write: bool

    def __enter__(self) -> tuple[float, float]:
        return monotonic() + self.seconds, max(0.001, min(0.1, self.seconds / 10))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Refused):
            raise refusal(error.error, self.name, error.table, write=self.write) from error.error
        if isinstance(error, Late | Broken | Unreached | TimeoutError):
            raise outage(error, self.name, self.seconds) from (error.__cause__ or error)


@define(eq=False)
class _Used:
    """Puts a connection back after use, unless nobody knows what it is doing, and lets the next one have its room."""

    link: Link
    state: _State
    line: Line
    in_room: bool = True

    def __enter__(self) -> Line:
        return self.line

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is None or isinstance(error, Refused):
                self.link.put_back(self.state, self.line)
            else:
                self.line.pgconn.finish()
        finally:
            if self.in_room:
                self.state.room.put(None)


def _going_on(talk: PQGen[T], wants: Wait) -> PQGen[T]:
    """Give the rest of a talk that has come to what it waits for first."""
    try:
        while True:
            wants = talk.send((yield wants))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic


def _parameters_of(function: Callable[..., object]) -> Mapping[str, object]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
