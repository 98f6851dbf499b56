"""What a consumer made of many recorded events."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import Factory, frozen

from shadowmig.errors import ConfigError, RecordError
from shadowmig.model import Difference, Differences
from shadowmig.wire.consumers._compare import doubts
from shadowmig.wire.consumers._file import Pair, read
from shadowmig.wire.consumers._model import STATUSES, Outcome, said

MOST: Final = 100
"""Faults, and bad lines, of which a report keeps the details."""


_COUNTS: Final = ("pairs", "equal", "different", "ignored", "unproved", "bad")


@frozen
class Fault:
    """
    A pair that the consumer took differently.

    Attributes:
        number: Which pair it was, from 1.
        id: What the pair is called.
        differences: Where.
    """

    number: int
    id: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        name = f"{self.number} ({self.id})" if self.id else str(self.number)
        return f"pair {name}: {'; '.join(map(said, self.differences))}"


@frozen
class ConsumerReport:
    """
    What a consumer made of recorded pairs.

    Attributes:
        consumer: Its name.
        pairs: How many there were.
        equal: Those it took alike.
        different: Those it did not.
        ignored: Those it took alike but for what a rule of the comparator ignores.
        unproved: Those it took alike, which proves nothing: the fence refused both something, both hang, or work went
            on after the handler.
        production: Outcomes of production's events, by status.
        sister: Those of the sister's.
        paths: How many pairs differ at a path, by the path as far as the first ``[``.
        refused: What the fence refused, and how often.
        faults: The first hundred that differ.
        bad_lines: The first hundred lines of the file that are no pairs.
        bad: How many such lines there were.
    """

    consumer: str
    pairs: int = 0
    equal: int = 0
    different: int = 0
    ignored: int = 0
    unproved: int = 0
    production: Mapping[str, int] = Factory(dict)
    sister: Mapping[str, int] = Factory(dict)
    paths: Mapping[str, int] = Factory(dict)
    refused: Mapping[str, int] = Factory(dict)
    faults: tuple[Fault, ...] = ()
    bad_lines: tuple[RecordError, ...] = ()
    bad: int = 0

    @property
    def ok(self) -> bool:
        """Whether there were pairs, all of them were taken alike with proof, and every line could be read."""
        return self.pairs > 0 and not (self.different or self.unproved or self.bad)

    def __str__(self) -> str:
        lines = [
            f"{self.consumer}: {self.pairs} pairs, {self.equal} equal, {self.different} different, "
            f"{self.ignored} ignored, {self.unproved} unproved" + (f", {self.bad} bad lines" if self.bad else ""),
            f"  {'':12}{'production':>12}{'sister':>12}",
        ]
        lines += [
            f"  {status:12}{self.production.get(status, 0):12}{self.sister.get(status, 0):12}"
            for status in STATUSES
            if self.production.get(status) or self.sister.get(status)
        ]
        lines += [f"  {path} in {count} pair{'s' * (count != 1)}" for path, count in self.paths.items()]
        lines += [f"  refused {what}, {count} times" for what, count in self.refused.items()]
        lines += [f"  {fault}" for fault in self.faults[:10]]
        lines += [f"  {error}" for error in self.bad_lines[:10]]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Give the counts, and the faults with their paths and kinds but without values, as JSON."""
        counts = (*_COUNTS, "production", "sister", "paths", "refused")
        faults = [
            {
                "number": fault.number,
                "id": fault.id,
                "differences": [{"path": each.path, "kind": each.kind} for each in fault.differences],
            }
            for fault in self.faults
        ]
        found = {"consumer": self.consumer, "ok": self.ok} | {name: getattr(self, name) for name in counts}
        return json.dumps(found | {"faults": faults, "bad_lines": [str(error) for error in self.bad_lines]})


def replay(
    name: str,
    pairs: str | os.PathLike[str] | Iterable[Any],
    *,
    run: Callable[[bytes], Outcome],
    compare: Callable[[Outcome, Outcome], Differences],
) -> ConsumerReport:
    """Run and compare all pairs; see `Consumer.replay`."""
    counts: Counter[str] = Counter()
    statuses: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    paths: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    faults: list[Fault] = []
    bad_lines: list[RecordError] = []
    for pair in _given(pairs):
        if isinstance(pair, RecordError):
            counts["bad"] += 1
            bad_lines += [pair] if len(bad_lines) < MOST else []
            continue
        counts["pairs"] += 1
        outcomes = run(pair.production), run(pair.sister)
        for outcome, seen in zip(outcomes, statuses, strict=True):
            seen[outcome.status] += 1
            refused.update(map(str, outcome.refused))
        found = compare(*outcomes)
        verdict = "different" if found else "unproved" if doubts(found) else "ignored" if found.ignored else "equal"
        counts[verdict] += 1
        if found:
            paths.update({each.path.partition("[")[0].partition(".")[0] for each in found})
            faults += [Fault(counts["pairs"], pair.id, found.found)] if len(faults) < MOST else []
    return ConsumerReport(
        name,
        **{each: counts[each] for each in _COUNTS},
        production=dict(statuses[0]),
        sister=dict(statuses[1]),
        paths=dict(paths),
        refused=dict(refused),
        faults=tuple(faults),
        bad_lines=tuple(bad_lines),
    )


def _given(pairs: str | os.PathLike[str] | Iterable[Any]) -> Iterator[Pair | RecordError]:
    if isinstance(pairs, str | os.PathLike):
        yield from read(pairs)
        return
    for pair in pairs:
        if isinstance(pair, Pair):
            yield pair
        elif isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(each, bytes) for each in pair):
            yield Pair(*pair)
        else:
            raise ConfigError(
                f"pairs holds a {type(pair).__name__}.",
                remedy="Give Pair(production, sister), or tuples of two bytes.",
                field="pairs",
            )
