"""
Connections to Redis servers, in threads: few, lazy, ours alone, and none that waits past the deadline of its call.

They are made as a given client makes its own (same class, address, password, certificates) but are not taken from its
pool: a comparison must not use up the connections that the service needs, nor wait by the service's retry settings.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from redis import ConnectionPool
from redis import exceptions as driver
from redis.backoff import NoBackoff
from redis.retry import Retry

from shadowmig.errors import StoreUnavailable
from shadowmig.stores._redis_steps import Command, Gate

Address: TypeAlias = tuple[str, int]
"""Host and port of a node of a cluster, or `HERE`."""

HERE: Final[Address] = ("", 0)
"""The only server there is."""

Placed: TypeAlias = Mapping[Address, Sequence[Command]]
"""Commands by the server that they go to."""

REFUSED: Final = (driver.AuthenticationError, driver.AuthorizationError)
"""Kinds of the driver's `ConnectionError` that connecting anew does not help against."""

_FOREIGN = ("maint", "orig_", "oss_", "event_dispatcher", "himport", "retry")
"""Beginnings of the options by which a pool of the driver ties connections to itself, or makes them wait."""


def settings(options: Mapping[str, Any], *, timeout: float | None, retry: Any) -> dict[str, Any]:
    """Take a client's options for connections and make them suit us: bytes, the older protocol, no waiting."""
    return {name: value for name, value in options.items() if not name.startswith(_FOREIGN)} | {
        "decode_responses": False,
        "health_check_interval": 0,
        "protocol": 2,
        "retry": retry,
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
    }


class _Bounded:
    """What is added to a connection class of the driver: each of its waits ends at `end` on the monotonic clock."""

    end = 0.0

    @property
    def left(self) -> float:
        """Seconds left, never none: the driver takes a zero for "do not block"."""
        return max(self.end - time.monotonic(), 0.001)

    @property
    def socket_connect_timeout(self) -> float:
        """Asked by the driver for each address that it tries."""
        return self.left

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: object) -> None:
        pass

    def _connect(self) -> _Socket:
        return _Socket(super()._connect(), self)  # type: ignore[misc]  # the driver's class comes second


class _Socket:
    """A socket whose every wait ends with the call, however many small pieces an answer comes in."""

    def __init__(self, wrapped: socket.socket, connection: _Bounded) -> None:
        self._wrapped = wrapped
        self._connection = connection
        self._limit: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def settimeout(self, value: float | None) -> None:
        """Remember what the driver wants; it counts only where it is shorter."""
        self._limit = value

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._bound()
        return self._wrapped.recv(size, flags) if flags else self._wrapped.recv(size)

    def recv_into(self, buffer: Any) -> int:
        self._bound()
        return self._wrapped.recv_into(buffer)

    def sendall(self, data: Any) -> None:
        self._bound()
        self._wrapped.sendall(data)

    def _bound(self) -> None:
        left = self._connection.end - time.monotonic()
        if self._limit is not None and self._limit < left:
            left = self._limit
        elif left <= 0:
            raise TimeoutError("the call's time is over")
        self._wrapped.settimeout(left)


class Room:
    """
    A number of places that threads take turns in. Unlike a semaphore it is fair: who waited longest is next, so that
    busy threads cannot keep another one out until its call is over.
    """

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Lock] = deque()

    def enter(self, timeout: float) -> bool:
        """Take a place, or wait for one for some seconds; whether there was one."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=max(timeout, 0)):
            return True
        with self._lock:
            if turn not in self._waiting:
                return True  # it was given just now
            self._waiting.remove(turn)
            return False

    def leave(self) -> None:
        """Give the place to the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Lines:
    """
    Connections to one server or to the nodes of a cluster. One object serves one process.

    Args:
        pool: A pool of the driver, of which only class and options of its connections are used.
        timeout: Seconds for one call, unless it has less.
        connections: How many there are at most to each server.
        gate: What commands pass.
    """

    def __init__(self, pool: ConnectionPool, *, timeout: float, connections: int, gate: Gate) -> None:
        base = pool.connection_class
        self._make = type(f"Bounded{base.__name__}", (_Bounded, base), {})
        self._options = settings(pool.connection_kwargs, timeout=timeout, retry=Retry(NoBackoff(), 0))
        self._connections = connections
        self._gate = gate
        self._closed = False
        self._places: dict[Address, tuple[list[Any], Room]] = {}

    def exchange(self, batch: Placed, end: float) -> dict[Address, list[Any]]:
        """
        Make one round trip to each server.

        A connection that was closed since its last use is replaced, once.

        Args:
            batch: Commands by server.
            end: When it must be over, on the monotonic clock.

        Returns:
            A reply to each command; an error reply is an exception among them.
        """
        reading = self._gate.check(command for commands in batch.values() for command in commands)
        try:
            return self._trip(batch, end, sure=not reading)
        except driver.ConnectionError as error:
            # What was written may have arrived; only reading may be done twice.
            if not reading or isinstance(error, REFUSED):
                raise
        self._drop_idle(batch)
        return self._trip(batch, end, sure=False)

    def close(self) -> None:
        """Close the connections that are not in use; those in use are closed when they are given back."""
        self._closed = True
        self._drop_idle(list(self._places))

    def _trip(self, batch: Placed, end: float, *, sure: bool) -> dict[Address, list[Any]]:
        held: dict[Address, Any] = {}
        sound = False
        try:
            # Always in one order: two calls that each hold what the other waits for would both time out.
            for address in sorted(batch):
                held[address] = self._take(address, end, sure=sure)
            for address, connection in held.items():
                connection.send_packed_command(connection.pack_commands(batch[address]), check_health=False)
            replies = {address: [_reply(held[address]) for _ in commands] for address, commands in batch.items()}
            sound = True
        finally:
            for address, connection in held.items():
                self._give_back(address, connection, sound=sound)
        return replies

    def _take(self, address: Address, end: float, *, sure: bool) -> Any:
        idle, room = self._places.get(address) or self._new_place(address)
        if not room.enter(end - time.monotonic()):
            raise StoreUnavailable(
                f"All {self._connections} connections to {self._gate.store} are in use.",
                remedy="Raise connections=.",
                store=self._gate.store,
            )
        connection = None
        try:
            with contextlib.suppress(IndexError):
                connection = idle.pop()
            if connection is not None:
                connection.end = end
                if not sure or not _stale(connection):
                    return connection
                connection.disconnect()
            where = {} if address == HERE else {"host": address[0], "port": address[1]}
            connection = self._make(**(self._options | where))
            connection.end = end
            connection.connect()
        except BaseException:
            if connection is not None:
                connection.disconnect()
            room.leave()
            raise
        return connection

    def _give_back(self, address: Address, connection: Any, *, sound: bool) -> None:
        # An answer that was not read to its end would be taken for the next one's.
        idle, room = self._places[address]
        if sound and not self._closed:
            idle.append(connection)
        else:
            connection.disconnect()
        room.leave()

    def _new_place(self, address: Address) -> tuple[list[Any], Room]:
        return self._places.setdefault(address, ([], Room(self._connections)))

    def _drop_idle(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            idle, _ = self._places.get(address) or self._new_place(address)
            with contextlib.suppress(IndexError):
                while True:
                    idle.pop().disconnect()


def _stale(connection: Any) -> bool:
    """Whether the server has closed the connection; then writing to it would be in vain, or worse, in doubt."""
    try:
        return bool(connection.can_read())
    except (driver.RedisError, OSError):
        return True


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except driver.ResponseError as error:
        return error
