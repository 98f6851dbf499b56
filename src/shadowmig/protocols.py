"""
The extension points: any callable or object of the right shape fits, nothing need be inherited.

Each docstring says who calls it, from which thread, and what an exception does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from shadowmig.errors import CodecError
from shadowmig.model import Batch, Call, Difference, Reading, Record, Ref, RuleUse


class Comparator(Protocol):
    """
    Decides whether two values are equal, and says where not.

    Called by the judge, off the caller's path, always by keyword; `exact`, `structural` and `deep` build one.
    Returns the differences (`Differences`, or any iterable of `Difference`); an empty one means equal. An exception,
    or a return value that is neither, makes the verdict `BROKEN`.
    """

    def __call__(self, *, control: Any, candidate: Any) -> Iterable[Difference]: ...


@runtime_checkable
class HasRules(Protocol):
    """A comparator that can tell how often its rules took effect."""

    def rules(self) -> tuple[RuleUse, ...]:
        """Use of each rule since the comparator was built, in the order the rules were given."""
        ...


class Sampler(Protocol):
    """
    Decides whether a call is compared.

    Called on the caller's path, in the caller's thread, so it must be quick. An exception counts as "no", is counted
    under the operation ``sample``, and never reaches the caller.
    """

    def __call__(self, call: Call) -> bool: ...


class Sink(Protocol):
    """
    Where findings go.

    Called off the caller's path, by one thread at a time. An exception or a hang keeps the batch in a bounded spool
    that is offered again later, merged with what came since. If the object has ``close()``, it is called once.
    """

    def __call__(self, batch: Batch) -> None: ...


class Redactor(Protocol):
    """
    Takes secrets out of a value before it leaves the process.

    Called off the caller's path with a value and its path; exception texts come as text with the path
    ``"$error"``, arguments with paths below ``"$arguments"``. It must return a new value and not change the one given.
    If it raises, the value is withheld.
    """

    def __call__(self, value: Any, *, path: str) -> Any: ...


class Store(Protocol):
    """
    An adapter to one datastore. `shadowmig.testing.StoreContract` tests one against what is said here.

    Called off the caller's path by several threads at once, except `read` for ``hydrate=``, which is on it. Building
    one connects to nothing. Every call ends within the store's own timeout, and after a failure the next call tries
    anew. A forked child makes connections of its own.

    Every method that talks to the server raises `StoreUnavailable` if it cannot be reached or does not answer in time,
    and `StoreError` if it refuses (no such table, wrong type of key, memory full): the message names the field or the
    ref and the remedy, and no value and no password.
    """

    def __repr__(self) -> str:
        """Name kind and place of the store for people, without passwords."""
        ...

    def client(self) -> Any:
        """Give what the service's own code works with: a pool, a client; the same object each time."""
        ...

    def identity(self) -> str:
        """Ask the server which store this is: equal for two handles of one store, different for two stores."""
        ...

    def read(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """
        Read any number of records in one round trip (one for each server, where keys are spread over several).

        Args:
            refs: Their addresses; several of one kind are welcome, the same one twice too. None of them: only the mark
                and what changed.
            since: A mark of an earlier reading: also tell what was written after it, if the store can.
            timeout: Seconds for this call, if shorter than the store's own timeout.
        """
        ...

    def write(self, records: Sequence[Record]) -> None:
        """
        Make the store hold exactly these records, as `read` gave them of this or another store of the kind: value,
        version, time to live, flags. One without a value is deleted. In one round trip where the server allows it;
        for one server all or none where it can.

        Raises:
            ProductionRefused: After `forbid_writes`.
        """
        ...

    def delete(self, refs: Sequence[Ref]) -> None:
        """
        Remove records; those that are not there are no error. An entry is removed from its stream.

        Raises:
            ProductionRefused: After `forbid_writes`.
        """
        ...

    def reset(self) -> None:
        """
        Remove all records that refs of this store could lead to, and keep the schema.

        Raises:
            ProductionRefused: After `forbid_writes`.
        """
        ...

    def forbid_writes(self) -> None:
        """
        Make all connections of this object (not those of `client`) unable to write, by the server's own means where it
        has some. Cannot be undone.
        """
        ...

    def plant(self, nonce: str) -> None:
        """
        Leave a mark in this store that another handle of the same store finds with `finds`; an empty one removes it.

        Raises:
            ProductionRefused: After `forbid_writes`.
        """
        ...

    def finds(self, nonce: str) -> bool:
        """Tell whether this store holds the mark."""
        ...

    def close(self) -> None:
        """Close the connections made by this object; those handed in stay open. May be called twice."""
        ...


@runtime_checkable
class AsyncStore(Protocol):
    """A `Store` that can also be read on an event loop, so that ``hydrate=`` costs no change of threads."""

    async def aread(self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None) -> Reading:
        """Do what `Store.read` does."""
        ...


@runtime_checkable
class PartedStore(Protocol):
    """
    A `Store` that can be read in parts, so that ``hydrate=`` waits for several stores at the same time, and what needs
    no server is done off the caller's path.
    """

    def reading(
        self, refs: Sequence[Ref], *, since: Any = None, timeout: float | None = None
    ) -> Generator[Any, None, Reading]:
        """
        Do what `Store.read` does, as a generator: it yields ``None`` when the request is on its way, takes the answer,
        and returns the reading. In between it may yield `shadowmig.stores.parted.ANSWERED` once it needs no more of
        the server; what comes then is done by another thread. If it is closed before that, the connection is not used
        again.
        """
        ...


@runtime_checkable
class OutageStore(Protocol):
    """A `Store` that knows the exceptions of its clients, so that an outage of a sister is not taken for a defect."""

    def is_outage(self, error: type[BaseException]) -> bool:
        """
        Tell whether an exception of this class, which the service's code got from `Store.client`, is about the server:
        it could not be reached, had no room, or gave up. Others are about what it was asked.
        """
        ...


class Codec(Protocol):
    """
    Bytes to value and back, as one service does it in a cache or a stream. Stateless; called by several threads.

    ``flags`` are the client flags that Memcached keeps with a value; other stores give and ignore 0. What `decode`
    raises makes the record's value `Undecodable`; what `encode` raises is raised to whoever writes.
    """

    def encode(self, value: Any) -> tuple[bytes, int]:
        """Turn a value into bytes and flags."""
        ...

    def decode(self, data: bytes, flags: int) -> Any:
        """Turn bytes and flags into a value."""
        ...


@runtime_checkable
class BatchCodec(Protocol):
    """
    A `Codec` that is quicker for many values at once, such as one that asks another program.

    One result for each item, in their order. Where one fails, its result is the `CodecError`; only what concerns the
    codec itself is raised.
    """

    def encode_many(self, values: Sequence[Any]) -> list[tuple[bytes, int] | CodecError]:
        """Turn each value into bytes and flags."""
        ...

    def decode_many(self, items: Sequence[tuple[bytes, int]]) -> list[Any]:
        """Turn each of bytes and flags into a value."""
        ...
