"""
Every exception shadowmig raises, under one root.

None of them reaches the caller of a decorated handler: they are raised while something is being built or read,
or stay inside the engine, where they become a verdict.

    ShadowmigError
    ├── ConfigError            a wrong option, found when the object is built (also a ValueError)
    │   └── HandlerError       a callable that cannot be decorated or used as the other side (also a TypeError)
    ├── SnapshotError          a value that cannot be frozen
    │   └── SnapshotTooLarge   a value above the byte limit
    ├── CompareError           two values that could not be compared: the verdict is BROKEN
    │   └── CompareTimeout     the comparison ran past its time or size limit
    ├── CodecError             bytes that a codec cannot read, or a value that it cannot write (also a ValueError)
    │   └── CodecUnavailable   the codec itself failed: its program died, hung, or broke the protocol
    ├── EffectRefused          a side effect of a consumer that is only being checked
    ├── RecordError            a findings file that cannot be read
    ├── StoreError             a store that could not do what it was asked
    │   ├── StoreUnavailable   it could not be reached, or did not answer in time
    │   ├── NotIsolated        sister and production are not two stores
    │   └── ProductionRefused  a write to production, or production asked for by the checked side
    └── ServerUnavailable      the test kit found no server program, or it did not start
"""

from __future__ import annotations

from typing import Any


class ShadowmigError(Exception):
    """
    The root of every error here.

    Args:
        message: What happened, in one sentence, naming the field or value.
        remedy: What to do about it; appended to the message.
        data: Facts for programs; each becomes an attribute of the error.

    Pickles and copies with its attributes.
    """

    def __init__(self, message: str, *, remedy: str = "", **data: Any) -> None:
        super().__init__(f"{message} {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy
        self._data = data
        for name, value in data.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.remedy, self._data)


def _rebuild(kind: type[ShadowmigError], message: str, remedy: str, data: dict[str, Any]) -> ShadowmigError:
    return kind(message, remedy=remedy, **data)


class ConfigError(ShadowmigError, ValueError):
    """
    A wrong option, refused when the object that takes it is built.

    Attributes:
        field: The name of the option.
        value: What was given.
    """

    field: str
    value: object

    def __init__(self, message: str, *, remedy: str = "", field: str = "", value: object = None, **data: Any) -> None:
        super().__init__(message, remedy=remedy, field=field, value=value, **data)


class HandlerError(ConfigError, TypeError):
    """A callable that cannot be decorated, or cannot serve as the other side."""


class SnapshotError(ShadowmigError):
    """A value that could not be frozen at hand-over."""


class SnapshotTooLarge(SnapshotError):
    """
    A value above the byte limit of snapshots.

    Attributes:
        limit: The limit in bytes.
    """

    limit: int


class CompareError(ShadowmigError):
    """Two values that could not be compared; the verdict is BROKEN."""


class CompareTimeout(CompareError):
    """A comparison that ran past its limit of time (seconds) or of visited nodes."""


class CodecError(ShadowmigError, ValueError):
    """
    Bytes that a codec cannot read, or a value that it cannot write.

    Attributes:
        reason: What is wrong, in a word or two that are always the same: ``"duplicate key"``, ``"cut"``.
    """

    reason: str

    def __init__(self, message: str, *, remedy: str = "", reason: str = "", **data: Any) -> None:
        super().__init__(message, remedy=remedy, reason=reason, **data)


class CodecUnavailable(CodecError):
    """The codec could not do its work: its program died, hung, or broke the protocol. It says nothing of the bytes."""


class EffectRefused(ShadowmigError):
    """
    A side effect of a consumer that is only being checked: recorded, and not performed.

    Attributes:
        effect: What was tried, by its name.
    """

    effect: str


class RecordError(ShadowmigError):
    """
    A findings file that cannot be read.

    Attributes:
        file: Its path.
        line: The line number, from 1; 0 when it concerns the whole file.
    """

    file: str
    line: int


class StoreError(ShadowmigError):
    """
    A store could not do what it was asked.

    Attributes:
        store: The store, as it calls itself: never with a password.
    """

    store: str

    def __init__(self, message: str, *, remedy: str = "", store: str = "", **data: Any) -> None:
        super().__init__(message, remedy=remedy, store=store, **data)


class StoreUnavailable(StoreError):
    """A store could not be reached, or did not answer in time; trying again later may help."""


class NotIsolated(StoreError):
    """The sister is not proved to be another store than production; nothing is written to it."""


class ProductionRefused(StoreError):
    """A write to production by shadowmig's own handle, or a handle of production asked for by the checked side."""


class ServerUnavailable(ShadowmigError):
    """
    The test kit found no server program, or the server did not start.

    Attributes:
        server: ``"postgres"``, ``"redis"`` or ``"memcached"``.
    """

    server: str
