"""What is known of one sampled write at each of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from shadowmig.engine.claims import Claim
from shadowmig.model import MISSING, Call, Record, Ref
from shadowmig.stores.history import History
from shadowmig.stores.races import same

if TYPE_CHECKING:
    from shadowmig.engine.job import Job
    from shadowmig.engine.mirror import Groups
    from shadowmig.stores.sister import SisterStore


@define
class Plan:
    """
    What is known right before the checked side runs.

    Attributes:
        call: The call as the service's functions see it, with its answer.
        refs: What it touched.
        wanted: The same, and what was hydrated, by sister store.
        change: What ``version=`` told.
        claim: Its hold on these records.
        versions: The version that the call gave each record, where that is known.
        told: The states that its events tell.
        production: What production holds.
        alone: Whether no other sampled write to these records was seen.
        before: What the sister holds.
        marks: When the sisters were read, as they count.
        servers: Which servers they were.
        moved: Records of which nobody knows what the write found.
        ready: Whether the sister is in the state that the write found.
    """

    call: Call
    refs: list[Ref]
    wanted: Groups
    change: Any
    claim: Claim
    versions: dict[Ref, Any] = field(factory=dict)
    told: dict[Ref, Record] = field(factory=dict)
    production: dict[Ref, Record] = field(factory=dict)
    alone: bool = False
    before: dict[Ref, Record] = field(factory=dict)
    marks: dict[SisterStore, Any] = field(factory=dict)
    servers: dict[SisterStore, str | None] = field(factory=dict)
    moved: set[Ref] = field(factory=set)
    ready: bool = False


@define
class Seen:
    """
    What the stores held when both sides had run.

    Attributes:
        plan: What was known before.
        pairs: Refs of the records to compare, in production and in the sister.
        sister: The sister's records right after the checked side ran.
        latest: The same, read again later.
        stray: Records that the checked side wrote although ``touches`` does not name them.
        still: Records that two reads found alike, on both sides.
        since: When they were read first (`perf_counter`).
        looks: How often they were read.
        lost: Sister stores that lack what the checked side may have written, so that they may have lost it.
        kept: Whether they were found to be the servers that they were.
    """

    plan: Plan
    pairs: list[tuple[Ref, Ref]]
    sister: dict[Ref, Record]
    latest: dict[Ref, Record]
    stray: dict[Ref, Any]
    since: float
    still: set[Ref] = field(factory=set)
    looks: int = 1
    lost: set[SisterStore] = field(factory=set)
    kept: bool = False


def started_elsewhere(plan: Plan, job: Job, *, counter: bool) -> bool:
    """
    Whether the checked side did not start from the state that the served side found, or nobody can tell.

    Args:
        plan: What is known now.
        job: The call.
        counter: Whether versions go up by one.
    """
    rows = [ref for ref in job.base if ref.kind == "row"] or list(job.base)
    if any(ref in plan.moved for ref in [*rows, *plan.refs] if ref.kind == "row" or ref in rows):
        return True
    failed = job.served is not None and job.served.error is not None
    for ref in rows:
        base, now = job.base[ref], plan.production[ref]
        if failed:
            if not job.undisturbed and not same(base, now):
                return True
        elif counter and ref not in plan.versions and _far(base.version, now.version):
            return True
    return not failed and not job.undisturbed and without_versions(plan, job)


def without_versions(plan: Plan, job: Job) -> bool:
    """Whether no version tells which state the write found, although records were hydrated."""
    records = [*job.base.values(), *(plan.production[ref] for ref in job.base)]
    return bool(records) and all(record.version is None for record in records)


def _far(before: Any, after: Any) -> bool:
    """Whether one number is past the other by more than one."""
    return type(before) is int and type(after) is int and after > before + 1


def learn_events(
    refs: Iterable[Ref], production: Mapping[Ref, Record], history: History, job: Job
) -> dict[Ref, Record]:
    """
    Learn from production's events what records they tell of, at which version.

    Args:
        refs: What the call touched.
        production: What production holds.
        history: Where to keep it.
        job: The call.

    Returns:
        The states that the call's change gave those records; `MISSING` for one that is gone.
    """
    told: dict[Ref, Record] = {}
    for ref in refs:
        event = production.get(ref)
        if event is None or not event.exists or not ref.stands_for:
            continue
        for number, (target, take) in enumerate(ref.stands_for.items()):
            state = take(event.value)
            value = MISSING if state is None else state
            version = target.owner.version_of(target, value)
            if version is None and (number == 0 or value is MISSING):
                version = event.version  # which is that of the record it tells of first
            record = told[target] = Record(target, value, version)
            history.tell(record, when=job.submitted_at, base=job.base.get(target))
    return told


def project(record: Record, told: Record) -> Record:
    """Take out of a record what an event tells of it."""
    if isinstance(record.value, Mapping) and isinstance(told.value, Mapping):
        value = {name: one for name, one in record.value.items() if name in told.value}
        return evolve(record, value=value, raw=None, meta={})
    return evolve(record, raw=None, meta={})
