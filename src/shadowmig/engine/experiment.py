"""
One endpoint under comparison: the loop of a call, and the only guard around it.

`begin` and `hand_over` run on the caller's path. Whatever goes wrong in them ends in the guard; the caller's value,
exception, arguments and cancellation are never touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC, datetime
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from shadowmig.engine import bridge
from shadowmig.engine.breaker import Breaker, BreakerState
from shadowmig.engine.counts import Counts
from shadowmig.engine.guard import Guard, sent_from_outside
from shadowmig.engine.handlers import Implementation
from shadowmig.engine.job import Job, Outcome, Phase, causes, without_answer
from shadowmig.engine.judge import Judge
from shadowmig.engine.options import ReadOptions
from shadowmig.engine.sampling import split
from shadowmig.engine.snapshot import all_atoms, freeze, freeze_arguments
from shadowmig.engine.stages import TABLE, as_stage
from shadowmig.errors import SnapshotError, SnapshotTooLarge
from shadowmig.model import MISSING, Call, Comparison, RuleUse, Side, Stage, Summary, Verdict
from shadowmig.protocols import HasRules
from shadowmig.side import CHECKED_SIDE

if TYPE_CHECKING:
    from shadowmig.engine.runner import Runner
    from shadowmig.engine.wrap import Switch

SUSPICIOUS: Final = 5
"""Races of a kind that may hide defects after which they become a finding."""


_NEVER_OPENS: Final = Breaker(errors=2, overhead=float("inf"))


class Experiment:
    """
    One endpoint under comparison. Built by ``Migration.read``; get it by name from ``Migration.experiments``.

    Its stage follows the migration's until it is given one of its own.
    """

    together: Callable[[Sequence[Job], Callable[[Job, Any], None]], Iterator[tuple[Sequence[Job], float]]] | None = None
    """How several calls are brought forward at once, where that is cheaper; see `write_groups.forward`."""
    side_seconds = inf
    """Of those: how long the checked side takes, about; until that is known, calls go alone."""

    def __init__(
        self,
        name: str,
        sides: dict[Side, Implementation],
        handler: Implementation,
        options: ReadOptions,
        runner: Runner,
        publish: Callable[[Comparison, Callable[[], Call]], None],
        get_source: Callable[[], str],
    ) -> None:
        self.name = name
        self.deadline = options.deadline
        self.judging = options.judging
        self.parameters = handler.parameters
        self.is_async = handler.is_async
        self._options = options
        self._own_runner = runner
        self._publish = publish
        self._get_source = get_source
        self._own = 1 if handler.own else 0
        self._sides = sides
        self._is_async = {side: item.is_async for side, item in sides.items()}
        self._call = {side: item.adapted(handler) for side, item in sides.items()}
        self._serve = {side: self._served(side) for side in sides}
        self._stage: Stage | None = options.stage
        self._default_stage = Stage.SHADOW
        self._closed = False
        self._switch: Switch | None = None
        self._limit = options.snapshot_limit
        self._overhead = options.breaker.overhead
        self._divert(None)
        self._row = TABLE[Stage.OFF]
        self.reset()

    def reset(self) -> None:
        """Forget all counts; also what a forked child does, whose parent keeps counting its own."""
        self._numbers = itertools.count(1)
        self.guard = Guard(self.name, f"stats().experiments[{self.name!r}].errors")
        self._counts = Counts()
        self._judge = self._new_judge()
        self._breaker = BreakerState(self._options.breaker)

    def _new_judge(self) -> Judge:
        return Judge(self._options, self.guard, self._counts)

    @property
    def check_seconds(self) -> float:
        """Seconds that the step of the checked side may take."""
        return self.deadline

    @property
    def recheck_seconds(self) -> float:
        """Seconds that the second run of both sides may take."""
        return 2 * self.deadline

    # Stage ---------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """The stage in force. Set it to a `Stage` or its name, or to ``None`` to follow the migration's again."""
        return self._stage or self._default_stage

    @stage.setter
    def stage(self, stage: Stage | str | None) -> None:
        self._stage = None if stage is None else as_stage(stage)
        self._stage_set()
        self._apply()

    def follow(self, stage: Stage) -> None:
        """Take note of the migration's stage."""
        self._default_stage = stage
        self._stage_set()
        self._apply()

    def _stage_set(self) -> None:
        """Hook: somebody has set the stage."""

    def connect(self, switch: Switch) -> None:
        """Take the wrapper's switch."""
        self._switch = switch
        self._apply()

    def divert(self, runner: Runner | None) -> None:
        """Compare every call with this runner, whatever fails; with ``None``, go back to the experiment's own ways."""
        self._divert(runner)
        self._apply()

    def _divert(self, runner: Runner | None) -> None:
        self._runner = runner or self._own_runner
        self._rate, self._decide = (1.0, None) if runner else split(self._options.sample)
        self._asks = self._decide is not None or self._options.key is not None
        self._breaker = BreakerState(_NEVER_OPENS if runner else self._options.breaker)

    def close(self) -> None:
        """Compare no more; the handler goes on serving as its stage says."""
        self._closed = True
        self._apply()

    def _apply(self) -> None:
        row = self._row = TABLE[self.stage]
        if self._switch is not None:
            quiet = self._quiet or row.checked is None
            self._switch(0.0 if quiet else self._rate, self._serve[row.served])

    @property
    def _quiet(self) -> bool:
        """Whether no call is to be compared, whatever the stage."""
        return self._closed

    def _served(self, side: Side) -> Callable[..., Any]:
        """Give a side as something the wrapper can serve, sync or async as the handler is."""
        function = self._call[side]
        if self.is_async == self._is_async[side]:
            return function
        return bridge.as_async(function) if self.is_async else bridge.as_sync(function)

    # The caller's path ---------------------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The id of this migration in this process; the beginning of every call's id."""
        return self._get_source()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job | None:
        """Decide about a call that won the draw; ``None`` means it is served as if we were not there."""
        try:
            return self._begin(args, kwargs)
        except BaseException as error:
            # The books failed, or the stack is full: nothing is left to count it with, and the caller goes on.
            if not isinstance(error, RecursionError) and sent_from_outside(error):
                raise
            return None

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job | None:
        entered = perf_counter()
        operation = "sample"
        try:
            row = self._row
            if row.checked is None or CHECKED_SIDE.get() is not None:
                return None
            number, key, call = next(self._numbers), None, None
            if self._breaker.waits(entered):
                return self._skip("breaker")
            if self._asks:
                call = self._call_of(args, kwargs.copy(), number)  # a sampler must not change the handler's own
                if self._decide is not None and not self._decide(call):
                    return self._leave(entered)
                operation = "key"
                key = self._key_of(call)
            operation = "submit"
            if self._runner.full() or not self._breaker.allow(entered):
                self._leave(entered)
                return self._skip("shed" if self._runner.full() else "breaker")
            operation = "snapshot"
            job = Job(self, row, self._serve[row.served], args, kwargs, number, entered)
            job.key, job.early = key, call
            if not all_atoms(args[self._own :], kwargs, self._limit):
                # Frozen before the handler runs, which may change its arguments.
                names, share = self.parameters.names, self._options.share
                job.arguments = freeze_arguments(
                    args, kwargs, limit=self._limit, names=names, own=self._own, share=share
                )
                job.args, job.kwargs = (), {}
                job.started = perf_counter()
            return job
        except SnapshotTooLarge:
            return self._skip("too_large")
        except BaseException as error:
            self.guard.absorb(operation, error)
            if operation != "sample":
                self._counts.add(Verdict.BROKEN, operation)
            return self._leave(entered)

    def _call_of(self, args: tuple[Any, ...], kwargs: dict[str, Any], number: int) -> Call:
        """Build the call for the user's sampler and key, with the arguments themselves."""
        return Call(f"{self.source}-{number:x}", self.name, datetime.now(UTC), args, kwargs, parameters=self.parameters)

    def _key_of(self, call: Call) -> Hashable:
        # Only the hash is kept, so that no ``__eq__`` of the user's runs in our threads; entities that happen to share
        # one share a lane.
        return None if self._options.key is None else hash(self._options.key(call))

    def hand_over(self, job: Job, ended: float, value: Any, error: BaseException | None) -> None:
        """Freeze what the served side did and give the job to the runner."""
        try:
            self._hand_over(job, ended, value, error)
        except BaseException as failure:
            if not isinstance(failure, RecursionError) and sent_from_outside(failure):
                raise  # see `begin`

    def _hand_over(self, job: Job, ended: float, value: Any, error: BaseException | None) -> None:
        operation = "snapshot"
        try:
            if error is not None and not isinstance(error, Exception):
                self._skip("interrupted")
                return
            outcome = job.served = Outcome(ended - job.started)
            if error is not None:
                outcome.set_error(error)
            else:
                if self._options.extract is not None:
                    operation = "extract"
                    value = self._options.extract(value)
                    operation = "snapshot"
                self._freeze(outcome, value)
            if outcome.problem is not None:
                self._counts.add(*outcome.problem)
                return
            operation = "key"
            self._note_answer(job, MISSING if error is not None else value)
            operation = "submit"
            job.submitted_at = ended
            self._submit(job)
        except BaseException as failure:
            self.guard.absorb(operation, failure)
            self._counts.add(Verdict.BROKEN, operation)
        finally:
            now = perf_counter()
            after = 0.0 if job.inline else now - ended  # inline does everything here, on purpose
            self._slow(job.started - job.entered + after, now)

    def _submit(self, job: Job) -> None:
        if self.is_async:
            job.loop = _running_loop()
        job.taken = self._runner.submit(job)
        if not job.taken:
            self._skip("shed")

    def _note_answer(self, job: Job, value: Any) -> None:
        """Hook: the served side's answer, before the job is submitted; `MISSING` if it raised."""

    def _skip(self, reason: str) -> Job | None:
        """Count a call that is not taken, and give what `begin` returns for it."""
        self._counts.add(Verdict.SKIPPED, reason)
        return None

    def _leave(self, entered: float) -> Job | None:
        """Note the time spent on a call that is not taken, and give what `begin` returns for it."""
        now = perf_counter()
        self._slow(now - entered, now)
        return None

    def _slow(self, seconds: float, now: float) -> None:
        if (seconds >= self._overhead or self._breaker.strikes) and self._breaker.spent(seconds, now):
            self.guard.count("overhead", f"{seconds * 1000:.0f} ms on the caller's path; shadowing pauses")

    def _freeze(self, outcome: Outcome, value: Any) -> None:
        try:
            outcome.frozen = freeze(value, limit=self._limit)
        except SnapshotTooLarge:
            outcome.problem = (Verdict.SKIPPED, "too_large")
        except SnapshotError as problem:
            self.guard.count("snapshot", problem)
            outcome.problem = (Verdict.BROKEN, "snapshot")

    # Off the caller's path: running the sides ----------------------------------------------------------------------

    def run_checked(self, job: Job) -> Outcome:
        """Run the checked side in a worker."""
        assert job.row.checked is not None
        return self._run(job, job.row.checked)

    def run_again(self, job: Job) -> tuple[Outcome, Outcome]:
        """Run both sides once more, control first."""
        return self._run(job, Side.CONTROL), self._run(job, Side.CANDIDATE)

    def _run(self, job: Job, side: Side) -> Outcome:
        arguments = self._thaw(job)
        if isinstance(arguments, Outcome):
            return arguments
        return job.context.copy().run(self._observe, job, side, *arguments)

    def _thaw(self, job: Job) -> tuple[tuple[Any, ...], dict[str, Any]] | Outcome:
        try:
            return job.thaw()
        except BaseException as error:
            self.guard.count("thaw", error)
            return without_answer(Verdict.BROKEN, "thaw")

    def _enter(self, side: Side) -> None:
        """Make the context that of a side that runs off the caller's path."""
        CHECKED_SIDE.set(side)

    def _observe(self, job: Job, side: Side, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
        self._enter(side)
        started = perf_counter()
        try:
            value = self._call[side](*args, **kwargs)
            if hasattr(type(value), "__await__"):
                future = bridge.start(value, job.loop)
                job.cancel = future.cancel
                value = bridge.outcome(future.result())
        except bridge.LoopGone:
            return without_answer(Verdict.SKIPPED, "loop_closed")
        except BaseException as error:
            if job.inline and sent_from_outside(error):
                raise
            return self._outcome(started, None, error)
        return self._outcome(started, value, None)

    async def run_checked_async(self, job: Job) -> Outcome:
        """Run the checked side on the running loop; to be started in a copy of the job's context."""
        assert job.row.checked is not None
        return await self._run_async(job, job.row.checked)

    async def run_again_async(self, job: Job) -> tuple[Outcome, Outcome]:
        """Run both sides once more on the running loop, control first."""
        return await self._run_async(job, Side.CONTROL), await self._run_async(job, Side.CANDIDATE)

    async def _run_async(self, job: Job, side: Side) -> Outcome:
        arguments = self._thaw(job)
        if isinstance(arguments, Outcome):
            return arguments
        self._enter(side)
        started = perf_counter()
        try:
            value = self._call[side](*arguments[0], **arguments[1])
            if hasattr(type(value), "__await__"):
                value = await value
        except BaseException as error:
            if bridge.cancelled_from_outside(error):
                raise
            return self._outcome(started, None, error)
        return self._outcome(started, value, None)

    def _outcome(self, started: float, value: Any, error: BaseException | None) -> Outcome:
        outcome = Outcome(perf_counter() - started)
        if error is not None:
            outcome.set_error(error)
            outcome.kinds = tuple([type(one) for one in causes(error)])
            return outcome
        operation = "snapshot"
        try:
            if self._options.extract is not None:
                operation = "extract"
                value = self._options.extract(value)
            self._freeze(outcome, value)
        except BaseException as failure:
            self.guard.count(operation, failure)
            outcome.problem = (Verdict.BROKEN, operation)
        return outcome

    def given_up(self, job: Job) -> Outcome:
        """Give the outcome of a checked side that ran past its deadline."""
        outcome = Outcome(self.deadline)
        outcome.late = True
        return outcome

    def ended(self, job: Job) -> None:
        """Hook: nothing more will be done with a job."""

    def note_check(self, job: Job) -> None:
        """Tell the breaker how a check went."""
        assert job.checked is not None and job.served is not None
        failed = job.checked.late or (job.checked.error is not None and job.served.error is None)
        self._breaker.outcome(not failed, perf_counter())

    # Off the caller's path: judging and counting -------------------------------------------------------------------

    def judge(self, job: Job) -> Comparison | None:
        """Compare; ``None`` asks for both sides to be run again."""
        return self._judge.again(job) if job.phase is Phase.REJUDGE else self._judge.first(job)

    def finish(self, job: Job, comparison: Comparison) -> None:
        """Count a judgement and publish it."""
        count = self._counts.add(comparison.verdict, comparison.reason)
        self._counts.add_seconds(comparison)
        if comparison.verdict is Verdict.RACED and count < SUSPICIOUS:
            comparison = evolve(comparison, differences=())
        self._publish(comparison, job.told)

    def dropped(self, reason: str) -> None:
        """Count a job that will not be judged, as ``SKIPPED`` for this reason."""
        self._counts.add(Verdict.SKIPPED, reason)

    def broke(self, reason: str) -> None:
        """Count a job that could not be judged, as ``BROKEN`` for this reason."""
        self._counts.add(Verdict.BROKEN, reason)

    def summary(self) -> Summary:
        """The counts so far."""
        rules: tuple[RuleUse, ...] = ()
        if isinstance(self._options.compare, HasRules):
            try:
                rules = tuple(self._options.compare.rules())
            except BaseException as error:
                self.guard.count("publish", error)
        return self._counts.summary(self.name, self.stage, self.guard.counts, rules)


def _running_loop() -> Any:
    import asyncio

    return asyncio.get_running_loop()
