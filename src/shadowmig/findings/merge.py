"""
Many batches, from many processes, as one list of findings and one of summaries.

Danger: batches hold totals since a process began. So of one source only the latest counts, and only over sources do
they add up. The result depends on neither the order nor the number of times a batch is given.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from attrs import evolve

from shadowmig.model import Batch, Example, Finding, RuleUse, Summary, Verdict

_EXAMPLES: Final = 3

T = TypeVar("T")


def merge(
    batches: Iterable[Batch], *, max_examples: int = _EXAMPLES
) -> tuple[tuple[Finding, ...], tuple[Summary, ...]]:
    """
    Merge batches.

    Of one source the latest batch that mentions a finding (or experiment) counts. Over sources counts, proofs,
    verdicts, reasons, errors, noise, uses of rules and seconds add up; the first and last times are the outermost;
    label and stage are those of the source heard of last; the earliest examples are kept. Findings are the same when
    migration and fingerprint are. If two migrations use one name for an experiment, it becomes
    ``migration/experiment``.

    Args:
        batches: In any order; repeated ones do no harm.
        max_examples: Most examples kept of one finding.

    Returns:
        The findings, highest count first, and the summaries by name.
    """
    findings: dict[tuple[str, str], dict[str, tuple[datetime, Finding]]] = defaultdict(dict)
    summaries: dict[tuple[str, str], dict[str, tuple[datetime, Summary]]] = defaultdict(dict)
    for batch in batches:
        for finding in batch.findings:
            _keep_latest(findings[finding.migration, finding.fingerprint], batch, finding, finding.count)
        for summary in batch.summaries:
            _keep_latest(summaries[batch.migration, summary.experiment], batch, summary, summary.calls)
    merged = [_finding(list(group.values()), max_examples) for group in findings.values()]
    summed = {key: _summary(list(group.values())) for key, group in summaries.items()}

    shared = _shared([*summed, *((finding.migration, finding.experiment) for finding in merged)])
    return (
        tuple(
            sorted(
                (_qualified(finding, finding.migration, shared) for finding in merged),
                key=lambda finding: (-finding.count, finding.first_seen, finding.fingerprint, finding.migration),
            )
        ),
        tuple(
            sorted(
                (_qualified(summary, migration, shared) for (migration, _), summary in summed.items()),
                key=lambda summary: summary.experiment,
            )
        ),
    )


def lost(batches: Iterable[Batch]) -> int:
    """Return how often findings were not tracked because a tally was full: the most of each source, added up."""
    latest: dict[str, int] = {}
    for batch in batches:
        latest[batch.source] = max(batch.lost, latest.get(batch.source, 0))
    return sum(latest.values())


def _keep_latest(group: dict[str, tuple[datetime, T]], batch: Batch, value: T, count: int) -> None:
    known = group.get(batch.source)
    if known is None or batch.at > known[0]:
        group[batch.source] = (batch.at, value)
    elif batch.at == known[0] and known[1] != value:
        # Made in the same microsecond: totals only grow, and the text decides what is left.
        group[batch.source] = max(known, (batch.at, value), key=lambda each: (_size(each[1]), repr(each[1])))


def _size(value: object) -> int:
    return value.count if isinstance(value, Finding) else value.calls if isinstance(value, Summary) else 0


def _finding(group: Sequence[tuple[datetime, Finding]], max_examples: int) -> Finding:
    each = [finding for _, finding in group]
    last = max(each, key=lambda finding: (finding.last_seen, repr(finding)))
    examples = {example for finding in each for example in finding.examples}
    return evolve(
        last,
        count=sum(finding.count for finding in each),
        proofs=_added(finding.proofs for finding in each),
        first_seen=min(finding.first_seen for finding in each),
        examples=tuple(sorted(examples, key=_order)[:max_examples]),
    )


def _order(example: Example) -> tuple[Any, ...]:
    return (example.at, example.call, example.path, repr(example))


def _summary(group: Sequence[tuple[datetime, Summary]]) -> Summary:
    each = [summary for _, summary in group]
    _, last = max(group, key=lambda known: (known[0], repr(known[1])))
    verdicts = _added(summary.verdicts for summary in each)
    return Summary(
        experiment=last.experiment,
        stage=last.stage,
        verdicts={verdict: verdicts.get(verdict, 0) for verdict in Verdict},
        reasons=_added(summary.reasons for summary in each),
        errors=_added(summary.errors for summary in each),
        noise=_added(summary.noise for summary in each),
        rules=_rules(each),
        control_seconds=_seconds(summary.control_seconds for summary in each),
        candidate_seconds=_seconds(summary.candidate_seconds for summary in each),
    )


def _rules(summaries: Iterable[Summary]) -> tuple[RuleUse, ...]:
    groups: dict[str, list[RuleUse]] = defaultdict(list)
    for summary in summaries:
        for rule in summary.rules:
            groups[rule.rule].append(rule)
    return tuple(
        RuleUse(
            rule=text,
            used=sum(rule.used for rule in group),
            reason=max(rule.reason for rule in group),
            expired=any(rule.expired for rule in group),
        )
        for text, group in sorted(groups.items())
    )


def _added(counts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items(), key=lambda item: str(item[0])))


def _seconds(values: Iterable[float]) -> float:
    # fsum rounds once, so that the order does not show. What is not finite came from a damaged file.
    finite = sorted(value for value in values if math.isfinite(value))
    try:
        return math.fsum(finite)
    except OverflowError:
        return sum(finite)


def _shared(names: Iterable[tuple[str, str]]) -> set[str]:
    migrations: dict[str, set[str]] = defaultdict(set)
    for migration, experiment in names:
        migrations[experiment].add(migration)
    return {experiment for experiment, users in migrations.items() if len(users) > 1}


Named = TypeVar("Named", Finding, Summary)


def _qualified(value: Named, migration: str, shared: set[str]) -> Named:
    if value.experiment not in shared:
        return value
    return evolve(value, experiment=f"{migration}/{value.experiment}")
