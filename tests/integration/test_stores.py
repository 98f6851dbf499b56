"""Handlers that read real stores: what drivers return can be frozen, compared and shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pymemcache
import pytest
import redis
from psycopg.rows import dict_row

from shadowmig import Migration, Verdict, structural
from shadowmig.engine import Threads
from shadowmig.sinks import Memory

SCHEMA = """
CREATE TYPE state AS ENUM ('open', 'removed');
CREATE TABLE comments (
    id bigint PRIMARY KEY, body text, score numeric(10, 2), state state, tags text[], extra jsonb, raw bytea,
    created timestamptz, seen int4range, thread uuid, version int NOT NULL
);
INSERT INTO comments VALUES
    (9007199254740993, 'first', 1.10, 'open', '{a,b}', '{"k": [1, null, 1.0]}', '\\x00ff',
     '2024-05-01 12:00:00.123456+02', '[1,5)', '00000000-0000-0000-0000-000000000007', 1),
    (2, NULL, NULL, NULL, '{}', 'null', '', '0001-01-01 00:00:00+00', 'empty', NULL, 1);
"""


@pytest.fixture
def migration() -> Iterator[Migration]:
    """A migration as a service has it."""
    with Migration("comments", sinks=[Memory()], runner=Threads(workers=2)) as migration:
        yield migration


def matched(migration: Migration) -> int:
    """Count the matches of the only experiment, once all is judged."""
    assert migration.flush(20)
    (summary,) = migration.stats().experiments.values()
    assert not summary.errors
    return summary.verdicts[Verdict.MATCH]


def test_rows_of_postgres(migration: Migration, postgres_url: str) -> None:
    """Rows with every kind of column match themselves, and a changed column is found by name."""
    with psycopg.connect(postgres_url, autocommit=True) as setup:
        setup.execute(SCHEMA)

    def row(comment_id: int) -> dict[str, Any] | None:
        with psycopg.connect(postgres_url, row_factory=dict_row) as connection:
            return connection.execute("SELECT * FROM comments WHERE id = %s", (comment_id,)).fetchone()

    def careless(comment_id: int) -> dict[str, Any] | None:
        """Read as a rewrite might: numbers as floats, no time zone, no empty array."""
        answer = row(comment_id)
        if answer is not None and answer["score"] is not None:
            answer["score"] = float(answer["score"])
            answer["created"] = answer["created"].replace(tzinfo=None)
            answer["tags"] = tuple(answer["tags"])
        return answer

    get = migration.read(row, candidate=row, version=lambda answer: answer and answer["version"], name="same")
    for comment_id in (9007199254740993, 2, 3):
        assert get(comment_id) == row(comment_id)
    assert matched(migration) == 3
    with migration.inline() as seen:
        migration.read(row, candidate=careless, name="careless")(9007199254740993)
    assert {(difference.path, difference.kind) for difference in seen[0].differences} == {
        ("$.score", "type"),
        ("$.created", "changed"),
        ("$.tags", "type"),
    }


def test_a_row_edited_between_the_reads(migration: Migration, postgres_url: str) -> None:
    """With the row's version column, edits that go on beside the reads are no mismatches."""
    with psycopg.connect(postgres_url, autocommit=True) as setup:
        setup.execute(SCHEMA)
    stop = threading.Event()

    def edit() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("UPDATE comments SET body = body || '.', version = version + 1 WHERE id = 2")
                connection.execute("UPDATE comments SET body = left(md5(version::text), 8), version = version + 1")

    def row(comment_id: int) -> dict[str, Any]:
        with psycopg.connect(postgres_url, row_factory=dict_row) as connection:
            answer = connection.execute("SELECT * FROM comments WHERE id = %s", (comment_id,)).fetchone()
            assert answer is not None
            return answer

    get = migration.read(row, candidate=row, version=lambda answer: answer["version"], name="get")
    editor = threading.Thread(target=edit)
    editor.start()
    try:
        for _ in range(40):
            get(2)
        assert migration.flush(30)
    finally:
        stop.set()
        editor.join()
    (summary,) = migration.stats().experiments.values()
    assert summary.verdicts[Verdict.MISMATCH] == 0
    assert summary.verdicts[Verdict.RACED] > 0
    assert not migration.findings()


def test_values_of_redis(migration: Migration, redis_url: str) -> None:
    """Hashes, sets, lists and sorted sets match themselves, and bytes against text is found."""
    with redis.Redis.from_url(redis_url) as client, redis.Redis.from_url(redis_url, decode_responses=True) as texts:
        client.hset("h", mapping={"a": "1", "b": b"\xff"})
        client.sadd("s", "x", "y")
        client.rpush("l", "1", "2")
        client.zadd("z", {"m": 1.5})

        def read(one: Any) -> dict[str, Any]:
            return {"s": one.smembers("s"), "l": one.lrange("l", 0, -1), "z": one.zrange("z", 0, -1, withscores=True)}

        get = migration.read(
            lambda: {**read(client), "h": client.hgetall("h")},
            candidate=lambda: {**read(client), "h": client.hgetall("h")},
            name="get",
        )
        get()
        assert matched(migration) == 1
        with migration.inline() as seen:
            migration.read(lambda: read(client), candidate=lambda: read(texts), name="texts")()
    assert seen[0].verdict is Verdict.MISMATCH
    assert {difference.path.split("[")[0] for difference in seen[0].differences} == {"$.s", "$.l", "$.z"}


def test_values_of_memcached(migration: Migration, memcached: Any, memcached_prefix: str) -> None:
    """Cached JSON is compared as values, so that the order of keys does not matter."""
    client = pymemcache.Client((memcached.host, memcached.port))
    key = f"{memcached_prefix}comment:1"
    client.set(key, json.dumps({"id": 1, "tags": ["a"]}))
    other = {"tags": ["a"], "id": 1}
    get = migration.read(
        lambda: client.get(key),
        candidate=lambda: json.dumps(other).encode(),
        extract=json.loads,
        compare=structural(),
        name="get",
    )
    assert get() == b'{"id": 1, "tags": ["a"]}'
    assert matched(migration) == 1
    client.close()
