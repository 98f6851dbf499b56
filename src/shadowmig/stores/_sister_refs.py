"""How a sister store makes the addresses of its records, on the caller's path, and knows its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import evolve

from shadowmig.errors import StoreError
from shadowmig.model import Ref, RefKind


class Refs:
    """
    Makes the refs of one sister store: a few microseconds each.

    Args:
        name: What they call the store.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """What refs and findings call it."""
        return self._name

    def row(self, table: str, *key: Any) -> Ref:
        """
        Make the address of a row.

        Args:
            table: The table's name, as in the store's ``tables``.
            key: The values of its key columns, in their order.

        Raises:
            StoreError: There is no key, part of it is ``None``, or it cannot be hashed.
        """
        return self._ref("row", table, key)

    def key(self, key: Any) -> Ref:
        """
        Make the address of what a cache has under a key.

        Raises:
            StoreError: It is ``None``, or cannot be hashed.
        """
        return self._ref("key", "", (key,))

    def entry(
        self,
        stream: str,
        id: Any,  # noqa: A002 - an event's id is called so everywhere
        *,
        stands_for: Mapping[Ref, Callable[[Any], Any]] | None = None,
    ) -> Ref:
        """
        Make the address of an event.

        Args:
            stream: The stream's key.
            id: The event's own id; see `Stream`.
            stands_for: Functions that take out of the event the state of a record it tells about, by that record's
                ref, so that the event can stand in for a row that has moved on.

        Raises:
            StoreError: The id is ``None`` or cannot be hashed, or ``stands_for`` is not such a mapping.
        """
        if stands_for is not None and not (
            isinstance(stands_for, Mapping)
            and all(type(ref) is Ref and callable(function) for ref, function in stands_for.items())
        ):
            raise StoreError(
                f"stands_for of an entry in {stream!r} is no mapping of refs to functions.",
                remedy='Use {db.row("comments", 7): lambda event: event["comment"]}.',
                store=self._name,
            )
        return self._ref("entry", stream, (id,), stands_for)

    def _ref(
        self,
        kind: RefKind,
        space: str,
        key: tuple[Any, ...],
        stands_for: Mapping[Ref, Callable[[Any], Any]] | None = None,
    ) -> Ref:
        if not key or any(part is None for part in key):
            raise self._bad_key(kind, space, "is None" if key else "is missing")
        try:
            hash(key)
        except TypeError as error:
            raise self._bad_key(kind, space, "cannot be hashed") from error
        return Ref(self._name, kind, space, key, stands_for, self)

    def _bad_key(self, kind: RefKind, space: str, what: str) -> StoreError:
        where = f" in {space!r}" if space else ""
        return StoreError(
            f"The key of a {kind}{where} {what}.",
            remedy="Give a value for each key column." if kind == "row" else "Give a text, bytes or a number.",
            store=self._name,
        )

    def named(self, ref: Ref) -> Ref:
        """Make a ref, as a store gave it, one of this sister store."""
        return evolve(ref, store=self._name, owner=self)

    def _own(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            if not isinstance(ref, Ref) or ref.store != self._name or (ref.owner or self) is not self:
                what = f"A {ref.kind} of {ref.store!r}" if isinstance(ref, Ref) else f"A {type(ref).__name__}"
                raise StoreError(
                    f"{what} was given to {self!r}.",
                    remedy="Make refs by row(), key() and entry() of the sister store they belong to.",
                    store=self._name,
                )
