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

from attrs import evolve, field, frozen

from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec, Comparator
from shadowmig.wire.roundtrip._classes import CLASSES
from shadowmig.wire.roundtrip._gather import Gather
from shadowmig.wire.roundtrip._judge import STRICT, Judge
from shadowmig.wire.roundtrip._matrix import Key, Matrix, Plan
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

_STABILITY: Final = frozenset({"unstable bytes", "bytes depend on the order of keys"})


def _callables(one: Any, attribute: Any, value: Any) -> None:
    if not callable(value) and (value is not None or attribute.name == "plain"):
        raise ConfigError(
            f"{attribute.name} is {value!r}.", remedy="Give a function.", field=attribute.name, value=value
        )


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


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
        plain: Gives the plain form of what was written and read.
        baseline: A side, usually the legacy: faults that its own round trip shows too do not count.
        accept: Names of classes of faults that do not count; `CLASSES` has them all.
        stable: Writers whose bytes must be the same each time, whatever the order of keys; ``True`` for all. That of
            the others is looked at too, but does not count.
        same_bytes: Whether all sides must write the same bytes.
        values: What `check` takes if it is given none.

    Raises:
        ConfigError: An option is wrong.
    """

    writers: Mapping[str, Codec | Callable[[Any], bytes | tuple[bytes, int]]] = field(converter=dict)
    readers: Mapping[str, Codec | Callable[[bytes], Any]] = field(converter=dict)
    compare: Comparator | None = field(default=None, kw_only=True, validator=_callables)
    miss: Callable[[Any], bool] | None = field(default=None, kw_only=True, validator=_callables)
    plain: Callable[[Any], Any] = field(default=_plain, kw_only=True, validator=_callables)
    baseline: str = field(default="", kw_only=True)
    accept: Iterable[str] = field(default=(), kw_only=True, converter=_names)
    stable: bool | Iterable[str] = field(default=False, kw_only=True)
    same_bytes: bool = field(default=False, kw_only=True)
    values: Any = field(default=None, kw_only=True, repr=False)
    _matrix: Matrix = field(init=False, repr=False)
    _plan: Plan = field(init=False, repr=False)
    _stable: frozenset[str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("writers", "readers"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty.", remedy="Give at least one.", field=name)
        writers = {name: Side(name, given, "encode") for name, given in self.writers.items()}
        readers = {name: Side(name, given, "decode") for name, given in self.readers.items()}
        stable = frozenset(writers if self.stable is True else _names(self.stable or ()))
        both = [name for name in writers if name in readers]
        self._one_of("baseline", [self.baseline] if self.baseline else [], both)
        self._one_of("accept", self.accept, CLASSES)
        self._one_of("stable", stable, writers)
        cells = [(writer, reader, "") for writer in writers for reader in readers]
        cells += [(one, one, other) for one in both for other in both if one != other]
        judge = Judge(STRICT if self.compare is None else self.compare, self.plain, self.miss)
        object.__setattr__(self, "_stable", stable)
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
        done = self._look(source, gather, start, limit, shrink=shrink)
        if shrink:
            gather.shrink(lambda some, key: self._matrix.run(some, self._only(key), end), end)
        return self._report(gather, done, complete=source.complete, started=start, seed=seed)

    def _look(self, source: Source, gather: Gather, start: float, limit: float, *, shrink: bool) -> int:
        """Check values until there are no more or time is up; give their number."""
        size, done = 1, 0
        now = start
        while now < start + limit * (_LOOKING if shrink and gather.faulty else 1):
            values = source.take(size)
            if not values:
                break
            now = time.monotonic()
            for row in self._matrix.run(values, self._plan, start + limit):
                gather.add(row)
            done += len(values)
            took = time.monotonic() - now
            # A size that fits the sides, however slow: time is looked at between batches only.
            size = max(1, min(_BATCH, size * 2 if took < _QUICK else size if took < _SLOW else size // 2))
            now = time.monotonic()
        return done

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
        told = [fault for fault in found if fault.outcome is not Outcome.BROKEN]
        return RoundTripReport(
            cells=gather.cells(),
            faults=tuple(fault for fault in told if not fault.accepted),
            accepted=tuple(fault for fault in told if fault.accepted),
            broken=tuple(fault for fault in found if fault.outcome is Outcome.BROKEN),
            values=done,
            seconds=time.monotonic() - started,
            complete=complete,
            seed=seed,
        )

    def _accepted(self, fault: Fault) -> str:
        if fault.outcome is Outcome.BROKEN:
            return ""
        if fault.accepted:
            return f"the own round trip of {self.baseline} shows it too"
        if fault.name in self.accept:
            return "accepted by name"
        if fault.name in _STABILITY:
            return "" if fault.writer in self._stable else "the bytes need not be stable"
        return "the bytes need not be the same" if fault.outcome is Outcome.EQUAL and not self.same_bytes else ""
