"""The commands of redis-py inside of a check: reading ones go to the sister, others are recorded."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from shadowmig.wire.effects._check import Check, perform
from shadowmig.wire.effects._clients import UNKNOWN, Writes

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


_RAW: Final = frozenset({"connection", "connection_pool", "immediate_execute_command", "nodes_manager"})
"""What commands are sent by past `execute_command`."""


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
        if name in _RAW:
            self._check.refuse(f"{self._writes.name}.{name}", "Wrap the function that uses it.")
        static = inspect.getattr_static(type(self._model), name, None)
        # A plain function comes down to `execute_command`, which is ours.
        return types.MethodType(static, self) if inspect.isfunction(static) else getattr(self._model, name)

    def get_encoder(self) -> Any:
        return self._client.get_encoder()

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

    def lock(self, *args: Any, **kwargs: Any) -> Any:
        self._client.lock(*args, **kwargs)  # the class of locks keeps the first client for ever, which is not to be us
        lock = types.MethodType(type(self._client).lock, self)(*args, **kwargs)
        # Its token is random, and both events of a pair are to set the same.
        lock.acquire = functools.partial(lock.acquire, token=b"of a check")
        return lock

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
    if known is None:
        return True if command in _TRUE else UNKNOWN
    return known(client, args)


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


def _scored(_: Any, args: tuple[Any, ...]) -> Any:
    options = [each for each in args[1:] if each in _SCORING]
    return UNKNOWN if b"INCR" in options else (len(args) - 1 - len(options)) // 2


_SCORING: Final = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})
"""Options of ``ZADD`` as redis-py writes them."""


def _added(client: Any, args: tuple[Any, ...]) -> bool:
    return not _is_there(client, args)


def _reading(command: str, *more: Any) -> Callable[[Any, tuple[Any, ...]], Any]:
    return lambda client, args: perform(client.execute_command, (command, args[0], *more), {})


def _popping(place: int) -> Callable[[Any, tuple[Any, ...]], Any]:
    one = _reading("LINDEX", place)
    return lambda client, args: UNKNOWN if len(args) > 1 else one(client, args)


def _pushed(client: Any, args: tuple[Any, ...]) -> int:
    return int(perform(client.execute_command, ("LLEN", args[0]), {})) + len(args) - 1


def _of_a_lock(_: Any, args: tuple[Any, ...]) -> Any:
    """Say what the scripts of a lock give that is still held; of others nobody knows."""
    from redis.lock import Lock

    scripts: list[Any] = [Lock.lua_release, Lock.lua_extend, Lock.lua_reacquire]
    return 1 if args[0] in [script.sha for script in scripts if script is not None] else UNKNOWN


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
    "ZADD": _scored,
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
    "LPOP": _popping(0),
    "RPOP": _popping(-1),
    "PUBLISH": lambda *_: 0,
    "XADD": lambda client, _: client.get_encoder().decode(b"0-1"),
    "XTRIM": lambda *_: 0,
    "EVALSHA": _of_a_lock,
}
"""Where it is known and not simply ``True``."""

_TRUE: Final = frozenset(
    command.replace("_", " ")
    for command in (
        "CONFIG_SET COPY EXPIRE EXPIREAT FLUSHALL FLUSHDB HMSET JSON.SET LSET LTRIM MOVE MSET MSETNX PERSIST PEXPIRE "
        "PEXPIREAT PFMERGE PSETEX RENAME RENAMENX RESTORE SETEX SMOVE XGROUP_CREATE XGROUP_SETID"
    ).split()
)
