"""The Memcached servers of one store: which holds a key, their connections, and one exchange with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from shadowmig.errors import ProductionRefused, StoreError, StoreUnavailable
from shadowmig.model import Ref
from shadowmig.stores._mc_meta import READS, NoMeta, Refused, Request
from shadowmig.stores._mc_server import Server, addresses
from shadowmig.stores._mc_socket import Connection, Garbled
from shadowmig.stores.parted import Parted, whole

_REMEDIES: Final = {
    "too large": "Give this server the item limit (-I) of the one that the record came from.",
    "out of memory": "Give this server more memory (-m).",
    "stale": "Give meta_commands=False; until this process ends, the server is read so.",
    "unauth": "Only servers that ask for no authentication can be used.",
}
"""What to do, by a part of the server's words."""

_FAILURES: Final = (OSError, UnicodeError, Garbled, Refused)
"""What an exchange may end in; a host name that cannot be encoded is a `UnicodeError`."""

_Part: TypeAlias = tuple[Server, Sequence[Request]]
"""What is asked of one server."""


class Servers:
    """
    All servers of one store, as one to talk to.

    Args:
        given: As given to the store.
        keep: How many idle connections are kept for each.
        hasher: Makes the object that tells the server of a key; used if there are several.
        meta: Whether meta commands may be used where a server has them.

    Attributes:
        read_only: Whether nothing that writes may be sent.

    Raises:
        ConfigError: An address is not understood.
    """

    def __init__(self, given: str | Sequence[str], *, keep: int, hasher: Callable[[], Any], meta: bool) -> None:
        self.all = tuple(Server(address, name, keep, meta=meta) for name, address in addresses(given).items())
        self._by_name = {server.name: server for server in self.all}
        self.read_only = False
        self._hasher = None if len(self.all) == 1 else hasher()
        if self._hasher is not None:
            for name in self._by_name:
                self._hasher.add_node(name)

    def __repr__(self) -> str:
        return ", ".join(repr(server.name) for server in self.all)

    def refuse_writes(self) -> None:
        """
        Raise if nothing may be written.

        Raises:
            ProductionRefused: It may not.
        """
        if self.read_only:
            raise ProductionRefused(
                f"Memcached at {self} is production: it is read, not written to.",
                remedy="Write to the sister.",
                store=repr(self),
            )

    def ask(self, requests: Sequence[Request], deadline: float, *, again: bool) -> list[Any]:
        """
        Send requests about records to the servers that hold them, and give the replies in their order.

        Args:
            requests: What to ask; each has a ref.
            deadline: Until when, on the monotonic clock in seconds.
            again: Whether a request may be sent a second time, because the server closed a connection that was idle.

        Raises:
            StoreUnavailable: A server cannot be reached or did not answer in time.
            StoreError: A server refused, or what answers is no Memcached.
            ProductionRefused: Something that writes was to be sent, and may not.
        """
        return whole(self.asking(requests, deadline, again=again))

    def asking(self, requests: Sequence[Request], deadline: float, *, again: bool) -> Parted[list[Any]]:
        """Do what `ask` does, in parts."""
        if not requests:
            return []
        if self._hasher is None:
            return (yield from self._exchange([(self.all[0], requests)], deadline, again=again))[0]
        homes = [self._home(request) for request in requests]
        parts: dict[Server, list[Request]] = {}
        for server, request in zip(homes, requests, strict=True):
            parts.setdefault(server, []).append(request)
        replies = yield from self._exchange(list(parts.items()), deadline, again=again)
        queues: dict[Server, Iterator[Any]] = {server: iter(each) for server, each in zip(parts, replies, strict=True)}
        return [next(queues[server]) for server in homes]

    def ask_all(self, requests: Sequence[Request], deadline: float, *, again: bool) -> list[list[Any]]:
        """Send the same requests to every server, and give the replies of each; raises what `ask` raises."""
        return whole(self._exchange([(server, requests) for server in self.all], deadline, again=again))

    def close(self) -> None:
        """Close idle connections, and those in use when their call ends; later calls use a new one each."""
        for server in self.all:
            server.close(for_good=True)

    def _home(self, request: Request) -> Server:
        assert self._hasher is not None and request.ref is not None
        name = self._hasher.get_node(request.ref.key[0])
        if name not in self._by_name:
            raise StoreError(
                f"hasher gave no server of this store for {shown(request.ref)}.",
                remedy="get_node must return what was given to add_node.",
                store=repr(self),
            )
        return self._by_name[name]

    def _exchange(self, parts: Sequence[_Part], deadline: float, *, again: bool) -> Parted[list[list[Any]]]:
        try:
            return (yield from self._once(parts, deadline))
        except _Failed as failed:
            if not (again and failed.passing):
                raise self._explain(failed.server, failed.error) from failed.error
        for server, _ in parts:
            server.close()  # after a restart all idle connections are as dead as this one
        return (yield from self._exchange(parts, deadline, again=False))

    def _once(self, parts: Sequence[_Part], deadline: float) -> Parted[list[list[Any]]]:
        """Send everything to all servers, then take the replies of one after the other."""
        held: list[tuple[Server, Connection, Sequence[Request]]] = []
        connection: Connection | None = None
        server = parts[0][0]
        replies = []
        try:
            for server, requests in parts:
                connection = None
                connection = server.take(deadline)
                held.append((server, connection, requests))
                self._send(connection, requests, deadline)
            yield None
            for server, connection, requests in held:  # noqa: B007  # it tells where it failed
                replies.append(_replies(connection, requests))
        except BaseException as error:
            for _, each, _ in held:
                each.close()
            if not isinstance(error, _FAILURES):
                raise
            if isinstance(error, NoMeta):
                server.meta_allowed = False
                passing = not str(error)
            else:
                passing = isinstance(error, ConnectionError) and connection is not None and connection.used
            raise _Failed(server, error, passing=passing) from error
        for server, connection, _ in held:
            server.put_back(connection)
        return replies

    def _send(self, connection: Connection, requests: Sequence[Request], deadline: float) -> None:
        """Let bytes leave for a server: the one place where requests do, and where they are held back."""
        data = []
        for request in requests:
            connection.tag += 1
            try:
                encoded = request.encode(connection.tag, meta=connection.meta)
            except Refused as error:
                error.ref = request.ref
                raise
            if self.read_only and not READS.fullmatch(encoded):
                self.refuse_writes()
            data.append(encoded)
        connection.send(b"".join(data), deadline)

    def _explain(self, server: Server, error: BaseException) -> StoreError:
        place = f"Memcached at {server.name}"
        if isinstance(error, TimeoutError):
            return StoreUnavailable(
                f"{place} did not answer in time.",
                remedy="Is it up? If it is slow, a longer timeout= helps.",
                store=repr(self),
            )
        if isinstance(error, Refused):
            text = str(error)
            about = f" {shown(error.ref)}" if error.ref is not None else ""
            remedies = [remedy for part, remedy in _REMEDIES.items() if part in text]
            return StoreError(f"{place} refused{about}: {text}.", remedy=" ".join(remedies), store=repr(self))
        if isinstance(error, Garbled):
            return StoreError(
                f"{place} gave no reply of Memcached.", remedy="Is another service there?", store=repr(self)
            )
        return StoreUnavailable(
            f"{place} cannot be reached: {str(error) or type(error).__name__}.",
            remedy="Is it up, and is the address right?",
            store=repr(self),
        )


class _Failed(Exception):
    """An exchange that failed with a server; ``passing``: it may well succeed if it is tried at once."""

    def __init__(self, server: Server, error: BaseException, *, passing: bool) -> None:
        super().__init__()
        self.server = server
        self.error = error
        self.passing = passing


def _replies(connection: Connection, requests: Sequence[Request]) -> list[Any]:
    """Take all replies, also those after a refusal, so that it is known what became of every request."""
    found = []
    refusal: Refused | None = None
    tag = connection.tag - len(requests)
    for request in requests:
        tag += 1
        try:
            found.append(request.take(connection, tag, meta=connection.meta))
        except Refused as error:
            refusal = refusal or error
            refusal.ref = refusal.ref or request.ref
            if not error.counted:
                break
        except (OSError, Garbled):
            if refusal is None:
                raise
            break
    if refusal is not None:
        raise refusal
    return found


def shown(ref: Ref) -> str:
    """Give a ref as text for people, cut if its key is long."""
    text = str(ref)
    return text if len(text) <= 200 else f"{text[:200]}..."
