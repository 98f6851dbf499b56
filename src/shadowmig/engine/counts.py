"""What became of the sampled calls of one experiment, in numbers. Thread-safe; everything is bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from shadowmig.model import Comparison, RuleUse, Side, Stage, Summary, Verdict

MOST_NOISE: Final = 200
"""Paths of noise remembered for one experiment."""


class Counts:
    """Counters of one experiment in one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler, or a finalizer, may call a handler in the middle of this
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._reasons: dict[str, int] = {}
        self._noise: dict[str, int] = {}
        self._seconds = {Side.CONTROL: 0.0, Side.CANDIDATE: 0.0}

    def add(self, verdict: Verdict, reason: str = "") -> int:
        """Count a call; returns how many had this verdict for this reason."""
        with self._lock:
            self._verdicts[verdict] += 1
            if not reason:
                return self._verdicts[verdict]
            key = f"{verdict.value}:{reason}"
            self._reasons[key] = self._reasons.get(key, 0) + 1
            return self._reasons[key]

    def add_seconds(self, comparison: Comparison) -> None:
        """Add both sides' durations."""
        with self._lock:
            for observation in (comparison.control, comparison.candidate):
                if observation is not None:
                    self._seconds[observation.side] += observation.duration

    def add_noise(self, paths: Iterable[str]) -> None:
        """Count a call in which control disagreed with itself at these paths."""
        with self._lock:
            for path in set(paths):
                if path in self._noise or len(self._noise) < MOST_NOISE:
                    self._noise[path] = self._noise.get(path, 0) + 1

    def summary(self, experiment: str, stage: Stage, errors: dict[str, int], rules: tuple[RuleUse, ...]) -> Summary:
        """The counts so far."""
        with self._lock:
            return Summary(
                experiment=experiment,
                stage=stage,
                verdicts=dict(self._verdicts),
                reasons=dict(self._reasons),
                errors=errors,
                noise=dict(self._noise),
                rules=rules,
                control_seconds=self._seconds[Side.CONTROL],
                candidate_seconds=self._seconds[Side.CANDIDATE],
            )
