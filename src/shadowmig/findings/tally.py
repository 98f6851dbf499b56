"""
Counting mismatches by fingerprint, with a few redacted examples of each.

Danger: a flood. A broken candidate makes every call a mismatch, so the way of a known finding whose examples are
full is kept short: no value is redacted, rendered or kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from attrs import define, field

from shadowmig.errors import ConfigError
from shadowmig.findings._exhibit import Exhibitor
from shadowmig.findings.fingerprint import fingerprint
from shadowmig.findings.redact import secrets
from shadowmig.model import MISSING, Call, Comparison, Difference, Example, Finding, Verdict
from shadowmig.protocols import Redactor
from shadowmig.sinks._perprocess import PerProcess

_LOOKED_AT: Final = 50  # differences looked at for each one allowed; most of a flood are of the same few kinds


@define
class _Entry:
    """What is known of one finding; changed under the lock only."""

    fingerprint: str
    experiment: str
    path: str
    kind: Any
    types: tuple[str, str]
    place: tuple[str, str]
    first_seen: datetime
    last_seen: datetime
    count: int = 0
    reserved: int = 0
    proofs: dict[str, int] = field(factory=dict)
    examples: list[Example] = field(factory=list)


@define
class _State:
    lock: threading.Lock = field(factory=threading.Lock)
    entries: dict[str, _Entry] = field(factory=dict)
    changed: set[str] = field(factory=set)
    lost: int = 0


class Tally:
    """
    Count the mismatches of one migration.

    A call counts once for each fingerprint it has. Thread-safe. A forked child starts from zero, so that what the
    parent counted is not added up twice. No clock is read: all times are those of the calls.

    Args:
        migration: Name of the migration.
        label: The candidate build.
        max_findings: Most findings tracked; above it they are counted in `lost`.
        max_examples: Most examples of one finding; the first ones are kept.
        max_differences_per_call: Most fingerprints counted for one call. Fifty times as many differences are looked
            at to find them.
        max_text: Most characters of each text of an example; at least 40.
        redact: Takes secrets out of values, arguments and exception texts. If it raises, the text is
            ``<withheld: redactor failed>``.
        explain: Called as ``explain(control, candidate)`` for new examples, with the *redacted* values; its text
            becomes the example's note. Not called if a value is withheld, is missing, or is an exception.
        on_error: Called with the operation (``"redact"``, ``"fingerprint"``, ``"render"``, ``"explain"``) and the
            error, without any lock held. What it raises is ignored.

    Raises:
        ConfigError: If a limit is out of range, or something that must be called cannot be.
    """

    def __init__(
        self,
        migration: str,
        *,
        label: str = "",
        max_findings: int = 1000,
        max_examples: int = 3,
        max_differences_per_call: int = 20,
        max_text: int = 500,
        redact: Redactor = secrets,
        explain: Callable[[Any, Any], str] | None = None,
        on_error: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        limits = {
            "max_findings": (max_findings, 1),
            "max_examples": (max_examples, 0),
            "max_differences_per_call": (max_differences_per_call, 1),
            "max_text": (max_text, 40),
        }
        for name, (given, least) in limits.items():
            if given < least:
                raise ConfigError(f"{name} must be at least {least}, not {given}.", field=name, value=given)
        for name, callback in (("redact", redact), ("explain", explain or len), ("on_error", on_error or len)):
            if not callable(callback):
                raise ConfigError(f"{name} must be callable, not {callback!r}.", field=name, value=callback)
        self.migration = migration
        self.label = label
        self._max_findings = max_findings
        self._max_examples = max_examples
        self._max_differences = max_differences_per_call
        self._exhibitor = Exhibitor(redact=redact, explain=explain, on_error=on_error, limit=max_text)
        self._process: PerProcess[_State] = PerProcess(_State)

    @property
    def lost(self) -> int:
        """How often a finding was not tracked because the tally was full, since the process began."""
        return self._process.get().lost

    def record(self, comparison: Comparison) -> None:
        """
        Count a comparison if it is a `MISMATCH`; others are ignored.

        A mismatch without differences is counted at ``$``, so that it is not lost.
        """
        call = comparison.call
        if comparison.verdict is not Verdict.MISMATCH or call is None:
            return
        found = self._distinct(call.experiment, comparison)
        at = call.at if call.at.tzinfo is not None else call.at.replace(tzinfo=UTC)
        state = self._process.get()
        wanted: list[tuple[_Entry, Difference]] = []
        with state.lock:
            for mark, difference in found.items():
                entry = state.entries.get(mark)
                if entry is None:
                    if len(state.entries) >= self._max_findings:
                        state.lost += 1
                        continue
                    entry = state.entries[mark] = self._entry(mark, call.experiment, difference, at)
                self._count(entry, difference.proof or comparison.proof, at)
                state.changed.add(mark)
                if entry.reserved < self._max_examples:
                    # Reserved now and made outside the lock, so that a burst makes no more than are kept.
                    entry.reserved += 1
                    wanted.append((entry, difference))
        if wanted:
            self._exhibit(state, call, at, wanted)

    def findings(self) -> tuple[Finding, ...]:
        """Return all findings, those with the highest count first."""
        state = self._process.get()
        with state.lock:
            return self._sorted(state.entries.values())

    def changed(self) -> tuple[Finding, ...]:
        """Return the findings that are new, or have a new count or example, since the last call of this."""
        state = self._process.get()
        with state.lock:
            marks, state.changed = state.changed, set()
            return self._sorted(state.entries[mark] for mark in marks)

    def _distinct(self, experiment: str, comparison: Comparison) -> dict[str, Difference]:
        found: dict[str, Difference] = {}
        differences = comparison.differences or (_whole(comparison),)
        for difference in differences[: self._max_differences * _LOOKED_AT]:
            try:
                mark = fingerprint(experiment, difference)
            except BaseException as error:  # noqa: BLE001 - a value's class may do anything
                self._exhibitor.tell("fingerprint", error)
                continue
            if mark not in found:
                found[mark] = difference
                if len(found) >= self._max_differences:
                    break
        return found

    def _entry(self, mark: str, experiment: str, difference: Difference, at: datetime) -> _Entry:
        path, types = self._exhibitor.place(difference)
        return _Entry(mark, experiment, path, difference.kind, types, self._exhibitor.record(difference.ref), at, at)

    @staticmethod
    def _count(entry: _Entry, proof: str | None, at: datetime) -> None:
        entry.count += 1
        if proof is not None:
            entry.proofs[proof] = entry.proofs.get(proof, 0) + 1
        # Calls are judged in another order than they are made.
        if at > entry.last_seen:
            entry.last_seen = at
        elif at < entry.first_seen:
            entry.first_seen = at

    def _exhibit(self, state: _State, call: Call, at: datetime, wanted: list[tuple[_Entry, Difference]]) -> None:
        arguments = self._exhibitor.arguments(call)
        for entry, difference in wanted:
            example = self._exhibitor.example(call, at, difference, arguments)
            with state.lock:
                entry.examples.append(example)
                state.changed.add(entry.fingerprint)

    def _sorted(self, entries: Iterator[_Entry] | Any) -> tuple[Finding, ...]:
        findings = [
            Finding(
                fingerprint=entry.fingerprint,
                migration=self.migration,
                experiment=entry.experiment,
                path=entry.path,
                kind=entry.kind,
                types=entry.types,
                store=entry.place[0],
                record=entry.place[1],
                count=entry.count,
                first_seen=entry.first_seen,
                last_seen=entry.last_seen,
                label=self.label,
                proofs=dict(entry.proofs),
                examples=tuple(entry.examples),
            )
            for entry in entries
        ]
        return tuple(sorted(findings, key=lambda finding: (-finding.count, finding.first_seen, finding.fingerprint)))


def _whole(comparison: Comparison) -> Difference:
    sides = (comparison.control, comparison.candidate)
    control, candidate = (MISSING if side is None else side.raised or side.value for side in sides)
    return Difference("$", "changed", control, candidate)
