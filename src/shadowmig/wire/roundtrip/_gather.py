"""
What was found over all values: counts by cell and outcome, and faults by cell and class with their smallest values.

A fault is known by its cell, by its group and by whether the baseline has it too. Errors are named last, when the
smallest value that raises them is known; those that then have one name become one fault.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs
from attrs import Factory, define

from shadowmig.wire.roundtrip._classes import CLASSES
from shadowmig.wire.roundtrip._errors import name_error
from shadowmig.wire.roundtrip._judge import Remark
from shadowmig.wire.roundtrip._matrix import Key, Row
from shadowmig.wire.roundtrip._model import Cell, Fault, Outcome
from shadowmig.wire.roundtrip._shrink import Shrinker
from shadowmig.wire.roundtrip._sides import Failed

_GROUPS: Final = 60
"""Groups of one cell that are told apart; further errors are counted together."""

_PATHS: Final = 10
_BATCH: Final = 2_000
"""Candidates that are tried at once."""

_KEYS = re.compile(r"\[-?[0-9]+\]|\['(?:[^'\\]|\\.)*'\]")

Mark: TypeAlias = tuple[Key, str, bool]
"""Cell, group, and whether it is known: the baseline's own round trip shows it too, or no writer writes the value."""


@define
class Bucket:
    """The values that have one fault: how many, and the smallest."""

    key: Key
    remark: Remark
    row: Row
    known: bool
    groups: frozenset[Mark] = frozenset()
    size: int = 0
    count: int = 0
    paths: list[str] = Factory(list)
    shrunk: bool = False

    @property
    def mark(self) -> Mark:
        """What it is known by."""
        return self.key, self.remark.group, self.known


class Gather:
    """
    Takes rows and keeps counts and faults.

    Args:
        cells: All cells.
        baseline: The side whose own faults are known; empty for none.
    """

    def __init__(self, cells: Iterable[Key], baseline: str) -> None:
        self.counts: dict[Key, dict[Outcome, int]] = {key: dict.fromkeys(Outcome, 0) for key in cells}
        self.buckets: dict[Mark, Bucket] = {}
        self._baseline = baseline
        self._groups: dict[Key, int] = {}

    def add(self, row: Row) -> None:
        """Count what came of one value."""
        noted = bool(row.notes)
        for key, (outcome, remarks) in row.verdicts.items():
            self.counts[key][outcome] += 1
            noted = noted or bool(remarks)
        if not noted:
            return
        marks = marks_of(row, self._baseline)
        for mark, remark in marks.items():
            self._count(mark, remark, row, frozenset(marks))

    def _count(self, mark: Mark, remark: Remark, row: Row, groups: frozenset[Mark]) -> None:
        bucket = self.buckets.get(mark)
        size = _size(row)
        if bucket is None:
            key = mark[0]
            if self._groups.get(key, 0) >= _GROUPS and not remark.name:
                mark = (key, f"{remark.outcome.value}: others", mark[2])
                bucket = self.buckets.get(mark)
            if bucket is None:
                self._groups[key] = self._groups.get(key, 0) + 1
                bucket = self.buckets[mark] = Bucket(key, remark, row, mark[2], groups, size)
        elif size < bucket.size:
            bucket.remark, bucket.row, bucket.size, bucket.groups = remark, row, size, groups
        bucket.count += 1
        path = _KEYS.sub("[*]", remark.path)[:200]
        if path not in bucket.paths and len(bucket.paths) < _PATHS:
            bucket.paths.append(path)

    @property
    def faulty(self) -> bool:
        """Whether there is anything of which the smallest value matters."""
        return any(_matters(bucket) for bucket in self.buckets.values())

    def cells(self) -> tuple[Cell, ...]:
        """Give the cells with their counts."""
        return tuple(Cell(*key, counts) for key, counts in self.counts.items())

    def shrink(self, run: Callable[[list[Any], Key], list[Row]], until: float) -> None:
        """
        Make the value of each fault as small as it can be, all in turns.

        Args:
            run: Gives the rows of values, with what concerns one cell in them.
            until: Monotonic time at which to stop.
        """
        # Those that count go first, but all of them get their turn.
        work = [
            (bucket, Shrinker(bucket.row.value, bucket.remark.path))
            for bucket in sorted(
                self.buckets.values(), key=lambda each: (each.remark.outcome is Outcome.EQUAL, each.known)
            )
            if bucket.remark.outcome is not Outcome.BROKEN and bucket.mark in self.buckets
        ]
        while work and time.monotonic() < until:
            for key in dict.fromkeys(bucket.key for bucket, _ in work):
                mine = [pair for pair in work if pair[0].key == key]
                for some in _batches(mine, until):
                    self._round(run, key, some)
                if time.monotonic() >= until:
                    return
            for bucket, shrinker in work:
                bucket.shrunk = shrinker.done and not shrinker.gave_up
            work = [pair for pair in work if not pair[1].done]

    def _round(
        self, run: Callable[[list[Any], Key], list[Row]], key: Key, some: list[tuple[Bucket, Shrinker, list[Any]]]
    ) -> None:
        rows = run([value for _, _, values in some for value in values], key)
        at = 0
        for bucket, shrinker, values in some:
            mine = rows[at : at + len(values)]
            at += len(values)
            marks = [marks_of(row, self._baseline) for row in mine]
            # A value that shows something else besides is no smaller form of this one: a field that was required
            # is not there, or a text became too short to be valid.
            taken = shrinker.learn(
                [bucket.mark in each and bucket.groups.issuperset(_wrong(each, key)) for each in marks]
            )
            if taken is not None:
                bucket.remark, bucket.row = marks[taken][bucket.mark], mine[taken]

    def faults(self) -> list[Fault]:
        """Give all that was found, the most frequent first."""
        found: dict[tuple[Key, str, bool], Fault] = {}
        for bucket in self.buckets.values():
            fault = _fault(bucket)
            mark = (bucket.key, fault.name, bucket.known)
            other = found.get(mark)
            if other is not None:
                small, large = sorted((fault, other), key=lambda each: len(each.data or b""))
                paths = tuple(dict.fromkeys((*small.paths, *large.paths)))[:_PATHS]
                fault = attrs.evolve(small, count=small.count + large.count, paths=paths)
            found[mark] = fault
        return sorted(found.values(), key=lambda each: (-each.count, each.name, each.place))


def _matters(bucket: Bucket) -> bool:
    return not bucket.known and bucket.remark.outcome not in (Outcome.EQUAL, Outcome.BROKEN)


def marks_of(row: Row, baseline: str) -> dict[Mark, Remark]:
    """Give what is wrong with a value, by what it is known by; of several at different places the first."""
    found: dict[Mark, Remark] = {}
    for key, remark in row.remarks():
        known = bool(baseline) and (
            key in {(baseline, baseline, ""), (baseline, "", "")} or row.in_own(baseline, remark)
        )
        known = known or (remark.outcome is Outcome.REFUSED and not row.wrote)
        found.setdefault((key, remark.group, known), remark)
    return found


def _wrong(marks: Mapping[Mark, Remark], key: Key) -> Iterator[Mark]:
    """Give what is wrong in one cell, but for bytes."""
    return (mark for mark, remark in marks.items() if mark[0] == key and remark.outcome is not Outcome.EQUAL)


def _size(row: Row) -> int:
    """Give how large a value is, as its writers see it: cheap, and good enough to begin with."""
    return min((len(item[0]) for item in row.written.values() if not isinstance(item, Failed)), default=0)


def _batches(mine: list[tuple[Bucket, Shrinker]], until: float) -> Iterator[list[tuple[Bucket, Shrinker, list[Any]]]]:
    """Put the candidates of several faults together, up to a number."""
    some: list[tuple[Bucket, Shrinker, list[Any]]] = []
    for bucket, shrinker in mine:
        values = shrinker.propose(until)
        if values:
            some.append((bucket, shrinker, values))
        if sum(len(each[2]) for each in some) > _BATCH:
            yield some
            some = []
    if some:
        yield some


def _fault(bucket: Bucket) -> Fault:
    remark, row = bucket.remark, bucket.row
    writer, reader, via = bucket.key
    name = remark.name
    if not name:
        fallback = "unwritable" if remark.outcome is Outcome.REFUSED else "unreadable"
        name = name_error(remark.error, row.want, fallback=fallback)
    item = row.written.get(writer)
    data, flags = item if isinstance(item, tuple) else (None, 0)
    sides = dict.fromkeys(side for side in (writer, reader, via) if side)
    known = CLASSES[name]
    return Fault(
        name=name,
        outcome=remark.outcome,
        writer=writer,
        reader=reader,
        via=via,
        path=remark.path,
        want=remark.want,
        got=remark.got,
        value=row.value,
        data=data,
        flags=flags,
        error=remark.error,
        count=bucket.count,
        paths=tuple(bucket.paths),
        own=tuple(side for side in sides if (side, side, "") != bucket.key and row.in_own(side, remark)),
        accepted="known" if bucket.known else "",
        shrunk=bucket.shrunk,
        meaning=known.meaning,
        cause=known.cause,
        remedy=known.remedy,
    )
