"""
The new service of the storm: the same writes as `shadowmig.testing.storm.service.Control`, written anew.

Each step is a method of its own, so that a defect is a subclass that does one step wrongly.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from attrs import define, field

from shadowmig.testing.storm.service import (
    COMMENTS,
    FLAGS,
    POSTS,
    STREAM,
    TTL,
    Backend,
    Conflict,
    Invalid,
    NotFound,
    Row,
    Rows,
    cache_key,
)

Write = Literal["create", "update", "vote", "delete", "move"]
"""The writes of the service, each an experiment."""

WRITES: tuple[Write, ...] = ("create", "update", "vote", "delete", "move")
_KINDS = {"create": "created", "update": "updated", "vote": "voted", "delete": "deleted", "move": "moved"}


@define
class Change:
    """
    One write on its way through the steps.

    Attributes:
        write: Which one.
        comment_id: The comment; ``None`` before a created one has its id.
        at: The time of the change: production's, if that is carried.
        event_id: The id of its event: production's, if that is carried.
        before: The comment's row before it; ``None`` for one that is created.
        after: The comment's row after it; ``None`` for one that is deleted.
        version: The version that the change produced.
        posts: Rows of the posts that it changed, as they are after it, in the order of their ids.
    """

    write: Write
    comment_id: int | None
    at: datetime
    event_id: str
    before: Row | None = None
    after: Row | None = None
    version: Any = 1
    posts: list[Row] = field(factory=list)


class Candidate:
    """
    The new implementation, without a defect.

    Handlers take what production generated as ``at``, ``event_id`` and ``comment_id``, and make their own where it is
    not given.

    Args:
        backend: The stores.
    """

    stream: ClassVar[str] = STREAM
    ttl: ClassVar[int] = TTL
    flags: ClassVar[int] = FLAGS

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    # The handlers ----------------------------------------------------------------------------------------------------

    def create(
        self,
        post_id: int,
        author: str,
        body: str,
        flair: str | None = None,
        tags: Iterable[str] = (),
        *,
        at: datetime | None = None,
        event_id: str | None = None,
        comment_id: int | None = None,
    ) -> Any:
        """Do what `Control.create` does."""
        self.check(body)
        change = self.begin("create", comment_id, at, event_id)
        values = {
            "post_id": post_id,
            "author": author,
            "body": body,
            "flair": flair,
            "language": "en",
            "pinned": False,
            "tags": list(tags),
            "score": 1,
            "weight": self.weigh(body),
            "created_at": change.at,
            "edited_at": None,
            "version": change.version,
        }
        if comment_id is not None:
            values["id"] = comment_id
        with self.backend.transaction() as rows:
            self.count(rows, change, {post_id: 1})
            self.insert(rows, change, self.values(change, values))
            self.publish(change)
        return self.answer(change)

    def update(
        self,
        comment_id: int,
        body: str,
        flair: str | None = None,
        tags: Iterable[str] = (),
        *,
        at: datetime | None = None,
        event_id: str | None = None,
    ) -> Any:
        """Do what `Control.update` does."""
        self.check(body)
        change = self.begin("update", comment_id, at, event_id)
        values = {"body": body, "flair": flair, "tags": list(tags), "weight": self.weigh(body), "edited_at": change.at}
        with self.backend.transaction() as rows:
            self.load(rows, change)
            self.save(rows, change, values)
            self.publish(change)
        return self.answer(change)

    def vote(self, comment_id: int, direction: int, *, at: datetime | None = None, event_id: str | None = None) -> Any:
        """Do what `Control.vote` does."""
        change = self.begin("vote", comment_id, at, event_id)
        with self.backend.transaction() as rows:
            row = self.load(rows, change)
            self.save(rows, change, {"score": row["score"] + direction})
            self.publish(change)
        return self.answer(change)

    def delete(self, comment_id: int, post_id: int, *, at: datetime | None = None, event_id: str | None = None) -> Any:
        """Do what `Control.delete` does."""
        change = self.begin("delete", comment_id, at, event_id)
        with self.backend.transaction() as rows:
            self.check_place(self.load(rows, change), post_id)
            self.remove(rows, change)
            self.count(rows, change, {post_id: -1})
            self.publish(change)
        return self.answer(change)

    def move(
        self,
        comment_id: int,
        from_post: int,
        to_post: int,
        *,
        at: datetime | None = None,
        event_id: str | None = None,
    ) -> Any:
        """Do what `Control.move` does."""
        change = self.begin("move", comment_id, at, event_id)
        with self.backend.transaction() as rows:
            self.check_place(self.load(rows, change), from_post)
            if from_post == to_post:
                raise Conflict(f"comment {comment_id} is there")
            self.save(rows, change, {"post_id": to_post})
            self.count(rows, change, {from_post: -1, to_post: 1})
            self.publish(change)
        return self.answer(change)

    # The steps -------------------------------------------------------------------------------------------------------

    def begin(self, write: Write, comment_id: int | None, at: datetime | None, event_id: str | None) -> Change:
        """Start a change, before any store is asked."""
        return Change(write, comment_id, at or datetime.now(UTC), event_id or uuid.uuid4().hex)

    def check(self, body: str) -> None:
        """Refuse a text."""
        if not body:
            raise Invalid("empty")

    def check_place(self, row: Row, post_id: int) -> None:
        """Refuse a comment that is below another post."""
        if row["post_id"] != post_id:
            raise Conflict(f"comment {row['id']} is elsewhere")

    def weigh(self, body: str) -> float:
        """Work out the weight of a text."""
        return len(body) / 7

    def load(self, rows: Rows, change: Change) -> Row:
        """Read and lock the comment's row, and set the version that the change produces."""
        assert change.comment_id is not None
        row = rows.lock(COMMENTS, change.comment_id)
        if row is None:
            raise NotFound(f"no comment {change.comment_id}")
        change.before = row
        change.version = self.next_version(row)
        return row

    def next_version(self, row: Row) -> Any:
        """Give the version after a row's; of the comment only, posts count for themselves."""
        return row["version"] + 1

    def values(self, _change: Change, values: Row) -> Row:
        """Give the columns to be written: all of a new row, or those that change, the version among them."""
        return values

    def insert(self, rows: Rows, change: Change, values: Row) -> None:
        """Add the comment's row."""
        change.after = rows.insert(COMMENTS, values)
        change.comment_id = change.after["id"]

    def save(self, rows: Rows, change: Change, values: Row) -> None:
        """Change the comment's row."""
        assert change.comment_id is not None
        change.after = rows.update(
            COMMENTS, change.comment_id, self.values(change, {**values, "version": change.version})
        )

    def remove(self, rows: Rows, change: Change) -> None:
        """Delete the comment's row."""
        assert change.comment_id is not None
        rows.delete(COMMENTS, change.comment_id)

    def count(self, rows: Rows, change: Change, counts: dict[int, int]) -> None:
        """Change the number of comments of posts, by id; a post that gets one more has a new last comment."""
        for post_id in sorted(counts):
            post = rows.lock(POSTS, post_id)
            if post is None:
                raise NotFound(f"no post {post_id}")
            values = {"comment_count": post["comment_count"] + counts[post_id], "version": post["version"] + 1}
            if counts[post_id] > 0:
                values["last_comment_at"] = change.at
            row = rows.update(POSTS, post_id, values)
            assert row is not None
            change.posts.append(row)

    def publish(self, change: Change) -> None:
        """Write cache and stream; within the transaction, while the row is locked."""
        self.fill(change)
        self.emit(change)

    def fill(self, change: Change) -> None:
        """Bring the cache up to date."""
        if change.after is None:
            self.backend.cache_delete(self.key(change))
        else:
            self.put(change, change.after)

    def put(self, change: Change, row: Row) -> None:
        """Put a comment into the cache."""
        self.backend.cache_set(self.key(change), self.encode(self.cached(change, row)), flags=self.flags, ttl=self.ttl)

    def key(self, change: Change) -> str:
        """Name the cache key of the comment."""
        assert change.comment_id is not None
        return cache_key(change.comment_id)

    def cached(self, _change: Change, row: Row) -> Any:
        """Give the value that the cache gets, as plain data."""
        return plain(row)

    def encode(self, value: Any) -> bytes:
        """Turn a cached value into bytes."""
        return json.dumps(value, separators=(",", ":")).encode()

    def event(self, change: Change) -> dict[str, Any]:
        """Give the event, as plain data."""
        return {
            "kind": f"comment.{_KINDS[change.write]}",
            "comment_id": change.comment_id,
            "version": change.version,
            "at": change.at.isoformat(),
            "after": None if change.after is None else plain(change.after),
            "posts": [plain(post) for post in change.posts],
        }

    def emit(self, change: Change) -> None:
        """Send the event."""
        self.send(change, self.event(change))

    def send(self, change: Change, event: Any) -> None:
        """Append an event to the stream."""
        body = json.dumps(event, separators=(",", ":")).encode()
        self.backend.send(self.stream, {"event_id": change.event_id.encode(), "body": body})

    def answer(self, change: Change) -> Any:
        """Give the answer."""
        common = {"event_id": change.event_id, "at": change.at}
        if change.write == "delete":
            return {"id": change.comment_id, "deleted": True, "version": change.version, **common}
        return {**(change.after or {}), **common}


def plain(row: Row) -> dict[str, Any]:
    """Turn a row into what JSON has: times become ISO text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
