"""What every codec has: the client flags it writes, which are 32 bits that Memcached keeps, and the most it reads."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.errors import CodecError, ConfigError

FLAGS: Final = 2**32 - 1

LIMIT: Final = 16 * 1024 * 1024
"""The most bytes of one value, by default: sixteen times what Memcached takes by default."""

GROWTH: Final = 32
"""How many bytes of memory each byte of the limit may come to, where a format can say much with few bytes."""


def check_flags(_: object, attribute: Any, value: object) -> None:
    """Validate a field of flags."""
    if type(value) is not int or not 0 <= value <= FLAGS:
        raise ConfigError(
            f"{attribute.name} is {value!r}.", remedy="Use 32 bits: 0 to 4294967295.", field=attribute.name, value=value
        )


def check_limit(_: object, attribute: Any, value: object) -> None:
    """Validate a field of bytes."""
    if type(value) is not int or value <= 0:
        raise ConfigError(
            f"{attribute.name} is {value!r}.", remedy="Use a number of bytes.", field=attribute.name, value=value
        )


def check_size(data: bytes, limit: int) -> None:
    """
    Refuse what is too long to be read.

    Raises:
        CodecError: It is (``too large``).
    """
    if len(data) > limit:
        raise CodecError(
            f"{len(data)} bytes are more than {limit}.",
            remedy="Give the codec a higher limit if values may be as long.",
            reason="too large",
        )


def too_deep() -> CodecError:
    """Give the error for what is nested more deeply than can be followed."""
    return CodecError("The value is nested too deeply, or holds itself.", reason="too deep")
