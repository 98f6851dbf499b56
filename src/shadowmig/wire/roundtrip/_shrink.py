"""
The smallest value that shows the same: by trying many smaller ones at once, and going on from the smallest that does.

A `Shrinker` proposes candidates and is told which of them still show the fault. Nobody is asked in between, so that
those of many faults can be tried in one batch. It never goes back to a larger value, so it ends; and it may be
stopped at any time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from attrs import define, field

from shadowmig.compare.paths import Index, Key, Name, parse
from shadowmig.errors import ConfigError
from shadowmig.wire.roundtrip._edits import (
    DROP,
    Path,
    Rename,
    Without,
    cost,
    default,
    edited,
    is_model,
    is_single,
    part,
    parts,
    places,
)
from shadowmig.wire.roundtrip._simpler import Cost, simpler, zero

_MOST: Final = 160
"""Candidates of one round."""

_ROOM: Final = 2_000_000
"""Nodes and characters of all of them, beyond twice those of the value."""

_ROUNDS: Final = 400

_TAIL: Final = 16
"""Members above which it is tried first how many of the last can be left out."""

_LEVELS: Final = 10_000

_NONE: Final = object()

Edits = dict[Path, Any]


@define
class Shrinker:
    """
    The way from one value to the smallest.

    Args:
        value: The smallest value known to show the fault; later, the smallest so far.
        path: Where the fault is, as a `Difference` says it.
    """

    value: Any
    path: str
    rounds: int = 0
    done: bool = False
    _cost: Cost | None = None
    _stage: int = 0
    _moved: bool = False
    _proposed: list[tuple[Edits, Any, Cost]] = field(factory=list)
    _merge: list[Edits] = field(factory=list)
    _edits: Iterator[Edits] | None = None

    @property
    def gave_up(self) -> bool:
        """Whether it ended because of the number of rounds."""
        return self.rounds >= _ROUNDS

    def propose(self, until: float = math.inf) -> list[Any]:
        """Give smaller values to try; none when it is done, or at the monotonic time ``until``."""
        while not self.done:
            self._cost = self._cost or cost(self.value)
            self.rounds += 1
            if self._edits is None:
                self._edits = _merged(self._merge) if self._merge else _STAGES[self._stage](self.value, self.path)
            self._proposed = self._smaller(self._edits, until)
            if self._proposed:
                return [value for _, value, _ in self._proposed]
            if time.monotonic() > until:
                return []
            self._next()
        return []

    def learn(self, shown: Sequence[bool]) -> int | None:
        """
        Take the smallest candidate that shows the fault.

        Args:
            shown: Whether each of the proposed values does.

        Returns:
            The index of the one that was taken; ``None`` if none does.
        """
        good = [index for index, each in enumerate(shown) if each]
        if not good:
            self.done = self.rounds >= _ROUNDS
            return None
        best = min(good, key=lambda index: self._proposed[index][2])
        edits, value, price = self._proposed[best]
        # What helped by itself is tried together next, on top of the best.
        others = [self._proposed[index][0] for index in sorted(good, key=lambda index: self._proposed[index][2])]
        self._merge = [each for each in others if each is not edits and _apart(each, edits)] if () not in edits else []
        if any(new is DROP or isinstance(new, Rename | Without) for new in edits.values()):
            self._merge = []  # the others may be at other indices now
        self.value, self._cost, self._moved, self._edits = value, price, True, None
        self.done = self.rounds >= _ROUNDS
        return best

    def _next(self) -> None:
        """Go on with the next kind of changes; after the last, begin again if anything came of them."""
        self._edits = None
        if self._merge:
            self._merge = []
        elif self._stage + 1 < len(_STAGES):
            self._stage += 1
        else:
            self._stage, self.done, self._moved = 0, not self._moved, False

    def _smaller(self, edits: Iterator[Edits], until: float) -> list[tuple[Edits, Any, Cost]]:
        found: list[tuple[Edits, Any, Cost]] = []
        assert self._cost is not None
        room = _ROOM + 2 * sum(self._cost[:2])
        for each in edits:
            if time.monotonic() > until:
                break
            try:
                value = edited(self.value, each)
                price = cost(value)
            except Exception:  # noqa: BLE001, S112 - a model refuses what it is given; then it is no candidate
                continue
            if price < self._cost:
                found.append((each, value, price))
                room -= price[0] + price[1]
                if len(found) >= _MOST or room < 0:
                    break
        return found


def _apart(one: Edits, other: Edits) -> bool:
    """Whether no place of one lies within a place of the other."""
    return all(a[: len(b)] != b and b[: len(a)] != a for a in one for b in other)


def _merged(several: list[Edits]) -> Iterator[Edits]:
    """Give as many edits as go together, then half of them, and so on."""
    chosen: list[Edits] = []
    for each in several:
        if all(_apart(each, other) for other in chosen):
            chosen.append(each)
    while chosen:
        yield {path: new for each in chosen for path, new in each.items()}
        if len(chosen) == 1:
            return
        half = len(chosen) // 2
        yield {path: new for each in chosen[half:] for path, new in each.items()}
        chosen = chosen[:half]


def _isolate(value: Any, path: str) -> Iterator[Edits]:
    """Drop or reset all that is not on the way to the fault."""
    way = _way(value, path)
    for depth in (len(way), *range(1, len(way))):
        for drop in (True, False):
            edits: Edits = {}
            node = value
            for level, key in enumerate(way[:depth]):
                keep = not drop or is_model(type(node))
                for other, each in parts(node):
                    if other != key:
                        edits[(*way[:level], other)] = _reset(node, other, each) if keep else DROP
                node = part(node, key)
            yield edits


def _way(value: Any, path: str) -> Path:
    try:
        segments = parse(path, option="path").segments
    except ConfigError:
        return ()
    way: list[Any] = []
    for segment in segments[:50]:
        key = {Name: "name", Index: "index", Key: "value"}.get(type(segment))
        inner = dict(parts(value))
        name = getattr(segment, key) if key else _NONE
        if name not in inner:
            break
        way.append(name)
        value = inner[name]
    return tuple(way)


def _reset(node: Any, key: Any, each: Any) -> Any:
    if is_model(type(node)):
        given = default(node, key)
        if given is not DROP:
            return given
    return zero(each)


def _dig(value: Any, path: str) -> Iterator[Edits]:
    """Put in its place what lies deeper, and is of the same kind: at first by as many levels as may be."""
    chain = [value]
    while len(chain) < _LEVELS and (inner := parts(chain[-1], 1)):
        chain.append(inner[0][1])
    length = len(chain)
    steps = {step for shift in range(length.bit_length()) for step in (length >> shift, length - (length >> shift))}
    for step in sorted(steps, reverse=True):
        if 0 < step < length and type(chain[step]) is type(value):
            yield {(): chain[step]}


def _hoist(value: Any, path: str) -> Iterator[Edits]:
    """Put a part in place of what holds it."""
    for at, node in places(value):
        for key, each in parts(node, _MOST):
            if type(each) is type(node) and not (at and is_single(each)):
                yield {at: each}
            # What a field of a model may be, its class says; a member of a dict may be anything.
            fixed = type(each) if is_model(type(node)) else object
            yield from ({(*at, key): deeper} for _, deeper in parts(each, 8) if isinstance(deeper, fixed))


def _prune(value: Any, path: str) -> Iterator[Edits]:
    """Drop members, the largest groups of them first, and reset fields."""
    for drop in (True, False):
        for at, node in places(value):
            yield from _groups(at, node, drop=drop)
    yield from ({at: zero(node)} for at, node in places(value) if at and not is_single(node))


def _groups(at: Path, node: Any, *, drop: bool) -> Iterator[Edits]:
    if is_model(type(node)):
        if drop:
            return
    elif type(node) not in (dict, list, tuple):
        return
    size = length = len(node) if type(node) in (dict, list, tuple) else len(parts(node))
    if drop and length > _TAIL:
        yield from ({at: Without(length - (length >> shift), length)} for shift in range(1, length.bit_length()))
    while size:
        for start in range(0, length, size):
            if drop:
                yield {at: Without(start, start + size)}
            elif length <= _MOST:
                group = parts(node)[start : start + size]
                yield {(*at, key): _reset(node, key, each) for key, each in group}
                yield {(*at, key): zero(each) for key, each in group}
        size //= 2


def _leaves(value: Any, path: str) -> Iterator[Edits]:
    """Put something simpler in place of each single value, taking turns among them."""
    ways = [_simpler_at(at, node) for at, node in places(value) if is_single(node)]
    for turn in zip_longest(*ways):
        yield from (each for each in turn if each is not None)


def _simpler_at(at: Path, node: Any) -> Iterator[Edits]:
    return ({at: new} for new in simpler(node))


def _names(value: Any, path: str) -> Iterator[Edits]:
    """Give keys that are no plain names something simpler."""
    for at, node in places(value):
        if type(node) is dict:
            for key in list(node)[:20]:
                if type(key) is not str or not key.isascii() or not key.isidentifier() or len(key) > 40:
                    yield from ({(*at, key): Rename(new)} for new in list(simpler(key))[:40] if new != key)


_STAGES: Final = (_isolate, _dig, _hoist, _prune, _leaves, _names)
