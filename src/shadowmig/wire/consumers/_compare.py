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
    found: list[Difference] = []
    ignored = list(_doubts(control, candidate))
    failure = _failure(control, candidate, errors)
    if failure is not None:
        found.append(failure)
    elif _passes_over(control) is not _passes_over(candidate):
        found.append(Difference("@skipped", "changed", _described(control), _described(candidate), note=_NOTE))
    else:
        parts = [_effects(control, candidate, compare, ordered=ordered)]
        if values:
            parts.append(_at("@value", differences(compare(control=control.value, candidate=candidate.value))))
        for part in parts:
            found += part.found
            ignored += part.ignored
    found += _refusals(control, candidate)
    return Differences(found, ignored=ignored)


_NOTE: Final = "one event was passed over in silence, or had no effect where the other one had"


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
    return None


def _passes_over(outcome: Outcome) -> bool:
    """Whether it was passed over; one without an effect may have been too, which shows beside one that had some."""
    return outcome.status == "skipped"


def _described(outcome: Outcome) -> str:
    return f"{outcome.status}, {len(outcome.effects)} effects"


def _effects(control: Outcome, candidate: Outcome, compare: Comparator, *, ordered: bool) -> Differences:
    if bool(control.effects) is not bool(candidate.effects):
        return Differences([Difference("@skipped", "changed", _described(control), _described(candidate), note=_NOTE)])
    left, right = _by_target(control.effects), _by_target(candidate.effects)
    if not ordered:
        left, right = _aligned(left, right, compare)
    return _at("@effects", differences(compare(control=_numbered(left, right), candidate=_numbered(right, left))))


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


def _aligned(left: Targets, right: Targets, compare: Comparator) -> tuple[Targets, Targets]:
    """Bring effects that are equal to the same place; the rest follows in its order."""
    for target in left.keys() & right.keys():
        rest, there = list(right[target]), []
        first: list[dict[str, Any]] = []
        last: list[dict[str, Any]] = []
        for effect in left[target]:
            found = next(
                (
                    number
                    for number, other in enumerate(rest)
                    if not differences(compare(control={target: [effect]}, candidate={target: [other]}))
                ),
                None,
            )
            if found is None:
                last.append(effect)
            else:
                first.append(effect)
                there.append(rest.pop(found))
        left[target], right[target] = first + last, there + rest
    return left, right


def _at(place: str, found: Differences) -> Differences:
    def moved(difference: Difference) -> Difference:
        return evolve(difference, path=place + difference.path.removeprefix("$"))

    return Differences(map(moved, found.found), ignored=map(moved, found.ignored), truncated=found.truncated)


def _refusals(control: Outcome, candidate: Outcome) -> Iterator[Difference]:
    left, right = [list(map(str, each.refused)) for each in (control, candidate)]
    if sorted(left) != sorted(right):
        yield Difference("@refused", "changed", left, right, note="the fence refused one of them something else")


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
