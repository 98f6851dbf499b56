"""The ledger for versions that do not count changes, such as times: only the states that were seen are required."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._horizon import Horizon

MOST_EARLY: Final = 200_000
"""Entities of which early events are remembered."""

MOST_RECENT: Final = 100_000
"""Changes with their event that are remembered, so that a second event is known as one."""


@define(eq=False)
class _Row:
    """What is undecided of one entity; ``now`` is its version, `GONE` if it is not there."""

    now: Any
    since: float
    needs: dict[Any, float] = field(factory=dict)
    told: dict[Any, tuple[float, bool]] = field(factory=dict)
    missing: dict[Any, int] = field(factory=dict)
    absent: float | None = None

    @property
    def undecided(self) -> int:
        return len(self.needs) + len(self.told) + (self.absent is not None)


GONE: Final = object()


class WeakLedger:
    """
    The changes and events of one table, each state of a row known by a version that is only equal to itself.

    Args:
        book: Counts and tells.
        grace: As of `Ledger`.
        deletes: Likewise.
        scanned: Likewise.
        began: Likewise.
    """

    def __init__(self, book: Book, *, grace: float, deletes: bool, scanned: bool, began: float) -> None:
        self.book = book
        self.horizon = Horizon(grace, began)
        self.began = began
        self._grace = grace
        self._deletes = deletes
        self._scanned = scanned
        self._known: dict[str, Any] = {}
        self._open: dict[str, _Row] = {}
        self._early: dict[str, dict[Any, bool]] = {}
        self._recent: OrderedDict[tuple[str, Any], None] = OrderedDict()
        self._changes: list[tuple[float, str]] = []
        self._signs: deque[tuple[float, str]] = deque()
        self._wanted: dict[str, None] = {}

    def alive(self) -> list[str]:
        """List the entities whose rows should be there."""
        return [*self._known, *(name for name, row in self._open.items() if row.now is not GONE)]

    def undecided(self) -> tuple[int, float]:
        """Count what is not decided, and tell since when the oldest of it is so."""
        rows = [row for row in self._open.values() if row.undecided]
        return sum(row.undecided for row in rows), min((row.since for row in rows), default=float("inf"))

    def base(self, rows: Mapping[str, Any]) -> None:
        """Take in the rows that were there at the start."""
        self._known.update(rows)

    def row(self, name: str, version: Any, now: float, *, fresh: bool = True) -> None:
        """Take in a row as a look showed it; ``None`` for one that is not there."""
        self._wanted.pop(name, None)
        if version is not None and name in self._known and self._known[name] == version:
            return
        row = self._find(name, now)
        if row is None:
            if version is None:
                return
            row = self._open[name] = _Row(GONE if self._scanned or fresh else version, now)
        if version is None:
            self._absent(name, row, now)
        else:
            row.absent = None
            if row.now is GONE or row.now != version:
                row.now = version
                self._need(name, row, version, now)
        self._judge(name, row, now)
        self._settle(name, row)

    def event(self, name: str, version: Any, deleted: bool, now: float, *, early: bool = False) -> None:
        """Take in an event."""
        deleted = deleted and self._deletes
        if early:
            if len(self._early) < MOST_EARLY:
                self._early.setdefault(name, {})[version] = deleted
            return
        row = self._find(name, now)
        if row is None:
            row = self._open[name] = _Row(GONE, now)
        if (name, version) in self._recent:
            self.book.tell(FaultKind.DOUBLED, name, version, now, final=True)
        elif version in row.needs:
            del row.needs[version]
            self._matched(name, version)
        elif version in row.missing:
            self.book.take_back(row.missing.pop(version), now)
            self._matched(name, version)
        elif row.now is not GONE and row.now == version and not deleted:
            self.book.earlier += 1
        else:
            row.since = row.since if row.undecided else now
            row.told[version] = now, deleted
            self._signs.append((now, name))
            if deleted:
                self._wanted[name] = None
        self._settle(name, row)

    def hydrated(self, name: str, version: Any, now: float) -> None:
        """Take in that a row is being put there as it is elsewhere, which needs no event."""
        row = self._find(name, now)
        if version is None or row is None:
            self._known.update({} if version is None else {name: version})
            if row is not None:
                row.now, row.absent = GONE, None
                self._settle(name, row)
            return
        row.now, row.absent = version, None
        self._settle(name, row)

    def read(self, now: float) -> None:
        """Take in that all events added before this time were fed."""
        self.horizon.read(now)
        while self._changes and self._changes[0][0] + self._grace <= now:
            name = heapq.heappop(self._changes)[1]
            row = self._open.get(name)
            for version, since in list(row.needs.items()) if row else []:
                if row and since + self._grace <= now:
                    del row.needs[version]
                    if version in self._early.get(name, {}):
                        self._matched(name, version)
                    else:
                        row.missing[version] = self.book.tell(FaultKind.MISSING, name, version, since)
            if row:
                self._settle(name, row)

    def wanted(self, now: float) -> list[str]:
        """List the entities that have to be looked at before anything more is said about them."""
        while self._signs and self._signs[0][0] + self._grace <= now:
            name = self._signs.popleft()[1]
            if name in self._open:
                self._wanted[name] = None
        return list(self._wanted)

    def passed(self, name: str) -> None:
        """Take in that a row was looked at and has no version."""
        self._wanted.pop(name, None)

    def looked(self, now: float) -> None:
        """Take in that all changes committed before this time, and all that was wanted, were fed."""
        self.horizon.looked(now)
        if self._early and self.horizon.reached >= self.began + 4 * self._grace:
            self._early.clear()

    def _find(self, name: str, now: float) -> _Row | None:
        row = self._open.get(name)
        if row is None and name in self._known:
            row = self._open[name] = _Row(self._known.pop(name), now)
        return row

    def _matched(self, name: str, version: Any) -> None:
        self.book.matched += 1
        self._recent[name, version] = None
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    def _need(self, name: str, row: _Row, version: Any, now: float) -> None:
        if row.told.pop(version, None) is not None:
            self._matched(name, version)
        elif (name, version) not in self._recent and version not in row.missing:
            row.since = row.since if row.undecided else now
            row.needs[version] = now
            heapq.heappush(self._changes, (now, name))

    def _absent(self, name: str, row: _Row, now: float) -> None:
        if row.now is GONE:
            return
        ends = [version for version, (_, deleted) in row.told.items() if deleted or not self._deletes]
        early = any(deleted or not self._deletes for deleted in self._early.get(name, {}).values())
        if ends or early:
            if ends:
                del row.told[ends[-1]]
                self._matched(name, ends[-1])
            else:
                self.book.matched += 1
            row.now, row.absent = GONE, None
        elif row.absent is None:
            row.since = row.since if row.undecided else now
            row.absent = now
            self._signs.append((now, name))
        elif min(now, self.horizon.events) >= row.absent + self._grace:
            self.book.tell(FaultKind.MISSING, name, None, row.absent, final=True)
            row.now, row.absent = GONE, None
        elif now >= row.absent + self._grace:
            self._wanted[name] = None

    def _judge(self, name: str, row: _Row, now: float) -> None:
        """Give up events whose state was not seen: what is newer than the row never was, others may have been."""
        for version, (at, deleted) in list(row.told.items()):
            if at + self._grace <= now:
                del row.told[version]
                there = row.now is not GONE
                if there and (deleted or _newer(version, row.now)):
                    self.book.tell(FaultKind.EXTRA, name, version, at, final=True)
                else:
                    self.book.unexplained += 1

    def _settle(self, name: str, row: _Row) -> None:
        if row.undecided or len(row.missing) > 0:
            return
        del self._open[name]
        if row.now is not GONE:
            self._known[name] = row.now


def _newer(version: Any, than: Any) -> bool:
    try:
        return bool(version > than)
    except TypeError:
        return False
