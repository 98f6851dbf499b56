"""
Values that each side makes up itself: matched up to a consistent renaming, over the answer and all records of a call.

If control's id 42 is the candidate's 57 once, it must be so everywhere, and nothing else may be 57.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import field, frozen

from shadowmig.compare.paths import Index, Key, Name, Path, Wild, parse
from shadowmig.errors import ConfigError
from shadowmig.model import MISSING, Ref

_CHOSEN: Final = (Name, Index, Key, Wild)


@frozen
class Generated:
    """
    One declared place.

    Attributes:
        place: A sister store, ``store.space`` for one of its tables or streams, ``"answer"``, or empty for everywhere.
        path: The path in the answer or the record.
    """

    place: str
    path: Path

    def covers(self, ref: Ref | None) -> bool:
        """Whether it speaks of this record; of the answer for ``None``."""
        if not self.place:
            return True
        return self.place in (("answer",) if ref is None else (ref.store, f"{ref.store}.{ref.space}"))


def generated(given: object) -> tuple[Generated, ...]:
    """
    Read ``generated=``: paths, each alone (``"$.id"``, everywhere) or after a place (``"answer:$.id"``,
    ``"db.comments:$.id"``).

    Raises:
        ConfigError: It is no list of such texts.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(
            f"generated is {given!r}.", remedy='Use a list of paths such as "$.id".', field="generated", value=given
        )
    found = []
    for one in given:
        place, colon, path = one.rpartition(":$") if isinstance(one, str) else ("", "", one)
        parsed = parse(f"${path}" if colon else path, option="generated")
        if not all(isinstance(segment, _CHOSEN) for segment in parsed.segments):
            raise ConfigError(
                f"generated holds {one!r}.",
                remedy="Use names, indices and [*] only.",
                field="generated",
                value=given,
            )
        found.append(Generated(place, parsed))
    return tuple(found)


@frozen
class Renaming:
    """The renaming of one call, as far as it is known."""

    places: tuple[Generated, ...]
    _theirs: dict[tuple[type, Any], Any] = field(factory=dict)
    _ours: dict[tuple[type, Any], Any] = field(factory=dict)

    def apply(self, control: Any, candidate: Any, ref: Ref | None) -> Any:
        """
        Give the candidate's value with its made-up values replaced by control's, where that is consistent.

        Args:
            control: Control's answer or record.
            candidate: The candidate's; it is not changed.
            ref: The record, or ``None`` for the answer.
        """
        for place in self.places:
            if place.covers(ref):
                candidate = self._renamed(control, candidate, place.path.segments)
        return candidate

    def _renamed(self, ours: Any, theirs: Any, segments: tuple[Any, ...]) -> Any:
        if not segments:
            return ours if self._matches(ours, theirs) else theirs
        first, rest = segments[0], segments[1:]
        if isinstance(ours, dict) and isinstance(theirs, dict):
            keys = ours if isinstance(first, Wild) else (_key(first),)
            changed = {
                key: self._renamed(ours[key], theirs[key], rest) for key in keys if key in ours and key in theirs
            }
            return {**theirs, **changed}
        if type(ours) is type(theirs) and type(theirs) in (list, tuple):
            items = list(theirs)
            shared = range(min(len(ours), len(items)))
            for index in shared if isinstance(first, Wild) else (_key(first),):
                if isinstance(index, int) and -len(items) <= index < len(items) and -len(ours) <= index < len(ours):
                    items[index] = self._renamed(ours[index], items[index], rest)
            return type(theirs)(items)
        return theirs

    def _matches(self, ours: Any, theirs: Any) -> bool:
        if type(ours) is not type(theirs) or ours is None:
            return False
        mine, other = (type(ours), ours), (type(theirs), theirs)
        try:
            if mine not in self._theirs and other not in self._ours:
                self._theirs[mine], self._ours[other] = theirs, ours
                return True
            return bool(self._theirs.get(mine, MISSING) == theirs and self._ours.get(other, MISSING) == ours)
        except TypeError:  # a value that cannot be hashed is no id
            return False


def _key(segment: Any) -> Any:
    if isinstance(segment, Name):
        return segment.name
    return segment.index if isinstance(segment, Index) else segment.value
