"""
What becomes of judgements: they are counted as findings and given to the sinks, in rounds.

Runs other people's code (redactor, sinks) off the caller's path. What a sink did not take is offered again, merged with
what came since.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import evolve

from shadowmig.engine.guard import Guard
from shadowmig.engine.options import function
from shadowmig.errors import ConfigError
from shadowmig.findings import Tally
from shadowmig.model import Batch, Comparison, Finding, Summary, Verdict
from shadowmig.protocols import Redactor, Sink
from shadowmig.sinks._spool import Spool
from shadowmig.sinks.log import Log

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


class Publisher:
    """
    The findings of one migration in this process, and its sinks.

    Args:
        migration: Its name.
        label: The candidate's build.
        sinks: Where findings go, or ``None`` for the log.
        redact: Takes secrets out of values.
        max_findings: Findings kept in memory.
        max_examples: Examples kept of each.

    Raises:
        ConfigError: A sink or the redactor cannot be called.
    """

    def __init__(
        self, migration: str, *, label: str, sinks: object, redact: Redactor, max_findings: int, max_examples: int
    ) -> None:
        self._migration = migration
        self._label = label
        self._sinks = _checked_sinks(sinks)
        self._redact = function(redact, "redact", "Use a function (value, *, path) that returns a value.")
        self._limits = {"max_findings": max_findings, "max_examples": max_examples}
        self.closing = False
        self.start_over()

    def start_over(self) -> None:
        """Begin with empty counts, as in a new process."""
        self.source = f"{os.getpid():x}-{os.urandom(6).hex()}"
        self.guard = Guard(self._migration, "stats().errors")
        self._tally = Tally(
            self._migration,
            label=self._label,
            redact=self._redact,
            explain=_explain,
            on_error=self.guard.count,
            **self._limits,
        )
        names = _sink_names(self._sinks)
        self._spools = [Spool(s, name=n, on_error=self.guard.count) for s, n in zip(self._sinks, names, strict=True)]
        self._published: dict[str, Summary] = {}
        self._lock = threading.Lock()

    def record(self, comparison: Comparison) -> None:
        """Count a comparison with differences."""
        try:
            self._tally.record(evolve(comparison, verdict=Verdict.MISMATCH))
        except BaseException as error:
            self.guard.count("tally", error)

    def publish(self, summaries: Callable[[], Mapping[str, Summary]]) -> None:
        """Give what is new to the sinks; whatever fails, `summaries` too, is tried again in the next round."""
        try:
            self._offer(summaries())
        except BaseException as error:
            self.guard.count("publish", error)
        for spool in self._spools:
            try:
                spool.deliver(ignore_delay=self.closing)
            except BaseException as error:  # what asks a greenlet or generator to end ends no thread of ours
                self.guard.count("sink", error)

    def _offer(self, summaries: Mapping[str, Summary]) -> None:
        with self._lock:
            latest = {name: summary for name, summary in summaries.items() if summary.calls}
            changed = tuple(each for name, each in latest.items() if self._published.get(name) != each)
            findings = self._tally.changed()
            self._published = latest
        if changed or findings:
            now, lost = datetime.now(UTC), self._tally.lost
            batch = Batch(self.source, self._migration, self._label, now, findings, changed, lost)
            for spool in self._spools:
                spool.offer(batch)

    def findings(self) -> tuple[Finding, ...]:
        """The findings so far, the most frequent first."""
        return self._tally.findings()

    @property
    def lost(self) -> int:
        """Findings not tracked because there were too many."""
        return self._tally.lost

    @property
    def dropped(self) -> dict[str, int]:
        """Findings that sinks never got, by sink."""
        return {spool.name: spool.dropped for spool in self._spools}

    @property
    def pending(self) -> int:
        """Findings and summaries that sinks did not take yet."""
        return sum(spool.pending for spool in self._spools)

    def close(self, until: float) -> bool:
        """Close the sinks that can be; false if one took longer than that time (monotonic seconds)."""
        done = True
        for sink in self._sinks:
            # In a thread, since it may hang, and what it raises must not become the exit code of the process.
            closing = threading.Thread(target=self._close, args=(sink,), name="shadowmig-close", daemon=True)
            try:
                closing.start()
                closing.join(max(0.1, until - time.monotonic()))
            except RuntimeError:  # no thread is to be had, as at the end of the interpreter
                self._close(sink)
            done = done and not closing.is_alive()
        return done

    def _close(self, sink: Sink) -> None:
        close = getattr(sink, "close", None)
        if close is not None:
            try:
                close()
            except BaseException as error:
                self.guard.count("sink", error)


def warm_up() -> None:
    """
    Import now what would else be imported off the caller's path.

    A process that forks while another thread imports leaves its child with half a module. So no thread of ours imports
    anything; sinks import what they need when they are built.
    """
    import asyncio  # noqa: F401 - only to have it imported

    from shadowmig.compare import deep

    deep()  # runs DeepDiff once on nothing


def _explain(control: Any, candidate: Any) -> str:
    """Have DeepDiff explain a pair of containers; of anything else the values say it all."""
    if not isinstance(control, _CONTAINERS) or not isinstance(candidate, _CONTAINERS):
        return ""
    from shadowmig.compare import explain

    return explain(control, candidate)


def _checked_sinks(sinks: object) -> list[Sink]:
    if sinks is None:
        return [Log()]
    remedy = "Use a list of sinks: shadowmig.sinks.Log(), JsonLines(path), Memory(), or functions of a Batch."
    if isinstance(sinks, str | bytes) or not isinstance(sinks, Iterable):
        raise ConfigError(f"sinks is {sinks!r}.", remedy=remedy, field="sinks", value=sinks)
    return [function(sink, "sinks", remedy) for sink in sinks]


def _sink_names(sinks: list[Sink]) -> list[str]:
    """Name sinks by their function or class, several of one name by number too."""
    names: list[str] = []
    for sink in sinks:
        name = str(getattr(sink, "__qualname__", None) or type(sink).__qualname__)
        taken = sum(other.partition(" #")[0] == name for other in names)
        names.append(f"{name} #{taken + 1}" if taken else name)
    return names
