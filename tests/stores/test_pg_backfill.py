"""Backfilling: the sister gets production's rows, all of them and each once, however often it is interrupted."""

import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from shadowmig.errors import ConfigError, StoreError, StoreUnavailable
from shadowmig.stores._pg_backfill import backfill
from shadowmig.stores._pg_provision import GAP, provision
from shadowmig.stores.tables import Table

COMMENTS = (
    "CREATE TABLE comments (id bigserial PRIMARY KEY, post_id int NOT NULL, body text, votes int DEFAULT 0, doc jsonb);"
    "INSERT INTO comments (post_id, body, doc) SELECT i % 100, md5(i::text), jsonb_build_object('n', i)"
    " FROM generate_series(1, {}) i"
)


@pytest.fixture
def production(postgres_url):
    """A connection to production as its owner."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def sister(sister_url):
    """A connection to the sister."""
    with psycopg.connect(sister_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(postgres_url):
    """The name of a role that is no superuser, dropped after the databases that it has tables in."""
    name = urlsplit(postgres_url).path[1:] + "_owner"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def checksum(connection, table, *, columns="*"):
    """Count a table's rows and add up what they are, in any order."""
    query = sql.SQL("SELECT count(*), sum(hashtextextended(r::text, 0)) FROM (SELECT {} FROM {}) r").format(
        sql.SQL(columns), sql.Identifier(*table.split("/"))
    )
    with connection.cursor() as cursor:
        return cursor.execute(query).fetchone()


def ready(production, sister, statements, *tables):
    """Make tables in production and provision them."""
    production.execute(statements)
    provision(production, sister, tables=tables)


def test_all_rows_are_copied(production, sister):
    """50 000 rows are equal on both sides, and progress tells of each batch."""
    ready(production, sister, COMMENTS.format(50_000) + "; ANALYZE comments", "comments")
    seen = []
    done = backfill(production, sister, tables=["comments"], batch=20_000, progress=seen.append)
    assert checksum(sister, "comments") == checksum(production, "comments")
    assert done.rows == {"public.comments": 50_000}
    assert [(each.table, each.rows, each.total, each.done) for each in seen] == [
        ("public.comments", 20_000, 50_000, False),
        ("public.comments", 40_000, 50_000, False),
        ("public.comments", 50_000, 50_000, True),
    ]
    assert 0 <= seen[0].seconds <= seen[2].seconds <= done.seconds


def test_finished_tables_stay(production, sister):
    """A finished table is not copied again, unless it is asked for; then its rows become those of production."""
    ready(production, sister, COMMENTS.format(30), "comments")
    backfill(production, sister, tables=["comments"], batch=10)
    production.execute("UPDATE comments SET body = 'new' WHERE id = 3; DELETE FROM comments WHERE id = 4")
    sister.execute("INSERT INTO comments (id, post_id) VALUES (1000, 1)")
    seen = []
    assert backfill(production, sister, tables=["comments"], progress=seen.append).rows == {"public.comments": 0}
    assert [(each.rows, each.done) for each in seen] == [(30, True)]
    assert sister.execute("SELECT count(*) FROM comments WHERE body = 'new'").fetchone() == (0,)
    assert backfill(production, sister, tables=["comments"], restart=True).rows == {"public.comments": 29}
    assert sister.execute("SELECT body FROM comments WHERE id = 3").fetchone() == ("new",)
    # What production does not have is the candidate's own, or is not known to be gone.
    assert sister.execute("SELECT count(*) FROM comments WHERE id IN (4, 1000)").fetchone() == (2,)


KILLED = """
import os, signal, sys
import psycopg
from shadowmig.stores import _pg_copy
from shadowmig.stores._pg_backfill import backfill

blocks, inner = 0, _pg_copy._stream

def stream(read, write):
    def counted():
        global blocks
        blocks += 1
        if blocks == {blocks}:
            os.kill(os.getpid(), signal.SIGKILL)
        return read()
    inner(counted, write)

_pg_copy._stream = stream

def progress(seen):
    if seen.rows >= {rows}:
        os.kill(os.getpid(), signal.SIGKILL)

with psycopg.connect(sys.argv[1]) as production, psycopg.connect(sys.argv[2]) as sister:
    backfill(production, sister, tables=["comments"], batch=1000, progress=progress)
"""


@pytest.mark.parametrize(("blocks", "rows"), [(2500, 9999), (0, 3000)], ids=["in a batch", "between batches"])
def test_goes_on_after_a_kill(production, sister, postgres_url, sister_url, blocks, rows):
    """A run that is killed, in a batch or after it, is gone on with: no row is lost, and none is copied again."""
    ready(production, sister, COMMENTS.format(5000), "comments")
    program = textwrap.dedent(KILLED.format(blocks=blocks, rows=rows))
    killed = subprocess.run([sys.executable, "-c", program, postgres_url, sister_url], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    state = sister.execute("SELECT rows, last_key, done FROM shadowmig_backfill").fetchone()
    before = 2000 if blocks else 3000
    assert state == (before, [str(before)], False)
    assert checksum(sister, "comments")[0] == before
    assert backfill(production, sister, tables=["comments"], batch=1000).rows == {"public.comments": 5000 - before}
    assert checksum(sister, "comments") == checksum(production, "comments")


def test_progress_may_stop_it(production, sister):
    """What progress raises ends the run after the batch, and the next run goes on there."""
    ready(production, sister, COMMENTS.format(50), "comments")

    def stop(_):
        raise KeyboardInterrupt

    for count in (20, 40):
        with pytest.raises(KeyboardInterrupt):
            backfill(production, sister, tables=["comments"], batch=20, progress=stop)
        assert checksum(sister, "comments")[0] == count
    assert backfill(production, sister, tables=["comments"], batch=20).rows == {"public.comments": 10}


def test_lost_connection(production, sister, sister_url):
    """A connection that is lost in the middle is an outage, and a run with a new one goes on."""
    ready(production, sister, COMMENTS.format(50), "comments")
    with psycopg.connect(sister_url) as poor:

        def cut(_):
            sister.execute("SELECT pg_terminate_backend(%s)", [poor.info.backend_pid])

        with pytest.raises(StoreUnavailable, match="connection was lost"):
            backfill(production, poor, tables=["comments"], batch=20, progress=cut)
    assert backfill(production, sister, tables=["comments"], batch=20).rows == {"public.comments": 30}
    assert checksum(sister, "comments") == checksum(production, "comments")


def test_changes_in_between(production, sister):
    """Rows that appear ahead of a batch are copied, and rows that the sister has by then are replaced or kept whole."""
    ready(production, sister, COMMENTS.format(20), "comments")

    def change(seen):
        if seen.rows == 10:
            production.execute(
                "INSERT INTO comments (post_id, body) VALUES (1, 'late'); DELETE FROM comments WHERE id = 15"
            )
            sister.execute("INSERT INTO comments (id, post_id, body) VALUES (12, 1, 'hydrated')")
            sister.execute("UPDATE comments SET body = 'candidate' WHERE id = 10")

    backfill(production, sister, tables=["comments"], batch=10, progress=change)
    found = sister.execute("SELECT id FROM comments WHERE body IN ('late', 'candidate', 'hydrated') ORDER BY id")
    assert found.fetchall() == [(10,), (21,)]
    assert checksum(sister, "comments")[0] == 20


def test_a_condition(production, sister):
    """Only rows for which the operator's condition holds are copied; another condition starts anew."""
    posts = "; CREATE TABLE posts (id int PRIMARY KEY); INSERT INTO posts VALUES (1)"
    ready(production, sister, COMMENTS.format(100) + posts, "comments", "posts")
    seen = []
    where = {"comments": "post_id < 10 -- '100%' of ; these"}
    tables = [Table("comments", key="id"), "posts"]
    assert backfill(production, sister, tables=tables, where=where, progress=seen.append).rows == {
        "public.comments": 10,
        "public.posts": 1,
    }
    assert seen[0].total is None
    other = {"comments": sql.SQL("post_id IN ({}, 20)").format(sql.Literal("10"))}
    assert backfill(production, sister, tables=tables, where=other).rows == {"public.comments": 2, "public.posts": 0}
    assert sister.execute("SELECT count(*) FROM comments").fetchone() == (12,)
    assert backfill(production, sister, tables=tables, where=where).rows["public.comments"] == 0


REFUSED = [
    ("post_id = 1; DROP TABLE comments; --", "multiple commands|syntax error"),
    ("true) TO STDOUT; COMMIT; DROP TABLE comments; --", "syntax error|multiple commands"),
    ("true) OR (true", "syntax error"),
    ("true THEN true END OR CASE WHEN true", "syntax error"),
    ("true /*", "unterminated"),
    ("nothing = 1", "does not exist"),
    ("post_id", "must be type boolean"),
    ("post_id > (SELECT write_it())", "read-only transaction"),
    ("body::int > 0", "22P02\\)"),
    ("$1", "supplies 0 parameters"),
]


def test_conditions_that_are_refused(production, sister, subtests):
    """What is not one condition, or would write, is refused by the server, and production stays as it is."""
    statements = ";CREATE FUNCTION write_it() RETURNS int LANGUAGE sql AS 'UPDATE comments SET body = null RETURNING 1'"
    ready(production, sister, COMMENTS.format(20) + statements, "comments")
    before = checksum(production, "comments")
    for condition, words in REFUSED:
        with subtests.test(condition=condition):
            with pytest.raises(StoreError, match=words) as caught:
                backfill(production, sister, tables=["comments"], where={"comments": condition})
            assert checksum(production, "comments") == before
            assert checksum(sister, "comments")[0] == 0
            assert "c4ca4238" not in str(caught.value)


def test_slow_production(production, sister):
    """A statement that takes production too long is given up, and what came before it is kept."""
    ready(production, sister, COMMENTS.format(30), "comments")
    where = {"comments": "CASE WHEN id = 25 THEN pg_sleep(30) IS NOT NULL ELSE true END"}
    with pytest.raises(StoreUnavailable, match="allow more"):
        backfill(production, sister, tables=["comments"], where=where, batch=10, timeout=0.2)
    assert checksum(sister, "comments")[0] == 20
    assert production.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_rate(production, sister):
    """With a rate, batches are no larger than a second's rows, and it waits so long that the rate is kept."""
    ready(production, sister, COMMENTS.format(45) + "; CREATE TABLE t AS SELECT 1 AS id", "comments", "t")
    now, slept = 100.0, []

    def sleep(seconds):
        nonlocal now
        slept.append(seconds)
        now += seconds

    def progress(_):
        nonlocal now
        now += 0.25  # what a batch takes

    tables = ["comments", Table("t", key="id")]
    done = backfill(production, sister, tables=tables, rate=10.5, progress=progress, clock=lambda: now, sleep=sleep)
    assert [round(count * 10.5) for count in slept] == pytest.approx([7, 7, 7, 7], abs=1)
    assert done.seconds == pytest.approx(40 / 10.5 + 0.5)
    slept.clear()
    backfill(production, sister, tables=tables, rate=0.5, restart=True, clock=lambda: now, sleep=sleep)
    assert len(slept) == 46
    assert slept[1:] == pytest.approx([2.0] * 45)


def test_composite_and_hostile_names(production, sister):
    """Keys of several columns of any type, and names with quotes, spaces, percent signs and braces, do no harm."""
    ready(
        production,
        sister,
        """CREATE SCHEMA "o dd""s"; CREATE TYPE "o dd""s".mood AS ENUM ('z', 'it''s', 'a');
        CREATE TABLE "o dd""s"."we""ird {t}; --%s" ("k ""1" "o dd""s".mood, "k%s2" text, arrival timestamptz,
            n numeric(9, 3), ch char(4), x text, PRIMARY KEY ("k ""1", "k%s2", arrival, n, ch));
        INSERT INTO "o dd""s"."we""ird {t}; --%s" SELECT (ARRAY['z', 'it''s', 'a'])[i % 3 + 1]::"o dd""s".mood,
            (ARRAY['it''s', 'b\\"', 'é%s', '', '{}', E'\\n'])[i % 6 + 1],
            '2020-01-01'::timestamptz + i % 5 * interval '1.000001s',
            i % 4 / 3.0, 'a' || i, 'x' FROM generate_series(1, 300) i""",
        Table('we"ird {t}; --%s', key="x", schema='o dd"s'),
    )
    production.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'")
    sister.execute("SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'")
    table = Table('we"ird {t}; --%s', key="x", schema='o dd"s')
    where = {table.name: """"k ""1" = ANY('{z,a,it''s}')"""}
    backfill(production, sister, tables=[table], batch=7, where=where)
    for connection in (production, sister):
        connection.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
    name = 'o dd"s/we"ird {t}; --%s'
    assert checksum(sister, name) == checksum(production, name)
    assert checksum(sister, name)[0] == 300


def test_order_of_texts(production, sister):
    """Production's order of texts counts, also where the sister sorts them otherwise."""
    production.execute(
        """CREATE TABLE t (id text COLLATE "und-x-icu" PRIMARY KEY); INSERT INTO t SELECT DISTINCT
        (ARRAY['a', 'B', 'Z', 'é', 'z', '_', 'É'])[i % 7 + 1] || (ARRAY['b', 'A', '-', 'ä'])[i % 4 + 1] || i % 9
        FROM generate_series(1, 400) i"""
    )
    sister.execute('CREATE TABLE t (id text COLLATE "C" PRIMARY KEY)')
    backfill(production, sister, tables=["t"], batch=3)
    assert checksum(sister, "t") == checksum(production, "t")
    assert checksum(sister, "t")[0] == 252


def test_types_of_every_kind(production, sister):
    """Values of every type arrive as they were, also those whose bytes hold numbers of one database only."""
    sister.execute("CREATE TYPE other AS ENUM ('so that types have other oids'); CREATE SCHEMA more")
    statements = r"""CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TYPE place AS (lat float8, m mood[]); CREATE DOMAIN short AS varchar(9);
        CREATE TYPE moods AS RANGE (subtype = mood);
        CREATE TABLE plain (id uuid PRIMARY KEY, a smallint, b float4, c float8, d numeric, e money, f bytea, g date,
            h time, i timetz, j timestamp, k timestamptz, l interval, m inet, n jsonb, o json, p int[], q tstzrange,
            r int4multirange, s bit(3), t xml, u tsvector, v point, w text[], x mood, y "char", z char(5), aa boolean);
        INSERT INTO plain VALUES (gen_random_uuid(), 1, 'NaN', 0.1 + 0.2, 12345678901234567890.123450, 12.34, '\x00ff',
            'infinity', '01:02:03.000004', '01:02:03+05:30', '0044-03-15 BC', '-infinity', '1 year -2 days 00:00:00.5',
            '::1/64', '{"a": [1.10, null, "\u00e9"]}', '{"b":1 , "b":2}', '{{1,NULL},{3,4}}',
            '[2020-01-01,)', '{[1,3),[5,7)}',
            B'101', '<a/>', 'a:1A b', '(1,2)', '{"a\"b",NULL,""}', 'ok', 'x', 'ab', true);
        INSERT INTO plain (id) VALUES (gen_random_uuid());
        CREATE TABLE odd (id citext PRIMARY KEY, a mood[], b place, c place[], d short, e hstore, f moods,
            g regclass, h short[]);
        INSERT INTO odd VALUES ('A', '{sad,NULL}', '(0.1,"{ok}")', ARRAY['(1,)'::place], E'a\\\tb\n',
            'a=>"b c"', '[sad,ok]', 'plain', '{x}'); INSERT INTO odd (id) VALUES ('b')"""
    ready(production, sister, statements, "plain", "odd")
    assert backfill(production, sister, tables=["plain", "odd"], batch=1).rows == {"public.plain": 2, "public.odd": 2}
    for table in ("plain", "odd"):
        assert checksum(sister, table) == checksum(production, table)


def test_generated_and_numbered_columns(production, sister):
    """Generated columns are made anew, identity values are kept, and sequences are set past what was copied."""
    statements = """CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE free; CREATE TABLE t (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, d int DEFAULT nextval('down'),
            f bigint DEFAULT nextval('free'), twice bigint GENERATED ALWAYS AS (s::bigint * 2) STORED);
        INSERT INTO t (id, s, d, f) OVERRIDING SYSTEM VALUE
            SELECT i, i, -i, i FROM generate_series(2000000001, 2000000030) i"""
    ready(production, sister, statements, "t")
    backfill(production, sister, tables=["t"], batch=7)
    assert checksum(sister, "t") == checksum(production, "t")
    sister.execute("INSERT INTO t DEFAULT VALUES")
    new = sister.execute("SELECT id, s, d, f FROM t ORDER BY id DESC LIMIT 1").fetchone()
    assert new == (2000000031, 2000000031, -2000000031, 2000000031)


def test_sequences_never_go_back(production, sister):
    """A sequence that is past the numbers that were copied stays where it is."""
    ready(production, sister, COMMENTS.format(5), "comments")
    backfill(production, sister, tables=["comments"])
    assert sister.execute("SELECT nextval('comments_id_seq')").fetchone() == (GAP + 6,)


def test_without_primary_key(production, sister):
    """A table without a primary key goes by the Table's key, and rows that are there already are replaced."""
    rows = "INSERT INTO t SELECT i, 'x', i FROM generate_series(1, 25) i"
    ready(production, sister, f"CREATE TABLE t (a int, b text, c int); {rows}", "t")
    sister.execute("INSERT INTO t VALUES (3, 'x', 99)")
    backfill(production, sister, tables=[Table("t", key=["b", "a"])], batch=4)
    assert checksum(sister, "t") == checksum(production, "t")


NO_KEYS = [
    ("t", "no primary key, and no other key is known"),
    (Table("t", key="b"), r"key \(b\) of public\.t is shared by several rows"),
    (Table("t", key="n"), r"key \(n\) of public\.t may be NULL"),
    (Table("t", key="nothing"), r"columns lack \['nothing'\]"),
]


def test_keys_that_do_not_do(production, sister, subtests):
    """A table without any key, or with one that does not tell its rows apart, is refused by name."""
    ready(production, sister, "CREATE TABLE t (a int, b int, n int); INSERT INTO t VALUES (1, 1, 1), (2, 1, NULL)", "t")
    for table, words in NO_KEYS:
        with subtests.test(words=words):
            with pytest.raises(StoreError, match=words) as caught:
                backfill(production, sister, tables=[table])
            assert caught.value.table == "public.t"
            assert checksum(sister, "t")[0] == 0


TRIGGERS = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ begin new.body = 'spoilt'; return new; end $$;
CREATE TABLE comments (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
CREATE TABLE c1 PARTITION OF comments FOR VALUES FROM (0) TO (20);
CREATE TABLE c2 PARTITION OF comments DEFAULT;
INSERT INTO comments SELECT i, 'body' FROM generate_series(1, 30) i;
CREATE TRIGGER usual BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION spoil();
CREATE TRIGGER always BEFORE INSERT ON c1 FOR EACH ROW EXECUTE FUNCTION spoil();
CREATE TRIGGER replica BEFORE INSERT ON c2 FOR EACH ROW EXECUTE FUNCTION spoil();
CREATE TRIGGER off BEFORE INSERT ON c2 FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE c1 ENABLE ALWAYS TRIGGER always; ALTER TABLE c2 ENABLE REPLICA TRIGGER replica;
ALTER TABLE c2 DISABLE TRIGGER off
"""


@pytest.mark.parametrize("privileged", [True, False])
def test_triggers_do_not_fire(owner, production, sister, sister_url, privileged):
    """No trigger fires on what is copied, with or without the right to be a replica, and all are as before."""
    ready(production, sister, TRIGGERS, "comments")
    user = sister
    if not privileged:
        parts = urlsplit(sister_url)
        user = psycopg.connect(parts._replace(netloc=f"{owner}:x@{parts.hostname}:{parts.port}").geturl())
        name = sql.Identifier(owner)
        sister.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(name))
        for table in ("comments", "c1", "c2"):
            sister.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(table), name))
    ask = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger ORDER BY 1, 2"
    before = sister.execute(ask).fetchall()
    backfill(production, user, tables=["comments"], batch=8)
    assert checksum(sister, "comments") == checksum(production, "comments")
    assert sister.execute(ask).fetchall() == before
    if not privileged:
        user.close()


def test_triggers_and_checks_put_off(owner, production, sister, sister_url):
    """A check that is put off to the commit does not keep triggers from being switched on again."""
    production.execute("CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    production.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 9) i")
    production.execute("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'begin return null; end'")
    production.execute("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()")
    provision(production, sister, tables=["t"])
    sister.execute("INSERT INTO t VALUES (1, 1)")
    name = sql.Identifier(owner)
    sister.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}; ALTER TABLE t OWNER TO {}").format(name, name))
    parts = urlsplit(sister_url)
    with psycopg.connect(parts._replace(netloc=f"{owner}:x@{parts.hostname}:{parts.port}").geturl()) as user:
        backfill(production, user, tables=["t"], batch=4)
    assert checksum(sister, "t") == checksum(production, "t")


def test_triggers_that_may_not_be_stopped(owner, production, sister, sister_url):
    """A user who may neither be a replica nor switch triggers off is told what to do, and copies nothing."""
    ready(production, sister, TRIGGERS, "comments")
    name = sql.Identifier(owner)
    sister.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(name))
    sister.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(name))
    parts = urlsplit(sister_url)
    with (
        psycopg.connect(parts._replace(netloc=f"{owner}:x@{parts.hostname}:{parts.port}").geturl()) as user,
        pytest.raises(StoreError, match="user own the table"),
    ):
        backfill(production, user, tables=["comments"])
    assert checksum(sister, "comments")[0] == 0


def test_families_of_tables(production, sister):
    """A partitioned table is copied with its partitions, a table that others inherit from without them."""
    ready(
        production,
        sister,
        """CREATE TABLE e (id int PRIMARY KEY, x int) PARTITION BY RANGE (id); CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE e1 PARTITION OF e FOR VALUES FROM (0) TO (20); CREATE TABLE e2 PARTITION OF e DEFAULT;
        CREATE TABLE child () INHERITS (parent); INSERT INTO e SELECT i, i FROM generate_series(1, 50) i;
        INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1), (2), (3); ANALYZE""",
        *("e", "parent", "child"),
    )
    sister.execute("INSERT INTO child VALUES (1)")
    seen = []
    tables = ["e", "parent", Table("child", key="id")]
    rows = backfill(production, sister, tables=tables, batch=10, restart=True, progress=seen.append).rows
    assert rows == {"public.e": 50, "public.parent": 2, "public.child": 3}
    assert [seen[0].total, seen[-2].total, seen[-1].total] == [50, 2, 3]
    for table in ("e1", "e2", "parent", "child"):
        assert checksum(sister, table) == checksum(production, table)


def test_schemas_that_differ(production, sister):
    """Columns that only the sister has keep their defaults, and wider types take the values."""
    production.execute("CREATE TABLE t (id int PRIMARY KEY, n int, d date); INSERT INTO t VALUES (1, 5, '2020-01-02')")
    sister.execute("CREATE TABLE t (extra text DEFAULT 'x', d text, n bigint, id bigint PRIMARY KEY)")
    backfill(production, sister, tables=["t"])
    assert sister.execute("SELECT * FROM t").fetchall() == [("x", "2020-01-02", 5, 1)]


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY, made text GENERATED ALWAYS AS ('a') STORED)",
         r"lacks columns .*: body, made"),
        ("CREATE TABLE t (id int PRIMARY KEY, made text, body int)", r"22P02\)"),
        ("CREATE TABLE t (id int PRIMARY KEY, made text, body text CHECK (body <> 'secret'))", "CheckViolation"),
        ("CREATE TABLE u (id int)", "no table t in the sister"),
    ],
)  # fmt: skip
def test_sisters_that_do_not_fit(production, sister, theirs, words):
    """A sister without the table or its columns, or that refuses the values, is told by name and without a value."""
    production.execute(
        "CREATE TABLE t (id int PRIMARY KEY, made text, body text); INSERT INTO t VALUES (1, 'a', 'secret')"
    )
    sister.execute(theirs)
    with pytest.raises(StoreError, match=words) as caught:
        backfill(production, sister, tables=["t"])
    assert "secret" not in str(caught.value)


def test_memory_is_bounded(production, sister):
    """A batch of 40 MB goes through with little memory."""
    ready(production, sister, "CREATE TABLE t (id int PRIMARY KEY, body text)", "t")
    production.execute("ALTER TABLE t ALTER body SET STORAGE EXTERNAL")
    production.execute("INSERT INTO t SELECT i, repeat(md5(i::text), 625) FROM generate_series(1, 2000) i")
    tracemalloc.start()
    try:
        backfill(production, sister, tables=["t"])
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert checksum(sister, "t") == checksum(production, "t")


def test_two_at_once(production, sister, postgres_url, sister_url):
    """Two processes on one table share its batches: each row is copied once."""
    ready(production, sister, COMMENTS.format(500), "comments")
    counts = []

    def run():
        with psycopg.connect(postgres_url) as ours, psycopg.connect(sister_url) as theirs:
            ours.read_only = True
            counts.append(backfill(ours, theirs, tables=["comments"], batch=20).rows["public.comments"])

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 2
    assert sum(counts) == 500
    assert checksum(sister, "comments") == checksum(production, "comments")


WRONG_OPTIONS = [
    ({"tables": []}, "tables"),
    ({"where": {"posts": "true"}}, "where"),
    ({"where": {"comments": " "}}, "where"),
    ({"where": {"comments": 1}}, "where"),
    ({"batch": 0}, "batch"),
    ({"batch": True}, "batch"),
    ({"batch": 1.5}, "batch"),
    ({"rate": 0}, "rate"),
    ({"rate": float("inf")}, "rate"),
    ({"timeout": -1}, "timeout"),
    ({"timeout": "1"}, "timeout"),
]


def test_wrong_options(production, sister, subtests):
    """A wrong option is named before anything is done."""
    for options, field in WRONG_OPTIONS:
        with subtests.test(options=options):
            with pytest.raises(ConfigError) as caught:
                backfill(production, sister, **{"tables": ["comments"], **options})
            assert caught.value.field == field
            assert sister.execute("SELECT to_regclass('shadowmig_backfill')").fetchone() == (None,)
