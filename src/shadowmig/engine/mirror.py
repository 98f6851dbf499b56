"""
What the writes of one migration share: readers of the sisters, what production held at which version, who works on
what. One for each migration, new in a forked child.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shadowmig.engine.claims import Claims
from shadowmig.engine.contest import Contest
from shadowmig.engine.errands import Errands
from shadowmig.engine.overlap import Overlap
from shadowmig.errors import StoreError
from shadowmig.model import Reading, Record, Ref
from shadowmig.stores.history import History
from shadowmig.stores.together import Together, Wish

if TYPE_CHECKING:
    from shadowmig.stores.sister import SisterStore

MOST_BLAMED: Final = 1000

Groups: TypeAlias = "Mapping[SisterStore, Sequence[Ref]]"
"""Refs by the sister store that made them."""


class _Pair:
    """A sister store with its two readers."""

    def __init__(self, sister: SisterStore) -> None:
        self.sister = sister
        self.production = Together(lambda refs, since: sister.read_production(refs, since=since))
        self.twin = Together(lambda refs, since: sister.read_sister(refs, since=since))


class Mirror:
    """Reads and writes the records of calls in their sister stores, for all write experiments of a migration."""

    def __init__(self) -> None:
        self.history = History()
        self.overlap = Overlap()
        self.claims = Claims()
        self.contest = Contest()
        self.errands = Errands()
        self.makes_up = False
        """Whether some checked side makes up ids of its own, so that production lacks what another call wrote."""
        self._lock = threading.Lock()
        self._pairs: dict[int, _Pair] = {}
        self._undo: OrderedDict[Ref, Record] = OrderedDict()
        self._blamed: OrderedDict[tuple[Ref, Any], None] = OrderedDict()

    def anew(self) -> Mirror:
        """Give the mirror of a forked child: it knows nothing yet."""
        mirror = Mirror()
        mirror.makes_up = self.makes_up
        return mirror

    def undo(self, record: Record) -> None:
        """Have the sister's record put back as it was, before it is used again: its write was never committed."""
        with self._lock:
            self._undo[record.ref] = record
            if len(self._undo) > MOST_BLAMED:
                self._undo.popitem(last=False)

    def undone(self, ref: Ref) -> Record | None:
        """Give what a record of the sister is to be put back to, once."""
        with self._lock:
            return self._undo.pop(ref, None)

    def blame(self, ref: Ref, at: Any) -> bool:
        """Whether a change of a record that nobody named is reported for the first time."""
        with self._lock:
            if (ref, at) in self._blamed:
                return False
            self._blamed[ref, at] = None
            if len(self._blamed) > MOST_BLAMED:
                self._blamed.popitem(last=False)
            return True

    def close(self) -> None:
        """End the threads as soon as they are idle."""
        self.errands.close()

    def _pair(self, sister: SisterStore) -> _Pair:
        pair = self._pairs.get(id(sister))
        if pair is None:
            with self._lock:
                pair = self._pairs.setdefault(id(sister), _Pair(sister))
        return pair

    def read_production(self, wants: Sequence[Groups]) -> list[dict[Ref, Record] | BaseException]:
        """
        Read production's records for several calls, in one round trip for each store, and learn from them.

        Args:
            wants: What to read, for each call.

        Returns:
            For each call its records, or what went wrong.
        """
        when = perf_counter()
        found: list[dict[Ref, Record] | BaseException] = []
        for readings in self._read([(groups, {}) for groups in wants], lambda pair: pair.production):
            if isinstance(readings, BaseException):
                found.append(readings)
                continue
            records = {record.ref: record for reading in readings.values() for record in reading.records}
            for record in records.values():
                self.history.learn(record, when=when)
            found.append(records)
        return found

    def read_twins(
        self, wants: Sequence[tuple[Groups, Mapping[SisterStore, Any]]]
    ) -> list[dict[SisterStore, Reading] | BaseException]:
        """
        Read the sisters' records for several calls, in one round trip for each store.

        Args:
            wants: For each call: what to read, and marks of an earlier reading by sister store, to be told what was
                written since.

        Returns:
            For each call a reading of each sister store, or what went wrong.
        """
        return self._read(wants, lambda pair: pair.twin)

    def _read(
        self, wants: Sequence[tuple[Groups, Mapping[SisterStore, Any]]], reader: Callable[[_Pair], Together]
    ) -> list[dict[SisterStore, Reading] | BaseException]:
        calls = [{sister: Wish(refs, marks.get(sister)) for sister, refs in groups.items()} for groups, marks in wants]
        stores: dict[SisterStore, list[Wish]] = {}
        for wishes in calls:
            for sister, wish in wishes.items():
                stores.setdefault(sister, []).append(wish)
        for sister, together in stores.items():
            reader(self._pair(sister)).fulfil(together)
        return [_fulfilled(wishes) for wishes in calls]


def _fulfilled(wishes: Mapping[SisterStore, Wish]) -> dict[SisterStore, Reading] | BaseException:
    readings = {}
    for sister, wish in wishes.items():
        if wish.reading is None:
            assert wish.error is not None
            return wish.error
        readings[sister] = wish.reading
    return readings


def by_sister(refs: Iterable[Ref]) -> dict[SisterStore, list[Ref]]:
    """
    Group refs by the sister store that made them, each ref once.

    Raises:
        StoreError: One was not made by a sister store, or two sister stores have one name.
    """
    groups: dict[SisterStore, dict[Ref, None]] = {}
    for ref in refs:
        owner = ref.owner if isinstance(ref, Ref) else None
        if owner is None:
            raise StoreError(
                f"{type(ref).__name__} is no ref of a sister store.",
                remedy="Use the sister store's row(), key() or entry().",
            )
        groups.setdefault(owner, {})[ref] = None
    if len({owner.name for owner in groups}) < len(groups):
        raise StoreError(
            f"Two sister stores are called {next(iter(groups)).name!r}.",
            remedy="Give each SisterStore a name= of its own.",
        )
    return {owner: list(group) for owner, group in groups.items()}
