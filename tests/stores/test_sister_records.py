"""Records read from both stores, brought from production to the sister, and removed again."""

import asyncio
import json
import threading
import time

import pytest
from attrs import evolve
from sister_support import FakeAsyncStore, FakeStore, Place, pair

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Reading, Record, Ref, Undecodable
from shadowmig.stores import Translation, _sister_ledger
from shadowmig.stores._sister_ledger import Ledger

KEEP = 3600.0


def values(db):
    """Say what the sister holds, by key."""
    return {record.ref.key[0]: record.value for record in db.sister.place.records.values()}


def hydrated(keys, **options):
    """Make a pair with records hydrated, and give it with a time at which they are due."""
    db = pair(**options)
    db.hydrate([Record(db.key(key), key) for key in keys])
    # What is used by the test itself is due by then, too. Whole seconds, so that sums and differences are exact.
    return db, round(time.monotonic()) + KEEP + 60


def test_read_both():
    """Records come back with the refs that were asked for, and changes with the name of the pair."""
    db = pair()
    ref = db.entry("events", "e", stands_for={db.key("k"): len})
    for store, value in ((db.production, "old"), (db.sister, "new")):
        store.place.put(Ref("", "entry", "events", ("e",)), value)
        store.place.changed = (Ref("", "entry", "events", ("e",)), Ref("", "key", "", ("other",)))
    for read, value in ((db.read_production, "old"), (db.read_sister, "new")):
        reading = read([ref, db.key("none")], since="mark", timeout=3)
        assert [record.value for record in reading.records if record.exists] == [value]
        assert reading.records[0].ref is ref
        assert reading.mark == ("mark", 3)
        assert [change.ref for change in reading.changed] == [ref, db.key("other")]
        assert [change.at for change in reading.changed] == [1, 1]
    assert db.read_production([]).records == ()


@pytest.mark.parametrize("kind", [FakeStore, FakeAsyncStore])
def test_aread_production(kind):
    """Production is read on an event loop by a store that can, and in a thread otherwise."""
    db = pair(production=kind(Place()))
    db.production.place.put(db.key("k"), 1)
    reading = asyncio.run(db.aread_production([db.key("k")], since="mark", timeout=3))
    assert reading == db.read_production([db.key("k")], since="mark", timeout=3)
    assert ("aread" in db.production.place.calls) == (kind is FakeAsyncStore)


def test_answer_of_wrong_length():
    """A store that gives another number of records than refs is named."""

    class Short(FakeStore):
        def read(self, refs, *, since=None, timeout=None):
            return Reading(())

    db = pair(production=Short(Place()), sister=Short(Place()))
    for read in (db.read_production, db.read_sister):
        with pytest.raises(StoreError, match="gave 0 records for 1 refs"):
            read([db.key("k")])


def test_hydrate_and_write():
    """Hydrated records are in the sister as they were in production, and those that are not there are removed."""
    db = pair()
    refs = [db.key("here"), db.key("gone")]
    db.production.place.put(refs[0], {"a": 1}, version=3, meta={"ttl": 9})
    db.sister.place.put(refs[1], "left over")
    db.hydrate(db.read_production(refs).records)
    (record, gone) = db.read_sister(refs).records
    assert (record.value, record.version, record.meta) == ({"a": 1}, 3, {"ttl": 9})
    assert not gone.exists
    db.write([Record(refs[1], 2)])
    assert values(db) == {"here": {"a": 1}, "gone": 2}


def test_nothing_to_write():
    """Without records neither server is asked for anything."""
    db = pair()
    db.hydrate([])
    db.write([])
    assert db.expire() == 0
    assert db.sister.place.calls == db.production.place.calls == []


def test_expire_what_was_seen():
    """A hydrated record goes when it was not used for its time, is as it was last seen, and not before."""
    db, due = hydrated("ab")
    db.write([Record(db.key("stays"), 1)])
    db.read_sister([db.key("a"), db.key("b"), db.key("stays")])
    calls = len(db.sister.place.calls)
    assert db.expire() == 0
    assert len(db.sister.place.calls) == calls
    assert db.expire(now=due) == 2
    assert values(db) == {"stays": 1}
    assert db.expire(now=due * 9) == 0


def test_expire_what_was_never_seen():
    """A record whose token is not known is looked at first, and goes if it is the same after its time once more."""
    db, due = hydrated("a")
    assert db.expire(now=due) == 0
    assert db.expire(now=due + KEEP - 1) == 0
    assert db.expire(now=due + KEEP) == 1
    assert values(db) == {}


def test_expire_without_tokens():
    """A store that has no tokens loses what was not used."""
    db, due = hydrated("a", sister=FakeStore(Place(), tokens=False))
    assert db.expire(now=due) == 1


def test_expire_by_bytes():
    """Where there are no tokens, other bytes show that somebody wrote."""
    db, due = hydrated("ab", sister=FakeStore(Place(), tokens=False))
    for key in "ab":
        db.sister.place.put(db.key(key), key, raw=key.encode())
    db.read_sister([db.key("a"), db.key("b")])
    db.sister.place.put(db.key("b"), "new", raw=b"new")
    assert db.expire(now=due) == 1
    assert values(db) == {"b": "new"}
    assert db.expire(now=due + KEEP) == 1


def test_expire_spares_what_was_written():
    """A record that somebody else wrote stays until nobody has written it for its time."""
    db, due = hydrated("a")
    db.read_sister([db.key("a")])
    db.sister.place.put(db.key("a"), "another process's")
    assert db.expire(now=due) == 0
    db.sister.place.put(db.key("a"), "and again")
    assert db.expire(now=due + KEEP) == 0
    assert db.expire(now=due + 2 * KEEP) == 1


def test_expire_what_is_gone():
    """A record that is gone already is forgotten."""
    db, due = hydrated("a")
    db.sister.place.records.clear()
    assert db.expire(now=due) == 0
    calls = len(db.sister.place.calls)
    assert db.expire(now=due * 9) == 0
    assert len(db.sister.place.calls) == calls


def test_used_stays(monkeypatch):
    """A use keeps a record for its time from then on, and hydrating it is a use."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    db = pair(keep=10, sister=FakeStore(Place(), tokens=False))
    db.hydrate([Record(db.key(key), key) for key in "abc"])
    now[0] += 9
    db.used([db.key("a"), db.key("never hydrated")])
    db.hydrate([Record(db.key("b"), "new")])
    now[0] += 1
    assert db.expire() == 1
    assert values(db) == {"a": "a", "b": "new"}
    now[0] += 9
    assert db.expire() == 2


def test_read_is_a_use(monkeypatch):
    """A record that is read in the sister stays for its time from then on."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    db = pair(keep=10)
    db.hydrate([Record(db.key(key), key) for key in "ab"])
    now[0] += 9
    db.read_sister([db.key("a")])
    now[0] += 1
    db.expire()
    now[0] += 9
    assert db.expire() == 1
    assert values(db) == {"b": "b"}


def test_kept_for_ever():
    """Without an end to its time, nothing that was hydrated is removed."""
    db, due = hydrated("ab", keep=None)
    db.read_sister([db.key("a")])
    assert db.expire(now=due * 9) == 0
    assert values(db) == {"a": "a", "b": "b"}


def test_expire_in_batches():
    """At most 500 records are read and removed at a time."""
    db, due = hydrated(range(1200), sister=FakeStore(Place(), tokens=False))
    db.sister.place.calls.clear()
    assert db.expire(now=due) == 1200
    assert db.sister.place.calls == [
        *(("read", 500), ("delete", 500), ("read", 500), ("delete", 500), ("read", 200), ("delete", 200))
    ]


def test_expire_around_what_is_stuck():
    """A record that the store does not let go keeps no other one, and is tried again after its time."""
    db, due = hydrated(range(9), sister=FakeStore(Place(), tokens=False))
    db.sister.place.stuck = {3, 7}
    assert db.expire(now=due) == 7
    assert set(values(db)) == {3, 7}
    assert db.expire(now=due + 1) == 0
    db.sister.place.stuck = {7}
    assert db.expire(now=due + KEEP) == 1


def test_expire_while_down():
    """What could not be removed because the sister was down is tried again after its time."""
    db, due = hydrated("a", sister=FakeStore(Place(), tokens=False))
    db.sister.place.down = True
    with pytest.raises(StoreUnavailable):
        db.expire(now=due)
    assert db.isolated is None
    db.sister.place.down = False
    assert db.expire(now=due + 1) == 0
    assert db.expire(now=due + KEEP) == 1


def test_expire_passes_outage_while_deleting_on():
    """An outage in the middle of a removal is not taken for a refusal."""

    class Failing(FakeStore):
        def delete(self, refs):
            super().delete([])
            raise StoreUnavailable("Gone.")

    db, due = hydrated("ab", sister=Failing(Place(), tokens=False))
    with pytest.raises(StoreUnavailable):
        db.expire(now=due)
    assert db.sister.place.calls.count(("delete", 0)) == 1


def test_ledger_is_bounded(monkeypatch):
    """Above the bound the oldest leave early, and above twice the bound they are not remembered."""
    monkeypatch.setattr(_sister_ledger, "_MOST", 10)
    db, _ = hydrated(range(15), sister=FakeStore(Place(), tokens=False))
    assert db.expire(now=0) == 5
    assert list(values(db)) == list(range(5, 15))
    assert db.expire(now=0) == 0
    db.hydrate([Record(db.key(key), key) for key in range(100, 120)])
    assert len(values(db)) == 30
    assert db.expire(now=0) == 10
    assert set(values(db)) == {*range(5, 15), *range(110, 120)}


def test_early_leavers_are_looked_at_once(monkeypatch):
    """What should leave early but cannot ends the call, however often it is tried."""
    monkeypatch.setattr(_sister_ledger, "_MOST", 1)
    monkeypatch.setattr(_sister_ledger, "_BATCH", 2)
    db, _ = hydrated(range(4))
    db._state().ledger.enter({db.key(key): db.key(key) for key in range(2)}, now=0)
    assert db.expire(now=0) == 0


def test_reset():
    """A reset empties the sister and forgets what was hydrated."""
    db, due = hydrated("a")
    db.reset()
    assert values(db) == {}
    db.write([Record(db.key("a"), 1)])
    assert db.expire(now=due * 9) == 0
    assert values(db) == {"a": 1}


def test_hydrate_waits_for_removal():
    """A record that is hydrated while it is being removed is there afterwards, and one that is read is gone."""
    removing, let_go = threading.Event(), threading.Event()

    class Slow(FakeStore):
        def delete(self, refs):
            removing.set()
            assert let_go.wait(10)
            super().delete(refs)

    db, due = hydrated("ab", sister=Slow(Place(), tokens=False))
    expiring = threading.Thread(target=db.expire, args=(due,))
    expiring.start()
    assert removing.wait(10)
    read = []
    waiting = [
        threading.Thread(target=db.hydrate, args=([Record(db.key("a"), "new")],)),
        threading.Thread(target=lambda: read.append(db.read_sister([db.key("b")]).records[0].exists)),
    ]
    for thread in waiting:
        thread.start()
    db.write([Record(db.key("other"), 1)])
    assert read == []
    let_go.set()
    for thread in (expiring, *waiting):
        thread.join()
    assert values(db) == {"a": "new", "other": 1}
    assert read == [False]


def test_ledger_of_strangers():
    """Tokens and uses of records that were never hydrated are passed over."""
    ledger = Ledger()
    ref = Ref("db", "key", "", ("k",))
    ledger.seen([ref], [Record(ref, 1, token=1)])
    ledger.used([ref], now=1)
    ledger.enter({evolve(ref, key=("other",)): ref}, now=1)
    ledger.seen([ref], [Record(ref, 1, token=1)])
    assert not ledger.due(keep=1, now=1.5)


def upper(record):
    """Say it louder."""
    return evolve(record, value=record.value.upper())


def test_translation_of_refs_and_values():
    """Production's JSON under a key is a row of the sister, and both are compared in a form of their own."""
    db = pair(
        translation=Translation(
            ref=lambda ref: evolve(ref, kind="row", space="comments", key=(int(ref.key[0].partition(":")[2]),)),
            back=lambda ref: evolve(ref, kind="key", space="", key=(f"comment:{ref.key[0]}",)),
            hydrate=lambda record: evolve(record, value={"doc": json.loads(record.value)}, meta={}),
            production=lambda record: evolve(record, value=json.loads(record.value), meta={"of": "production"}),
            sister=lambda record: evolve(record, value=record.value["doc"], version=record.value["doc"]["v"]),
        )
    )
    refs = [db.key("comment:7"), db.key("comment:8")]
    db.production.place.put(refs[0], '{"v": 1}', meta={"flags": 2})
    db.production.place.put(refs[1], '{"v": 2}')
    before = db.read_production(refs).records
    assert [record.value for record in before] == [{"v": 1}, {"v": 2}]
    assert [record.ref for record in before] == refs
    db.hydrate(before)
    assert set(db.sister.place.records) == {("row", "comments", (7,)), ("row", "comments", (8,))}
    db.sister.place.changed = tuple(Ref("", "row", "comments", (number,)) for number in (7, 9))
    reading = db.read_sister(refs, since=1)
    assert [(record.ref, record.value, record.version) for record in reading.records] == [
        (refs[0], {"v": 1}, 1),
        (refs[1], {"v": 2}, 2),
    ]
    assert [change.ref for change in reading.changed] == [refs[0], db.key("comment:9")]
    due = time.monotonic() + KEEP
    assert db.expire(now=due) == 2
    assert db.sister.place.records == {}


def test_translation_without_back():
    """Without a way back, of the changes in the sister only those of records that were asked for are told."""
    db = pair(translation=Translation(ref=lambda ref: evolve(ref, space="new")))
    db.sister.place.changed = (Ref("", "row", "new", (1,)), Ref("", "row", "new", (2,)))
    reading = db.read_sister([db.row("old", 1)], since=1)
    assert [change.ref for change in reading.changed] == [db.row("old", 1)]


def test_translation_passes_over_what_has_no_value():
    """The functions of records see neither records that are not there nor bytes that cannot be read."""
    db = pair(translation=Translation(hydrate=upper, production=upper, sister=upper))
    refs = [db.key("none"), db.key("torn")]
    db.production.place.put(refs[1], Undecodable("ValueError", 3), raw=b"\xff")
    records = db.read_production(refs).records
    db.hydrate(records)
    assert [record.value for record in db.read_sister(refs).records] == [record.value for record in records]


@pytest.mark.parametrize("part", ["ref", "hydrate", "production", "sister", "back"])
@pytest.mark.parametrize("wrong", [lambda given: 1 / 0, lambda given: "s3cret"])
def test_translation_fails(part, wrong):
    """A function that raises or returns something else is named, with its kind of record and without values."""
    db = pair(translation=Translation(**{part: wrong}))
    ref = db.row("comments", "s3cret")
    for store in (db.production, db.sister):
        store.place.put(ref, "s3cret")
    db.sister.place.changed = (Ref("", "row", "other", (1,)),)

    def both_ways():
        db.hydrate(db.read_production([ref]).records)
        db.read_sister([ref], since=1)

    with pytest.raises(StoreError, match=f"^{part} (raised|returned)") as caught:
        both_ways()
    assert "s3cret" not in str(caught.value)
    assert "a row of " in str(caught.value)
