"""
Production's events and the sister's, brought together by their keys: the part that needs no server.

A `Matcher` is fed the entries of both streams, each in its order, and says what came of them. It holds what has no
verdict yet, and remembers for a while what has one, so that a doubled event is known as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, islice, repeat
from operator import attrgetter
from typing import Any, Final

from shadowmig.wire.events._judge import Judgement, unreadable
from shadowmig.wire.events._matched import BEGIN, Blind, Half, Outcome, Plan, fault_of
from shadowmig.wire.events.event import Event
from shadowmig.wire.events.report import EventFault, EventVerdict, Where

BOTH: Final = 1
"""Both streams have had it."""

ALONE: Final = 2
"""Production has had it, and the sister's is not waited for."""

_FIRM: Final = (EventVerdict.MISSING, EventVerdict.UNEXPECTED)
"""What was told as a fault of the candidate, so that taking it back is told as well."""

_AT_ONCE: Final = 1000
"""Events of one stream that are given up before there is a commit, for that is one message and has its time."""

NO_KEY: Final = "it tells no entity or no version"


class Matcher:
    """
    Matches events. The sister's times are brought to production's clock by `offset`.

    Args:
        plan: How.

    Attributes:
        production: What waits of production.
        sister: What waits of the sister.
        blinds: Times of which entries may be lost.
        offset: Seconds by which the sister's clock is before production's.
        largest: Bytes of the largest event lately, or more.
        out: What has come of it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: dict[str, int] = {}
        self._spare: dict[str, int] = {}
        self.production = Half()
        self.sister = Half()
        self.blinds: list[Blind] = []
        self.offset = 0.0
        self.largest = 0
        self.out = Outcome()

    # Entries.

    def take_production(self, keys: Sequence[str], events: Sequence[Event]) -> None:
        """Take entries of production that the sister must have."""
        half = self.production
        new = len(set(keys)) == len(keys) and self._seen.keys().isdisjoint(keys)
        if new and not half.knows(keys) and not self.sister.knows(keys):
            half.waiting.update(zip(keys, events, strict=True))
            self.out.count("production", len(keys))
        else:
            for key, event in zip(keys, events, strict=True):
                self._take_production(key, event)

    def take_sister(self, keys: Sequence[str], events: Sequence[Event]) -> None:
        """Take entries of the sister."""
        # What most of them are is written out: the same bytes, in time, known to both and to nobody before.
        shift, late, out = self.offset, self._plan.late, self.out
        lags, equal = out.lags, []
        for key, other, event, alike in self._paired(keys, events):
            if other is not None and alike:
                lag = event.at - other.at - shift
                if lag <= late:
                    lags.append(lag)
                    equal.append(key)
                    continue
            if equal:
                self._equal(equal)
                equal = []
            if other is None:
                self._unpaired(key, event)
            else:
                self._pair(key, other, event)
        self._equal(equal)
        out.count("sister", len(keys))

    def take_uncovered(self, keys: Iterable[str]) -> None:
        """Take entries of production that the sister need not have."""
        for key in keys:
            if key not in self._seen:
                self.out.count("uncovered")
                self._seen[key] = ALONE
                self._early(key)

    def take_unjudged(self, event: Event, where: Where, *, key: str | None = None, note: str) -> None:
        """Take an entry that cannot be matched: ``covered`` failed, or it tells no entity and version."""
        if key is not None:
            if key in self._seen:
                return
            self._seen[key] = ALONE
            self._early(key)
        judgement = Judgement(EventVerdict.BROKEN, note=note) if event.readable else unreadable(event, where)
        pair = (event, None) if where == "production" else (None, event)
        fault = self._fault(judgement.verdict, where, *pair, note=judgement.note)
        self.out.count(where)
        if where == "production":
            self.out.count(judgement.verdict.value)
            self.out.faults.append(fault)
        else:
            self.out.beside(judgement.verdict, fault)

    # Entries from before the last commit, read again to remember them.

    def recall_production(self, key: str, event: Event) -> None:
        """Remember an entry of production whose verdict is told already, or that is still waiting."""
        half = self.production
        held = half.waiting.get(key) or half.told.get(key, (None,))[0]
        if held is not None and held.entry == event.entry:
            return
        if held is not None or key in self._seen:
            self._spare[key] = self._spare.get(key, 0) + 1
        else:
            self._seen[key] = ALONE

    def recall_sister(self, key: str) -> None:
        """Remember an entry of the sister likewise."""
        if key in self.sister.waiting or key in self.sister.told:
            return
        if self._seen.get(key) == BOTH:
            self._spend(key)
        else:
            self._seen[key] = BOTH

    # Time.

    def expire(self, production: float, sister: float) -> bool:
        """
        Give up what was waited for long enough, and forget what was remembered for long.

        Args:
            production: The time up to which production's stream was taken, by its own clock.
            sister: The time up to which the sister's was taken, by production's clock.

        Returns:
            Whether there is more to be given up, once this is committed.
        """
        plan, more = self._plan, False
        for half, until, shift, give_up in (
            (self.production, sister - plan.grace, 0.0, self._give_up_production),
            (self.sister, production - plan.grace, self.offset, self._give_up_sister),
        ):
            surplus = half.surplus(plan.most_open, plan.most_bytes, self.largest)
            gone = list(islice(half.due(until + shift, surplus), _AT_ONCE))
            for key, event, note in gone:
                give_up(key, event, note)
            more = more or len(gone) == _AT_ONCE
            half.forget(min(production, sister) + shift - plan.grace - plan.remember, len(half.told) - plan.most_open)
        if len(self._seen) > 2 * plan.most_seen:
            self._seen = dict(islice(self._seen.items(), plan.most_seen, None))
            self._spare.clear()
        oldest = min(production, sister) - 2 * (plan.grace + plan.remember)
        self.blinds = [each for each in self.blinds if each.end > oldest]
        return more

    @property
    def crowded(self) -> bool:
        """Whether half as many events of production wait as may."""
        waiting = len(self.production.waiting)
        return waiting > self._plan.most_open // 2 or waiting * self.largest > self._plan.most_bytes // 2

    # What comes of them.

    def _paired(self, keys: Sequence[str], events: Sequence[Event]) -> Iterable[tuple[str, Event | None, Event, bool]]:
        """Give the sister's events with production's, if that waits, and whether their bytes are the same."""
        others = list(map(self.production.waiting.pop, keys, repeat(None)))
        both, slow = zip(others, events, strict=True), self._plan.judge.slow
        alike = [not slow and other is not None and other.raw == event.raw for other, event in both]
        if not slow and not all(alike):
            pairs = zip(others, events, alike, strict=True)
            unlike = [(other, event) for other, event, same in pairs if not same and other is not None]
            for side in zip(*unlike, strict=True):
                for reader, some in groupby(side, attrgetter("reader")):
                    reader.fill(some)
        return zip(keys, others, events, alike, strict=True)

    def _equal(self, keys: list[str]) -> None:
        out = self.out
        self._seen.update(dict.fromkeys(keys, BOTH))
        out.count("matched", len(keys))
        out.count(EventVerdict.MATCH.value, len(keys))

    def _pair(self, key: str, production: Event, sister: Event, told: EventVerdict | None = None) -> None:
        """Judge two entries; ``told`` is what was told of the one that was there first."""
        self._seen[key] = BOTH
        out = self.out
        lag = sister.at - self.offset - production.at
        out.lags.append(lag)
        judgement = self._plan.judge(production, sister)
        verdict = judgement.verdict
        counts, name = out.counts, verdict.value
        counts["matched"] = counts.get("matched", 0) + 1
        counts[name] = counts.get(name, 0) + 1
        if verdict is not EventVerdict.MATCH and verdict is not EventVerdict.IGNORED:
            more = {"differences": judgement.differences, "note": judgement.note}
            out.faults.append(self._fault(verdict, judgement.where, production, sister, lag=lag, **more))
        if told in _FIRM or lag > self._plan.late:
            note = "" if told is None else f"it was told as {told.value}, which is taken back"
            where: Where = "production" if lag < 0 else "sister"
            out.beside(EventVerdict.LATE, self._fault(EventVerdict.LATE, where, production, sister, lag=lag, note=note))

    def _take_production(self, key: str, event: Event) -> None:
        half = self.production
        if key in self._seen or key in half.waiting or key in half.told:
            if self._seen.get(key) != ALONE:
                self._spare[key] = self._spare.get(key, 0) + 1
                fault = self._fault(EventVerdict.DOUBLED, "production", event, None)
                self.out.beside(EventVerdict.DOUBLED, fault)
            return
        self.out.count("production")
        early, told = self._early(key)
        if early is None:
            half.waiting[key] = event
        else:
            self._pair(key, event, early, told)

    def _early(self, key: str) -> tuple[Event | None, EventVerdict | None]:
        """Give the sister's entry that was there before production's, and what was told of it, which is taken back."""
        half = self.sister
        event = half.waiting.pop(key, None)
        if event is not None:
            return event, None
        event, verdict = half.told.pop(key, (None, None))
        if verdict is not None:
            self.out.count(f"+{verdict.value}", -1)
        return event, verdict

    def _unpaired(self, key: str, event: Event) -> None:
        told = self.production.told.pop(key, None)
        if told is not None:
            other, verdict = told
            self.out.count(verdict.value, -1)
            self._pair(key, other, event, verdict)
            return
        code = self._seen.get(key)
        half = self.sister
        if code == ALONE:
            self._seen[key] = BOTH
        elif code is None and key not in half.waiting and key not in half.told:
            half.waiting[key] = event
        elif not self._spend(key):
            self.out.beside(EventVerdict.DOUBLED, self._fault(EventVerdict.DOUBLED, "sister", None, event))

    def _spend(self, key: str) -> bool:
        """Whether production has had this event once more too."""
        left = self._spare.get(key, 0)
        if left:
            self._spare[key] = left - 1
        return left > 0

    def _give_up_production(self, key: str, event: Event, note: str) -> None:
        half = self.production
        del half.waiting[key]
        at = event.at
        note = note or str(self._blind("sister", at - self._plan.late, at + self._plan.grace) or "")
        verdict = EventVerdict.LOST_SIGHT if note else EventVerdict.MISSING
        half.told[key] = event, verdict
        self.out.count(verdict.value)
        self.out.faults.append(self._fault(verdict, "sister", event, None, note=note))

    def _give_up_sister(self, key: str, event: Event, note: str) -> None:
        half = self.sister
        del half.waiting[key]
        at = event.at - self.offset
        blind = self._blind("production", at - self._plan.grace, at + self._plan.late)
        if blind is not None and blind.why == BEGIN:
            return  # its partner, too, was before matching began
        note = note or str(blind or "")
        verdict = EventVerdict.LOST_SIGHT if note else EventVerdict.UNEXPECTED
        if not event.readable:
            judgement = unreadable(event, "sister")
            verdict, note = judgement.verdict, judgement.note
        half.told[key] = event, verdict
        self.out.beside(verdict, self._fault(verdict, "sister", None, event, note=note))

    def _blind(self, where: Where, begin: float, end: float) -> Blind | None:
        """Tell why the other entry may have been there all the same."""
        found = (each for each in self.blinds if each.where == where and each.begin <= end and begin <= each.end)
        return next(found, None)

    def _fault(
        self, verdict: EventVerdict, where: Where, production: Event | None, sister: Event | None, **more: Any
    ) -> EventFault:
        return fault_of(verdict, where, production, sister, offset=self.offset, **more)
