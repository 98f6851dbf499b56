"""
What values are across languages: the plain form in which they are compared, and moments finer than Python's own.

A model of Python, a struct of Go and a protobuf message that mean the same have one plain form: dicts, lists, texts,
bytes, numbers, truth values, ``None``, and moments.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import attrs
from attrs import field, frozen

from shadowmig.errors import ConfigError


@frozen(order=True)
class Instant:
    """
    A moment to the nanosecond, for `datetime` ends at microseconds.

    Attributes:
        at: The moment, cut down to whole microseconds; it has a zone.
        nanos: What was cut off: 1 to 999 nanoseconds.

    Raises:
        ConfigError: A field is wrong. Whole microseconds are a `datetime`, so that a moment has one form only.
    """

    at: datetime = field()
    nanos: int = field()

    @at.validator
    def _check_at(self, _: object, value: object) -> None:
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise ConfigError("at is no moment.", remedy="Use a datetime with a zone.", field="at", value=value)

    @nanos.validator
    def _check_nanos(self, _: object, value: object) -> None:
        if type(value) is not int or not 1 <= value <= 999:
            raise ConfigError(
                f"nanos is {value!r}.",
                remedy="Use 1 to 999; whole microseconds are a datetime.",
                field="nanos",
                value=value,
            )

    def isoformat(self) -> str:
        """Give the moment in UTC as RFC 3339 writes it, with nine digits."""
        return f"{self.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}{self.nanos:03d}Z"


def plain(value: Any) -> Any:
    """
    Give the plain form of a value.

    Objects of attrs and dataclasses become dicts of their fields, mappings dicts, tuples lists, members of enums their
    values. What is plain already, and what has no plain form, is given back as it is; sets too, for they have no order,
    and the members of enums that are keys, if two of the keys would become one.

    Raises:
        RecursionError: It holds itself, or is nested some hundred levels deep.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return dict(zip(_keys(value), map(plain, value.values()), strict=True))
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, AbstractSet | Instant):
        return value
    if attrs.has(kind):
        return {one.name: plain(getattr(value, one.name)) for one in attrs.fields(kind)}
    if dataclasses.is_dataclass(kind):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(kind)}
    return value


def _keys(value: Mapping[Any, Any]) -> list[Any]:
    keys = [plain(key) if isinstance(key, enum.Enum) else key for key in value]
    try:
        return keys if len(set(keys)) == len(keys) else list(value)
    except TypeError:  # the value of a member is no key
        return list(value)


_ATOMS = frozenset({type(None), bool, int, float, str, bytes, datetime})
