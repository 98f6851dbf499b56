"""The tally: each kind of mismatch counted once a call, with few redacted examples, whatever the values do."""

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.findings import Tally, hide_values
from shadowmig.model import (
    MISSING,
    Call,
    Comparison,
    Difference,
    Observation,
    Parameters,
    Raised,
    Side,
    Verdict,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def call(number=0, *args, names=(), **kwargs):
    """Make a call, ``number`` seconds after the start."""
    at = START + timedelta(seconds=number)
    return Call(f"c{number}", "get", at, args, kwargs, parameters=Parameters(names))


def mismatch(*differences, made=None, proof=None):
    """Make a mismatch."""
    return Comparison(Verdict.MISMATCH, made or call(), differences=differences, proof=proof)


def changed(path="$.a", control="x", candidate="y", **more):
    """Make a difference."""
    return Difference(path, "changed", control, candidate, **more)


def test_counts_calls():
    """A call counts once for each kind of difference it has, however often it has it."""
    tally = Tally("m", label="v2")
    tally.record(mismatch(changed("$.a[0]"), changed("$.a[1]"), changed("$.b"), proof="single"))
    tally.record(mismatch(changed("$.a[7]"), made=call(5), proof="confirmed"))
    first, second = tally.findings()
    assert (first.path, first.count, first.proofs) == ("$.a[*]", 2, {"single": 1, "confirmed": 1})
    assert (first.migration, first.experiment, first.label, first.kind, first.types) == (
        "m",
        "get",
        "v2",
        "changed",
        ("str", "str"),
    )
    assert (first.first_seen, first.last_seen) == (START, START + timedelta(seconds=5))
    assert [example.path for example in first.examples] == ["$.a[0]", "$.a[7]"]
    assert (second.path, second.count) == ("$.b", 1)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.MISMATCH])
def test_only_mismatches(verdict):
    """Other verdicts make no finding, nor does a mismatch of no known call."""
    tally = Tally("m")
    tally.record(Comparison(verdict, call(), differences=(changed(),)))
    tally.record(Comparison(Verdict.MISMATCH, None, differences=(changed(),)))
    assert tally.findings() == ()


def test_mismatch_without_differences():
    """A mismatch of which nothing is told is found at the root, with what both sides did."""
    tally = Tally("m")
    error = Raised("E", "no")
    tally.record(
        Comparison(
            Verdict.MISMATCH, call(), Observation(Side.CONTROL, value=1), Observation(Side.CANDIDATE, raised=error)
        )
    )
    tally.record(Comparison(Verdict.MISMATCH, call()))
    assert {(each.path, each.types) for each in tally.findings()} == {
        ("$", ("int", "E")),
        ("$", ("missing", "missing")),
    }


@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from("abc")), min_size=1))
def test_totals(calls):
    """Counts and the first and last times are right in whatever order calls are judged."""
    tally = Tally("m")
    for number, name in calls:
        tally.record(mismatch(changed(f"$.{name}"), made=call(number)))
    for finding in tally.findings():
        times = [number for number, name in calls if f"$.{name}" == finding.path]
        assert finding.count == len(times)
        assert finding.first_seen == START + timedelta(seconds=min(times))
        assert finding.last_seen == START + timedelta(seconds=max(times))
    counts = [finding.count for finding in tally.findings()]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == len(calls)


def test_changed_tells_each_change_once():
    """Findings come when they are new or have a new count, and then not again."""
    tally = Tally("m")
    tally.record(mismatch(changed("$.a"), changed("$.b")))
    assert {each.path for each in tally.changed()} == {"$.a", "$.b"}
    assert tally.changed() == ()
    tally.record(mismatch(changed("$.b")))
    assert [(each.path, each.count) for each in tally.changed()] == [("$.b", 2)]


def test_bounds():
    """Above its bounds the tally counts what it lost, and keeps counting what it knows."""
    tally = Tally("m", max_findings=2, max_differences_per_call=3)
    tally.record(mismatch(*(changed(f"$.n{name}") for name in "abcdef")))
    assert len(tally.findings()) == 2
    assert tally.lost == 1
    tally.record(mismatch(changed("$.na"), changed("$.z")))
    assert (tally.findings()[0].count, tally.lost) == (2, 2)


def test_a_flood_of_one_kind_does_not_hide_another():
    """A hundred differences of one kind leave room for one of another kind behind them."""
    tally = Tally("m")
    tally.record(mismatch(*(changed(f"$.a[{number}]") for number in range(100)), changed("$.total")))
    assert {each.path for each in tally.findings()} == {"$.a[*]", "$.total"}


def test_flood_is_cheap():
    """Once the examples are full, nothing is redacted, rendered or explained."""
    redacted, explained = [], []

    def redact(value, *, path):
        redacted.append(path)
        return value

    def explain(control, candidate):
        explained.append((control, candidate))
        return "because"

    tally = Tally("m", max_examples=2, redact=redact, explain=explain)
    for number in range(500):
        tally.record(mismatch(changed(f"$.a[{number}]"), made=call(number, 7)))
    (finding,) = tally.findings()
    assert finding.count == 500
    assert redacted == ["$arguments.arg0", "$.a[0]", "$.a[0]", "$arguments.arg0", "$.a[1]", "$.a[1]"]
    assert explained == [("x", "y")] * 2
    assert [example.note for example in finding.examples] == ["because"] * 2


def test_no_examples_wanted():
    """With no examples allowed, no value is looked at."""
    tally = Tally("m", max_examples=0)
    tally.record(mismatch(changed()))
    assert tally.findings()[0].examples == ()


def test_arguments():
    """Arguments are shown by name without self, redacted by their own path, and cut when there are many."""
    tally = Tally("m")
    made = call(0, object(), 5, "a\nb", "more", names=("self", "id", "body"), password="hunter2", **{"odd key": 1})
    tally.record(mismatch(changed(), made=made))
    assert tally.findings()[0].examples[0].arguments == (
        "id=5, body='a\\nb', arg3='more', password='<masked>', odd key=1"
    )
    tally = Tally("m", max_text=40)
    tally.record(mismatch(changed(), made=call(0, *["x" * 30] * 9)))
    assert tally.findings()[0].examples[0].arguments.endswith("…+7 arguments")


def test_exceptions_and_missing_values():
    """Exception text goes through the redactor as ``$error``; a missing value does not go at all."""
    seen = []

    def redact(value, *, path):
        seen.append((value, path))
        return {"text": value}

    tally = Tally("m", redact=redact)
    tally.record(mismatch(Difference("$", "raised", Raised("m.E", "secret"), MISSING)))
    example = tally.findings()[0].examples[0]
    assert seen == [("secret", "$error")]
    assert (example.control, example.candidate) == ("m.E: {'text': 'secret'}", "<missing>")


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
def test_failing_redactor(error):
    """A redactor that raises, whatever it raises, withholds the value and is told of."""

    def redact(value, *, path):
        raise error("no")

    told = []
    tally = Tally("m", redact=redact, explain=lambda *_: "leak", on_error=lambda *failure: told.append(failure))
    tally.record(mismatch(changed(control="leak"), made=call(0, "leak")))
    (finding,) = tally.findings()
    assert "leak" not in repr(finding)
    assert finding.examples[0].control == "<withheld: redactor failed>"
    assert [(operation, type(raised)) for operation, raised in told] == [("redact", error)] * 3


def test_failing_explainer_and_observer():
    """An explainer that raises leaves the note empty; an observer that raises as well does no harm."""

    def fail(*_):
        raise SystemExit

    tally = Tally("m", explain=fail, on_error=fail)
    tally.record(mismatch(changed(note="rule expired")))
    assert tally.findings()[0].examples[0].note == "rule expired"
    Tally("m", explain=fail).record(mismatch(changed()))


def test_explainer_sees_redacted_values_only():
    """What the explainer gets, and so can tell, has no secrets; and it is not asked about exceptions."""
    seen = []

    def explain(control, candidate):
        seen.append((control, candidate))
        return ""

    tally = Tally("m", explain=explain)
    tally.record(mismatch(changed(control={"token": "a"}, candidate={"token": "b"})))
    tally.record(mismatch(changed("$.b", control=Raised("E", ""))))
    tally.record(mismatch(changed("$.c", control=MISSING)))
    assert seen == [({"token": "<masked>"}, {"token": "<masked>"})]
    assert tally.findings()[0].examples[0].note == ""


def test_notes_and_paths_are_masked_and_printable():
    """Text of a comparator, its paths and notes, is masked and escaped as values are."""
    tally = Tally("m", redact=hide_values)
    tally.record(mismatch(changed("$['Bearer abc\x1b'].x", note="password=hunter2\n")))
    (finding,) = tally.findings()
    assert "abc" not in repr(finding)
    assert "hunter2" not in repr(finding)
    assert finding.path.isprintable()
    assert finding.examples[0].note.isprintable()
    assert finding.examples[0].control == "'<str 1>'"


def test_failing_fingerprint():
    """A difference that is none is told of, and the others of the call are still counted."""
    told = []
    tally = Tally("m", on_error=lambda operation, error: told.append(operation))
    tally.record(mismatch(Difference(None, "changed", 1, 2), changed("$.b")))
    assert told == ["fingerprint"]
    assert [each.path for each in tally.findings()] == ["$.b"]


def test_naive_times_are_utc():
    """A time without a zone is taken as UTC, so that times can be compared."""
    tally = Tally("m")
    tally.record(mismatch(changed(), made=Call("c", "get", START.replace(tzinfo=None))))
    tally.record(mismatch(changed()))
    assert tally.findings()[0].last_seen == START


def test_threads():
    """No call is lost or counted twice among threads, and no more examples are made than are kept."""
    tally = Tally("m")
    line = threading.Barrier(8)
    seen = []

    def work():
        line.wait()
        for number in range(300):
            tally.record(mismatch(changed(f"$.a[{number}]"), changed(f"$.n{'abc'[number % 3]}")))
            seen.extend(tally.changed())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.path: each.count for each in tally.findings()} == {
        "$.a[*]": 2400,
        "$.na": 800,
        "$.nb": 800,
        "$.nc": 800,
    }
    assert all(len(each.examples) == 3 for each in tally.findings())
    latest = {}
    for each in [*seen, *tally.changed()]:
        latest[each.path] = max(each.count, latest.get(each.path, 0))
    assert latest == {each.path: each.count for each in tally.findings()}


def test_fork_starts_from_zero():
    """A forked child counts from zero, and can even if a thread held the lock at the fork."""
    tally = Tally("m")
    tally.record(mismatch(changed()))
    with tally._process.get().lock:
        child = os.fork()
        if child == 0:
            tally.record(mismatch(changed("$.child")))
            os._exit(0 if [(each.path, each.count) for each in tally.findings()] == [("$.child", 1)] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.path for each in tally.findings()] == ["$.a"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_findings": 0},
        {"max_examples": -1},
        {"max_differences_per_call": 0},
        {"max_text": 5},
        {"redact": 3},
        {"explain": 3},
        {"on_error": 3},
    ],
)
def test_bad_options(options):
    """A wrong option is refused when the tally is built, with its name."""
    with pytest.raises(ConfigError) as caught:
        Tally("m", **options)
    assert caught.value.field in options
