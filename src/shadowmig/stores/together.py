"""Reads that wait together go together: one round trip for all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import Reading, Ref

Read = Callable[[Sequence[Ref], Any], Reading]
"""Reads refs, and what changed since a mark."""


@define
class _Wish:
    refs: Sequence[Ref]
    since: Any
    reading: Reading | None = None
    error: BaseException | None = None


class Together:
    """
    Reads one store for several threads.

    One read is under way at a time. Whoever comes meanwhile waits, and the first of those who waited reads for all.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._turn = threading.Lock()
        self._waiting: deque[_Wish] = deque()

    def read(self, refs: Sequence[Ref], since: Any = None) -> Reading:
        """
        Read, perhaps together with others.

        Args:
            refs: What to read.
            since: A mark, to be told what was written after it; others' marks are kept apart.

        Raises:
            Exception: Whatever the store raised; all who waited get the same.
        """
        wish = _Wish(refs, since)
        self._waiting.append(wish)
        with self._turn:
            if wish.reading is None and wish.error is None:
                self._read_all([self._waiting.popleft() for _ in range(len(self._waiting))])
        if wish.reading is not None:
            return wish.reading
        assert wish.error is not None
        raise wish.error

    def _read_all(self, wishes: list[_Wish]) -> None:
        try:
            if len(wishes) == 1:
                wishes[0].reading = self._read(wishes[0].refs, wishes[0].since)
                return
            refs = [ref for wish in wishes for ref in wish.refs]
            marks = [wish.since for wish in wishes if wish.since is not None]
            reading = self._read(refs, min(marks) if marks else None)
            start = 0
            for wish in wishes:
                end = start + len(wish.refs)
                changed = () if wish.since is None else tuple(one for one in reading.changed if one.at >= wish.since)
                wish.reading = evolve(reading, records=reading.records[start:end], changed=changed)
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
