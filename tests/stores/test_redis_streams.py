"""Entries of streams: found by the event's own id, each fetched once, none lost and none counted twice."""

import threading
import time

import pytest
import redis as driver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_support import Json, Proxy, entry, key, one

from shadowmig.errors import StoreError
from shadowmig.model import MISSING, Record, Undecodable
from shadowmig.stores import RedisStore, Stream
from shadowmig.stores import _redis_tail as tail


@pytest.fixture
def client(redis_url):
    with driver.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def store(redis_url):
    made = RedisStore(redis_url, streams=[Stream("events", id="id"), Stream("plain")], timeout=20.0)
    yield made
    made.close()


@pytest.fixture
def other(redis_url):
    made = RedisStore(redis_url, streams=[Stream("events", id="id")], timeout=20.0)
    yield made
    made.close()


def add(client, event, body=b"x", **options):
    """Add an event, and return its entry id as text."""
    return client.xadd("events", {"id": event, "body": body}, **options).decode()


def together(threads):
    """Wait for all of them."""
    for thread in threads:
        thread.join()


def changes(reading):
    """Give what changed, as stream, event and count."""
    return [(change.ref.space, change.ref.key[0], change.count) for change in reading.changed]


def test_event(store, client):
    """An event is found by its own id, with its fields as they are and its entry id as its token."""
    first, second = add(client, "a"), add(client, "b", b"\xff\0")
    assert one(store, entry("events", "b")) == Record(
        entry("events", "b"),
        {b"id": b"b", b"body": b"\xff\0"},
        token=second,
        meta={
            "count": 1,
            "entry_ids": [second],
            "order": tuple(map(int, second.split("-"))),
            "fields": ((b"id", b"b"), (b"body", b"\xff\0")),
        },
    )
    assert one(store, entry("events", b"a")).token == first
    assert one(store, entry("events", "c")) == Record(entry("events", "c"))


def test_numbers_as_ids(store, client):
    """An id that is a number in the result of a call finds the event that has it as text."""
    add(client, 17)
    assert one(store, entry("events", 17)).exists


def test_doubled(store, client):
    """An event that is there twice is the first of them, and says so."""
    ids = [add(client, "a", b"first"), add(client, "b"), add(client, "a", b"second")]
    record = one(store, entry("events", "a"))
    assert record.value[b"body"] == b"first"
    assert (record.meta["count"], record.meta["entry_ids"]) == (2, [ids[0], ids[2]])


def test_out_of_order(store, client):
    """The order of events in the stream can be told from their records."""
    for event in "cab":
        add(client, event)
    records = store.read([entry("events", event) for event in "abc"]).records
    assert [record.ref.key[0] for record in sorted(records, key=lambda record: record.meta["order"])] == list("cab")


def test_payload(redis_url, client):
    """With a payload the event is its decoded value, and its id may be inside; the version comes from it."""
    streams = [Stream("events", id="id", payload="data", codec=Json(), version=lambda value: value["v"])]
    store = RedisStore(redis_url, streams=streams)
    client.xadd("events", {"data": '{"id": 7, "v": 3}', "kind": "x"})
    client.xadd("events", {"id": 8, "data": '{"v": [1]}'})
    broken = client.xadd("events", {"data": "{"}).decode()
    empty = client.xadd("events", {"other": "1"}).decode()
    seven, eight, torn, bare = store.read([entry("events", event) for event in (7, 8, broken, empty)]).records
    assert (seven.value, seven.version, seven.raw) == ({"id": 7, "v": 3}, 3, b'{"id": 7, "v": 3}')
    assert (eight.value, eight.version) == ({"v": [1]}, [1])
    assert isinstance(torn.value, Undecodable)
    assert (torn.raw, torn.version) == (b"{", None)
    assert (bare.value.reason, bare.raw) == ("KeyError: 'data'", None)
    store.close()


def test_codec_of_fields(redis_url, client):
    """Without a payload the stream's codec decodes each field, and names are text."""
    store = RedisStore(redis_url, streams=[Stream("events", id="id", codec=Json())])
    client.xadd("events", {"id": "1", "tags": "[1]"})
    assert one(store, entry("events", 1)).value == {"id": 1, "tags": [1]}
    store.close()


def test_entry_ids(store, client):
    """An entry of a stream without event ids, declared or not, is found by its entry id, in full or by its time."""
    for stream in ("plain", "undeclared"):
        client.xadd(stream, {"a": 1}, id="5-0")
        client.xadd(stream, {"a": 2}, id="5-1")
        refs = [entry(stream, id_) for id_ in ("5-1", "5", b"5-0", "6-0", "nonsense", "-", "+", f"{2**64}-0")]
        values = [record.value for record in store.read(refs).records]
        assert values == [{b"a": b"2"}, {b"a": b"1"}, {b"a": b"1"}, *[MISSING] * 5]


def test_changed(store, client):
    """A reading tells the events added after a mark, in all streams, and nothing when there are none."""
    add(client, "before")
    mark = store.read([]).mark
    assert store.read([], since=mark).changed == ()
    add(client, "a")
    native = client.xadd("plain", {"x": 1}).decode()
    add(client, "before")
    reading = store.read([], since=mark)
    assert sorted(changes(reading)) == [("events", "a", 1), ("events", "before", 2), ("plain", native, 1)]
    assert all(mark <= change.at < reading.mark for change in reading.changed)
    assert store.read([], since=reading.mark).changed == ()
    assert store.read([entry("events", "a")], since="no mark").changed == ()


def test_changed_is_bounded(store, client):
    """Of very many events the first thousand are told."""
    mark = store.read([]).mark
    with client.pipeline() as pipe:
        for number in range(1200):
            pipe.xadd("events", {"id": number})
        pipe.execute()
    assert [change.ref.key[0] for change in store.read([], since=mark).changed] == [str(n) for n in range(1000)]


def test_changed_and_replaced(store, other, client):
    """An event whose entry another handle has replaced is told once, and one that is there twice is told twice."""
    mark = store.read([]).mark
    add(client, "a", "wrong")
    add(client, "b")
    assert len(store.read([], since=mark).changed) == 2
    other.write([Record(entry("events", "a"), {"id": "a", "body": "right"})])
    add(client, "b")
    assert changes(store.read([], since=mark)) == [("events", "a", 1), ("events", "b", 2)]


def test_changed_without_an_id(store, client):
    """An entry without the field that holds the id is told by its entry id."""
    mark = store.read([]).mark
    bare = client.xadd("events", {"x": 1}).decode()
    assert changes(store.read([], since=mark)) == [("events", bare, 1)]
    assert one(store, entry("events", bare)).value == {b"x": b"1"}


def test_fetched_once(store, client):
    """Entries that were seen are not asked for again."""
    with client.pipeline() as pipe:
        for number in range(2500):
            pipe.xadd("events", {"id": number})
        pipe.execute()
    records = store.read([entry("events", number) for number in (0, 999, 1000, 1001, 2499)]).records
    assert [record.meta["count"] for record in records] == [1] * 5
    received = []
    run = store._process().reading.exchange
    store._process().reading.exchange = lambda commands, end: received.append(run(commands, end)) or received[-1]
    store.read([])
    (replies,) = received
    assert [len(reply) for reply in replies if isinstance(reply, list)] in ([1, 0], [0, 1])


def test_one_round_trip_for_streams(redis, redis_url, client):
    """With a stream declared a reading still takes one round trip, whatever was added and whatever was deleted."""
    with Proxy(redis.host, redis.port) as proxy:
        proxy.patient = True
        store = RedisStore(proxy.url, streams=[Stream("events", id="id"), Stream("plain")])
        add(client, 0)
        store.read([])
        for number in range(3):
            last = add(client, number)
            before = proxy.trips
            store.read([key("a"), entry("events", number), entry("plain", "1-1"), entry("undeclared", "1-1")])
            assert proxy.trips == before + 1
        client.xdel("events", last)
        store.read([])
        before = proxy.trips
        store.read([])
        assert proxy.trips == before + 1
        store.close()


def test_first_reading(redis_url, client):
    """The first reading goes back as far as it is told, over as many pages as that takes, at least one page."""
    now = int(time.time() * 1000)
    with client.pipeline() as pipe:
        for number in range(3500):
            pipe.xadd("events", {"id": number}, id=f"{now - 3_500_000 + number * 1000}-0")
        pipe.execute()
    found = {}
    for lookback in (0, 1500, 10_000):
        store = RedisStore(redis_url, streams=[Stream("events", id="id", lookback=lookback)], timeout=10)
        found[lookback] = sum(record.exists for record in store.read([entry("events", n) for n in range(3500)]).records)
        store.close()
    assert found == {0: 1001, 1500: 2001, 10_000: 3500}


def test_hand_made_ids(store, client):
    """A stream whose entry ids are no times works alike."""
    for number in range(1, 5):
        add(client, f"e{number}", id=f"{number}-1")
    assert [record.token for record in store.read([entry("events", f"e{n}") for n in range(1, 5)]).records] == [
        "1-1",
        "2-1",
        "3-1",
        "4-1",
    ]
    add(client, "e5", id="5-1")
    assert one(store, entry("events", "e5")).token == "5-1"


def test_bounded(redis_url, client, monkeypatch):
    """No more entries are remembered than were asked for, and none that are too many bytes or too old."""
    store = RedisStore(redis_url, streams=[Stream("events", id="id", keep=10)])
    store.read([])
    for number in range(30):
        add(client, number % 15)
    records = store.read([entry("events", number) for number in range(15)]).records
    assert [record.meta.get("count", 0) for record in records] == [0] * 5 + [1] * 10
    monkeypatch.setattr(tail, "BYTES", 20)
    add(client, "new")
    assert sum(record.exists for record in store.read([entry("events", n) for n in [*range(15), "new"]]).records) == 2
    monkeypatch.setattr(tail, "AGE", -1)
    store.read([])
    assert not one(store, entry("events", "new")).exists
    store.close()


def test_trimmed(store, client):
    """An event that was seen and then cut off by the stream's limit is missing, and known to have been there."""
    ids = [add(client, "a"), add(client, "a"), add(client, "b")]
    assert one(store, entry("events", "a")).exists
    client.xtrim("events", maxlen=1, approximate=False)
    assert one(store, entry("events", "a")) == Record(entry("events", "a"), meta={"gone": ids[:2]})
    assert one(store, entry("events", "b")).exists
    client.xtrim("events", maxlen=0, approximate=False)
    assert one(store, entry("events", "b")).value is MISSING
    mark = store.read([]).mark
    add(client, "c")
    assert changes(store.read([], since=mark)) == [("events", "c", 1)]


def test_deleted_by_others(store, other, client):
    """An event that another handle deleted is missing, and one of two is counted once."""
    for event in ("a", "b", "b"):
        add(client, event)
    assert store.read([entry("events", "b")]).records[0].meta["count"] == 2
    other.delete([entry("events", "a"), entry("events", "never there")])
    client.xdel("events", one(store, entry("events", "b")).token)
    gone, left = store.read([entry("events", "a"), entry("events", "b")]).records
    assert (gone.exists, left.meta["count"]) == (False, 1)


@pytest.mark.parametrize("emptied", ["delete", "flushdb"])
def test_recreated(store, client, emptied):
    """A stream that was removed and made anew, with lower ids, is followed from its beginning."""
    mark = store.read([]).mark
    add(client, "old", id="100-0")
    assert one(store, entry("events", "old")).exists
    client.delete("events") if emptied == "delete" else client.flushdb()
    assert one(store, entry("events", "old")).value is MISSING
    add(client, "new", id="1-0")
    reading = store.read([entry("events", "old"), entry("events", "new")], since=mark)
    assert [record.exists for record in reading.records] == [False, True]
    assert changes(reading) == [("events", "new", 1)]
    add(client, "newer", id="2-0")
    client.delete("events")
    add(client, "last", id="1-5")
    assert [record.exists for record in store.read([entry("events", e) for e in ("new", "last")]).records] == [
        False,
        True,
    ]


def test_reset_is_seen(store, client):
    """After a reset by this store its streams are empty, and what comes then is new."""
    add(client, "a")
    mark = store.read([]).mark
    store.reset()
    assert one(store, entry("events", "a")).value is MISSING
    add(client, "b")
    assert changes(store.read([], since=mark)) == [("events", "b", 1)]


def test_far_behind(store, client, monkeypatch):
    """A store that fell far behind takes several pages, and past a limit goes to the end at once."""
    monkeypatch.setattr(tail, "PAGE", 10)
    monkeypatch.setattr(tail, "PAGES", 3)
    first = add(client, "first")
    store.read([])
    for number in range(25):
        add(client, number)
    mark = store.read([]).mark
    assert all(record.exists for record in store.read([entry("events", number) for number in range(25)]).records)
    now = int(first.split("-")[0]) + 1_000_000
    for number in range(25, 125):
        add(client, number, id=f"{now + number * 60_000}-0")
    reading = store.read([entry("events", number) for number in (25, 124)], since=mark)
    assert reading.records[1].exists
    assert changes(reading)[-1] == ("events", "124", 1)
    assert store.read([], since=reading.mark).changed == ()


def test_wrong_type(store, client):
    """A stream's name that holds something else is a named error."""
    client.set("events", "text")
    with pytest.raises(StoreError, match="stream 'events': WRONGTYPE"):
        store.read([])
    client.set("undeclared", "text")
    client.delete("events")
    with pytest.raises(StoreError, match="stream 'undeclared': WRONGTYPE"):
        store.read([entry("undeclared", "1-1")])


def test_type_changes_under_the_store(store, client):
    """A stream that turns into something else later is a named error, and works again when it is back."""
    add(client, "a")
    store.read([])
    client.set("events", "text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store.read([])
    client.delete("events")
    add(client, "b")
    assert one(store, entry("events", "b")).exists


def test_info_refused(redis, redis_url, client):
    """Where the server refuses to tell of a stream, a doubt about it is a named error."""
    client.acl_setuser("narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xinfo"])
    store = RedisStore(f"redis://narrow:x@{redis.host}:{redis.port}/15", streams=[Stream("events", id="id")])
    try:
        add(client, "a")
        store.read([])
        client.xtrim("events", maxlen=0, approximate=False)
        with pytest.raises(StoreError, match="NOPERM"):
            store.read([])
    finally:
        store.close()
        client.acl_deluser("narrow")


def test_write(store, other, client):
    """An event is written with its fields as they were, once, however often that is asked for."""
    client.xadd("events", {"id": "a", "x": b"\xff", "y": ""})
    record = one(store, entry("events", "a"))
    store.reset()
    for each in (store, other, store):
        each.write([record, Record(key("k"), b"v")])
    assert [fields for _, fields in client.xrange("events")] == [{b"id": b"a", b"x": b"\xff", b"y": b""}]
    assert one(store, entry("events", "a")).value == record.value
    assert client.get("k") == b"v"


def test_write_replaces(store, client):
    """An event that is there with another content, or twice, is there once with the right one afterwards."""
    for body in ("wrong", "right", "right"):
        add(client, "a", body)
    right = Record(entry("events", "a"), {b"id": b"a", b"body": b"right"})
    store.write([right])
    store.write([right])
    assert [fields[b"body"] for _, fields in client.xrange("events")] == [b"right"]
    store.write([Record(entry("events", "a"))])
    assert client.xlen("events") == 0


def test_write_by_entry_id(store, client):
    """An entry known by its entry id is written under that id, and deleted by it."""
    client.xadd("plain", {"a": 1}, id="5-1")
    record = one(store, entry("plain", "5-1"))
    store.reset()
    store.write([record])
    store.write([record])
    assert client.xrange("plain") == [(b"5-1", {b"a": b"1"})]
    with pytest.raises(StoreError, match="'4-1'"):
        store.write([Record(entry("plain", "4-1"), {"a": 1})])
    store.delete([entry("plain", "5-1")])
    assert client.xlen("plain") == 0


def test_write_payload(redis_url, client):
    """An event that comes from elsewhere is encoded into the payload, beside its id."""
    store = RedisStore(
        redis_url, streams=[Stream("a", id="id", payload="data", codec=Json()), Stream("b", payload="d")]
    )
    store.write([Record(entry("a", 7), {"x": 1}), Record(entry("b", "1-1"), b"text")])
    assert client.xrange("a")[0][1] == {b"id": b"7", b"data": b'{"x": 1}'}
    assert client.xrange("b") == [(b"1-1", {b"d": b"text"})]
    assert [record.value for record in store.read([entry("a", 7), entry("b", "1-1")]).records] == [{"x": 1}, b"text"]
    store.close()


@pytest.mark.parametrize("value", [b"text", {}, 7])
def test_entry_without_a_form(store, value):
    """A value that has no fields cannot be written as an entry without a payload."""
    with pytest.raises(StoreError, match="no dict of fields"):
        store.write([Record(entry("events", "a"), value)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=6),
    event=st.text(max_size=6),
    fields=st.dictionaries(st.binary(max_size=4), st.binary(max_size=4), min_size=1),
)
def test_hostile_names(redis_url, client, name, event, fields):
    """Streams, events and fields of any characters are just names."""
    client.flushdb()
    store = RedisStore(redis_url, streams=[Stream(name, id="id")])
    value = {**fields, b"id": event.encode()}
    store.write([Record(entry(name, event), value)])
    assert one(store, entry(name, event)).value == value
    assert client.keys() == [name.encode()]
    store.close()


def test_large_entries(store, client):
    """Entries of a megabyte are read and written whole."""
    body = b"\0\r\n" * 350_000
    add(client, "big", body)
    record = one(store, entry("events", "big"))
    assert record.value[b"body"] == body
    store.reset()
    store.write([record])
    assert one(store, entry("events", "big")).value == record.value


def test_storm(redis_url, client):
    """With four writers and four readers at once, no event is lost and none is counted twice."""
    store = RedisStore(redis_url, streams=[Stream("events", id="id")], timeout=20.0)
    start = store.read([]).mark
    counts, over = [], threading.Event()
    seen = [set() for _ in range(4)]

    def write(writer):
        with driver.Redis.from_url(redis_url) as mine:
            for number in range(400):
                mine.xadd("events", {"id": f"{writer}-{number}"})
                counts.append(one(store, entry("events", f"{writer}-{number}")).meta.get("count"))

    def read(reader):
        mark = start
        while True:
            last = over.is_set()
            reading = store.read([], since=mark)
            seen[reader].update(change.ref.key[0] for change in reading.changed)
            counts.extend(change.count for change in reading.changed)
            # Of more than a thousand the first are told, so the mark goes no further than before the last of those.
            mark = reading.changed[-1].at if len(reading.changed) == 1000 else reading.mark
            if last and not reading.changed:
                return

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in readers + writers:
        thread.start()
    together(writers)
    over.set()
    together(readers)
    store.close()
    assert set(counts) == {1}
    assert seen == [{f"{writer}-{number}" for writer in range(4) for number in range(400)}] * 4


def test_first_readers_at_once(redis_url, client):
    """Threads that read a stream for the first time at once agree on it."""
    for number in range(50):
        add(client, number)
    for _ in range(5):
        store = RedisStore(redis_url, streams=[Stream("events", id="id")], timeout=20.0)
        barrier, counts = threading.Barrier(4), []

        def work(store=store, barrier=barrier, counts=counts):
            barrier.wait()
            counts.extend(
                record.meta["count"] for record in store.read([entry("events", n) for n in range(50)]).records
            )

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        together(threads)
        assert counts == [1] * 200
        store.close()
