"""
What one process holds: some partitions, what is matched in them, and the checkpoints that a successor goes on from.

While other partitions are held by other processes, an event belongs to the partition of its key; whether it is out of
order is told by the partition of its entity. All that is held is committed at once, so counts may be kept with any of
the partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import filterfalse
from operator import itemgetter
from zlib import crc32

from attrs import define, evolve

from shadowmig.wire.events import _lags
from shadowmig.wire.events._judge import GONE
from shadowmig.wire.events._matched import BLINDS, Blind, Outcome, Plan, fault_of, joined
from shadowmig.wire.events._order import Order
from shadowmig.wire.events._partition import SIDES, Partition, Positions
from shadowmig.wire.events._side import NEVER
from shadowmig.wire.events._state import Commit, dumps, mark_of
from shadowmig.wire.events._text import BRIEF, brief
from shadowmig.wire.events.event import Event, Place, text_of
from shadowmig.wire.events.matching import NO_KEY, Matcher
from shadowmig.wire.events.report import EventFault, EventVerdict, Where


@define
class _Saved:
    partition: int
    name: str
    told: str


class Holding:
    """
    The partitions of one process.

    Args:
        plan: How events are matched.
        count: How many partitions there are in all.
        parts: Those that are held; at least one.
        found: The events that wait in them, by stream and place.
    """

    def __init__(
        self, plan: Plan, count: int, parts: Sequence[Partition], found: Mapping[tuple[Where, Place], Event | None]
    ) -> None:
        self.parts = {part.number: part for part in parts}
        self.matcher = Matcher(plan)
        self.order = Order(plan.most_seen, plan.most_bytes // 4)
        self._plan = plan
        self._count = count
        self._horizon = {side: max(part.positions[side] for part in parts) for side in SIDES}
        self._behind = dict.fromkeys(SIDES, True)
        self._marked = max(part.trail[-1][0] for part in parts)
        self._since_mark = 0
        self._saved: dict[Where, dict[str, _Saved]] = {side: {} for side in SIDES}
        self._open: Counter[tuple[int, Where]] = Counter()
        self.matcher.blinds = joined(blind for part in parts for blind in part.blinds)
        self._restore(parts, found)

    @property
    def start(self) -> Positions:
        """From where the streams are to be read."""
        return {side: min(part.trail[0][1][side] for part in self.parts.values()) for side in SIDES}

    @property
    def recalling(self) -> bool:
        """Whether entries are read again that were judged before."""
        return any(self._behind.values())

    # Entries.

    def take(self, where: Where, events: Sequence[Event], position: Place) -> None:
        """Take the next entries of a stream, which bring it to a place."""
        old = self._recall(where, events) if self._behind[where] else frozenset()
        keys, events = self._keyed(where, events, old)
        if where == "production":
            keys, events = self._covered(keys, events, old)
            self.order.take_production(keys, events)
            self.matcher.take_production(*self._judged(keys, events, old))
        else:
            self.matcher.take_sister(*self._judged(keys, events, old))
            self.order.take_sister(keys, events, self._out_of_order)
        self._since_mark += len(events)
        self.advance(where, position)

    def advance(self, where: Where, position: Place, *, ended: bool = False) -> None:
        """Note how far a stream was taken, and whether that was to its end."""
        if ended or position >= self._horizon[where]:
            self._behind[where] = False
        for part in self.parts.values():
            part.positions[where] = max(part.positions[where], position)

    def _recall(self, where: Where, events: Sequence[Event]) -> frozenset[int]:
        """Remember what was judged before; tells which events those are."""
        old = []
        for event in events:
            key = self._plan.key(event)
            part = self.parts.get(self._number(event.id if key is None else key))
            if part is not None and event.entry <= part.positions[where]:
                old.append(id(event))
                if key is not None and where == "production":
                    self.matcher.recall_production(key, event)
                elif key is not None:
                    self.matcher.recall_sister(key)
        return frozenset(old)

    def _keyed(
        self, where: Where, events: Sequence[Event], old: frozenset[int]
    ) -> tuple[Sequence[str], Sequence[Event]]:
        """Give the keys of events, and the events that have one; the others are told."""
        if not self._plan.by_version:
            names = list(map(itemgetter(0), events))
            return list(map(brief, names)) if max(map(len, names), default=0) > BRIEF else names, events
        keys, keyed = [], []
        for event in events:
            key = self._plan.key(event)
            if key is not None:
                keys.append(key)
                keyed.append(event)
            elif id(event) not in old and self._number(event.id) in self.parts:
                self.matcher.take_unjudged(event, where, note=NO_KEY)
        return keys, keyed

    def _covered(
        self, keys: Sequence[str], events: Sequence[Event], old: frozenset[int]
    ) -> tuple[Sequence[str], Sequence[Event]]:
        """Give those that the sister must have."""
        covered = self._plan.covered
        if covered is None:
            return keys, events
        wanted = []
        for key, event in zip(keys, events, strict=True):
            mine = id(event) not in old and self._number(key) in self.parts
            try:
                if covered(event):
                    wanted.append((key, event))
                elif mine:
                    self.matcher.take_uncovered([key])
            except Exception as error:  # noqa: BLE001 - whatever it raises, the next event goes on
                if mine:
                    note = f"covered raised {type(error).__name__}"
                    self.matcher.take_unjudged(event, "production", key=key, note=note)
        return [key for key, _ in wanted], [event for _, event in wanted]

    def _judged(
        self, keys: Sequence[str], events: Sequence[Event], old: frozenset[int]
    ) -> tuple[Sequence[str], Sequence[Event]]:
        """Give those that are judged here and now."""
        if not old and len(self.parts) == self._count:
            return keys, events
        both = zip(keys, events, strict=True)
        mine = [(key, each) for key, each in both if id(each) not in old and self._number(key) in self.parts]
        return [key for key, _ in mine], [event for _, event in mine]

    def _out_of_order(self, entity: str, production: Event, sister: Event) -> None:
        home = self.parts.get(self._number(entity))
        if home is not None and sister.entry > home.positions["sister"]:
            verdict, offset = EventVerdict.OUT_OF_ORDER, self.matcher.offset
            fault = fault_of(verdict, "sister", None, sister, offset=offset)
            self.matcher.out.beside(verdict, evolve(fault, entity=entity, production=production.entry))

    def _number(self, text: str) -> int:
        """Give the partition of a key or an entity; any text has bytes this way."""
        return crc32(text.encode("utf-8", "surrogatepass")) % self._count

    # Time, and what was lost.

    def tick(self, production: float, sister: float) -> bool:
        """Judge by time; whether there is more of it. Both streams were taken up to these, by production's clock."""
        if self.recalling:
            return False
        matcher = self.matcher
        more = matcher.expire(production, sister)
        as_of = min(production, sister)
        for half, shift in ((matcher.production, 0.0), (matcher.sister, matcher.offset)):
            oldest = next(iter(half.waiting.values()), None)
            if oldest is not None:
                as_of = min(as_of, oldest.at - shift)
        mark = production - self._marked >= self._plan.remember or self._since_mark > self._plan.most_seen
        for part in self.parts.values():
            if as_of > (NEVER if part.as_of is None else part.as_of):
                part.as_of = as_of
            if mark:
                part.trail = [*part.trail[-1:], (production, dict(part.positions))]
        if mark:
            self._marked, self._since_mark = production, 0
        return more

    def lost(self, where: Where, place: Place, times: tuple[float, float], why: str) -> None:
        """Note that entries up to a place may be gone that were written in between two times, and were not read."""
        parts = [part for part in self.parts.values() if () < part.positions[where] < place]
        self._blind(where, parts, times, why)

    def set_back(self, where: Where, place: Place, times: tuple[float, float]) -> None:
        """Go on at an earlier place: the stream is another one now, or was set back."""
        parts = [part for part in self.parts.values() if part.positions[where] > place]
        self._blind(where, parts, times, "remade")
        for part in parts:
            part.positions[where] = place
            for _, mark in part.trail:
                mark[where] = min(mark[where], place)
        self._horizon[where] = min(self._horizon[where], place)

    def _blind(self, where: Where, parts: Sequence[Partition], times: tuple[float, float], why: str) -> None:
        if not parts:
            return
        begin, end = times
        if begin == NEVER:
            begin = min(part.as_of or 0.0 for part in parts)
        blinds = self.matcher.blinds
        last = next((each for each in reversed(blinds) if each.where == where and each.why == why), None)
        if last is not None and last.begin <= begin <= last.end:
            last.end = max(last.end, end)
        else:
            blinds.append(Blind(where, begin, end, why))
            del blinds[:-BLINDS]

    # Committing.

    def commit(self) -> tuple[list[Commit], list[EventFault]]:
        """Make the commit of what has come since the last one; its faults are given too."""
        out, self.matcher.out = self.matcher.out, Outcome()
        parts = self.parts
        purse = next(iter(parts.values()))
        purse.counts.update(out.counts)
        _lags.add(purse.lags, out.lags)
        purse.longest = max(purse.longest, max(out.lags, default=0.0))
        put: dict[int, dict[str, str]] = {number: {} for number in parts}
        remove: dict[int, list[str]] = {number: [] for number in parts}
        for where in SIDES:
            self._save(where, put, remove)
        commits = []
        for number, part in parts.items():
            part.blinds = self.matcher.blinds
            checkpoint = part.checkpoint(self._open[number, "production"], self._open[number, "sister"])
            commits.append(Commit(number, part.token, checkpoint, put[number], remove[number], part.kept))
            part.kept = mark_of(checkpoint)
        return commits, out.faults

    def _save(self, where: Where, put: dict[int, dict[str, str]], remove: dict[int, list[str]]) -> None:
        """Tell what waits since the last commit, and what waits no more."""
        half = self.matcher.production if where == "production" else self.matcher.sister
        saved = self._saved[where]
        waits, told = half.waiting.__contains__, half.told.__contains__
        for key in list(filterfalse(told, filterfalse(waits, saved))):
            gone = saved.pop(key)
            self._open[gone.partition, where] -= not gone.told
            remove[gone.partition].append(gone.name)
        waiting = ((key, event, "") for key, event in reversed(half.waiting.items()))
        given_up = ((key, event, verdict.value) for key, (event, verdict) in reversed(half.told.items()))
        for held in (waiting, given_up):
            for key, event, verdict in held:
                number, before = self._number(key), saved.get(key)
                row = _Saved(number, where[0] + text_of(event.entry), verdict)
                if row == before:
                    break  # what is new stands at the end
                if before is not None:
                    self._open[number, where] -= not before.told
                    if before.name != row.name:
                        remove[number].append(before.name)
                saved[key] = row
                self._open[number, where] += not verdict
                put[number][row.name] = dumps([event.entry, key, event.at, event.id[:BRIEF], verdict])

    def _restore(self, parts: Sequence[Partition], found: Mapping[tuple[Where, Place], Event | None]) -> None:
        """Take up the events that waited when the checkpoints were committed, the oldest first."""
        rows = [(row[0], name, part, row) for part in parts for name, row in part.waiting.items()]
        for entry, name, part, (_, key, at, own, told) in sorted(rows, key=lambda row: row[0]):
            where = SIDES[name[0] == "s"]
            event = found.get((where, tuple(entry))) or GONE.event(tuple(entry), at, own, None)
            half = self.matcher.production if where == "production" else self.matcher.sister
            self._saved[where][key] = _Saved(part.number, name, told)
            self._open[part.number, where] += not told
            if told:
                half.told[key] = event, EventVerdict(told)
            else:
                half.waiting[key] = event
        for part in parts:
            part.waiting.clear()
