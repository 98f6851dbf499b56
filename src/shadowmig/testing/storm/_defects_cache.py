"""Defects of the cache: another value, other bytes, another life, the wrong key, or the wrong moment."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change, plain
from shadowmig.testing.storm.defects import FIELDS, Place, planted, stale, unasked
from shadowmig.testing.storm.service import Row

_OLD = [*stale("cache", *FIELDS), Place("cache", "$", "missing")]
"""Where it shows that the cache has an older state, or none of a new comment."""
_UNREADABLE = [Place("cache", "$", "type"), Place("cache", "$", "changed")]


@planted(_OLD)
class CacheNotSetByEdit(Candidate):
    """An edit does not write the cache."""

    def fill(self, change: Change) -> None:
        if change.write != "update":
            super().fill(change)


@planted(_OLD)
class CacheNotSetByVote(Candidate):
    """A vote does not write the cache."""

    def fill(self, change: Change) -> None:
        if change.write != "vote":
            super().fill(change)


@planted(_OLD)
class CacheNotSetByCreate(Candidate):
    """A new comment is not put into the cache."""

    def fill(self, change: Change) -> None:
        if change.write != "create":
            super().fill(change)


@planted(Place("cache", "$", "missing"))
class CacheDeletedNotSet(Candidate):
    """A write deletes the cache entry, for the next reader to fill."""

    def put(self, change: Change, row: Row) -> None:
        self.backend.cache_delete(self.key(change))


@planted(unasked("cache"))
class CacheLeftByDelete(Candidate):
    """The cache still has a deleted comment."""

    def fill(self, change: Change) -> None:
        if change.write != "delete":
            super().fill(change)


@planted(_OLD, unasked("cache"))
class CacheSetBeforeWrite(Candidate):
    """The cache is filled before the row is written, with the state that was."""

    def fill(self, change: Change) -> None:
        if change.before is None:
            super().fill(change)
        else:
            self.put(change, change.before)


@planted(_OLD, unasked("cache"))
class CacheStaleAddedAgain(Candidate):
    """A write deletes the cache entry, and then a slow reader adds what it had read before."""

    def fill(self, change: Change) -> None:
        self.backend.cache_delete(self.key(change))
        self.put(change, change.before or change.after or {})


@planted(_OLD, unasked("cache"))
class CacheKeyRenamed(Candidate):
    """The cache is written under another key."""

    def key(self, change: Change) -> str:
        return f"comments:{change.comment_id}"


@planted(Place("cache", "@ttl", "changed"))
class CacheLifeTooShort(Candidate):
    """A cache entry lives for twelve minutes, not twelve hours."""

    ttl = 720


@planted(Place("cache", "@ttl", "changed"))
class CacheLifeWithoutEnd(Candidate):
    """A cache entry lives for ever."""

    ttl = 0


@planted(Place("cache", "@ttl", "changed"), Place("cache", "$", "missing"))
class CacheLifeInMilliseconds(Candidate):
    """A cache entry's life is given in milliseconds: Memcached takes that many seconds for a date long past."""

    ttl = 43_200_000


@planted(Place("cache", "@flags", "changed"))
class CacheFlagsZero(Candidate):
    """The client flags are 0, so that old readers do not know JSON."""

    flags = 0


@planted(_UNREADABLE)
class CachePickled(Candidate):
    """The cache gets a pickle."""

    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)


@planted(_UNREADABLE)
class CacheCompressed(Candidate):
    """Cached bytes are compressed, and the flags do not say so."""

    def encode(self, value: Any) -> bytes:
        return zlib.compress(super().encode(value))


@planted(_UNREADABLE, stale("cache", "author", "body", "flair", "tags"))
class CacheIsLatin1(Candidate):
    """Cached bytes are Latin-1; what that lacks is replaced."""

    def encode(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode("latin-1", "replace")


@planted(_UNREADABLE)
class CacheTorn(Candidate):
    """Cached bytes end after 400: a column of a fixed width."""

    def encode(self, value: Any) -> bytes:
        return super().encode(value)[:400]


@planted(_UNREADABLE)
class CacheEncodedTwice(Candidate):
    """The cache gets JSON within a JSON string."""

    def encode(self, value: Any) -> bytes:
        return json.dumps(super().encode(value).decode()).encode()


@planted(Place("cache", "$.language", "missing"))
class CacheLacksField(Candidate):
    """The cached comment has no language."""

    def cached(self, change: Change, row: Row) -> Any:
        return {name: value for name, value in plain(row).items() if name != "language"}


@planted(Place("cache", "$.event_id", "unexpected"))
class CacheHasMore(Candidate):
    """The cached comment has the id of the event too."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "event_id": change.event_id}


@planted(Place("cache", "$.edited_at", "missing"), Place("cache", "$.flair", "missing"))
class CacheOmitsNull(Candidate):
    """The cached comment has no field for what is NULL."""

    def cached(self, change: Change, row: Row) -> Any:
        return {name: value for name, value in plain(row).items() if value is not None}


@planted(Place("cache", "$.pinned", "type"))
class CacheBoolIsInt(Candidate):
    """The cache has 0 and 1 for false and true."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "pinned": int(row["pinned"])}


@planted(Place("cache", "$.score", "type"))
class CacheIntIsText(Candidate):
    """The cache has the score as text."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "score": str(row["score"])}


@planted(Place("cache", "$.score", "type"))
class CacheIntIsFloat(Candidate):
    """The cache has the score as a number with a point."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "score": float(row["score"])}


@planted(Place("cache", "$.created_at", "changed"))
class CacheTimeInOtherForm(Candidate):
    """The cache has times that end in Z."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "created_at": row["created_at"].isoformat().replace("+00:00", "Z")}


@planted(Place("cache", "$.tags", "type"))
class CacheTagsJoined(Candidate):
    """The cache has the tags as one text."""

    def cached(self, change: Change, row: Row) -> Any:
        return {**plain(row), "tags": ",".join(row["tags"])}
