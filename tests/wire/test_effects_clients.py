"""Stand-ins for the clients of stores, over real servers: reads reach the sister, writes are recorded."""

from contextlib import closing, contextmanager
from contextvars import copy_context
from functools import partial

import psycopg
import pytest
import redis as redis_driver
from psycopg import sql
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from redis import asyncio as aioredis

from shadowmig import SisterStore
from shadowmig.errors import EffectRefused
from shadowmig.model import Side
from shadowmig.side import CHECKED_SIDE, MIRRORED
from shadowmig.stores import MemcachedStore, MemoryStore, PostgresStore, RedisStore, Table
from shadowmig.testing.servers import Memcached
from shadowmig.wire.effects import Effects
from shadowmig.wire.effects._check import CHECK, Check
from shadowmig.wire.effects._sql import is_query
from shadowmig.wire.fence import FENCE, Fence, install


def checked(function, *args, refused=()):
    """Call a function as a consumer is called, and give what it returned and what was recorded."""
    install()
    check = Check(Fence())

    def inside():
        CHECKED_SIDE.set(Side.CANDIDATE)
        MIRRORED.set(True)
        CHECK.set(check)
        FENCE.set(check.fence)
        try:
            return function(*args)
        finally:
            check.end()

    value = copy_context().run(inside)
    assert [str(each) for each in check.fence.refused] == list(refused)
    return value, [str(effect) for effect in check.effects]


def refusal(use):
    """Give the name of what is refused."""
    with pytest.raises(EffectRefused) as caught:
        use()
    return caught.value.effect


# Memcached.


@pytest.fixture(scope="module")
def two_memcached(memcached):
    with Memcached() as sister:
        yield memcached, sister


@pytest.fixture
def cache(two_memcached, memcached_prefix):
    production, sister = (MemcachedStore(f"{each.host}:{each.port}") for each in two_memcached)
    with closing(SisterStore(production=production, sister=sister, name="cache")) as store:
        store.prove()
        sister.client().flush_all()
        production.client().set(f"{memcached_prefix}a", b"production")
        sister.client().set("a", b"sister")
        sister.client().set("n", b"5")
        yield store


def test_memcached_of_a_sister_store(cache, memcached_prefix):
    """In ordinary code the client is production's; inside of a check reads are the sister's and writes stay undone."""
    client = Effects().client(cache)
    assert client.get(f"{memcached_prefix}a") == b"production"
    assert client.set(f"{memcached_prefix}b", b"1")

    def handle():
        assert client.get("a") == b"sister"
        assert client.get_many(["a", "none"]) == {"a": b"sister"}
        assert client["a"] == b"sister"
        client["c"] = b"x"
        done = [client.set("a", b"x", expire=5), client.set_many({"a": b"y"}), client.delete("a"), client.touch("a")]
        done += [client.add("a", b"x"), client.add("new", b"x"), client.incr("n", 2), client.decr("n", 9)]
        client.close()
        return [*done, client.incr("none", 1)]

    value, seen = checked(handle)
    assert value == [True, [], True, True, False, True, 7, 0, None]
    assert seen[:3] == ["cache.__setitem__('c', b'x')", "cache.set('a', b'x', expire=5)", "cache.set_many({'a': b'y'})"]
    assert len(seen) == 10
    assert cache.sister.client().get("a") == b"sister"
    assert cache.sister.client().get("c") is None
    assert client.get(f"{memcached_prefix}b") == b"1"


def test_memcached_performed(cache):
    """With ``perform=True`` writes reach the sister, and are recorded as performed."""
    client = Effects().client(cache, name="memcached", perform=True, returns={"set": "ignored"})
    value, seen = checked(lambda: (client.set("a", b"new"), client.get("a")))
    assert value == (True, b"new")
    assert seen == ["memcached.set('a', b'new')"]


@pytest.mark.parametrize("kind", [Client, PooledClient, HashClient])
def test_clients_of_pymemcache(two_memcached, memcached_prefix, kind):
    """All clients of pymemcache are known, without a sister store too, and answers can be given."""
    place = (two_memcached[0].host, two_memcached[0].port)
    key = f"{memcached_prefix}k"
    with closing(kind([place] if kind is HashClient else place, key_prefix=b"")) as real:
        real.set(key, b"old")
        client = Effects().client(real, returns={"delete": False})
        value, seen = checked(lambda: (client.get(key), client.set(key, b"new"), client.delete(key)))
        assert value == (b"old", True, False)
        assert seen == [f"{kind.__name__}.set('{key}', b'new')", f"{kind.__name__}.delete('{key}')"]
        assert real.get(key) == b"old"


def test_memcached_refuses_by_name(cache):
    """A write of which nobody knows what it gives, and what the client is made of, are refused by name."""
    client = Effects().client(cache)

    def handle():
        assert (client.add(key="a", value=1), client.add(key="new", value=1)) == (False, True)
        assert client.incr(key="n", value=4) == 9
        assert refusal(lambda: client.raw_command("gat 5 a")) == "cache.raw_command"
        assert refusal(lambda: client.client_pool) == "cache.client_pool"
        assert refusal(lambda: setattr(client, "timeout", 1)) == "cache.__setattr__"

    _, seen = checked(handle, refused=["cache.raw_command", "cache.client_pool", "cache.__setattr__"])
    assert [each.partition("(")[0] for each in seen[3:]] == ["cache.raw_command", "cache.__setattr__"]


# Redis.


@pytest.fixture
def client(redis_url):
    with redis_driver.Redis.from_url(redis_url) as real:
        real.set("text", "old")
        real.rpush("list", "a", "b")
        real.hset("hash", "field", 5)
        yield real


def test_redis_commands(client):
    """Commands that read are performed, others recorded with an answer as if they had gone well."""
    stand_in = Effects().client(client, name="redis")

    def handle():
        assert stand_in.get("text") == b"old"
        assert stand_in.lrange("list", 0, -1) == [b"a", b"b"]
        assert list(stand_in.scan_iter("t*")) == [b"text"]
        return [
            stand_in.set("text", "new", ex=5),
            stand_in.set("text", "new", nx=True),
            stand_in.set("free", "new", nx=True),
            stand_in.set("text", "new", xx=True),
            stand_in.set("text", "new", get=True),
            stand_in.setnx("text", 1),
            stand_in.delete("text", "list"),
            stand_in.incr("count"),
            stand_in.decrby("count", 3),
            stand_in.hincrby("hash", "field", 2),
            stand_in.hset("hash", mapping={"a": 1, "b": 2}),
            stand_in.sadd("set", 1, 2, 3),
            stand_in.zadd("zset", {"x": 1}),
            stand_in.lpush("list", "c"),
            stand_in.lpop("list"),
            stand_in.rpop("list"),
            stand_in.getset("text", 1),
            stand_in.xack("stream", "group", "1-1", "1-2"),
            stand_in.xadd("stream", {"id": "7"}),
            stand_in.publish("channel", "hi"),
            stand_in.execute_command("CONFIG SET", "maxmemory", 0),
        ]

    value, seen = checked(handle)
    assert value == [
        *(True, None, True, True, b"old", False, 2, 1, -3, 7, 2, 3, 1, 3, b"a", b"b", b"old", 2),
        *(b"0-1", 0, True),
    ]
    assert seen[:2] == ["redis.SET('text', 'new', 'EX', 5)", "redis.SET('text', 'new', 'NX')"]
    assert seen[-1] == "redis.CONFIG SET('maxmemory', 0)"
    assert len(seen) == len(value)
    assert client.get("text") == b"old"
    assert client.llen("list") == 2
    assert client.exists("count", "set", "zset", "stream", "free") == 0


def test_redis_refuses_by_name(client):
    """A command of which nobody knows what it gives, and whatever goes past the commands, are refused by name."""
    stand_in = Effects().client(client, name="redis", returns={"SPOP": b"x"})
    client.sadd("set", "x")

    def handle():
        assert stand_in.spop("set") == b"x"
        seen = [
            refusal(lambda: stand_in.eval("return 1", 0)),
            refusal(lambda: stand_in.lpop("list", 2)),
            refusal(lambda: stand_in.zadd("zset", {"x": 1}, incr=True)),
            refusal(stand_in.pubsub),
            refusal(lambda: stand_in.connection_pool),
            refusal(lambda: stand_in.pipeline().immediate_execute_command("SET", "text", "x")),
            refusal(lambda: setattr(stand_in, "connection_pool", None)),
        ]
        assert stand_in.zadd("zset", {"x": 1}, xx=True, ch=True) == 1
        return seen

    names = "EVAL LPOP ZADD connection_pool connection_pool immediate_execute_command __setattr__".split()
    names = [f"redis.{name}" for name in names]
    value, seen = checked(handle, refused=names)
    assert (value, seen[0]) == (names, "redis.SPOP('set')")
    assert client.scard("set") == 1


def test_redis_answers_as_text(redis_url):
    """A client that gives text is answered with text."""
    with redis_driver.Redis.from_url(redis_url, decode_responses=True) as real:
        stand_in = Effects().client(real)
        assert checked(lambda: stand_in.xadd("stream", {"id": "7"}))[0] == "0-1"
        assert checked(Effects().client(real, returns=lambda *args: args[-1]).spop, "set")[0] == "set"


def test_redis_pipelines(client):
    """A pipeline performs its reads and records its writes when it is executed, watched and transactional too."""
    stand_in = Effects().client(client, name="redis")

    def handle():
        with stand_in.pipeline() as pipe:
            assert (len(pipe), bool(pipe)) == (0, True)
            pipe.set("text", "new").get("text")
            assert len(pipe) == 2
            first = pipe.execute()
        with stand_in.pipeline(transaction=True) as pipe:
            pipe.watch("text")
            before = pipe.get("text")
            pipe.multi()
            pipe.set("text", b"<" + before + b">")
            second = pipe.execute()
        return first, second, stand_in.transaction(lambda pipe: (pipe.multi(), pipe.incr("count")), "count")

    value, seen = checked(handle)
    assert value == ([True, b"old"], [True], [1])
    assert seen == ["redis.SET('text', 'new')", "redis.SET('text', b'<old>')", "redis.INCRBY('count', 1)"]
    assert client.get("text") == b"old"


def test_redis_pipeline_errors(client):
    """An error of a command in a pipeline is raised, or among the results if it is told so."""
    stand_in = Effects().client(client)

    def handle():
        with stand_in.pipeline() as pipe:
            pipe.get("list")
            pipe.llen("list")
            failed, length = pipe.execute(raise_on_error=False)
            assert isinstance(failed, redis_driver.ResponseError)
            assert length == 2
            pipe.get("list")
            with pytest.raises(redis_driver.ResponseError):
                pipe.execute()

    assert checked(handle)[1] == []


def test_redis_lock_and_scripts(client):
    """A lock of redis-py is taken on paper, and a script is recorded and not run."""
    stand_in = Effects().client(client, name="redis", returns={"EVALSHA": b"done"})

    def handle():
        script = stand_in.register_script("return redis.call('SET', 'text', 'scripted')")
        return stand_in.lock("lock", timeout=5).acquire(blocking=False), script()

    value, seen = checked(handle)
    assert value == (True, b"done")
    assert [each.split("(")[0] for each in seen] == ["redis.SET", "redis.EVALSHA"]
    assert client.get("text") == b"old"
    assert client.exists("lock") == 0


def test_redis_lock_as_a_block(client):
    """A lock is taken and let go on paper, twice with the same token, and the library keeps nothing of the check."""
    stand_in = Effects().client(client, name="redis")

    def handle():
        with stand_in.lock("lock", timeout=5) as lock:
            lock.extend(5)

    first, second = checked(handle), checked(handle)
    assert first == second
    assert [each.split("(")[0] for each in first[1]] == ["redis.SET", "redis.EVALSHA", "redis.EVALSHA"]
    assert type(redis_driver.lock.Lock.lua_release.registered_client) is redis_driver.Redis
    assert client.exists("lock") == 0


def test_redis_performed_on_the_sister(redis_url, client):
    """With ``perform=True`` commands reach the sister, and production stays as it was."""
    other = redis_url.replace("/15", "/14")
    store = SisterStore(production=RedisStore(redis_url), sister=RedisStore(other), name="events")
    with closing(store):
        store.prove()
        stand_in = Effects().client(store, perform=True)
        assert stand_in.get("text") == b"old"
        try:
            assert checked(lambda: (stand_in.set("text", "checked"), stand_in.get("text")))[0] == (True, b"checked")
        finally:
            store.sister.reset()
        assert client.get("text") == b"old"


# Postgres.


@pytest.fixture
def db(postgres_url, sister_url):
    for url, body in ((postgres_url, "production"), (sister_url, "sister")):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE comments (id serial PRIMARY KEY, body text)")
            connection.execute("INSERT INTO comments (body) VALUES (%s)", (body,))
    tables = [Table("comments", key="id")]
    production, sister = (PostgresStore(url, tables=tables) for url in (postgres_url, sister_url))
    with closing(SisterStore(production=production, sister=sister, name="db")) as store:
        store.prove()
        yield store


def bodies(store):
    with store.client().connection() as connection:
        return [body for (body,) in connection.execute("SELECT body FROM comments ORDER BY id")]


INSERT = "INSERT INTO comments (body)\n  VALUES (%s) RETURNING id"


def test_postgres_of_a_sister_store(db):
    """Queries are run on the sister, and statements that write are recorded, on connections and cursors."""
    pool = Effects().client(db)
    with pool.connection() as connection:
        assert connection.execute("SELECT body FROM comments").fetchone() == ("production",)

    def handle():
        with pool.connection() as connection:
            assert connection.execute("SELECT body FROM comments FOR UPDATE").fetchall() == [("sister",)]
            with connection.cursor() as cursor, connection.transaction():
                cursor.execute(INSERT, ("new",))
                assert cursor.rowcount == 1
                cursor.executemany("UPDATE comments SET body = %s", [("a",), ("b",)])
                assert cursor.rowcount == 2
                cursor.execute(b"SELECT count(*) FROM comments")
                assert (cursor.rowcount, cursor.fetchmany(5), list(cursor)) == (1, [(1,)], [])
            connection.execute("COMMIT")
            connection.commit()
            connection.rollback()
            connection.close()
            statement = sql.SQL("DELETE FROM {}").format(sql.Identifier("comments"))
            connection.execute(statement)
            return connection.info.dbname

    value, seen = checked(handle)
    assert value.endswith("_sister")
    assert seen == [
        "db.execute('INSERT INTO comments (body) VALUES (%s) RETURNING id', ['new'])",
        "db.execute('UPDATE comments SET body = %s', [['a'], ['b']])",
        """db.execute('DELETE FROM "comments"', None)""",
    ]
    assert bodies(db) == ["production"]
    assert db.read_sister([db.row("comments", 1)]).records[0].value["body"] == "sister"


def test_postgres_rows_told(db):
    """A statement that is not performed gives the rows that it was told to."""
    pool = Effects().client(db, returns={"execute": lambda text, params: [(41, params[0]), (42, "b")]})

    def handle():
        with pool.connection() as connection:
            cursor = connection.execute(INSERT, ("new",))
            return cursor.rowcount, cursor.fetchone(), cursor.fetchmany(9), cursor.fetchone()

    assert checked(handle)[0] == (2, (41, "new"), [(42, "b")], None)


def test_postgres_rolled_back(db):
    """With ``perform="rollback"`` ids, counts and what was written are real within a block, and nothing stays."""
    pool = Effects().client(db, perform="rollback")

    def handle():
        with pool.connection() as connection:
            (number,) = connection.execute(INSERT, ("new",)).fetchone()
            connection.commit()
            seen = connection.execute("SELECT body FROM comments ORDER BY id").fetchall()
            connection.rollback()
            after = connection.execute("SELECT count(*) FROM comments").fetchone()
        with pytest.raises(ZeroDivisionError), pool.connection() as connection:
            connection.execute(INSERT, (str(1 / 0),))
        return number, seen, after

    value, seen = checked(handle)
    assert value == (2, [("sister",), ("new",)], (1,))
    assert len(seen) == 1
    assert db.read_sister([db.row("comments", 2)]).records[0].exists is False


def test_postgres_refuses_by_name(db):
    """What would go past the record, or asks for what is not known, is refused by its name and performed nowhere."""
    pool = Effects().client(db)

    def handle():
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT body FROM comments")
            assert (cursor.statusmessage, cursor.description[0].name) == ("SELECT 1", "body")
            assert (hasattr(connection, "nothing"), cursor.closed) == (False, False)
            cursor.arraysize = 2
            cursor.execute(INSERT, ("new",))
            seen = [refusal(use) for use in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, lambda: [*cursor])]
            seen += [refusal(lambda name=name: getattr(cursor, name)) for name in ("description", "stream", "copy")]
            seen += [refusal(lambda name=name: getattr(connection, name)) for name in ("pgconn", "pipeline")]
            seen += [refusal(partial(setattr, each, "autocommit", True)) for each in (connection, cursor)]
            return seen

    names = "fetch fetch fetch fetch description stream copy pgconn pipeline autocommit autocommit".split()
    value, seen = checked(handle, refused=[f"db.{name}" for name in names])
    assert value == [f"db.{name}" for name in names]
    assert len(seen) == 1
    assert db.read_sister([db.row("comments", 2)]).records[0].exists is False


STATEMENTS = [
    ("-- why\nSELECT body FROM comments", 1, None),
    ("SELECT 1 -- x\n; DELETE FROM comments", None, "SELECT 1 -- x\n; DELETE FROM comments"),
    ("BEGIN; DELETE FROM comments; COMMIT", None, "BEGIN; DELETE FROM comments; COMMIT"),
    ("SELECT 1; COMMIT", None, "SELECT 1; COMMIT"),
    ("SELECT pg_advisory_lock(7)", None, "SELECT pg_advisory_lock(7)"),
    ("UPDATE comments\n SET body = 'a  b\n c'", None, "UPDATE comments SET body = 'a  b\n c'"),
    ("BEGIN", 0, None),
]


def test_postgres_statement_as_a_whole(db):
    """A text of several statements is a query if all of them are, and is recorded with its texts as they are."""
    pool = Effects().client(db)

    def handle(statement, recorded):
        with pool.connection() as connection:
            cursor = connection.execute(statement)
            return None if recorded else len(cursor.fetchall())

    for statement, rows, recorded in STATEMENTS:
        seen = [f"db.execute({recorded!r}, None)"] if recorded else []
        assert checked(handle, statement, recorded) == (rows, seen)
    assert db.read_sister([db.row("comments", 1)]).records[0].value["body"] == "sister"


def test_postgres_no_way_out_of_the_rollback(db):
    """With ``perform="rollback"`` a text that would end our transaction is refused, and nothing stays."""
    pool = Effects().client(db, perform="rollback")

    def handle():
        with pool.connection() as connection:
            return refusal(lambda: connection.execute("DELETE FROM comments; COMMIT"))

    assert checked(handle, refused=["db.execute"])[0] == "db.execute"
    assert db.read_sister([db.row("comments", 1)]).records[0].exists


def test_postgres_row_factory(db, sister_url):
    """A row factory counts for the cursors of the check, and the connection goes back as it was."""
    with psycopg.connect(sister_url) as real:
        client = Effects().client(real, name="db")

        def handle():
            client.row_factory = psycopg.rows.dict_row
            with client.cursor() as cursor:
                cursor.row_factory = psycopg.rows.tuple_row
                rows = [cursor.execute("SELECT body FROM comments").fetchone()]
            return [*rows, client.execute("SELECT body FROM comments").fetchone(), client.info.dbname]

        value, seen = checked(handle)
        assert value == [("sister",), {"body": "sister"}, real.info.dbname]
        assert seen == []
        assert real.row_factory is psycopg.rows.tuple_row


def test_postgres_connection_that_is_lost(db):
    """A connection that is lost in a check is the handler's error, and the pool gives another one."""
    pool = Effects().client(db, reads=["closed"])

    def handle():
        with pool.connection() as connection:
            connection._real.close()
            connection.execute("SELECT 1")

    for _ in range(3):
        with pytest.raises(psycopg.Error):
            checked(handle)

    def count():
        with pool.connection() as connection:
            return connection.execute("SELECT count(*) FROM comments").fetchone()

    assert checked(count)[0] == (1,)


def test_postgres_performed(db):
    """With ``perform=True`` statements stay on the sister, as the handler commits or rolls them back."""
    pool = Effects().client(db, perform=True)

    def handle():
        with pool.connection() as connection:
            connection.execute("UPDATE comments SET body = 'first'")
            connection.commit()
            connection.execute("UPDATE comments SET body = 'second'")
            connection.rollback()

    assert len(checked(handle)[1]) == 2
    assert db.read_sister([db.row("comments", 1)]).records[0].value["body"] == "first"
    assert bodies(db) == ["production"]


@pytest.mark.parametrize("autocommit", [True, False])
def test_postgres_connection_itself(postgres_url, autocommit):
    """A connection is known without a pool; what a query's function writes is rolled back at the end of the check."""
    with psycopg.connect(postgres_url, autocommit=autocommit) as real:
        real.execute("CREATE TABLE seen (id int)")
        real.execute(
            "CREATE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING id'",
        )
        real.commit()
        client = Effects().client(real, name="db")

        def handle():
            with client as connection:
                connection.execute("SELECT note()")
                connection.execute("SET statement_timeout = 5000")
            with pytest.raises(ZeroDivisionError), client:
                raise ZeroDivisionError
            with client.cursor() as cursor:
                cursor.execute("DELETE FROM seen")
            client.close()
            return client.execute("SELECT count(*) FROM seen").fetchone()

        assert checked(handle) == ((0,), ["db.execute('DELETE FROM seen', None)"])
        assert real.execute("SELECT count(*) FROM seen").fetchone() == (0,)
        assert real.closed is False


def test_postgres_pool_by_other_means(db):
    """What a pool gives by other means than ``connection()`` is refused."""

    class Pool:
        __module__ = "psycopg_pool.pool"

        @contextmanager
        def connection(self):
            raise AssertionError("not used here")
            yield

        def getconn(self):
            raise AssertionError("performed")

    client = Effects().client(Pool(), name="db")

    def handle():
        with pytest.raises(EffectRefused, match=r"Use its connection\(\)"):
            client.getconn()

    checked(handle, refused=["db.getconn"])


def test_asynchronous_clients_are_not_known():
    """A client for event loops is none of the known ones: what it does is recorded as a whole."""
    other = Effects().client(aioredis.Redis(), name="redis", returns=7)
    assert checked(other.set, "a", "b") == (7, ["redis.set('a', 'b')"])

    class Connection:
        __module__ = "psycopg.connection_async"

        async def close(self):
            raise AssertionError("performed")

    client = Effects().client(Connection(), name="db")
    value, seen = checked(client.close)
    value.close()
    assert seen == []


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT 1", True),
        ("  ( select 1 )", True),
        ("-- why\n/* and */ SELECT 'DELETE FROM x', \"update\" FROM a", True),
        ("SELECT $$INSERT$$, $x$ DELETE $x$", True),
        ("SELECT * FROM a FOR NO KEY UPDATE", True),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True),
        ("WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", False),
        ("SELECT 1; DELETE FROM a", False),
        ("SELECT * INTO b FROM a", False),
        ("SELECT pg_notify('a', 'b')", False),
        ("EXPLAIN SELECT 1", True),
        ("EXPLAIN ANALYZE SELECT 1", False),
        ("SELECT nextval('a')", False),
        ("SELECT pg_try_advisory_xact_lock(1)", False),
        (r"SELECT E'\''; DELETE FROM a WHERE b = 'c'", False),
        ("SELECT date '2024-01-01', 'a;b'; VALUES (1);", True),
        ("SELECT 1; LOCK a", False),
        (";", False),
        ("VALUES (1)", True),
        ("SHOW ALL", True),
        ("INSERT INTO a VALUES (1)", False),
        ("TRUNCATE a", False),
        ("CALL a()", False),
        ("NOTIFY a", False),
        ("", False),
    ],
)
def test_what_is_a_query(statement, reads):
    """A statement reads if it begins as a query and holds no word that writes outside of texts and comments."""
    assert is_query(statement) is reads


# Memory.


def test_memory_store():
    """The client of a MemoryStore is known, transactions included."""
    tables = [Table("comments", key="id")]
    production, sister = MemoryStore(tables=tables), MemoryStore(tables=tables)
    store = SisterStore(production=production, sister=sister, name="memory")
    store.prove()
    sister.client().insert("comments", {"id": 1, "body": "sister"})
    sister.client().set("n", 5)
    client = Effects().client(store)
    client.insert("comments", {"id": 1, "body": "production"})

    def handle():
        with client.transaction() as transaction:
            row = transaction.get_row("comments", 1)
            changed = transaction.update("comments", 1, body="new")
        done = [client.insert("comments", {"id": 2}), client.append("events", {"a": 1}), client.set("k", 1)]
        return row["body"], changed["body"], done, client.incr("n"), client.incr("none", 3), client.delete("n")

    value, seen = checked(handle)
    assert value == ("sister", "new", [{"id": 2}, "0-1", None], 6, 3, True)
    assert seen[0] == "memory.update('comments', 1, body='new')"
    assert client.get_row("comments", 1)["body"] == "production"
    assert sister.client().rows("comments") == [{"id": 1, "body": "sister"}]
