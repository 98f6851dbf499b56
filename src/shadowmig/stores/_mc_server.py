"""One Memcached server: its address and its idle connections."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from shadowmig.errors import ConfigError
from shadowmig.stores._mc_meta import knows_meta
from shadowmig.stores._mc_socket import Address, Connection

_HOST: Final = re.compile(r"(?P<host>[^\s:@/\[\]\0]+|\[[0-9A-Fa-f:.%]+\])(:(?P<port>[0-9]{1,5}))?")
_PORT: Final = 11211


class Server:
    """
    One server and its idle connections, the last used first. Safe for threads and forks: no lock is ever held.

    Args:
        address: Where it is.
        name: How a hasher and people call it.
        keep: How many idle connections are kept.
        meta: Whether meta commands may be used if it has them.

    Attributes:
        meta_allowed: The same, as far as it has shown until now.
    """

    def __init__(self, address: Address, name: str, keep: int, *, meta: bool) -> None:
        self.address = address
        self.name = name
        self.meta_allowed = meta
        self._keep = keep
        self._pid = os.getpid()
        self._idle: deque[Connection] = deque()

    def take(self, deadline: float) -> Connection:
        """Give an idle connection that the server has not closed, or a new one."""
        self._follow_fork()
        while (idle := self._next(self._idle.pop)) is not None:
            if idle.is_quiet():
                idle.meta = idle.meta and self.meta_allowed
                return idle
            idle.close()
        connection = Connection(self.address, deadline)
        try:
            connection.meta = knows_meta(connection, deadline) and self.meta_allowed
        except BaseException:
            connection.close()
            raise
        return connection

    def put_back(self, connection: Connection) -> None:
        """Keep a connection for later calls, if there is room."""
        self._follow_fork()
        connection.used = True
        self._idle.append(connection)
        if len(self._idle) > self._keep and (oldest := self._next(self._idle.popleft)) is not None:
            oldest.close()

    def close(self, *, for_good: bool = False) -> None:
        """Close the idle connections; ``for_good``: and keep none from now on."""
        if for_good:
            self._keep = 0
        self._follow_fork()
        while (idle := self._next(self._idle.pop)) is not None:
            idle.close()

    @staticmethod
    def _next(take: Callable[[], Connection]) -> Connection | None:
        """Take one if there is one: whether there is, another thread may change at any moment."""
        try:
            return take()
        except IndexError:
            return None

    def _follow_fork(self) -> None:
        if self._pid != os.getpid():
            parents, self._idle, self._pid = self._idle, deque(), os.getpid()
            for connection in parents:
                connection.close()  # only our copy: the parent goes on using it


def addresses(given: str | Sequence[str]) -> dict[str, Address]:
    """
    Give the address of each server by its name, which is that of pymemcache's `HashClient`: it spreads keys by names.

    Args:
        given: ``"host:port"``, the path of a unix socket, or several of them.

    Raises:
        ConfigError: One is not understood, one is there twice, or there is none.
    """
    listed = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    found = dict(_parse(one) for one in listed)
    if not found or len(found) < len(listed):
        raise ConfigError(
            "servers names one server twice." if found else "servers is empty.",
            remedy='Give "host:port" of each server once.',
            field="servers",
            value=given,
        )
    return found


def _parse(given: object) -> tuple[str, Address]:
    if isinstance(given, str):
        path = given.removeprefix("unix:")
        if path.startswith("/") and "\0" not in path:
            return path, path
        found = _HOST.fullmatch(given)
        if found:
            host, port = found["host"].strip("[]"), int(found["port"] or _PORT)
            if 0 < port < 65536:
                return f"{host}:{port}", (host, port)
    raise ConfigError(
        "servers holds something that is no address.",  # not shown: it may be a URL with a password
        remedy='Use "host:port", or the path of a unix socket.',
        field="servers",
    )
