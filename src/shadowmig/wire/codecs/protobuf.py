"""`Protobuf`: messages as plain dicts, with what is there and what is unknown told."""

from __future__ import annotations

from typing import Any, Final, Literal

from attrs import field, frozen

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs._flags import GROWTH, check_flags, check_limit, check_size, too_deep

try:
    from google.protobuf.message import DecodeError, EncodeError, Message

    from shadowmig.wire.codecs._protobuf_reading import UNKNOWN, Reading
    from shadowmig.wire.codecs._protobuf_writing import fill
except ImportError as missing:
    raise ConfigError(
        "Protobuf needs the package protobuf.",
        remedy="Install it with: pip install 'shadowmig[protobuf]'.",
        field="codec",
    ) from missing


__all__ = ["UNKNOWN", "Protobuf"]


@frozen
class Protobuf:
    """
    One message of protobuf, as a plain dict by the names of its fields.

    - A field that tells whether it is set (``optional``, a member of a ``oneof``, a message) is in the dict only if it
      is. Any other is always there, with its zero, its empty list or its empty dict if the bytes say nothing.
    - Ints are ints, of 64 bits too; bytes are bytes; keys of maps are of their own type.
    - A value of an enum is its name, and a number that has no name stays a number.
    - Fields that the message does not know are under the key `UNKNOWN`, as lists of number, kind (``"varint"``,
      ``"fixed64"``, ``"bytes"``, ``"group"``, ``"fixed32"``) and value, and are written back.
    - ``Timestamp`` is a `datetime` in UTC, or an `Instant` where it is finer than microseconds; ``Duration`` a
      `timedelta`, or a dict of ``seconds`` and ``nanos`` where that cannot hold it; a wrapper (``Int64Value``) its
      value; ``Struct``, ``Value`` and ``ListValue`` the dict, value and list that they stand for.

    Args:
        message: The class of the message, as the compiler of protobuf made it.
        enums: ``"names"``, or ``"numbers"`` for the numbers only.
        flags: Client flags to write; any are read.
        limit: The most bytes that are read; by default 4 MiB, as in gRPC. What they make may take 32 times as much
            memory as dicts, and in the package itself some hundred bytes for each message.

    Raises:
        ConfigError: An option is wrong, or the package protobuf is not there.
    """

    message: type[Any] = field()
    enums: Literal["names", "numbers"] = field(default="names", kw_only=True)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    limit: int = field(default=4 * 1024 * 1024, kw_only=True, validator=check_limit)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.message, type) or not issubclass(self.message, Message):
            raise ConfigError(
                f"message is {self.message!r}.",
                remedy="Give a class of a message, such as comments_pb2.Comment.",
                field="message",
                value=self.message,
            )
        if self.enums not in ("names", "numbers"):
            raise ConfigError(
                f"enums is {self.enums!r}.", remedy="Use 'names' or 'numbers'.", field="enums", value=self.enums
            )

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write a dict, or a message of the class, in the order of its fields and of the keys of its maps.

        ``None`` for a field that tells whether it is set leaves it unset.

        Raises:
            CodecError: There is a key that is no field (``unknown field``), a value of a wrong type (``wrong type``),
                too large for its field (``number too large``), a name that its enum does not have (``unknown enum
                name``), two members of one ``oneof`` (``oneof``), a surrogate alone (``lone surrogate``), a required
                field that is missing (``required field``), a moment that in UTC is outside of the years 1 to 9999
                (``time out of range``), or it is nested more than 100 deep (``too deep``). The error's ``path`` says
                where. Or `decode` would refuse what is written.
        """
        if isinstance(value, self.message):
            message = value
        else:
            message = self.message()
            fill(message, value)
        try:
            data = message.SerializeToString(deterministic=True)
        except EncodeError as error:
            raise _required(message) from error
        check_size(data, self.limit)
        try:
            self._parsed(data)
        except CodecError as error:
            raise too_deep() from error
        if message is value or len(data) > self.limit // 64:  # for the rest of the others `fill` has seen to
            self.decode(data, self.flags)
        return data, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one message.

        Raises:
            CodecError: It is longer than ``limit`` or makes too much of its bytes (``too large``), no message of the
                class (``not the message``), has no required field (``required field``), a moment outside of the years 1
                to 9999 (``time out of range``), a ``Value`` that has none (``empty Value``), or an extension, which
                this codec does not read (``extension``).
        """
        message = self._parsed(data)
        if not message.IsInitialized():
            raise _required(message)
        return Reading(names=self.enums == "names", memory=self.limit * GROWTH).message(message)

    def _parsed(self, data: bytes) -> Any:
        check_size(data, self.limit)
        message = self.message()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise CodecError(
                f"This is no message {message.DESCRIPTOR.full_name}, or nested more than 100 deep.",
                reason="not the message",
            ) from error
        return message


def _required(message: Message) -> CodecError:
    missing = message.FindInitializationErrors()  # type: ignore[attr-defined]  # not in its stub
    return CodecError(f"Required fields are missing: {', '.join(missing[:_SHOWN])}.", reason="required field")


_SHOWN: Final = 10
