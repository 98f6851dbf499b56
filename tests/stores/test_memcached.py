"""Memcached: what is read is what is there, what is written is what was read, and keys and values may be anything."""

import contextlib
import socket
import time

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from memcached_support import Proxy, key, own_server
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.serde import compressed_serde, pickle_serde

from shadowmig.errors import ConfigError, ProductionRefused, StoreError
from shadowmig.model import MISSING, Record, Ref, Undecodable
from shadowmig.protocols import Store
from shadowmig.stores import MemcachedStore
from shadowmig.wire import Json, Raw, Serde

PROTOCOL_LIKE = [b"", b"EN\r\n", b"END\r\n", b"\r\n", b"VA 1 f0 t-1 c1 O1\r\nx\r\n", b"ERROR\r\n", b"version\r\n" * 9]
MONTH = 30 * 24 * 3600


@pytest.fixture
def make(memcached):
    """Make stores that lead to the shared server; they are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(*args, **options):
            store = MemcachedStore(*(args or [memcached.url]), **options)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(make):
    """A store of bytes."""
    return make()


@pytest.fixture
def service(memcached):
    """A client as a service has it."""
    client = Client((memcached.host, memcached.port), timeout=5, default_noreply=False)
    yield client
    client.close()


def one(store, name):
    """Read one record."""
    (record,) = store.read([key(name)]).records
    return record


def test_record(store, service, memcached_prefix):
    """A record has the bytes, the flags, the seconds left and the CAS number that the server has."""
    name = f"{memcached_prefix}a"
    service.set(name, b"hello", expire=1000, flags=7)
    record = one(store, name)
    assert record.value == record.raw == b"hello"
    assert record.ref == key(name)
    assert record.meta["flags"] == 7
    assert 990 <= record.meta["ttl"] <= 1000
    assert record.token == int(service.gets(name)[1])
    assert record.version is None


def test_nothing_there(store, memcached_prefix):
    """A key that is not there has no value, no bytes and nothing else."""
    assert one(store, f"{memcached_prefix}a") == Record(key(f"{memcached_prefix}a"))


def test_order_and_repetition(store, service, memcached_prefix):
    """Records come in the order of their refs, the same one twice too, and an empty list of refs is no call."""
    names = [f"{memcached_prefix}{number}" for number in range(200)]
    service.set_many({name: name.encode() for name in names[::2]})
    refs = [key(name) for name in [*names, names[0]]]
    reading = store.read(refs, since="whatever")
    assert [record.ref for record in reading.records] == refs
    assert [record.value for record in reading.records] == [
        MISSING if number % 2 else name.encode() for number, name in enumerate(names)
    ] + [names[0].encode()]
    assert (reading.mark, reading.changed) == (None, ())
    assert store.read([]).records == ()


def test_token_changes_with_every_write(store, service, memcached_prefix):
    """The token is another one after each write, even of the same bytes, and the same one after a mere read."""
    name = f"{memcached_prefix}a"
    tokens = []
    for _ in range(3):
        service.set(name, b"same")
        tokens += [one(store, name).token, one(store, name).token]
    assert len(set(tokens)) == 3
    assert tokens[::2] == tokens[1::2]


def test_reading_leaves_no_trace(store, service, memcached, memcached_prefix):
    """A read does not mark the record as fetched or used."""
    name = f"{memcached_prefix}a"
    service.set(name, b"x")
    one(store, name)
    with socket.create_connection((memcached.host, memcached.port), timeout=5) as plain:
        plain.sendall(b"mg %b h\r\n" % name.encode())
        assert plain.recv(100) == b"HD h0\r\n"


def test_no_end(store, service, memcached_prefix):
    """A record that never expires has a time to live of None."""
    service.set(f"{memcached_prefix}a", b"x")
    assert one(store, f"{memcached_prefix}a").meta == {"flags": 0, "ttl": None}


@settings(settings.get_profile("slow"))
@given(
    entries=st.dictionaries(
        st.one_of(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), st.binary(min_size=1, max_size=150)),
        st.tuples(st.one_of(st.binary(max_size=300), st.sampled_from(PROTOCOL_LIKE)), st.integers(0, 2**32 - 1)),
        max_size=8,
    )
)
def test_any_bytes(memcached, entries):
    """Whatever keys and values are, they are read back as they were written, all in one call."""
    with contextlib.closing(MemcachedStore(memcached.url, key_prefix="any:", timeout=10)) as store:
        by_name = {name.encode() if isinstance(name, str) else name: name for name in entries}  # one key, one entry
        records = [
            Record(key(name), data, raw=data, meta={"flags": flags, "ttl": None})
            for name, (data, flags) in entries.items()
            if by_name[name.encode() if isinstance(name, str) else name] == name
        ]
        store.write(records)
        found = store.read([record.ref for record in records]).records
        assert [evolve(record, token=None) for record in found] == records


@pytest.mark.parametrize("name", ["a b", "a\nb", "\0", " ", "\x7f", "tab\t", b"\xff\x00 \r\n", "mg x\r\nflush_all\r\n"])
def test_keys_that_text_forbids(store, name, memcached_prefix):
    """Keys with spaces, newlines or control characters are written, read and deleted, and inject nothing."""
    name = memcached_prefix + name if isinstance(name, str) else memcached_prefix.encode() + name
    neighbour = key(f"{memcached_prefix}neighbour")
    store.write([Record(key(name), b"EN\r\n"), Record(neighbour, b"here")])
    assert one(store, name).value == b"EN\r\n"
    store.delete([key(name)])
    assert not one(store, name).exists
    assert store.read([neighbour]).records[0].value == b"here"


def test_text_and_bytes_are_one_key(store, service, memcached_prefix):
    """A str is the key of its UTF-8 bytes, whether base64 is needed on the way or not."""
    names = [f"{memcached_prefix}schlüssel", f"{memcached_prefix}schl üssel"]
    for name in names:
        store.write([Record(key(name), b"x")])
        assert one(store, name.encode()).value == b"x"
    service.allow_unicode_keys = True
    assert service.get(names[0]) == b"x"


@pytest.mark.parametrize("name", ["", b"", "x" * 251, " " * 187, "ü" * 126])
def test_keys_that_no_server_takes(store, name):
    """A key that is empty or too long is refused by name before anything is sent."""
    for call in (store.read, store.delete, lambda refs: store.write([Record(refs[0], b"secret")])):
        with pytest.raises(StoreError, match="key that no server takes") as caught:
            call([key(name)])
        assert len(str(caught.value)) < 500
        assert "secret" not in str(caught.value)


def test_longest_keys(store):
    """The longest keys that are said to be possible are."""
    for name in ("x" * 250, " " * 186):
        store.write([Record(key(name), b"x")])
        assert one(store, name).value == b"x"


@pytest.mark.parametrize(
    "ref",
    [
        Ref("", "row", "comments", (1,)),
        Ref("", "entry", "events", ("1",)),
        Ref("", "key", "", (1,)),
        Ref("", "key", "", ("a", "b")),
        Ref("", "key", "", ("\ud800",)),
    ],
)
def test_refs_of_other_kinds(store, ref):
    """A ref that leads to no key is refused, by name."""
    with pytest.raises(StoreError) as caught:
        store.read([ref])
    assert str(ref) in str(caught.value)
    assert str(caught.value.store) == repr(store)


def test_undecodable(make, service, memcached_prefix):
    """Bytes that the codec cannot read are an Undecodable with its reason and their size, and no miss."""
    store = make(codec=Json())
    service.set(f"{memcached_prefix}a", b"{broken")
    record = one(store, f"{memcached_prefix}a")
    assert isinstance(record.value, Undecodable)
    assert record.value.reason.startswith("CodecError: ")
    assert record.value.size == 7
    assert record.raw == b"{broken"


def test_garbage_that_a_codec_reads_as_none_is_there(make, service, memcached_prefix, caplog):
    """What a legacy codec reads as None is the value None, not a missing record."""
    store = make(codec=Serde(pickle_serde))
    service.set(f"{memcached_prefix}a", b"no pickle", flags=1)
    record = one(store, f"{memcached_prefix}a")
    assert record.exists
    assert record.value is None


def test_a_codec_cannot_make_a_record_missing(make, service, memcached_prefix):
    """A codec that gives MISSING for bytes that are there makes them undecodable."""

    class Liar(Raw):
        def decode(self, data, flags):
            return MISSING

    service.set(f"{memcached_prefix}a", b"x")
    assert one(make(codec=Liar()), f"{memcached_prefix}a").value == Undecodable("the codec gave no value", 1)


def test_codec_by_prefix(make, service, memcached_prefix):
    """The codec with the longest fitting prefix reads and writes a key, and bytes stay bytes where none fits."""
    store = make(codec={f"{memcached_prefix}j": Json(), f"{memcached_prefix}jx": Raw()})
    data = {name: f"{memcached_prefix}{name}" for name in ("j", "jx", "k")}
    service.set_many(dict.fromkeys(data.values(), b"[1]"))
    values = [record.value for record in store.read([key(name) for name in data.values()]).records]
    assert values == [[1], b"[1]", b"[1]"]
    store.write([Record(key(data["j"]), {"a": 1}), Record(key(data["jx"].encode()), b"x")])
    assert service.get(data["j"]) == b'{"a":1}'
    assert service.get(data["jx"]) == b"x"


@pytest.mark.parametrize("serde", [pickle_serde, compressed_serde])
def test_serde_of_a_service(make, memcached, memcached_prefix, serde):
    """What a service's client wrote through its serde is read as it reads it itself, and the other way round."""
    store = make(codec=Serde(serde))
    values = [b"bytes", "text ü", 12, 2**70, None, {"a": [1, 2.5]}, ["x" * 5000]]
    with contextlib.closing(Client((memcached.host, memcached.port), serde=serde, default_noreply=False)) as service:
        for number, value in enumerate(values):
            name = f"{memcached_prefix}{number}"
            service.set(name, value)
            assert one(store, name).value == value
            store.write([Record(key(name), value)])
            assert service.get(name) == value


def test_version(make, service, memcached_prefix):
    """The version is taken out of the value; where that fails, or bytes cannot be read, there is none."""
    store = make(codec=Json(), version=lambda value: value["version"])
    for name, data in (("a", b'{"version":3}'), ("b", b"[]"), ("c", b"{}"), ("d", b"broken")):
        service.set(memcached_prefix + name, data)
    records = store.read([key(memcached_prefix + name) for name in "abcde"]).records
    assert [record.version for record in records] == [3, None, None, None, None]


def test_megabytes():
    """Values of more than a megabyte are written and read whole, many in one call, without a deadlock."""
    with own_server(I="2m", m="256") as server, contextlib.closing(MemcachedStore(server.url, timeout=30)) as store:
        values = [bytes([number]) * 1_500_000 + b"\r\nEND\r\n" for number in range(16)]
        records = [Record(key(f"{number}"), value) for number, value in enumerate(values)]
        store.write(records)
        reading = store.read([record.ref for record in records] * 2)
        assert [record.value for record in reading.records] == values * 2


def test_evicted():
    """A record that the server has thrown out for lack of memory is not there."""
    with (
        own_server(m="1", I="512k") as server,
        contextlib.closing(MemcachedStore(server.url)) as store,
    ):
        for number in range(200):
            store.write([Record(key(f"{number}"), b"x" * 50_000)])
        assert not one(store, "0").exists
        assert one(store, "199").exists


def test_write_is_exact(store, service, memcached_prefix):
    """A record is written with the bytes, flags and time to live that it was read with, through no codec."""
    source, target = f"{memcached_prefix}a", f"{memcached_prefix}b"
    service.set(source, b"{broken", expire=500, flags=0xFFFFFFFF)
    read = one(store, source)
    store.write([evolve(read, ref=key(target), value=Undecodable("x", 7))])
    written = one(store, target)
    assert (written.raw, written.meta["flags"]) == (read.raw, read.meta["flags"])
    assert read.meta["ttl"] - 1 <= written.meta["ttl"] <= read.meta["ttl"]


@pytest.mark.parametrize("ttl", [1.5, 100, MONTH, MONTH + 1, 400 * 24 * 3600])
def test_time_to_live(store, memcached_prefix, ttl):
    """A record lives as long as it is told to, also for more than the 30 days above which the protocol wants a date."""
    store.write([Record(key(f"{memcached_prefix}a"), b"x", meta={"ttl": ttl})])
    assert ttl - 5 <= one(store, f"{memcached_prefix}a").meta["ttl"] <= ttl + 2


@pytest.mark.parametrize("ttl", [0, -1, -0.5])
def test_time_that_is_over(store, memcached_prefix, ttl):
    """A record whose time is over is not there after it was written, and does not live for ever."""
    store.write(
        [Record(key(f"{memcached_prefix}a"), b"x"), Record(key(f"{memcached_prefix}a"), b"x", meta={"ttl": ttl})]
    )
    assert not one(store, f"{memcached_prefix}a").exists


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (Record(key("a"), b"secret", meta={"ttl": 2**31}), "lives longer"),
        (Record(key("a"), b"secret", meta={"ttl": 2**31 - int(time.time()) + 5}), "lives longer"),
        (Record(key("a"), Undecodable("x", 3)), "could not be decoded"),
        (Record(key("a"), b"secret", raw=b"secret", meta={"flags": 2**32}), "wrong flags"),
        (Record(key("a"), b"secret", raw=b"secret", meta={"flags": -1}), "wrong flags"),
        (Record(key("a"), b"secret", raw=b"secret", meta={"flags": "1"}), "wrong flags"),
        (Record(key("a"), b"secret", raw=bytearray(b"secret"), meta={"flags": 1}), "no bytes"),
    ],
)
def test_records_that_cannot_be_written(make, service, memcached_prefix, record, problem):
    """A record that the protocol cannot carry is refused by name before anything is sent."""
    store = make(key_prefix=memcached_prefix)
    service.set(f"{memcached_prefix}a", b"before")
    with pytest.raises(StoreError, match=problem) as caught:
        store.write([Record(key("a"), b"after"), record])
    assert "'a'" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert service.get(f"{memcached_prefix}a") == b"before"


def test_encode_error_is_raised(make, service, memcached_prefix):
    """What a codec raises when it encodes is raised, and then nothing was written."""
    service.set(f"{memcached_prefix}a", b"before")
    with pytest.raises(TypeError, match="only bytes"):
        make(key_prefix=memcached_prefix).write([Record(key("a"), b"after"), Record(key("b"), 12)])
    assert service.get(f"{memcached_prefix}a") == b"before"


@pytest.mark.parametrize("name", ["big", "b i g"])
def test_too_large(make, service, memcached_prefix, name):
    """A value above the server's limit is an error that names its key, and the others are written."""
    store = make(key_prefix=memcached_prefix)
    hostile = b"set injected 0 0 1\r\nx\r\n" * 100_000
    with pytest.raises(StoreError, match="too large") as caught:
        store.write([Record(key("after"), b"1"), Record(key(name), hostile), Record(key("behind"), b"2")])
    assert repr(name) in str(caught.value)
    assert "-I" in str(caught.value)
    assert [one(store, name).value for name in ("after", "behind")] == [b"1", b"2"]
    assert service.get("injected") is None


def test_no_memory():
    """A full server that must not evict is an error that says so."""
    with (
        own_server(m="1", I="512k", M="") as server,
        contextlib.closing(MemcachedStore(server.url)) as store,
    ):
        records = [Record(key(f"{number}"), b"x" * 50_000) for number in range(200)]
        with pytest.raises(StoreError, match="out of memory"):
            store.write(records)


def test_write_without_value_deletes(store, service, memcached_prefix):
    """A record without a value is deleted, and deleting what is not there is no error."""
    name = f"{memcached_prefix}a"
    service.set(name, b"x")
    for _ in range(2):
        store.write([Record(key(name))])
        assert service.get(name) is None
    service.set(name, b"x")
    for _ in range(2):
        store.delete([key(name)])
        assert service.get(name) is None


def test_last_of_a_key_wins(store, memcached_prefix):
    """Records are written in their order."""
    name = f"{memcached_prefix}a"
    store.write([Record(key(name), b"1"), Record(key(name)), Record(key(name), b"2")])
    assert one(store, name).value == b"2"
    store.write([Record(key(name), b"3"), Record(key(name))])
    assert not one(store, name).exists


def test_reset():
    """A reset removes all, and what is written right after it stays."""
    with own_server() as server, contextlib.closing(MemcachedStore(server.url)) as store:
        store.write([Record(key("a"), b"x"), Record(key("b c"), b"x")])
        store.reset()
        assert [record.exists for record in store.read([key("a"), key("b c")]).records] == [False, False]
        store.write([Record(key("a"), b"y")])
        assert one(store, "a").value == b"y"


def test_forbid_writes(store, service, memcached_prefix):
    """After forbid_writes everything that writes is refused, and reading goes on, also on connections from before."""
    name = f"{memcached_prefix}a"
    store.write([Record(key(name), b"x")])
    store.forbid_writes()
    for write in (
        lambda: store.write([Record(key(name), b"y")]),
        lambda: store.write([]),
        lambda: store.delete([key(name)]),
        store.reset,
        lambda: store.plant("n"),
        lambda: store.plant(""),
    ):
        with pytest.raises(ProductionRefused):
            write()
    assert one(store, name).value == b"x"
    assert not one(store, "with space").exists
    assert not store.finds("n")
    assert store.identity().startswith("memcached ")


def test_marks(make):
    """A mark is found by other handles of the server until it is removed or replaced, and by none of another server."""
    store, twin = make(), make()
    with own_server() as server:
        other = make(server.url)
        store.plant("first")
        assert twin.finds("first")
        assert not twin.finds("second")
        assert not other.finds("first")
        store.plant("second")
        assert not twin.finds("first")
        twin.plant("third")
        assert store.finds("second")  # a mark of another handle replaces none
        for handle in (store, twin):
            handle.plant("")
            handle.plant("")
        assert not any(twin.finds(nonce) for nonce in ("first", "second", "third", ""))


def test_identity(make, memcached):
    """Two handles of one server say the same, by whatever name, and a handle of another server something else."""
    identity = make().identity()
    assert identity == make().identity() == make(f"localhost:{memcached.port}").identity()
    with own_server() as server:
        assert make(server.url).identity() != identity


def test_no_cas():
    """A server without CAS gives no token."""
    with own_server(C="") as server, contextlib.closing(MemcachedStore(server.url)) as store:
        store.write([Record(key("a"), b"x")])
        assert one(store, "a").token is None
        assert one(store, "a").value == b"x"


def test_unix_socket(memcached, memcached_prefix, tmp_path):
    """A server on a unix socket is reached by its path, by the store and by its client."""
    proxy = Proxy(memcached.port, tmp_path / "socket")
    with proxy, contextlib.closing(MemcachedStore(f"unix:{proxy.url}")) as store:
        store.write([Record(key(f"{memcached_prefix}a"), b"x")])
        assert one(store, f"{memcached_prefix}a").value == b"x"
        assert store.client().get(f"{memcached_prefix}a") == b"x"


def test_client(make, memcached, memcached_prefix):
    """The client is one of pymemcache without serde, the same each time, and one that was handed in is given back."""
    store = make(key_prefix=memcached_prefix)
    client = store.client()
    assert type(client) is PooledClient
    assert store.client() is client
    client.set("a", b"x", noreply=False)
    assert one(store, "a").value == b"x"
    given_client = object()
    assert make(client=given_client).client() is given_client
    assert type(make([memcached.url, "localhost:1"]).client()) is HashClient


def test_names(make):
    """A store names its servers, and satisfies the protocol's shape."""
    store = make(["10.0.0.1:11211", "[::1]:5", "unix:/tmp/x", "host"])
    assert repr(store) == "MemcachedStore('10.0.0.1:11211', '::1:5', '/tmp/x', 'host:11211')"
    assert all(hasattr(store, name) for name in vars(Store) if not name.startswith("_"))


@pytest.mark.parametrize(
    ("servers", "options", "field"),
    [
        ([], {}, "servers"),
        (["a:1", "a:1"], {}, "servers"),
        (["a", "a:11211"], {}, "servers"),
        ("", {}, "servers"),
        ("a:0", {}, "servers"),
        ("a:65536", {}, "servers"),
        ("a:b", {}, "servers"),
        ("::1", {}, "servers"),
        ("user:hush@host:1", {}, "servers"),
        ("memcached://host:1", {}, "servers"),
        ("/tmp/a\0b", {}, "servers"),
        (11211, {}, "servers"),
        (b"a:1", {}, "servers"),
        (("a", 11211), {}, "servers"),
        ("a:1", {"timeout": 0}, "timeout"),
        ("a:1", {"timeout": float("inf")}, "timeout"),
        ("a:1", {"timeout": "1"}, "timeout"),
        ("a:1", {"codec": object()}, "codec"),
        ("a:1", {"codec": {"p": Json}}, "codec"),
        ("a:1", {"codec": {b"p": Json()}}, "codec"),
        ("a:1", {"version": "version"}, "version"),
        ("a:1", {"hasher": None}, "hasher"),
        ("a:1", {"connections": -1}, "connections"),
        ("a:1", {"key_prefix": None}, "key_prefix"),
    ],
)
def test_wrong_options(servers, options, field):
    """A wrong option is refused when the store is built, by its name, and without showing a password."""
    with pytest.raises(ConfigError) as caught:
        MemcachedStore(servers, **options)
    assert caught.value.field == field
    assert "hush" not in str(caught.value)
