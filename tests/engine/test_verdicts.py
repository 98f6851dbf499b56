"""From what both sides did to a verdict: errors, versions, confirmation, and everything that could not be compared."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shadowmig import Difference, Migration, exact, structural
from shadowmig.engine import Breaker, Inline, Threads
from shadowmig.engine.experiment import SUSPICIOUS
from shadowmig.engine.judge import overlap
from shadowmig.given import MOST_DIFFERENCES
from shadowmig.model import Comparison, Raised, Side, Verdict
from shadowmig.sinks import Memory


class Bench:
    """A migration with one experiment, judged before each call returns."""

    def __init__(self) -> None:
        self.sink = Memory()
        self.migration = Migration("m", sinks=[self.sink], runner=Inline())

    def judge(self, control: Callable[[], Any], candidate: Callable[[], Any], **options: Any) -> Comparison:
        """Make one call and give its comparison."""
        get = self.migration.read(control, candidate=candidate, name=f"e{len(self.migration.experiments)}", **options)
        with self.migration.inline() as seen, contextlib.suppress(Exception):  # the comparison tells what happened
            get()
        return seen[-1]

    @property
    def summary(self) -> Any:
        """The summary of the last experiment."""
        return list(self.migration.stats().experiments.values())[-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench that is closed afterwards."""
    bench = Bench()
    yield bench
    bench.migration.close()


def throw(error: BaseException) -> Callable[[], Any]:
    """Build a function that raises."""

    def function() -> Any:
        raise error

    return function


def series(*values: Any) -> Callable[[], Any]:
    """Build a function that returns these values one after the other, then the last one for ever."""
    rest = itertools.chain(values, itertools.repeat(values[-1]))

    def function() -> Any:
        value = next(rest)
        if isinstance(value, BaseException):
            raise value
        return value

    return function


def test_match(bench: Bench) -> None:
    """Equal answers are a match, with both observations in the comparison."""
    comparison = bench.judge(lambda: {"a": 1}, lambda: {"a": 1})
    assert comparison.verdict is Verdict.MATCH
    assert comparison.control is not None
    assert comparison.candidate is not None
    assert (comparison.control.side, comparison.candidate.side) == (Side.CONTROL, Side.CANDIDATE)
    assert comparison.control.value == comparison.candidate.value == {"a": 1}
    assert bench.summary.control_seconds > 0


def test_mismatch(bench: Bench) -> None:
    """Different answers are a mismatch with its path, confirmed by a second run."""
    comparison = bench.judge(lambda: {"a": 1}, lambda: {"a": 2})
    assert comparison.verdict is Verdict.MISMATCH
    assert comparison.differences == (Difference("$.a", "changed", 1, 2),)
    assert comparison.proof == "confirmed"
    assert comparison.call is not None
    assert comparison.call.id
    (finding,) = bench.migration.findings()
    assert (finding.path, finding.count, finding.proofs) == ("$.a", 1, {"confirmed": 1})
    assert bench.sink.findings == (finding,)


def test_ignored(bench: Bench) -> None:
    """A pair that differs only where a rule says so is ignored, which is no match."""
    comparison = bench.judge(lambda: {"a": 1}, lambda: {"a": 2}, compare=structural(ignore=["$.a"]))
    assert comparison.verdict is Verdict.IGNORED
    assert len(comparison.ignored) == 1
    assert not bench.migration.findings()
    assert [(rule.rule, rule.used) for rule in bench.summary.rules] == [("$.a", 1)]


def test_both_raise_alike(bench: Bench) -> None:
    """Two exceptions of one class are a match, whatever their text."""
    assert bench.judge(throw(KeyError("a")), throw(KeyError("b"))).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("rule", "control", "candidate", "verdict"),
    [
        ("type", ValueError("a"), KeyError("a"), Verdict.MISMATCH),
        ("message", ValueError("a"), ValueError("b"), Verdict.MISMATCH),
        ("message", ValueError("a"), ValueError("a"), Verdict.MATCH),
        ("any", ValueError("a"), KeyError("b"), Verdict.MATCH),
        (lambda *, control, candidate: [], ValueError("a"), KeyError("b"), Verdict.MATCH),
        (lambda *, control, candidate: [Difference("$", "raised", rule="x")], KeyError(), KeyError(), Verdict.IGNORED),
    ],
)
def test_rules_for_errors(bench: Bench, rule: Any, control: Any, candidate: Any, verdict: Verdict) -> None:
    """``errors=`` says when two exceptions are alike."""
    assert bench.judge(throw(control), throw(candidate), errors=rule).verdict is verdict


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_one_side_raises(bench: Bench, error: BaseException) -> None:
    """If only the candidate raises, the difference is ``raised``, whatever it raised."""
    if isinstance(error, KeyboardInterrupt):
        pytest.skip("inline, Ctrl-C in the main thread goes to the user; threads are tested below")
    comparison = bench.judge(lambda: 1, throw(error))
    assert [(d.path, d.kind, d.control) for d in comparison.differences] == [("$", "raised", 1)]
    raised = comparison.differences[0].candidate
    assert isinstance(raised, Raised)
    assert raised.type == f"builtins.{type(error).__name__}"
    assert bench.judge(throw(ValueError()), lambda: 1).differences[0].kind == "raised"


def test_an_exception_without_a_text(bench: Bench) -> None:
    """An exception whose ``__str__`` raises is still compared."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    comparison = bench.judge(throw(Mute()), throw(Mute()), errors="message")
    assert comparison.verdict is Verdict.MATCH
    assert comparison.control is not None
    assert comparison.control.raised is not None
    assert comparison.control.raised.message == "<RuntimeError in __str__>"


def test_a_deadline_is_a_difference() -> None:
    """A candidate that runs past its deadline gives a ``deadline`` difference, seen once and not run again."""
    release, calls = threading.Event(), []

    def slow() -> int:
        calls.append(1)
        release.wait(30)
        return 1

    with Migration("m", sinks=[], runner=Threads()) as migration:
        get = migration.read(lambda: 1, candidate=slow, deadline=0.05, name="get")
        get()
        assert migration.flush()
        (finding,) = migration.findings()
        release.set()
    assert (finding.kind, finding.path, finding.proofs, len(calls)) == ("deadline", "$", {"single": 1}, 1)
    assert finding.examples[0].candidate == "'no answer within 0.05 s'"


def test_keyboard_interrupt_of_a_candidate_in_a_thread() -> None:
    """In a worker, even ``KeyboardInterrupt`` is only what the candidate raised."""
    with Migration("m", sinks=[], runner=Threads()) as migration:
        get = migration.read(lambda: 1, candidate=throw(KeyboardInterrupt()), name="get")
        get()
        assert migration.flush()
        assert migration.findings()[0].types == ("int", "builtins.KeyboardInterrupt")


# Races ---------------------------------------------------------------------------------------------------------------


def version(value: dict[str, int]) -> int:
    """Take the version out."""
    return value["v"]


def test_different_versions_are_raced(bench: Bench) -> None:
    """Answers with different versions are not compared."""
    comparison = bench.judge(lambda: {"v": 1, "a": 1}, lambda: {"v": 2, "a": 2}, version=version, confirm=False)
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "version")
    assert not bench.migration.findings()


def test_same_versions_are_compared(bench: Bench) -> None:
    """Answers with the same version are compared."""
    comparison = bench.judge(lambda: {"v": 1, "a": 1}, lambda: {"v": 1, "a": 2}, version=version)
    assert (comparison.verdict, comparison.proof) == (Verdict.MISMATCH, "confirmed")


def test_nothing_has_no_version(bench: Bench) -> None:
    """``None`` against a record is a mismatch, although one of them has no version; twice ``None`` is a match."""
    assert bench.judge(lambda: None, lambda: {"v": 1}, version=version).verdict is Verdict.MISMATCH
    assert bench.judge(lambda: None, lambda: None, version=version).verdict is Verdict.MATCH


def test_an_edit_between_the_reads_is_raced(bench: Bench) -> None:
    """Control read before an edit and the candidate after it: the second run agrees, so it was a race."""
    comparison = bench.judge(series({"v": 1}, {"v": 2}), series({"v": 2}), version=version)
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "version")
    comparison = bench.judge(series({"a": 1}, {"a": 2}), series({"a": 2}))
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "control changed")


def test_an_edit_during_the_second_run_is_raced(bench: Bench) -> None:
    """If the second run finds different versions, nothing is proved."""
    comparison = bench.judge(series({"v": 1, "a": 1}), series({"v": 1, "a": 2}, {"v": 2, "a": 2}), version=version)
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "version")


def test_what_does_not_differ_again_is_raced(bench: Bench) -> None:
    """A difference that is gone in the second run is not a mismatch."""
    comparison = bench.judge(lambda: {"a": 1}, series({"a": 2}, {"a": 1}))
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "did not differ again")


def test_noise_does_not_hide_a_defect(bench: Bench) -> None:
    """Where control disagrees with itself nothing is proved; a difference elsewhere still is."""
    ticks = itertools.count()
    comparison = bench.judge(lambda: {"at": next(ticks), "a": 1}, lambda: {"at": next(ticks), "a": 2})
    assert comparison.verdict is Verdict.MISMATCH
    assert [difference.path for difference in comparison.differences] == ["$.a"]
    assert bench.summary.noise == {"$.at": 1}


def test_pure_noise_is_raced(bench: Bench) -> None:
    """If all that differs is what control itself changes from run to run, there is no mismatch."""
    ticks = itertools.count()
    comparison = bench.judge(lambda: {"at": next(ticks)}, lambda: {"at": next(ticks)})
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "control changed")


def test_without_confirmation(bench: Bench) -> None:
    """With ``confirm=False`` a difference counts at once, and neither side is run again."""
    runs: list[str] = []
    comparison = bench.judge(
        lambda: runs.append("control") or 1,
        lambda: runs.append("candidate") or 2,
        confirm=False,  # type: ignore[func-returns-value]  # append gives None
    )
    assert (comparison.verdict, comparison.proof) == (Verdict.MISMATCH, "single")
    assert runs == ["control", "candidate"]


def test_a_handler_that_cannot_be_run_again_is_told(bench: Bench) -> None:
    """If control raises when run again, the call is raced and an error counted: every mismatch would vanish."""
    comparison = bench.judge(series({"a": 1}, RuntimeError("no request")), lambda: {"a": 2})
    assert (comparison.verdict, comparison.reason) == (Verdict.RACED, "control raised when run again")
    assert bench.summary.errors == {"confirm": 1}


def test_handlers_that_cannot_be_run_again_become_a_finding() -> None:
    """If control keeps raising when run again, a finding says that nothing can be confirmed."""
    runs = itertools.count()

    def control() -> int:
        if next(runs) % 2:
            raise RuntimeError("no request")
        return 1

    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(control, candidate=lambda: 2, name="get")
        for _ in range(SUSPICIOUS):
            assert not migration.findings()
            get()
        (finding,) = migration.findings()
    assert (finding.kind, finding.types[0]) == ("raised", "builtins.RuntimeError")
    assert "confirm=False" in finding.examples[0].note


def test_a_wrong_version_does_not_hide_behind_races() -> None:
    """A candidate whose version never agrees, while control's stands still, becomes a finding of its own."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(lambda: {"v": 7}, candidate=lambda: {"v": 0}, version=version, name="get")
        for _ in range(SUSPICIOUS - 1):
            get()
        assert not migration.findings()
        get()
        (finding,) = migration.findings()
        summary = migration.stats().experiments["get"]
    assert (summary.verdicts[Verdict.RACED], summary.reasons) == (SUSPICIOUS, {"raced:unexplained": SUSPICIOUS})
    assert summary.verdicts[Verdict.MISMATCH] == 0
    assert (finding.examples[0].control, finding.examples[0].candidate) == ("7", "0")
    assert "no race" in finding.examples[0].note


# Broken and skipped --------------------------------------------------------------------------------------------------


def stop(value: Any) -> Any:
    """Raise SystemExit."""
    raise SystemExit


def fail(*, control: Any, candidate: Any) -> list[Difference]:
    """Fail to compare."""
    raise ValueError


def leave(*, control: Any, candidate: Any) -> list[Difference]:
    """Fail to compare by a BaseException."""
    raise GeneratorExit


@pytest.mark.parametrize(
    ("options", "operation"),
    [
        ({"version": lambda value: value["nope"]}, "version"),
        ({"version": stop}, "version"),
        ({"compare": fail}, "compare"),
        ({"compare": leave}, "compare"),
        ({"compare": lambda *, control, candidate: True}, "compare"),
        ({"compare": lambda *, control, candidate: None}, "compare"),
        ({"compare": lambda *, control, candidate: "different"}, "compare"),
        ({"compare": lambda *, control, candidate: {"a": 1}}, "compare"),
        ({"compare": lambda *, control, candidate: [1]}, "compare"),
        ({"compare": lambda *, control, candidate: (n for n in "x")}, "compare"),
    ],
)
def test_what_cannot_be_compared_is_broken(bench: Bench, options: dict[str, Any], operation: str) -> None:
    """A comparator or version that fails, or returns nonsense, is neither a match nor a mismatch."""
    comparison = bench.judge(lambda: {"a": 1}, lambda: {"a": 1}, **options)
    assert (comparison.verdict, comparison.reason) == (Verdict.BROKEN, operation)
    assert bench.summary.errors == {operation: 1}
    assert not bench.migration.findings()


def test_an_answer_that_cannot_be_frozen_is_broken(bench: Bench) -> None:
    """A lock in the answer of either side makes the call broken, with the operation named."""
    get = bench.migration.read(lambda: [threading.Lock()], candidate=lambda: 1, name="served")
    get()
    assert bench.summary.reasons == {"broken:snapshot": 1}
    comparison = bench.judge(lambda: 1, lambda: [threading.Lock()])
    assert (comparison.verdict, comparison.reason) == (Verdict.BROKEN, "snapshot")
    assert bench.summary.errors == {"snapshot": 1}


def test_an_answer_that_is_too_large_is_skipped(bench: Bench) -> None:
    """An answer above the snapshot limit is skipped under that name, on either side."""
    get = bench.migration.read(lambda: ["x" * 200], candidate=lambda: 1, name="served", snapshot_limit=100)
    get()
    assert bench.summary.reasons == {"skipped:too_large": 1}
    comparison = bench.judge(lambda: 1, lambda: ["x" * 200], snapshot_limit=100)
    assert (comparison.verdict, comparison.reason) == (Verdict.SKIPPED, "too_large")


def test_an_argument_that_is_too_large_is_skipped() -> None:
    """An argument above the snapshot limit is skipped, and the handler runs."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(len, candidate=len, name="get", snapshot_limit=100)
        assert get(["x" * 200]) == 1
        assert get("x" * 200) == 200
        assert migration.stats().experiments["get"].reasons == {"skipped:too_large": 2}


def test_extract(bench: Bench) -> None:
    """``extract`` turns both answers into what is compared; if it fails, the call is broken."""

    class Response:
        def __init__(self, body: str) -> None:
            self.body = body
            self.lock = threading.Lock()

    options: dict[str, Any] = {"extract": lambda response: response.body}
    assert bench.judge(lambda: Response("a"), lambda: Response("a"), **options).verdict is Verdict.MATCH
    assert bench.judge(lambda: Response("a"), lambda: Response("b"), **options).verdict is Verdict.MISMATCH
    comparison = bench.judge(lambda: Response("a"), lambda: 5, **options)
    assert (comparison.verdict, bench.summary.errors) == (Verdict.BROKEN, {"extract": 1})
    get = bench.migration.read(lambda: 5, candidate=lambda: 5, name="served", **options)
    assert get() == 5
    assert (bench.summary.reasons, bench.summary.errors) == ({"broken:extract": 1}, {"extract": 1})


def test_a_second_answer_that_cannot_be_frozen_is_broken(bench: Bench) -> None:
    """If the second run gives nothing comparable, there is no verdict on the first."""
    comparison = bench.judge(series(1, threading.Lock()), lambda: 2)
    assert (comparison.verdict, comparison.reason) == (Verdict.BROKEN, "confirm")


def test_interrupted_calls_are_skipped() -> None:
    """A served side that ends by a BaseException passes it on and is not compared."""

    class ServerTimeout(BaseException):
        pass

    error = ServerTimeout()
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(throw(error), candidate=lambda: 1, name="get")
        with pytest.raises(ServerTimeout) as caught:
            get()
        assert caught.value is error
        assert migration.stats().experiments["get"].reasons == {"skipped:interrupted": 1}


def test_differences_are_cut(bench: Bench) -> None:
    """A comparator that finds differences without end is stopped."""

    def compare(*, control: Any, candidate: Any) -> Iterator[Difference]:
        for number in itertools.count():
            yield Difference(f"$[{number}]", "changed", 1, 2)

    comparison = bench.judge(lambda: 1, lambda: 2, compare=compare, confirm=False)
    assert len(comparison.differences) == MOST_DIFFERENCES


def test_marks_of_plain_comparators_count(bench: Bench) -> None:
    """A comparator of one's own marks a difference as ignored by naming a rule."""

    def compare(*, control: Any, candidate: Any) -> list[Difference]:
        return [Difference("$.a", "changed", 1, 2, rule="mine")]

    assert bench.judge(lambda: 1, lambda: 2, compare=compare).verdict is Verdict.IGNORED
    assert bench.judge(lambda: b"a", lambda: b"b", compare=exact).verdict is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("$", "$", True),
        ("$", "$.a", True),
        ("$.a", "$.ab", False),
        ("$.a[0]", "$.a", True),
        ("$.a", "$.b", False),
        ("$['a']", "$['a'].b", True),
    ],
)
def test_overlap(left: str, right: str, expected: bool) -> None:
    """Two paths overlap if one is the other or lies inside it."""
    assert overlap(left, right) is overlap(right, left) is expected


def test_the_breaker_stops_a_failing_candidate() -> None:
    """A candidate that keeps failing is left alone for a while, and the calls are counted as skipped."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        breaker = Breaker(errors=0.5, window=5, pause=0.2)
        broken = [True]

        def candidate() -> int:
            if broken:
                raise OSError
            return 1

        get = migration.read(lambda: 1, candidate=candidate, breaker=breaker, confirm=False, name="get")
        for _ in range(10):
            get()
        summary = migration.stats().experiments["get"]
        assert (summary.verdicts[Verdict.MISMATCH], summary.reasons) == (5, {"skipped:breaker": 5})
        broken.clear()
        time.sleep(0.25)
        for _ in range(3):
            get()
        assert migration.stats().experiments["get"].verdicts[Verdict.MATCH] == 3


@pytest.mark.parametrize("answer", [True, False])
def test_a_slow_sampler_is_asked_only_a_few_times(answer: bool) -> None:
    """Our own time on the caller's path has a limit: a sampler that hangs is not asked again, whatever it says."""
    asked = []

    def sampler(call: Any) -> bool:
        asked.append(1)
        time.sleep(0.02)
        return answer

    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(
            lambda: 1, candidate=lambda: 1, sample=sampler, breaker=Breaker(overhead=0.005), name="get"
        )
        for _ in range(20):
            assert get() == 1
        summary = migration.stats().experiments["get"]
    assert len(asked) == 1
    assert summary.reasons == {"skipped:breaker": 19}
    assert summary.errors == {"overhead": 1}
