"""Reads that wait for one another become one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Change, Reading, Record, Ref
from shadowmig.stores.together import Together


def ref(number: int) -> Ref:
    """Name a record."""
    return Ref("db", "row", "comments", (number,))


class Server:
    """What is read: it notes what it was asked, and waits where it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], Any]] = []
        self.changed: tuple[Change, ...] = ()
        self.fail: Callable[[Sequence[Ref]], None] = lambda refs: None
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.holds = False

    def read(self, refs: Sequence[Ref], since: Any) -> Reading:
        """Read."""
        self.asked.append(([one.key[0] for one in refs], since))
        self.entered.release()
        if self.holds:
            assert self.go.acquire(timeout=30)
        self.fail(refs)
        records = tuple(Record(one, one.key[0]) for one in refs)
        changed = tuple(change for change in self.changed if since is not None and change.at >= since)
        return Reading(records, 100 + len(self.asked), changed)


class Reader(threading.Thread):
    """A thread that reads once."""

    def __init__(self, together: Together, numbers: list[int], since: Any = None) -> None:
        super().__init__(daemon=True)
        self._together, self._numbers, self._since = together, numbers, since
        self.reading: Reading | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Read."""
        try:
            self.reading = self._together.read([ref(number) for number in self._numbers], self._since)
        except BaseException as error:
            self.error = error

    def values(self) -> list[Any]:
        """Wait, and give what was read."""
        self.join(30)
        assert self.reading is not None, self.error
        return [record.value for record in self.reading.records]


def crowd(server: Server, together: Together, *wishes: tuple[list[int], Any]) -> list[Reader]:
    """Have readers wait behind a read under way, then let all go."""
    server.holds = True
    first = Reader(together, [0])
    assert server.entered.acquire(timeout=30)
    readers = []
    for numbers, since in wishes:
        waiting = len(together._waiting)
        readers.append(Reader(together, numbers, since))
        while len(together._waiting) == waiting:
            pass
    server.holds = False
    server.go.release()
    for reader in (first, *readers):
        reader.join(30)
    return readers


def test_alone() -> None:
    """A read that finds nobody waiting is passed on as it is."""
    server = Server()
    reading = Together(server.read).read([ref(1), ref(2)], 7)
    assert server.asked == [([1, 2], 7)]
    assert [record.value for record in reading.records] == [1, 2]


def test_those_who_wait_go_together() -> None:
    """Whoever waits for a read under way is read for in one go, and gets records of their own in their order."""
    server = Server()
    together = Together(server.read)
    readers = crowd(server, together, ([1, 2], None), ([], None), ([3], None), ([2, 1, 2], None))
    assert server.asked == [([0], None), ([1, 2, 3, 2, 1, 2], None)]
    assert [reader.values() for reader in readers] == [[1, 2], [], [3], [2, 1, 2]]


def test_marks_are_kept_apart() -> None:
    """Who gave a mark is told what came after it, who gave none is told nothing, and all get the new mark."""
    server = Server()
    server.changed = (Change(ref(8), 5), Change(ref(9), 10))
    readers = crowd(server, Together(server.read), ([1], 10), ([2], None), ([3], 3))
    assert server.asked[1] == ([1, 2, 3], 3)
    changed = [[change.ref.key[0] for change in reader.reading.changed] for reader in readers if reader.reading]
    assert changed == [[9], [], [8, 9]]
    assert {reader.reading.mark for reader in readers if reader.reading} == {102}


def test_all_get_the_error_of_a_store_that_is_down() -> None:
    """If the store cannot be reached, all who waited are told, and the next read tries anew."""
    server = Server()
    together = Together(server.read)

    def fail(refs: Sequence[Ref]) -> None:
        if len(server.asked) > 1:
            raise StoreUnavailable("down")

    server.fail = fail
    readers = crowd(server, together, ([1], None), ([2], None))
    assert all(isinstance(reader.error, StoreUnavailable) for reader in readers)
    server.fail = lambda refs: None
    assert together.read([ref(1)]).records[0].value == 1


def test_a_wrong_ref_is_one_reader_s_own() -> None:
    """A ref that the store refuses fails the read that has it, not those that went together with it."""
    server = Server()

    def fail(refs: Sequence[Ref]) -> None:
        if ref(13) in refs:
            raise StoreError("no such table")

    server.fail = fail
    good, bad, other = crowd(server, Together(server.read), ([1], None), ([13], None), ([2], None))
    assert isinstance(bad.error, StoreError)
    assert good.values() == [1]
    assert other.values() == [2]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_base_exception(error: type[BaseException]) -> None:
    """What is no Exception reaches its reader and whoever waited, and nobody waits for ever."""
    server = Server()
    together = Together(server.read)

    def fail(refs: Sequence[Ref]) -> None:
        raise error

    server.fail = fail
    readers = crowd(server, together, ([1], None), ([2], None))
    assert all(isinstance(reader.error, error) for reader in readers)
    assert not any(reader.is_alive() for reader in readers)


def test_many_readers() -> None:
    """However many read at the same time, each gets what it asked for, in few reads."""
    server = Server()
    together = Together(server.read)
    readers = [Reader(together, [number, number + 1]) for number in range(50)]
    assert [reader.values() for reader in readers] == [[number, number + 1] for number in range(50)]
    assert len(server.asked) <= 50
