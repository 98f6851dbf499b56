"""
What a service holds: a `Migration`, and the decorators it makes.

Nothing is started when one is built; threads are born at the first sampled call.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from attrs import evolve, frozen

from shadowmig.engine.desk import Desk
from shadowmig.engine.experiment import Experiment
from shadowmig.engine.handlers import Implementation, check_other, check_shared, implementation
from shadowmig.engine.mirror import Mirror
from shadowmig.engine.options import ReadArguments, ReadOptions, function, read_options, text, whole
from shadowmig.engine.publisher import Publisher, warm_up
from shadowmig.engine.runner import Inline, Runner
from shadowmig.engine.sampling import always, checked_sampler
from shadowmig.engine.stages import as_stage
from shadowmig.engine.tasks import Tasks
from shadowmig.engine.threads import Threads
from shadowmig.engine.wrap import wrap_async, wrap_sync
from shadowmig.engine.write_options import WriteArguments, write_options
from shadowmig.engine.writes import WriteExperiment
from shadowmig.errors import ConfigError, HandlerError
from shadowmig.findings import secrets
from shadowmig.given import seconds
from shadowmig.model import Call, Comparison, Finding, Side, Stage, Summary
from shadowmig.protocols import Redactor, Sampler, Sink

if TYPE_CHECKING:
    from shadowmig.wire.events import EventFault

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Stats:
    """
    What a migration did so far in this process.

    Attributes:
        experiments: The counts of each experiment, by name.
        pending: Calls taken and not yet judged.
        stuck: Threads stuck in code past its deadline.
        lost: Findings not tracked because there were too many.
        dropped: Findings that sinks never got, by sink.
        errors: Failures of sinks and of findings, by operation.
    """

    experiments: Mapping[str, Summary]
    pending: int
    stuck: int
    lost: int
    dropped: Mapping[str, int]
    errors: Mapping[str, int]


class Migration:
    """
    Groups the experiments of one migration, with their stage, sampling, runner and sinks.

    Args:
        name: Name of the migration, for findings.
        sinks: Where findings go; by default `shadowmig.sinks.Log`.
        sample: Which calls are compared; by default all.
        stage: A `Stage` or its name; by default ``SHADOW``.
        runner: How the checked side is run; by default `Threads`, and `Tasks` for async handlers whose other side is
            async too.
        redact: Takes secrets out of values before they reach findings; by default `shadowmig.findings.secrets`.
        label: The candidate's build, shown with findings.
        budget: Share of one core that judging may use, above 0 to 1.
        publish_every: Seconds (or a timedelta) between two rounds of publishing to the sinks.
        exit_timeout: Seconds (or a timedelta) that the end of the process may wait for calls under way.
        max_findings: Findings kept in memory; more are counted as lost.
        max_examples: Examples kept of each finding.
        on_comparison: Called off the caller's path with every `Comparison`, as it is: not redacted.

    Raises:
        ConfigError: An option is wrong; the message names it.
    """

    def __init__(
        self,
        name: str,
        *,
        sinks: Iterable[Sink] | None = None,
        sample: Sampler = always,
        stage: Stage | str = Stage.SHADOW,
        runner: Runner | None = None,
        redact: Redactor = secrets,
        label: str = "",
        budget: float = 0.05,
        publish_every: float | timedelta = 1.0,
        exit_timeout: float | timedelta = 2.0,
        max_findings: int = 1000,
        max_examples: int = 3,
        on_comparison: Callable[[Comparison], object] | None = None,
    ) -> None:
        self.name = text(name, "name")
        self.label = str(label)
        self._stage = as_stage(stage)
        self._sample = checked_sampler(sample)
        self._on_comparison = function(on_comparison, "on_comparison", "Use a function of a Comparison.")
        self._exit_timeout = seconds(exit_timeout, "exit_timeout")
        self._publisher = Publisher(
            self.name,
            label=self.label,
            sinks=sinks,
            redact=redact,
            max_findings=whole(max_findings, "max_findings"),
            max_examples=whole(max_examples, "max_examples", least=0),
        )
        self._experiments: dict[str, Experiment] = {}
        self._desk = Desk(
            budget=_checked_budget(budget),
            interval=seconds(publish_every, "publish_every"),
            publish=lambda: self._publisher.publish(self._summaries),
        )
        self._runner = runner
        self._runners: list[Runner] = []
        if runner is not None:
            self._bind(runner)
        self._inline: Inline | None = None
        self._mirror: Mirror | None = None
        self._watchers: list[list[Comparison]] = []
        self._closed = False
        _open_migrations.add(self)
        warm_up()
        for tell in births:
            tell(self)

    def _after_fork(self) -> None:
        self._publisher.start_over()
        self._desk.reset()
        if self._mirror is not None:
            self._mirror = self._mirror.anew()
        for runner in self._runners:
            runner.reset()
        for experiment in self._experiments.values():
            experiment.reset()

    def _bind(self, runner: Runner) -> Runner:
        runner.bind(self._desk)
        self._runners.append(runner)
        return runner

    # Decorating ----------------------------------------------------------------------------------------------------

    @overload
    def read(self, handler: F, /, **options: Unpack[ReadArguments]) -> F: ...

    @overload
    def read(self, handler: None = None, /, **options: Unpack[ReadArguments]) -> Callable[[F], F]: ...

    def read(self, handler: Any = None, /, **options: Unpack[ReadArguments]) -> Any:
        """
        Compare a handler that only reads with another implementation of it.

        The decorated function may be either side: name the other one. Callers get the answer of the side that the
        stage serves, and never notice the other. Works as a decorator, ``@migration.read(candidate=...)``, and as a
        plain call, ``get = migration.read(get, candidate=...)``.

        Args:
            handler: The function to wrap, for the plain call.
            candidate: The new implementation; the handler is then the control.
            control: The old implementation; the handler is then the candidate.
            name: Name of the experiment; by default the handler's qualified name.
            compare: The comparator; by default `structural` without rules.
            version: Takes the version out of a value; not asked about ``None``. Answers with different versions are
                ``RACED``, not compared.
            confirm: Whether both sides are run once more before a difference counts as a mismatch.
            sample: Which calls are compared; by default the migration's.
            key: Gives a call's entity. Calls of one entity are checked one after the other, in their order.
            extract: Turns an answer into the plain data to compare; runs on the caller's path.
            errors: When two exceptions are alike: ``"type"``, ``"message"`` (type and message), ``"any"``, or a
                comparator of two `Raised`.
            deadline: Seconds (or a timedelta) the checked side may take; past that is a ``deadline`` difference.
            judging: Seconds (or a timedelta) judging one call may take; past that the verdict is ``BROKEN``.
            stage: A stage of its own; by default the migration's.
            breaker: When shadowing pauses by itself; see `Breaker`.
            share: Names of parameters whose arguments the checked side gets by reference: what cannot be copied and may
                be used by several threads, such as a client. All others it gets as copies.
            snapshot_limit: Largest copy of an answer or an argument, in bytes; larger ones are skipped and counted.

        Returns:
            The wrapped handler, with the same name, signature and type.

        Raises:
            ConfigError: An option is wrong.
            HandlerError: The handler or the other side cannot be used: a generator, a class, other parameters.
        """
        name = options.pop("name", None)
        other = _the_other(options.pop("candidate", None), options.pop("control", None), "read")
        checked = read_options(options, sample=self._sample)

        def decorate(function: Any) -> Any:
            return self._decorate(function, other, checked, name, Experiment)

        return decorate if handler is None else decorate(handler)

    @overload
    def write(self, handler: F, /, **options: Unpack[WriteArguments]) -> F: ...

    @overload
    def write(self, handler: None = None, /, **options: Unpack[WriteArguments]) -> Callable[[F], F]: ...

    def write(self, handler: Any = None, /, **options: Unpack[WriteArguments]) -> Any:
        """
        Compare what a handler writes with what another implementation of it writes.

        The served side writes production, as it would without us. Off the caller's path the checked side does the same
        to the sister stores, and then the records of both are compared. The handlers get their clients from
        `SisterStore.client`, which gives each side its own. Works as a decorator and as a plain call, like `read`.

        Args:
            handler: The function to wrap, for the plain call.
            candidate: The new implementation; the handler is then the control.
            control: The old implementation; the handler is then the candidate.
            name: Name of the experiment; by default the handler's qualified name.
            touches: Gives the refs of all records that the call changes. It is asked after the call, with
                ``call.result``; in vain if the call raised, when only what was hydrated is compared.
            hydrate: Gives the refs of the records that the write starts from. They are read from production right
                before the call, on the caller's path, and put into the sister before the checked side runs.
            carry: Gives values that the served side generated (ids, times), as keyword arguments for the checked side:
                it takes them by name, with defaults. Control, if it is the one checked, gets those that it takes.
            version: Gives the version that the call gave its records, or a dict of versions by ref; by default it is
                taken from the event that stands for a record, or is the one after the hydrated record's.
            counter: Whether versions go up by one with each write. If not, fewer races can be told from defects.
            generated: Paths of values that the checked side makes up itself, such as ``"$.id"`` (anywhere),
                ``"answer:$.id"`` or ``"db.comments:$.id"``. They need only be the same wherever control's are.
            effect: ``"state"`` compares what the records hold, ``"delta"`` what each side changed in them: numbers
                by how much. For counters whose state is never the same on both sides.
            settle: Seconds (or a timedelta) to wait for what has not come yet: a commit after the handler's return, a
                lagging replica, an event published in the background.
            hydrate_timeout: Seconds (or a timedelta) that reading before the call may take in all; past it the call is
                skipped and counted, not delayed.
            compare: Compares the answers, and the values of records of stores that have no ``compare`` of their own;
                by default `structural` without rules.
            sample: Which calls are compared; by default the migration's. Best `sticky` by the key, so that an entity's
                writes are all seen or none.
            key: Gives the call's entity. Writes to one entity reach the sister in production's order. It is asked
                before the call, and again after it if it gave ``None`` or raised, so it may use ``call.result``.
            extract: Turns an answer into plain data; runs on the caller's path.
            errors: When two exceptions are alike; see `read`.
            deadline: Seconds (or a timedelta) the checked side may take.
            judging: Seconds (or a timedelta) judging one call may take.
            stage: A stage of its own; by default the migration's.
            breaker: When shadowing pauses by itself; see `Breaker`.
            share: Names of parameters that the checked side gets by reference; see `read`.
            snapshot_limit: Largest copy of an answer or an argument, in bytes.

        Returns:
            The wrapped handler, with the same name, signature and type.

        Raises:
            ConfigError: An option is wrong.
            HandlerError: The handler or the other side cannot be used.
        """
        name = options.pop("name", None)
        other = _the_other(options.pop("candidate", None), options.pop("control", None), "write")
        checked = write_options(options, sample=self._sample)
        if self._mirror is None:
            self._mirror = Mirror()
        self._mirror.makes_up |= bool(checked.generated)

        def decorate(function: Any) -> Any:
            return self._decorate(function, other, checked, name, partial(WriteExperiment, mirror=self._get_mirror))

        return decorate if handler is None else decorate(handler)

    def _get_mirror(self) -> Mirror:
        assert self._mirror is not None
        return self._mirror

    def _decorate(
        self,
        handler: Any,
        the_other: tuple[Side, Any],
        options: ReadOptions,
        name: str | None,
        kind: Callable[..., Experiment],
    ) -> Any:
        if isinstance(handler, classmethod | staticmethod):
            return type(handler)(self._decorate(handler.__func__, the_other, options, name, kind))
        other_side, other = the_other
        if isinstance(handler, type):
            raise HandlerError(
                f"The handler is a class ({handler.__qualname__}).",
                remedy="Decorate its method.",
                field="handler",
                value=handler,
            )
        ours, theirs = implementation(handler, "handler"), implementation(other, other_side.value)
        check_other(ours, theirs, other_side.value)
        check_shared(ours, options.share)
        experiment = kind(
            self._free_name(name or ours.name),
            {other_side.other: ours, other_side: theirs},
            ours,
            options,
            self._runner_for(ours, theirs),
            self._record,
            lambda: self._publisher.source,
        )
        wrap = wrap_async if ours.is_async else wrap_sync
        wrapper, switch = wrap(handler, experiment.begin)
        self._experiments[experiment.name] = experiment
        experiment.follow(self._stage)
        experiment.divert(self._inline)
        experiment.connect(switch)
        return wrapper

    def _free_name(self, name: str) -> str:
        if name in self._experiments:
            raise ConfigError(
                f"There is an experiment {name!r} already.", remedy="Pass another name=.", field="name", value=name
            )
        return name

    @contextmanager
    def inline(self, seen: list[Comparison] | None = None) -> Iterator[list[Comparison]]:
        """
        Judge every call before it returns, for as long as the ``with`` block lasts: for tests.

        Sampling, runner and breaker are set aside; stages, comparators and sinks stay. May be nested.

        Args:
            seen: The list to add comparisons to; by default a new one.

        Returns:
            The list, to which every comparison made meanwhile is added.
        """
        seen = [] if seen is None else seen
        before, runner = self._inline, Inline()
        runner.bind(self._desk)
        self._inline = runner
        self._watchers.append(seen)
        for experiment in self._experiments.values():
            experiment.divert(runner)
        try:
            yield seen
        finally:
            self._inline = before
            self._watchers = [watcher for watcher in self._watchers if watcher is not seen]
            for experiment in self._experiments.values():
                experiment.divert(before)

    def _runner_for(self, ours: Implementation, theirs: Implementation) -> Runner:
        wanted: type[Tasks | Threads] = Tasks if ours.is_async and theirs.is_async else Threads
        if self._runner is not None:
            if isinstance(self._runner, Tasks) and wanted is Threads:
                raise ConfigError(
                    "runner is Tasks, which runs coroutines, and a side is not async.",
                    remedy="Leave runner out, or use Threads.",
                    field="runner",
                    value=self._runner,
                )
            return self._runner
        for runner in self._runners:
            if isinstance(runner, wanted):
                return runner
        return self._bind(wanted())

    # Stages --------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """The stage of all experiments that have none of their own; set it at any time, to a `Stage` or its name."""
        return self._stage

    @stage.setter
    def stage(self, stage: Stage | str) -> None:
        self._stage = as_stage(stage)
        for experiment in self._experiments.values():
            experiment.follow(self._stage)

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """The experiments by name; ``migration.experiments["get_comment"].stage = "live"`` sets one's own stage."""
        return MappingProxyType(self._experiments)

    # Findings ------------------------------------------------------------------------------------------------------

    def _record(self, comparison: Comparison, make_call: Callable[[], Call]) -> None:
        if not (comparison.differences or self._watchers or self._on_comparison):
            return
        try:
            comparison = evolve(comparison, call=make_call())
        except BaseException as error:
            self._publisher.guard.count("tally", error)
        if comparison.differences:
            self._publisher.record(comparison)
        for seen in self._watchers:
            seen.append(comparison)
        if self._on_comparison is not None:
            try:
                self._on_comparison(comparison)
            except BaseException as error:
                self._publisher.guard.count("on_comparison", error)

    def event_faults(self, stream: str) -> Callable[[EventFault], None]:
        """
        Give a function that makes findings of the faults of a stream of events.

            EventStream("comment_events", ..., on_verdict=migration.event_faults("comment_events"))

        Args:
            stream: The name under which the findings stand, as that of an experiment does.

        Raises:
            ConfigError: The name is no text.
        """
        from shadowmig.engine.event_findings import told

        name = text(stream, "stream")

        def count(fault: EventFault) -> None:
            if found := told(name, fault):
                self._record(found[0], lambda: found[1])
                self._desk.watch()

        return count

    def _summaries(self) -> dict[str, Summary]:
        return {name: experiment.summary() for name, experiment in list(self._experiments.items())}

    def findings(self) -> tuple[Finding, ...]:
        """The findings of this process so far, the most frequent first."""
        return self._publisher.findings()

    def stats(self) -> Stats:
        """The counts of this process so far."""
        return Stats(
            experiments=self._summaries(),
            pending=sum(runner.pending() for runner in self._runners),
            stuck=self._desk.stuck + sum(getattr(runner, "stuck", 0) for runner in self._runners),
            lost=self._publisher.lost,
            dropped=self._publisher.dropped,
            errors=self._publisher.guard.counts,
        )

    # The end -------------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | timedelta = 5.0) -> bool:
        """
        Wait until all calls so far are judged and the findings have been given to the sinks.

        Args:
            timeout: Seconds (or a timedelta) to wait at most.

        Judging is not held to its budget meanwhile. On the thread of an event loop use `aflush`: the loop must run.

        Returns:
            Whether all was done in time, and every sink took what it was given.
        """
        until = time.monotonic() + seconds(timeout, "timeout")
        with self._desk.hurry():
            while any(runner.pending() for runner in self._runners):
                if time.monotonic() >= until:
                    return False
                self._desk.watch()
                time.sleep(0.002)
            return self._desk.flush(until) and not self._publisher.pending

    async def aflush(self, timeout: float | timedelta = 5.0) -> bool:
        """Do what `flush` does while the event loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.flush, timeout)

    def close(self, timeout: float | timedelta = 5.0) -> bool:
        """
        Flush, then stop comparing. Handlers go on serving as their stage says.

        Args:
            timeout: Seconds (or a timedelta) to wait at most; what is not judged by then is dropped and counted.

        Returns:
            Whether all was done in time. A second call does nothing.
        """
        limit = seconds(timeout, "timeout")
        if self._closed:
            return True
        until = time.monotonic() + limit
        self._closed = self._publisher.closing = True
        _open_migrations.discard(self)
        for experiment in self._experiments.values():
            experiment.close()
        done = self.flush(limit)
        for runner in self._runners:
            runner.close()
        if self._mirror is not None:
            self._mirror.close()
        self._desk.close()
        return self._publisher.close(until) and done

    async def aclose(self, timeout: float | timedelta = 5.0) -> bool:
        """Do what `close` does while the event loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.close, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Migration({self.name!r}, stage={self._stage.name}, experiments={sorted(self._experiments)})"


_open_migrations: weakref.WeakSet[Migration] = weakref.WeakSet()

births: list[Callable[[Migration], None]] = []
"""Told about each new migration; for the pytest plugin."""


def open_migrations() -> list[Migration]:
    """The migrations of this process that are not closed."""
    return list(_open_migrations)


def _after_fork() -> None:
    for migration in list(_open_migrations):
        migration._after_fork()


def _at_exit() -> None:
    for migration in list(_open_migrations):
        try:
            migration.close(migration._exit_timeout)
        except RuntimeError:  # from Python 3.12 on no thread can be started any more
            migration._publisher.guard.count("submit", "the process ended before the first calls could be judged")


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def _the_other(candidate: Any, control: Any, what: str) -> tuple[Side, Any]:
    if (candidate is None) == (control is None):
        raise ConfigError(
            f"{what} needs one of candidate and control.",
            remedy="Pass candidate= to decorate the old implementation, or control= to decorate the new one.",
            field="candidate",
            value=candidate,
        )
    return (Side.CANDIDATE, candidate) if control is None else (Side.CONTROL, control)


def _checked_budget(budget: object) -> float:
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
        raise ConfigError(
            f"budget is {budget!r}.", remedy="Use a share of one core, above 0 to 1.", field="budget", value=budget
        )
    return float(budget)
