"""The options of a read experiment, checked when it is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Any

from attrs import frozen

from shadowmig.engine.breaker import Breaker
from shadowmig.errors import ConfigError
from shadowmig.model import Call, Stage
from shadowmig.protocols import Comparator, Sampler


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
    snapshot_limit: int


def seconds(value: object, field: str) -> float:
    """
    Read a duration above zero.

    Raises:
        ConfigError: It is not a positive finite number of seconds, nor such a timedelta.
    """
    amount = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < float("inf"):
        raise ConfigError(
            f"{field} is {value!r}.", remedy="Use seconds above 0, or a timedelta.", field=field, value=value
        )
    return float(amount)


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
