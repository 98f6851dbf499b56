"""
The datastore of the demo: comments in memory, each with a version that every change raises.

A read is consistent: what it returns existed at one moment. Records are never changed in place, so readers need no
copy.
"""

from __future__ import annotations

import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import evolve, frozen


class CommentNotFound(LookupError):
    """There is no such comment, thread or author."""


@frozen
class Record:
    """
    One stored comment.

    Attributes:
        fields: What the comment consists of; never changed in place.
        version: 1 when it was stored, one more for each change.
        deleted: Whether its author deleted it; the text is kept for moderators.
    """

    fields: Mapping[str, Any]
    version: int = 1
    deleted: bool = False

    @property
    def id(self) -> str:
        """The comment's id."""
        return str(self.fields["id"])

    @property
    def author(self) -> str:
        """The author's name."""
        return str(self.fields.get("author") or "[unknown]")

    @property
    def thread(self) -> str:
        """The id of the thread it belongs to."""
        return str(self.fields.get("link_id") or "t3_unknown")

    @property
    def score(self) -> int:
        """Its points; 0 if none are stored."""
        return int(self.fields.get("score") or 0)

    @property
    def sort_key(self) -> int:
        """A number that grows with the time of writing and is unique to the comment; above 2**53 for recent ones."""
        return (int(self.fields.get("created_utc") or 0) << 23) | (zlib.crc32(self.id.encode()) & 0x7FFFFF)


@frozen
class Group:
    """
    The comments of one thread or author, as they were at one moment.

    Attributes:
        revision: Grows with each change of any of them.
        records: The comments, in the order in which they were stored.
    """

    revision: int
    records: tuple[Record, ...]


class Store:
    """
    Comments by id, thread and author. Thread-safe.

    Args:
        comments: The comments; of several with one id the last one is stored.
    """

    def __init__(self, comments: Iterable[Mapping[str, Any]]) -> None:
        self._lock = threading.Lock()
        self._records = {str(fields["id"]): Record(fields) for fields in comments}
        self._threads: dict[str, list[str]] = defaultdict(list)
        self._authors: dict[str, list[str]] = defaultdict(list)
        for record in self._records.values():
            self._threads[record.thread].append(record.id)
            self._authors[record.author].append(record.id)
        self.edits = 0

    def ids(self) -> list[str]:
        """The ids of all comments."""
        return list(self._records)

    def threads(self) -> dict[str, int]:
        """Each thread and its number of comments."""
        return {thread: len(ids) for thread, ids in self._threads.items()}

    def authors(self) -> list[str]:
        """The names of all authors."""
        return list(self._authors)

    def get(self, comment_id: str) -> Record | None:
        """Read one comment; ``None`` if there is none."""
        return self._records.get(comment_id)

    def thread(self, thread_id: str) -> Group | None:
        """Read the comments of a thread; ``None`` if there is no such thread."""
        return self._group(self._threads.get(thread_id))

    def author(self, name: str) -> Group | None:
        """Read the comments of an author; ``None`` if there is no such author."""
        return self._group(self._authors.get(name))

    def _group(self, ids: list[str] | None) -> Group | None:
        if ids is None:
            return None
        with self._lock:
            records = tuple(self._records[each] for each in ids)
        return Group(sum(record.version for record in records), records)

    def edit(self, comment_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Replace some fields of a comment: ``change`` gets all of them and returns the new ones."""
        with self._lock:
            record = self._records[comment_id]
            fields = {**record.fields, **change(record.fields)}
            self._records[comment_id] = evolve(record, fields=fields, version=record.version + 1)
            self.edits += 1

    def delete(self, comment_id: str) -> None:
        """Mark a comment as deleted by its author."""
        with self._lock:
            record = self._records[comment_id]
            self._records[comment_id] = evolve(record, version=record.version + 1, deleted=True)
            self.edits += 1
