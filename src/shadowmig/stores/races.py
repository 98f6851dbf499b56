"""
Race verdicts: may the two states of a record be compared, and with which state of production?

A pure function over what is known of one record after one change C. It follows one rule: only states of the same
logical change are compared, and whatever is not proved to be a race is a difference.

===============================================  ======================================================================
production                                       what follows
===============================================  ======================================================================
at C's version                                   compare with it; proof ``version``
past C, its state at C known from a later read   compare with that; proof ``version``
past C, the event of C tells the record's state  compare with that; proof ``event``
past C otherwise                                 raced
before C                                         wait; never seen: not committed
C failed                                         compare with the state before it, if nobody else wrote
base was not C's own                             raced
no version                                       two reads agree and nobody else was seen writing: compare; proof
                                                 ``reread``; otherwise raced, unless they are equal anyway
===============================================  ======================================================================
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from shadowmig.model import Proof, Record

Step: TypeAlias = Literal["compare", "wait", "raced", "unseen"]


@frozen
class Decision:
    """
    What to do about one record.

    Attributes:
        step: ``compare``, ``wait`` (read again later), ``raced``, or ``unseen`` (the change was never committed).
        against: For ``compare``: production's state to compare the sister's record with.
        proof: For ``compare``: what a difference is proved by.
        otherwise: For ``compare``: what to do instead if there are differences; ``None`` if they count.
        reason: Why it raced.
    """

    step: Step
    against: Record | None = None
    proof: Proof = "version"
    otherwise: Decision | None = None
    reason: str = ""


@frozen
class Facts:
    """
    What is known of one record after one change C.

    Attributes:
        production: As last read.
        sister: Right after the candidate's write, before any later one of this process.
        base: Production right before C, or ``None`` if it was not hydrated.
        change: The version C gave the record, or ``None`` if nobody said.
        state: Production's state at that version, known from another read; or ``None``.
        event: The state that C's event tells, with `MISSING` for a record that is gone; ``None`` if no event tells it.
        failed: Whether C's write in production raised.
        undisturbed: Whether no other sampled write was seen while C's write in production ran.
        alone: Whether no other sampled write to the entity was seen since C began.
        moved: Whether the sister could not be put into the state that C's write in production found.
        committed: Whether another record of the same store shows that C was committed.
        settled: Whether the time to wait is over.
        still: Whether both sides are as they were at the read before.
        counter: Whether versions go up by one.
    """

    production: Record
    sister: Record
    base: Record | None = None
    change: Any = None
    state: Record | None = None
    event: Record | None = None
    failed: bool = False
    undisturbed: bool = False
    alone: bool = True
    moved: bool = False
    committed: bool = False
    settled: bool = False
    still: bool = False
    counter: bool = True


WAIT: Final = Decision("wait")
UNSEEN: Final = Decision("unseen", reason="not_committed")


def decide(facts: Facts) -> Decision:
    """Say what to do about one record."""
    if facts.moved:
        return Decision("raced", reason="base moved")
    if facts.failed:
        return _failed(facts)
    if facts.change is not None:
        return _at_version(facts)
    versions = (facts.production.version, facts.sister.version, facts.base and facts.base.version)
    return _reread(facts) if all(version is None for version in versions) else _inferred(facts)


def same(left: Record, right: Record) -> bool:
    """Whether a record stood still between two reads of one store."""
    if left.exists != right.exists:
        return False
    if not left.exists:
        return True
    if left.token is not None and right.token is not None:
        return bool(left.token == right.token)
    return bool(left.version == right.version) and alike(left, right)


def alike(left: Record, right: Record) -> bool:
    """Whether two records hold the same, types included: ``1`` is not ``True`` is not ``1.0``."""
    if left.raw is not None and right.raw is not None:
        return left.raw == right.raw and left.meta.get("flags") == right.meta.get("flags")
    return left.exists == right.exists and identical(left.value, right.value)


def identical(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types, down to the leaves; the order of keys does not matter."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            key in right and identical(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(identical, left, right))
    return bool(left == right)


def successor(before: Any, after: Any) -> bool | None:
    """Whether one version follows another as a counter's do; ``None`` if they are no whole numbers."""
    if type(before) is not int or type(after) is not int:
        return None
    return after == before + 1


def _compare(facts: Facts, against: Record, proof: Proof) -> Decision:
    """Compare; a difference counts at once if the sister is at the very version, and else when it had time to come."""
    sister = facts.sister
    arrived = sister.exists and against.exists and sister.version is not None and sister.version == against.version
    return Decision("compare", against, proof, None if arrived or facts.settled else WAIT)


def _weak(facts: Facts, against: Record) -> Decision:
    """Compare states of which only is known that they stood still; a difference counts if nobody else wrote."""
    if not facts.alone:
        otherwise: Decision | None = Decision("raced", reason="concurrent")
    elif facts.still:
        otherwise = None if facts.settled else WAIT
    else:
        otherwise = Decision("raced", reason="moving") if facts.settled else WAIT
    return Decision("compare", against, "reread", otherwise)


def _failed(facts: Facts) -> Decision:
    base = facts.base
    if base is None:
        return _weak(facts, facts.production)
    if same(base, facts.production):
        return _compare(facts, base, "reread" if base.version is None else "version")
    # Somebody wrote: another one, or the failed write itself before it failed.
    if facts.undisturbed and not facts.alone:
        return Decision("compare", base, "reread", None if facts.settled else WAIT)
    if base.version is not None or facts.production.version is not None:
        return Decision("raced", reason="moved on")
    return _weak(facts, facts.production)


def _at_version(facts: Facts) -> Decision:
    production, change, base = facts.production, facts.change, facts.base
    if production.exists and production.version == change:
        return _compare(facts, production, "version")
    if facts.state is not None:
        return _compare(facts, facts.state, "version")
    event = facts.event
    if event is not None and not event.exists and not production.exists:
        return _compare(facts, production, "event")  # a deletion that is still in force
    if event is not None and event.exists and not production.exists and base is None:
        return _compare(facts, event, "event")  # created, and perhaps deleted since
    if _before(production, change, base):
        if not facts.settled:
            return WAIT
        if event is None:
            return _weak(facts, production) if facts.committed else UNSEEN
        return UNSEEN
    if event is not None:
        return _compare(facts, evolve(event, version=change), "event")
    if not production.exists and base is not None and base.exists:
        return _weak(facts, production)  # deleted, by this change or by a later one
    return Decision("raced", reason="moved on")


def _before(production: Record, change: Any, base: Record | None) -> bool:
    """Whether production has not come to the change yet."""
    if not production.exists:
        return base is None or not base.exists
    if base is not None and base.exists and production.version is not None and production.version == base.version:
        return True
    return _less(production.version, change)


def _less(left: Any, right: Any) -> bool:
    return type(left) is int and type(right) is int and left < right


def _inferred(facts: Facts) -> Decision:
    """Nobody said which version C gave; it is the one after the base's, if production is there."""
    production, base, sister = facts.production, facts.base, facts.sister
    if _nothing_new(facts):
        return _unchanged(facts)
    follows = successor(base.version, production.version) if base is not None and base.exists else None
    if facts.counter and follows:
        return _compare(facts, production, "version")
    if facts.event is not None:
        return _compare(facts, facts.event, "event")
    if facts.counter and follows is False:
        return Decision("raced", reason="moved on")
    if production.exists and sister.exists and sister.version == production.version:
        return _compare(facts, production, "version")
    created = production.exists and (base is None or not base.exists)
    if created and facts.counter and _less(sister.version, production.version):
        return Decision("raced", reason="moved on")
    if created or not production.exists or facts.alone:
        return _weak(facts, production)
    return Decision("raced", reason="moved on")


def _reread(facts: Facts) -> Decision:
    return _unchanged(facts) if _nothing_new(facts) else _weak(facts, facts.production)


def _nothing_new(facts: Facts) -> bool:
    """Whether production does not show that C was committed."""
    if facts.base is None:
        return not facts.production.exists
    return same(facts.base, facts.production)


def _unchanged(facts: Facts) -> Decision:
    """Production is as it was before C: C left the record alone, or is not committed yet, or never will be."""
    production = facts.production
    proof: Proof = "reread" if production.version is None else "version"
    if facts.committed and facts.base is None:
        return _weak(facts, production)  # it may have been there in between
    if facts.committed:
        return Decision("compare", production, proof, None if facts.settled else WAIT)
    if not facts.settled:
        return WAIT
    return Decision("compare", production, proof, UNSEEN)
