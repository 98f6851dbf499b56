"""
The old service of the storm: comments below posts, kept in three stores, as a monolith with an ORM does it.

Each write is one transaction: load and lock the row, change it, and before the commit put the whole comment into the
cache and one event with its full state into the stream. The version goes up by one with every change of a row.

Cache and stream are written before the commit, while the row is still locked. So two writers of one comment cannot
put their states into the cache, or their events into the stream, in another order than into the table; a service that
writes them after the commit needs a guarded set, or it leaves stale entries behind, and a storm would report those of
production. What it costs is that an aborted commit leaves an entry and an event of a change that never was.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

Row = dict[str, Any]

COMMENTS: Final = "comments"
POSTS: Final = "posts"
STREAM: Final = "comment_events"
TTL: Final = 43_200
"""Seconds that a comment stays in the cache."""
FLAGS: Final = 16
"""The client flags by which readers of the cache know JSON."""


FIRST_OWN_ID: Final = 1_000_000_000
"""Where the sister's own sequence of comment ids starts, far from production's."""


class NotFound(LookupError):
    """There is no such comment or post."""


class Conflict(ValueError):
    """The comment is not below that post."""


class Invalid(ValueError):
    """The text of the comment is empty."""


class Rows(Protocol):
    """The tables, within one transaction. A row is a dict of all its columns."""

    def lock(self, table: str, key: int) -> Row | None:
        """Read a row and keep other writers from it until the transaction ends."""
        ...

    def insert(self, table: str, values: Mapping[str, Any]) -> Row:
        """Add a row; without ``id`` it gets the next one. Gives the row."""
        ...

    def update(self, table: str, key: int, values: Mapping[str, Any]) -> Row | None:
        """Set columns of a row. Gives the row; ``None`` if there is none."""
        ...

    def delete(self, table: str, key: int) -> Row | None:
        """Remove a row. Gives what it was; ``None`` if there was none."""
        ...


class Backend(Protocol):
    """
    The three stores as both services use them: production's on one side, the sister's on the other.

    Used by several threads at once. What a client raises is raised.
    """

    def transaction(self) -> AbstractContextManager[Rows]:
        """Begin a transaction: committed when the ``with`` block ends, rolled back if it raises."""
        ...

    def cache_set(self, key: str, data: bytes, *, flags: int, ttl: int) -> None:
        """Put bytes into the cache; a ``ttl`` of 0 is for ever."""
        ...

    def cache_delete(self, key: str) -> None:
        """Remove a key from the cache."""
        ...

    def send(self, stream: str, fields: Mapping[str, bytes]) -> None:
        """Append an entry to a stream."""
        ...


def cache_key(comment_id: int) -> str:
    """Name the cache key of a comment."""
    return f"comment:{comment_id}"


class Control:
    """
    The old implementation.

    Every handler returns the state of the comment after the change, with ``event_id``, ``at`` (the time of the change,
    UTC) and ``version``.

    Args:
        backend: The stores.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self, post_id: int, author: str, body: str, flair: str | None = None, tags: Iterable[str] = ()
    ) -> dict[str, Any]:
        """
        Add a comment to a post.

        Raises:
            Invalid: The text is empty.
            NotFound: There is no such post.
        """
        _check(body)
        at = datetime.now(UTC)
        with self._backend.transaction() as rows:
            post = _Model(rows, POSTS, post_id)
            post.set(comment_count=post["comment_count"] + 1, last_comment_at=at)
            fields = {"post_id": post_id, "author": author, "body": body, "flair": flair, "tags": list(tags)}
            fields |= {"language": "en", "pinned": False, "score": 1, "weight": _weight(body)}
            fields |= {"created_at": at, "edited_at": None, "version": 1}
            row = rows.insert(COMMENTS, fields)
            return self._publish("created", row, [post.save()], at)

    def update(self, comment_id: int, body: str, flair: str | None = None, tags: Iterable[str] = ()) -> dict[str, Any]:
        """
        Change the text of a comment.

        Raises:
            Invalid: The text is empty.
            NotFound: There is no such comment.
        """
        _check(body)
        at = datetime.now(UTC)
        with self._backend.transaction() as rows:
            comment = _Model(rows, COMMENTS, comment_id)
            comment.set(body=body, flair=flair, tags=list(tags), weight=_weight(body), edited_at=at)
            return self._publish("updated", comment.save(), [], at)

    def vote(self, comment_id: int, direction: int) -> dict[str, Any]:
        """
        Add to the score of a comment.

        Raises:
            NotFound: There is no such comment.
        """
        at = datetime.now(UTC)
        with self._backend.transaction() as rows:
            comment = _Model(rows, COMMENTS, comment_id)
            comment.set(score=comment["score"] + direction)
            return self._publish("voted", comment.save(), [], at)

    def delete(self, comment_id: int, post_id: int) -> dict[str, Any]:
        """
        Remove a comment from a post. The answer has ``id``, ``deleted`` and the version after the last one.

        Raises:
            NotFound: There is no such comment.
            Conflict: The comment is below another post.
        """
        at = datetime.now(UTC)
        with self._backend.transaction() as rows:
            comment = _Model(rows, COMMENTS, comment_id)
            _check_place(comment, post_id)
            post = _Model(rows, POSTS, post_id)
            post.set(comment_count=post["comment_count"] - 1)
            posts = [post.save()]
            rows.delete(COMMENTS, comment_id)
            self._backend.cache_delete(cache_key(comment_id))
            version = comment["version"] + 1
            event_id = self._send("deleted", {"id": comment_id, "version": version}, None, posts, at)
            return {"id": comment_id, "deleted": True, "version": version, "event_id": event_id, "at": at}

    def move(self, comment_id: int, from_post: int, to_post: int) -> dict[str, Any]:
        """
        Move a comment from one post to another.

        Raises:
            NotFound: There is no such comment, or no such post.
            Conflict: The comment is below another post, or the posts are one.
        """
        at = datetime.now(UTC)
        with self._backend.transaction() as rows:
            comment = _Model(rows, COMMENTS, comment_id)
            _check_place(comment, from_post)
            if from_post == to_post:
                raise Conflict(f"comment {comment_id} is below post {to_post} already")
            comment.set(post_id=to_post)
            row = comment.save()
            # In the order of their ids, so that two moves cannot wait for each other.
            posts = {key: _Model(rows, POSTS, key) for key in sorted((from_post, to_post))}
            posts[from_post].set(comment_count=posts[from_post]["comment_count"] - 1)
            posts[to_post].set(comment_count=posts[to_post]["comment_count"] + 1, last_comment_at=at)
            return self._publish("moved", row, [post.save() for post in posts.values()], at)

    def _publish(self, kind: str, row: Row, posts: list[Row], at: datetime) -> dict[str, Any]:
        """Fill the cache, send the event, and give the answer."""
        text = json.dumps(row, default=_plain, ensure_ascii=False)
        self._backend.cache_set(cache_key(row["id"]), text.encode(), flags=FLAGS, ttl=TTL)
        event_id = self._send(kind, row, json.loads(text), posts, at)
        return {**row, "event_id": event_id, "at": at}

    def _send(self, kind: str, row: Row, after: dict[str, Any] | None, posts: list[Row], at: datetime) -> str:
        event_id = uuid.uuid4().hex
        event = {"kind": f"comment.{kind}", "comment_id": row["id"], "version": row["version"], "at": at}
        event |= {"after": after, "posts": posts}
        body = json.dumps(event, default=_plain, ensure_ascii=False).encode()
        self._backend.send(STREAM, {"event_id": event_id.encode(), "body": body})
        return event_id


class _Model:
    """A row as an ORM holds it: loaded and locked, changed in memory, and only what changed is written."""

    def __init__(self, rows: Rows, table: str, key: int) -> None:
        row = rows.lock(table, key)
        if row is None:
            raise NotFound(f"{table} {key}")
        self._rows, self._table, self._row, self._changed = rows, table, row, {"version": row["version"] + 1}

    def __getitem__(self, name: str) -> Any:
        return self._row[name]

    def set(self, **values: Any) -> None:
        self._changed |= {name: value for name, value in values.items() if value != self._row[name]}

    def save(self) -> Row:
        self._rows.update(self._table, self._row["id"], self._changed)
        return {**self._row, **self._changed}


def _check(body: str) -> None:
    if not body:
        raise Invalid("the text is empty")


def _check_place(comment: _Model, post_id: int) -> None:
    if comment["post_id"] != post_id:
        raise Conflict(f"comment {comment['id']} is not below post {post_id}")


def _weight(body: str) -> float:
    return len(body) / 7


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is not for JSON")
