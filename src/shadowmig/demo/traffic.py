"""The users of the demo: readers who call the service, and editors who change comments meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import time
from typing import Any, Final

from attrs import frozen

from shadowmig.demo.store import Store

_PAGE: Final = 10
_HOT: Final = 8
_PHRASES: Final = ("typo", "thanks for the gold!", "I was wrong, see below", "größer > kleiner", "it's fixed")


@frozen
class Visit:
    """
    One call that a reader makes.

    Attributes:
        endpoint: What is called.
        arguments: Its arguments, without the request's number.
    """

    endpoint: str
    arguments: Mapping[str, Any]


class Plan:
    """
    Who reads and edits what; the same for each seed.

    Args:
        store: The comments.
        seed: The seed.
    """

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._seed = seed
        chance = self._chance("hot")
        # Comments that say only that they were edited are ancient, and their threads are closed.
        open_ = [each for each in store.ids() if (found := store.get(each)) and found.fields.get("edited") is not True]
        self.hot = chance.sample(open_, min(_HOT, len(open_)))
        rest = [each for each in open_ if each not in self.hot]
        self.deleted = chance.sample(rest, len(rest) // 40)
        self._rest = rest or open_

    def _chance(self, purpose: object) -> random.Random:
        return random.Random(f"{self._seed} {purpose}")  # noqa: S311 - made-up traffic is no secret

    def round(self) -> int:
        """Return the number of visits after which every comment, page and author was read at least once."""
        return len(self._round(self._chance("size")))

    def visits(self) -> Iterator[Visit]:
        """Give visits without end, round after round."""
        chance = self._chance("visits")
        while True:
            visits = self._round(chance)
            chance.shuffle(visits)
            yield from visits

    def _round(self, chance: random.Random) -> list[Visit]:
        ids = self._store.ids()
        read = [*ids, *chance.choices(self.hot or ids, k=len(ids) // 3)]
        read += [f"gone_{number}" for number in range(len(ids) // 50 + 1)]
        visits = [Visit("get_comment", {"comment_id": each}) for each in read]
        for thread, size in self._store.threads().items():
            # Readers go on until a page is empty; that is how they know that it was the last one.
            starts = range(0, size + _PAGE, _PAGE)
            visits += [Visit("list_comments", {"thread_id": thread, "start": start}) for start in starts]
        visits += [Visit("get_author", {"name": name}) for name in self._store.authors()]
        visits.append(Visit("get_author", {"name": "nobody at all"}))
        return visits

    def edit(self, chance: random.Random) -> None:
        """Make one edit, most often of a hot comment."""
        if not self._rest:
            return
        if self.hot and chance.random() < 0.7:
            change = chance.choice((_vote, _rewrite))
            self._store.edit(chance.choice(self.hot), partial(change, chance))
        else:
            self._store.edit(chance.choice(self._rest), partial(_vote, chance))

    def editor(self, number: int) -> Callable[[], None]:
        """Return what the editor of this number does, again and again."""
        return partial(self.edit, self._chance(number))


def _vote(chance: random.Random, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    vote = chance.choice((-1, 1, 1))
    voted = {name: fields[name] + vote for name in ("score", "ups") if type(fields.get(name)) is int}
    return voted or {"controversiality": chance.choice((0, 1))}


def _rewrite(chance: random.Random, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    before, _, _ = str(fields["body"]).partition("\n\nEDIT: ")
    return {"body": f"{before}\n\nEDIT: {chance.choice(_PHRASES)}", "edited": time()}


class Editors:
    """
    A few threads that edit until they are told to stop.

    Args:
        plan: What they do.
        count: How many there are.
        pause: Seconds between two edits of one editor.
    """

    def __init__(self, plan: Plan, *, count: int = 3, pause: float = 0.002) -> None:
        self._over = threading.Event()
        self._pause = pause
        self._threads = [
            threading.Thread(target=self._work, args=(plan.editor(number),), name=f"demo-editor-{number}", daemon=True)
            for number in range(count)
        ]

    def _work(self, edit: Callable[[], None]) -> None:
        while not self._over.wait(self._pause):
            edit()

    def start(self) -> None:
        """Begin to edit."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Edit no more, and wait until the last edit is made; a second call does nothing."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
