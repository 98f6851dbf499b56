"""Which sampled writes to one entity ran at the same time in this process."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from attrs import define


@define
class _Entity:
    begun: int = 0
    """Writes begun while anybody held the entity."""
    open: int = 0
    """Writes begun whose served side has not returned."""
    held: int = 0
    """Writes not yet judged."""


class Ticket:
    """One write's hold on its entity."""

    __slots__ = ("_clean", "_entity", "_held", "_key", "_number", "_open", "_overlap")

    def __init__(self, overlap: Overlap, key: Hashable, entity: _Entity) -> None:
        self._overlap = overlap
        self._key = key
        self._entity = entity
        self._clean = entity.open == 0
        self._open = self._held = True
        entity.begun += 1
        entity.open += 1
        entity.held += 1
        self._number = entity.begun

    @property
    def alone(self) -> bool:
        """Whether no other sampled write was open when this one began, and none has begun since."""
        return self._clean and self._entity.begun == self._number

    def served(self) -> None:
        """Note that the served side has returned."""
        with self._overlap.lock:
            if self._open:
                self._open = False
                self._entity.open -= 1

    def release(self) -> None:
        """Let go of the entity; may be called twice."""
        self.served()
        with self._overlap.lock:
            if self._held:
                self._held = False
                self._entity.held -= 1
                if not self._entity.held:
                    self._overlap.entities.pop(self._key, None)


class Overlap:
    """The entities that sampled writes are at work on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self.entities: dict[Hashable, _Entity] = {}

    def enter(self, key: Hashable) -> Ticket:
        """Take note that a write to an entity begins."""
        with self.lock:
            entity = self.entities.get(key)
            if entity is None:
                entity = self.entities[key] = _Entity()
            return Ticket(self, key, entity)
