"""
One trial: a rig, a trouble, and callers who compare what they see with what their undecorated twins see.

The callers run in a thread of their own, so that the trial itself goes on when they do not, and so that a
``KeyboardInterrupt`` that is injected can only mean that our code let it through: in the main thread it could be a
real one, and goes on to the caller.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from shadowmig.model import Verdict
from shadowmig.testing._harm_caller import PATIENCE, Witness, noticed
from shadowmig.testing._harm_faults import FAULTS, HANG, NONSENSE, Fault, Trouble
from shadowmig.testing._harm_points import Point, troubled
from shadowmig.testing._harm_rig import Rig, Subject, logging_to
from shadowmig.testing._harm_scene import INTERRUPTS
from shadowmig.testing._harm_writes import BRISK, WriteRig, brisk

ENOUGH: Final = 15.0
"""Seconds in which whatever happens off the caller's path has happened, on the busiest machine."""

_FEW: Final = ("function", "coroutine")


def until(condition: Callable[[], Any], seconds: float | None = None) -> bool:
    """Wait for something, by default as long as `ENOUGH`; false if it did not come."""
    end = time.monotonic() + (ENOUGH if seconds is None else seconds)
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.003)
    return True


class Trial:
    """
    Injects each fault in one operation under one runner, or none: then every kind of handler ends in every way.

    Args:
        runner: Name of the runner.
        point: The operation.
        faults: What to inject.
        writes: Whether the handlers are writes; they are reads otherwise.
    """

    def __init__(self, runner: str, point: Point, faults: Sequence[Fault] = FAULTS, *, writes: bool = False) -> None:
        self._runner = runner
        self._point = point
        self._rig: Callable[..., Rig] = WriteRig if writes else Rig
        self._given_up = BRISK + 0.5 if writes else 0.3
        self._faults = [
            fault
            for fault in faults
            if (not fault.hangs or runner in point.hangs) and (fault is not NONSENSE or point.returns)
        ]
        self._trouble = Trouble()
        self._complaints: list[str] = []
        self._watched: list[tuple[str, Witness]] = []

    def run(self) -> None:
        """
        Do it.

        Raises:
            AssertionError: A caller noticed something, or our books are wrong; the message says what.
        """
        with ExitStack() as stack:
            stack.enter_context(troubled(self._point, self._runner, self._trouble))
            stack.enter_context(logging_to(self._trouble if self._point.name == "log" else None))
            stack.callback(self._trouble.lift)
            stack.enter_context(brisk())
            rig = self._rig(self._runner, self._point, self._trouble)
            stack.enter_context(_deaths(self._complaints))
            for number, fault in enumerate(self._faults or [None]):
                self._round(rig, fault, number)
                if self._complaints:
                    break  # what is broken now would only be complained of again
            self._trouble.lift()
            self._complaints += rig.close()
        if self._complaints:
            raise AssertionError("\n".join(self._complaints))

    # One fault -----------------------------------------------------------------------------------------------------

    def _round(self, rig: Rig, fault: Fault | None, number: int = 0) -> None:
        complain = self._complainer(fault)
        self._watched = []
        errors, matches = rig.errors(), rig.verdicts(Verdict.MATCH)
        if fault is not None:
            self._trouble.arm(fault)
        callers = threading.Thread(target=self._callers, args=(rig, fault, number, complain), name="callers")
        callers.start()
        callers.join(HANG)
        if callers.is_alive():
            complain("the callers hang")
            self._trouble.lift()
            callers.join()
        if fault is not None:
            self._books(rig, fault, errors, matches, complain)
        for subject, witness in self._watched:
            if not witness.arguments_kept:
                complain(f"{subject}: the caller's arguments were changed after the call")
        if not self._recovered(rig):
            complain("no call is judged any more after the fault was lifted")

    def _complainer(self, fault: Fault | None) -> Callable[[str], None]:
        what = "no fault" if fault is None else f"{self._point.name} {fault.name}"
        return lambda text: self._complaints.append(f"{self._runner}, {what}: {text}")

    def _callers(self, rig: Rig, fault: Fault | None, number: int, complain: Callable[[str], None]) -> None:
        plan = _plan(rig, fault, number)
        for subject, outcome in plan:
            if not subject.is_async:
                self._call(subject, outcome, fault, complain)
        asyncio.run(self._async_callers(rig, plan, fault, complain))

    def _call(self, subject: Subject, outcome: str, fault: Fault | None, complain: Callable[[str], None]) -> None:
        twin = Witness(subject.scene).call(subject.twin, outcome)
        for fetch in (subject.fetch, subject.unsampled)[: 2 if fault is None else 1]:
            witness = Witness(subject.scene)
            for text in noticed(twin, witness.call(fetch, outcome)):
                complain(f"{subject}, {outcome}: {text}")
            self._watched.append((f"{subject}, {outcome}", witness))

    async def _async_callers(
        self, rig: Rig, plan: list[tuple[Subject, str]], fault: Fault | None, complain: Callable[[str], None]
    ) -> None:
        for subject, outcome in plan:
            if not subject.is_async:
                continue
            twin = await Witness(subject.scene).call_async(subject.twin, outcome)
            for fetch in (subject.fetch, subject.unsampled)[: 2 if fault is None else 1]:
                witness = Witness(subject.scene)
                for text in noticed(twin, await witness.call_async(fetch, outcome)):
                    complain(f"{subject}, {outcome}: {text}")
                self._watched.append((f"{subject}, {outcome}", witness))
        # On this loop, which must run on for the checked sides that belong to it.
        await asyncio.to_thread(self._settle, rig, fault, complain)

    def _settle(self, rig: Rig, fault: Fault | None, complain: Callable[[str], None]) -> None:
        if fault is not None and not until(lambda: self._trouble.hits):
            complain("the operation was never reached")
        if fault is not None and fault.hangs:
            time.sleep(self._given_up)  # past the deadline, so that what hangs is given up
        if self._runner != "inline" and fault is not None and not fault.hangs:
            until(lambda: not rig.migration.stats().pending if self._point.name not in _STATS else True, 0.5)
        self._trouble.lift()
        if not until(lambda: rig.migration.flush(PATIENCE)):  # a sink that has just failed makes it say no at once
            complain(f"flush() did not end; {rig.migration.stats().pending} calls are pending")

    # The books -----------------------------------------------------------------------------------------------------

    def _books(
        self, rig: Rig, fault: Fault, errors: dict[str, int], matches: int, complain: Callable[[str], None]
    ) -> None:
        point = self._point
        grown = {name for name, count in rig.errors().items() if count > errors.get(name, 0)}
        must = fault.error is not None or (fault is NONSENSE and point.nonsense)
        if must and point.counted and not grown & set(point.counted):
            complain(f"counted under {sorted(grown)}, not under {' or '.join(point.counted)}")
        if must and not point.judged and point.counted and rig.verdicts(Verdict.MATCH) > matches:
            complain("counted as MATCH")

    def _recovered(self, rig: Rig) -> bool:
        """Whether a good call is judged a match once more; tried again, for a busy machine misses deadlines."""
        subject = next(s for s in rig.subjects if s.is_async is (self._runner == "tasks"))
        before = rig.verdicts(Verdict.MATCH)

        def good() -> bool:
            if subject.is_async:
                asyncio.run(_good(rig, subject))
            else:
                Witness(subject.scene).call(subject.fetch, "returns")
                rig.migration.flush(PATIENCE)
            return rig.verdicts(Verdict.MATCH) > before

        return until(good)


_STATS: Final = ("rules", "summary")
"""Operations that `Migration.stats` needs itself."""


async def _good(rig: Rig, subject: Subject) -> None:
    await Witness(subject.scene).call_async(subject.fetch, "returns")
    await rig.migration.aflush(PATIENCE)


@contextmanager
def _deaths(complaints: list[str]) -> Iterator[None]:
    """Complain of threads that die of an exception meanwhile: ours must survive whatever happens in them."""

    def note(args: threading.ExceptHookArgs) -> None:
        name = "a thread" if args.thread is None else args.thread.name
        complaints.append(f"{name} died of {args.exc_type.__name__}: {args.exc_value}")

    before, threading.excepthook = threading.excepthook, note
    try:
        yield
    finally:
        threading.excepthook = before


def _plan(rig: Rig, fault: Fault | None, number: int) -> list[tuple[Subject, str]]:
    """Say who is called how: everything without a fault; with one, kinds and interrupts take turns."""
    plan = []
    interrupts = list(INTERRUPTS)
    kinds = sorted({subject.kind for subject in rig.subjects})
    turn = {kinds[number % len(kinds)]}
    for subject in rig.subjects:
        if fault is not None and subject.kind not in {*_FEW, *turn}:
            continue
        outcomes = ["returns", "differs", "raises"]
        if fault is None:
            outcomes += interrupts
        elif fault.hangs:
            if subject.kind not in _FEW:
                continue
        else:
            outcomes.append(interrupts[number % len(interrupts)])
        if subject.is_async:
            outcomes.append("cancelled")
        plan += [(subject, outcome) for outcome in outcomes]
    return plan
