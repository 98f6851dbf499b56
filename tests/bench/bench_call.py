"""
What a decorated call costs its caller, as a ratio to a wrapper that does nothing.

The sampled call is measured twice: with a runner that takes the job and keeps it (the caller's own work), and with the
default runner, whose threads run candidate and judge beside the caller and compete with it for the GIL.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pyperf
from _comments import again, comment
from _table import report

from shadowmig import Migration, fraction

COMMENT = comment()


class Keeps:
    """A runner that takes every job and does nothing with it but keep the latest, as a full queue would."""

    def bind(self, desk: Any) -> None:
        self.desk = desk
        self.jobs: deque[Any] = deque(maxlen=1000)

    def full(self) -> bool:
        return False

    def submit(self, job: Any) -> bool:
        self.jobs.append(job)
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


migration: Any = Migration("bench", sinks=[], runner=Keeps())  # type: ignore[arg-type]  # it never gives jobs back
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


def one_by_one(function: Callable[..., Any], calls: int) -> list[float]:
    """Time calls each by itself, in microseconds, the clock's own time included."""
    took = []
    for _ in range(calls):
        started = time.perf_counter_ns()
        function(7)
        took.append((time.perf_counter_ns() - started) / 1000)
    return took


def late(took: list[float]) -> float:
    """Give the 99th percentile."""
    return sorted(took)[int(len(took) * 0.99)]


def beside_its_threads() -> list[float]:
    """Time sampled calls with the default runner, in bursts that its queue can take."""
    took: list[float] = []
    with Migration("bench", sinks=[]) as real:
        sampled = real.read(handler, candidate=lambda comment_id: again(COMMENT), name="get")
        for burst in range(11):
            times = one_by_one(sampled, 900)
            took += times if burst else []
            real.flush(30)
    return took


def main() -> None:
    """Run all and print the table."""
    runner = pyperf.Runner(processes=5, values=3)
    results = {name: runner.bench_time_func(name, time_calls, form, inner_loops=10) for name, form in FORMS.items()}
    for name, form in ASYNC_FORMS.items():
        results[name] = runner.bench_time_func(name, time_awaits, form, inner_loops=10)
    if runner.args.worker:
        return
    best = {name: min(result.get_values()) for name, result in results.items()}
    own = one_by_one(FORMS["sampled"], 20_000)
    beside = beside_its_threads()
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
            ("the same, 99th percentile", late(own), 30, "us"),
            ("the same beside candidate and judge, 99th percentile", late(beside), 30, "us"),
        ],
    )
    print(f"(medians: own work {statistics.median(own):.2f} us, beside its threads {statistics.median(beside):.2f} us)")


if __name__ == "__main__":
    main()
