"""
How the checked side is run: `Inline` for tests, `Threads` for services, `Tasks` for asyncio.

A runner takes jobs, does the steps that call the sides, and gives the others to the desk. All of them are bounded:
what does not fit is shed and counted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from shadowmig.engine.bridge import cancelled_from_outside
from shadowmig.engine.desk import do
from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import LATE, Outcome, Phase
from shadowmig.errors import ConfigError

if TYPE_CHECKING:
    from shadowmig.engine.desk import Desk
    from shadowmig.engine.job import Job


class Runner(Protocol):
    """
    Runs jobs off the caller's path.

    `full` and `submit` are called on the caller's path, the others by shadowmig's own threads. What they raise ends in
    the guard under the operation ``submit``.
    """

    desk: Desk

    def bind(self, desk: Desk) -> None:
        """Take the desk of the migration that uses this runner; a runner serves one migration."""
        ...

    def full(self) -> bool:
        """Whether a job would be shed now."""
        ...

    def submit(self, job: Job) -> bool:
        """Take a job; false if it is shed."""
        ...

    def again(self, job: Job) -> None:
        """Take a job back whose next step calls the sides."""
        ...

    def done(self, job: Job) -> None:
        """Forget a job."""
        ...

    def pending(self) -> int:
        """Number of jobs taken and not done."""
        ...

    def close(self) -> None:
        """Take no more jobs; drop and count what is left."""
        ...

    def reset(self) -> None:
        """Start over, in a forked child."""
        ...


class Bound:
    """What all runners share: the desk they belong to."""

    desk: Desk

    def bind(self, desk: Desk) -> None:
        """Take the desk of the migration; a second one is refused."""
        if hasattr(self, "desk"):
            raise ConfigError(
                f"runner is a {type(self).__name__} that another Migration uses.",
                remedy="Give each Migration a runner of its own.",
                field="runner",
                value=self,
            )
        self.desk = desk


def _in_time(job: Job, result: object) -> object:
    """Give a step's result, or `LATE` if the checked side took too long, which inline shows only afterwards."""
    late = isinstance(result, Outcome) and result.duration > job.deadline
    return LATE if late else result


class Inline(Bound):
    """
    Does everything before the call returns, in the caller's thread or task. For tests.

    The caller waits for the checked side. For sync code a deadline only shows afterwards, since nothing can be
    interrupted; async code is cancelled. All other promises hold.
    """

    def full(self) -> bool:
        """Never."""
        return False

    def submit(self, job: Job) -> bool:
        """Do all steps now, or, for an async handler, leave them to ``job.settle``."""
        job.runner = self
        job.inline = True
        if job.experiment.is_async:
            job.settle = lambda: self._settle(job)
            return True
        while job.phase is not Phase.DONE:
            job.advance(_in_time(job, do(job)))
        self.desk.tell()
        return True

    async def _settle(self, job: Job) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        try:
            while job.phase is not Phase.DONE:
                if not job.calls_sides:
                    job.advance(do(job))
                    continue
                # In a task, so that what the checked side does to the context stays there.
                context = job.context.copy()
                task = asyncio.Task(job.step_async(), loop=loop, context=context)
                try:
                    done, _ = await asyncio.wait({task}, timeout=job.deadline)
                finally:
                    task.cancel()
                job.advance(task.result() if done else LATE)
            self.desk.tell()
        except BaseException as error:
            if cancelled_from_outside(error):
                raise
            if sent_from_outside(error):
                raise
            with suppress(BaseException):  # the books themselves are broken
                job.experiment.guard.count("run", error)

    def again(self, job: Job) -> None:
        """Not used: `submit` goes on by itself."""

    def done(self, job: Job) -> None:
        """Not used: `submit` goes on by itself."""

    def pending(self) -> int:
        """Always 0."""
        return 0

    def close(self) -> None:
        """Nothing to do."""

    def reset(self) -> None:
        """Nothing to do."""
