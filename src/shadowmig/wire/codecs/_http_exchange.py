"""One connection to a server that is asked by HTTP: opened late, kept, and bounded in time and in what it takes."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from shadowmig.errors import CodecUnavailable
from shadowmig.wire.tagged._protocol import Op, answers, broke, printable, request

_CHUNK: Final = 256 * 1024
_HEAD: Final = 1024 * 1024

_ANY_ITEM: Final = frozenset({401, 403, 404, 405, 407})
"""Statuses that say the same whatever was asked."""


@define(eq=False)
class Connection:
    """
    A kept connection.

    Args:
        host: Where the server is; ``shown`` names it for people.
        port: Its port.
        path: Path and query of the URL.
        headers: What is sent with each request.
        context: For https, or ``None``.
        timeout: Seconds for one request, connecting included; only resolving the name has its own limits.
        max_reply: The most bytes of a reply.
        flags: Flags of encoded items where the server gives none.
    """

    host: str = field(kw_only=True)
    port: int = field(kw_only=True)
    shown: str = field(kw_only=True)
    path: str = field(kw_only=True)
    headers: Mapping[str, str] = field(kw_only=True, repr=False)
    context: ssl.SSLContext | None = field(kw_only=True)
    timeout: float = field(kw_only=True)
    max_reply: int = field(kw_only=True)
    flags: int = field(kw_only=True)
    _open: _Timed | None = field(init=False, default=None)
    _number: int = field(init=False, default=0)

    def ask(self, op: Op, items: Sequence[bytes]) -> list[Any]:
        """
        Ask, and give one result for each item.

        Raises:
            CodecUnavailable: The server was not reached, did not answer in time, or broke the protocol.
        """
        self._number += 1
        try:
            reply = self._post(request(self._number, op, items), time.monotonic() + self.timeout)
            return answers(reply, self._number, op, len(items), flags=self.flags)
        except CodecUnavailable as error:
            self.close()
            raise CodecUnavailable(f"{self.shown}: {error.message}", reason=error.reason) from error.__cause__
        except BaseException:  # Interrupted: what comes next would be no answer to the next question.
            self.close()
            raise

    def _post(self, body: bytes, deadline: float) -> bytearray:
        if self._open is not None:
            try:
                return self._exchange(self._open, body, deadline)
            except _Stale:
                self.close()  # The server closes what is kept too long, at any moment.
        self._open = self._connect(deadline)
        try:
            return self._exchange(self._open, body, deadline)
        except _Stale:
            raise CodecUnavailable("It closed the connection without an answer.", reason="died") from None

    def _connect(self, deadline: float) -> _Timed:
        made = _Timed(self.host, self.port)
        try:
            made.open(deadline, self.context)
        except TimeoutError:
            made.close()
            raise CodecUnavailable(f"It was not reached within {self.timeout:g} s.", reason="not started") from None
        except (OSError, ValueError) as error:  # A name that cannot be one is a ValueError.
            made.close()
            raise CodecUnavailable(
                f"It was not reached: {type(error).__name__}: {printable(str(error), 200)}.",
                reason="not started",
            ) from error
        return made

    def _exchange(self, kept: _Timed, body: bytes, deadline: float) -> bytearray:
        kept.deadline, kept.room = deadline, 2 * self.max_reply + _HEAD
        try:
            kept.request("POST", self.path, body, dict(self.headers))
            response = kept.getresponse()
        except TimeoutError:
            raise self._late() from None
        except _TooMuch:
            raise self._too_long() from None
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError) as error:
            raise _Stale from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            # Not chained: it shows what was received.
            raise broke(f"its reply is no HTTP ({type(error).__name__})") from None
        with response:
            return self._body(kept, response)

    def _body(self, kept: _Timed, response: http.client.HTTPResponse) -> bytearray:
        if response.status != 200:
            what = " Redirects are not followed." if 300 <= response.status < 400 else ""
            raise CodecUnavailable(
                f"Its status was {response.status} {printable(response.reason, 60)}.{what}",
                reason="not allowed" if what or response.status in _ANY_ITEM else "status",
            )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise broke("its reply is compressed")
        body = bytearray()
        while part := self._part(response):
            body += part
            if len(body) > self.max_reply:
                raise self._too_long()
        if response.length:
            raise broke("its reply is cut")
        if response.will_close:
            kept.close()
            self._open = None
        return body

    def _part(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read(_CHUNK)
        except TimeoutError:
            raise self._late() from None
        except _TooMuch:
            raise self._too_long() from None
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise broke(f"its reply is cut ({type(error).__name__})") from None

    def _late(self) -> CodecUnavailable:
        return CodecUnavailable(f"It did not answer within {self.timeout:g} s.", reason="hung")

    def _too_long(self) -> CodecUnavailable:
        return broke(f"its reply is longer than {self.max_reply} bytes")

    def close(self) -> None:
        """Close it; the next question opens another one."""
        kept, self._open = self._open, None
        if kept is not None:
            kept.close()

    def abandon(self) -> None:
        """Forget it, in a forked child, whose copy of the socket may go without the server being told."""
        kept, self._open = self._open, None
        if kept is not None and isinstance(kept.sock, _Waiting):
            kept.sock.abandon()


class _Stale(Exception):
    """The connection ended before any answer."""


class _TooMuch(OSError):
    """The other side has sent more than anybody needs for a reply."""


class _Timed(http.client.HTTPConnection):
    """
    A connection whose every wait ends at one deadline, however slowly the other side drips, and which takes no more
    bytes than it has room for, whatever sizes the other side tells: http.client believes them.
    """

    auto_open = 0
    deadline = 0.0
    room = 0

    def open(self, deadline: float, context: ssl.SSLContext | None) -> None:
        """
        Connect.

        Raises:
            OSError: It was not possible, or not in time.
        """
        self.deadline = deadline
        last: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(left(deadline))
                made.connect(address)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made = context.wrap_socket(made, server_hostname=self.host) if context else made
            except OSError as error:
                made.close()
                last = error
                continue
            self.sock = _Waiting(self, made)
            return
        raise last


class _Waiting:
    """The part of a socket that http.client uses, with the deadline of its connection."""

    def __init__(self, owner: _Timed, made: socket.socket) -> None:
        self._owner, self._made = owner, made

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self, self._made.makefile("rb", buffering=0)))

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self.wait()
            rest = rest[self._made.send(rest[:_CHUNK]) :]

    def wait(self) -> None:
        self._made.settimeout(left(self._owner.deadline))

    def count(self, size: int) -> None:
        self._owner.room -= size
        if self._owner.room < 0:
            raise _TooMuch

    def close(self) -> None:
        self._made.close()

    def abandon(self) -> None:
        # Not by closing what is read through: whoever was reading there has its lock, and is not in this process.
        with contextlib.suppress(OSError):
            os.close(self._made.detach())


class _Reading(io.RawIOBase):
    """What a reply is read through; as long as it is open, so is the socket."""

    def __init__(self, waiting: _Waiting, raw: io.RawIOBase) -> None:
        self._waiting, self._raw = waiting, raw

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        self._waiting.wait()
        size = self._raw.readinto(into)
        self._waiting.count(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def left(deadline: float) -> float:
    """
    Give the seconds until a deadline.

    Raises:
        TimeoutError: It has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
