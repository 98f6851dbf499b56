"""What clients of Memcached put around a value: flags that tell its type, and compression."""

from __future__ import annotations

import re
import zlib
from typing import Any, Final, Literal

from attrs import field, frozen

from shadowmig import given
from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.model import MISSING
from shadowmig.protocols import Codec
from shadowmig.wire.codecs._flags import FLAGS


def check_codec(_: object, attribute: Any, value: Any) -> None:
    """Validate a field of a codec."""
    if not given.is_codec(value):
        raise ConfigError(
            f"{attribute.name} is {value!r}.",
            remedy="Give a codec, such as Json().",
            field=attribute.name,
            value=value,
        )


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
            "codec": given.is_codec(self.codec),
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
            CodecError: The other codec uses the flag itself (``flag in use``), or cannot write the value; or its bytes
                are compressed, and more than ``limit`` (``too large``).
        """
        data, flags = self.codec.encode(value)
        if flags & self.flag:
            raise CodecError(f"{type(self.codec).__name__} uses flag {self.flag} itself.", reason="flag in use")
        if len(data) > self.above:
            packed = zlib.compress(data, self.level)
            if len(packed) < len(data):
                if len(data) > self.limit:
                    raise _too_large(self.limit)
                return packed, flags | self.flag
        return data, flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Decompress what is marked, and decode.

        Raises:
            CodecError: The compressed bytes are broken (``not zlib``), cut (``cut``), followed by others
                (``something follows``), or come to more than ``limit`` (``too large``), or the other codec cannot read
                what comes out.
        """
        if flags & self.flag:
            data = self._unpacked(data)
        return self.codec.decode(data, flags & ~self.flag)

    def _unpacked(self, data: bytes) -> bytes:
        unpack = zlib.decompressobj()
        try:
            plain = unpack.decompress(data, self.limit + 1)
        except zlib.error as error:
            raise CodecError("The compressed bytes are broken.", reason="not zlib") from error
        if len(plain) > self.limit:
            raise _too_large(self.limit)
        if not unpack.eof:
            raise CodecError("The compressed bytes are cut.", reason="cut")
        if unpack.unused_data:
            raise CodecError("Something follows the compressed bytes.", reason="something follows")
        return plain


def _too_large(limit: int) -> CodecError:
    return CodecError(f"The compressed bytes come to more than {limit}.", reason="too large")


OTHER: Final = 1
INTEGER: Final = 2
LONG: Final = 4
TEXT: Final = 16

Client = Literal["pymemcache", "python-memcached", "pylibmc"]


@frozen
class Flagged:
    """
    Values as clients of Memcached in Python frame them, with another codec in the place of their pickle.

    Bytes have no flag, text is UTF-8 with flag 16, an int is ASCII with flag 2 (4 for what Python 2 called a long, and
    for all that pylibmc writes), and whatever else is the other codec's with flag 1. Only values of exactly these types
    are framed so: to pymemcache and python-memcached a ``bool`` is something else, while pylibmc writes it as an int,
    and reads it as one.

    Put `Compressed` around it for values that may be compressed: ``Compressed(Flagged(Pickle()), above=400)`` is the
    framing of pymemcache's ``compressed_serde``, and runs nothing that is in the bytes.

    Args:
        codec: The other codec, such as `Json`, `MsgPack`, or the restricted `Pickle`.
        client: The client whose way of writing is followed; all three are read alike.

    Raises:
        ConfigError: An option is wrong.
    """

    codec: Codec = field(validator=check_codec)
    client: Client = field(default="pymemcache", kw_only=True)

    @client.validator
    def _check_client(self, _: object, value: object) -> None:
        clients = ("pymemcache", "python-memcached", "pylibmc")
        if value not in clients:
            raise ConfigError(
                f"client is {value!r}.", remedy=f"Use one of {', '.join(clients)}.", field="client", value=value
            )

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write a value with its flag.

        Raises:
            CodecError: A text has a surrogate alone (``lone surrogate``), an int more than 4300 digits (``number too
                large``), or the other codec uses the flags of this one (``flag in use``) or cannot write the value.
        """
        kind = type(value)
        try:
            if kind is bytes:
                return value, 0
            if kind is str:
                return value.encode(), TEXT
            if kind is int:
                return b"%d" % value, LONG if self.client == "pylibmc" else INTEGER
            if kind is bool and self.client == "pylibmc":
                return b"%d" % value, INTEGER
        except UnicodeEncodeError as error:
            raise CodecError("The text has a surrogate alone.", reason="lone surrogate") from error
        except ValueError as error:
            raise CodecError("The number is too large.", reason="number too large") from error
        data, flags = self.codec.encode(value)
        if flags & _OWN:
            raise CodecError(f"{type(self.codec).__name__} uses flags of the client itself.", reason="flag in use")
        return data, flags | OTHER

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read a value by its flag.

        Raises:
            CodecError: The flags are of no type or of several (``unknown flags``), the bytes are not of the type that
                the flags tell (``not UTF-8``, ``not an int``), or the other codec cannot read them.
        """
        kind = flags & _OWN
        if kind == OTHER:
            return self.codec.decode(data, flags & ~_OWN)
        if flags not in (0, TEXT, INTEGER, LONG):
            raise CodecError(f"The flags {flags} are of no type, or of several.", reason="unknown flags")
        if kind == 0:
            return data
        if kind == TEXT:
            try:
                return data.decode()
            except UnicodeDecodeError as error:
                raise CodecError(f"This is no UTF-8 at byte {error.start}.", reason="not UTF-8") from error
        # As Memcached's own counters are: it may pad a number that became shorter with spaces.
        if not _INT.fullmatch(data):
            raise CodecError("This is no int in ASCII.", reason="not an int")
        return int(data)


_OWN: Final = OTHER | INTEGER | LONG | TEXT
_INT: Final = re.compile(rb"-?[0-9]{1,4300} *")


@frozen
class OrMiss:
    """
    Another codec as a reader that takes what it cannot read for a miss, as many caches do.

    Bytes that it cannot read become `MISSING`, so that a round trip says "reads as a miss", not "cannot be read".

    Args:
        codec: The other codec.

    Raises:
        ConfigError: It is none.
    """

    codec: Codec = field(validator=check_codec)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """Do what the other codec does. Raises what it raises."""
        return self.codec.encode(value)

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Do what the other codec does, or give `MISSING` where it raises.

        Raises:
            CodecUnavailable: The other codec could not do its work; that is no miss.
        """
        try:
            return self.codec.decode(data, flags)
        except CodecUnavailable:
            raise
        except Exception:  # noqa: BLE001 - a cache that takes errors for misses takes all of them so
            return MISSING
