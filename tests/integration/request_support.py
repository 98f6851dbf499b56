"""
What the tests of request-wide transactions share: two databases, the rewrite, and a migration over them.

The old service works with its framework's own connections; the rewrite uses plain psycopg, by way of the sister store.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from shadowmig import Comparison, Migration, SisterStore
from shadowmig.engine import Breaker, Threads
from shadowmig.model import Call, Ref
from shadowmig.sinks import Memory
from shadowmig.stores import PostgresStore, Table

SOON = 0.3
"""Seconds to wait for a commit that never comes."""

LONG = 20.0
"""Seconds to wait for what comes, if the machine is not hopeless."""

TABLES = [Table("comments", key="id", version="version")]
SCHEMA = """
CREATE TABLE authors (id int PRIMARY KEY);
INSERT INTO authors VALUES (1);
CREATE TABLE comments (
    id serial PRIMARY KEY,
    author int NOT NULL DEFAULT 1 REFERENCES authors DEFERRABLE INITIALLY DEFERRED,
    body text NOT NULL,
    votes int NOT NULL DEFAULT 0,
    version int NOT NULL DEFAULT 1
);
"""
"""A comment of an author who does not exist is refused at the very end, by the commit."""
SLOW_COMMIT = """
CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER doze AFTER UPDATE ON comments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.body = 'slow') EXECUTE FUNCTION doze();
"""
"""A comment called slow takes its time to be committed."""


class Rewrite:
    """
    The candidate: the same writes in plain SQL, each committed by itself. Its answers are right, whatever it stores.

    Args:
        db: Where comments are.
        defect: What is wrong with it: ``"body"``, ``"votes"``, ``"bump"`` or ``"lazy"``; or nothing.
    """

    def __init__(self, db: SisterStore, defect: str = "") -> None:
        self._db = db
        self._defect = defect
        self.ran = threading.Event()

    def create(self, body: str, *, comment_id: int | None = None) -> dict[str, Any]:
        """Store a new comment."""
        row = self._run(
            "INSERT INTO comments (id, body) VALUES (COALESCE(%(id)s, nextval('comments_id_seq')), %(body)s)",
            {"id": comment_id, "body": self._text(body)},
        )
        return {"id": row["id"], "body": body}

    def edit(self, comment_id: int, body: str) -> dict[str, Any]:
        """Change a comment's text."""
        self._change("body = %(body)s", {"id": comment_id, "body": self._text(body)})
        return {"id": comment_id, "body": body}

    def vote(self, comment_id: int) -> dict[str, Any]:
        """Add a vote."""
        wrong = self._defect == "votes"
        row = self._change("votes = votes + %(more)s", {"id": comment_id, "more": 1 + wrong})
        return row | {"votes": row["votes"] - wrong, "version": row["version"] + (self._defect == "bump")}

    def _text(self, body: str) -> str:
        return body.upper() if self._defect == "body" else body

    def _change(self, change: str, values: dict[str, Any]) -> dict[str, Any]:
        if self._defect != "bump":
            change += ", version = version + 1"
        if self._defect == "lazy":
            change = "id = id"
        return self._run(f"UPDATE comments SET {change} WHERE id = %(id)s", values)

    def _run(self, statement: str, values: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._db.client().connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                row: dict[str, Any] | None = cursor.execute(f"{statement} RETURNING *", values).fetchone()
        finally:
            self.ran.set()
        if row is None:
            raise LookupError(values["id"])
        return row


class Site:
    """
    The service under comparison.

    Args:
        production: URL of production's database.
        sister: URL of the sister's.
        client: What the old service works with.
    """

    def __init__(self, production: str, sister: str, client: object) -> None:
        self.url = production
        self.sister_url = sister
        self.db = SisterStore(
            name="db",
            production=PostgresStore(production, tables=TABLES, client=client, timeout=LONG),
            sister=PostgresStore(sister, tables=TABLES, timeout=LONG),
        )
        self.db.provision()
        self.sql(SLOW_COMMIT)
        self.seen: list[Comparison] = []
        self.migration = Migration(
            "comments",
            sinks=[Memory()],
            on_comparison=self.seen.append,
            budget=1.0,
            runner=Threads(workers=4, max_wait=60),
        )
        self._names = 0

    def compare(self, handler: Callable[..., Any], candidate: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Decorate a handler that changes one comment, or creates one."""
        self._names += 1
        existing = "comment_id" in handler.__code__.co_varnames[: handler.__code__.co_argcount]
        usual: dict[str, Any] = {
            "name": f"{handler.__name__} {self._names}",
            "settle": LONG,
            "hydrate_timeout": LONG,
            "deadline": LONG,
            "breaker": Breaker(errors=2, overhead=3600),
        }
        if existing:
            usual |= {"key": lambda call: call["comment_id"], "hydrate": self.row, "touches": self.row}
        else:
            usual |= {
                "key": lambda call: call.result["id"],
                "touches": lambda call: [self.db.row("comments", call.result["id"])],
                "carry": lambda call: {"comment_id": call.result["id"]},
            }
        return self.migration.write(handler, candidate=candidate, **(usual | options))

    def row(self, call: Call) -> list[Ref]:
        """Name the comment that a call changes."""
        return [self.db.row("comments", call["comment_id"])]

    def new(self) -> int:
        """Put a comment into production, unseen by anybody."""
        ((number,),) = self.sql("INSERT INTO comments (body) VALUES ('first') RETURNING id")
        return int(number)

    def held(self, number: int) -> tuple[Any, ...] | None:
        """Give what production holds of a comment: text, votes, version."""
        rows = self.sql(f"SELECT body, votes, version FROM comments WHERE id = {number}")
        return rows[0] if rows else None

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Run statements in production."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def wait_for_a_lock(self) -> None:
        """Wait until somebody in production waits for a row that somebody else holds."""
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        for _ in range(1000):
            if self.sql(waiting):
                return
            threading.Event().wait(0.01)
        raise AssertionError("nobody waits")

    def judged(self) -> list[Comparison]:
        """Give what was judged since the last time, once all is, in the order of the calls."""
        assert self.migration.flush(2 * LONG)
        for name, summary in self.migration.stats().experiments.items():
            assert not summary.errors, (name, summary.errors)
        found = sorted(self.seen, key=lambda comparison: comparison.call.at.timestamp() if comparison.call else 0.0)
        self.seen.clear()
        return found

    def close(self) -> None:
        """End all."""
        assert self.migration.close(LONG)
        self.db.close()


def short(comparison: Comparison) -> str:
    """Say in a word or two what the verdict is."""
    return ":".join(filter(None, [comparison.verdict.value, comparison.reason]))


def paths(comparison: Comparison) -> list[str]:
    """Say where the records differ, and by which proof."""
    assert all(one.ref is not None for one in comparison.differences), "the answers differ"
    return sorted(f"{one.path} {one.proof}" for one in comparison.differences)


@contextmanager
def databases(server: str) -> Iterator[tuple[str, str]]:
    """Give the URLs of production, with its schema, and of an empty sister; both are dropped afterwards."""
    names = [f"test_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            production, sister = (urlsplit(server)._replace(path=f"/{name}").geturl() for name in names)
            with psycopg.connect(production, autocommit=True) as setup:
                setup.execute(SCHEMA)
            yield production, sister
        finally:
            for name in names:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
