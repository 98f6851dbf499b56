"""Threads that talk to stores on behalf of async handlers, whose loop must not wait and whose pool is the service's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

THREADS: Final = 4
"""Daemons: nobody waits for them at the end of the process."""

Errand = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Errands:
    """Runs functions in a few daemon threads, born as they are needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Errand | None] | None = None
        self._idle = 0
        self._threads = 0
        self._closed = False

    def run(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a function called; the future gets what it returns or raises, or is cancelled after `close`."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            # Made at first use: until then gevent may patch the module, even in a forked child.
            errands = self._queue = self._queue or queue.SimpleQueue()
            more = self._idle <= errands.qsize() and self._threads < THREADS
            self._threads += more
        errands.put((future, function, args))
        if more:
            try:
                threading.Thread(target=self._work, args=(errands,), name="shadowmig-stores", daemon=True).start()
            except RuntimeError:  # the system gives no more threads: those that there are must do
                with self._lock:
                    self._threads -= 1
                    helpless = not self._threads
                if helpless:
                    raise
        return future

    def close(self) -> None:
        """End the threads as soon as they have done what there is."""
        with self._lock:
            self._closed = True
            errands, threads = self._queue, self._threads
        for _ in range(threads):
            assert errands is not None
            errands.put(None)

    def _work(self, errands: queue.SimpleQueue[Errand | None]) -> None:
        while True:
            with self._lock:
                self._idle += 1
            errand = errands.get()
            with self._lock:
                self._idle -= 1
                if errand is None:
                    self._threads -= 1
                    return
            future, function, args = errand
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(*args))
            except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
                future.set_exception(error)
