"""
Redis as a store: keys of every type with their time to live, and entries of streams found by the event's own id.

**When:** the service keeps a cache, counters or an event stream in Redis, Valkey or a like server (5.0 or later).
**Example:** ``RedisStore("redis://10.0.0.1:6379/0", streams=[Stream("comment_events", id="event_id")])``
**Units:** ``timeout`` is seconds; ``ttl`` in a record's meta is seconds left.
**When it is down:** every call ends within ``timeout`` and raises `StoreUnavailable`; the next call tries anew.

What a record is:

==============  ============================================================================================
under the ref   value
==============  ============================================================================================
string          ``bytes``
hash            dict of fields
list            list
set             set
sorted set      dict of member to score
stream, as key  list of (entry id, fields), the last 1000
type of module  ``bytes``, as ``DUMP`` gives them
entry           dict of fields, or the decoded payload
==============  ============================================================================================

Without a codec all names and values are bytes. With one it decodes strings and the values in hashes, lists and
streams; names (fields, members of sets) are then text. ``meta`` holds ``type`` and ``ttl`` of a key (``None`` for no
end); of an entry ``count`` (how often the event is in the stream), ``entry_ids``, ``order`` (grows along the stream)
and ``fields`` (names and values as bytes). An entry's token is its entry id; keys have none, for Redis gives none.

Danger: an event is looked for among the last entries of its stream (see `Stream`), so one older than that reads as
missing. One that was seen and has since been deleted, or cut off by the stream's limit, reads as missing too, with its
entry ids under ``gone`` in ``meta``.

Danger: reading counts as use where keys are evicted by last or frequent use. A key is read whole, however big it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import redis
from redis import asyncio as aioredis
from redis import exceptions as driver

from shadowmig.errors import ConfigError, StoreError
from shadowmig.given import seconds
from shadowmig.model import Reading, Record, Ref
from shadowmig.protocols import Codec
from shadowmig.stores import _roles
from shadowmig.stores._redis_entries import Entries
from shadowmig.stores._redis_errors import translate
from shadowmig.stores._redis_keys import Keys
from shadowmig.stores._redis_link import Link, Place
from shadowmig.stores._redis_loops import Loops
from shadowmig.stores._redis_steps import Command, Gate, Steps, T, arun, run, together
from shadowmig.stores._redis_values import Codecs, as_bytes, sorted_out
from shadowmig.stores.streams import Stream, by_name
from shadowmig.stores.tables import version_in

__all__ = ["RedisStore"]

_OUTAGES: Final = (
    driver.ConnectionError,
    driver.TimeoutError,
    driver.OutOfMemoryError,
    driver.ReadOnlyError,
    driver.TryAgainError,
    driver.ClusterDownError,
)
_NONCE: Final = b"shadowmig:nonce"
_NONCE_LIFE: Final = 60_000  # milliseconds


class _Process:
    """What belongs to one process: connections, and what was learned over them. A forked child has its own."""

    def __init__(
        self, link: Callable[[Place], Link], places: tuple[Place, Place], *, keys: Keys, entries: Entries
    ) -> None:
        self.reading = link(places[0])
        self.writing = self.reading if places[1] is places[0] else link(places[1])
        self.keys = keys
        self.entries = entries


class RedisStore:
    """
    A Redis server, a primary known to a sentinel, or a cluster.

    Connections are the store's own: at most `connections` to a server, or on each event loop. From a client that is
    handed in only their settings are taken (address, user, certificates), so the service's own pool is never used up,
    and it is never closed. Host names are looked up without a deadline, and a sentinel is asked by its own settings.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        reader: A client of redis-py for threads, whose server is read instead of that of `url`: a replica, a cluster,
            or what a ``Sentinel`` made. `aread` then runs in a thread.
        client: What `client` hands to the service's code; by default a ``redis.Redis`` made from `url`, else `reader`.
        streams: What is known of the streams. Any other is read by the entry ids of Redis.
        codec: For the values of keys, or a dict of codecs by the prefix of the key; the longest prefix counts.
        version: Takes the version out of the decoded value of a key; a value for which it fails has none.
        timeout: Seconds for each call.
        connections: The most connections to one server.

    Raises:
        ConfigError: An option is wrong. Its message holds nothing of the URL.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        reader: Any = None,
        client: Any = None,
        streams: Iterable[Stream] = (),
        codec: Codec | Mapping[Any, Codec] | None = None,
        version: Callable[[Any], Any] | None = None,
        timeout: float | timedelta = 1.0,
        connections: int = 4,
    ) -> None:
        if url is not None and not isinstance(url, str):
            raise ConfigError("url is no text.", remedy="Give a client as reader= or client=.", field="url")
        places = [
            Place(given, what)
            for given, what in ((reader, "reader"), (url, "url"), (client, "client"))
            if given is not None and (what != "client" or (reader is None and url is None))
        ]
        if not places:
            raise ConfigError("url is missing.", remedy="Give a URL, or a client as reader=.", field="url")
        if type(connections) is not int or connections < 1:
            raise ConfigError(
                f"connections is {connections!r}.", remedy="Use 1 or more.", field="connections", value=connections
            )
        if version is not None and not callable(version):
            raise ConfigError(f"version is {version!r}.", remedy="Give a function.", field="version", value=version)
        self._places = (places[0], places[-1])
        self._url = url
        self._loops_from_url = url is not None and reader is None
        self._timeout = seconds(timeout, "timeout")
        self._connections = connections
        self._streams = by_name(streams)
        self._codecs = Codecs(codec)
        self._version = version
        self._gate = Gate(self._places[0].name)
        self._client = client
        self._handed = reader if url is None else None
        self._made: dict[str, redis.Redis] = {}
        self._processes: dict[int, _Process] = {}
        self._loops: dict[int, Loops] = {}

    def __repr__(self) -> str:
        return f"<RedisStore: {self._gate.store}>"

    def client(self) -> Any:
        """
        Give what was handed in as `client`, or one client made from the URL, or `reader` where there is neither.

        Raises:
            ProductionRefused: The checked side of a write asks, and this store is production.
        """
        _roles.check(self)
        if self._client is not None or self._url is None:
            return self._client if self._client is not None else self._handed
        # Atomic, without a lock that a fork could leave locked; of two threads at once, one makes a client in vain.
        return self._made.get(self._url) or self._made.setdefault(self._url, redis.Redis.from_url(self._url))

    def version_of(self, ref: Ref, value: Any) -> Any:
        """Take the version out of a record's value, as an event may tell it; ``None`` if it has none."""
        return version_in(value, None, self._version if ref.kind == "key" else None)

    def is_outage(self, error: type[BaseException]) -> bool:
        """Tell whether an exception of redis-py is about the server: gone, full, too slow, or not the primary."""
        return issubclass(error, _OUTAGES)

    def identity(self) -> str:
        """
        Tell which data set this is: equal on a primary and its replicas, different for each database of a server.

        It is the server's replication id, so it changes when a server without persistence starts anew, or a replica
        takes over. Of a cluster, the ids of its primaries.
        """
        with self._guarded() as end:
            reading = self._process().reading
            if reading.spread:
                return "redis-cluster:" + ",".join(reading.primaries(end))
        info = self._run(self._one(("INFO", "replication")))
        told = dict(line.partition(":")[::2] for line in info.decode().splitlines())
        if not told.get("master_replid"):
            raise StoreError(f"{self._gate.store} does not tell its replication id.", store=self._gate.store)
        return f"redis:{told['master_replid']}/{self._places[0].database}"

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """
        Do what `Store.read` says. A mark is a number, and means something to this object only.

        One round trip, whatever the types of the keys. Another one is added when keys that look alike prove to be of
        different types (once), when a key is of a module's type, for each further thousand entries that a stream has
        grown by, when the last entry known of it was removed, and when an event since the mark seems to be doubled.
        """
        return self._run(self._read(refs, since), timeout=timeout)

    async def aread(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Do what `read` does, on an event loop."""
        if not self._loops_from_url:
            return await asyncio.to_thread(self.read, refs, since=since, timeout=timeout)
        loops = self._loops.get(os.getpid()) or self._new_loops()
        end = self._end(timeout)
        with self._guarded():
            return await arun(self._read(refs, since), lambda commands: loops.exchange(commands, end))

    def write(self, records: Sequence[Record]) -> None:
        """
        Do what `Store.write` says, in one transaction; in a cluster each key by itself.

        The bytes that were read (``raw``, and ``raw`` or ``fields`` in ``meta``) are written where a record has them,
        else its value. An entry gets a new entry id, unless events go by that. One that is there already with the
        same content is left alone, one with another content is replaced; looking for it takes a round trip before.
        """
        self._run(self._write(records), writing=True)

    def delete(self, refs: Sequence[Ref]) -> None:
        """Do what `Store.delete` says."""
        self._run(self._write([Record(ref) for ref in refs]), writing=True)

    def reset(self) -> None:
        """Empty the database; of a cluster, all primaries."""
        self._run(self._one(("FLUSHDB",)), writing=True)
        self._process().entries.restart()

    def forbid_writes(self) -> None:
        """Refuse, from now on, every command but a few that only read. It is not sent; see `Store.forbid_writes`."""
        self._gate.closed = True

    def plant(self, nonce: str) -> None:
        """Leave a mark under the key ``shadowmig:nonce``, which the server removes after a minute."""
        command = ("SET", _NONCE, as_bytes(nonce), "PX", _NONCE_LIFE) if nonce else ("DEL", _NONCE)
        self._run(self._one(command), writing=True)

    def finds(self, nonce: str) -> bool:
        """Tell whether this store holds the mark."""
        return bool(self._run(self._one(("GET", _NONCE))) == as_bytes(nonce))

    def close(self) -> None:
        """Close the connections, and the client that was made here. A later call opens new ones."""
        for made in list(self._made.values()):
            made.close()
        process, loops = self._processes.pop(os.getpid(), None), self._loops.pop(os.getpid(), None)
        if process is not None:
            process.reading.close()
            process.writing.close()
        if loops is not None:
            loops.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; they are closed at its end in any case."""
        loops = self._loops.get(os.getpid())
        if loops is not None:
            await loops.aclose()

    def _process(self) -> _Process:
        return self._processes.get(os.getpid()) or self._new_process()

    def _new_process(self) -> _Process:
        name = self._gate.store
        process = _Process(
            lambda place: Link(place, timeout=self._timeout, connections=self._connections, gate=self._gate),
            self._places,
            keys=Keys(name, self._codecs, self._version),
            entries=Entries(self._streams, name),
        )
        return _mine(self._processes, process)

    def _new_loops(self) -> Loops:
        pool = aioredis.ConnectionPool.from_url(self._url or "")
        return _mine(self._loops, Loops(pool, connections=self._connections, gate=self._gate))

    def _end(self, timeout: float | None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else min(timeout, self._timeout))

    def _run(self, steps: Steps[T], *, timeout: float | None = None, writing: bool = False) -> T:
        process = self._process()
        link, end = process.writing if writing else process.reading, self._end(timeout)
        with self._guarded():
            return run(steps, lambda commands: link.exchange(commands, end))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[float]:
        try:
            yield self._end(None)
        except (driver.RedisError, OSError) as error:
            raise translate(error, self._gate.store) from error

    def _one(self, command: Command) -> Steps[Any]:
        (reply,) = yield [command]
        if isinstance(reply, Exception):
            raise translate(reply, self._gate.store) from reply
        return reply

    def _read(self, refs: Sequence[Ref], since: Any) -> Steps[Reading]:
        process = self._process()
        keys, wanted = sorted_out(refs)
        held, found = yield from together([process.keys.read(keys), process.entries.read(wanted, since=since)])
        records = tuple(
            process.keys.record(ref, held[as_bytes(ref.key[0])])
            if ref.kind == "key"
            else process.entries.record(ref, found[ref.space, as_bytes(ref.key[0])])
            for ref in refs
        )
        mark, changed = process.entries.told(since)
        return Reading(records, mark, changed)

    def _write(self, records: Sequence[Record]) -> Steps[None]:
        process = self._process()
        _, wanted = sorted_out([record.ref for record in records])
        found = (yield from process.entries.read(wanted, all_streams=False)) if wanted else {}
        planned = [
            (record.ref, command)
            for record in records
            for command in (
                process.keys.write(record)
                if record.ref.kind == "key"
                else process.entries.write(record, found[record.ref.space, as_bytes(record.ref.key[0])])
            )
        ]
        if not planned:
            return
        commands = [command for _, command in planned]
        if process.writing.spread:
            replies, outcome = (yield commands), None
        else:
            _, *replies, outcome = yield [("MULTI",), *commands, ("EXEC",)]
        # Refused before the transaction ran, or while it did.
        for (ref, _), reply in zip(planned, outcome if isinstance(outcome, list) else replies, strict=True):
            if isinstance(reply, Exception):
                raise translate(reply, self._gate.store, where=str(ref)) from reply
        if isinstance(outcome, Exception):
            raise translate(outcome, self._gate.store) from outcome


V = TypeVar("V")


def _mine(values: dict[int, V], new: V) -> V:
    """Keep a value for this process, unless another thread was faster, and drop what a parent left."""
    mine = values.setdefault(os.getpid(), new)
    for other in [pid for pid in list(values) if pid != os.getpid()]:
        values.pop(other, None)
    return mine
