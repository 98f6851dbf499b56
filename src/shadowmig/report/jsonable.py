"""
A report as plain data for programs: what ``shadowmig report --json`` prints.

Danger: people build gates on it. Keys may be added; a change of what a key means raises ``version``.

    {"format": "shadowmig.report", "version": 1,
     "lost": 0,                                    occurrences of findings that were not tracked
     "skipped_lines": [{"file", "line", "reason"}],
     "experiments": [{
        "experiment", "stage",                     "off", "shadow", "live" or "complete"
        "calls", "compared", "findings",           numbers; compared is match + mismatch + ignored
        "match_rate",                              0 to 1, or null when nothing was compared
        "verdicts": {"match", "mismatch", "raced", "ignored", "broken", "skipped"},
        "reasons": {reason: calls}, "errors": {operation: times}, "noise": {path: times},
        "rules": [{"rule", "used", "reason", "expired"}],
        "control_seconds", "candidate_seconds"}],  totals
     "findings": [{
        "fingerprint", "migration", "experiment",
        "store", "record",                         empty for the answer
        "path", "kind",
        "types": {"control", "candidate"},
        "count",                                   calls
        "first_seen", "last_seen",                 ISO 8601, UTC
        "label", "proofs": {proof: times}, "only_weak_proofs",
        "examples": [{"call", "at", "path", "arguments", "control", "candidate", "note", "record"}]}]}

Experiments are sorted by name, findings by falling count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shadowmig.model import Example, Finding, Summary, Verdict
from shadowmig.report._numbers import compared, match_rate, of_experiment, only_weak
from shadowmig.sinks.jsonl import Skipped

VERSION = 1


def to_jsonable(
    findings: Sequence[Finding], summaries: Sequence[Summary], *, lost: int = 0, skipped: Iterable[Skipped] = ()
) -> dict[str, Any]:
    """
    Return a report as dicts, lists, text and numbers; the docstring of this module has the schema.

    Args:
        findings: As `shadowmig.findings.merge` returns them.
        summaries: The same.
        lost: Occurrences of findings that were not tracked.
        skipped: Lines that could not be read.
    """
    return {
        "format": "shadowmig.report",
        "version": VERSION,
        "lost": lost,
        "skipped_lines": [{"file": each.file, "line": each.line, "reason": each.reason} for each in skipped],
        "experiments": [_experiment(summary, of_experiment(findings, summary.experiment)) for summary in summaries],
        "findings": [_finding(finding) for finding in findings],
    }


def _experiment(summary: Summary, findings: int) -> dict[str, Any]:
    return {
        "experiment": summary.experiment,
        "stage": summary.stage.value,
        "calls": summary.calls,
        "compared": compared(summary),
        "match_rate": match_rate(summary),
        "findings": findings,
        "verdicts": {verdict.value: summary.verdicts.get(verdict, 0) for verdict in Verdict},
        "reasons": dict(summary.reasons),
        "errors": dict(summary.errors),
        "noise": dict(summary.noise),
        "rules": [
            {"rule": rule.rule, "used": rule.used, "reason": rule.reason, "expired": rule.expired}
            for rule in summary.rules
        ],
        "control_seconds": summary.control_seconds,
        "candidate_seconds": summary.candidate_seconds,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    control, candidate = finding.types
    return {
        "fingerprint": finding.fingerprint,
        "migration": finding.migration,
        "experiment": finding.experiment,
        "store": finding.store,
        "record": finding.record,
        "path": finding.path,
        "kind": finding.kind,
        "types": {"control": control, "candidate": candidate},
        "count": finding.count,
        "first_seen": finding.first_seen.isoformat(),
        "last_seen": finding.last_seen.isoformat(),
        "label": finding.label,
        "proofs": dict(finding.proofs),
        "only_weak_proofs": only_weak(finding),
        "examples": [_example(example) for example in finding.examples],
    }


def _example(example: Example) -> dict[str, Any]:
    return {
        "call": example.call,
        "at": example.at.isoformat(),
        "path": example.path,
        "arguments": example.arguments,
        "control": example.control,
        "candidate": example.candidate,
        "note": example.note,
        "record": example.record,
    }
