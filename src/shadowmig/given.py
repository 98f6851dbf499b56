"""What is given from outside, read once and for all: durations, functions, codecs, and what comparators return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import islice
from math import inf
from typing import Any, Final

from shadowmig.errors import CompareError, ConfigError
from shadowmig.model import Difference, Differences

MOST_DIFFERENCES: Final = 1000
"""Differences taken from a comparator in one call; more are cut."""


def seconds(value: object, field: str, *, zero: bool = False) -> float:
    """
    Read a duration.

    Args:
        value: Seconds, or a timedelta.
        field: The option's name.
        zero: Whether 0 is allowed.

    Raises:
        ConfigError: It is no finite number of seconds and no timedelta, or is too small.
    """
    amount = value.total_seconds() if isinstance(value, timedelta) else value
    number = amount if isinstance(amount, int | float) and not isinstance(amount, bool) else -1
    if 0 <= number < inf and (number > 0 or zero):
        return float(number)
    least = "of at least 0" if zero else "above 0"
    raise ConfigError(
        f"{field} is {value!r}.", remedy=f"Use seconds {least}, or a timedelta.", field=field, value=value
    )


def function(value: object, field: str) -> None:
    """
    Take a function, or ``None``.

    Raises:
        ConfigError: It is neither.
    """
    if value is not None and not callable(value):
        raise ConfigError(f"{field} is {value!r}.", remedy="Give a function.", field=field, value=value)


def is_codec(value: object) -> bool:
    """Tell whether something has the shape of a `Codec`."""
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in ("encode", "decode"))


def codec(value: object, field: str) -> None:
    """
    Take a codec, or ``None``.

    Raises:
        ConfigError: It is neither.
    """
    if value is not None and not is_codec(value):
        raise ConfigError(f"{field} is {value!r}.", remedy="Give a codec, such as Json().", field=field, value=value)


def differences(found: Any) -> Differences:
    """
    Read what a comparator returned.

    Raises:
        CompareError: It is not differences.
    """
    if isinstance(found, Differences):
        return found
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise CompareError(
            f"The comparator returned a {type(found).__name__}.",
            remedy="Return differences: an empty list means equal.",
        )
    items = list(islice(found, MOST_DIFFERENCES + 1))
    for item in items:
        if not isinstance(item, Difference):
            raise CompareError(
                f"The comparator returned a {type(item).__name__} among the differences.",
                remedy="Return shadowmig.Difference objects.",
            )
    kept = items[:MOST_DIFFERENCES]
    return Differences(
        [item for item in kept if item.rule is None],
        ignored=[item for item in kept if item.rule is not None],
        truncated=len(items) > len(kept),
    )
