"""Servers and a network in which faults can be made, for tests of writes over real stores."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from fix_servers import _started
from shadowmig.testing.servers import Server

FAR = 30.0
"""Seconds after which something that should come is given up."""


@contextmanager
def own(server: Server) -> Iterator[Any]:
    """Run a server of the test's own, even if the environment names another one: it will be harmed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(f"SHADOWMIG_TEST_{server.name.upper()}", raising=False)
        with _started(server) as started:
            yield started


@contextmanager
def database(url: str) -> Iterator[str]:
    """Create one more database on a server, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    run(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        run(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run(url: str, *statements: Any) -> Any:
    """Run statements, each by itself, and give the rows of the last one, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def until(condition: Callable[[], object], seconds: float = FAR) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def kill(server: Server, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a server's process."""
    assert server.folder is not None
    os.kill(int((server.folder / "pid").read_text()), how)


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Have a server's process stand still meanwhile."""
    kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(server, signal.SIGCONT)


# The network ----------------------------------------------------------------------------------------------------------


class _Way:
    """One connection through a proxy."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.ends = (near, far)
        self.dead = False

    def cut(self) -> None:
        for one in self.ends:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Proxy:
    """
    A port before a server's.

    Args:
        port: Of the server on 127.0.0.1.

    Attributes:
        target: Port that new connections lead to; 0 hangs up on them.
        delay: Seconds for which every piece that passes is held back.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.delay = 0.0
        self._silent = False
        self._ways: list[_Way] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread that waits there; a close would not
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def cut(self) -> None:
        """Close all connections."""
        for way in list(self._ways):
            way.cut()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Hang up on everybody."""
        target, self.target = self.target, 0
        self.cut()
        try:
            yield
        finally:
            self.target = target

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Swallow what is sent. In the end connections of this time are reset; later ones work."""
        self._silent = True
        for way in list(self._ways):
            way.dead = True
        try:
            yield
        finally:
            self._silent = False
            for way in [way for way in self._ways if way.dead]:
                way.cut()

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Hold back every piece for so long."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    def _start(self, target: Callable[..., object], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._join, near)

    def _join(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self.target:
                with socket.create_connection(("127.0.0.1", self.target)) as far:
                    way = _Way(near, far)
                    way.dead = self._silent
                    self._ways.append(way)
                    back = threading.Thread(target=self._pass, args=(way, far, near), daemon=True)
                    back.start()
                    self._pass(way, near, far)
                    back.join(5)
                    self._ways.remove(way)

    def _pass(self, way: _Way, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.delay:
                    self._closing.wait(self.delay)
                if not way.dead:
                    target.sendall(data)
        way.cut()


def through(url: str, port: int) -> str:
    """Give an address another port."""
    if "://" not in url:
        return f"127.0.0.1:{port}"
    parts = urlsplit(url)
    account, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{account}{at}127.0.0.1:{port}").geturl()


def port_of(url: str) -> int:
    """Take the port out of an address."""
    return int(urlsplit(url if "://" in url else f"//{url}").port or 0)
