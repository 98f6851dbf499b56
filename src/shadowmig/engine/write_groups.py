"""
Writes brought forward together, so that their records are read in one round trip for each store and side.

`forward` is a generator that tells which calls its next step is about, and how long that may take, so that whoever
drives it can give them up. Between two steps all that is known of a call is kept in its job: another thread can go on
where this one was given up.

Danger: while it holds the records of some calls, it never waits for those of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from attrs import define, field

from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import Job, Outcome, Phase, without_answer
from shadowmig.engine.mirror import by_sister
from shadowmig.engine.write_state import Plan, Seen
from shadowmig.engine.write_steps import Changes
from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Record, Ref, Verdict

if TYPE_CHECKING:
    from shadowmig.engine.mirror import Groups, Mirror
    from shadowmig.engine.writes import WriteExperiment
    from shadowmig.stores.sister import SisterStore

PATIENCE = 4.0
"""Seconds that the stores may take before the checked side runs, and again after it."""

T = TypeVar("T")
Stations: TypeAlias = Iterator[tuple[Sequence[Job], float]]
"""The calls that the next step is about, and seconds it may take."""


def forward(jobs: Sequence[Job], finished: Callable[[Job, Any], None]) -> Stations:
    """
    Bring writes of one migration forward to the desk.

    Args:
        jobs: They are to be checked, or their records are to be looked at again.
        finished: Takes each call with its result.

    Yields:
        What comes next. To be closed if the step that has just ended was given up: then nothing more is done, and the
        records that its calls hold are let go; the others' are not.
    """
    walk = _Walk(finished)
    try:
        yield from walk.all(jobs)
    except GeneratorExit:
        let_go(walk.now)
        raise
    except BaseException:
        let_go(jobs)
        raise


@define(eq=False)
class _Walk:
    """
    One walk of some calls.

    Attributes:
        now: The calls that the step under way, or the last one, is about.
        results: What the last step gave, which counts only if it was not given up.
    """

    finished: Callable[[Job, Any], None]
    now: Sequence[Job] = ()
    results: list[tuple[Job, Any]] = field(factory=list)

    def all(self, jobs: Sequence[Job]) -> Stations:
        if again := [job for job in jobs if job.phase is Phase.RECHECK]:
            yield from self._step(again, PATIENCE)
            self.results += zip(again, look_again(again), strict=True)
        checks = [job for job in jobs if job.phase is Phase.CHECK]
        if fresh := [job for job in checks if job.plan is None]:
            yield from self._step(fresh, PATIENCE)
            ended = self._begin(fresh)
            checks = [job for job in checks if job not in ended]
        yield from self._through([job for job in checks if _plan(job).ready])
        for job in [job for job in checks if not _plan(job).ready]:
            yield from self._wait(job)
        yield from self._step((), math.inf)

    def _step(self, jobs: Sequence[Job], seconds: float) -> Stations:
        """Tell what comes next, and hand out what the step before gave."""
        yield jobs, seconds
        while self.results:
            self.finished(*self.results.pop(0))
        self.now = jobs

    def _begin(self, jobs: Sequence[Job]) -> Collection[Job]:
        """Make plans and the sisters ready, as far as nobody else works on the records; give those that end here."""
        ends = _ended(jobs, plan(jobs))
        free = [job for job in jobs if job not in ends and _plan(job).claim.take(0.0)]
        ends |= _ended(free, ready(free))
        let_go(ends)
        self.results += ends.items()
        return ends

    def _through(self, jobs: Sequence[Job]) -> Stations:
        """Run the checked sides, and look at what they did."""
        ran: list[Job] = []
        for job in jobs:
            if job.ran is None:
                yield from self._step([job], job.experiment.deadline)
                try:
                    job.ran = _of(job).run_side(job)
                except BaseException as error:
                    if job.inline and sent_from_outside(error):
                        raise
                    self.results.append((job, job.failed(error)))  # the others go on
                    let_go([job])
                    continue
            ran.append(job)
        if ran:
            yield from self._step(ran, PATIENCE)
            self.results += zip(ran, look(ran), strict=True)
            let_go(ran)

    def _wait(self, job: Job) -> Stations:
        """Bring a call forward on whose records others were at work."""
        yield from self._step([job], PATIENCE)
        (problem,) = ready([job]) if _plan(job).claim.take(PATIENCE / 2) else [in_use()]
        if problem is None:
            yield from self._through([job])
        else:
            let_go([job])
            self.results.append((job, problem))


def plan(jobs: Sequence[Job]) -> list[Outcome | None]:
    """Find out what calls touched, and what production holds. Gives the outcome of each call that ends here."""
    ends: dict[Job, Outcome] = {}
    for job in jobs:
        begun = _of(job).begin_plan(job)
        if isinstance(begun, Outcome):
            ends[job] = begun
        else:
            job.plan = begun
    going = [job for job in jobs if job not in ends]
    found = _asked(going, "production", lambda: _mirror(going).read_production([_plan(job).wanted for job in going]))
    for job, production in zip(going, found, strict=True):
        ended = production if isinstance(production, Outcome) else _of(job).end_plan(job, _plan(job), production)
        if ended is not None:
            ends[job] = ended
    return [ends.get(job) for job in jobs]


def ready(jobs: Sequence[Job]) -> list[Outcome | None]:
    """Put the sisters into the state that the served sides found; see `plan`."""
    ends: dict[Job, Outcome] = {}
    for job in jobs:
        try:
            known = _plan(job)
            for sister in known.wanted:
                sister.prove()
                known.servers[sister] = sister.proved
        except BaseException as error:
            ends[job] = _of(job).cannot(job, "sister", error)
    going = [job for job in jobs if job not in ends]
    found = _asked(going, "sister", lambda: _mirror(going).read_twins([(_plan(job).wanted, {}) for job in going]))
    stale: dict[Job, list[Record]] = {}
    for job, readings in zip(going, found, strict=True):
        given = readings if isinstance(readings, Outcome) else _of(job).stale(job, _plan(job), readings)
        if isinstance(given, Outcome):
            ends[job] = given
        else:
            stale[job] = given
    for job, problem in _hydrated(stale).items():
        ends[job] = _of(job).cannot(job, "sister", problem)
    for job in jobs:
        _plan(job).ready = job not in ends
    return [ends.get(job) for job in jobs]


def look(jobs: Sequence[Job]) -> list[Outcome]:
    """Read what the sisters hold after the checked sides have run."""
    ends: dict[Job, Outcome] = {}
    pairs: dict[Job, list[tuple[Ref, Ref]]] = {}
    wanted: list[tuple[Groups, Mapping[SisterStore, Any]]] = []
    for job in jobs:
        assert job.ran is not None
        paired = job.ran if job.ran.problem is not None else _of(job).pairs(job, _plan(job), job.ran)
        if isinstance(paired, Outcome):
            ends[job] = paired
            continue
        pairs[job] = paired
        known = _plan(job)
        same = all(ours is theirs for ours, theirs in paired)
        groups: Groups = known.wanted if same else by_sister([*(theirs for _, theirs in paired), *known.before])
        wanted.append((groups, known.marks))
    found = _asked(list(pairs), "sister", lambda: _mirror(list(pairs)).read_twins(wanted))
    changes = Changes()
    for (job, paired), readings in zip(pairs.items(), found, strict=True):
        assert job.ran is not None
        if isinstance(readings, Outcome):
            ends[job] = readings
        else:
            ends[job] = _of(job).see(job, _plan(job), job.ran, paired, readings, changes)
    _expire({sister: job for job in pairs for sister in _plan(job).wanted})
    return [ends[job] for job in jobs]


def look_again(jobs: Sequence[Job]) -> list[Any]:
    """
    Read the records of both sides once more; for each call its records in production, and in the sisters.

    Of a call whose checked side took too long, the sisters are asked whether it was their fault; it gets ``()``.
    """
    results: dict[Job, Any] = {job: _asked([job], "sister", partial(_tried, job))[0] for job in jobs if _is_late(job)}
    others = [job for job in jobs if job not in results]
    results |= zip(others, _reread(others), strict=True)
    return [results[job] for job in jobs]


def _reread(jobs: Sequence[Job]) -> list[Any]:
    if not jobs:
        return []
    seen = [_seen(job) for job in jobs]
    ours: list[Groups] = [by_sister([*(ours for ours, _ in one.pairs), *one.stray]) for one in seen]
    theirs: list[tuple[Groups, Mapping[SisterStore, Any]]] = [
        (by_sister([*(theirs for _, theirs in one.pairs), *one.stray]), {}) for one in seen
    ]
    productions = _asked(jobs, "sister", lambda: _mirror(jobs).read_production(ours))
    twins = _asked(jobs, "sister", lambda: _mirror(jobs).read_twins(theirs))
    lost = [_asked([job], "sister", partial(_kept, job))[0] for job in jobs]
    results: list[Any] = []
    for job, production, readings, kept in zip(jobs, productions, twins, lost, strict=True):
        if isinstance(kept, Outcome):
            results.append(kept)
        elif isinstance(production, Outcome) or isinstance(readings, Outcome):
            results.append(production if isinstance(production, Outcome) else readings)
        else:
            results.append(_of(job).see_again(job, production, readings))
    return results


def _is_late(job: Job) -> bool:
    return job.checked is not None and job.checked.late


def _tried(job: Job) -> list[tuple[()]]:
    """Write a mark to the sisters of a call, for one that hangs may have held up the checked side."""
    for sister in _plan(job).wanted:
        sister.probe()
    return [()]


def _kept(job: Job) -> list[bool]:
    """Ask the sisters that lack something whether they are still what they were."""
    seen = _seen(job)
    for sister in seen.lost:
        sister.still(seen.plan.servers.get(sister))
    seen.kept = seen.kept or bool(seen.lost)
    return [True]


def let_go(jobs: Iterable[Job]) -> None:
    """Let others have the records of calls."""
    for job in jobs:
        if job.plan is not None:
            job.plan.claim.release()


def in_use() -> Outcome:
    """Give the outcome of a call whose records others did not let go."""
    return without_answer(Verdict.RACED, "sister in use")


def _asked(jobs: Sequence[Job], operation: str, ask: Callable[[], Sequence[T | BaseException]]) -> list[T | Outcome]:
    """Ask the stores for several calls, and turn what went wrong into outcomes."""
    if not jobs:
        return []
    try:
        answers = ask()
    except BaseException as error:
        answers = [error] * len(jobs)
    return [
        _of(job).cannot(job, operation, answer) if isinstance(answer, BaseException) else answer
        for job, answer in zip(jobs, answers, strict=True)
    ]


def _hydrated(stale: Mapping[Job, list[Record]]) -> dict[Job, BaseException]:
    """Give the sisters what they lack; tell for which calls that failed."""
    problems: dict[Job, BaseException] = {}
    records: dict[SisterStore, list[Record]] = {}
    for job, found in stale.items():
        try:
            for sister, refs in _plan(job).wanted.items():
                if lent := [ref for ref in refs if ref.kind != "entry"]:
                    sister.lend(lent)
            for record in found:
                records.setdefault(record.ref.owner, []).append(record)
        except BaseException as error:
            problems[job] = error
    for sister, together in records.items():
        try:
            sister.hydrate(together)
        except BaseException as error:
            concerned = {job: [one for one in found if one.ref.owner is sister] for job, found in stale.items()}
            problems |= _hydrated_alone(sister, concerned, error)
    return problems


def _hydrated_alone(
    sister: SisterStore, records: Mapping[Job, list[Record]], error: BaseException
) -> dict[Job, BaseException]:
    """Find the calls for whose sake the sister refused."""
    concerned = {job: own for job, own in records.items() if own}
    if len(concerned) == 1 or not isinstance(error, StoreError) or isinstance(error, StoreUnavailable):
        return dict.fromkeys(concerned, error)
    problems: dict[Job, BaseException] = {}
    for job, own in concerned.items():
        try:
            sister.hydrate(own)
        except BaseException as failure:
            problems[job] = failure
    return problems


def _expire(sisters: Mapping[SisterStore, Job]) -> None:
    """Let the sisters remove what nobody has used for long; that concerns no call."""
    for sister, job in sisters.items():
        try:
            sister.expire()
        except BaseException as error:
            if job.inline and sent_from_outside(error):
                raise
            job.experiment.guard.count("sister", error)


def _ended(jobs: Sequence[Job], ends: Sequence[Outcome | None]) -> dict[Job, Outcome]:
    return {job: end for job, end in zip(jobs, ends, strict=True) if end is not None}


def _plan(job: Job) -> Plan:
    assert job.plan is not None
    return job.plan


def _seen(job: Job) -> Seen:
    assert job.checked is not None and job.checked.seen is not None
    return job.checked.seen


def _mirror(jobs: Sequence[Job]) -> Mirror:
    return _of(jobs[0]).mirror


def _of(job: Job) -> WriteExperiment:
    return cast("WriteExperiment", job.experiment)
