"""
Planted defects: what goes wrong when a service that writes to three stores is rewritten, each named and documented.

A defect of your own is a subclass of `Candidate` that does one step wrongly, and the places where that must show:

    from shadowmig.testing.storm import Candidate, Defect, Place, register

    class Shouts(Candidate):
        def cached(self, change, row):
            return {**super().cached(change, row), "body": row["body"].upper()}

    register(Defect("shouts", "The cache has capitals.", Shouts, [Place("cache", "$.body", "changed")]))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final, TypeVar

from attrs import field, frozen
from attrs.validators import instance_of

from shadowmig.errors import ConfigError
from shadowmig.findings.fingerprint import fold
from shadowmig.model import KINDS, Difference
from shadowmig.testing.storm.candidate import Candidate
from shadowmig.testing.storm.service import Backend

ANSWER: Final = ""
"""The store of a `Place` in the answer."""

STORES: Final = ("db", "cache", "events", ANSWER)

FIELDS: Final = ("post_id", "body", "flair", "tags", "score", "weight", "edited_at", "version")
"""The columns that some write changes."""

_OURS: Final = ("fields", "versions", "rows", "cache", "events", "answers")


@frozen
class Place:
    """
    Where a defect shows.

    Args:
        store: ``"db"``, ``"cache"`` or ``"events"``; empty for the answer.
        path: The folded path, ``$`` being the record.
        kind: The kind of difference, see `shadowmig.model.Kind`.
        space: The table or stream, if it matters.

    Raises:
        ConfigError: There is no such store or kind.
    """

    store: str = field()
    path: str
    kind: str = field()
    space: str = ""

    @store.validator
    @kind.validator
    def _known(self, attribute: Any, value: object) -> None:
        known = STORES if attribute.name == "store" else KINDS
        if value not in known:
            remedy = f"Use one of: {', '.join(map(repr, known))}."
            raise ConfigError(f"{attribute.name} is {value!r}.", remedy=remedy, field=attribute.name, value=value)

    def has(self, difference: Difference) -> bool:
        """Tell whether a difference is here."""
        store, space = (difference.ref.store, difference.ref.space) if difference.ref else (ANSWER, "")
        return (
            self.store == store
            and self.kind == difference.kind
            and self.space in ("", space)
            and self.path == fold(difference.path)
        )


@frozen
class Defect:
    """
    A planted defect.

    Args:
        name: Its name, for ``--defect``.
        description: What the new service does wrong, and when.
        candidate: Makes the new service of a backend: a `Candidate`, or any object with its five handlers.
        places: Everywhere it may show, where it is at home first; a mismatch elsewhere is a false alarm, and one of
            them makes it found.

    Raises:
        ConfigError: A field is wrong.
    """

    name: str = field(validator=instance_of(str))
    description: str
    candidate: Callable[[Backend], Any] = field(repr=False)
    places: tuple[Place, ...] = field(converter=tuple[Place, ...])

    @places.validator
    def _some(self, _: object, value: tuple[Place, ...]) -> None:
        if not value or not all(isinstance(place, Place) for place in value):
            raise ConfigError(f"places is {value!r}.", remedy="Use a list of Place(...).", field="places", value=value)


_registered: dict[str, Defect] = {}


def register(defect: Defect) -> Defect:
    """
    Add a defect to the catalogue.

    Returns:
        The defect.

    Raises:
        ConfigError: There is one of this name.
    """
    if defect.name in _registered or defect.name in ("all", "none"):
        raise ConfigError(
            f"There is a defect {defect.name!r} already.", remedy="Use another name.", field="name", value=defect.name
        )
    _registered[defect.name] = defect
    return defect


def catalogue() -> dict[str, Defect]:
    """Give all defects by name: ours, then those that were registered."""
    for room in _OURS:
        import_module(f"shadowmig.testing.storm._defects_{room}")
    ours = {name: each for name, each in _registered.items() if _is_ours(each)}
    return {**ours, **_registered}


def _is_ours(defect: Defect) -> bool:
    return getattr(defect.candidate, "__module__", "").startswith("shadowmig.testing.storm._defects_")


C = TypeVar("C", bound=type[Candidate])


def planted(*places: Place | Iterable[Place]) -> Callable[[C], C]:
    """Register a subclass of `Candidate` as a defect: named for the class, described by its docstring."""

    def plant(candidate: C) -> C:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", candidate.__name__).lower()
        description = " ".join((candidate.__doc__ or "").split())
        flat = [one for each in places for one in ([each] if isinstance(each, Place) else each)]
        register(Defect(name, description, candidate, tuple(flat)))
        return candidate

    return plant


def everywhere(*names: str, kind: str = "changed") -> list[Place]:
    """The places of a wrong column, which goes from the row into cache, event and answer."""
    found = []
    for name in names:
        event = [f"after.{name}", *(["version"] if name == "version" else [])]
        for store, fields in (("db", [name]), ("cache", [name]), ("events", event), (ANSWER, [name])):
            found += [Place(store, f"$.{each}", kind) for each in _with_elements(fields)]
    return found


def stale(store: str, *names: str, space: str = "") -> list[Place]:
    """The places of fields that stayed as they were, or went somewhere else: another value or another type."""
    kinds = ("changed", "type", "order")
    return [Place(store, f"$.{name}", kind, space) for name in _with_elements(names) for kind in kinds]


def _with_elements(names: Iterable[str]) -> list[str]:
    """Add the elements of lists: a comparator may name one, or the list as a whole."""
    return [path for name in names for path in ([name, f"{name}[*]"] if name.endswith("tags") else [name])]


def unasked(store: str) -> list[Place]:
    """The place of a record that only the new service has."""
    return [Place(store, "$", "unexpected")]
