"""What is known of one compared write at one look: facts about each record, and whose is which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from attrs import evolve

from shadowmig.engine.write_state import started_elsewhere, without_versions
from shadowmig.model import Record, Ref, Side
from shadowmig.stores.races import Decision, Facts, same

if TYPE_CHECKING:
    from shadowmig.engine.job import Job
    from shadowmig.engine.renaming import Renaming
    from shadowmig.engine.write_state import Seen
    from shadowmig.stores.history import History


class View:
    """
    One look at one call.

    Args:
        job: The call.
        seen: What the stores held.
        settled: Whether the time to wait is over.
        counter: Whether versions go up by one.
        renaming: Of ids that the candidate made up.
        history: What production held at which version.
        made_up: Whether production may lack what another call wrote.
    """

    def __init__(
        self, job: Job, seen: Seen, *, settled: bool, counter: bool, renaming: Renaming, history: History, made_up: bool
    ) -> None:
        assert job.served is not None
        self.job = job
        self.seen = seen
        self.settled = settled
        self.renaming = renaming
        self.base: Mapping[Ref, Record] = job.base
        self.failed = job.served.error is not None
        self.slack = perf_counter() - job.started
        self._history = history
        self._since = job.base_read or job.started
        self._counter = counter
        self.made_up = made_up
        shown = list(self._shown())
        self._committed = {id(ref.owner) for ref in shown}
        self._row_shown = any(ref.kind == "row" for ref in shown)  # a cache may be written before the commit
        self.weak = without_versions(seen.plan, job)
        self.other_base = started_elsewhere(seen.plan, job, counter=counter)

    @property
    def committed_anywhere(self) -> bool:
        """Whether any store shows the change."""
        return bool(self._committed)

    def _shown(self) -> Iterator[Ref]:
        plan = self.seen.plan
        for ref, record in plan.production.items():
            version, base = plan.versions.get(ref), self.base.get(ref)
            at_version = version is not None and record.version == version and ref.kind != "entry"
            if at_version or (base is not None and not same(base, record)):
                yield ref

    def told(self, ours: Ref, decision: Decision) -> bool:
        """Whether production's state is what an event tells of it, which may be only a part."""
        return decision.proof == "event" and decision.against is not self.seen.plan.production[ours]

    def untouched(self, theirs: Ref) -> bool:
        """Whether the sister's record is as it was before the checked side ran."""
        before = self.seen.plan.before.get(theirs)
        return before is not None and same(before, self.seen.sister[theirs])

    def facts(self, ours: Ref, theirs: Ref) -> Facts:
        """Collect what is known of one record."""
        plan = self.seen.plan
        change = plan.versions.get(ours)
        return Facts(
            production=plan.production[ours],
            sister=self.seen.sister[theirs],
            base=self.base.get(ours),
            change=change,
            state=None if change is None else self._history.at(ours, change, since=self._since),
            event=plan.told.get(ours),
            failed=self.failed,
            undisturbed=self.job.undisturbed,
            alone=plan.alone,
            moved=ours in plan.moved,
            committed=id(ours.owner) in self._committed or (ours.kind == "key" and self._row_shown),
            settled=self.settled,
            still=ours in self.seen.still,
            counter=self._counter,
        )

    def around(self, ref: Ref, decision: Decision) -> tuple[Record, Record] | None:
        """Give production's states right before and right after the change, or ``None`` if they are not known."""
        plan, base = self.seen.plan, self.base.get(ref)
        version = plan.versions.get(ref)
        if type(version) is int and not (base is not None and not base.exists):
            before = (
                base
                if base is not None and base.version == version - 1
                else self._history.at(ref, version - 1, since=self._since)
            )
            now = plan.production[ref]
            after = (
                now
                if now.version == version
                else self._history.at(ref, version, since=self._since)
                or self._history.told(ref, version, since=self._since)
            )
            return None if before is None or after is None else (before, after)
        if base is None or decision.step != "compare" or decision.against is None or not plan.alone:
            return None
        return base, decision.against

    def oriented(self, served: Any, checked: Any) -> tuple[Any, Any]:
        """Give control's and the candidate's of two things: production is written by the served side."""
        return (served, checked) if self.job.row.served is Side.CONTROL else (checked, served)

    def renamed(self, production: Record, sister: Record, renamed: Any) -> tuple[Record, Record]:
        """Put the candidate's renamed value in place."""
        if self.job.row.served is Side.CONTROL:
            return production, evolve(sister, value=renamed)
        return evolve(production, value=renamed), sister
