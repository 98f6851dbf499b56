"""Reads that wait together go together: one round trip for all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Change, Reading, Ref

Read = Callable[[Sequence[Ref], Any], Reading]
"""Reads refs, and what changed since a mark."""


@define(eq=False)
class Wish:
    """
    What somebody wants to be read.

    Attributes:
        refs: The records.
        since: A mark, to be told what was written after it; others' marks are kept apart.
        reading: What was read.
        error: Or what the store raised.
    """

    refs: Sequence[Ref]
    since: Any = None
    reading: Reading | None = None
    error: BaseException | None = None

    @property
    def fulfilled(self) -> bool:
        """Whether it was tried."""
        return self.reading is not None or self.error is not None


class Together:
    """
    Reads one store for several threads.

    One read is under way at a time. Whoever comes meanwhile waits, and the first of those who waited reads for all.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._turn = threading.Lock()
        self._waiting: deque[Wish] = deque()

    def read(self, refs: Sequence[Ref], since: Any = None) -> Reading:
        """
        Read, perhaps together with others.

        Args:
            refs: What to read.
            since: See `Wish`.

        Raises:
            Exception: Whatever the store raised; all who waited get the same.
        """
        wish = Wish(refs, since)
        self.fulfil([wish])
        if wish.reading is not None:
            return wish.reading
        assert wish.error is not None
        raise wish.error

    def fulfil(self, wishes: Sequence[Wish]) -> None:
        """Read for several wishes, perhaps together with others'; what the store raises is kept in them."""
        self._waiting.extend(wishes)
        with self._turn:
            if not all(wish.fulfilled for wish in wishes):
                self._read_all([self._waiting.popleft() for _ in range(len(self._waiting))])

    def _read_all(self, wishes: list[Wish]) -> None:
        try:
            if len(wishes) == 1:
                wishes[0].reading = self._read(wishes[0].refs, wishes[0].since)
                return
            refs = [ref for wish in wishes for ref in wish.refs]
            first = min((wish.since for wish in wishes if wish.since is not None), default=None)
            reading = self._read(refs, first)
            start = 0
            for wish in wishes:
                end = start + len(wish.refs)
                changed = reading.changed if wish.since == first else _since(reading.changed, wish.since)
                wish.reading = Reading(reading.records[start:end], reading.mark, changed)
                start = end
        except BaseException as error:
            if len(wishes) > 1 and isinstance(error, StoreError) and not isinstance(error, StoreUnavailable):
                for wish in wishes:  # one of them asks for what there is not
                    self._read_all([wish])
                return
            for wish in wishes:
                wish.error = error
            if not isinstance(error, Exception):
                raise


def _since(changed: Sequence[Change], mark: Any) -> tuple[Change, ...]:
    return () if mark is None else tuple([change for change in changed if change.at >= mark])
