"""Stand-ins for the clients of stores, which know what reads and what writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final, Literal

from attrs import field, frozen

from shadowmig.wire.effects._check import Check, answer, perform
from shadowmig.wire.effects._stand_in import Plan, stand_in

Performs = Literal[False, True, "rollback"]

UNKNOWN: Final = object()
"""What a guess gives where nobody knows what a write would return."""


@frozen
class Writes:
    """
    What becomes of the writes of one client.

    Attributes:
        name: What effects call the client.
        perform: Whether they are performed on the sister.
        returns: What they return if not, by method, command or ``"execute"``; before what is known of the client.
    """

    name: str
    perform: Performs
    returns: Any = field(default=None)

    def write(
        self,
        check: Check,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        act: Callable[[], Any],
        guess: Callable[[], Any],
    ) -> Any:
        """
        Record a write, and perform it or say what it would have returned.

        Args:
            check: The running check.
            method: Its name.
            args: Its arguments.
            kwargs: Those by name.
            act: Performs it.
            guess: Says what it would return, or `UNKNOWN`.

        Raises:
            EffectRefused: It is not known what it would return.
        """
        check.note(self.name, method, args, kwargs, performed=self.perform is True)
        if self.perform is True:
            return perform(act, (), {})
        told = self.returns
        if isinstance(told, Mapping):
            told = told.get(method, UNKNOWN)
        elif told is None:
            told = UNKNOWN
        if told is not UNKNOWN:
            return answer(told, args, kwargs)
        guessed = guess()
        if guessed is UNKNOWN:
            check.refuse(f"{self.name}.{method}", f"Say what it gives: returns={{{method!r}: ...}}.")
        return guessed


class ClientPlan(Plan):
    """A stand-in for a client: what kind it is shows when it is used, for the sister's may be of another."""

    def __init__(self, name: str, find: Callable[[], Any], *, writes: Writes, reads: frozenset[str]) -> None:
        super().__init__(name, find, returns=writes.returns, reads=reads)
        self._writes = writes

    def call(self, check: Check, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what a method does inside of a check, as its kind of client wants it."""
        real = self.real()
        if name in self.reads or (name not in _CLOSING and name in _reads_of(real)):
            return perform(getattr(real, name), args, kwargs)
        if name in _CLOSING:
            return None  # the connection belongs to the service
        kind = kind_of(real)
        if kind == "memory" and name == "transaction":
            return nullcontext(stand_in(self))
        if kind == "redis" and name not in ("__setattr__", "__delattr__"):
            from shadowmig.wire.effects._redis import call

            return call(self._writes, check, real, name, args, kwargs)
        if kind == "sql":
            from shadowmig.wire.effects._sql import client

            return getattr(client(self._writes, check, real), name)(*args, **kwargs)
        return self._writes.write(
            check,
            name,
            args,
            kwargs,
            act=lambda: getattr(real, name)(*args, **kwargs),
            guess=lambda: _guess(kind, real, name, args, kwargs),
        )

    def nested(self, check: Check, name: str, value: Any) -> Any:
        """Give what a connection shows of itself; what else a client is made of would be used past us."""
        connection = self._connection(check)
        if connection is None:
            check.refuse(f"{self.name}.{name}", "Wrap the function that uses it.")
        return getattr(connection, name)

    def enter(self, check: Check, stand_in: Any) -> Any:
        """Give what is used inside of a block."""
        connection = self._connection(check)
        return stand_in if connection is None else connection.__enter__()

    def leave(self, check: Check, error: tuple[Any, ...]) -> Any:
        """End a block: of a connection, as its transaction ends."""
        connection = self._connection(check)
        return None if connection is None else connection.__exit__(*error)

    def _connection(self, check: Check) -> Any:
        real = self.real()
        if kind_of(real) != "sql" or callable(getattr(real, "connection", None)):
            return None
        from shadowmig.wire.effects._sql import client

        return client(self._writes, check, real)


_CLOSING: Final = frozenset({"close", "aclose", "quit", "disconnect_all"})

_READS: Final[Mapping[str, frozenset[str]]] = {
    "memcache": frozenset(
        "get gets get_many get_multi gets_many gets_multi stats version check_key __getitem__ __contains__".split()
    ),
    "memory": frozenset("get get_row rows entries".split()),
}


def _reads_of(client: Any) -> frozenset[str]:
    return _READS.get(kind_of(client), frozenset())


def kind_of(client: Any) -> str:
    """Tell of which of the known kinds a client is; empty if of none."""
    bases = type(client).__mro__
    if any(".asyncio" in base.__module__ for base in bases):
        return ""
    for base in bases:
        package = base.__module__.partition(".")[0]
        if package == "pymemcache":
            return "memcache"
        if package == "redis":
            return "redis"
        if base.__module__ == "shadowmig.stores._memory_client":
            return "memory"
        if package in ("psycopg", "psycopg_pool") or base.__module__ == "shadowmig.stores._pg_client":
            return "" if inspect.iscoroutinefunction(getattr(base, "close", None)) else "sql"
    return ""


_TRUE: Final = frozenset(
    "set replace append prepend cas delete delete_many delete_multi touch flush_all cache_memlimit remove "
    "__setitem__ __delitem__".split()
)
"""Writes to a cache that give ``True`` if they went well."""


def _guess(kind: str, client: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Say what a write to a cache would return if it went well, by reading where that depends on what is there."""
    if kind == "memory" and name in _MEMORY:
        return _MEMORY[name](client, args, kwargs)
    if name in ("set_many", "set_multi"):
        return []
    if name not in ("add", "incr", "decr"):
        return True if name in _TRUE else UNKNOWN
    held = perform(client.get, (args[0] if args else kwargs["key"],), {})
    if name == "add":
        return held is None
    by = int(args[1] if len(args) > 1 else kwargs.get("value", kwargs.get("by", 1)))
    if held is None:
        return by if kind == "memory" else None
    return int(held) + by if name == "incr" else max(int(held) - by, 0)


def _updated(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    row = perform(client.get_row, args, {})
    return None if row is None else {**row, **kwargs}


_MEMORY: Final[Mapping[str, Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]]] = {
    "insert": lambda _client, args, kwargs: dict(kwargs["row"] if len(args) < 2 else args[1]),
    "update": _updated,
    "append": lambda *_: "0-1",
    "set": lambda *_: None,
}
