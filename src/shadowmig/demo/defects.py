"""
The planted defects: what goes wrong when a Python service is rewritten in Go.

Each is one function that spoils a reply and tells whether it did, which depends on the data alone. It says where it
must be found: endpoint, path, kind of difference and, where two share these, the types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from attrs import field, frozen

from shadowmig.demo.gojson import Float64, GoString
from shadowmig.demo.rewrite import Reply
from shadowmig.model import Kind

Types = tuple[str, str]


@frozen
class Place:
    """
    Where a defect shows.

    Attributes:
        path: The folded path.
        kind: The kind of difference.
        types: Type names of both values; ``None`` if they do not matter.
    """

    path: str
    kind: Kind
    types: Types | None = None


@frozen
class Defect:
    """
    A planted defect.

    Attributes:
        name: Its name.
        description: What the rewrite does wrong, and when.
        endpoint: The endpoint that has it.
        places: All places where it shows.
        spoil: Spoils a reply; tells whether it changed anything.
    """

    name: str
    description: str = field(eq=False)
    endpoint: str
    places: tuple[Place, ...]
    spoil: Callable[[Reply], bool] = field(eq=False, repr=False)

    def shows(self, path: str, kind: Kind, types: Types) -> bool:
        """Tell whether a difference at this place may come from this defect."""
        return any(place.path == path and place.kind == kind and place.types in (None, types) for place in self.places)


CATALOGUE: Final[list[Defect]] = []
"""Every planted defect, in the order in which they spoil a reply."""


def _planted(endpoint: str, *places: Place) -> Callable[[Callable[[Reply], bool]], Callable[[Reply], bool]]:
    def plant(spoil: Callable[[Reply], bool]) -> Callable[[Reply], bool]:
        description = " ".join((spoil.__doc__ or "").split())
        CATALOGUE.append(Defect(spoil.__name__.strip("_"), description, endpoint, places, spoil))
        return spoil

    return plant


def _put(reply: Reply, key: str, value: Any) -> bool:
    changed = reply.body[key] != value
    reply.body[key] = value
    return bool(changed)


@_planted("get_comment", Place("$", "raised"))
def _not_found_is_empty(reply: Reply) -> bool:
    """A comment that does not exist is an empty object, not an error."""
    if reply.status == 200:
        return False
    reply.status, reply.body = 200, {}
    return True


@_planted("get_comment", Place("$.score", "changed"))
def _stale_score(reply: Reply) -> bool:
    """The score comes from a cache that votes do not clear."""
    if not reply.records or reply.body.get("score") is None:
        return False
    return _put(reply, "score", reply.scores.setdefault(reply.records[0].id, reply.body["score"]))


@_planted("get_comment", Place("$.score", "missing"))
def _zero_is_omitted(reply: Reply) -> bool:
    """A score of 0 is left out: omitempty."""
    if not reply.records or reply.body.get("score") != 0:
        return False
    del reply.body["score"]
    return True


@_planted("get_comment", Place("$.score_text", "changed"))
def _score_is_cut(reply: Reply) -> bool:
    """Thousands are cut off rather than rounded: 1.9k for 1951."""
    if not reply.records or abs(reply.records[0].score) < 1000:
        return False
    return _put(reply, "score_text", f"{math.trunc(reply.records[0].score / 100) / 10:.1f}k")


@_planted("get_comment", Place("$.body", "changed"))
def _body_is_escaped(reply: Reply) -> bool:
    """The text is HTML-escaped once more: &#39; for an apostrophe."""
    if not reply.records:
        return False
    escaped = reply.body["body"]
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        escaped = escaped.replace(char, entity)
    return _put(reply, "body", escaped)


@_planted("get_comment", Place("$.excerpt", "changed"))
def _excerpt_counts_bytes(reply: Reply) -> bool:
    """The excerpt has 60 bytes, not characters, and may end within one."""
    if not reply.records:
        return False
    data = str(reply.body["excerpt"]).removesuffix("…").encode("utf-8", "surrogatepass")
    if len(data) <= 60:
        return False
    return _put(reply, "excerpt", data[:60].decode("utf-8", "replace") + "…")


@_planted("get_comment", Place("$.author_flair_text", "changed"))
def _surrogate_is_replaced(reply: Reply) -> bool:
    """Half a surrogate pair, left by an old client, becomes U+FFFD."""
    flair = reply.body.get("author_flair_text")
    if not isinstance(flair, str) or flair == flair.encode("utf-8", "replace").decode():
        return False
    reply.body["author_flair_text"] = GoString(flair)
    return True


@_planted("get_comment", Place("$.edited", "type", ("float", "int")))
def _float_loses_point(reply: Reply) -> bool:
    """A time of whole seconds is written without .0, so it is read as an int."""
    edited = reply.body.get("edited")
    if not isinstance(edited, float):
        return False
    reply.body["edited"] = Float64(edited)
    return edited.is_integer()


@_planted("get_comment", Place("$.edited", "type", ("bool", "int")))
def _true_is_one(reply: Reply) -> bool:
    """An old comment that says only that it was edited: true becomes 1."""
    if reply.body.get("edited") is not True:
        return False
    reply.body["edited"] = 1
    return True


@_planted("get_comment", Place("$.edited_at", "changed"))
def _time_is_local(reply: Reply) -> bool:
    """In summer the time of an edit is an hour late: local time, labelled as UTC."""
    edited_at = reply.body.get("edited_at")
    if edited_at is None or not 4 <= edited_at.month <= 10:
        return False
    return _put(reply, "edited_at", edited_at + timedelta(hours=1))


@_planted("get_comment", Place("$.likes", "type", ("NoneType", "bool")))
def _null_is_false(reply: Reply) -> bool:
    """No vote (null) becomes a vote against (false): a plain Go bool."""
    if reply.body.get("likes", False) is not None:
        return False
    reply.body["likes"] = False
    return True


@_planted("get_comment", Place("$.user_reports", "type", ("list", "NoneType")))
def _nil_slice_is_null(reply: Reply) -> bool:
    """An empty list is a nil slice, which becomes null."""
    if reply.body.get("user_reports") != []:
        return False
    reply.body["user_reports"] = None
    return True


@_planted("get_comment", Place("$.author_fullname", "missing"), Place("$.authorFullname", "unexpected"))
def _field_is_renamed(reply: Reply) -> bool:
    """A field has another name: authorFullname."""
    if "author_fullname" not in reply.body or "authorFullname" in reply.body:
        return False
    reply.body["authorFullname"] = reply.body.pop("author_fullname")
    return True


@_planted("list_comments", Place("$.children", "type", ("list", "NoneType")))
def _empty_page_is_null(reply: Reply) -> bool:
    """A page past the end has null for its list."""
    return reply.status == 200 and not reply.body["children"] and _put(reply, "children", None)


@_planted("list_comments", Place("$.children[*].body", "changed"))
def _deleted_is_shown(reply: Reply) -> bool:
    """The text of a deleted comment is shown."""
    shown = [_put_child(child, "body", record.fields["body"]) for child, record in _children(reply) if record.deleted]
    return any(shown)


def _children(reply: Reply) -> list[tuple[dict[str, Any], Any]]:
    return list(zip(reply.body.get("children") or (), reply.records, strict=True))


def _put_child(child: dict[str, Any], key: str, value: Any) -> bool:
    changed = child[key] != value
    child[key] = value
    return bool(changed)


@_planted("list_comments", Place("$.children", "changed"))
def _last_is_lost(reply: Reply) -> bool:
    """The last of several pages lacks its last comment: off by one."""
    if reply.status != 200 or not reply.body["children"]:
        return False
    if reply.body["total"] <= 10 or len(reply.body["children"]) == 10:
        return False
    reply.body["children"].pop()
    return True


@_planted("get_author", Place("$.average_score", "changed"))
def _average_is_cut(reply: Reply) -> bool:
    """The average is the quotient of two ints, so it has no decimals."""
    if reply.status != 200:
        return False
    return _put(reply, "average_score", float(math.trunc(reply.body["karma"] / reply.body["comments"])))


@_planted("get_author", Place("$.newest", "changed"))
def _key_loses_digits(reply: Reply) -> bool:
    """A key above 2**53 goes through a float64 and loses its last digits."""
    return reply.status == 200 and _put(reply, "newest", int(float(reply.body["newest"])))


@_planted("get_author", Place("$.top", "order"))
def _ties_are_shuffled(reply: Reply) -> bool:
    """Comments with equal scores come in another order: an unstable sort."""
    if reply.status != 200:
        return False
    scores = {record.id: record.score for record in reply.records}
    return _put(reply, "top", sorted(reply.body["top"], key=lambda each: (scores[each], each), reverse=True))
