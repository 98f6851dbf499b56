"""The loops of one process, and how they are told to end."""

from __future__ import annotations

import contextlib
import threading

from shadowmig.wire.events._verifier import Verifier


class Here:
    """
    What belongs to one process.

    Attributes:
        verifier: What the loops run.
        turn: Held by the loop that runs; the others wait.
        runs: The loops that were begun and have not ended.
        thread: The latest that was begun in a thread of its own.
    """

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier
        self.turn = threading.Lock()
        self.runs: list[Run] = []
        self.thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether one runs in a thread of its own, and was not told to end."""
        thread = self.thread
        return thread is not None and thread.is_alive() and any(r.thread is thread and not r.over for r in self.runs)


class Run:
    """
    A loop that can be told to end: by a handler of a signal in its own thread too, where a `threading.Event` may hang.

    Attributes:
        thread: In which it runs.
        over: Whether it was told to end.
    """

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.over = False
        self._nap = threading.Lock()
        self._nap.acquire()

    def end(self) -> None:
        """Tell it to end."""
        self.over = True
        with contextlib.suppress(RuntimeError):  # it was told before
            self._nap.release()

    def nap(self, seconds: float) -> None:
        """Wait for some seconds, or until it is to end."""
        self._nap.acquire(timeout=seconds)
