"""
The extension points: any callable or object of the right shape fits, nothing need be inherited.

Each docstring says who calls it, from which thread, and what an exception does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from shadowmig.model import Batch, Call, Difference, RuleUse


class Comparator(Protocol):
    """
    Decides whether two values are equal, and says where not.

    Called by the judge, off the caller's path, always by keyword; `exact`, `structural` and `deep` build one.
    Returns the differences (`Differences`, or any iterable of `Difference`); an empty one means equal. An exception,
    or a return value that is neither, makes the verdict `BROKEN`.
    """

    def __call__(self, *, control: Any, candidate: Any) -> Iterable[Difference]: ...


@runtime_checkable
class HasRules(Protocol):
    """A comparator that can tell how often its rules took effect."""

    def rules(self) -> tuple[RuleUse, ...]:
        """Use of each rule since the comparator was built, in the order the rules were given."""
        ...


class Sampler(Protocol):
    """
    Decides whether a call is compared.

    Called on the caller's path, in the caller's thread, so it must be quick. An exception counts as "no", is counted
    under the operation ``sample``, and never reaches the caller.
    """

    def __call__(self, call: Call) -> bool: ...


class Sink(Protocol):
    """
    Where findings go.

    Called off the caller's path, by one thread at a time. An exception or a hang keeps the batch in a bounded spool
    that is offered again later, merged with what came since. If the object has ``close()``, it is called once.
    """

    def __call__(self, batch: Batch) -> None: ...


class Redactor(Protocol):
    """
    Takes secrets out of a value before it leaves the process.

    Called off the caller's path with a value and its path; exception texts come as text with the path
    ``"$error"``, arguments with paths below ``"$arguments"``. It must return a new value and not change the one given.
    If it raises, the value is withheld.
    """

    def __call__(self, value: Any, *, path: str) -> Any: ...
