"""
The desk: one thread that judges, at its own slow pace, and publishes.

CPU spent in a background thread is not free: whoever holds the GIL keeps every other thread waiting. So the desk works
in slices of about `SLICE` seconds and sleeps in between, long enough to stay within its budget; comparators that take
long call back (`shadowmig.compare.PAUSE`) so that a slice can end in the middle of a comparison.

A comparator or sink that hangs keeps its thread; whoever hands in the next job notices and puts a new thread in its
place, a few times.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from shadowmig.compare._pace import PAUSE
from shadowmig.engine.guard import sent_from_outside
from shadowmig.engine.job import LATE, Phase

if TYPE_CHECKING:
    from shadowmig.engine.job import Job

SLICE: Final = 50e-6
"""Seconds of CPU after which the desk sleeps."""
NAP: Final = 0.02
"""Seconds that the desk sleeps at most before it looks whether somebody waits."""
MOST_STUCK: Final = 3
"""Desk threads that may hang before judging is given up."""


class Pacer:
    """
    Keeps one thread within a share of one core.

    Args:
        budget: The share, above 0 to 1.
        hurried: Whether somebody waits for the work to be done, so that it is not to be paced.
    """

    def __init__(self, budget: float, hurried: Callable[[], bool] = lambda: False) -> None:
        self._ratio = 1.0 / budget - 1.0
        self._hurried = hurried
        self._since = 0.0

    def start(self) -> None:
        """Begin to measure; to be called in the thread itself."""
        self._since = time.thread_time()

    def forget(self, seconds: float) -> None:
        """Leave out CPU time that was not ours: under gevent, what other greenlets used while this one waited."""
        self._since += seconds

    def pause(self) -> None:
        """Sleep if a slice is used up."""
        spent = time.thread_time() - self._since
        if spent < SLICE or self._ratio <= 0.0:
            return
        left = spent * self._ratio
        while left > 0.0 and not self._hurried():
            time.sleep(min(left, NAP))
            left -= NAP
        self._since = time.thread_time()


class _Clerk:
    """The state of one desk thread, for those who watch it."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.until = float("inf")
        self.gone = False


def do(job: Job) -> Any:
    """Do a job's next step; whatever escapes from it becomes that step's failure."""
    try:
        return job.step()
    except BaseException as error:
        if job.inline and sent_from_outside(error):
            raise
        return job.failed(error)


def move(job: Job, result: Any) -> None:
    """Put the result of a job's step in place and send the job on; whatever escapes ends the job, not the thread."""
    try:
        job.advance(result)
        route(job)
    except BaseException as error:
        abandon(job, error)


def abandon(job: Job, error: BaseException) -> None:
    """Give up a job out of which something escaped."""
    try:
        if job.phase is not Phase.DONE:
            job.phase = Phase.DONE
            job.experiment.broke("run")
            job.experiment.ended(job)
        job.experiment.guard.count("run", error)
    except BaseException:  # noqa: S110 - the books themselves are broken
        pass
    finally:
        job.runner.done(job)


def route(job: Job) -> None:
    """Send a job where its next step is done."""
    if job.phase is Phase.DONE:
        job.runner.done(job)
    elif job.calls_sides:
        job.runner.again(job)
    else:
        job.runner.desk.put(job)


class Desk:
    """
    Judges and publishes, off the caller's path. One for each migration; born at the first job, reborn after a fork.

    Args:
        budget: Share of one core that judging may use.
        interval: Seconds between two rounds of publishing.
        publish: Gives what is new to the sinks; may hang.
        patience: Seconds that one round of publishing may take until it counts as hung.
    """

    def __init__(self, *, budget: float, interval: float, publish: Callable[[], None], patience: float = 10.0) -> None:
        self.budget = budget
        self._interval = interval
        self._publish = publish
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a forked child does."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Job | None] | None = None
        self._clerk: _Clerk | None = None
        self._due = 0.0
        self._waiting = 0
        self._asked = 0
        self._told = 0
        self._closed = False
        self.stuck = 0

    def _jobs(self) -> queue.SimpleQueue[Job | None]:
        """The queue, made at first use: until then gevent may patch the module, even in a forked child."""
        with self._lock:
            if self._queue is None:
                self._queue = queue.SimpleQueue()
            return self._queue

    def put(self, job: Job) -> None:
        """Take a job that is to be judged."""
        if self.stuck > MOST_STUCK or self._closed:
            job.drop("stuck" if self.stuck > MOST_STUCK else "closed")
            return
        self._jobs().put(job)
        self.watch()

    def watch(self) -> None:
        """See to it that there is a working thread."""
        late = clerk = None
        with self._lock:
            if self._clerk is not None:
                if time.monotonic() < self._clerk.until:
                    return
                self._clerk.gone = True
                late = self._clerk.job
                self.stuck += 1
            if self.stuck <= MOST_STUCK and not self._closed:
                clerk = _Clerk()
            self._clerk = clerk
        if clerk is not None:
            self._hire(clerk)
        if late is not None:
            move(late, LATE)
        if self.stuck > MOST_STUCK:
            self._drop("stuck")

    def _hire(self, clerk: _Clerk) -> None:
        """Start a thread. Not under the lock: under gevent another greenlet runs before this returns."""
        try:
            threading.Thread(target=self._run, args=(clerk, self._jobs()), name="shadowmig-desk", daemon=True).start()
        except BaseException:
            with self._lock:
                self._clerk = None
            raise

    def _drop(self, reason: str) -> None:
        jobs = self._jobs()
        while True:
            try:
                job = jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job.drop(reason)

    def _run(self, clerk: _Clerk, jobs: queue.SimpleQueue[Job | None]) -> None:
        pacer = Pacer(self.budget, lambda: self.hurried)
        pacer.start()
        PAUSE.set(pacer.pause)
        while not clerk.gone:
            wait = max(0.0, self._due - time.monotonic()) or self._interval
            before = time.thread_time()
            try:
                job = jobs.get(timeout=wait)
            except queue.Empty:
                job = None
            pacer.forget(time.thread_time() - before)
            if self._closed:
                return
            if job is not None and not self._judge(clerk, job):
                break
            if (self._asked > self._told or time.monotonic() >= self._due) and not self._tell(clerk):
                break
            pacer.pause()
        with self._lock:
            self.stuck -= 1  # it came back after all

    def _judge(self, clerk: _Clerk, job: Job) -> bool:
        with self._lock:
            clerk.job, clerk.until = job, time.monotonic() + job.deadline
        result = do(job)
        with self._lock:
            # Putting it in place runs users' code too (`on_comparison`, redactors), which may hang.
            clerk.job, clerk.until = None, time.monotonic() + self._patience
            if clerk.gone:
                return False
        move(job, result)
        with self._lock:
            clerk.until = float("inf")
            return not clerk.gone

    def _tell(self, clerk: _Clerk) -> bool:
        with self._lock:
            clerk.until = time.monotonic() + self._patience
            asked = self._asked
        with suppress(BaseException):  # it has a guard of its own; this thread must survive it
            self.tell()
        with self._lock:
            clerk.until = float("inf")
            self._told = max(self._told, asked)
            self._due = time.monotonic() + self._interval
            return not clerk.gone

    def tell(self) -> None:
        """Publish now, in the calling thread."""
        self._publish()

    @property
    def hurried(self) -> bool:
        """Whether somebody waits for all to be done."""
        return self._waiting > 0

    @contextmanager
    def hurry(self) -> Iterator[None]:
        """Set the budget aside while somebody waits."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def flush(self, until: float) -> bool:
        """Have the desk publish once more, and wait for it until that time (monotonic seconds); false if it did not."""
        with self._lock:
            self._asked += 1
            asked = self._asked
        self._jobs().put(None)  # wakes the thread
        while self._told < asked:
            if time.monotonic() >= until or self._closed:
                return False
            self.watch()
            time.sleep(0.002)
        return True

    def close(self) -> None:
        """Judge no more; what is still queued is dropped and counted."""
        self._closed = True
        self._drop("closed")
        self._jobs().put(None)  # wakes the thread
