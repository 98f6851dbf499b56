"""
How long a comparison may take, and where it makes room for others.

Every loop over untrusted data calls `Pace.tick` about once in `STEP` nodes. The limit is CPU time of this thread, so
a busy machine or a pause does not turn a comparison into a timeout; time inside foreign code (a slow ``__eq__``) is
counted by the clock on the wall as well. One foreign call that never returns cannot be bounded here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from shadowmig.errors import CompareTimeout

T = TypeVar("T")

PAUSE: ContextVar[Callable[[], None] | None] = ContextVar("shadowmig_compare_pause", default=None)
"""Called about every `STEP` nodes in the comparing thread; it may sleep. Its time is not counted."""

STEP = 256
"""Nodes between two looks at the limits."""

_cpu = getattr(time, "thread_time", time.process_time)
_wall = time.perf_counter


class Pace:
    """
    The limits of one comparison. Not shared between threads.

    Args:
        max_seconds: CPU seconds of this thread.
        max_nodes: Values looked at, counted once per visit.
    """

    __slots__ = ("_deadline", "_foreign", "_left", "_pause", "_started", "max_nodes", "max_seconds")

    def __init__(self, max_seconds: float, max_nodes: int) -> None:
        self.max_seconds = max_seconds
        self.max_nodes = max_nodes
        self._left = max_nodes
        self._foreign = max_seconds
        self._pause: Callable[[], None] | None = None
        self._deadline = 0.0
        self._started = False

    def tick(self, nodes: int = STEP) -> int:
        """Count nodes, check the limits, give way; returns the nodes until the next call is due."""
        if not self._started:
            # Late, because most comparisons end before their first tick and two clock reads would be a tenth of them.
            self._started = True
            self._pause = PAUSE.get()
            self._deadline = _cpu() + self.max_seconds
        self._left -= nodes
        if self._left < 0:
            raise self._exceeded(f"more than {self.max_nodes} values", limit=self.max_nodes)
        if _cpu() > self._deadline:
            raise self._exceeded(f"more than {self.max_seconds} s of CPU time", limit=self.max_seconds)
        if self._pause is not None:
            before = _cpu()
            self._pause()
            self._deadline += _cpu() - before
        return STEP

    def through(self, items: Iterable[T]) -> Iterator[T]:
        """The items, with a tick about every `STEP` of them."""
        left = STEP
        for item in items:
            yield item
            left -= 1
            if left < 0:
                left = self.tick()

    def foreign(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call code that is not ours and count its time; what it raises is raised."""
        before = _wall()
        try:
            return function(*args)
        finally:
            self._foreign -= _wall() - before
            if self._foreign < 0:
                raise self._exceeded(f"more than {self.max_seconds} s in foreign code", limit=self.max_seconds)

    @staticmethod
    def _exceeded(what: str, limit: float) -> CompareTimeout:
        return CompareTimeout(
            f"the comparison took {what}.",
            remedy="Narrow it with only=, or raise max_seconds or max_nodes.",
            limit=limit,
        )
