"""Where two outcomes of one consumer differ: of production's event (control) and of the sister's (candidate)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

from attrs import evolve

from shadowmig.given import differences
from shadowmig.model import MISSING, Difference, Differences, Raised
from shadowmig.protocols import Comparator
from shadowmig.wire.consumers._model import Outcome
from shadowmig.wire.effects._check import Effect

Errors = Literal["message", "type", "any"]

ALIKE: Final[dict[str, Callable[[Raised | None], object]]] = {
    "message": lambda raised: raised and (raised.type, raised.message),
    "type": lambda raised: raised and raised.type,
    "any": lambda raised: True,
}

_FAILURES: Final = {"undecodable": "@decode", "raised": "@raised"}


def of(
    control: Outcome, candidate: Outcome, *, compare: Comparator, ordered: bool, values: bool, errors: Errors
) -> Differences:
    """
    Compare two outcomes.

    Args:
        control: What became of production's event.
        candidate: What became of the sister's.
        compare: Compares effects as plain data, and values.
        ordered: Whether effects on one target must come in the same order.
        values: Whether to compare what handle returned.
        errors: What must be the same for two errors to be alike.

    Returns:
        The differences. Ignored ones say why a pair that shows no difference proves nothing.

    Raises:
        Exception: Whatever the comparator raised.
    """
    doubts = list(_doubts(control, candidate))
    failure = _failure(control, candidate, errors)
    if failure is None and control.status == "hung":
        return Differences((), ignored=doubts)  # what two that hang have done until then is a matter of time
    if failure is None:
        parts = [_effects(control, candidate, compare, ordered=ordered)]
        if values:
            parts.append(_at("@value", differences(compare(control=control.value, candidate=candidate.value))))
    else:
        parts = [Differences([failure])]
    parts.append(_refusals(control, candidate))
    return Differences(
        [each for part in parts for each in part.found],
        ignored=[*doubts, *(each for part in parts for each in part.ignored)],
        truncated=any(part.truncated for part in parts),
    )


def _failure(control: Outcome, candidate: Outcome, errors: Errors) -> Difference | None:
    if control.status == candidate.status:
        path = _FAILURES.get(control.status)
        alike = ALIKE[errors](control.error) == ALIKE[errors](candidate.error)
        return None if path is None or alike else Difference(path, "raised", control.error, candidate.error)
    # The earlier a side failed, the more it says.
    for status, path in _FAILURES.items():
        if status in (control.status, candidate.status):
            note = "a poison pill" if path == "@decode" else ""
            return Difference(path, "raised", control.error or MISSING, candidate.error or MISSING, note=note)
    if "hung" in (control.status, candidate.status):
        return Difference("@hung", "deadline", control.status, candidate.status)
    return _skipped(control, candidate)


def _skipped(control: Outcome, candidate: Outcome) -> Difference:
    note = "one event was passed over in silence, or had no effect where the other one had"
    left, right = (f"{each.status}, {len(each.effects)} effects" for each in (control, candidate))
    return Difference("@skipped", "changed", left, right, note=note)


def _effects(control: Outcome, candidate: Outcome, compare: Comparator, *, ordered: bool) -> Differences:
    left, right = _by_target(control.effects), _by_target(candidate.effects)
    doubt = _unfinished(control, candidate)
    if bool(left) is not bool(right):
        return _doubted(Differences([_skipped(control, candidate)]), doubt)
    if not ordered and not _align(left, right, compare):
        doubt = doubt or "too many"
    found = differences(compare(control=_numbered(left, right), candidate=_numbered(right, left)))
    return _doubted(_at("@effects", found), doubt)


def _unfinished(control: Outcome, candidate: Outcome) -> str | None:
    return "unfinished" if control.unfinished or candidate.unfinished else None


def _doubted(found: Differences, doubt: str | None) -> Differences:
    """Take differences for ignored ones if not all was there to be compared."""
    if doubt is None:
        return found
    return Differences((), ignored=[*(evolve(each, rule=doubt) for each in found.found), *found.ignored])


Targets = dict[str, list[dict[str, Any]]]


def _by_target(effects: Sequence[Effect]) -> Targets:
    """Between targets there is no order: a mail and a write to a cache may change places."""
    found: Targets = {}
    for effect in effects:
        found.setdefault(effect.target, []).append(effect.plain())
    return found


def _numbered(targets: Targets, other: Targets) -> dict[str, Any]:
    """Give effects of which there are more on one side by their numbers, so that the one too many shows."""
    return {
        target: effects if len(other.get(target, effects)) == len(effects) else dict(enumerate(effects))
        for target, effects in targets.items()
    }


COMPARISONS: Final = 10_000
"""Most pairs of effects that are compared to bring them into one order."""


def _align(left: Targets, right: Targets, compare: Comparator) -> bool:
    """Bring effects that are equal to the same place; the rest follows in its order. Tells whether all were tried."""
    tries = COMPARISONS
    for target in left.keys() & right.keys():
        first, last, there = _same_text(left[target], right[target])
        matched, rest = list(first), []
        for effect in last:
            for number, other in enumerate(there):
                tries -= 1
                if tries < 0:
                    return False
                if not differences(compare(control={target: [effect]}, candidate={target: [other]})):
                    first.append(effect)
                    matched.append(there.pop(number))
                    break
            else:
                rest.append(effect)
        left[target], right[target] = first + rest, matched + there
    return True


Listed = list[dict[str, Any]]


def _same_text(left: Listed, right: Listed) -> tuple[Listed, Listed, Listed]:
    """Give effects that look the same on both sides, which is soon seen, and those of each side that do not."""
    places: dict[str, list[int]] = {}
    for number, effect in enumerate(right):
        places.setdefault(repr(effect), []).append(number)
    same: Listed = []
    rest: Listed = []
    for effect in left:
        numbers = places.get(repr(effect), [])
        (same if numbers else rest).append(effect)
        del numbers[-1:]
    left_there = sorted(number for numbers in places.values() for number in numbers)
    return same, rest, [right[number] for number in left_there]


def _at(place: str, found: Differences) -> Differences:
    def moved(difference: Difference) -> Difference:
        return evolve(difference, path=place + difference.path.removeprefix("$"))

    return Differences(map(moved, found.found), ignored=map(moved, found.ignored), truncated=found.truncated)


def _refusals(control: Outcome, candidate: Outcome) -> Differences:
    left, right = [list(map(str, each.refused)) for each in (control, candidate)]
    if sorted(left) == sorted(right):
        return Differences(())
    note = "the fence refused one of them something else"
    return _doubted(
        Differences([Difference("@refused", "changed", left, right, note=note)]), _unfinished(control, candidate)
    )


def doubts(found: Differences) -> list[Difference]:
    """Give what takes the proof out of two outcomes that are alike; the rest is ignored by the user's own rules."""
    return [each for each in found.ignored if each.rule in _DOUBTS]


_DOUBTS: Final = frozenset({"fence", "deadline", "unfinished", "too many"})


def _doubts(control: Outcome, candidate: Outcome) -> Iterator[Difference]:
    """Say what takes the proof out of two outcomes that are alike."""
    for refused in sorted(set(map(str, control.refused)) & set(map(str, candidate.refused))):
        note = "wrap what does it with Effects, or allow the address"
        yield Difference("@refused", "changed", refused, refused, rule="fence", note=note)
    if control.status == candidate.status == "hung":
        yield Difference("@hung", "deadline", "hung", "hung", rule="deadline", note="nobody knows what they would do")
    if control.unfinished or candidate.unfinished:
        note = "work went on after the handler"
        yield Difference(
            "@unfinished", "changed", control.unfinished, candidate.unfinished, rule="unfinished", note=note
        )
    if control.more or candidate.more:
        yield Difference("@more", "changed", control.more, candidate.more, rule="too many", note="effects not compared")
