"""Replies to records and back: what each type of key is as a value, and how a codec takes part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from shadowmig.errors import ConfigError, StoreError
from shadowmig.model import MISSING, Ref, Undecodable
from shadowmig.protocols import Codec

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names and values of an entry, in their order; a name may come twice."""

Version: TypeAlias = Callable[[Any], Any] | None

_REASON = 200


def as_bytes(value: object) -> bytes:
    """
    Turn a key, a name or an id into bytes: text as UTF-8, numbers and the like by their text. Undoes `as_name`.

    Raises:
        StoreError: It is text that is not Unicode.
    """
    if isinstance(value, bytes):
        return value
    try:
        return str(value).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise StoreError(
            "A key or id holds lone surrogates that stand for no byte.", remedy="Give it as bytes."
        ) from error


def as_name(data: bytes) -> str:
    """Turn a name into text; bytes that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def pairs(flat: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Take a flat reply, name and value in turn, by twos."""
    each = iter(flat)
    return zip(each, each, strict=True)


def decoded(codec: Codec | None, data: bytes) -> Any:
    """Decode, or keep the bytes where there is no codec."""
    return data if codec is None else codec.decode(data, 0)


def encoded(codec: Codec | None, value: Any, ref: Ref) -> bytes:
    """
    Do the reverse of `decoded`.

    Raises:
        StoreError: There is no codec, and this is neither bytes nor text nor a number.
    """
    if codec is not None:
        return codec.encode(value)[0]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return as_bytes(value)
    raise StoreError(
        f"A value of {ref} is a {type(value).__name__}, which Redis cannot hold.",
        remedy="Give the store a codec=, or a translation that gives bytes.",
    )


def attempt(make: Callable[[], Any], raw: Any) -> Any:
    """Decode what came as `raw`; what cannot be decoded is a value of its own kind."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # a codec may raise anything, and that is a finding
        return Undecodable(f"{type(error).__name__}: {error}"[:_REASON], size_of(raw))


def version_of(version: Version, value: Any) -> Any:
    """Take the version out of a value; none where that fails, or where there is no value."""
    if version is None or value is MISSING or isinstance(value, Undecodable):
        return None
    try:
        return version(value)
    except Exception:  # noqa: BLE001  # a value of another shape has no version
        return None


class Codecs:
    """
    Which codec is for which key.

    Args:
        given: One for all keys, or by the prefix of the key; of several prefixes that fit, the longest counts.

    Raises:
        ConfigError: Something given has no ``encode`` and ``decode``.
    """

    def __init__(self, given: Codec | Mapping[Any, Codec] | None) -> None:
        by_prefix = given if isinstance(given, Mapping) else {} if given is None else {b"": given}
        for codec in by_prefix.values():
            if not callable(getattr(codec, "encode", None)) or not callable(getattr(codec, "decode", None)):
                raise ConfigError(
                    f"codec holds {codec!r}, which is no codec.",
                    remedy="Give an object with encode and decode, or a dict of them by prefix.",
                    field="codec",
                    value=given,
                )
        self._by_prefix = sorted(
            ((as_bytes(prefix), codec) for prefix, codec in by_prefix.items()), key=lambda item: -len(item[0])
        )

    def of(self, key: bytes) -> Codec | None:
        """Return the codec for a key, or ``None``."""
        return next((codec for prefix, codec in self._by_prefix if key.startswith(prefix)), None)


def value_of(kind: str, raw: Any, codec: Codec | None) -> Any:
    """
    Turn the reply for a key into its value.

    Args:
        kind: The type of the key, as Redis calls it.
        raw: The reply to the command that reads this type.
        codec: For strings, and for the values in hashes, lists and streams. Where there is one, names (fields of
            hashes and entries, members of sets and sorted sets) are text.
    """
    name: Callable[[bytes], Any] = bytes if codec is None else as_name
    if kind == "string":
        return decoded(codec, raw)
    if kind == "hash":
        return {name(field): decoded(codec, data) for field, data in pairs(raw)}
    if kind == "list":
        return [decoded(codec, data) for data in raw]
    if kind == "set":
        return {name(member) for member in raw}
    if kind == "zset":
        return {name(member): float(score) for member, score in pairs(raw)}
    if kind == "stream":
        return [
            (id_.decode(), {name(field): decoded(codec, data) for field, data in pairs(fields)})
            for id_, fields in reversed(raw)
        ]
    return raw


def size_of(raw: Any) -> int:
    """Count the bytes in a reply."""
    return len(raw) if isinstance(raw, bytes) else sum(map(size_of, raw))


def sorted_out(refs: Sequence[Ref]) -> tuple[list[bytes], dict[str, list[bytes]]]:
    """
    Tell keys and, by stream, events apart; each once.

    Raises:
        StoreError: A ref leads to something else.
    """
    keys: dict[bytes, None] = {}
    wanted: dict[str, dict[bytes, None]] = {}
    for ref in refs:
        if ref.kind not in {"key", "entry"} or len(ref.key) != 1:
            raise StoreError(
                f"{ref} leads to no key and no entry.", remedy="A RedisStore has .key() and .entry() only."
            )
        (keys if ref.kind == "key" else wanted.setdefault(ref.space, {}))[as_bytes(ref.key[0])] = None
    return list(keys), {name: list(events) for name, events in wanted.items()}
