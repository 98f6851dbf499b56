"""
The heart of the check of completeness: fed with rows, events and times, it finds changes and events alone.

It reads nothing itself and knows no clock. Times are seconds of any clock that does not go backwards: that of a row is
when the look began that showed it, that of an event when the reading began that brought it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._entity import Entity, Sign
from shadowmig.wire.events.completeness._guess import guess, lives, unmade
from shadowmig.wire.events.completeness._needs import Needs


class Ledger(Needs):
    """
    The changes and events of one table, for versions that count changes.

    Args:
        book: Counts and tells.
        grace: Seconds for which a change may be without its event, and an event without its change.
        first: The version of a new row.
        step: What a change adds to the version.
        deletes: Whether events say that they tell of a deletion; else any event may, once the row is gone.
        scanned: Whether all rows that were there at the start are given to `base`.
        began: When that was.
    """

    def __init__(
        self, book: Book, *, grace: float, first: int, step: int, deletes: bool, scanned: bool, began: float
    ) -> None:
        super().__init__(book, grace=grace, first=first, step=step, deletes=deletes, began=began)
        self._scanned = scanned

    def alive(self) -> list[str]:
        """List the entities whose rows should be there."""
        return self.shelf.alive()

    def undecided(self) -> tuple[int, float]:
        """Count what is not decided, and tell since when the oldest of it is so."""
        return self.shelf.undecided()

    # What is fed.

    def base(self, rows: Mapping[str, int]) -> None:
        """Take in the rows that were there at the start: nothing is required of their versions."""
        self.shelf.known.update(rows)

    def row(self, name: str, version: int | None, now: float, *, fresh: bool = True) -> None:
        """
        Take in a row as a look showed it.

        Args:
            name: Whose row it is.
            version: Its version; ``None`` if the row is not there.
            now: When the look began.
            fresh: Whether the row is certain to have changed since the start of the check.
        """
        self._wanted.pop(name, None)
        if version is not None and version == self.shelf.version(name):
            return
        entity = self.shelf.find(name, now)
        if entity is None:
            if version is None:
                return
            base = self._lowest(version) if self._scanned else version - self._step if fresh else version
            entity = self.shelf.open[name] = Entity(base, base, now, alive=True)
        if version is None:
            self._absent(name, entity, now)
        else:
            self._present(name, entity, version, now)
        self.shelf.settle(name, entity)

    def event(self, name: str, version: int, deleted: bool, now: float, *, early: bool = False) -> None:
        """
        Take in an event.

        Args:
            name: Whose change it tells of.
            version: The version that the change made.
            deleted: Whether it says that the row was deleted.
            now: When the reading began that brought it.
            early: Whether it may be about something from before the start: then it can be the event of a change, and
                is no fault if it is of none.
        """
        if version < self._first:
            self.book.unexplained += 1
            return
        entity = self.shelf.find(name, now)
        if entity is None:
            base = (self._first if self._scanned else version) - self._step
            entity = self.shelf.open[name] = Entity(base, base, now, alive=False)
        self._take_in(name, entity, Sign(version, deleted and self._deletes, now, early), now)
        self.shelf.settle(name, entity)

    def hydrated(self, name: str, version: int | None, now: float) -> None:
        """Take in that a row is being put there as it is elsewhere, which needs no event; ``None``: removed."""
        if version is None:
            if name in self.shelf.known or name in self.shelf.open:
                self.shelf.lent.add(name)
            return
        entity = self.shelf.find(name, now)
        if entity is None:
            entity = self.shelf.open[name] = Entity(version, version, now, alive=True)
        entity.alive, entity.lower, entity.absent = True, None, None
        entity.base = entity.row = version
        self.shelf.lent.add(name)
        self.shelf.settle(name, entity)

    def read(self, now: float) -> None:
        """Take in that all events added before this time were fed: changes that waited long enough are without one."""
        self.horizon.read(now)
        while self._changes and self._changes[0][0] + self._grace <= now:
            name = heapq.heappop(self._changes)[1]
            entity = self.shelf.open.get(name)
            if entity is not None and entity.short:
                self._miss(name, entity, now)
                self.shelf.settle(name, entity)

    def wanted(self, now: float) -> list[str]:
        """List the entities that have to be looked at before anything more is said about them."""
        while self._signs and self._signs[0][0] + self._grace <= now:
            name = self._signs.popleft()[1]
            if name in self.shelf.open:
                self._wanted[name] = None
        return list(self._wanted)

    def passed(self, name: str) -> None:
        """Take in that a row was looked at and has no version."""
        self._wanted.pop(name, None)

    def looked(self, now: float) -> None:
        """Take in that all changes committed before this time, and all that was wanted, were fed."""
        self.horizon.looked(now)

    # Rows.

    def _present(self, name: str, entity: Entity, version: int, now: float) -> None:
        since = now
        if not entity.alive:
            anew = any(sign.version == self._first for sign in entity.loose) or (
                entity.loose and version <= (entity.top or 0)
            )
            if entity.top is not None and not anew and not self._lasts(name, entity, now):
                return
            since = now if entity.lower is None else entity.lower
            self._created(entity, version, now)
        elif version < entity.row:
            end = self._end_of(entity)
            if (end is None or not self._deletes) and not self._lasts(name, entity, now):
                return
            since = now if entity.lower is None else entity.lower
            self._end(name, entity, end, now)
            self._created(entity, version, now)
        elif signs := self._deletions(entity):
            due = [sign for sign in signs if sign.at + self._grace <= now]
            if due:
                if not self._guess(name, entity, due, version, now):
                    return
            elif version >= signs[0].version or any(sign.version == self._first for sign in entity.loose):
                return  # it may be the next life of the entity that has come so far
        entity.lower = entity.absent = None
        if version > entity.row:
            self._need(name, entity, entity.row, version, since, seen=True)
            entity.row = version
        self._judge(name, entity, now)

    def _lasts(self, name: str, entity: Entity, now: float) -> bool:
        """Whether a row is older than it was, or there again, for so long that it is no replica that lags."""
        if entity.lower is None:
            entity.lower = now
            self._signs.append((now, name))
            return False
        return self._waited(name, entity.lower, now)

    def _waited(self, name: str, since: float, now: float) -> bool:
        """Whether both sides were read after the grace; if only the rows were, they are to be looked at again."""
        if now < since + self._grace:
            return False
        if self.horizon.events >= since + self._grace:
            return True
        self._wanted[name] = None
        return False

    def _created(self, entity: Entity, version: int, now: float) -> None:
        """Begin a life, or go on with one whose end was told by mistake."""
        if entity.lost is not None and version >= entity.row - self._step:
            self.book.take_back(entity.lost, now)
            entity.lost, entity.top = None, None
            entity.row -= self._step
        else:
            top = entity.top
            if top is not None:
                self.shelf.forget(entity)
                goes_on = version > top and all(sign.version > top for sign in entity.loose)
                entity.base = entity.row = top if goes_on else self._lowest(version)
        entity.alive = True

    def _guess(self, name: str, entity: Entity, due: list[Sign], version: int, now: float) -> bool:
        """
        Decide which deletions were made before the row came to be as it is, and take out the others.

        Returns:
            Whether it could be decided. Where a key is used again, events of one life may have been taken for those of
            another one, and what lacks is yet to come.
        """
        best = guess(entity, due, version, first=self._first, step=self._step)
        again = entity.top is not None or any(sign.version == self._first for sign in entity.loose)
        if best.faults and again and now < max(sign.at for sign in due) + 2 * self._grace:
            self._signs.append((now, name))
            return False
        for sign in due:
            entity.loose.remove(sign)
        for sign in unmade(best, due):
            self._surplus(name, entity, sign)
        self.book.matched += len(best.made)
        if best.made:
            *ended, (after, _) = lives(entity, best, version, first=self._first, step=self._step)
            for begin, upto in ended:
                self._need(name, entity, begin, upto, due[0].at)
            entity.top = max([sign.version for sign in best.made] + ([] if entity.top is None else [entity.top]))
            if after != entity.row:
                entity.base = entity.row = after
        return True

    def _absent(self, name: str, entity: Entity, now: float) -> None:
        entity.lower = None
        if entity.alive:
            end = self._end_of(entity)
            if name in self.shelf.lent or (end is not None and self._deletes):
                self._end(name, entity, end, now)
            elif entity.absent is None:
                entity.absent = now
                self._signs.append((now, name))
            elif self._waited(name, entity.absent, now):
                self._end(name, entity, end, now)
        if not entity.alive:
            self._unseen(name, entity, now)
            self._judge(name, entity, now)

    def _unseen(self, name: str, entity: Entity, now: float) -> None:
        """Take lives that came and went between two looks from their events, unless one event speaks for all."""
        while ends := self._deletions(entity):
            sign = next((s for s in ends if any(o.version < s.version and not o.deleted for o in entity.loose)), None)
            if sign is None:
                sign = next((s for s in ends if s.version == self._first), None)
            if sign is None or (not self._deletes and sign.at + self._grace > now):
                return
            begun = any(each.early for each in entity.loose) and self._first not in entity.updates()
            if entity.top is None and (sign.early or begun):
                return  # it was over before the start, or had begun before it
            entity.loose.remove(sign)
            self.book.matched += 1
            begin = self._first - self._step if self._scanned or entity.top is not None else entity.base
            self._need(name, entity, begin, sign.version - self._step, now)
            entity.top = max(sign.version, entity.top or sign.version)

    def _end_of(self, entity: Entity) -> Sign | None:
        """Give the event that tells of the end of this life."""
        above = [sign for sign in entity.loose if sign.version > entity.row and (sign.deleted or not self._deletes)]
        return None if not above else min(above) if self._deletes else max(above)

    def _end(self, name: str, entity: Entity, end: Sign | None, now: float) -> None:
        """End a life with its deletion, or, where no event tells of one, with a fault."""
        since = next((at for at in (entity.absent, entity.lower) if at is not None), now)
        entity.absent = entity.lower = None
        entity.alive = False
        if end is None:
            last = max([entity.row, *(sign.version for sign in entity.loose if not sign.deleted)])
            self._need(name, entity, entity.row, last, since)
            if name not in self.shelf.lent:
                entity.lost = self.book.tell(FaultKind.MISSING, name, last + self._step, since)
                self.shelf.keep(name, entity)
            entity.row = entity.top = last + self._step
            return
        entity.loose.remove(end)
        self.book.matched += 1
        self._need(name, entity, entity.row, end.version - self._step, now)
        entity.row = entity.top = end.version
        # What is left may be of a next life, whose own end is yet to be told of.
        entity.loose = [sign._replace(at=now) for sign in entity.loose]
        self._signs.append((now, name))

    def _lowest(self, version: int) -> int:
        return min(version, self._first) - self._step
