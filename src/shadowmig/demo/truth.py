"""
What really happened, noted where it happened, to hold against what was reported.

Nothing here is shown to the engine. Both services note the version that each request read, and the rewrite notes each
answer that a planted defect really spoiled; so it is known of every reported difference whether it is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import define, field

from shadowmig.findings import fold, type_name
from shadowmig.model import Comparison, Difference, Verdict

if TYPE_CHECKING:
    from shadowmig.demo.defects import Defect

Reader = Literal["control", "candidate"]

_MOST_ALARMS = 20


@define
class Sighting:
    """
    How often a planted defect was reported.

    Attributes:
        calls: Calls whose mismatch it explains.
        first: The first of them; requests are numbered from 1.
    """

    calls: int = 0
    first: int = 0


@define
class Truth:
    """
    Notes of one run. Writers are several threads; each note is one atomic operation.

    Attributes:
        sightings: By defect.
        alarms: What was reported falsely, and what was not reported though it should be, as text; the first few.
        false: Number of calls with reported differences that no planted defect explains.
        raced_as_mismatch: Mismatches in calls whose sides read different versions.
        overlooked: Spoiled answers that were not reported, although nothing was edited meanwhile.
    """

    sightings: dict[Defect, Sighting] = field(factory=dict)
    alarms: list[str] = field(factory=list)
    false: int = 0
    raced_as_mismatch: int = 0
    overlooked: int = 0
    _read: dict[tuple[int, Reader], list[int]] = field(factory=dict)
    _spoiled: dict[int, tuple[Defect, ...]] = field(factory=dict)

    def read(self, request: int, reader: Reader, version: int) -> None:
        """Note which version a side read for a request; it may read more than once."""
        self._read.setdefault((request, reader), []).append(version)

    def answered(self, request: int, spoiled_by: tuple[Defect, ...]) -> None:
        """Note which defects changed the rewrite's first answer to a request; only that one is reported."""
        self._spoiled.setdefault(request, spoiled_by)

    def raced(self, request: int) -> bool:
        """Tell whether something was edited between the first reads of the two sides."""
        control, candidate = self._read.get((request, "control")), self._read.get((request, "candidate"))
        return bool(control and candidate and control[0] != candidate[0])

    def all_raced(self) -> int:
        """Return the number of requests that raced."""
        return sum(self.raced(request) for request, reader in list(self._read) if reader == "control")

    def times_spoiled(self, defect: Defect) -> int:
        """Return the number of requests whose answer a defect changed."""
        return sum(defect in defects for defects in list(self._spoiled.values()))

    def check(self, comparison: Comparison) -> None:
        """Hold one comparison against the notes; called by the one thread that judges."""
        if comparison.call is None:
            return
        request, experiment = comparison.call["request"], comparison.call.experiment
        if comparison.verdict is Verdict.MISMATCH and self.raced(request):
            self.raced_as_mismatch += 1
        spoiled_by = self._spoiled.get(request, ())
        explained: set[Defect] = set()
        for difference in comparison.differences:
            guilty = [each for each in spoiled_by if _explains(each, difference)]
            explained.update(guilty)
            if not guilty:
                self.false += 1
                self._note(f"{experiment} {difference.path}: {difference.kind}, call {request}, which nobody planted")
        for defect in explained:
            seen = self.sightings.setdefault(defect, Sighting(first=request))
            seen.calls += 1
            seen.first = min(seen.first, request)
        if self._still(request):
            self._look_for(set(spoiled_by) - explained, comparison, request)

    def _still(self, request: int) -> bool:
        """Tell whether all reads for a request saw the same version."""
        control, candidate = self._read.get((request, "control"), []), self._read.get((request, "candidate"), [])
        return len({*control, *candidate}) <= 1

    def _look_for(self, unexplained: set[Defect], comparison: Comparison, request: int) -> None:
        # A list of another length is reported as a whole, so it hides what is wrong inside.
        paths = [fold(difference.path) for difference in comparison.differences]
        for defect in unexplained:
            if not any(place.path.startswith(path) for place in defect.places for path in paths):
                self.overlooked += 1
                self._note(f"{defect.name} spoiled call {request}, and the verdict is {comparison.verdict.value}")

    def _note(self, alarm: str) -> None:
        if len(self.alarms) < _MOST_ALARMS:
            self.alarms.append(alarm)


def _explains(defect: Defect, difference: Difference) -> bool:
    types = type_name(difference.control), type_name(difference.candidate)
    return defect.shows(fold(difference.path), difference.kind, types)
