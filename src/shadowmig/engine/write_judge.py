"""
From both sides' answers and records to the verdict on a write.

Every record has its own race verdict; a difference in one that may be compared is a mismatch, whatever raced beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from shadowmig.engine.counts import Counts
from shadowmig.engine.event_order import EventOrder
from shadowmig.engine.guard import Guard
from shadowmig.engine.job import Job, Outcome
from shadowmig.engine.judge import Judge, Operation, broken, deadline
from shadowmig.engine.renaming import Renaming
from shadowmig.engine.write_options import WriteOptions
from shadowmig.engine.write_state import project
from shadowmig.engine.write_view import View
from shadowmig.model import (
    MISSING,
    Comparison,
    Difference,
    Differences,
    Observation,
    Proof,
    Record,
    Ref,
    Side,
    Verdict,
)
from shadowmig.stores.races import Decision, decide, same

if TYPE_CHECKING:
    from shadowmig.engine.mirror import Mirror

FIRST_PAUSE: Final = 0.01
"""Seconds before the records are read again; twice as many each further time."""
_STRENGTH: Final[tuple[Proof, ...]] = ("version", "event", "confirmed", "reread", "single")
"""Proofs, the strongest first."""


@define
class _Findings:
    """What the records of one call gave."""

    differences: list[Difference] = field(factory=list)
    ignored: list[Difference] = field(factory=list)
    raced: list[str] = field(factory=list)
    strays: list[Difference] = field(factory=list)
    suspicious: list[Difference] = field(factory=list)
    unseen: bool = False
    waiting: bool = False
    proofs: list[Proof] = field(factory=list)


class WriteJudge(Judge):
    """
    Judges the writes of one experiment.

    Args:
        options: Of the experiment.
        guard: Told about what the user's functions raise.
        counts: Told about noise.
        get_mirror: Gives what the migration's writes share.
    """

    _options: WriteOptions

    def __init__(self, options: WriteOptions, guard: Guard, counts: Counts, get_mirror: Callable[[], Mirror]) -> None:
        super().__init__(options, guard, counts)
        self._get_mirror = get_mirror
        self._order = EventOrder()

    def _first(self, job: Job) -> Comparison | None:
        assert job.checked is not None and job.served is not None
        if job.checked.problem is not None:
            verdict, reason = job.checked.problem
            return Comparison(verdict, reason=reason)
        if job.checked.late:
            return None  # it may be the sister's fault
        return self._verdict(job)

    def _again(self, job: Job) -> Comparison | None:  # type: ignore[override]  # a write may be looked at many times
        assert job.checked is not None
        if not isinstance(job.again, tuple):
            return broken("sister" if job.again is None else _reason(job.again))
        if job.checked.late:
            return deadline(job)
        production, twins, told = job.again
        seen = job.checked.seen
        assert seen is not None
        plan = seen.plan
        seen.still = {
            ours
            for ours, theirs in seen.pairs
            if same(plan.production[ours], production[ours]) and same(seen.latest[theirs], twins[theirs])
        }
        plan.production.update(production)
        for ref, record in told.items():
            plan.told.setdefault(ref, record)
            if record.version is not None:
                plan.versions.setdefault(ref, record.version)
        seen.latest.update(twins)
        seen.looks += 1
        plan.alone = plan.alone and (job.ticket is None or job.ticket.alone)
        return self._verdict(job)

    def _verdict(self, job: Job) -> Comparison | None:
        assert job.checked is not None and job.served is not None
        seen = job.checked.seen
        assert seen is not None
        settled = perf_counter() - seen.since >= self._options.settle
        renaming = Renaming(self._options.generated)
        control, candidate = self._observed(job.side(Side.CONTROL), job.side(Side.CANDIDATE))
        answers = self._answers(control, candidate, renaming)
        found = _Findings()
        view = View(
            job,
            seen,
            settled=settled,
            counter=self._options.counter,
            renaming=renaming,
            history=self._get_mirror().history,
            made_up=self._get_mirror().makes_up,
        )
        for ours, theirs in seen.pairs:
            if ours.kind == "entry":
                self._entry(view, ours, theirs, found)
            else:
                self._record(view, ours, theirs, found)
        for ref in seen.stray:
            self._stray(view, ref, found)
        if view.other_base and (found.differences or found.strays or answers):
            # The checked side started from another state: whatever it made of that proves nothing.
            found.raced.append("base moved")
            found.differences, found.strays, answers = [], [], Differences()
        elif found.waiting:
            job.not_before = monotonic() + FIRST_PAUSE * 2 ** (seen.looks - 1)
            return None
        for stray in found.strays:
            if stray.ref is not None and self._get_mirror().blame(stray.ref, seen.stray[stray.ref]):
                found.differences.append(stray)
        return self._sum_up(control, candidate, answers, found, view)

    def _answers(self, control: Observation, candidate: Observation, renaming: Renaming) -> Differences:
        if renaming.places and control.raised is None and candidate.raised is None:
            with Operation("compare"):
                candidate = evolve(candidate, value=renaming.apply(control.value, candidate.value, None))
        return self._differ(control, candidate)

    # One record ----------------------------------------------------------------------------------------------------

    def _record(self, view: View, ours: Ref, theirs: Ref, found: _Findings) -> None:
        decision = decide(view.facts(ours, theirs))
        compare = self._delta if self._options.effect == "delta" else self._state
        compare(view, ours, theirs, decision, found)

    def _state(self, view: View, ours: Ref, theirs: Ref, decision: Decision, found: _Findings) -> None:
        """Compare what both sides hold."""
        if decision.step == "compare":
            assert decision.against is not None
            sister = view.seen.sister[theirs]
            told = view.told(ours, decision)
            differences = self._differences(view, ours, decision.against, sister, told=told)
            later = view.seen.latest[theirs]
            if differences and view.seen.looks == 1 and view.untouched(theirs):
                found.waiting = True  # clients that wait for no reply may be ahead of their store
                return
            if differences and self._may_be_lost(view, ours, sister, found):
                return
            late = later is not sister and view.seen.plan.claim.stands(theirs)
            if differences and late and not self._differences(view, ours, decision.against, later, told=told):
                differences = Differences()  # it came late, but it came
            if differences and decision.proof == "version" and (contested := self._contested(view, ours)) is not None:
                decision = evolve(decision, otherwise=contested)
            self._take(differences, decision, found)
            return
        self._follow(decision, view, ours, found)

    def _may_be_lost(self, view: View, ours: Ref, sister: Record, found: _Findings) -> bool:
        """Whether the sister lacks a record and was not asked yet whether it is the server that it was."""
        if sister.exists or view.seen.kept:
            return False
        view.seen.lost.add(ours.owner)
        found.waiting = True
        return True

    def _contested(self, view: View, ours: Ref) -> Decision | None:
        """Say what to do if production may be at this version by another write's doing; ``None`` if it is not."""
        plan, base = view.seen.plan, view.base.get(ours)
        version = plan.versions.get(ours)
        if version is None and base is not None and type(base.version) is int:
            version = base.version + 1
        others = self._get_mirror().contest.others(view.job.name, ours, version)
        if others is None and not view.settled:
            return Decision("wait")
        return None if others is False else Decision("raced", reason="contested")

    def _take(self, differences: Differences, decision: Decision, found: _Findings) -> None:
        if differences and decision.otherwise is not None:
            self._without(decision.otherwise, found)
            return
        found.proofs.append(decision.proof)
        found.differences += [evolve(one, proof=decision.proof) for one in differences]
        found.ignored += differences.ignored

    def _without(self, decision: Decision, found: _Findings) -> None:
        if decision.step == "wait":
            found.waiting = True
        elif decision.step == "unseen":
            found.unseen = True
        else:
            found.raced.append(decision.reason)

    def _follow(self, decision: Decision, view: View, ref: Ref, found: _Findings) -> None:
        self._without(decision, found)
        unseen = view.seen.plan.alone and not (view.job.ticket is not None and view.job.ticket.met)
        if decision.step == "raced" and decision.reason in ("base moved", "moved on") and unseen:
            base, now = view.base.get(ref), view.seen.plan.production[ref]
            note = (
                "Called a race although no other sampled write was seen. If others write this record unsampled, sample "
                "by key; if its version does not go up by one with each write, say counter=False."
            )
            before = None if base is None else base.version
            found.suspicious.append(Difference("@version", "changed", before, now.version, note=note, ref=ref))

    def _differences(
        self, view: View, ref: Ref, production: Record, sister: Record, *, told: bool = False
    ) -> Differences:
        with Operation("compare"):
            if told:
                sister = project(sister, production)
            if view.renaming.places and production.exists and sister.exists:
                served, checked = view.oriented(production.value, sister.value)
                renamed = view.renaming.apply(served, checked, ref)
                production, sister = view.renamed(production, sister, renamed)
            control, candidate = view.oriented(_named(production, ref), _named(sister, ref))
            result: Differences = ref.owner.differences(
                control, candidate, compare=self._options.compare, slack=view.slack
            )
            return result

    def _delta(self, view: View, ours: Ref, theirs: Ref, decision: Decision, found: _Findings) -> None:
        """Compare what each side changed, where what they hold cannot be compared."""
        plan = view.seen.plan
        states = view.around(ours, decision)
        if states is None:
            self._state(view, ours, theirs, decision, found)
            return
        before, after = states
        ours_changed = evolve(after, value=_change(before, after), raw=None, meta={})
        twin_before = plan.before.get(theirs, Record(theirs))
        sister = view.seen.sister[theirs]
        theirs_changed = evolve(sister, value=_change(twin_before, sister), raw=None, meta={})
        differences = self._differences(view, ours, ours_changed, theirs_changed)
        proof: Proof = "version" if after.version is not None else "reread"
        otherwise = None if view.settled or (sister.exists and sister.version is not None) else Decision("wait")
        self._take(differences, Decision("compare", after, proof, otherwise), found)

    def _entry(self, view: View, ours: Ref, theirs: Ref, found: _Findings) -> None:
        production = view.seen.plan.production[ours]
        sister = view.seen.latest[theirs]
        decision = Decision("compare", production, "reread" if view.weak else "event")
        both = production.exists and sister.exists
        if not both and not view.settled:
            found.waiting = True
            return
        if not both and not production.exists and not view.failed and sister.exists and not view.committed_anywhere:
            found.unseen = True
            return
        differences = self._differences(view, ours, production, sister)
        if differences and self._may_be_lost(view, ours, sister, found):
            return
        self._take(differences, decision, found)
        if both and not self._in_order(view, ours, production, sister):
            note = "The sister has it before an event that production has before it, or the other way round."
            control, candidate = view.oriented(production.token, sister.token)
            found.differences.append(Difference("$", "order", control, candidate, note=note, ref=ours, proof="event"))

    def _in_order(self, view: View, ref: Ref, production: Record, sister: Record) -> bool:
        entity = next(iter(ref.stands_for), None) if ref.stands_for else None
        if entity is None:
            return True
        run = view.seen.plan.claim.number
        whose = (ref.owner.name, ref.space, entity)
        return self._order.agrees(whose, production.version, run, ours=production.token, theirs=sister.token)

    def _stray(self, view: View, ref: Ref, found: _Findings) -> None:
        """Judge a record that the checked side wrote and nobody named: it must be as production's is."""
        production = view.seen.plan.production.get(ref)
        if production is None:
            found.waiting = True  # production was not asked for it yet
            return
        sister = view.seen.latest[ref]
        if not sister.exists or _behind(sister, production):
            return
        claim = view.seen.plan.claim
        if (not production.exists and view.made_up) or any(other.loose for other in claim.beside):
            return  # it may be another call's, or another process's, that cannot be judged
        differences = self._differences(view, ref, production, sister)
        if not differences:
            return
        if not view.settled:
            found.waiting = True
            return
        kind: Any = "unexpected" if view.job.row.checked is Side.CANDIDATE else "missing"
        control, candidate = view.oriented(production.value, sister.value)
        note = "It was written, and touches= does not name it."
        if claim.beside:
            note = f"{note} {len(claim.beside)} other writes ran meanwhile; it may be theirs."
        found.strays.append(Difference("$", kind, control, candidate, note=note, ref=ref, proof="reread"))

    # All of them ---------------------------------------------------------------------------------------------------

    def _sum_up(
        self, control: Observation, candidate: Observation, answers: Differences, found: _Findings, view: View
    ) -> Comparison:
        proof: Proof = min(found.proofs, key=_STRENGTH.index, default="single")
        ignored = (*answers.ignored, *found.ignored)
        # Answers tell of the state they found: they can be compared if that was the same on both sides.
        if answers and proof not in ("version", "event") and not view.seen.plan.alone:
            found.raced.append("concurrent")
            answers = Differences()
        differences = [*(evolve(one, proof=proof) for one in answers), *found.differences]
        if differences:
            proofs = [one.proof for one in differences if one.proof is not None]
            strongest = min(proofs, key=_STRENGTH.index)
            return Comparison(Verdict.MISMATCH, None, control, candidate, tuple(differences), ignored, strongest)
        if found.raced:
            return Comparison(
                Verdict.RACED,
                None,
                control,
                candidate,
                tuple(found.suspicious),
                proof="reread" if found.suspicious else None,
                reason=f"{found.raced[0]}, unexplained" if found.suspicious else found.raced[0],
            )
        if found.unseen:
            self._take_back(view)
            return Comparison(Verdict.SKIPPED, None, control, candidate, reason="not_committed")
        verdict = Verdict.IGNORED if ignored else Verdict.MATCH
        return Comparison(verdict, None, control, candidate, ignored=ignored)

    def _take_back(self, view: View) -> None:
        plan = view.seen.plan
        for ref, record in plan.before.items():
            if ref not in view.base and plan.claim.stands(ref):
                self._get_mirror().undo(record)


def _named(record: Record, ref: Ref) -> Record:
    return record if record.ref is ref else evolve(record, ref=ref)


def _behind(sister: Record, production: Record) -> bool:
    """Whether the sister's record is an older state of production's: somebody hydrated it and went no further."""
    return type(sister.version) is int and type(production.version) is int and sister.version < production.version


def _change(before: Record, after: Record) -> Any:
    """Say what changed from one state to the next: numbers by how much, all else by what it became."""
    if not isinstance(before.value, Mapping) or not isinstance(after.value, Mapping):
        return after.value if not _number(before.value) or not _number(after.value) else after.value - before.value
    changed = {}
    for name, value in after.value.items():
        old = before.value.get(name, MISSING)
        if _number(old) and _number(value):
            if value != old:
                changed[name] = value - old
        elif type(old) is not type(value) or old != value:
            changed[name] = value
    changed |= {name: MISSING for name in before.value if name not in after.value}
    return changed


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reason(outcome: Outcome | Iterable[Any]) -> str:
    return outcome.problem[1] if isinstance(outcome, Outcome) and outcome.problem is not None else "sister"
