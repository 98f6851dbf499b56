"""Which node of a Redis cluster holds a key: asked when it is not known, put right by the nodes' own redirections."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Final, TypeAlias

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from shadowmig.stores._redis_lines import Address
from shadowmig.stores._redis_steps import Command

Trip: TypeAlias = Generator[dict[Address, list[Command]], dict[Address, list[Any]], list[Any]]

_KEYLESS: Final = frozenset(("CLUSTER", "INFO", "TIME"))
_EVERYWHERE: Final = "FLUSHDB"

_REDIRECTIONS = 5
"""How often one call follows redirections; a cluster that is being resharded needs two."""


class Slots:
    """
    A map of the cluster, shared by threads.

    Args:
        seeds: Nodes to ask for the map.
        remap: Turns the address that a node tells into one that can be reached from here.
    """

    def __init__(self, seeds: Iterable[Address], remap: Callable[[Address], Address] | None = None) -> None:
        self._seeds = list(dict.fromkeys(seeds))
        self._remap = remap or (lambda node: node)
        self._turn = 0
        self._owners: dict[int, Address] = {}
        self.primaries: dict[Address, str] = {}

    def forget(self) -> None:
        """Ask anew at the next call, and another node: one has failed."""
        self._owners = {}
        self._turn += 1

    def learn(self) -> Trip:
        """Ask one node which one holds which slots."""
        known = [*self._seeds, *(node for node in self.primaries if node not in self._seeds)]
        asked = known[self._turn % len(known)]
        reply = (yield {asked: [("CLUSTER", "SLOTS")]})[asked][0]
        if isinstance(reply, Exception):
            raise reply
        owners: dict[int, Address] = {}
        primaries: dict[Address, str] = {}
        for first, last, (host, port, name, *_), *_ in reply:
            # No host means the one that was asked: it does not know its own address.
            node = self._remap(((host or b"").decode().strip("?") or asked[0], int(port)))
            primaries[node] = name.decode()
            owners.update(dict.fromkeys(range(first, last + 1), node))
        self.primaries, self._owners = primaries, owners
        return []

    def follow(self, commands: list[Command]) -> Trip:
        """Send each command to the node that holds its key; a reply for each, in their order."""
        if not self._owners:
            yield from self.learn()
        replies: list[Any] = [None] * len(commands)
        open_: dict[int, tuple[Address, bool]] = {}
        for index, command in enumerate(commands):
            if command[0] == _EVERYWHERE:
                replies[index] = yield from self._all(command)
            else:
                open_[index] = (self._place(command), False)
        for _ in range(_REDIRECTIONS):
            yield from self._once(commands, open_, replies)
            open_ = {
                index: self._redirected(replies[index], node)
                for index, (node, _) in open_.items()
                if isinstance(replies[index], AskError)
            }
            if not open_:
                break
        return replies

    def _once(self, commands: list[Command], open_: dict[int, tuple[Address, bool]], replies: list[Any]) -> Trip:
        batch: dict[Address, list[Command]] = {}
        places: dict[Address, list[int | None]] = {}
        for index, (node, asking) in open_.items():
            if asking:
                batch.setdefault(node, []).append(("ASKING",))
                places.setdefault(node, []).append(None)
            batch.setdefault(node, []).append(commands[index])
            places.setdefault(node, []).append(index)
        if batch:
            answers = yield batch
            for node, indices in places.items():
                for index_, reply in zip(indices, answers[node], strict=True):
                    if index_ is not None:
                        replies[index_] = reply
        return []

    def _all(self, command: Command) -> Trip:
        answers = yield {node: [command] for node in self.primaries or self._seeds}
        failed = [reply for (reply,) in answers.values() if isinstance(reply, Exception)]
        return failed[0] if failed else b"OK"  # type: ignore[return-value]  # one reply that stands for all

    def _place(self, command: Command) -> Address:
        if command[0] not in _KEYLESS:
            key = command[2] if command[0] == "XINFO" else command[1]
            owner = self._owners.get(key_slot(key))
            if owner is not None:
                return owner
        # A slot nobody holds: any node answers that the cluster is down.
        return next(iter(self.primaries), self._seeds[0])

    def _redirected(self, reply: AskError, asked: Address) -> tuple[Address, bool]:
        node = self._remap((reply.host or asked[0], reply.port))
        moved = isinstance(reply, MovedError)
        if moved:
            self._owners[reply.slot_id] = node
        return node, not moved
