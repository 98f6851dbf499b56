"""Connections: deadlines, servers that hang up, pools of the service, read-only sessions, forks, and who is who."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_support import Pool, Proxy, database, row, run

from shadowmig.errors import ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import Record
from shadowmig.side import MIRRORED
from shadowmig.stores import PostgresStore, Table, _roles

TABLES = [Table("comments", key="id"), Table("votes", key="id")]
REFS = [row("comments", 1), row("votes", 1)]


@pytest.fixture
def url(postgres_url):
    """A database with two tables."""
    for table in ("comments", "votes"):
        run(postgres_url, f"CREATE TABLE {table} (id int PRIMARY KEY, n int)", f"INSERT INTO {table} VALUES (1, 1)")
    return postgres_url


@pytest.fixture
def opened():
    """Makes stores that are closed after the test."""
    made = []

    def make(*args, **options):
        made.append(PostgresStore(*args, **{"tables": TABLES, "timeout": 20, **options}))
        return made[-1]

    yield make
    for store in made:
        store.close()
        store.close()


def both(store, refs, **options):
    """Give the ways to read: in this thread, and on an event loop."""
    return [lambda: store.read(refs, **options), lambda: asyncio.run(store.aread(refs, **options))]


@contextmanager
def ends_soon():
    """Fail if the block takes so long that it must have waited for something else than its deadline."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("refs", [REFS[:1], REFS])
def test_silent_server(url, opened, way, refs):
    """A server that falls silent ends a read at its deadline, and the next read goes over a new connection."""
    with Proxy(url) as proxy:
        store = opened(proxy.url, timeout=5)
        read = both(store, refs)[way]
        before = read().records
        proxy.held = True
        with ends_soon(), pytest.raises(StoreUnavailable, match=r"did not answer within 0\.2 s"):
            both(store, refs, timeout=0.2)[way]()
        assert store._link._state.idle == []
        proxy.held = False
        assert read().records == before


@pytest.mark.parametrize("way", [0, 1])
def test_silent_at_connecting(url, opened, way):
    """A server that does not say a word ends the first read at its deadline."""
    with Proxy(url) as proxy:
        proxy.held = True
        store = opened(proxy.url, timeout=timedelta(milliseconds=200))
        with ends_soon(), pytest.raises(StoreUnavailable, match=r"within 0\.2 s.*longer timeout="):
            both(store, REFS)[way]()


def test_silent_while_writing(url, opened):
    """A server that does not take a large write ends it at the deadline; nothing of it is written."""
    with Proxy(url) as proxy:
        run(url, "ALTER TABLE comments ADD COLUMN body text")
        store = opened(proxy.url, timeout=5)
        records = [Record(row("comments", n), {"id": n, "body": "x" * 1_000_000}) for n in range(2, 30)]
        store.write(records[:1])
        store._link._timeout = 0.5
        proxy.held = True
        with ends_soon(), pytest.raises(StoreUnavailable):
            store.write(records)
        proxy.cut()
        proxy.held = False
    assert run(url, "SELECT count(*) FROM comments") == [(2,)]


@pytest.mark.parametrize("way", [0, 1])
def test_locked_table(url, opened, way):
    """A statement that waits for a lock ends in time, by the server or by us, and as unavailable."""
    store = opened(url, timeout=0.5)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE comments")
        with ends_soon(), pytest.raises(StoreUnavailable):
            both(store, REFS)[way]()
        other.rollback()
    assert both(store, REFS)[way]().records[0].exists


@pytest.mark.parametrize("way", [0, 1])
def test_nobody_listens(url, opened, way):
    """Without a server, calls end at once as unavailable, and say what to look at."""
    with Proxy(url) as proxy:
        gone = proxy.url
    with ends_soon(), pytest.raises(StoreUnavailable, match=r"cannot be reached\. Check") as caught:
        both(opened(gone), REFS)[way]()
    assert "shadowmig:" not in str(caught.value)


def test_wrong_password(url, opened):
    """A user who is refused is told apart in no way that shows the password."""
    parts = urlsplit(url)
    store = opened(parts._replace(netloc=f"shadowmig:wrong@{parts.hostname}:{parts.port}").geturl())
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        store.read([])
    assert "password" in str(caught.value.__cause__)
    assert "wrong" not in repr(store) + str(caught.value)


def hang_up(url):
    """Have the server end all other sessions on its database, and wait until they are gone."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    run(url, f"SELECT pg_terminate_backend(pid, 10000) {others}")


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("refs", [[], REFS[:1], REFS])
def test_reads_survive_a_restart(url, opened, way, refs):
    """After the server ended all sessions, reads go on over a new connection, and nobody notices."""
    store = opened(url)
    read = both(store, refs)[way]
    before = read().records
    for _ in range(2):
        hang_up(url)
        assert read().records == before


def test_writes_survive_a_restart(url, opened):
    """A write looks first whether the server has hung up, for it is not tried twice."""
    store = opened(url)
    records = store.read(REFS).records
    store.write(records)
    hang_up(url)
    store.write(records)
    assert len(store._link._state.idle) == 1


def test_cut_while_writing(url, opened):
    """A write whose connection is lost under way is unavailable, and not repeated."""
    with Proxy(url) as proxy, psycopg.connect(url) as other:
        store = opened(proxy.url)
        records = store.read(REFS).records
        store.write(records)
        other.execute("LOCK TABLE comments")
        accepted, trips = proxy.accepted, proxy.trips
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(store.write, records)
            while proxy.trips == trips:
                time.sleep(0.01)
            others = "application_name = 'shadowmig' AND datname = current_database()"
            run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            with pytest.raises(StoreUnavailable):
                writing.result(20)
        assert proxy.accepted == accepted
        other.rollback()
        store.write(records)


def test_few_connections(url, opened):
    """Threads share few connections; who finds none free waits no longer than his deadline."""
    store = opened(url, connections=2)
    with ThreadPoolExecutor(16) as pool:
        readings = list(pool.map(lambda _: store.read(REFS), range(200)))
    assert all(reading.records == readings[0].records for reading in readings)
    assert 1 <= len(store._link._state.idle) <= 2
    with psycopg.connect(url) as other, ThreadPoolExecutor(2) as pool:
        other.execute("LOCK TABLE comments")
        busy = [pool.submit(store.read, REFS) for _ in range(2)]
        while store._link._state.room.qsize():
            time.sleep(0.01)
        with ends_soon(), pytest.raises(StoreUnavailable):
            store.read(REFS, timeout=0.1)
        with ends_soon(), pytest.raises(StoreUnavailable):
            asyncio.run(store.aread(REFS, timeout=0.1))
        other.rollback()
        assert all(each.result(20) for each in busy)


def test_cancelled_task(url, opened):
    """A task that is cancelled while it reads ends at once, and its connection is not used again."""
    store = opened(url)

    async def cancel():
        with psycopg.connect(url) as other:
            await store.aread(REFS)
            other.execute("LOCK TABLE comments")
            task = asyncio.create_task(store.aread(REFS))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert store._link._state.idle == []
            other.rollback()
        assert (await store.aread(REFS)).records[0].exists

    with ends_soon():
        asyncio.run(cancel())


def test_forbidden(url, opened):
    """After forbid_writes everything that writes is refused at once, and reads go on."""
    store = opened(url)
    records = store.read(REFS).records
    store.forbid_writes()
    calls = [
        lambda: store.write(records),
        lambda: store.write([]),
        lambda: store.delete(REFS),
        store.reset,
        lambda: store.plant("x"),
        lambda: store.plant(""),
    ]
    for call in calls:
        with pytest.raises(ProductionRefused, match="is production"):
            call()
    assert store.read(REFS).records == records
    assert store.finds("x") is False


def test_the_server_forbids(url, opened):
    """After forbid_writes the server refuses writes on our connections; the old ones are gone, the client's are not."""
    store = opened(url)
    asyncio.run(store.aread(REFS))
    (before,) = store._link._state.idle
    store.forbid_writes()
    assert before.pgconn.status == psycopg.pq.ConnStatus.BAD
    store.read(REFS)
    (line,) = store._link._state.idle
    result = line.pgconn.exec_(b"DELETE FROM comments")
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"25006"
    with store.client().connection() as connection:
        connection.execute("UPDATE comments SET n = 2")
    assert run(url, "SELECT n FROM comments") == [(2,)]


def test_a_connection_in_use_when_writes_are_forbidden(url, opened):
    """A connection that is in use when writes are forbidden is closed when it comes back."""
    store = opened(url)
    store.read(REFS)
    with store._link._line(time.monotonic() + 20, 0.1, fresh=False, live=False) as line:
        store.forbid_writes()
    assert line.pgconn.status == psycopg.pq.ConnStatus.BAD


def test_settings_that_do_not_arrive(url, opened, monkeypatch):
    """If the session does not come out read-only, as through some poolers, production is not touched."""
    store = opened(url)
    store.forbid_writes()
    monkeypatch.setattr("shadowmig.stores._pg_session.READ_ONLY", "application_name")
    with pytest.raises(StoreError, match=r"not make the session read-only.*pooler"):
        store.read(REFS)


def test_options_of_the_service(url, opened, monkeypatch):
    """Options that the service gives, in its conninfo or in PGOPTIONS, hold beside ours."""
    run(url, "CREATE SCHEMA other", "CREATE TABLE other.comments AS SELECT 1 AS id, 7 AS n")
    assert opened(f"{url}?options=-csearch_path%3Dother").read(REFS[:1]).records[0].value["n"] == 7
    monkeypatch.setenv("PGOPTIONS", "-c search_path=other")
    assert opened(url).read(REFS[:1]).records[0].value["n"] == 7


NAMES = ("DateStyle", "TimeZone", "IntervalStyle", "statement_timeout", "client_encoding")


@pytest.fixture(params=[False, True], ids=["transactions", "autocommit"])
def pool(request, url):
    """A pool of the service, whose sessions have settings of their own, over tables with values that depend on them."""
    columns = "ADD COLUMN at timestamptz DEFAULT '2026-01-02', ADD COLUMN i interval DEFAULT '1 day'"
    run(url, f"ALTER TABLE comments {columns}")
    made = Pool(f"{url}?options=-cDateStyle%3DGerman%20-cIntervalStyle%3Diso_8601", autocommit=request.param)
    yield made
    made.close()


def test_pool(url, opened, pool):
    """With a pool of the service, the store gives and writes just what it does without."""
    store, own = opened(pool=pool), opened(url)
    assert store.client() is pool
    assert repr(store) == "PostgresStore(pool=Pool)"
    for refs in ([], REFS[:1], REFS):
        assert store.read(refs).records == own.read(refs).records
    assert asyncio.run(store.aread(REFS)) == own.read(REFS)
    mark = store.read([]).mark
    store.delete(REFS[:1])
    store.write([Record(REFS[0], {"id": 1, "n": 9})])
    assert [change.ref for change in store.read([], since=mark).changed] == REFS[:1]
    store.plant("mark")
    assert own.finds("mark")
    store.plant("")
    assert store.identity() == own.identity()
    store.forbid_writes()
    with pytest.raises(ProductionRefused):
        store.reset()
    assert store.read(REFS).records == own.read(REFS).records


def test_nothing_stays_in_the_pool(opened, pool):
    """A session of the pool is left as it was found, after failures too, and is not closed."""
    settings = [pool.given.execute(f"SHOW {name}").fetchone() for name in NAMES]
    pool.given.commit()
    store = opened(pool=pool)
    store.write(store.read(REFS).records)
    with pytest.raises(StoreError, match="InvalidTextRepresentation"):
        store.read([row("comments", "x")])
    with pytest.raises(StoreError, match="InvalidTextRepresentation"):
        store.write([Record(REFS[0], {"id": 1, "n": "x"})])
    store.close()
    assert pool.given.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert [pool.given.execute(f"SHOW {name}").fetchone() for name in NAMES] == settings
    assert pool.given.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    assert pool.closed == 0


def test_pool_reads_read_only(url, opened):
    """Reads over a pool of the service run in a transaction in which the server refuses writes."""
    pool = Pool(url)
    store = opened(pool=pool)
    run(
        url,
        "CREATE FUNCTION bad() RETURNS int LANGUAGE sql AS 'UPDATE votes SET n = 5 RETURNING 1'",
    )
    store._reader._reads["comments"].one = b"SELECT bad() WHERE $1::text = '1'"
    with pytest.raises(StoreError, match="ReadOnlySqlTransaction"):
        store.read(REFS[:1])
    pool.close()


def test_silent_pool(url, opened):
    """A pool's connection on which the server fell silent is closed, so that the pool can see it."""
    with Proxy(url) as proxy:
        pool = Pool(proxy.url)
        store = opened(pool=pool)
        store.read(REFS)
        proxy.held = True
        with ends_soon(), pytest.raises(StoreUnavailable):
            store.read(REFS, timeout=0.2)
        assert pool.given.closed
        with pytest.raises(StoreError, match="is in a transaction or closed"):
            store.read(REFS)


class Giving:
    """A pool that gives anything."""

    def __init__(self, given):
        self._given = given

    def connection(self, timeout):
        assert timeout > 0
        if isinstance(self._given, Exception):
            raise self._given
        return self._given


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (nullcontext(3), StoreError, "no psycopg 3 connection"),
        (psycopg.OperationalError("no connection left"), StoreUnavailable, "cannot be reached"),
        (TimeoutError(), StoreUnavailable, "cannot be reached"),
    ],
)
def test_wrong_pools(opened, given, error, match):
    """What a pool gives or raises instead of a connection becomes an error of the store."""
    with pytest.raises(error, match=match):
        opened(pool=Giving(given)).read(REFS)


def test_a_pool_that_is_in_use(url, opened):
    """A connection inside a transaction is left alone."""
    pool = Pool(url)
    pool.given.execute("SELECT 1")
    with pytest.raises(StoreError, match="is in a transaction"):
        opened(pool=pool).read(REFS)
    assert pool.given.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    pool.close()


def test_client(url, opened):
    """The client commits at the end of a block, rolls back what raised, and keeps its connections."""
    store = opened(url)
    client = store.client()
    assert store.client() is client
    with client.connection() as one:
        one.execute("UPDATE comments SET n = 2")
    assert run(url, "SELECT n FROM comments") == [(2,)]
    with pytest.raises(psycopg.errors.UndefinedTable), client.connection() as two:  # noqa: PT012 - the block ends the work
        two.execute("UPDATE comments SET n = 3")
        two.execute("SELECT FROM nothing")
    with client.connection() as three, client.connection() as four:
        three.autocommit = True
        assert three is two is one
        assert four is not one
    assert not one.autocommit
    assert run(url, "SELECT n FROM comments") == [(2,)]
    store.close()
    assert one.closed
    assert four.closed


def test_client_after_a_restart(url, opened):
    """Connections on which the server hung up, or that the service closed, are not given out again."""
    client = opened(url).client()
    with client.connection() as one:
        one.execute("SELECT 1")
    hang_up(url)
    with client.connection() as two:
        two.execute("SELECT 1")
    with client.connection() as three:
        three.close()
    with pytest.raises(psycopg.OperationalError), client.connection() as four:  # noqa: PT012 - the block ends the work
        hang_up(url)
        four.execute("SELECT 1")
    with client.connection() as five:
        five.execute("SELECT 1")
    assert one.closed
    assert four.closed


def test_client_keeps_few(url, opened):
    """The client makes as many connections as are needed at a time, and keeps no more than it was told."""
    client = opened(url, connections=1).client()
    with client.connection() as one, client.connection() as two:
        pass
    assert [one.closed, two.closed].count(True) == 1


def test_client_of_the_service(url, opened):
    """What the service hands in as its client is given back."""
    client = object()
    assert opened(url, client=client).client() is client


def test_checked_side(url, opened):
    """The checked side of a write is refused production's client."""
    store = opened(url)
    _roles.declare(store)
    token = MIRRORED.set(True)
    try:
        with pytest.raises(ProductionRefused):
            store.client()
    finally:
        MIRRORED.reset(token)


def in_child(work):
    """Do something in a forked child, and tell whether it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def test_fork(url, opened):
    """A forked child makes connections of its own, and the parent's go on working after it ended."""
    store = opened(url)
    store.read(REFS)
    with store.client().connection() as mine:
        mine.execute("SELECT 1")
    (line,) = store._link._state.idle
    known = {line.pgconn.backend_pid, mine.info.backend_pid}

    def work():
        assert store.read(REFS).records[0].exists
        asyncio.run(store.aread(REFS))
        with store.client().connection() as theirs:
            assert theirs.info.backend_pid not in known
        assert not known & {each.pgconn.backend_pid for each in store._link._state.idle}
        store.close()

    assert in_child(work)
    assert store.read(REFS).records[0].exists
    assert store._link._state.idle == [line]
    assert line.pgconn.backend_pid in known
    with store.client().connection() as again:
        assert again is mine
        again.execute("SELECT 1")


def test_fork_while_in_use(url, opened):
    """A child that is forked while all connections are taken is not held up by that."""
    store = opened(url, connections=1)
    with store._link._line(time.monotonic() + 20, 0.1, fresh=False, live=False):
        assert in_child(lambda: store.read(REFS, timeout=5))
    assert store.read(REFS).records[0].exists


def test_identity(url, opened):
    """It is the same over two handles, a pool and another address, and another for each database and schema."""
    store = opened(url)
    pool = Pool(url)
    with database(url) as other, Proxy(url) as proxy:
        same = [opened(url).identity(), opened(pool=pool).identity(), opened(proxy.url).identity()]
        assert set(same) == {store.identity()}
        run(url, "CREATE SCHEMA s")
        others = [
            opened(other).identity(),
            opened(f"{url}?options=-csearch_path%3Ds").identity(),
            opened(url, tables=[Table("x", key="id", schema="s")]).identity(),
        ]
        assert len({*others[:2], same[0]}) == 3
        assert others[1] == others[2]
        assert opened(url, tables=[]).identity() == same[0]
    pool.close()


def test_identity_without_the_right(url, opened):
    """A user who may not ask for the server's number still gets an identity."""
    function = "FUNCTION pg_control_system()"
    name = "weak_" + url.rpartition("_")[2]
    scheme, _, place = url.partition("://")
    weak = f"{scheme}://{name}:x@{place.rpartition('@')[2]}"
    run(url, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", f"REVOKE EXECUTE ON {function} FROM PUBLIC")
    try:
        first, second = opened(weak), opened(weak)
        assert "since " in first.identity()
        assert first.identity() == second.identity()
    finally:
        run(url, f"GRANT EXECUTE ON {function} TO PUBLIC", f"DROP ROLE {name}")


def test_identity_of_a_server_that_is_not_there(url, opened):
    """Without a server there is no identity."""
    with Proxy(url) as proxy:
        gone = proxy.url
    with pytest.raises(StoreUnavailable):
        opened(gone).identity()


def test_nonce(url, opened):
    """A planted mark is found over every handle of the store and no other, and removed without a trace."""
    here, again = opened(url), opened(url)
    with database(url) as other:
        there = opened(other)
        here.plant("it's")
        assert (here.finds("it's"), again.finds("it's"), there.finds("it's")) == (True, True, False)
        here.plant("new")
        assert (again.finds("it's"), again.finds("new"), again.finds("")) == (False, True, False)
        again.forbid_writes()
        assert again.finds("new")
        here.plant("")
        here.plant("")
        assert not again.finds("new")
        for each in (url, other):
            assert run(each, "SELECT to_regclass('shadowmig_nonce')") == [(None,)]


def test_nonce_in_shared_schemas(url, opened):
    """A mark is found too by a handle that shares only one schema with the store."""
    run(url, "CREATE SCHEMA s", "CREATE TABLE s.x (id int)")
    wide = opened(url, tables=[*TABLES, Table("x", key="id", schema="s")])
    narrow = opened(url, tables=[Table("x", key="id", schema="s")])
    assert wide.identity() != narrow.identity()
    wide.plant("n")
    assert narrow.finds("n")
    wide.plant("")


def test_no_schema(url, opened):
    """Without a schema to plant a mark in, it says so."""
    store = opened(f"{url}?options=-csearch_path%3Dnowhere")
    with pytest.raises(StoreError, match=r"no current schema.*search_path"):
        store.plant("x")


def test_a_mark_that_goes_meanwhile(url, opened, monkeypatch):
    """A mark whose table is dropped while it is looked for is not found; a strange table of its name is an error."""
    store = opened(url)
    monkeypatch.setattr(store, "_schemas", lambda: [("public", True)])
    assert store.finds("x") is False
    run(url, "CREATE TABLE shadowmig_nonce (other int)")
    with pytest.raises(StoreError, match="'shadowmig_nonce'"):
        store.finds("x")


def test_many_processes_plant(url, opened):
    """Marks planted at the same time do not hinder each other."""
    stores = [opened(url) for _ in range(4)]
    barrier = threading.Barrier(4)

    def plant(store):
        barrier.wait(20)
        store.plant(str(id(store)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(plant, stores))
    assert sum(store.finds(str(id(store))) for store in stores) == 1
    stores[0].plant("")
