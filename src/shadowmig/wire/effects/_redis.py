"""The commands of redis-py inside of a check: reading ones go to the sister, others are recorded."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from shadowmig.wire.effects._check import Check, perform
from shadowmig.wire.effects._clients import Writes

READING: Final = frozenset(
    "BITCOUNT BITFIELD_RO BITPOS DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS "
    "GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET "
    "HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO JSON.GET JSON.MGET KEYS LASTSAVE LCS LINDEX LLEN LPOS LRANGE "
    "MEMORY MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL PUBSUB RANDOMKEY SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER "
    "SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TTL TYPE XINFO XLEN XPENDING XRANGE XREAD "
    "XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE "
    "ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION".split()
)
"""Commands that change nothing."""


def call(writes: Writes, check: Check, client: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Do what a method of a client does."""
    return getattr(_Client(writes, check, client), name)(*args, **kwargs)


class _Commands:
    """The methods of a class of redis-py, on our way to execute a command."""

    def __init__(self, writes: Writes, check: Check, client: Any, model: Any) -> None:
        self._writes = writes
        self._check = check
        self._client = client
        self._model = model

    def __getattr__(self, name: str) -> Any:
        static = inspect.getattr_static(type(self._model), name, None)
        # A plain function comes down to `execute_command`, which is ours.
        return types.MethodType(static, self) if inspect.isfunction(static) else getattr(self._model, name)

    def _execute(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        verb = str(args[0]).upper().partition(" ")[0]

        def act() -> Any:
            return self._client.execute_command(*args, **options)

        if verb in READING:
            return perform(act, (), {})
        method = str(args[0]).upper()
        return self._writes.write(
            self._check, method, args[1:], {}, act=act, guess=lambda: _guess(self._client, method, args[1:])
        )


class _Client(_Commands):
    def __init__(self, writes: Writes, check: Check, client: Any) -> None:
        super().__init__(writes, check, client, client)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self._execute(args, options)

    def pipeline(self, *args: Any, **kwargs: Any) -> _Pipeline:
        return _Pipeline(self._writes, self._check, self._client, self._client.pipeline(*args, **kwargs))


class _Pipeline(_Commands):
    """A pipeline whose commands are executed one by one, when it is told to; what it watches does not change."""

    def __init__(self, writes: Writes, check: Check, client: Any, model: Any) -> None:
        super().__init__(writes, check, client, model)
        self._stack: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._at_once = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self._at_once:
            return self._execute(args, options)
        self._stack.append((args, options))
        return self

    def watch(self, *names: Any) -> bool:
        self._at_once = True
        return True

    def multi(self) -> None:
        self._at_once = False

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT002 - as redis-py has it
        stack, self._stack, self._at_once = self._stack, [], False
        results: list[Any] = []
        for args, options in stack:
            try:
                results.append(self._execute(args, options))
            except Exception as error:
                if raise_on_error:
                    raise
                results.append(error)
        return results

    def reset(self) -> None:
        self._stack, self._at_once = [], False

    close = discard = unwatch = reset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.reset()

    def __len__(self) -> int:
        return len(self._stack)

    def __bool__(self) -> bool:
        return True


def _guess(client: Any, command: str, args: tuple[Any, ...]) -> Any:
    """Say what a write would return if it went well, by reading where that depends on what is there."""
    known = _ANSWERS.get(command)
    return True if known is None else known(client, args)


def _is_there(client: Any, args: tuple[Any, ...]) -> bool:
    return bool(perform(client.execute_command, ("EXISTS", args[0]), {}))


def _set(client: Any, args: tuple[Any, ...]) -> Any:
    options = {str(each).upper() for each in args[2:] if isinstance(each, str)}
    if "GET" in options:
        return perform(client.execute_command, ("GET", args[0]), {})
    if options & {"NX", "XX"}:
        return True if _is_there(client, args) is ("XX" in options) else None
    return True


def _count(_: Any, args: tuple[Any, ...]) -> int:
    return len(args)


def _members(_: Any, args: tuple[Any, ...]) -> int:
    return len(args) - 1


def _pairs(_: Any, args: tuple[Any, ...]) -> int:
    return (len(args) - 1) // 2


def _sum(client: Any, args: tuple[Any, ...], by: int) -> int:
    return int(perform(client.execute_command, ("GET", args[0]), {}) or 0) + by


def _in_hash(client: Any, args: tuple[Any, ...]) -> int:
    return int(perform(client.execute_command, ("HGET", *args[:2]), {}) or 0) + int(args[2])


def _added(client: Any, args: tuple[Any, ...]) -> bool:
    return not _is_there(client, args)


def _reading(command: str, *more: Any) -> Callable[[Any, tuple[Any, ...]], Any]:
    return lambda client, args: perform(client.execute_command, (command, args[0], *more), {})


def _pushed(client: Any, args: tuple[Any, ...]) -> int:
    return int(perform(client.execute_command, ("LLEN", args[0]), {})) + len(args) - 1


_ANSWERS: Final[Mapping[str, Callable[[Any, tuple[Any, ...]], Any]]] = {
    "SET": _set,
    "SETNX": _added,
    "DEL": _count,
    "UNLINK": _count,
    "SADD": _members,
    "SREM": _members,
    "HDEL": _members,
    "ZREM": _members,
    "XDEL": _members,
    "XACK": lambda _, args: len(args) - 2,
    "HSET": _pairs,
    "ZADD": _pairs,
    "LPUSH": _pushed,
    "RPUSH": _pushed,
    "INCR": lambda client, args: _sum(client, args, 1),
    "DECR": lambda client, args: _sum(client, args, -1),
    "INCRBY": lambda client, args: _sum(client, args, int(args[1])),
    "DECRBY": lambda client, args: _sum(client, args, -int(args[1])),
    "HINCRBY": _in_hash,
    "GETSET": _reading("GET"),
    "GETDEL": _reading("GET"),
    "GETEX": _reading("GET"),
    "LPOP": _reading("LINDEX", 0),
    "RPOP": _reading("LINDEX", -1),
    "PUBLISH": lambda *_: 0,
    "XADD": lambda *_: b"0-1",
    "XTRIM": lambda *_: 0,
    "EVAL": lambda *_: None,
    "EVALSHA": lambda *_: None,
    "FCALL": lambda *_: None,
}
"""Where it is not simply ``True``."""
