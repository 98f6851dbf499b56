"""What codecs that ask others have in common: values and data on their way to a pool, and results on their way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self

from shadowmig.errors import CodecError, ConfigError
from shadowmig.given import seconds
from shadowmig.wire.codecs._process_pool import Pool
from shadowmig.wire.tagged._protocol import Op, item_of_data, item_of_value


class Asking:
    """A codec whose work is done by the partners of a pool."""

    _pool: Pool

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Have a value turned into bytes and flags.

        Raises:
            CodecError: The value has no tagged form, or the other program refuses it, with its own words.
            CodecUnavailable: The other program did not do it.
        """
        data, flags = _only(self.encode_many([value]))
        return data, flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Have bytes and flags turned into a value; `shadowmig.model.MISSING` if they read as a miss.

        Raises:
            CodecError: The other program refuses them, with its own words, or gives what Python does not have.
            CodecUnavailable: The other program did not do it.
        """
        return _only(self.decode_many([(data, flags)]))

    def encode_many(self, values: Sequence[Any]) -> list[tuple[bytes, int] | CodecError]:
        """
        Have each value turned into bytes and flags; where that fails, the result is what `encode` would raise.

        Raises:
            CodecUnavailable: The codec is closed.
        """
        items: list[bytes | CodecError] = []
        for value in values:
            try:
                items.append(item_of_value(value))
            except CodecError as error:
                items.append(error)
        return self._asked("encode", items)

    def decode_many(self, items: Sequence[tuple[bytes, int]]) -> list[Any]:
        """
        Have each of bytes and flags turned into a value; where that fails, the result is what `decode` would raise.

        Raises:
            CodecUnavailable: The codec is closed.
        """
        return self._asked("decode", [item_of_data(data, flags) for data, flags in items])

    def _asked(self, op: Op, items: Sequence[bytes | CodecError]) -> list[Any]:
        answers = iter(self._pool.ask(op, [item for item in items if isinstance(item, bytes)]))
        return [next(answers) if isinstance(item, bytes) else item for item in items]

    def close(self) -> None:
        """End what was started, once it has answered. May be called twice; the codec cannot be used again."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def timeout_of(given: float | timedelta) -> float:
    """Read a field of seconds."""
    return seconds(given, "timeout")


def check_count(_: object, attribute: Any, value: object) -> None:
    """Validate a field that counts."""
    if type(value) is not int or not 1 <= value <= 100_000:
        refuse(attribute.name, value, "Use a number from 1.")


def refuse(field: str, value: object, remedy: str, *, shown: str = "") -> NoReturn:
    """
    Say that an option is wrong.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{field} is {shown or repr(value)}.", remedy=remedy, field=field, value=value)


def _only(results: list[Any]) -> Any:
    if isinstance(results[0], CodecError):
        raise results[0]
    return results[0]
