"""What comes of events: each verdict, what is told beside it, and an account of random streams under crashes."""

import json
from collections import Counter

import pytest
from events_support import GRACE, LATE, Scene, body, consistent, told
from hypothesis import given
from hypothesis import strategies as st

from shadowmig import structural
from shadowmig.errors import CodecUnavailable
from shadowmig.wire.codecs import Json
from shadowmig.wire.events import EventVerdict


def test_equal_events_match():
    """Events with one id and the same content match."""
    scene = Scene()
    for number in range(100):
        scene.both(f"e{number}", body(version=number))
    report = scene.step()
    assert (report.production, report.sister, report.matched, report.open) == (100, 100, 100, 0)
    assert told(report) == {"match": 100}
    assert report.ok
    assert scene.faults() == []


def test_bytes_that_differ_and_mean_the_same():
    """Two ways to write the same value match too."""
    scene = Scene()
    scene.production.append(b'{"comment_id":"c","version":1}', id="e")
    scene.sister.append(b'{ "version": 1, "comment_id": "c" }', id="e")
    assert told(scene.step()) == {"match": 1}


def test_different_says_where():
    """An event whose content differs is told with the paths, and the list of faults holds no value of it."""
    seen = []
    scene = Scene(on_verdict=seen.append)
    scene.production.append(body(text="secret one"), id="e")
    scene.sister.append(body(text="secret two", more=1), id="e")
    assert told(scene.step()) == {"different": 1}
    (fault,) = scene.streams[0].faults()
    assert (fault.verdict, fault.id, fault.entity) == (EventVerdict.DIFFERENT, "e", "c1")
    assert sorted((each.path, each.kind) for each in fault.differences) == [
        ("$.more", "unexpected"),
        ("$.text", "changed"),
    ]
    assert "secret" not in repr(fault)
    assert {each.control for each in seen[0].differences} >= {"secret one"}
    assert str(fault) == "different: e (production 1, sister 1) $.text, $.more"


def test_ignored_is_no_match_and_no_fault():
    """Where only a rule's places differ, the event is ignored: no match, and no fault."""
    scene = Scene(compare=structural(ignore=["$.at"]))
    scene.production.append(body(at=1), id="e")
    scene.sister.append(body(at=2), id="e")
    report = scene.step()
    assert told(report) == {"ignored": 1}
    assert report.ok
    assert report.matched == 1
    assert scene.faults() == []


def test_missing_after_the_grace():
    """An event that the sister does not have is told as missing when the grace is over, and not before."""
    scene = Scene()
    scene.production.append(body(), id="e")
    assert told(scene.step()) == {}
    report = scene.wait(GRACE - 1)
    assert (report.open, told(report)) == (1, {})
    report = scene.wait(1)
    assert (report.open, told(report)) == (0, {"missing": 1})
    assert not report.ok
    assert scene.faults() == [("missing", "e")]


def test_missing_that_comes_after_all():
    """A missing event that comes after all is told as late and leaves the count of the missing."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.wait(GRACE)
    scene.sister.append(body(), id="e")
    report = scene.step()
    assert told(report) == {"match": 1, "+late": 1}
    assert scene.faults() == [("missing", "e"), ("late", "e")]
    (_, late) = scene.streams[0].faults()
    assert late.lag == GRACE
    assert "taken back" in late.note
    scene.sister.append(body(), id="e")
    assert told(scene.step()) == {"match": 1, "+late": 1, "+doubled": 1}


def test_missing_that_comes_much_too_late():
    """One that comes when the missing event is forgotten is unexpected."""
    scene = Scene(tuning={"remember": 10.0})
    scene.production.append(body(), id="e")
    scene.wait(GRACE)
    scene.wait(10)
    scene.sister.append(body(), id="e")
    scene.step()
    assert told(scene.wait(GRACE)) == {"missing": 1, "+unexpected": 1}


def test_unexpected_after_the_grace():
    """An event that only the sister has is unexpected when the grace is over."""
    scene = Scene()
    scene.sister.append(body(), id="x")
    report = scene.step()
    assert (report.waiting, told(report)) == (1, {})
    report = scene.wait(GRACE)
    assert (report.waiting, told(report), report.production) == (0, {"+unexpected": 1}, 0)
    assert scene.faults() == [("unexpected", "x")]


def test_unexpected_that_production_has_after_all():
    """If production has it after all, it is unexpected no more, and production's is late."""
    scene = Scene()
    scene.sister.append(body(), id="x")
    scene.wait(GRACE)
    scene.production.append(body(), id="x")
    assert told(scene.step()) == {"match": 1, "+late": 1}
    assert [fault.where for fault in scene.streams[0].faults()] == ["sister", "production"]


def test_early_in_the_sister():
    """An event that the sister has a little before production matches."""
    scene = Scene()
    scene.sister.append(body(), id="e")
    scene.step()
    scene.clock.now += 1
    scene.production.append(body(), id="e")
    assert told(scene.step()) == {"match": 1}


def test_late_has_its_lag():
    """An event that comes within the grace but too late is told as late, with the lag, beside its verdict."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.production.append(body(version=2), id="f")
    scene.wait(LATE)
    scene.sister.append(body(), id="e")
    scene.clock.now += 0.5
    scene.sister.append(body(version=2), id="f")
    report = scene.step()
    assert told(report) == {"match": 2, "+late": 1}
    (fault,) = scene.streams[0].faults()
    assert (fault.id, fault.lag) == ("f", 5.5)
    assert report.lag.max == 5.5
    assert 5.0 <= report.lag.p50 <= 5.5
    assert report.lag.p99 == 5.5


def test_doubled_in_each_stream():
    """A second entry is told as doubled, in either stream; in the sister not if production has had two as well."""
    scene = Scene()
    scene.both("one", body())
    scene.sister.append(body(), id="one")
    for _ in range(2):
        scene.production.append(body(version=2), id="two")
    for _ in range(2):
        scene.sister.append(body(version=2), id="two")
    assert told(scene.step()) == {"match": 2, "+doubled": 2}
    faults = scene.streams[0].faults()
    assert {(fault.id, fault.where) for fault in faults} == {("one", "sister"), ("two", "production")}
    scene.sister.append(body(version=2), id="two")
    assert told(scene.step()) == {"match": 2, "+doubled": 3}


def test_doubled_while_it_waits():
    """An event that is doubled before its partner has come is known as doubled too."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.production.append(body(), id="e")
    scene.sister.append(body(), id="x")
    scene.sister.append(body(), id="x")
    assert told(scene.step()) == {"+doubled": 2}
    report = scene.wait(GRACE)
    assert told(report) == {"missing": 1, "+doubled": 2, "+unexpected": 1}
    scene.production.append(body(), id="e")
    scene.sister.append(body(), id="x")
    assert told(scene.step())["+doubled"] == 4


@pytest.mark.parametrize(
    ("production", "sister", "wrong"),
    [
        ("1 2 3", "1 2 3", ""),
        ("1 2 3", "2 1 3", "1"),
        ("1 2 3", "3 1 2", "1 2"),
        ("1 2 3 4", "1 4 3 2", "3 2"),
        ("1 3 2", "1 2 3", ""),
        ("1 3 2", "1 3 2", ""),
        ("1 3 2", "3 1 2", "1"),
        ("3 1 2", "3 2 1", "1"),
        ("1 2 2.5", "2.5 1 2", "1 2"),
    ],
)
def test_out_of_order_by_versions(production, sister, wrong):
    """An event is out of order if it comes after a higher version that production has after it."""
    scene = Scene()
    for name in production.split():
        scene.production.append(body(version=float(name)), id=name)
    for name in sister.split():
        scene.sister.append(body(version=float(name)), id=name)
    scene.step()
    assert scene.faults() == [("out of order", name) for name in wrong.split()]
    assert told(scene.report()).get("match") == len(production.split())


def test_out_of_order_without_versions():
    """Where no versions are told, the order of production alone counts."""
    scene = Scene(sources={"version": None})
    for name in "abcd":
        scene.production.append(body(), id=name)
    for name in "acbd":
        scene.sister.append(body(), id=name)
    scene.step()
    assert scene.faults() == [("out of order", "b")]


def test_order_is_of_each_entity():
    """Events of different entities may come in any order, and those without an entity too."""
    scene = Scene(sources={"entity": lambda e: e["comment_id"] or None})
    for name in "abcd":
        scene.production.append(body(name), id=name)
    for name in "efg":
        scene.production.append(body(""), id=name)
    for name in "dcbagfe":
        scene.sister.append(body(name if name in "abcd" else ""), id=name)
    assert told(scene.step()) == {"match": 7}


def test_doubled_is_not_out_of_order():
    """The second entry of a doubled event is not out of order as well."""
    scene = Scene()
    for number in range(3):
        scene.production.append(body(version=number), id=str(number))
    for number in (0, 1, 0, 2, 1):
        scene.sister.append(body(version=number), id=str(number))
    scene.step()
    assert sorted(scene.faults()) == [("doubled", "0"), ("doubled", "1")]


def test_order_over_many_pages():
    """A straggler is out of order although many pages came in order since."""
    scene = Scene()
    for number in range(5000):
        scene.production.append(body(f"c{number % 7}", number), id=str(number))
    for number in [*range(3), *range(4, 4000), 3, *range(4000, 5000)]:
        scene.sister.append(body(f"c{number % 7}", number), id=str(number))
    scene.step()
    assert scene.faults() == [("out of order", "3")]


def test_undecodable_is_named():
    """What the codec cannot read is undecodable, with the codec's error, on whichever side it is."""
    scene = Scene()
    scene.production.append(body(), id="e")
    scene.sister.append(b"{", id="e")
    scene.production.append(b"[", id="f")
    scene.sister.append(body(), id="f")
    scene.sister.append(b"\xff", id="x")
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"undecodable": 2, "+undecodable": 1}
    faults = {fault.id: fault for fault in scene.streams[0].faults()}
    assert {name: fault.where for name, fault in faults.items()} == {"e": "sister", "f": "production", "x": "sister"}
    assert "JSON" in faults["e"].note
    assert report.matched == 2


def test_same_bytes_are_not_read():
    """Two events with the same bytes match, even if nobody can read them."""
    scene = Scene(sources={"entity": None, "version": None})
    scene.both("e", b"{")
    assert told(scene.step()) == {"match": 1}


class Failing:
    """A comparator, or codec, that fails for some values."""

    def encode(self, value):
        raise AssertionError

    def decode(self, data, flags):
        if b"down" in data:
            raise CodecUnavailable("its program died", reason="died")
        return Json().decode(data, flags)

    def __call__(self, *, control, candidate):
        raise RecursionError("too deep")


def test_broken_comparator():
    """A comparator that raises breaks the verdict of one event only, and the loop goes on."""
    scene = Scene(compare=Failing())
    scene.production.append(body(text=1), id="e")
    scene.sister.append(body(text=2), id="e")
    scene.both("f", body(version=2))
    assert told(scene.step()) == {"broken": 1, "match": 1}
    (fault,) = scene.streams[0].faults()
    assert fault.note == "RecursionError: too deep"


def test_codec_that_is_away():
    """Where the codec itself failed the verdict is broken, for it says nothing of the bytes."""
    scene = Scene(sources={"codec": Failing()})
    scene.production.append(body(text="down"), id="e")
    scene.sister.append(body(text="up"), id="e")
    assert told(scene.step()) == {"broken": 1}


def test_covered_events_only():
    """Events that the sister need not have are neither missing nor unexpected, nor counted as production's."""
    scene = Scene(covered=lambda event: event.entity == "c1")
    for number in range(4):
        scene.production.append(body(f"c{number % 2}", number), id=str(number))
    scene.sister.append(body("c1", 1), id="1")
    scene.sister.append(body("c0", 2), id="2")
    scene.production.append(body("c0", 2), id="2")
    scene.step()
    report = scene.wait(GRACE)
    assert told(report) == {"match": 1, "missing": 1}
    assert (report.production, report.uncovered) == (2, 2)


def test_covered_that_comes_early():
    """What the sister had of an event that turns out not to be covered is taken back."""
    scene = Scene(covered=lambda event: False)
    scene.sister.append(body(), id="a")
    scene.sister.append(body(), id="b")
    scene.wait(GRACE)
    scene.sister.append(body(), id="c")
    scene.step()
    for name in "abc":
        scene.production.append(body(), id=name)
    report = scene.wait(GRACE)
    assert told(report) == {}
    assert (report.uncovered, report.waiting) == (3, 0)


def test_covered_that_raises():
    """A function that cannot tell whether an event is covered breaks that event's verdict only."""
    scene = Scene(covered=lambda event: event.value["sampled"])
    scene.both("e", body())
    scene.production.append(body(), id="e")
    scene.both("f", body(sampled=True))
    scene.wait(GRACE)
    assert told(scene.report()) == {"broken": 1, "match": 1}
    assert scene.streams[0].faults()[0].note == "covered raised KeyError"


def test_match_by_version():
    """Events may be matched by entity and version, whatever their ids; what tells neither is broken."""
    scene = Scene(match="version")
    for number in range(3):
        scene.production.append(body(version=number), id=f"p{number}")
        scene.sister.append(body(version=number), id=f"s{number}")
    scene.production.append(b"{}", id="none")
    scene.production.append(b"{", id="bad")
    scene.sister.append(b"{}", id="nothing")
    scene.production.append(body(version=1), id="again")
    report = scene.step()
    assert told(report) == {"match": 3, "broken": 1, "undecodable": 1, "+broken": 1, "+doubled": 1}
    assert consistent(report)
    assert scene.wait(GRACE).open == 0


class Formless:
    """What has no form as text."""

    def __str__(self):
        raise ValueError

    __repr__ = __str__


@pytest.mark.parametrize("match", ["id", "version"])
def test_entities_and_versions_without_a_form(match):
    """An entity or a version that cannot be written down is none, and ends nothing."""
    for sources in ({"entity": lambda _: Formless()}, {"version": lambda _: Formless()}):
        scene = Scene(match=match, sources=sources)
        for name in "ab":
            scene.production.append(body(), id=name)
        for name in "ab":
            scene.sister.append(body(text=1), id=name)
        report = scene.step()
        assert told(report) == ({"different": 2} if match == "id" else {"broken": 2, "+broken": 2})


def test_errors_without_a_form():
    """An error that cannot be asked what it says is told by its kind."""

    class Mute(Formless, Exception):
        pass

    def fail(*, control, candidate):
        raise Mute

    scene = Scene(compare=fail)
    scene.production.append(body(text=1), id="e")
    scene.sister.append(body(text=2), id="e")
    scene.step()
    assert scene.streams[0].faults()[0].note == "Mute"


def test_events_as_values():
    """A stream without a codec holds values, which are compared and never taken as equal unseen."""
    scene = Scene(sources={"codec": None})
    scene.production.append({"comment_id": 1, "version": 1}, id="e")
    scene.sister.append({"comment_id": True, "version": 1}, id="e")
    assert told(scene.step()) == {"different": 1}


def test_too_many_wait():
    """If more events wait than there is room for, the oldest are lost sight of, by name."""
    scene = Scene(tuning={"open": 10})
    for number in range(25):
        scene.production.append(body(version=number), id=str(number))
    report = scene.step()
    assert (told(report), report.open) == ({"lost sight": 15}, 10)
    assert scene.streams[0].faults()[0].note == "too many events were waiting"
    scene.sister.append(body(version=9), id="9")
    assert told(scene.step()) == {"lost sight": 14, "match": 1}


def test_time_that_no_calendar_has():
    """An event from a time that no calendar has is told like any other."""
    scene = Scene()
    scene.production.append(body(), id="e", at=-1e300)
    scene.sister.append(body(text=1), id="e")
    scene.step()
    assert {fault.at.year for fault in scene.streams[0].faults()} == {1}


@st.composite
def histories(draw):
    """Draw two streams: events of few entities, and what a candidate may make of them."""
    count = draw(st.integers(1, 30))
    production, sister, at = [], [], 0.0
    versions = Counter()
    for number in range(count):
        at += draw(st.sampled_from((0.0, 0.5, 3.0, 20.0)))
        entity = draw(st.sampled_from("abc"))
        versions[entity] += 1
        data = body(entity, versions[entity])
        name = f"e{number}"
        production += [(at, name, data)] * draw(st.sampled_from((1, 1, 1, 1, 2)))
        fate = draw(st.sampled_from(("as is", "as is", "as is", "lost", "twice", "new id", "other", "broken")))
        delay = draw(st.sampled_from((0.0, 0.0, 0.1, 2.0, 7.0, 50.0)))
        if fate == "lost":
            continue
        name = f"x{number}" if fate == "new id" else name
        data = body(entity, versions[entity], text="") if fate == "other" else b"{" if fate == "broken" else data
        sister.append((at + delay, name, data))
        if fate == "twice":
            sister.append((at + delay + draw(st.sampled_from((0.0, 9.0))), name, data))
    return production, sorted(sister, key=lambda each: each[0])


def account(production, sister):
    """Work out plainly what is to be counted."""
    counts = Counter()
    ours, theirs = {}, {}
    for at, name, data in production:
        counts["+doubled"] += name in ours
        ours.setdefault(name, (at, data))
    left = Counter(name for _, name, _ in production)
    for number, (at, name, data) in enumerate(sister):
        if name in theirs:
            left[name] -= 1
            counts["+doubled"] += left[name] < 1
        theirs.setdefault(name, (number, at, data))
    highest = Counter()
    for name, (_, at, data) in sorted(theirs.items(), key=lambda item: item[1][0]):
        if name not in ours:
            counts["+undecodable" if data == b"{" else "+unexpected"] += 1
            continue
        begun, original = ours[name]
        counts["match" if data == original else "undecodable" if data == b"{" else "different"] += 1
        counts["+late"] += at - begun > LATE
        value = json.loads(original)
        counts["+out of order"] += value["version"] < highest[value["comment_id"]]
        highest[value["comment_id"]] = max(highest[value["comment_id"]], value["version"])
    counts["missing"] = len(ours.keys() - theirs.keys())
    return {name: count for name, count in counts.items() if count}


def pour(scene, start, rest):
    """Write what is to be written by now."""
    for stream, left in zip((scene.production, scene.sister), rest, strict=True):
        while left and start + left[0][0] <= scene.clock.now:
            at, name, data = left.pop(0)
            stream.append(data, id=name, at=start + at)


def change(scene, move, page):
    """Let time pass, or verifiers come and go; one is always left."""
    if move == "wait":
        scene.clock.now += 4
        scene.leases.now += 1
    elif move == "join" and len(scene.streams) < 3:
        scene.verifier(page=page)
    elif move == "kill":
        scene.kill(scene.streams[0])
    elif move == "leave":
        scene.streams[0].stop()
        del scene.streams[0]
    if not scene.streams:
        scene.verifier(page=page)


@given(
    history=histories(),
    moves=st.lists(st.sampled_from(("step", "step", "wait", "kill", "join", "leave")), max_size=40),
    page=st.sampled_from((1, 3, 1000)),
)
def test_random_streams_are_accounted_for(history, moves, page):
    """Whatever happens to events, and however verifiers come, go and die meanwhile, each is counted as it is, once."""
    production, sister = history
    scene = Scene()
    start, rest = scene.clock.now, [list(production), list(sister)]
    scene.verifier(page=page)
    for move in moves:
        change(scene, move, page)
        pour(scene, start, rest)
        scene.round()
        assert consistent(scene.report())
    scene.clock.now = start + 10_000
    pour(scene, start, rest)
    scene.step()
    scene.leases.now += 100
    scene.verifier()
    report = scene.step()
    wanted = account(production, sister)
    assert told(report) == wanted
    assert (report.open, report.waiting) == (0, 0)
    assert report.production == len({name for _, name, _ in production})
    assert report.sister == len(sister)
    found = Counter(verdict for verdict, _ in scene.faults())
    for name in ("different", "undecodable", "doubled", "out of order", "late"):
        assert found[name] == wanted.get(name, 0) + wanted.get(f"+{name}", 0)
