"""
The runner for services: a bounded queue, lanes ordered by key, a few worker threads.

The caller only appends to a deque. A conductor thread, which runs none but our own code and so cannot hang, moves jobs
into lanes, starts workers, and watches deadlines. It looks every few milliseconds while there is traffic, so that
callers need not wake it (which costs them more than all the rest), and sleeps for good when there is none.

Python cannot stop a running thread. A step past its deadline is given up: its lane goes on, its thread is replaced,
and whatever it returns later is dropped. Only so many threads may be stuck at once; then jobs are dropped until one
returns.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Hashable, Sequence
from contextlib import suppress
from datetime import timedelta
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final

from shadowmig.engine.desk import do, move
from shadowmig.engine.job import LATE, Phase, enter
from shadowmig.engine.options import whole
from shadowmig.engine.runner import Bound
from shadowmig.given import seconds

if TYPE_CHECKING:
    from shadowmig.engine.job import Job

TICK: Final = 0.005
"""Seconds between two looks of the conductor while there is traffic."""
LINGER: Final = 1.0
"""Seconds without traffic after which the conductor sleeps until it is woken."""


MOST_TOGETHER: Final = 32
"""Calls that one worker brings forward together; with as many in hand, none waits for others to come."""
GATHERING: Final = 0.05
"""Seconds for which calls that go together wait for others, which makes each of them cheaper."""
TOGETHER_SECONDS: Final = 0.02
"""Seconds that their checked sides, which run one after the other, may take in all while others wait for work."""
BEHIND_SECONDS: Final = 0.2
"""The same when there is more to do than all workers can take at once."""


class _Worker:
    """
    The state of one worker thread, for the conductor.

    Attributes:
        jobs: What it is at work on.
        others: What it has taken besides.
        until: When that must be over.
        gone: Whether it was given up.
    """

    def __init__(self) -> None:
        self.jobs: Sequence[Job] = ()
        self.others: set[Job] = set()
        self.until = inf
        self.gone = False


class _Gathered:
    """Given to a worker in place of a job: it is to take several of those that go together."""


_GATHERED: Final = _Gathered()


class Threads(Bound):
    """
    Runs the checked side in daemon threads. The default runner.

    Args:
        workers: Threads that call the checked side.
        queue: Calls taken and not yet judged; more are shed. Together with the snapshot limit it bounds the memory.
        stuck: Threads that may be stuck in calls past their deadline, beside the workers.
        max_wait: Seconds (or a timedelta) a call may wait for a worker; older ones are dropped as ``stale``, since an
            answer that late proves nothing.

    Raises:
        ConfigError: A value out of range.
    """

    def __init__(
        self, *, workers: int = 4, queue: int = 1000, stuck: int = 8, max_wait: float | timedelta = 10.0
    ) -> None:
        self._most_workers = whole(workers, "workers")
        self._limit = whole(queue, "queue")
        self._most_stuck = whole(stuck, "stuck", least=0)
        self._max_wait = seconds(max_wait, "max_wait")
        self.reset()

    def reset(self) -> None:
        """Start over without threads and jobs, as a forked child does: those in flight are its parent's."""
        self._lock = threading.Lock()
        self._taken: set[Job] = set()
        self._inbox: deque[Job] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._ready: queue.SimpleQueue[Job | _Gathered | None]
        self._gathered: deque[Job] = deque()
        self._called = False
        self._since = 0.0
        self._bell: queue.SimpleQueue[None]
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._workers: list[_Worker] = []
        self._asleep = False
        self._started = False
        self._closed = False
        self.stuck = 0

    # The caller's path ---------------------------------------------------------------------------------------------

    def full(self) -> bool:
        """Whether the queue is full, or the runner closed."""
        return len(self._taken) >= self._limit or self._closed

    def submit(self, job: Job) -> bool:
        """Take a job; false if there is no room."""
        if len(self._taken) >= self._limit or self._closed:
            return False
        if not self._started:
            self._start()
        job.runner = self
        job.submitted = time.monotonic()
        self._taken.add(job)
        self._inbox.append(job)
        if self._asleep:
            self._bell.put(None)
        return True

    def _start(self) -> None:
        """Be born: not before the first job, since gevent may patch these modules until then."""
        with self._lock:
            if self._started:
                return
            self._ready = queue.SimpleQueue()
            # Not an Event: that is Python code, which a signal handler that raises would leave locked.
            self._bell = queue.SimpleQueue()
            self._started = True
        try:
            threading.Thread(target=self._conduct, name="shadowmig-conductor", daemon=True).start()
        except BaseException:
            self._started = False
            raise

    # The conductor -------------------------------------------------------------------------------------------------

    def _conduct(self) -> None:
        busy = time.monotonic()
        while not self._closed:
            with suppress(BaseException):  # such as no more threads just now; all of it is tried again
                self._wake()
                self._sort()
                self._watch()
                self.desk.watch()
            now = time.monotonic()
            if self._taken:
                busy = now
            if now - busy < LINGER:
                time.sleep(TICK)
                continue
            self._asleep = True
            if not self._inbox and not self._closed:
                self._bell.get()
            self._asleep = False
            while not self._bell.empty():  # several callers may have rung
                self._bell.get()
            busy = time.monotonic()

    def _wake(self) -> None:
        """Give the workers what has waited for its time."""
        now = time.monotonic()
        with self._lock:
            while self._later and self._later[0][0] <= now:
                self._offer(heappop(self._later)[2])

    def _sort(self) -> None:
        """Move what came in into its lane, or to the workers."""
        while self._inbox:
            job = self._inbox.popleft()
            if job.key is not None:
                with self._lock:
                    lane = self._lanes.get(job.key)
                    if lane is not None:
                        enter(lane, job)
                        continue
                    self._lanes[job.key] = deque()
            self._offer(job)
        self._call_in_time()
        self._staff()

    def _offer(self, *jobs: Job) -> None:
        """Give jobs to the workers, those that go together to one of them."""
        for job in jobs:
            if job.experiment.together is None:
                self._ready.put(job)
                continue
            if not self._gathered:
                self._since = time.monotonic()
            self._gathered.append(job)
            if len(self._taken) >= MOST_TOGETHER:
                self._call()

    def _call(self) -> None:
        """Have a worker take jobs that go together."""
        if not self._called:
            self._called = True
            self._ready.put(_GATHERED)

    def _call_in_time(self) -> None:
        """Do so if they have waited for others long enough, or somebody waits for them."""
        if self._gathered and (self.desk.hurried or time.monotonic() - self._since >= GATHERING):
            self._call()

    def _staff(self) -> None:
        """Start workers if there is work for them."""
        waiting = self._ready.qsize()
        with self._lock:
            idle = sum(not worker.jobs for worker in self._workers)
            room = min(self._most_workers, self._most_workers + self._most_stuck - self.stuck) - len(self._workers)
            hired = [_Worker() for _ in range(min(waiting - idle, room))]
            self._workers += hired
            helpless = not self._workers
        for worker in hired:  # not under the lock: under gevent another greenlet runs before a thread has started
            self._hire(worker)
        if waiting and helpless:
            self._drop_ready("stuck")

    def _hire(self, worker: _Worker) -> None:
        try:
            threading.Thread(target=self._work, args=(worker,), name="shadowmig-worker", daemon=True).start()
        except RuntimeError:  # the system gives no more threads: those that there are must do
            with self._lock:
                self._workers.remove(worker)

    def _watch(self) -> None:
        """Give up what is past its deadline."""
        now = time.monotonic()
        late: list[Job] = []
        with self._lock:
            for worker in [worker for worker in self._workers if now >= worker.until]:
                worker.gone = True
                self._workers.remove(worker)
                self.stuck += 1
                late += worker.jobs
                self._offer(*(worker.others.copy().difference(worker.jobs)))
        for job in late:
            if job.cancel is not None:
                job.cancel()
            self._finished(job, LATE)

    # Workers -------------------------------------------------------------------------------------------------------

    def _work(self, worker: _Worker) -> None:
        while not worker.gone:
            job = self._ready.get()
            if job is None:
                return
            if isinstance(job, _Gathered):
                self._work_together(worker, self._gather())
            elif not self._stale(job):
                self._enter(worker, [job], job.deadline)
                result = do(job)
                if self._enter(worker, (), inf):
                    self._finished(job, result)
        with self._lock:
            self.stuck -= 1  # it came back after all

    def _enter(self, worker: _Worker, jobs: Sequence[Job], seconds: float) -> bool:
        """Have a worker begin with something, or with nothing; false if it was given up meanwhile."""
        with self._lock:
            worker.jobs, worker.until = jobs, time.monotonic() + seconds
            return not worker.gone

    def _stale(self, job: Job) -> bool:
        """Drop a job that has waited for too long; whether it has."""
        begun = job.phase is not Phase.CHECK or job.plan is not None
        if begun or time.monotonic() - job.submitted <= self._max_wait:
            return False
        self._release(job)
        job.drop("stale")
        return True

    def _gather(self) -> list[Job]:
        """Take some of the jobs that go together, as many as are soon done, and leave the others to the next worker."""
        self._called = False
        taken: list[Job] = []
        share = min(MOST_TOGETHER, len(self._gathered) // self._most_workers)
        took = 0.0
        while len(taken) < MOST_TOGETHER and took < (BEHIND_SECONDS if len(taken) < share else TOGETHER_SECONDS):
            try:
                job = self._gathered.popleft()
            except IndexError:
                return taken
            if not self._stale(job):
                taken.append(job)
                took += job.experiment.side_seconds if job.phase is Phase.CHECK else 0.0
        if self._gathered:
            self._call()
        return taken

    def _work_together(self, worker: _Worker, jobs: list[Job]) -> None:
        if not jobs:
            return
        worker.others = set(jobs)
        forward = jobs[0].experiment.together
        assert forward is not None
        stations = forward(jobs, lambda job, result: self._leave(worker, job, result))
        try:
            for concerned, seconds in stations:
                if not self._enter(worker, concerned, seconds):
                    return
        except BaseException as error:  # noqa: BLE001 - whatever it is, the thread must survive it
            for job in list(worker.others) if self._enter(worker, (), inf) else ():
                self._leave(worker, job, job.failed(error))
        finally:
            stations.close()  # type: ignore[attr-defined]  # it is a generator

    def _leave(self, worker: _Worker, job: Job, result: object) -> None:
        worker.others.discard(job)
        self._finished(job, result)

    def _finished(self, job: Job, result: object) -> None:
        self._release(job)
        move(job, result)

    def _release(self, job: Job) -> None:
        """Let the next job of the lane go."""
        if job.key is None or job.phase is not Phase.CHECK:
            return
        with self._lock:
            lane = self._lanes.get(job.key)
            if lane:
                self._offer(lane.popleft())
            else:
                self._lanes.pop(job.key, None)

    def again(self, job: Job) -> None:
        """Take a job back to run both sides once more, or to look at the stores again when it is time."""
        if job.not_before > time.monotonic():
            with self._lock:
                heappush(self._later, (job.not_before, job.number, job))
            return
        self._offer(job)
        with suppress(RuntimeError):  # no more threads just now; the conductor tries again
            self._staff()

    def done(self, job: Job) -> None:
        """Forget a job."""
        self._taken.discard(job)

    # The end -------------------------------------------------------------------------------------------------------

    def pending(self) -> int:
        """Number of jobs taken and not done."""
        return len(self._taken)

    def _drop_ready(self, reason: str) -> None:
        while True:
            try:
                job = self._ready.get_nowait()
            except queue.Empty:
                break
            if job is not None and not isinstance(job, _Gathered):
                self._release(job)
                job.drop(reason)
        self._called = False
        while self._gathered:
            job = self._gathered.popleft()
            self._release(job)
            job.drop(reason)

    def close(self) -> None:
        """Stop the threads; what is not done is dropped and counted as ``closed``."""
        self._closed = True
        if not self._started:
            return
        self._bell.put(None)
        while self._inbox:
            self._offer(self._inbox.popleft())
        self._drop_ready("closed")
        for _ in range(len(self._workers)):
            self._ready.put(None)
        for job in list(self._taken):
            job.drop("closed")
