"""
The service of the write tutorial on Postgres, Memcached and Redis, each with a sister.

Run it with ``python examples/write_real_stores.py``. It starts servers of its own on free ports, in temporary folders,
and stops them in the end. In a service the addresses come from its configuration.
"""

import json
from itertools import count
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

# docs begin stores
from shadowmig import Migration, SisterStore
from shadowmig.stores import MemcachedStore, PostgresStore, RedisStore, Stream, Table
from shadowmig.testing.servers import Memcached, Postgres, Redis
from shadowmig.wire.codecs import Json

TABLES = [Table("comments", key="id", version="version")]
STREAMS = [
    Stream("comment_events", id="event_id", payload="body", codec=Json(), version=lambda event: event["version"])
]


def version(comment: dict) -> int:
    """Take the version out of what is in the cache."""
    return comment["version"]


class Stores:
    """The three stores of the service, and their sisters."""

    def __init__(self, postgres: tuple[str, str], memcached: tuple[str, str], redis: tuple[str, str]) -> None:
        self.db = SisterStore(
            name="db",
            production=PostgresStore(postgres[0], tables=TABLES),
            sister=PostgresStore(postgres[1], tables=TABLES),
        )
        self.cache = SisterStore(
            name="cache",
            production=MemcachedStore(memcached[0], codec=Json(), version=version),
            sister=MemcachedStore(memcached[1], codec=Json(), version=version),
        )
        self.events = SisterStore(
            name="events",
            production=RedisStore(redis[0], streams=STREAMS),
            sister=RedisStore(redis[1], streams=STREAMS),
        )
        # docs end

    def prove(self) -> None:
        """Prove that the sisters are not production, as a process should when it starts; it connects, too."""
        for store in (self.db, self.cache, self.events):
            store.prove()

    def close(self) -> None:
        """Close all connections."""
        for store in (self.db, self.cache, self.events):
            store.close()


_ids = count(1)


class Comments:
    """Old service and rewrite alike, but for the two bugs of the rewrite."""

    def __init__(self, stores: Stores, *, rewritten: bool) -> None:
        self._stores = stores
        self._rewritten = rewritten

    def create(self, body: str, *, comment_id: int | None = None, event_id: str = "") -> dict:
        """Store a new comment."""
        comment = self._run(
            "INSERT INTO comments (id, body) VALUES (COALESCE(%(id)s, nextval('comments_id_seq')), %(body)s)"
            " RETURNING *",
            {"id": comment_id, "body": body},
        )
        self._cache(comment)
        return self._tell(comment, event_id)

    def edit(self, comment_id: int, body: str, *, event_id: str = "") -> dict:
        """Change a comment's text."""
        text = body.strip() if self._rewritten else body
        statement = "UPDATE comments SET body = %(body)s, version = version + 1 WHERE id = %(id)s RETURNING *"
        comment = self._run(statement, {"body": text, "id": comment_id})
        if not self._rewritten:
            self._cache(comment)
        return self._tell(comment, event_id)

    def _run(self, statement: str, values: dict) -> dict:
        with self._stores.db.client().connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(statement, values).fetchone()
        if row is None:
            raise KeyError(values["id"])
        return row

    def _cache(self, comment: dict) -> None:
        self._stores.cache.client().set(f"comment:{comment['id']}", json.dumps(comment).encode(), expire=3600)

    def _tell(self, comment: dict, event_id: str) -> dict:
        event_id = event_id or f"event-{next(_ids)}"
        body = json.dumps({"version": comment["version"], "after": comment})
        self._stores.events.client().xadd("comment_events", {"event_id": event_id, "body": body})
        return {**comment, "event_id": event_id}


def compare(migration: Migration, stores: Stores) -> Comments:
    """Decorate the old service's methods with those of the rewrite."""
    db, cache, events = stores.db, stores.cache, stores.events
    old, new = Comments(stores, rewritten=False), Comments(stores, rewritten=True)

    def touched(comment_id: int, event_id: str) -> list:
        row, key = db.row("comments", comment_id), cache.key(f"comment:{comment_id}")
        told = {row: lambda event: event["after"], key: lambda event: event["after"]}
        return [row, key, events.entry("comment_events", event_id, stands_for=told)]

    old.create = migration.write(
        old.create,
        candidate=new.create,
        name="create",
        key=lambda call: call.result["id"],
        carry=lambda call: {"comment_id": call.result["id"], "event_id": call.result["event_id"]},
        touches=lambda call: touched(call.result["id"], call.result["event_id"]),
    )
    old.edit = migration.write(
        old.edit,
        candidate=new.edit,
        name="edit",
        key=lambda call: call["comment_id"],
        hydrate=lambda call: [db.row("comments", call["comment_id"]), cache.key(f"comment:{call['comment_id']}")],
        carry=lambda call: {"event_id": call.result["event_id"]},
        touches=lambda call: touched(call["comment_id"], call.result["event_id"]),
    )
    return old


def main() -> list[str]:
    """Start servers, answer some users, and show what was found."""
    with Postgres() as postgres, Memcached() as cache, Memcached() as twin, Redis() as redis:
        urls = [urlsplit(postgres.url)._replace(path=f"/{name}").geturl() for name in ("production", "sister")]
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE production")
            connection.execute("CREATE DATABASE sister")
        with psycopg.connect(urls[0], autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE comments (id serial PRIMARY KEY, body text NOT NULL, version int NOT NULL DEFAULT 1)"
            )
        stores = Stores((urls[0], urls[1]), (cache.url, twin.url), (redis.url, redis.url.replace("/0", "/1")))
        stores.db.provision()
        stores.prove()
        with Migration("comments", sinks=[]) as migration:
            comments = compare(migration, stores)
            first = comments.create("First!")
            print(first)
            print(comments.edit(first["id"], "First! (edited)"))
            print(comments.edit(first["id"], "  indented"))
            migration.flush()
            lines = [
                f"{finding.store or 'answer'} {finding.record} {finding.path} {finding.kind}".replace("  ", " ")
                for finding in sorted(migration.findings(), key=lambda finding: (finding.store, finding.path))
            ]
            for name, summary in migration.stats().experiments.items():
                print(name, {verdict.value: calls for verdict, calls in summary.verdicts.items() if calls})
        stores.close()
    print("\n".join(lines))
    return lines


if __name__ == "__main__":
    main()
