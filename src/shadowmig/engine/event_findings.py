"""Faults of event streams as comparisons, so that they become findings as those of calls do."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from shadowmig.model import MISSING, Call, Comparison, Difference, Kind, Ref, Verdict
from shadowmig.wire.events import EventFault, EventVerdict

_PLACES: Final[dict[EventVerdict, tuple[str, Kind]]] = {
    EventVerdict.DIFFERENT: ("$", "changed"),
    EventVerdict.UNDECODABLE: ("$", "raised"),
    EventVerdict.MISSING: ("$", "missing"),
    EventVerdict.UNEXPECTED: ("$", "unexpected"),
    EventVerdict.DOUBLED: ("@count", "changed"),
    EventVerdict.OUT_OF_ORDER: ("@order", "order"),
    EventVerdict.LATE: ("@lag", "deadline"),
}
"""Where a fault is, and of what kind. What is not here says nothing of the candidate."""


def told(stream: str, fault: EventFault) -> tuple[Comparison, Call] | None:
    """
    Make a comparison of a fault, and the call that it stands for; ``None`` if it says nothing of the candidate.

    Args:
        stream: What the experiment is called: the name of the stream.
        fault: The fault.
    """
    place = _PLACES.get(fault.verdict)
    if place is None:
        return None
    path, kind = place
    ref = Ref("events", "entry", stream, (fault.id,))
    beside = {"@count": (1, 2) if fault.where == "sister" else (2, 1), "@lag": (MISSING, fault.lag)}
    control, candidate = beside.get(path, (MISSING, MISSING))
    found = fault.differences or (Difference(path, kind, control, candidate, note=fault.note),)
    differences = tuple(evolve(each, ref=ref) for each in found)
    call = Call(fault.id, stream, fault.at)
    return Comparison(Verdict.MISMATCH, call, differences=differences, proof="event"), call
