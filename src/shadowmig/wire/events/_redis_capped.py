"""Connections that read no more than some bytes in one round trip, for nobody knows how big the next entries are."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.stores._redis_lines import Lines

LIMIT: Final = 256 * 1024 * 1024
"""Bytes of the answers to one round trip."""


class TooMuch(Exception):
    """The answers are larger than what is to be read at once; the connection was closed."""


class Capped(Lines):
    """
    `Lines` for one thread, with a limit.

    Attributes:
        limit: The most bytes that one round trip may bring; ``None`` for no limit.
        taken: The bytes that the last one has brought.
    """

    limit: int | None = LIMIT
    taken: int = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        lines = self

        class Counted(self._make):  # type: ignore[name-defined,misc]  # the class is made for a client given
            @property
            def end(self) -> float:
                return self._end

            @end.setter
            def end(self, end: float) -> None:
                """Begin a round trip: it is given its deadline."""
                self._end = end
                lines.taken = 0

            def _connect(self) -> Any:
                return _Counting(super()._connect(), self)

            def take(self, size: int) -> int:
                lines.taken += size
                if lines.limit is not None and lines.taken > lines.limit:
                    raise TooMuch
                return size

        self._make = Counted


class _Counting:
    """A socket that tells its connection how much was read."""

    def __init__(self, wrapped: Any, connection: Any) -> None:
        self._wrapped = wrapped
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data: bytes = self._wrapped.recv(size, flags)
        self._connection.take(len(data))
        return data

    def recv_into(self, buffer: Any) -> int:
        size: int = self._connection.take(self._wrapped.recv_into(buffer))
        return size
