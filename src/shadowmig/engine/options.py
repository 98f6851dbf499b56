"""The options of a read experiment, checked when it is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from typing import Any, Final, Literal, TypedDict

from attrs import frozen

from shadowmig.engine.breaker import Breaker
from shadowmig.engine.sampling import checked_sampler
from shadowmig.engine.stages import as_stage
from shadowmig.errors import ConfigError
from shadowmig.given import seconds
from shadowmig.model import Call, Stage
from shadowmig.protocols import Comparator, Sampler

ERROR_RULES: Final = ("type", "message", "any")
"""When two exceptions are alike, by name."""


class CommonArguments(TypedDict, total=False):
    """What ``Migration.read`` and ``Migration.write`` both take by name."""

    candidate: Callable[..., Any]
    control: Callable[..., Any]
    name: str
    compare: Comparator
    sample: Sampler
    key: Callable[[Call], Hashable]
    extract: Callable[[Any], Any]
    errors: Literal["type", "message", "any"] | Comparator
    deadline: float | timedelta
    judging: float | timedelta
    stage: Stage | str
    breaker: Breaker
    share: Iterable[str]
    snapshot_limit: int


class ReadArguments(CommonArguments, total=False):
    """What ``Migration.read`` takes by name; it documents each."""

    version: Callable[[Any], Any]
    confirm: bool


@frozen
class ReadOptions:
    """
    How one endpoint is compared; ``Migration.read`` documents each.

    Durations are seconds, sizes bytes.
    """

    compare: Comparator
    sample: Sampler
    version: Callable[[Any], Any] | None
    confirm: bool
    key: Callable[[Call], Hashable] | None
    extract: Callable[[Any], Any] | None
    errors: str | Comparator
    deadline: float
    judging: float
    stage: Stage | None
    breaker: Breaker
    share: frozenset[str]
    snapshot_limit: int


def read_options(given: ReadArguments, *, sample: Sampler) -> ReadOptions:
    """
    Check the options of an experiment and fill in the defaults.

    Args:
        given: What the user gave.
        sample: The migration's sampler.

    Raises:
        ConfigError: An option is unknown or wrong.
    """
    known = ReadArguments.__optional_keys__
    for name in given:
        if name not in known:
            remedy = f"Use one of: {', '.join(sorted(known))}."
            raise ConfigError(f"There is no option {name!r}.", remedy=remedy, field=name)
    stage = given.get("stage")
    errors = given.get("errors", "type")
    return ReadOptions(
        compare=comparator(given["compare"]) if "compare" in given else _default_comparator(),
        sample=checked_sampler(given.get("sample", sample)),
        version=function(given.get("version"), "version", "Use a function of the answer."),
        confirm=bool(given.get("confirm", True)),
        key=function(given.get("key"), "key", "Use a function of the call."),
        extract=function(given.get("extract"), "extract", "Use a function of the answer."),
        errors=comparator(errors, "errors") if callable(errors) else _error_rule(errors),
        deadline=seconds(given.get("deadline", 1.0), "deadline"),
        judging=seconds(given.get("judging", 10.0), "judging"),
        stage=None if stage is None else as_stage(stage),
        breaker=_breaker(given.get("breaker")),
        share=_names(given.get("share", ())),
        snapshot_limit=whole(given.get("snapshot_limit", 1 << 20), "snapshot_limit"),
    )


def _default_comparator() -> Comparator:
    from shadowmig.compare import structural

    return structural()


def _error_rule(rule: str) -> str:
    if rule in ERROR_RULES:
        return rule
    raise ConfigError(
        f"errors is {rule!r}.",
        remedy=f"Use {', '.join(map(repr, ERROR_RULES))} or a comparator.",
        field="errors",
        value=rule,
    )


def _names(names: object) -> frozenset[str]:
    if isinstance(names, Iterable) and not isinstance(names, str):
        found = list(names)
        if all(isinstance(name, str) for name in found):
            return frozenset(found)
    raise ConfigError(
        f"share is {names!r}.", remedy="Use a list of the handler's parameter names.", field="share", value=names
    )


def _breaker(breaker: object) -> Breaker:
    if breaker is None:
        return Breaker()
    if isinstance(breaker, Breaker):
        return breaker
    raise ConfigError(f"breaker is {breaker!r}.", remedy="Use Breaker(...).", field="breaker", value=breaker)


def whole(value: object, field: str, least: int = 1) -> int:
    """
    Read a whole number.

    Raises:
        ConfigError: It is not one, or is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"{field} is {value!r}.", remedy=f"Use a whole number of at least {least}.", field=field, value=value
        )
    return value


def text(value: object, field: str) -> str:
    """
    Read a text.

    Raises:
        ConfigError: It is not one, or is empty.
    """
    if isinstance(value, str) and value:
        return value
    raise ConfigError(f"{field} is {value!r}.", remedy="Use a text that is not empty.", field=field, value=value)


def function(value: Any, field: str, remedy: str) -> Any:
    """
    Read an optional function.

    Raises:
        ConfigError: It is neither ``None`` nor callable.
    """
    if value is not None and not callable(value):
        raise ConfigError(f"{field} is {value!r}, which cannot be called.", remedy=remedy, field=field, value=value)
    return value


def comparator(value: Any, field: str = "compare") -> Comparator:
    """
    Read a comparator.

    Raises:
        ConfigError: It cannot be called with ``control=`` and ``candidate=``.
    """
    remedy = "Use structural(...), exact, deep(...) or a function (*, control, candidate) that returns differences."
    checked: Comparator = function(value, field, remedy)
    if checked is None:
        raise ConfigError(f"{field} is None.", remedy=remedy, field=field)
    try:
        signature = inspect.signature(checked)
    except (TypeError, ValueError):  # built-in functions may have none
        return checked
    try:
        signature.bind(control=None, candidate=None)
    except TypeError as error:
        raise ConfigError(f"{field} is {value!r}: {error}.", remedy=remedy, field=field, value=value) from None
    return checked
