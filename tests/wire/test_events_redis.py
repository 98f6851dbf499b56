"""A Redis stream as a source: read whole, with what was lost noticed, and never changed."""

import os
import socket
import subprocess
import threading

import pytest
import redis
from events_support import STREAM, add, body, client_of, redis_events

from shadowmig.errors import CodecError, ConfigError, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import Undecodable
from shadowmig.stores import Stream
from shadowmig.testing.servers import Redis
from shadowmig.wire.codecs import Json
from shadowmig.wire.events import EventSource, MemoryEvents, RedisEvents


@pytest.fixture
def client(redis_url):
    with client_of(redis_url) as made:
        yield made


@pytest.fixture
def source(redis_url):
    made = redis_events(redis_url)
    yield made
    made.close()


def read_all(source, after=(), **options):
    events, losses = [], []
    while True:
        page = source.read(after, **options)
        events += page.events
        losses += [page.loss] if page.loss else []
        after = page.position
        if page.ended:
            return events, losses, page


def test_an_event_and_its_parts(client, source):
    """An event tells its id, place, time, payload, value, entity and version."""
    entry = add(client, "e1", body("c7", 3), type="created")
    page = source.read(())
    (event,) = page.events
    assert event.id == "e1"
    assert "-".join(map(str, event.entry)) == entry.decode()
    assert event.at == event.entry[0] / 1000
    assert page.now - 5 < event.at <= page.now + 0.01
    assert (event.data, event.value) == (body("c7", 3), {"comment_id": "c7", "version": 3})
    assert (event.entity, event.version, event.readable) == ("c7", 3, True)
    assert event.size == len(b"event_id e1 body type created") - 4 + len(body("c7", 3))
    assert repr(event) == f"<Event 'e1' at {entry.decode()}>"
    assert event.reader.beside(event) == {"type": b"created"}
    assert len({event, event}) == 1
    assert event != source.read(()).events[0]
    assert (page.position, page.ended, page.loss, page.until) == (event.entry, True, "", page.now)


def test_sources_have_one_shape(source):
    """Both sources have the shape of the protocol, and say what they are without a password."""
    assert isinstance(source, EventSource)
    assert isinstance(MemoryEvents(), EventSource)
    told = repr(RedisEvents("redis://user:secret@host:7/3", STREAM))
    assert told == "<RedisEvents: stream 'comment_events' of Redis at host:7, database 3>"
    assert repr(MemoryEvents()) == "<MemoryEvents: 0 entries>"


def test_pages(client, source):
    """A long stream comes in pages, each event once, in its order; the last page says that it is."""
    for number in range(25):
        add(client, f"e{number}")
    events, losses, page = read_all(source, count=10)
    assert [event.id for event in events] == [f"e{number}" for number in range(25)]
    assert losses == []
    first = source.read((), count=10)
    assert (len(first.events), first.ended, first.until < first.events[-1].at) == (10, False, True)
    assert source.read(page.position).events == ()
    add(client, "new")
    assert [event.id for event in source.read(page.position).events] == ["new"]
    assert sorted(event.number for event in events) == [event.number for event in events]


def test_a_stream_that_is_not_there(client, source):
    """A stream that is not there is empty, and comes into being later."""
    page = source.read(())
    assert (page.events, page.position, page.ended, page.loss) == ((), (), True, "")
    assert source.end().position == ()
    add(client, "e")
    assert [event.id for event in source.read(page.position).events] == ["e"]


def test_the_end(client, source):
    """The end of a stream is where only later events come after."""
    add(client, "old")
    end = source.end()
    add(client, "new")
    assert [event.id for event in source.read(end.position).events] == ["new"]


def test_the_end_of_a_stream_that_never_had_an_event(client, source):
    """A stream that was made for a group and never had an entry has lost none when its first one comes."""
    client.xgroup_create(STREAM.name, "consumers", mkstream=True)
    end = source.end()
    assert end.position == source.read(end.position).position == ()
    add(client, "new")
    page = source.read(end.position)
    assert ([event.id for event in page.events], page.loss) == (["new"], "")


def test_trimmed_past_the_place(client, source):
    """Entries cut off before they were read are noticed, and reading goes on with the first that is left."""
    add(client, "a")
    place = source.read(()).position
    for name in "bcd":
        add(client, name)
    client.xtrim(STREAM.name, maxlen=1, approximate=False)
    page = source.read(place)
    assert ([event.id for event in page.events], page.loss) == (["d"], "trimmed")
    assert source.read(page.position).loss == ""


def test_trimmed_up_to_the_place(client, source):
    """Entries that were read may be cut off, all of them too; the one read last then counts as a loss with the next."""
    for name in "abc":
        add(client, name)
    place = source.read(()).position
    client.xtrim(STREAM.name, maxlen=1, approximate=False)
    assert source.read(place).loss == ""
    client.xtrim(STREAM.name, maxlen=0, approximate=False)
    assert source.read(place).loss == ""
    add(client, "d")
    page = source.read(place)
    assert ([event.id for event in page.events], page.loss) == (["d"], "trimmed")


def test_emptied_before_it_was_read(client, source):
    """A stream that was emptied of what was not read says so, and where to go on."""
    add(client, "a")
    place = source.read(()).position
    last = add(client, "b")
    client.xtrim(STREAM.name, maxlen=0, approximate=False)
    page = source.read(place)
    assert (page.events, page.loss) == ((), "trimmed")
    assert "-".join(map(str, page.position)) == last.decode()
    assert source.read(page.position).loss == ""


def test_single_entries_deleted(client, source):
    """An entry deleted by itself is no loss if it was read, and one if it was not and the server tells."""
    ids = [add(client, name) for name in "abcd"]
    page = source.read((), count=2)
    client.xdel(STREAM.name, ids[1])
    following = source.read(page.position)
    assert ([event.id for event in following.events], following.loss) == (["c", "d"], "")
    client.xdel(STREAM.name, ids[3])
    assert source.read(following.position).loss == ""
    assert source.read(page.position).loss == "trimmed"


@pytest.mark.parametrize("refill", [0, 1])
def test_remade_with_lower_ids(client, source, refill):
    """A stream that is gone, or has not come as far as the place, is another one."""
    add(client, "a")
    place = source.read(()).position
    client.delete(STREAM.name)
    for number in range(refill):
        client.xadd(STREAM.name, {"event_id": "n", "body": body()}, id=f"{number + 5}-0")
    page = source.read(place)
    assert (page.loss, page.events, page.position) == ("remade", (), (5, 0) if refill else ())


def test_remade_with_higher_ids(client, source):
    """A stream that was deleted and filled again reads as trimmed, and nothing of the new one is passed over."""
    add(client, "a")
    place = source.read(()).position
    client.delete(STREAM.name)
    add(client, "b")
    page = source.read(place)
    assert ([event.id for event in page.events], page.loss) == (["b"], "trimmed")


def test_find(client, source):
    """Single entries are read again in any order, and those that are gone are told."""
    for number in range(300):
        add(client, f"e{number}")
    events, _, _ = read_all(source)
    client.xtrim(STREAM.name, maxlen=299, approximate=False)
    found = source.find([event.entry for event in reversed(events)])
    assert [None if event is None else event.id for event in found[-2:]] == ["e1", None]
    assert len(found) == 300
    assert source.find([]) == []


def test_big_events(client, redis_url):
    """Big events come in small pages, and a big last one is not read again and again."""
    source = redis_events(redis_url)
    big = body(text="x" * 8_000_000)
    for number in range(6):
        add(client, f"e{number}", big)
    page = source.read(())
    place, seen = page.position, len(page.events)
    pages = 1
    while not page.ended:
        page = source.read(place)
        place, seen, pages = page.position, seen + len(page.events), pages + 1
    assert (seen, page.size > 8_000_000) == (6, True)
    before = client.info("stats")["total_net_output_bytes"]
    for _ in range(20):
        assert source.read(place).events == ()
    assert client.info("stats")["total_net_output_bytes"] - before < 1_000_000
    add(client, "small")
    page = source.read(place)
    assert ([event.id for event in page.events], page.loss) == (["small"], "")
    source.close()


def test_big_last_event_that_is_lost(client, redis_url):
    """That a big last event was cut off is noticed with the next one, and that its stream is gone at once."""
    source = redis_events(redis_url)
    add(client, "big", body(text="x" * 100_000))
    place = source.read(()).position
    add(client, "next")
    client.xtrim(STREAM.name, maxlen=1, approximate=False)
    page = source.read(place)
    assert ([event.id for event in page.events], page.loss) == (["next"], "trimmed")
    add(client, "big", body(text="x" * 100_000))
    place = source.read(page.position).position
    client.delete(STREAM.name)
    assert source.read(place).loss == "remade"
    source.close()


def test_no_more_than_fits(client, redis_url, monkeypatch):
    """If the answer is larger than what may be read at once, less is asked for, down to one entry whatever its size."""
    monkeypatch.setattr("shadowmig.wire.events.redis.LIMIT", 1_000_000)
    source = redis_events(redis_url)
    for number in range(40):
        add(client, f"e{number}", body(text="x" * 200_000))
    add(client, "huge", body(text="x" * 3_000_000))
    events, losses, _ = read_all(source)
    assert ([event.id for event in events], losses) == ([*(f"e{number}" for number in range(40)), "huge"], [])
    again = redis_events(redis_url)
    assert [event.id for event in again.find([event.entry for event in events])] == [event.id for event in events]
    assert again.end().position == events[-1].entry
    source.close()
    again.close()


def test_ids_in_the_payload(client, redis_url):
    """The id may be in the payload; an event without one, or that cannot be read, goes by its entry id."""
    stream = Stream("s", id="id", payload="body", codec=Json())
    source = redis_events(redis_url, stream=stream)
    client.xadd("s", {"body": b'{"id": "one"}'})
    entries = [client.xadd("s", {"body": data}).decode() for data in (b"{}", b"{")]
    entries.append(client.xadd("s", {"other": b"x"}).decode())
    assert [event.id for event in source.read(()).events] == ["one", *entries]
    source.close()


def test_ids_that_are_no_text(client, source):
    """An id of any bytes is an id, and a value that is called like the field does not confuse it."""
    client.xadd(STREAM.name, {"event_id": b"\xff\xfe", "body": body()})
    client.xadd(STREAM.name, {"x": "event_id", "event_id": "body", "body": body()})
    first, second = source.read(()).events
    assert (first.id, second.id) == ("\udcff\udcfe", "body")
    assert second.value == {"comment_id": "c1", "version": 1}


def test_without_ids_of_their_own(client, redis_url):
    """Without a name for the id events go by their entry ids."""
    source = RedisEvents(redis_url, Stream("s"))
    entry = client.xadd("s", {"a": b"1", "b": b"2"})
    (event,) = source.read(()).events
    assert (event.id, event.value, event.data) == (entry.decode(), {b"a": b"1", b"b": b"2"}, None)
    assert (event.entity, event.version, event.reader.beside(event)) == (None, None, None)
    source.close()


def test_values_of_all_fields(client, redis_url):
    """Without a payload each field's value is decoded, and the names are text."""
    source = RedisEvents(redis_url, Stream("s", id="id", codec=Json()), entity="about")
    client.xadd("s", {"id": b'"e"', "n": b"1", "about": b"c9"})
    client.xadd("s", {"id": b'"f"', "n": b"1"})
    first, second = source.read(()).events
    assert (first.id, first.entity, second.entity) == ('"e"', "c9", None)
    assert isinstance(first.value, Undecodable)
    assert second.value == {"id": "f", "n": 1}
    assert source.read(()).events[0].reader.keep([first]) == [first]
    source.close()


def test_what_cannot_be_read(client, source):
    """An event without payload, or with one that the codec refuses, is undecodable, with the reason."""
    client.xadd(STREAM.name, {"event_id": "none"})
    add(client, "broken", b"{")
    add(client, "deep", b"[" * 100_000)
    none, broken, deep = source.read(()).events
    assert none.value.reason == "KeyError: 'body'"
    assert (broken.readable, deep.readable) == (False, False)
    assert (broken.entity, broken.version) == (None, None)
    assert all("Error" in event.value.reason for event in (broken, deep))


def test_shapes_without_entity(client, source):
    """An event of another shape tells no entity and no version."""
    add(client, "list", b"[]")
    (event,) = source.read(()).events
    assert (event.entity, event.version) == (None, None)


class Batched:
    """A codec that is quicker for many."""

    def __init__(self):
        self.batches = []
        self.fails = False

    def encode(self, value):
        return Json().encode(value)

    def decode(self, data, flags):
        return Json().decode(data, flags)

    def encode_many(self, values):
        return [self.encode(value) for value in values]

    def decode_many(self, items):
        self.batches.append(len(items))
        if self.fails:
            raise CodecError("no")
        return [CodecError("bad") if data == b"{" else Json().decode(data, flags) for data, flags in items]


def test_codecs_for_many(client, redis_url):
    """A codec that is quicker for many is given a page at once, and each event alone where that fails."""
    codec = Batched()
    source = redis_events(redis_url, stream=Stream("s", id="event_id", payload="body", codec=codec))
    for name, data in (("a", body()), ("b", b"{"), ("c", body(version=2))):
        client.xadd("s", {"event_id": name, "body": data})
    client.xadd("s", {"event_id": "d"})
    events = source.read(()).events
    assert codec.batches == [3]
    assert [event.readable for event in events] == [True, False, True, False]
    codec.fails = True
    assert [event.readable for event in source.read(()).events] == [True, False, True, False]
    source.close()


def test_times_that_are_no_times(client, redis_url):
    """Entry ids that the service chooses are no times: events then count from when they are read."""
    client.xadd(STREAM.name, {"event_id": "e", "body": body()}, id="7-1")
    timed, untimed = redis_events(redis_url), redis_events(redis_url, timed=False)
    assert timed.read(()).events[0].at == 0.007
    page = untimed.read(())
    assert (page.events[0].at, page.events[0].entry) == (page.now, (7, 1))
    client.xadd(STREAM.name, {"event_id": "f", "body": body()}, id="99999999999999999-0")
    page = timed.read(())
    assert page.events[1].at == page.now
    timed.close()
    untimed.close()


def test_only_reading_commands(client, source):
    """Nothing is sent that could change a stream or a group, and anything else is refused before it is sent."""
    client.xgroup_create(STREAM.name, "consumers", id="0", mkstream=True)
    entry = add(client, "e")
    client.xreadgroup("consumers", "one", {STREAM.name: ">"})
    groups, consumers = client.xinfo_groups(STREAM.name), client.xinfo_consumers(STREAM.name, "consumers")
    client.config_resetstat()
    place = source.read(()).position
    source.find([place])
    source.end()
    source.identity()
    add(client, "f")
    client.xtrim(STREAM.name, maxlen=1, approximate=False)
    source.read(place)
    calls = set(client.info("commandstats"))
    ours = {"cmdstat_xrange", "cmdstat_time", "cmdstat_xinfo|stream", "cmdstat_info", "cmdstat_select"}
    writers = {"cmdstat_xadd", "cmdstat_xtrim", "cmdstat_config|resetstat"}
    assert calls - writers <= ours | {"cmdstat_client|setinfo"}
    assert client.xinfo_groups(STREAM.name)[0]["pending"] == groups[0]["pending"] == 1
    assert client.xinfo_groups(STREAM.name)[0]["last-delivered-id"] == groups[0]["last-delivered-id"] == entry
    assert [each["name"] for each in client.xinfo_consumers(STREAM.name, "consumers")] == [consumers[0]["name"]]
    with pytest.raises(ProductionRefused):
        source._ask([("XDEL", STREAM.name, entry)])


def test_identity(client, redis_url, source):
    """Two handles of one stream have one identity; another stream, database or server has another."""
    same = redis_events(redis_url)
    other = redis_events(redis_url, stream=Stream("other"))
    assert same.identity() == source.identity() != other.identity()
    assert MemoryEvents().identity() != MemoryEvents().identity()
    same.close()
    other.close()


def test_a_key_of_another_type(client, source):
    """A key that is no stream is refused by name."""
    client.set(STREAM.name, "x")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        source.read(())
    with pytest.raises(StoreError, match="WRONGTYPE"):
        source.end()


def test_server_that_is_away_and_comes_back():
    """A server that is away is unavailable, and the next call after its return works."""
    with Redis() as server:
        source = redis_events(server.url)
        assert source.read(()).events == ()
    with pytest.raises(StoreUnavailable):
        source.read(())
    with pytest.raises(StoreUnavailable):
        source.end()
    source.close()


def test_server_that_hangs():
    """A server that does not answer is given up after the timeout, and less is asked for then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = redis_events(f"redis://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        with pytest.raises(StoreUnavailable):
            source.read(())
        assert source._most == 250
        source.close()


def test_server_without_replication(monkeypatch, source):
    """A server that does not tell its replication id has no identity."""
    monkeypatch.setattr(RedisEvents, "_ask", lambda *_: [b"role:master"])
    with pytest.raises(StoreError, match="replication id"):
        source.identity()


def test_after_a_fork(client, source):
    """A forked child reads on connections of its own."""
    add(client, "e")
    assert len(source.read(()).events) == 1
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        events = source.read(()).events
        os.write(writer, events[0].id.encode() if source._lines.keys() == {os.getpid()} else b"shared")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"e"
    os.close(reader)
    os.close(writer)
    assert len(source.read(()).events) == 1


def test_a_client_instead_of_a_url(client, redis_url):
    """A client gives its settings and no connection."""
    source = redis_events(client)
    add(client, "e")
    assert len(source.read(()).events) == 1
    assert source.server.database == 15
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("url", {"url": "ftp://secret"}),
        ("url", {"url": 7}),
        ("stream", {"stream": "s"}),
        ("entity", {"entity": 7}),
        ("timeout", {"timeout": 0}),
    ],
)
def test_wrong_options(field, options):
    """A wrong option is refused at once, by its name, and without what the URL holds."""
    given = {"url": "redis://localhost", "stream": STREAM} | options
    with pytest.raises(ConfigError) as caught:
        RedisEvents(given.pop("url"), given.pop("stream"), **given)
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


def test_a_cluster_is_no_source(client):
    """The nodes of a cluster have clocks of their own, so one node is to be given."""

    class Cluster(redis.Redis):
        nodes_manager = None

        def get_nodes(self):
            return [type("Node", (), {"host": "h", "port": 1, "redis_connection": self})()]

    with Cluster(connection_pool=client.connection_pool) as cluster, pytest.raises(ConfigError, match="cluster"):
        RedisEvents(cluster, STREAM)


def test_loading_is_light():
    """Importing the package loads neither the driver nor asyncio."""
    program = (
        "import sys, shadowmig.wire.events as e; assert not {'redis', 'asyncio'} & set(sys.modules); e.EventStream"
    )
    subprocess.run([os.sys.executable, "-c", program], check=True)
    assert threading.current_thread() is threading.main_thread()
