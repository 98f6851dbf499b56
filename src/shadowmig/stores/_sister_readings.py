"""From what the two stores answered to readings whose records and changes are named and shaped as production's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from shadowmig.errors import StoreError
from shadowmig.model import Change, Reading, Record, Ref
from shadowmig.stores._sister_refs import Refs
from shadowmig.stores._sister_translation import Translation


def of_production(refs: Sequence[Ref], reading: Reading, *, owner: Refs, translation: Translation) -> Reading:
    """
    Name and shape what production answered.

    Args:
        refs: What was asked for.
        reading: What the store answered.
        owner: The sister store.
        translation: To the common form.

    Raises:
        StoreError: The store gave another number of records, or the translation failed.
    """
    records = _answered(refs, reading, owner.name)
    if translation.production is not None:
        records = [translation.from_production(record) for record in records]
    if not reading.changed:
        return Reading(tuple(records), reading.mark)
    changed = (evolve(change, ref=owner.named(change.ref)) for change in reading.changed)
    return Reading(tuple(records), reading.mark, tuple(changed))


def of_sister(
    refs: Sequence[Ref], places: Sequence[Ref], reading: Reading, *, owner: Refs, translation: Translation
) -> Reading:
    """
    Name and shape what the sister answered.

    Args:
        refs: What was asked for.
        places: Where in the sister each of them lies.
        reading: What the store answered.
        owner: The sister store.
        translation: To the common form.

    Raises:
        StoreError: The store gave another number of records, or the translation failed.
    """
    records = _answered(refs, reading, owner.name)
    if translation.sister is not None:
        records = [translation.from_sister(record) for record in records]
    if not reading.changed:
        return Reading(tuple(records), reading.mark)
    asked = {_address(place): ref for place, ref in zip(places, refs, strict=True)}
    changed: list[Change] = []
    for change in reading.changed:
        ref = asked.get(_address(change.ref))
        if ref is None and translation.goes_back:
            ref = owner.named(translation.to_production(change.ref))
        if ref is not None:
            changed.append(Change(ref, change.at, change.count))
    return Reading(tuple(records), reading.mark, tuple(changed))


def _answered(refs: Sequence[Ref], reading: Reading, name: str) -> Sequence[Record]:
    """Give each record the ref it was asked for."""
    if len(reading.records) != len(refs):
        raise StoreError(
            f"The store of {name!r} gave {len(reading.records)} records for {len(refs)} refs.",
            remedy="Correct the adapter; shadowmig.testing.StoreContract tests it.",
            store=name,
        )
    return [
        record if record.ref is ref else evolve(record, ref=ref)
        for ref, record in zip(refs, reading.records, strict=True)
    ]


def _address(ref: Ref) -> tuple[Any, ...]:
    return ref.kind, ref.space, ref.key  # a store that makes a ref itself does not know the sister's name
