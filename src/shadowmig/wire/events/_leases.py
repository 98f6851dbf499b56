"""What a process may judge: proof that it may at all, where matching began, its leases, and what it holds by them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from shadowmig.errors import ConfigError, NotIsolated, StoreError
from shadowmig.wire.events._holding import Holding
from shadowmig.wire.events._matched import BEGIN, Blind, Plan
from shadowmig.wire.events._partition import SIDES, Partition, Positions
from shadowmig.wire.events._side import NEVER, Side
from shadowmig.wire.events._state import FORMAT, State, dumps
from shadowmig.wire.events.event import Event, Place
from shadowmig.wire.events.report import EventFault, Where

_FIND: Final = 1000
"""Events that are read again between two looks at the time."""


@frozen
class Options:
    """
    What a verifier goes by.

    Attributes:
        name: Name of the stream of events.
        plan: How events are matched.
        ahead: Seconds by which the sister's clock is before production's; ``None`` if that is measured.
        partitions: How many there are.
        begin: ``"now"`` or ``"start"``.
        lease: Seconds of a lease.
        every: Seconds from commit to commit.
        page: Events in one read.
        on_verdict: Called with each fault once it is committed.
    """

    name: str
    plan: Plan
    ahead: float | None = None
    partitions: int = 8
    begin: str = "now"
    lease: float = 10.0
    every: float = 0.5
    page: int = 1000
    on_verdict: Callable[[EventFault], object] | None = None


class Leases:
    """
    The leases of one process.

    Args:
        options: See `Options`.
        sides: Both streams.
        state: Where processes meet.
        trouble: Told of what went wrong.

    Attributes:
        holding: What is held now; ``None`` if nothing is.
    """

    def __init__(
        self, options: Options, sides: Mapping[Where, Side], state: State, trouble: Callable[[str, Exception], None]
    ) -> None:
        self.holding: Holding | None = None
        self._options = options
        self._sides = sides
        self._state = state
        self._trouble = trouble
        self._member = uuid.uuid4().hex
        self._proved = False
        self._begun = False
        self._tended = False
        self._known: dict[int, Positions] = {}
        self._tend_at = NEVER

    def ready(self, commit: Callable[[], None]) -> Holding | None:
        """
        Have what is needed to go on.

        Args:
            commit: Commits what is held, before it is loaded anew.

        Raises:
            ConfigError: The state under this name belongs to other options.
            NotIsolated: Production would be written to, or is the sister.
        """
        try:
            if not self._proved:
                self._prove()
            if time.monotonic() >= self._tend_at:
                self._tend(commit)
        except NotIsolated:
            raise
        except StoreError as error:
            self._trouble("state" if self._proved else "start", error)
            self.drop()
        return self.holding

    def drop(self) -> None:
        """Forget what is held: others, or this process again, go on from what was committed."""
        self.holding = None
        self._tend_at = NEVER

    def remember(self, holding: Holding) -> None:
        """Remember how far it was, in case that the state is lost."""
        self._known = {number: dict(part.trail[0][1]) for number, part in holding.parts.items()}

    def leave(self) -> None:
        """Give all leases back, if there are any."""
        if not self._tended:
            return
        self._tended = False
        try:
            if self.holding is not None:
                self._release({number: part.token for number, part in self.holding.parts.items()})
            self._state.leave(self._member)
        except StoreError as error:
            self._trouble("state", error)
        self.drop()

    def _prove(self) -> None:
        production, sister = (self._sides[side].source.identity() for side in SIDES)
        state = self._state.identity()
        if production == sister:
            raise NotIsolated("Production and sister are one stream.", remedy="Give two.")
        if state and production.startswith(f"{state}/"):
            raise NotIsolated(
                "The state of matching would be kept in production.", remedy="Give the sister's server as state=."
            )
        self._proved = True

    def _found(self) -> tuple[Positions, float]:
        """Find where matching began, or let it begin; and up to which time nothing is known of production."""
        options = self._options
        # Of a state that was lost nothing is left that the beginning of then would go with.
        now = self._begun or options.begin == "now"
        fixed = {"format": FORMAT, "partitions": options.partitions, "by_version": options.plan.by_version}
        kept = self._state.begin(None)
        if kept is None:
            # The sister first: what production writes from now on comes later in the sister.
            ends = {side: self._sides[side].source.end() for side in reversed(SIDES)}
            proposal: dict[str, Any] = {**fixed, "at": ends["production"].now, "blind": now}
            proposal |= {side: ends[side].position if now else () for side in SIDES}
            kept = self._state.begin(dumps(proposal))
        told = json.loads(kept or "{}")
        for name, value in fixed.items():
            if told.get(name) != value:
                raise ConfigError(
                    f"{name} is {value!r}, but {told.get(name)!r} in the state of {options.name!r}.",
                    remedy="Give the stream another name, or remove its keys.",
                    field=name,
                    value=value,
                )
        self._begun = True
        return {side: tuple(told[side]) for side in SIDES}, told["at"] if told["blind"] else NEVER

    def _tend(self, commit: Callable[[], None]) -> None:
        """Renew the leases; load what is held, if that has changed."""
        begin = None if self._begun else self._found()
        self._tended = True
        parts = {} if self.holding is None else self.holding.parts
        held = self._state.tend(self._member, {number: part.token for number, part in parts.items()})
        self._tend_at = time.monotonic() + self._options.lease / 4
        wanted = dict(list(held.tokens.items())[: held.share])
        if held.tokens == wanted == {number: part.token for number, part in parts.items()}:
            return
        commit()
        if parts and self.holding is None:
            return  # what became of it is not known, so other tokens are needed
        self._release({number: token for number, token in held.tokens.items() if number not in wanted})
        self.holding = None
        self._tend_at = time.monotonic() + self._options.lease / 4
        if wanted:
            self.holding = self._load(wanted, *(begin or self._found()))
            if self.holding is None:
                self._tend_at = NEVER

    def _release(self, tokens: Mapping[int, str]) -> None:
        for number, token in tokens.items():
            self._state.release(number, token)

    def _load(self, tokens: Mapping[int, str], begin: Positions, since: float) -> Holding | None:
        """Load partitions; ``None`` if a lease was lost, or a stream cannot be read in which something waits."""
        parts = []
        for number, token in tokens.items():
            checkpoint, waiting = self._state.load(number)
            part = Partition.load(number, token, checkpoint, waiting, self._known.get(number, begin))
            if checkpoint is None and since > NEVER:
                part.blinds.append(Blind("production", 0.0, since, BEGIN))
            if checkpoint is None and number in self._known:
                self._trouble("state", LookupError("it was lost"))
                # It may have been emptied together with the sister's stream.
                part.blinds.append(Blind("sister", 0.0, since, BEGIN))
            parts.append(part)
            if not self._renew(tokens):
                return None
        found: dict[tuple[Where, Place], Event | None] = {}
        for where, side in self._sides.items():
            entries = [entry for part in parts for entry in part.places(where)]
            for start in range(0, len(entries), _FIND):
                some = entries[start : start + _FIND]
                try:
                    found |= zip([(where, entry) for entry in some], side.source.find(some), strict=True)
                except StoreError as error:
                    self._trouble(where, error)
                    return None
                if not self._renew(tokens):
                    return None
        holding = Holding(self._options.plan, self._options.partitions, parts, found)
        for where, side in self._sides.items():
            side.rewind(holding.start[where])
        return holding

    def _renew(self, tokens: Mapping[int, str]) -> bool:
        """Keep leases while they are loaded; whether they are still ours."""
        if time.monotonic() < self._tend_at:
            return True
        self._tend_at = time.monotonic() + self._options.lease / 4
        held = self._state.tend(self._member, tokens)
        return all(held.tokens.get(number) == token for number, token in tokens.items())
