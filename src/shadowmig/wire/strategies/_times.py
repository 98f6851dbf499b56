"""Nodes of moments, dates, times of day and durations."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from attrs import define

from shadowmig.wire.strategies import _moments as moments
from shadowmig.wire.strategies._leaves import Contradiction
from shadowmig.wire.strategies._nodes import Changed, Leaf, Node
from shadowmig.wire.strategies._source import Source
from shadowmig.wire.values import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@define(eq=False)
class Times(Node):
    """Moments, most of them in UTC."""

    low: datetime
    high: datetime
    zones: bool
    nanos: bool
    naive: bool

    def make(self, source: Source, room: int) -> Any:
        found = self._within(self._moment(source))
        if found is None:
            found = self._calm(source)
        if self.nanos and source.edgy() and self.low <= found < self.high:
            return Instant(found, source.pick(moments.NANOS) if source.edgy() else 1 + source.below(999))
        return found.replace(tzinfo=None, fold=0) if self.naive and source.chance(0.5) else found

    def _moment(self, source: Source) -> datetime:
        if not source.edgy():
            return self._zoned(self._calm(source), source) if source.edgy() else self._calm(source)
        if self.zones and moments.TURNS and source.chance(1 / 8):
            return source.pick(moments.TURNS)
        moment = source.pick(moments.MOMENTS)
        return self._zoned(moment, source) if source.chance(0.5) else moment

    def _zoned(self, moment: datetime, source: Source) -> datetime:
        if not self.zones:
            return moment
        zone = source.pick(moments.ZONES)
        if source.chance(0.5):
            return moment.replace(tzinfo=zone)
        try:
            return moment.astimezone(zone)
        except OverflowError:
            return moment

    def _within(self, moment: datetime) -> datetime | None:
        try:
            here = moment.astimezone(UTC)
        except OverflowError:
            return None  # before year 1 or after 9999 in UTC, so no other program could read it
        return moment if self.low <= here <= self.high else None

    def _calm(self, source: Source) -> datetime:
        first, last = (self.low - _EPOCH) // _MICRO, (self.high - _EPOCH) // _MICRO
        unit = source.pick((1_000_000, 1_000, 1))
        if -(-first // unit) > last // unit:
            unit = 1
        return _EPOCH + source.between(-(-first // unit), last // unit) * unit * _MICRO


def times(
    low: datetime | None = None,
    high: datetime | None = None,
    *,
    zones: bool = True,
    nanos: bool = False,
    naive: bool = False,
) -> Node:
    """Give moments within bounds."""
    least, most = (low or _FIRST).astimezone(UTC), (high or _LAST).astimezone(UTC)
    if least > most:
        raise Contradiction(f"no moment lies between {low} and {high}")
    return Times(least, most, zones, nanos, naive)


def instants() -> Node:
    """Give moments that are finer than a microsecond."""

    def finer(moment: datetime, source: Source) -> Instant:
        return Instant(moment, source.pick(moments.NANOS) if source.edgy() else 1 + source.below(999))

    return Changed(times(), finer)


def dates() -> Node:
    """Give dates of the years 1 to 9999."""
    start = date(1970, 1, 1).toordinal()
    last = date.max.toordinal()
    return Leaf(moments.DATES, lambda source: date.fromordinal(start + source.between(1 - start, last - start)))


def clocks() -> Node:
    """Give times of day, without a zone."""

    def calm(source: Source) -> time:
        return (_EPOCH + source.between(0, 86_399_999_999) * _MICRO).time()

    return Leaf(moments.CLOCKS, calm)


def durations(low: timedelta | None = None, high: timedelta | None = None) -> Node:
    """Give durations; without bounds such as a protobuf Duration can hold."""
    least = moments.DURATIONS[-1] if low is None else low
    most = moments.DURATIONS[-2] if high is None else high
    if least > most:
        raise Contradiction(f"no duration lies between {low} and {high}")
    fit = [one for one in moments.DURATIONS if least <= one <= most]
    return Leaf(fit, lambda source: source.between(least // _MICRO, most // _MICRO) * _MICRO)
