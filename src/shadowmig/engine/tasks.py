"""
The runner for asyncio: the checked side runs as a task on the handler's own loop, so that it can use the service's
async clients.

Tasks are held by strong references, bounded in number, and end with their loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from shadowmig.engine.desk import abandon, move
from shadowmig.engine.job import LATE, Phase, enter
from shadowmig.engine.options import whole
from shadowmig.engine.runner import Bound

if TYPE_CHECKING:
    import asyncio

    from shadowmig.engine.job import Job


class Tasks(Bound):
    """
    Runs the checked side as tasks. The default for an async handler whose other side is async.

    Args:
        limit: Calls taken and not yet judged; more are shed.

    Raises:
        ConfigError: A value out of range.
    """

    def __init__(self, *, limit: int = 1000) -> None:
        self._limit = whole(limit, "limit")
        self.reset()

    def reset(self) -> None:
        """Start over, as a forked child does."""
        self._taken: set[Job] = set()
        self._tasks: dict[asyncio.Task[Any], Job] = {}
        self._lanes: dict[tuple[Any, Hashable], deque[Job]] = {}
        self._closed = False

    def full(self) -> bool:
        """Whether the limit is reached, or the runner closed."""
        if len(self._taken) < self._limit:
            return self._closed
        self._reap()
        return len(self._taken) >= self._limit or self._closed

    def _reap(self) -> None:
        """Drop what waits for a loop that was closed."""
        for job in list(self._taken):
            if job.calls_sides and job.loop.is_closed():
                self._lanes.pop((job.loop, job.key), None)
                job.drop("loop_closed")

    def submit(self, job: Job) -> bool:
        """Take a job; called on the loop. False if there is no room."""
        if self.full():
            return False
        job.runner = self
        self._taken.add(job)
        if job.key is not None:
            # A lane belongs to a loop: what is started on a loop must be started in its thread.
            lane = self._lanes.get((job.loop, job.key))
            if lane is not None:
                enter(lane, job)
                return True
            self._lanes[job.loop, job.key] = deque()
        try:
            self._begin(job)
        except BaseException:
            self._taken.discard(job)
            self._lanes.pop((job.loop, job.key), None)
            raise
        return True

    def _begin(self, job: Job) -> None:
        """Start a job's next step; called on its loop."""
        import asyncio

        loop: asyncio.AbstractEventLoop = job.loop
        context = job.context.copy()
        coroutine = job.step_async()
        try:
            # Not by the loop's task factory, which may be an eager one that runs the checked side on the caller's path.
            task = asyncio.Task(coroutine, loop=loop, context=context)
        except BaseException:
            coroutine.close()
            raise
        # A loop closed without cancelling its tasks would complain of ours.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # set by asyncio itself in gather and shield
        self._tasks[task] = job
        timer = loop.call_later(job.deadline, self._late, task)
        job.cancel = timer.cancel
        task.add_done_callback(self._ended)

    def _late(self, task: asyncio.Task[Any]) -> None:
        job = self._tasks.pop(task, None)
        if job is not None:
            task.add_done_callback(_look_away)
            task.cancel()
            self._finished(job, LATE)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        job = self._tasks.pop(task, None)
        if job is None:
            return
        if job.cancel is not None:
            job.cancel()
        if task.cancelled():
            # Its loop is ending: a next task would never be run.
            for waiting in (job, *self._lanes.pop((job.loop, job.key), ())):
                waiting.drop("cancelled")
            return
        error = task.exception()
        try:
            result = task.result() if error is None else job.failed(error)
        except BaseException as failure:  # noqa: BLE001 - nothing may get out into the service's loop
            self._release(job)
            abandon(job, failure)
            return
        self._finished(job, result)

    def _finished(self, job: Job, result: object) -> None:
        self._release(job)
        move(job, result)

    def _release(self, job: Job) -> None:
        """Let the next job of the lane go; called on the loop."""
        if job.key is None or job.phase is not Phase.CHECK:
            return
        lane = self._lanes.get((job.loop, job.key))
        while lane:
            if self._try(lane.popleft()):
                return
        self._lanes.pop((job.loop, job.key), None)

    def _try(self, job: Job) -> bool:
        try:
            self._begin(job)
        except BaseException as error:  # noqa: BLE001 - nothing may get out into the service's loop
            abandon(job, error)
            return False
        return True

    def again(self, job: Job) -> None:
        """Take a job back to run both sides once more; called by the desk's thread."""
        try:
            wait = job.not_before - time.monotonic()
            if wait > 0:
                job.loop.call_soon_threadsafe(job.loop.call_later, wait, self._try, job)
            else:
                job.loop.call_soon_threadsafe(self._try, job)
        except RuntimeError:  # the loop was closed meanwhile
            job.drop("loop_closed")

    def done(self, job: Job) -> None:
        """Forget a job."""
        self._taken.discard(job)

    def pending(self) -> int:
        """Number of jobs taken and not done."""
        self._reap()
        return len(self._taken)

    def close(self) -> None:
        """Take no more jobs; what is not done is dropped and counted as ``closed``."""
        self._closed = True
        for job in list(self._taken):
            job.drop("closed")


def _look_away(task: asyncio.Task[Any]) -> None:
    """Fetch what a given-up task raised, so that asyncio does not log it as never retrieved."""
    if not task.cancelled():
        task.exception()
