"""Which sampled writes to one entity ran at the same time in this process."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable

from attrs import define


@define(eq=False)
class _Entity:
    begun: int = 0
    """Writes begun while anybody held the entity."""
    open: int = 0
    """Writes begun whose served side has not returned."""
    held: int = 0
    """Writes not yet judged."""


class Ticket:
    """One write's hold on its entity, and on the records it starts from."""

    __slots__ = ("_clean", "_entities", "_held", "_open", "_overlap", "met")

    def __init__(self, overlap: Overlap) -> None:
        self._overlap = overlap
        self._clean = self._open = self._held = True
        self.met = False
        """Whether another one that was not judged yet held the entity; its transaction may have been open."""
        self._entities: list[tuple[Hashable, _Entity, int]] = []

    def add(self, keys: Iterable[Hashable], *, late: bool = False) -> None:
        """
        Take hold of entities or records.

        Args:
            keys: Their names.
            late: Whether the write is over already: then whoever holds one may have come in between.
        """
        entities = self._overlap.entities
        with self._overlap.lock:
            for key in keys:
                entity = entities.get(key)
                if entity is None:
                    entity = entities[key] = _Entity()
                elif entity.held:
                    self.met = True
                    if late or entity.open:
                        self._clean = False
                entity.begun += 1
                entity.open += self._open
                entity.held += 1
                self._entities.append((key, entity, entity.begun))

    @property
    def alone(self) -> bool:
        """Whether no other sampled write was open when this one began, and none has begun since."""
        return self._clean and all(entity.begun == number for _, entity, number in self._entities)

    def served(self) -> None:
        """Note that the served side has returned."""
        with self._overlap.lock:
            if self._open:
                self._open = False
                for _, entity, _ in self._entities:
                    entity.open -= 1

    def release(self) -> None:
        """Let go of all; may be called twice."""
        self.served()
        with self._overlap.lock:
            if not self._held:
                return
            self._held = False
            for key, entity, _ in self._entities:
                entity.held -= 1
                if not entity.held:
                    self._overlap.entities.pop(key, None)


class Overlap:
    """The entities and records that sampled writes are at work on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self.entities: dict[Hashable, _Entity] = {}

    def enter(self, *keys: Hashable) -> Ticket:
        """Take note that a write to an entity, and to the records it starts from, begins."""
        ticket = Ticket(self)
        ticket.add(keys)
        return ticket
