"""Where two records differ: whether they exist, their values, and what the stores keep beside the values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import evolve

from shadowmig import given
from shadowmig.model import MISSING, Difference, Differences, Record, Ref, Undecodable
from shadowmig.protocols import Comparator

_EXACT: Final = ("type", "flags", "count")


def differences(*, control: Record, candidate: Record, compare: Comparator, tolerance: float) -> Differences:
    """
    Compare two records, each from either store.

    Args:
        control: Control's record; its ref is the one that the differences name.
        candidate: The candidate's.
        compare: Compares the values.
        tolerance: Seconds by which times to live may differ.

    Raises:
        CompareError: The comparator returned something that is not differences.
        Exception: Whatever the comparator raised.
    """
    ref = control.ref
    if not (control.exists and candidate.exists):
        return Differences(_existence(control, candidate))
    unreadable = isinstance(control.value, Undecodable), isinstance(candidate.value, Undecodable)
    if True in unreadable:
        values = Differences(_kinds(control, candidate) if False in unreadable else _bytes(control, candidate))
    else:
        values = given.differences(compare(control=control.value, candidate=candidate.value))
    beside = list(_beside(control, candidate, tolerance))
    if not values.found and not values.ignored and not beside:
        return values
    return Differences(
        [*_placed(values, ref), *beside],
        ignored=_placed(values.ignored, ref),
        truncated=values.truncated,
    )


def equal(*, control: Any, candidate: Any) -> tuple[Difference, ...]:
    """Compare by ``==`` and type: what is used where no comparator was given."""
    if type(control) is not type(candidate):
        return (Difference("$", "type", control, candidate),)
    return () if control == candidate else (Difference("$", "changed", control, candidate),)


def _existence(control: Record, candidate: Record) -> Iterator[Difference]:
    if control.exists:
        yield Difference("$", "missing", control.value, MISSING, ref=control.ref)
    elif candidate.exists:
        yield Difference("$", "unexpected", MISSING, candidate.value, ref=control.ref)


def _kinds(control: Record, candidate: Record) -> Iterator[Difference]:
    yield Difference("$", "type", control.value, candidate.value, note="One side's bytes cannot be read.")


def _bytes(control: Record, candidate: Record) -> Iterator[Difference]:
    # The values, not the bytes: nobody could redact those.
    known = control.raw is not None and candidate.raw is not None
    if control.raw != candidate.raw if known else control.value != candidate.value:
        yield Difference("$", "changed", control.value, candidate.value, note="Bytes that cannot be read differ.")


def _beside(control: Record, candidate: Record, tolerance: float) -> Iterator[Difference]:
    ours, theirs = control.meta, candidate.meta
    for name in _EXACT:
        if name in ours and name in theirs and ours[name] != theirs[name]:
            yield Difference(f"@{name}", "changed", ours[name], theirs[name], ref=control.ref)
    if "ttl" in ours and "ttl" in theirs and not _close(ours["ttl"], theirs["ttl"], tolerance):
        yield Difference("@ttl", "changed", ours["ttl"], theirs["ttl"], ref=control.ref)


def _close(left: float | None, right: float | None, tolerance: float) -> bool:
    if left is None or right is None:
        return left is right
    return abs(left - right) <= tolerance


def _placed(found: Iterable[Difference], ref: Ref) -> list[Difference]:
    return [evolve(difference, ref=ref) for difference in found]
