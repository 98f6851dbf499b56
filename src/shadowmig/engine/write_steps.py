"""
The steps of a write around its checked side, each for one call: what is to be read, and what is made of it.

They ask the service's functions and look at records, and leave the asking of the stores to `write_groups`, which does
it for several calls at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from shadowmig.engine.entrance import Entrance
from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import Job, Outcome, without_answer
from shadowmig.engine.mirror import by_sister
from shadowmig.engine.write_state import Plan, Seen, learn_events, project, started_elsewhere
from shadowmig.errors import ConfigError, NotIsolated
from shadowmig.model import Call, Reading, Record, Ref, Side, Verdict
from shadowmig.stores.races import alike

if TYPE_CHECKING:
    from shadowmig.engine.mirror import Mirror
    from shadowmig.stores.sister import SisterStore


class Steps(Entrance):
    """The part of a write experiment that looks at records. Each step gives an `Outcome` if the call ends there."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self._not_isolated = False
        super().__init__(*args, **more)

    @property
    def mirror(self) -> Mirror:
        """What the writes of the migration share."""
        return self._get_mirror()

    @property
    def _quiet(self) -> bool:
        return super()._quiet or self._not_isolated

    def _stage_set(self) -> None:
        self._not_isolated = False  # whoever sets the stage has looked into it

    # Before the checked side ---------------------------------------------------------------------------------------

    def begin_plan(self, job: Job) -> Plan | Outcome:
        """Ask the service what the call touched."""
        assert job.served is not None
        operation = "hydrate"
        try:
            job.found()
            operation = "touches"
            failed = job.served.error is not None
            call = job.told()
            refs = self._touched(job, call, failed=failed)
            operation = "carry"
            job.carried = {} if failed else self._carried(job, call)
            operation = "version"
            change = None if failed or self._options.change is None else self._options.change(call)
            operation = "touches"
            everything = [*refs, *job.base]
            return Plan(call, refs, by_sister(everything), change, self.mirror.claims.of(everything))
        except BaseException as error:
            return self.cannot(job, operation, error)

    def end_plan(self, job: Job, plan: Plan, production: dict[Ref, Record]) -> Outcome | None:
        """Take note of what production holds."""
        operation = "production"
        try:
            plan.production = production
            plan.alone = job.ticket is None or job.ticket.alone
            history = self.mirror.history
            for record in job.base.values():
                history.learn(record, when=job.base_read)
            operation = "touches"
            plan.told = learn_events(plan.refs, production, history, job)
            plan.versions = {ref: record.version for ref, record in plan.told.items() if record.version is not None}
            operation = "version"
            self._add_versions(plan, job.base)
            if job.served is not None and job.served.error is None:
                self.mirror.contest.note(job.name, job.base if self._options.counter else {}, plan.versions)
            return None
        except BaseException as error:
            return self.cannot(job, operation, error)

    def stale(self, job: Job, plan: Plan, readings: Mapping[SisterStore, Reading]) -> list[Record] | Outcome:
        """Find what the sister must be given to be in the state that the served side found."""
        try:
            for sister, reading in readings.items():
                plan.marks[sister] = reading.mark
                plan.before.update((record.ref, record) for record in reading.records)
            stale = self._stale(job, plan)
            plan.claim.standing.loose = started_elsewhere(plan, job, counter=self._options.counter)
            return stale
        except BaseException as error:
            return self.cannot(job, "sister", error)

    def _touched(self, job: Job, call: Call, *, failed: bool) -> list[Ref]:
        try:
            refs = dict.fromkeys(self._options.touches(call))
            by_sister(refs)  # raises what a wrong one deserves
            hydrated = {ref: ref for ref in job.base}
            return [hydrated.get(ref, ref) for ref in refs]  # one object for one record is cheaper to look up later
        except Exception as error:
            if not failed or sent_from_outside(error):
                raise
            return list(job.base)  # without an answer there may be no more to name

    def _carried(self, job: Job, call: Call) -> Mapping[str, Any]:
        if self._options.carry is None:
            return {}
        assert job.row.checked is not None
        checked = self._sides[job.row.checked]
        carried = dict(self._options.carry(call))
        if checked.takes_any:
            return carried
        known = {name: value for name, value in carried.items() if name in checked.parameters.all}
        if len(known) < len(carried) and job.row.checked is Side.CANDIDATE:
            unknown = ", ".join(sorted(set(carried) - set(known)))
            raise ConfigError(
                f"carry gives {unknown}, which {checked.name} does not take.",
                remedy="Give it a parameter with a default for each carried value.",
                field="carry",
            )
        return known  # the old implementation, checked while the new one is served, need not know them

    def _add_versions(self, plan: Plan, base: Mapping[Ref, Record]) -> None:
        if plan.change is None:
            return
        if isinstance(plan.change, Mapping):
            plan.versions.update(plan.change)
            return
        for ref, record in plan.production.items():
            before = base.get(ref)
            records = (record, *([before] if before is not None else []))
            if ref.kind != "entry" and any(record.version is not None for record in records):
                plan.versions[ref] = plan.change

    def _stale(self, job: Job, plan: Plan) -> list[Record]:
        """Find the records that the sister must be given, and note those of which nobody knows what the write found."""
        assert job.served is not None
        stale = []
        mirror = self.mirror
        for ref in sorted((ref for ref in plan.before if ref.kind != "entry"), key=lambda ref: ref.kind != "row"):
            now, base = plan.before[ref], job.base.get(ref)
            if base is None:
                want = mirror.undone(ref) or now
            elif job.served.error is not None:
                want = base
            else:
                found = self._found_by(ref, base, plan, since=job.base_read)
                if found is None:
                    plan.moved.add(ref)
                want = found or now
            if not alike(now, want):
                stale.append(want)
                plan.before[ref] = want
        for ref in plan.refs:
            if ref.kind == "row" and ref not in job.base and _ahead(plan.before[ref], plan.versions.get(ref)):
                plan.moved.add(ref)  # a later write came first: to its record, this one is no news
        return stale

    def _found_by(self, ref: Ref, base: Record, plan: Plan, *, since: float) -> Record | None:
        """Give the state of a record that the served write itself found; ``None`` if nobody knows it any more."""
        version = plan.versions.get(ref)
        if not self._options.counter or type(version) is not int:
            return base
        if base.exists and base.version == version - 1:
            return base
        if not base.exists and plan.alone:
            return base
        history = self.mirror.history
        known = history.at(ref, version - 1, since=since)
        if known is not None:
            return known
        now, told = plan.before[ref], history.told(ref, version - 1, since=since, base=base)
        if told is not None and now.version == version - 1 and alike(project(now, told), told):
            return now
        if ref.kind == "key" and any(other.kind == "row" and other not in plan.moved for other in plan.before):
            return base  # a cache may lag behind its row, whatever the write found
        return None

    # After it ------------------------------------------------------------------------------------------------------

    def pairs(self, job: Job, plan: Plan, outcome: Outcome) -> list[tuple[Ref, Ref]] | Outcome:
        """Say which records of production and sister are to be compared."""
        try:
            if outcome.error is not None and (job.served is None or job.served.error is not outcome.error):
                if any(sister.is_outage(kind) for sister in plan.wanted for kind in outcome.kinds):
                    self.guard.count("sister", f"the checked side got {outcome.error.__name__}")
                    return without_answer(Verdict.BROKEN, "sister")
                for sister in plan.wanted:
                    sister.probe()  # it may have failed for the sister's sake
            pairs = self._pairs(job, plan, outcome)
            plan.claim.add([theirs for _, theirs in pairs])
            return pairs
        except BaseException as error:
            return self.cannot(job, "sister", error)

    def _pairs(self, job: Job, plan: Plan, outcome: Outcome) -> list[tuple[Ref, Ref]]:
        """Pair production's refs with the sister's: others where the checked side makes up ids of its own."""
        if not self._options.generated or outcome.frozen is None:
            return [(ref, ref) for ref in plan.refs]
        try:
            theirs = list(self._options.touches(job.call(outcome.frozen.thaw())))
        except Exception as error:
            if job.inline and sent_from_outside(error):
                raise
            theirs = []  # its answer lacks something, which the comparison of the answers tells
        own = list(self._options.touches(plan.call))
        theirs += own[len(theirs) :]
        return list(zip(own, theirs, strict=False))

    def see(
        self,
        job: Job,
        plan: Plan,
        outcome: Outcome,
        pairs: list[tuple[Ref, Ref]],
        readings: Mapping[SisterStore, Reading],
        changes: Changes,
    ) -> Outcome:
        """Take note of what the sister holds now."""
        try:
            held = {record.ref: record for reading in readings.values() for record in reading.records}
            stray = _stray(plan, [changes.of(reading) for reading in readings.values()])
            outcome.seen = Seen(plan, pairs, held, dict(held), stray, perf_counter())
            return outcome
        except BaseException as error:
            return self.cannot(job, "sister", error)

    def see_again(self, job: Job, production: dict[Ref, Record], readings: Mapping[SisterStore, Reading]) -> Any:
        """Take note of what both sides hold at a later look: give production's records, the sister's, and events."""
        try:
            assert job.checked is not None and job.checked.seen is not None
            twins = {record.ref: record for reading in readings.values() for record in reading.records}
            refs = job.checked.seen.plan.refs
            return production, twins, learn_events(refs, production, self.mirror.history, job)
        except BaseException as error:
            return self.cannot(job, "sister", error)

    def cannot(self, job: Job, operation: str, error: BaseException) -> Outcome:
        """Give the outcome of a call whose stores, or functions, could not be asked."""
        if job.inline and sent_from_outside(error):
            raise error
        if isinstance(error, NotIsolated):
            self.guard.count("not_isolated", error)
            self._not_isolated = True
            self._apply()
            return without_answer(Verdict.SKIPPED, "not_isolated")
        self.guard.count(operation, error)
        return without_answer(Verdict.BROKEN, operation)


class Changes:
    """What readings tell to have changed, by ref; calls that were read together share what they were told."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Reading, dict[Ref, Any]]] = {}

    def of(self, reading: Reading) -> dict[Ref, Any]:
        """Give the refs of what changed, with their places among the changes."""
        known = self._known.get(id(reading.changed))
        if known is None:
            # With the reading, so that no other object gets this id.
            known = self._known[id(reading.changed)] = reading, {change.ref: change.at for change in reading.changed}
        return known[1]


def _stray(plan: Plan, changes: Iterable[dict[Ref, Any]]) -> dict[Ref, Any]:
    """Find what was written meanwhile and nobody named, with its place among the changes."""
    named = plan.claim.refs | plan.claim.others
    return {ref: changed[ref] for changed in changes for ref in changed.keys() - named}


def _ahead(sister: Record, version: Any) -> bool:
    """Whether the sister's record is at a write's version already, or past it, before the write was made there."""
    return type(version) is int and type(sister.version) is int and sister.version >= version
