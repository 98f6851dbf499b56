"""The race table as a pure function: each row of it, and a simulation of writers that nobody coordinates."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.model import Record, Ref
from shadowmig.stores.races import Decision, Facts, alike, decide, same, successor

REF = Ref("db", "row", "comments", (7,))
GONE = Record(REF)


def at(version: Any, value: Any = "x", token: Any = None, **more: Any) -> Record:
    """Make a record."""
    return Record(REF, value, version, token, **more)


def facts(production: Record, sister: Record = GONE, **more: Any) -> Facts:
    """Make facts that are settled, unless told otherwise."""
    return Facts(**{"production": production, "sister": sister, "settled": True, **more})


# Each row of the table ------------------------------------------------------------------------------------------------


def test_at_its_version() -> None:
    """Production at C's version is compared, proved by the version."""
    found = decide(facts(at(2), at(2), base=at(1), change=2))
    assert (found.step, found.against, found.proof, found.otherwise) == ("compare", at(2), "version", None)


def test_past_it_with_a_known_state() -> None:
    """Production past C is compared by the state that an earlier read saw at C's version."""
    known = at(2, "then")
    found = decide(facts(at(5), at(2), base=at(1), change=2, state=known))
    assert (found.step, found.against, found.proof) == ("compare", known, "version")


def test_past_it_with_an_event() -> None:
    """Production past C is compared by what C's own event tells, at C's version."""
    found = decide(facts(at(5), at(2), base=at(1), change=2, event=at(None, "told")))
    assert (found.step, found.proof) == ("compare", "event")
    assert found.against is not None
    assert (found.against.value, found.against.version) == ("told", 2)


def test_past_it_otherwise() -> None:
    """Production past C, of which nothing more is known, is a race."""
    assert decide(facts(at(5), at(2), base=at(1), change=2)) == Decision("raced", reason="moved on")


@pytest.mark.parametrize("production", [at(1), GONE], ids=["update", "create"])
def test_before_it(production: Record) -> None:
    """Production that has not come to C yet is waited for, and never seen is not committed."""
    base = production
    assert decide(facts(production, at(2), base=base, change=2, settled=False)).step == "wait"
    assert decide(facts(production, at(2), base=base, change=2)).step == "unseen"


def test_before_it_by_number() -> None:
    """A replica at a version below C's has not come to C, whatever it held before."""
    assert decide(facts(at(3), at(5), base=at(4), change=5, settled=False)).step == "wait"
    assert decide(facts(at(3), at(5), base=at(4), change=5)).step == "unseen"


def test_not_committed_without_a_told_version() -> None:
    """A record as it was before C, of which no version was told, is compared only for being equal."""
    found = decide(facts(at(1), at(2), base=at(1)))
    assert found.step == "compare"
    assert found.otherwise is not None
    assert found.otherwise.step == "unseen"
    assert decide(facts(at(1), at(2), base=at(1), settled=False)).step == "wait"


def test_committed_beside() -> None:
    """A record that C left alone is compared once another record of the store shows that C was committed."""
    found = decide(facts(at(1), at(1), base=at(1), committed=True))
    assert (found.step, found.proof, found.otherwise) == ("compare", "version", None)
    early = decide(facts(at(1), at(1), base=at(1), committed=True, settled=False))
    assert early.otherwise == Decision("wait")


def test_failed() -> None:
    """After a write that failed, the state before it is what the sister must hold."""
    found = decide(facts(at(1), at(1), base=at(1), failed=True))
    assert (found.step, found.against, found.proof) == ("compare", at(1), "version")
    assert decide(facts(at(None), at(None), base=at(None), failed=True)).proof == "reread"


def test_failed_and_moved() -> None:
    """After a write that failed, a version that moved shows another writer, so nothing is compared."""
    assert decide(facts(at(2), at(1), base=at(1), failed=True, still=True)) == Decision("raced", reason="moved on")
    assert decide(facts(at(2), at(1), base=at(1), failed=True, still=True, alone=False)).step == "raced"
    unversioned = decide(facts(at(None, "b"), at(None, "a"), base=at(None, "a"), failed=True, still=True))
    assert (unversioned.proof, unversioned.otherwise) == ("reread", None)


def test_failed_undisturbed() -> None:
    """After a write that failed while no sampled one was open, the state before it is compared, with a weak proof."""
    more = {"base": at(1), "failed": True, "alone": False, "undisturbed": True}
    assert decide(facts(at(2), at(1), **more)) == Decision("compare", at(1), "reread")
    assert decide(facts(at(2), at(1), **more, settled=False)).otherwise == Decision("wait")


def test_failed_without_a_base() -> None:
    """After a write that failed, with nothing known from before, proof is weak."""
    assert decide(facts(at(2), at(1), failed=True, still=True)).proof == "reread"


@pytest.mark.parametrize("more", [{}, {"failed": True}, {"change": 2}, {"event": at(2), "change": 2}])
def test_base_not_its_own(more: dict[str, Any]) -> None:
    """What started from another state is never compared, whatever else is known."""
    assert decide(facts(at(2), at(2), base=at(1), moved=True, **more)) == Decision("raced", reason="base moved")


def test_no_version_at_all() -> None:
    """Without versions a difference counts only if both stood still and nobody else was seen writing."""
    moved, base = at(None, "b"), at(None, "a")
    found = decide(facts(moved, at(None, "c"), base=base, still=True))
    assert (found.step, found.proof, found.otherwise) == ("compare", "reread", None)
    restless = decide(facts(moved, at(None, "c"), base=base))
    assert restless.otherwise == Decision("raced", reason="moving")
    early = decide(facts(moved, at(None, "c"), base=base, still=True, settled=False))
    assert early.otherwise == Decision("wait")
    crowded = decide(facts(moved, at(None, "c"), base=base, still=True, alone=False))
    assert crowded.otherwise == Decision("raced", reason="concurrent")


def test_inferred_by_counting() -> None:
    """The version after the base's is C's if versions go up by one, and that it has not arrived is waited for."""
    found = decide(facts(at(2), at(2), base=at(1)))
    assert (found.step, found.against, found.otherwise) == ("compare", at(2), None)
    late = decide(facts(at(2), at(1), base=at(1), settled=False))
    assert late.otherwise == Decision("wait")
    assert decide(facts(at(2), at(1), base=at(1))).otherwise is None


def test_arrived() -> None:
    """A difference counts at once if the sister is at the very version, and waits for its time otherwise."""
    assert decide(facts(at(2), at(2, "y"), base=at(1), change=2, settled=False)).otherwise is None
    assert decide(facts(at(2), GONE, base=at(1), change=2, settled=False)).otherwise == Decision("wait")
    assert decide(facts(at(2), at(1), base=at(1), change=2, settled=False)).otherwise == Decision("wait")


def test_left_alone_by_a_told_change() -> None:
    """A record still at its old version, of a change that another record shows, is compared weakly."""
    found = decide(facts(at(1), at(2), base=at(1), change=2, committed=True, still=True))
    assert (found.step, found.against, found.proof) == ("compare", at(1), "reread")


def test_an_old_version_that_is_no_number() -> None:
    """A record at the very version that it had before is before the change, whatever versions are."""
    assert decide(facts(at("a"), at("b"), base=at("a"), change="b", settled=False)).step == "wait"
    assert decide(facts(at("c"), at("b"), base=at("a"), change="b", settled=False)).step == "raced"


def test_versions_that_do_not_count() -> None:
    """Without counting, a next number proves nothing, and neither does one that jumps."""
    assert decide(facts(at(2), at(3), base=at(1), counter=False, still=True)).proof == "reread"
    assert decide(facts(at(9), at(3), base=at(1), counter=False, still=True)).proof == "reread"
    assert decide(facts(at(9), at(3), base=at(1), counter=False, alone=False)).step == "raced"
    assert decide(facts(at(9), at(9), base=at(1), counter=False)).proof == "version"


def test_an_event_without_a_version() -> None:
    """An event that tells no version stands in for a record that nobody can place."""
    found = decide(facts(at(5), at(2), base=at(1), event=at(None, "told")))
    assert (found.step, found.against, found.proof) == ("compare", at(None, "told"), "event")


def test_unchanged_without_a_version() -> None:
    """What is as it was and has no version is proved weakly."""
    found = decide(facts(at(None), at(None, "y"), base=at(None), committed=True))
    assert (found.step, found.proof) == ("compare", "reread")


def test_never_there() -> None:
    """A record that production never showed, of a change that another record shows, is compared weakly."""
    assert decide(facts(GONE, at(1), committed=True, still=True)).proof == "reread"
    assert decide(facts(GONE, at(1))).otherwise is not None


def test_inferred_and_moved_on() -> None:
    """A version that is not the one after the base's was given by somebody else, so nothing is proved by it."""
    assert decide(facts(at(3), at(2), base=at(1), alone=False)).step == "raced"
    found = decide(facts(at(3), at(2), base=at(1)))
    assert found.step == "raced" or found.proof == "reread"


def test_created() -> None:
    """A record that C created is compared by version if the sister's has the same."""
    found = decide(facts(at(1), at(1)))
    assert (found.step, found.proof, found.otherwise) == ("compare", "version", None)
    assert decide(facts(at(2), at(1), still=True)).step == "raced"
    assert decide(facts(at(1), at(2), still=True)).proof == "reread"


def test_created_and_moved_on() -> None:
    """The event of a creation stands in for a record that is gone by now."""
    found = decide(facts(GONE, at(1), change=1, event=at(None, "told")))
    assert (found.step, found.proof) == ("compare", "event")


def test_deleted() -> None:
    """A deletion that is in force is compared, by its event or else weakly."""
    found = decide(facts(GONE, GONE, base=at(3), change=4, event=GONE))
    assert (found.step, found.against, found.proof) == ("compare", GONE, "event")
    assert decide(facts(GONE, at(3), base=at(3), still=True)).proof == "reread"
    assert decide(facts(GONE, at(3), base=at(3), change=4, still=True)).proof == "reread"


def test_event_before_its_row() -> None:
    """An event whose row never comes proves no commit."""
    assert decide(facts(at(1), at(2), base=at(1), change=2, event=at(2))).step == "unseen"
    assert decide(facts(GONE, at(1), base=GONE, change=1, event=GONE, settled=False)).step in ("wait", "compare")


# What it stands on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (GONE, GONE, True),
        (GONE, at(1), False),
        (at(1, token=5), at(1, token=5), True),
        (at(1, token=5), at(1, token=6), False),
        (at(1), at(1), True),
        (at(1, "a"), at(1, "b"), False),
        (at(1), at(2), False),
        (at(1, token=5), at(1), True),
    ],
)
def test_same(left: Record, right: Record, expected: bool) -> None:
    """A record stood still if its token did, or else its version and value."""
    assert same(left, right) is expected
    assert same(right, left) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (at(1, 1), at(2, 1), True),
        (at(1, 1), at(1, 1.0), False),
        (at(1, 1), at(1, True), False),
        (at(1, {"a": 1}), at(1, {"a": True}), False),
        (at(1, {"a": 1, "b": 2}), at(1, {"b": 2, "a": 1}), True),
        (at(1, {"a": 1}), at(1, {"b": 1}), False),
        (at(1, [1, [2]]), at(1, [1, [True + 1]]), True),
        (at(1, [1, [1]]), at(1, [1, [True]]), False),
        (at(1, (1,)), at(1, [1]), False),
        (at(1, [1]), at(1, [1, 1]), False),
        (at(1, "x", raw=b"1"), at(1, "y", raw=b"1"), True),
        (at(1, "x", raw=b"1", meta={"flags": 1}), at(1, "x", raw=b"1", meta={"flags": 0}), False),
        (at(1, "x", raw=b"1"), at(1, "x", raw=b"2"), False),
        (at(1, "x", raw=b"1"), at(1, "x"), True),
        (GONE, at(1), False),
    ],
)
def test_alike(left: Record, right: Record, expected: bool) -> None:
    """Two records are alike by their bytes, or else by value and type."""
    assert alike(left, right) is expected
    assert alike(right, left) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(1, 2, True), (1, 3, False), (2, 2, False), (True, 2, None), (1, "2", None), (None, 1, None), (1.0, 2.0, None)],
)
def test_successor(before: Any, after: Any, expected: bool | None) -> None:
    """Only whole numbers follow one another."""
    assert successor(before, after) is expected


# The simulation -------------------------------------------------------------------------------------------------------


@frozen
class State:
    """What a record holds in the simulation: who wrote it, in order, and its version; one not there is ``None``."""

    writers: tuple[str, ...]
    version: int


@frozen
class Story:
    """
    One call C and the unsampled writers around it.

    Attributes:
        kind: What C does.
        before: Unsampled writes between the hydrating read and C.
        after: Unsampled writes between C and the first look, and between each two looks.
        ends: Whether the last of these removes the record.
        told: Who told C's version: its ``"event"``, the call's ``"version"``, or nobody.
        read: Whether some read saw production right after C.
        hydrated: Whether the record was read before C.
        lag: Looks at which a replica still shows the state before C.
        uses: Whether the store gives versions.
    """

    kind: str
    before: int
    after: tuple[int, ...]
    ends: bool
    told: str
    read: bool
    hydrated: bool
    lag: int
    versions: bool

    def run(self, candidate: str) -> tuple[str, str]:
        """Give the verdict on a candidate, and its proof."""
        base = None if self.kind == "create" else State(("past",), 1)
        found = base
        for _ in range(self.before):
            found = _changed(found, "other")
        after = None if self.kind == "delete" else _changed(found, "C") if found else State(("C",), 1)
        change = 1 if found is None else found.version + 1
        known = self.told != "nobody"
        moved = known and self.hydrated and base != found
        sister = _candidates(base, self.kind)[candidate]
        latest, read, previous = after, self.read, None
        for look, writes in enumerate(self.after):
            for _ in range(writes):
                latest = None if latest is None else _changed(latest, "other")
            if self.ends and look == len(self.after) - 1:
                latest = None
            production = found if look < self.lag else latest
            read = read or production == after
            settled = look == len(self.after) - 1
            decision = decide(
                Facts(
                    production=self._record(production),
                    sister=self._record(sister),
                    base=self._record(base) if self.hydrated else None,
                    change=change if known else None,
                    state=self._record(after) if read and known and after is not None else None,
                    event=self._record(after) if self.told == "event" else None,
                    moved=moved,
                    settled=settled,
                    still=previous is not None and previous[0] == production,
                )
            )
            previous = (production,)
            verdict = self._verdict(decision, sister)
            if verdict is not None:
                return verdict
        raise AssertionError("a call that is settled must have a verdict")

    def _verdict(self, decision: Decision, sister: State | None) -> tuple[str, str] | None:
        if decision.step == "wait":
            return None
        if decision.step != "compare":
            return decision.step, ""
        assert decision.against is not None
        ours, theirs = decision.against, self._record(sister)
        if ours.exists == theirs.exists and ours.value == theirs.value:
            return "match", decision.proof
        if decision.otherwise is None:
            return "mismatch", decision.proof
        return self._verdict(decision.otherwise, sister)

    def _record(self, state: State | None) -> Record:
        if state is None:
            return GONE
        if self.versions:
            return Record(REF, (state.writers, state.version), state.version, token=object())
        return Record(REF, state.writers)


def _changed(state: State | None, who: str) -> State:
    assert state is not None
    return State((*state.writers, who), state.version + 1)


def _candidates(base: State | None, kind: str) -> dict[str, State | None]:
    """Give what a sister in a base state holds after each candidate; the first is right."""
    old = base or State((), 0)
    right = None if kind == "delete" else State((*old.writers, "C"), old.version + 1)
    wrong = {
        "does nothing": base,
        "writes something else": State((*old.writers, "X"), old.version + 1),
        "does not bump": State((*old.writers, "C"), old.version),
        "bumps twice": State((*old.writers, "C"), old.version + 2),
        "invents": State((*old.writers, "C"), 1000),
        "loses an update": State(("C",), old.version + 1),
        "removes": None,
    }
    return {"right": right, **{name: state for name, state in wrong.items() if state != right}}


@st.composite
def stories(draw: st.DrawFn, *, told: tuple[str, ...], versions: bool = True, lags: bool = True) -> Story:
    """Draw a story; nobody writes before a creation, for there is nothing to write to."""
    kind = draw(st.sampled_from(["update", "create", "delete"]))
    after = draw(st.lists(st.integers(0, 2), min_size=3, max_size=5))
    return Story(
        kind=kind,
        before=0 if kind == "create" else draw(st.integers(0, 2)),
        after=tuple(after),
        ends=draw(st.booleans()),
        told=draw(st.sampled_from(told)),
        read=draw(st.booleans()),
        hydrated=kind != "create" or draw(st.booleans()),
        lag=draw(st.integers(0, 2)) if lags else 0,
        versions=versions,
    )


@settings(max_examples=400)
@given(story=stories(told=("event", "version")))
def test_a_right_candidate_is_never_proved_wrong(story: Story) -> None:
    """With C's version told, no interleaving of unsampled writers and no lag proves a right candidate wrong."""
    verdict, proof = story.run("right")
    assert (verdict, proof) not in {("mismatch", "version"), ("mismatch", "event")}


@settings(max_examples=400)
@given(story=stories(told=("nobody",), lags=False))
def test_a_right_candidate_is_not_proved_wrong_by_counting(story: Story) -> None:
    """With versions that are only counted, a right candidate is not proved wrong by those who write beside it."""
    verdict, proof = story.run("right")
    assert (verdict, proof) not in {("mismatch", "version"), ("mismatch", "event")}


@settings(max_examples=300)
@given(story=stories(told=("nobody",), versions=False))
def test_a_right_candidate_is_at_most_weakly_wrong(story: Story) -> None:
    """Without versions a mismatch says that its proof is weak."""
    assert story.run("right") not in {("mismatch", "version"), ("mismatch", "event")}


@settings(max_examples=600)
@given(story=stories(told=("event", "version", "nobody")), data=st.data())
def test_a_wrong_candidate_never_matches(story: Story, data: st.DataObject) -> None:
    """A candidate that is wrong at C may be raced but is never a match."""
    base = None if story.kind == "create" else State(("past",), 1)
    wrong = data.draw(st.sampled_from([name for name in _candidates(base, story.kind) if name != "right"]))
    if _candidates(base, story.kind)[wrong] is None:
        story = evolve(story, ends=False)  # a record that is gone is the same, whoever removed it
    assert story.run(wrong)[0] != "match"


@settings(max_examples=600)
@given(story=stories(told=("event",)), data=st.data())
def test_a_wrong_candidate_is_found_by_the_event(story: Story, data: st.DataObject) -> None:
    """A candidate that is wrong at C is a mismatch if C's event tells the state, however far production has moved."""
    # A record that was created and is gone at the first look cannot be told from one that was never committed.
    story = evolve(story, before=0, lag=0, ends=False)
    base = None if story.kind == "create" else State(("past",), 1)
    wrong = data.draw(st.sampled_from([name for name in _candidates(base, story.kind) if name != "right"]))
    assert story.run(wrong) in {("mismatch", "version"), ("mismatch", "event")}


@settings(max_examples=300)
@given(story=stories(told=("event", "version", "nobody")), data=st.data())
def test_a_wrong_candidate_is_found_if_nobody_else_writes(story: Story, data: st.DataObject) -> None:
    """A candidate that is wrong at C is a mismatch if production is still at C, whoever told the version."""
    story = evolve(story, before=0, lag=0, after=(0,) * len(story.after), ends=False)
    base = None if story.kind == "create" else State(("past",), 1)
    wrong = data.draw(st.sampled_from([name for name in _candidates(base, story.kind) if name != "right"]))
    verdict = story.run(wrong)[0]
    # A new record with a lower version than production's may also be one that somebody has changed since: no match.
    lower = story.kind == "create" and story.told == "nobody" and wrong == "does not bump"
    assert verdict == "mismatch" or (lower and verdict == "raced")
