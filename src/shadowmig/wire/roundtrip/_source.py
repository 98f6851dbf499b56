"""Where values come from: recorded ones as they are, and those that are drawn."""

from __future__ import annotations

import sys
import time
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shadowmig.errors import ConfigError
from shadowmig.wire.roundtrip._edits import is_model

DRAWN: Final = 1_000
"""Values that are drawn if no number is given."""

_KEYWORDS: Final = frozenset(
    "$schema $ref $defs type enum const allOf anyOf oneOf not if properties required additionalProperties "
    "patternProperties items prefixItems pattern format minimum maximum minLength maxLength".split()
)
"""A dict that is not empty and has none of them is no JSON Schema; it is likely a value that was recorded."""


class Source:
    """
    Values by the batch.

    Args:
        values: An iterable of values; a hypothesis strategy; or a model or schema to derive one from.
        count: Most values; ``None``: all of an iterable, 1 000 drawn ones.
        seed: What they are drawn with.
        until: Monotonic time at which drawing ends.

    Attributes:
        complete: Whether there were no more, or as many as wanted.

    Raises:
        ConfigError: They are none of these.
    """

    def __init__(self, values: Any, count: int | None, seed: int, until: float) -> None:
        self.complete = False
        strategy = _strategy(values)
        self._values: Iterator[Any] = iter(values) if strategy is None else _drawn(strategy, seed)
        self._left = DRAWN if count is None and strategy is not None else count
        self._until = until

    def take(self, most: int) -> list[Any]:
        """Give the next values, ``most`` of them if there are so many, and time for them."""
        if self._left is not None:
            most = min(most, self._left)
        found: list[Any] = []
        while len(found) < most and (not found or time.monotonic() < self._until):
            try:
                found.append(next(self._values))
            except StopIteration:
                self.complete = True
                break
        if self._left is not None:
            self._left -= len(found)
            self.complete = self.complete or not self._left
        return found


def _strategy(values: Any) -> Any:
    """Give the strategy that values are drawn from; ``None`` if they are given."""
    hypothesis = sys.modules.get("hypothesis")
    if hypothesis is not None and isinstance(values, hypothesis.strategies.SearchStrategy):
        return values
    given = isinstance(values, Iterable) and not isinstance(values, type | Mapping | str | bytes)
    if given and typing.get_origin(values) is None:
        return None
    recorded = isinstance(values, Mapping) and values and not _KEYWORDS & values.keys()
    single = values is None or isinstance(values, str | bytes | int | float)
    if single or recorded or (not isinstance(values, type) and is_model(type(values))):
        raise ConfigError(
            f"values: {'a dict that is no JSON Schema' if recorded else type(values).__name__} is nothing to check.",
            remedy="Give an iterable of values (one value in a list), a hypothesis strategy, a model or a JSON Schema.",
            field="values",
            value=values,
        )
    from shadowmig.wire.strategies import values_of

    return values_of(values)


def _drawn(strategy: Any, seed: int) -> Iterator[Any]:
    from shadowmig.wire.strategies import stream

    return stream(strategy, seed)
