"""Servers for the tests of `MemcachedStore`: one that does what a test says, and a proxy that can be led elsewhere."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fix_servers import _started
from shadowmig.model import Ref
from shadowmig.testing.servers import Memcached

VERSION = b"VERSION 1.6.18\r\n"


def key(name):
    """Give the ref of a key."""
    return Ref("", "key", "", (name,))


@contextlib.contextmanager
def own_server(**settings):
    """Run a server of the test's own, even if the environment names another one: it may be emptied."""
    flags = {f"-{name}": value for name, value in settings.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHADOWMIG_TEST_MEMCACHED", raising=False)
        with _started(Memcached(settings=flags)) as server:
            yield server


class Listener:
    """
    A TCP server that runs `serve` in a thread for each connection.

    Args:
        serve: Called with each connection.
        path: Where to make a unix socket, instead of a port.

    Attributes:
        url: Where it listens.
        connections: How many there have been.
    """

    def __init__(self, serve: Callable[[socket.socket], None], path: Path | None = None) -> None:
        self._serve = serve
        self._socket = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        self._socket.bind(("127.0.0.1", 0) if path is None else str(path))
        self._socket.listen()
        self._address = self._socket.getsockname()
        self.url = "{}:{}".format(*self._address) if path is None else str(path)
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = False

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        # A blocked accept does not notice that its socket is closed; a connection does end it.
        self._closing = True
        with socket.socket(self._socket.family) as last:
            last.connect(self._address)
            self._threads[0].join(5)
        self._socket.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def cut(self):
        """End all connections."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._run, connection)

    def _run(self, connection):
        with connection, contextlib.suppress(OSError):
            self._serve(connection)


class Scripted(Listener):
    """
    A server that answers each line with what `answer` gives for it; with ``None`` it closes the connection.

    Args:
        answer: Called with each line as it came, version requests excepted.
        version: The answer to these.

    Attributes:
        lines: All lines that came.
    """

    def __init__(self, answer, *, version=VERSION):
        super().__init__(self._talk)
        self._answer = answer
        self._version = version
        self.lines = []

    def _talk(self, connection):
        with connection.makefile("rb") as incoming:
            for line in incoming:
                self.lines.append(line)
                reply = self._version if line == b"version\r\n" else self._answer(line)
                if reply is None:
                    return
                connection.sendall(reply)


class Proxy(Listener):
    """
    A proxy, from a port or a path.

    Attributes:
        target: Port on 127.0.0.1 that new connections lead to; 0 ends them at once.
    """

    def __init__(self, target, path=None):
        super().__init__(self._join, path)
        self.target = target

    def _join(self, connection):
        if not self.target:
            return
        with socket.create_connection(("127.0.0.1", self.target)) as upstream:
            self._open.append(upstream)
            back = threading.Thread(target=_pump, args=(upstream, connection), daemon=True)
            back.start()
            _pump(connection, upstream)
            back.join(5)


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
