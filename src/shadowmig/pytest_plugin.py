"""
The pytest plugin: loaded by its entry point, does nothing until a test asks for a fixture.

It must stay cheap to import, since every pytest run on the machine loads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shadowmig.model import Comparison

MOST_SHOWN = 10
"""Differences of one call shown in a failure."""


@pytest.fixture
def shadowmig_strict() -> Iterator[list[Comparison]]:
    """
    Compare every call of every migration before it returns, and fail the test if any did not match.

    Sampling and runners are set aside while the test runs. A call that is `MISMATCH` or `BROKEN` fails the test at its
    end, with its differences; `IGNORED`, `RACED` and `SKIPPED` do not.

    Returns:
        The comparisons so far, in a list that grows: take out (``clear()``) what a test expects to differ.
    """
    from contextlib import ExitStack

    from shadowmig.migration import Migration, births, open_migrations

    seen: list[Comparison] = []
    with ExitStack() as stack:

        def join(migration: Migration) -> None:
            stack.enter_context(migration.inline(seen))

        for migration in open_migrations():
            join(migration)
        births.append(join)
        stack.callback(births.remove, join)
        yield seen
    failures = [comparison for comparison in seen if comparison.verdict.value in ("mismatch", "broken")]
    if failures:
        pytest.fail("\n".join(_describe(comparison) for comparison in failures), pytrace=False)


def _describe(comparison: Comparison) -> str:
    from shadowmig.findings import render

    call = comparison.call
    arguments = "" if call is None else ", ".join([*map(render, call.args), *map(render, call.kwargs.values())])
    lines = [f"{'?' if call is None else call.experiment}({arguments}): {comparison.verdict.name} {comparison.reason}"]
    for difference in comparison.differences[:MOST_SHOWN]:
        lines += [
            f"  {difference.path} ({difference.kind}) {difference.note}".rstrip(),
            f"    control:   {render(difference.control)}",
            f"    candidate: {render(difference.candidate)}",
        ]
    if len(comparison.differences) > MOST_SHOWN:
        lines.append(f"  and {len(comparison.differences) - MOST_SHOWN} more")
    return "\n".join(lines)
