"""Which records were hydrated into the sister and when they were last used, so that they can be removed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from attrs import define

from shadowmig.errors import StoreError, StoreUnavailable
from shadowmig.model import MISSING, Record, Ref
from shadowmig.protocols import Store

_BATCH: Final = 500
_MOST: Final = 100_000
"""Records above this number leave early; twice as many are never remembered."""


@define
class _Entry:
    at: Ref  # where the record lies in the sister
    last: float
    token: Any = MISSING  # not seen yet


class Ledger:
    """
    The hydrated records of one process, in the order of their last use. Safe for threads. Times are monotonic seconds.

    A record goes when it was not used for a while and still has the token (or else the bytes) that was last seen;
    another one, or one never seen, means that somebody may be at work on it, so it is looked at again after as long a
    while.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Ref, _Entry] = OrderedDict()
        self._leaving: set[Ref] = set()
        self._left = threading.Condition()

    def enter(self, places: Mapping[Ref, Ref], *, now: float) -> None:
        """
        Remember records that are about to be written; waits while one of them is being removed.

        Args:
            places: Where in the sister each lies.
            now: The time.
        """
        with self._left:
            self._left.wait_for(lambda: self._leaving.isdisjoint(places))
            for ref, at in places.items():
                self._entries[ref] = _Entry(at, now)
                self._entries.move_to_end(ref)
            while len(self._entries) > 2 * _MOST:
                self._entries.popitem(last=False)

    def used(self, refs: Collection[Ref], *, now: float) -> None:
        """Note that records are about to be used; waits while one of them is being removed. Others are passed over."""
        with self._left:
            self._left.wait_for(lambda: self._leaving.isdisjoint(refs))
            for ref in refs:
                if entry := self._entries.get(ref):
                    entry.last = now
                    self._entries.move_to_end(ref)

    def seen(self, refs: Iterable[Ref], records: Iterable[Record]) -> None:
        """Note the tokens that records, in the order of their refs, have in the sister."""
        with self._left:
            for ref, record in zip(refs, records, strict=False):
                if entry := self._entries.get(ref):
                    entry.token = _token(record)

    def clear(self) -> None:
        """Forget all."""
        with self._left:
            self._entries.clear()

    def due(self, *, keep: float, now: float) -> bool:
        """Tell whether `expire` has anything to do."""
        with self._left:
            first = next(iter(self._entries.values()), None)
            return first is not None and (first.last <= now - keep or len(self._entries) > _MOST)

    def expire(self, store: Store, *, keep: float, now: float) -> int:
        """
        Remove from the store what was not used for `keep` seconds.

        Returns:
            How many records were removed.

        Raises:
            StoreError: The store could not be read; what was not removed is tried again after `keep` seconds.
        """
        gone = 0
        early = len(self._entries) - _MOST
        while batch := self._take(now - keep, early):
            early -= len(batch)
            staying = dict(batch)
            try:
                gone += _clear(store, staying)
            finally:
                self._settle(batch, staying, now)
        return gone

    def _take(self, before: float, early: int) -> dict[Ref, _Entry]:
        batch: dict[Ref, _Entry] = {}
        with self._left:
            while self._entries and len(batch) < _BATCH:
                ref, entry = next(iter(self._entries.items()))
                if entry.last > before and len(batch) >= early:
                    break
                batch[ref] = entry
                del self._entries[ref]
            self._leaving.update(batch)
        return batch

    def _settle(self, batch: Iterable[Ref], staying: Mapping[Ref, _Entry], now: float) -> None:
        with self._left:
            for ref, entry in staying.items():
                entry.last = now
                self._entries[ref] = entry
            self._leaving.difference_update(batch)
            self._left.notify_all()


def _token(record: Record) -> Any:
    """Give what changes with every write, or at least with one that changes anything; ``None`` if nothing is known."""
    if record.token is not None or record.raw is None:
        return record.token
    return hash(record.raw)


def _clear(store: Store, entries: dict[Ref, _Entry]) -> int:
    """Remove what is as it was seen, take it and what is gone anyway out of the entries, and count the former."""
    records = store.read([entry.at for entry in entries.values()]).records
    idle: list[Ref] = []
    for (ref, entry), record in zip(list(entries.items()), records, strict=True):
        if not record.exists:
            del entries[ref]
        elif (token := _token(record)) is None or token == entry.token:
            idle.append(ref)
        else:
            entry.token = token
    return _delete(store, entries, idle)


def _delete(store: Store, entries: dict[Ref, _Entry], refs: list[Ref]) -> int:
    if not refs:
        return 0
    try:
        store.delete([entries[ref].at for ref in refs])
    except StoreUnavailable:
        raise
    except StoreError:
        # One that cannot go, such as a row that others refer to, must not keep all the others.
        half = len(refs) // 2
        return _delete(store, entries, refs[:half]) + _delete(store, entries, refs[half:]) if half else 0
    for ref in refs:
        del entries[ref]
    return len(refs)
