"""The writers: threads that call the service's handlers as fast as the judge can follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.testing.storm._experiments import entities
from shadowmig.testing.storm._traffic import Traffic
from shadowmig.testing.storm._workload import Workload
from shadowmig.testing.storm.candidate import Write
from shadowmig.testing.storm.service import Conflict, Invalid, NotFound

_REFUSALS: Final = (NotFound, Conflict, Invalid)
_PAUSE: Final = 0.004


class Crew:
    """
    The writers of one storm.

    Args:
        handlers: The service's handlers by name.
        workload: What to write.
        traffic: Told who writes what.
        room: Whether the judge can take more.
        enough: Whether to stop.
        progress: Told how many writes were made.
    """

    def __init__(
        self,
        handlers: Mapping[Write, Callable[..., dict[str, Any]]],
        workload: Workload,
        traffic: Traffic,
        *,
        room: Callable[[], bool],
        enough: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self._handlers = handlers
        self._workload = workload
        self._traffic = traffic
        self._room = room
        self._enough = enough
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._failure: BaseException | None = None

    def run(self, writes: int, writers: int) -> int:
        """
        Make all writes, shared among the writers.

        Returns:
            How many were made.

        Raises:
            Exception: What a handler of the old service raised, other than its refusals; then all writers stop.
        """
        shares = [writes // writers + (number < writes % writers) for number in range(writers)]
        threads = [
            threading.Thread(target=self._write_all, args=(number, share), name=f"storm-writer-{number}", daemon=True)
            for number, share in enumerate(shares)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
                self._progress(self._done)
        if self._failure is not None:
            raise self._failure
        return self._done

    def _write_all(self, number: int, share: int) -> None:
        dice = self._workload.dice(number)
        try:
            for _ in range(share):
                while not self._room():
                    time.sleep(_PAUSE)
                if self._failure is not None or self._enough():
                    return
                self._write(*self._workload.next(dice))
                with self._lock:
                    self._done += 1
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            self._failure = error

    def _write(self, write: Write, args: tuple[Any, ...]) -> None:
        visit = self._traffic.enter(entities(write, args, None))
        try:
            result = self._handlers[write](*args)
            if write == "create":
                self._traffic.join(visit, entities(write, args, result)[1:])
            self._workload.learn(write, result)
        except _REFUSALS:
            pass
        finally:
            self._traffic.leave(visit)
