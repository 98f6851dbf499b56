"""Defects of the event stream, from which no event may be lost."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

from shadowmig.testing.storm.candidate import Candidate, Change, plain
from shadowmig.testing.storm.defects import FIELDS, Place, planted, stale, unasked
from shadowmig.testing.storm.service import Backend, Conflict

_MISSING = Place("events", "$", "missing")
_UNREADABLE = [Place("events", "$", "type"), Place("events", "$", "changed")]
_AFTER = [f"after.{name}" for name in FIELDS]


@planted(_MISSING)
class EventMissing(Candidate):
    """A vote sends no event."""

    def emit(self, change: Change) -> None:
        if change.write != "vote":
            super().emit(change)


@planted(_MISSING)
class EventOfDeleteMissing(Candidate):
    """A delete sends no event."""

    def emit(self, change: Change) -> None:
        if change.write != "delete":
            super().emit(change)


@planted(Place("events", "@count", "changed"))
class EventSentTwice(Candidate):
    """A new comment's event is sent twice."""

    def emit(self, change: Change) -> None:
        super().emit(change)
        if change.write == "create":
            super().emit(change)


@planted(Place("events", "$", "order"), _MISSING, unasked("events"))
class EventOutOfOrder(Candidate):
    """Every other event is held back until the next one was sent."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._lock = threading.Lock()
        self._held: list[tuple[Change, Any]] = []

    def send(self, change: Change, event: Any) -> None:
        with self._lock:
            held, self._held = self._held, []
            if not held:
                self._held.append((change, event))
                return
        super().send(change, event)
        super().send(*held[0])


@planted(_MISSING, unasked("events"))
class EventOfOtherId(Candidate):
    """An event has an id of its own, though production's is given."""

    def send(self, change: Change, event: Any) -> None:
        body = json.dumps(event).encode()
        self.backend.send(self.stream, {"event_id": uuid.uuid4().hex.encode(), "body": body})


@planted(_MISSING)
class EventInOtherStream(Candidate):
    """Events go to another stream."""

    stream = "comments"


@planted(stale("events", *_AFTER))
class EventOfOldState(Candidate):
    """The event has the state before the change."""

    def event(self, change: Change) -> dict[str, Any]:
        before = change.before or change.after
        return {**super().event(change), "after": change.after and before and plain(before)}


@planted(stale("events", "version"))
class EventOfOldVersion(Candidate):
    """The event has the version before the change."""

    def event(self, change: Change) -> dict[str, Any]:
        return {**super().event(change), "version": change.version - 1}


@planted(Place("events", "$.version", "type"))
class EventVersionIsText(Candidate):
    """The event has the version as text."""

    def event(self, change: Change) -> dict[str, Any]:
        return {**super().event(change), "version": str(change.version)}


@planted(Place("events", "$.kind", "changed"))
class EventOfOtherKind(Candidate):
    """The event of a move says that the comment was edited."""

    def event(self, change: Change) -> dict[str, Any]:
        event = super().event(change)
        return {**event, "kind": "comment.updated"} if change.write == "move" else event


@planted(unasked("events"))
class EventOfRollback(Candidate):
    """A move that is refused sends an event all the same."""

    def move(self, comment_id: int, from_post: int, to_post: int, **carried: Any) -> Any:
        try:
            return super().move(comment_id, from_post, to_post, **carried)
        except Conflict:
            self.emit(self.begin("move", comment_id, None, None))
            raise


@planted(Place("events", "$.after.author", "missing"))
class EventLacksField(Candidate):
    """The event does not say who wrote the comment."""

    def event(self, change: Change) -> dict[str, Any]:
        event = super().event(change)
        if event["after"] is not None:
            del event["after"]["author"]
        return event


@planted(Place("events", "$.comment_id", "missing"), Place("events", "$.commentId", "unexpected"))
class EventFieldRenamed(Candidate):
    """A field of the event has another name."""

    def event(self, change: Change) -> dict[str, Any]:
        event = super().event(change)
        event["commentId"] = event.pop("comment_id")
        return event


@planted(Place("events", "$.at", "type"))
class EventTimeIsNumber(Candidate):
    """The event has its time in seconds."""

    def event(self, change: Change) -> dict[str, Any]:
        return {**super().event(change), "at": change.at.timestamp()}


@planted(stale("events", "posts"), Place("events", "$.posts[*]", "missing"))
class EventWithoutPosts(Candidate):
    """The event does not tell which posts changed."""

    def event(self, change: Change) -> dict[str, Any]:
        return {**super().event(change), "posts": []}


@planted(_UNREADABLE)
class EventEncodedTwice(Candidate):
    """The event is JSON within a JSON string."""

    def send(self, change: Change, event: Any) -> None:
        super().send(change, json.dumps(event))


@planted(_UNREADABLE)
class EventTorn(Candidate):
    """The event ends after 500 bytes."""

    def send(self, change: Change, event: Any) -> None:
        body = json.dumps(event).encode()[:500]
        self.backend.send(self.stream, {"event_id": change.event_id.encode(), "body": body})
