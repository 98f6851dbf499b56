"""What came of giving an event to a consumer."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from attrs import frozen

from shadowmig.model import MISSING, Difference, Raised
from shadowmig.wire.effects._check import Effect
from shadowmig.wire.fence import Refused
from shadowmig.wire.roundtrip._shown import shown

Status: TypeAlias = Literal["handled", "undecodable", "skipped", "raised", "hung"]
"""
What a consumer did with an event.

``handled``: decode and handle returned. ``undecodable``: decode raised; such an event is a poison pill, for it comes
again and again. ``skipped``: decode gave ``None``, or what handle returned says so by ``skipped=``. ``raised``: handle
raised. ``hung``: they did not return before the deadline.
"""

STATUSES: tuple[Status, ...] = ("handled", "undecodable", "skipped", "raised", "hung")

MESSAGE: int = 2000
"""Characters kept of an exception's text."""


@frozen
class Outcome:
    """
    What a consumer did with one event.

    Attributes:
        status: See `Status`.
        effects: What it wanted to do to the world, in its order, at most 10 000.
        refused: What the fence refused, whether the consumer let the error out or not.
        value: What handle returned, as plain data; `MISSING` if it did not return.
        error: What decode or handle raised.
        seconds: How long both took.
        unfinished: Tasks and work in thread pools that the consumer started and that had not ended a second after it
            returned; what they tried later is neither performed nor recorded.
        more: Effects above the 10 000, and those with so many arguments, or so deep ones, that not all were looked at.
    """

    status: Status
    effects: tuple[Effect, ...] = ()
    refused: tuple[Refused, ...] = ()
    value: Any = MISSING
    error: Raised | None = None
    seconds: float = 0.0
    unfinished: int = 0
    more: int = 0

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.status}: {self.error.type}: {self.error.message}"
        return f"{self.status}, {len(self.effects)} effect{'s' * (len(self.effects) != 1)}"


def said(difference: Difference) -> str:
    """Write a difference as a line for people."""
    note = f" ({difference.note})" if difference.note else ""
    sides = _shown(difference.control), _shown(difference.candidate)
    if difference.path == "@refused" and sides[0] == sides[1]:
        return f"@refused: both were refused {sides[0]}{note}"
    return f"{difference.path} {difference.kind}: {sides[0]} became {sides[1]}{note}"


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    return f"{value.type}: {value.message}" if isinstance(value, Raised) else shown(value)


def as_raised(error: BaseException) -> Raised:
    """Keep class and text of an exception."""
    kind = type(error)
    try:
        message = str(error)[:MESSAGE]
    except Exception as broken:  # noqa: BLE001 - an exception of the consumer's may do anything
        message = f"<{type(broken).__name__} in __str__>"
    return Raised(_qualified(kind), message, tuple(_qualified(base) for base in kind.__mro__[:-1]))


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
