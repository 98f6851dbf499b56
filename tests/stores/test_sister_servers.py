"""Sister stores over the embedded store and over real servers."""

import contextlib
import json
import socket
import threading
import time
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest
import redis as redis_driver
from attrs import evolve
from psycopg import sql
from sister_support import checked

from shadowmig.compare import structural
from shadowmig.errors import NotIsolated, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import Record
from shadowmig.stores import (
    MemcachedStore,
    MemoryStore,
    PostgresStore,
    RedisStore,
    SisterStore,
    Stream,
    Table,
    Translation,
    _sister_proof,
)
from shadowmig.stores.memory import MemorySpace
from shadowmig.testing.servers import Memcached, Redis

TABLES = [Table("comments", key="id", version="version")]
STREAMS = [Stream("events", id="event_id")]
LATER = 2 * 3600.0


class Json:
    """A codec of a cache."""

    def encode(self, value):
        return json.dumps(value).encode(), 7

    def decode(self, data, flags):
        return json.loads(data)


class Proxy:
    """Passes bytes on, so that one server answers at another address."""

    def __init__(self, port):
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *error):
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.shutdown(socket.SHUT_RDWR)
                continue
            self._open.append(far)
            for pair in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass, args=pair)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def moved(url, port, host="127.0.0.1"):
    """Give a URL another place."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{account + '@' if account else ''}{host}:{port}").geturl()


@pytest.fixture
def databases(postgres, postgres_url):
    """Two databases with the same table, of which only production has rows."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield postgres_url, urlsplit(postgres.url)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def fill(url, *, rows=1):
    """Make production's table, with rows."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE comments (id int PRIMARY KEY, body text, version int NOT NULL)")
        connection.execute("INSERT INTO comments SELECT n, 'body ' || n, 1 FROM generate_series(1, %s) n", [rows])


@contextlib.contextmanager
def closing(store):
    """Close a pair whatever happens, with the clients that it handed out."""
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def redis_urls(redis, redis_url):
    """Two empty databases of one server."""
    other = urlsplit(redis.url)._replace(path="/14").geturl()
    with redis_driver.Redis.from_url(other) as client:
        assert client.dbsize() == 0, "database 14 is in use: the tests would empty it"
        try:
            yield redis_url, other
        finally:
            client.flushdb()


@pytest.fixture
def two_memcached(memcached):
    """The shared server, and one that is empty."""
    with Memcached() as other:
        yield memcached, other


@pytest.fixture
def postgres_pair(databases):
    """A pair of databases, with production's row 1."""
    for url in databases:
        fill(url, rows=1 if url == databases[0] else 0)
    production, sister = (PostgresStore(url, tables=TABLES) for url in databases)
    with closing(SisterStore(production=production, sister=sister)) as db:
        yield db, db.row("comments", 1), db.row("comments", 2)


@pytest.fixture
def redis_pair(redis_urls):
    """A pair of Redis databases, with production's key."""
    with redis_driver.Redis.from_url(redis_urls[0]) as client:
        client.set("one", '{"a": 1}', ex=100)
    production, sister = (RedisStore(url, codec=Json(), streams=STREAMS) for url in redis_urls)
    with closing(SisterStore(production=production, sister=sister)) as db:
        yield db, db.key("one"), db.key("two")


@pytest.fixture
def memcached_pair(two_memcached, memcached_prefix):
    """A pair of Memcached servers, with production's key."""
    production, sister = (MemcachedStore(server.url, codec=Json()) for server in two_memcached)
    with closing(SisterStore(production=production, sister=sister)) as db:
        one = db.key(f"{memcached_prefix}one")
        with contextlib.closing(MemcachedStore(two_memcached[0].url, codec=Json())) as writer:
            writer.write([Record(one, {"a": 1}, meta={"flags": 7, "ttl": 100})])
        yield db, one, db.key(f"{memcached_prefix}two")


@pytest.fixture
def memory_pair():
    """A pair of embedded stores, with production's row 1."""
    production, sister = MemoryStore(tables=TABLES), MemoryStore(tables=TABLES)
    production.client().insert("comments", {"id": 1, "body": "body 1", "version": 1})
    with closing(SisterStore(production=production, sister=sister)) as db:
        yield db, db.row("comments", 1), db.row("comments", 2)


@pytest.fixture(params=["memory", "postgres", "redis", "memcached"])
def real_pair(request):
    """Each kind of pair with a ref of a record that production has and one of a record that it has not."""
    return request.getfixturevalue(f"{request.param}_pair")


def test_pair_round(real_pair):
    """A record comes from production to the sister as it is, is no different there, and expires."""
    db, one, two = real_pair
    base = db.read_production([one, two])
    assert [record.exists for record in base.records] == [True, False]
    assert not db.read_sister([one]).records[0].exists
    db.hydrate(base.records)
    assert db.isolated is True
    there = db.read_sister([one, two]).records
    for ours, theirs in zip(base.records, there, strict=True):
        assert list(db.differences(ours, theirs, compare=structural())) == []
        assert list(db.differences(theirs, ours, compare=structural())) == []
    db.probe()
    now = time.monotonic()
    assert db.expire(now=now + LATER) == 1
    assert not db.read_sister([one]).records[0].exists
    assert db.read_production([one]).records[0].exists


def test_pair_reset(real_pair):
    """A reset empties the sister and leaves production as it is."""
    db, one, _ = real_pair
    db.hydrate(db.read_production([one]).records)
    db.reset()
    assert not db.read_sister([one]).records[0].exists
    assert db.read_production([one]).records[0].exists


def test_pair_production_cannot_write(real_pair):
    """Production's store writes nothing once it is half of a pair."""
    db, one, _ = real_pair
    production = db.production
    for write in (
        lambda: production.write([Record(one)]),
        lambda: production.delete([one]),
        production.reset,
        lambda: production.plant("x"),
    ):
        with pytest.raises(ProductionRefused):
            write()
    assert db.read_production([one]).records[0].exists


def test_pair_clients(real_pair):
    """The checked side gets the sister's client, and production's store refuses it its own."""
    db, _, _ = real_pair
    production = db.production
    assert db.client() is production.client()
    with checked():
        assert db.client() is db.sister.client()
        with pytest.raises(ProductionRefused):
            production.client()


def refused(make, places):
    """Say which test of the proof refuses two handles made for two addresses of one store."""
    with closing(SisterStore(production=make(places[0]), sister=make(places[1]))) as db:
        with pytest.raises(NotIsolated) as caught:
            db.prove()
        with pytest.raises(NotIsolated):
            db.reset()
        assert db.isolated is False
    return caught.value.test


def makers(request):
    """Give for each kind of server how a store is made, an address, and the address by another host and port."""

    def redis_store(url):
        return RedisStore(url)

    def postgres_store(url):
        return PostgresStore(url, tables=TABLES)

    kind = request.param
    if kind == "memcached":
        server = request.getfixturevalue("memcached")
        return MemcachedStore, server.port, server.url, lambda port, host="127.0.0.1": f"{host}:{port}"
    url = request.getfixturevalue(f"{kind}_url")
    make = redis_store if kind == "redis" else postgres_store
    if kind == "postgres":
        fill(url)
    return make, urlsplit(url).port, url, lambda port, host="127.0.0.1": moved(url, port, host)


@pytest.fixture(params=["postgres", "redis", "memcached"])
def one_server(request):
    """One store of each kind, and how to address it otherwise."""
    return makers(request)


def test_same_store_by_another_name(one_server):
    """One store by two spellings of its host is found out before anything is written."""
    make, port, address, at = one_server
    assert refused(make, (address, at(port, "localhost"))) == "identity"


def test_same_store_through_a_proxy(one_server):
    """One store that is reached through a proxy is found out."""
    make, port, address, at = one_server
    with Proxy(port) as proxy:
        assert refused(make, (address, at(proxy.port))) in {"identity", "production"}


def test_same_space():
    """Two embedded stores over one space are found out."""
    space = MemorySpace()
    assert refused(lambda space: MemoryStore(space=space), (space, space)) == "identity"


def test_sister_restarted(redis_url, monkeypatch):
    """After the sister's server was gone and another one took its place, it is proved again and used again."""
    monkeypatch.setattr(_sister_proof, "_UNREACHED", (0.01, 0.01))
    with Redis() as first, Proxy(first.port) as proxy, Redis() as second:
        sister = RedisStore(f"redis://127.0.0.1:{proxy.port}/0", timeout=5)
        with closing(SisterStore(production=RedisStore(redis_url), sister=sister)) as db:
            record = Record(db.key("k"), b"1", meta={"type": "string"})
            db.hydrate([record])
            first.stop()
            with pytest.raises(StoreUnavailable):
                db.hydrate([record])
            assert db.isolated is None
            proxy.target = second.port
            end = time.monotonic() + 30
            while db.isolated is None and time.monotonic() < end:
                with contextlib.suppress(StoreUnavailable):
                    db.prove()
            db.hydrate([record])
            assert db.read_sister([record.ref]).records[0].value == b"1"


def test_memcached_to_redis(memcached, redis_url, memcached_prefix):
    """A cache that moves from Memcached to Redis is compared in the value and time to live that both have."""
    sister = RedisStore(redis_url, codec=Json())
    production = MemcachedStore(memcached.url, codec=Json())
    translation = Translation(
        ref=lambda ref: evolve(ref, key=(f"new:{ref.key[0]}",)),
        hydrate=lambda record: evolve(record, meta={"type": "string", "ttl": record.meta.get("ttl")}),
    )
    with closing(SisterStore(production=production, sister=sister, name="cache", translation=translation)) as cache:
        refs = [cache.key(f"{memcached_prefix}{name}") for name in ("one", "none")]
        with contextlib.closing(MemcachedStore(memcached.url, codec=Json())) as writer:
            writer.write([Record(refs[0], {"a": 1}, meta={"flags": 7, "ttl": 100})])
        cache.hydrate(cache.read_production(refs).records)
        with redis_driver.Redis.from_url(redis_url) as client:
            assert client.keys() == [f"new:{memcached_prefix}one".encode()]
            pairs = zip(cache.read_production(refs).records, cache.read_sister(refs).records, strict=True)
            assert [list(cache.differences(*pair, compare=structural())) for pair in pairs] == [[], []]
            client.set(f"new:{memcached_prefix}one", '{"a": 2}', ex=10)
        ours, theirs = cache.read_production(refs[:1]).records[0], cache.read_sister(refs[:1]).records[0]
        found = cache.differences(ours, theirs, compare=structural())
        assert [(one.path, one.ref) for one in found] == [("$.a", refs[0]), ("@ttl", refs[0])]


def test_provision_and_backfill(databases):
    """A sister database gets production's tables and rows, and only the proof is needed before."""
    fill(databases[0], rows=25)
    production, sister = (PostgresStore(url, tables=TABLES) for url in databases)
    with closing(SisterStore(production=production, sister=sister)) as db:
        made = db.provision()
        assert any("comments" in name for name in made.created)
        assert db.isolated is True
        steps = []
        assert db.backfill(where={"comments": "id <= 20"}, batch=10, progress=steps.append) == {"public.comments": 20}
        assert steps[-1].done
        assert db.backfill(["comments"]) == {"public.comments": 25}
        assert db.backfill(TABLES, restart=True) == {"public.comments": 25}
        refs = [db.row("comments", number) for number in (1, 25, 26)]
        pairs = zip(db.read_production(refs).records, db.read_sister(refs).records, strict=True)
        assert [list(db.differences(*pair, compare=structural())) for pair in pairs] == [[], [], []]


def test_provision_and_backfill_of_others(memory_pair, redis_pair):
    """An embedded sister needs no schema, and stores that cannot be copied say what can."""
    assert memory_pair[0].provision() is None
    for act in (memory_pair[0].backfill, redis_pair[0].backfill, redis_pair[0].provision):
        with pytest.raises(StoreError, match="cannot") as caught:
            act()
        assert "Postgres" in caught.value.remedy


def test_provision_while_down(databases):
    """A server that is gone when the schema is to be read is unavailable."""
    fill(databases[0])
    production, sister = (PostgresStore(url, tables=TABLES) for url in databases)
    with closing(SisterStore(production=production, sister=sister)) as db:
        db.prove()
        production.conninfo = moved(databases[0], 1)
        with pytest.raises(StoreUnavailable) as caught:
            db.provision()
        assert urlsplit(databases[0]).password not in str(caught.value)
