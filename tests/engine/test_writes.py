"""The write experiment: what is compared for which kind of write, in which stage, for which kind of handler."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from writes_support import (
    MODES,
    PATIENT,
    QUICK,
    Gate,
    Service,
    Watched,
    World,
    bench,
    counted,
    errors,
    migration,
    once,
    places,
    workers,
)

from shadowmig import Difference, Stage, Verdict
from shadowmig.errors import ProductionRefused, StoreUnavailable
from shadowmig.model import Raised
from shadowmig.side import checked_side
from shadowmig.stores import Table

CREATES: dict[str, Any] = {
    "hydrate": None,
    "key": lambda call: call.result["id"],
    "carry": lambda call: {"id": call.result["id"], "event_id": call.result["event_id"]},
}
"""Options of an experiment that creates."""


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How the calls are judged."""
    return str(request.param)


# Kinds of writes ------------------------------------------------------------------------------------------------------


def test_create(mode: str) -> None:
    """A record that is created with the carried id is compared in all three stores."""
    world = World()
    found = once(world, "create", world.candidate().create, "hello", mode=mode, **CREATES)
    assert found.verdict is Verdict.MATCH
    assert world.in_sister(1) == world.in_production(1) == {"id": 1, "body": "hello", "votes": 0, "version": 1}
    assert world.cache.sister.client().get("c:1") == world.in_production(1)
    assert [fields for _, fields in world.events.sister.client().entries("ev")] == [
        fields for _, fields in world.events.production.client().entries("ev")
    ]


def test_update(mode: str) -> None:
    """An update starts in the sister from what production held before it."""
    world = World()
    number = world.new("before")
    found = once(world, "update", world.candidate().update, number, "after", mode=mode)
    assert found.verdict is Verdict.MATCH
    assert world.in_sister(number)["body"] == "after"
    assert world.in_sister(number)["version"] == 2


def test_increment(mode: str) -> None:
    """Increments one after the other are compared by what they add up to."""
    world = World()
    number = world.new(votes=40)
    with bench(mode) as made:
        vote = made.made.write(
            world.control.increment, candidate=world.candidate().increment, name="vote", **world.options
        )
        assert [made.judge(vote, number).verdict for _ in range(3)] == [Verdict.MATCH] * 3
    assert world.in_sister(number)["votes"] == world.in_production(number)["votes"] == 43


def test_delete(mode: str) -> None:
    """A record that must be gone is compared by its being gone."""
    world = World()
    number = world.new()
    assert once(world, "delete", world.candidate().delete, number, mode=mode).verdict is Verdict.MATCH
    assert world.in_sister(number) is None
    kept = world.new()
    found = once(world, "delete", world.candidate("keeps row", "stale cache").delete, kept, mode=mode)
    assert found.verdict is Verdict.MISMATCH
    assert {("db", "$", "unexpected"), ("cache", "$", "unexpected")} <= places(found)


@pytest.mark.parametrize(
    ("operation", "defect", "expected"),
    [
        ("update", "shouts", ("db", "$.body", "changed")),
        ("increment", "off by one", ("db", "$.votes", "changed")),
        ("update", "no row", ("db", "$.body", "changed")),
        ("update", "no cache", ("cache", "$.body", "changed")),
        ("update", "ttl", ("cache", "@ttl", "changed")),
        ("update", "no event", ("events", "$", "missing")),
        ("update", "event twice", ("events", "@count", "changed")),
        ("update", "no bump", ("db", "$.version", "changed")),
        ("update", "double bump", ("db", "$.version", "changed")),
        ("update", "invents", ("db", "$.version", "changed")),
        ("delete", "stale cache", ("cache", "$", "unexpected")),
        ("delete", "no event", ("events", "$", "missing")),
    ],
)
def test_defects(mode: str, operation: str, defect: str, expected: tuple[str, str, str]) -> None:
    """Each defect of a candidate is found at its store and path, with a strong proof."""
    world = World()
    args = {"update": ("after",), "increment": (2,), "delete": ()}[operation]
    candidate = getattr(world.candidate(defect), operation)
    touches = world.standing if operation == "delete" else world.touches
    found = once(world, operation, candidate, world.new(), *args, mode=mode, touches=touches)
    assert found.verdict is Verdict.MISMATCH
    assert expected in places(found)
    assert found.proof in ("version", "event")


def test_a_defect_of_a_creation(mode: str) -> None:
    """A record that is created wrong is found, and is the only thing that is."""
    world = World()
    found = once(world, "create", world.candidate("shouts").create, "hello", mode=mode, **CREATES)
    assert places(found) == {
        ("", "$.body", "changed"),
        ("db", "$.body", "changed"),
        ("cache", "$.body", "changed"),
        ("events", "$.after.body", "changed"),
    }
    assert found.proof in ("version", "event")


def test_many_records() -> None:
    """A write to many records names the one that is wrong, with both values."""
    world = World()
    numbers = [world.new(f"b{n}") for n in range(20)]

    def rename(numbers: list[int], wrong: int = 0) -> int:
        with world.db.client().transaction() as transaction:
            for number in numbers:
                row = transaction.get_row("comments", number)
                body = "wrong" if number == wrong and checked_side() else "new"
                transaction.update("comments", number, body=body, version=row["version"] + 1)
        return len(numbers)

    with bench() as made:
        refs: Callable[[Any], Any] = lambda call: [world.row(number) for number in call["numbers"]]  # noqa: E731 - it is used twice
        handler = made.made.write(
            rename, candidate=rename, name="rename", hydrate=refs, touches=refs, breaker=PATIENT, settle=QUICK
        )
        assert made.judge(handler, numbers).verdict is Verdict.MATCH
        found = made.judge(handler, numbers, numbers[7])
        assert [(one.ref, one.path, one.control, one.candidate) for one in found.differences] == [
            (world.row(numbers[7]), "$.body", "new", "wrong")
        ]
        (finding,) = made.made.findings()
        assert (finding.store, finding.record, finding.path) == ("db", "comments", "$.body")


def test_nothing_touched() -> None:
    """A call that touches no record is compared by its answer."""
    world = World()
    with bench() as made:
        handler = made.made.write(lambda x: x, candidate=lambda x: x // 2 * 2, name="e", touches=lambda call: [])
        assert made.judge(handler, 4).verdict is Verdict.MATCH
        assert places(made.judge(handler, 5)) == {("", "$", "changed")}
    assert all(not store.sister.reads for store in world.stores)  # type: ignore[attr-defined]  # stores here are watched


def test_create_again_after_a_rollback() -> None:
    """A record whose creation was rolled back can be created again under the same key."""
    world = World()
    transactions: list[Any] = []

    def create(name: str) -> Any:
        row = {"id": name, "body": "x", "version": 1}
        if checked_side() is None:
            return transactions[-1].insert("comments", row)
        return world.db.client().insert("comments", row)

    with bench("threads") as made:
        handler = made.made.write(
            create,
            candidate=create,
            name="create",
            touches=lambda call: [world.db.row("comments", call["name"])],
            settle=QUICK,
            breaker=PATIENT,
        )
        for commit in (False, True):
            with suppress(LookupError), world.db.production.client().transaction() as transaction:
                transactions.append(transaction)
                handler("bob")
                if not commit:
                    raise LookupError
            assert made.made.flush(20)
        assert [found.verdict for found in made.seen] == [Verdict.SKIPPED, Verdict.MATCH]


def test_carried_for_what_was_given_by_position() -> None:
    """A carried value stands in for an argument that the caller gave by position."""
    with bench() as made:
        handler = made.made.write(
            lambda x, at=0: max(at, 5),
            candidate=lambda x, at=0: at,
            name="e",
            touches=lambda call: [],
            carry=lambda call: {"at": call.result},
        )
        assert made.judge(handler, 1, 3).verdict is Verdict.MATCH
        assert made.judge(handler, 1).verdict is Verdict.MATCH


# Failing --------------------------------------------------------------------------------------------------------------


def test_both_fail_alike(mode: str) -> None:
    """A write that both sides refuse, and that leaves everything as it was, is a match."""
    world = World()
    assert once(world, "update", world.candidate().update, 99, "x", mode=mode).verdict is Verdict.MATCH


def test_both_fail_with_versions_told() -> None:
    """A version that is taken out of the answer is not asked for when there is none."""
    world = World()
    version: Callable[[Any], Any] = lambda call: call.result["version"]  # noqa: E731 - given as an option
    found = once(world, "update", world.candidate().update, 99, "x", version=version)
    assert found.verdict is Verdict.MATCH


def _fails(world: World, error: type[Exception], *, first: bool) -> Callable[..., Any]:
    """Make an update that fails, before or after it wrote."""
    service = Service(world)

    def update(number: int, body: str, *, event_id: str | None = None) -> Any:
        if not first:
            service.update(number, body, event_id=event_id or "e-failed")
        raise error(number)

    return update


def test_candidate_alone_fails(mode: str) -> None:
    """A candidate that fails alone is a mismatch of the answers and of what it did not write."""
    world = World()
    found = once(world, "update", _fails(world, LookupError, first=True), world.new(), "x", mode=mode)
    assert found.verdict is Verdict.MISMATCH
    assert ("", "$", "raised") in places(found)
    assert ("db", "$.body", "changed") in places(found)


def test_control_alone_fails(mode: str) -> None:
    """A control that fails alone is a mismatch of the answers and of what the candidate wrote all the same."""
    world = World()
    world.control.update = _fails(world, LookupError, first=True)  # type: ignore[method-assign]  # so control fails
    found = once(world, "update", world.candidate().update, world.new(), "x", mode=mode)
    assert found.verdict is Verdict.MISMATCH
    assert {("", "$", "raised"), ("db", "$.body", "changed")} <= places(found)
    raised = next(one for one in found.differences if one.kind == "raised")
    assert isinstance(raised.control, Raised)
    assert raised.control.type == "builtins.LookupError"


def test_both_fail_and_one_wrote() -> None:
    """A candidate that refuses as control does, but only after it has written, is found."""
    world = World()
    world.control.update = _fails(world, LookupError, first=True)  # type: ignore[method-assign]  # so control fails
    found = once(world, "update", _fails(world, LookupError, first=False), world.new(), "x")
    assert found.verdict is Verdict.MISMATCH
    assert ("db", "$.body", "changed") in places(found)


def test_both_fail_differently() -> None:
    """Two refusals of different types are a mismatch, unless ``errors`` says that any will do."""
    world = World()
    world.control.update = _fails(world, LookupError, first=True)  # type: ignore[method-assign]  # so control fails
    found = once(world, "update", _fails(world, ValueError, first=True), world.new(), "x")
    assert places(found) == {("", "$", "raised")}
    found = once(world, "update", _fails(world, ValueError, first=True), world.new(), "x", errors="any")
    assert found.verdict is Verdict.MATCH


# Stages ---------------------------------------------------------------------------------------------------------------


def test_live(mode: str) -> None:
    """In stage LIVE the candidate writes production and control the sister, and differences keep their orientation."""
    world = World()
    number = world.new("before")
    with bench(mode, stage="live") as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate("shouts").update, name="update", **world.options
        )
        found = made.judge(update, number, "quiet")
    assert world.in_production(number)["body"] == "QUIET"
    assert world.in_sister(number)["body"] == "quiet"
    assert {(one.control, one.candidate) for one in found.differences if one.ref == world.row(number)} == {
        ("quiet", "QUIET")
    }
    assert found.control is not None
    assert found.control.value["body"] == "quiet"
    assert found.candidate is not None
    assert found.candidate.value["body"] == "QUIET"


def test_live_and_missing() -> None:
    """In stage LIVE an event that the served candidate left out is missing."""
    world = World()
    with bench(stage="live") as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate("no event").update, name="update", **world.options
        )
        found = made.judge(update, world.new(), "x")
        assert ("events", "$", "missing") in places(found)


def test_live_and_unexpected() -> None:
    """In stage LIVE what the served candidate should have removed is unexpected."""
    world = World()
    with bench(stage="live") as made:
        delete = made.made.write(
            world.control.delete, candidate=world.candidate("stale cache").delete, name="delete", **world.options
        )
        found = made.judge(delete, world.new())
        assert ("cache", "$", "unexpected") in places(found)


def test_more_than_control_does(mode: str) -> None:
    """A candidate that sets a cache that control leaves alone is found, though nothing else of that store moved."""
    world = World()
    world.control.defects = {"no cache"}
    found = once(world, "update", world.candidate().update, world.new(), "x", mode=mode)
    assert found.verdict is Verdict.MISMATCH
    assert ("cache", "$.body", "changed") in places(found)


def test_live_without_carried_parameters() -> None:
    """In stage LIVE the old implementation gets only those carried values that it takes."""
    world = World()
    given: list[dict[str, Any]] = []

    def old(number: int, body: str, *, at: int = 0) -> str:
        given.append({"at": at})
        return body

    def new(number: int, body: str, *, at: int = 0, event_id: str = "") -> str:
        given.append({"at": at, "event_id": event_id})
        return body

    carry: Callable[[Any], Any] = lambda call: {"at": 5, "event_id": "e5"}  # noqa: E731 - given as an option
    with bench(stage="live") as made:
        update = made.made.write(old, candidate=new, name="update", touches=lambda call: [], carry=carry)
        assert made.judge(update, world.new(), "x").verdict is Verdict.MATCH
        assert given == [{"at": 0, "event_id": ""}, {"at": 5}]


def test_carried_to_a_candidate_that_does_not_take_it() -> None:
    """A carried value that the candidate has no parameter for is our user's mistake, counted and not a mismatch."""
    with bench() as made:
        handler = made.made.write(
            lambda x: x, candidate=lambda x, at=0: x, name="e", touches=lambda call: [], carry=lambda call: {"when": 5}
        )
        found = made.judge(handler, 1)
        assert (found.verdict, found.reason) == (Verdict.BROKEN, "carry")
        assert errors(made.made) == {"carry": 1}


@pytest.mark.parametrize(("stage", "body"), [("off", "quiet"), ("complete", "QUIET")])
def test_no_other_side(stage: str, body: str) -> None:
    """In stages OFF and COMPLETE one side is served, and nothing of ours touches a store."""
    world = World()
    number = world.new()
    with migration(stage=stage) as made:
        update = made.write(
            world.control.update, candidate=world.candidate("shouts").update, name="update", **world.options
        )
        with made.inline() as seen:
            assert update(number, "quiet")["body"] == body
        update(number, "quiet")
        assert made.flush()
    assert seen == []
    assert all(not store.reads and not store.writes for store in _all_stores(world))


def _all_stores(world: World) -> list[Watched]:
    return [store for pair in world.stores for store in (pair.production, pair.sister) if isinstance(store, Watched)]


def test_stages_in_turn() -> None:
    """A migration may go from stage to stage and back, and every sampled call is judged by its own stage."""
    world = World()
    number = world.new()
    with bench("threads") as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="update", **world.options
        )
        for stage in (Stage.SHADOW, Stage.LIVE, Stage.SHADOW):
            made.made.stage = stage
            assert made.judge(update, number, stage.value).verdict is Verdict.MATCH
        assert counted(made.made) == {"match": 3}


# Kinds of handlers ----------------------------------------------------------------------------------------------------


def _plain(world: World, candidate: Service) -> tuple[Any, Any]:
    def update(number: int, body: str) -> Any:
        return world.control.update(number, body)

    def new(number: int, body: str, *, event_id: str | None = None) -> Any:
        return candidate.update(number, body, event_id=event_id)

    return update, new


@pytest.mark.parametrize("kind", ["method", "class method", "static method", "partial", "callable", "control="])
def test_kinds_of_handlers(kind: str) -> None:
    """Methods, class methods, static methods, partials and callable objects are compared, and keep their names."""
    world = World()
    number = world.new()
    control, candidate = _plain(world, world.candidate("shouts"))
    with bench() as made:
        write = functools.partial(made.made.write, name="update", **world.options)
        handler: Any
        if kind == "method":

            class Comments:
                @write(candidate=lambda self, number, body, event_id=None: candidate(number, body, event_id=event_id))
                def update(self, number: int, body: str) -> Any:
                    """Update."""
                    return control(number, body)

            assert (Comments.update.__name__, Comments.update.__doc__) == ("update", "Update.")
            handler = Comments().update
        elif kind == "class method":

            class Comments2:
                @classmethod
                @write(candidate=lambda cls, number, body, event_id=None: candidate(number, body, event_id=event_id))
                def update(cls, number: int, body: str) -> Any:
                    return control(number, body)

            handler = Comments2.update
        elif kind == "static method":

            class Comments3:
                @write(candidate=candidate)
                @staticmethod
                def update(number: int, body: str) -> Any:
                    return control(number, body)

            handler = Comments3.update
        elif kind == "partial":
            old = functools.partial(lambda source, number, body: control(number, body), "here")
            new = functools.partial(
                lambda source, number, body, event_id=None: candidate(number, body, event_id=event_id), "here"
            )
            handler = write(old, candidate=new)
        elif kind == "callable":

            class Updater:
                def __call__(self, number: int, body: str) -> Any:
                    return control(number, body)

            handler = write(Updater(), candidate=candidate)
        else:
            handler = write(candidate, control=control)
        found = made.judge(handler, number, body="quiet")
    # With control= the decorated handler is the candidate, and control is served all the same.
    assert world.in_production(number)["body"] == "quiet"
    assert ("db", "$.body", "changed") in places(found)


def test_an_async_candidate_of_a_sync_handler(mode: str) -> None:
    """The candidate of a sync handler may be async."""
    world = World()

    async def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        return world.control.update(number, body, event_id=event_id)

    assert once(world, "update", candidate, world.new(), "x", mode=mode).verdict is Verdict.MATCH


def test_a_handler_inside_of_another() -> None:
    """A decorated write that calls another one is compared as a whole, and the inner one for itself."""
    world = World()
    number = world.new()
    with migration() as made:
        seen = []
        made._on_comparison = seen.append
        vote = made.write(world.control.increment, candidate=world.candidate().increment, name="vote", **world.options)

        def both(number: int) -> Any:
            return vote(number, 1, event_id=f"vote-{'s' if checked_side() else 'p'}")["votes"]

        outer = made.write(
            both,
            candidate=both,
            name="both",
            key=lambda call: call["number"],
            hydrate=world.hydrate,
            touches=lambda call: [world.row(call["number"])],
            breaker=PATIENT,
            settle=QUICK,
            hydrate_timeout=5,
        )
        assert outer(number) == 1
        assert made.flush(20)
        assert all(found.verdict is not Verdict.MISMATCH for found in seen)
        assert len(seen) == 2


# The caller's path ----------------------------------------------------------------------------------------------------


def test_the_caller_gets_the_very_value(mode: str) -> None:
    """The caller gets the object that the handler returned, though it is frozen, carried from and compared."""
    answers = []

    def handler(body: str) -> Any:
        answers.append({"body": [body]})
        return answers[-1]

    with bench(mode) as made:
        decorated = made.made.write(
            handler,
            candidate=lambda body, at=None: {"body": [body]},
            name="e",
            touches=lambda call: [],
            carry=lambda call: {"at": call.result["body"]},
        )
        value = decorated("x")
        assert value is answers[0]
        value["body"].append("changed later")
        assert made.made.flush(20)
        assert counted(made.made) == {"match": 1}


def test_the_caller_gets_the_very_exception(mode: str) -> None:
    """The caller gets the exception that the handler raised, with its cause."""
    world = World()
    error, cause = LookupError("mine"), ValueError("cause")

    def handler(number: int) -> Any:
        raise error from cause

    with bench(mode) as made:
        decorated = made.made.write(
            handler, candidate=handler, name="e", touches=lambda call: call.result["x"], hydrate=world.hydrate
        )
        with pytest.raises(LookupError) as caught:
            decorated(1)
        assert caught.value is error
        assert caught.value.__cause__ is cause


def test_arguments_are_the_caller_s_own(mode: str) -> None:
    """The handler gets the caller's own arguments, and what the candidate does to its copies nobody sees."""
    given: list[Any] = []

    def handler(body: list[str]) -> int:
        given.append(body)
        return len(body)

    def candidate(body: list[str]) -> int:
        body.append("mine")
        return len(body) - 1

    with bench(mode) as made:
        decorated = made.made.write(
            handler, candidate=candidate, name="e", touches=lambda call: call["body"].append("touched") or []
        )
        body = ["x"]
        assert made.judge(decorated, body).verdict is Verdict.MATCH
        assert given[0] is body
        assert body == ["x"]


def test_hydrating_reads_before_the_handler() -> None:
    """What is hydrated is read before the handler runs, in one read for each store."""
    world = World()
    number, other = world.new(), world.new()
    stores = _all_stores(world)
    during: list[Any] = []
    world.control.before = lambda: (
        during.append([list(store.reads) for store in stores]) if not checked_side() else None
    )
    hydrate: Callable[[Any], Any] = lambda call: [  # noqa: E731 - given as an option
        world.row(number),
        world.key(number),
        world.row(other),
        world.key(other),
        world.row(number),
    ]
    assert once(world, "update", world.candidate().update, number, "x", hydrate=hydrate).verdict is Verdict.MATCH
    assert during == [[[2], [], [2], [], [], []]]


def test_verifying_reads_once() -> None:
    """Off the caller's path each store is read once on production's side, and once before and after in the sister."""
    world = World()
    numbers = [world.new() for _ in range(30)]
    refs: Callable[[Any], Any] = lambda call: [  # noqa: E731 - it is used twice
        ref for number in numbers for ref in (world.row(number), world.key(number))
    ]

    def touch(number: int) -> None:
        for one in numbers:
            world.db.client().update("comments", one, body="x", version=2)
            world.cache.client().set(f"c:{one}", {"version": 2})

    with bench("threads") as made:
        handler = made.made.write(
            touch, candidate=touch, name="e", hydrate=refs, touches=refs, breaker=PATIENT, hydrate_timeout=5
        )
        for store in _all_stores(world):
            store.reads.clear()
        assert made.judge(handler, 1).verdict is Verdict.MATCH
    assert [store.reads for store in _all_stores(world)] == [[60 // 2] * 2] * 4 + [[], []]


def test_reads_that_wait_go_together() -> None:
    """Calls that wait for a store at the same time are read in one go."""
    world = World()
    numbers = [world.new() for _ in range(12)]
    production = world.db.production
    assert isinstance(production, Watched)
    gate, first = Gate(), [True]

    def hold() -> None:
        if first:
            first.clear()
            gate()

    def update(number: int, body: str) -> Any:
        return world.db.client().update("comments", number, body=body, version=2)

    with migration(runner=workers(12)) as made:
        handler = made.write(
            update, candidate=update, name="update", touches=lambda call: [world.row(call["number"])], breaker=PATIENT
        )
        for number in numbers:
            world.db.sister.client().insert("comments", world.in_production(number))
        production.reads.clear()
        production.before_read = hold
        handler(numbers[0], "x")
        gate.wait()
        for number in numbers[1:]:
            handler(number, "x")
        together = made._get_mirror()._pair(world.db).production
        end = time.monotonic() + 30
        while len(together._waiting) < 11 and time.monotonic() < end:
            time.sleep(0.005)
        gate.open()
        assert made.flush(20)
        assert counted(made) == {"match": 12}
    assert production.reads[:2] == [1, 11]


def test_unsampled_calls_touch_no_store() -> None:
    """A call that is not sampled asks neither functions nor stores of ours."""
    world = World()
    number = world.new()
    asked: list[Any] = []

    def ask(call: Any) -> list[Any]:
        asked.append(call)
        return []

    with migration(sample=lambda call: False) as made:
        update = made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="update",
            touches=ask,
            hydrate=ask,
            carry=ask,
            version=ask,
        )
        for _ in range(20):
            update(number, "x")
        assert made.flush()
        assert counted(made) == {}
    assert asked == []
    assert all(not store.reads and not store.writes for store in _all_stores(world))


# The sister -----------------------------------------------------------------------------------------------------------


def test_the_candidate_is_refused_production(mode: str) -> None:
    """The checked side gets the sister's client by every handle, and asking for production's is refused."""
    world = World()
    number = world.new()
    refused: list[str] = []

    def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        for ask in (lambda: world.db.production, store.client):
            try:
                ask()
            except ProductionRefused as error:
                refused.append(str(error))
        return world.control.update(number, body, event_id=event_id)

    store = world.db.production
    assert once(world, "update", candidate, number, "x", mode=mode).verdict is Verdict.MATCH
    assert len(refused) == 2


def test_what_the_sister_holds_already_is_put_right(mode: str) -> None:
    """A sister that holds something else of old is brought into production's state before the candidate runs."""
    world = World()
    number = world.new(votes=7)
    world.db.sister.client().insert("comments", {"id": number, "body": "stale", "votes": 99, "version": 50})
    world.cache.sister.client().set(f"c:{number}", "stale")
    found = once(world, "increment", world.candidate().increment, number, mode=mode)
    assert found.verdict is Verdict.MATCH
    assert world.in_sister(number)["votes"] == 8


def test_a_record_that_production_lacks_is_taken_from_the_sister() -> None:
    """What the sister still has of a record that production lacks is removed before the candidate runs."""
    world = World()
    world.db.sister.client().insert("comments", {"id": 5, "body": "stale", "votes": 0, "version": 1})

    def put(number: int, body: str) -> str:
        world.db.client().insert("comments", {"id": number, "body": body, "version": 1})
        return body

    with bench() as made:
        row: Callable[[Any], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - it is used twice
        handler = made.made.write(put, candidate=put, name="put", hydrate=row, touches=row, hydrate_timeout=5)
        assert made.judge(handler, 5, "x").verdict is Verdict.MATCH


def test_a_sister_that_is_right_is_left_alone() -> None:
    """A record that the sister holds already as production did is not written again."""
    world = World()
    number = world.new()
    with bench() as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="update", **world.options
        )
        made.judge(update, number, "a")
        sister = world.db.sister
        assert isinstance(sister, Watched)
        before = len(sister.writes)
        assert made.judge(update, number, "b").verdict is Verdict.MATCH
        assert len(sister.writes) == before


def test_two_kinds_of_store() -> None:
    """Production and sister may be over other tables if a translation says how records are called in each."""
    from shadowmig import SisterStore
    from shadowmig.model import Ref
    from shadowmig.stores import MemoryStore, Translation

    def there(ref: Ref) -> Ref:
        return Ref(ref.store, ref.kind, "t2", ref.key)

    sister = SisterStore(
        name="s",
        production=MemoryStore(tables=[Table("t1", key="id")]),
        sister=MemoryStore(tables=[Table("t2", key="id")]),
        translation=Translation(ref=there, back=lambda ref: Ref(ref.store, ref.kind, "t1", ref.key)),
    )
    sister.production.client().insert("t1", {"id": 1, "n": 1})

    def old(by: int) -> None:
        client = sister.client()
        client.update("t1", 1, n=client.get_row("t1", 1)["n"] + by)

    def new(by: int) -> None:
        client = sister.client()
        client.update("t2", 1, n=client.get_row("t2", 1)["n"] + by * 2)

    with bench() as made:
        row: Callable[[Any], Any] = lambda call: [sister.row("t1", 1)]  # noqa: E731 - it is used twice
        handler = made.made.write(
            old, candidate=new, name="e", hydrate=row, touches=row, settle=QUICK, hydrate_timeout=5
        )
        found = made.judge(handler, 5)
        assert [(one.path, one.control, one.candidate) for one in found.differences] == [("$.n", 6, 11)]


def test_comparators() -> None:
    """The experiment's comparator judges records too, unless the store has one of its own."""
    world = World()

    def nothing(*, control: Any, candidate: Any) -> list[Difference]:
        return []

    found = once(world, "update", world.candidate("shouts").update, world.new(), "x", compare=nothing)
    assert found.verdict is Verdict.MATCH
    world.db._compare = lambda *, control, candidate: [Difference("$.mine", "changed", 1, 2)]
    found = once(world, "update", world.candidate().update, world.new(), "x", compare=nothing)
    assert places(found) == {("db", "$.mine", "changed")}


def test_ignored() -> None:
    """A write that differs only where a rule says so is ignored, which is no match."""
    from shadowmig import structural

    world = World()
    rules = structural(ignore=["$.body", "$.after.body"])
    found = once(world, "update", world.candidate("shouts").update, world.new(), "x", compare=rules)
    assert found.verdict is Verdict.IGNORED
    assert len(found.ignored) == 4


def test_counts_and_findings() -> None:
    """A mismatch is counted once, and each place of it is a finding with its store and kind of record."""
    world = World()
    with bench() as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate("shouts").update, name="update", **world.options
        )
        for _ in range(3):
            made.judge(update, world.new(), "x")
        assert counted(made.made) == {"mismatch": 3}
        assert errors(made.made) == {}
        assert {(one.store, one.record, one.path, one.count) for one in made.made.findings()} == {
            ("", "", "$.body", 3),
            ("db", "comments", "$.body", 3),
            ("cache", "c:*", "$.body", 3),
            ("events", "ev", "$.after.body", 3),
        }


def test_the_sister_is_cleared_of_what_is_not_used() -> None:
    """Hydrated records leave the sister when they have not been used for a while."""
    from shadowmig import SisterStore
    from shadowmig.stores import MemoryStore

    sister = SisterStore(name="s", production=MemoryStore(tables=[T]), sister=MemoryStore(tables=[T]), keep=0.001)
    for number in range(30):
        sister.production.client().insert("t", {"id": number, "n": 0})

    def bump(number: int) -> None:
        sister.client().update("t", number, n=1)

    with bench() as made:
        row: Callable[[Any], Any] = lambda call: [sister.row("t", call["number"])]  # noqa: E731 - it is used twice
        handler = made.made.write(
            bump, candidate=bump, name="e", hydrate=row, touches=row, settle=QUICK, hydrate_timeout=5
        )
        assert [made.judge(handler, number).verdict for number in range(30)] == [Verdict.MATCH] * 30
    assert len(sister.sister.client().rows("t")) < 10  # type: ignore[attr-defined]  # it is a memory store


T = Table("t", key="id")


def test_an_outage_is_no_excuse_for_the_candidate() -> None:
    """A candidate that raises an error of its own is a mismatch, for the sister answers."""
    world = World()

    def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        raise StoreUnavailable("made up")

    found = once(world, "update", candidate, world.new(), "x")
    assert found.verdict in (Verdict.MISMATCH, Verdict.BROKEN)


def test_recursion_depth_is_kept() -> None:
    """A write on a nearly full stack is served all the same."""
    world = World()
    number = world.new()
    with migration() as made:
        handler = made.write(
            lambda number: [number],
            candidate=lambda number: [number],
            name="e",
            hydrate=world.hydrate,
            touches=lambda call: [],
        )
        handler(number)

        def dive(left: int) -> Any:
            return handler(number) if left == 0 else dive(left - 1)

        depth, here = sys.getrecursionlimit(), 0
        for left in range(depth, 0, -1):
            try:
                dive(left)
            except RecursionError:
                continue
            here = left
            break
        assert here > depth / 2
        assert made.flush(20)
