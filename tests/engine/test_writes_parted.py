"""Reads of ``hydrate=`` that come in parts: what is done while the caller waits, and what is done later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from writes_support import MODES, Watched, World, bench

from shadowmig import SisterStore
from shadowmig.errors import StoreError
from shadowmig.model import Reading
from shadowmig.stores import Table
from shadowmig.stores.parted import ANSWERED, Answered


class Parts(Watched):
    """A store that is read in parts, and calls something when it understands the answer."""

    def __init__(self, understand: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._understand = understand

    def reading(self, refs: Any, *, since: Any = None, timeout: float | None = None) -> Iterator[Answered | None]:
        yield None
        reading: Reading = self.read(refs, since=since, timeout=timeout)
        yield ANSWERED
        self._understand()
        return reading


class Parted(World):
    """The comments service, whose rows are read in parts."""

    def __init__(self, understand: Callable[[], object]) -> None:
        super().__init__()
        tables = [Table("comments", key="id", version="version"), Table("totals", key="id", version="version")]
        self.db = SisterStore(name="db", production=Parts(understand, tables=tables), sister=Watched(tables=tables))
        self.stores = (self.db, self.cache, self.events)


def fail() -> None:
    """Find something that cannot be understood."""
    raise StoreError("This column is not there.")


def test_understood_later() -> None:
    """What was read before the served write is understood in a thread of the runner, and is the state before it."""
    threads: list[threading.Thread] = []
    world = Parted(lambda: threads.append(threading.current_thread()))
    number = world.new()
    with bench("threads") as made:
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **world.options)
        assert update(number, "second")["body"] == "second"
        assert made.made.flush(20)
        assert made.made.stats().experiments["e"].reasons == {}
        assert [one.verdict.value for one in made.seen] == ["match"]
    assert threading.current_thread() not in threads
    assert threads


@pytest.mark.parametrize("mode", MODES)
def test_not_understood(mode: str) -> None:
    """What cannot be understood is broken as what cannot be read is, and the call is served."""
    world = Parted(fail)
    number = world.new()
    with bench(mode) as made:
        update = made.made.write(world.control.update, candidate=world.candidate().update, name="e", **world.options)
        if mode == "inline":
            with made.made.inline():
                assert update(number, "second")["body"] == "second"
        else:
            assert update(number, "second")["body"] == "second"
        assert made.made.flush(20)
        summary = made.made.stats().experiments["e"]
        assert (summary.reasons, summary.errors) == ({"broken:hydrate": 1}, {"hydrate": 1})
        assert made.made._get_mirror().overlap.entities == {}
        assert made.made._get_mirror().claims.active == set()


def test_not_understood_beside_another() -> None:
    """A write that meets one which is not judged yet tells its version at once, or is broken at once if it cannot."""
    failing = threading.Event()
    world = Parted(lambda: fail() if failing.is_set() else None)
    number = world.new()
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go_on.wait(20)

    with bench("threads") as made:
        candidate = world.candidate(before=hold).update
        update = made.made.write(world.control.update, candidate=candidate, name="e", deadline=30, **world.options)
        update(number, "second")
        assert held.wait(20)
        failing.set()
        assert update(number, "third")["body"] == "third"
        summary = made.made.stats().experiments["e"]
        assert (summary.reasons, summary.errors) == ({"broken:hydrate": 1}, {"hydrate": 1})
        go_on.set()
        assert made.made.flush(20)
        assert made.made.stats().experiments["e"].reasons.get("broken:hydrate") == 1
        assert made.made._get_mirror().overlap.entities == {}
