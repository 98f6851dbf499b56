"""Where Redis may be: on an event loop's connections, behind a sentinel, or spread over a cluster."""

import asyncio
import contextlib
import socket
import subprocess
import threading
import time

import pytest
import redis as driver
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.sentinel import Sentinel
from redis_support import entry, key, one

from shadowmig.errors import ConfigError, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import MISSING, Record
from shadowmig.stores import RedisStore, Stream
from shadowmig.stores._redis_lines import Room
from shadowmig.stores._redis_slots import Slots
from shadowmig.stores._redis_steps import run
from shadowmig.testing.servers import Redis, find


def until(done, seconds=60.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)


def free_port():
    """Find a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def nodes(redis):
    """Three nodes of a cluster, as clients."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(3):
            options = {"cluster-enabled": "yes", "cluster-port": str(free_port()), "cluster-node-timeout": "60000"}
            server = stack.enter_context(Redis(settings=options))
            client = stack.enter_context(driver.Redis(host=server.host, port=server.port))
            made.append((client, options["cluster-port"]))
        first = made[0][0]
        for number, (client, _) in enumerate(made):
            client.execute_command("CLUSTER ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
        for client, bus in made[1:]:
            port = client.connection_pool.connection_kwargs["port"]
            first.execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        clients = [client for client, _ in made]
        until(lambda: all(each.cluster("info")["cluster_state"] == "ok" for each in clients))
        until(lambda: all(len(each.cluster("slots")) == 3 for each in clients))
        yield clients


@pytest.fixture
def cluster(nodes):
    """A cluster client, over an empty cluster."""
    for each in nodes:
        each.flushall()
    port = nodes[0].connection_pool.connection_kwargs["port"]
    with RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port)]) as client:
        yield client


pytestmark = pytest.mark.usefixtures("redis")  # skipped where there is none to start

STREAMS = [Stream("events", id="id"), Stream("more")]


def test_cluster(cluster, nodes):
    """Over a cluster keys and streams on all nodes are read, written, deleted and emptied alike."""
    store = RedisStore(reader=cluster, streams=STREAMS, timeout=20.0)
    names = [f"k{number}" for number in range(30)]
    mark = store.read([]).mark
    store.write([Record(key(name), name.encode(), meta={"ttl": 50.0}) for name in names])
    store.write([Record(entry("events", "a"), {"id": "a"}), Record(entry("more", "5-1"), {"x": "1"})])
    assert all(each.dbsize() > 3 for each in nodes)
    reading = store.read([*map(key, names), entry("events", "a"), entry("more", "5-1"), key("none")], since=mark)
    assert [record.value for record in reading.records[:30]] == [name.encode() for name in names]
    assert [record.exists for record in reading.records[30:]] == [True, True, False]
    assert {change.ref.space for change in reading.changed} == {"events", "more"}
    assert store.identity() == RedisStore(reader=cluster).identity() != ""
    assert "cluster" in repr(store)
    store.plant("n")
    assert store.finds("n")
    store.delete([key("k1"), entry("events", "a")])
    assert [record.exists for record in store.read([key("k1"), key("k2"), entry("events", "a")]).records] == [
        False,
        True,
        False,
    ]
    store.reset()
    assert [each.dbsize() for each in nodes] == [0, 0, 0]
    store.forbid_writes()
    with pytest.raises(ProductionRefused):
        store.reset()
    store.close()
    assert cluster.ping()


def test_cluster_one_trip_a_node(cluster):
    """A reading takes one round trip to each node that holds a key of it, and none to others."""
    store = RedisStore(reader=cluster, timeout=20.0)
    store.read([key("a")])
    lines, batches = store._process().reading._lines, []
    exchange = lines.exchange
    lines.exchange = lambda batch, end: batches.append(batch) or exchange(batch, end)
    store.read([key(f"k{number}") for number in range(60)])
    store.read([key("a")])
    assert [len(batch) for batch in batches] == [3, 1]
    store.close()


def test_cluster_refusal(cluster):
    """A record that a node refuses is named."""
    store = RedisStore(reader=cluster, timeout=20.0)
    cluster.set("plain", "text")
    with pytest.raises(StoreError, match="'plain'"):
        store.write([Record(entry("plain", "1-1"), {"a": 1})])
    store.close()


def test_cluster_redirections(cluster, nodes):
    """Keys that have moved, or are being moved, are found where the nodes say."""
    store = RedisStore(reader=cluster, timeout=20.0)
    for name in ("a", "b", "c"):
        store.write([Record(key(name), name.encode())])
    slots = store._process().reading._slots
    wrong = next(iter(slots.primaries))
    slots._owners = dict.fromkeys(range(16384), wrong)
    assert [record.value for record in store.read([key(name) for name in "abc"]).records] == [b"a", b"b", b"c"]
    ids = {each: each.execute_command("CLUSTER MYID") for each in nodes}
    slot = key_slot(b"a")
    holder = next(each for each in nodes if each.cluster("countkeysinslot", slot))
    target = next(each for each in nodes if each is not holder)
    port = target.connection_pool.connection_kwargs["port"]
    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[holder])
    holder.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    holder.execute_command("MIGRATE", "127.0.0.1", port, "a", 0, 5000)
    assert one(store, key("a")).value == b"a"
    for each in (target, holder):
        each.execute_command("CLUSTER SETSLOT", slot, "STABLE")
        each.flushall()
    store.close()


def test_cluster_node_away(cluster):
    """When a node cannot be reached the call is unavailable, and the next one asks another node for the map."""
    store = RedisStore(reader=cluster, timeout=20.0)
    store.write([Record(key("a"), b"1")])
    slots = store._process().reading._slots
    slots._owners = dict.fromkeys(range(16384), ("127.0.0.1", free_port()))
    with pytest.raises(StoreUnavailable):
        one(store, key("a"))
    slots._seeds.insert(0, ("127.0.0.1", free_port()))
    answers = []
    for _ in range(5):
        with contextlib.suppress(StoreUnavailable):
            answers.append(one(store, key("a")).value)
    assert b"1" in answers
    store.close()


def test_cluster_seen_by_a_plain_client(cluster, nodes):
    """A plain URL that leads to one node of a cluster says what to give instead."""
    port = nodes[0].connection_pool.connection_kwargs["port"]
    store = RedisStore(f"redis://127.0.0.1:{port}", timeout=20.0)
    with pytest.raises(StoreError, match=r"MOVED.*cluster client"):
        store.read([key(f"k{number}") for number in range(30)])
    store.close()


def test_map_of_a_cluster():
    """Nodes that tell no address, or one from inside, are reached; a slot that nobody holds is asked of any."""
    slots = Slots([("seed", 1)], lambda node: ("outside" if node[0] == "inside" else node[0], node[1]))
    asked = []

    def exchange(batch):
        asked.append(batch)
        if list(batch.values()) == [[("CLUSTER", "SLOTS")]]:
            return {("seed", 1): [[[0, 99, [b"inside", 5, b"x"]], [100, 199, [None, 1, b"y"], [b"replica", 9, b"z"]]]]}
        return {node: [b"ok" for _ in commands] for node, commands in batch.items()}

    assert run(slots.follow([("TIME",), ("GET", b"foo")]), exchange) == [b"ok", b"ok"]
    assert slots.primaries == {("outside", 5): "x", ("seed", 1): "y"}
    assert asked[1] == {("outside", 5): [("TIME",), ("GET", b"foo")]}
    failed = driver.ResponseError("ERR no")
    answers = {("outside", 5): [b"OK"], ("seed", 1): [failed]}
    assert run(slots.follow([("FLUSHDB",)]), lambda _: answers) == [failed]


def test_map_refused():
    """A server that is no cluster, given as one, is a named error."""
    slots = Slots([("seed", 1)])
    with pytest.raises(driver.ResponseError):
        run(slots.follow([("GET", b"a")]), lambda _: {("seed", 1): [driver.ResponseError("ERR disabled")]})


def test_endless_redirection():
    """Nodes that send a key round and round do not hold a call for ever."""
    slots = Slots([("seed", 1)])

    def exchange(batch):
        if [("CLUSTER", "SLOTS")] in batch.values():
            return {("seed", 1): [[[0, 16383, [b"seed", 1, b"x"]]]]}
        return {node: [driver.exceptions.MovedError("1 :1")] * len(commands) for node, commands in batch.items()}

    (reply,) = run(slots.follow([("GET", b"a")]), exchange)
    assert isinstance(reply, driver.exceptions.MovedError)


@pytest.fixture
def sentinel(redis, tmp_path):
    """A sentinel that watches the shared server."""
    port = free_port()
    tmp_path.chmod(0o777)
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"bind 127.0.0.1\nport {port}\ndir {tmp_path}\nsentinel monitor main {redis.host} {redis.port} 1\n"
    )
    config.chmod(0o666)
    process = subprocess.Popen([find("redis"), str(config), "--sentinel"], stdout=subprocess.DEVNULL)
    made = Sentinel([("127.0.0.1", port)], socket_timeout=5.0)
    try:

        def ready():
            try:
                return bool(made.discover_master("main"))
            except driver.ConnectionError:
                return False

        until(ready)
        yield made
    finally:
        process.terminate()
        process.wait()
        for each in made.sentinels:
            each.close()


def test_sentinel(sentinel, redis_url):
    """A client made by a sentinel leads to the primary that the sentinel knows."""
    with sentinel.master_for("main", db=15) as reader:
        store = RedisStore(reader=reader, streams=STREAMS, timeout=20.0)
        store.write([Record(key("a"), b"1")])
        assert one(store, key("a")).value == b"1"
        direct = RedisStore(redis_url)
        assert (store.identity(), one(direct, key("a")).value) == (direct.identity(), b"1")
        assert "main (by sentinel), database 15" in repr(store)
        assert asyncio.run(store.aread([key("a")])).records[0].value == b"1"
        store.close()
        direct.close()
        assert reader.ping()


def test_sentinel_knows_none(sentinel):
    """A primary that no sentinel knows is unavailable."""
    with sentinel.master_for("other") as reader:
        store = RedisStore(reader=reader)
        with pytest.raises(StoreUnavailable):
            store.identity()
        store.close()


def test_unix_socket(tmp_path):
    """A server is reached by its socket in the file system too, in threads and on a loop."""
    tmp_path.chmod(0o777)
    path = f"/tmp/shadowmig-{free_port()}.sock"
    with Redis(settings={"unixsocket": path, "unixsocketperm": "777"}):
        store = RedisStore(f"unix://{path}?db=3")
        store.write([Record(key("a"), b"1")])
        assert one(store, key("a")).value == b"1"
        assert asyncio.run(store.aread([key("a")])).records[0].value == b"1"
        assert store.client().connection_pool.connection_kwargs["db"] == 3
        assert store.identity().endswith("/3")
        store.close()


def test_cluster_without_nodes():
    """A cluster client that knows no node cannot be used."""

    class Empty:
        nodes_manager = None

        def get_nodes(self):
            return []

    with pytest.raises(ConfigError, match="reader is Empty"):
        RedisStore(reader=Empty())


def test_parity(redis_url):
    """What is read on a loop is what is read in a thread: values, changes and marks."""
    store = RedisStore(redis_url, streams=STREAMS, timeout=20.0)
    mark = store.read([]).mark
    with driver.Redis.from_url(redis_url) as client:
        client.set("string", b"\xff", px=90_000)
        client.hset("hash", "a", 1)
        client.rpush("list", 1, 2)
        client.sadd("set", 1)
        client.zadd("zset", {"a": 2})
        client.xadd("events", {"id": "x"})
        client.persist("string")
    refs = [*map(key, ("string", "hash", "list", "set", "zset", "events", "none")), entry("events", "x"), entry("u", 1)]

    async def both():
        mine = await store.aread(refs, since=mark)
        return mine, await asyncio.to_thread(store.read, refs, since=mark), await store.aread([])

    loop, thread, empty = asyncio.run(both())
    assert loop == thread
    assert len(loop.changed) == 1
    assert empty.mark == loop.mark
    store.close()


def test_loops_have_their_own(redis_url):
    """Each event loop has its own connections, which are closed when it ends."""
    store = RedisStore(f"{redis_url}?client_name=loops", connections=2, timeout=20.0)

    async def many():
        return await asyncio.gather(*(store.aread([key(number)]) for number in range(20)))

    with driver.Redis.from_url(redis_url) as client:

        def ours():
            return sum(each["name"] == "loops" for each in client.client_list())

        for _ in range(3):
            with asyncio.Runner() as runner:
                readings = runner.run(many())
                assert all(reading.records[0].value is MISSING for reading in readings)
                assert ours() == 2
            until(lambda: ours() == 0)
    store.close()


def test_aclose(redis_url):
    """Connections of a loop can be closed while it runs, by the loop or by another thread, and are opened again."""
    store = RedisStore(f"{redis_url}?client_name=aclosed", timeout=20.0)

    async def go(client):
        def ours():
            return sum(each["name"] == "aclosed" for each in client.client_list())

        for close in (store.aclose, lambda: asyncio.to_thread(store.close)):
            await store.aclose()
            await store.aread([key("a")])
            assert ours() == 1
            await close()
            await asyncio.to_thread(until, lambda: not ours())

    with driver.Redis.from_url(redis_url) as client:
        asyncio.run(asyncio.wait_for(go(client), 30))
    store.close()


def test_close_after_the_loop(redis_url):
    """A store may be closed after the loops that used it are gone."""
    store = RedisStore(redis_url, timeout=20.0)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(store.aread([key("a")]))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    store.close()
    asyncio.run(store.aclose())


def test_cancelled(redis_url):
    """A reading that is cancelled leaves nothing behind that the next one could take for its answer."""
    store = RedisStore(redis_url, connections=1, timeout=20.0)
    store.write([Record(key("a"), b"1"), Record(key("b"), b"2")])

    async def go():
        await store.aread([key("a")])
        for _ in range(20):
            task = asyncio.ensure_future(store.aread([key("a")]))
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert (await store.aread([key("b")])).records[0].value == b"2"

    asyncio.run(go())
    store.close()


def test_refused_on_a_loop(redis_url):
    """What is forbidden is refused on a loop too, though nothing there writes."""
    store = RedisStore(redis_url)
    store.forbid_writes()
    loops = store._new_loops()

    async def go():
        await loops.exchange([("FLUSHDB",)], time.monotonic() + 20)

    with pytest.raises(ProductionRefused):
        asyncio.run(go())
    store.close()


def test_room_is_fair():
    """Of several threads that wait for a place, the one that came first gets it, and one that gave up gets none."""
    room, order = Room(1), []
    assert room.enter(0)
    assert not room.enter(0.01)
    threads = []
    for number in range(3):

        def work(number=number):
            assert room.enter(20)
            order.append(number)
            room.leave()

        thread = threading.Thread(target=work)
        thread.start()
        threads.append(thread)
        until(lambda number=number: len(room._waiting) == number + 1)
    room.leave()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2]
