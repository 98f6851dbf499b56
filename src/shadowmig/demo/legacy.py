"""The old service of the demo: Python that renders comments as dicts. It is the control, so what it says is right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from shadowmig.demo.store import CommentNotFound, Record, Store
from shadowmig.demo.truth import Truth

EXCERPT = 60
"""Characters of an excerpt."""


class Legacy:
    """
    The three endpoints.

    Args:
        store: What they read.
        truth: Is told which version each request saw.
    """

    def __init__(self, store: Store, truth: Truth) -> None:
        self._store = store
        self._truth = truth

    def get_comment(self, comment_id: str, request: int) -> dict[str, Any]:
        """Return one comment with all its fields, and some that are worked out from them."""
        record = self._store.get(comment_id)
        if record is None:
            raise CommentNotFound(comment_id)
        self._truth.read(request, "control", record.version)
        return _comment(record)

    def list_comments(self, thread_id: str, request: int, start: int = 0, limit: int = 10) -> dict[str, Any]:
        """Return a page of a thread, the best comments first."""
        group = self._store.thread(thread_id)
        if group is None:
            raise CommentNotFound(thread_id)
        self._truth.read(request, "control", group.revision)
        page = _best(group.records)[start : start + limit]
        return {
            "thread": thread_id,
            "version": group.revision,
            "total": len(group.records),
            "children": [_child(record) for record in page],
            "served_by": f"legacy-{request % 3}",
        }

    def get_author(self, name: str, request: int) -> dict[str, Any]:
        """Return what an author wrote, in numbers."""
        group = self._store.author(name)
        if group is None:
            raise CommentNotFound(name)
        self._truth.read(request, "control", group.revision)
        karma = sum(record.score for record in group.records)
        return {
            "author": name,
            "version": group.revision,
            "comments": len(group.records),
            "karma": karma,
            "average_score": round(karma / len(group.records), 2),
            "newest": max(record.sort_key for record in group.records),
            "top": [record.id for record in _best(group.records)[:5]],
        }


def _best(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (-record.score, record.id))


def _child(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "author": _author(record),
        "body": _body(record),
        "score": record.score,
        "created_at": _time(record.fields.get("created_utc")),
    }


def _comment(record: Record) -> dict[str, Any]:
    fields, body = record.fields, _body(record)
    answer = {
        **fields,
        "author": _author(record),
        "body": body,
        "excerpt": body if len(body) <= EXCERPT else body[:EXCERPT] + "…",
        "score_text": str(record.score) if abs(record.score) < 1000 else f"{record.score / 1000:.1f}k",
        "badges": _badges(record),
        "created_at": _time(fields.get("created_utc")),
        "edited_at": _time(fields.get("edited")),
        "version": record.version,
    }
    if record.deleted:
        answer["body_html"] = ""
    return answer


def _body(record: Record) -> str:
    return "[deleted]" if record.deleted else str(record.fields["body"])


def _author(record: Record) -> str:
    return "[deleted]" if record.deleted else record.author


def _badges(record: Record) -> list[str]:
    fields = record.fields
    return [
        name
        for name, holds in (
            ("op", fields.get("is_submitter")),
            ("edited", fields.get("edited")),
            ("official", fields.get("distinguished")),
            ("archived", fields.get("archived")),
            ("top", record.score >= 100),
        )
        if holds
    ]


def _time(stored: Any) -> str | None:
    # An edit may be stored as a time, or as a mere yes or no.
    if stored is None or isinstance(stored, bool):
        return None
    return datetime.fromtimestamp(stored, UTC).isoformat(timespec="milliseconds")
