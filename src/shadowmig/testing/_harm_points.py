"""
Where faults are injected: every function a user can give, and every operation of the engine, by name.

An operation is replaced while a trial runs. One that was renamed is not found, and the trial fails: a suite that no
longer reaches what it is about must not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from attrs import frozen

from shadowmig.testing._harm_faults import Trouble

RUNNERS: Final = ("inline", "threads", "tasks")
_HOMES: Final = {
    "inline": "shadowmig.engine.runner:Inline",
    "threads": "shadowmig.engine.threads:Threads",
    "tasks": "shadowmig.engine.tasks:Tasks",
}
_QUEUED: Final = ("threads", "tasks")


@frozen
class Point:
    """
    One operation in which faults are injected.

    Attributes:
        name: For people; for a user's function, the option it is given as.
        counted: The operations of the engine, one of which must count it; empty if it cannot be counted there.
        target: ``module:attribute`` to replace; ``{runner}`` stands for the runner's class. Empty for a function of
            the user's.
        runners: The runners that come by here.
        hangs: Those under which a hang is tried: where it does not stand on the caller's path, or on its event loop.
        judged: Whether a call may still be judged a match.
        nonsense: Whether a nonsensical return value is a failure that must be counted.
        returns: Whether anybody looks at its return value.
    """

    name: str
    counted: tuple[str, ...]
    target: str = ""
    runners: tuple[str, ...] = RUNNERS
    hangs: tuple[str, ...] = ()
    judged: bool = False
    nonsense: bool = False
    returns: bool = True

    @property
    def is_hook(self) -> bool:
        """Whether it is a function of the user's."""
        return not self.target


def _engine(name: str, counted: str, target: str, **more: Any) -> Point:
    return Point(name, tuple(counted.split()), f"shadowmig.{target}", **more)


NOWHERE: Final = Point("nowhere", ())

HOOKS: Final = (
    Point("sample", ("sample",)),
    Point("key", ("key",), nonsense=True),
    Point("extract", ("extract",)),
    Point("version", ("version",), hangs=_QUEUED),
    Point("compare", ("compare",), hangs=_QUEUED, nonsense=True),
    Point("errors", ("compare",), hangs=_QUEUED, nonsense=True, judged=True),
    Point("redact", ("redact",), hangs=_QUEUED, judged=True),
    Point("sink", ("sink",), hangs=_QUEUED, judged=True),
    Point("on_comparison", ("on_comparison",), hangs=_QUEUED, judged=True),
    Point("candidate", (), hangs=_QUEUED),
    Point("rules", ("publish",), hangs=_QUEUED, judged=True),
    Point("log", (), judged=True),
)

ON_THE_CALLERS_PATH: Final = (
    _engine("freeze_arguments", "snapshot", "engine.experiment:freeze_arguments"),
    _engine("freeze", "snapshot", "engine.experiment:freeze"),
    _engine("copy_context", "snapshot", "engine.job:copy_context"),
    _engine("all_atoms", "snapshot", "engine.experiment:all_atoms"),
    _engine("Call", "sample", "engine.experiment:Call.__init__"),
    _engine("Job", "snapshot", "engine.experiment:Job.__init__"),
    _engine("Outcome", "snapshot run", "engine.job:Outcome.__init__"),
    _engine("set_error", "snapshot run", "engine.job:Outcome.set_error", judged=True),
    _engine("full", "submit", "engine.runner:unused"),
    _engine("submit", "submit", "engine.runner:unused"),
    _engine("breaker.allow", "submit", "engine.breaker:BreakerState.allow"),
    _engine("slow", "", "engine.experiment:Experiment._slow", judged=True),
    _engine("counts", "", "engine.counts:Counts.add", judged=True),
    _engine("guard", "", "engine.guard:Guard.count", judged=True),
)

OFF_THE_CALLERS_PATH: Final = (
    _engine("step", "run", "engine.job:Job.step"),
    _engine("step_async", "run submit", "engine.job:Job.step_async", runners=("inline", "tasks"), judged=True),
    _engine("advance", "", "engine.job:Job.advance", returns=False),
    _engine("thaw", "thaw", "engine.snapshot:Arguments.thaw", hangs=("threads",)),
    _engine("observation", "thaw", "engine.job:Outcome.observation", hangs=_QUEUED),
    _engine(
        "again", "confirm run", "engine.experiment:Experiment.run_again", judged=True, runners=("inline", "threads")
    ),
    _engine("judge", "run", "engine.judge:Judge.first", hangs=_QUEUED),
    _engine("differ", "compare", "engine.judge:differ", hangs=_QUEUED),
    _engine("note_check", "", "engine.experiment:Experiment.note_check"),
    _engine("call", "thaw tally", "engine.job:Job.call", judged=True),
    _engine("finish", "", "engine.experiment:Experiment.finish", hangs=_QUEUED),
    _engine("tally", "tally", "findings.tally:Tally.record", hangs=_QUEUED, judged=True),
    _engine("fingerprint", "fingerprint", "findings.tally:fingerprint", hangs=_QUEUED, judged=True),
    _engine("render", "render", "findings._exhibit:render", hangs=_QUEUED, judged=True),
    _engine("explain", "explain", "engine.publisher:_explain", hangs=_QUEUED, judged=True),
    _engine("changed", "publish", "findings.tally:Tally.changed", hangs=_QUEUED, judged=True),
    _engine("summary", "publish", "engine.experiment:Experiment.summary", hangs=_QUEUED, judged=True),
    _engine("offer", "sink publish", "sinks._spool:Spool.offer", hangs=_QUEUED, judged=True),
    _engine("deliver", "sink", "sinks._spool:Spool.deliver", hangs=_QUEUED, judged=True),
)

POINTS: Final = (*HOOKS, *ON_THE_CALLERS_PATH, *OFF_THE_CALLERS_PATH)

WRITE_HOOKS: Final = (
    Point("hydrate", ("hydrate",), nonsense=True),
    Point("touches", ("touches",), hangs=_QUEUED, nonsense=True),
    Point("carry", ("carry",), hangs=_QUEUED, nonsense=True),
    Point("told", ("version",)),
    Point("entity", ("key",), judged=True),
    Point("candidate", (), hangs=_QUEUED),
)
"""Functions of a write: ``told`` is given as ``version=``, ``entity`` as ``key=``."""

OF_WRITES: Final = (
    _engine("aread_production", "hydrate", "stores.sister:SisterStore.aread_production", judged=True),
    _engine("read_production", "production", "stores.sister:SisterStore.read_production", hangs=_QUEUED),
    _engine(
        "reading_production",
        "hydrate",
        "stores.sister:SisterStore.reading_production",
        runners=("inline", "threads"),
        judged=True,
    ),
    _engine("production", "production", "engine.mirror:Mirror.read_production", hangs=_QUEUED),
    _engine("twins", "sister", "engine.mirror:Mirror.read_twins", hangs=_QUEUED),
    _engine("prove", "sister", "stores._sister_pair:Pair.prove", hangs=_QUEUED, returns=False),
    _engine("put", "sister", "stores.sister:SisterStore.hydrate", hangs=_QUEUED, returns=False),
    _engine("expire", "sister", "stores.sister:SisterStore.expire", hangs=_QUEUED, returns=False, judged=True),
    _engine("claim", "sister run", "engine.claims:Claim.take", hangs=("threads",)),
    _engine("enter", "hydrate", "engine.overlap:Overlap.enter"),
    _engine("served", "", "engine.overlap:Ticket.served", judged=True, returns=False),
    _engine("release", "", "engine.overlap:Ticket.release", judged=True, returns=False),
    _engine("note_answer", "key", "engine.entrance:Entrance._note_answer", returns=False),
    _engine("plan", "run", "engine.write_steps:Steps.begin_plan", hangs=_QUEUED),
    _engine("stale", "run", "engine.write_steps:Steps.stale", hangs=_QUEUED),
    _engine("see", "run", "engine.write_steps:Steps.see", hangs=_QUEUED),
    _engine("see_again", "run", "engine.write_steps:Steps.see_again", hangs=_QUEUED, judged=True),
    _engine("decide", "run", "engine.write_judge:decide", hangs=_QUEUED),
    _engine("differences", "compare", "stores.sister:SisterStore.differences", hangs=_QUEUED),
    _engine("learn", "production", "stores.history:History.learn", hangs=_QUEUED, returns=False),
)

WRITE_POINTS: Final = (*WRITE_HOOKS, *ON_THE_CALLERS_PATH, *OF_WRITES)


@contextmanager
def troubled(point: Point, runner: str, trouble: Trouble) -> Iterator[None]:
    """Have the trouble sit in an operation of the engine meanwhile; for a user's function do nothing."""
    target = point.target
    if point.name in ("full", "submit"):
        target = f"{_HOMES[runner]}.{point.name}"
    if not target:
        yield
        return
    owner, name = _find(target)
    original: Callable[..., Any] = owner.__dict__[name]
    setattr(owner, name, trouble.wrap(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _find(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    if name not in vars(owner):
        raise AssertionError(f"{target} is no longer there; name its successor in {__name__}")
    return owner, name
