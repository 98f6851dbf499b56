"""
The comments of the demo: a made-up set, the same for each seed, with what makes real ones awkward.

That is text of many scripts, markup and entities, half an emoji, times with and without fractions, flags that are
sometimes a time, empty lists, absent fields, ``null``, ``-0.0``, numbers above 2**53, and replies within replies.
"""

from __future__ import annotations

import html
import random
from collections.abc import Mapping
from typing import Any, Final

_THREADS: Final = 24
_AUTHORS: Final = 60
_EPOCH: Final = 1_700_000_000

_SENTENCES: Final = (
    "I can't reproduce this on 3.12, can you?",
    "Try `if a < b && c > d` and see what happens.",
    "Das gehört überprüft, bevor es jemand ausprobiert.",
    "これは素晴らしい投稿です。どうもありがとうございました。",
    "Source: https://example.org/q?a=1&b=2",
    "This.",
    "Works for me 🎉🎉🎉",
    "See section 4.2 of the manual; it says the opposite.",
    "&gt; quoted from above\n\nNo, that isn't so.",
    "Спасибо, это именно то, что я искал!",
    "The naïve approach costs twice as much, as the café example shows.",
    "Thanks",
    "Has anybody measured this with more than ten thousand rows in the table?",
    "مرحبا بالعالم، هذا تعليق طويل بما يكفي ليتم قصه",
)
_FLAIRS: Final = ("", "maintainer", "new here", "Ünïcode fan", "half an emoji \ud83d")


def made_up(seed: int, count: int = 320) -> list[Mapping[str, Any]]:
    """
    Make comments.

    Args:
        seed: The same seed gives the same comments.
        count: How many.
    """
    chance = random.Random(seed)  # noqa: S311 - made-up comments are no secret
    return [_comment(chance, number) for number in range(count)]


def _comment(chance: random.Random, number: int) -> dict[str, Any]:
    name = f"c{number:05d}"
    thread = min(chance.randrange(_THREADS), chance.randrange(_THREADS))
    author = f"user_{min(chance.randrange(_AUTHORS), chance.randrange(_AUTHORS))}"
    body = " ".join(chance.choices(_SENTENCES, k=chance.choice((1, 1, 1, 2, 3, 6))))
    created = _EPOCH + number * 97_777 + chance.choice((0.0, 0.25, chance.randrange(10**6) / 10**6))
    score = chance.choice((1, 1, 1, 0, 2, 3, 5, -4, 17, 140, chance.randrange(1000, 30_000)))
    fields = {
        "id": name,
        "link_id": f"t3_{thread:04d}",
        "parent_id": None if chance.random() < 0.4 else f"t1_c{chance.randrange(number + 1):05d}",
        "author": author,
        "body": body,
        "body_html": f"<p>{html.escape(body)}</p>",
        "created_utc": float(created),
        "edited": chance.choices((False, True, created + 60.5, float(int(created) + 90)), (14, 1, 2, 3))[0],
        "score": score,
        "likes": chance.choices((True, False, None), (6, 3, 1))[0],
        "replies": _replies(chance, name) if number % 7 == 0 else "",
        "is_submitter": author == f"user_{thread}",
        "distinguished": chance.choices((None, "moderator"), (9, 1))[0],
        "controversiality": chance.choice((0, 0, 0, 1, False)),
        "gildings": chance.choice(({}, {}, {}, {"gid_1": 1}, {"gid_2": 2, "gid_1": 1})),
        "heat": chance.choice((0.0, -0.0, 1e-9, 0.1, 3.75)),
    }
    return {**fields, **_now_and_then(chance)}


def _now_and_then(chance: random.Random) -> dict[str, Any]:
    """Give the fields that only some comments have."""
    optional = {
        "author_fullname": (0.25, f"t2_{chance.randrange(36**5)}"),
        "author_flair_text": (0.3, chance.choice(_FLAIRS)),
        "user_reports": (0.3, chance.choice(([], [], [["spam", 1]]))),
        "archived": (0.2, True),
        "snowflake": (0.5, chance.randrange(2**53, 2**63)),
        "mod_note": (0.2, None),
    }
    return {name: value for name, (share, value) in optional.items() if chance.random() < share}


def _replies(chance: random.Random, parent: str, depth: int = 0) -> dict[str, Any]:
    children = [
        {
            "id": f"{parent}_{number}",
            "body": chance.choice(_SENTENCES),
            "score": chance.randrange(-3, 30),
            "edited": False,
            "replies": _replies(chance, f"{parent}_{number}", depth + 1) if depth < 2 and number == 0 else "",
        }
        for number in range(chance.randrange(1, 4))
    ]
    return {"kind": "Listing", "children": children}
