"""Writes that one worker brings forward together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from writes_support import Gate, Watched, World, counted, errors, migration, workers

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Call, Record
from shadowmig.side import checked_side

CALLS = 6


class Group:
    """Six calls on comments of their own that become ready while the only worker is busy with another."""

    def __init__(self) -> None:
        self.world = World()
        self.numbers = [self.world.new() for _ in range(CALLS)]
        self.candidate = self.world.candidate()
        self.options: dict[str, Any] = {}

    @property
    def places(self) -> dict[str, Any]:
        """The stores by name, production and sister."""
        found = {}
        for store in self.world.stores:
            found[f"{store.name} production"], found[f"{store.name} sister"] = store._production, store._sister
        return found

    @contextmanager
    def made(self, count: int = 1, **options: Any) -> Iterator[tuple[Any, Any]]:
        """Make the calls; gives the migration and the number of reads by store, once they are judged."""
        gate, free = Gate(), threading.Event()
        run = self.candidate.between

        def between() -> None:
            if checked_side():
                if not free.is_set():
                    gate()
                run()

        self.candidate.between = between
        runner = workers(count)
        with migration(runner=runner) as made:
            update = made.write(
                self.world.control.update,
                candidate=self.candidate.update,
                name="update",
                **{**self.world.options, "settle": 0.3, **self.options, **options},
            )
            free.set()
            update(self.world.new(), "a first one, so that it is known how long they take")
            assert made.flush(30)
            free.clear()
            update(self.world.new(), "one that is in the way")
            gate.wait()
            for number in self.numbers:
                update(number, "x")
            while len(runner._gathered) < CALLS:  # the conductor hands them on
                time.sleep(0.001)
            free.set()
            for store in self.places.values():
                store.reads.clear()
                store.writes.clear()
            gate.open()
            assert made.flush(30)
            yield made, {name: store.reads for name, store in self.places.items()}


@pytest.fixture
def group() -> Group:
    """Give six calls."""
    return Group()


def test_one_read_for_all(group: Group) -> None:
    """Calls that wait together are read for in one round trip for each store and side, before and after they run."""
    with group.made() as (made, reads):
        assert counted(made) == {"match": CALLS + 2}
    for name in ("db", "cache", "events"):
        assert len(reads[f"{name} production"]) == 1, reads
        assert len(reads[f"{name} sister"]) == 3, reads  # one of them is the other call's last look


def test_one_write_for_all(group: Group) -> None:
    """What several calls lack in a sister is written at once."""
    with group.made():
        pass
    assert [store.writes for name, store in group.places.items() if name in ("db sister", "cache sister")] == [
        [CALLS],
        [CALLS],
    ]


def _unless(bad: Callable[[Call], bool], function: Callable[[Call], Any]) -> Callable[[Call], Any]:
    def asked(call: Call) -> Any:
        if bad(call):
            raise LookupError("not this one")
        return function(call)

    return asked


@pytest.mark.parametrize("name", ["touches", "carry"])
def test_one_that_cannot_be_asked(group: Group, name: str) -> None:
    """A function that fails for one call breaks that call alone."""
    bad = group.numbers[2]
    group.options = {name: _unless(lambda call: call["number"] == bad, getattr(group.world, name))}
    with group.made() as (made, _):
        assert counted(made) == {"match": CALLS + 1, "broken": 1, f"broken:{name}": 1}


@pytest.mark.parametrize(("error", "broken"), [(StoreError, 1), (StoreUnavailable, CALLS)])
def test_one_that_is_refused(group: Group, error: type[StoreError], broken: int) -> None:
    """A record that a sister refuses breaks its own call, and a sister that is away breaks them all."""
    sister: Watched = group.world.db._sister  # type: ignore[assignment]  # the world is made of these
    write, bad = sister.write, group.numbers[3]

    def refuse(records: Any) -> None:
        if any(record.ref.key == (bad,) for record in records):
            raise error("not this one")
        write(records)

    sister.write = refuse  # type: ignore[method-assign]  # for this test
    with group.made() as (made, _):
        assert counted(made) == {"match": CALLS + 2 - broken, "broken": broken, "broken:sister": broken}
        assert errors(made) == {"sister": broken}


def test_one_that_cannot_be_read(group: Group) -> None:
    """A record that production cannot give breaks its own call."""
    production: Watched = group.world.db._production  # type: ignore[assignment]  # the world is made of these
    read, bad = production.read, group.numbers[0]

    def refuse(refs: Any, **more: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() and any(one.key == (bad,) for one in refs):
            raise StoreError("not this one")
        return read(refs, **more)

    production.read = refuse  # type: ignore[method-assign]  # for this test
    with group.made() as (made, _):
        assert counted(made) == {"match": CALLS + 1, "broken": 1, "broken:production": 1}


def test_one_that_hangs(group: Group) -> None:
    """A checked side that hangs is given up, and those that were to come after it go on with another worker."""
    stuck, gate = threading.Event(), threading.Event()

    def hang() -> None:
        if group.candidate.writing == group.numbers[2] and not stuck.is_set():
            stuck.set()
            gate.wait(30)

    update = group.candidate.update

    def noted(number: int, body: str, **more: Any) -> Any:
        group.candidate.writing = number  # type: ignore[attr-defined]  # for this test
        return update(number, body, **more)

    group.candidate.writing = 0  # type: ignore[attr-defined]  # for this test
    group.candidate.update = noted  # type: ignore[method-assign]  # for this test
    group.candidate.between = hang
    try:
        with group.made(deadline=0.3) as (made, _):
            found = counted(made)
            assert found["match"] == CALLS + 1
            assert found["mismatch"] == 1  # past its deadline
    finally:
        gate.set()


def test_records_in_use(group: Group) -> None:
    """Calls on one record that have other keys are brought forward one after the other, and none waits for another."""
    group.options = {"key": lambda call: call["body"]}
    group.numbers = [group.numbers[0]] * 3
    bodies = iter("xyz")
    update = group.world.control.update
    with migration(runner=workers(1)) as made:
        handler = made.write(
            update,
            candidate=group.candidate.update,
            name="update",
            **{**group.world.options, "key": lambda call: call["body"], "touches": group.world.standing},
        )
        for number in group.numbers:
            handler(number, next(bodies))
        assert made.flush(30)
        assert counted(made) == {"match": 3}


def test_shared_records_hold_no_one_up(group: Group) -> None:
    """A group that holds records waits for none that another worker holds."""
    with migration(runner=workers(3)) as made:
        handler = made.write(
            group.world.control.update,
            candidate=group.candidate.update,
            name="update",
            **{**group.world.options, "key": lambda call: call["body"], "touches": group.world.standing},
        )
        for turn in range(10):
            for number in group.numbers:
                handler(number, f"{turn} {number}")
        assert made.flush(60)
        found = counted(made)
        assert found.get("mismatch", 0) == 0
        assert found["match"] > CALLS


def test_closing_lets_go(group: Group) -> None:
    """What waits in a group when a migration is closed is dropped and counted."""
    gate = Gate()
    group.candidate.between = lambda: gate() if checked_side() else None
    with migration(runner=workers(1)) as made:
        update = made.write(
            group.world.control.update, candidate=group.candidate.update, name="update", **group.world.options
        )
        update(group.world.new(), "in the way")
        gate.wait()
        for number in group.numbers:
            update(number, "x")
        closer = threading.Thread(target=made.close, args=(0.1,))
        closer.start()
        closer.join(30)
        gate.open()
    assert counted(made)["skipped"] == CALLS + 1


def test_one_that_cannot_be_noted(group: Group) -> None:
    """A record that cannot be noted for its removal breaks its own call."""
    lend, bad = group.world.cache.lend, group.world.key(group.numbers[1])

    def refuse(refs: Any) -> None:
        if bad in refs:
            raise ValueError("no room")
        lend(refs)

    group.world.cache.lend = refuse  # type: ignore[method-assign]  # for this test
    with group.made() as (made, _):
        assert counted(made) == {"match": CALLS + 1, "broken": 1, "broken:sister": 1}


def test_records_are_as_they_were_found(group: Group) -> None:
    """Each call of a group finds the sister's records as production's were."""
    found: list[Record] = []
    hydrate = group.world.db.hydrate
    group.world.db.hydrate = lambda records: (found.extend(records), hydrate(records))[1]  # type: ignore[method-assign]  # to see them
    with group.made():
        pass
    assert {record.ref.key[0] for record in found} >= set(group.numbers)
    assert all(record.value["version"] == 1 for record in found)


def test_one_whose_step_breaks(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """What escapes around one checked side ends that call alone, and the others of its group go on."""
    from shadowmig.engine.writes import WriteExperiment

    run, bad = WriteExperiment.run_side, group.numbers[1]

    def break_one(self: WriteExperiment, job: Any) -> Any:
        if job.call()["number"] == bad:
            raise RuntimeError("in our own code")
        return run(self, job)

    monkeypatch.setattr(WriteExperiment, "run_side", break_one)
    with group.made() as (made, _):
        assert counted(made) == {"match": CALLS + 1, "broken": 1, "broken:run": 1}
