"""Writes whose transaction is open when the handler returns, and what two tries of one write prove."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shadowmig import Call, Comparison, Migration, SisterStore, Verdict
from shadowmig.engine.contest import MOST_VERSIONS, Contest
from shadowmig.engine.overlap import Overlap
from shadowmig.model import Record, Ref
from shadowmig.side import checked_side
from shadowmig.stores import MemoryStore, Stream, Table
from shadowmig.stores.history import History

TABLES = [Table("comments", key="id", version="version")]
STREAMS = [Stream("changes", id="event_id", version=lambda event: event["version"])]


class Requests:
    """A service whose requests have one transaction each, which is over after the handler."""

    def __init__(self) -> None:
        self.db = SisterStore(
            name="db", production=MemoryStore(tables=TABLES), sister=MemoryStore(tables=TABLES), keep=None
        )
        self.events = SisterStore(
            name="events", production=MemoryStore(streams=STREAMS), sister=MemoryStore(streams=STREAMS), keep=None
        )
        self.seen: list[Comparison] = []
        self.migration = Migration("m", sinks=[], on_comparison=self.seen.append)
        self.transaction: Any = None
        self.told: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.same_ref = True
        self.after: Callable[[Any, dict[str, Any]], None] = lambda rows, comment: None
        self.number = self.db.production.client().insert("comments", {"body": "first", "version": 1})["id"]
        self.edit: Any = self.migration.write(
            self.change,
            candidate=self.change,
            name="edit",
            key=lambda call: call["number"],
            hydrate=lambda call: [self.db.row("comments", call["number"])],
            touches=self.touched,
            carry=lambda call: {"event_id": call.result["event_id"]},
            hydrate_timeout=5,
        )

    def change(self, number: int, body: str, *, event_id: str = "") -> dict[str, Any]:
        """Change a comment, in the request's transaction where there is one."""
        if checked_side() or self.transaction is None:
            with self.db.client().transaction() as rows:
                return self.changed(rows, number, body, event_id)
        return self.changed(self.transaction, number, body, event_id)

    def changed(self, rows: Any, number: int, body: str, event_id: str) -> dict[str, Any]:
        """Change a comment and tell of it."""
        version = rows.get_row("comments", number)["version"] + 1
        comment = rows.update("comments", number, body=body, version=version)
        event_id = event_id or f"e{body}"
        told = {"event_id": event_id, "version": version, "after": self.told(comment)}
        self.events.client().append("changes", told)
        self.after(rows, comment)
        return {**comment, "event_id": event_id}

    def touched(self, call: Call) -> list[Ref]:
        """Name the row and the event, which tells of the row."""
        row = self.db.row("comments", call["number"])
        named = row if self.same_ref else self.db.row("comments", call["number"])
        return [row, self.events.entry("changes", call.result["event_id"], stands_for={named: lambda e: e["after"]})]

    def request(self, body: str, *, fails: bool = False) -> None:
        """Serve one request."""
        try:
            with self.db.production.client().transaction() as transaction:
                self.transaction = transaction
                self.edit(self.number, body)
                if fails:
                    raise RuntimeError("later in the request")
        except RuntimeError:
            pass
        finally:
            self.transaction = None

    def verdicts(self) -> dict[str, tuple[Verdict, str]]:
        """Give the verdict of each call and its reason, by the body it wrote."""
        assert self.migration.flush(30)
        return {one.call["body"]: (one.verdict, one.reason) for one in self.seen}


@pytest.fixture
def requests() -> Iterator[Requests]:
    """Make a service."""
    made = Requests()
    yield made
    made.migration.close()


def test_tried_again(requests: Requests) -> None:
    """A write that was rolled back and tried again at once is a race, and the second try is a match."""
    requests.request("second", fails=True)
    requests.request("third")
    found = requests.verdicts()
    assert found["second"] == (Verdict.RACED, "contested")
    assert found["third"] == (Verdict.MATCH, "")


def test_open_transactions_are_known(requests: Requests) -> None:
    """A write that waited for the transaction of another one is compared with the state that this one told."""
    begun = threading.Event()

    def begin(*_: object) -> None:
        if threading.current_thread() is not threading.main_thread() and checked_side() is None:
            begun.set()

    database = requests.db.production.client()
    with database.transaction() as transaction:
        requests.transaction = transaction
        requests.edit(requests.number, "second")
        requests.transaction = None
        read = requests.db.production.read
        requests.db.production.read = lambda *a, **k: (read(*a, **k), begin())[0]  # type: ignore[method-assign]  # to see it hydrate
        other = threading.Thread(target=requests.edit, args=(requests.number, "third"))
        other.start()
        assert begun.wait(10)
    other.join(10)
    found = requests.verdicts()
    assert {body: verdict for body, (verdict, _) in found.items()} == {"second": Verdict.MATCH, "third": Verdict.MATCH}


@pytest.mark.parametrize("same_ref", [True, False])
def test_an_event_may_tell_a_part(requests: Requests, same_ref: bool) -> None:
    """An event that tells a part of the row stands in for that part, whichever ref object names the row."""
    requests.same_ref = same_ref
    requests.told = lambda comment: {"body": comment["body"], "version": comment["version"]}

    def moves_on(rows: Any, comment: dict[str, Any]) -> None:
        if checked_side() is None:
            rows.update("comments", comment["id"], body="unsampled", version=comment["version"] + 1)

    requests.after = moves_on
    with requests.migration.inline() as seen:
        requests.edit(requests.number, "second")
    assert (seen[0].verdict, seen[0].proof) == (Verdict.MATCH, None)


# The parts ------------------------------------------------------------------------------------------------------------


def ref(number: int) -> Ref:
    """Name a record."""
    return Ref("db", "row", "comments", (number,))


def test_one_version_two_writes() -> None:
    """A version that two writes say they made is contested for both of them, and no other is."""
    contest = Contest()
    base = {ref(1): Record(ref(1), {}, 1)}
    contest.note("a", base, {})
    assert contest.others("a", ref(1), 2) is False
    contest.note("b", base, {ref(2): 7})
    assert contest.others("a", ref(1), 2) is True
    assert contest.others("b", ref(1), 2) is True
    assert contest.others("b", ref(2), 7) is False
    assert contest.others("a", ref(2), 7) is True
    assert contest.others("a", ref(1), 3) is False


def test_guesses_are_no_knowledge() -> None:
    """What a write may have made is not known until it tells, and what it tells replaces the guess."""
    contest = Contest()
    base = Record(ref(1), {}, 1)
    contest.note("a", {ref(1): base}, {})
    contest.guess("b", [base, Record(ref(2), {}, None)])
    assert contest.others("a", ref(1), 2) is None
    contest.note("b", {ref(1): base}, {ref(1): 3})
    assert contest.others("a", ref(1), 2) is False
    assert contest.others("a", ref(1), 3) is True


def test_versions_that_are_no_numbers() -> None:
    """A version that cannot be counted is contested if it is told twice, and one that cannot be hashed never is."""
    contest = Contest()
    base = {ref(1): Record(ref(1), {}, "abc")}
    contest.note("a", base, {ref(1): "abd"})
    contest.note("b", base, {ref(1): ["no", "key"]})
    assert contest.others("b", ref(1), "abd") is True
    assert contest.others("a", ref(1), "abd") is False
    assert contest.others("a", ref(1), ["no", "key"]) is False


def test_contests_are_forgotten() -> None:
    """Only so many versions are remembered."""
    contest = Contest()
    for number in range(MOST_VERSIONS + 1):
        contest.note("a", {}, {ref(number): 1})
    assert contest.others("b", ref(0), 1) is False
    assert contest.others("b", ref(1), 1) is True


def test_who_was_met() -> None:
    """A write has met another one until that is judged, though it may be the only one that is open."""
    overlap = Overlap()
    first = overlap.enter(ref(1))
    first.served()
    second = overlap.enter(ref(1))
    assert (first.met, second.met, second.alone) == (False, True, True)
    first.release()
    second.release()
    assert not overlap.enter(ref(1)).met


def test_told_after_the_same_base() -> None:
    """A state told before a record was found is later all the same if its write had found the very record."""
    history = History()
    base = Record(ref(1), {"body": "a"}, 1, token=10)
    history.tell(Record(ref(1), {"body": "b"}, 2), when=5.0, base=base)
    assert history.told(ref(1), 2, since=6.0) is None
    assert history.told(ref(1), 2, since=6.0, base=Record(ref(1), {"body": "a"}, 1, token=11)) is None
    found = history.told(ref(1), 2, since=6.0, base=Record(ref(1), {"body": "a"}, 1, token=10))
    assert found is not None
    assert found.value == {"body": "b"}


def test_contests_may_be_entered_again() -> None:
    """A handler that is called in the middle of a note, as by a signal, does not wait for itself."""
    contest = Contest()
    done = threading.Event()

    def enter_twice() -> None:
        with contest._lock:
            contest.guess("a", [Record(ref(1), {}, 1)])
            done.set()

    threading.Thread(target=enter_twice, daemon=True).start()
    assert done.wait(10)
