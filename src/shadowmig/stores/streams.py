"""What a store knows of a stream of events: how an event is told from others. Shared by all stores with entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen

from shadowmig import given
from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec


@frozen
class Stream:
    """
    One stream of events.

    Args:
        name: Its key.
        id: The field that holds the event's own id, the same in production and sister; with `payload`, where no field
            has that name, the key of the decoded event. ``None``: the entry id of Redis, which the service must choose
            itself for both sides to have the same.
        version: Takes out of an entry's value the version of the change that it tells about; ``None`` if it tells none.
        codec: Turns the bytes of each field into a value; by default they stay bytes.
        payload: The field that holds the whole event, encoded; its decoded value is then the entry's value. By default
            the value is the dict of all fields.
        keep: How many of the last entries are remembered to find an event by its own id; an older event reads as
            missing.
        lookback: How far back, in seconds, the first read of the stream looks for events.

    Raises:
        ConfigError: A field is wrong.
    """

    name: str = field()
    id: str | None = field(default=None, kw_only=True)
    version: Callable[[Any], Any] | None = field(default=None, kw_only=True)
    codec: Codec | None = field(default=None, kw_only=True)
    payload: str | None = field(default=None, kw_only=True)
    keep: int = field(default=20_000, kw_only=True)
    lookback: float = field(default=10.0, kw_only=True)

    @name.validator
    def _check_name(self, _: object, value: object) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"name is {value!r}.", remedy="Use the stream's key.", field="name", value=value)

    @version.validator
    def _check_version(self, _: object, value: object) -> None:
        given.function(value, "version")

    @codec.validator
    def _check_codec(self, _: object, value: object) -> None:
        given.codec(value, "codec")

    @keep.validator
    def _check_keep(self, _: object, value: object) -> None:
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"keep is {value!r}.", remedy="Use a number of entries.", field="keep", value=value)

    @lookback.validator
    def _check_lookback(self, _: object, value: object) -> None:
        if not isinstance(value, int | float) or not value >= 0:
            raise ConfigError(f"lookback is {value!r}.", remedy="Use seconds.", field="lookback", value=value)


def by_name(streams: Iterable[Stream]) -> dict[str, Stream]:
    """
    Index streams by name.

    Raises:
        ConfigError: Something is not a `Stream`, or two have one name.
    """
    found: dict[str, Stream] = {}
    for stream in streams:
        if not isinstance(stream, Stream) or stream.name in found:
            raise ConfigError(
                f"streams holds {stream!r} {'twice' if isinstance(stream, Stream) else 'which is no Stream'}.",
                remedy='Give one Stream("name", ...) for each stream.',
                field="streams",
                value=stream,
            )
        found[stream.name] = stream
    return found
