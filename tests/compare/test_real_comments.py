"""Real comments against their JSON round trip, and against mutated copies."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from compare_support import apply_edits, comments, mutate, places

from shadowmig.compare import read_json, structural

COMMENTS = comments()
pytestmark = pytest.mark.skipif(not COMMENTS, reason="the real comments are not here")


def _shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        rng.shuffle(items)
        return {key: _shuffled(one, rng) for key, one in items}
    return [_shuffled(one, rng) for one in value] if isinstance(value, list) else value


def test_round_trips_are_equal() -> None:
    """Each comment equals its JSON round trip, also with its keys in another order, and as text."""
    compare, texts = structural(), structural(json_text=["$"])
    rng = random.Random(5)
    for comment in COMMENTS:
        text = json.dumps(comment)
        assert not compare(control=comment, candidate=read_json(text))
        assert not compare(control=comment, candidate=_shuffled(comment, rng))
        assert not texts(control=text, candidate=json.dumps(comment, indent=2))


def test_mutations_are_found() -> None:
    """A mutation anywhere in a comment is one difference, at its path, and undoes itself as an edit."""
    compare, ruled = structural(), structural(ignore=["$.nowhere", "$..nothing"], numeric_strings=["$.data.ups"])
    rng = random.Random(7)
    for comment in COMMENTS:
        for keys in rng.sample(places(comment), 12):
            mutated = mutate(comment, keys, rng.choice(["change", "drop", "add"]))
            if mutated is None:
                continue
            candidate, path, kind = mutated
            found = compare(control=comment, candidate=candidate)
            assert [(one.path, one.kind) for one in found] == [(path, kind)]
            assert [one.path for one in ruled(control=comment, candidate=candidate)] == [path]
            assert apply_edits(comment, found) == candidate


def test_replies_in_another_order() -> None:
    """Replies in another order are one difference at their list, and none where they are aligned by id."""
    by_id = structural(unordered={"$..children": "data.id"})
    seen = 0
    for comment in COMMENTS:
        replies = comment["data"].get("replies")
        if not isinstance(replies, dict) or len(replies["data"]["children"]) < 2:
            continue
        candidate = json.loads(json.dumps(comment))
        candidate["data"]["replies"]["data"]["children"].reverse()
        found = structural()(control=comment, candidate=candidate)
        assert [(one.path, one.kind) for one in found] == [("$.data.replies.data.children", "order")]
        assert not by_id(control=comment, candidate=candidate)
        seen += 1
    assert seen
