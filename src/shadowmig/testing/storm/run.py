"""
One storm: writers at work on the old service, a migration around it, and what came of every call.

Danger: nothing in here may help the engine. It is given what a service would give it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from attrs import frozen

from shadowmig.engine.threads import Threads
from shadowmig.errors import ConfigError
from shadowmig.migration import Migration
from shadowmig.model import Finding, Summary, Verdict
from shadowmig.sinks.memory import Memory
from shadowmig.testing.storm._crew import Crew
from shadowmig.testing.storm._experiments import decorate
from shadowmig.testing.storm._plain import Plain
from shadowmig.testing.storm._traffic import Traffic
from shadowmig.testing.storm._watch import Alarm, Watch
from shadowmig.testing.storm._workload import Workload
from shadowmig.testing.storm.candidate import Candidate
from shadowmig.testing.storm.defects import Defect
from shadowmig.testing.storm.service import Control, Invalid
from shadowmig.testing.storm.sites import Site, Versions

MOST_PENDING: Final = 48
"""Sampled writes not yet judged, above which the writers wait: nothing may be shed."""
_FLUSH_SECONDS: Final = 120.0


@frozen
class Outcome:
    """
    What came of a storm.

    Attributes:
        defect: What was planted; ``None`` for nothing.
        writes: Writes made, all sampled.
        seconds: Time taken.
        verdicts: Calls by verdict's name.
        reasons: Calls by what made them ``skipped``, ``broken`` or ``raced``.
        found: Whether a mismatch was reported where the defect must show, and is in the findings at that place.
        place: The first of its places at which it was found: store, path and kind.
        calls: Calls compared until then, that one included.
        false_alarms: Calls with a mismatch where no defect was planted.
        weak: How many of these were marked as weakly proved.
        raced_alone: Calls that were ``RACED`` though nobody else wrote their records meanwhile.
        alarms: Classes of false alarms, the most frequent first.
        plain: Mismatches that a plain comparison reports in the same run; ``None`` if there was none.
        findings: The findings of the run.
        complete: Whether all was judged in time.
    """

    defect: Defect | None
    writes: int
    seconds: float
    verdicts: dict[str, int]
    reasons: dict[str, int]
    found: bool
    place: tuple[str, str, str] | None
    calls: int | None
    false_alarms: int
    weak: int
    raced_alone: int
    alarms: tuple[Alarm, ...]
    plain: int | None
    findings: tuple[Finding, ...]
    complete: bool

    @property
    def raced(self) -> int:
        """Calls that were ``RACED``."""
        return self.verdicts.get("raced", 0)

    @property
    def share_raced(self) -> float:
        """Share of the verdicts that are ``RACED``."""
        return self.raced / (sum(self.verdicts.values()) or 1)

    @property
    def as_it_must_be(self) -> bool:
        """Whether the defect was found, if there was one, and there was no false alarm."""
        return self.complete and not self.false_alarms and (self.defect is None or self.found)


def storm(
    site: Site,
    *,
    writes: int = 2000,
    writers: int = 8,
    records: int = 10,
    defect: Defect | None = None,
    versions: Versions = "column",
    seed: int = 0,
    plain: bool = False,
    until_found: bool = False,
    settle: float = 0.25,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """
    Let writers write, and judge each write.

    Args:
        site: Where the stores are; emptied first.
        writes: How many writes, all sampled.
        writers: Threads that write.
        records: Comments that are written to at a time: the fewer, the hotter.
        defect: What is wrong with the new service; by default nothing.
        versions: What race verdicts have to go by: ``"column"``, ``"native"`` (only the stores' own tokens) or
            ``"none"``.
        seed: Of what is written. Threads make runs with one seed alike, not equal.
        plain: Whether to compare each write plainly too: both stores read once, no races told.
        until_found: Whether to stop as soon as the defect is found.
        settle: Seconds that the judge waits for what has not come yet. Short, for production has committed when its
            handlers return, and there is no replica that could lag.
        progress: Told how many writes were made.

    Raises:
        ConfigError: A number is below 1.
    """
    for name, number in (("writes", writes), ("writers", writers), ("records", records)):
        if number < 1:
            raise ConfigError(f"{name} is {number}.", remedy="Use at least 1.", field=name, value=number)
    traffic, workload = Traffic(), Workload(records, seed)
    watch = Watch(defect, traffic)
    started = time.monotonic()
    with site.open(versions, workload.posts) as stores:
        control, candidate = Control(stores.backend), (defect.candidate if defect else Candidate)(stores.backend)
        plainly = Plain(stores, candidate) if plain else None
        _prepare(control, workload, records)
        runner = Threads(workers=4, queue=MOST_PENDING + 2 * writers + 8, max_wait=_FLUSH_SECONDS)
        with Migration("storm", sinks=[Memory()], runner=runner, budget=1.0, on_comparison=watch) as migration:
            handlers = decorate(migration, stores, control=control, candidate=plainly or candidate, settle=settle)
            crew = Crew(
                handlers,
                workload,
                traffic,
                room=lambda: runner.pending() < MOST_PENDING,
                enough=lambda: until_found and watch.place is not None,
                progress=progress,
            )
            made = crew.run(writes, writers)
            complete = migration.flush(_FLUSH_SECONDS)
            summaries, findings = migration.stats().experiments.values(), migration.findings()
        if plainly is not None:
            plainly.close()
    return Outcome(
        defect=defect,
        writes=made,
        seconds=time.monotonic() - started,
        verdicts={verdict.value: sum(each.verdicts[verdict] for each in summaries) for verdict in Verdict},
        reasons=_reasons(summaries),
        place=watch.place,
        found=watch.place is not None and any(_at(finding, watch.place) for finding in findings),
        calls=watch.found_after,
        false_alarms=watch.false_alarms,
        weak=watch.weak,
        raced_alone=watch.raced_alone,
        alarms=tuple(sorted(watch.alarms.values(), key=lambda alarm: -alarm.count)),
        plain=None if plainly is None else plainly.mismatches,
        findings=findings,
        complete=complete,
    )


def _prepare(control: Control, workload: Workload, records: int) -> None:
    """Have comments to begin with, which nobody compares."""
    dice = workload.dice(-1)
    for _ in range(records):
        with suppress(Invalid):
            workload.learn("create", control.create(*workload.created(dice)))


def _reasons(summaries: Iterable[Summary]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for summary in summaries:
        total.update(summary.reasons)
    return dict(total)


def _at(finding: Finding, place: tuple[str, str, str]) -> bool:
    return (finding.store, finding.path, finding.kind) == place
