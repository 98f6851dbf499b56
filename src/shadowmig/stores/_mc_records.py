"""What a Memcached store makes of refs and records: keys, bytes, flags and times of expiration, and the way back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.errors import ConfigError, StoreError
from shadowmig.model import MISSING, Record, Ref, Undecodable
from shadowmig.protocols import Codec
from shadowmig.stores._mc_meta import Get, Item, Key, Put, Remove, Request
from shadowmig.stores._mc_servers import shown

_MONTH: Final = 30 * 24 * 3600  # a longer time to live is taken for a date
_LAST_SECOND: Final = 2**31 - 1  # the last date that the protocol can tell


class _Bytes:
    """The codec of a store that was given none: the value is the bytes."""

    def encode(self, value: Any) -> tuple[bytes, int]:
        if not isinstance(value, bytes):
            raise TypeError(f"a value is of type {type(value).__name__}, and without codec= only bytes can be written")
        return value, 0

    def decode(self, data: bytes, flags: int) -> Any:
        return data


class Records:
    """
    Turns refs and records into requests, and what comes back into records.

    Args:
        codec: As given to the store.
        version: As given to the store.
        prefix: What stands before every key.
        store: How the store calls itself.

    Raises:
        ConfigError: ``codec`` is wrong.
    """

    def __init__(
        self,
        codec: Codec | Mapping[str, Codec] | None,
        version: Callable[[Any], Any] | None,
        *,
        prefix: bytes,
        store: str,
    ) -> None:
        self._codecs = _by_prefix(codec)
        self._version = version
        self._prefix = prefix
        self._store = store

    def get(self, ref: Ref) -> Get:
        """Give the request that reads a record; raises `StoreError` if the ref cannot lead to one."""
        return Get(ref, self._key(ref))

    def remove(self, ref: Ref) -> Remove:
        """Give the request that deletes a record; raises `StoreError` if the ref cannot lead to one."""
        return Remove(ref, self._key(ref))

    def _key(self, ref: Ref) -> Key:
        if ref.kind != "key" or len(ref.key) != 1 or not isinstance(ref.key[0], (str, bytes)):
            raise self._impossible(ref, "is no ref of a key.", "Make one with SisterStore.key, of a str or bytes.")
        try:
            name = ref.key[0].encode() if isinstance(ref.key[0], str) else ref.key[0]
        except UnicodeEncodeError:
            raise self._impossible(ref, "has a key that is no text.", "Give its bytes.") from None
        key = Key.of(self._prefix + name)
        if key is None:
            raise self._impossible(
                ref,
                "has a key that no server takes.",
                "Use 1 to 250 bytes, or up to 186 with spaces or control characters.",
            )
        return key

    def record(self, ref: Ref, item: Item | None) -> Record:
        """Give the record that a server holds."""
        if item is None:
            return Record(ref)
        value = self._decode(ref, item)
        version = None
        if self._version is not None and not isinstance(value, Undecodable):
            try:
                version = self._version(value)
            except Exception:  # noqa: BLE001  # a value of another shape has no version, which is no error
                version = None
        # A server without CAS (-C) says 0.
        return Record(ref, value, version, item.cas or None, item.data, item.meta)

    def _decode(self, ref: Ref, item: Item) -> Any:
        try:
            value = self._codec(ref).decode(item.data, item.meta["flags"])
        except Exception as error:  # noqa: BLE001  # a codec is the service's own code and may raise anything
            return Undecodable(f"{type(error).__name__}: {error}"[:200], len(item.data))
        # Only a key that is not there is missing.
        return Undecodable("the codec gave no value", len(item.data)) if value is MISSING else value

    def _codec(self, ref: Ref) -> Codec:
        if len(self._codecs) == 1:
            return self._codecs[0][1]
        name = ref.key[0].encode() if isinstance(ref.key[0], str) else ref.key[0]
        return next(codec for prefix, codec in self._codecs if name.startswith(prefix))

    def put(self, record: Record) -> Request:
        """
        Give the request that writes a record, or deletes it if it has no value.

        Raises:
            StoreError: It cannot be stored.
            Exception: What the codec raised.
        """
        ref = record.ref
        if not record.exists:
            return self.remove(ref)
        if record.raw is not None and "flags" in record.meta:
            data, flags = record.raw, record.meta["flags"]
        elif isinstance(record.value, Undecodable):
            raise self._impossible(ref, "could not be decoded, and its bytes are not there.", "Write it yourself.")
        else:
            data, flags = self._codec(ref).encode(record.value)
        if not isinstance(data, bytes) or not isinstance(flags, int) or not 0 <= flags < 2**32:
            raise self._impossible(ref, "is to be written as no bytes or with wrong flags.", "Is the codec right?")
        return Put(ref, self._key(ref), data, flags, self._expires(ref, record.meta.get("ttl")))

    def _expires(self, ref: Ref, ttl: float | None) -> int:
        if ttl is None:
            return 0
        if ttl <= 0:
            return -1  # it has ended; 0 would mean that it never does
        seconds = math.ceil(min(ttl, _LAST_SECOND))
        expires = seconds if seconds <= _MONTH else int(time.time()) + seconds
        if expires > _LAST_SECOND:
            raise self._impossible(ref, "lives longer than Memcached can tell.", "Use a ttl of None for no end.")
        return expires

    def _impossible(self, ref: Ref, problem: str, remedy: str) -> StoreError:
        return StoreError(f"{shown(ref)} {problem}", remedy=remedy, store=self._store)


def _by_prefix(given: Codec | Mapping[str, Codec] | None) -> list[tuple[bytes, Codec]]:
    """Give the codecs by prefix, the longest one first, the empty one always there."""
    plain: Codec = _Bytes()
    codecs = {"": plain, **given} if isinstance(given, Mapping) else {"": plain if given is None else given}
    for prefix, codec in codecs.items():
        able = all(callable(getattr(codec, name, None)) for name in ("encode", "decode"))
        if not isinstance(prefix, str) or not able or isinstance(codec, type):
            raise ConfigError(
                f"codec is {given!r}.",
                remedy="Give a codec, such as shadowmig.wire.Json(), or several by the key's prefix.",
                field="codec",
                value=given,
            )
    return sorted(((prefix.encode(), codec) for prefix, codec in codecs.items()), key=lambda each: -len(each[0]))
