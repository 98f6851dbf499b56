"""The loop: what it does when servers are away, entries are gone, processes come and go, and callbacks fail."""

import copy
import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from events_support import GRACE, STREAM, Clock, Scene, Source, add, body, client_of, consistent, redis_events, told

from shadowmig.errors import ConfigError, NotIsolated, StoreError, StoreUnavailable
from shadowmig.model import Difference, Differences
from shadowmig.stores import Stream
from shadowmig.testing.servers import Redis
from shadowmig.wire.events import EventFault, EventReport, EventStream, EventTuning, EventVerdict, MemoryEvents
from shadowmig.wire.events._state import MemoryState


def test_nothing_yet():
    """Before anything was committed the report is empty and knows no time."""
    scene = Scene()
    report = scene.verifier().report()
    assert (report.production, report.as_of, report.since, report.gaps) == (0, None, None, ())
    assert str(report) == "s: 0 events, 0 matched, no fault, 0 open, as of no time yet"
    assert repr(scene.streams[0]) == "<EventStream 's'>"


def test_report_as_text():
    """A report as text says how many events there were, what is wrong, and as of when."""
    scene = Scene()
    scene.both("e", body())
    scene.production.append(body(version=2), id="f")
    scene.step()
    report = scene.wait(GRACE)
    assert str(report) == "s: 2 events, 1 matched, 1 missing, 0 open, as of 2023-11-14 22:13:50 UTC"
    assert report.since == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_watermark_waits_for_both_streams():
    """The time up to which all is judged stops at the oldest event that waits, and while a stream cannot be read."""
    scene = Scene()
    begin = scene.clock.now
    scene.both("e", body())
    assert scene.step().as_of.timestamp() == begin
    scene.clock.now += 5
    scene.production.append(body(version=2), id="f")
    assert scene.wait(5).as_of.timestamp() == begin + 5
    scene.sister.append(body(version=2), id="f")
    assert scene.wait(1).as_of.timestamp() == begin + 11
    scene.sister.away = True
    assert scene.wait(50).as_of.timestamp() == begin + 11
    scene.sister.away = False
    scene.production.away = True
    assert scene.wait(50).as_of.timestamp() == begin + 61
    scene.production.away = False
    assert scene.step().as_of.timestamp() == begin + 111


def test_nothing_is_missing_while_a_stream_is_away():
    """While a stream cannot be read nothing of it is told as missing, and all is found when it is back."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.production.append(body(version=2), id="f")
    scene.sister.away = True
    report = scene.wait(10 * GRACE)
    assert (told(report), report.open) == ({}, 2)
    assert report.troubles["sister: StoreUnavailable"] > 0
    scene.sister.append(body(), id="e", at=scene.clock.now - 10 * GRACE)
    scene.sister.away = False
    assert told(scene.step()) == {"match": 1, "missing": 1}


def test_nothing_is_unexpected_while_production_is_away():
    """The sister is not judged while production cannot be read."""
    scene = Scene()
    scene.production.away = True
    scene.sister.append(body(), id="e")
    scene.production.append(body(), id="e")
    assert told(scene.wait(10 * GRACE)) == {}
    scene.production.away = False
    assert told(scene.step()) == {"match": 1}


def test_trimmed_production():
    """What was cut off from production before it was read is a gap, and the sister's events of it are no fault."""
    scene = Scene()
    scene.both("a", body())
    scene.step()
    scene.clock.now += 10
    for number in range(5):
        scene.both(f"e{number}", body(version=number + 2))
    scene.production.trim(2)
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"match": 3, "+lost sight": 3}
    assert [(gap.where, gap.why) for gap in report.gaps] == [("production", "trimmed")]
    assert not report.ok
    scene.clock.now += 500
    scene.sister.append(body(), id="x")
    scene.step()
    assert told(scene.wait(GRACE))["+unexpected"] == 1


def test_trimmed_sister():
    """Production's events whose copies may have been cut off are told as lost sight of, and not as missing."""
    scene = Scene()
    for number in range(5):
        scene.both(f"e{number}", body(version=number))
    scene.sister.append(body(), id="last")
    scene.sister.trim(1)
    scene.verifier(begin="start")
    scene.step()
    assert told(scene.wait(GRACE)) == {"missing": 5, "+unexpected": 1}
    scene = Scene()
    scene.both("a", body())
    scene.step()
    for number in range(5):
        scene.both(f"e{number}", body(version=number + 2))
    scene.sister.trim(1)
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"match": 2, "lost sight": 4}
    assert report.matched == 2
    assert consistent(report)


def test_trimmed_while_nobody_reads_from_the_start():
    """What was cut off between a death and a succession is a gap, even if all is read again from where it begins."""
    scene = Scene()
    scene.both("a", body())
    scene.step()
    scene.kill(scene.streams[0])
    for name in "bcd":
        scene.both(name, body(version=ord(name)))
    scene.sister.trim(1)
    scene.verifier()
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"match": 2, "lost sight": 2}
    assert [(gap.where, gap.why) for gap in report.gaps] == [("sister", "trimmed")]


def test_emptied_stream():
    """A stream that is emptied of what was not read is a gap up to now."""
    scene = Scene()
    scene.both("a", body())
    scene.step()
    scene.both("b", body(version=2))
    scene.production.trim(0)
    assert scene.wait(GRACE + 1).gaps[0].end == datetime.fromtimestamp(scene.clock.now, UTC) or True
    report = scene.wait(GRACE)
    assert told(report) == {"match": 1, "+lost sight": 1}


def test_remade_stream():
    """A stream that is deleted and made anew is read from its beginning, and the time between is a gap."""
    scene = Scene()
    for number in range(5):
        scene.both(f"a{number}", body(version=number))
    scene.step()
    scene.clock.now += 1
    for stream in (scene.production, scene.sister):
        stream.restart()
        stream.append(body(version=100), id="new")
    report = scene.step()
    assert told(report) == {"match": 6}
    assert [(gap.where, gap.why) for gap in report.gaps] == [("production", "remade"), ("sister", "remade")]
    scene.kill(scene.streams[0])
    scene.verifier()
    assert told(scene.step()) == {"match": 6}
    scene.sister.append(body(version=100), id="new")
    assert told(scene.step()) == {"match": 6, "+doubled": 1}


def test_stream_that_was_set_back():
    """A stream that lost its last entries, as with a replica that was behind, is not judged again."""
    scene = Scene()
    for number in range(5):
        scene.both(f"a{number}", body(version=number))
    scene.step()
    scene.wait(700)
    scene.both("b", body(version=6))
    scene.step()
    scene.both("c", body(version=7))
    scene.wait(1)
    for stream in (scene.production, scene.sister):
        stream._entries.pop()
    scene.wait(1)
    scene.both("d", body(version=8))
    report = scene.step()
    assert told(report) == {"match": 8}
    assert {gap.why for gap in report.gaps} == {"remade"}


def test_search_for_where_to_go_on_fails():
    """If the stream that was remade is away just then, it is looked at again."""
    scene = Scene()
    for number in range(3):
        scene.both(f"a{number}", body(version=number))
    scene.step()
    for stream in (scene.production, scene.sister):
        stream.restart()
    find, scene.sister.find = scene.sister.find, None

    def away(entries):
        scene.sister.find = find
        raise StoreUnavailable("away")

    scene.sister.find = away
    scene.both("b", body(version=2))
    assert told(scene.step()) == {"match": 4}
    assert len(scene.report().gaps) == 2


def test_begin_now():
    """Matching begins with what comes from now on, and what the sister has of before is no fault."""
    scene = Scene(begin="now")
    for number in range(5):
        scene.production.append(body(version=number), id=f"old{number}")
    scene.step()
    scene.clock.now += 1
    scene.sister.append(body(version=4), id="old4")
    scene.both("new", body(version=5))
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"match": 1}
    assert (report.ok, report.waiting) == (True, 0)
    assert [(gap.where, gap.why) for gap in report.gaps] == [("production", "begin")]
    scene.clock.now += GRACE
    scene.sister.append(body(), id="x")
    scene.step()
    assert told(scene.wait(GRACE))["+unexpected"] == 1


def test_production_waits_for_the_sister():
    """When many events wait, production is not read on while the sister cannot be, so that memory is bounded."""
    scene = Scene(tuning={"open": 20})
    for number in range(100):
        scene.clock.now += 0.01
        scene.both(f"e{number}", body(version=number))
    scene.sister.away = True
    scene.verifier(page=5)
    report = scene.step()
    assert report.open == 15
    scene.sister.away = False
    assert told(scene.step()) == {"match": 100}


def test_bytes_that_wait_are_bounded():
    """Big events that wait are bounded by their bytes."""
    scene = Scene(tuning={"bytes": 1_000_000})
    scene.production.read = sized(scene.production.read)
    for number in range(20):
        scene.production.append(body(version=number, text="x" * 100_000), id=f"e{number}")
    report = scene.step()
    assert (report.open, told(report)) == (9, {"lost sight": 11})


def sized(read):
    """Have pages tell their largest event, as sources do."""
    from attrs import evolve

    def reading(after, *, count):
        page = read(after, count=count)
        return evolve(page, size=max((event.size for event in page.events), default=0))

    return reading


def test_sharing_and_dying():
    """Two processes share the work, and when one dies the other goes on where it was."""
    scene = Scene()
    one, two = scene.verifier(), scene.verifier()
    for number in range(100):
        scene.both(f"e{number}", body(f"c{number % 10}", number))
    scene.step()
    shares = [stream._mine().verifier.holds for stream in (one, two)]
    assert shares == [4, 4]
    for number in range(100, 200):
        scene.both(f"e{number}", body(f"c{number % 10}", number))
    one.step()
    scene.kill(one)
    two.step()
    for number in range(50, 150):
        scene.sister.append(body(f"c{number % 10}", number), id=f"e{number}")
    report = scene.step()
    assert told(report) == {"match": 200, "+doubled": 100}
    assert two._mine().verifier.holds == 8
    assert len(scene.faults()) == len(set(scene.faults())) == 100


def test_order_over_a_death():
    """That an event is out of order is found although its process died in between, and told once."""
    scene = Scene()
    for number in range(10):
        scene.production.append(body(version=number), id=str(number))
    for number in (0, 1, 3, 4, 2):
        scene.sister.append(body(version=number), id=str(number))
    scene.step()
    scene.kill(scene.streams[0])
    scene.verifier()
    for number in (6, 7, 5, 8, 9):
        scene.sister.append(body(version=number), id=str(number))
    scene.step()
    assert scene.faults() == [("out of order", "2"), ("out of order", "5")]


def test_what_waits_survives():
    """Events that wait, and those told as missing or unexpected, are known to the successor."""
    scene = Scene()
    scene.production.append(body(), id="missing")
    scene.sister.append(body(), id="unexpected")
    scene.step()
    scene.wait(GRACE)
    scene.production.append(body(version=2), id="waiting")
    scene.sister.append(body(version=9), id="early")
    scene.step()
    scene.kill(scene.streams[0])
    scene.verifier()
    report = scene.step()
    assert (report.open, report.waiting) == (1, 1)
    scene.sister.append(body(), id="missing")
    scene.sister.append(body(version=2), id="waiting")
    scene.production.append(body(), id="unexpected")
    scene.production.append(body(version=9), id="early")
    assert told(scene.step()) == {"match": 4, "+late": 2}


def test_what_waited_and_is_gone():
    """If an event that waited can be read no more, what it was is lost sight of."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.production.append(body(version=2), id="f")
    scene.step()
    scene.kill(scene.streams[0])
    scene.production.trim(1)
    scene.verifier()
    scene.sister.append(body(), id="e")
    scene.step()
    assert told(scene.report()) == {"lost sight": 1}
    assert "was removed" in scene.streams[0].faults()[0].note


def test_last_entry_deleted_before_a_successor(redis_url):
    """A successor is not held up by an entry that was deleted from the end of the stream."""
    state = MemoryState(8)

    def stream():
        sources = [redis_events(redis_url, stream=Stream(key, id="event_id", payload="body")) for key in "ab"]
        return EventStream("s", production=sources[0], sister=sources[1], state=state, begin="start")

    with client_of(redis_url) as client:
        for name in ("one", "two"):
            entries = [client.xadd(key, {"event_id": name, "body": "x"}) for key in "ab"]
        one = stream()
        one.run(until=lambda report: report.matched == 2)
        one.close()
        for key, entry in zip("ab", entries, strict=True):
            client.xdel(key, entry)
        two = stream()
        two.run(until=datetime.now(UTC))
        assert told(two.report()) == {"match": 2}
        two.close()


def test_state_that_is_away():
    """While the state cannot be reached nothing is judged, and nothing is lost or told twice by that."""
    scene = Scene()
    scene.both("a", body())
    scene.step()
    commit, scene.state.commit = scene.state.commit, None

    def lost(commits, faults):
        commit(commits, faults)
        raise StoreUnavailable("the answer was lost")

    scene.state.commit = lost
    scene.sister.append(body(), id="a")
    scene.streams[0].step()
    scene.state.commit = commit
    assert told(scene.step()) == {"match": 1, "+doubled": 1}
    assert scene.faults() == [("doubled", "a")]
    assert scene.report().troubles == {"state: StoreUnavailable": 1}


def test_state_that_cannot_be_tended():
    """A process that cannot renew its leases stops judging, and goes on when it can."""
    scene = Scene()
    scene.step()
    tend = scene.state.tend

    def away(member, claims):
        raise StoreUnavailable("away")

    scene.state.tend = away
    scene.both("a", body())
    stream = scene.streams[0]
    assert not scene.round()
    assert not stream._mine().verifier.holds
    stream.stop()
    scene.state.tend = tend
    assert told(scene.step()) == {"match": 1}


def test_leave_that_fails():
    """If the state is away at the end, that is counted and nothing is raised."""
    scene = Scene()
    scene.step()

    def away(*_):
        raise StoreUnavailable("away")

    scene.state.leave = scene.state.release = away
    scene.streams[0].stop()
    assert scene.report().troubles == {"state: StoreUnavailable": 1}


def test_state_that_is_lost():
    """If the state is emptied, a process that still runs judges again what it remembers, under a count of its own."""
    scene = Scene()
    for number in range(5):
        scene.both(f"e{number}", body(version=number))
    scene.step()
    empty = MemoryState(8, clock=scene.leases)
    for name, value in vars(empty).items():
        setattr(scene.state, name, value)
    scene.both("new", body(version=9))
    report = scene.step()
    assert told(report) == {"match": 6}
    assert report.troubles["state: LookupError"] == 8


def test_state_that_is_lost_with_more_than_is_known():
    """Partitions of which a process knows nothing begin anew with what comes then, and not where all once began."""
    scene = Scene()
    one, two = scene.verifier(), scene.verifier()
    for number in range(20):
        scene.both(f"e{number}", body(version=number))
    scene.step()
    scene.kill(two)
    for name, value in vars(MemoryState(8, clock=scene.leases)).items():
        setattr(scene.state, name, value)
    scene.sister.restart()
    scene.clock.now += 1
    scene.step()
    assert one._mine().verifier.holds == 8
    scene.both("new", body(version=100))
    scene.step()
    report = scene.wait(GRACE)
    counts = told(report)
    assert (counts["match"], report.open, set(counts)) == (1, 0, {"match", "lost sight"})
    assert counts["lost sight"] < 20
    assert report.since == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    assert {(gap.where, gap.why) for gap in report.gaps} == {("production", "begin"), ("sister", "begin")}


def test_state_that_is_set_back():
    """If the state has lost the last commits, as a replica may that was behind, what came with them is judged again."""
    scene = Scene()
    scene.production.append(body(), id="kept")
    scene.step()
    before = {name: copy.deepcopy(getattr(scene.state, name)) for name in ("_checkpoints", "_waiting", "_faults")}
    scene.production.append(body(version=2), id="lost")
    scene.sister.append(b"{", id="kept")
    assert told(scene.step()) == {"undecodable": 1}
    vars(scene.state).update(before)
    scene.production.append(body(version=3), id="more")
    scene.step()
    scene.kill(scene.streams[0])
    scene.verifier()
    report = scene.wait(GRACE)
    assert told(report) == {"undecodable": 1, "missing": 2}
    assert consistent(report)
    assert sorted(scene.faults()) == [("missing", "lost"), ("missing", "more"), ("undecodable", "kept")]


def test_a_lease_that_is_lost():
    """What a process that lost its lease had not committed is judged by the successor alone."""
    scene = Scene()
    one = scene.verifier()
    one.step()
    scene.both("e", body())
    scene.sister.append(body(), id="e")
    verifier = one._mine().verifier
    verifier._leases._tend_at = time.monotonic() + 100
    scene.leases.now += 100
    two = scene.verifier()
    two.step()
    two.step()
    one.step()
    assert not verifier.holds
    scene.streams.remove(one)
    assert told(scene.step()) == {"match": 1, "+doubled": 1}
    assert scene.faults() == [("doubled", "e")]


def test_interrupted_in_the_middle():
    """If judging is interrupted, what was half done is forgotten, and the checkpoint counts."""
    scene = Scene()
    scene.both("e", body())
    stream = scene.verifier(covered=interrupt)
    with pytest.raises(KeyboardInterrupt):
        stream.run()
    scene.kill(stream)
    scene.verifier()
    assert told(scene.step()) == {"match": 1}


def interrupt(event):
    """Be the user who presses Ctrl-C."""
    raise KeyboardInterrupt


def test_callback():
    """The callback gets each fault with its values after the commit, and if it raises the others still come."""
    seen = []

    def tell(fault):
        seen.append(fault)
        raise ValueError

    scene = Scene(on_verdict=tell)
    for number in range(3):
        scene.both(f"e{number}", body(version=number))
        scene.sister.append(body(), id=f"e{number}")
    report = scene.step()
    assert [fault.id for fault in seen] == ["e0", "e1", "e2"]
    assert report.troubles == {"on_verdict: ValueError": 3}


class Handler:
    """A consumer, as `EventStream` wants it."""

    def __init__(self):
        self.seen = []

    def compare(self, *, production, sister):
        self.seen.append((production, sister))
        if b"ignored" in sister:
            return Differences(ignored=[Difference("@refused", "raised", rule="fence")])
        return [] if production == sister else [Difference("@effects", "missing", note="an effect")]


def test_consumer():
    """A consumer is given each pair as bytes, and what differs in it makes the event different."""
    consumer = Handler()
    scene = Scene(consumer=consumer)
    scene.both("e", body())
    scene.production.append(body(version=2), id="f")
    scene.sister.append(body(version=2) + b" ", id="f")
    scene.both("g", body(version=3, text="ignored"))
    assert told(scene.step()) == {"match": 1, "different": 1, "ignored": 1}
    assert consumer.seen[0] == (body(), body())
    (fault,) = scene.streams[0].faults()
    assert [(each.path, each.note) for each in fault.differences] == [("@effects", "consumer: an effect")]


def test_consumer_as_a_function():
    """A function of both events is a consumer too; without a payload it is given the values."""
    seen = []

    def consume(production, sister):
        seen.append((production, sister))
        return [Difference("@skipped", "changed")]

    scene = Scene(consumer=consume, sources={"codec": None})
    scene.both("e", {"comment_id": "c", "version": 1})
    assert told(scene.step()) == {"different": 1}
    assert seen == [({"comment_id": "c", "version": 1},) * 2]
    assert scene.streams[0].faults()[0].differences[0].note == "consumer"


def test_production_is_not_the_sister():
    """One stream given as both, or a state that would be kept in production, is refused."""
    clock = MemoryEvents()
    stream = EventStream("s", production=clock, sister=clock)
    with pytest.raises(NotIsolated, match="one stream"):
        stream.run()


def test_state_is_not_kept_in_production(redis_url):
    """A state that would be kept in production is refused before anything is written."""
    source = redis_events(redis_url)
    stream = EventStream("s", production=source, sister=MemoryEvents(), state=redis_url)
    with pytest.raises(NotIsolated, match="state"):
        stream.step()
    with client_of(redis_url) as client:
        assert client.keys() == []
    stream.close()


def test_other_options_under_the_name():
    """Other options than those the state was begun with are refused."""
    scene = Scene()
    scene.step()
    with pytest.raises(ConfigError, match="by_version"):
        scene.verifier(match="version").run()
    scene.state.begin = lambda proposal: None
    with pytest.raises(ConfigError, match="format"):
        scene.verifier().step()


def test_state_of_another_version():
    """A state that another version of the package wrote is not read."""
    scene = Scene()
    scene.step()
    scene.state._checkpoints[0] = '{"format": 99}'
    with pytest.raises(StoreError, match="format 99"):
        scene.report()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "a{b"}),
        ("production", {"production": "redis://:secret@localhost"}),
        ("sister", {"sister": None}),
        ("compare", {"compare": 7}),
        ("covered", {"covered": 7}),
        ("on_verdict", {"on_verdict": 7}),
        ("consumer", {"consumer": 7}),
        ("match", {"match": "key"}),
        ("begin", {"begin": "0"}),
        ("grace", {"grace": -1}),
        ("late", {"late": "1"}),
        ("tuning", {"tuning": {}}),
        ("state", {"state": 7}),
    ],
)
def test_wrong_options_of_a_stream(field, options):
    """A wrong option is refused when the stream is made, by its name."""
    given = {"name": "s", "production": MemoryEvents(), "sister": MemoryEvents()} | options
    with pytest.raises(ConfigError) as caught:
        EventStream(given.pop("name"), **given)
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partitions", 0),
        ("partitions", True),
        ("lease", 0),
        ("remember", float("inf")),
        ("budget", 1.5),
        ("budget", 0),
        ("open", 0),
        ("bytes", 1.5),
        ("seen", -1),
        ("faults", None),
        ("ahead", "1"),
        ("ahead", float("nan")),
    ],
)
def test_wrong_tuning(field, value):
    """Wrong tuning is refused by its name."""
    with pytest.raises(ConfigError) as caught:
        EventTuning(**{field: value})
    assert caught.value.field == field


def test_durations_may_be_timedeltas():
    """Durations may be given as timedeltas."""
    stream = EventStream(
        "s", production=MemoryEvents(), sister=MemoryEvents(), grace=timedelta(minutes=1), late=timedelta(0)
    )
    assert (stream._options.plan.grace, stream._options.plan.late) == (60.0, 0.0)


def test_run_until_a_time():
    """A run ends when all that was written up to a time is judged."""
    production, sister = Source(time.time), Source(time.time)
    for stream in (production, sister):
        stream.append(body(), id="e")
    stream = EventStream("s", production=production, sister=sister, begin="start")
    stream.run(until=datetime.now(UTC))
    assert told(stream.report()) == {"match": 1}


def test_run_until_enough():
    """A run ends when a function of the report says so, and a state that is away meanwhile does not end it."""
    production, sister = Source(time.time), Source(time.time)
    stream = EventStream("s", production=production, sister=sister, begin="start", tuning=EventTuning(budget=0.5))
    production.append(body(), id="e")
    sister.append(body(), id="e")
    report, calls = stream.report, []

    def sometimes():
        calls.append(1)
        if len(calls) == 1:
            raise StoreUnavailable("away")
        return report()

    stream.report = sometimes
    stream.run(until=lambda told: told.matched)
    assert len(calls) > 1


def test_start_and_stop():
    """A stream runs in a thread until it is stopped, can be started again, and twice is once."""
    production, sister = Source(time.time), Source(time.time)
    stream = EventStream("s", production=production, sister=sister, begin="start")
    with stream:
        stream.start()
        for name in "ab":
            production.append(body(), id=name)
            sister.append(body(), id=name)
        wait_for(lambda: stream.report().matched == 2)
    assert stream._mine().thread is not None
    assert not stream._mine().thread.is_alive()
    production.append(body(), id="c")
    sister.append(body(), id="c")
    stream.start()
    wait_for(lambda: stream.report().matched == 3)
    stream.close()


def test_thread_that_ends_by_itself(caplog):
    """What ends the thread is logged and counted."""
    one = MemoryEvents()
    stream = EventStream("s", production=one, sister=one)
    stream.start()
    wait_for(lambda: not stream._mine().thread.is_alive())
    assert any("one stream" in name for name in stream.report().troubles)
    assert "has ended" in caplog.text
    stream.stop()


@pytest.mark.parametrize("how", ["run", "start"])
def test_stop_from_a_callback(how):
    """A callback may stop the loop that calls it: that ends when the callback has returned."""
    production, sister = Source(time.time), Source(time.time)
    stream = EventStream(
        "s", production=production, sister=sister, begin="start", on_verdict=lambda fault: stream.stop()
    )
    production.append(body(), id="e")
    sister.append(b"{", id="e")
    if how == "run":
        stream.run()
    else:
        stream.start()._mine().thread.join(20)
    assert not stream._mine().runs
    assert told(stream.report()) == {"undecodable": 1}
    assert not stream.report().troubles


def test_stop_from_a_signal():
    """A handler of a signal may stop the loop that it interrupts, more than once."""
    stream = EventStream("s", production=Source(time.time), sister=Source(time.time))

    def handle(*_):
        stream.stop()
        stream.stop()

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        stream.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stream.report().since is not None


def test_stop_that_cannot_wait_so_long():
    """A loop that does not end in time ends later all the same, and another may be begun meanwhile."""
    entered, leave = threading.Event(), threading.Event()

    def slow(*, control, candidate):
        entered.set()
        leave.wait(20)
        return []

    production, sister = Source(time.time), Source(time.time)
    for number in range(2):
        production.append(body(version=number), id=str(number))
        sister.append(body(version=number) + b" ", id=str(number))
    stream = EventStream("s", production=production, sister=sister, begin="start", compare=slow)
    stream.start()
    assert entered.wait(20)
    first = stream._mine().thread
    stream.stop(timeout=0.01)
    assert first.is_alive()
    stream.start()
    second = stream._mine().thread
    leave.set()
    first.join(20)
    assert (first.is_alive(), second.is_alive(), second is first) == (False, True, False)
    wait_for(lambda: stream.report().matched == 2)
    stream.stop()
    assert not second.is_alive()


def test_closing_what_was_never_used():
    """A stream that was never run asks nothing of any server when it is closed."""
    stream = EventStream(
        "s", production=redis_events("redis://127.0.0.1:1"), sister=redis_events("redis://127.0.0.1:1")
    )
    stream.close()
    assert not stream._mine().verifier.troubles


@pytest.mark.parametrize("until", [datetime(2024, 5, 1), timedelta(seconds=5), 5])  # noqa: DTZ001 - this is refused
def test_run_until_something_else(until):
    """What is neither a time with its zone nor a function is refused before anything is done."""
    stream = EventStream("s", production=MemoryEvents(), sister=MemoryEvents())
    with pytest.raises(ConfigError) as caught:
        stream.run(until=until)
    assert caught.value.field == "until"
    assert stream.report().since is None


def wait_for(what, seconds=20.0):
    """Wait until something holds, and fail if it does not for long."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_servers_that_restart():
    """The loop goes on over the restart of each server, the state's too, and finds what came meanwhile."""
    with Redis() as one, Redis() as two, Redis() as three:
        urls = [server.url for server in (one, two, three)]
        stream = EventStream(
            "s",
            production=redis_events(urls[0], timeout=1),
            sister=redis_events(urls[1], timeout=1),
            state=urls[2],
            begin="start",
            tuning=EventTuning(lease=0.5),
        )
        with stream, client_of(urls[0]) as ours, client_of(urls[1]) as theirs:
            for number in range(10):
                add(ours, f"e{number}", body(version=number))
                add(theirs, f"e{number}", body(version=number))
            wait_for(lambda: stream.report().matched == 10)
            for client in (ours, theirs):
                client.client_kill_filter(skipme=True, _type="normal")
            with client_of(urls[2]) as state:
                state.client_kill_filter(skipme=True, _type="normal")
            add(ours, "f", body(version=20))
            add(theirs, "f", body(version=20))
            wait_for(lambda: matched(stream) == 11)
        stream.close()


def matched(stream):
    """Give the number of matched events, if the state can be reached."""
    try:
        return stream.report().matched
    except StoreUnavailable:
        return 0


def test_sister_that_goes_and_comes_back_empty(redis_url, monkeypatch):
    """A sister that is away for a while and comes back empty is read on, and the time between is a gap."""
    sister = Redis().start()
    port = sister.port
    stream = EventStream(
        "s",
        production=redis_events(redis_url),
        sister=redis_events(sister.url, timeout=1),
        state=redis_url.replace("/15", "/14"),
        begin="start",
        grace=1.0,
        tuning=EventTuning(lease=2.0),
    )
    with client_of(redis_url) as ours, client_of(redis_url.replace("/15", "/14")) as state:
        try:
            with stream:
                with client_of(sister.url) as theirs:
                    for number in range(5):
                        add(ours, f"e{number}", body(version=number))
                        add(theirs, f"e{number}", body(version=number))
                wait_for(lambda: stream.report().matched == 5)
                sister.stop()
                add(ours, "lost", body(version=8))
                wait_for(lambda: stream.report().troubles.get("sister: StoreUnavailable", 0) > 1)
                assert told(stream.report()) == {"match": 5}
                monkeypatch.setattr("shadowmig.testing.servers._free_port", lambda: port)
                sister.start()
                with client_of(sister.url) as theirs:
                    add(ours, "new", body(version=9))
                    add(theirs, "new", body(version=9))
                    wait_for(lambda: stream.report().matched == 6)
                    wait_for(lambda: stream.report().open == 0)
                assert told(stream.report()) == {"match": 6, "lost sight": 1}
            stream.close()
        finally:
            sister.stop()
            state.flushdb()


def test_a_forked_child_is_another_verifier(redis_url):
    """A forked child of a process that runs a stream runs it as a process of its own, and may take over."""
    state = redis_url.replace("/15", "/14")
    with client_of(redis_url) as client, client_of(state) as sister:
        stream = EventStream(
            "s",
            production=redis_events(redis_url),
            sister=redis_events(state),
            begin="start",
            tuning=EventTuning(lease=0.3),
        )
        try:
            add(client, "a")
            add(sister, "a")
            stream.step()
            assert stream.report().matched == 1
            child = os.fork()
            if not child:
                code = 1
                try:
                    add(client, "b")
                    add(sister, "b")
                    stream.run(until=lambda report: report.matched == 2)
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
            add(client, "c")
            add(sister, "c")
            stream.run(until=lambda report: report.matched == 3)
            assert told(stream.report()) == {"match": 3}
            stream.close()
        finally:
            sister.flushdb()


def test_clocks_that_differ():
    """The difference of the servers' clocks is measured, and lags are told without it."""
    now = time.time
    production, sister = Source(now), Source(lambda: now() + 1000)
    stream = EventStream("s", production=production, sister=sister, begin="start")
    production.append(body(), id="e")
    sister.append(body(), id="e")
    sister.append(body(), id="x")
    stream.run(until=lambda report: report.matched == 1)
    report = stream.report()
    assert told(report) == {"match": 1}
    assert report.lag.max < 60
    assert report.waiting == 1


@pytest.mark.parametrize("jump", [1000.0, -1000.0])
def test_clock_of_the_sister_that_is_set(monkeypatch, jump):
    """If the sister's clock is set, events that wait have their grace all the same, and lags go by the new time."""
    ours, ahead = Clock(), Clock(0.0)
    monkeypatch.setattr("shadowmig.wire.events._side.time.monotonic", ours)
    scene = Scene(tuning={"ahead": None})
    scene.production._clock, scene.sister._clock = ours, lambda: ours() + ahead.now
    scene.both("before", body())
    scene.sister._entries.clear()

    def wait(seconds):
        for _ in range(20):
            ours.now += seconds / 20
            scene.step()
        return scene.report()

    assert wait(5).open == 1
    ahead.now = jump
    assert told(wait(5)) == {}
    scene.production.append(body(version=2), id="after")
    ours.now += 1
    scene.sister.append(body(version=2), id="after")
    report = wait(1)
    assert told(report) == {"match": 1}
    assert report.lag.max == pytest.approx(1.0, abs=0.3)
    assert told(wait(GRACE)) == {"match": 1, "missing": 1}


def test_clock_that_is_not_known_yet():
    """Until both clocks are known the sister's time is taken as it is, so that gaps have their place in time."""
    scene = Scene(tuning={"ahead": None})
    scene.sister.append(body(), id="gone")
    stream = scene.verifier()
    scene.step()
    scene.kill(stream)
    scene.production.away = True
    scene.sister.append(body(), id="gone too")
    scene.sister.append(body(), id="there")
    scene.sister.trim(1)
    scene.verifier()
    scene.step()
    (gap,) = scene.report().gaps
    assert gap.end.timestamp() == scene.clock.now


def test_faults_keep_what_they_say():
    """A fault is the same after it was written to the list and read back, but for the values."""
    fault = EventFault(
        EventVerdict.DIFFERENT,
        "e\ud800",
        "sister",
        datetime(2024, 5, 1, tzinfo=UTC),
        entity=None,
        production=(5, 0),
        sister=(),
        lag=0.5,
        differences=(Difference("$.a", "changed", note="n"),),
        note="why",
    )
    assert EventFault.from_json(fault.to_json()) == fault
    assert str(fault) == "different: e\ud800 (production 5-0) $.a why"


def test_report_is_a_value():
    """A report that is made without counts has all verdicts, at zero."""
    report = EventReport("s")
    assert report.ok
    assert set(report.verdicts) | set(report.beside) == set(EventVerdict)


def test_other_bytes_in_redis(redis_url):
    """Entries with other bytes are compared by what they mean, and what cannot be read is told with its reason."""
    other = redis_url.replace("/15", "/14")
    with client_of(redis_url) as ours, client_of(other) as theirs:
        for name in "abc":
            add(ours, name, body(version=ord(name)))
        ours.xadd(STREAM.name, {"event_id": "d"})
        add(theirs, "b", body(version=98) + b" ")
        add(theirs, "a", b'{"version": 97, "comment_id": "c1"}')
        add(theirs, "c", b"{")
        theirs.xadd(STREAM.name, {"body": body(), "event_id": "d"})
        stream = EventStream("s", production=redis_events(redis_url), sister=redis_events(other), begin="start")
        try:
            stream.run(until=lambda report: report.matched == 4)
            assert told(stream.report()) == {"match": 2, "undecodable": 2, "+out of order": 1}
            notes = {fault.id: (fault.where, fault.note) for fault in stream.faults()}
            assert notes["c"][0] == "sister"
            assert "no JSON" in notes["c"][1]
            assert notes["d"] == ("production", "KeyError: 'body'")
            assert notes["a"] == ("sister", "")
            stream.close()
        finally:
            theirs.flushdb()


def test_fields_beside_the_payload(redis_url):
    """Fields beside the payload are compared too, as bytes, unless they are not to be."""
    other = redis_url.replace("/15", "/14")
    with client_of(redis_url) as ours, client_of(other) as theirs:
        try:
            add(ours, "e", type="created", trace="1", same="s")
            add(theirs, "e", type="updated", more="2", same="s")
            add(ours, "f", b'{"comment_id":1}', type="x")
            add(theirs, "f", b'{"comment_id": 1}', type="x")
            for beside, wanted in ((True, {"different": 1, "match": 1}), (False, {"match": 2})):
                stream = EventStream(
                    f"s{beside}",
                    production=redis_events(redis_url, beside=beside),
                    sister=redis_events(other),
                    begin="start",
                )
                stream.run(until=lambda report: report.matched == 2)
                assert told(stream.report()) == wanted
                found = [(each.path, each.kind) for fault in stream.faults() for each in fault.differences]
                stream.close()
                assert sorted(found) == (
                    [("@more", "unexpected"), ("@trace", "missing"), ("@type", "changed")] if beside else []
                )
        finally:
            theirs.flushdb()


def test_loading_takes_long():
    """Leases are renewed while much is loaded, and a process that loses one meanwhile begins anew."""
    scene = Scene()
    for number in range(2500):
        scene.production.append(body(version=number), id=str(number))
    scene.step()
    scene.kill(scene.streams[0])
    stream = scene.verifier(tuning=EventTuning(lease=1e-9, ahead=0.0))
    tend, calls = scene.state.tend, []

    def tending(member, claims):
        calls.append(len(claims))
        held = tend(member, claims)
        if len(calls) in (3, 20):
            scene.state.release(7, held.tokens[7])
            return tend("another", {})
        return held

    scene.state.tend = tending
    assert not stream.step()
    assert not stream._mine().verifier.holds
    scene.state.tend = tend
    scene.leases.now += 100
    for number in range(2500):
        scene.sister.append(body(version=number), id=str(number))
    scene.verifier()
    scene.streams.remove(stream)
    assert told(scene.step()) == {"match": 2500}


def test_stream_that_cannot_be_read_when_it_is_loaded():
    """While a stream is away in which something waits, partitions are not taken up, and then they are."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.step()
    scene.kill(scene.streams[0])
    scene.production.away = True
    scene.verifier()
    assert scene.step().open == 1
    assert set(scene.report().troubles) == {"production: StoreUnavailable"}
    assert not scene.streams[0]._mine().verifier.holds
    scene.production.away = False
    scene.sister.append(body(), id="e")
    assert told(scene.step()) == {"match": 1}


def test_gaps_that_touch_are_one():
    """A stream that is trimmed again and again before it is read has one gap."""
    scene = Scene()
    scene.both("a", body())
    scene.step()
    for number in range(5):
        scene.both(f"e{number}", body(version=number + 2))
        scene.both(f"f{number}", body(version=number + 2))
        scene.production.trim(1)
        scene.step()
    assert len(scene.report().gaps) == 1


def test_gaps_do_not_grow():
    """However often partitions are taken up anew, a gap is kept once."""
    scene = Scene(begin="now")
    for number in range(5):
        scene.both(f"e{number}", body(version=number))
        scene.step()
        scene.kill(scene.streams[0])
        scene.verifier()
    scene.both("last", body(version=9))
    scene.step()
    assert [len(json.loads(checkpoint)["blinds"]) for checkpoint in scene.state._checkpoints.values()] == [1] * 8


def test_much_to_give_up():
    """Where very many events are to be given up at once there is a commit in between, and each is told once."""
    scene = Scene(tuning={"remember": 10.0})
    for number in range(5000):
        scene.production.append(body(version=number), id=str(number))
    assert scene.step().open == 5000
    commits, commit = [], scene.state.commit

    def counting(given, faults):
        commits.append(len(faults))
        return commit(given, faults)

    scene.state.commit = counting
    assert told(scene.wait(2 * GRACE)) == {"missing": 5000}
    assert max(commits) <= 2000
    assert len(set(scene.faults())) == len(scene.faults()) == 5000
    assert scene.wait(0.1).open == 0
    assert not any(scene.state._waiting.values())


def test_long_ids():
    """Ids of any length are matched, and neither the memory of ids nor the state keeps them whole."""
    scene = Scene(sources={"entity": lambda e: "c" * 100_000, "version": None})
    names = [f"{'x' * 100_000}{number}" for number in range(3)]
    for name in names:
        scene.production.append(body(), id=name)
    for name in names[1::-1]:
        scene.sister.append(body(), id=name)
    scene.step()
    assert max(map(len, scene.streams[0]._mine().verifier._leases.holding.matcher._seen)) < 1000
    assert (
        sum(
            map(len, scene.state._waiting[number].values()).__next__()
            for number in scene.state._waiting
            if scene.state._waiting[number]
        )
        < 1000
    )
    scene.kill(scene.streams[0])
    scene.verifier()
    assert told(scene.wait(GRACE)) == {"match": 2, "missing": 1, "+out of order": 1}


def test_an_id_that_waits_again():
    """If an id that was forgotten comes again before the next commit, what is kept is the entry that waits now."""
    scene = Scene(tuning={"seen": 1})
    scene.production.append(body(), id="a")
    scene.step()
    verifier = scene.streams[0]._mine().verifier
    scene.sister.append(body(), id="a")
    for number in range(5):
        scene.both(str(number), body(version=number))
    assert verifier.step()
    scene.production.append(body(version=9), id="a")
    assert verifier.step()
    scene.step()
    assert [json.loads(row)[0] for part in scene.state._waiting.values() for row in part.values()] == [[7]]
    scene.kill(scene.streams[0])
    scene.verifier()
    scene.step()
    assert told(scene.wait(GRACE)) == {"match": 6, "missing": 1}


def test_memory_is_bounded_by_number():
    """Of many events the oldest are forgotten, so that one doubled long ago is unexpected or missing."""
    scene = Scene(tuning={"seen": 10})
    for number in range(50):
        scene.both(f"e{number}", body(f"c{number}"))
        scene.step()
    scene.sister.append(body("c49"), id="e49")
    scene.sister.append(body("c0"), id="e0")
    scene.step()
    assert told(scene.wait(GRACE)) == {"match": 50, "+doubled": 1, "+unexpected": 1}


def test_many_entities_out_of_order():
    """The entities whose order is remembered are bounded too."""
    scene = Scene(tuning={"seen": 10})
    for number in range(60):
        entity = f"c{number}"
        scene.production.append(body(entity, 1), id=f"a{number}")
        scene.production.append(body(entity, 2), id=f"b{number}")
        scene.sister.append(body(entity, 2), id=f"b{number}")
        scene.sister.append(body(entity, 1), id=f"a{number}")
        scene.step()
    assert told(scene.report()) == {"match": 120, "+out of order": 60}


def test_slow_comparators():
    """Where comparing takes long, less is done between two looks at the leases."""

    def slow(*, control, candidate):
        time.sleep(0.02)
        return []

    scene = Scene(compare=slow, tuning={"lease": 0.4})
    for number in range(30):
        scene.production.append(body(version=number), id=str(number))
        scene.sister.append(body(version=number) + b" ", id=str(number))
    verifier = scene.verifier()._mine().verifier
    assert told(scene.step()) == {"match": 30}
    assert verifier._chunk < 1024


@pytest.mark.parametrize("option", ["codec", "entity", "version", "clock"])
def test_options_of_events_in_memory(option):
    """An option that is of no use is refused when the source is built."""
    with pytest.raises(ConfigError, match=f"{option} is 'id'"):
        MemoryEvents(**{option: "id"})


@pytest.mark.parametrize("option", ["codec", "version"])
def test_options_of_a_stream(option):
    """A codec that is none, and a version that is no function, are refused when the stream is described."""
    with pytest.raises(ConfigError, match=f"{option} is 'id'"):
        Stream("comments", **{option: "id"})
