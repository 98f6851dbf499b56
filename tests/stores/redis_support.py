"""What the tests of `RedisStore` share: refs, and a TCP proxy that counts round trips and misbehaves when told to."""

import contextlib
import json
import select
import socket
import threading
import time

from shadowmig.model import Ref

QUIET = 0.03
"""Seconds after which a client is taken to have said all."""


def key(name):
    """Make the ref of a key."""
    return Ref("", "key", "", (name,))


def entry(stream, event):
    """Make the ref of an event."""
    return Ref("", "entry", stream, (event,))


def one(store, ref):
    """Read one record."""
    return store.read([ref]).records[0]


class Json:
    """A codec that writes JSON."""

    def encode(self, value):
        return json.dumps(value).encode(), 0

    def decode(self, data, flags):
        return json.loads(data)


@contextlib.contextmanager
def saying(answer):
    """Run a server that says the same to everybody, whatever it is told; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class Proxy:
    """
    Stands between a store and a server.

    Attributes:
        patient: Whether answers are held back until the client says no more. Only then is `trips` sure: a client that
            writes its commands in pieces gets its first answers before it has written all.
        trips: How often the client spoke after the server, summed over connections.
        mode: ``pass``; ``silent`` swallows answers; ``slow`` gives them byte by byte; ``refuse`` hangs up at once.
    """

    def __init__(self, host, port):
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        self._threads = []
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/15"
        self.patient = False
        self.trips = 0
        self.mode = "pass"

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        # A shutdown wakes the thread that waits for a connection; a close would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for each in self._sockets:
            each.close()

    def cut(self, how=socket.SHUT_RDWR):
        """End all connections, or one direction of them."""
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(how)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.mode == "refuse":
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                self._start(self._between, near, far)

    def _between(self, near, far):
        waiting, spoke = b"", False
        with contextlib.suppress(OSError):
            while True:
                readable, _, _ = select.select([near, far], [], [], QUIET if waiting else None)
                if near in readable:
                    data = near.recv(1 << 20)
                    if not data:
                        break
                    self.trips += not spoke
                    spoke = True
                    far.sendall(data)
                elif far in readable:
                    data = far.recv(1 << 20)
                    if not data:
                        break
                    waiting += data
                if waiting and (not readable or not self.patient):
                    self._tell(near, waiting)
                    waiting, spoke = b"", False
        for each in (near, far):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _tell(self, near, data):
        if self.mode == "pass":
            near.sendall(data)
        elif self.mode == "slow":
            for byte in data:
                near.sendall(bytes([byte]))
                time.sleep(0.05)
