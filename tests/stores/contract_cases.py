"""What the runs of the store contract share: a codec, values that nest, and a way to a server that can be cut."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from typing import Any, Self

from shadowmig.model import Ref


class Json:
    """A codec as a service may have it, with flags of its own."""

    def encode(self, value: Any) -> tuple[bytes, int]:
        return json.dumps(value).encode(), 4

    def decode(self, data: bytes, flags: int) -> Any:
        return json.loads(data)


def comment(number: int, **more: Any) -> dict[str, Any]:
    """Make a value that has parts of several kinds, and a version."""
    return {"body": f"text {number}", "tags": ["a", {"n": number}], "none": None, "version": number, **more}


def version_of(value: dict[str, Any]) -> Any:
    """Take the version out of a comment."""
    return value["version"]


def key_refs(count: int, prefix: str = "") -> list[Ref]:
    """Make refs of keys."""
    return [Ref("", "key", "", (f"{prefix}comment:{number}",)) for number in range(count)]


class Cut:
    """
    A TCP way to a server, for stores that connect to `port`, that can be cut and mended.

    ``cut(silent=True)`` keeps connections open and takes new ones, and passes nothing on: a half-open network.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._silent = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self.port = 0
        self._listener: socket.socket | None = None
        self.mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        """Let everything pass again."""
        self.cut()
        self._silent = False
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self, *, silent: bool = False) -> None:
        """Cut the way."""
        if silent:
            self._silent = True
            return
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.append((near, far))
            threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as both, contextlib.suppress(OSError):
            both.register(near, selectors.EVENT_READ, far)
            both.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in both.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]  # only sockets were registered
                    if not data:
                        return
                    if not self._silent:
                        key.data.sendall(data)
