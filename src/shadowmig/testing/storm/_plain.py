"""What a comparison without versions would report: both stores are read once, right after the new service wrote."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from shadowmig.compare import structural
from shadowmig.model import Record, Ref
from shadowmig.testing.storm.candidate import WRITES, Write
from shadowmig.testing.storm.service import COMMENTS, STREAM, cache_key
from shadowmig.testing.storm.sites import Stores


class Plain:
    """
    A candidate around a candidate, which compares plainly after each write.

    Attributes:
        mismatches: Writes after which comment, cache entry or event were not equal on both sides.
        writes: Writes compared.
    """

    create: Callable[..., Any]
    update: Callable[..., Any]
    vote: Callable[..., Any]
    delete: Callable[..., Any]
    move: Callable[..., Any]

    def __init__(self, stores: Stores, candidate: Any) -> None:
        self._stores = stores.plain
        self._compare = structural()
        self._lock = threading.Lock()
        self.mismatches = 0
        self.writes = 0
        for write in WRITES:
            setattr(self, write, partial(self._write, write, getattr(candidate, write)))

    def close(self) -> None:
        """Close the handles on the stores."""
        for pair in self._stores.values():
            for store in pair:
                store.close()

    def _write(self, write: Write, handler: Callable[..., Any], *args: Any, **carried: Any) -> Any:
        try:
            return handler(*args, **carried)
        finally:
            comment_id = carried.get("comment_id") or (args[0] if write != "create" else None)
            self._look(comment_id, carried.get("event_id"))

    def _look(self, comment_id: Any, event_id: Any) -> None:
        equal = True
        if comment_id is not None:
            equal &= self._equal("db", Ref("", "row", COMMENTS, (comment_id,)))
            equal &= self._equal("cache", Ref("", "key", "", (cache_key(comment_id),)))
        if event_id is not None:
            equal &= self._equal("events", Ref("", "entry", STREAM, (event_id,)))
        with self._lock:
            self.writes += 1
            self.mismatches += not equal

    def _equal(self, store: str, ref: Ref) -> bool:
        left, right = (each.read([ref]).records[0] for each in self._stores[store])
        return self._same(left, right)

    def _same(self, left: Record, right: Record) -> bool:
        return left.exists == right.exists and not self._compare(control=left.value, candidate=right.value)
