"""Which of the deletions that events tell of were made, if the row is there: what leaves the fewest faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from attrs import evolve, frozen

from shadowmig.wire.events.completeness._entity import Entity, Sign

_MOST: Final = 4
"""With more deletions than this, all of them were made or none."""

_FAR: Final = 100_000


@frozen
class Guess:
    """
    How an entity came to be as it is.

    Attributes:
        made: The deletions that were made.
        on: Whether versions went on after the last of them instead of beginning anew.
        faults: How many faults would be told.
    """

    made: tuple[Sign, ...] = ()
    on: bool = False
    faults: int = 0


def guess(entity: Entity, due: Sequence[Sign], version: int, *, first: int, step: int) -> Guess:
    """
    Explain a row that is there although events tell of deletions.

    Args:
        entity: As it is known so far.
        due: Those events.
        version: Of the row now.
        first: The version of a new row.
        step: What a change adds to it.
    """
    # A row that was created anew and came so far has many events; without the first of them it is not thought of.
    anew = version < first + _FAR
    guesses = [Guess(made) for made in _subsets(due)] if anew else []
    guesses += [Guess((sign,), on=True) for sign in due if entity.row < sign.version < version]
    # Of equals the first is taken: a deletion is doubted first, unless the row's creation was told of again.
    guesses.insert(len(guesses) if first in entity.updates() else 0, Guess())
    told = [evolve(each, faults=_faults(entity, each, due, version, first, step)) for each in guesses]
    return min(told, key=lambda each: each.faults)


def _subsets(due: Sequence[Sign]) -> Iterator[tuple[Sign, ...]]:
    yield tuple(due)
    if len(due) <= _MOST:
        for number in range(len(due) - 1, 0, -1):
            yield from combinations(due, number)


def _faults(entity: Entity, tried: Guess, due: Sequence[Sign], version: int, first: int, step: int) -> int:
    """Count the faults that would be told."""
    ends = lives(entity, tried, version, first=first, step=step)
    have = entity.updates()
    needed = 0
    for after, upto in ends:
        for each in range(after + step, upto + 1, step):
            if have.get(each):
                have[each].pop()
            else:
                needed += 1
    left = sum(not sign.early for signs in have.values() for sign in signs)
    return needed + left + sum(not sign.early for sign in unmade(tried, due))


def unmade(tried: Guess, due: Sequence[Sign]) -> list[Sign]:
    """List the deletions that were not made; of two that are told of alike, one may be."""
    left = list(due)
    for sign in tried.made:
        left.remove(sign)
    return left


def lives(entity: Entity, tried: Guess, version: int, *, first: int, step: int) -> list[tuple[int, int]]:
    """Give what each life adds: the updates after a version, up to another one."""
    if not tried.made:
        return [(entity.row, version)]
    # The life that is known ends with the first deletion that lies above it.
    own = next((sign for sign in tried.made if sign.version > entity.row), None)
    ends = [(first - step, sign.version - step) for sign in tried.made if sign is not own]
    if own is None:
        return [*ends, (entity.row, version)]
    return [(entity.row, own.version - step), *ends, (own.version if tried.on else first - step, version)]
