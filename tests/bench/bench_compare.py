"""What comparing costs, as a ratio to ``==`` of the same equal pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyperf
from _comments import again, changed_leaf, comment, tree
from _table import report

from shadowmig import structural

ONE = comment()
SAME = again(ONE)
SORTED = {key: SAME[key] for key in sorted(SAME, reverse=True)}
OTHER = {**again(ONE), "score": ONE["score"] + 1}
TREE = tree()
SAME_TREE = again(TREE)
OTHER_TREE = changed_leaf(TREE)
judge = structural()
ruled = structural(ignore=["$.served_by"], unordered={"$.awards": "id"})


def time_equal(loops: int, left: Any, right: Any) -> float:
    """Time ``==``."""
    turns = range(loops)
    started = pyperf.perf_counter()
    for _ in turns:
        left == right  # noqa: B015 - the comparison is what is timed
    return pyperf.perf_counter() - started


def time_compare(loops: int, compare: Callable[..., Any], left: Any, right: Any) -> float:
    """Time a comparator."""
    turns = range(loops)
    started = pyperf.perf_counter()
    for _ in turns:
        compare(control=left, candidate=right)
    return pyperf.perf_counter() - started


def main() -> None:
    """Run all and print the table."""
    assert not judge(control=ONE, candidate=SAME)
    assert [difference.path for difference in judge(control=ONE, candidate=OTHER)] == ["$.score"]
    assert len(judge(control=TREE, candidate=OTHER_TREE)) == 1
    runner = pyperf.Runner(processes=5, values=3)
    results = {
        "==": runner.bench_time_func("==", time_equal, ONE, SAME),
        "equal": runner.bench_time_func("equal", time_compare, judge, ONE, SAME),
        "sorted": runner.bench_time_func("sorted", time_compare, judge, ONE, SORTED),
        "ruled": runner.bench_time_func("ruled", time_compare, ruled, ONE, SAME),
        "other": runner.bench_time_func("other", time_compare, judge, ONE, OTHER),
        "== tree": runner.bench_time_func("== tree", time_equal, TREE, SAME_TREE),
        "equal tree": runner.bench_time_func("equal tree", time_compare, judge, TREE, SAME_TREE),
        "other tree": runner.bench_time_func("other tree", time_compare, judge, TREE, OTHER_TREE),
    }
    if runner.args.worker:
        return
    best = {name: min(result.get_values()) for name, result in results.items()}
    one, whole = best["=="], best["== tree"]
    report(
        "2-compare",
        [
            ("structural, equal pair of comments", best["equal"] / one, 6, "x == of the pair"),
            ("structural, equal pair, keys in another order", best["sorted"] / one, 8, "x == of the pair"),
            ("structural with rules, equal pair", best["ruled"] / one, 6, "x == of the pair"),
            ("structural, one difference and its path", best["other"] / one, 20, "x == of the equal pair"),
            ("structural, equal trees of 500 comments", best["equal tree"] / whole, 6, "x == of the trees"),
            (
                "structural, trees of 500 comments, one leaf changed",
                best["other tree"] / whole,
                15,
                "x == of equal trees",
            ),
        ],
    )


if __name__ == "__main__":
    main()
