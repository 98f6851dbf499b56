"""
Stops the shadowing for a while when it does more harm than good.

Two things trip it: too many candidate errors or missed deadlines among the last calls, and too much time spent on the
caller's path by our own operations (a user's sampler that hangs, say). After the pause one probe is let through.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from attrs import field, frozen, validators

CLOSED: Final = "closed"
OPEN: Final = "open"
PROBING: Final = "half-open"


@frozen
class Breaker:
    """
    When to stop shadowing.

    Attributes:
        errors: Share of failed checks that opens it, above 0; a number above 1 never does. A check fails when the
            checked side raises and the served one did not, or when it runs past its deadline.
        window: Number of latest checks looked at, at least 1; it opens only once that many are known.
        pause: Seconds until a probe is let through; doubled after each failed probe, up to 16 times.
        overhead: Seconds our own operations may take on the caller's path in one call. Three times that in all, within
            a row of calls, opens it too.
    """

    errors: float = field(default=0.5, validator=validators.gt(0))
    window: int = field(default=20, validator=validators.ge(1))
    pause: float = field(default=30.0, validator=validators.gt(0))
    overhead: float = field(default=0.025, validator=validators.gt(0))


class BreakerState:
    """One breaker at work. Thread-safe; times are seconds of one monotonic clock, passed in."""

    def __init__(self, policy: Breaker) -> None:
        self._policy = policy
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self._recent: deque[bool] = deque(maxlen=policy.window)
        self.strikes = 0.0
        self._pause = policy.pause
        self._until = 0.0
        self.state = CLOSED
        self.opened = 0

    def waits(self, now: float) -> bool:
        """Whether a pause is under way, so that nobody need be asked about a call."""
        return self.state is not CLOSED and now < self._until

    def allow(self, now: float) -> bool:
        """Whether a call may be checked at this time; when a pause is over, one caller gets a yes as the probe."""
        if self.state is CLOSED:
            return True
        with self._lock:
            if now < self._until:
                return False
            # A probe that is shed or dies without an outcome must not close the door for ever: one more a pause later.
            self.state = PROBING
            self._until = now + self._pause
            return True

    def outcome(self, good: bool, now: float) -> None:
        """Take note of how a check went."""
        with self._lock:
            if self.state is CLOSED:
                self._recent.append(good)
                full = len(self._recent) == self._policy.window
                if full and self._recent.count(False) >= self._policy.errors * self._policy.window:
                    self._open(now)
            elif self.state is PROBING:
                if good:
                    self._close()
                else:
                    self._pause = min(self._pause * 2, self._policy.pause * 16)
                    self._open(now)

    def spent(self, seconds: float, now: float) -> bool:
        """
        Take note of our own time on the caller's path; true if this opened the breaker.

        Need not be called for a time below the limit while there are no `strikes`.
        """
        if seconds < self._policy.overhead:
            self.strikes = max(0.0, self.strikes - 0.1)
            return False
        with self._lock:
            self.strikes += seconds / self._policy.overhead
            if self.strikes < 3 or self.state is OPEN:
                return False
            self._open(now)
            return True

    def _open(self, now: float) -> None:
        self.state = OPEN
        self.opened += 1
        self._until = now + self._pause
        self._recent.clear()
        self.strikes = 0.0

    def _close(self) -> None:
        self.state = CLOSED
        self._pause = self._policy.pause
        self._recent.clear()
