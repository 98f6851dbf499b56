"""The migration as a whole: options, findings, sinks, statistics, the pytest fixture."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any

import pytest

from shadowmig import Migration, Stage, Verdict, fraction, never
from shadowmig.engine import Breaker, Inline
from shadowmig.errors import ConfigError
from shadowmig.findings import hide_values
from shadowmig.model import MISSING, Batch, Comparison
from shadowmig.sinks import Memory

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("name", {"name": ""}),
        ("name", {"name": None}),
        ("sinks", {"sinks": "findings.jsonl"}),
        ("sinks", {"sinks": 5}),
        ("sinks", {"sinks": ["findings.jsonl"]}),
        ("sample", {"sample": 0.5}),
        ("stage", {"stage": "on"}),
        ("redact", {"redact": "password"}),
        ("budget", {"budget": 0}),
        ("budget", {"budget": 1.5}),
        ("budget", {"budget": "5%"}),
        ("publish_every", {"publish_every": 0}),
        ("exit_timeout", {"exit_timeout": timedelta(0)}),
        ("max_findings", {"max_findings": 0}),
        ("max_examples", {"max_examples": -1}),
        ("on_comparison", {"on_comparison": 5}),
    ],
)
def test_wrong_options_are_refused(field: str, options: dict[str, Any]) -> None:
    """Each wrong option is refused when the migration is built, by name and with a remedy."""
    with pytest.raises(ConfigError) as caught:
        Migration(**{"name": "m", **options})
    assert caught.value.field == field
    assert caught.value.remedy


def test_a_stage_can_be_set_by_name() -> None:
    """A stage is a `Stage` or its name; a wrong one changes nothing."""
    migration = Migration("m", stage="live", sinks=[])
    assert migration.stage is Stage.LIVE
    with pytest.raises(ConfigError, match="off, shadow, live, complete"):
        migration.stage = "on"
    assert migration.stage is Stage.LIVE
    assert repr(migration) == "Migration('m', stage=LIVE, experiments=[])"


def test_the_default_sink_is_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Without sinks, findings are logged."""
    with caplog.at_level(logging.WARNING, "shadowmig"), Migration("m", runner=Inline()) as migration:
        migration.read(lambda: {"a": 1}, candidate=lambda: {"a": 2}, name="get")()
    assert "$.a" in caplog.text


def test_sampling_by_migration_and_by_experiment() -> None:
    """An experiment's sampler wins over the migration's."""
    with Migration("m", sinks=[], sample=never, runner=Inline()) as migration:
        one = migration.read(lambda: 1, candidate=lambda: 1, name="one")
        two = migration.read(lambda: 1, candidate=lambda: 1, name="two", sample=fraction(1.0))
        three = migration.read(lambda n: 1, candidate=lambda n: 1, name="three", sample=lambda call: call["n"] > 1)
        one(), two(), three(1), three(2)
        calls = {name: summary.calls for name, summary in migration.stats().experiments.items()}
    assert calls == {"one": 0, "two": 1, "three": 1}


def test_a_sampler_that_fails_counts_as_no() -> None:
    """A sampler that raises is counted by name, and the call is served."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 1, name="get", sample=lambda call: call["nope"])
        assert get() == 1
        summary = migration.stats().experiments["get"]
    assert (summary.calls, summary.errors) == (0, {"sample": 1})


def test_a_key_that_fails_is_broken() -> None:
    """A key that raises, or cannot be hashed, is counted by name, and the call is served."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 1, name="get", key=lambda call: [])
        assert get() == 1
        summary = migration.stats().experiments["get"]
    assert (summary.reasons, summary.errors) == ({"broken:key": 1}, {"key": 1})


def test_comparisons_can_be_watched() -> None:
    """``on_comparison`` sees each judgement; if it raises, that is counted."""
    seen: list[Comparison] = []

    def watch(comparison: Comparison) -> None:
        seen.append(comparison)
        raise SystemExit

    with Migration("m", sinks=[], runner=Inline(), on_comparison=watch) as migration:
        migration.read(lambda n: n, candidate=lambda n: n, name="get")(5)
        assert migration.stats().errors == {"on_comparison": 1}
    assert [comparison.verdict for comparison in seen] == [Verdict.MATCH]
    assert seen[0].call is not None
    assert seen[0].call["n"] == 5


def test_batches_hold_what_changed() -> None:
    """A sink gets totals of what changed since the last batch, and nothing when nothing did."""
    batches: list[Batch] = []
    with Migration("m", sinks=[batches.append], runner=Inline(), label="go-1.2") as migration:
        one = migration.read(lambda n: 1, candidate=lambda n: n, name="one")
        two = migration.read(lambda: 1, candidate=lambda: 1, name="two")
        one(2), two(), one(2)
        assert migration.flush()
    assert [[s.experiment for s in batch.summaries] for batch in batches] == [["one"], ["two"], ["one"]]
    assert [[f.count for f in batch.findings] for batch in batches] == [[1], [], [2]]
    assert {(batch.migration, batch.label, batch.source) for batch in batches} == {("m", "go-1.2", batches[0].source)}


def test_a_sink_that_fails_loses_nothing() -> None:
    """What a sink refused is offered again."""
    got: list[int] = []
    fails = [True]

    def sink(batch: Batch) -> None:
        if fails:
            raise OSError("disk full")
        got.append(batch.findings[0].count)

    with Migration("m", sinks=[sink], runner=Inline(), publish_every=0.05) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 2, name="get")
        get(), get()
        fails.clear()
        for _ in range(200):
            migration.flush()
            if got:
                break
            time.sleep(0.05)
    assert got[0] == 2


def test_sinks_of_one_class_are_told_apart() -> None:
    """What two sinks of one class dropped is counted for each."""
    migration = Migration("m", sinks=[Memory(), Memory(), print])
    assert migration.stats().dropped == {"Memory": 0, "Memory #2": 0, "print": 0}


def test_a_signal_handler_may_call_a_handler() -> None:
    """A handler called in the middle of our own bookkeeping, by a signal handler, does not wait for itself."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        get = migration.read(lambda: 1, candidate=lambda: 1, name="get")
        experiment = migration.experiments["get"]
        with experiment._counts._lock, experiment.guard._lock, experiment._breaker._lock:
            assert get() == 1
        assert migration.stats().experiments["get"].verdicts[Verdict.MATCH] == 1


def test_sinks_are_closed() -> None:
    """A sink's ``close`` is called once; if it raises, that is counted."""
    closed: list[int] = []

    class Sink:
        def __call__(self, batch: Batch) -> None:
            pass

        def close(self) -> None:
            closed.append(1)
            raise OSError

    migration = Migration("m", sinks=[Sink()])
    migration.close()
    migration.close()
    assert closed == [1]
    assert migration.stats().errors == {"sink": 1}


def test_values_are_redacted_before_they_leave() -> None:
    """Findings hold what the redactor lets through, exceptions' texts and arguments included."""
    sink = Memory()
    with Migration("m", sinks=[sink], runner=Inline(), redact=hide_values) as migration:

        def fail(token: str) -> str:
            raise ValueError(f"no user with {token}")

        migration.read(lambda token: token, candidate=fail, name="get")("hunter2-hunter2")
        migration.read(lambda token: {"a": token}, candidate=lambda token: {"a": token * 2}, name="two")("hunter2")
    assert len(sink.findings) == 2
    assert "hunter2" not in repr(sink.findings)


def test_inline_blocks_can_be_nested() -> None:
    """Inside ``inline`` every call is judged before it returns, whatever runner and sampler say."""
    migration = Migration("m", sinks=[], sample=never)
    get = migration.read(lambda n: n, candidate=lambda n: n, name="get")
    with migration.inline() as outer:
        get(1)
        with migration.inline() as inner:
            get(2)
            late = migration.read(lambda n: n, candidate=lambda n: -n, name="late")
            late(3)
        get(4)
    get(5)
    assert [comparison.call["n"] for comparison in inner if comparison.call] == [2, 3]
    assert [comparison.call["n"] for comparison in outer if comparison.call] == [1, 2, 3, 4]
    assert migration.stats().pending == 0
    migration.close()


def test_inline_blocks_compare_whatever_fails() -> None:
    """Inside ``inline`` neither a slow candidate nor one that always fails stops the comparing."""

    def fail() -> int:
        time.sleep(0.002)
        raise ValueError

    with Migration("m", sinks=[]) as migration:
        breaker = Breaker(window=2, overhead=0.001)
        get = migration.read(lambda: 1, candidate=fail, name="get", breaker=breaker, confirm=False)
        with migration.inline() as seen:
            for _ in range(10):
                get()
    assert [comparison.verdict for comparison in seen] == [Verdict.MISMATCH] * 10


def test_the_inline_runner_is_not_our_own_slowness() -> None:
    """With the runner ``Inline`` the time of a slow candidate is not held against shadowmig."""
    with Migration("m", sinks=[], runner=Inline()) as migration:
        breaker = Breaker(overhead=0.001)
        get = migration.read(lambda: 1, candidate=lambda: time.sleep(0.01) or 1, name="get", breaker=breaker)
        for _ in range(5):
            get()
        summary = migration.stats().experiments["get"]
    assert (summary.verdicts[Verdict.MATCH], summary.errors) == (5, {})


def test_async_context_manager() -> None:
    """``async with`` closes without stopping the loop."""

    async def main() -> dict[Verdict, int]:
        async def get() -> int:
            return 1

        async with Migration("m", sinks=[]) as migration:
            await migration.read(get, candidate=get, name="get")()
        return dict(migration.stats().experiments["get"].verdicts)

    assert asyncio.run(main())[Verdict.MATCH] == 1


SERVICE = """
    import pytest
    from shadowmig import Migration, never
    migration = Migration("comments", sinks=[], sample=never)

    @migration.read(candidate=lambda n: {"id": n, "body": "b" if n else "B"})
    def get(n):
        return {"id": n, "body": "b"}
"""


def test_the_strict_fixture_fails_a_test_with_the_differences(pytester: pytest.Pytester) -> None:
    """A mismatch fails the test that asked for the fixture, with path and values; a match does not."""
    pytester.makepyfile(
        SERVICE
        + """
    def test_good(shadowmig_strict):
        assert get(1) == {"id": 1, "body": "b"}
        assert len(shadowmig_strict) == 1

    def test_bad(shadowmig_strict):
        get(0)

    def test_expected(shadowmig_strict):
        get(0)
        shadowmig_strict.clear()

    def test_new_migration(shadowmig_strict):
        with Migration("new") as new:
            new.read(lambda: 1, candidate=lambda: 2, name="one")()

    def test_without():
        get(0)
    """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=5, errors=2)
    result.stdout.fnmatch_lines(
        ["*get(0): MISMATCH*", "*$.body (changed)*", "*control:   'b'*", "*candidate: 'B'*", "*one(): MISMATCH*"]
    )


def test_many_differences_are_cut_in_the_message(pytester: pytest.Pytester) -> None:
    """A failure shows the first differences and says how many more there are."""
    pytester.makepyfile(
        """
    from shadowmig import Migration
    def test_bad(shadowmig_strict):
        with Migration("new", sinks=[]) as new:
            old, rewritten = dict.fromkeys("abcdefghijkl", 1), dict.fromkeys("abcdefghijkl", 2)
            new.read(lambda: old, candidate=lambda: rewritten, name="x")()
            new.read(lambda: 1, candidate=lambda: 1, version=lambda value: value["v"], name="y")()
    """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*and 2 more*", "*y(): BROKEN version*"])


def test_comparisons_know_the_answer() -> None:
    """The call of a comparison has the answer that was served, and none if there was an exception."""
    seen: list[Comparison] = []
    migration = Migration("m", sinks=[], on_comparison=seen.append)

    def half(number: int) -> list[int]:
        if number % 2:
            raise ValueError(number)
        return [number // 2]

    handler = migration.read(half, candidate=half)
    with migration.inline():
        assert handler(4) == [2]
        with pytest.raises(ValueError, match="3"):
            handler(3)
    assert [comparison.call.result for comparison in seen if comparison.call] == [[2], MISSING]
    migration.close()
