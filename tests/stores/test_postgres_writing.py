"""Writing: what is read of one database is the same in another after it was written there, whatever its type."""

import contextlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_interface
from uuid import UUID

import psycopg
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from postgres_support import database, row, run
from psycopg.types.range import Range

from shadowmig.errors import StoreError
from shadowmig.model import MISSING, Record
from shadowmig.stores import PostgresStore, Table
from shadowmig.stores._pg_writing import Layout, _Column
from shadowmig.stores.postgres import JSON_NULL

TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'so-so', 'it''s \"ok\"')",
    "CREATE TYPE point3 AS (x int, y text)",
    "CREATE DOMAIN document AS jsonb",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
)

CASES = [
    ("smallint", "-7", -7),
    ("bigint", "9223372036854775807", 2**63 - 1),
    ("numeric", "1.50", Decimal("1.50")),
    ("numeric", "-Infinity", Decimal("-Infinity")),
    ("real", "0.1", 0.1),
    ("double precision", "1e-300", 1e-300),
    ("double precision", "-Infinity", float("-inf")),
    ("boolean", "f", False),
    ("text", "a\\b\"c'{},%s\n\u00fc\U0001f600", "a\\b\"c'{},%s\n\u00fc\U0001f600"),
    ("text", "", ""),
    ("char(4)", "ab", "ab  "),
    ("bytea", "\\x00ff5c22", b'\x00\xff\\"'),
    ("uuid", "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    ("date", "2026-01-02", date(2026, 1, 2)),
    ("date", "infinity", "infinity"),
    ("date", "0044-03-15 BC", "0044-03-15 BC"),
    ("time", "23:59:59.000001", time(23, 59, 59, 1)),
    ("time", "24:00:00", "24:00:00"),
    ("timestamp", "2026-01-02 03:04:05.000006", datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - the type has no zone
    ("timestamptz", "2026-01-02 03:04:05+02", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
    ("timestamptz", "-infinity", "-infinity"),
    ("timestamptz", "12026-01-02 03:04:05+02", "12026-01-02 01:04:05+00"),
    ("interval", "-1 day 00:00:01.5", timedelta(days=-1, seconds=1.5)),
    ("interval", "1 mon", "1 mon"),
    ("interval", "2 years 3 days", "2 years 3 days"),
    ("jsonb", '{"a": [1, null, "x", 1.5]}', {"a": [1, None, "x", 1.5]}),
    ("jsonb", '"text"', "text"),
    ("jsonb", "[1, [2]]", [1, [2]]),
    ("jsonb", "null", JSON_NULL),
    ("json", " null ", JSON_NULL),
    ("json", '{"b": 1, "a": 2}', {"b": 1, "a": 2}),
    ("document", "[1]", [1]),
    ("int[]", "{1,NULL,3}", [1, None, 3]),
    ("int[]", "{}", []),
    ("int[]", "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    ("text[]", '{"a,b","\\"q\\"",NULL,"NULL","\\\\"}', ["a,b", '"q"', None, "NULL", "\\"]),
    ("numeric[]", "{1.10,NaN}", None),
    ("timestamptz[]", "{2026-01-02 00:00:00+00}", [datetime(2026, 1, 2, tzinfo=UTC)]),
    ("timestamptz[]", "{infinity}", "{infinity}"),
    ("bytea[]", '{"\\\\x00"}', [b"\0"]),
    ("uuid[]", "{12345678-1234-5678-1234-567812345678}", [UUID("12345678-1234-5678-1234-567812345678")]),
    ("jsonb[]", '{"{\\"a\\": 1}","[1, 2]","null",NULL}', [{"a": 1}, [1, 2], JSON_NULL, None]),
    ("box[]", "{(1,1),(0,0);(2,2),(1,1)}", None),
    ("mood", 'it\'s "ok"', 'it\'s "ok"'),
    ("mood[]", "{sad,so-so}", "{sad,so-so}"),
    ("int4range", "[1,5)", Range(1, 5)),
    ("int4range", "empty", Range(empty=True)),
    ("tstzrange", "[2026-01-01 00:00:00+00,)", Range(datetime(2026, 1, 1, tzinfo=UTC), None)),
    ("tstzrange", "[2026-01-01 00:00:00+00,infinity)", '["2026-01-01 00:00:00+00",infinity)'),
    ("int4multirange", "{[1,3),[5,9)}", None),
    ("int4range[]", '{"[1,5)"}', [Range(1, 5)]),
    ("inet", "10.0.0.1", ip_address("10.0.0.1")),
    ("inet", "10.0.0.1/24", ip_interface("10.0.0.1/24")),
    ("cidr", "10.0.0.0/8", None),
    ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    ("money", "-12.34", "-$12.34"),
    ("bit(3)", "101", "101"),
    ("varbit", "10", "10"),
    ("point", "(1,2)", "(1,2)"),
    ("point3", '(1,"a b")', '(1,"a b")'),
    ("positive", "3", 3),
    ("xml", "<a>1</a>", "<a>1</a>"),
    ("tsvector", "'a':1", "'a':1"),
    ("oid", "5", 5),
    ("name", "x", "x"),
]


@pytest.fixture
def pair(postgres_url):
    """Two databases, production's and the sister's."""
    with database(postgres_url) as sister:
        yield postgres_url, sister


def build(pair, *statements):
    """Give both databases a schema."""
    for url in pair:
        run(url, *statements)


def stores(pair, *tables):
    """Make a store for each database."""
    return tuple(PostgresStore(url, tables=tables, timeout=20) for url in pair)


def close(*made):
    """Close stores."""
    for store in made:
        store.close()


def test_every_type(pair):
    """A value of every type comes as Python has it, or as text, and is the same in the sister to the last character."""
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(CASES))
    build(pair, *TYPES, f"CREATE TABLE kinds (id int PRIMARY KEY, {columns})")
    with psycopg.connect(pair[0]) as connection:
        marks = ", ".join(["%s"] * len(CASES))
        connection.execute(f"INSERT INTO kinds VALUES (1, {marks})", [text for _, text, _ in CASES])
        connection.execute("INSERT INTO kinds (id) VALUES (2)")
    production, sister = stores(pair, Table("kinds", key="id"))
    refs = [row("kinds", 1), row("kinds", 2)]
    records = production.read(refs).records
    for number, (kind, text, expected) in enumerate(CASES):
        if expected is not None:
            assert (kind, text, records[0].value[f"c{number}"]) == (kind, text, expected)
    for _ in range(2):  # inserted, then updated
        sister.write(records)
    written = sister.read(refs).records
    assert repr([record.value for record in written]) == repr([record.value for record in records])
    assert set(written[1].value.values()) == {2, None}
    texts = ", ".join(f"c{number}::text" for number in range(len(CASES)))
    there, here = (run(url, f"SELECT {texts} FROM kinds WHERE id = 1")[0] for url in pair)
    # Of JSON kept as text, spaces at the ends are not kept.
    assert [text.strip() for text in there] == list(here)
    close(production, sister)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def test_what_is_written_is_read(postgres_url):
    """Any value that a column can hold is read as it was written."""
    columns = "id int PRIMARY KEY, texts text[], documents jsonb[], data bytea, number numeric, at timestamptz"
    run(postgres_url, f"CREATE TABLE kinds ({columns})")
    store = PostgresStore(postgres_url, tables=[Table("kinds", key="id")], timeout=20)

    @given(
        texts=st.lists(st.none() | TEXT, max_size=4),
        documents=st.lists(JSON, max_size=3),
        data=st.binary(max_size=20),
        number=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20),
        at=st.datetimes(timezones=st.just(UTC)),
    )
    def holds(texts, documents, data, number, at):
        documents = [JSON_NULL if each is None else each for each in documents]
        value = {"id": 1, "texts": texts, "documents": documents, "data": data, "number": number, "at": at}
        store.write([Record(row("kinds", 1), value)])
        assert store.read([row("kinds", 1)]).records[0].value == value

    with contextlib.closing(store):
        holds()


def test_what_the_server_makes_itself(pair):
    """Generated columns are left out, and identity columns keep the values of production."""
    build(
        pair,
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int)",
        "ALTER TABLE t ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) STORED",
        "CREATE TABLE u (id int PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY)",
    )
    run(pair[0], "INSERT INTO t (n) VALUES (1), (2)", "INSERT INTO u VALUES (1), (2)")
    production, sister = stores(pair, Table("t", key="id"), Table("u", key="id"))
    refs = [row("t", 2), row("u", 2)]
    records = production.read(refs).records
    for _ in range(2):
        sister.write(records)
    assert [record.value for record in sister.read(refs).records] == [
        {"id": 2, "n": 2, "twice": 4},
        {"id": 2, "number": 2},
    ]
    close(production, sister)


@pytest.mark.parametrize(
    "constraint",
    [
        "PRIMARY KEY (a, b)",
        "UNIQUE (b, a)",
        "UNIQUE (a, b) INCLUDE (n)",
        "UNIQUE (a, b) DEFERRABLE INITIALLY DEFERRED",
        "UNIQUE (a, b, n)",
        "CHECK (true)",
    ],
)
def test_any_index(pair, constraint):
    """A record takes the place of the one that is there, whatever index the key has or has not."""
    build(pair, f"CREATE TABLE t (a int, b text, n int, {constraint})")
    (store,) = stores(pair[:1], Table("t", key=["a", "b"]))
    refs = [row("t", 1, "x"), row("t", 1, "y")]
    for n in (1, 2):
        store.write([Record(ref, {"a": ref.key[0], "b": ref.key[1], "n": n}) for ref in refs])
        assert [record.value["n"] for record in store.read(refs).records] == [n, n]
    assert run(pair[0], "SELECT count(*) FROM t") == [(2,)]
    store.write([Record(refs[0]), Record(refs[1], {"n": 3})])
    assert [record.exists and record.value["n"] for record in store.read(refs).records] == [False, 3]
    store.delete(refs)
    store.delete(refs)
    store.delete([])
    assert [record.value for record in store.read(refs).records] == [MISSING, MISSING]
    store.close()


def test_only_a_key(postgres_url):
    """A table with nothing but its key is written, twice too."""
    run(postgres_url, "CREATE TABLE t (a int PRIMARY KEY)")
    (store,) = stores([postgres_url], Table("t", key="a"))
    for _ in range(2):
        store.write([Record(row("t", 1), {"a": 1})])
    assert store.read([row("t", 1)]).records[0].exists
    store.close()


def test_columns_that_are_not_given(postgres_url):
    """An update leaves alone the columns that the record does not have."""
    run(postgres_url, "CREATE TABLE t (a int PRIMARY KEY, b int, c int DEFAULT 5)", "INSERT INTO t VALUES (1, 1, 1)")
    (store,) = stores([postgres_url], Table("t", key="a", columns=["a", "b"]))
    store.write([Record(row("t", 1), {"a": 1, "b": 2}), Record(row("t", 2), {"a": 2, "b": 2})])
    assert run(postgres_url, "SELECT * FROM t ORDER BY a") == [(1, 2, 1), (2, 2, 5)]
    store.close()


def fold(rows):
    """Make a dict of properties."""
    return {each["name"]: each["value"] for each in rows}


def unfold(value):
    """Turn a dict of properties into rows without their entity."""
    return [{"name": name, "value": each} for name, each in value.items()]


@pytest.mark.parametrize("back", [None, unfold])
def test_folded_rows(pair, back):
    """All rows of an entity are written, and those it has no longer are removed."""
    build(pair, "CREATE TABLE t (entity int, name text, value jsonb, PRIMARY KEY (entity, name))")
    run(pair[0], "INSERT INTO t VALUES (1, 'a', '1'), (1, 'b', '[2]'), (2, 'a', '3')")
    run(pair[1], "INSERT INTO t VALUES (1, 'c', '4'), (2, 'x', '5')")
    production, sister = stores(pair, Table("t", key="entity", fold=fold, unfold=back))
    (record,) = production.read([row("t", 1)]).records
    assert record.value == {"a": 1, "b": [2]}
    for _ in range(2):
        sister.write([record])
    one, two = sister.read([row("t", 1), row("t", 2)]).records
    assert (one.value, two.value) == ({"a": 1, "b": [2]}, {"x": 5})
    if back is None:
        with pytest.raises(StoreError, match=r"'t' cannot be turned into rows.*unfold="):
            sister.write([evolve(record, meta={})])
    sister.delete([row("t", 1)])
    assert not sister.read([row("t", 1)]).records[0].exists
    close(production, sister)


LINKED = (
    "CREATE TABLE parents (id int PRIMARY KEY)",
    "CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE, at int)",
    "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := 99; RETURN NEW; END'",
    "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON children FOR EACH ROW EXECUTE FUNCTION stamp()",
)


def test_triggers_and_foreign_keys(postgres_url):
    """A superuser's records are written without parents and without triggers, and deleted without their children."""
    run(postgres_url, *LINKED)
    (store,) = stores([postgres_url], Table("children", key="id"), Table("parents", key="id"))
    record = Record(row("children", 1), {"id": 1, "parent": 7, "at": 5})
    store.write([record])
    assert store.read([record.ref]).records[0].value == record.value
    store.write([Record(row("parents", 7), {"id": 7})])
    store.delete([row("parents", 7)])
    assert store.read([record.ref]).records[0].exists
    assert run(postgres_url, "SHOW session_replication_role") == [("origin",)]
    (line,) = store._link._state.idle
    assert line.pgconn.exec_(b"SHOW session_replication_role").get_value(0, 0) == b"origin"
    store.close()


@pytest.fixture
def poor_url(postgres_url):
    """The database for a user who may do little."""
    name = "poor_" + postgres_url.rpartition("_")[2]
    run(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", f"GRANT CREATE, USAGE ON SCHEMA public TO {name}")
    scheme, _, place = postgres_url.partition("://")
    yield f"{scheme}://{name}:x@{place.rpartition('@')[2]}"
    run(postgres_url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def test_foreign_keys_for_others(poor_url):
    """For a user who may not pass over them, a foreign key's refusal says what to do, and the rest is not written."""
    run(poor_url, *LINKED[:2])
    (store,) = stores([poor_url], Table("children", key="id"), Table("parents", key="id"))
    child = Record(row("children", 1), {"id": 1, "parent": 7, "at": 5})
    with pytest.raises(StoreError, match=r"'children'.*ForeignKeyViolation.*children_parent_fkey.*hydrate the parent"):
        store.write([Record(row("parents", 8), {"id": 8}), child])
    assert not store.read([row("parents", 8)]).records[0].exists
    store.write([Record(row("parents", 7), {"id": 7}), child])
    assert store.read([child.ref]).records[0].exists
    assert " / " in store.identity()
    store.close()


def test_what_may_not_be_read(postgres_url, poor_url):
    """A table that the user may not read is named."""
    run(postgres_url, "CREATE TABLE t (id int)")
    (store,) = stores([poor_url], Table("t", key="id"))
    with pytest.raises(StoreError, match=r"table 't'.*InsufficientPrivilege.*Grant"):
        store.read([row("t", 1)])
    store.close()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({"id": 1, "extra": 2}, r"'t' has no column 'extra'.*Provision"),
        ([1], r"row of 't' is a list.*unfold="),
        ({"id": 1, "body": object()}, r"'t'\.'body', a object, cannot be written"),
        ({"id": 1, "body": "a\0b"}, r"'t'\.'body', a str, cannot be written"),
        ({"id": 1, "data": {"a": "\0"}}, r"table 't': .*UntranslatableCharacter"),
        ({"id": 1, "data": {"a": {1}}}, r"'t'\.'data', a dict, cannot be written"),
        ({"id": 1, "n": "secret"}, r"table 't': .*InvalidTextRepresentation.*types that the columns have"),
        ({"id": 1, "n": -1}, r"table 't': .*CheckViolation.*'t_n_check'"),
        ({"id": 1, "must": None}, r"table 't': .*NotNullViolation"),
    ],
)
def test_wrong_values(postgres_url, value, match):
    """A value that does not fit is refused with table and remedy but not itself, and nothing is written."""
    columns = "id int PRIMARY KEY, body text, data jsonb, n int CHECK (n > 0), must int NOT NULL DEFAULT 1"
    run(postgres_url, f"CREATE TABLE t ({columns})")
    (store,) = stores([postgres_url], Table("t", key="id"))
    with pytest.raises(StoreError, match=match) as caught:
        store.write([Record(row("t", 2), {"id": 2}), Record(row("t", 1), value)])
    assert "secret" not in str(caught.value)
    assert [r.exists for r in store.read([row("t", 1), row("t", 2)]).records] == [False, False]
    store.write([Record(row("t", 2), {"id": 2})])
    store.close()


def test_no_table_to_write_to(postgres_url):
    """A table that is not there is named, and found as soon as it is; a new column is known after one failure."""
    (store,) = stores([postgres_url], Table("t", key="id"))
    record = Record(row("t", 1), {"id": 1, "n": 1})
    with pytest.raises(StoreError, match=r"no table 't'"):
        store.write([record])
    run(postgres_url, "CREATE TABLE t (id int PRIMARY KEY)")
    with pytest.raises(StoreError, match=r"no column 'n'"):
        store.write([record])
    run(postgres_url, "ALTER TABLE t ADD COLUMN n int")
    store.write([record])
    assert store.read([record.ref]).records[0].value == record.value
    run(postgres_url, "DROP TABLE t")
    with pytest.raises(StoreError, match=r"table 't': .*UndefinedTable"):
        store.write([record])
    store.close()


def test_reset(postgres_url):
    """All covered tables are emptied, with those that refer to them, and their numbers begin anew."""
    run(
        postgres_url,
        "CREATE TABLE t (id serial PRIMARY KEY)",
        "CREATE TABLE u (id int REFERENCES t)",
        "CREATE TABLE v (id int)",
        "INSERT INTO t VALUES (DEFAULT), (DEFAULT)",
        "INSERT INTO u VALUES (1)",
        "INSERT INTO v VALUES (1)",
    )
    (store,) = stores([postgres_url], Table("t", key="id"))
    store.reset()
    run(postgres_url, "INSERT INTO t VALUES (DEFAULT)")
    assert run(postgres_url, "SELECT (SELECT max(id) FROM t), (SELECT count(*) FROM u), (SELECT count(*) FROM v)") == [
        (1, 0, 1)
    ]
    PostgresStore(postgres_url, tables=[]).reset()
    store.close()


def test_text_that_is_not_text(postgres_url):
    """A text that is none in UTF-8 is refused by the server, and its table is named."""
    with database(postgres_url, "ENCODING 'SQL_ASCII' TEMPLATE template0") as other:
        run(other, "CREATE TABLE t (id int, body text)", r"INSERT INTO t VALUES (1, E'a\xffb')")
        (store,) = stores([other], Table("t", key="id"))
        with pytest.raises(StoreError, match=r"table 't': .*CharacterNotInRepertoire"):
            store.read([row("t", 1)])
        store.close()


def test_statements_are_kept_within_bounds():
    """A statement is made once for the columns it writes, and those of ever other columns do not pile up."""
    names = [f"c{number}" for number in range(9)]
    plain = _Column(generated=False, identity=False, json=False, json_array=False, delimiter=b",")
    columns = dict.fromkeys(names, plain)
    layout = Layout(Table("t", key="c0"), columns, triggers=False, server=160000, unique=True)

    def text(chosen):
        (command,) = layout.write(Record(row("t", 1), dict.fromkeys(chosen, "x")))
        return command.text

    assert text(names) is text(names)
    assert text(names[:2]).startswith(b'INSERT INTO "t" ("c0", "c1")')
    made = {text([*names[:1], *(name for n, name in enumerate(names[1:]) if number >> n & 1)]) for number in range(256)}
    assert len(made) == 256
    assert len(layout._inserts) <= 100
