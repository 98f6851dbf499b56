"""What is given to an `EventStream`, refused by the option's name where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shadowmig.errors import ConfigError
from shadowmig.wire.events.event import EventSource
from shadowmig.wire.events.tuning import EventTuning


def check_choices(name: object, match: object, begin: object) -> None:
    """Check the name, and what has some words to choose from."""
    if not isinstance(name, str) or not name or set(name) & set("{}"):
        raise ConfigError(f"name is {name!r}.", remedy="Use a text without braces.", field="name", value=name)
    for what, value, allowed in (("match", match, ("id", "version")), ("begin", begin, ("now", "start"))):
        if value not in allowed:
            raise ConfigError(
                f"{what} is {value!r}.", remedy=f"Use one of {', '.join(allowed)}.", field=what, value=value
            )


def check_parts(
    *, production: object, sister: object, consumer: object, tuning: object, **functions: Callable[..., object] | None
) -> None:
    """Check the parts that it is made of."""
    for what, part, good, wanted in (
        ("production", production, isinstance(production, EventSource), "an EventSource"),
        ("sister", sister, isinstance(sister, EventSource), "an EventSource"),
        ("consumer", consumer, consumer is None or callable(getattr(consumer, "compare", consumer)), "a Consumer"),
        ("tuning", tuning, isinstance(tuning, EventTuning), "EventTuning(...)"),
        *(
            (what, function, function is None or callable(function), "a function")
            for what, function in functions.items()
        ),
    ):
        if not good:  # what it is might be a URL with a password
            raise ConfigError(f"{what} is a {type(part).__name__}.", remedy=f"Give {wanted}.", field=what, value=part)


def check_until(until: object) -> None:
    """Check until when a stream is to run."""
    if not (until.tzinfo is not None if isinstance(until, datetime) else until is None or callable(until)):
        raise ConfigError(
            f"until is {until!r}.", remedy="Use a datetime with its zone, or a function.", field="until", value=until
        )
