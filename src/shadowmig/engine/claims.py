"""
Which records the writes under way are at work on in the sisters: no two of them on one record, and no change is laid at
the wrong door.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Collection
from time import monotonic
from typing import Final

from attrs import define

from shadowmig.model import Ref

MOST_LANDED: Final = 20_000
"""Records of which is remembered who worked on them last."""


@define
class Standing:
    """Whether what a write does to the sister can be told from a defect."""

    loose: bool = False
    """It started from another state than production's write did, and may write what production never had."""


class Claim:
    """One write's hold on its records, from before the sister is hydrated until its records are read."""

    def __init__(self, claims: Claims, refs: Collection[Ref]) -> None:
        self._claims = claims
        self.refs = set(refs)
        self.number = 0
        self.standing = Standing()
        self.others: set[Ref] = set()
        """Records that other writes worked on meanwhile."""
        self.beside: list[Standing] = []
        """Those other writes; not the claims themselves, which would keep each other alive."""

    def take(self, timeout: float) -> bool:
        """Wait until nobody else works on these records, and take them; false if that lasts too long (seconds)."""
        claims = self._claims
        end = monotonic() + timeout
        with claims.changed:
            while any(not self.refs.isdisjoint(other.refs) for other in claims.active):
                left = end - monotonic()
                if left <= 0 or not claims.changed.wait(left):
                    return False
            for other in claims.active:
                other.others |= self.refs
                other.beside.append(self.standing)
                self.others |= other.refs
                self.beside.append(other.standing)
            claims.active.add(self)
            claims.land(self)
            return True

    def stands(self, ref: Ref) -> bool:
        """Whether no other write has worked on a record since."""
        return self._claims.landed.get(ref) == self.number

    def add(self, refs: Collection[Ref]) -> None:
        """Claim more records, of which nobody else can know."""
        more = set(refs) - self.refs
        if not more:
            return
        with self._claims.changed:
            self.refs |= more
            self._claims.land(self)
            for other in self._claims.active:
                if other is not self:
                    other.others |= more

    def release(self) -> None:
        """Let others have the records; may be done twice."""
        with self._claims.changed:
            if self in self._claims.active:
                self._claims.active.discard(self)
                self._claims.changed.notify_all()


class Claims:
    """The claims of one migration's writes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.active: set[Claim] = set()
        self.landed: OrderedDict[Ref, int] = OrderedDict()
        self._numbers = itertools.count(1)

    def land(self, claim: Claim) -> None:
        """Note that a write works on its records; to be called by the claim, with the lock."""
        claim.number = claim.number or next(self._numbers)
        for ref in claim.refs:
            self.landed[ref] = claim.number
            self.landed.move_to_end(ref)
        while len(self.landed) > MOST_LANDED:
            self.landed.popitem(last=False)

    def of(self, refs: Collection[Ref]) -> Claim:
        """Make a claim; `Claim.take` takes it, and `Claim.release` gives it back."""
        return Claim(self, refs)
