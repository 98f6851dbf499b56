"""Merging: of one source the latest, over sources the sum, in any order and any number of times."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.findings import lost, merge
from shadowmig.model import Batch, Example, Finding, RuleUse, Stage, Summary, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.integers(0, 20).map(lambda seconds: START + timedelta(seconds=seconds))
COUNTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
EXAMPLES = st.builds(Example, call=st.sampled_from("xyz"), at=TIMES, path=st.just("$.a[0]"))
FINDINGS = st.builds(
    Finding,
    fingerprint=st.sampled_from(["f1", "f2"]),
    migration=st.sampled_from(["m", "n"]),
    experiment=st.just("get"),
    path=st.just("$.a[*]"),
    kind=st.just("changed"),
    types=st.just(("int", "str")),
    count=st.integers(1, 9),
    first_seen=TIMES,
    last_seen=TIMES,
    label=st.sampled_from(["", "v1", "v2"]),
    proofs=COUNTS,
    examples=st.lists(EXAMPLES, max_size=3).map(tuple),
)
SUMMARIES = st.builds(
    Summary,
    experiment=st.sampled_from(["get", "list"]),
    stage=st.sampled_from(Stage),
    verdicts=st.fixed_dictionaries({verdict: st.integers(0, 9) for verdict in Verdict}),
    reasons=COUNTS,
    errors=COUNTS,
    noise=COUNTS,
    rules=st.lists(
        st.builds(RuleUse, st.sampled_from("rs"), st.integers(0, 9), st.sampled_from(["", "why"]), st.booleans()),
        unique_by=lambda rule: rule.rule,
    ).map(tuple),
    control_seconds=st.floats(0, 1e6),
    candidate_seconds=st.floats(0, 1e6),
)
BATCHES = st.builds(
    Batch,
    source=st.sampled_from(["p1", "p2", "p3"]),
    migration=st.sampled_from(["m", "n"]),
    label=st.just(""),
    at=TIMES,
    findings=st.lists(FINDINGS, max_size=3, unique_by=lambda finding: (finding.migration, finding.fingerprint)).map(
        tuple
    ),
    summaries=st.lists(SUMMARIES, max_size=2, unique_by=lambda summary: summary.experiment).map(tuple),
    lost=st.integers(0, 9),
)


def finding(count=1, *, first=0, last=0, **more):
    """Make a finding seen between two seconds."""
    return Finding(
        **{
            "fingerprint": "f",
            "migration": "m",
            "experiment": "get",
            "path": "$",
            "kind": "changed",
            "types": ("int", "int"),
            "count": count,
            "first_seen": START + timedelta(seconds=first),
            "last_seen": START + timedelta(seconds=last),
            **more,
        }
    )


def batch(source, at, *findings, summaries=(), migration="m", **more):
    """Make a batch of a source at a second."""
    return Batch(source, migration, "", START + timedelta(seconds=at), findings, summaries, **more)


@settings(settings.get_profile("slow"))
@given(st.lists(BATCHES, max_size=8), st.randoms())
def test_order_and_repetition_do_not_matter(batches, random):
    """Shuffled, and with batches given again, the result is the same."""
    shuffled = [*batches, *random.sample(batches, len(batches) // 2)]
    random.shuffle(shuffled)
    assert merge(shuffled) == merge(batches)
    assert lost(shuffled) == lost(batches)


def test_latest_of_one_source():
    """Totals of one process replace its earlier ones."""
    (merged,), _ = merge([batch("p", 2, finding(7)), batch("p", 1, finding(3)), batch("p", 3)])
    assert merged.count == 7


def test_same_moment():
    """Of two batches of one moment the higher total counts."""
    summaries = [Summary("get", verdicts={Verdict.MATCH: count}) for count in (5, 2)]
    batches = [batch("p", 1, finding(count), summaries=[each]) for count, each in zip((5, 2), summaries, strict=True)]
    (merged,), (summed,) = merge(batches)
    assert (merged.count, summed.calls) == (5, 5)


def test_sum_over_sources():
    """Over processes counts add up, times are the outermost, and the first examples are kept."""
    examples = [Example(f"c{number}", START + timedelta(seconds=number), "$") for number in range(5)]
    (merged,), _ = merge(
        [
            batch("p", 1, finding(2, first=1, last=3, label="old", proofs={"single": 2}, examples=examples[1:4])),
            batch(
                "q",
                1,
                finding(3, first=2, last=9, label="new", proofs={"single": 1, "event": 2}, examples=examples[:2]),
            ),
        ]
    )
    assert (merged.count, merged.proofs, merged.label) == (5, {"single": 3, "event": 2}, "new")
    assert (merged.first_seen, merged.last_seen) == (START + timedelta(seconds=1), START + timedelta(seconds=9))
    assert [example.call for example in merged.examples] == ["c0", "c1", "c2"]


def test_summaries_add_up():
    """Over processes verdicts, reasons, errors, noise, rules and seconds add up; the stage is the latest."""
    one = Summary(
        "get",
        Stage.SHADOW,
        {Verdict.MATCH: 2},
        {"skipped:shed": 1},
        {"redact": 1},
        {"$.t": 1},
        (RuleUse("r", 1, "why"),),
        0.1,
        1,
    )
    two = Summary(
        "get", Stage.LIVE, {Verdict.MATCH: 3}, {}, {}, {"$.t": 2}, (RuleUse("r", 2, "", expired=True),), 0.2, 2
    )
    _, (summed,) = merge([batch("q", 2, summaries=[two]), batch("p", 1, summaries=[one])])
    assert summed.verdicts == dict.fromkeys(Verdict, 0) | {Verdict.MATCH: 5}
    assert (summed.stage, summed.reasons, summed.errors, summed.noise) == (
        Stage.LIVE,
        {"skipped:shed": 1},
        {"redact": 1},
        {"$.t": 3},
    )
    assert summed.rules == (RuleUse("r", 3, "why", expired=True),)
    assert (summed.control_seconds, summed.candidate_seconds) == (math.fsum([0.1, 0.2]), 3)


def test_damaged_seconds():
    """Seconds of a damaged file do not stop a report."""
    seconds = [1e308, 1e308, math.inf, math.nan]
    batches = [batch(str(n), 1, summaries=[Summary("get", control_seconds=each)]) for n, each in enumerate(seconds)]
    _, (summed,) = merge(batches)
    assert summed.control_seconds == math.inf


def test_one_name_in_two_migrations():
    """Experiments of two migrations that share a name stay apart, each under its migration."""
    findings, summaries = merge(
        [
            batch("p", 1, finding(), summaries=[Summary("get"), Summary("list")]),
            batch("q", 1, finding(migration="n"), summaries=[Summary("get")], migration="n"),
        ]
    )
    assert {each.experiment for each in findings} == {"m/get", "n/get"}
    assert [each.experiment for each in summaries] == ["list", "m/get", "n/get"]


def test_lost_adds_up():
    """What was not tracked is the last total of each process, added up."""
    assert lost([batch("p", 1, lost=2), batch("p", 2, lost=5), batch("q", 1, lost=1)]) == 6


def test_nothing():
    """No batches make an empty report."""
    assert merge([]) == ((), ())
    assert lost([]) == 0
