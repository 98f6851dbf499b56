"""The values the benchmarks work on: a comment of about 1 kB as JSON, and a tree of 500 of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "reddit_comments.jsonl"

MADE_UP: dict[str, Any] = {
    "subreddit_id": "t5_2qh33",
    "approved_at_utc": None,
    "banned_by": None,
    "removal_reason": None,
    "link_id": "t3_1abcde",
    "author_flair_template_id": None,
    "likes": None,
    "replies": "",
    "user_reports": [],
    "saved": False,
    "id": "kq3x9zz",
    "gilded": 0,
    "archived": False,
    "report_reasons": None,
    "author": "user_17",
    "parent_id": "t1_kq3x8aa",
    "score": 81,
    "approved_by": None,
    "over_18": False,
    "controversiality": 0,
    "body": "It depends on the season: in spring the river is too high to cross, so go the long way round. " * 2,
    "edited": 1700000123.0,
    "author_flair_css_class": None,
    "downs": 0,
    "body_html": "<div class='md'><p>It depends on the season &amp; the river.</p></div>",
    "quarantine": False,
    "subreddit": "hiking",
    "name": "t1_kq3x9zz",
    "score_hidden": False,
    "stickied": False,
    "created": 1700000000.0,
    "author_flair_text": None,
    "created_utc": 1700000000.0,
    "ups": 81,
    "mod_reports": [],
    "num_reports": None,
    "distinguished": None,
}


def comment() -> dict[str, Any]:
    """Give the real comment nearest to 1 kB where there are real ones, else a made-up one."""
    if not REAL.exists():
        return again(MADE_UP)
    with REAL.open(encoding="utf-8") as lines:
        comments = [json.loads(line)["data"] for line in lines]
    return min(comments, key=lambda item: abs(len(json.dumps(item)) - 1024))


def again(value: Any) -> Any:
    """Give an equal value that shares nothing, as another service's answer would."""
    return json.loads(json.dumps(value))


def tree(size: int = 500, children: int = 3) -> dict[str, Any]:
    """Give a tree of so many comments, nested below ``replies`` as Reddit nests them."""
    one = comment()
    nodes = [again(one) for _ in range(size)]
    for number, node in enumerate(nodes):
        node["id"] = f"c{number}"
        below = nodes[number * children + 1 : number * children + 1 + children]
        listing = {"kind": "Listing", "data": {"children": [{"kind": "t1", "data": child} for child in below]}}
        node["replies"] = listing if below else ""
    return nodes[0]


def changed_leaf(root: dict[str, Any]) -> dict[str, Any]:
    """Give a copy of a tree in which the score of one of its deepest comments differs."""
    copy = again(root)
    node = copy
    while node["replies"]:
        node = node["replies"]["data"]["children"][-1]["data"]
    node["score"] += 1
    return copy
