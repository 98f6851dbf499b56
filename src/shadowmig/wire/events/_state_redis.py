"""
State in a Redis database: the sister's, or one given for it. Never production's.

All keys begin with ``shadowmig:events:{name}:``. What changes together changes in one script, which Redis runs as one
step; a script that was sent by a process that has lost its lease does nothing.

Danger: a server that loses what it has confirmed (one without persistence that starts anew, a replica that takes over
too early) loses verdicts with it. They are then found anew from what is left, else from where a process that runs
remembers, else from now on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import exceptions as driver

from shadowmig.errors import ConfigError
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_lines import HERE, Lines
from shadowmig.stores._redis_link import Place as Server
from shadowmig.stores._redis_steps import Command, Gate
from shadowmig.stores._redis_values import as_bytes, pairs
from shadowmig.wire.events._state import Commit, Held

# Where the server's clock was set back, members and leases from later than now are taken for gone.
_TEND: Final = """
local members, member, life = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', members, now, member)
redis.call('ZREMRANGEBYSCORE', members, '-inf', now - life)
redis.call('ZREMRANGEBYSCORE', members, '(' .. now, '+inf')
local token = member .. ':' .. time[1] .. ':' .. time[2]
local partitions = #KEYS - 1
local share = math.ceil(partitions / redis.call('ZCARD', members))
local mine = {share}
local free = {}
for number = 1, partitions do
  local key = KEYS[number + 1]
  local holder = redis.call('GET', key)
  if not holder or redis.call('PTTL', key) > life then
    free[#free + 1] = number
  elseif string.sub(holder, 1, #member + 1) == member .. ':' then
    if holder ~= ARGV[number + 2] then holder = token end
    redis.call('SET', key, holder, 'PX', life)
    mine[#mine + 1] = number - 1
    mine[#mine + 1] = holder
  end
end
for _, number in ipairs(free) do
  if (#mine - 1) / 2 < share then
    redis.call('SET', KEYS[number + 1], token, 'PX', life)
    mine[#mine + 1] = number - 1
    mine[#mine + 1] = token
  end
end
return mine
"""

_COMMIT: Final = """
local parts, most, faults = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
for part = 1, parts do
  if redis.call('GET', KEYS[part * 3 - 1]) ~= ARGV[part * 2 + 2] then return 0 end
  local kept = redis.call('GET', KEYS[part * 3])
  if (kept and redis.sha1hex(kept) or '') ~= ARGV[part * 2 + 3] then return 0 end
end
local at = parts * 2 + 4
for part = 1, parts do
  redis.call('SET', KEYS[part * 3], ARGV[at])
  local put, remove = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  for _ = 1, put do
    redis.call('HSET', KEYS[part * 3 + 1], ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  for _ = 1, remove do
    redis.call('HDEL', KEYS[part * 3 + 1], ARGV[at])
    at = at + 1
  end
end
for _ = 1, faults do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', most, '*', 'fault', ARGV[at])
  at = at + 1
end
return 1
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisState:
    """
    State in Redis 5.0 or later, on one server.

    Args:
        url: Where; as for `RedisEvents`.
        name: Name of the stream of events.
        partitions: How many there are.
        lease: Seconds after which a process that is not heard of loses its partitions.
        most_faults: Faults that are kept, about; the oldest are dropped.
        timeout: Seconds for each call.

    Raises:
        ConfigError: It is no URL, or a cluster.
    """

    def __init__(
        self,
        url: Any,
        name: str,
        *,
        partitions: int = 8,
        lease: float = 10.0,
        most_faults: int = 100_000,
        timeout: float = 5.0,
    ) -> None:
        self._server = url if isinstance(url, Server) else Server(url, "state")
        if self._server.nodes:
            raise ConfigError("state is a cluster.", remedy="Give a single server.", field="state")
        self._gate = Gate(self._server.name)
        self._prefix = b"shadowmig:events:{%s}:" % as_bytes(name)
        self._partitions = partitions
        self._lease = max(1, round(lease * 1000))
        self._most = most_faults
        self._timeout = timeout
        self._lines: dict[int, Lines] = {}

    def __repr__(self) -> str:
        return f"<RedisState: {self._gate.store}>"

    def identity(self) -> str:
        """Tell which database this is, by the server's replication id."""
        info = self._ask(("INFO", "replication"))[0]
        told = dict(line.partition(b":")[::2] for line in info.splitlines())
        return f"redis:{told.get(b'master_replid', b'').decode()}/{self._server.database}"

    def begin(self, proposal: str | None) -> str | None:
        """Do what `State.begin` says."""
        key = self._key("begin")
        commands: list[Command] = [] if proposal is None else [("SET", key, proposal, "NX")]
        kept = self._ask(*commands, ("GET", key))[-1]
        return None if kept is None else kept.decode()

    def tend(self, member: str, claims: Mapping[int, str]) -> Held:
        """Do what `State.tend` says."""
        leases = [self._key("lease", number) for number in range(self._partitions)]
        keys = [self._key("members"), *leases]
        claimed = [claims.get(number, "") for number in range(self._partitions)]
        reply = self._ask(("EVAL", _TEND, len(keys), *keys, member, self._lease, *claimed))[0]
        return Held({int(number): token.decode() for number, token in pairs(reply[1:])}, int(reply[0]))

    def load(self, partition: int) -> tuple[str | None, dict[str, str]]:
        """Do what `State.load` says."""
        checkpoint, waiting = self._ask(
            ("GET", self._key("checkpoint", partition)), ("HGETALL", self._key("waiting", partition))
        )
        return (
            None if checkpoint is None else checkpoint.decode(),
            {name.decode(): value.decode() for name, value in pairs(waiting)},
        )

    def commit(self, commits: Sequence[Commit], faults: Sequence[str]) -> bool:
        """Do what `State.commit` says, in one round trip."""
        keys = [self._key("faults")]
        values: list[Any] = [len(commits), self._most, len(faults)]
        values += [each for commit in commits for each in (commit.token, commit.after)]
        for commit in commits:
            keys += [self._key(what, commit.partition) for what in ("lease", "checkpoint", "waiting")]
            values += [commit.checkpoint, len(commit.put), len(commit.remove)]
            values += [part for pair in commit.put.items() for part in pair]
            values += commit.remove
        return bool(self._ask(("EVAL", _COMMIT, len(keys), *keys, *values, *faults))[0])

    def release(self, partition: int, token: str) -> None:
        """Do what `State.release` says."""
        self._ask(("EVAL", _RELEASE, 1, self._key("lease", partition), token))

    def leave(self, member: str) -> None:
        """Do what `State.leave` says."""
        self._ask(("ZREM", self._key("members"), member))

    def overview(self) -> list[str | None]:
        """Do what `State.overview` says."""
        kept = self._ask(("MGET", *(self._key("checkpoint", number) for number in range(self._partitions))))[0]
        return [None if each is None else each.decode() for each in kept]

    def faults(self, after: str, count: int) -> list[tuple[str, str]]:
        """Do what `State.faults` says."""
        # Without "(" for the first that is not wanted, which older servers do not know.
        rows = self._ask(("XRANGE", self._key("faults"), after or "-", "+", "COUNT", count + 1))[0]
        found = [(entry.decode(), fields[1].decode()) for entry, fields in rows if entry.decode() != after]
        return found[:count]

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        if lines := self._lines.pop(os.getpid(), None):
            lines.close()

    def _key(self, what: str, number: int | None = None) -> bytes:
        return self._prefix + (what if number is None else f"{what}:{number}").encode()

    def _ask(self, *commands: Command) -> list[Any]:
        pid = os.getpid()
        lines = self._lines.get(pid)
        if lines is None:
            # One for the loop, one for whoever asks for a report meanwhile.
            made = Lines(self._server.pool, timeout=self._timeout, connections=2, gate=self._gate)
            lines = self._lines.setdefault(pid, made)
            for other in [each for each in list(self._lines) if each != pid]:
                self._lines.pop(other, None)
        try:
            replies = lines.exchange({HERE: list(commands)}, time.monotonic() + self._timeout)[HERE]
        except (driver.RedisError, OSError) as error:
            raise translate(error, self._gate.store) from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise translate(reply, self._gate.store, where="the state of matching") from reply
        return replies
