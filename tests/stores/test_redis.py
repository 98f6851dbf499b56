"""Redis as a store: what a key holds is read in one round trip, and written so that it is the same again."""

import subprocess
import sys
import threading
import uuid

import pytest
import redis as driver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_support import Json, Proxy, entry, key, one

from shadowmig.errors import ConfigError, ProductionRefused, StoreError
from shadowmig.model import MISSING, Record, Ref, Undecodable
from shadowmig.protocols import AsyncStore, Store
from shadowmig.stores import RedisStore, Stream
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_keys import Held, Keys
from shadowmig.stores._redis_steps import run
from shadowmig.stores._redis_values import Codecs

BIG = b"\0\r\n" * 350_000


@pytest.fixture
def client(redis_url):
    with driver.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def store(redis_url):
    made = RedisStore(redis_url, timeout=20.0)
    yield made
    made.close()


@pytest.fixture
def proxy(redis, redis_url):
    with Proxy(redis.host, redis.port) as made:
        made.patient = True
        yield made


def fill(client):
    """Put a key of every type, and say what it should read as."""
    client.set("string", b"\xff\0")
    client.hset("hash", mapping={"a": 1, b"\xfe": b"\0"})
    client.rpush("list", "b", "a", "b")
    client.sadd("set", "a", b"\xff")
    client.zadd("zset", {"a": 1.5, "b": float("-inf")})
    client.xadd("stream", {"a": "1"}, id="5-1")
    client.xadd("stream", {"b": "2"}, id="5-2")
    return {
        "string": b"\xff\0",
        "hash": {b"a": b"1", b"\xfe": b"\0"},
        "list": [b"b", b"a", b"b"],
        "set": {b"a", b"\xff"},
        "zset": {b"a": 1.5, b"b": float("-inf")},
        "stream": [("5-1", {b"a": b"1"}), ("5-2", {b"b": b"2"})],
    }


def test_shape(store):
    """A RedisStore has the shape of a store and of one for event loops."""
    kept: Store = store
    assert isinstance(kept, AsyncStore)


def test_every_type(store, client):
    """Each type of key is read as the value that is documented for it, with its type and no time to live."""
    expected = fill(client)
    records = store.read([key(name) for name in expected]).records
    assert {record.ref.key[0]: record.value for record in records} == expected
    assert [record.meta["type"] for record in records] == list(expected)
    assert {record.meta["ttl"] for record in records} == {None}
    assert {(record.version, record.token) for record in records} == {(None, None)}


def test_order_of_members(store, client):
    """The members of a sorted set are in the order of their scores."""
    client.zadd("z", {"late": 9, "early": 1, "middle": 5})
    assert list(one(store, key("z")).value) == [b"early", b"middle", b"late"]


def test_missing(store):
    """A key that is not there is a record without a value, and no ref at all gives no record."""
    assert one(store, key("nothing")) == Record(key("nothing"))
    assert store.read([]).records == ()
    assert store.read([]).mark is None


def test_same_ref_twice(store, client):
    """The same key asked for twice, as text and as bytes, is given twice."""
    client.set("a", 1)
    assert [record.value for record in store.read([key("a"), key("b"), key(b"a")]).records] == [b"1", MISSING, b"1"]


def test_ttl(store, client):
    """The time to live comes in seconds with a fraction."""
    client.set("a", 1, px=4_500)
    assert 3 < one(store, key("a")).meta["ttl"] <= 4.5


def test_expired_between_commands():
    """A key that ends between reading and asking for its life is missing."""
    keys = Keys("Redis", Codecs(None), None)
    replies = [b"v", *[driver.ResponseError("WRONGTYPE no")] * 5, -2]
    assert run(keys.read([b"a"]), lambda _: replies) == {b"a": Held()}


def test_gone_between_commands():
    """A key that was deleted between two commands, and made anew as another type, is read as nothing."""
    keys = Keys("Redis", Codecs(None), None)
    replies = [None, [], [], [], [], [], -1]
    assert run(keys.read([b"a"]), lambda _: replies) == {b"a": Held()}


def test_type_of_a_module():
    """A key of a type that only a module knows is read by DUMP, in a second round trip."""
    wrong = driver.ResponseError("WRONGTYPE no")
    answers = iter([[*[wrong] * 6, 1500], [b"ReJSON-RL", b"dumped", 1500]])
    asked = []
    keys = Keys("Redis", Codecs(None), None)
    held = run(keys.read([b"j"]), lambda commands: asked.append(commands) or next(answers))
    assert held == {b"j": Held("ReJSON-RL", b"dumped", 1.5)}
    assert asked[1] == [("TYPE", b"j"), ("DUMP", b"j"), ("PTTL", b"j")]
    record = keys.record(key("j"), held[b"j"])
    assert (record.value, record.raw, record.meta) == (b"dumped", b"dumped", {"type": "ReJSON-RL", "ttl": 1.5})
    assert keys.write(record) == [("RESTORE", b"j", 1500, b"dumped", "REPLACE")]


def test_module_type_that_went_away():
    """A key of a module that is replaced or deleted while it is looked at is read again, or as nothing."""
    wrong = driver.ResponseError("WRONGTYPE no")
    string = [b"v", *[wrong] * 5, -1]
    for second, third, expected in (([b"string", b"dump", -1], [string], b"v"), ([b"ReJSON-RL", None, -1], [], None)):
        answers = iter([[*[wrong] * 6, -1], second, *third])
        held = run(Keys("Redis", Codecs(None), None).read([b"j"]), lambda _, answers=answers: next(answers))
        assert held[b"j"].raw == expected


def test_dump_is_restored(store, client):
    """What DUMP gave is written back by RESTORE, with its time to live."""
    client.set("a", "x")
    dumped = client.dump("a")
    store.write([Record(key("b"), dumped, raw=dumped, meta={"type": "of a module", "ttl": 90.0})])
    assert client.get("b") == b"x"
    assert 80_000 < client.pttl("b") <= 90_000
    with pytest.raises(StoreError, match="does not fit its type"):
        store.write([Record(key("b"), dumped, meta={"type": "of a module"})])


def test_empty_stream(store, client):
    """A stream without entries is an empty list, not a missing key."""
    client.xadd("s", {"a": 1}, id="1-1")
    client.xdel("s", "1-1")
    assert one(store, key("s")).value == []


def test_one_round_trip(proxy, client):
    """Any number of keys of any types, known or not, take one round trip, and so do those of a known stream."""
    expected = fill(client)
    for number in range(60):
        client.set(f"string:{number}", number)
    store = RedisStore(proxy.url, streams=[Stream("events", id="id")])
    store.read([])
    refs = [key(name) for name in [*expected, "missing", *(f"string:{number}" for number in range(60))]]
    refs += [entry("events", "a"), entry("stream", "5-1")]
    for _ in range(3):
        before = proxy.trips
        records = store.read(refs).records
        assert proxy.trips == before + 1
        assert {record.ref.key[0]: record.value for record in records[:6]} == expected
    store.close()


def test_wrong_guess_is_made_once(proxy, client):
    """Keys that look alike and have other types cost a second round trip once; then no guess is made."""
    client.set("user:1", "x")
    client.hset("user:2", "a", "y")
    store = RedisStore(proxy.url)
    store.read([key("user:1")])
    trips = []
    for _ in range(3):
        before = proxy.trips
        assert [record.value for record in store.read([key("user:1"), key("user:2")]).records] == [b"x", {b"a": b"y"}]
        trips.append(proxy.trips - before)
    assert trips == [2, 1, 1]
    store.close()


def test_known_type_costs_two_commands(store, client):
    """Once the type of a kind of key is known, only the command for it and PTTL are sent."""
    for number in range(20):
        client.set(f"comment:{number}", "x")
    store.read([key("comment:0")])
    before = client.info("commandstats")
    store.read([key(f"comment:{number}") for number in range(20)])
    after = client.info("commandstats")
    grown = {name for name in after if after[name]["calls"] != before.get(name, {"calls": 0})["calls"]}
    assert grown - {"cmdstat_info"} == {"cmdstat_get", "cmdstat_pttl"}


def test_types_known_are_bounded(client):
    """Keys that never look alike do not fill the memory."""
    keys = Keys("Redis", Codecs(None), None)
    for number in range(1100):
        name = "".join(chr(ord("g") + int(digit)) for digit in str(number)).encode()
        run(keys.read([name]), lambda _: [b"v", *[driver.ResponseError("WRONGTYPE no")] * 5, -1])
    assert len(keys._shapes) == 1000


def test_written_exactly(store, client):
    """What was read of one store is the same in another after it was written there."""
    expected = fill(client)
    client.pexpire("hash", 90_500)
    records = store.read([key(name) for name in expected]).records
    client.flushdb()
    client.set("hash", "another type")
    client.set("list", "another type", ex=5)
    store.write(records)
    again = store.read([key(name) for name in expected]).records
    assert [record.value for record in again] == list(expected.values())
    assert [record.meta["type"] for record in again] == list(expected)
    assert client.pttl("list") == -1
    assert 80_000 < client.pttl("hash") <= 90_500


def test_written_missing(store, client):
    """A record without a value is deleted."""
    client.set("a", 1)
    store.write([Record(key("a"))])
    assert not client.exists("a")
    store.write([])


def test_large_and_binary(store, client):
    """Values of a megabyte, and containers of many members, come and go unchanged."""
    client.set(b"\0\xff big", BIG)
    client.hset("hash", mapping={f"field {number}": number for number in range(12_000)})
    refs = [key(b"\0\xff big"), key("hash")]
    records = store.read(refs).records
    assert records[0].value == BIG
    store.reset()
    store.write(records)
    assert [record.value for record in store.read(refs).records] == [record.value for record in records]


@pytest.mark.parametrize(
    "name", ["", " ", "\r\nFLUSHALL\r\n", '"', "a.b", "ключ", "\0", "{", "{}", "{a}b", "*1\r\n", 7]
)
def test_hostile_keys(store, client, name):
    """A key of any characters is a key and nothing else."""
    client.set("bystander", 1)
    store.write([Record(key(name), b"v")])
    assert one(store, key(name)).value == b"v"
    store.delete([key(name)])
    assert client.keys() == [b"bystander"]


def test_key_that_is_no_text(store):
    """A key of lone surrogates that stand for no byte is a named error."""
    with pytest.raises(StoreError, match="lone surrogates"):
        store.read([key("\ud800")])
    assert one(store, key("\udcff")).value is MISSING


BYTES = st.binary(max_size=8)
VALUES = st.one_of(
    BYTES,
    st.dictionaries(BYTES, BYTES, min_size=1, max_size=4),
    st.lists(BYTES, min_size=1, max_size=4),
    st.sets(BYTES, min_size=1, max_size=4),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_any_value(store, value):
    """Whatever is written without saying its type is read as it was."""
    store.write([Record(key("any"), value)])
    assert one(store, key("any")).value == value


def test_codec(redis_url, client):
    """A codec decodes strings and the values in containers, while names are text."""
    store = RedisStore(redis_url, codec=Json(), version=lambda value: value["v"])
    client.set("string", '{"v": 3}')
    client.hset("hash", mapping={"v": "[1]", "w": "2"})
    client.rpush("list", "1", '{"a": 2}')
    client.sadd("set", "not json")
    client.zadd("zset", {"not json": 2})
    client.xadd("stream", {"a": "[1]"}, id="1-1")
    client.set("broken", "{")
    names = ["string", "hash", "list", "set", "zset", "stream", "broken"]
    records = store.read([key(name) for name in names]).records
    assert [record.value for record in records[:-1]] == [
        {"v": 3},
        {"v": [1], "w": 2},
        [1, {"a": 2}],
        {"not json"},
        {"not json": 2.0},
        [("1-1", {"a": [1]})],
    ]
    assert [record.version for record in records[:3]] == [3, [1], None]
    broken = records[-1]
    assert isinstance(broken.value, Undecodable)
    assert broken.value.reason.startswith("JSONDecodeError: ")
    assert (broken.value.size, broken.raw, broken.version) == (1, b"{", None)
    client.flushdb()
    store.write(records)
    assert store.read([key(name) for name in names]).records == records
    store.close()


def test_codec_encodes(redis_url, client):
    """A value that comes without its bytes is encoded by the codec for its key, the longest prefix counting."""
    store = RedisStore(redis_url, codec={"a:": Json(), "a:b:": Plain()})
    store.write(
        [
            Record(key("a:1"), {"x": 1}),
            Record(key("a:b:1"), "text"),
            Record(key("c"), "text"),
            Record(key("a:h"), {"x": [1]}, meta={"type": "hash"}),
            Record(key("a:l"), [[1], 2], meta={"type": "list"}),
            Record(key("a:s"), [("1-1", {"x": [1]})], meta={"type": "stream"}),
        ]
    )
    assert client.mget("a:1", "a:b:1", "c") == [b'{"x": 1}', b"<text>", b"text"]
    assert client.hgetall("a:h") == {b"x": b"[1]"}
    assert client.lrange("a:l", 0, -1) == [b"[1]", b"2"]
    assert client.xrange("a:s") == [(b"1-1", {b"x": b"[1]"})]
    assert [record.value for record in store.read([key("a:1"), key("a:b:1"), key("c")]).records] == [
        {"x": 1},
        "text",
        b"text",
    ]
    store.close()


class Plain:
    """A codec that puts text in angle brackets."""

    def encode(self, value):
        return f"<{value}>".encode(), 0

    def decode(self, data, flags):
        return data[1:-1].decode()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), None),
        (None, None),
        (True, None),
        ({"a": object()}, None),
        (b"x", "hash"),
        (b"x", "list"),
        ({}, "stream"),
    ],
)
def test_value_without_a_form(store, value, kind):
    """A value that Redis cannot hold as its type is refused by name, and nothing is written."""
    with pytest.raises(StoreError, match=r"a\\*'"):
        store.write([Record(key("b"), b"1"), Record(key("a'"), value, meta={"type": kind} if kind else {})])
    assert one(store, key("b")).value is MISSING


def test_encode_error_is_raised(redis_url):
    """What a codec raises when it encodes is raised to whoever writes."""
    store = RedisStore(redis_url, codec=Json())
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.write([Record(key("a"), object())])
    store.close()


def test_version_that_fails(redis_url, client):
    """A version function that raises gives no version."""
    store = RedisStore(redis_url, version=lambda value: value["no such"])
    client.set("a", 1)
    assert one(store, key("a")).version is None
    store.close()


def test_delete_and_reset(store, client):
    """Deleting removes what is there and minds nothing that is not; a reset empties the database."""
    fill(client)
    store.delete([key("string"), key("never there")])
    assert not client.exists("string")
    store.reset()
    assert client.dbsize() == 0


def test_rows_are_refused(store):
    """A ref of a row is refused by name."""
    with pytest.raises(StoreError, match="no key and no entry"):
        store.read([Ref("", "row", "comments", (1,))])
    with pytest.raises(StoreError, match="no key and no entry"):
        store.delete([Ref("", "key", "", ("a", "b"))])
    with pytest.raises(StoreError, match="no key and no entry"):
        store.write([Record(Ref("", "planet", "", ("a",)), b"1")])


def test_transaction(redis):
    """A record that the server refuses keeps all of them from being written."""
    with driver.Redis(host=redis.host, port=redis.port, db=15) as client:
        client.acl_setuser("narrow", enabled=True, nopass=True, keys=["good*"], commands=["+@all"])
        store = RedisStore(f"redis://narrow:x@{redis.host}:{redis.port}/15")
        try:
            with pytest.raises(StoreError, match=r"\['bad'\]: NOPERM") as caught:
                store.write([Record(key("good"), b"1"), Record(key("bad"), b"secret")])
            assert "secret" not in str(caught.value)
            assert not client.exists("good")
        finally:
            store.close()
            client.acl_deluser("narrow")


def test_nonce(redis_url, store):
    """A nonce is found by another handle of the same store only, ends by itself, and can be taken away."""
    other, elsewhere = RedisStore(redis_url), RedisStore(redis_url.replace("/15", "/14"))
    store.plant("abc")
    assert (other.finds("abc"), other.finds("abd"), elsewhere.finds("abc")) == (True, False, False)
    assert 0 < other.client().pttl("shadowmig:nonce") <= 60_000
    store.plant("")
    assert not other.finds("abc")
    other.close()
    elsewhere.close()


def test_identity(redis_url, store):
    """Two handles of one database have one identity, another database has another."""
    same, other = RedisStore(redis_url), RedisStore(redis_url.replace("/15", "/14"))
    assert store.identity() == same.identity() != other.identity()
    same.close()
    other.close()


def test_forbidden_writes(store, client):
    """After writes are forbidden every writing method is refused before a byte is sent, and reading goes on."""
    client.set("a", 1)
    store.forbid_writes()
    before = client.info("commandstats")
    for action in (
        lambda: store.write([Record(key("a"), b"2")]),
        lambda: store.delete([key("a")]),
        store.reset,
        lambda: store.plant("x"),
    ):
        with pytest.raises(ProductionRefused, match="forbidden"):
            action()
    after = client.info("commandstats")
    assert set(after) - set(before) <= {"cmdstat_info"}
    assert one(store, key("a")).value == b"1"
    assert store.identity()
    assert not store.finds("x")


@pytest.mark.parametrize("verb", ["SET", "EVAL", "MULTI", "FLUSHALL", "CONFIG", "get", "XGROUP"])
def test_gate_is_an_allow_list(store, verb):
    """A command that is not on the list is refused, whatever it is."""
    store.forbid_writes()
    with pytest.raises(ProductionRefused):
        store._run(store._one((verb, "a")))


def test_client(redis_url, client):
    """The service gets one client made from the URL, the one it gave, or the reader."""
    store = RedisStore(redis_url)
    assert store.client() is store.client()
    assert store.client().ping()
    assert store.client().connection_pool.connection_kwargs["db"] == 15
    store.close()
    given = object()
    assert RedisStore(redis_url, client=given).client() is given
    assert RedisStore(reader=client).client() is client
    alone = RedisStore(client=client)
    alone.write([Record(key("a"), b"1")])
    assert client.get("a") == b"1"
    alone.close()
    assert client.ping()


def test_reader_is_read(redis, redis_url, client):
    """Reads go where the reader leads, as bytes whatever its settings, writes where the URL does."""
    elsewhere = driver.Redis(host=redis.host, port=redis.port, db=14, decode_responses=True, protocol=3)
    store = RedisStore(redis_url, reader=elsewhere)
    elsewhere.hset("a", "x", "there")
    try:
        store.write([Record(key("b"), b"here")])
        assert [record.value for record in store.read([key("a"), key("b")]).records] == [{b"x": b"there"}, MISSING]
        assert client.get("b") == b"here"
        store.close()
        assert elsewhere.ping()
    finally:
        elsewhere.flushdb()
        elsewhere.close()


def test_close(store, client):
    """Closing twice does no harm, and a later call opens a connection again."""
    client.set("a", 1)
    store.read([key("a")])
    store.close()
    store.close()
    assert one(store, key("a")).value == b"1"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": None}, "url"),
        ({"url": "http://:secret@x"}, "url"),
        ({"url": "redis://:secret@host:port"}, "url"),
        ({"url": 7}, "url"),
        ({"reader": object()}, "reader"),
        ({"url": None, "client": "redis://:secret@host:port"}, "client"),
        ({"reader": driver.asyncio.Redis()}, "reader"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "1"}, "timeout"),
        ({"connections": 0}, "connections"),
        ({"version": "v"}, "version"),
        ({"codec": object()}, "codec"),
        ({"codec": {"a": None}}, "codec"),
        ({"streams": ["events"]}, "streams"),
        ({"streams": [Stream("a"), Stream("a")]}, "streams"),
    ],
)
def test_wrong_options(options, field):
    """A wrong option is refused when the store is built, by its name and without secrets."""
    with pytest.raises(ConfigError) as caught:
        RedisStore(**({"url": "redis://localhost"} | options))
    assert caught.value.field == field
    assert "secret" not in f"{caught.value} {caught.value.value} {caught.value.__cause__}"


@pytest.mark.parametrize("options", [{"keep": 0}, {"keep": "1"}, {"lookback": -1}, {"lookback": "1"}])
def test_wrong_stream(options):
    """A wrong option of a stream is refused by its name."""
    with pytest.raises(ConfigError) as caught:
        Stream("events", **options)
    assert caught.value.field == next(iter(options))


def test_repr():
    """A store shows its place and no password."""
    assert repr(RedisStore("redis://user:secret@host:7000/3")) == "<RedisStore: Redis at host:7000, database 3>"
    assert (
        repr(RedisStore("unix://user:secret@/tmp/redis.sock")) == "<RedisStore: Redis at /tmp/redis.sock, database 0>"
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (driver.ResponseError("ERR unknown command, with args: secret"), "ERR"),
        (driver.ResponseError("WRONGTYPE secret"), "WRONGTYPE"),
        (driver.ResponseError("secret"), "ERR"),
        (driver.exceptions.OutOfMemoryError("secret"), "OOM"),
        (driver.ConnectionError("secret"), "cannot be reached"),
        (driver.TimeoutError("secret"), "did not answer in time"),
    ],
)
def test_errors_hold_no_values(error, text):
    """An error of the driver becomes one of ours that says what it is and quotes nothing."""
    ours = translate(error, "Redis")
    assert text in str(ours)
    assert "secret" not in str(ours)


def test_import_is_light():
    """The room of stores loads no driver until a store is asked for."""
    program = "import sys, shadowmig.stores; assert 'redis' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_threads_share_few_connections(redis_url, client):
    """Many threads share the connections of a store, and there are never more than allowed."""
    name = uuid.uuid4().hex
    client.set("a", 1)
    store = RedisStore(f"{redis_url}?client_name={name}", connections=2, timeout=20.0)
    wrong = []

    def work():
        wrong.extend(record for _ in range(50) for record in [one(store, key("a"))] if record.value != b"1")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 <= sum(each["name"] == name for each in client.client_list()) <= 2
    store.close()
