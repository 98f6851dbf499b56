"""`MsgPack`: MessagePack, strict, with moments to the nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs._flags import GROWTH, LIMIT, check_flags, check_limit, check_size, too_deep
from shadowmig.wire.codecs._msgpack_scan import HEAVIEST, scan
from shadowmig.wire.values import Instant

try:
    import msgpack  # type: ignore[import-untyped]  # it has no stubs
except ImportError as missing:
    raise ConfigError(
        "MsgPack needs the package msgpack.", remedy="Install it with: pip install 'shadowmig[msgpack]'.", field="codec"
    ) from missing


@frozen
class MsgPack:
    """
    MessagePack, the whole value one document.

    Text and bytes, ints and floats are told apart. A timestamp is a `datetime` in UTC, or an `Instant` where it is
    finer than microseconds; other extensions are ``msgpack.ExtType``. What MessagePack cannot tell apart in Python
    cannot be told apart here: a tuple is written as a list.

    Args:
        text_keys: Whether keys of maps must be text or bytes. If not, numbers, truth values and ``None`` may be keys;
            NaN never.
        sort_keys: Whether members are written in the order of their keys, so that equal values give equal bytes.
        raw: Follow the old specification, which has no type for bytes: text and bytes are written alike, and read as
            bytes.
        flags: Client flags to write; any are read.
        limit: The most bytes that are read. What they make may take 32 times as much memory.

    Raises:
        ConfigError: An option is wrong, or the package msgpack is not there.
    """

    text_keys: bool = field(default=True, kw_only=True)
    sort_keys: bool = field(default=True, kw_only=True)
    raw: bool = field(default=False, kw_only=True)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    limit: int = field(default=LIMIT, kw_only=True, validator=check_limit)

    def __attrs_post_init__(self) -> None:
        for name in ("text_keys", "sort_keys", "raw"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ConfigError(f"{name} is {value!r}.", remedy="Use True or False.", field=name, value=value)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write one document.

        Raises:
            CodecError: There is an int beyond 64 bits (``number too large``), a surrogate alone (``lone surrogate``), a
                moment without a zone, or something that MessagePack does not have (``no such type``), a moment that in
                UTC is outside of the years 1 to 9999 (``time out of range``), a key that `decode` would refuse (``bad
                key``, ``duplicate key``), or the value is nested more than 500 deep or holds itself (``too deep``), or
                too long for `decode` (``too large``).
        """
        try:
            data = msgpack.packb(
                self._ready(value), default=_other, use_bin_type=not self.raw, datetime=True, strict_types=False
            )
        except UnicodeEncodeError as error:
            raise CodecError("A text has a surrogate alone.", reason="lone surrogate") from error
        except (RecursionError, ValueError) as error:
            if isinstance(error, CodecError):
                raise
            raise too_deep() from error
        except OverflowError as error:
            raise _too_large() from error
        except BufferError as error:  # a memoryview of every other byte
            raise CodecError("MessagePack has nothing for bytes with gaps.", reason="no such type") from error
        check_size(data, self.limit)
        if len(data) > self.limit * GROWTH // HEAVIEST:
            scan(data, self.limit * GROWTH)
        return data, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one document.

        Raises:
            CodecError: It is longer than ``limit`` or makes too much of its bytes (``too large``), is cut or says that
                it is longer than it is (``cut``), is no MessagePack (``not msgpack``), or nested more than 1000 deep
                (``too deep``); something follows it; a text is no UTF-8 (``not UTF-8``); a key is there twice
                (``duplicate key``) or of a type that is no key (``bad key``); a timestamp is outside of the years 1 to
                9999 (``time out of range``).
        """
        check_size(data, self.limit)
        stamps = scan(data, self.limit * GROWTH)
        try:
            value = msgpack.unpackb(
                data,
                raw=self.raw,
                timestamp=0,
                strict_map_key=False,
                object_pairs_hook=self._stamped_map if stamps else self._map,
                list_hook=_stamped_list if stamps else None,
            )
        except UnicodeDecodeError as error:
            raise CodecError("A text is no UTF-8.", reason="not UTF-8") from error
        except msgpack.StackError as error:
            raise too_deep() from error
        except CodecError:
            raise
        except ValueError as error:
            raise CodecError("This is no MessagePack.", reason="not msgpack") from error
        return _moment(value)

    def _map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        for key, _ in pairs:
            self._check_key(key)
        found = dict(pairs)
        if len(found) < len(pairs):
            raise CodecError("A key is there twice.", reason="duplicate key")
        return found

    def _stamped_map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        return self._map([(key, _moment(value)) for key, value in pairs])

    def _check_key(self, key: object) -> None:
        if isinstance(key, str | bytes):
            return
        if self.text_keys or not isinstance(key, int | float | None) or key != key:  # noqa: PLR0124 - NaN is no key
            raise CodecError(f"A key is of type {type(key).__name__}.", reason="bad key")

    def _ready(self, value: Any) -> Any:
        """Look at all keys, put them in order, and make of moments what the package writes."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if isinstance(value, dict):
            for key in value:
                self._check_key(key)
            if self.raw and len({key.encode() if isinstance(key, str) else key for key in value}) < len(value):
                raise CodecError("A key is there twice, as text and as bytes.", reason="duplicate key")
            keys = sorted(value, key=_order) if self.sort_keys else value
            return {key: self._ready(value[key]) for key in keys}
        if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
            return [self._ready(each) for each in value]
        if kind is Instant:
            seconds = (value.at - _EPOCH) // _SECOND
            return self._ready(msgpack.Timestamp(seconds, value.at.microsecond * 1000 + value.nanos))
        if kind is msgpack.Timestamp:
            _moment(value)
        elif isinstance(value, datetime) and value.tzinfo is not None:
            try:
                value.astimezone(UTC)
            except OverflowError as error:
                raise _out_of_range() from error
        return value


def _order(key: Any) -> tuple[str, Any]:
    return type(key).__name__, key


def _other(value: Any) -> Any:
    if isinstance(value, int):
        raise _too_large()
    raise CodecError(
        f"MessagePack has nothing for {type(value).__name__}{' without a zone' * isinstance(value, datetime)}.",
        reason="no such type",
    )


def _too_large() -> CodecError:
    return CodecError("An int is beyond 64 bits.", reason="number too large")


def _out_of_range() -> CodecError:
    return CodecError("A timestamp is outside of the years 1 to 9999.", reason="time out of range")


def _stamped_list(values: list[Any]) -> list[Any]:
    return [_moment(value) for value in values]


def _moment(value: Any) -> Any:
    if type(value) is not msgpack.Timestamp:
        return value
    micros, nanos = divmod(value.nanoseconds, 1000)
    try:
        at = _EPOCH + timedelta(seconds=value.seconds, microseconds=micros)
    except OverflowError as error:
        raise _out_of_range() from error
    return Instant(at, nanos) if nanos else at


_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
