"""Defects of whole rows and whole writes: the wrong one, one too many, one too few, or an error at the wrong moment."""

from __future__ import annotations

from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change
from shadowmig.testing.storm.defects import ANSWER, FIELDS, Place, planted, stale, unasked
from shadowmig.testing.storm.service import COMMENTS, POSTS, NotFound, Row, Rows

_RAISED = Place(ANSWER, "$", "raised")
_COUNTS = [
    *stale("db", "comment_count", "last_comment_at", "version", space=POSTS),
    *stale("events", "posts[*].comment_count", "posts[*].last_comment_at", "posts[*].version"),
    *stale("events", "posts"),
]
"""Where a post that is counted wrongly shows."""
_NOT_WRITTEN = [
    *stale("db", *FIELDS),
    *stale("cache", *FIELDS),
    *_COUNTS,
    Place("db", "$", "missing"),
    Place("cache", "$", "missing"),
    Place("events", "$", "missing"),
]
"""Where it shows that nothing was written at all, other than by a delete."""


@planted(
    unasked("db"), stale("db", "author"), stale("cache", "author"), stale("events", "after.author"), stale("", "author")
)
class NeighbourUpdated(Candidate):
    """A vote spoils the author in a row near by."""

    def save(self, rows: Rows, change: Change, values: Row) -> None:
        super().save(rows, change, values)
        assert change.comment_id is not None
        if change.write == "vote":
            for neighbour in range(change.comment_id + 1, change.comment_id + 6):
                if rows.update(COMMENTS, neighbour, {"author": "somebody else"}):
                    return


@planted(unasked("db"))
class RowAddedTwice(Candidate):
    """A new comment is stored once more, under an id of its own."""

    def insert(self, rows: Rows, change: Change, values: Row) -> None:
        super().insert(rows, change, values)
        rows.insert(COMMENTS, {name: value for name, value in values.items() if name != "id"})


@planted(_COUNTS)
class TargetNotCounted(Candidate):
    """A move does not count the comment at the post it goes to."""

    def count(self, rows: Rows, change: Change, counts: dict[int, int]) -> None:
        if change.write == "move":
            counts = {post_id: by for post_id, by in counts.items() if by < 0}
        super().count(rows, change, counts)


@planted(_COUNTS)
class DeletedStillCounted(Candidate):
    """A delete does not lower the post's count."""

    def count(self, rows: Rows, change: Change, counts: dict[int, int]) -> None:
        super().count(rows, change, {} if change.write == "delete" else counts)


@planted(_COUNTS)
class PostNotDated(Candidate):
    """A post that gets a comment keeps the time of its last one."""

    def count(self, rows: Rows, change: Change, counts: dict[int, int]) -> None:
        super().count(_Without(rows, "last_comment_at"), change, counts)


@planted(_COUNTS)
class PostVersionNotBumped(Candidate):
    """A post whose count changes keeps its version."""

    def count(self, rows: Rows, change: Change, counts: dict[int, int]) -> None:
        super().count(_Without(rows, "version"), change, counts)


class _Without:
    """Rows whose updates leave one column alone."""

    def __init__(self, rows: Rows, column: str) -> None:
        self.lock, self.insert, self.delete = rows.lock, rows.insert, rows.delete
        self._rows, self._column = rows, column

    def update(self, table: str, key: int, values: Any) -> Row | None:
        return self._rows.update(table, key, {name: value for name, value in values.items() if name != self._column})


@planted(unasked("db"))
class DeleteIsSoft(Candidate):
    """A deleted comment stays in the table, with its text taken out."""

    def remove(self, rows: Rows, change: Change) -> None:
        assert change.comment_id is not None
        rows.update(COMMENTS, change.comment_id, {"body": "[deleted]", "version": change.version})


@planted(unasked("db"))
class DeleteDoesNothing(Candidate):
    """A deleted comment stays in the table as it was."""

    def remove(self, rows: Rows, change: Change) -> None:
        """Leave the row."""


@planted(
    Place("db", "$", "missing"),
    Place("db", "$", "unexpected"),
    Place("cache", "$", "missing"),
    *stale("events", "comment_id", "after.id"),
    *stale("", "id"),
)
class IdOfItsOwn(Candidate):
    """A new comment gets its id from the sequence of the new database, though production's is given."""

    def create(self, *args: Any, comment_id: int | None = None, **kwargs: Any) -> Any:
        return super().create(*args, **kwargs)


@planted(_RAISED, unasked("db"), unasked("cache"), unasked("events"))
class DeletedComesBack(Candidate):
    """An edit of a comment that is gone adds it again: an upsert."""

    def load(self, rows: Rows, change: Change) -> Row:
        if change.write != "update":
            return super().load(rows, change)
        try:
            return super().load(rows, change)
        except NotFound:
            values: Row = {"id": change.comment_id, "post_id": 1, "author": "", "body": "", "language": "en"}
            values |= {"pinned": False, "tags": [], "score": 1, "weight": 0.0, "created_at": change.at, "version": 0}
            change.before = rows.insert(COMMENTS, values)
            return change.before


@planted(_RAISED)
class NotFoundSwallowed(Candidate):
    """A vote on a comment that is gone answers that all is well."""

    def vote(self, comment_id: int, direction: int, **carried: Any) -> Any:
        try:
            return super().vote(comment_id, direction, **carried)
        except NotFound:
            return {"id": comment_id}


@planted(_RAISED)
class NotFoundIsKeyError(Candidate):
    """A comment that is gone raises an error of another class."""

    def load(self, rows: Rows, change: Change) -> Row:
        try:
            return super().load(rows, change)
        except NotFound as error:
            raise KeyError(change.comment_id) from error


@planted(_RAISED, _NOT_WRITTEN)
class LongTextRefused(Candidate):
    """A text above 120 characters is refused."""

    def check(self, body: str) -> None:
        super().check(body)
        if len(body) > 120:
            raise ValueError("too long")


@planted(
    _RAISED, unasked("db"), unasked("cache"), unasked("events"), stale("db", *FIELDS), stale("cache", *FIELDS), _COUNTS
)
class EmptyTextAccepted(Candidate):
    """An empty text is not refused."""

    def check(self, body: str) -> None:
        """Refuse nothing."""


@planted(_RAISED, _NOT_WRITTEN)
class FailsAfterCommit(Candidate):
    """Every third edit raises after the commit, so that neither cache nor stream are written."""

    def publish(self, change: Change) -> None:
        if not _every_third_edit(change):
            super().publish(change)

    def answer(self, change: Change) -> Any:
        if _every_third_edit(change):
            raise ConnectionError("cache")
        return super().answer(change)


@planted(_RAISED, Place("events", "$", "missing"))
class FailsBeforeEvent(Candidate):
    """Every third edit raises after table and cache are written, so that the event is lost."""

    def emit(self, change: Change) -> None:
        if not _every_third_edit(change):
            super().emit(change)

    def answer(self, change: Change) -> Any:
        if _every_third_edit(change):
            raise ConnectionError("stream")
        return super().answer(change)


@planted(stale("db", *FIELDS))
class RolledBackInSilence(Candidate):
    """Every third edit is rolled back after cache and stream were written, and answers that all is well."""

    def update(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().update(*args, **kwargs)
        except _RolledBack as error:
            return self.answer(error.change)

    def publish(self, change: Change) -> None:
        super().publish(change)
        if _every_third_edit(change):
            raise _RolledBack(change)


class _RolledBack(Exception):
    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change


def _every_third_edit(change: Change) -> bool:
    return change.write == "update" and change.before is not None and change.before["version"] % 3 == 0
