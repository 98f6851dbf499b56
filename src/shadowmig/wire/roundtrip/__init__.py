"""
`RoundTrip`: every writer's bytes given to every reader, over many values, and what came of each.

    trip = RoundTrip(writers={"legacy": legacy, "new": go}, readers={"legacy": legacy, "new": go})
    report = trip.check(Comment)
    assert report.ok, str(report)

Danger: writers and readers are called in this process, and one that never returns cannot be stopped. `ProcessCodec`
and `HttpCodec` have time limits of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import define, evolve, field, frozen

from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec, Comparator
from shadowmig.wire.roundtrip._classes import CLASSES
from shadowmig.wire.roundtrip._gather import Gather
from shadowmig.wire.roundtrip._judge import STRICT, Judge
from shadowmig.wire.roundtrip._matrix import Key, Matrix, Plan, Row
from shadowmig.wire.roundtrip._model import Cell, Fault, Incompatibility, Outcome, RoundTripReport
from shadowmig.wire.roundtrip._sides import Side
from shadowmig.wire.roundtrip._source import Source
from shadowmig.wire.values import plain as _plain

__all__ = ["CLASSES", "Cell", "Fault", "Incompatibility", "Outcome", "RoundTrip", "RoundTripReport"]

_LOOKING: Final = 0.6
"""Share of the time after which no more values are checked, if there are faults whose values are to be shrunk."""

_BATCH: Final = 512
_QUICK: Final = 0.1
_SLOW: Final = 0.5
"""Seconds for a batch, below and above which the next one is larger or smaller."""

_UNWRITTEN: Final = "no writer writes it"
_STABILITY: Final = frozenset({"unstable bytes", "bytes depend on the order of keys"})


def _wrong(option: str, value: Any, remedy: str) -> ConfigError:
    return ConfigError(f"{option} is {value!r}.", remedy=remedy, field=option, value=value)


def _callables(one: Any, attribute: Any, value: Any) -> None:
    if not callable(value) and (value is not None or attribute.name == "plain"):
        raise _wrong(attribute.name, value, "Give a function.")


def _sides(option: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given:
        raise _wrong(option, given, "Give at least one, by its name.")
    return dict(given)


def _names(option: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, Iterable):
        raise _wrong(option, given, "Give one name or several.")
    return (given,) if isinstance(given, str) else tuple(given)


@define
class _Pace:
    """How many values the sides are given at once: a size that fits them, for time is looked at in between only."""

    size: int = 1

    def learn(self, took: float) -> None:
        """Take in how long it took, in seconds."""
        size = self.size * 2 if took < _QUICK else self.size if took < _SLOW else self.size // 2
        self.size = max(1, min(_BATCH, size))


@frozen(eq=False)
class RoundTrip:
    """
    A matrix of writers and readers.

    A name that is in both is one side, which writes and reads: its *own round trip* is from itself to itself, and with
    each other such side there is a *way back*: written by one, read and written back by the other, read by the first.

    What a value must come out as is the value itself, in plain form: models and dicts may be mixed. A loss that a side
    has with itself is a fault like any other. If the ``baseline`` has it, it is shown but does not count, for nobody
    can do better; it must be the same loss, at the same place, in the same value.

    Args:
        writers: By name: a codec, or a function from a value to bytes, or to bytes and flags.
        readers: By name: a codec, or a function from bytes to a value.
        compare: The comparator, which is given plain forms; `structural()` if not given.
        miss: Tells whether a reader takes what it read for a miss. `MISSING` always is one; so is ``None``, where a
            list or map that is not empty was written.
        plain: Gives the plain form of what was written and read: something new, for a writer may change the old.
        baseline: A side, usually the legacy: faults that its own round trip shows too do not count.
        accept: Names of classes of faults that do not count; `CLASSES` has them all.
        stable: Writers whose bytes must be the same each time, whatever the order of keys; ``True`` for all. That of
            the others is looked at too, but does not count.
        same_bytes: Whether all sides must write the same bytes.
        values: What `check` takes if it is given none.

    Raises:
        ConfigError: An option is wrong.
    """

    writers: Mapping[str, Codec | Callable[[Any], bytes | tuple[bytes, int]]] = field()
    readers: Mapping[str, Codec | Callable[[bytes], Any]] = field()
    compare: Comparator | None = field(default=None, kw_only=True, validator=_callables)
    miss: Callable[[Any], bool] | None = field(default=None, kw_only=True, validator=_callables)
    plain: Callable[[Any], Any] = field(default=_plain, kw_only=True, validator=_callables)
    baseline: str = field(default="", kw_only=True)
    accept: Iterable[str] = field(default=(), kw_only=True)
    stable: bool | Iterable[str] = field(default=False, kw_only=True)
    same_bytes: bool = field(default=False, kw_only=True)
    values: Any = field(default=None, kw_only=True, repr=False)
    _matrix: Matrix = field(init=False, repr=False)
    _plan: Plan = field(init=False, repr=False)
    _stable: frozenset[str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        given = {
            "writers": _sides("writers", self.writers),
            "readers": _sides("readers", self.readers),
            "accept": _names("accept", self.accept),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        if type(self.same_bytes) is not bool:
            raise _wrong("same_bytes", self.same_bytes, "Use True or False.")
        writers = {name: Side(name, given, "encode") for name, given in self.writers.items()}
        readers = {name: Side(name, given, "decode") for name, given in self.readers.items()}
        stable = writers if self.stable is True else () if self.stable is False else _names("stable", self.stable)
        both = [name for name in writers if name in readers]
        self._one_of("baseline", [self.baseline] if self.baseline else [], both)
        self._one_of("accept", self.accept, CLASSES)
        self._one_of("stable", stable, writers)
        cells = [(writer, reader, "") for writer in writers for reader in readers]
        cells += [(one, one, other) for one in both for other in both if one != other]
        judge = Judge(STRICT if self.compare is None else self.compare, self.plain, self.miss)
        object.__setattr__(self, "_stable", frozenset(stable))
        object.__setattr__(self, "_matrix", Matrix(writers, readers, judge))
        object.__setattr__(self, "_plan", Plan(tuple(writers), tuple(cells), frozenset(writers)))

    @staticmethod
    def _one_of(option: str, given: Iterable[str], allowed: Iterable[str]) -> None:
        for each in given:
            if each not in allowed:
                raise ConfigError(
                    f"{option}: {each!r} is not known.",
                    remedy=f"Use one of: {', '.join(allowed)}.",
                    field=option,
                    value=each,
                )

    def check(
        self,
        values: Any = None,
        *,
        count: int | None = None,
        seconds: float | timedelta = 60.0,
        seed: int = 0,
        shrink: bool = True,
    ) -> RoundTripReport:
        """
        Give every writer's bytes to every reader.

        Args:
            values: An iterable of values, such as recorded ones; a hypothesis strategy; or a model or schema, from
                which `shadowmig.wire.strategies.values_of` derives one. A writer that takes another form is to be
                given as a function that makes it.
            count: Most values. If not given: all of an iterable, 1 000 of the others.
            seconds: Limit of the whole check, in seconds or a `timedelta`. What is running when it is reached is
                waited for.
            seed: What values are drawn with; the same gives the same values.
            shrink: Whether to look for the smallest value that shows each fault.

        Raises:
            ConfigError: An argument is wrong, or nothing can be drawn.
            KeyboardInterrupt: Of whoever presses the key. So does everything else that a side raises and that is no
                `Exception`, but for `SystemExit`.
            Exception: What the iterable of values raises.
        """
        limit = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        for name, good in {
            "seconds": type(limit) in (int, float) and limit > 0,
            "count": count is None or (type(count) is int and count > 0),
            "seed": type(seed) is int,
        }.items():
            if not good:
                raise ConfigError(f"{name} is wrong.", remedy="Use a number above 0; seed is an int.", field=name)
        start = time.monotonic()
        end = start + limit
        source = Source(self.values if values is None else values, count, seed, end)
        gather = Gather(self._plan.cells, self.baseline)
        pace = _Pace()
        done = 0
        while time.monotonic() < (start + limit * _LOOKING if shrink and gather.faulty else end):
            some = source.take(pace.size)
            if not some:
                break
            for row in self._rows(some, self._plan, end, pace):
                gather.add(row)
            done += len(some)
        if shrink:
            gather.shrink(lambda some, key: self._rows(some, self._only(key), end, _Pace()), end)
        return self._report(gather, done, complete=source.complete, started=start, seed=seed)

    def _rows(self, values: list[Any], plan: Plan, end: float, pace: _Pace) -> list[Row]:
        """Run values in batches: as many as there is time for, one batch at least."""
        rows: list[Row] = []
        while len(rows) < len(values):
            start = time.monotonic()
            if rows and start >= end:
                break
            rows += self._matrix.run(values[len(rows) : len(rows) + pace.size], plan, end)
            pace.learn(time.monotonic() - start)
        return rows

    def _only(self, key: Key) -> Plan:
        """Give the least that tells what concerns one cell, or one writer."""
        writer, reader, via = key
        if not reader:
            return Plan(self._plan.writers, (), frozenset({writer}))
        names = {writer, reader, via, self.baseline}
        wanted = {(name, name, "") for name in names} | {key, (writer, reader, "")}
        if via:
            wanted |= {(writer, via, ""), (via, writer, "")}
        cells = tuple(cell for cell in self._plan.cells if cell in wanted)
        return Plan(tuple(name for name in self._plan.writers if name in names), cells, frozenset())

    def _report(self, gather: Gather, done: int, *, complete: bool, started: float, seed: int) -> RoundTripReport:
        found = [evolve(fault, accepted=self._accepted(fault)) for fault in gather.faults()]
        cells = gather.cells()
        # Where nothing was written, what no writer writes tells why.
        judged = any(cell.judged for cell in cells)
        broken = [one for one in found if one.outcome is Outcome.BROKEN or (one.accepted == _UNWRITTEN and not judged)]
        told = [one for one in found if all(one is not other for other in broken)]
        return RoundTripReport(
            cells=cells,
            faults=tuple(fault for fault in told if not fault.accepted),
            accepted=tuple(fault for fault in told if fault.accepted),
            broken=tuple(evolve(fault, accepted="") for fault in broken),
            values=done,
            seconds=time.monotonic() - started,
            complete=complete,
            seed=seed,
        )

    def _accepted(self, fault: Fault) -> str:
        if fault.outcome is Outcome.BROKEN:
            return ""
        if fault.accepted and fault.outcome is Outcome.REFUSED:
            return _UNWRITTEN
        if fault.accepted:
            return f"the own round trip of {self.baseline} shows it too"
        if fault.name in self.accept:
            return "accepted by name"
        if fault.name in _STABILITY:
            return "" if fault.writer in self._stable else "the bytes need not be stable"
        return "the bytes need not be the same" if fault.outcome is Outcome.EQUAL and not self.same_bytes else ""
