"""What the judge said of each call, held against what is known of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable
from typing import Final

from attrs import define

from shadowmig.findings.fingerprint import fold
from shadowmig.model import Comparison, Difference, Verdict
from shadowmig.testing.storm._experiments import entities
from shadowmig.testing.storm._traffic import Traffic
from shadowmig.testing.storm.defects import ANSWER, Defect

_CLASSES: Final = 50


@define
class Alarm:
    """A class of false alarms: an example as text, and how many there were."""

    example: str
    count: int = 1


class Watch:
    """
    Told every comparison of a storm; counts.

    Attributes:
        calls: Comparisons so far.
        place: The first of the defect's places at which it showed: store, folded path, kind.
        found_after: Number of comparisons until then, that one included.
        false_alarms: Calls with a difference where no defect was planted.
        weak: How many of these were proved by ``reread`` only.
        raced_alone: Calls that raced with nobody.
        alarms: Classes of false alarms.
    """

    def __init__(self, defect: Defect | None, traffic: Traffic) -> None:
        self._defect = defect
        self._traffic = traffic
        self._lock = threading.Lock()
        self._home = sys.maxsize
        self.calls = 0
        self.place: tuple[str, str, str] | None = None
        self.found_after: int | None = None
        self.false_alarms = 0
        self.weak = 0
        self.raced_alone = 0
        self.alarms: dict[Hashable, Alarm] = {}

    def __call__(self, comparison: Comparison) -> None:
        """Take note of a comparison."""
        with self._lock:
            self.calls += 1
            if comparison.verdict is Verdict.RACED:
                self._raced(comparison)
            elif comparison.verdict is Verdict.MISMATCH:
                self._differs(comparison)

    def _raced(self, comparison: Comparison) -> None:
        call, control = comparison.call, comparison.control
        if call is None or control is None:
            return
        if not self._traffic.shared(call, entities(call.experiment, call.args, control.value)):
            self.raced_alone += 1

    def _differs(self, comparison: Comparison) -> None:
        places = self._defect.places if self._defect else ()
        # In the order of the places: those where the defect itself is come before those that it reaches from there.
        shown = [each for place in places for each in comparison.differences if place.has(each)]
        if shown:
            self.found_after = self.found_after or self.calls
            home = next(index for index, place in enumerate(places) if place.has(shown[0]))
            if home < self._home:
                self._home, self.place = home, _place(shown[0])
        strange = [each for each in comparison.differences if not any(each is one for one in shown)]
        if strange:
            self.false_alarms += 1
            self.weak += comparison.proof == "reread"
            self._alarm(comparison, strange[0])

    def _alarm(self, comparison: Comparison, difference: Difference) -> None:
        call = comparison.call
        key = (call and call.experiment, _place(difference), comparison.proof)
        if key in self.alarms:
            self.alarms[key].count += 1
        elif len(self.alarms) < _CLASSES:
            self.alarms[key] = Alarm(_described(comparison, difference))


def _place(difference: Difference) -> tuple[str, str, str]:
    return difference.ref.store if difference.ref else ANSWER, fold(difference.path), difference.kind


def _described(comparison: Comparison, difference: Difference) -> str:
    call = comparison.call
    where = str(difference.ref or "answer")
    values = f"{difference.control!r:.80} -> {difference.candidate!r:.80}"
    return (
        f"{call.experiment if call else '?'}: {where} {difference.path} {difference.kind} ({values}), "
        f"proof {comparison.proof}. {difference.note}"
    ).strip()
