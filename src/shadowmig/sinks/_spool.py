"""
What stands between the worker and one sink: a bounded heap of undelivered state that survives a sink being down.

Danger: a sink may hang for ever. So no lock is held while it runs, and only one thread at a time runs it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from attrs import define, evolve, field

from shadowmig.model import Batch, Finding, Summary
from shadowmig.protocols import Sink
from shadowmig.sinks._perprocess import PerProcess

# They ask the running greenlet, task or generator to end; named because gevent is not ours to import.
_ENDINGS = {"GreenletExit", "CancelledError", "GeneratorExit"}


@define
class _Heap:
    """Undelivered state of one source: the latest of each finding and each summary."""

    batch: Batch
    findings: dict[str, Finding] = field(factory=dict)
    summaries: dict[str, Summary] = field(factory=dict)

    def merged(self) -> Batch:
        return evolve(self.batch, findings=tuple(self.findings.values()), summaries=tuple(self.summaries.values()))


@define
class _State:
    lock: threading.Lock = field(factory=threading.Lock)
    heaps: dict[str, _Heap] = field(factory=dict)
    delivering: bool = False
    failures: int = 0
    not_before: float = float("-inf")
    delivered: int = 0
    failed: int = 0
    dropped: int = 0

    def add(self, batch: Batch, limit: int) -> None:
        """Put a batch on top of what waits; the lock is held."""
        # Only the frame is kept of the batch itself: its findings go into the bounded dict or are dropped.
        frame = evolve(batch, findings=(), summaries=())
        heap = self.heaps.setdefault(batch.source, _Heap(frame))
        if frame.at >= heap.batch.at:
            heap.batch = frame
        room = limit - sum(len(each.findings) for each in self.heaps.values())
        for finding in batch.findings:
            if finding.fingerprint not in heap.findings:
                if room <= 0:
                    self.dropped += 1
                    continue
                room -= 1
            heap.findings[finding.fingerprint] = finding
        for summary in batch.summaries:
            heap.summaries[summary.experiment] = summary

    def put_back(self, batches: list[Batch], limit: int) -> None:
        """Return what could not be delivered, below what came meanwhile; the lock is held."""
        newer = [heap.merged() for heap in self.heaps.values()]
        self.heaps = {}
        for batch in [*batches, *newer]:
            self.add(batch, limit)


class Spool:
    """
    Merge, keep and deliver batches for one sink.

    Batches carry totals, so merging keeps the latest finding per fingerprint and the latest summary per experiment
    (per source), and nothing is lost by it. Above ``max_findings`` waiting findings, new ones are dropped and
    counted; a dropped finding comes again with its next call, its count complete.

    Any `Exception` of the sink keeps the batch for the next try. So do ``KeyboardInterrupt`` and ``SystemExit`` and
    every other ``BaseException`` a sink raises: it runs in our thread, where they can mean nothing else. They are
    swallowed and counted as failures. Only ``GreenletExit``, ``CancelledError`` and ``GeneratorExit`` are raised on,
    after the batch was kept, because they ask the thread of control itself to end.

    Thread-safe. A forked child starts empty: the parent delivers what it had.

    Args:
        sink: Where batches go.
        name: What to call the sink in messages.
        max_findings: Most findings that wait, over all sources.
        first_delay: Seconds to wait after the first failure; doubled after each further one.
        max_delay: Most seconds to wait between tries.
        clock: Monotonic clock in seconds.
        on_error: Called with ``"sink"`` and the error after each failure, in the delivering thread. What it raises
            is ignored.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        name: str,
        max_findings: int = 10_000,
        first_delay: float = 1.0,
        max_delay: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        on_error: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self.name = name
        self._sink = sink
        self._limit = max_findings
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._clock = clock
        self._on_error = on_error
        self._process: PerProcess[_State] = PerProcess(_State)

    @property
    def delivered(self) -> int:
        """Batches the sink took, after merging."""
        return self._process.get().delivered

    @property
    def failed(self) -> int:
        """Tries that ended in an exception."""
        return self._process.get().failed

    @property
    def dropped(self) -> int:
        """Findings not kept because the spool was full."""
        return self._process.get().dropped

    @property
    def pending(self) -> int:
        """Findings and summaries that wait; those on their way to the sink are not among them."""
        state = self._process.get()
        with state.lock:
            return sum(len(heap.findings) + len(heap.summaries) for heap in state.heaps.values())

    @property
    def delay(self) -> float:
        """Seconds until the next try is allowed; 0.0 when it is."""
        return max(0.0, self._process.get().not_before - self._clock())

    def offer(self, batch: Batch) -> None:
        """Take a batch in. Never waits for the sink, never raises."""
        state = self._process.get()
        with state.lock:
            state.add(batch, self._limit)

    def deliver(self, *, ignore_delay: bool = False) -> bool:
        """
        Call the sink with what waits: once, merged; once per source in the rare case of several.

        Args:
            ignore_delay: Try even if the last failure was a moment ago, as at shutdown.

        Returns:
            Whether everything that waited is delivered; true when nothing waited. False after a failure, while the
            delay of the last one runs, and while another thread is delivering.
        """
        state = self._process.get()
        with state.lock:
            if state.delivering:
                return False
            if not state.heaps:
                return True
            if not ignore_delay and self._clock() < state.not_before:
                return False
            batches = [heap.merged() for heap in state.heaps.values()]
            state.heaps = {}
            state.delivering = True
        return self._send(state, batches)

    def _send(self, state: _State, batches: list[Batch]) -> bool:
        done = 0
        error: BaseException | None = None
        try:
            for batch in batches:
                self._sink(batch)
                done += 1
        except BaseException as caught:  # noqa: BLE001 - the contract of this class
            error = caught
        with state.lock:
            state.delivering = False
            state.delivered += done
            if error is None:
                state.failures = 0
                state.not_before = float("-inf")
            else:
                state.failed += 1
                state.failures += 1
                state.not_before = self._clock() + self._backoff(state.failures)
                state.put_back(batches[done:], self._limit)
        if error is None:
            return True
        self._tell(error)
        if any(base.__name__ in _ENDINGS for base in type(error).__mro__):
            raise error
        return False

    def _backoff(self, failures: int) -> float:
        # The exponent is capped: a sink that is down for weeks would overflow the float.
        return min(self._max_delay, self._first_delay * 2.0 ** min(failures - 1, 60))

    def _tell(self, error: BaseException) -> None:
        if self._on_error is not None:
            with contextlib.suppress(Exception):  # a broken observer must not stop delivery
                self._on_error("sink", error)
