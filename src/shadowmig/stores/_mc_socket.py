"""
One connection to a Memcached server: bytes out, lines and blocks in, every wait within one deadline.

Sending and receiving go on at once, so that a server which stops reading until its replies are taken is no deadlock.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""

_LONGEST_LINE: Final = 2048
_LARGEST_BLOCK: Final = 1 << 30  # no server can be told to take larger items
_CHUNK: Final = 4096, 256 * 1024


class Garbled(Exception):
    """What came is no reply to what was asked."""


class Connection:
    """
    A connected socket and what was read ahead from it. For one thread at a time.

    Args:
        address: Where to connect.
        deadline: Until when, on the monotonic clock in seconds.

    Attributes:
        meta: Whether the server knows the meta commands.
        used: Whether it has served a call before, so that the server may have closed it meanwhile.
        tag: The number of the last tagged request, so that no reply is taken for another one's.

    Raises:
        OSError: It cannot be reached, or not in time.
    """

    __slots__ = ("_at", "_buffer", "_deadline", "_late", "_out", "_poll", "_socket", "meta", "tag", "used")

    def __init__(self, address: Address, deadline: float) -> None:
        self._socket = _dial(address, deadline)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._deadline = deadline
        self._late = False
        self._buffer = bytearray()
        self._at = 0
        self._out = memoryview(b"")
        self.meta = False
        self.used = False
        self.tag = 0

    def close(self) -> None:
        """Close it; may be called twice."""
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether nothing waits to be sent or read: neither the rest of another reply, nor the server's farewell."""
        return not self._out and self._at == len(self._buffer) and not self._poll.poll(0)

    def send(self, data: bytes, deadline: float) -> None:
        """Begin to send; what the server does not take at once goes out while replies are awaited."""
        self._deadline = deadline
        self._late = False
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._out = memoryview(data)[sent:]
            self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)

    def line(self) -> bytes:
        """Take the next line, without its end."""
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            if len(self._buffer) - self._at > _LONGEST_LINE:
                raise Garbled
            self._receive(0)
        line = bytes(self._buffer[self._at : end])
        if len(line) > _LONGEST_LINE:
            raise Garbled
        self._at = end + 2
        return line

    def block(self, size: int) -> bytes:
        """Take a block of so many bytes, whatever they are, and the end of line behind it."""
        if size > _LARGEST_BLOCK:
            raise Garbled
        while (lacking := self._at + size + 2 - len(self._buffer)) > 0:
            self._receive(lacking)
        end = self._at + size
        if self._buffer[end : end + 2] != b"\r\n":
            raise Garbled
        with memoryview(self._buffer) as view:
            block = bytes(view[self._at : end])
        self._at = end + 2
        return block

    def _receive(self, lacking: int) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        for _, event in self._poll.poll(self._wait()):
            try:
                if event & select.POLLOUT:
                    self._out = self._out[self._socket.send(self._out) :]
                    if not self._out:
                        self._poll.modify(self._socket, select.POLLIN)
                if event & ~select.POLLOUT:
                    size = _CHUNK[1] if self._late else min(max(lacking, _CHUNK[0]), _CHUNK[1])
                    data = self._socket.recv(size)
                    if not data:
                        raise ConnectionResetError("it closed the connection")
                    self._buffer += data
            except BlockingIOError:  # poll may promise too much; it is asked again
                return

    def _wait(self) -> float:
        """
        Give the milliseconds left. When there are none, what has come meanwhile is taken, once.

        The server is not to blame if whoever asked it was busy with something else since, such as another store.
        """
        left = self._deadline - time.monotonic()
        if left > 0:
            return left * 1000
        if self._late:
            raise TimeoutError
        self._late = True
        return 0


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _dial(address: Address, deadline: float) -> socket.socket:
    if isinstance(address, str):
        return _connect(socket.AF_UNIX, address, deadline)
    problem: OSError = ConnectionRefusedError("it has no address")
    for family, _, _, _, target in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        try:
            return _connect(family, target, deadline)
        except OSError as error:
            problem = error
    raise problem


def _connect(family: int, target: object, deadline: float) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.settimeout(_left(deadline))
        one.connect(target)  # type: ignore[arg-type]  # getaddrinfo gave what this family takes
        if family != socket.AF_UNIX:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)  # noqa: FBT003  # the standard library takes it by position
    except BaseException:
        one.close()
        raise
    return one
