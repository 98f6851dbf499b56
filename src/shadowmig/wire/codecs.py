"""
Codecs: bytes to value and back, as one service does it in a cache or a stream.

They are strict, because they are to show what another program could not read. Whatever `decode` raises makes a record
`Undecodable`, and whatever `encode` raises is raised to whoever writes.

    MemcachedStore("10.0.0.1:11211", codec={"comment:": Json(), "session:": Compressed(Json())})
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any, Final, NoReturn

from attrs import field, frozen

from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec

_FLAGS: Final = 2**32 - 1


def _check_flags(_: object, attribute: Any, value: object) -> None:
    if type(value) is not int or not 0 <= value <= _FLAGS:
        raise ConfigError(
            f"{attribute.name} is {value!r}.", remedy="Use 32 bits: 0 to 4294967295.", field=attribute.name, value=value
        )


@frozen
class Raw:
    """
    The bytes as they are; what the flags say is left to others.

    Args:
        flags: Client flags to write.

    Raises:
        ConfigError: ``flags`` are not 32 bits.
    """

    flags: int = field(default=0, kw_only=True, validator=_check_flags)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Give bytes back.

        Raises:
            TypeError: The value is of another type.
        """
        if not isinstance(value, bytes):
            raise TypeError(f"Raw writes bytes, not {type(value).__name__}")
        return value, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """Give the bytes back."""
        return data


@frozen
class Json:
    """
    JSON in UTF-8, the whole value one document.

    Numbers without fraction or exponent are exact ints, all others floats. What JSON cannot tell apart in Python
    cannot be told apart here: a tuple is written as a list, and a key 1 as ``"1"``.

    Args:
        flags: Client flags to write; any are read.

    Raises:
        ConfigError: ``flags`` are not 32 bits.
    """

    flags: int = field(default=0, kw_only=True, validator=_check_flags)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write without spaces and with sorted keys, so that equal values give equal bytes.

        Raises:
            ValueError: There is a NaN, an infinity, a lone surrogate or a cycle.
            TypeError: There is something that JSON does not have, or keys of several types.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return text.encode(), self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one document.

        Raises:
            ValueError: It is no JSON in UTF-8 or more than one document, a key is there twice, or a number is no
                number (``NaN``) or none that a float can hold (``1e999``).
        """
        # As text: given bytes, the parser would guess at other encodings.
        return _READER.decode(data.decode())


@frozen
class Serde:
    """
    A serde of pymemcache: any object with ``serialize(key, value)`` and ``deserialize(key, value, flags)``.

    It is given an empty key. pymemcache's ``pickle_serde`` reads a pickle that is broken as ``None``, so that is what
    is compared.

    Danger: ``pickle_serde``, and ``compressed_serde`` with it, run code that is in the bytes. Whoever can write to
    the cache can run anything in the process that reads it: use them only for caches that you trust as your own code.

    Args:
        serde: The object, as the service gives it to its client.

    Raises:
        ConfigError: It lacks one of the methods.
    """

    serde: Any = field()

    @serde.validator
    def _check(self, _: object, value: object) -> None:
        if not all(callable(getattr(value, name, None)) for name in ("serialize", "deserialize")):
            raise ConfigError(
                f"serde is {value!r}.",
                remedy="Give an object with serialize and deserialize.",
                field="serde",
                value=value,
            )

    def encode(self, value: Any) -> tuple[bytes, int]:
        """Give what the serde gives; what is no bytes becomes ASCII text, as in pymemcache. Raises what it raises."""
        data, flags = self.serde.serialize("", value)
        return data if isinstance(data, bytes) else str(data).encode("ascii"), flags

    def decode(self, data: bytes, flags: int) -> Any:
        """Give what the serde gives. Raises what it raises."""
        return self.serde.deserialize("", data, flags)


@frozen
class Compressed:
    """
    Another codec's bytes, compressed by zlib where that makes them shorter, and then marked in the flags.

    Args:
        codec: The other codec.
        flag: The bit that marks compressed bytes; by default that of pymemcache and python-memcached. The other codec
            must not use it.
        above: Bytes are compressed if they are more than this number.
        level: 0 (none) to 9 (best) for zlib, or -1 for its default.
        limit: The most bytes that may come out, so that a small value cannot fill the memory.

    Raises:
        ConfigError: An option is wrong.
    """

    codec: Codec = field()
    flag: int = field(default=8, kw_only=True)
    above: int = field(default=1400, kw_only=True)
    level: int = field(default=-1, kw_only=True)
    limit: int = field(default=64 * 1024 * 1024, kw_only=True)

    def __attrs_post_init__(self) -> None:
        checks = {
            "codec": not isinstance(self.codec, type)
            and all(callable(getattr(self.codec, name, None)) for name in ("encode", "decode")),
            "flag": type(self.flag) is int and 0 < self.flag <= _FLAGS and self.flag.bit_count() == 1,
            "above": type(self.above) is int and self.above >= 0,
            "level": type(self.level) is int and -1 <= self.level <= 9,
            "limit": type(self.limit) is int and self.limit > 0,
        }
        for name, good in checks.items():
            if not good:
                value = getattr(self, name)
                raise ConfigError(
                    f"{name} is {value!r}.",
                    remedy="Use a codec, one bit as flag, a level of -1 to 9, and sizes in bytes.",
                    field=name,
                    value=value,
                )

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Encode, and perhaps compress.

        Raises:
            ValueError: The other codec uses the flag itself.
            Exception: Whatever the other codec raises.
        """
        data, flags = self.codec.encode(value)
        if flags & self.flag:
            raise ValueError(f"{self.codec!r} uses flag {self.flag} itself")
        if len(data) > self.above:
            packed = zlib.compress(data, self.level)
            if len(packed) < len(data):
                return packed, flags | self.flag
        return data, flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Decompress what is marked, and decode.

        Raises:
            ValueError: The compressed bytes are cut, followed by others, or come to more than ``limit``.
            zlib.error: They are broken.
            Exception: Whatever the other codec raises.
        """
        if flags & self.flag:
            unpack = zlib.decompressobj()
            data = unpack.decompress(data, self.limit + 1)
            if len(data) > self.limit:
                raise ValueError(f"the compressed bytes come to more than {self.limit}")
            if not unpack.eof:
                raise ValueError("the compressed bytes are cut")
            if unpack.unused_data:
                raise ValueError("something follows the compressed bytes")
        return self.codec.decode(data, flags & ~self.flag)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a float")
    return number


_READER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
