"""
The never-harm suite: proof, by trial, that a decorated handler's caller notices nothing of shadowmig.

It steps through every operation of the engine and every function a user can give, makes each raise an ``Exception``,
raise what derives from ``BaseException``, hang, and return nonsense, under every runner and in every kind of handler,
and compares what the caller sees with what an undecorated twin gives: the very value or exception object, its cause,
context and traceback, the arguments, context variables, cancellation, and how long it takes.

Run it on comparators, samplers, keys, redactors and sinks of your own::

    import pytest
    from shadowmig.testing import never_harm

    @pytest.mark.parametrize("case", never_harm.cases(compare=my_comparator, sinks=[my_sink]), ids=str)
    def test_never_harm(case):
        case.run()

What goes through untouched. Whatever the *served side* raises, of any class, reaches its caller as the object it is.
What arises in our own code or in a user's function stays there and is counted, except what was plainly sent to the
caller from outside while that code ran (`PASSED_ON`).

Limits. Python cannot interrupt running code: a sampler, ``key=``, ``extract=`` or ``__reduce__`` that hangs on the
caller's path makes that caller wait. What is promised is that the breaker then stops asking (`Breaker.overhead`), which
the cases named ``dawdling`` try. Under `Inline`, made for tests, the caller waits for everything. An ``Exception`` that
``gevent.Timeout`` was told to raise cannot be told from a timeout of the sampler's own socket, and is contained.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from attrs import field, frozen

from shadowmig.errors import ConfigError
from shadowmig.testing._harm_faults import FAULTS, Fault, Hostile, Mischief, ServerTimeout
from shadowmig.testing._harm_hooks import HOSTILE, OPTIONS, dawdling, hostile
from shadowmig.testing._harm_points import NOWHERE, POINTS, RUNNERS, WRITE_POINTS
from shadowmig.testing._harm_trial import Trial
from shadowmig.testing._harm_writes import unproved

__all__ = [
    "CONTAINED",
    "FAULTS",
    "HOSTILE",
    "PASSED_ON",
    "Case",
    "Fault",
    "Hostile",
    "Mischief",
    "Report",
    "ServerTimeout",
    "cases",
    "check",
]

PASSED_ON: Final = (
    "KeyboardInterrupt in the main thread",
    "any exception that a Python signal handler raised",
    "gevent.GreenletExit and gevent.Timeout, and a BaseException that gevent throws in their place",
    "CancelledError of a task that was cancelled, where an Inline run of an async handler awaits",
)
"""What is raised on to the caller if it comes while our code runs on the caller's path, as it would without us."""

CONTAINED: Final = (
    "Exception",
    "SystemExit",
    "GeneratorExit",
    "asyncio.CancelledError raised by the code itself",
    "KeyboardInterrupt in another thread than the main one",
    "a server's timeout class that the code raises by itself",
)
"""What never reaches the caller when it arises in our code, in a user's function or in the checked side."""


@frozen
class Case:
    """
    One trial, to be run by a test.

    Attributes:
        id: Its name, unique in one list of cases.
    """

    id: str
    _run: Callable[[], None] = field(repr=False)

    def run(self) -> None:
        """
        Run it; takes a fraction of a second, and up to a minute when something is wrong.

        Raises:
            AssertionError: The caller noticed something; the message says what, in which kind of handler.
        """
        self._run()

    def __str__(self) -> str:
        return self.id


@frozen
class Report:
    """
    What `check` found.

    Attributes:
        tried: The ids of all cases.
        failures: Message by id, of the cases that failed.
    """

    tried: tuple[str, ...]
    failures: dict[str, str]

    @property
    def harmless(self) -> bool:
        """Whether no caller noticed anything."""
        return not self.failures

    def __str__(self) -> str:
        lines = [f"{len(self.tried)} trials, {len(self.failures)} with harm"]
        lines += [f"{case}:\n  " + text.replace("\n", "\n  ") for case, text in self.failures.items()]
        return "\n".join(lines)


def cases(**hooks: Any) -> list[Case]:
    """
    List the trials.

    Args:
        hooks: Functions of yours, by the option they are given as: ``compare``, ``sample``, ``key``, ``extract``,
            ``version``, ``errors``, ``redact``, ``on_comparison``, ``sinks`` (a list). They are tried as they are, on
            plain values and on hostile ones (`HOSTILE`), under every runner. Without any, the engine itself is tried:
            each of its operations with each fault.

    Returns:
        Cases in a fixed order. A sampler, ``key`` or ``extract`` of yours is tried for its time too.

    Raises:
        ConfigError: There is no such option.
    """
    for name, hook in hooks.items():
        if name not in OPTIONS:
            raise ConfigError(
                f"There is no hook {name!r}.", remedy=f"Use some of: {', '.join(OPTIONS)}.", field=name, value=hook
            )
    if hooks:
        return [Case(f"{runner}-as given", partial(hostile, runner, hooks)) for runner in RUNNERS]
    found = [Case(f"{runner}-no fault", Trial(runner, NOWHERE, faults=()).run) for runner in RUNNERS]
    found += [
        Case(f"{runner}-{point.name}", Trial(runner, point).run)
        for point in POINTS
        for runner in RUNNERS
        if runner in point.runners
    ]
    found += [
        Case(f"{runner}-write no fault", Trial(runner, NOWHERE, faults=(), writes=True).run) for runner in RUNNERS
    ]
    found += [
        Case(f"{runner}-write {point.name}", Trial(runner, point, writes=True).run)
        for point in WRITE_POINTS
        for runner in RUNNERS
        if runner in point.runners
    ]
    found += [Case(f"unproved-{name}", partial(unproved, name == "threads")) for name in ("inline", "threads")]
    found += [Case(f"{runner}-hostile values", partial(hostile, runner, {})) for runner in RUNNERS]
    slow = ("sample", "key", "extract", "reduce", "hydrate")
    found += [Case(f"dawdling-{name}", partial(dawdling, name)) for name in slow]
    return found


def check(**hooks: Any) -> Report:
    """
    Run all `cases` and report.

    Args:
        hooks: As for `cases`.

    Returns:
        What was tried, and what harmed. Nothing is raised for harm.

    Raises:
        ConfigError: There is no such option.
    """
    failures = {}
    tried = cases(**hooks)
    for case in tried:
        try:
            case.run()
        except AssertionError as error:
            failures[case.id] = str(error)
    return Report(tuple(case.id for case in tried), failures)
