"""
The loop of one process: leases, reading both streams, judging, committing.

Both streams are read once, whatever number of partitions is held. Whenever other partitions are held than before, what
is held is committed and loaded anew, and reading goes back to the earliest place that one of them needs.

The sister is not taken further than production, so that an event is known before the sister's copy of it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from shadowmig.errors import StoreError
from shadowmig.wire.events._holding import Holding
from shadowmig.wire.events._leases import Leases, Options
from shadowmig.wire.events._side import NEVER, Side
from shadowmig.wire.events._state import State, dumps
from shadowmig.wire.events.event import EventSource, Page
from shadowmig.wire.events.report import EventFault, Where

_log: Final = logging.getLogger("shadowmig")

CHUNK: Final = 1024
"""Events after which the time is looked at; fewer where they take long, one where a consumer is asked about each."""

_ANCHORS: Final = 64

_FAULTS: Final = 1000
"""Faults after which there is a commit, however short the time."""


class Verifier:
    """
    One process' part in the matching. Used by one thread at a time.

    Args:
        options: See `Options`.
        production: Where production's events are read.
        sister: Where the sister's are.
        state: Where processes meet.

    Attributes:
        troubles: What went wrong, and how often.
        commits: How often something was committed.
    """

    def __init__(self, options: Options, production: EventSource, sister: EventSource, state: State) -> None:
        self.troubles: Counter[str] = Counter()
        self.commits = 0
        self._options = options
        self._sides: dict[Where, Side] = {
            "production": Side("production", production, measured=options.ahead is None),
            "sister": Side("sister", sister, measured=options.ahead is None),
        }
        self._production, self._sister = self._sides["production"], self._sides["sister"]
        self._state = state
        self._leases = Leases(options, self._sides, state, self.trouble)
        self._chunk = 1 if options.plan.judge.slow else CHUNK
        self._commit_at = NEVER

    @property
    def holds(self) -> int:
        """How many partitions this process judges."""
        holding = self._leases.holding
        return 0 if holding is None else len(holding.parts)

    def step(self) -> bool:
        """
        Do one round; whether there was something to judge.

        Raises:
            ConfigError: The state under this name belongs to other options.
            NotIsolated: Production would be written to, or is the sister.
        """
        if (holding := self._leases.ready(self.commit)) is None:
            return False
        self._fetch(self._sister, holding)
        if not self._enough(holding):
            self._fetch(self._production, holding)
        # Reading may have taken long.
        if (holding := self._leases.ready(self.commit)) is None:
            return False
        holding.matcher.offset = self._shift[0]
        deadline = time.monotonic() + self._options.lease / 8
        busy = self._take(self._production, holding, deadline)
        busy = self._take(self._sister, holding, deadline) or busy
        busy = holding.tick(self._production.frontier, self._sister.frontier - self._ahead(self._sister)) or busy
        out = holding.matcher.out
        # At once where there is time for it.
        if time.monotonic() >= self._commit_at or len(out.faults) > _FAULTS or (out.counts and not busy):
            self.commit()
        return busy

    def commit(self) -> None:
        """Commit what has come, and tell of the faults."""
        holding = self._leases.holding
        if holding is None:
            return
        self._commit_at = time.monotonic() + self._options.every
        commits, faults = holding.commit()
        self._leases.remember(holding)
        try:
            kept = self._state.commit(commits, [dumps(fault.to_json()) for fault in faults])
        except StoreError as error:
            # Whether it was kept is not known: only the state can tell, under new leases.
            self.trouble("state", error)
            kept = False
        if not kept:
            self._leases.drop()
            return
        self.commits += 1
        if self._options.on_verdict is not None:
            for fault in faults:
                self._tell(self._options.on_verdict, fault)

    def close(self) -> None:
        """Commit, and give all leases back."""
        self.commit()
        self._leases.leave()

    def trouble(self, where: str, error: Exception) -> None:
        """Count what went wrong, and log it the first time."""
        name = f"{where}: {type(error).__name__}"
        self.troubles[name] += 1
        if self.troubles[name] == 1:
            _log.warning("Matching the events of %s: %s: %s", self._options.name, name, error)

    # Reading.

    def _enough(self, holding: Holding) -> bool:
        """Whether so many events wait for the sister that production is not read on before she has come further."""
        sister = self._sister
        if sister.rows and sister.next_at > self._until():
            return False  # she waits for production
        return holding.matcher.crowded and bool(sister.rows or sister.failed or not sister.ended)

    def _fetch(self, side: Side, holding: Holding) -> None:
        before, frontier = side.position, side.frontier - self._ahead(side)
        try:
            page = side.fetch(self._options.page)
            if page is None:
                return
            if page.loss:
                self._lost(side, page, frontier, holding)
            elif not before and page.events:
                # Read from where it begins, it does not tell what is gone of what was read before.
                first = page.events[0]
                holding.lost(side.where, first.entry, (frontier, first.at - self._ahead(side)), "trimmed")
        except StoreError as error:
            self.trouble(side.where, error)
            if side.position != before:
                side.rewind(before)  # so that what was lost is seen again
        else:
            largest = max(page.size, holding.matcher.largest - holding.matcher.largest // 64)
            holding.matcher.largest = holding.order.largest = largest

    def _lost(self, side: Side, page: Page, frontier: float, holding: Holding) -> None:
        """Note that entries may be gone since a time by production's clock, and find where to go on."""
        where, ahead = side.where, self._ahead(side)
        if page.loss == "trimmed":
            place, end = (page.events[0].entry, page.events[0].at) if page.events else (page.position, page.now)
            holding.lost(where, place, (frontier, end - ahead), page.loss)
            return
        place = page.position
        parts = holding.parts.values()
        marks = {mark[where] for part in parts for _, mark in part.trail} | {part.positions[where] for part in parts}
        seen = sorted(mark for mark in marks if () < mark <= place)[-_ANCHORS:]
        # One that was set back still has entries that were seen; in another one all are new.
        if not any(side.source.find(seen)):
            place = ()
        side.rewind(place)
        holding.set_back(where, place, (frontier, page.now - ahead))

    # Judging.

    @property
    def _shift(self) -> tuple[float, float]:
        """How far the sister's clock is before production's, in seconds, and how exactly that is known."""
        if self._options.ahead is not None:
            return self._options.ahead, 0.0
        production, sister = self._production.clock, self._sister.clock
        if production is None or sister is None:
            return 0.0, 0.0
        return sister[0] - production[0], sister[1] + production[1]

    def _ahead(self, side: Side) -> float:
        """How far a stream's clock is before production's, in seconds."""
        return self._shift[0] if side is self._sister else 0.0

    def _until(self) -> float:
        """Up to when the sister may be taken, by her own clock."""
        shift, spread = self._shift
        return self._production.frontier + shift - spread

    def _take(self, side: Side, holding: Holding, deadline: float) -> bool:
        until = float("inf") if side is self._production else self._until()
        busy = False
        while events := side.take(self._chunk, until):
            begun = time.monotonic()
            try:
                holding.take(side.where, events, events[-1].entry)
            except BaseException:
                # Half of it is done, and nobody knows which: the checkpoint does.
                self._leases.drop()
                raise
            side.taken(events)
            busy = True
            now = time.monotonic()
            if not self._options.plan.judge.slow:
                longest = self._options.lease / 40
                self._chunk = max(1, self._chunk // 8) if now - begun > longest else min(CHUNK, self._chunk * 2)
            if now >= deadline:
                break
        holding.advance(side.where, side.position, ended=side.ended and not side.rows)
        return busy

    def _tell(self, on_verdict: Callable[[EventFault], object], fault: EventFault) -> None:
        try:
            on_verdict(fault)
        except Exception as error:  # noqa: BLE001 - whatever it raises, the next fault is told
            self.trouble("on_verdict", error)
