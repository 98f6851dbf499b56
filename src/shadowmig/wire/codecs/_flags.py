"""The client flags that Memcached keeps with a value: 32 bits, written by the codec."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.errors import ConfigError

FLAGS: Final = 2**32 - 1


def check_flags(_: object, attribute: Any, value: object) -> None:
    """Validate a field of flags."""
    if type(value) is not int or not 0 <= value <= FLAGS:
        raise ConfigError(
            f"{attribute.name} is {value!r}.", remedy="Use 32 bits: 0 to 4294967295.", field=attribute.name, value=value
        )
