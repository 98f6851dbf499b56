"""What a store knows of a stream of events: how an event is told from others. Shared by all stores with entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec


@frozen
class Stream:
    """
    One stream of events.

    Args:
        name: Its key.
        id: The field that holds the event's own id, the same in production and sister. ``None``: the entry id of
            Redis, which the service must choose itself for both sides to have the same.
        version: Takes out of an entry's value the version of the change that it tells about; ``None`` if it tells none.
        codec: Turns the bytes of each field into a value; by default they stay bytes.
        payload: The field that holds the whole event, encoded; its decoded value is then the entry's value. By default
            the value is the dict of all fields.

    Raises:
        ConfigError: A field is wrong.
    """

    name: str = field()
    id: str | None = field(default=None, kw_only=True)
    version: Callable[[Any], Any] | None = field(default=None, kw_only=True)
    codec: Codec | None = field(default=None, kw_only=True)
    payload: str | None = field(default=None, kw_only=True)

    @name.validator
    def _check_name(self, _: object, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"name is {value!r}.", remedy="Use the stream's key.", field="name", value=value)
