"""
Values that each side makes up itself: matched up to a consistent renaming, over the answer and all records of a call.

If control's id 42 is the candidate's 57 once, it must be so everywhere, and nothing else may be 57.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Iterator
from typing import Any, Final

from attrs import field, frozen

from shadowmig.compare.paths import Index, Key, Name, Path, Wild, parse
from shadowmig.errors import ConfigError
from shadowmig.model import Ref

_CHOSEN: Final = (Name, Index, Key, Wild)


@frozen
class Generated:
    """
    One declared place.

    Attributes:
        store: Name of the sister store, ``"answer"``, or empty for everywhere.
        space: Table or stream; empty for all.
        path: The path in the answer or the record.
    """

    store: str
    space: str
    path: Path

    def covers(self, ref: Ref | None) -> bool:
        """Whether it speaks of this record; of the answer for ``None``."""
        if not self.store:
            return True
        if ref is None:
            return self.store == "answer"
        return self.store == ref.store and self.space in ("", ref.space)


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
        store, _, space = place.partition(".")
        found.append(Generated(store, space, parsed))
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
            candidate: The candidate's.
            ref: The record, or ``None`` for the answer.
        """
        places = [place for place in self.places if place.covers(ref)]
        if not places:
            return candidate
        box = [copy.deepcopy(candidate)]
        for place in places:
            for ours, (holder, key) in zip(_values([control], place.path), _slots(box, place.path), strict=False):
                if self._matches(ours, holder[key]):
                    holder[key] = ours
        return box[0]

    def _matches(self, ours: Any, theirs: Any) -> bool:
        if type(ours) is not type(theirs) or ours is None:
            return False
        try:
            known = self._theirs.setdefault((type(ours), ours), theirs)
            back = self._ours.setdefault((type(theirs), theirs), ours)
        except TypeError:  # a value that cannot be hashed is no id
            return False
        return bool(known == theirs and back == ours)


def _slots(box: list[Any], path: Path) -> Iterator[tuple[Any, Any]]:
    """Give every place that a path leads to, as a container and a key."""
    found: list[tuple[Any, Any]] = [(box, 0)]
    for segment in path.segments:
        inner: list[tuple[Any, Any]] = []
        for holder, key in found:
            value = holder[key]
            if isinstance(segment, Wild):
                every = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
                inner += [(value, one) for one in every]
                continue
            wanted = segment.name if isinstance(segment, Name) else getattr(segment, "index", None)
            keys: Container[Any] = value if isinstance(value, dict) else ()
            if isinstance(value, list):
                keys = range(-len(value), len(value))
            if wanted in keys:
                inner.append((value, wanted))
        found = inner
    return iter(found)


def _values(box: list[Any], path: Path) -> Iterator[Any]:
    return (holder[key] for holder, key in _slots(box, path))
