"""Memcached, when the other end is slow, broken, old or no Memcached at all: an error in time, never a wrong value."""

import contextlib
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memcached_support import VERSION, Listener, Proxy, Scripted, key

from shadowmig.errors import ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import MISSING, Record
from shadowmig.stores import MemcachedStore
from shadowmig.stores._mc_meta import READS, Flush, Key, Put, Remove, Request

OLD = b"VERSION 1.5.22\r\n"
PATIENCE = 10
"""Seconds within which a call with a timeout of a tenth of one must have ended."""


@contextlib.contextmanager
def talking(answer, *, timeout=5.0, version=VERSION):
    """Give a store whose server answers as told, and the server."""
    server = Scripted(answer, version=version)
    with server, contextlib.closing(MemcachedStore(server.url, timeout=timeout)) as store:
        yield store, server


def read(store, name="a"):
    """Read one record."""
    return store.read([key(name)]).records[0]


def tag(line):
    """Take the number out of a meta command."""
    return line.split()[-1]


def item(line, data):
    """Answer a meta command as a server does that holds the data."""
    return b"VA %d f7 t-1 c9 %b\r\n%b\r\n" % (len(data), tag(line), data)


def silent(connection):
    """Read and say nothing."""
    while connection.recv(4096):
        pass


def deaf(connection):
    """Not even read."""
    with contextlib.suppress(TimeoutError):
        connection.settimeout(PATIENCE)
        time.sleep(0.5)


def dripping(connection):
    """Say something, byte by byte, for ever."""
    connection.settimeout(0.02)
    for byte in VERSION + b"VA 1000 f7 t-1 c9 O1\r\n" + bytes(10_000):
        with contextlib.suppress(TimeoutError):
            connection.recv(4096)
        connection.sendall(bytes([byte]))


@pytest.mark.parametrize("serve", [silent, deaf, dripping])
def test_timeout(serve):
    """A server that does not answer within the timeout, however busy it seems, is unavailable."""
    with Listener(serve) as server, contextlib.closing(MemcachedStore(server.url, timeout=0.1)) as store:
        for call in (
            lambda: read(store),
            lambda: store.write([Record(key("a"), bytes(20_000_000))]),
            store.identity,
            store.reset,
        ):
            start = time.monotonic()
            with pytest.raises(StoreUnavailable, match="did not answer in time") as caught:
                call()
            assert time.monotonic() - start < PATIENCE
            assert server.url in str(caught.value)


def test_timeout_of_a_call():
    """A call may be given less time than the store has, but not more."""
    with Listener(silent) as server:
        for own, timeout in ((60, 0.1), (0.1, 60), (60, 0), (60, -1)):
            with contextlib.closing(MemcachedStore(server.url, timeout=own)) as store:
                start = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    store.read([key("a")], timeout=timeout)
                assert time.monotonic() - start < PATIENCE


def test_a_slow_reply_is_whole():
    """A reply that comes in small pieces within the timeout is read whole."""
    data = bytes(range(256)) * 20

    def serve(connection):
        with connection.makefile("rb") as incoming:
            for line in incoming:
                reply = VERSION if line == b"version\r\n" else item(line, data)
                for start in range(0, len(reply), 7):
                    connection.sendall(reply[start : start + 7])

    with Listener(serve) as server, contextlib.closing(MemcachedStore(server.url, timeout=60)) as store:
        assert read(store).value == data


@pytest.mark.parametrize("url", ["127.0.0.1:1", "no-such-host.invalid:1", f"{'x' * 70}:1", "/no/such/socket"])
def test_nobody_there(url):
    """An address where nobody listens, or that does not exist, is unavailable."""
    store = MemcachedStore(url, timeout=5)
    with contextlib.closing(store), pytest.raises(StoreUnavailable, match="cannot be reached"):
        read(store)


GARBAGE = [
    b"\r\n",
    b"HD\r\n",
    b"MN\r\n",
    b"STORED\r\n",
    b"END\r\n",
    b"EN O99999\r\n",
    b"VA\r\n",
    b"VA 1\r\nx\r\n",
    b"VA x f7 t-1 c9 O1\r\nx\r\n",
    b"VA -1 f7 t-1 c9 O1\r\nx\r\n",
    b"VA 1 f7 t-1 c9 O99\r\nx\r\n",
    b"VA 1 f7 t-1 c9\r\nx\r\n",
    b"VA 1 t-1 f7 c9 O1\r\nx\r\n",
    b"VA 1 f7 t-1 c9 O1 \r\nx\r\n",
    b"VA 1 f7 t-1 O1\r\nx\r\n",
    b"VA 1 f7 c9 O1\r\nx\r\n",
    b"VA 1 t-1 c9 O1\r\nx\r\n",
    b"VA 1 f t-1 c9 O1\r\nx\r\n",
    b"VA 1 f-7 t-1 c9 O1\r\nx\r\n",
    b"VA 1 f7 t-2 c9 O1\r\nx\r\n",
    b"VA 1 f7 t-1 c1_0 O1\r\nx\r\n",
    b"VA 1 f7 t-1 c9 O1\r\nxx\r\n",
    b"VA 2 f7 t-1 c9 O1\r\nx\r\n" + b"?" * 9,
    b"VA 1073741825 f7 t-1 c9 O1\r\nx\r\n",
    b"VA 99999999999999999999 f7 t-1 c9 O1\r\nx\r\n",
    b"VA 999999999999999999999999 f7 t-1 c9 O1\r\nx\r\n",
    b"VALUE a 0 1 1\r\nx\r\nEND\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\xff\x00" * 1000 + b"\r\n",
    b"x" * 10_000_000,
    b"y" * 2_100 + b"\r\n",
]


@pytest.mark.parametrize("reply", GARBAGE)
def test_garbage(reply):
    """A reply that is none is an error that says so, and the connection is not used again."""
    with talking(lambda _: reply) as (store, server):
        for connections in (1, 2):
            with pytest.raises(StoreError, match="no reply of Memcached"):
                read(store)
            assert server.connections == connections


@pytest.mark.parametrize("version", [b"\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail ESMTP\r\n", b"-ERR\r\n"])
def test_no_memcached(version):
    """A server that is no Memcached is told by its first reply."""
    with talking(lambda _: None, version=version) as (store, server):
        with pytest.raises(StoreError, match="no reply of Memcached"):
            read(store)
        assert server.lines == [b"version\r\n"]


@given(data=st.binary(max_size=50), cut=st.integers(0, 80))
def test_cut_at_any_place(data, cut):
    """A server that closes the connection anywhere in a reply is unavailable, and gives no shorter value."""

    def serve(connection):
        with connection.makefile("rb") as incoming:
            for line in incoming:
                if line == b"version\r\n":
                    connection.sendall(VERSION)
                else:
                    connection.sendall(item(line, data)[:-1][:cut])
                    return

    with Listener(serve) as server:
        store = MemcachedStore(server.url, timeout=5)
        with contextlib.closing(store), pytest.raises(StoreUnavailable):
            read(store)


@given(reply=st.binary(max_size=60))
def test_arbitrary_replies(reply):
    """Whatever comes back, the outcome is a store's error, or what the reply says by the protocol."""

    def serve(connection):
        connection.recv(100)
        connection.sendall(VERSION)
        connection.recv(100)
        connection.sendall(reply)

    with Listener(serve) as server, contextlib.closing(MemcachedStore(server.url, timeout=5)) as store:
        try:
            record = read(store)
        except StoreError:
            return
        assert reply.startswith(b"VA" if record.exists else b"EN")


def test_more_than_was_asked():
    """A connection on which more comes than was asked for is not used again, so no value goes to another key."""
    with talking(lambda line: item(line, b"one") + b"EN\r\n") as (store, server):
        assert [read(store, name).value for name in "ab"] == [b"one", b"one"]
        assert server.connections == 2


def test_replies_are_told_apart():
    """A late reply to another request is not taken for the one awaited."""
    late = []

    def answer(line):
        late.append(item(line, line.split()[1]))
        return late[0]

    with talking(answer) as (store, _):
        assert read(store, "a").value == b"a"
        with pytest.raises(StoreError):
            read(store, "b")


def test_newer_servers_say_more():
    """Words in a reply that were not asked for are left aside, and a miss may show the number of its request."""
    with talking(lambda line: b"VA 1 f7 t30 c9 %b s1 Z ka\r\nx\r\n" % tag(line)) as (store, _):
        assert read(store).meta == {"flags": 7, "ttl": 30}
    with talking(lambda line: b"EN %b\r\n" % tag(line)) as (store, _):
        assert not read(store).exists


@pytest.mark.parametrize("reply", [b"SERVER_ERROR out of memory\r\n", b"CLIENT_ERROR bad command line format\r\n"])
def test_the_servers_own_errors(reply):
    """What the server says against a request is in the error, with the ref."""
    with (
        talking(lambda _: reply) as (store, _),
        pytest.raises(StoreError, match=r"refused \['a'\]: (SERVER|CLIENT)_ERROR"),
    ):
        read(store)


def test_authentication():
    """A server that wants a password is an error that says what can be done."""
    with (
        talking(lambda _: None, version=b"CLIENT_ERROR unauthenticated\r\n") as (store, _),
        pytest.raises(StoreError, match="no authentication"),
    ):
        read(store)


def test_refusal_before_the_end():
    """When the server refuses a record and then closes the connection, the refusal is what is told."""

    def answer(line):
        if line.startswith(b"set first"):
            return b"SERVER_ERROR object too large for cache\r\n"
        return None if line.startswith(b"set second") else b""

    with talking(answer) as (store, _), pytest.raises(StoreError, match=r"refused \['first'\].*too large"):
        store.write([Record(key("first"), b"x"), Record(key("second"), b"x")])


@pytest.mark.parametrize("reply", [b"NOT_STORED\r\n", b"HD\r\n", b"EN\r\n", b"ERROR\r\n"])
def test_unexpected_reply_to_a_write(reply):
    """A reply to a write that is not the expected one is an error."""
    with talking(lambda line: reply if line.startswith(b"set") else b"") as (store, _), pytest.raises(StoreError):
        store.write([Record(key("a"), b"x")])


def old(data):
    """Answer as an old server does that holds the data under every key."""

    def answer(line):
        if not line.startswith(b"gets "):
            return b"ERROR\r\n"
        return b"VALUE %b 7 %d 9\r\n%b\r\nEND\r\n" % (line.split()[1], len(data), data)

    return answer


@pytest.mark.parametrize("version", [OLD, VERSION, b"VERSION 1.6.9\r\n", b"VERSION mcrouter 0.36\r\n", b"ERROR\r\n"])
@pytest.mark.parametrize("data", [b"hello", b"", b"END\r\n", b"\r\nVALUE a 0 1 1\r\n"])
def test_without_meta_commands(version, data):
    """A server without meta commands is read by ``gets``, and tells no time to live."""
    with talking(old(data), version=version) as (store, server):
        for _ in range(2):
            record = read(store)
            assert (record.value, record.raw, record.token, record.meta) == (data, data, 9, {"flags": 7})
        assert sum(line.startswith(b"mg") for line in server.lines) == (version == VERSION)


@pytest.mark.parametrize(
    "reply",
    [
        b"EN\r\n",
        b"END x\r\n",
        b"VALUE b 7 1 9\r\nx\r\nEND\r\n",
        b"VALUE a 7 1 9 9\r\nx\r\nEND\r\n",
        b"VALUE a 7\r\n",
        b"VALUE a x 1 9\r\nx\r\nEND\r\n",
        b"VALUE a 7 2 9\r\nx\r\nEND\r\n",
        b"VALUE a 7 1 9\r\nx\r\nVALUE a 7 1 9\r\nx\r\nEND\r\n",
    ],
)
def test_garbage_without_meta_commands(reply):
    """A reply to ``gets`` that is none, or about another key, is an error."""
    with talking(lambda _: reply, version=OLD) as (store, _), pytest.raises(StoreError, match="no reply of Memcached"):
        read(store)


def test_no_cas_without_meta_commands():
    """An old server without CAS numbers gives no token."""
    with talking(lambda _: b"VALUE a 7 1\r\nx\r\nEND\r\n", version=OLD) as (store, _):
        assert read(store).token is None


@pytest.mark.parametrize("name", ["a b", b"\n"])
def test_binary_keys_need_meta_commands(memcached, name):
    """Without meta commands a key that the text protocol forbids is refused by name, and nothing is sent."""
    with contextlib.closing(MemcachedStore(memcached.url, meta_commands=False)) as store:
        for call in (store.read, store.delete, lambda refs: store.write([Record(refs[0], b"x")])):
            with pytest.raises(StoreError, match="needs a server with meta commands") as caught:
                call([key(name)])
            assert repr(name) in str(caught.value)


@given(values=st.lists(st.one_of(st.none(), st.binary(max_size=100), st.just(b"END\r\n")), max_size=6))
def test_any_bytes_without_meta_commands(memcached, values):
    """Read by ``gets`` too, whatever the values are, they come as they were written, and misses are misses."""
    with contextlib.closing(
        MemcachedStore(memcached.url, meta_commands=False, key_prefix="gets:", timeout=10)
    ) as store:
        records = [Record(key(f"{number}"), MISSING if value is None else value) for number, value in enumerate(values)]
        store.write(records)
        found = store.read([record.ref for record in records]).records
        assert [record.value for record in found] == [record.value for record in records]
        assert not any("ttl" in record.meta for record in found)


def test_stale_record(memcached, memcached_prefix):
    """A stale record whose renewal a read prevents is an error once; from then on ``gets`` is used."""
    name = f"{memcached_prefix}a".encode()
    with contextlib.ExitStack() as stack:
        store, careful = MemcachedStore(memcached.url), MemcachedStore(memcached.url, meta_commands=False)
        stack.callback(store.close)
        stack.callback(careful.close)
        plain = stack.enter_context(socket.create_connection((memcached.host, memcached.port), timeout=5))

        def ask(line):
            plain.sendall(line + b"\r\n")
            return plain.recv(100)

        store.write([Record(key(name), b"x")])
        assert ask(b"md %b I T30" % name) == b"HD\r\n"
        assert read(careful, name).value == b"x"
        with pytest.raises(StoreError, match="meta_commands=False"):
            read(store, name)
        assert ask(b"md %b I T30" % name) == b"HD\r\n"
        assert read(store, name).meta == {"flags": 0}
        assert ask(b"mg %b t" % name) == b"HD t30 X W\r\n"  # the right to renew it is still to be had


@pytest.mark.parametrize("stats", [b"", b"STAT pid 1\r\n", b"STAT pid x\r\nSTAT time 2\r\nSTAT uptime\r\n"])
def test_no_identity(stats):
    """A server whose statistics do not tell which one it is, as a proxy's, is an error."""
    with (
        talking(lambda _: stats + b"END\r\n") as (store, _),
        pytest.raises(StoreError, match="does not tell what it is"),
    ):
        store.identity()


def test_garbage_for_statistics():
    """Statistics that are none are an error."""
    with talking(lambda _: b"STAT\r\nEND\r\n") as (store, _), pytest.raises(StoreError, match="no reply of Memcached"):
        store.identity()


WRITES = [
    Put(key("a"), Key.of(b"a"), b"x"),
    Put(key("a b"), Key.of(b"a b"), b"x"),
    Remove(key("a"), Key.of(b"a")),
    Remove(key("a b"), Key.of(b"a b")),
    Flush(key("a")),
]


@pytest.mark.parametrize("request_", WRITES)
def test_no_write_leaves(request_):
    """Once writes are forbidden, a request that writes is held back where bytes leave, whoever made it."""
    with talking(lambda _: b"EN\r\n") as (store, server):
        store.forbid_writes()
        with pytest.raises(ProductionRefused):
            store._servers.ask([request_], time.monotonic() + 5, again=False)
        assert read(store).value is MISSING
        assert [line for line in server.lines if line[:2] not in (b"mg", b"ve")] == []


@pytest.mark.parametrize(
    "line",
    [
        b"set a 0 0 1\r\nx\r\n",
        b"ms a 1\r\nx\r\n",
        b"delete a\r\n",
        b"touch a 0\r\n",
        b"gat 0 a\r\n",
        b"incr a 1\r\n",
        b"flush_all\r\n",
        b"shutdown\r\n",
        b"stats reset\r\n",
        b"stats detail on\r\n",
        b"mg a v f t c u O1 T30\r\n",
        b"mg a N30\r\n",
        b"mg a v f t c O1\r\n",
        b"mg a v f t c u O1\r\nflush_all\r\n",
        b"gets a\r\nflush_all\r\n",
        b"gets a\nflush_all\r\n",
        b"version\r\nflush_all\r\n",
        b"",
    ],
)
def test_only_reads_may_leave(line):
    """Nothing that writes, touches, or hides a second command passes for a read."""
    assert not READS.fullmatch(line)


def test_requests_are_abstract():
    """A request that says neither what is sent nor what comes back is none."""
    with pytest.raises(NotImplementedError):
        Request().encode(1, meta=True)
    with pytest.raises(NotImplementedError):
        Request().take(None, 1, meta=True)


def test_cut_network(memcached, memcached_prefix):
    """Connections that are cut from outside do no harm to the next read."""
    with Proxy(memcached.port) as proxy, contextlib.closing(MemcachedStore(proxy.url, timeout=10)) as store:
        for _ in range(5):
            store.write([Record(key(f"{memcached_prefix}a"), b"x")])
            proxy.cut()
            assert read(store, f"{memcached_prefix}a").value == b"x"
