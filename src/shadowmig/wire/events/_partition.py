"""One partition as it is kept: how far it has come, what was counted in it, and what waits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from shadowmig.errors import StoreError
from shadowmig.wire.events._matched import Blind
from shadowmig.wire.events._state import FORMAT, dumps, mark_of
from shadowmig.wire.events.event import Place
from shadowmig.wire.events.report import Where

SIDES: Final[tuple[Where, Where]] = ("production", "sister")

Positions = dict[Where, Place]


@define(eq=False)
class Partition:
    """
    One partition, as it was loaded.

    Attributes:
        number: Its number.
        token: Of its lease.
        positions: Up to which place the entries of each stream are judged.
        trail: Earlier positions, each with the time when it was noted: from the first one on, entries are read again
            to be remembered.
        as_of: The time up to which all is judged, by production's clock.
        counts: What was counted here.
        lags: Lags by their bucket.
        longest: The longest lag, in seconds.
        blinds: Times of which entries may be lost.
        waiting: The events that wait, by name, as they were saved.
        kept: The mark of the checkpoint that was kept last; see `Commit`.
    """

    number: int
    token: str
    positions: Positions
    trail: list[tuple[float, Positions]]
    as_of: float | None = None
    counts: Counter[str] = field(factory=Counter)
    lags: dict[int, int] = field(factory=dict)
    longest: float = 0.0
    blinds: list[Blind] = field(factory=list)
    waiting: dict[str, Any] = field(factory=dict)
    kept: str = ""

    @classmethod
    def load(
        cls, number: int, token: str, checkpoint: str | None, waiting: Mapping[str, str], begin: Positions
    ) -> Partition:
        """Read what was committed; without that, begin."""
        if checkpoint is None:
            return cls(number, token, dict(begin), [(0.0, dict(begin))])
        told = read(checkpoint)
        return cls(
            number,
            token,
            {side: tuple(told[side]) for side in SIDES},
            [(at, {side: tuple(mark[side]) for side in SIDES}) for at, mark in told["trail"]],
            told["as_of"],
            Counter(told["counts"]),
            {int(bucket): count for bucket, count in told["lags"].items()},
            told["longest"],
            [Blind(*each) for each in told["blinds"]],
            {name: json.loads(text) for name, text in waiting.items()},
            mark_of(checkpoint),
        )

    def places(self, where: Where) -> list[Place]:
        """Tell which entries of a stream wait."""
        return [tuple(each[0]) for name, each in self.waiting.items() if name[0] == where[0]]

    def checkpoint(self, open_: int, waiting: int) -> str:
        """Write it down."""
        return dumps(
            {
                "format": FORMAT,
                **self.positions,
                "trail": self.trail,
                "as_of": self.as_of,
                "counts": self.counts,
                "open": open_,
                "waiting": waiting,
                "lags": self.lags,
                "longest": self.longest,
                "blinds": [[each.where, each.begin, each.end, each.why] for each in self.blinds],
            }
        )


def read(checkpoint: str) -> dict[str, Any]:
    """
    Read a checkpoint.

    Raises:
        StoreError: It was written by another version of this package.
    """
    told: dict[str, Any] = json.loads(checkpoint)
    if told.get("format") != FORMAT:
        raise StoreError(
            f"The state of matching has format {told.get('format')!r}, not {FORMAT}.",
            remedy="Give the stream another name, or remove its keys.",
        )
    return told
