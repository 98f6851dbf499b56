"""
What came of one value in one cell: from what was to be read and what was read to an outcome with remarks.

Used for bytes of any origin: a matrix of writers and readers, or what is in a cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from shadowmig.compare.structural import structural
from shadowmig.model import MISSING, Difference
from shadowmig.protocols import Comparator
from shadowmig.wire.roundtrip._bytes import name_bytes
from shadowmig.wire.roundtrip._classes import CLASSES, name_differences
from shadowmig.wire.roundtrip._model import Outcome
from shadowmig.wire.roundtrip._sides import Failed, failed
from shadowmig.wire.roundtrip._walk import plainly

STRICT: Final = structural()

_FOLDED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\\x[0-9a-f]{2}|[-+]?[0-9][0-9a-fA-Fx.,_:+-]*|\s+")


@frozen
class Remark:
    """
    One thing that went wrong with one value in one cell.

    Attributes:
        name: Its class; empty for an error, which gets one when the smallest value that raises it is known.
        outcome: What came of it.
        path: Where.
        want: What was written there, in plain form.
        got: What was read there, in plain form.
        error: What was raised.
        group: What it is counted with: its class, or the error with its numbers and quotations left out.
    """

    name: str
    outcome: Outcome
    path: str = "$"
    want: Any = MISSING
    got: Any = MISSING
    error: str = ""
    group: str = field(init=False)

    @group.default
    def _group(self) -> str:
        return self.name or f"{self.outcome.value}: {_FOLDED.sub('#', self.error[:300])[:100]}"


Verdict: TypeAlias = tuple[Outcome, tuple[Remark, ...]]

IDENTICAL: Final[Verdict] = (Outcome.IDENTICAL, ())
_EQUAL: Final[Verdict] = (Outcome.EQUAL, ())
_WORST: Final = (Outcome.SILENTLY_WRONG, Outcome.MISS, Outcome.DIFFERENT)


def of_error(outcome: Outcome, error: Failed) -> Verdict:
    """Give the verdict of a side that raised."""
    if error.broken:
        name = error.reason if error.reason in CLASSES else "codec unavailable"
        return Outcome.BROKEN, (Remark(name, Outcome.BROKEN, error=str(error)),)
    words = f"{error.kind} ({error.reason}): {error.text}" if error.reason else str(error)
    return outcome, (Remark("", outcome, error=words),)


@frozen
class Judge:
    """
    How values are compared.

    Attributes:
        compare: The comparator; it is given plain forms.
        plain: Gives the plain form of a value.
        miss: Tells whether the reader takes what it read for a miss. `MISSING` always is one; so is ``None``, where a
            list or map that is not empty was written.
    """

    compare: Comparator
    plain: Callable[[Any], Any]
    miss: Callable[[Any], bool] | None = None

    def want(self, value: Any) -> Any:
        """Give the plain form of a value that is to be written, or `Failed`."""
        try:
            return plainly(self.plain, value)
        except Exception as error:  # noqa: BLE001 - a value's own code may raise anything
            return failed(error, broken=True)

    def verdict(self, want: Any, read: Any, item: tuple[bytes, int], own: Any = None) -> Verdict:
        """
        Judge what was read.

        Args:
            want: What was to be read, in plain form.
            read: What the reader gave, or `Failed`.
            item: The bytes and flags it was given.
            own: The bytes and flags that the reader's own side writes for the value; ``None`` if it does not write.
        """
        if isinstance(read, Failed):
            return of_error(Outcome.UNDECODABLE, read)
        try:
            if read is MISSING or (self.miss is not None and self.miss(read)):
                return Outcome.MISS, (Remark("reads as a miss", Outcome.MISS, want=want, got=read),)
            try:
                got = plainly(self.plain, read)
            except RecursionError:
                return Outcome.SILENTLY_WRONG, (Remark("value holds itself", Outcome.SILENTLY_WRONG, want=want),)
            found = self.compare(control=want, candidate=got)
            differences = list(found)
            if differences:
                return _differing(differences, item[0], want)
        except Exception as error:  # noqa: BLE001 - comparator, miss and plain are the user's
            return Outcome.BROKEN, (Remark("comparison failed", Outcome.BROKEN, error=str(failed(error))),)
        if getattr(found, "ignored", ()) or isinstance(own, Failed):
            return _EQUAL
        if own is None or item == own:
            return IDENTICAL
        return Outcome.EQUAL, (Remark(name_bytes(item, own), Outcome.EQUAL),)


def _differing(differences: list[Difference], data: bytes, want: Any) -> Verdict:
    remarks = []
    for named in name_differences(differences, data, want):
        outcome = CLASSES[named.name].outcome or Outcome.DIFFERENT
        remarks.append(Remark(named.name, outcome, named.path, named.want, named.got))
    outcomes = {remark.outcome for remark in remarks}
    return next(outcome for outcome in _WORST if outcome in outcomes), tuple(remarks)


def agree(one: Remark, other: Remark) -> bool:
    """Whether two remarks on one value say the same: what went wrong, where, and to what."""
    if one.group != other.group or one.path != other.path:
        return False
    try:
        return one.got is other.got or not STRICT(control=one.got, candidate=other.got)
    except Exception:  # noqa: BLE001 - what was read may be anything; it is taken for another
        return False
