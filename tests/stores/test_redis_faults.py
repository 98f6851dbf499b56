"""When Redis is down, slow, full or says no: a named error within the time, and the next call tries anew."""

import asyncio
import os
import signal
import socket
import threading
import time

import pytest
import redis as driver
from redis_support import Proxy, entry, key, one, saying

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import MISSING, Record
from shadowmig.stores import RedisStore, Stream
from shadowmig.testing.servers import Redis

pytestmark = pytest.mark.usefixtures("redis")  # skipped where there is none to start

FAR = 5.0
"""Seconds that no bounded call takes, however busy the machine is."""


@pytest.fixture(params=["threads", "loop"])
def read(request):
    """Read one record, in this thread or on an event loop that goes on between calls."""
    if request.param == "threads":
        yield lambda store, ref, **options: store.read([ref], **options).records[0]
        return
    with asyncio.Runner() as runner:
        yield lambda store, ref, **options: runner.run(store.aread([ref], **options)).records[0]


@pytest.fixture
def proxy(redis, redis_url):
    with Proxy(redis.host, redis.port) as made:
        yield made


@pytest.fixture
def store(proxy):
    made = RedisStore(proxy.url, timeout=20.0)
    yield made
    made.close()


@pytest.fixture
def client(redis_url):
    with driver.Redis.from_url(redis_url) as made:
        made.set("a", "v")
        yield made


def test_nobody_listens(read):
    """A server that is not there is unavailable, at once."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    store = RedisStore(f"redis://127.0.0.1:{port}", timeout=30.0)
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}.* cannot be reached"):
        read(store, key("a"))
    assert time.monotonic() - begin < FAR
    store.close()


@pytest.mark.parametrize("mode", ["silent", "slow"])
def test_no_answer_in_time(read, store, proxy, client, mode):
    """A server that says nothing, or says it byte by byte, is given up in time, and is read again when it is well."""
    assert read(store, key("a")).value == b"v"
    client.set("a", b"v" * 1000)
    proxy.mode = mode
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        read(store, key("a"), timeout=0.3)
    assert time.monotonic() - begin < FAR
    proxy.mode = "pass"
    assert read(store, key("a")).value == b"v" * 1000


def test_accepts_and_is_silent(read):
    """A server that accepts connections and never answers is given up in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = RedisStore(f"redis://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            read(store, key("a"))
        assert time.monotonic() - begin < FAR
        store.close()


def test_shorter_timeout(read, proxy, client):
    """A call's own timeout counts where it is shorter, a longer one does not."""
    store = RedisStore(proxy.url, timeout=30.0)
    assert read(store, key("a"), timeout=20.0).value == b"v"
    proxy.mode = "silent"
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read(store, key("a"), timeout=0.1)
    with pytest.raises(StoreUnavailable):
        read(store, key("a"), timeout=0)
    assert time.monotonic() - begin < FAR
    store.close()


@pytest.mark.parametrize("how", [socket.SHUT_RDWR, socket.SHUT_WR])
def test_connection_closed(read, store, proxy, client, how):
    """A connection that was closed while it was not used, or to one side only, is replaced without an error."""
    assert read(store, key("a")).value == b"v"
    proxy.cut(how)
    assert read(store, key("a")).value == b"v"


def test_hangs_up(read, store, proxy, client):
    """A server that hangs up on everybody is unavailable until it does not."""
    proxy.mode = "refuse"
    with pytest.raises(StoreUnavailable):
        read(store, key("a"))
    proxy.mode = "pass"
    assert read(store, key("a")).value == b"v"


def test_closed_before_a_write(store, proxy, client):
    """A write over a connection that was closed while it was not used goes over a new one."""
    store.write([Record(key("a"), b"1")])
    proxy.cut()
    store.write([Record(key("a"), b"2")])
    assert client.get("a") == b"2"


def test_write_without_answer(proxy, client):
    """A write that gets no answer is an error and is not sent twice, for it may have arrived."""
    store = RedisStore(proxy.url, timeout=2.0)
    store.write([Record(key("a"), b"1")])
    proxy.mode = "silent"
    before = client.info("commandstats")["cmdstat_set"]["calls"]
    with pytest.raises(StoreUnavailable):
        store.write([Record(key("a"), b"2")])
    assert client.get("a") == b"2"
    assert client.info("commandstats")["cmdstat_set"]["calls"] == before + 1
    store.close()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-LOADING Redis is loading the dataset in memory\r\n" * 9],
    ids=["http", "loading"],
)
def test_says_something_else(read, answer):
    """A server that speaks another protocol, or still loads its data, is unavailable."""
    with saying(answer) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}", timeout=20.0)
        with pytest.raises(StoreUnavailable):
            read(store, key("a"))
        store.close()


@pytest.mark.parametrize("url", ["redis://:wrong-secret@", "redis://nobody:wrong-secret@", "redis://"])
def test_wrong_password(read, url):
    """A wrong or missing password is a named error that does not show it."""
    with Redis() as server:
        with driver.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "right-secret")
        store = RedisStore(f"{url}{server.host}:{server.port}")
        with pytest.raises(StoreError, match="refused the user or the password") as caught:
            read(store, key("a"))
        assert "secret" not in str(caught.value)
        assert not isinstance(caught.value, StoreUnavailable)
        right = RedisStore(f"redis://:right-secret@{server.host}:{server.port}")
        assert read(right, key("a")).value is MISSING
        right.close()
        store.close()


def test_no_such_database(read, redis):
    """A database that the server does not have is a named error."""
    store = RedisStore(f"redis://{redis.host}:{redis.port}/99")
    with pytest.raises(StoreError, match="refused a command"):
        read(store, key("a"))
    store.close()


def test_memory_full():
    """A server whose memory is full is a named error; nothing of the write is there, and reading goes on."""
    with Redis(settings={"maxmemory": "2mb", "maxmemory-policy": "noeviction"}) as server:
        store = RedisStore(server.url)
        store.write([Record(key("small"), b"1")])

        def fill():
            for number in range(10):
                store.write([Record(key(f"big {number}"), b"x" * 1_000_000), Record(key(f"with {number}"), b"1")])

        with pytest.raises(StoreError, match=r"OOM.*memory is full") as caught:
            fill()
        assert not isinstance(caught.value, StoreUnavailable)
        with store.client() as client:
            assert len(client.keys("big *")) == len(client.keys("with *"))
        assert one(store, key("small")).value == b"1"
        store.close()


def test_master_down():
    """A replica that has lost its primary, and may not answer with old data, is unavailable."""
    with Redis(settings={"replicaof": "127.0.0.1 1", "replica-serve-stale-data": "no"}) as server:
        store = RedisStore(server.url)
        with pytest.raises(StoreUnavailable):
            one(store, key("a"))
        store.close()


def test_replica_is_not_written():
    """A replica is read like its primary, has the same identity, and a write to it is a named error."""
    at_once = {"repl-diskless-sync-delay": "0"}
    with Redis(settings=at_once) as primary, Redis(settings={"replicaof": f"127.0.0.1 {primary.port}"}) as server:
        store, copy = RedisStore(primary.url), RedisStore(server.url)
        store.write([Record(key("a"), b"1")])
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if one(copy, key("a")).exists:
                    break
            except StoreUnavailable:
                pass  # it is loading what its primary sent
        assert one(copy, key("a")).value == b"1"
        assert copy.identity() == store.identity()
        with pytest.raises(StoreError, match=r"READONLY.*replica"):
            copy.write([Record(key("a"), b"2")])
        store.close()
        copy.close()


def test_restart(read):
    """After its server was started anew, empty, a store reads and writes it, and its streams begin anew."""
    server = Redis().start()
    store = RedisStore(server.url, streams=[Stream("events", id="id")])
    try:
        store.write([Record(key("a"), b"1"), Record(entry("events", "x"), {"id": "x"})])
        assert read(store, entry("events", "x")).exists
        identity, port = store.identity(), server.port
        server.stop()
        with pytest.raises(StoreUnavailable):
            read(store, key("a"))
        server = Redis(settings={"port": str(port)})
        server._answers = lambda folder, _, pid: type(server)._answers(server, folder, port, pid)
        server.start()
        assert read(store, key("a")).value is MISSING
        assert read(store, entry("events", "x")).value is MISSING
        assert store.identity() != identity
        store.write([Record(key("a"), b"2")])
        assert read(store, key("a")).value == b"2"
    finally:
        store.close()
        server.stop()


def test_all_connections_in_use(proxy, client):
    """A call that gets no connection in time says so."""
    store = RedisStore(proxy.url, timeout=2.0, connections=1)
    assert one(store, key("a")).value == b"v"
    proxy.mode = "silent"
    errors, barrier = [], threading.Barrier(3)

    def work():
        barrier.wait()
        try:
            one(store, key("a"))
        except StoreUnavailable as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert any("All 1 connections" in error for error in errors)
    proxy.mode = "pass"
    assert one(store, key("a")).value == b"v"
    store.close()


def test_fork(redis_url, client):
    """A forked child makes connections of its own, and parent and child do not take each other's answers."""
    store = RedisStore(redis_url, streams=[Stream("events", id="id")], timeout=20.0)
    client.xadd("events", {"id": "x"})
    refs = [key("a"), entry("events", "x")]
    assert all(record.exists for record in store.read(refs).records)
    mine = {each["id"] for each in client.client_list()}
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = all(record.exists for _ in range(50) for record in store.read(refs).records)
            good = good and store.read([], since=0).mark > 0
            store.close()
        finally:
            os._exit(0 if good else 1)
    for _ in range(50):
        assert all(record.exists for record in store.read(refs).records)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert one(store, key("a")).value == b"v"
    assert {each["id"] for each in client.client_list()} <= mine
    store.close()


def test_stopped_server(read):
    """A server whose process is stopped is given up in time, and read when it goes on."""
    with Redis() as server:
        store = RedisStore(server.url, timeout=20.0)
        assert read(store, key("a")).value is MISSING
        pid = store.client().info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="in time"):
                read(store, key("a"), timeout=0.3)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert read(store, key("a")).value is MISSING
        store.close()
