"""What the readers of a cache make of both sides' bytes: faults, the report, and counting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import Factory, evolve, frozen

from shadowmig.model import MISSING, Record, Ref
from shadowmig.wire.roundtrip._judge import Verdict
from shadowmig.wire.roundtrip._model import Cell, Outcome
from shadowmig.wire.roundtrip._shown import shown

MOST: Final = 100
"""Faults of which a report keeps the details."""

SIDES: Final = ("production", "sister")
READERS: Final = ("legacy", "new")

Pair: TypeAlias = tuple[Record, Record]
"""Production's record of a key and the sister's."""

Verdicts: TypeAlias = dict[tuple[str, str], Verdict]
"""What came of one key, by the side that wrote and the reader."""

_GOOD: Final = frozenset({Outcome.IDENTICAL, Outcome.EQUAL})
_BAD: Final = frozenset(Outcome) - _GOOD


@frozen
class CacheFault:
    """
    A key whose bytes somebody reads wrongly.

    Attributes:
        ref: The key.
        writer: Whose bytes they are: ``"production"`` or ``"sister"``.
        reader: Who reads them: ``"legacy"`` or ``"new"``.
        outcome: What comes of it.
        name: The class of the fault, as in `shadowmig.wire.roundtrip`; empty for an error.
        path: Where in the value.
        want: What the legacy reads there in production's bytes, in plain form.
        got: What was read there.
        error: What the reader raised.
        flags: Client flags of production's record and the sister's.
    """

    ref: Ref
    writer: str
    reader: str
    outcome: Outcome
    name: str = ""
    path: str = "$"
    want: Any = MISSING
    got: Any = MISSING
    error: str = ""
    flags: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        what = self.error or f"{self.path} {shown(self.want)} became {shown(self.got)}"
        flags = "" if self.flags[0] == self.flags[1] else f" (flags {self.flags[0]} became {self.flags[1]})"
        name = f" ({self.name})" if self.name and self.name != self.outcome.value else ""
        return f"{self.ref}: {self.reader} reads {self.writer}: {self.outcome.value}{name}: {what}{flags}"


@frozen
class CacheReport:
    """
    What both readers make of both sides' bytes.

    Attributes:
        cells: Four of them: production and sister, each read by the legacy and the new codec, with counts by outcome.
        faults: The first hundred.
        compared: Keys that were compared.
        raced: Keys of which the sides have other versions, or that changed while they were looked at; never compared.
        absent: Keys that a side does not have, by ``"production"``, ``"sister"`` or ``"both"``.
        other: Keys that hold no bytes: a hash, a list.
    """

    cells: tuple[Cell, ...]
    faults: tuple[CacheFault, ...] = ()
    compared: int = 0
    raced: int = 0
    absent: Mapping[str, int] = Factory(dict)
    other: int = 0

    @property
    def ok(self) -> bool:
        """Whether keys were compared, and both readers read the same value in all bytes."""
        return self.compared > 0 and all(cell.counts.get(each, 0) == 0 for cell in self.cells for each in _BAD)

    def __str__(self) -> str:
        seen = [outcome for outcome in Outcome if any(cell.counts.get(outcome) for cell in self.cells)]
        lines = [f"{self.compared} keys compared, {self.raced} raced, {self.other} without bytes"]
        lines += [f"absent from {side}: {count}" for side, count in self.absent.items()]
        lines.append("".join([f"{'':24}", *(f"{outcome.value:>16}" for outcome in seen)]))
        lines += [
            "".join([f"{cell!s:24}", *(f"{cell.counts.get(outcome, 0):16}" for outcome in seen)]) for cell in self.cells
        ]
        return "\n".join([*lines, *map(str, self.faults[:10])])

    def to_json(self) -> str:
        """Give the counts, and the faults without values, as JSON."""
        found = {"ok": self.ok, "compared": self.compared, "raced": self.raced, "other": self.other}
        cells = [
            {"writer": cell.writer, "reader": cell.reader}
            | {outcome.value: count for outcome, count in cell.counts.items()}
            for cell in self.cells
        ]
        faults = [
            {name: str(getattr(fault, name)) for name in ("ref", "writer", "reader", "name", "path")}
            | {"outcome": fault.outcome.value}
            for fault in self.faults
        ]
        return json.dumps(found | {"absent": dict(self.absent), "cells": cells, "faults": faults})


def is_fault(verdicts: Verdicts) -> bool:
    """Tell whether somebody reads a key wrongly."""
    return any(outcome in _BAD for outcome, _ in verdicts.values())


class Tally:
    """Counts while keys are judged."""

    def __init__(self) -> None:
        self.compared = self.raced = self.other = 0
        self._absent: Counter[str] = Counter()
        self._counts: dict[tuple[str, str], Counter[Outcome]] = {
            (side, reader): Counter() for side in SIDES for reader in READERS
        }
        self._faults: list[CacheFault] = []

    def has_bytes(self, pair: Pair) -> bool:
        """Tell whether both sides have bytes of a key, and count it if not."""
        gone = [side for side, record in zip(SIDES, pair, strict=True) if not record.exists]
        if gone:
            self._absent["both" if len(gone) == 2 else gone[0]] += 1
        elif any(record.raw is None for record in pair):
            self.other += 1
        else:
            return True
        return False

    def count(self, pair: Pair, verdicts: Verdicts) -> None:
        """Count what came of one key."""
        self.compared += 1
        flags = pair[0].meta.get("flags", 0), pair[1].meta.get("flags", 0)
        for place, (outcome, remarks) in verdicts.items():
            self._counts[place][outcome] += 1
            for each in remarks if outcome in _BAD else ():
                if len(self._faults) < MOST:
                    fault = CacheFault(pair[0].ref, *place, each.outcome, each.name, each.path, flags=flags)
                    self._faults.append(evolve(fault, want=each.want, got=each.got, error=each.error))

    def report(self) -> CacheReport:
        """Give what was counted."""
        cells = [Cell(*place, counts=dict.fromkeys(Outcome, 0) | counts) for place, counts in self._counts.items()]
        absent = dict(self._absent)
        return CacheReport(tuple(cells), tuple(self._faults), self.compared, self.raced, absent, self.other)
