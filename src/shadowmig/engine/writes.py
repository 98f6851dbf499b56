"""
One write under comparison: what happens around the two sides of a call.

On the caller's path production's records are read just before the write (`hydrate`). Off it the sister is put into the
state that the write found, the checked side runs, and the records of both are read; the judge compares them.

Danger: the records of one entity are at stake in one lane at a time. The lane is free again when the sister has been
read, not before: the next write would change what is to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

from shadowmig.engine import bridge
from shadowmig.engine.claims import Claim
from shadowmig.engine.entrance import Entrance
from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import Job, Outcome, without_answer
from shadowmig.engine.mirror import Mirror, by_sister
from shadowmig.engine.write_judge import WriteJudge
from shadowmig.engine.write_state import Plan, Seen, learn_events, project, started_elsewhere
from shadowmig.errors import ConfigError, NotIsolated, StoreError
from shadowmig.model import MISSING, Call, Reading, Record, Ref, Side, Verdict
from shadowmig.side import MIRRORED
from shadowmig.stores.races import alike

if TYPE_CHECKING:
    from shadowmig.stores.sister import SisterStore

CLAIM_PAUSE: Final = 0.002
"""Seconds between two tries of a task to get hold of its records."""
PATIENCE = 4.0
"""Seconds that the stores may take around the checked side's own deadline."""


class WriteExperiment(Entrance):
    """One write under comparison. Built by ``Migration.write``; get it by name from ``Migration.experiments``."""

    def __init__(self, *args: Any, mirror: Callable[[], Mirror], **more: Any) -> None:
        self._not_isolated = False
        super().__init__(*args, mirror=mirror, **more)

    def _new_judge(self) -> WriteJudge:
        return WriteJudge(self._options, self.guard, self._counts, self._get_mirror)

    @property
    def check_seconds(self) -> float:
        """Seconds that the step of the checked side may take, stores included."""
        return self.deadline + PATIENCE

    @property
    def recheck_seconds(self) -> float:
        """Seconds that reading the records again may take."""
        return PATIENCE

    @property
    def _quiet(self) -> bool:
        return super()._quiet or self._not_isolated

    def _stage_set(self) -> None:
        self._not_isolated = False  # whoever sets the stage has looked into it

    # Off the caller's path: around the checked side ----------------------------------------------------------------

    def run_checked(self, job: Job) -> Outcome:
        """Put the sister into place, run the checked side in a worker, and read what came of it."""
        plan = self._before(job)
        if isinstance(plan, Outcome):
            return plan
        with plan.claim:
            taken = plan.claim.take(PATIENCE / 2)
            if (problem := self._ready(job, plan) if taken else _in_use()) is not None:
                return problem
            job.side_runs = True
            outcome = super().run_checked(job)
            job.side_runs = False
            return self._after(job, plan, outcome)

    async def run_checked_async(self, job: Job) -> Any:
        """Do the same on the running loop; the stores are asked in threads of our own."""
        return await self._contained(job, self._check_async(job))

    async def _contained(self, job: Job, step: Coroutine[Any, Any, Any]) -> Any:
        """Let nothing of ours out of a task, for some exceptions would end the service's loop."""
        try:
            return await step
        except BaseException as error:
            if bridge.cancelled_from_outside(error):
                raise
            return job.failed(error)

    async def _check_async(self, job: Job) -> Outcome:
        plan = await self._in_thread(self._before, job)
        if isinstance(plan, Outcome):
            return plan
        with plan.claim:
            taken = await self._take(plan.claim)  # not in a thread: those who wait would keep out who is to leave
            problem: Outcome | None = await self._in_thread(self._ready, job, plan) if taken else _in_use()
            if problem is not None:
                return problem
            job.side_runs = True
            outcome = await super().run_checked_async(job)
            job.side_runs = False
            after: Outcome = await self._in_thread(self._after, job, plan, outcome)
            return after

    async def _take(self, claim: Claim) -> bool:
        import asyncio

        end = monotonic() + PATIENCE / 2
        while not claim.take(0.0):
            if monotonic() >= end:
                return False
            await asyncio.sleep(CLAIM_PAUSE)
        return True

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        import asyncio

        return await asyncio.wrap_future(self._get_mirror().errands.run(function, *args))

    def _enter(self, side: Side) -> None:
        super()._enter(side)
        MIRRORED.set(True)

    def _thaw(self, job: Job) -> tuple[tuple[Any, ...], dict[str, Any]] | Outcome:
        arguments = super()._thaw(job)
        if isinstance(arguments, Outcome):
            return arguments
        args, kwargs = list(arguments[0]), dict(arguments[1])
        given = self.parameters.names[: len(args)]
        for name, value in job.carried.items():
            if name in given:
                args[given.index(name)] = value
            else:
                kwargs[name] = value
        return tuple(args), kwargs

    def _before(self, job: Job) -> Plan | Outcome:
        """Find out what to compare, and what production holds."""
        assert job.served is not None
        operation = "touches"
        try:
            failed = job.served.error is not None
            call = job.call(MISSING if job.served.frozen is None else job.served.frozen.thaw())
            refs = self._touched(job, call, failed=failed)
            operation = "carry"
            job.carried = {} if failed else self._carried(job, call)
            operation = "version"
            change = None if failed or self._options.change is None else self._options.change(call)
            operation = "production"
            mirror = self._get_mirror()
            wanted = list(dict.fromkeys([*refs, *job.base]))
            production = mirror.read_production(wanted)
            alone = job.ticket is None or job.ticket.alone
            for record in job.base.values():
                mirror.history.learn(record, when=job.base_read)
            operation = "touches"
            told = learn_events(refs, production, mirror.history, when=job.submitted_at)
            versions = {ref: record.version for ref, record in told.items() if record.version is not None}
            operation = "version"
            self._add_versions(versions, change, wanted, production, job.base)
            claim = mirror.claims.of(wanted)
            return Plan(call, refs, versions, told, production, alone, claim)
        except BaseException as error:
            return self._cannot(job, operation, error)

    def _touched(self, job: Job, call: Call, *, failed: bool) -> list[Ref]:
        try:
            refs = list(dict.fromkeys(self._options.touches(call)))
            by_sister(refs)
            return refs
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

    def _add_versions(
        self,
        versions: dict[Ref, Any],
        change: Any,
        refs: list[Ref],
        production: Mapping[Ref, Record],
        base: Mapping[Ref, Record],
    ) -> None:
        if change is None:
            return
        if isinstance(change, Mapping):
            versions.update(change)
            return
        for ref in refs:
            before = base.get(ref)
            records = (production[ref], *([before] if before is not None else []))
            if ref.kind != "entry" and any(record.version is not None for record in records):
                versions[ref] = change

    def _ready(self, job: Job, plan: Plan) -> Outcome | None:
        """Put the sister into the state that the served side found."""
        try:
            mirror = self._get_mirror()
            mirror.prove([*plan.refs, *job.base])
            wanted = [ref for ref in dict.fromkeys([*plan.refs, *job.base]) if ref.kind != "entry"]
            readings = mirror.read_twins(dict.fromkeys([*wanted, *plan.refs]))
            for sister, reading in readings.items():
                plan.marks[sister] = reading.mark
                plan.before.update((record.ref, record) for record in reading.records)
            stale = self._stale(job, plan)
            plan.claim.standing.loose = started_elsewhere(plan, job, counter=self._options.counter)
            for sister, group in by_sister(wanted).items():
                sister.lend(group)
                records = [record for record in stale if record.ref.owner is sister]
                if records:
                    sister.hydrate(records)
            return None
        except BaseException as error:
            return self._cannot(job, "sister", error)

    def _stale(self, job: Job, plan: Plan) -> list[Record]:
        """Find the records that the sister must be given, and note those of which nobody knows what the write found."""
        assert job.served is not None
        stale = []
        mirror = self._get_mirror()
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
        history = self._get_mirror().history
        known = history.at(ref, version - 1, since=since)
        if known is not None:
            return known
        now, told = plan.before[ref], history.told(ref, version - 1, since=since)
        if told is not None and now.version == version - 1 and alike(project(now, told), told):
            return now
        if ref.kind == "key" and any(other.kind == "row" and other not in plan.moved for other in plan.before):
            return base  # a cache may lag behind its row, whatever the write found
        return None

    def _after(self, job: Job, plan: Plan, outcome: Outcome) -> Outcome:
        """Read what the sister holds now."""
        if outcome.problem is not None:
            return outcome
        if outcome.duration > self.deadline:
            outcome.late = True
        try:
            mirror = self._get_mirror()
            if outcome.error is not None and (job.served is None or job.served.error is not outcome.error):
                if issubclass(outcome.error, StoreError):
                    self.guard.count("sister", f"the checked side got {outcome.error.__name__}")
                    return without_answer(Verdict.BROKEN, "sister")
                mirror.probe([*plan.refs, *job.base])  # it may have failed for the sister's sake
            pairs = self._pairs(job, plan, outcome)
            twins = [twin for _, twin in pairs]
            plan.claim.add(twins)
            readings = mirror.read_twins(dict.fromkeys([*twins, *plan.before]), plan.marks)
            held = {record.ref: record for reading in readings.values() for record in reading.records}
            outcome.seen = Seen(plan, pairs, held, dict(held), _stray(plan, readings), perf_counter())
            for sister in readings:
                sister.expire()
        except BaseException as error:
            return self._cannot(job, "sister", error)
        return outcome

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

    def _cannot(self, job: Job, operation: str, error: BaseException) -> Outcome:
        """Give the outcome of a call whose stores could not be asked."""
        if job.inline and sent_from_outside(error):
            raise error
        if isinstance(error, NotIsolated):
            self.guard.count("not_isolated", error)
            self._not_isolated = True
            self._apply()
            return without_answer(Verdict.SKIPPED, "not_isolated")
        self.guard.count(operation, error)
        return without_answer(Verdict.BROKEN, operation)

    # Reading again -------------------------------------------------------------------------------------------------

    def run_again(self, job: Job) -> Any:
        """Read the records of both sides once more."""
        if job.inline:
            _sleep_until(job.not_before)
        return self._look_again(job)

    async def run_again_async(self, job: Job) -> Any:
        """Do the same on the running loop."""
        if job.inline:
            await self._contained(job, self._in_thread(_sleep_until, job.not_before))
        return await self._contained(job, self._in_thread(self._look_again, job))

    def _look_again(self, job: Job) -> Any:
        assert job.checked is not None
        seen = job.checked.seen
        assert seen is not None
        try:
            mirror = self._get_mirror()
            production = mirror.read_production([*(ours for ours, _ in seen.pairs), *seen.stray])
            readings = mirror.read_twins([*(theirs for _, theirs in seen.pairs), *seen.stray])
            twins = {record.ref: record for reading in readings.values() for record in reading.records}
            return production, twins, learn_events(seen.plan.refs, production, mirror.history, when=job.submitted_at)
        except BaseException as error:
            return self._cannot(job, "sister", error)

    def given_up(self, job: Job) -> Outcome:
        """Give the outcome of a check that ran out of time: the side's fault if it was running, else the stores'."""
        if job.side_runs:
            return super().given_up(job)
        self.guard.count("sister", "the stores took too long")
        return without_answer(Verdict.BROKEN, "sister")


def _stray(plan: Plan, readings: Mapping[SisterStore, Reading]) -> dict[Ref, Any]:
    """Find what was written meanwhile and nobody named, with its place among the changes."""
    changed = {
        sister.named(change.ref): change.at for sister, reading in readings.items() for change in reading.changed
    }
    return {ref: at for ref, at in changed.items() if ref not in plan.claim.refs and ref not in plan.claim.others}


def _ahead(sister: Record, version: Any) -> bool:
    """Whether the sister's record is at a write's version already, or past it, before the write was made there."""
    return type(version) is int and type(sister.version) is int and sister.version >= version


def _in_use() -> Outcome:
    return without_answer(Verdict.RACED, "sister in use")


def _sleep_until(moment: float) -> None:
    import time

    time.sleep(max(0.0, moment - monotonic()))
