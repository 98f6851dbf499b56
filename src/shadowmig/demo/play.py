"""
One run of the demo: a service with a migration around it, as a user would write it, and users at work.

Danger: nothing in here may help the engine. It sees two sets of functions and some rules, as it would in a service.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from shadowmig.compare import structural
from shadowmig.demo.defects import Defect
from shadowmig.demo.legacy import Legacy
from shadowmig.demo.rewrite import Client
from shadowmig.demo.store import CommentNotFound, Store
from shadowmig.demo.traffic import Editors, Plan
from shadowmig.demo.truth import Truth
from shadowmig.engine.breaker import Breaker
from shadowmig.migration import Migration
from shadowmig.model import Finding, Summary, Verdict
from shadowmig.protocols import Sink
from shadowmig.sinks import JsonLines, Memory

ROUNDS: Final = 4
_FEWEST, _MOST = 2_000, 5_000
_MOST_SECONDS: Final = 12.0
"""Time after which a run whose length nobody chose goes on to its last part, so that slow machines finish too."""
_MOST_PENDING: Final = 200
_CLOSE_SECONDS: Final = 20.0


@frozen
class Outcome:
    """
    What came of a run.

    Attributes:
        findings: As the sink got them, the most frequent first.
        summaries: The same, by name.
        truth: What really happened.
        defects: Those that were planted.
        calls: Calls made.
        edits: Edits made meanwhile.
        seconds: Time taken.
        complete: Whether every call was judged in time.
        interrupted: Whether the user ended it early.
    """

    findings: tuple[Finding, ...]
    summaries: tuple[Summary, ...]
    truth: Truth
    defects: tuple[Defect, ...]
    calls: int
    edits: int
    seconds: float
    complete: bool
    interrupted: bool

    def found(self, defect: Defect) -> list[Finding]:
        """Return the findings at the places of a defect; all places must have one."""
        findings = [each for each in self.findings if each.experiment == defect.endpoint and _shows(defect, each)]
        return findings if len({(each.path, each.kind) for each in findings}) >= len(defect.places) else []

    def unexplained(self) -> list[Finding]:
        """Return the findings at places where no defect was planted."""
        return [
            each
            for each in self.findings
            if not any(defect.endpoint == each.experiment and _shows(defect, each) for defect in self.defects)
        ]

    def missed(self) -> list[Defect]:
        """Return the defects that were reported for a call and are in no finding."""
        return [each for each in self.truth.sightings if not self.found(each)]

    def count(self, verdict: Verdict) -> int:
        """Return the number of calls with a verdict."""
        return sum(summary.verdicts[verdict] for summary in self.summaries)

    @property
    def as_it_must_be(self) -> bool:
        """Whether every planted defect was found wherever it could be, and nothing else was reported."""
        truth = self.truth
        wrong = truth.false + truth.raced_as_mismatch + truth.overlooked + self.count(Verdict.BROKEN)
        return self.complete and not wrong and not self.unexplained() and not self.missed()


def _shows(defect: Defect, finding: Finding) -> bool:
    return defect.shows(finding.path, finding.kind, finding.types)


def play(
    comments: Iterable[Mapping[str, Any]],
    *,
    defects: Sequence[Defect],
    seed: int,
    calls: int | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """
    Run both services over comments while editors change them.

    Args:
        comments: What is in the store.
        defects: What is wrong with the rewrite.
        seed: Of who reads and edits what.
        calls: Number of calls; by default enough to read everything a few times.
        out: Where findings are written; nowhere if ``None``.
        progress: Told the number of calls made, and of all.

    Raises:
        ConfigError: The findings file cannot be written.
    """
    store, truth = Store(comments), Truth()
    plan = Plan(store, seed)
    memory = Memory()
    sinks: list[Sink] = [memory] if out is None else [memory, JsonLines(out)]
    migration = Migration("demo", sinks=sinks, budget=0.5, label=f"rewrite, seed {seed}", on_comparison=truth.check)
    handlers = decorate(migration, Legacy(store, truth), Client(store, truth, defects))
    for comment_id in plan.deleted:
        store.delete(comment_id)
    total = calls or min(max(ROUNDS * plan.round(), _FEWEST), _MOST)
    reader = _Reader(migration, handlers, plan, total, progress)
    started = time.monotonic()
    with _interrupts(reader.stop):
        reader.read_all(until=None if calls else started + _MOST_SECONDS)
    interrupted = reader.stopped
    complete = migration.close(1.0 if interrupted else _CLOSE_SECONDS)
    return Outcome(
        findings=tuple(sorted(memory.findings, key=lambda each: (-each.count, each.experiment, each.path))),
        summaries=tuple(sorted(memory.summaries, key=lambda each: each.experiment)),
        truth=truth,
        defects=tuple(defects),
        calls=reader.done,
        edits=store.edits,
        seconds=time.monotonic() - started,
        complete=complete,
        interrupted=interrupted,
    )


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """
    Have Ctrl-C call a function, for as long as the ``with`` block lasts.

    As an exception it could arise in a finalizer, where Python drops it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def decorate(migration: Migration, legacy: Legacy, rewrite: Client) -> dict[str, Callable[..., Any]]:
    """Put each endpoint of the old service under comparison with the new one."""
    # A busy machine must not end the show half-way, so candidates may be late and the breaker lets all pass.
    patience: dict[str, Any] = {"deadline": 10.0, "breaker": Breaker(errors=2, overhead=60.0)}
    return {
        "get_comment": migration.read(
            legacy.get_comment,
            candidate=rewrite.get_comment,
            name="get_comment",
            compare=structural(unordered=["$.badges"], timestamps={"$.created_at": "ms", "$.edited_at": "ms"}),
            version=_version,
            **patience,
        ),
        "list_comments": migration.read(
            legacy.list_comments,
            candidate=rewrite.list_comments,
            name="list_comments",
            compare=structural(ignore=["$.served_by"], timestamps={"$.children[*].created_at": "ms"}),
            version=_version,
            **patience,
        ),
        "get_author": migration.read(
            legacy.get_author, candidate=rewrite.get_author, name="get_author", version=_version, **patience
        ),
    }


def _version(answer: dict[str, Any]) -> Any:
    # An empty answer has none; it is then compared like any other.
    return answer.get("version")


class _Reader:
    """Makes the calls, with editors at work until the last quarter."""

    def __init__(
        self,
        migration: Migration,
        handlers: Mapping[str, Callable[..., Any]],
        plan: Plan,
        total: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self.done = 0
        self.stopped = False
        self._migration = migration
        self._handlers = handlers
        self._visits = plan.visits()
        self._editors = Editors(plan)
        self._total = total
        # In the end nobody edits, for one round if there is time: even what is always edited is compared then.
        self._quiet = min(plan.round(), total // 4)
        self._progress = progress

    def stop(self) -> None:
        """Have `read_all` return soon."""
        self.stopped = True

    def read_all(self, until: float | None) -> None:
        """Make all calls; past a time (monotonic seconds) only those of the last part."""
        try:
            self._editors.start()
            self._read(self._total - self._quiet, until)
            self._editors.stop()
            self._read(self._quiet, None if until is None else until + _MOST_SECONDS / 3)
        finally:
            self._editors.stop()

    def _read(self, count: int, until: float | None) -> None:
        for visit in islice(self._visits, count):
            self.done += 1
            # Some readers ask for what is gone.
            with suppress(CommentNotFound):
                self._handlers[visit.endpoint](**visit.arguments, request=self.done)
            if self.done % 20 == 0:
                self._progress(self.done, self._total)
                self._wait_for_judges()
                if until is not None and time.monotonic() > until:
                    return
            if self.stopped:
                return

    def _wait_for_judges(self) -> None:
        # Readers pause when they are far ahead, so that nothing is shed: a service would let it be.
        while self._migration.stats().pending > _MOST_PENDING and not self.stopped:
            time.sleep(0.005)
