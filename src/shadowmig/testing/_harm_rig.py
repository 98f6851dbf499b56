"""A migration on trial: every kind of handler under one runner, in both stages that compare, with all hooks in use."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from attrs import define

from shadowmig.engine import Breaker, Inline, Tasks, Threads
from shadowmig.migration import Migration
from shadowmig.model import Call, Difference, RuleUse, Stage, Verdict
from shadowmig.testing._harm_faults import Trouble
from shadowmig.testing._harm_points import Point
from shadowmig.testing._harm_scene import ASYNC_KINDS, SYNC_KINDS, Scene, bound, sides

_runs = itertools.count(1)

NAME: Final = "shadowmig"
_OURS: Final = ("shadowmig-worker", "shadowmig-desk", "shadowmig-conductor", "shadowmig-stores")


@define
class Subject:
    """One endpoint on trial: its decorated handler, its undecorated twin, and one that is decorated and not sampled."""

    kind: str
    stage: Stage
    scene: Scene
    fetch: Callable[..., Any]
    unsampled: Callable[..., Any]
    twin: Callable[..., Any]

    @property
    def is_async(self) -> bool:
        """Whether it is awaited."""
        return self.kind in ASYNC_KINDS

    def __str__(self) -> str:
        return f"{self.kind}, stage {self.stage.value}"


class _Rules:
    """A comparator that has rules, so that asking for them can go wrong too."""

    def __init__(self, compare: Callable[..., Any], rules: Callable[[], tuple[RuleUse, ...]]) -> None:
        self._compare = compare
        self.rules = rules

    def __call__(self, *, control: Any, candidate: Any) -> Any:
        return self._compare(control=control, candidate=candidate)


def compare_plainly(*, control: Any, candidate: Any) -> Iterable[Difference]:
    """Compare by ``==``, one level deep."""
    if control == candidate:
        return []
    return [Difference("$.n", "changed", control["n"], candidate["n"])]


def _harmless() -> dict[str, Callable[..., Any]]:
    def errors(*, control: Any, candidate: Any) -> Iterable[Difference]:
        return [] if control.type == candidate.type else [Difference("$", "raised", control, candidate)]

    return {
        "sample": lambda call: True,
        "key": _entity,
        "extract": lambda value: value,
        "version": lambda value: 1,
        "compare": compare_plainly,
        "errors": errors,
        "redact": lambda value, *, path: value,
        "sink": lambda batch: None,
        "on_comparison": lambda comparison: None,
        "rules": lambda: (),
    }


def _failing(trouble: Trouble) -> Callable[[Call], bool]:
    """A sampler that fails in a way never seen before, so that it is logged each time."""

    def sample(call: Call) -> bool:
        if trouble.armed:
            raise type("Unheard", (Exception,), {})
        return True

    return sample


def _entity(call: Call) -> str:
    return str(call["outcome"])


class Rig:
    """
    Builds it, and answers for it.

    Args:
        runner: Its name.
        point: Where the trouble sits, if in a function of the user's.
        trouble: It.
        hooks: Functions to use in place of the harmless ones, by option.
        values: Answers of the handlers for outcomes beside the usual ones.
    """

    def __init__(
        self,
        runner: str,
        point: Point | None,
        trouble: Trouble,
        hooks: Mapping[str, Any] | None = None,
        values: dict[str, Callable[[], Any]] | None = None,
    ) -> None:
        self.runner = runner
        given = dict(hooks or {})
        sinks = given.pop("sinks", None)
        self._hooks: dict[str, Any] = _harmless() | self._more_hooks() | given
        if point is not None and point.name in self._hooks:
            self._hooks[point.name] = trouble.wrap(self._hooks[point.name])
        elif point is not None and point.name in ("log", "guard"):
            self._hooks["sample"] = _failing(trouble)
        hook = self._hooks
        self.migration = Migration(
            f"harm-{next(_runs)}",
            sinks=[hook["sink"]] if sinks is None else sinks,
            runner={"inline": Inline, "threads": Threads, "tasks": Tasks}[runner](),
            redact=hook["redact"],
            budget=1.0,
            publish_every=0.02,
            max_examples=10_000,  # so that every mismatch is redacted, rendered and explained
            on_comparison=hook["on_comparison"],
        )
        for spool in self.migration._publisher._spools:
            spool._max_delay = 0.01  # a sink that failed is asked again at once, not after a minute
        self._keyed = point is not None and point.name == "key"
        candidate_trouble = trouble if point is not None and point.name == "candidate" else None
        kinds = ASYNC_KINDS if runner == "tasks" else SYNC_KINDS + ASYNC_KINDS
        self.subjects = [
            self._subject(kind, stage, self._scene(f"{kind} {stage.value}", candidate_trouble, values))
            for kind in kinds
            for stage in (Stage.SHADOW, Stage.LIVE)
        ]

    def _more_hooks(self) -> dict[str, Any]:
        return {}

    def _scene(self, name: str, trouble: Trouble | None, values: dict[str, Callable[[], Any]] | None) -> Scene:
        return Scene(trouble, values)

    def _decorate(self, handler: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        decorated: Callable[..., Any] = self.migration.read(handler, **options)
        return decorated

    def _subject(self, kind: str, stage: Stage, scene: Scene) -> Subject:
        served, checked = sides(kind, scene)
        options = self._options(stage)
        decorated = []
        for suffix, sample in (("", self._hooks["sample"]), (" unsampled", lambda call: False)):
            more = {"name": f"{kind} {stage.value}{suffix}", "stage": stage, "sample": sample, **options}
            if stage is Stage.LIVE:
                decorated.append(self._decorate(checked, candidate=served, **more))
            else:
                decorated.append(self._decorate(served, candidate=checked, **more))
        return Subject(kind, stage, scene, *(bound(kind, function) for function in (*decorated, served)))

    def _options(self, stage: Stage) -> dict[str, Any]:
        hook = self._hooks
        compare = hook["compare"]
        return {
            "compare": compare if hasattr(compare, "rules") else _Rules(compare, hook["rules"]),
            "version": hook["version"],
            # Half of the endpoints have lanes, the others go without.
            "key": hook["key"] if stage is Stage.SHADOW or self._keyed else None,
            "extract": hook["extract"],
            "errors": hook["errors"],
            "deadline": 0.25,
            "judging": 0.25,
            "breaker": Breaker(errors=2, overhead=3600),
        }

    # What became of it ---------------------------------------------------------------------------------------------

    def errors(self) -> dict[str, int]:
        """Failures by operation, over all experiments and sinks."""
        stats = self.migration.stats()
        total: dict[str, int] = dict(stats.errors)
        for summary in stats.experiments.values():
            for operation, count in summary.errors.items():
                total[operation] = total.get(operation, 0) + count
        return total

    def verdicts(self, verdict: Verdict) -> int:
        """Number of calls with this verdict."""
        return sum(summary.verdicts[verdict] for summary in self.migration.stats().experiments.values())

    def close(self) -> list[str]:
        """End it; says what was left behind."""
        if not self.migration.close(5.0):
            return ["close() did not end in time"]
        until = time.monotonic() + 10
        while left := [thread.name for thread in threading.enumerate() if thread.name.startswith(_OURS)]:
            if time.monotonic() > until:
                return [f"threads were left behind: {left}"]
            time.sleep(0.01)
        return []


class _Handler(logging.Handler):
    """A log handler that goes wrong, and lets nothing through."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record."""
        self._trouble.strike()
        return True


@contextmanager
def logging_to(trouble: Trouble | None) -> Iterator[None]:
    """Keep our log lines to ourselves meanwhile, or have the trouble sit in the log handler."""
    logger = logging.getLogger(NAME)
    handler: logging.Handler = logging.NullHandler() if trouble is None else _Handler(trouble)
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
