"""What the writers do: which write, to which comment, with which texts. Runs with one seed are alike, not equal."""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import Any, Final

from shadowmig.testing.storm.candidate import WRITES, Write

_WEIGHTS: Final = {"create": 8, "update": 45, "vote": 35, "delete": 5, "move": 7}
_WORDS: Final = "the old shop sells tea by weight & nobody <b>knows</b> why it's so \u00fcberf\u00fcllt".split()
_ENDS: Final = ("", ".", " \U0001f375", " cafe\u0301", "  ", "\n", ' "quoted"')
_AUTHORS: Final = ("Ada", "grace", "Linus", "\u0141ukasz")
_FLAIRS: Final = (None, "", "mod", "new here", "caf\u00e9")
_TAGS: Final = ("tea", "shop", "old", "weight", "\u00e9t\u00e9")
_GONE_LATELY: Final = 20


class Workload:
    """
    The live comments, and what is done to them next. Safe for threads.

    Args:
        records: How many comments are written to at a time; older ones are left alone.
        seed: Of all choices.
    """

    def __init__(self, records: int, seed: int) -> None:
        self.posts = tuple(range(1, max(8, records) + 1))
        self._records = records
        self._seed = seed
        self._lock = threading.Lock()
        self._live: dict[int, int] = {}
        self._gone: deque[int] = deque(maxlen=_GONE_LATELY)

    def dice(self, writer: int) -> random.Random:
        """Give the source of one writer's choices."""
        return random.Random(f"{self._seed}:{writer}")  # noqa: S311 - a plan is no secret

    def next(self, dice: random.Random) -> tuple[Write, tuple[Any, ...]]:
        """Choose a write and its arguments."""
        write = dice.choices(WRITES, [_WEIGHTS[write] for write in WRITES])[0]
        with self._lock:
            live = list(self._live.items())
            gone = list(self._gone)
        if write == "create" or not live:
            return "create", self.created(dice)
        comment_id, post_id = dice.choice(live)
        if gone and dice.random() < 0.05:
            comment_id = dice.choice(gone)
        if write == "update":
            return write, (comment_id, *_text(dice))
        if write == "vote":
            return write, (comment_id, dice.choice((1, 1, -1)))
        if write == "delete":
            return write, (comment_id, post_id)
        target = post_id if dice.random() < 0.15 else dice.choice(self.posts)
        return write, (comment_id, post_id, target)

    def created(self, dice: random.Random) -> tuple[Any, ...]:
        """Choose the arguments of a create."""
        return (dice.choice(self.posts), dice.choice(_AUTHORS), *_text(dice))

    def learn(self, write: Write, result: dict[str, Any]) -> None:
        """Take note of what production answered."""
        with self._lock:
            if write == "delete":
                self._live.pop(result["id"], None)
                self._gone.append(result["id"])
            elif write == "create":
                self._live[result["id"]] = result["post_id"]
                if len(self._live) > self._records:
                    del self._live[next(iter(self._live))]
            elif write == "move" and result["id"] in self._live:
                self._live[result["id"]] = result["post_id"]


def _text(dice: random.Random) -> tuple[str, str | None, list[str]]:
    """Choose body, flair and tags."""
    if dice.random() < 0.02:
        return "", None, []
    body = " ".join(dice.choices(_WORDS, k=dice.choice((3, 8, 40)))) + dice.choice(_ENDS)
    return body, dice.choice(_FLAIRS), dice.choices(_TAGS, k=dice.randrange(5))
