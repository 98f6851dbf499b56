"""How far both sides were read, and up to when that decides everything."""

from __future__ import annotations

from collections import deque


class Horizon:
    """
    The times up to which rows and events are known, in seconds of the check's clock.

    What was committed before a look was seen by it, and what was seen by a look is decided once both sides were read
    again after the grace. So everything is decided up to the last look that lies so far back.
    """

    def __init__(self, grace: float, began: float) -> None:
        self._grace = grace
        self.rows = began
        self.events = began
        self._looks: deque[float] = deque([began])
        self._reads: deque[float] = deque([began])

    @property
    def reached(self) -> float:
        """Up to when both sides are known."""
        return min(self.rows, self.events)

    def looked(self, now: float) -> None:
        """Note a look at the rows."""
        self.rows = now
        self._note(self._looks, now)

    def read(self, now: float) -> None:
        """Note a reading of the events up to their end."""
        self.events = now
        self._note(self._reads, now)

    def decided(self) -> float:
        """Give the time up to which everything is decided."""
        return min(self._last(self._looks), self._last(self._reads))

    def _note(self, times: deque[float], now: float) -> None:
        times.append(now)
        self._last(times)

    def _last(self, times: deque[float]) -> float:
        """Give the last time that lies at least the grace back; what is before that one is forgotten."""
        limit = self.reached - self._grace
        while len(times) > 1 and times[1] <= limit:
            times.popleft()
        return times[0]
