"""
Memcached: bytes under keys, with client flags, a CAS number and a time to live.

**When:** a cache that the service writes to, by whatever client; one server, or keys spread over several.
**Example:** ``MemcachedStore("10.0.0.1:11211", codec=Json())``
**Units:** ``timeout`` and the ``ttl`` of records are seconds.
**When it is down:** every call raises `StoreUnavailable` within ``timeout``; the next one tries anew.

Records are read without a trace where the server has meta commands (1.6.10 and later): neither their place in the LRU
nor their time of access changes, though the server's statistics count the reads. Older servers, and proxies that show a
version of their own, are asked by ``gets``, which counts as a use like any other and tells no time to live.

Memcached has no read-only mode. `forbid_writes` therefore holds back, at the one place where bytes leave for the
server, everything but the few commands that only read; `client` is the service's own and is not held back.

Danger: where a service itself uses "serve stale" (``md`` with the flag ``I``), whoever reads a stale record first by a
meta command takes the right to renew it. If that happens to this store, the read fails once with `StoreError`, and the
process reads that server by ``gets`` from then on. Give ``meta_commands=False`` to prevent it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final

from pymemcache.client.base import PooledClient  # type: ignore[import-untyped]  # it ships no types
from pymemcache.client.hash import HashClient  # type: ignore[import-untyped]  # it ships no types
from pymemcache.client.rendezvous import RendezvousHash  # type: ignore[import-untyped]  # it ships no types
from pymemcache.exceptions import MemcacheServerError  # type: ignore[import-untyped]  # it ships no types

from shadowmig.errors import ConfigError, StoreError
from shadowmig.given import seconds
from shadowmig.model import Reading, Record, Ref
from shadowmig.protocols import Codec
from shadowmig.stores import _roles
from shadowmig.stores._mc_meta import Flush, Get, Key, Put, Remove, Request, Stats
from shadowmig.stores._mc_records import Records
from shadowmig.stores._mc_servers import Servers
from shadowmig.stores.parted import ANSWERED, Parted, whole
from shadowmig.stores.tables import version_in

_MARK_TTL: Final = 60
# As pymemcache lets them out of its sockets; not ConnectionError itself, which a candidate may raise of its own accord.
_OUTAGES: Final = (
    MemcacheServerError,
    ConnectionAbortedError,
    ConnectionRefusedError,
    ConnectionResetError,
    BrokenPipeError,
    TimeoutError,
)


class MemcachedStore:
    """
    Records of Memcached, addressed by their keys.

    A record's `value` is what the codec makes of its bytes; ``raw`` are the bytes, ``token`` the CAS number, ``meta``
    the client ``flags`` and the ``ttl``. What the codec cannot read is an `Undecodable`. What it reads as ``None``, as
    pymemcache's ``pickle_serde`` reads garbage, is the value ``None``: a difference to any other value, and never the
    same as a key that is not there.

    Args:
        servers: ``"host:port"``, the path of a unix socket, or several of them in a list. Write several as the
            service's client has them, because keys are spread by the text; so a ref's key is a str or bytes as it is
            for that client.
        codec: How the service turns values into bytes; or several by the prefix of the key, where the longest prefix
            counts, and bytes stay bytes where none fits.
        version: Takes a version out of a decoded value; where it raises, there is none.
        client: What `client` gives; by default a pooled client of pymemcache without serde.
        timeout: Seconds for a call; names are looked up by the system, in its own time.
        hasher: Makes the object that spreads keys over several servers, as for pymemcache's `HashClient`: by default
            its ``RendezvousHash``. Unlike that client, the store never takes another server for one that is down.
        key_prefix: What the service's client puts before every key, after the key's server was chosen.
        connections: How many idle connections are kept for each server; a call that finds none makes one.
        meta_commands: Whether to use them where a server has them.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        codec: Codec | Mapping[str, Codec] | None = None,
        version: Callable[[Any], Any] | None = None,
        client: Any = None,
        timeout: float | timedelta = 1.0,
        hasher: Callable[[], Any] = RendezvousHash,
        key_prefix: str | bytes = "",
        connections: int = 8,
        meta_commands: bool = True,
    ) -> None:
        for name, given in (("hasher", hasher), ("version", version)):
            if not callable(given) and (name, given) != ("version", None):
                raise ConfigError(f"{name} is {given!r}.", remedy="Give a callable.", field=name, value=given)
        if not isinstance(connections, int) or connections < 0:
            raise ConfigError(
                f"connections is {connections!r}.", remedy="Use 0 or more.", field="connections", value=connections
            )
        if not isinstance(key_prefix, (str, bytes)):
            raise ConfigError(
                f"key_prefix is {key_prefix!r}.", remedy="Use a str or bytes.", field="key_prefix", value=key_prefix
            )
        self._servers = Servers(servers, keep=connections, hasher=hasher, meta=meta_commands)
        self._prefix = key_prefix.encode() if isinstance(key_prefix, str) else key_prefix
        self._version = version
        self._records = Records(codec, version, prefix=self._prefix, store=repr(self))
        self._timeout = seconds(timeout, "timeout")
        self._hasher = hasher
        self._given = client
        self._clients: dict[int, Any] = {}
        self._marks: list[Ref] = []

    def __repr__(self) -> str:
        return f"MemcachedStore({self._servers!r})"

    def client(self) -> Any:
        """
        Give the client that the service was built with, or one of pymemcache's; the same object each time.

        That of pymemcache waits for the answer to each command: a write that was not answered may come after a later
        one on another connection, and whether it was refused is never known.

        A forked child is given one of its own, unless it was handed in.

        Raises:
            ProductionRefused: The checked side of a write asks, and this store is production.
        """
        _roles.check(self)
        if self._given is not None:
            return self._given
        pid = os.getpid()
        if pid not in self._clients:
            self._clients.setdefault(pid, self._build_client())
        return self._clients[pid]

    def version_of(self, ref: Ref, value: Any) -> Any:
        """Take the version out of a record's value, as an event may tell it; ``None`` if it has none."""
        return version_in(value, None, self._version)

    def is_outage(self, error: type[BaseException]) -> bool:
        """Tell whether an exception of pymemcache is about the server: gone, full, or too slow."""
        return issubclass(error, _OUTAGES)

    def identity(self) -> str:
        """
        Tell which servers these are, by process id, start time and port, as they say themselves.

        Danger: two servers in containers of their own that started in the same second say the same, and so do not
        pass for isolated. Start one of them again.

        Raises:
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A server refused, or does not tell.
        """
        replies = self._servers.ask_all([Stats(), Stats(which=b"settings")], self._deadline(), again=True)
        try:
            found = {
                f"{int(stats[b'time']) - int(stats[b'uptime'])}/{int(stats[b'pid'])}/{int(settings[b'tcpport'])}"
                for stats, settings in replies
            }
        except (KeyError, ValueError):
            raise StoreError(
                f"{self!r} has a server that does not tell what it is.",
                remedy="Name the servers themselves, not a proxy with statistics of its own.",
                store=repr(self),
            ) from None
        return f"memcached {' '.join(sorted(found))}"

    def read(
        self,
        refs: Sequence[Ref],
        *,
        since: Any = None,
        timeout: float | None = None,
    ) -> Reading:
        """
        Read any number of records in one round trip for each server.

        Args:
            refs: Their addresses, all of keys. A key of up to 250 bytes may hold anything but spaces and control
                characters; with meta commands one of up to 186 bytes may hold those too.
            since: Of no use: Memcached cannot tell what changed. So there is no mark, and nothing in ``changed``.
            timeout: Seconds for this call, if shorter than the store's own.

        Raises:
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A ref is none of a key, its key is not possible, or a server refused.
        """
        return whole(self.reading(refs, timeout=timeout))

    def reading(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Parted[Reading]:
        """Do what `read` does, in parts."""
        asked = [self._records.get(ref) for ref in refs]
        items = yield from self._servers.asking(asked, self._deadline(timeout), again=True)
        yield ANSWERED
        return Reading(tuple(map(self._records.record, refs, items)))

    def write(self, records: Sequence[Record]) -> None:
        """
        Make the store hold exactly these records, in one round trip for each server.

        Bytes and flags are written as they were read from a Memcached; otherwise the codec makes them of the value.
        The ``ttl`` counts from now; one of more than 30 days becomes a date by this machine's clock.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A record cannot be stored, is too large, or there is no memory; others may have been written.
            Exception: What a codec raised; then nothing was written.
        """
        self._servers.refuse_writes()
        self._servers.ask([self._records.put(record) for record in records], self._deadline(), again=False)

    def delete(self, refs: Sequence[Ref]) -> None:
        """
        Remove records; those that are not there are no error.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A ref is none of a key, its key is not possible, or a server refused.
        """
        self._servers.refuse_writes()
        self._servers.ask([self._records.remove(ref) for ref in refs], self._deadline(), again=False)

    def reset(self) -> None:
        """
        Remove everything on all servers.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A server refused.
        """
        self._servers.refuse_writes()
        self._servers.ask_all([Flush()], self._deadline(), again=False)

    def forbid_writes(self) -> None:
        """Hold back everything that writes, from now on: no byte of it is sent to a server."""
        self._servers.read_only = True

    def plant(self, nonce: str) -> None:
        """
        Leave a mark on every server for a minute, in place of the one before; an empty one only removes that.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A server refused.
        """
        self._servers.refuse_writes()
        requests: list[Request] = [Remove(ref, Key(ref.key[0], coded=False)) for ref in self._marks]
        self._marks.clear()
        if nonce:
            ref = _mark(nonce)
            self._marks.append(ref)
            requests.append(Put(ref, Key(ref.key[0], coded=False), b"1", expires=_MARK_TTL))
        if requests:
            self._servers.ask_all(requests, self._deadline(), again=False)

    def finds(self, nonce: str) -> bool:
        """
        Tell whether any of the servers holds the mark.

        Raises:
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A server refused.
        """
        ref = _mark(nonce)
        replies = self._servers.ask_all([Get(ref, Key(ref.key[0], coded=False))], self._deadline(), again=True)
        return any(item is not None for (item,) in replies)

    def close(self) -> None:
        """Close the connections made by this object, its own client's too; may be called twice."""
        self._servers.close()
        if client := self._clients.get(os.getpid()):
            client.close()

    def _build_client(self) -> Any:
        options = {
            "connect_timeout": self._timeout,
            "timeout": self._timeout,
            "no_delay": True,
            "default_noreply": False,
            "key_prefix": self._prefix,
            "allow_unicode_keys": True,
        }
        places = [server.address for server in self._servers.all]
        if len(places) == 1:
            return PooledClient(places[0], **options)
        return HashClient(places, hasher=self._hasher, use_pooling=True, **options)

    def _deadline(self, timeout: float | None = None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else min(timeout, self._timeout))


def _mark(nonce: str) -> Ref:
    # A key of its own for each: marks of several processes do not replace each other.
    digest = blake2b(nonce.encode(), digest_size=16).hexdigest()
    return Ref("", "key", "", (f"shadowmig:nonce:{digest}".encode(),))
