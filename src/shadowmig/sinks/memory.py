"""
Findings kept in this process's memory.

**When:** tests, notebooks, a debug page.
**Example:** ``seen = Memory(); Migration("comments", sinks=[seen]); ...; assert not seen.findings``
**Units:** ``max_findings`` is a number of findings.
**When it is down:** it cannot be; above its limit it forgets what was updated longest ago, and counts that.
"""

from __future__ import annotations

import threading

from attrs import define, field

from shadowmig.errors import ConfigError
from shadowmig.model import Batch, Finding, Summary
from shadowmig.sinks._perprocess import PerProcess


@define
class _State:
    lock: threading.Lock = field(factory=threading.Lock)
    findings: dict[tuple[str, str], Finding] = field(factory=dict)
    summaries: dict[tuple[str, str], Summary] = field(factory=dict)
    batches: int = 0
    dropped: int = 0


class Memory:
    """
    Keep the latest of each finding and summary, per source.

    Thread-safe. A forked child starts empty.

    Args:
        max_findings: Most findings kept, and most summaries.

    Raises:
        ConfigError: If ``max_findings`` is below 1.
    """

    def __init__(self, *, max_findings: int = 10_000) -> None:
        if max_findings < 1:
            raise ConfigError("max_findings must be at least 1.", field="max_findings", value=max_findings)
        self._limit = max_findings
        self._process: PerProcess[_State] = PerProcess(_State)

    def __call__(self, batch: Batch) -> None:
        """Take a batch in; what it tells replaces what the same source told before."""
        state = self._process.get()
        with state.lock:
            state.batches += 1
            for finding in batch.findings:
                # Taken out first, so that the order of the dict is the order of the last update.
                state.findings.pop((batch.source, finding.fingerprint), None)
                state.findings[batch.source, finding.fingerprint] = finding
            for summary in batch.summaries:
                state.summaries.pop((batch.source, summary.experiment), None)
                state.summaries[batch.source, summary.experiment] = summary
            for kept in (state.findings, state.summaries):
                while len(kept) > self._limit:
                    del kept[next(iter(kept))]
                    state.dropped += 1

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The latest of each finding, by source; the one updated last comes last."""
        state = self._process.get()
        with state.lock:
            return tuple(state.findings.values())

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The latest summary of each experiment, by source; the one updated last comes last."""
        state = self._process.get()
        with state.lock:
            return tuple(state.summaries.values())

    @property
    def batches(self) -> int:
        """Number of batches taken since it was built or cleared."""
        return self._process.get().batches

    @property
    def dropped(self) -> int:
        """Number of findings and summaries forgotten because it was full."""
        return self._process.get().dropped

    def clear(self) -> None:
        """Forget everything; the counters start at 0 again."""
        state = self._process.get()
        with state.lock:
            state.findings.clear()
            state.summaries.clear()
            state.batches = state.dropped = 0
