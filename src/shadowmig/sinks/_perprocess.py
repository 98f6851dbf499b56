"""
State that belongs to one process: a forked child gets a fresh one, with a lock nobody holds.

Danger: the child does not see what the parent had collected. That is wanted, for the parent publishes it itself and
counts that travelled through a fork would be added up twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """
    Hand out one state per process.

    Args:
        build: Makes an empty state, its own locks included. Called once per process, rarely twice when threads
            race; then one result is thrown away.
    """

    __slots__ = ("_build", "_states")

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._states: dict[int, T] = {os.getpid(): build()}

    def get(self) -> T:
        """Return this process's state; never blocks."""
        state = self._states.get(os.getpid())
        return self._renew() if state is None else state

    def _renew(self) -> T:
        # setdefault is atomic: threads that get here together agree on one state without a lock, which could have
        # been held by a thread that the fork did not copy.
        pid = os.getpid()
        state = self._states.setdefault(pid, self._build())
        for old in [key for key in list(self._states) if key != pid]:
            self._states.pop(old, None)
        return state
