"""
What is to be asked of Redis, apart from how it is sent: generators that yield commands and are given the replies.

The same steps run over sockets in threads and on an event loop, so there is one place where commands are chosen and
replies understood.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from shadowmig.errors import ProductionRefused

T = TypeVar("T")
Asked = TypeVar("Asked")
Told = TypeVar("Told")

Command: TypeAlias = tuple[Any, ...]
"""The verb in capitals, then its arguments: text, bytes or integers."""

Steps: TypeAlias = Generator[list[Command], list[Any], T]
"""Yields the commands of one round trip, is sent a reply to each (an error reply is an exception), returns a result."""

READING: Final = frozenset(
    "ASKING AUTH CLIENT CLUSTER DUMP EXISTS GET HELLO HGETALL INFO LRANGE PING PTTL READONLY SELECT SMEMBERS TIME TYPE "
    "XINFO XRANGE XREVRANGE ZRANGE".split()
)
"""The commands that change nothing in a database. The driver sends some of them itself when it connects."""


class Gate:
    """
    What every command passes before a byte of it is sent.

    Attributes:
        closed: Whether only reading is allowed.
        store: The store, as it calls itself.
    """

    def __init__(self, store: str) -> None:
        self.closed = False
        self.store = store

    def check(self, commands: Iterable[Command]) -> bool:
        """
        Tell whether these commands only read.

        Raises:
            ProductionRefused: They do not, and the gate is closed.
        """
        other = next((command[0] for command in commands if command[0] not in READING), None)
        if other is not None and self.closed:
            raise ProductionRefused(
                f"{other} was refused: writes to {self.store} are forbidden.",
                remedy="Only a sister store is written to.",
                store=self.store,
            )
        return other is None


def run(steps: Generator[Asked, Told, T], exchange: Callable[[Asked], Told]) -> T:
    """Drive steps to their result; `exchange` makes one round trip."""
    try:
        batch = next(steps)
        while True:
            batch = steps.send(exchange(batch))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
    finally:
        steps.close()


async def arun(steps: Generator[Asked, Told, T], exchange: Callable[[Asked], Awaitable[Told]]) -> T:
    """Do what `run` does, on an event loop."""
    try:
        batch = next(steps)
        while True:
            batch = steps.send(await exchange(batch))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
    finally:
        steps.close()


def together(parts: Sequence[Steps[Any]]) -> Steps[list[Any]]:
    """Run several steps side by side: what they ask at the same time goes in one round trip."""
    results: list[Any] = [None] * len(parts)
    asked: dict[int, list[Command]] = {}

    def go(index: int, move: Callable[[], list[Command]]) -> None:
        try:
            asked[index] = move()
        except StopIteration as done:
            results[index] = done.value
            asked.pop(index, None)

    for index, part in enumerate(parts):
        go(index, part.__next__)
    while asked:
        commands = [command for batch in asked.values() for command in batch]
        replies = iter((yield commands) if commands else ())
        for index, batch in list(asked.items()):
            mine = [next(replies) for _ in batch]
            go(index, lambda part=parts[index], mine=mine: part.send(mine))  # type: ignore[misc]  # bound at once
    return results
