"""Memcached, several servers and many connections: keys are found where the service's client puts them."""

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from memcached_support import Proxy, Scripted, key, own_server
from pymemcache.client.hash import HashClient

import shadowmig
from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import MISSING, Record
from shadowmig.stores import MemcachedStore

NAMES = [f"comment:{number}" for number in range(100)]
REFS = [key(name) for name in NAMES]


@pytest.fixture(scope="module")
def pair():
    """Two running servers."""
    with own_server() as first, own_server() as second:
        yield first, second


@pytest.fixture
def make():
    """Make stores that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(*args, **options):
            store = MemcachedStore(*args, **options)
            stack.callback(store.close)
            return store

        yield make


def values(store, refs=REFS):
    """Read the values of refs."""
    return [record.value for record in store.read(refs).records]


class FirstLetter:
    """A hasher of one's own: it looks at the end of a key."""

    def __init__(self):
        self.nodes = []

    def add_node(self, node):
        self.nodes.append(node)

    def get_node(self, name):
        return self.nodes[int(name[-1]) % len(self.nodes)]


@pytest.mark.parametrize("options", [{}, {"key_prefix": b"prefix:"}, {"hasher": FirstLetter}])
@pytest.mark.parametrize("turned", [False, True])
def test_keys_are_where_the_service_puts_them(make, pair, options, turned):
    """What a service's HashClient writes to two servers the store reads, and the other way round."""
    urls = [server.url for server in pair]
    store = make(urls[::-1] if turned and not options.get("hasher") else urls, **options)
    store.reset()
    service = HashClient(urls, timeout=5, default_noreply=False, **options)
    try:
        service.set_many({name: name.encode() for name in NAMES})
        assert values(store) == [name.encode() for name in NAMES]
        store.write([Record(ref, b"new") for ref in REFS])
        assert service.get_many(NAMES) == dict.fromkeys(NAMES, b"new")
        assert store.client().get_many(NAMES) == dict.fromkeys(NAMES, b"new")
        store.delete(REFS[::2])
        assert set(service.get_many(NAMES)) == set(NAMES[1::2])
    finally:
        service.close()
    counts = [
        sum(value is not MISSING for value in values(make(url, key_prefix=options.get("key_prefix", ""))))
        for url in urls
    ]
    assert sum(counts) == 50
    assert options.get("hasher") or all(counts)


def test_keys_of_bytes_are_where_the_service_puts_them(make, pair):
    """A key of bytes may be on another server than the same text, and is found there."""
    urls = [server.url for server in pair]
    service = HashClient(urls, timeout=5, default_noreply=False)
    try:
        service.set_many({name.encode(): b"bytes" for name in NAMES})
    finally:
        service.close()
    assert values(make(urls), [key(name.encode()) for name in NAMES]) == [b"bytes"] * len(NAMES)


def test_hasher_that_gives_no_server(make):
    """A hasher that gives something else than a server is an error that names it."""

    class Lost(FirstLetter):
        def get_node(self, name):
            return None

    with pytest.raises(StoreError, match="hasher"):
        make(["a:1", "b:1"], hasher=Lost).read(REFS)


def test_one_of_two_is_down(make, pair):
    """A call that needs a server that is down fails, and the keys of the other one are read on."""
    store = make([pair[0].url, "127.0.0.1:1"], hasher=FirstLetter)
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        store.read(REFS)
    make(pair[0].url).write([Record(key("a0"), b"x")])
    assert values(store, [key("a0")]) == [b"x"]


def test_identity_of_several(make, pair):
    """Several servers have one identity in any order, and another one than a part of them."""
    urls = [server.url for server in pair]
    assert make(urls).identity() == make(urls[::-1]).identity()
    assert len({make(given).identity() for given in (urls, urls[0], urls[1])}) == 3


def test_mark_shows_a_shared_server(make, pair):
    """A mark shows in another store if they have but one server in common."""
    with own_server() as third:
        sister, production = make([pair[0].url, pair[1].url]), make([pair[1].url, third.url])
        sister.plant("n")
        assert production.finds("n")
        assert not make(third.url).finds("n")
        sister.plant("")
        assert not production.finds("n")


def test_identity_through_a_proxy(make, pair):
    """A server has the same identity directly and through a proxy, and shows its mark there."""
    with Proxy(pair[0].port) as proxy:
        store, through = make(pair[0].url), make(proxy.url)
        assert store.identity() == through.identity()
        store.plant("n")
        assert through.finds("n")


def test_restart(make):
    """After a restart the next call succeeds, though the connections from before are dead."""
    with Proxy(0) as proxy:
        store = make(proxy.url)
        with own_server() as server:
            proxy.target = server.port
            store.write([Record(key("a"), b"x")])
            identity = store.identity()
        proxy.target = 0
        with pytest.raises(StoreUnavailable):
            store.read([key("a")])
        with pytest.raises(StoreUnavailable):
            store.write([Record(key("a"), b"x")])
        with own_server() as server:
            proxy.target = server.port
            assert values(store, [key("a")]) == [MISSING]
            store.write([Record(key("a"), b"y")])
            assert values(store, [key("a")]) == [b"y"]
            assert store.identity() != identity


def test_stale_connection_is_tried_again():
    """A read on an idle connection that the server closes just then succeeds on a new one; a write is not repeated."""
    served = []

    def answer(line):
        served.append(line)
        if len(served) in (2, 4):
            return None
        return b"STORED\r\n" if line.startswith(b"set ") else b"EN\r\n"

    with Scripted(answer) as server, contextlib.closing(MemcachedStore(server.url)) as store:
        for connections in (1, 2):
            assert values(store, [key("a")]) == [MISSING]
            assert server.connections == connections
        with pytest.raises(StoreUnavailable):
            store.write([Record(key("a"), b"x")])
        assert server.connections == 2


def test_a_connection_that_closes_at_once_is_tried_once():
    """A server that closes new connections too is unavailable, not asked for ever."""
    with Scripted(lambda line: None) as server, contextlib.closing(MemcachedStore(server.url)) as store:
        with pytest.raises(StoreUnavailable):
            store.read([key("a")])
        assert server.connections == 1


def test_connections_are_kept(pair):
    """Calls one after the other use one connection; of many at once only so many stay open as are to be kept."""
    with Proxy(pair[0].port) as proxy, contextlib.closing(MemcachedStore(proxy.url, connections=2)) as store:
        for _ in range(10):
            store.read(REFS)
        assert proxy.connections == 1
        store.write([Record(ref, b"x") for ref in REFS])
        (server,) = store._servers.all
        held = [server.take(time.monotonic() + 5) for _ in range(6)]
        for connection in held:
            server.put_back(connection)
        assert len(server._idle) == 2
        assert server.take(time.monotonic() + 5) is held[-1]
        held[-1].close()
        store.close()
        store.close()
        assert not server._idle
        assert values(store, REFS[:1]) == [b"x"]
        assert not server._idle


def test_threads(make, pair):
    """Threads at once read and write each their own values."""
    store = make([server.url for server in pair], timeout=30)
    failures = []

    def work(number):
        refs = [key(f"thread:{number}:{each}") for each in range(20)]
        for turn in range(15):
            data = f"{number}:{turn}".encode() * (1 + turn * 50)
            store.write([Record(ref, data) for ref in refs])
            if values(store, refs) != [data] * len(refs):
                failures.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert failures == []


def test_fork(make, pair):
    """A forked child makes connections and a client of its own, and the parent goes on with its own."""
    store = make(pair[0].url)
    store.write([Record(key("a"), b"x")])
    client = store.client()
    (server,) = store._servers.all
    before = list(server._idle)
    child = os.fork()
    if child == 0:  # pragma: no cover - it runs in the child
        good = False
        try:
            good = values(store, [key("a")]) == [b"x"] and not set(server._idle) & set(before)
            good = good and store.client() is not client and store.client().get("a") == b"x"
            store.close()
        finally:
            os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert values(store, [key("a")]) == [b"x"]
    assert list(server._idle) == before
    assert store.client() is client


GEVENT = """
from gevent import monkey
monkey.patch_all()
import socket, sys
import gevent
from shadowmig.model import Record, Ref
from shadowmig.stores import MemcachedStore

silent = socket.create_server(("127.0.0.1", 0))
store, stuck = MemcachedStore(sys.argv[1]), MemcachedStore("127.0.0.1:%d" % silent.getsockname()[1], timeout=30)
waiting = gevent.spawn(stuck.read, [Ref("", "key", "", ("a",))])
gevent.sleep(0.1)
refs = [Ref("", "key", "", (f"gevent:{number}",)) for number in range(20)]
store.write([Record(ref, bytes(100_000)) for ref in refs])
assert {record.value for record in store.read(refs).records} == {bytes(100_000)}
assert not waiting.ready()
waiting.kill()
store.close()
silent.close()
print("good")
"""


def test_gevent(pair):
    """Under gevent a call that waits lets others work, and leaves nothing behind when it is killed."""
    # Measuring coverage does not go with greenlets here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONPATH"] = str(Path(shadowmig.__file__).parents[1])
    program = [sys.executable, "-W", "error", "-c", GEVENT, pair[0].url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("good\n", "")
