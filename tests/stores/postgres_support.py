"""What the tests of `PostgresStore` share: databases with tables, refs, and a proxy that can count, hold and cut."""

import contextlib
import select
import socket
import threading
import uuid
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from shadowmig.model import Ref


def row(table, *key):
    """Make a ref."""
    return Ref("", "row", table, key)


def run(url, *statements):
    """Run statements, each by itself, and give the rows of the last one, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


@contextlib.contextmanager
def database(url, options=""):
    """Create one more database on the same server, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    run(url, sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name)))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        run(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Pool:
    """The least that a pool has: one connection, given out in a context manager."""

    def __init__(self, url, **options):
        self.given = psycopg.connect(url, **options)
        self.closed = 0

    @contextlib.contextmanager
    def connection(self):
        yield self.given

    def close(self):
        self.closed += 1
        self.given.close()


class Proxy:
    """A port in front of a server: it counts round trips, and can hold back what passes, or cut connections."""

    def __init__(self, url):
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
        self.port = port
        self.trips = 0
        self.accepted = 0
        self.held = False
        self._pairs = []
        self._stop = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._waker.send(b"x")
        self._thread.join(10)
        self.cut()
        for each in (self._listener, self._wake, self._waker):
            each.close()

    def cut(self):
        """Close all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair[:2]:
                each.close()

    def _run(self):
        while not self._stop.is_set():
            pairs = list(self._pairs)
            sockets = [] if self.held else [each for pair in pairs for each in pair[:2] if each.fileno() >= 0]
            with contextlib.suppress(OSError, ValueError):  # cut meanwhile
                for ready in select.select([self._listener, self._wake, *sockets], [], [], 0.02)[0]:
                    if ready is self._listener:
                        self._accept()
                    elif ready is not self._wake and not self.held:
                        self._pass(next(pair for pair in pairs if ready in pair[:2]), ready)

    def _accept(self):
        client, _ = self._listener.accept()
        self.accepted += 1
        self._pairs.append([client, socket.create_connection(self._target), None])

    def _pass(self, pair, source):
        client, server, last = pair
        data = source.recv(1 << 16)
        if not data:
            client.close()
            server.close()
            if pair in self._pairs:
                self._pairs.remove(pair)
            return
        if source is client and last is not client:
            self.trips += 1
        pair[2] = source
        (server if source is client else client).sendall(data)
