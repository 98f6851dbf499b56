"""
Shares a few slow partners (programs, connections) among threads, and finds the item that ends one.

While one thread asks, what others want to know waits and then travels together. When a request fails, its items are
asked about again one by one: so the item that is to blame is named, and the others get their answers.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from attrs import define, field

from shadowmig.errors import CodecUnavailable
from shadowmig.wire.tagged._protocol import Op

_REQUEST = 1024 * 1024
"""Bytes of items after which a request is full; one item may have more."""

_IN_A_ROW: Final = 5
_IN_ALL: Final = 16
_LONGEST_PAUSE: Final = 10.0

HOPELESS: Final = frozenset({"not started", "not allowed", "closed"})
"""Reasons that have nothing to do with what was asked."""


class Partner(Protocol):
    """Whoever is asked. One thread at a time; it starts at the first question, and again after a failure."""

    def ask(self, op: Op, items: Sequence[bytes]) -> list[Any]:
        """Give one result for each item, or raise `CodecUnavailable`."""
        ...

    def close(self) -> None:
        """End it; it is not asked again."""
        ...

    def abandon(self) -> None:
        """Forget it, in a forked child: it is the parent's."""
        ...


@define(eq=False)
class _Seat:
    partner: Partner
    failures: int = 0
    rests_until: float = 0.0
    last: tuple[str, str] = ("", "")  # message and reason; the error itself holds on to whoever was told of it


@define(eq=False)
class _Ticket:
    op: Op
    items: Sequence[bytes]
    size: int
    answers: list[Any] | None = None


@define(eq=False, weakref_slot=True)
class Pool:
    """
    Partners, and the questions that wait for them.

    Args:
        make: Makes a partner, which starts nothing yet.
        size: How many there are.
        batch: The most items of one request.
    """

    make: Callable[[], Partner]
    size: int
    batch: int
    _seats: list[_Seat] = field(init=False)
    _free: list[_Seat] = field(init=False)
    _queue: deque[_Ticket] = field(init=False)
    _changed: threading.Condition = field(init=False)
    _closed: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._seats = [_Seat(self.make()) for _ in range(self.size)]
        self._renew()
        _pools.add(self)
        # Runs when the pool is forgotten, and at the end of the interpreter.
        weakref.finalize(self, _close, self._seats)

    def _renew(self) -> None:
        self._changed = threading.Condition()
        self._free = list(self._seats)
        self._queue = deque()

    def after_fork(self) -> None:
        """Start anew in a forked child: partners and the holders of locks stayed with the parent."""
        for seat in self._seats:
            seat.partner.abandon()
            seat.failures, seat.rests_until = 0, 0.0
        self._renew()

    def close(self) -> None:
        """End all, once those that are being asked have answered. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while len(self._free) < len(self._seats):
                self._changed.wait()
        _close(self._seats)

    def ask(self, op: Op, items: Sequence[bytes]) -> list[Any]:
        """
        Give one result for each item, in as many requests as it takes; where one fails, it is a `CodecError`.

        Raises:
            CodecUnavailable: The pool is closed.
        """
        answers: list[Any] = []
        start = size = 0
        for place, item in enumerate(items):
            if place > start and (place - start >= self.batch or size + len(item) > _REQUEST):
                answers += self._wait(_Ticket(op, items[start:place], size))
                start, size = place, 0
            size += len(item)
        return answers + self._wait(_Ticket(op, items[start:], size)) if items else []

    def _wait(self, ticket: _Ticket) -> list[Any]:
        with self._changed:
            self._queue.append(ticket)
        try:
            # Whoever finds a free partner asks for whoever is first in the queue, until its own turn has come.
            while ticket.answers is None and (turn := self._turn(ticket)) is not None:
                self._serve(*turn)
        except BaseException:
            with self._changed:
                if ticket in self._queue:
                    self._queue.remove(ticket)
            raise
        assert ticket.answers is not None
        return ticket.answers

    def _turn(self, mine: _Ticket) -> tuple[_Seat, list[_Ticket]] | None:
        with self._changed:
            while mine.answers is None:
                if self._closed:
                    raise CodecUnavailable("The codec is closed.", reason="closed")
                if self._free and self._queue:
                    return self._free.pop(), self._together()
                self._changed.wait()
        return None

    def _together(self) -> list[_Ticket]:
        tickets = [self._queue.popleft()]
        count, size = len(tickets[0].items), tickets[0].size
        while self._queue and self._queue[0].op == tickets[0].op:
            count, size = count + len(self._queue[0].items), size + self._queue[0].size
            if count > self.batch or size > _REQUEST:
                break
            tickets.append(self._queue.popleft())
        return tickets

    def _serve(self, seat: _Seat, tickets: list[_Ticket]) -> None:
        answered = False
        try:
            answers = iter(_answers(seat, tickets[0].op, [item for ticket in tickets for item in ticket.items]))
            for ticket in tickets:
                ticket.answers = [next(answers) for _ in ticket.items]
            answered = True
        finally:
            with self._changed:
                self._free.append(seat)
                if not answered:  # This thread was interrupted; the others' questions are still to be asked.
                    self._queue.extendleft(reversed(tickets))
                self._changed.notify_all()


def _answers(seat: _Seat, op: Op, items: list[bytes]) -> list[Any]:
    if time.monotonic() < seat.rests_until:
        return [_resting(*seat.last)] * len(items)
    answers, error = _try(seat, op, items)
    if error is None:
        return answers
    if error.reason in HOPELESS or (len(items) == 1 and error.reason == "hung"):
        return [error] * len(items)
    answers, failed = [], 0
    for item in items:
        if failed >= _IN_ALL or seat.failures >= _IN_A_ROW or error.reason in HOPELESS:
            answers.append(error)
            continue
        answer, ended = _try(seat, op, [item])
        if ended is not None:
            failed, error = failed + 1, ended
        answers += answer or [ended]
    return answers


def _try(seat: _Seat, op: Op, items: list[bytes]) -> tuple[list[Any], CodecUnavailable | None]:
    try:
        answers = seat.partner.ask(op, items)
    except CodecUnavailable as error:
        seat.failures += 1
        seat.last = error.message, error.reason
        if error.reason in HOPELESS or seat.failures >= _IN_A_ROW:
            seat.rests_until = time.monotonic() + min(0.1 * 2 ** min(seat.failures, 10), _LONGEST_PAUSE)
        return [], error
    seat.failures = 0
    return answers, None


def _resting(message: str, reason: str) -> CodecUnavailable:
    return CodecUnavailable(f"Not asked so soon after it failed. {message}", reason=reason)


def _close(seats: list[_Seat]) -> None:
    for seat in seats:
        seat.partner.close()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)
