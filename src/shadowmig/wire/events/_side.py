"""One of the two streams as it is read: how far, up to which time, and by which clock."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Final

from shadowmig.wire.events.event import Event, EventSource, Page, Place
from shadowmig.wire.events.report import Where

NEVER: Final = float("-inf")

_SAMPLES: Final = 64

_DRIFT: Final = 0.1
"""Seconds by which two clocks may part between some reads without one of them having been set."""


class Side:
    """
    Reads a stream page by page.

    Attributes:
        where: Which stream it is.
        source: Where it is read.
        position: The place up to which its entries were taken.
        frontier: The time up to which all that was written has been taken, by the stream's own clock.
        ended: Whether the last page was all there was.
        failed: Whether the last read failed.
    """

    def __init__(self, where: Where, source: EventSource, *, measured: bool = True) -> None:
        self.where = where
        self.source = source
        self._measured = measured
        self.failed = False
        self._clocks: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self.rewind(())

    def rewind(self, position: Place) -> None:
        """Go back to a place, to read from there again."""
        self.position = position
        self.frontier = NEVER
        self.ended = False
        self._page: Page | None = None
        self._taken = 0

    @property
    def rows(self) -> int:
        """Number of events that were read and not taken."""
        return 0 if self._page is None else len(self._page.events) - self._taken

    @property
    def next_at(self) -> float:
        """When the next event that was read was written."""
        assert self._page is not None
        return self._page.events[self._taken].at

    @property
    def clock(self) -> tuple[float, float] | None:
        """How far the stream's clock is before our monotonic one, in seconds, and how exactly that is known."""
        if not self._clocks:
            return None
        spread, ahead = min(self._clocks)
        return ahead, spread

    def _note(self, ahead: float, spread: float) -> None:
        """Note how far the stream's clock was, to half a round trip, before our monotonic one."""
        if self.clock is not None:
            known, other = self.clock
            if self._measured and abs(ahead - known) > (spread + other) / 2 + _DRIFT:
                # The clock was set. What it told before is told anew.
                self.frontier += ahead - known
                self._clocks.clear()
        self._clocks.append((spread, ahead))

    def fetch(self, count: int) -> Page | None:
        """Read the next page, if all of the last one was taken."""
        if self.rows:
            return None
        begun, self.failed = time.monotonic(), True
        page = self.source.read(self.position, count=count)
        spread, self.failed = time.monotonic() - begun, False
        self._note(page.now - begun - spread / 2, spread)
        self.ended = page.ended
        self._page, self._taken = page, 0
        if not page.events:
            self._finish(page)
        return page

    def take(self, most: int, until: float) -> list[Event]:
        """Take the next events, at most so many, and none that was written after a time by the stream's own clock."""
        if self._page is None:
            return []
        events = self._page.events[self._taken : self._taken + most]
        if events and events[-1].at > until:
            events = events[: next(index for index, event in enumerate(events) if event.at > until)]
        return list(events)

    def taken(self, events: list[Event]) -> None:
        """Note that events were taken."""
        assert self._page is not None
        self._taken += len(events)
        self.position = events[-1].entry
        self.frontier = max(self.frontier, math.nextafter(events[-1].at, NEVER))
        if self._taken == len(self._page.events):
            self._finish(self._page)

    def _finish(self, page: Page) -> None:
        self.position = page.position
        self.frontier = max(self.frontier, page.until)
        self._page = None
