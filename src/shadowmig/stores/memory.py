"""
The embedded store: rows, keys and streams in the memory of this process, with everything a store has to do.

**When:** demos, and tests of a service that need no server.
**Example:** ``store = MemoryStore(tables=[Table("comments", key="id", version="version")])``; the service works with
``store.client()``, such as ``store.client().insert("comments", {"body": "x", "version": 1})``.
**Units:** times to live and `MemorySpace.delay` are seconds.
**When it is down:** never, unless a test says so by `MemorySpace.outage`; then every call raises `StoreUnavailable`.

Danger: what it holds ends with the process, and a forked child has a copy of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from shadowmig.errors import ConfigError, ProductionRefused, StoreError
from shadowmig.model import Change, Reading, Record, Ref
from shadowmig.protocols import Codec
from shadowmig.stores import _roles
from shadowmig.stores._memory_client import MemoryClient, MemoryTransaction
from shadowmig.stores._memory_operations import DuplicateKey, Place
from shadowmig.stores._memory_records import Entries, Keys
from shadowmig.stores._memory_rows import Rows
from shadowmig.stores._memory_space import MemorySpace
from shadowmig.stores.streams import Stream
from shadowmig.stores.streams import by_name as streams_by_name
from shadowmig.stores.tables import Table, by_name, version_in

__all__ = ["DuplicateKey", "MemoryClient", "MemorySpace", "MemoryStore", "MemoryTransaction"]

_MOST: Final = 1000


class MemoryStore:
    """
    A store in the memory of this process.

    Values are copied on their way in and out. What changed since a mark is told of declared tables (with
    ``footprint``) and declared streams. The token of a row or key is new at each write; that of an entry is its id.

    Args:
        tables: Its tables. Rows need no columns declared.
        streams: Its streams; one that is not declared can be used too, by the ids of its entries.
        codec: Turns the bytes that keys hold into values; then the client is given bytes. By default a key holds any
            plain data.
        version: Takes the version out of the value of a key; ``None`` if it has none.
        space: Where it is; stores over one space are handles of one store. By default a space of its own.

    Attributes:
        space: Where it is.

    Raises:
        ConfigError: An option is wrong.
    """

    def __init__(
        self,
        *,
        tables: Iterable[Table] = (),
        streams: Iterable[Stream] = (),
        codec: Codec | None = None,
        version: Callable[[Any], Any] | None = None,
        space: MemorySpace | None = None,
    ) -> None:
        if codec is not None and not (hasattr(codec, "encode") and hasattr(codec, "decode")):
            raise _wrong("codec", codec, "Use an object with encode(value) and decode(data, flags).")
        if version is not None and not callable(version):
            raise _wrong("version", version, "Use a function of the value of a key.")
        if space is not None and not isinstance(space, MemorySpace):
            raise _wrong("space", space, "Use a MemorySpace.")
        self.space = space if space is not None else MemorySpace()
        self._tables = by_name(tables)
        rows = {name: Rows(self.space, table) for name, table in self._tables.items()}
        self._place = Place(self.space, rows, streams_by_name(streams), codec)
        self._version = version
        self._keys = Keys(self.space, codec, version)
        covered = [table for table in rows.values() if table.table.footprint]
        self._covered: list[Rows | Entries] = [*covered, *self._place.declared]
        self._all: list[Rows | Entries | Keys] = [*rows.values(), *self._place.declared, self._keys]
        self._client = MemoryClient(self._place)
        self._read_only = False

    def __repr__(self) -> str:
        return f"MemoryStore({self.space!r})"

    def client(self) -> MemoryClient:
        """
        Give what the service's own code works with.

        Raises:
            ProductionRefused: The checked side asks, and this store is production.
        """
        _roles.check(self)
        return self._client

    @property
    def tables(self) -> Mapping[str, Table]:
        """The declared tables by name."""
        return self._tables

    def version_of(self, ref: Ref, value: Any) -> Any:
        """Take the version out of a record's value, as an event may tell it; ``None`` if it has none."""
        return version_in(value, self._tables.get(ref.space), self._version if ref.kind == "key" else None)

    def identity(self) -> str:
        """
        Tell which space this is.

        Raises:
            StoreUnavailable: During an outage.
        """
        self.space.reach()
        return self.space.identity

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """
        Read records, all as they were at one moment.

        Args:
            refs: Their addresses.
            since: A mark of an earlier reading.
            timeout: Seconds for this call.

        Raises:
            StoreUnavailable: During an outage, or the space is slower than ``timeout``.
            StoreError: A ref leads to no table, or is of a wrong form.
        """
        self.space.reach(timeout)
        return self._read(refs, since)

    async def aread(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Do what `read` does; only the delay of a slow space is awaited."""
        if self.space.delay:
            import asyncio

            await asyncio.sleep(self.space.pause(timeout))
        self.space.arrive(timeout)
        return self._read(refs, since)

    def _read(self, refs: Sequence[Ref], since: Any) -> Reading:
        shelves = [self._shelf(ref) for ref in refs]
        with self.space.lock:
            found = [shelf.find(ref) for shelf, ref in zip(shelves, refs, strict=True)]
            mark = self.space.counter + 1
            changed = () if since is None else self._changed(since)
        triples = zip(shelves, refs, found, strict=True)
        return Reading(tuple([shelf.record(ref, cells) for shelf, ref, cells in triples]), mark, changed)

    def _changed(self, since: Any) -> tuple[Change, ...]:
        if type(since) is not int:
            raise StoreError(f"since is a {type(since).__name__}, no mark of this store.", store=repr(self))
        changes = [change for shelf in self._covered for change in shelf.changes(since)]
        return tuple(sorted(changes, key=lambda change: change.at)[:_MOST])

    def write(self, records: Sequence[Record]) -> None:
        """
        Make the store hold exactly these records, all or none.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: During an outage, or a transaction stays open for too long.
            StoreError: A record has a wrong form.
        """
        self._refuse()
        shelves = [self._shelf(record.ref) for record in records]
        with self.space.draft() as draft:
            for shelf, record in zip(shelves, records, strict=True):
                shelf.find(record.ref)  # to complain of a ref as reads do
                shelf.write(draft, record)

    def delete(self, refs: Sequence[Ref]) -> None:
        """
        Remove records, all or none; those that are not there are no error.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: During an outage, or a transaction stays open for too long.
            StoreError: A ref has a wrong form.
        """
        self.write([Record(ref) for ref in refs])

    def reset(self) -> None:
        """
        Remove all rows of declared tables, all entries of declared streams, and all keys.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: During an outage, or a transaction stays open for too long.
        """
        self._refuse()
        with self.space.draft() as draft, self.space.lock:
            for each in self._all:
                for number in each.shelf.cells:
                    draft.drop(each.shelf, number)

    def forbid_writes(self) -> None:
        """Make this object unable to write; its client and other handles can. Cannot be undone."""
        self._read_only = True

    def plant(self, nonce: str) -> None:
        """
        Leave a mark in the space; an empty one removes it.

        Raises:
            ProductionRefused: After `forbid_writes`.
            StoreUnavailable: During an outage.
        """
        self._refuse()
        self.space.reach()
        self.space.nonce = nonce

    def finds(self, nonce: str) -> bool:
        """
        Tell whether the space has the mark.

        Raises:
            StoreUnavailable: During an outage.
        """
        self.space.reach()
        return bool(nonce) and self.space.nonce == nonce

    def close(self) -> None:
        """Do nothing: there are no connections. It can be used afterwards too."""

    def _refuse(self) -> None:
        if self._read_only:
            raise ProductionRefused(
                f"{self!r} was made unable to write.", remedy="Write by its client.", store=repr(self)
            )

    def _shelf(self, ref: Ref) -> Rows | Entries | Keys:
        if ref.kind == "row":
            return self._place.rows(ref.space)
        if ref.kind == "entry":
            return self._place.entries(ref.space)
        if ref.kind == "key":
            return self._keys
        raise StoreError(f"A memory store has nothing of kind {ref.kind!r}.", store=repr(self))


def _wrong(field: str, value: object, remedy: str) -> ConfigError:
    return ConfigError(f"{field} is {value!r}.", remedy=remedy, field=field, value=value)
