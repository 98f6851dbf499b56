"""
The new service of the demo: it reads the same store and answers in JSON, as a rewrite in Go would.

Without planted defects it is a faithful rewrite: what differs then is only what rules may ignore. `Reply` is what the
defects spoil before it is sent; `Client` is the stub by which the Python service calls it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import define

from shadowmig.demo.gojson import encode
from shadowmig.demo.store import CommentNotFound, Group, Record, Store
from shadowmig.demo.truth import Truth

if TYPE_CHECKING:
    from shadowmig.demo.defects import Defect


@define
class Reply:
    """
    An answer on its way out.

    Attributes:
        status: The HTTP status.
        body: What will be written as JSON.
        records: The comments it was made from.
        scores: The rewrite's cache of scores by comment, which outlives the reply.
    """

    status: int
    body: dict[str, Any]
    records: tuple[Record, ...]
    scores: dict[str, int]


class Client:
    """
    The three endpoints, as the Python service calls them.

    Args:
        store: What the rewrite reads.
        truth: Is told which version each request saw, and which defects spoiled it.
        defects: The planted defects.
    """

    def __init__(self, store: Store, truth: Truth, defects: Iterable[Defect]) -> None:
        self._store = store
        self._truth = truth
        self._defects = tuple(defects)
        self._scores: dict[str, int] = {}

    def get_comment(self, comment_id: str, request: int) -> dict[str, Any]:
        """Ask the rewrite for one comment."""
        record = self._store.get(comment_id)
        if record is None:
            return self._send("get_comment", request, self._not_found(comment_id))
        self._truth.read(request, "candidate", record.version)
        return self._send("get_comment", request, self._reply(_comment(record), record))

    def list_comments(self, thread_id: str, request: int, start: int = 0, limit: int = 10) -> dict[str, Any]:
        """Ask the rewrite for a page of a thread."""
        group = self._store.thread(thread_id)
        if group is None:
            return self._send("list_comments", request, self._not_found(thread_id))
        self._truth.read(request, "candidate", group.revision)
        page = _best(group)[start : start + limit]
        body = {
            "children": [_child(record) for record in page],
            "served_by": f"rewrite-{request % 2}",
            "thread": thread_id,
            "total": len(group.records),
            "version": group.revision,
        }
        return self._send("list_comments", request, self._reply(body, *page))

    def get_author(self, name: str, request: int) -> dict[str, Any]:
        """Ask the rewrite for an author's numbers."""
        group = self._store.author(name)
        if group is None:
            return self._send("get_author", request, self._not_found(name))
        self._truth.read(request, "candidate", group.revision)
        count, karma = len(group.records), sum(record.score for record in group.records)
        body = {
            "author": name,
            "average_score": float(f"{karma / count:.2f}"),
            "comments": count,
            "karma": karma,
            "newest": max(record.sort_key for record in group.records),
            "top": [record.id for record in _best(group)[:5]],
            "version": group.revision,
        }
        return self._send("get_author", request, self._reply(body, *_best(group)))

    def _reply(self, body: dict[str, Any], *records: Record) -> Reply:
        return Reply(200, body, records, self._scores)

    def _not_found(self, name: str) -> Reply:
        return Reply(404, {"error": name}, (), self._scores)

    def _send(self, endpoint: str, request: int, reply: Reply) -> dict[str, Any]:
        ours = (defect for defect in self._defects if defect.endpoint == endpoint)
        self._truth.answered(request, tuple(defect for defect in ours if defect.spoil(reply)))
        wire = encode(reply.body).encode()
        answer: dict[str, Any] = json.loads(wire)
        if reply.status == 404:
            raise CommentNotFound(answer["error"])
        return answer


def _best(group: Group) -> list[Record]:
    return sorted(group.records, key=lambda record: (-record.score, record.id))


def _child(record: Record) -> dict[str, Any]:
    return {
        "author": "[deleted]" if record.deleted else record.author,
        "body": "[deleted]" if record.deleted else record.fields["body"],
        "created_at": _time(record.fields.get("created_utc")),
        "id": record.id,
        "score": record.score,
    }


def _comment(record: Record) -> dict[str, Any]:
    fields = dict(record.fields)
    body = "[deleted]" if record.deleted else fields["body"]
    fields["body"] = body
    fields["author"] = "[deleted]" if record.deleted else record.author
    fields["excerpt"] = body[:60] + ("…" if len(body) > 60 else "")
    fields["score_text"] = f"{record.score / 1000:.1f}k" if abs(record.score) >= 1000 else str(record.score)
    # A set: its order is nobody's promise, and the rewrite has another one.
    marks = {"archived": "archived", "distinguished": "official", "edited": "edited", "is_submitter": "op"}
    fields["badges"] = [badge for field, badge in marks.items() if fields.get(field)]
    if record.score >= 100:
        fields["badges"].append("top")
    fields["created_at"] = _time(fields.get("created_utc"))
    fields["edited_at"] = _time(fields.get("edited"))
    fields["version"] = record.version
    if record.deleted:
        fields["body_html"] = ""
    return fields


def _time(stored: Any) -> datetime | None:
    # The same moment to the microsecond; how many digits are written is a matter of the format.
    if stored is None or stored is True or stored is False:
        return None
    return datetime.fromtimestamp(stored, UTC)
