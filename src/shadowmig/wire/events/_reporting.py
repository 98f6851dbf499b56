"""The report and the list of faults, made of what was committed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from shadowmig.wire.events import _lags
from shadowmig.wire.events._matched import Blind, joined
from shadowmig.wire.events._partition import read
from shadowmig.wire.events._state import State
from shadowmig.wire.events.report import BESIDE, PRIMARY, EventFault, EventReport, Gap, moment


def report(name: str, state: State, troubles: Mapping[str, int]) -> EventReport:
    """Add up the checkpoints of all partitions."""
    begun = state.begin(None)
    told = [None if each is None else read(each) for each in state.overview()]
    kept = [each for each in told if each is not None]
    counts: Counter[str] = Counter()
    lags: Counter[int] = Counter()
    for each in kept:
        counts.update(each["counts"])
        lags.update({int(bucket): count for bucket, count in each["lags"].items()})
    ends = [None if each is None else each["as_of"] for each in told]
    sure = [end for end in ends if end is not None]
    gaps = [
        Gap(blind.where, moment(blind.begin), moment(blind.end), blind.why)
        for blind in joined(Blind(*told) for each in kept for told in each["blinds"])
    ]
    return EventReport(
        name,
        production=counts["production"],
        sister=counts["sister"],
        matched=counts["matched"],
        verdicts={verdict: counts[verdict.value] for verdict in PRIMARY},
        beside={verdict: counts[f"+{verdict.value}"] for verdict in BESIDE},
        open=sum(each["open"] for each in kept),
        waiting=sum(each["waiting"] for each in kept),
        uncovered=counts["uncovered"],
        lag=_lags.of(lags, max((each["longest"] for each in kept), default=0.0)),
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.begin, gap.where))),
        as_of=moment(min(sure)) if sure and len(sure) == len(ends) else None,
        since=None if begun is None else moment(json.loads(begun)["at"]),
        troubles=dict(troubles),
    )


def faults(state: State, after: str, count: int) -> tuple[EventFault, ...]:
    """Read the list of faults."""
    return tuple(EventFault.from_json(json.loads(text), cursor) for cursor, text in state.faults(after, count))
