"""Reading: what comes of rows, keys, versions and marks, and what is refused."""

import asyncio
import contextlib
import subprocess
import sys
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_support import Proxy, row, run
from psycopg import sql

from shadowmig.errors import ConfigError, StoreError
from shadowmig.model import MISSING, Ref
from shadowmig.protocols import AsyncStore, Store
from shadowmig.stores import PostgresStore, Table

COMMENTS = Table("comments", key="id", version="version")
VOTES = Table("votes", key=("author", "item"))
SCHEMA = (
    "CREATE TABLE comments (id int PRIMARY KEY, body text, version int)",
    "INSERT INTO comments VALUES (1, 'one', 1), (2, 'two', 7), (3, NULL, NULL)",
    "CREATE TABLE votes (author text, item bigint, weight numeric, PRIMARY KEY (author, item))",
    "INSERT INTO votes VALUES ('ann', 1, 1.50), ('ann', 2, 2), ('bob', 1, 3)",
)


@pytest.fixture
def url(postgres_url):
    """A database with comments and votes."""
    run(postgres_url, *SCHEMA)
    return postgres_url


@pytest.fixture
def store(url):
    """A store over both tables."""
    made = PostgresStore(url, tables=[COMMENTS, VOTES], timeout=20)
    yield made
    made.close()


def test_is_a_store(store):
    """It has the shape of a store that can be read on an event loop too."""
    assert isinstance(store, AsyncStore)
    assert all(callable(getattr(store, name)) for name in vars(Store) if not name.startswith("_"))


def test_reads_one_row(store, url):
    """A row is a dict of its columns, with the version column's value and the row's xmin."""
    (record,) = store.read([row("comments", 1)]).records
    assert record.ref == row("comments", 1)
    assert record.value == {"id": 1, "body": "one", "version": 1}
    assert record.version == 1
    assert record.raw is None
    assert record.meta == {}
    assert str(record.token) == run(url, "SELECT xmin FROM comments WHERE id = 1")[0][0]


def test_reads_many_in_order(store):
    """Refs over tables give records in the order of the refs, absent ones and repeated ones too."""
    refs = [row("votes", "bob", 1), row("comments", 2), row("comments", 9), row("votes", "ann", 1), row("comments", 2)]
    records = store.read(refs).records
    assert [record.ref for record in records] == refs
    assert [record.value if record.exists else None for record in records] == [
        {"author": "bob", "item": 1, "weight": 3},
        {"id": 2, "body": "two", "version": 7},
        None,
        {"author": "ann", "item": 1, "weight": records[3].value["weight"]},
        {"id": 2, "body": "two", "version": 7},
    ]
    assert str(records[3].value["weight"]) == "1.50"
    assert records[2].value is MISSING
    assert records[2].version is records[2].token is None


def test_one_absent_row(store):
    """An absent row read alone is no record, and the mark comes nevertheless."""
    reading = store.read([row("comments", 9)])
    assert not reading.records[0].exists
    assert reading.mark > 0


def test_no_version(store):
    """Without a version column, and where it is NULL, there is no version."""
    by_table, by_value = store.read([row("votes", "ann", 1), row("comments", 3)]).records
    assert by_table.version is by_value.version is None
    assert by_table.token > 0


def test_token_changes(store, url):
    """Each write of a row changes its token, even if it changes nothing else."""
    before = store.read([row("comments", 1)]).records[0]
    run(url, "UPDATE comments SET body = body WHERE id = 1")
    after = store.read([row("comments", 1)]).records[0]
    assert after.value == before.value
    assert after.token != before.token


def test_columns(url):
    """Only the columns asked for are read, in their order."""
    store = PostgresStore(url, tables=[Table("comments", key="id", columns=["body", "id"])])
    assert list(store.read([row("comments", 1)]).records[0].value.items()) == [("body", "one"), ("id", 1)]
    store.close()


def test_schema(url):
    """A table of another schema is read by its schema."""
    run(url, 'CREATE SCHEMA "s. 1"', 'CREATE TABLE "s. 1".comments AS SELECT 1 AS id, 5 AS other')
    store = PostgresStore(url, tables=[Table("comments", key="id", schema="s. 1")])
    assert store.read([row("comments", 1)]).records[0].value == {"id": 1, "other": 5}
    store.close()


def test_fold(url):
    """All rows of an entity become one value, in the order of the primary key, with the latest version."""
    run(
        url,
        "CREATE TABLE things (entity int, name text, value text, version int, PRIMARY KEY (name, entity))",
        "INSERT INTO things VALUES (1, 'b', 'x', 3)",
        "INSERT INTO things VALUES (1, 'a', 'y', NULL), (2, 'a', 'z', NULL)",
    )
    table = Table("things", key="entity", version="version", fold=lambda rows: [(r["name"], r["value"]) for r in rows])
    store = PostgresStore(url, tables=[table])
    one, two, none = store.read([row("things", 1), row("things", 2), row("things", 3)]).records
    assert one.value == [("a", "y"), ("b", "x")]
    assert one.version == 3
    assert len(one.token) == 2
    assert list(one.token) == sorted(one.token)
    assert [r["name"] for r in one.meta["rows"]] == ["a", "b"]
    assert (two.value, two.version) == ([("a", "z")], None)
    assert none.value is MISSING
    assert store.read([row("things", 1)]).records[0] == one
    store.close()


@pytest.mark.parametrize(
    ("columns", "values", "expected"),
    [
        ("entity int, data text", "(1, 'b'), (1, 'a')", ["a", "b"]),
        ("entity int, data jsonb, PRIMARY KEY (entity, data)", "(1, '{}'), (1, '2'), (1, '\"x\"')", ["x", 2, {}]),
    ],
)
def test_fold_without_an_order(url, columns, values, expected):
    """Rows without a primary key, or with one whose values have no order in Python, come in a stable order."""
    run(url, f"CREATE TABLE things ({columns})", f"INSERT INTO things VALUES {values}")
    table = Table("things", key="entity", version="data", fold=lambda rows: [r["data"] for r in rows])
    store = PostgresStore(url, tables=[table])
    record = store.read([row("things", 1)]).records[0]
    assert record.value == expected
    assert record.version == ("b" if expected == ["a", "b"] else None)
    store.close()


def test_fold_that_raises(url):
    """What a fold raises becomes an error of the store that names the table."""
    store = PostgresStore(url, tables=[Table("votes", key="author", fold=lambda _: 1 / 0)])
    with pytest.raises(StoreError, match=r"fold= of table 'votes' raised ZeroDivisionError"):
        store.read([row("votes", "ann")])
    store.close()


def test_several_rows_without_fold(url):
    """A key that leads to several rows is refused, not answered with one of them."""
    store = PostgresStore(url, tables=[Table("votes", key="author")])
    with pytest.raises(StoreError, match=r"'votes' leads to several rows.*fold="):
        store.read([row("votes", "ann")])
    store.close()


@pytest.mark.parametrize(
    ("ref", "match"),
    [
        (row("other", 1), r"table 'other'.*tables="),
        (Ref("", "key", "", ("k",)), r"'key' refs.*row\(\)"),
        (row("votes", "ann"), r"1 key values; key= names author, item\."),
        (row("comments", 1, 2), r"2 key values"),
        (row("comments", None), r"'comments' has a key.*NoneType.*none of them None"),
        (row("comments", object()), r"'comments' has a key.*object"),
        (row("votes", "nul\0", 1), r"'votes' has a key"),
        (row("votes", "\ud800", 1), r"'votes' has a key"),
        (row("comments", "one"), r"table 'comments': .*InvalidTextRepresentation.*types that the columns have"),
        (row("comments", 2**70), r"table 'comments': .*NumericValueOutOfRange"),
        (row("comments", datetime(2026, 1, 1, tzinfo=UTC)), r"table 'comments': .*InvalidTextRepresentation"),
    ],
)
def test_wrong_refs(store, ref, match):
    """A ref that does not fit its table is refused with the table's name and a remedy, and the next read works."""
    for beside in ([], [row("comments", 1), row("votes", "ann", 1)]):
        with pytest.raises(StoreError, match=match) as caught:
            store.read([*beside, ref])
        assert "2026" not in str(caught.value)
        assert store.read([row("comments", 1)]).records[0].exists


def test_key_kinds(url):
    """Keys may be of any type that can be compared, given as Python has it or as text."""
    run(
        url,
        "CREATE TYPE mood AS ENUM ('sad', 'so-so')",
        "CREATE DOMAIN small AS int",
        "CREATE TABLE keys (u uuid, b bytea, m mood, d date, s small, n numeric, v varchar(9), c char(4), i inet)",
        "INSERT INTO keys VALUES ('12345678-1234-5678-1234-567812345678', '\\x00ff5c22', 'so-so', '2026-01-02', 5,"
        " 1.50, 'it''s', 'ab', '10.0.0.1')",
    )
    names = ("u", "b", "m", "d", "s", "n", "v", "c", "i")
    store = PostgresStore(url, tables=[Table("keys", key=names)])
    value = run(url, "SELECT * FROM keys")[0]
    text = (
        "12345678-1234-5678-1234-567812345678",
        r"\x00ff5c22",
        "so-so",
        "2026-01-02",
        "5",
        "1.5",
        "it's",
        "ab",
        "10.0.0.1",
    )
    one = store.read([row("keys", *value)]).records[0]
    two = store.read([row("keys", *text), row("keys", *value)]).records
    assert tuple(one.value.values()) == value
    assert [each.value for each in two] == [one.value, one.value]
    store.close()


@given(
    names=st.lists(
        # Names of the catalog are found before a table of the same name.
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
            lambda name: not name.startswith("pg_")
        ),
        min_size=3,
        max_size=3,
        unique=True,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_names(postgres_url, names):
    """Any name that Postgres can have works for tables, keys and columns."""
    table, key, other = names
    text = sql.SQL("CREATE TABLE {0} ({1} text, {2} int); INSERT INTO {0} VALUES ({3}, 3)")
    run(postgres_url, text.format(*map(sql.Identifier, names), sql.Literal(other)))
    store = PostgresStore(postgres_url, tables=[Table(table, key=key, columns=[other, key])], timeout=20)
    expected = {other: 3, key: other}
    reading = store.read([row(table, other)])
    assert reading.records[0].value == expected
    assert [each.value for each in store.read([row(table, other)] * 2, since=0).records] == [expected, expected]
    store.delete([row(table, other)])
    store.write(reading.records)
    assert store.read([row(table, other)]).records[0].value == expected
    store.reset()
    assert not store.read([row(table, other)]).records[0].exists
    run(postgres_url, sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
    store.close()


def test_any_key(postgres_url):
    """Any text and any bytes work as keys, in reads of one and of many."""
    run(postgres_url, "CREATE TABLE pairs (k text, b bytea, PRIMARY KEY (k, b))")
    store = PostgresStore(postgres_url, tables=[Table("pairs", key=["k", "b"])], timeout=20)

    @given(
        key=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
        data=st.binary(max_size=20),
    )
    def holds(key, data):
        connection.execute("INSERT INTO pairs VALUES (%s, %s) ON CONFLICT DO NOTHING", [key, data])
        ref = row("pairs", key, data)
        assert store.read([ref]).records[0].value == {"k": key, "b": data}
        assert [each.value for each in store.read([ref, ref]).records] == [{"k": key, "b": data}] * 2

    with psycopg.connect(postgres_url, autocommit=True) as connection, contextlib.closing(store):
        holds()


def test_ten_thousand(store, url):
    """Ten thousand refs are read at once."""
    run(url, "INSERT INTO comments SELECT n, repeat('x', 10), n FROM generate_series(10, 10009) AS n")
    records = store.read([row("comments", n) for n in range(10009, 9, -1)]).records
    assert [record.version for record in records] == list(range(10009, 9, -1))


def test_large_values(store, url):
    """Values of a megabyte are read and written whole."""
    run(url, "UPDATE comments SET body = repeat('x', 1000000) || id")
    records = store.read([row("comments", 1), row("comments", 2)]).records
    assert [len(record.value["body"]) for record in records] == [1_000_001] * 2
    store.delete([row("comments", 1), row("comments", 2)])
    store.write(records)
    assert [r.value for r in store.read([row("comments", 1), row("comments", 2)]).records] == [r.value for r in records]


def test_round_trips(url):
    """Any number of refs over any number of tables takes one round trip, at the first time too."""
    with Proxy(url) as proxy:
        store = PostgresStore(proxy.url, tables=[COMMENTS, VOTES], timeout=20)
        store.read([])
        refs = [row("comments", 1), row("votes", "ann", 1), row("comments", 2), row("votes", "x", 1)]
        mark = store.read([]).mark
        for number, (wanted, since) in enumerate(
            [([], None), (refs[:1], None), (refs[:1], None), (refs, None), (refs, mark), (refs * 100, None), ([], mark)]
        ):
            before = proxy.trips
            store.read(wanted, since=since)
            assert (number, proxy.trips - before) == (number, 1)
        records = store.read(refs).records
        store.write(records)
        before = proxy.trips
        store.write(records)
        store.delete(refs)
        assert proxy.trips - before == 2
        assert proxy.accepted == 1
        store.close()


def test_marks(store, url):
    """What was written since a mark is told once for each key, with a mark of its own; older writes are not."""
    reading = store.read([row("comments", 1)])
    assert reading.changed == ()
    assert store.read([], since=reading.mark).changed == ()
    run(url, "UPDATE comments SET body = 'new' WHERE id = 2", "INSERT INTO votes VALUES ('eve', 3, 1)")
    later = store.read([row("comments", 1)], since=reading.mark)
    assert [change.ref for change in later.changed] == [row("comments", 2), row("votes", "eve", 3)]
    assert all(reading.mark <= change.at < later.mark for change in later.changed)
    assert [change.ref for change in store.read([], since=later.changed[1].at).changed] == [row("votes", "eve", 3)]
    assert store.read([], since=later.mark).changed == ()


def test_changes_of_folded_rows(url):
    """Several rows of one key that were written are one change, the latest."""
    store = PostgresStore(url, tables=[Table("votes", key="author", fold=list)])
    mark = store.read([]).mark
    run(url, "UPDATE votes SET weight = 9 WHERE item = 2", "UPDATE votes SET weight = 8 WHERE item = 1")
    reading = store.read([], since=mark)
    assert [(change.ref, change.at - mark, change.count) for change in reading.changed] == [
        (row("votes", "ann"), 1, 1),
        (row("votes", "bob"), 1, 1),
    ]
    store.close()


def test_no_footprint(url):
    """Tables whose footprint is off are not searched."""
    store = PostgresStore(url, tables=[Table("comments", key="id", footprint=False)])
    mark = store.read([]).mark
    run(url, "UPDATE comments SET body = 'new'")
    assert store.read([row("comments", 1)], since=mark).changed == ()
    store.close()


def test_at_most_a_thousand_changes(store, url):
    """No more than a thousand changes are told, over all tables."""
    mark = store.read([]).mark
    run(
        url,
        "INSERT INTO comments SELECT n, '', 1 FROM generate_series(10, 900) AS n",
        "INSERT INTO votes SELECT 'x', n, 1 FROM generate_series(10, 900) AS n",
    )
    assert len(store.read([], since=mark).changed) == 1000


def test_marks_go_round(store, url):
    """The comparison of 32-bit row versions with a mark holds on both sides of the point where they begin anew."""
    statement = store._reader._reads["comments"].changes.decode()
    found = run(url, "SELECT max(xmin::text::bigint) FROM comments")[0][0]
    after, key = run(url, statement.replace("$1", f"'{found}'").replace("LIMIT", "ORDER BY t.id LIMIT"))[0]
    assert (after, key) == (0, 1)
    # Marks that lie ahead, or half the numbers back, have no row after them.
    for mark in (found + 1000, (found - 2**31 - 5000) % 2**32):
        assert run(url, statement.replace("$1", f"'{mark}'")) == []
    # Just before the point, all rows are after the mark.
    assert len(run(url, statement.replace("$1", f"'{2**32 - 10}'"))) == 3


def test_wrong_mark(store):
    """A mark that no reading gave is refused."""
    with pytest.raises(StoreError, match="since is a str"):
        store.read([], since="1")


def test_one_moment(store, url):
    """Rows of several tables are read in one snapshot, and the session is left outside a transaction."""
    store.read([row("comments", 1), row("votes", "ann", 1)])
    (line,) = store._link._state.idle
    assert line.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
    commands = store._reader.plan([row("comments", 1), row("votes", "ann", 1)], None)
    assert commands.joint
    assert not store._reader.plan([row("comments", 1), row("comments", 2)], None).joint


def test_dropped_table(store, url):
    """A table that was dropped between two reads is named, and is read again when it is back."""
    store.read([row("comments", 1)])
    run(url, "DROP TABLE comments")
    for refs in ([row("comments", 1)], [row("votes", "ann", 1), row("comments", 1)]):
        with pytest.raises(StoreError, match=r"table 'comments'.*UndefinedTable.*name= or schema="):
            store.read(refs)
    run(url, *SCHEMA[:2])
    assert store.read([row("comments", 2), row("votes", "ann", 1)]).records[0].version == 7


def test_changed_columns(store, url):
    """A column that comes or goes between two reads shows in the second, on kept statements too."""
    for _ in range(2):
        store.read([row("comments", 1)])
        store.read([row("comments", 1), row("comments", 2)])
    run(url, "ALTER TABLE comments ADD COLUMN extra int DEFAULT 4")
    assert store.read([row("comments", 1)]).records[0].value == {"id": 1, "body": "one", "version": 1, "extra": 4}
    run(url, "ALTER TABLE comments DROP COLUMN body, ALTER COLUMN extra TYPE text")
    expected = {"id": 1, "version": 1, "extra": "4"}
    assert [r.value for r in store.read([row("comments", 1), row("comments", 1)]).records] == [expected] * 2
    run(url, "ALTER TABLE comments DROP COLUMN version")
    with pytest.raises(StoreError, match=r"'comments' has no column 'version'"):
        store.read([row("comments", 1)])


def test_columns_that_are_not_there(url):
    """A column that is asked for and does not exist is named."""
    store = PostgresStore(url, tables=[Table("comments", key="id", columns=["id", "nope"])])
    with pytest.raises(StoreError, match=r"table 'comments'.*nope.*columns="):
        store.read([row("comments", 1)])
    store.close()


def test_views(url):
    """A view has no row versions and is refused; a partitioned table works."""
    run(
        url,
        "CREATE VIEW v AS SELECT * FROM comments",
        "CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "INSERT INTO parts VALUES (1, 2)",
    )
    store = PostgresStore(url, tables=[Table("v", key="id"), Table("parts", key="id", footprint=True)], timeout=20)
    with pytest.raises(StoreError, match=r"table 'v'.*xmin"):
        store.read([row("v", 1)])
    (record,) = store.read([row("parts", 1)]).records
    assert record.value == {"id": 1, "n": 2}
    store.write([record])
    assert store.read([row("parts", 1)]).records[0].token != record.token
    store.close()


def test_async_reads_alike(store, url):
    """On an event loop a read gives just what it gives in a thread, and raises the same."""
    mark = store.read([]).mark
    run(url, "UPDATE comments SET body = 'new' WHERE id = 2")
    refs = [row("comments", 2), row("votes", "ann", 1), row("comments", 9)]

    async def both():
        for wanted, since in ((refs[:1], None), (refs, mark), ([], mark), (refs * 2, None)):
            assert await store.aread(wanted, since=since) == store.read(wanted, since=since)
        for wrong in (row("comments", "x"), row("other", 1)):
            with pytest.raises(StoreError) as ours:
                await store.aread([wrong])
            with pytest.raises(StoreError) as theirs:
                store.read([wrong])
            assert str(ours.value) == str(theirs.value)
        await store.aclose()

    asyncio.run(both())


def test_loops_and_tasks(store):
    """Many tasks, and one event loop after another, use the same store."""

    async def many():
        readings = await asyncio.gather(*(store.aread([row("comments", 2)]) for _ in range(50)))
        assert {reading.records[0].version for reading in readings} == {7}

    for _ in range(3):
        asyncio.run(many())
    assert len(store._link._state.rooms) == 1
    assert len(store._link._state.idle) <= 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"conninfo": None}, "conninfo and pool are both missing"),
        ({"pool": type("P", (), {"connection": print})()}, "both given"),
        ({"pool": 3, "conninfo": None}, r"has no connection\(\)"),
        ({"conninfo": "what is this secret"}, "none that libpq understands"),
        ({"conninfo": 5}, "none that libpq understands"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "1"}, "timeout is '1'"),
        ({"timeout": True}, "timeout is True"),
        ({"connections": 0}, "connections is 0"),
        ({"tables": [3]}, "no Table"),
        ({"tables": [Table("a\0b", key="id")]}, "which Postgres cannot have"),
        ({"tables": [Table("t", key="\ud800")]}, "which Postgres cannot have"),
    ],
)
def test_wrong_options(options, match):
    """A wrong option is refused when the store is built, without what may be a secret."""
    with pytest.raises(ConfigError, match=match) as caught:
        PostgresStore(**{"conninfo": "host=nowhere", "tables": [COMMENTS], **options})
    assert "secret" not in str(caught.value)


def test_repr(monkeypatch):
    """It names host, port and database, and no password."""
    monkeypatch.delenv("PGHOST", raising=False)
    store = PostgresStore("postgresql://me:secret@10.0.0.1:5433/app", tables=[])
    assert repr(store) == "PostgresStore('10.0.0.1:5433/app')"
    assert repr(PostgresStore("dbname=x", tables=[])) == "PostgresStore(':5432/x')"


def test_what_it_was_given():
    """Conninfo and tables can be asked for, by who copies schema and rows."""
    store = PostgresStore("dbname=x", tables=[COMMENTS])
    assert store.conninfo == "dbname=x"
    assert store.tables == {"comments": COMMENTS}


def test_loads_no_driver_early():
    """The driver is loaded with the adapter, not with the room of the stores."""
    program = "import sys, shadowmig.stores; assert 'psycopg' not in sys.modules; shadowmig.stores.PostgresStore"
    subprocess.run([sys.executable, "-c", program], check=True)
