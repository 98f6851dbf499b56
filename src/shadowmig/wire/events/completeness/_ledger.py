"""
The heart of the check of completeness: fed with rows, events and times, it finds changes and events alone.

It reads nothing itself and knows no clock. Times are seconds of any clock that does not go backwards: that of a row is
when the look began that showed it, that of an event when the reading began that brought it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._entity import ABOVE_ALL, Entity, Life, Sign
from shadowmig.wire.events.completeness._needs import Needs

T = TypeVar("T")


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
        super().__init__(book, grace=grace, first=first, step=step, began=began)
        self._deletes = deletes
        self._scanned = scanned

    def alive(self) -> list[str]:
        """List the entities whose rows should be there."""
        return self.shelf.alive()

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
        entity = self.shelf.find(name)
        if entity is None:
            if version is None:
                return
            entity = self.shelf.open[name] = self._new(version, now)
        if self._gone(name, entity, now) if version is None else self._there(name, entity, version, now, fresh):
            self._accept(name, entity, now)
            self._judge(name, entity, now)
        if entity.vague is not None and now >= entity.vague:
            if self.horizon.events >= entity.vague and not entity.undecided()[0]:
                entity.vague = None
            else:
                self._wanted[name] = None
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
        entity = self.shelf.find(name)
        if entity is None:
            entity = self.shelf.open[name] = self._new(ABOVE_ALL, now)
        if not (self._scanned or early or entity.alive) and entity.top is None:
            entity.base = entity.row = min(entity.base, version - self._step)
        sign = Sign(version, deleted and self._deletes, now, early)
        if sign.deleted:
            entity.deletions += (sign,)
            self._look_at(now, name)
            self._wanted[name] = None  # no look shows a row that is gone
        elif not self._met(entity, sign) and (self._deletes or not self._found(name, entity, sign, now)):
            self._loosen(name, entity, sign)
        self.shelf.settle(name, entity)

    def hydrated(self, name: str, version: int | None, now: float) -> None:
        """Take in that a row is being put there as it is elsewhere, which needs no event; ``None``: removed."""
        if version is None:
            if name in self.shelf.known or name in self.shelf.open:
                self.shelf.lent.add(name)
            return
        entity = self.shelf.find(name)
        if entity is None:
            entity = self.shelf.open[name] = Entity(version, version, alive=True)
        entity.alive, entity.odd = True, None
        entity.base = entity.row = version
        self.shelf.lent.add(name)
        self.shelf.settle(name, entity)

    # Rows.

    def _new(self, version: int, now: float) -> Entity:
        """Make an entity that was not heard of before."""
        if self._scanned:
            base = self._lowest(version)
            return Entity(base, base, alive=False)
        return Entity(version - self._step, version - self._step, alive=False, born=now)

    def _there(self, name: str, entity: Entity, version: int, now: float, fresh: bool) -> bool:
        """Take in a row that is there; tell whether it is certain how it came to be so."""
        opened, top, begins = entity.odd, entity.top, False
        if not entity.alive:
            begins = top is not None
            if begins and not self._is_new(entity, version) and not self._lasts(name, entity, now):
                return False
            self._begin(entity, version, now, fresh)
        elif version < entity.row:
            made = any(sign.version > entity.row and sign.at + self._grace <= now for sign in entity.deletions)
            ended = entity.has_end() and (made or self._is_new(entity, version))
            if not ended and not self._lasts(name, entity, now):
                return False
            self._over(name, entity, now)
            begins, top = True, entity.top
            self._begin(entity, version, now, fresh)
        entity.odd = None
        if version > entity.row:
            required = self._need(name, entity, entity.row, version, now, seen=True)
            entity.row = version
            if begins:
                doubtful = [each for each in required if top is not None and each <= top < version]
                self._note(name, entity, Life(now if opened is None else opened, now, doubtful, None))
        return True

    def _gone(self, name: str, entity: Entity, now: float) -> bool:
        """Take in that a row is not there; tell whether it is certain how it came to be so."""
        if not entity.alive:
            entity.odd = None
        elif name in self.shelf.lent or (self._deletes and entity.has_end()) or self._lasts(name, entity, now):
            self._over(name, entity, now)
        else:
            return False
        return True

    def _is_new(self, entity: Entity, version: int) -> bool:
        """Whether events tell of all that a new row would have had until now."""
        begin = self._lowest(version) + self._step
        return len(entity.loose) * self._step > version - begin and all(
            each in entity.loose for each in range(begin, version + 1, self._step)
        )

    def _lasts(self, name: str, entity: Entity, now: float) -> bool:
        """Whether looks contradict what is known for so long that no event of a deletion and no replica lags."""
        if entity.odd is None:
            entity.odd = now
            self._look_at(now, name)
        elif now >= entity.odd + self._grace:
            if self.horizon.events >= entity.odd + self._grace:
                return True
            self._wanted[name] = None
        return False

    def _begin(self, entity: Entity, version: int, now: float, fresh: bool) -> None:
        """Begin a life, or go on with one whose end was told by mistake."""
        entity.alive = True
        if entity.lost and version >= entity.lost[-1][0]:
            *lost, (entity.row, number, entity.top) = entity.lost
            entity.lost = tuple(lost)
            self.book.take_back(number, now)
        elif entity.top is not None:
            self._anew = self._anew or version <= entity.top
            entity.base = entity.row = self._lowest(version)
        elif not self._scanned and not (fresh and version >= entity.row):
            entity.base = entity.row = version - self._step if fresh else version

    def _over(self, name: str, entity: Entity, now: float) -> None:
        """End a life with its deletion, or, where no event tells of one, with a fault."""
        since = now if entity.odd is None else entity.odd
        entity.alive, entity.odd, entity.ended = False, None, now
        if entity.vague is not None or entity.early():
            self._blur(name, entity, now)
        if not self._deletes and entity.loose and max(entity.loose) > entity.row:
            self._deletion(entity)
        late = next((version for version, deleted in entity.extras if deleted and version > entity.row), None)
        top, entity.top = entity.top, max(entity.row + self._step, entity.top or self._first)
        if entity.has_end():
            entity.ends += (entity.row,)
        elif late is not None:
            self.book.take_back(entity.extras.pop((late, True)), now)
            self._end(name, entity, entity.row, Sign(late, deleted=True, at=now), now)
        elif name not in self.shelf.lent and entity.vague is None:
            last = entity.row
            while last + self._step in entity.loose:
                last += self._step
            self._need(name, entity, entity.row, last, now)
            number = self.book.tell(FaultKind.MISSING, name, last + self._step, since)
            entity.lost += ((last, number, top),)
            entity.row, entity.top = last, max(last + self._step, entity.top)
            self.shelf.keep(name, entity)

    # Deletions.

    def _accept(self, name: str, entity: Entity, now: float) -> None:
        """Take in deletions that must have been made by now, if they ever are."""
        if not (self._deletes or entity.alive) and self._is_life(entity, now):
            self._deletion(entity)
        ready = sorted([sign for sign in entity.deletions if sign.at + self._grace <= now])
        if ready and (entity.vague is not None or entity.early()):
            self._blur(name, entity, now)
        for sign in ready:
            entity.deletions = _without(entity.deletions, sign)
            self._went_by(entity, sign, now)
            ends = [last for last in entity.ends if last < sign.version]
            if ends:
                entity.ends = _without(entity.ends, max(ends))
                self._end(name, entity, max(ends), sign, now)
            elif self._found(name, entity, sign, now):
                pass
            elif sign.early:
                self.book.earlier += 1
                self._tell_at(now, name)
            elif entity.top is None and sign.at <= entity.born + self._grace:
                self._blur(name, entity, now)  # it may be that this row was there at the start
                self._end(name, entity, entity.base, sign, now)
            else:
                # Nobody saw the row that was deleted, or it was there again, and as far, before anybody looked.
                required = self._need(name, entity, self._first - self._step, sign.version - self._step, now)
                self._note(name, entity, Life(sign.at, now, required, sign))

    def _found(self, name: str, entity: Entity, sign: Sign, now: float) -> bool:
        """Give an event to a deletion that was told to be without; tell whether there was one."""
        for lost in entity.lost:
            last, number, _ = lost
            if last < sign.version:
                entity.lost = _without(entity.lost, lost)
                self.book.take_back(number, now)
                self._end(name, entity, last, sign, now)
                return True
        return False

    def _end(self, name: str, entity: Entity, last: int, sign: Sign, now: float) -> None:
        """Require what a life had, after what it was last seen with, up to its deletion."""
        entity.top = max(sign.version, entity.top or sign.version)
        self._need(name, entity, last, sign.version - self._step, now)
        self._note(name, entity, Life(sign.at, now, (), sign))

    def _note(self, name: str, entity: Entity, life: Life) -> None:
        entity.lives += (life,)
        self._tell_at(life.since, name)

    def _is_life(self, entity: Entity, now: float) -> bool:
        """Whether events are of a life that nobody saw, where they do not say which is of its deletion."""
        signs = [sign for signs in entity.loose.values() for sign in signs]
        begun = len(entity.loose) > 1 and self._first in entity.loose
        return begun and all(sign.at + self._grace <= now for sign in signs)

    def _deletion(self, entity: Entity) -> None:
        """Take the event with the highest version for that of a deletion."""
        if sign := entity.take(max(entity.loose)):
            entity.deletions += (sign._replace(deleted=True),)

    def _lowest(self, version: int) -> int:
        return min(version, self._first) - self._step


def _without(values: tuple[T, ...], value: T) -> tuple[T, ...]:
    place = values.index(value)
    return values[:place] + values[place + 1 :]
