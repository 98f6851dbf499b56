"""What a storm prints: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from shadowmig.testing.storm.run import Outcome

_EXAMPLES = 12


def as_json(outcomes: Sequence[Outcome], **settings: Any) -> str:
    """
    Write what came of some storms as JSON.

    Args:
        outcomes: One for each defect, and one without a defect if there was one.
        settings: What they were run with.

    Returns:
        One object: the settings, ``seconds``, ``verdicts`` by name, ``reasons``, ``false_alarms`` and how many of them
        were ``weak``, ``raced``, ``share_raced``, ``raced_alone``, ``recall`` (``null`` without defects), ``defects``
        and ``plain`` (``null`` if it was not asked for). Of a defect: ``name``, ``found``, ``store`` (empty for the
        answer), ``path``, ``kind``, ``calls`` until it was found, and its own verdicts and counts.
    """
    return json.dumps({**settings, **_total(outcomes)}, indent=2)


def _total(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    verdicts = _added(each.verdicts for each in outcomes)
    planted = [each for each in outcomes if each.defect is not None]
    raced, all_of_them = verdicts.get("raced", 0), sum(verdicts.values())
    plain = [each.plain for each in outcomes if each.plain is not None]
    return {
        "seconds": round(sum(each.seconds for each in outcomes), 3),
        "verdicts": verdicts,
        "reasons": _added(each.reasons for each in outcomes),
        "false_alarms": sum(each.false_alarms for each in outcomes),
        "weak": sum(each.weak for each in outcomes),
        "alarms": [{"example": alarm.example, "count": alarm.count} for each in outcomes for alarm in each.alarms],
        "raced": raced,
        "share_raced": raced / (all_of_them or 1),
        "raced_alone": sum(each.raced_alone for each in outcomes),
        "complete": all(each.complete for each in outcomes),
        "recall": sum(each.found for each in planted) / len(planted) if planted else None,
        "defects": [_defect(each) for each in planted],
        "plain": {"mismatches": sum(plain)} if plain else None,
    }


def _defect(outcome: Outcome) -> dict[str, Any]:
    assert outcome.defect is not None
    store, path, kind = outcome.place or (None, None, None)
    return {
        "name": outcome.defect.name,
        "found": outcome.found,
        "store": store,
        "path": path,
        "kind": kind,
        "calls": outcome.calls,
        "verdicts": outcome.verdicts,
        "false_alarms": outcome.false_alarms,
        "raced": outcome.raced,
        "share_raced": outcome.share_raced,
        "raced_alone": outcome.raced_alone,
        "seconds": round(outcome.seconds, 3),
    }


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def line(outcome: Outcome) -> str:
    """Tell of one storm in one line."""
    name = outcome.defect.name if outcome.defect else "(no defect)"
    if outcome.defect is None:
        found = "nothing to find"
    elif outcome.place is None:
        found = "NOT FOUND"
    else:
        store, path, kind = outcome.place
        found = (
            f"{'found' if outcome.found else 'NOT NAMED'} at call {outcome.calls}: {store or 'answer'} {path} {kind}"
        )
    false = f", {outcome.false_alarms} FALSE" if outcome.false_alarms else ""
    return f"{name:<28} {found}  ({outcome.share_raced:.1%} raced{false}, {outcome.seconds:.1f} s)"


def closing(outcomes: Sequence[Outcome]) -> str:
    """Tell of all storms together."""
    total = _total(outcomes)
    verdicts = ", ".join(f"{count:,} {name}" for name, count in total["verdicts"].items() if count)
    reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(total["reasons"].items()))
    lines = [f"verdicts      {verdicts}", *([f"reasons       {reasons}"] if reasons else [])]
    if total["recall"] is not None:
        calls = sorted(each.calls for each in outcomes if each.calls is not None)
        when = f"; the median after {calls[len(calls) // 2]} calls, the last after {calls[-1]}" if calls else ""
        found = sum(each["found"] for each in total["defects"])
        lines.append(f"recall        {found} of {len(total['defects'])} defects found{when}")
    lines.append(f"false alarms  {total['false_alarms']:,}, of which weakly proved {total['weak']:,}")
    lines += [f"  {alarm['count']:>10,}  {alarm['example']}" for alarm in total["alarms"][:_EXAMPLES]]
    lines.append(f"raced         {total['share_raced']:.2%}, with nobody else writing {total['raced_alone']:,}")
    if total["plain"] is not None:
        lines.append(f"plain         {total['plain']['mismatches']:,} mismatches by comparing without versions")
    if not total["complete"]:
        lines.append("INCOMPLETE    not all calls were judged in time")
    return "\n".join(lines)
