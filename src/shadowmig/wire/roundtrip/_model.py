"""What came of a round trip, as frozen values: outcomes, cells, faults and the report."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from shadowmig.model import MISSING


class Outcome(enum.Enum):
    """
    What came of one value in one cell.

    ``IDENTICAL``: read as it was written, and the reader's own writer, if there is one, gives the same bytes and flags.
    ``EQUAL``: read as it was written, from other bytes. ``DIFFERENT``: read as another value. ``SILENTLY_WRONG``: read
    without an error, but with a wrong type, less precision, or a field dropped or defaulted. ``UNDECODABLE``: the
    reader raised. ``MISS``: the reader takes the bytes for a miss. ``REFUSED``: the writer raised. ``BROKEN``: it could
    not be told.
    """

    IDENTICAL = "identical"
    EQUAL = "equal"
    DIFFERENT = "different"
    SILENTLY_WRONG = "silently wrong"
    UNDECODABLE = "undecodable"
    MISS = "miss"
    REFUSED = "refused"
    BROKEN = "broken"


JUDGED = frozenset(Outcome) - {Outcome.REFUSED, Outcome.BROKEN}
"""Outcomes that say what a reader made of bytes."""


@frozen
class Incompatibility:
    """
    A class of faults, by its name.

    Attributes:
        name: What went wrong, in a few words that never change.
        outcome: The outcome of a value that has it; ``None`` if whoever raised decides: writer or reader.
        meaning: The same in one sentence.
        cause: What usually causes it.
        remedy: What to do about it.
    """

    name: str
    outcome: Outcome | None
    meaning: str
    cause: str
    remedy: str


@frozen
class Cell:
    """
    One writer and one reader; or the way back, if there is a ``via``.

    Attributes:
        writer: Who wrote.
        reader: Who read; with a ``via``, the same as the writer.
        via: Who read in between and wrote back what it had read; empty if nobody did.
        counts: Values by outcome; every outcome has an entry.
    """

    writer: str
    reader: str
    via: str = ""
    counts: Mapping[Outcome, int] = field(factory=dict)

    @property
    def values(self) -> int:
        """Number of values."""
        return sum(self.counts.values())

    @property
    def judged(self) -> int:
        """Number of values of which it could be told what a reader made of them."""
        return sum(self.counts.get(outcome, 0) for outcome in JUDGED)

    def __str__(self) -> str:
        return place(self.writer, self.reader, self.via)


def place(writer: str, reader: str, via: str) -> str:
    """Name a cell, or a writer alone, for people."""
    return " -> ".join(name for name in (writer, via, reader) if name)


@frozen
class Fault:
    """
    One incompatibility in one cell, with the smallest value that shows it.

    Attributes:
        name: Its class; `CLASSES` has them all.
        outcome: What came of the value.
        writer: Who wrote.
        reader: Who read; empty if it concerns the writer alone.
        via: Who wrote back in between; empty if nobody did.
        path: Where in the value, as in a `Difference`.
        want: What was written there, in plain form; `MISSING` if nothing was, or it is not about one place.
        got: What was read there, likewise.
        value: The smallest value found that shows it, as it was given to the writer.
        data: The bytes of that value; ``None`` if there are none.
        flags: The flags written with them.
        error: What was raised: its class and text; empty if nothing was.
        count: Number of values that showed it.
        paths: Where it was seen, with indices, and keys that are no names, folded to ``[*]``; the first ten.
        own: Sides of this cell whose own round trip (written and read by the same) shows it for this value too.
        accepted: Why it does not count; empty if it does.
        shrunk: Whether the value can be made no smaller by the steps that were tried; ``False`` if time ran out, or it
            was not asked for.
        meaning: See `Incompatibility`.
        cause: The same.
        remedy: The same.
    """

    name: str
    outcome: Outcome
    writer: str
    reader: str = ""
    via: str = ""
    path: str = "$"
    want: Any = MISSING
    got: Any = MISSING
    value: Any = MISSING
    data: bytes | None = None
    flags: int = 0
    error: str = ""
    count: int = 1
    paths: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    accepted: str = ""
    shrunk: bool = False
    meaning: str = ""
    cause: str = ""
    remedy: str = ""

    @property
    def place(self) -> str:
        """The cell, or the writer, for people."""
        return place(self.writer, self.reader, self.via)


@frozen
class RoundTripReport:
    """
    What came of `RoundTrip.check`. ``str()`` of it is a table with the faults below.

    Attributes:
        cells: Writers times readers, and then the ways back.
        faults: Those that count, the most frequent first.
        accepted: Those that do not count, each with its reason.
        broken: What could not be told, and why: in the shape of faults, but nothing is said of the bytes.
        values: Number of values that were checked in every cell.
        seconds: How long it took.
        complete: Whether all values were checked; ``False`` if time ran out before.
        seed: What the values were drawn with.
    """

    cells: tuple[Cell, ...]
    faults: tuple[Fault, ...] = ()
    accepted: tuple[Fault, ...] = ()
    broken: tuple[Fault, ...] = ()
    values: int = 0
    seconds: float = 0.0
    complete: bool = True
    seed: int = 0

    @property
    def conclusive(self) -> bool:
        """Whether nothing was broken, and in each cell a reader was given at least one value."""
        return not self.broken and bool(self.cells) and all(cell.judged for cell in self.cells)

    @property
    def ok(self) -> bool:
        """Whether it could be told and there are no faults that count. It speaks of ``values`` values, however few."""
        return self.conclusive and not self.faults

    def to_json(self) -> dict[str, Any]:
        """Give the report as dicts, lists, texts and numbers; the reference has the keys."""
        from shadowmig.wire.roundtrip._json import jsonable

        return jsonable(self)

    def __str__(self) -> str:
        from shadowmig.wire.roundtrip._text import text

        return text(self)
