"""Where two records differ: existence, value, and what is kept beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sister_support import pair

from shadowmig.compare import structural
from shadowmig.errors import CompareError
from shadowmig.model import MISSING, Difference, Differences, Record, Ref, Undecodable

REF = Ref("db", "key", "", ("k",))
MIRROR = {"missing": "unexpected", "unexpected": "missing"}

values = st.none() | st.integers(-3, 3) | st.sampled_from(["", "a"]) | st.lists(st.integers(0, 2), max_size=2)
metas = st.fixed_dictionaries(
    {},
    optional={
        "ttl": st.none() | st.floats(0, 10),
        "flags": st.integers(0, 2),
        "type": st.sampled_from(["string", "hash"]),
        "count": st.integers(1, 2),
        "rows": st.integers(),
        "order": st.integers(),
    },
)
records = st.builds(
    lambda value, meta: Record(REF, value, meta=meta),
    st.just(MISSING) | values | st.builds(Undecodable, st.sampled_from("ab"), st.integers(1, 2)),
    metas,
)


def found(control, candidate, **options):
    """Compare as a pair with default options does."""
    return pair(compare=structural()).differences(control, candidate, **options)


@given(records)
def test_differences_reflexive(record):
    """A record does not differ from itself."""
    assert list(found(record, record)) == []


@given(records, records)
def test_differences_symmetric(left, right):
    """Seen from the other side, the same paths differ, with the values swapped and existence turned round."""
    there = {(one.path, MIRROR.get(one.kind, one.kind)) for one in found(left, right)}
    back = {(one.path, one.kind) for one in found(right, left)}
    assert there == back


@given(records, records)
def test_differences_of_existence(left, right):
    """A record that only one side has is one difference at the root, whatever is beside it."""
    result = list(found(left, right))
    if left.exists != right.exists:
        (one,) = result
        assert (one.path, one.kind) == ("$", "missing" if left.exists else "unexpected")
        assert (one.control, one.candidate) == (left.value, right.value)
    if not left.exists and not right.exists:
        assert result == []
    assert {one.ref for one in result} <= {REF}


@given(st.none() | st.floats(0, 100), st.none() | st.floats(0, 100), st.floats(0, 50), st.floats(0, 50))
def test_ttl_tolerance(left, right, tolerance, slack):
    """Times to live differ beyond tolerance and slack, and none differs from any."""
    control, candidate = (Record(REF, 1, meta={"ttl": ttl}) for ttl in (left, right))
    result = pair(ttl_tolerance=tolerance).differences(control, candidate, slack=slack)
    endless = left is None or right is None
    expected = left is not right if endless else abs(left - right) > tolerance + slack
    assert [one.path for one in result] == ["@ttl"] * expected
    if expected:
        assert (result[0].control, result[0].candidate, result[0].kind) == (left, right, "changed")


@pytest.mark.parametrize(
    ("left", "right", "paths"),
    [
        ({"flags": 1}, {"flags": 2}, "@flags"),
        ({"flags": 1}, {"type": "string"}, ""),
        ({"flags": 1, "type": "hash", "count": 1}, {"flags": 2, "type": "list", "count": 2}, "@type @flags @count"),
        ({"rows": 1, "fields": 1, "order": 1}, {"rows": 2, "fields": 2, "order": 2}, ""),
    ],
)
def test_meta(left, right, paths):
    """What both stores keep beside a value is compared exactly, and what only one keeps is not."""
    result = found(Record(REF, 1, meta=left), Record(REF, 1, meta=right))
    assert [one.path for one in result] == paths.split()


def test_value_and_meta_together():
    """Differences of the value come with the ref, before those beside it, and ignored ones stay apart."""
    compare = structural(ignore=["$.b"])
    result = pair().differences(
        Record(REF, {"a": 1, "b": 1}, meta={"flags": 1}),
        Record(REF, {"a": 2, "b": 2}, meta={"flags": 2}),
        compare=compare,
    )
    assert [(one.path, one.ref) for one in result] == [("$.a", REF), ("@flags", REF)]
    assert [(one.path, one.ref) for one in result.ignored] == [("$.b", REF)]


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        ((Undecodable("A", 1), b"x"), (Undecodable("B", 1), b"x"), []),
        ((Undecodable("A", 1), b"x"), (Undecodable("A", 1), b"y"), ["changed"]),
        ((Undecodable("A", 1), None), (Undecodable("A", 1), None), []),
        ((Undecodable("A", 1), None), (Undecodable("A", 2), None), ["changed"]),
        ((Undecodable("A", 1), b"x"), ("x", b"x"), ["type"]),
        (("x", b"x"), (Undecodable("A", 1), b"x"), ["type"]),
    ],
)
def test_undecodable(left, right, kinds):
    """Bytes that neither side can read are compared as bytes, and those of one side are of another type."""

    def compare(*, control, candidate):
        raise AssertionError("a comparator cannot read them either")

    (control, candidate) = (Record(REF, value, raw=raw) for value, raw in (left, right))
    result = pair(compare=compare).differences(control, candidate)
    assert [one.kind for one in result] == kinds
    assert all(b"x" not in (one.control, one.candidate) for one in result)


def test_own_comparator_first():
    """The pair's own comparator is used rather than the experiment's, and equality if there is neither."""
    control, candidate = Record(REF, 1), Record(REF, 2)

    def blind(*, control, candidate):
        return ()

    assert not pair(compare=blind).differences(control, candidate, compare=structural())
    assert not pair().differences(control, candidate, compare=blind)
    assert [one.kind for one in pair().differences(control, candidate)] == ["changed"]
    assert [one.kind for one in pair().differences(Record(REF, 1), Record(REF, True))] == ["type"]
    assert not pair().differences(control, control)


def test_iterables_of_differences():
    """A comparator may return any iterable, endless ones too, in which a rule marks what is ignored."""

    def endless(*, control, candidate):
        yield Difference("$.a", "changed", rule="$.a")
        while True:
            yield Difference("$.b", "changed")

    result = pair(compare=endless).differences(Record(REF, 1), Record(REF, 2))
    assert (len(result), len(result.ignored), result.truncated) == (999, 1, True)


def test_truncated_stays_truncated():
    """That a search stopped at its limit is passed on."""
    compare = lambda **_: Differences([Difference("$", "changed")], truncated=True)  # noqa: E731 - it is one line
    assert pair(compare=compare).differences(Record(REF, 1), Record(REF, 2)).truncated


@pytest.mark.parametrize("result", [None, True, "$", b"$", {"$": 1}, ["$"]])
def test_no_differences(result):
    """What is not differences is an error of the comparison."""
    with pytest.raises(CompareError, match="comparator returned"):
        pair(compare=lambda **_: result).differences(Record(REF, 1), Record(REF, 2))
