"""What clients of Memcached put around a value: flags that tell its type, and compression."""

from __future__ import annotations

import zlib
from typing import Any

from attrs import field, frozen

from shadowmig.errors import ConfigError
from shadowmig.protocols import Codec
from shadowmig.wire.codecs._flags import FLAGS


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
            "flag": type(self.flag) is int and 0 < self.flag <= FLAGS and self.flag.bit_count() == 1,
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
