"""What is required and what is told: the half of the ledger that knows of numbers, not of rows."""

from __future__ import annotations

from typing import Final

from shadowmig.wire.events.completeness._book import Book, FaultKind
from shadowmig.wire.events.completeness._entity import Entity, Life, Sign
from shadowmig.wire.events.completeness._shelf import Shelf
from shadowmig.wire.events.completeness._waiting import Waiting

MOST_GAP: Final = 1000
"""Of a row that goes past more versions than this at once, those with an event are required, and the last two."""


class Needs(Waiting):
    """
    Changes that need an event and events that need a change.

    Args:
        book: Counts and tells.
        grace: Seconds for which a change may be without its event, and an event without its change.
        first: The version of a new row.
        step: What a change adds to the version.
        began: When the check began.
    """

    def __init__(self, book: Book, *, grace: float, first: int, step: int, began: float) -> None:
        super().__init__(book, grace, began)
        self.shelf = Shelf(book)
        self._first = first
        self._step = step
        self._anew = False

    def undecided(self) -> tuple[int, float]:
        """Do what `Waiting.undecided` says."""
        return self.shelf.undecided()

    def _is_open(self, name: str) -> bool:
        return name in self.shelf.open

    def _overdue(self, name: str, now: float) -> None:
        entity = self.shelf.open[name]
        if ready := [life for life in entity.lives if life.since + self._grace <= now]:
            entity.lives = tuple([life for life in entity.lives if life not in ready])
        for life in reversed(ready):
            self._decide(name, entity, life, now)
        # It may be that versions went on after a deletion; what is told then has its turn when that is decided.
        doubtful = {sign.version for sign in entity.deletions} | {
            life.sign.version for life in entity.lives if life.sign
        }
        for version, times in list(entity.short.items()):
            while times and times[0] + self._grace <= now and version not in doubtful:
                kind = FaultKind.MISSING if version in entity.witnessed else FaultKind.SKIPPED
                if entity.vague is None:
                    entity.missing.setdefault(version, []).append(self.book.tell(kind, name, version, times[0]))
                    self.shelf.keep(name, entity)
                entity.serve(version)
        self.shelf.settle(name, entity)

    # Changes.

    def _need(self, name: str, entity: Entity, after: int, upto: int, since: float, *, seen: bool = False) -> list[int]:
        """Require an event of each version after one, up to another one, and give these versions."""
        versions: range | list[int] = range(after + self._step, upto + 1, self._step)
        if upto - after > MOST_GAP * self._step:
            versions = sorted({*versions[-2:], *(version for version in entity.loose if version in versions)})
        waits = False
        for version in versions:
            if sign := entity.take(version):
                self.book.matched += 1
                if sign.early and sign.passed is not None:  # it is rather about something from before the start
                    entity.vague = since
            elif (number := entity.extras.pop((version, False), None)) is not None:
                self.book.take_back(number, since)
                self.book.matched += 1
            else:
                waits = True
                entity.short.setdefault(version, []).append(since)
        if seen and upto in entity.short:
            entity.witnessed |= {upto}
        if waits:
            self._tell_at(since, name)
        if entity.vague is not None:
            self._blur(name, entity, since)
        return list(versions)

    def _met(self, entity: Entity, sign: Sign) -> bool:
        """Give an event to a change that needs one, or was told to be without; tell whether there was one."""
        version = sign.version
        if not entity.serve(version):
            numbers = entity.missing.get(version)
            if numbers is None:
                return False
            self.book.take_back(numbers.pop(0), sign.at)
            if not numbers:
                del entity.missing[version]
        self.book.matched += 1
        return True

    def _blur(self, name: str, entity: Entity, now: float) -> None:
        """Let nothing be told of an entity until it was quiet for the grace."""
        entity.vague = now + self._grace
        self._look_at(now, name)

    # Lives.

    def _decide(self, name: str, entity: Entity, life: Life, now: float) -> None:
        """
        Take back what is required of a life, if most of it has no event.

        Where no key was seen to begin anew, versions may go on after a deletion instead.
        """
        late = any(entity.short.get(version, [now])[0] + self._grace <= now for version in life.versions)
        lacking = entity.short.keys() & life.versions if late else set()
        met = len(life.versions) - len(lacking)
        goes_on = bool(lacking) and not met and not self._anew
        sign = life.sign
        if sign is None:
            if goes_on:
                self._let_go(name, entity, life, now)
            return
        if goes_on and entity.alive and entity.row > sign.version and entity.serve(sign.version):
            self._let_go(name, entity, life, now)
        elif lacking and (len(lacking), self._first in lacking) > (met + 1, False):
            self._let_go(name, entity, life, now)
            self._surplus(name, entity, sign)
            return
        self.book.matched += 1
        entity.top = max(sign.version, entity.top or sign.version)

    def _let_go(self, name: str, entity: Entity, life: Life, now: float) -> None:
        """Require no more what was required of a life; events that were taken for it are without a change again."""
        for version in life.versions:
            if not entity.serve(version, -1):
                self.book.matched -= 1
                sign = Sign(version, deleted=False, at=now)
                if not self._met(entity, sign):
                    self._loosen(name, entity, sign)

    # Events.

    def _loosen(self, name: str, entity: Entity, sign: Sign) -> None:
        """Keep an event until its change is seen."""
        entity.loose.setdefault(sign.version, []).append(sign)
        self._look_at(sign.at, name)

    def _judge(self, name: str, entity: Entity, now: float) -> None:
        """
        Tell which events have no change, now that the row was looked at.

        If a look does not show the change of an event, its life may have ended before, or another life may have come as
        far. Then there is one more deletion, whose event comes within the grace, and is believed after another one.
        """
        grace, events = self._grace, self.horizon.events
        for sign in [sign for signs in entity.loose.values() for sign in signs if sign.at + grace <= now]:
            if sign.passed is None:
                self._put(entity, sign, sign._replace(passed=now))
                self._look_at(now, name)
            elif (not entity.deletions and events >= max(sign.passed, entity.ended) + grace) or (
                sign.over is not None and events >= sign.over + 3 * grace
            ):
                entity.take(sign.version)
                self._surplus(name, entity, sign)
            else:
                self._wanted[name] = None

    def _went_by(self, entity: Entity, deletion: Sign, now: float) -> None:
        """Note for events without a change that a life is over which was there when they had none."""
        for sign in [sign for signs in entity.loose.values() for sign in signs]:
            if sign.over is None and sign.passed is not None and deletion.at > sign.passed + self._grace:
                self._put(entity, sign, sign._replace(over=now))

    def _put(self, entity: Entity, sign: Sign, instead: Sign) -> None:
        signs = entity.loose[sign.version]
        signs[signs.index(sign)] = instead

    def _surplus(self, name: str, entity: Entity, sign: Sign) -> None:
        version, top = sign.version, entity.top
        place = version, sign.deleted
        highest = entity.row if top is None else max(top, entity.row if entity.alive else top)
        if (
            sign.early
            or entity.vague is not None
            or (top is None and self._first <= version <= entity.base and not sign.deleted)
        ):
            self.book.earlier += 1
        elif version <= highest or place in entity.extras:
            self.book.tell(FaultKind.DOUBLED, name, version, sign.at, final=True)
        else:
            entity.extras[place] = self.book.tell(FaultKind.EXTRA, name, version, sign.at)
            self.shelf.keep(name, entity)
