"""
Connections to one Redis server on event loops: each loop has its own, which end with it.

What is sent and how replies are understood is no concern of this file; see `_redis_steps`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import AsyncGenerator
from typing import Any

from redis import asyncio as aioredis
from redis import exceptions as driver
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shadowmig.stores._redis_lines import REFUSED, settings
from shadowmig.stores._redis_steps import Command, Gate


class _Home:
    """The connections of one event loop. They are closed when the loop ends, because their keeper is."""

    def __init__(self, connections: int) -> None:
        self.idle: list[Any] = []
        self.room = asyncio.Semaphore(connections)
        self.keeper = self._keep()
        self.closed = False

    async def _keep(self) -> AsyncGenerator[None]:
        # An event loop closes the generators that began on it before it ends; nothing else tells us of its end.
        try:
            yield
        finally:
            self.closed = True
            await self.empty()

    async def empty(self) -> None:
        while self.idle:
            with contextlib.suppress(driver.RedisError, OSError):
                await self.idle.pop().disconnect()


class Loops:
    """
    Connections to one server, by event loop.

    Args:
        pool: A pool of the driver, of which only class and options of its connections are used.
        connections: How many there are at most on each loop.
        gate: What commands pass.
    """

    def __init__(self, pool: aioredis.ConnectionPool, *, connections: int, gate: Gate) -> None:
        self._make = pool.connection_class
        self._options = settings(pool.connection_kwargs, timeout=None, retry=Retry(NoBackoff(), 0))
        self._connections = connections
        self._gate = gate
        self._lock = threading.Lock()
        self._homes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Home] = weakref.WeakKeyDictionary()

    async def exchange(self, commands: list[Command], end: float) -> list[Any]:
        """Do what `Lines.exchange` does, with one server."""
        reading = self._gate.check(commands)
        home = await self._home()
        async with asyncio.timeout(max(end - time.monotonic(), 0)):
            try:
                return await self._trip(home, commands)
            except driver.ConnectionError as error:
                if not reading or isinstance(error, REFUSED):
                    raise
            await home.empty()
            return await self._trip(home, commands)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        with self._lock:
            home = self._homes.pop(asyncio.get_running_loop(), None)
        if home is not None:
            await home.keeper.aclose()

    def close(self) -> None:
        """Have every loop that still runs close its connections."""
        with self._lock:
            homes, self._homes = list(self._homes.items()), weakref.WeakKeyDictionary()
        for loop, home in homes:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(home.keeper.aclose(), loop)

    async def _home(self) -> _Home:
        loop = asyncio.get_running_loop()
        with self._lock:
            home = self._homes.get(loop)
            new = home is None
            if home is None:
                home = self._homes[loop] = _Home(self._connections)
        if new:
            await anext(home.keeper)
        return home

    async def _trip(self, home: _Home, commands: list[Command]) -> list[Any]:
        async with home.room:
            connection = home.idle.pop() if home.idle else self._make(**self._options)
            sound = False
            try:
                await connection.connect()
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                replies = [await _reply(connection) for _ in commands]
                sound = True
            finally:
                if sound and not home.closed:
                    home.idle.append(connection)
                else:
                    await connection.disconnect(nowait=True)
        return replies


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except driver.ResponseError as error:
        return error
