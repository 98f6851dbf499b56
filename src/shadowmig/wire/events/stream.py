"""
`EventStream`: production's events and the sister's, matched while they come.

    source = lambda url: RedisEvents(url, Stream("comment_events", id="event_id", payload="body", codec=Json()))
    stream = EventStream("comments", production=source(PRODUCTION), sister=source(SISTER), compare=structural())
    stream.start()
    ...
    print(stream.report())

Several processes may run a stream of one name: they share the work by partitions, and a process that dies is succeeded
by the others within the lease. Each verdict is counted once, and each fault is once in the list, whenever and however
often processes die.

Danger: the state is kept in the sister's Redis unless `state` says otherwise, so emptying that database
(`SisterStore.reset`) empties the counts too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self

from shadowmig.compare import structural
from shadowmig.errors import StoreError
from shadowmig.given import seconds
from shadowmig.protocols import Comparator
from shadowmig.wire.events import _reporting
from shadowmig.wire.events._checking import check_choices, check_parts, check_until
from shadowmig.wire.events._judge import Judge, consuming
from shadowmig.wire.events._leases import Options
from shadowmig.wire.events._matched import Plan
from shadowmig.wire.events._running import Here, Run
from shadowmig.wire.events._state import MemoryState, State
from shadowmig.wire.events._verifier import Verifier
from shadowmig.wire.events.event import Event, EventSource
from shadowmig.wire.events.report import EventFault, EventReport
from shadowmig.wire.events.tuning import EventTuning

__all__ = ["EventStream"]

_log: Final = logging.getLogger("shadowmig")

_IDLE: Final = 0.05
"""Seconds until the streams are looked at again."""

_TUNING: Final = EventTuning()

_AWAY: Final = 0.5
"""Seconds after a round in which no partition was held."""


class EventStream:
    """
    Matches two streams of events.

    Events belong together that have the same id of their own, or, with ``match="version"``, the same entity and
    version. What comes of them is said by `EventVerdict`.

    Args:
        name: Names the state; processes with the same name share the work.
        production: Where production's events are read. Nothing is written there.
        sister: Where the sister's are.
        compare: Compares the values of two events, production's as ``control``. Two with the same bytes are not
            compared. By default `structural` without rules.
        grace: Seconds for which an event waits for the other stream's, from when it was written.
        late: Seconds by which the sister's entry may be later than production's.
        covered: Tells of an event of production whether the sister must have it, for example by the key of sticky
            sampling. By default she must have all.
        match: ``"id"`` or ``"version"``.
        begin: Where matching begins when there is no state yet: ``"now"``, or ``"start"``: with what is there.
        state: Where the state is kept: the URL of a Redis server, or a client. By default the sister's server, and for
            streams in memory this object.
        consumer: What the events are given to as well: an object with ``compare(production=..., sister=...)``, such as
            a `Consumer`, or a function of both. It is given the payloads as bytes (the fields as a dict where there is
            no payload), and what it returns as differences makes an event `DIFFERENT`.
        on_verdict: Called with each fault, after it was committed. If the process dies in between, it is not called;
            `faults` has them all.
        tuning: How the work is shared, and how much room and time it has; see `EventTuning`.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        production: EventSource,
        sister: EventSource,
        compare: Comparator | None = None,
        grace: float | timedelta = 30.0,
        late: float | timedelta = 5.0,
        covered: Callable[[Event], Any] | None = None,
        match: Literal["id", "version"] = "id",
        begin: Literal["now", "start"] = "now",
        state: Any = None,
        consumer: Any = None,
        on_verdict: Callable[[EventFault], object] | None = None,
        tuning: EventTuning = _TUNING,
    ) -> None:
        check_choices(name, match, begin)
        check_parts(
            production=production,
            sister=sister,
            consumer=consumer,
            tuning=tuning,
            compare=compare,
            covered=covered,
            on_verdict=on_verdict,
        )
        self._name = name
        self._tuning = tuning
        self._sources = production, sister
        plan = Plan(
            Judge(structural() if compare is None else compare, consuming(consumer)),
            grace=seconds(grace, "grace", zero=True),
            late=seconds(late, "late", zero=True),
            remember=tuning.remember,
            covered=covered,
            by_version=match == "version",
            most_open=tuning.open,
            most_bytes=tuning.bytes,
            most_seen=tuning.seen,
        )
        self._options = Options(
            name,
            plan,
            ahead=tuning.ahead,
            partitions=tuning.partitions,
            begin=begin,
            lease=tuning.lease,
            on_verdict=on_verdict,
        )
        self._state = self._stated(state)
        self._here: dict[int, Here] = {}

    def __repr__(self) -> str:
        return f"<EventStream {self._name!r}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, until: datetime | Callable[[EventReport], Any] | None = None) -> None:
        """
        Match until it is enough, then give the partitions back. One thread of a process may do this.

        It goes on whatever servers do: what cannot be read is not judged, and troubles are counted in the report.

        Args:
            until: A time with its zone: until all that was written up to then is judged, by all processes. Or a
                function of the report, which tells after each commit whether it is enough. By default until `stop`.

        Raises:
            ConfigError: Other options are in the state under this name, or ``until`` is something else.
            NotIsolated: Production and sister are one, or the state would be kept in production.
        """
        check_until(until)
        self._run(Run(threading.current_thread()), until)

    def start(self) -> Self:
        """Do what `run` does, in a thread. Does nothing if that is running in this process."""
        here = self._mine()
        if not here.started:
            name = f"shadowmig-events-{self._name}"
            run = Run(threading.Thread(target=lambda: self._quietly(run), name=name, daemon=True))
            here.runs.append(run)
            here.thread = run.thread
            run.thread.start()
        return self

    def stop(self, timeout: float = 30.0) -> None:
        """
        End `run` or `start` of this process, commit, and give the partitions back.

        From the thread that runs, in a callback or a handler of a signal, it only says that it is to end, and returns.

        Args:
            timeout: Seconds to wait for that. If they are not enough, it ends later all the same.
        """
        here, end = self._mine(), time.monotonic() + timeout
        for run in list(here.runs):
            run.end()
        if any(run.thread is threading.current_thread() for run in list(here.runs)):
            return
        if here.turn.acquire(timeout=max(timeout, 0.0)):
            try:
                here.verifier.close()
            finally:
                here.turn.release()
        if here.thread is not None:
            here.thread.join(max(end - time.monotonic(), 0.0))

    def step(self) -> bool:
        """Do one round of what `run` does, and commit; whether there was something to judge. For tests."""
        verifier = self._mine().verifier
        busy = verifier.step()
        verifier.commit()
        return busy

    def report(self) -> EventReport:
        """
        Count what was committed up to now by all processes.

        Raises:
            StoreUnavailable: The state could not be reached.
            StoreError: It refused, or another version of this package wrote it.
        """
        return _reporting.report(self._name, self._state, self._mine().verifier.troubles)

    def faults(self, after: str = "", *, count: int = 1000) -> tuple[EventFault, ...]:
        """
        Read the list of faults, in the order in which they were committed. A fault is there once.

        Args:
            after: The cursor of the last one that was read; by default from the first that is kept.
            count: The most to read.

        Raises:
            StoreUnavailable: The state could not be reached.
            StoreError: It refused.
        """
        return _reporting.faults(self._state, after, count)

    def close(self) -> None:
        """Stop, and close the connections."""
        self.stop()
        for each in (*self._sources, self._state):
            each.close()

    def _stated(self, state: Any) -> State:
        tuning = self._tuning
        if isinstance(state, MemoryState):
            return state
        place = getattr(self._sources[1], "server", None) if state is None else state
        if place is None:
            return MemoryState(tuning.partitions, lease=tuning.lease, most_faults=tuning.faults)
        from shadowmig.wire.events._state_redis import RedisState

        return RedisState(
            place, self._name, partitions=tuning.partitions, lease=tuning.lease, most_faults=tuning.faults
        )

    def _mine(self) -> Here:
        """Give what belongs to this process; a forked child has its own."""
        pid = os.getpid()
        here = self._here.get(pid)
        if here is None:
            here = self._here.setdefault(pid, Here(Verifier(self._options, *self._sources, self._state)))
        return here

    def _run(self, run: Run, until: datetime | Callable[[EventReport], Any] | None = None) -> None:
        here = self._mine()
        if run not in here.runs:
            here.runs.append(run)
        try:
            with here.turn:
                try:
                    self._loop(here.verifier, run, until)
                finally:
                    here.verifier.close()
        finally:
            here.runs.remove(run)

    def _quietly(self, run: Run) -> None:
        try:
            self._run(run)
        except Exception as error:  # noqa: BLE001 - the thread's last words
            self._mine().verifier.troubles[f"ended: {error}"] += 1
            _log.exception("Matching the events of %s has ended.", self._name)

    def _loop(self, verifier: Verifier, run: Run, until: datetime | Callable[[EventReport], Any] | None) -> None:
        commits = -1
        while not run.over:
            begun = time.thread_time()
            busy = verifier.step()
            spent = time.thread_time() - begun
            if until is not None and verifier.commits != commits:
                commits = verifier.commits
                if self._enough(until):
                    return
            rest = spent * (1 - self._tuning.budget) / self._tuning.budget
            if not busy:
                rest = max(rest, _IDLE if verifier.holds else _AWAY)
            if rest:
                run.nap(rest)

    def _enough(self, until: datetime | Callable[[EventReport], Any]) -> bool:
        try:
            report = self.report()
        except StoreError:
            return False
        if isinstance(until, datetime):
            return report.as_of is not None and report.as_of >= until
        return bool(until(report))
