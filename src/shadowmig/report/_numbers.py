"""
The figures every report states, worked out once.

Danger: a rounded share must never look perfect when it is not, so shares are rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable

from shadowmig.model import Finding, Summary, Verdict

WEAK = frozenset({"reread", "single"})
"""Proofs that by themselves do not show that the candidate was wrong."""


def compared(summary: Summary) -> int:
    """Return the number of calls whose answers were compared: those that matched, differed, or differed by a rule."""
    return sum(summary.verdicts.get(verdict, 0) for verdict in (Verdict.MATCH, Verdict.MISMATCH, Verdict.IGNORED))


def match_rate(summary: Summary) -> float | None:
    """Return the share of compared calls that matched, 0 to 1; ``None`` when none was compared."""
    total = compared(summary)
    return summary.verdicts.get(Verdict.MATCH, 0) / total if total else None


def percent(part: int, whole: int) -> str:
    """Return a share as ``99.2 %``, rounded down to a tenth; ``whole`` is above 0."""
    tenths = part * 1000 // whole
    return "100 %" if part == whole else f"{tenths // 10}.{tenths % 10} %"


def number(count: int) -> str:
    """Return a count with its thousands apart: ``12 345``."""
    return f"{count:,}".replace(",", " ")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 call``, ``2 calls``."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def only_weak(finding: Finding) -> bool:
    """Tell whether a finding has proofs, and none but weak ones."""
    return bool(finding.proofs) and WEAK.issuperset(finding.proofs)


def of_experiment(findings: Iterable[Finding], experiment: str) -> int:
    """Return how many findings an experiment has."""
    return sum(finding.experiment == experiment for finding in findings)
