"""`Completeness` over a store and a stream in memory: options, rounds, what cannot be read, and what it says."""

import json
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shadowmig.errors import CodecUnavailable, ConfigError, StoreError, StoreUnavailable
from shadowmig.stores.memory import MemoryStore
from shadowmig.stores.sister import SisterStore
from shadowmig.stores.tables import Table
from shadowmig.wire.events.completeness import Completeness, CompletenessReport, FaultKind, _events, _rows, side_by_side
from shadowmig.wire.events.completeness._check import Check
from shadowmig.wire.events.completeness._events import whole
from shadowmig.wire.events.completeness._rows import key_of, name_of
from shadowmig.wire.events.memory import MemoryEvents

GRACE = 10.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


class Service:
    """A table with comments and the stream of their events, as a service would write both."""

    def __init__(self, **options):
        self.clock = Clock()
        self.store = MemoryStore(tables=[Table("comments", key="id", version="version")])
        self.client = self.store.client()
        self.events = MemoryEvents(clock=self.clock)
        self.ids = 0
        given = {
            "store": self.store,
            "events": self.events,
            "entity": lambda event: event["comment_id"],
            "version": lambda event: event["version"],
            "deleted": lambda event: event["type"] == "deleted",
            "grace": GRACE,
            "interval": 0.01,
            "clock": self.clock,
        }
        self.check = Completeness("comments", **(given | options))

    def send(self, comment_id, version, kind="updated", **more):
        self.ids += 1
        event = {"comment_id": comment_id, "version": version, "type": kind} | more
        self.events.append(event, id=str(self.ids))

    def create(self, comment_id, *, sent=True):
        self.client.insert("comments", {"id": comment_id, "version": 1})
        if sent:
            self.send(comment_id, 1, "created")

    def update(self, comment_id, *, sent=True, by=1):
        version = self.client.get_row("comments", comment_id)["version"] + by
        self.client.update("comments", comment_id, version=version)
        if sent:
            self.send(comment_id, version)

    def remove(self, comment_id, *, sent=True):
        version = self.client.get_row("comments", comment_id)["version"] + 1
        self.client.remove("comments", comment_id)
        if sent:
            self.send(comment_id, version, "deleted")

    def begin(self):
        """Take the base, and wait until nothing counts as early any more."""
        self.check.step()
        self.clock.now += GRACE + 1
        return self.check.step()

    def settle(self):
        for _ in range(14):
            self.clock.now += GRACE / 4
            report = self.check.step()
        return report

    def faults(self):
        return [(fault.kind, fault.entity, fault.version) for fault in self.check.faults()]


def test_the_counted_statement():
    """Changes and events are counted, from a base on, and the sentence says so."""
    service = Service()
    service.client.insert("comments", {"id": 1, "version": 5})
    assert str(service.check.report()) == "comments: nothing is known yet"
    assert not service.check.report().ok
    service.begin()
    service.create(2)
    service.update(1)
    service.remove(2)
    report = service.settle()
    assert report.ok
    assert (report.changes, report.events, report.missing, report.open) == (3, 3, 0, 0)
    assert str(report).startswith("comments: 3 changes, 3 events, 0 missing as of 20")
    assert report.base <= report.swept <= report.as_of <= datetime.now(UTC)


def test_each_fault_by_its_name():
    """A lost, a surplus and a second event, a skipped version and a deletion without event are told by name."""
    service = Service()
    for number in range(1, 8):
        service.client.insert("comments", {"id": number, "version": 5})
    service.begin()
    service.update(1, sent=False)
    service.update(2, by=2)
    service.send(3, 6)
    service.update(4)
    service.send(4, 6)
    service.remove(5, sent=False)
    service.send(6, 6, "deleted")
    service.update(7)
    report = service.settle()
    assert sorted(service.faults(), key=lambda fault: fault[1]) == [
        (FaultKind.MISSING, "1", 6),
        (FaultKind.SKIPPED, "2", 6),
        (FaultKind.EXTRA, "3", 6),
        (FaultKind.DOUBLED, "4", 6),
        (FaultKind.MISSING, "5", 6),
        (FaultKind.EXTRA, "6", 6),
    ]
    assert not report.ok
    assert "3 missing" in str(report)
    assert "2 without change; 1 doubled" in str(report)


def test_a_late_event_is_told_and_taken_back():
    """An event that comes after the grace is first missing, and then late."""
    service = Service()
    service.begin()
    service.create(1, sent=False)
    service.settle()
    assert [str(fault)[:34] for fault in service.check.faults()] == ["missing event: 1 at version 1, sin"]
    service.send(1, 1, "created")
    report = service.settle()
    assert service.check.faults() == ()
    assert (report.late, report.ok) == (1, True)
    (late,) = service.check.late()
    assert late.late > GRACE
    assert str(late).endswith("s later")


def test_a_restarted_check_has_no_false_alarm():
    """A check that begins in the middle of the traffic says nothing of what was on its way."""
    service = Service()
    service.create(1)
    service.update(1)
    service.create(2, sent=False)
    service.create(3)
    service.send(3, 2)
    service.create(4)
    service.remove(4, sent=False)
    service.check.step()
    service.send(2, 1, "created")
    service.send(4, 2, "deleted")
    service.update(3, sent=False)
    report = service.settle()
    assert report.ok
    assert (report.changes, report.earlier) == (1, 6)


def test_events_about_other_things():
    """Events of which ``entity`` gives None are passed over, and those that cannot be read are unexplained."""
    service = Service(entity=lambda event: event["comment_id"] if event["type"] != "user" else None)
    service.begin()
    service.send(1, 1, "user")
    service.send(1, "1")
    service.send(1, True)
    service.events.append("no event", id="x")
    report = service.settle()
    assert (report.unexplained, report.events, report.ok) == (3, 0, False)
    assert "3 unexplained" in str(report)


def test_what_the_source_takes_is_the_default():
    """Without ``entity`` and ``version``, what the source takes out of an event counts."""
    clock = Clock()
    events = MemoryEvents(clock=clock, entity=lambda event: event[0], version=lambda event: event[1])
    service = Service(entity=None, version=None, deleted=None, events=events, clock=clock)
    service.clock = clock
    service.begin()
    service.create(7, sent=False)
    events.append((7, 1), id="a")
    events.append((None, 1), id="b")
    assert service.settle().ok
    assert service.check.report().changes == 1


class Broken:
    """A codec whose program is down, and that reads everything else but one word."""

    down = False

    def encode(self, value):
        raise NotImplementedError

    def decode(self, data, flags):
        if self.down:
            raise CodecUnavailable("The program is gone.")
        return json.loads(data)


def test_a_codec_that_is_down():
    """While what decodes events is out of reach nothing is judged, and afterwards nothing was lost."""
    clock, codec = Clock(), Broken()
    events = MemoryEvents(clock=clock, codec=codec)
    service = Service(events=events, clock=clock)
    service.clock = clock
    service.begin()
    service.create(1, sent=False)
    events.append(b'{"comment_id": 1, "version": 1, "type": "created"}', id="a")
    events.append(b"no json", id="b")
    codec.down = True
    report = service.settle()
    assert "cannot be reached" in report.unavailable
    assert report.missing == 0
    codec.down = False
    report = service.settle()
    assert (report.changes, report.missing, report.unexplained, report.unavailable) == (1, 0, 1, "")


def test_an_outage_of_the_store():
    """While rows cannot be read nothing is judged, the report says so, and a base is taken once they can be."""
    service = Service()
    with service.store.space.outage():
        report = service.check.step()
        assert report.unavailable.startswith("base: ")
        assert "unavailable" in str(report)
    service.begin()
    service.send(1, 1, "created")
    with service.store.space.outage():
        report = service.settle()
        assert report.unavailable.startswith("rows: ")
        assert report.extra == 0
    service.create(1, sent=False)
    report = service.settle()
    assert report.ok
    assert report.changes == 1


class Failing:
    """A source that fails when it is told to."""

    def __init__(self, events):
        self._events = events
        self.down = False

    def __getattr__(self, name):
        if self.down:
            raise StoreUnavailable("It is down.")
        return getattr(self._events, name)

    def read(self, after, *, count=1000):
        return self.__getattr__("read")(after, count=count)

    def end(self):
        return self.__getattr__("end")()

    def find(self, entries):
        raise NotImplementedError

    def identity(self):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


def test_an_outage_of_the_stream():
    """While events cannot be read no change is missing one."""
    clock = Clock()
    events = MemoryEvents(clock=clock)
    source = Failing(events)
    service = Service(events=source, clock=clock)
    service.clock, service.events = clock, events
    service.begin()
    service.create(1)
    source.down = True
    report = service.settle()
    assert report.unavailable.startswith("events: ")
    assert (report.changes, report.missing) == (0, 0)
    source.down = False
    assert service.settle().ok


def test_events_that_were_removed_unread():
    """Events removed before they were read lead to a new base, and to no false alarm."""
    service = Service()
    service.begin()
    service.create(1)
    service.check.step()
    for number in range(2, 5):
        service.create(number)
    service.events.trim(1)
    report = service.check.step()
    assert "trimmed" in report.unavailable
    report = service.settle()
    assert (report.renewed, report.missing, report.unavailable) == (1, 0, "")
    assert "a new base 1 times" in str(report)
    service.clock.now += GRACE
    service.events.restart()
    service.settle()
    service.create(9)
    report = service.settle()
    assert (report.renewed, report.missing) == (2, 0)
    service.check.renew()
    assert service.settle().renewed == 3


def test_covered_rows_only():
    """Rows that ``where`` leaves out need no event."""
    service = Service(
        where=lambda row: row["kind"] == "public",
        entity=lambda event: event["comment_id"] if event.get("scope") == "public" else None,
    )
    service.begin()
    service.client.insert("comments", {"id": 1, "version": 1, "kind": "draft"})
    service.client.insert("comments", {"id": 2, "version": 1, "kind": "public"})
    service.send(1, 1, scope="draft")
    service.send(2, 1, scope="public")
    report = service.settle()
    assert report.ok
    assert report.changes == 1


def test_a_function_of_the_service_that_raises():
    """What ``where`` raises is said by the report, and ends nothing."""
    service = Service(where=lambda row: row["nothing"])
    service.client.insert("comments", {"id": 1, "version": 1})
    assert "where= raised KeyError" in service.check.step().unavailable


def test_rows_without_a_version():
    """Rows whose version is none are counted, and not judged."""
    service = Service()
    service.client.insert("comments", {"id": 1, "version": None})
    service.begin()
    service.send(1, 4)
    report = service.settle()
    assert (report.unversioned > 0, report.missing, report.extra) == (True, 0, 0)
    assert "rows without version" in str(report)


def test_events_that_mean_harm():
    """Keys and versions that no row can have end nothing: such events are unexplained, or without a change."""
    service = Service()
    service.begin()
    service.create(7)
    for key in ("--5", "07", "9" * 5000, "\ud800", "²"):
        service.send(key, 1)
    for version in (2**62, 10**5000, -(2**70), 1e300, float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")):
        service.send(7, version)
    service.send(7, 2**61, "deleted")
    report = service.settle()
    assert (report.changes, report.extra, report.missing, report.unexplained) == (1, 6, 0, 8)
    assert (report.open, report.unavailable) == (0, "")
    assert all(str(fault) for fault in service.check.faults())


def test_versions_are_whole_numbers():
    """A version is a number without a fraction, of any type, and less than 2**62."""
    assert [whole(value) for value in (3, 3.0, Decimal("3.00"), -2)] == [3, 3, 3, -2]
    assert [whole(value) for value in ("3", 3.5, True, None, Decimal("sNaN"), 2**62)] == [None] * 6


def test_keys_are_compared_as_text():
    """Keys are compared by their text, and of several columns by the texts in their order."""
    known = uuid.uuid4()
    assert name_of(7) == name_of("7") == name_of((7,)) == "7"
    assert name_of(known) == str(known)
    assert name_of(("a", 7)) == name_of(["a", "7"])
    assert name_of(("a", "b,c")) != name_of(("a,b", "c"))
    assert name_of(b"\x01\xff") == "\\x01ff"
    table = Table("votes", key=["user", "comment"])
    assert key_of(name_of(("a", 7)), table) == ["a", "7"]
    assert [key_of(name, table) for name in ("7", "[", '["a"]', '["a", 7]', "{}")] == [None] * 5
    assert key_of("[" * 100_000, table) is None
    assert key_of("\ud800", Table("comments", key="id")) is None


def test_keys_of_several_columns():
    """A key of several columns is given as a tuple or list, and one that cannot be a key is of no row."""
    table = Table("votes", key=["user", "comment"], version="version")
    store = MemoryStore(tables=[table])
    service = Service(store=store, table=table, entity=lambda event: event["comment_id"])
    service.store, service.client = store, store.client()
    service.begin()
    store.client().insert("votes", {"user": "a", "comment": 7, "version": 1})
    service.send(["a", "7"], 1)
    service.send("7", 1)
    report = service.settle()
    assert (report.changes, report.extra) == (1, 1)


def test_a_base_of_what_changes_from_now_on():
    """Without a scan the first change that is seen of a row is the first one required."""
    service = Service(baseline="now")
    service.client.insert("comments", {"id": 1, "version": 5})
    service.client.insert("comments", {"id": 2, "version": 5})
    service.begin()
    service.update(1)
    service.update(2, sent=False)
    service.settle()
    assert service.faults() == [(FaultKind.MISSING, "2", 6)]


def test_versions_that_are_times():
    """Versions that do not count changes are weak, and the report says so."""
    service = Service(step=None)
    service.begin()
    service.client.insert("comments", {"id": 1, "version": "10:00"})
    service.client.insert("comments", {"id": 2, "version": "10:00"})
    service.client.insert("comments", {"id": 3, "version": ["no", "key"]})
    service.send(1, "10:00")
    service.settle()
    assert service.faults() == [(FaultKind.MISSING, "2", "10:00")]
    assert service.check.report().weak
    assert "weak" in str(service.check.report())


def test_many_changes_between_two_looks(monkeypatch):
    """Changes are read in pages on both sides, however many there are."""
    monkeypatch.setattr(_rows, "_CHUNK", 10)
    monkeypatch.setattr(_rows, "_MOST", 50)
    monkeypatch.setattr("shadowmig.wire.events.completeness._check._PAGES", 2)
    monkeypatch.setattr("shadowmig.wire.events.completeness._check._CHUNK", 10)
    monkeypatch.setattr(_events, "_PAGE", 20)
    service = Service(sweep=5.0)
    service.begin()
    for number in range(250):
        service.create(number)
    report = service.settle()
    assert (report.changes, report.events, report.missing, report.open) == (250, 250, 0, 0)


def test_no_sweep_if_none_is_wanted():
    """Without a sweep a deletion without an event stays unknown, and the report has no time for it."""
    service = Service(sweep=0)
    service.create(1)
    service.begin()
    service.remove(1, sent=False)
    report = service.settle()
    assert report.ok
    assert report.swept is None


def test_the_thread_goes_on(monkeypatch):
    """A started check looks by itself, until it is stopped, and an error of ours does not end it."""
    service = Service(clock=time.monotonic, grace=0.05)
    looks = []
    real = Check.round

    def broken(check):
        looks.append(1)
        if len(looks) == 1:
            raise ValueError("ours")
        real(check)
        if len(looks) == 4:
            service.check._stop.set()

    monkeypatch.setattr(Check, "round", broken)
    with service.check:
        service.check.start()
        assert service.check._stop.wait(20)
    service.check.stop()
    assert len(looks) == 4
    assert service.check.report().as_of is not None
    assert "comments" in repr(service.check)


def test_finish_waits_for_the_grace():
    """Finishing ends when all up to its beginning is decided, or when its time is over."""
    service = Service(clock=time.monotonic, grace=0.05)
    service.check.step()
    service.create(1)
    report = service.check.finish()
    assert report.open == 0
    with service.store.space.outage():
        assert service.check.finish(timeout=0).unavailable


def test_finish_keeps_its_pace_after_a_stop(monkeypatch):
    """Looks of a check that was stopped have their interval between them while it is finished."""
    service = Service(clock=time.monotonic, grace=0.05)
    with service.check:
        pass
    ended = []
    real = Check.round
    monkeypatch.setattr(Check, "round", lambda check: (ended.append(service.check._stop.is_set()), real(check)))
    service.check.finish()
    assert len(ended) > 1
    assert not any(ended)


def test_a_sister_with_its_hydrated_rows():
    """The sister's check is told of hydrated rows, and requires the candidate's changes only."""
    service = Service()
    production = MemoryStore(tables=[Table("comments", key="id", version="version")])

    class Noted(SisterStore):
        def hydrate(self, records):
            for record in records:
                service.check.hydrated(record.ref.key, record.version)
            super().hydrate(records)

    both = Noted(production=production, sister=service.store)
    service.begin()
    production.client().insert("comments", {"id": 1, "version": 7})
    both.hydrate(both.read_production([both.row("comments", 1), both.row("comments", 2)]).records)
    service.update(1)
    assert service.settle().ok
    assert service.check.report().changes == 1
    service.update(1, sent=False)
    service.settle()
    assert service.faults() == [(FaultKind.MISSING, "1", 9)]


def test_two_sentences_side_by_side():
    """The sentences of both sides stand below each other, and a report is plain data as well."""
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    production = CompletenessReport("comments", matched=41_207, as_of=moment)
    sister = CompletenessReport("comments", matched=41_206, missing=1, as_of=moment, open=3)
    assert side_by_side(production=production, sister=sister) == (
        "production  comments: 41,207 changes, 41,207 events, 0 missing as of 2026-03-01 12:00:00 UTC\n"
        "sister      comments: 41,207 changes, 41,206 events, 1 missing as of 2026-03-01 12:00:00 UTC; 3 open"
    )
    told = json.loads(json.dumps(sister.to_json()))
    assert (told["missing"], told["changes"], told["ok"], told["as_of"]) == (1, 41_207, False, moment.isoformat())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("entity", "id"),
        ("where", 1),
        ("events", None),
        ("baseline", "all"),
        ("first", 1.5),
        ("step", 0),
        ("sweep", -1),
        ("sweep", True),
        ("recent", ""),
        ("recent", "updated_at"),
        ("table", "other"),
        ("table", Table("comments", key="id")),
        ("table", Table("comments", key="id", version="version", fold=list)),
        ("grace", 0),
        ("interval", -1),
        ("store", 5),
    ],
)
def test_wrong_options_of_a_check(field, value):
    """An option that is wrong is refused by its name when the check is built."""
    store = MemoryStore(tables=[Table("comments", key="id", version="version")])
    given = {"name": "comments", "store": store, "events": MemoryEvents(entity=len, version=len)} | {field: value}
    with pytest.raises(ConfigError) as caught:
        Completeness(given.pop("name"), **given)
    assert caught.value.field == field


@pytest.mark.parametrize("field", ["entity", "version"])
def test_events_that_tell_nothing(field):
    """What nobody takes out of events is asked for when the check is built, or every change would seem without one."""
    store = MemoryStore(tables=[Table("comments", key="id", version="version")])
    given = {"entity": len, "version": len} | {field: None}
    with pytest.raises(ConfigError) as caught:
        Completeness("comments", store=store, events=MemoryEvents(), **given)
    assert caught.value.field == field
    Completeness("comments", store=store, events=MemoryEvents(**given), **{field: len}).stop()


class Plain:
    """A store that only tells what a `MemoryStore` tells, with a flaw."""

    def __init__(self, store, flaw):
        self._store = store
        self._flaw = flaw
        self.tables = {"comments": Table("comments", key="id", version="version")}

    def __repr__(self):
        return "<Plain>"

    def read(self, refs, *, since=None, timeout=None):
        reading = self._store.read(refs, since=since, timeout=timeout)
        if self._flaw == "no mark":
            return type(reading)(reading.records)
        if self._flaw == "stuck" and since is not None:
            return type(reading)(reading.records, reading.mark, reading.changed[:1] * 1000)
        return reading


@pytest.mark.parametrize(
    ("flaw", "baseline", "says"),
    [
        ("no mark", "now", "cannot tell what changed"),
        ("", "scan", "cannot list its rows"),
        ("stuck", "now", "too many changes at once"),
        ("", "now", ""),
    ],
)
def test_a_store_of_another_kind(flaw, baseline, says):
    """A store that tells what changed can be checked without a scan; what it cannot do is said."""
    store = MemoryStore(tables=[Table("comments", key="id", version="version")])
    service = Service(store=Plain(store, flaw), baseline=baseline)
    service.client = store.client()
    service.begin()
    service.create(1)
    report = service.settle()
    if says:
        assert says in report.unavailable
    else:
        assert report.ok


def test_a_page_of_a_store_that_is_full(monkeypatch):
    """When a reading is full, the next one begins at its last change."""
    monkeypatch.setattr(_rows, "_MOST", 3)
    store = MemoryStore(tables=[Table("comments", key="id", version="version")])
    real = store._changed
    monkeypatch.setattr(store, "_changed", lambda since: real(since)[:3])
    service = Service(store=store)
    service.client = store.client()
    for number in range(4):
        service.client.insert("comments", {"id": number, "version": 3})
    service.begin()
    for number in range(4, 13):
        service.create(number)
    report = service.settle()
    assert (report.ok, report.changes) == (True, 9)


def test_an_error_of_the_store_is_said():
    """What a store refuses is said by the report, and is no reason to take a new base."""
    service = Service()
    service.begin()

    def refuse(*_, **__):
        raise StoreError("No such table.")

    service.check._check.rows.changed = refuse
    report = service.check.step()
    assert (report.unavailable, report.renewed) == ("rows: No such table.", 0)
