"""
What a decorated call costs its caller, as a ratio to a wrapper that does nothing.

The sampled call is measured twice: with a runner that takes the job and forgets it (the caller's own work, by pyperf),
and with the default runner at 2 000 calls a second, each call timed by itself (what else the caller may wait for).
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import pyperf
from _comments import again, comment
from _table import report

from shadowmig import Migration, fraction

COMMENT = comment()


class Forgets:
    """A runner that takes every job and forgets it."""

    def bind(self, desk: Any) -> None:
        self.desk = desk

    def full(self) -> bool:
        return False

    def submit(self, job: Any) -> bool:
        return True

    def pending(self) -> int:
        return 0

    def close(self) -> None: ...

    def reset(self) -> None: ...


def handler(comment_id: int) -> dict[str, Any]:
    """Answer at once."""
    return COMMENT


async def async_handler(comment_id: int) -> dict[str, Any]:
    """Answer at once."""
    return COMMENT


def noop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function and do nothing."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def async_noop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an async function and do nothing."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


migration: Any = Migration("bench", sinks=[], runner=Forgets())  # type: ignore[arg-type]  # it never gives jobs back
FORMS: dict[str, Callable[..., Any]] = {
    "noop": noop(handler),
    "off": migration.read(handler, candidate=handler, name="off", stage="off"),
    "unsampled": migration.read(handler, candidate=handler, name="unsampled", sample=fraction(1e-6)),
    "sampled": migration.read(handler, candidate=handler, name="sampled"),
}
ASYNC_FORMS: dict[str, Callable[..., Any]] = {
    "async noop": async_noop(async_handler),
    "async off": migration.read(async_handler, candidate=async_handler, name="aoff", stage="off"),
    "async unsampled": migration.read(async_handler, candidate=async_handler, name="aun", sample=fraction(1e-6)),
}


def time_calls(loops: int, function: Callable[..., Any]) -> float:
    """Time calls of a function, ten a loop."""
    turns = range(loops)
    started = pyperf.perf_counter()
    for _ in turns:
        function(7), function(7), function(7), function(7), function(7)
        function(7), function(7), function(7), function(7), function(7)
    return pyperf.perf_counter() - started


def time_awaits(loops: int, function: Callable[..., Any]) -> float:
    """Time awaits of a function, ten a loop."""

    async def run() -> float:
        turns = range(loops)
        started = pyperf.perf_counter()
        for _ in turns:
            await function(7), await function(7), await function(7), await function(7), await function(7)
            await function(7), await function(7), await function(7), await function(7), await function(7)
        return pyperf.perf_counter() - started

    return asyncio.run(run())


def one_by_one(function: Callable[..., Any], calls: int, gap: float) -> list[float]:
    """Time calls each by itself, so many seconds apart."""
    took = []
    due = time.perf_counter()
    for _ in range(calls):
        while time.perf_counter() < due:
            time.sleep(gap / 4)
        due += gap
        started = time.perf_counter_ns()
        function(7)
        took.append((time.perf_counter_ns() - started) / 1000)
    return took


def with_the_default_runner() -> tuple[float, float, float]:
    """Give median and 99th percentile (microseconds) of sampled calls, and the median of the no-op wrapper."""
    with Migration("bench", sinks=[], budget=0.2) as real:
        sampled = real.read(handler, candidate=lambda comment_id: again(COMMENT), name="get")
        one_by_one(sampled, 200, 0.0005)
        took, floor = [], []
        for _ in range(10):
            floor += one_by_one(FORMS["noop"], 500, 0.0005)
            took += one_by_one(sampled, 500, 0.0005)
        took.sort()
        return statistics.median(took), took[int(len(took) * 0.99)], statistics.median(floor)


def main() -> None:
    """Run all and print the table."""
    runner = pyperf.Runner(processes=5, values=3)
    results = {name: runner.bench_time_func(name, time_calls, form, inner_loops=10) for name, form in FORMS.items()}
    for name, form in ASYNC_FORMS.items():
        results[name] = runner.bench_time_func(name, time_awaits, form, inner_loops=10)
    if runner.args.worker:
        return
    best = {name: min(result.get_values()) for name, result in results.items()}
    median, late, floor = with_the_default_runner()
    report(
        "1-call",
        [
            ("decorated call, stage OFF", best["off"] / best["noop"], 1.5, "x no-op wrapper"),
            ("decorated call, not sampled", best["unsampled"] / best["noop"], 1.5, "x no-op wrapper"),
            ("async, stage OFF", best["async off"] / best["async noop"], 1.3, "x async no-op wrapper"),
            ("async, not sampled", best["async unsampled"] / best["async noop"], 1.3, "x async no-op wrapper"),
            (
                "sampled call, 1 kB comment: the caller's own work",
                best["sampled"] / best["noop"],
                50,
                "x no-op wrapper",
            ),
            ("sampled call, default runner at 2 000 a second: 99th percentile", late, 30, "us"),
        ],
    )
    print(f"(one by one: sampled median {median:.2f} us, no-op {floor:.2f} us, clock included)")


if __name__ == "__main__":
    main()
