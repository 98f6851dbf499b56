"""Trials of functions that users give: on hostile values, and when they dawdle on the caller's path."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.engine import Breaker
from shadowmig.migration import Migration
from shadowmig.model import Verdict
from shadowmig.testing._harm_caller import Witness, noticed
from shadowmig.testing._harm_faults import Hostile, Mischief, Trouble
from shadowmig.testing._harm_rig import Rig, Subject, compare_plainly, logging_to
from shadowmig.testing._harm_trial import ENOUGH, until

OPTIONS: Final = ("compare", "sample", "key", "extract", "version", "errors", "redact", "on_comparison", "sinks")


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(20_000):
        value = [value]
    return value


class _ExitsWhenFrozen:
    def __reduce__(self) -> Any:
        raise SystemExit("while it was pickled")


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise Mischief("the text of an exception")


HOSTILE: Final[dict[str, Callable[[], Any]]] = {
    "none": lambda: None,
    "huge": lambda: [{"n": number} for number in range(5_000)],
    "too large": lambda: "x" * 3_000_000,
    "cyclic": _cycle,
    "deep": _deep,
    "touchy": Hostile,
    "exits when frozen": _ExitsWhenFrozen,
    "an exception": lambda: _Unspeakable("text"),
    "one-shot": lambda: (number for number in range(3)),
    "a lock": threading.Lock,
    "a class": lambda: _Unspeakable,
    "not a number": lambda: {"n": float("nan")},
    "lone surrogate": lambda: {"\ud800": "\udfff"},
    "huge number": lambda: {"n": 10**5000},
    "mixed keys": lambda: {1: "a", "1": "b", None: {2.5, "c"}, (): b"\xff"},
}
"""Values that have broken comparators and pickles before, each made anew for every call."""


def hostile(runner: str, hooks: Mapping[str, Any]) -> None:
    """
    Have callers give and get plain and hostile values, with the hooks in use.

    Raises:
        AssertionError: A caller noticed something.
    """
    complaints: list[str] = []
    with logging_to(None):
        rig = Rig(runner, None, Trouble(), hooks, HOSTILE)
        subjects = [subject for subject in rig.subjects if subject.kind in ("function", "method", "coroutine")]
        callers = threading.Thread(target=_callers, args=(rig, subjects, complaints), name="callers")
        callers.start()
        callers.join(2 * ENOUGH)
        if callers.is_alive():
            complaints.append(f"{runner}: the callers hang")
        else:
            complaints += rig.close()
    if complaints:
        raise AssertionError("\n".join(complaints))


def _callers(rig: Rig, subjects: list[Subject], complaints: list[str]) -> None:
    async def awaited() -> None:
        for subject in subjects:
            for outcome in (*_PLAIN, *HOSTILE) if subject.is_async else ():
                twin = await _witness(subject, outcome).call_async(subject.twin, outcome)
                seen = await _witness(subject, outcome).call_async(subject.fetch, outcome)
                complaints.extend(f"{rig.runner}, {subject}, {outcome}: {text}" for text in noticed(twin, seen))
        if not await rig.migration.aflush(ENOUGH):
            complaints.append(f"{rig.runner}: flush() did not end, or a sink did not take what it was given")

    for subject in subjects:
        for outcome in () if subject.is_async else (*_PLAIN, *HOSTILE):
            twin = _witness(subject, outcome).call(subject.twin, outcome)
            seen = _witness(subject, outcome).call(subject.fetch, outcome)
            complaints.extend(f"{rig.runner}, {subject}, {outcome}: {text}" for text in noticed(twin, seen))
    asyncio.run(awaited())


_PLAIN: Final = ("returns", "differs", "raises", "SystemExit")


def _witness(subject: Subject, outcome: str) -> Witness:
    return Witness(subject.scene, HOSTILE[outcome]() if outcome in HOSTILE else None)


# Dawdling -----------------------------------------------------------------------------------------------------------

DAWDLES: Final = 0.05
"""Seconds each asking takes; five times what the breaker of this trial allows."""
CALLS: Final = 60
ALLOWED: Final = 4
"""Callers that may have to wait before nobody is asked any more."""


def _same(x: Any) -> Any:
    return x


def dawdling(name: str) -> None:
    """
    Have a function dawdle on the caller's path, and count the callers that wait.

    Raises:
        AssertionError: The breaker did not stop it, or nobody was told.
    """
    asked = 0

    def dawdle(answer: Any) -> Any:
        nonlocal asked
        asked += 1
        time.sleep(DAWDLES)
        return answer

    class Slow:
        def __reduce__(self) -> Any:
            dawdle(None)
            return Slow, ()

    hooks: dict[str, Any] = {
        "sample": {"sample": lambda call: dawdle(answer=asked % 2 == 0)},
        "key": {"key": lambda call: dawdle("k")},
        "extract": {"extract": dawdle},
        "reduce": {},
        "hydrate": {"hydrate": lambda call: dawdle([]), "touches": lambda call: []},
    }[name]
    with logging_to(None), Migration(f"dawdling-{name}", sinks=[lambda batch: None], budget=1.0) as migration:
        compared: Callable[..., Any] = migration.write if name == "hydrate" else migration.read
        handler = compared(
            _same,
            candidate=_same,
            name="slow",
            compare=compare_plainly,
            breaker=Breaker(errors=2, overhead=DAWDLES / 5, pause=3600),
            **hooks,
        )
        argument = Slow() if name == "reduce" else 1
        for _ in range(CALLS):
            if handler(argument) is not argument:
                raise AssertionError("the value is not the very object that the handler gave")
        during = asked  # the checked side is run later, and freezes its own answer
        until(lambda: not migration.stats().pending)
        summary = migration.stats().experiments["slow"]
    if during > ALLOWED + (ALLOWED if name in ("reduce", "extract") else 0):
        raise AssertionError(f"{name}: {during} of {CALLS} callers had to wait; the breaker did not stop it")
    if not summary.errors.get("overhead"):
        raise AssertionError(f"{name}: that it takes too long was not counted as overhead: {dict(summary.errors)}")
    if summary.verdicts[Verdict.SKIPPED] == 0:
        raise AssertionError(f"{name}: calls that were not asked about are not counted")
