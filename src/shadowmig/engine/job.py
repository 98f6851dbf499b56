"""
One sampled call on its way: what each side did, and which step comes next.

A step that runs other people's code (`Job.step`) only returns what it found; `Job.advance` puts it in place. So a step
that ran past its deadline can be abandoned in the middle: whatever it returns later is dropped.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import copy_context
from datetime import UTC, datetime
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from shadowmig.engine.guard import sent_from_outside
from shadowmig.model import MISSING, Call, Comparison, Observation, Raised, Reading, Record, Ref, Side, Verdict
from shadowmig.stores.parted import Parted, whole

if TYPE_CHECKING:
    from shadowmig.engine.experiment import Experiment
    from shadowmig.engine.overlap import Ticket
    from shadowmig.engine.runner import Runner
    from shadowmig.engine.snapshot import Arguments
    from shadowmig.engine.stages import Row
    from shadowmig.engine.write_state import Plan, Seen

MOST_CAUSES = 5
"""Exceptions looked at of a chain of them."""
MESSAGE_LIMIT = 2000
"""Characters kept of an exception's message."""


class Phase(enum.Enum):
    """What happens next to a job. ``CHECK`` and ``RECHECK`` call the sides, ``JUDGE`` and ``REJUDGE`` compare."""

    CHECK = "check"
    JUDGE = "judge"
    RECHECK = "recheck"
    REJUDGE = "rejudge"
    DONE = "done"


class Outcome:
    """
    What one side did, frozen: a value, an exception, no answer in time, or an answer that could not be frozen.

    Attributes:
        frozen: The frozen value, or ``None``.
        error: Class of the exception, or ``None``.
        kinds: The same, and the classes of what it was raised from.
        message: Its text, capped.
        late: Whether the deadline passed.
        problem: Why there is nothing to compare, as the verdict and its reason; or ``None``.
        seen: Of a write: what the stores held afterwards.
        duration: Seconds.
    """

    frozen: Any = None
    error: type[BaseException] | None = None
    kinds: tuple[type[BaseException], ...] = ()
    message = ""
    late = False
    problem: tuple[Verdict, str] | None = None
    seen: Seen | None = None

    def __init__(self, duration: float) -> None:
        self.duration = duration

    def set_error(self, error: BaseException) -> None:
        """Keep class and text of an exception; its traceback would keep frames and what they hold alive."""
        self.error = type(error)
        try:
            self.message = str(error)[:MESSAGE_LIMIT]
        except Exception as broken:
            if sent_from_outside(broken):
                raise
            self.message = f"<{type(broken).__name__} in __str__>"

    def observation(self, side: Side) -> Observation:
        """Thaw into what comparators and people see."""
        if self.error is not None:
            bases = tuple(_qualified(base) for base in self.error.__mro__[:-1])
            raised = Raised(_qualified(self.error), self.message, bases)
            return Observation(side, raised=raised, duration=self.duration)
        value = MISSING if self.frozen is None else self.frozen.thaw()
        return Observation(side, value=value, duration=self.duration)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an exception, and what it was raised from; they may go in circles."""
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def without_answer(verdict: Verdict, reason: str) -> Outcome:
    """Give the outcome of a side that could not be asked."""
    outcome = Outcome(0.0)
    outcome.problem = (verdict, reason)
    return outcome


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


LATE = object()
"""Given to `Job.advance` for a step that ran past its deadline."""


class Job:
    """
    A sampled call. Built on the caller's path, so it holds little and computes nothing.

    No ``__slots__``: class-level defaults spare the caller a dozen assignments.
    """

    phase = Phase.CHECK
    served: Outcome | None = None
    """What the served side did."""
    checked: Outcome | None = None
    """What the checked side did."""
    first: Comparison | None = None
    """The judgement of the first run, while both sides run again."""
    again: Any = None
    """What control and candidate did in the second run; of a write, what the stores held at the next look."""
    arguments: Arguments | None = None
    """The frozen arguments; ``None`` if no argument can change."""
    key: Hashable = None
    loop: Any = None
    """The event loop of an async handler."""
    runner: Runner
    inline = False
    """Whether all is done on the caller's path (in tests)."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """For a write of an async handler: what is to be read before the handler runs."""
    early: Call | None = None
    """The call as the user's functions saw it before it was made."""
    refs: Sequence[Ref] = ()
    """The records that a write starts from."""
    reads: Sequence[Parted[Reading]] = ()
    """Reads of what production held before a write, which are answered and not understood yet; see `found`."""
    base: Mapping[Ref, Record] = {}
    """What production held before a write."""
    base_read = 0.0
    """When reading it began (`perf_counter`)."""
    ticket: Ticket | None = None
    """A write's hold on its entity."""
    undisturbed = True
    """Whether no other sampled write to its records ran beside the served side."""
    let_go = False
    """Whether it was given up before the served side ran."""
    order: int | None = None
    """The version that a write gave its entity: its place in the lane."""
    carried: Mapping[str, Any] = {}
    """What a write gives the checked side besides the arguments."""
    not_before = 0.0
    """When the next step may be done (monotonic seconds)."""
    plan: Plan | None = None
    """What a write is to be compared by."""
    ran: Outcome | None = None
    """What the checked side of a write did, before the stores were looked at."""
    side_runs = False
    """Whether the checked side itself is running."""
    taken = False
    """Whether a runner took it."""
    settle: Callable[[], Awaitable[None]] | None = None
    """For `Inline` and an async handler: what is left to do before the call returns."""
    cancel: Callable[[], object] | None = None
    """Tells a step that is given up, as far as it can be told."""
    submitted = 0.0
    submitted_at = 0.0
    """When the served side had returned (`perf_counter`)."""

    def __init__(
        self,
        experiment: Experiment,
        row: Row,
        run: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        number: int,
        entered: float,
    ) -> None:
        self.experiment = experiment
        self.row = row
        self.run = run
        self.args = args
        self.kwargs = kwargs
        self.number = number
        self.entered = entered
        self.context = copy_context()
        self.at = time()
        self.started = perf_counter()

    @property
    def name(self) -> tuple[str, int]:
        """What it is called in this process."""
        return self.experiment.name, self.number

    # Caller's path -------------------------------------------------------------------------------------------------

    def returned(self, value: Any) -> None:
        """Take note that the served side returned, and hand over."""
        self.experiment.hand_over(self, perf_counter(), value, None)

    def raised(self, error: BaseException) -> None:
        """Take note that the served side raised, and hand over."""
        self.experiment.hand_over(self, perf_counter(), None, error)

    # Off the caller's path -----------------------------------------------------------------------------------------

    @property
    def calls_sides(self) -> bool:
        """Whether the next step calls the sides (and may wait), rather than compares."""
        return self.phase is Phase.CHECK or self.phase is Phase.RECHECK

    @property
    def deadline(self) -> float:
        """Seconds the next step may take."""
        if self.phase is Phase.CHECK:
            return self.experiment.check_seconds
        if self.phase is Phase.RECHECK:
            return self.experiment.recheck_seconds
        return self.experiment.judging

    def step(self) -> Any:
        """Do the next step; its result goes to `advance`."""
        if self.phase is Phase.CHECK:
            return self.experiment.run_checked(self)
        if self.phase is Phase.RECHECK:
            return self.experiment.run_again(self)
        return self.experiment.judge(self)

    async def step_async(self) -> Any:
        """Do the next step that calls the sides, on the running loop."""
        if self.phase is Phase.CHECK:
            return await self.experiment.run_checked_async(self)
        return await self.experiment.run_again_async(self)

    def failed(self, error: BaseException) -> Any:
        """Give the result of a step out of which something escaped that our own code should have caught."""
        self.experiment.guard.count("run", error)
        if self.phase is Phase.CHECK:
            return without_answer(Verdict.BROKEN, "run")
        return LATE if self.phase is Phase.RECHECK else Comparison(Verdict.BROKEN, reason="run")

    def drop(self, reason: str) -> None:
        """Give the job up; counted as ``SKIPPED`` for this reason."""
        if self.phase is not Phase.DONE:
            self.phase = Phase.DONE
            self.experiment.dropped(reason)
            self.experiment.ended(self)
            if self.plan is not None:
                self.plan.claim.release()
        self.runner.done(self)

    def advance(self, result: Any) -> None:
        """Put the result of a step in place and move on; `LATE` stands for one that never came in time."""
        if self.phase is Phase.DONE:
            return  # dropped meanwhile
        if self.phase is Phase.CHECK:
            if result is LATE:
                result = self.experiment.given_up(self)
            self.checked = result
            self.experiment.note_check(self)
            self.phase = Phase.JUDGE
        elif self.phase is Phase.RECHECK:
            self.again = None if result is LATE else result
            self.phase = Phase.REJUDGE
        elif result is None:  # the judge wants both sides to be run again
            self.phase = Phase.RECHECK
        else:
            if result is LATE:
                result = Comparison(Verdict.BROKEN, reason="judging took too long")
            self.phase = Phase.DONE
            self.experiment.ended(self)
            self.experiment.finish(self, result)

    def thaw(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give arguments for one side to work with: a copy of all that can change."""
        return (self.args, dict(self.kwargs)) if self.arguments is None else self.arguments.thaw()

    def side(self, side: Side) -> Outcome | None:
        """The first outcome of a side."""
        return self.served if side is self.row.served else self.checked

    def found(self) -> Mapping[Ref, Record]:
        """Understand what was read before a write."""
        if self.reads:
            reads, self.reads = self.reads, ()
            self.base = {record.ref: record for read in reads for record in whole(read).records}
        return self.base

    def told(self) -> Call:
        """Build the call with the served side's answer."""
        served = self.served
        return self.call(MISSING if served is None or served.frozen is None else served.frozen.thaw())

    def call(self, result: Any = MISSING) -> Call:
        """Build the call as people see it, from a fresh copy of its arguments."""
        args, kwargs = self.thaw()
        experiment = self.experiment
        return Call(
            id=f"{experiment.source}-{self.number:x}",
            experiment=experiment.name,
            at=datetime.fromtimestamp(self.at, UTC),
            args=args,
            kwargs=kwargs,
            result=result,
            parameters=experiment.parameters,
        )


def enter(lane: deque[Job], job: Job) -> None:
    """
    Put a job into its lane: last, but before those that ran beside it and came later by the version they gave.

    Two writes that run at the same time may be handed over in another order than production took them in.
    """
    place = len(lane)
    if job.order is not None:
        while place > 0:
            other = lane[place - 1]
            beside = other.submitted_at > job.started
            if other.order is None or other.order <= job.order or not beside:
                break
            place -= 1
    lane.insert(place, job)
