"""The ledger for versions that do not count changes, such as times: only the states that were seen are required."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from shadowmig.wire.events.completeness._book import KEPT, Book, FaultKind
from shadowmig.wire.events.completeness._waiting import Waiting

MOST_EARLY: Final = 200_000
"""Entities of which early events are remembered."""

MOST_RECENT: Final = 100_000
"""Changes with their event that are remembered, so that a second event is known as one."""


@define(eq=False)
class _Row:
    """What is undecided of one entity; ``now`` is its version, `GONE` if it is not there."""

    now: Any
    needs: dict[Any, float] = field(factory=dict)
    told: dict[Any, tuple[float, bool]] = field(factory=dict)
    missing: dict[Any, int] = field(factory=dict)
    absent: float | None = None

    def times(self) -> list[float]:
        """Give since when each change and event is undecided."""
        times = [*self.needs.values(), *(at for at, _ in self.told.values())]
        return times if self.absent is None else [*times, self.absent]


GONE: Final = object()


class WeakLedger(Waiting):
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
        super().__init__(book, grace, began)
        self._deletes = deletes
        self._scanned = scanned
        self._known: dict[str, Any] = {}
        self._open: dict[str, _Row] = {}
        self._early: dict[str, dict[Any, bool]] = {}
        self._recent: OrderedDict[tuple[str, Any], None] = OrderedDict()
        self._kept: deque[tuple[str, _Row]] = deque()

    def alive(self) -> list[str]:
        """List the entities whose rows should be there."""
        return [*self._known, *(name for name, row in self._open.items() if row.now is not GONE)]

    def undecided(self) -> tuple[int, float]:
        """Do what `Waiting.undecided` says."""
        times = [at for row in self._open.values() for at in row.times()]
        return len(times), min(times, default=float("inf"))

    def base(self, rows: Mapping[str, Any]) -> None:
        """Take in the rows that were there at the start."""
        self._known.update(rows)

    def row(self, name: str, version: Any, now: float, *, fresh: bool = True) -> None:
        """Take in a row as a look showed it; ``None`` for one that is not there."""
        self._wanted.pop(name, None)
        if version is not None and name in self._known and self._known[name] == version:
            return
        row = self._find(name)
        if row is None:
            if version is None:
                return
            row = self._open[name] = _Row(GONE if self._scanned or fresh else version)
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
        row = self._find(name)
        if row is None:
            row = self._open[name] = _Row(GONE)
        late = GONE if deleted and GONE in row.missing else version
        if (name, version) in self._recent:
            self.book.tell(FaultKind.DOUBLED, name, version, now, final=True)
        elif version in row.needs:
            del row.needs[version]
            self._matched(name, version)
        elif late in row.missing:
            self.book.take_back(row.missing.pop(late), now)
            self._matched(name, version)
        elif row.now is not GONE and row.now == version and not deleted:
            self.book.earlier += 1
        else:
            row.told[version] = now, deleted
            self._look_at(now, name)
            if deleted:
                self._wanted[name] = None
        self._settle(name, row)

    def hydrated(self, name: str, version: Any, now: float) -> None:
        """Take in that a row is being put there as it is elsewhere, which needs no event."""
        row = self._find(name)
        if row is None:
            if version is None:
                return
            row = self._open[name] = _Row(version)
        row.now, row.absent = GONE if version is None else version, None
        self._settle(name, row)

    def looked(self, now: float) -> None:
        """Do what `Waiting.looked` says."""
        super().looked(now)
        if self._early and self.horizon.reached >= self.began + 4 * self._grace:
            self._early.clear()

    def _is_open(self, name: str) -> bool:
        return name in self._open

    def _overdue(self, name: str, now: float) -> None:
        row = self._open[name]
        for version, since in list(row.needs.items()):
            if since + self._grace <= now:
                del row.needs[version]
                if version in self._early.get(name, {}):
                    self._matched(name, version)
                else:
                    self._miss(name, row, version, version, since)
        self._settle(name, row)

    def _miss(self, name: str, row: _Row, place: Any, version: Any, since: float) -> None:
        row.missing[place] = self.book.tell(FaultKind.MISSING, name, version, since)
        self._kept.append((name, row))
        while len(self._kept) > KEPT:
            old_name, old = self._kept.popleft()
            self.book.forget(old.missing.values())
            old.missing.clear()
            if self._open.get(old_name) is old and old is not row:
                self._settle(old_name, old)

    def _find(self, name: str) -> _Row | None:
        row = self._open.get(name)
        if row is None and name in self._known:
            row = self._open[name] = _Row(self._known.pop(name))
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
            row.needs[version] = now
            self._tell_at(now, name)

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
            row.absent = now
            self._look_at(now, name)
        elif min(now, self.horizon.events) >= row.absent + self._grace:
            self._miss(name, row, GONE, None, row.absent)
            row.now, row.absent = GONE, None
        elif now >= row.absent + self._grace:
            self._wanted[name] = None

    def _judge(self, name: str, row: _Row, now: float) -> None:
        """Give up events whose state was not seen: what is newer than the row never was, others may have been."""
        for version, (at, deleted) in list(row.told.items()):
            if at + self._grace <= now:
                del row.told[version]
                # A row that is newer than its deletion was created anew.
                newer = not _newer(row.now, version) if deleted else _newer(version, row.now)
                if row.now is not GONE and newer:
                    self.book.tell(FaultKind.EXTRA, name, version, at, final=True)
                else:
                    self.book.unexplained += 1

    def _settle(self, name: str, row: _Row) -> None:
        if row.needs or row.told or row.missing or row.absent is not None:
            return
        del self._open[name]
        if row.now is not GONE:
            self._known[name] = row.now


def _newer(version: Any, than: Any) -> bool:
    try:
        return bool(version > than)
    except TypeError:
        return False
