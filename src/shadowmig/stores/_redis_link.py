"""Where a Redis store's commands go: one server, the primary that a sentinel knows, or the nodes of a cluster."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import redis

from shadowmig.errors import ConfigError
from shadowmig.stores._redis_lines import HERE, Address, Lines
from shadowmig.stores._redis_slots import Slots
from shadowmig.stores._redis_steps import Command, Gate, run


class Place:
    """
    How connections are made: read from a URL, or from a client of the driver. Connects to nothing.

    Args:
        given: A URL, or a client.
        what: The name of the option it was given as.

    Attributes:
        name: The place, for people; without a password.
        database: The number of the database; 0 in a cluster.
        pool: A pool whose connections are the model of ours.
        nodes: The nodes of a cluster that are known; empty for a single server.
        remap: How the cluster client turns addresses told by nodes into ones that can be reached.

    Raises:
        ConfigError: It is neither.
    """

    def __init__(self, given: Any, what: str) -> None:
        self.nodes: list[Address] = []
        self.remap: Any = None
        self.pool = self._pool(given, what)
        options = self.pool.connection_kwargs
        self.database = int(options.get("db") or 0)
        service = getattr(self.pool, "service_name", None)
        if self.nodes:
            self.name = f"the Redis cluster with {self.nodes[0][0]}:{self.nodes[0][1]}"
        elif service is not None:
            self.name = f"Redis {service} (by sentinel), database {self.database}"
        elif "path" in options:
            self.name = f"Redis at {options['path']}, database {self.database}"
        else:
            host, port = options.get("host", "localhost"), options.get("port", 6379)
            self.name = f"Redis at {host}:{port}, database {self.database}"

    def _pool(self, given: Any, what: str) -> redis.ConnectionPool:
        if isinstance(given, str):
            try:
                return redis.ConnectionPool.from_url(given)
            except (ValueError, TypeError):
                # Nothing of what was given is shown, nor the driver's text: a password may be part of it.
                raise ConfigError(
                    f"{what} is not understood.", remedy="Use redis://host:port/database.", field=what
                ) from None
        if inspect.iscoroutinefunction(getattr(given, "execute_command", None)):
            raise ConfigError(
                f"{what} is a client for asyncio.", remedy="Give one for threads, or url=.", field=what, value=given
            )
        pool = getattr(given, "connection_pool", None)
        if callable(getattr(given, "get_nodes", None)):
            nodes = given.get_nodes()
            self.nodes = [(node.host, node.port) for node in nodes]
            self.remap = getattr(given.nodes_manager, "address_remap", None)
            pool = next((node.redis_connection.connection_pool for node in nodes if node.redis_connection), None)
        if not isinstance(pool, redis.ConnectionPool):
            raise ConfigError(
                f"{what} is {type(given).__name__}.",
                remedy="Give a URL, or a client of redis-py: redis.Redis or redis.cluster.RedisCluster.",
                field=what,
                value=given,
            )
        return pool


class Link:
    """
    The connections of one process to a place.

    Args:
        place: Where they lead.
        timeout: Seconds for one call, unless it has less.
        connections: How many there are at most to each server.
        gate: What commands pass.
    """

    def __init__(self, place: Place, *, timeout: float, connections: int, gate: Gate) -> None:
        self._lines = Lines(place.pool, timeout=timeout, connections=connections, gate=gate)
        self._slots = Slots(place.nodes, place.remap) if place.nodes else None

    @property
    def spread(self) -> bool:
        """Whether this is a cluster, where commands on different keys cannot be one transaction."""
        return self._slots is not None

    def exchange(self, commands: list[Command], end: float) -> list[Any]:
        """Make one round trip, to each node that is concerned; see `Lines.exchange`."""
        slots = self._slots
        if slots is None:
            return self._lines.exchange({HERE: commands}, end)[HERE]
        try:
            return run(slots.follow(commands), lambda placed: self._lines.exchange(placed, end))
        except Exception:
            slots.forget()
            raise

    def primaries(self, end: float) -> Sequence[str]:
        """Ask a cluster for the ids of its primaries."""
        assert self._slots is not None
        run(self._slots.learn(), lambda placed: self._lines.exchange(placed, end))
        return sorted(self._slots.primaries.values())

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()
