"""
Findings as lines of the standard `logging`. The default sink.

**When:** nothing else is set up yet, or people watch the service's log anyway.
**Example:** ``Migration("comments", sinks=[Log("shadowmig", per_minute=5)])``
**Units:** ``per_minute`` is lines in any 60 seconds of the monotonic clock.
**When it is down:** `logging` deals with its handlers itself. Lines above the rate are left out, counted, and told in
the next line; their findings get another chance when they next occur.

Values are written as they come in the batch: redacted, and escaped so that a value cannot forge a second line.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from attrs import define, field

from shadowmig.errors import ConfigError
from shadowmig.model import Batch, Finding
from shadowmig.sinks._perprocess import PerProcess
from shadowmig.sinks._printable import printable

_MINUTE = 60.0
_MAX_KNOWN = 10_000


@define
class _State:
    lock: threading.Lock = field(factory=threading.Lock)
    told: dict[tuple[str, str], int] = field(factory=dict)
    lines: deque[float] = field(factory=deque)
    suppressed: int = 0
    lost: dict[str, int] = field(factory=dict)


class Log:
    """
    Log a finding when it is new, and again each time its count has grown tenfold.

    Thread-safe; may be shared by migrations. A forked child starts with a clean slate, so it tells its own new
    findings. The last 10 000 findings are remembered; an older one would be told anew.

    Args:
        logger: Name of the logger.
        level: Level of the lines, such as `logging.WARNING`.
        per_minute: Most lines in any 60 seconds; at least 1.
        clock: Monotonic clock in seconds.

    Raises:
        ConfigError: If ``per_minute`` is below 1 or ``level`` is not a number.
    """

    def __init__(
        self,
        logger: str = "shadowmig",
        *,
        level: int = logging.WARNING,
        per_minute: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(level, bool) or not isinstance(level, int):
            raise ConfigError(
                f"level must be a number, not {level!r}.", remedy="Use logging.WARNING.", field="level", value=level
            )
        if per_minute < 1:
            raise ConfigError("per_minute must be at least 1.", field="per_minute", value=per_minute)
        self._logger = logging.getLogger(logger)
        self._level = level
        self._per_minute = per_minute
        self._clock = clock
        self._process: PerProcess[_State] = PerProcess(_State)

    def __call__(self, batch: Batch) -> None:
        """Log what is worth a line in this batch."""
        state = self._process.get()
        with state.lock:
            lines = [line for finding in batch.findings if (line := self._finding(state, finding))]
            # A source that lost findings before may lose one per call; so this too is told at tenfold growth.
            if batch.lost >= 10 * state.lost.get(batch.source, 0.1) and (note := self._admit(state)) is not None:
                state.lost[batch.source] = batch.lost
                name = printable(batch.migration, 100)
                lines.append(f"{name}: too many kinds of findings; {batch.lost} occurrences were not tracked{note}")
        for line in lines:  # outside the lock: a handler may be slow
            self._logger.log(self._level, "%s", line)

    def _finding(self, state: _State, finding: Finding) -> str | None:
        key = (finding.migration, finding.fingerprint)
        told = state.told.get(key)
        if told is not None and finding.count < 10 * told:
            return None
        note = self._admit(state)
        if note is None:
            return None
        state.told.pop(key, None)
        state.told[key] = finding.count
        if len(state.told) > _MAX_KNOWN:
            del state.told[next(iter(state.told))]
        return _line(finding, new=told is None) + note

    def _admit(self, state: _State) -> str | None:
        now = self._clock()
        while state.lines and now - state.lines[0] >= _MINUTE:
            state.lines.popleft()
        if len(state.lines) >= self._per_minute:
            state.suppressed += 1
            return None
        state.lines.append(now)
        suppressed, state.suppressed = state.suppressed, 0
        return f" ({suppressed} lines suppressed before this one)" if suppressed else ""


def _place(finding: Finding) -> str:
    return " ".join(part for part in (finding.store, finding.record, finding.path) if part)


def _line(finding: Finding, *, new: bool) -> str:
    where = f"{printable(finding.migration, 100)}/{printable(finding.experiment, 100)}"
    types = " -> ".join(printable(name, 100) for name in finding.types)
    proofs = ", ".join(f"{printable(name, 40)} {count}" for name, count in finding.proofs.items())
    parts = [
        f"{where}: {'new finding' if new else 'finding'} {printable(finding.fingerprint, 40)}",
        f"{finding.kind} at {printable(_place(finding))} ({types})",
        f"{finding.count} {'call' if finding.count == 1 else 'calls'}",
    ]
    if proofs:
        parts.append(f"proof: {proofs}")
    if finding.examples:
        example = finding.examples[0]
        values = f"control {printable(example.control)}, candidate {printable(example.candidate)}"
        parts.append(f"{values} in call {printable(example.call, 100)}")
    return "; ".join(parts)
