"""How far both sides were read, and up to when that decides everything."""

from __future__ import annotations

import math
from collections import deque


class Horizon:
    """
    The times up to which rows and events are known, in seconds of the check's clock.

    What was committed before a look was seen by it, and what was seen by a look is decided once both sides were read
    again after the grace. So everything is decided up to the last look that lies so far back, and before all that is
    open.
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
        self._looks.append(now)

    def read(self, now: float) -> None:
        """Note a reading of the events up to their end."""
        self.events = now
        self._reads.append(now)

    def decided(self, since: float = math.inf) -> float:
        """
        Give the time up to which everything is decided.

        Args:
            since: Since when the oldest of what is open is so.
        """
        limit = min(self.reached - self._grace, math.nextafter(since, -math.inf))
        return min(_last(self._looks, limit), _last(self._reads, limit))


def _last(times: deque[float], limit: float) -> float:
    """Give the last time up to a limit, which does not go back; what is before that one is forgotten."""
    while len(times) > 1 and times[1] <= limit:
        times.popleft()
    return times[0]
