"""
Keys of every type, read in one round trip and written exactly.

A key's type is not known before it is read. The type seen last for keys that look alike (digits apart) is tried; a key
like none before, or like keys of several types, is read by the commands for all types at once, of which all but one
are refused and cost little. Only a guess that proves wrong takes a second round trip, and it is made once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from shadowmig.errors import StoreError
from shadowmig.model import Record, Ref
from shadowmig.protocols import Codec
from shadowmig.stores._redis_errors import is_wrong_type, translate
from shadowmig.stores._redis_steps import Command, Steps
from shadowmig.stores._redis_values import (
    Codecs,
    Version,
    as_bytes,
    attempt,
    encoded,
    pairs,
    value_of,
    version_of,
)

LAST: Final = 1000
"""How many entries of a stream are its value, when it is read as a key."""

_READS: Final[Mapping[str, Command]] = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", 0, -1),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "stream": ("XREVRANGE", "+", "-", "COUNT", LAST),
    "type": ("TYPE",),
    "dump": ("DUMP",),
}

_ALL: Final = ("string", "hash", "list", "set", "zset", "stream")
_FOREIGN: Final = ("type", "dump")
"""For the types of modules, which only ``DUMP`` reads."""

_SHAPES = 1000
_CHUNK = 5000
_CHANGING = re.compile(rb"[0-9a-fA-F-]{8,}|[0-9]+")


@frozen
class Held:
    """
    What is under a key.

    Attributes:
        kind: Its type, as Redis calls it; empty if there is nothing.
        raw: The reply to the command that reads this type.
        ttl: Seconds left, or ``None``.
    """

    kind: str = ""
    raw: Any = None
    ttl: float | None = None


class Keys:
    """
    Reads keys and remembers their types, by shape; shared by threads.

    Args:
        store: The store, as it calls itself.
        codecs: Codecs by key.
        version: Takes the version out of a decoded value.
    """

    def __init__(self, store: str, codecs: Codecs, version: Version) -> None:
        self._store = store
        self._codecs = codecs
        self._version = version
        self._lock = threading.Lock()
        self._shapes: dict[bytes, str] = {}

    def read(self, keys: Sequence[bytes]) -> Steps[dict[bytes, Held]]:
        """Ask for these keys."""
        found: dict[bytes, Held] = {}
        plan = {key: self._guess(key) for key in keys}
        while plan:
            replies = iter(
                (yield [command for key, kinds in plan.items() for command in (*_reads(key, kinds), ("PTTL", key))])
            )
            again: dict[bytes, tuple[str, ...]] = {}
            for key, kinds in plan.items():
                answers = {kind: next(replies) for kind in kinds}
                held = self._held(key, answers, next(replies))
                if isinstance(held, Held):
                    found[key] = held
                else:
                    again[key] = held
            plan = again
        return found

    def record(self, ref: Ref, held: Held) -> Record:
        """Make the record of a ref out of what is under its key."""
        if not held.kind:
            return Record(ref)
        codec = self._codecs.of(as_bytes(ref.key[0]))
        value = attempt(lambda: value_of(held.kind, held.raw, codec), held.raw)
        meta: dict[str, Any] = {"type": held.kind, "ttl": held.ttl}
        if held.kind == "stream" or (codec is not None and held.kind in {"hash", "list"}):
            meta["raw"] = held.raw  # the value may have lost what writing needs
        raw = held.raw if isinstance(held.raw, bytes) else None
        return Record(ref, value, version=version_of(self._version, value), raw=raw, meta=meta)

    def write(self, record: Record) -> list[Command]:
        """
        Say how to make the store hold this record.

        Raises:
            StoreError: Its value has no form in Redis.
        """
        key = as_bytes(record.ref.key[0])
        if not record.exists:
            return [("DEL", key)]
        kind = record.meta.get("type") or _kind_of(record.value, self._codecs.of(key))
        ttl = record.meta.get("ttl")
        life = () if ttl is None else ("PX", max(round(ttl * 1000), 1))
        if kind not in _ALL:  # a dump
            return [("RESTORE", key, life[1] if life else 0, _raw(record), "REPLACE")]
        if kind == "string":
            data = record.raw if record.raw is not None else self._encoded(record, key, record.value)
            return [("SET", key, data, *life)]
        if kind == "stream":
            made = self._entries(record, key)
        else:
            made = [(_WRITES[kind], key, *chunk) for chunk in _chunks(self._arguments(kind, record, key))]
        return [("DEL", key), *made, *([("PEXPIRE", key, life[1])] if life else [])]

    def _guess(self, key: bytes) -> tuple[str, ...]:
        kind = self._shapes.get(_CHANGING.sub(b"#", key))
        return (kind,) if kind else _ALL

    def _learn(self, key: bytes, kind: str) -> None:
        shape = _CHANGING.sub(b"#", key)
        known = self._shapes.get(shape)
        if known in (kind, ""):
            return
        with self._lock:
            # Empty: keys of this shape are of several types, or of a foreign one.
            self._shapes[shape] = kind if known is None else ""
            while len(self._shapes) > _SHAPES:
                del self._shapes[next(iter(self._shapes))]

    def _held(self, key: bytes, answers: Mapping[str, Any], life: Any) -> Held | tuple[str, ...]:
        """Understand the replies for a key, or say which types are to be read next."""
        fitting = {kind: reply for kind, reply in answers.items() if not is_wrong_type(reply)}
        for reply in (*fitting.values(), life):
            if isinstance(reply, Exception):
                raise translate(reply, self._store, where=repr(key)) from reply
        if life == -2:  # none, or it has just ended
            return Held()
        ttl = None if life < 0 else life / 1000
        if answers.keys() == set(_FOREIGN):
            kind = answers["type"].decode()
            # Of a type of Redis' own now: somebody has just put another in its place.
            return _ALL if kind in _ALL else Held(kind, answers["dump"], ttl) if answers["dump"] else Held()
        if not fitting:
            self._learn(key, "")
            return _FOREIGN if len(answers) > 1 else _ALL
        kind = next((kind for kind, reply in fitting.items() if reply not in (None, [])), "")
        if not kind:
            # An empty stream is there all the same; anything else has gone between two commands.
            return Held("stream", [], ttl) if "stream" in fitting and len(fitting) == 1 else Held()
        self._learn(key, kind)
        return Held(kind, fitting[kind], ttl)

    def _encoded(self, record: Record, key: bytes, value: Any) -> bytes:
        return encoded(self._codecs.of(key), value, record.ref)

    def _arguments(self, kind: str, record: Record, key: bytes) -> list[tuple[Any, ...]]:
        """List what a container holds, as arguments that must stay together."""
        value, raw = record.value, record.meta.get("raw")
        if raw is None and not isinstance(value, _FORMS[kind]):
            raise _no_form(record.ref)
        if kind == "hash":
            if raw is not None:
                return list(pairs(raw))
            return [(as_bytes(name), self._encoded(record, key, each)) for name, each in value.items()]
        if kind == "list":
            return [(each,) for each in raw or [self._encoded(record, key, each) for each in value]]
        if kind == "zset":
            return [(repr(float(score)), as_bytes(member)) for member, score in value.items()]
        return [(as_bytes(each),) for each in value]

    def _entries(self, record: Record, key: bytes) -> list[Command]:
        raw = record.meta.get("raw")
        if raw is not None:
            return [("XADD", key, id_, *fields) for id_, fields in reversed(raw)]
        if not isinstance(record.value, _FORMS["stream"]):
            raise _no_form(record.ref)
        return [
            (
                "XADD",
                key,
                id_,
                *(part for name, each in fields.items() for part in (as_bytes(name), self._encoded(record, key, each))),
            )
            for id_, fields in record.value
        ]


_WRITES: Final = {"hash": "HSET", "list": "RPUSH", "set": "SADD", "zset": "ZADD"}

_FORMS: Final[Mapping[str, Any]] = {
    "hash": Mapping,
    "list": list | tuple,
    "set": set | frozenset | list | tuple,
    "zset": Mapping,
    "stream": list | tuple,
}


def _reads(key: bytes, kinds: Sequence[str]) -> list[Command]:
    return [(verb, key, *rest) for verb, *rest in (_READS[kind] for kind in kinds)]


def _chunks(arguments: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [
        [part for together in arguments[start : start + _CHUNK] for part in together]
        for start in range(0, len(arguments), _CHUNK)
    ]


def _kind_of(value: Any, codec: Codec | None) -> str:
    """Choose a type for a value that comes from elsewhere."""
    if codec is None:
        for kinds, name in ((dict, "hash"), ((list, tuple), "list"), ((set, frozenset), "set")):
            if isinstance(value, kinds):
                return name
    return "string"


def _raw(record: Record) -> bytes:
    if record.raw is None:
        raise _no_form(record.ref)
    return record.raw


def _no_form(ref: Ref) -> StoreError:
    return StoreError(
        f"The value of {ref} does not fit its type, or could not be decoded and is not there as bytes.",
        remedy="Write records as a RedisStore read them, or give a translation.",
    )
