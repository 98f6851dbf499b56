"""The spool: state waits for its sink, bounded and merged, whatever the sink does."""

import asyncio
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from shadowmig.model import Batch, Finding, Summary, Verdict
from shadowmig.sinks._spool import Spool

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A monotonic clock that stands still until told."""

    now = 100.0

    def __call__(self):
        return self.now


class Sink:
    """A sink that keeps what it gets, and raises what it is told to."""

    def __init__(self):
        self.batches = []
        self.error = None

    def __call__(self, batch):
        if self.error is not None:
            raise self.error
        self.batches.append(batch)


class GreenletExit(BaseException):
    """Named as gevent's."""


def finding(name, count=1):
    """Make a finding."""
    return Finding(name, "m", "get", "$", "changed", ("int", "int"), count, AT, AT)


def batch(*findings, at=0, source="p", summaries=(), lost=0):
    """Make a batch at a second."""
    return Batch(source, "m", "", AT + timedelta(seconds=at), findings, summaries, lost)


@pytest.fixture
def sink():
    """A sink."""
    return Sink()


@pytest.fixture
def clock():
    """A clock."""
    return Clock()


@pytest.fixture
def spool(sink, clock):
    """A spool for the sink, with room for three findings."""
    return Spool(sink, name="s", max_findings=3, clock=clock)


def test_merges(spool, sink):
    """What waits is delivered in one batch: the latest of each finding and summary, of the latest moment."""
    old, new = Summary("get"), Summary("get", verdicts={Verdict.MATCH: 2})
    spool.offer(batch(finding("a"), finding("b"), at=1, summaries=[old], lost=1))
    spool.offer(batch(finding("a", 5), at=2, summaries=[new], lost=4))
    assert spool.pending == 3
    assert spool.deliver()
    assert sink.batches == [batch(finding("a", 5), finding("b"), at=2, summaries=(new,), lost=4)]
    assert (spool.delivered, spool.failed, spool.dropped, spool.pending) == (1, 0, 0, 0)


def test_nothing_to_deliver(spool, sink):
    """With nothing waiting the sink is not called."""
    assert spool.deliver()
    assert sink.batches == []


def test_a_late_batch_keeps_the_latest_frame(spool, sink):
    """A batch offered late does not turn back the time of what waits."""
    spool.offer(batch(at=5, lost=3))
    spool.offer(batch(at=1, lost=1))
    spool.deliver()
    assert sink.batches == [batch(at=5, lost=3)]


def test_sources_are_kept_apart(spool, sink):
    """Totals of two sources are delivered as two batches, and after a failure only the rest comes again."""
    spool.offer(batch(finding("a", 1), source="p"))
    spool.offer(batch(finding("a", 2), source="q"))
    sink_call = type(sink).__call__
    calls = []

    def once(each):
        calls.append(each.source)
        if calls == ["p", "q"]:
            raise OSError
        sink_call(sink, each)

    spool._sink = once
    assert not spool.deliver()
    assert spool.deliver(ignore_delay=True)
    assert calls == ["p", "q", "q"]
    assert [each.source for each in sink.batches] == ["p", "q"]


@pytest.mark.parametrize("error", [ValueError(), OSError(), KeyboardInterrupt(), SystemExit(), BaseException()])
def test_failing_sink(spool, sink, error):
    """Whatever a sink raises is counted, and the batch waits, merged with what comes meanwhile."""
    sink.error = error
    spool.offer(batch(finding("a", 1), finding("b", 1), at=1))
    assert not spool.deliver()
    assert (spool.failed, spool.pending) == (1, 2)
    spool.offer(batch(finding("a", 9), at=2))
    sink.error = None
    assert not spool.deliver()
    assert spool.deliver(ignore_delay=True)
    assert sink.batches == [batch(finding("a", 9), finding("b", 1), at=2)]


@pytest.mark.parametrize("error", [GreenletExit(), asyncio.CancelledError(), GeneratorExit()])
def test_requests_to_end_pass(spool, sink, error):
    """What asks the running greenlet or task to end is raised on, after the batch was kept."""
    sink.error = error
    spool.offer(batch(finding("a")))
    with pytest.raises(type(error)):
        spool.deliver()
    sink.error = None
    assert spool.deliver(ignore_delay=True)
    assert len(sink.batches) == 1


def test_backoff(spool, sink, clock):
    """After each failure the next try waits twice as long, up to a minute; a success starts over."""
    sink.error = OSError()
    spool.offer(batch(finding("a")))
    delays = []
    for _ in range(9):
        assert not spool.deliver()
        delays.append(spool.delay)
        assert not spool.deliver()
        clock.now += spool.delay
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert spool.failed == 9
    sink.error = None
    assert spool.deliver()
    assert spool.delay == 0
    sink.error = OSError()
    spool.offer(batch(finding("a")))
    spool.deliver()
    assert spool.delay == 1


def test_years_of_failures(spool, sink):
    """A sink that fails for ever overflows nothing."""
    sink.error = OSError()
    spool.offer(batch(finding("a")))
    for _ in range(2000):
        spool.deliver(ignore_delay=True)
    assert spool.delay == 60


def test_full(spool, sink):
    """A full spool drops what is new and counts it, and still updates what it has."""
    sink.error = OSError()
    spool.offer(batch(*(finding(name) for name in "abcde")))
    assert (spool.pending, spool.dropped) == (3, 2)
    spool.deliver()
    spool.offer(batch(finding("a", 7), finding("f"), at=1))
    assert (spool.pending, spool.dropped) == (3, 3)
    sink.error = None
    spool.deliver(ignore_delay=True)
    assert [(each.fingerprint, each.count) for each in sink.batches[0].findings] == [("a", 7), ("b", 1), ("c", 1)]


def test_hanging_sink(spool):
    """While a delivery hangs, offers go through, a second delivery is refused, and all comes out in the end."""
    entered, leave, got = threading.Event(), threading.Event(), []

    def hang(each):
        entered.set()
        leave.wait(30)
        got.append(each)

    spool._sink = hang
    spool.offer(batch(finding("a")))
    worker = threading.Thread(target=spool.deliver)
    worker.start()
    assert entered.wait(30)
    spool.offer(batch(finding("b"), at=1))
    assert not spool.deliver(ignore_delay=True)
    assert spool.pending == 1
    leave.set()
    worker.join()
    assert spool.deliver()
    assert [[each.fingerprint for each in batch.findings] for batch in got] == [["a"], ["b"]]


def test_failure_after_a_hang_is_merged_below(spool, sink):
    """What a delivery that hung and failed gives back does not overwrite what came meanwhile."""

    def late(each):
        spool.offer(evolve(each, at=each.at + timedelta(seconds=1), findings=(finding("a", 5),)))
        raise OSError

    spool._sink = late
    spool.offer(batch(finding("a", 1), finding("b", 1)))
    spool.deliver()
    spool._sink = sink
    assert spool.deliver(ignore_delay=True)
    assert sink.batches == [batch(finding("a", 5), finding("b", 1), at=1)]


def test_threads(sink):
    """With many threads offering and delivering, the sink runs in one at a time and gets the latest of all."""
    inside, overlaps, latest = [], [], {}

    def careful(each):
        inside.append(1)
        overlaps.append(len(inside))
        latest.update({found.fingerprint: found.count for found in each.findings})
        inside.pop()

    spool = Spool(careful, name="s")

    def work(name):
        for count in range(1, 200):
            spool.offer(batch(finding(name, count), at=count))
            spool.deliver()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.deliver()
    assert max(overlaps) == 1
    assert latest == dict.fromkeys("abcd", 199)


def test_observer(sink):
    """Each failure is told of with the operation; an observer that raises does no harm."""
    told = []

    def observe(operation, error):
        told.append((operation, type(error)))
        raise RuntimeError

    sink.error = OSError()
    spool = Spool(sink, name="s", on_error=observe)
    spool.offer(batch(finding("a")))
    assert not spool.deliver()
    assert told == [("sink", OSError)]


def test_fork(spool, sink):
    """A child forked during a delivery starts empty and can deliver; the parent keeps what it had."""
    spool.offer(batch(finding("a")))
    state = spool._process.get()
    with state.lock:
        state.delivering = True
        child = os.fork()
        if child == 0:
            spool.offer(batch(finding("b"), source="child"))
            done = spool.deliver()
            os._exit(0 if done and [each.source for each in sink.batches] == ["child"] else 1)
        state.delivering = False
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert spool.pending == 1
