"""Verdicts on writes that others write beside: commits that come late, races, strays, order, values made up."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from writes_support import (
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

from shadowmig import Comparison, SisterStore, Verdict, structural
from shadowmig.engine.experiment import SUSPICIOUS
from shadowmig.engine.threads import TOGETHER_SECONDS
from shadowmig.model import Call
from shadowmig.side import checked_side
from shadowmig.stores import MemoryStore, Table

STRONG = ("version", "event")


class _Rollback(Exception):
    pass


def served(act: Callable[[], object]) -> Callable[[], object]:
    """Have a hook act on the served side only."""
    return lambda: act() if checked_side() is None else None


def told(call: Call) -> Any:
    """Give the version that the answer tells."""
    return call.result["version"]


# A commit after the return --------------------------------------------------------------------------------------------


class Request:
    """A handler inside of a request-wide transaction, which is committed or rolled back after it returned."""

    def __init__(self, world: World, operation: str) -> None:
        self._world = world
        self._operation = operation
        self._transaction: Any = None

    def handler(self, number: int, body: str, *, event_id: str | None = None) -> Any:
        """Write as the framework's transaction wants it; the sister's side commits by itself."""
        if checked_side() is not None:
            if self._operation == "create":
                row = {"id": number, "body": body, "version": 1}
                return self._world.db.client().insert("comments", row) | {"event_id": event_id}
            return self._world.control.update(number, body, event_id=event_id)
        event_id = f"e{next(self._world.ids)}"
        if self._operation == "create":
            row = self._transaction.insert("comments", {"id": number, "body": body, "version": 1})
        else:
            version = self._transaction.get_row("comments", number)["version"] + 1
            row = self._transaction.update("comments", number, body=body, version=version)
            self._world.cache.client().set(f"c:{number}", row, ttl=100)
            event = {"event_id": event_id, "number": number, "after": row, "version": version}
            self._world.events.client().append("ev", event)
        return {**row, "event_id": event_id}

    def run(self, call: Callable[[], object], *, commit: bool, after: Callable[[], object] = lambda: None) -> None:
        """Have the call made by a framework that ends the transaction when the handler has returned."""
        try:
            with self._world.db.production.client().transaction() as self._transaction:
                call()
                after()
                if not commit:
                    raise _Rollback
        except _Rollback:
            pass


@pytest.mark.parametrize("operation", ["update", "create"])
@pytest.mark.parametrize("hydrated", [True, False])
def test_committed_after_the_return(operation: str, hydrated: bool) -> None:
    """A write that is committed after the handler returned is verified after the commit."""
    world = World()
    number = world.new() if operation == "update" else 5
    if not hydrated and operation == "update":
        world.db.sister.client().insert("comments", world.in_production(number))
    request = Request(world, operation)
    options = {**world.options, "settle": 5, **({} if hydrated else {"hydrate": None})}
    if operation == "create":
        options |= {"touches": lambda call: [world.row(call["number"])]}
    with bench("threads") as made:
        handler = made.made.write(request.handler, candidate=request.handler, name="e", **options)
        request.run(lambda: handler(number, "x"), commit=True, after=lambda: time.sleep(0.2))
        assert made.made.flush(20)
        assert counted(made.made) == {"match": 1}


def test_found_after_the_return() -> None:
    """A defect of a write that is committed late is found as soon as the commit is seen."""
    world = World()
    number = world.new()
    request = Request(world, "update")
    with bench("threads") as made:
        handler = made.made.write(
            request.handler, candidate=world.candidate("shouts").update, name="e", **{**world.options, "settle": 5}
        )
        request.run(lambda: handler(number, "x"), commit=True, after=lambda: time.sleep(0.1))
        assert made.made.flush(20)
        (found,) = made.seen
        assert found.verdict is Verdict.MISMATCH
        assert ("db", "$.body", "changed") in places(found)
        assert found.proof in STRONG


@pytest.mark.parametrize("operation", ["update", "create"])
@pytest.mark.parametrize("options", [{}, {"version": told}, {"hydrate": None}])
def test_rolled_back(operation: str, options: dict[str, Any]) -> None:
    """A write that is rolled back after the handler returned is skipped as not committed, and is no mismatch."""
    world = World()
    number = world.new() if operation == "update" else 5
    if "hydrate" in options and operation == "update":
        pytest.skip("without the state before, a rolled-back update cannot be told from one that changed nothing")
    request = Request(world, operation)
    with bench("threads") as made:
        handler = made.made.write(
            request.handler,
            candidate=request.handler,
            name="e",
            **{**world.options, "touches": lambda call: [world.row(call["number"])], **options},
        )
        request.run(lambda: handler(number, "x"), commit=False)
        assert made.made.flush(20)
        assert counted(made.made) == {"skipped": 1, "skipped:not_committed": 1}


def test_the_next_one_after_a_rollback() -> None:
    """What a rolled-back write left in the sister does not disturb the next write."""
    world = World()
    number = world.new()
    request = Request(world, "update")
    row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - given as an option
    with bench("threads") as made:
        handler = made.made.write(
            request.handler, candidate=request.handler, name="e", **{**world.options, "touches": row}
        )
        request.run(lambda: handler(number, "x"), commit=False)
        assert made.made.flush(20)
        request.run(lambda: handler(number, "y"), commit=True)
        assert made.made.flush(20)
        assert [found.verdict for found in made.seen] == [Verdict.SKIPPED, Verdict.MATCH]


@pytest.mark.xfail(strict=True, reason="a version alone does not tell whose write it is")
def test_rolled_back_and_overtaken() -> None:
    """A rolled-back write whose version somebody else then takes is not proved wrong by it."""
    world = World()
    number = world.new()
    request = Request(world, "update")
    row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - given as an option
    with bench("threads") as made:
        handler = made.made.write(
            request.handler, candidate=request.handler, name="e", **{**world.options, "touches": row, "settle": 0.5}
        )
        request.run(lambda: handler(number, "x"), commit=False)
        world.edit(number, body="somebody else's")
        assert made.made.flush(20)
        (found,) = made.seen
        assert found.verdict is not Verdict.MISMATCH or found.proof not in STRONG


@pytest.mark.parametrize("standing", [True, False])
def test_a_replica_that_lags(standing: bool) -> None:
    """Production read from a replica that lags for a while is waited for."""
    world = World()
    number = world.new()
    production = world.db.production
    assert isinstance(production, Watched)
    world.control.after = served(lambda: production.lag(world.row(number)) if not production._old else None)
    with bench("threads") as made:
        handler = made.made.write(
            world.control.update,
            candidate=world.candidate().update,
            name="e",
            **{**world.options, "settle": 20, "touches": world.standing if standing else world.touches},
        )
        world.control.before = served(lambda: production.lag(world.row(number)))
        handler(number, "x")
        time.sleep(0.2)
        assert made.seen == []
        production.catch_up()
        assert made.made.flush(20)
        assert counted(made.made) == {"match": 1}


def test_a_replica_that_never_catches_up() -> None:
    """A write that a replica never shows is skipped, and the service notices nothing."""
    world = World()
    number = world.new()
    production = world.db.production
    assert isinstance(production, Watched)
    world.control.before = served(lambda: production.lag(world.row(number)))
    row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - given as an option
    found = once(world, "update", world.candidate().update, number, "x", touches=row)
    assert (found.verdict, found.reason) == (Verdict.SKIPPED, "not_committed")


@pytest.mark.xfail(strict=True, reason="a version alone does not tell whose write it is")
def test_a_replica_that_lags_from_before() -> None:
    """A replica that lagged already when it was hydrated from proves nothing against the candidate."""
    world = World()
    number = world.new()
    production = world.db.production
    assert isinstance(production, Watched)
    production.lag(world.row(number))
    world.edit(number, body="somebody else's")
    world.control.after = served(lambda: setattr(production, "_old", half_way))
    half_way = {
        ref: evolve(record, value=world.in_production(number), version=2, token=object())
        for ref, record in (production._old or {}).items()
    }
    row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - given as an option
    found = once(
        world,
        "increment",
        world.candidate().increment,
        number,
        hydrate=row,
        touches=row,
        compare=structural(ignore=["$.event_id"]),
    )
    assert found.verdict is not Verdict.MISMATCH or found.proof not in STRONG


# Others who write -----------------------------------------------------------------------------------------------------

WAYS: list[dict[str, Any]] = [{}, {"version": told}, {"standing": True}, {"standing": True, "version": told}]


def _race(where: str, way: dict[str, Any], *defects: str) -> Comparison:
    world = World()
    number = world.new()
    way = dict(way)
    if way.pop("standing", False):
        way["touches"] = world.standing
    setattr(world.control, where, served(lambda: world.edit(number, body="somebody else's")))
    return once(world, "increment", world.candidate(*defects).increment, number, **way)


@pytest.mark.parametrize("way", WAYS, ids=["plain", "told", "standing", "both"])
@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_an_unsampled_writer(where: str, way: dict[str, Any]) -> None:
    """A writer that nobody sees, before or after the write, makes no false alarm."""
    found = _race(where, way)
    assert found.verdict in (Verdict.MATCH, Verdict.RACED), places(found)


@pytest.mark.parametrize("where", ["between", "after"])
@pytest.mark.parametrize("defect", ["off by one", "no bump", "double bump", "invents", "no row", "no cache"])
def test_the_event_stands_in(where: str, defect: str) -> None:
    """A defect is found though production has moved on, because the event tells what it was."""
    found = _race(where, {"standing": True}, defect)
    assert found.verdict is Verdict.MISMATCH
    assert found.proof in STRONG


@pytest.mark.parametrize("way", WAYS, ids=["plain", "told", "standing", "both"])
@pytest.mark.parametrize("defect", ["off by one", "no bump", "double bump", "invents", "no row"])
@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_a_defect_in_a_race_is_no_match(where: str, defect: str, way: dict[str, Any]) -> None:
    """A defect that a race hides is raced, and never a match."""
    assert _race(where, way, defect).verdict in (Verdict.RACED, Verdict.MISMATCH)


def test_a_lost_update() -> None:
    """A candidate that writes back a state it read long ago is found."""
    world = World()
    number = world.new(votes=10)
    stale = {"row": None}

    def candidate(number: int, by: int = 1, *, event_id: str | None = None) -> Any:
        client = world.db.client()
        now = client.get_row("comments", number)
        stale["row"] = stale["row"] or now
        changes = {"votes": stale["row"]["votes"] + by, "version": now["version"] + 1}
        row = client.update("comments", number, **changes)
        world.control._tell(number, row, event_id or "", row["version"])
        return {**row, "event_id": event_id}

    with bench() as made:
        vote = made.made.write(world.control.increment, candidate=candidate, name="vote", **world.options)
        assert made.judge(vote, number).verdict is Verdict.MATCH
        found = made.judge(vote, number)
        assert found.verdict is Verdict.MISMATCH
        assert next(one for one in found.differences if one.ref == world.row(number)).control == 12


def test_a_race_is_never_a_match() -> None:
    """Races are counted as such, for their reason, and as no match."""
    world = World()
    number = world.new()
    world.control.after = served(lambda: world.edit(number, body="somebody else's"))
    with bench() as made:
        vote = made.made.write(
            world.control.increment,
            candidate=world.candidate().increment,
            name="vote",
            **{**world.options, "version": told},
        )
        made.judge(vote, number)
        found = counted(made.made)
    assert found.pop("raced") == 1
    assert list(found.values()) == [1]
    assert all(reason.startswith("raced:") for reason in found)


def test_unexplained_races_become_a_finding() -> None:
    """Races of which nobody knows who wrote beside are a finding after a few, and none before."""
    world = World()
    number = world.new()
    with bench() as made:
        vote = made.made.write(
            world.control.increment,
            candidate=world.candidate().increment,
            name="vote",
            **{**world.options, "version": told},
        )
        world.control.after = served(lambda: world.edit(number, body="somebody else's"))
        for _ in range(SUSPICIOUS - 1):
            assert made.judge(vote, number).verdict is Verdict.RACED
        assert made.made.findings() == ()
        made.judge(vote, number)
        assert {finding.path for finding in made.made.findings()} == {"@version"}
        assert counted(made.made)["raced"] == SUSPICIOUS


def test_a_failed_write_and_an_unsampled_writer() -> None:
    """A record that somebody changed while a write failed on both sides alike proves nothing against the candidate."""
    world = World()
    number = world.new()

    def refuse(number: int) -> None:
        if checked_side() is None:
            world.edit(number, body="somebody else's")
        raise LookupError(number)

    with bench() as made:
        options = {**world.options, "touches": world.hydrate, "carry": None}
        handler = made.made.write(refuse, candidate=refuse, name="e", **options)
        assert made.judge(handler, number).verdict is not Verdict.MISMATCH


@pytest.mark.parametrize("standing", [True, False])
def test_created_and_changed_since(standing: bool) -> None:
    """A record that somebody changed right after it was created proves nothing against the candidate."""
    world = World()
    world.control.after = served(lambda: world.edit(1, body="somebody else's"))
    found = once(
        world,
        "create",
        world.candidate().create,
        "x",
        hydrate=None,
        key=lambda call: call.result["id"],
        carry=lambda call: {"id": call.result["id"], "event_id": call.result["event_id"]},
        touches=world.standing if standing else world.touches,
    )
    assert found.verdict in (Verdict.MATCH, Verdict.RACED)


@pytest.mark.parametrize("versions", [True, False])
@pytest.mark.parametrize("standing", [True, False])
def test_a_storm(versions: bool, standing: bool) -> None:
    """Many threads that write few records at the same time make no false alarm, and most calls get a verdict."""
    world = World(versions=versions)
    numbers = [world.new() for _ in range(2)]
    candidate = world.candidate()
    touches = world.standing if standing and versions else world.touches
    # Cache and event are written inside of the transaction, so that all stores see one order.
    with migration(runner=workers(4, queue=5000)) as made:
        vote = made.write(
            _in_one_go(world.control),
            candidate=_in_one_go(candidate),
            name="vote",
            **{**world.options, "touches": touches, "settle": 0.5},
        )
        threads = [
            threading.Thread(target=lambda: [vote(number) for _ in range(12) for number in numbers]) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.flush(60)
        assert errors(made) == {}
        found = [finding for finding in made.findings() if set(finding.proofs) & set(STRONG)]
        assert found == []
        if versions:
            assert "mismatch" not in counted(made), made.findings()
        if standing and versions:
            assert counted(made)["match"] >= 0.6 * 144


def _in_one_go(service: Service) -> Callable[..., Any]:
    """Make an increment that changes all stores while it holds the row."""
    world = service.world

    def increment(number: int, by: int = 1, *, event_id: str | None = None) -> Any:
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            changes = {"votes": row["votes"] + by}
            if world.versions:
                changes["version"] = row["version"] + 1
            row = transaction.update("comments", number, **changes)
            event_id = service._event_id(event_id)
            service._tell(number, row, event_id, row.get("version"))
        return {**row, "event_id": event_id}

    return increment


@pytest.mark.parametrize("defect", ["off by one", "no bump", "double bump"])
def test_a_defect_in_a_storm(defect: str) -> None:
    """A defect is found among many threads that write few records at the same time."""
    world = World()
    number = world.new()
    with migration(runner=workers(4, queue=5000)) as made:
        vote = made.write(
            world.control.increment,
            candidate=world.candidate(defect).increment,
            name="vote",
            **{**world.options, "touches": world.standing, "settle": 0.5},
        )
        threads = [threading.Thread(target=lambda: [vote(number) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.flush(60)
        assert counted(made)["mismatch"] > 0
        assert "match" not in counted(made)
        path = "$.votes" if defect == "off by one" else "$.version"
        assert ("db", path) in {(finding.store, finding.path) for finding in made.findings()}


# Versions of another kind ---------------------------------------------------------------------------------------------


def _opaque(*, after: Callable[[SisterStore], object] = lambda store: None, wrong: str = "", **options: Any) -> Any:
    """Judge an update of a row whose version is a random text, carried to the candidate."""
    store = SisterStore(
        name="db",
        production=MemoryStore(tables=[Table("t", key="id", version="v")]),
        sister=MemoryStore(tables=[Table("t", key="id", version="v")]),
    )
    store.production.client().insert("t", {"id": 1, "body": "first", "v": "a"})

    def update(body: str, *, v: str = "") -> Any:
        if checked_side() and wrong == "invents":
            v = "invented"
        if checked_side() and wrong == "shouts":
            body = body.upper()
        row = store.client().update("t", 1, body=body, v=v or uuid.uuid4().hex)
        if checked_side() is None:
            after(store)
        return row

    row: Callable[[Call], Any] = lambda call: [store.row("t", 1)]  # noqa: E731 - it is used twice
    with bench() as made:
        handler = made.made.write(
            update,
            candidate=update,
            name="e",
            hydrate=row,
            touches=row,
            carry=lambda call: {"v": call.result["v"]},
            counter=False,
            settle=QUICK,
            hydrate_timeout=5,
            **options,
        )
        return made.judge(handler, "x")


def _somebody(store: SisterStore) -> None:
    store.production.client().update("t", 1, body="somebody else's", v=uuid.uuid4().hex)


TELLS: dict[str, Any] = {"version": lambda call: call.result["v"]}


@pytest.mark.parametrize("options", [{}, TELLS], ids=["not told", "told"])
def test_versions_that_do_not_count(options: dict[str, Any]) -> None:
    """Versions that are no numbers are compared for being the same, with ``counter=False``."""
    assert _opaque(**options).verdict is Verdict.MATCH
    assert places(_opaque(wrong="shouts", **options)) >= {("db", "$.body", "changed")}
    assert places(_opaque(wrong="invents", **options)) >= {("db", "$.v", "changed")}


@pytest.mark.parametrize("options", [{}, TELLS], ids=["not told", "told"])
def test_versions_that_do_not_count_and_a_race(options: dict[str, Any]) -> None:
    """With versions that are no numbers, a writer beside proves nothing strongly against the candidate."""
    found = _opaque(after=_somebody, **options)
    assert found.verdict is not Verdict.MISMATCH or found.proof not in STRONG


def test_versions_by_record() -> None:
    """A write that gives its records different versions may tell them by ref."""
    world = World()
    number = world.new()
    world.db.production.client().insert("totals", {"id": 1, "votes": 0, "version": 70})
    total = world.db.row("totals", 1)

    def vote(number: int) -> Any:
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            row = transaction.update("comments", number, votes=row["votes"] + 1, version=row["version"] + 1)
            all_ = transaction.get_row("totals", 1)
            all_ = transaction.update("totals", 1, votes=all_["votes"] + 1, version=all_["version"] + 1)
        if checked_side() is None:
            world.edit(number, body="somebody else's")
        return {"comment": row["version"], "total": all_["version"]}

    refs: Callable[[Call], Any] = lambda call: [world.row(call["number"]), total]  # noqa: E731 - it is used twice
    with bench() as made:
        handler = made.made.write(
            vote,
            candidate=vote,
            name="e",
            hydrate=refs,
            touches=refs,
            settle=QUICK,
            hydrate_timeout=5,
            version=lambda call: {total: call.result["total"], world.row(number): call.result["comment"]},
        )
        found = made.judge(handler, number)
        assert (found.verdict, found.reason.partition(",")[0]) == (Verdict.RACED, "moved on")


@pytest.mark.parametrize("version", [None, lambda call: None], ids=["left out", "none"])
def test_no_version_told(version: Any) -> None:
    """A version may be left out, or be ``None`` for a call that gave none."""
    world = World()
    options = {} if version is None else {"version": version}
    assert once(world, "update", world.candidate().update, world.new(), "x", **options).verdict is Verdict.MATCH


def test_a_version_that_is_told_wrong() -> None:
    """A version that no record ever has makes races, and no match and no mismatch."""
    world = World()
    found = once(
        world,
        "update",
        world.candidate("shouts").update,
        world.new(),
        "x",
        version=lambda call: 77,
        touches=lambda call: [world.row(call["number"])],
    )
    assert found.verdict in (Verdict.RACED, Verdict.SKIPPED)


# Values made up -------------------------------------------------------------------------------------------------------

MADE_UP = {
    "hydrate": None,
    "carry": None,
    "key": lambda call: call.result["id"],
    "generated": ["$.id", "$.event_id", "$.number", "$.after.id"],
}


def _own_ids(world: World, *defects: str) -> Any:
    """Make a creation whose ids are its own: the sister's numbers begin elsewhere."""
    if not world.db.sister.client().rows("comments"):
        world.db.sister.client().insert("comments", {"id": 500, "body": "", "votes": 0, "version": 1})
    candidate = world.candidate(*defects)
    return candidate.add


def test_own_ids_are_matched() -> None:
    """Ids that each side makes up are matched across the answer and all three stores."""
    world = World()
    found = once(world, "create", _own_ids(world), "x", **MADE_UP)
    assert found.verdict is Verdict.MATCH, places(found)
    assert world.in_sister(501)["body"] == "x"
    assert found.candidate is not None
    assert found.candidate.value["id"] == 501


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        ("shouts", ("db", "$.body", "changed")),
        ("no cache", ("cache", "$", "missing")),
        ("no event", ("events", "$", "missing")),
        ("event twice", ("events", "@count", "changed")),
    ],
)
def test_a_defect_beside_own_ids(defect: str, expected: tuple[str, str, str]) -> None:
    """What else is wrong is found at records that are called otherwise in the sister."""
    world = World()
    found = once(world, "create", _own_ids(world, defect), "x", **MADE_UP)
    assert expected in places(found)
    (where,) = {one.ref for one in found.differences if one.ref and one.ref.store == expected[0]}
    assert where.key != (501,)  # production's ref is what people can look up


def test_an_inconsistent_id_is_found() -> None:
    """A candidate whose event tells another id than its row is found there."""
    world = World()

    class Wrong(Service):
        def _tell(self, number: int, row: Any, event_id: str, version: int | None) -> None:
            if checked_side():
                self.world.cache.client().set(f"c:{number}", row, ttl=100)
                event = {"event_id": event_id, "number": number + 1, "after": row, "version": version}
                self.world.events.client().append("ev", event)
            else:
                super()._tell(number, row, event_id, version)

    wrong = Wrong(world)
    found = once(world, "create", wrong.add, "x", **MADE_UP)
    world.db.sister.client().insert("comments", {"id": 700, "body": "", "version": 1})
    found = once(world, "create", wrong.add, "x", **MADE_UP)
    assert places(found) == {("events", "$.number", "changed")}


def test_own_times_are_matched() -> None:
    """A time that each side takes by its own clock must be the same wherever it is written."""
    world = World()

    def create(body: str, *, id: int | None = None) -> Any:  # noqa: A002 - the column is called so
        now = uuid.uuid4().hex
        row = {"body": body, "at": now, "version": 1, **({} if id is None else {"id": id})}
        row = world.db.client().insert("comments", row)
        later = uuid.uuid4().hex if body == "wrong" and checked_side() else now
        world.cache.client().set(f"c:{row['id']}", {**row, "at": later})
        return row

    with bench() as made:
        handler = made.made.write(
            create,
            candidate=create,
            name="e",
            key=lambda call: call.result["id"],
            generated=["$.at"],
            carry=lambda call: {"id": call.result["id"]},
            settle=QUICK,
            touches=lambda call: [world.row(call.result["id"]), world.key(call.result["id"])],
        )
        assert made.judge(handler, "right").verdict is Verdict.MATCH
        assert places(made.judge(handler, "wrong")) == {("cache", "$.at", "changed")}


def test_own_ids_in_stage_live() -> None:
    """Ids that each side makes up are matched in stage LIVE too, with their orientation."""
    world = World()
    with bench(stage="live") as made:
        create = made.made.write(
            world.control.add,
            candidate=_own_ids(world, "shouts"),
            name="create",
            **{**world.options, **MADE_UP},
        )
        found = made.judge(create, "x")
    assert {(one.control, one.candidate) for one in found.differences} == {("x", "X")}
    assert {one.path for one in found.differences} == {"$.body", "$.after.body"}


@pytest.mark.parametrize("what", ["id", "event_id"])
def test_an_answer_without_its_id(what: str) -> None:
    """A candidate whose answer lacks what ``touches`` asks for is a mismatch."""
    world = World()

    def candidate(body: str) -> Any:
        answer = world.control.create(body)
        del answer[what]
        return answer

    found = once(world, "create", candidate, "x", **MADE_UP)
    assert found.verdict is Verdict.MISMATCH
    assert ("", f"$.{what}", "missing") in places(found)


def test_an_answer_that_names_fewer_records() -> None:
    """A candidate whose answer leads to fewer records than control's is a mismatch."""
    world = World()
    with bench() as made:
        handler = made.made.write(
            lambda ids: {"ids": ids},
            candidate=lambda ids: {"ids": ids[:1]},
            name="e",
            generated=["$.ids[*]"],
            touches=lambda call: [world.row(number) for number in call.result["ids"]],
            settle=QUICK,
        )
        assert made.judge(handler, [1, 2]).verdict is Verdict.MISMATCH


def test_a_candidate_that_fails_beside_own_ids() -> None:
    """A candidate that raises has no ids of its own, and what it did not write is found."""
    world = World()

    def candidate(body: str) -> Any:
        raise LookupError(body)

    found = once(world, "create", candidate, "x", **MADE_UP)
    assert places(found) >= {("", "$", "raised"), ("db", "$", "missing")}


# What each side changed -----------------------------------------------------------------------------------------------


def _drifted() -> tuple[World, int]:
    """Make a world whose sister counts from elsewhere and is not hydrated."""
    world = World()
    number = world.new(votes=40)
    world.db.sister.client().insert("comments", {"id": number, "body": "first", "votes": 3, "version": 1})
    return world, number


def test_delta() -> None:
    """With ``effect="delta"`` it is compared by how much each side changed a number, whatever it was."""
    world, number = _drifted()

    def vote(number: int, by: int) -> None:
        client = world.db.client()
        row = client.get_row("comments", number)
        client.update("comments", number, votes=row["votes"] + by, version=row["version"] + 1)

    def wrong(number: int, by: int) -> None:
        vote(number, by + 1)

    row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - it is used twice
    with bench() as made:
        options: dict[str, Any] = {"hydrate": row, "touches": row, "settle": QUICK, "hydrate_timeout": 5}
        right = made.made.write(vote, candidate=vote, name="right", effect="delta", **options)
        assert made.judge(right, number, 2).verdict is Verdict.MATCH
        off = made.made.write(vote, candidate=wrong, name="wrong", effect="delta", **options)
        found = made.judge(off, number, 2)
        assert [(one.path, one.control, one.candidate) for one in found.differences] == [("$.votes", 2, 3)]


def test_delta_of_a_counter() -> None:
    """With ``effect="delta"`` a number under a key is compared by how much it changed."""
    world = World(versions=False)
    world.cache.production.client().set("n", 40)
    world.cache.sister.client().set("n", 7)

    def vote(by: int) -> None:
        world.cache.client().incr("n", by)

    with bench() as made:
        key: Callable[[Call], Any] = lambda call: [world.cache.key("n")]  # noqa: E731 - it is used twice
        options: dict[str, Any] = {"hydrate": key, "touches": key, "settle": QUICK, "hydrate_timeout": 5}
        right = made.made.write(vote, candidate=vote, name="right", effect="delta", **options)
        assert made.judge(right, 2).verdict is Verdict.MATCH
        wrong = made.made.write(vote, candidate=lambda by: vote(by * 2), name="wrong", effect="delta", **options)
        found = made.judge(wrong, 2)
        assert [(one.path, one.control, one.candidate) for one in found.differences] == [("$", 2, 4)]


def test_delta_of_texts_and_lost_fields() -> None:
    """With ``effect="delta"`` what is no number is compared by what it became, and a field that went by its going."""
    world = World()
    number = world.new()

    def change(number: int, drop: str) -> None:
        with world.db.client().transaction() as transaction:
            row = dict(transaction.get_row("comments", number) or {})
            transaction.remove("comments", number)
            if not (drop and checked_side()):
                row.pop("body", None)
            transaction.insert("comments", {**row, "flag": True, "version": row["version"] + 1})

    with bench() as made:
        row: Callable[[Call], Any] = lambda call: [world.row(call["number"])]  # noqa: E731 - it is used twice
        options: dict[str, Any] = {"hydrate": row, "touches": row, "settle": QUICK, "hydrate_timeout": 5}
        handler = made.made.write(change, candidate=change, name="e", effect="delta", **options)
        assert made.judge(handler, number, "").verdict is Verdict.MATCH
        world.edit(number, body="again")
        assert places(made.judge(handler, number, "keeps")) == {("db", "$.body", "missing")}


@pytest.mark.parametrize("versions", [True, False])
def test_delta_of_a_creation(versions: bool) -> None:
    """With ``effect="delta"`` a record that is created is compared by what it holds."""
    for defect, verdict in (("", Verdict.MATCH), ("shouts", Verdict.MISMATCH)):
        world = World(versions=versions)
        found = once(
            world,
            "create",
            world.candidate(defect).create,
            "x",
            effect="delta",
            hydrate=None,
            key=lambda call: call.result["id"],
            carry=lambda call: {"id": call.result["id"], "event_id": call.result["event_id"]},
        )
        assert found.verdict is verdict, places(found)
        assert ("db", "$.body", "changed") in places(found) or not defect


def test_delta_of_an_upsert() -> None:
    """With ``effect="delta"`` a record that was not there before is compared by what it holds."""
    world = World()

    def vote(number: int, by: int) -> None:
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("totals", number)
            if row is None:
                transaction.insert("totals", {"id": number, "votes": by, "version": 1})
            else:
                transaction.update("totals", number, votes=row["votes"] + by, version=row["version"] + 1)

    row: Callable[[Call], Any] = lambda call: [world.db.row("totals", call["number"])]  # noqa: E731 - it is used twice
    with bench() as made:
        handler = made.made.write(
            vote, candidate=vote, name="e", effect="delta", hydrate=row, touches=row, settle=QUICK, hydrate_timeout=5
        )
        assert [made.judge(handler, 1, 2).verdict for _ in range(3)] == [Verdict.MATCH] * 3


def test_delta_of_a_deletion() -> None:
    """With ``effect="delta"`` a record that is removed is compared by its being gone."""
    for defect, verdict in (("", Verdict.MATCH), ("keeps row", Verdict.MISMATCH)):
        world = World()
        found = once(
            world, "delete", world.candidate(defect).delete, world.new(), effect="delta", touches=world.standing
        )
        assert found.verdict is verdict, places(found)


# What nobody named ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "where"), [("neighbour", ("db", (1001,))), ("stray event", ("events", ("stray-e1",)))]
)
@pytest.mark.parametrize("mode", ["inline", "threads"])
def test_unexpected(mode: str, defect: str, where: tuple[str, tuple[Any, ...]]) -> None:
    """A row or event that the candidate writes and ``touches`` does not name is found."""
    world = World()
    found = once(world, "update", world.candidate(defect).update, world.new(), "x", mode=mode)
    assert found.verdict is Verdict.MISMATCH
    (difference,) = found.differences
    assert difference.kind == "unexpected"
    assert difference.ref is not None
    assert (difference.ref.store, difference.ref.key) == where


def test_unexpected_each_time() -> None:
    """A candidate that writes the same unnamed row in every call is wrong in every call."""
    world = World()
    number = world.new()
    world.db.production.client().insert("totals", {"id": 1, "votes": 0, "version": 1})

    def candidate(number: int, body: str, *, event_id: str | None = None) -> Any:
        client = world.db.client()
        if client.get_row("totals", 1) is None:
            client.insert("totals", {"id": 1, "votes": 0, "version": 1})
        client.update("totals", 1, votes=len(body), version=2)
        return world.control.update(number, body, event_id=event_id)

    with bench() as made:
        update = made.made.write(world.control.update, candidate=candidate, name="update", **world.options)
        for body in ("a", "bb", "ccc"):
            found = made.judge(update, number, body)
            assert found.verdict is Verdict.MISMATCH
            assert {one.ref for one in found.differences} == {world.db.row("totals", 1)}


def test_what_both_wrote_unnamed_is_fine() -> None:
    """What both sides wrote alike needs not be named."""
    world = World()
    world.control.defects = {"neighbour", "stray event"}
    candidate = world.candidate("neighbour", "stray event")
    found = once(world, "update", candidate.update, world.new(), "x")
    assert found.verdict is Verdict.MATCH, found.differences


def test_unnamed_and_different() -> None:
    """What both sides wrote unnamed is found if it differs."""
    world = World()
    world.control.defects = {"neighbour"}
    world.control._touch_neighbour = lambda transaction, number: transaction.insert(  # type: ignore[method-assign]  # for this test
        "comments", {"id": number + 1000, "body": "another", "version": 1}
    )
    found = once(world, "update", world.candidate("neighbour").update, world.new(), "x")
    assert {(one.ref.key if one.ref else None) for one in found.differences} == {(1001,)}


def test_unexpected_in_stage_live() -> None:
    """In stage LIVE a row that only control writes is missing."""
    world = World()
    world.control.defects = {"neighbour"}
    with bench(stage="live") as made:
        update = made.made.write(
            world.control.update, candidate=world.candidate().update, name="update", **world.options
        )
        found = made.judge(update, world.new(), "x")
    (difference,) = found.differences
    assert (difference.kind, difference.ref) == ("missing", world.row(1001))


def test_concurrent_calls_are_not_blamed() -> None:
    """Calls that run at the same time are not blamed for one another's records."""
    world = World()
    numbers = [world.new() for _ in range(8)]
    barrier = threading.Barrier(4)

    def together() -> None:
        if checked_side():
            barrier.wait(30)
            time.sleep(TOGETHER_SECONDS)  # calls that are slow are not run one after the other by one worker

    candidate = world.candidate()
    candidate.between, candidate.after = together, together
    with migration(runner=workers(4)) as made:
        update = made.write(world.control.update, candidate=candidate.update, name="update", **world.options)
        for number in numbers:
            update(number, "x")
        assert made.flush(30)
        assert counted(made) == {"match": 8}


def _own_events(world: World, made: Any, candidate: Callable[[str], Any]) -> Any:
    return made.write(
        world.control.add,
        candidate=candidate,
        name="create",
        **{**world.options, **MADE_UP, "settle": 0.3},
    )


def test_concurrent_calls_with_own_ids_are_not_blamed() -> None:
    """A call is not blamed for an event that another one, still running, wrote under an id of its own."""
    world = World()
    first, second, third = Gate(), Gate(), Gate()

    def candidate(body: str) -> Any:
        (first if body == "slow" else third)()
        answer = world.control.create(body)
        if body == "slow":
            second()
        return answer

    with bench("threads", runner=workers(4)) as made:
        create = _own_events(world, made.made, candidate)
        create("slow")
        first.wait()
        create("quick")
        third.wait()
        first.open()
        second.wait()
        third.open()
        end = time.monotonic() + 10
        while not made.seen and time.monotonic() < end:
            time.sleep(0.01)
        second.open()
        assert made.made.flush(20)
        assert counted(made.made) == {"match": 2}, [found.differences for found in made.seen]


@pytest.mark.parametrize("own_ids", [True, False])
def test_another_process_is_not_blamed(own_ids: bool) -> None:
    """A call is not blamed for what another process writes to the same sister meanwhile."""
    world = World()
    gate = Gate()
    carried = {"id": None, "event_id": None}

    def candidate(body: str, *, id: int | None = None, event_id: str | None = None) -> Any:  # noqa: A002 - the carried value is called so
        if body == "slow":
            gate()
        return world.control.create(body, **({} if own_ids else {**carried, "id": id, "event_id": event_id}))

    options = {**world.options, **MADE_UP, "settle": 0.3}
    if not own_ids:
        options |= {
            "generated": (),
            "carry": lambda call: {"id": call.result["id"], "event_id": call.result["event_id"]},
        }
    with bench("threads", runner=workers()) as made, bench("threads", runner=workers()) as other:
        create = made.made.write(world.control.add, candidate=candidate, name="c", **options)
        same = other.made.write(world.control.add, candidate=candidate, name="c", **options)
        create("slow")
        gate.wait()
        assert other.judge(same, "quick").verdict is Verdict.MATCH
        gate.open()
        assert made.made.flush(20)
        assert counted(made.made) == {"match": 1}, made.seen[0].differences


# Order ----------------------------------------------------------------------------------------------------------------


def test_writes_reach_the_sister_in_production_s_order() -> None:
    """Writes of one entity are made in the sister in the order in which they were served, others beside them."""
    world = World()
    numbers = [world.new() for _ in range(3)]
    order: dict[int, list[str]] = {number: [] for number in numbers}
    lock = threading.Lock()

    def note(number: int, body: str, *, event_id: str | None = None) -> Any:
        with lock:
            order[number].append(body)
        return world.control.update(number, body, event_id=event_id)

    with migration(runner=workers(8)) as made:
        update = made.write(world.control.update, candidate=note, name="update", **world.options)
        wanted = [f"b{turn}" for turn in range(20)]
        for body in wanted:
            for number in numbers:
                update(number, body)
        assert made.flush(30)
    assert all(found == wanted for found in order.values())


@pytest.mark.parametrize("version", [None, told], ids=["not told", "told"])
def test_handed_over_out_of_order(version: Any) -> None:
    """A write that is handed over after a later one makes no false alarm for either."""
    world = World()
    number = world.new()
    gate = Gate()
    world.control.after = lambda: gate() if threading.current_thread().name == "late" else None
    options = {**world.options, "touches": world.standing, "settle": 0.3, **({"version": version} if version else {})}
    with bench("threads") as made:
        vote = made.made.write(world.control.increment, candidate=world.candidate().increment, name="vote", **options)
        late = threading.Thread(target=lambda: vote(number), name="late")
        late.start()
        gate.wait()
        vote(number)
        assert made.made.flush(20)
        gate.open()
        late.join()
        assert made.made.flush(20)
        assert all(found.verdict in (Verdict.MATCH, Verdict.RACED) for found in made.seen), [
            found.differences for found in made.seen
        ]
        assert len(made.seen) == 2


def test_reordered_in_their_lane() -> None:
    """Writes that wait in their lane are put into the order of the versions they gave."""
    world = World()
    number = world.new()
    gate, hold = Gate(), Gate()
    order: list[str] = []
    world.control.after = lambda: gate() if threading.current_thread().name == "late" else None

    def note(number: int, body: str, *, event_id: str | None = None) -> Any:
        if body == "first":
            hold()
        order.append(body)
        return world.control.update(number, body, event_id=event_id)

    with bench("threads", runner=workers(2)) as made:
        update = made.made.write(
            world.control.update,
            candidate=note,
            name="update",
            **{**world.options, "version": told, "touches": world.standing, "deadline": 30},
        )
        update(number, "first")
        hold.wait()
        late = threading.Thread(target=lambda: update(number, "second"), name="late")
        late.start()
        gate.wait()
        update(number, "third")
        gate.open()
        late.join()
        lanes: Any = made.made._runners[0]
        until = time.monotonic() + 20
        while sum(map(len, lanes._lanes.values())) < 2 and time.monotonic() < until:
            time.sleep(0.005)
        hold.open()
        assert made.made.flush(20)
    assert order == ["first", "second", "third"]
    assert counted(made.made) == {"match": 3}


@pytest.mark.parametrize("served_side", ["shadow", "live"])
def test_events_in_another_order(served_side: str) -> None:
    """A candidate that publishes an entity's events in another order than control is found."""
    world = World()
    number = world.new()
    kept: list[Any] = []

    class Swaps(Service):
        def _tell(self, number: int, row: Any, event_id: str, version: int | None) -> None:
            self.world.cache.client().set(f"c:{number}", row, ttl=100)
            kept.append({"event_id": event_id, "number": number, "after": row, "version": version})
            if len(kept) == 2:
                for event in reversed(kept):
                    self.world.events.client().append("ev", event)

    with bench("threads", stage=served_side) as made:
        old, new = world.control.increment, Swaps(world).increment
        if served_side == "live":
            old, new = new, old
        vote = made.made.write(
            old, candidate=new, name="vote", **{**world.options, "touches": world.standing, "settle": 1}
        )
        for _ in range(2):
            vote(number)
        assert made.made.flush(20)
        kinds = {one.kind for found in made.seen for one in found.differences}
        assert kinds == {"order"}, [found.differences for found in made.seen]


def test_two_entities_share_a_record() -> None:
    """Writes of different entities to one record wait for one another, and all of them are judged."""
    world = World()
    numbers = [world.new() for _ in range(10)]
    world.db.production.client().insert("totals", {"id": 1, "votes": 0, "version": 1})
    total = world.db.row("totals", 1)

    def vote(number: int) -> int:
        with world.db.client().transaction() as transaction:
            row = transaction.get_row("comments", number)
            transaction.update("comments", number, votes=row["votes"] + 1, version=row["version"] + 1)
            all_ = transaction.get_row("totals", 1)
            version = int(all_["version"]) + 1
            transaction.update("totals", 1, votes=all_["votes"] + 1, version=version)
        return version

    refs: Callable[[Call], Any] = lambda call: [world.row(call["number"]), total]  # noqa: E731 - it is used twice
    with migration(runner=workers(4)) as made:
        handler = made.write(
            vote,
            candidate=vote,
            name="e",
            key=lambda call: call["number"],
            hydrate=refs,
            touches=refs,
            version=lambda call: {total: call.result},
            breaker=PATIENT,
            hydrate_timeout=5,
        )
        threads = [threading.Thread(target=handler, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.flush(30)
        found = counted(made)
        assert "mismatch" not in found
        assert found["match"] >= 5


def test_the_key_by_the_answer() -> None:
    """An entity that only the answer tells orders its later writes."""
    world = World()
    order: list[str] = []
    gate = Gate()
    create_options = {
        "hydrate": None,
        "key": lambda call: call.result["id"],
        "carry": lambda call: {"id": call.result["id"], "event_id": call.result["event_id"]},
        "deadline": 30,
    }

    def slow(body: str, *, id: int | None = None, event_id: str | None = None) -> Any:  # noqa: A002 - the carried value is called so
        gate()
        order.append("create")
        return world.control.create(body, id=id, event_id=event_id)

    def update_new(number: int, body: str, *, event_id: str | None = None) -> Any:
        order.append("update")
        return world.control.update(number, body, event_id=event_id)

    with migration(runner=workers(4)) as made:
        create = made.write(
            world.control.create,
            candidate=slow,
            name="create",
            **{**world.options, **create_options, "touches": world.standing},
        )
        update = made.write(
            world.control.update,
            candidate=update_new,
            name="update",
            **{**world.options, "touches": world.standing},
        )
        number = create("first")["id"]
        gate.wait()
        update(number, "second")
        time.sleep(0.1)
        gate.open()
        assert made.flush(30)
        assert order == ["create", "update"]
        assert counted(made, "create") == counted(made, "update") == {"match": 1}
