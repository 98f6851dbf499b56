"""
From two observations to a verdict: errors, versions, values, and the second run that tells a race from a defect.

Runs other people's code (comparator, ``version=``) off the caller's path. What that raises becomes the verdict BROKEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from shadowmig.engine.counts import Counts
from shadowmig.engine.guard import Guard, sent_from_outside
from shadowmig.engine.job import Job, Outcome
from shadowmig.engine.options import ReadOptions
from shadowmig.findings import fold
from shadowmig.given import differences
from shadowmig.model import Comparison, Difference, Differences, Observation, Raised, Side, Verdict
from shadowmig.protocols import Comparator


def compare_errors(rule: str | Comparator) -> Comparator:
    """
    Build the comparator for two exceptions.

    Args:
        rule: ``"type"`` (same qualified class), ``"message"`` (same class and text), ``"any"`` (both raised, whatever
            it was), or a comparator of two `Raised`.
    """
    if callable(rule):
        return rule
    return _by(_ALIKE[rule])


def _by(what: Callable[[Raised], object]) -> Comparator:
    def compare(*, control: Raised, candidate: Raised) -> Iterable[Difference]:
        if what(control) == what(candidate):
            return ()
        return (Difference("$", "raised", control, candidate),)

    return compare


_ALIKE: Final[dict[str, Callable[[Raised], object]]] = {
    "type": lambda raised: raised.type,
    "message": lambda raised: (raised.type, raised.message),
    "any": lambda raised: True,
}


def differ(control: Observation, candidate: Observation, compare: Comparator, errors: Comparator) -> Differences:
    """
    Find the differences of two observations.

    Raises:
        CompareError: The comparator returned something that is not differences.
        Exception: Whatever the comparator raised.
    """
    if control.raised is None and candidate.raised is None:
        return differences(compare(control=control.value, candidate=candidate.value))
    if control.raised is not None and candidate.raised is not None:
        return differences(errors(control=control.raised, candidate=candidate.raised))
    return Differences(
        [Difference("$", "raised", control.raised or control.value, candidate.raised or candidate.value)]
    )


def overlap(left: str, right: str) -> bool:
    """Whether two paths are the same place, or one lies inside the other."""
    if len(left) > len(right):
        left, right = right, left
    return right.startswith(left) and (len(left) == len(right) or right[len(left)] in ".[")


def confirmed(first: Iterable[Difference], again: Differences, noise: Differences) -> tuple[Difference, ...]:
    """
    Keep what differs again while control agrees with itself.

    Args:
        first: Differences of the first run.
        again: Differences of the second run.
        noise: Differences between control's first and second answer.
    """
    moved = [difference.path for difference in noise]
    still = [difference.path for difference in again]
    return tuple(
        difference
        for difference in first
        if any(overlap(difference.path, path) for path in still)
        and not any(overlap(difference.path, path) for path in moved)
    )


def broken(reason: str) -> Comparison:
    """The verdict on a call that our side could not compare."""
    return Comparison(Verdict.BROKEN, reason=reason)


class Judge:
    """
    Judges the calls of one experiment.

    Args:
        options: Comparator, rules for versions, errors and confirmation.
        guard: Told about what the user's functions raise.
        counts: Told about noise.
    """

    def __init__(self, options: ReadOptions, guard: Guard, counts: Counts) -> None:
        self._options = options
        self._errors = compare_errors(options.errors)
        self._guard = guard
        self._counts = counts

    def first(self, job: Job) -> Comparison | None:
        """Judge the first run; ``None`` asks for both sides to be run again."""
        return self._guarded(self._first, job)

    def again(self, job: Job) -> Comparison | None:
        """Judge with the help of the second run."""
        return self._guarded(self._again, job)

    def _guarded(self, judge: Callable[[Job], Comparison | None], job: Job) -> Comparison | None:
        try:
            return judge(job)
        except _Failure as failure:
            self._guard.count(failure.operation, failure.error)
            return broken(failure.operation)

    def _first(self, job: Job) -> Comparison | None:
        assert job.checked is not None and job.served is not None
        if job.checked.late:
            return deadline(job)
        if job.checked.problem is not None:
            verdict, reason = job.checked.problem
            return Comparison(verdict, reason=reason)
        control, candidate = self._observed(job.side(Side.CONTROL), job.side(Side.CANDIDATE))
        if self._raced(control, candidate):
            comparison = Comparison(Verdict.RACED, None, control, candidate, reason="version")
        else:
            found = self._differ(control, candidate)
            if not found:
                verdict = Verdict.IGNORED if found.ignored else Verdict.MATCH
                return Comparison(verdict, None, control, candidate, ignored=found.ignored)
            comparison = Comparison(Verdict.MISMATCH, None, control, candidate, found.found, found.ignored, "single")
        if not self._options.confirm:
            return comparison
        job.first = comparison
        return None

    def _again(self, job: Job) -> Comparison:
        first = job.first
        assert first is not None and first.control is not None and first.candidate is not None
        if job.again is None or any(outcome.problem is not None for outcome in job.again):
            self._guard.count("confirm", "running both sides again took too long, or an answer could not be frozen")
            return broken("confirm")
        control, candidate = self._observed(*job.again)
        if control.raised is not None and first.control.raised is None:
            # A handler that needs its request raises here each time: without a trace, every mismatch would be lost.
            self._guard.count("confirm", f"control raised {control.raised.type} when run again; see confirm=False")
            note = "Control raises when run again, so nothing can be confirmed. If it needs its request: confirm=False."
            difference = Difference("$", "raised", control.raised, candidate.raised or candidate.value, note=note)
            return _suspicious(first, difference, "control raised when run again")
        if first.verdict is Verdict.RACED:
            stood_still = not self._raced(first.control, control)
            unexplained = stood_still and self._raced(control, candidate)
            return self._unexplained(first) if unexplained else _raced(first, "version")
        if self._raced(control, candidate):
            return _raced(first, "version")
        noise = self._differ(first.control, control)
        if not self._raced(first.control, control):  # an edit is no noise
            self._counts.add_noise(fold(difference.path) for difference in noise)
        kept = confirmed(first.differences, self._differ(control, candidate), noise)
        if not kept:
            return _raced(first, "control changed" if noise else "did not differ again")
        return Comparison(Verdict.MISMATCH, None, first.control, first.candidate, kept, first.ignored, "confirmed")

    def _unexplained(self, first: Comparison) -> Comparison:
        """Name a race without a concurrent change: a candidate with a wrong version would hide there."""
        assert first.control is not None and first.candidate is not None
        versions = self._version(first.control.value), self._version(first.candidate.value)
        note = "The versions differ although control's stood still: no race. Is the candidate's version right?"
        return _suspicious(first, Difference("$", "changed", *versions, note=note), "unexplained")

    def _observed(self, control: Outcome | None, candidate: Outcome | None) -> tuple[Observation, Observation]:
        assert control is not None and candidate is not None
        with Operation("thaw"):
            return control.observation(Side.CONTROL), candidate.observation(Side.CANDIDATE)

    def _version(self, value: Any) -> Any:
        with Operation("version"):
            assert self._options.version is not None
            return self._options.version(value)

    def _raced(self, left: Observation, right: Observation) -> bool:
        # An exception has no version, and neither has None, as which many handlers answer "not found".
        nothing = any(side.raised is not None or side.value is None for side in (left, right))
        if self._options.version is None or nothing:
            return False
        ours, theirs = self._version(left.value), self._version(right.value)
        with Operation("version"):
            return bool(ours != theirs)

    def _differ(self, control: Observation, candidate: Observation) -> Differences:
        with Operation("compare"):
            return differ(control, candidate, self._options.compare, self._errors)


class _Failure(Exception):
    """Something of the user's raised (a BaseException, perhaps) during an operation."""

    def __init__(self, operation: str, error: BaseException) -> None:
        super().__init__(operation)
        self.operation = operation
        self.error = error


class Operation:
    """Names the operation in which an exception arises."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and not sent_from_outside(error):  # which only happens with `Inline`
            raise _Failure(self._name, error) from None


def _raced(first: Comparison, reason: str) -> Comparison:
    return Comparison(Verdict.RACED, None, first.control, first.candidate, reason=reason)


def _suspicious(first: Comparison, difference: Difference, reason: str) -> Comparison:
    """A race that may hide a defect: with a difference that becomes a finding if there are several."""
    return Comparison(Verdict.RACED, None, first.control, first.candidate, (difference,), proof="reread", reason=reason)


def deadline(job: Job) -> Comparison:
    """The checked side gave no answer in time; the served one did, or raised."""
    assert job.served is not None
    limit = job.experiment.deadline
    answered, late = f"answered in {job.served.duration:.3g} s", f"no answer within {limit:g} s"
    control, candidate = (answered, late) if job.row.served is Side.CONTROL else (late, answered)
    return Comparison(Verdict.MISMATCH, differences=(Difference("$", "deadline", control, candidate),), proof="single")
