"""Who wrote what when: the truth that race verdicts are held against."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from attrs import define

from shadowmig.model import Call

Entity = tuple[str, int]
_KEPT: Final = 2000


@define(eq=False)
class Visit:
    """One write to some records, in seconds of the wall clock; infinite while it lasts."""

    start: float
    end: float = float("inf")


class Traffic:
    """The latest writes to each record. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visits: dict[Entity, deque[Visit]] = {}

    def enter(self, entities: Iterable[Entity]) -> Visit:
        """Note that a write to these records begins."""
        visit = Visit(time.time())
        self.join(visit, entities)
        return visit

    def join(self, visit: Visit, entities: Iterable[Entity]) -> None:
        """Note that a write is to these records too."""
        with self._lock:
            for entity in entities:
                self._visits.setdefault(entity, deque(maxlen=_KEPT)).append(visit)

    def leave(self, visit: Visit) -> None:
        """Note that a write has ended."""
        visit.end = time.time()

    def shared(self, call: Call, entities: Iterable[Entity]) -> bool:
        """Tell whether others wrote one of the records since the call began; its own write is not counted."""
        since = call.at.timestamp()
        with self._lock:
            return any(sum(visit.end >= since for visit in self._visits.get(each, ())) > 1 for each in entities)
