"""Who else writes an entity, and who works on which of the sister's records."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shadowmig.engine import claims as claims_module
from shadowmig.engine.claims import Claim, Claims
from shadowmig.engine.overlap import Overlap
from shadowmig.model import Ref


def ref(number: int) -> Ref:
    """Name a record."""
    return Ref("db", "row", "comments", (number,))


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


# Tickets --------------------------------------------------------------------------------------------------------------


def test_one_after_the_other_are_alone() -> None:
    """Writes that begin after the one before was served are alone until the next one begins."""
    overlap = Overlap()
    first = overlap.enter("k")
    assert first.alone
    first.served()
    second = overlap.enter("k")
    assert not first.alone
    assert second.alone
    second.served()
    first.release()
    assert second.alone


def test_at_the_same_time_neither_is_alone() -> None:
    """Of two writes that were open at the same time neither was alone, also when one is done."""
    overlap = Overlap()
    first, second = overlap.enter("k"), overlap.enter("k")
    assert not first.alone
    assert not second.alone
    first.release()
    assert not second.alone


def test_entities_are_told_apart() -> None:
    """A write to another entity disturbs nobody."""
    overlap = Overlap()
    first, _ = overlap.enter("k"), overlap.enter("l")
    assert first.alone


def test_nothing_is_left() -> None:
    """Once all writes are judged nothing is remembered of their entities, however often they are released."""
    overlap = Overlap()
    tickets = [overlap.enter(number % 3) for number in range(30)]
    for ticket in tickets:
        ticket.served()
        ticket.served()
    assert len(overlap.entities) == 3
    for ticket in [*tickets, *tickets]:
        ticket.release()
    assert overlap.entities == {}
    late = overlap.enter(0)
    tickets[0].release()
    assert late.alone
    assert len(overlap.entities) == 1


def test_many_threads_enter() -> None:
    """However many threads enter and leave, nothing is left, and no two open ones think themselves alone."""
    overlap, alone, wrong = Overlap(), threading.Lock(), []

    def work() -> None:
        for _ in range(300):
            ticket = overlap.enter("k")
            if ticket.alone:
                if alone.acquire(blocking=False):
                    if ticket.alone and overlap.entities["k"].open > 1:
                        wrong.append(ticket)
                    alone.release()
                ticket.served()
            ticket.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlap.entities == {}


@contextmanager
def holding(claims: Claims, refs: list[Ref]) -> Iterator[Claim]:
    """Make a claim, and release it in the end."""
    claim = claims.of(refs)
    try:
        yield claim
    finally:
        claim.release()


# Claims ---------------------------------------------------------------------------------------------------------------


def test_a_claim_is_taken_at_once() -> None:
    """Nobody waits for records on which nobody works."""
    claims = Claims()
    with holding(claims, [ref(1)]) as first, holding(claims, [ref(2)]) as second:
        assert first.take(0.01)
        assert second.take(0.01)
        assert claims.active == {first, second}
    assert claims.active == set()


def test_one_record_one_write() -> None:
    """A write waits for the one that works on one of its records, and gives up when its time is over."""
    claims = Claims()
    with holding(claims, [ref(1), ref(2)]) as first:
        assert first.take(1)
        with holding(claims, [ref(2), ref(3)]) as second:
            assert not second.take(0.01)
        assert claims.active == {first}
        with holding(claims, [ref(3)]) as third:
            assert third.take(0.01)  # who gave up is in nobody's way


def test_the_next_is_woken() -> None:
    """Who waits goes on as soon as the records are free."""
    claims, taken = Claims(), []

    def work() -> None:
        with holding(claims, [ref(1)]) as claim:
            taken.append(claim.take(30))

    with holding(claims, [ref(1)]) as first:
        assert first.take(1)
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        assert taken == []
    for thread in threads:
        thread.join(30)
    assert taken == [True] * 5
    assert claims.active == set()


def test_others_are_known() -> None:
    """A write knows on which records others worked while it held its own, whoever came first."""
    claims = Claims()
    with holding(claims, [ref(1)]) as first:
        first.take(1)
        with holding(claims, [ref(2)]) as second:
            second.take(1)
            second.add([ref(20)])
            assert first.others == {ref(2), ref(20)}
            assert second.others == {ref(1)}
            with holding(claims, [ref(3)]) as third:
                third.take(1)
                assert third.others == {ref(1), ref(2), ref(20)}
    assert first.others == {ref(2), ref(20), ref(3)}


def test_who_was_there_last() -> None:
    """A record stands as a write left it until another write works on it."""
    claims = Claims()
    with holding(claims, [ref(1), ref(2)]) as first:
        first.take(1)
        first.add([ref(3)])
    assert all(first.stands(ref(number)) for number in (1, 2, 3))
    assert not first.stands(ref(4))
    with holding(claims, [ref(2)]) as second:
        second.take(1)
    assert first.stands(ref(1))
    assert not first.stands(ref(2))
    assert second.stands(ref(2))


def test_memory_is_bounded(monkeypatch) -> None:
    """Of many records only the latest are remembered; one that is forgotten stands no more."""
    monkeypatch.setattr(claims_module, "MOST_LANDED", 10)
    claims, made = Claims(), []
    for number in range(25):
        with holding(claims, [ref(number)]) as claim:
            claim.take(1)
        made.append(claim)
    assert len(claims.landed) == 10
    assert made[24].stands(ref(24))
    assert not made[0].stands(ref(0))


def test_no_two_hold_one_record() -> None:
    """Of many threads that want overlapping records, no two ever hold one at the same time."""
    claims, held, wrong, lock = Claims(), set(), [], threading.Lock()

    def hold(claim: Claim) -> None:
        assert claim.take(30)
        with lock:
            if not held.isdisjoint(claim.refs):
                wrong.append(set(claim.refs))
            held.update(claim.refs)
        time.sleep(0)
        with lock:
            held.difference_update(claim.refs)

    def work(start: int) -> None:
        for number in range(start, start + 60):
            with holding(claims, [ref(number % 5), ref((number * 3) % 7)]) as claim:
                hold(claim)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert claims.active == set()
