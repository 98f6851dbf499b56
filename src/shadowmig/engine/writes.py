"""
One write under comparison: what happens around the two sides of a call.

On the caller's path production's records are read just before the write (`hydrate`). Off it the sister is put into the
state that the write found, the checked side runs, and the records of both are read; the judge compares them.

Danger: the records of one entity are at stake in one lane at a time. The lane is free again when the sister has been
read, not before: the next write would change what is to be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Final

from shadowmig.engine import bridge, write_groups
from shadowmig.engine.claims import Claim
from shadowmig.engine.job import Job, Outcome, without_answer
from shadowmig.engine.write_groups import forward, in_use, let_go, look, look_again, plan, ready
from shadowmig.engine.write_judge import WriteJudge
from shadowmig.engine.write_steps import Steps
from shadowmig.model import Side, Verdict
from shadowmig.side import MIRRORED

CLAIM_PAUSE: Final = 0.002
"""Seconds between two tries of a task to get hold of its records."""


class WriteExperiment(Steps):
    """One write under comparison. Built by ``Migration.write``; get it by name from ``Migration.experiments``."""

    together = staticmethod(forward)

    def _new_judge(self) -> WriteJudge:
        return WriteJudge(self._options, self.guard, self._counts, self._get_mirror)

    @property
    def check_seconds(self) -> float:
        """Seconds that the step of the checked side may take, stores included."""
        return self.deadline + write_groups.PATIENCE

    @property
    def recheck_seconds(self) -> float:
        """Seconds that reading the records again may take."""
        return write_groups.PATIENCE

    # Off the caller's path: around the checked side ----------------------------------------------------------------

    def run_checked(self, job: Job) -> Outcome:
        """Put the sister into place, run the checked side in this thread, and read what came of it."""
        outcome: Outcome = _alone(job)
        return outcome

    def run_side(self, job: Job) -> Outcome:
        """Run the checked side itself."""
        job.side_runs = True
        outcome = super().run_checked(job)
        job.side_runs = False
        self._note_duration(outcome)
        return outcome

    def _note_duration(self, outcome: Outcome) -> None:
        if outcome.duration > self.deadline:
            outcome.late = True
        before = outcome.duration if self.side_seconds == math.inf else self.side_seconds
        self.side_seconds = before + (outcome.duration - before) / 8

    async def run_checked_async(self, job: Job) -> Any:
        """Do the same on the running loop; the stores are asked in threads of our own."""
        return await self._contained(job, self._check_async(job))

    async def _contained(self, job: Job, step: Coroutine[Any, Any, Any]) -> Any:
        """Let nothing of ours out of a task, for some exceptions would end the service's loop."""
        try:
            return await step
        except BaseException as error:
            if bridge.cancelled_from_outside(error):
                raise
            return job.failed(error)

    async def _check_async(self, job: Job) -> Outcome:
        problem: Outcome | None
        outcome: Outcome
        (problem,) = await self._in_thread(plan, [job])
        if problem is not None:
            return problem
        assert job.plan is not None
        try:
            # Not in a thread: those who wait there would keep out who is to let go.
            taken = await self._take(job.plan.claim)
            (problem,) = await self._in_thread(ready, [job]) if taken else [in_use()]
            if problem is not None:
                return problem
            job.side_runs = True
            job.ran = await super().run_checked_async(job)
            job.side_runs = False
            self._note_duration(job.ran)
            (outcome,) = await self._in_thread(look, [job])
            return outcome
        finally:
            let_go([job])

    async def _take(self, claim: Claim) -> bool:
        import asyncio

        end = monotonic() + write_groups.PATIENCE / 2
        while not claim.take(0.0):
            if monotonic() >= end:
                return False
            await asyncio.sleep(CLAIM_PAUSE)
        return True

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        import asyncio

        return await asyncio.wrap_future(self.mirror.errands.run(function, *args))

    def _enter(self, side: Side) -> None:
        super()._enter(side)
        MIRRORED.set(True)

    def _thaw(self, job: Job) -> tuple[tuple[Any, ...], dict[str, Any]] | Outcome:
        arguments = super()._thaw(job)
        if isinstance(arguments, Outcome):
            return arguments
        args, kwargs = list(arguments[0]), dict(arguments[1])
        given = self.parameters.names[: len(args)]
        for name, value in job.carried.items():
            if name in given:
                args[given.index(name)] = value
            else:
                kwargs[name] = value
        return tuple(args), kwargs

    # Looking again -------------------------------------------------------------------------------------------------

    def run_again(self, job: Job) -> Any:
        """Read the records of both sides once more."""
        if job.inline:
            _sleep_until(job.not_before)
        return _alone(job)

    async def run_again_async(self, job: Job) -> Any:
        """Do the same on the running loop."""
        return await self._contained(job, self._look_again_async(job))

    async def _look_again_async(self, job: Job) -> Any:
        if job.inline:
            await self._in_thread(_sleep_until, job.not_before)
        (again,) = await self._in_thread(look_again, [job])
        return again

    def given_up(self, job: Job) -> Outcome:
        """Give the outcome of a check that ran out of time: the side's fault if it was running, else the stores'."""
        if job.side_runs:
            return super().given_up(job)
        operation = "sister" if job.plan is not None and job.plan.production else "production"
        self.guard.count(operation, "the stores took too long")
        return without_answer(Verdict.BROKEN, operation)


def _alone(job: Job) -> Any:
    """Bring one call forward, whatever time that takes."""
    results: list[Any] = []
    for _ in forward([job], lambda _, result: results.append(result)):
        pass
    (result,) = results
    return result


def _sleep_until(moment: float) -> None:
    import time

    time.sleep(max(0.0, moment - monotonic()))
