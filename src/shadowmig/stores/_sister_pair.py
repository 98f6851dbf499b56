"""Two stores in their roles: who gets which one, and that the sister is proved before anything is written to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from shadowmig.errors import ConfigError, NotIsolated, ProductionRefused, StoreError, StoreUnavailable
from shadowmig.protocols import AsyncStore, OutageStore, PartedStore, Store
from shadowmig.side import MIRRORED
from shadowmig.stores import _roles, _sister_options
from shadowmig.stores._sister_ledger import Ledger
from shadowmig.stores._sister_proof import Proof
from shadowmig.stores._sister_refs import Refs

T = TypeVar("T")


@frozen
class _State:
    """What belongs to one process: a forked child proves for itself, and does not remove what its parent hydrated."""

    proof: Proof
    ledger: Ledger


class Pair(Refs):
    """
    What a sister store is without its records: two stores, their roles, and the proof that they are two.

    Args:
        production: The store that users depend on.
        sister: Its twin.
        name: What refs call it; empty for the kind of production's store.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(self, *, production: Store, sister: Store, name: str) -> None:
        super().__init__(_sister_options.name(name, production))
        self._production = _sister_options.store(production, "production")
        self._sister = _sister_options.store(sister, "sister")
        if production is sister or _roles.is_production(sister):
            raise ConfigError(
                f"sister is {sister!r}, which is given as production too.",
                remedy="Give a store object of its own, that leads to another datastore.",
                field="sister",
                value=sister,
            )
        self._async = production if isinstance(production, AsyncStore) else None
        self._outages = sister if isinstance(sister, OutageStore) else None
        self._parted = production if isinstance(production, PartedStore) else None
        self._states: dict[int, _State] = {}

    def __repr__(self) -> str:
        return f"SisterStore({self._name!r}, production={self._production!r}, sister={self._sister!r})"

    @property
    def production(self) -> Store:
        """
        The production store.

        Raises:
            ProductionRefused: The checked side asks.
        """
        self._refuse()
        return self._production

    @property
    def sister(self) -> Store:
        """The sister, proved to be isolated or not. What writes to it goes through this object."""
        return self._sister

    def client(self) -> Any:
        """
        Give the handler what it works with: production's client if it is served, the sister's if it is checked.

        Call it inside the handler each time; it is cheap, and what it gives depends on who asks.

        Raises:
            NotIsolated: The checked side asks, and the sister is not proved to be isolated.
            StoreUnavailable: The checked side asks, and it could not be proved.
        """
        if not MIRRORED.get():
            return self._production.client()
        proof = self._state().proof
        if not proof.isolated:
            if _on_event_loop():  # which a proof would hold up
                raise NotIsolated(
                    f"{self._sister!r} is not proved to be isolated yet.",
                    remedy="Call prove() before, in a thread.",
                    store=self._name,
                )
            proof.require()
        return self._sister.client()

    @property
    def isolated(self) -> bool | None:
        """Whether the sister is proved to be another store; ``None`` if this process does not know."""
        return self._state().proof.isolated

    def is_outage(self, error: type[BaseException]) -> bool:
        """Tell whether an exception that the checked side got is about the sister, and not about what it did."""
        return issubclass(error, StoreError) or (self._outages is not None and self._outages.is_outage(error))

    @property
    def proved(self) -> str | None:
        """The sister's identity when it was proved; ``None`` before that."""
        return self._state().proof.identity

    def still(self, identity: str | None) -> None:
        """
        Look whether the sister is the server that it was.

        Args:
            identity: What `proved` told then.

        Raises:
            StoreUnavailable: It is another one now, or started anew, or cannot be reached.
            StoreError: It refused.
        """
        now = self._at_sister(self._sister.identity)
        if identity is not None and now != identity:
            self._state().proof.doubt()
            raise StoreUnavailable(f"{self._sister!r} is another server than before, or has started anew.")

    def prove(self) -> None:
        """
        Prove that the sister is another store than production, unless this process has done so before.

        The identities that both servers tell must differ, and a random mark planted in the sister must be found there
        and not in production; the mark is removed. It is proved anew after the sister could not be reached, for
        another server may have taken its place, and in a forked child. After a failure the next calls fail at once,
        until a pause is over: half a second at first, twice as long each time, up to half a minute. After the two were
        shown to be one store it is a minute at first and an hour at most.

        Raises:
            NotIsolated: They are one store, or the sister does not keep what is written to it. ``test`` says which
                test failed: ``"identity"``, ``"production"`` or ``"sister"``.
            StoreUnavailable: One of them could not be reached, so nothing is known.
            StoreError: One of them refused.
        """
        self._state().proof.require()

    def probe(self) -> None:
        """
        Write a mark to the sister, to tell a handler that failed from a sister that is down or full.

        Raises:
            StoreUnavailable: It could not be reached.
            StoreError: It refused.
        """
        self._state().proof.require()
        self._at_sister(lambda: self._sister.plant("probe"))

    def close(self) -> None:
        """Close the connections of both stores made by their objects. May be called twice."""
        try:
            self._production.close()
        finally:
            self._sister.close()

    def _take_roles(self) -> None:
        """Make production what it is from now on: the last act of building, when nothing can be wrong any more."""
        self._production.forbid_writes()
        _roles.declare(self._production)

    def _state(self) -> _State:
        pid = os.getpid()
        state = self._states.get(pid)
        if state is None:
            # setdefault is atomic: no lock, which a thread that the fork did not copy could have held.
            state = self._states.setdefault(pid, _State(Proof(self._production, self._sister), Ledger()))
            for old in [key for key in list(self._states) if key != pid]:
                self._states.pop(old, None)
        return state

    def _refuse(self) -> None:
        if MIRRORED.get():
            raise ProductionRefused(
                f"The checked side asks {self._name!r} for production.",
                remedy="Have it ask client(), which gives each side its own.",
                store=self._name,
            )

    def _at_sister(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except StoreUnavailable:
            self._state().proof.doubt()
            raise


def _on_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
