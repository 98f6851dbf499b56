"""The write experiments of the storm, as a service would declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from shadowmig.engine.breaker import Breaker
from shadowmig.migration import Migration
from shadowmig.model import MISSING, Call, Ref
from shadowmig.testing.storm._traffic import Entity
from shadowmig.testing.storm.candidate import WRITES, Write
from shadowmig.testing.storm.service import COMMENTS, POSTS, STREAM, cache_key
from shadowmig.testing.storm.sites import Stores

_DEADLINE: Final = 30.0
"""Seconds; a storm is no place to find out whether the machine is slow."""
_POSTS: Final = {"create": ("post_id",), "delete": ("post_id",), "move": ("from_post", "to_post")}
_POSITIONS: Final = {"create": (0,), "delete": (1,), "move": (1, 2)}


def entities(write: str, args: tuple[Any, ...], result: Any) -> list[Entity]:
    """Name the records that a call writes: the comment, if its id is known, and posts."""
    found = [(POSTS, args[position]) for position in _POSITIONS.get(write, ())]
    if write != "create":
        found.append((COMMENTS, args[0]))
    elif isinstance(result, dict):
        found.append((COMMENTS, result["id"]))
    return found


def decorate(
    migration: Migration, stores: Stores, *, control: Any, candidate: Any, settle: float
) -> dict[Write, Callable[..., dict[str, Any]]]:
    """
    Wrap the handlers of the old service.

    Args:
        migration: The migration.
        stores: The stores, and whether they tell versions.
        control: The old service.
        candidate: The new one.
        settle: Seconds to wait for what has not come yet.

    Returns:
        The wrapped handlers by name.
    """
    return {write: _Experiment(write, stores, settle).wrap(migration, control, candidate) for write in WRITES}


class _Experiment:
    """What one experiment has to know of its write."""

    def __init__(self, write: Write, stores: Stores, settle: float) -> None:
        self._write = write
        self._stores = stores
        self._settle = settle

    def wrap(self, migration: Migration, control: Any, candidate: Any) -> Any:
        options: dict[str, Any] = {}
        if self._stores.versioned and self._write in ("update", "vote"):
            options["version"] = _version
        return migration.write(
            getattr(control, self._write),
            candidate=getattr(candidate, self._write),
            name=self._write,
            key=self._key,
            hydrate=self._hydrate,
            carry=self._carry,
            touches=self._touches,
            deadline=_DEADLINE,
            settle=self._settle,
            hydrate_timeout=_DEADLINE,
            breaker=Breaker(errors=2, overhead=10.0),  # each call counts, so nothing may make it pause
            **options,
        )

    def _key(self, call: Call) -> Entity | None:
        if self._write != "create":
            return COMMENTS, call["comment_id"]
        return None if call.result is MISSING else (COMMENTS, call.result["id"])

    def _posts(self, call: Call) -> list[Ref]:
        return [self._stores.db.row(POSTS, call[name]) for name in _POSTS.get(self._write, ())]

    def _comment(self, comment_id: int) -> list[Ref]:
        return [self._stores.db.row(COMMENTS, comment_id), self._stores.cache.key(cache_key(comment_id))]

    def _hydrate(self, call: Call) -> list[Ref]:
        return self._posts(call) + ([] if self._write == "create" else self._comment(call["comment_id"]))

    def _carry(self, call: Call) -> dict[str, Any]:
        if call.result is MISSING:
            return {}
        carried = {"at": call.result["at"], "event_id": call.result["event_id"]}
        return {**carried, "comment_id": call.result["id"]} if self._write == "create" else carried

    def _touches(self, call: Call) -> list[Ref]:
        if call.result is MISSING:
            return self._hydrate(call)
        posts, comment = self._posts(call), self._comment(call.result["id"])
        stands_for: dict[Ref, Callable[[Any], Any]] | None = None
        if self._stores.versioned:
            row, key = comment
            stands_for = {row: _row_of_event, key: _cached_by_event}
            stands_for |= {post: _PostOfEvent(post.key[0]) for post in posts}
        entry = self._stores.events.entry(STREAM, call.result["event_id"], stands_for=stands_for)
        return [*comment, *posts, entry]


def _version(call: Call) -> Any:
    return None if call.result is MISSING else call.result["version"]


def _cached_by_event(event: Mapping[str, Any]) -> Any:
    return MISSING if event["after"] is None else event["after"]


def _row_of_event(event: Mapping[str, Any]) -> Any:
    return MISSING if event["after"] is None else _row(event["after"])


class _PostOfEvent:
    """Takes one post out of an event."""

    def __init__(self, post_id: int) -> None:
        self._post_id = post_id

    def __call__(self, event: Mapping[str, Any]) -> Any:
        return next((_row(post) for post in event["posts"] if post["id"] == self._post_id), MISSING)


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON into a row: times are times again."""
    times = {name: datetime.fromisoformat(data[name]) for name in data if name.endswith("_at") and data[name]}
    return {**data, **times}
