"""
Side effects recorded instead of performed, while a consumer is being checked.

**When:** the legacy's code sends mail, calls services or writes stores, and is to run without doing so.
**Example:** ``effects = Effects(); send_mail = effects.wrap(smtp.send_mail, name="mail", returns="queued")``
**Units:** none.

Where the service puts its parts together, it gives its code stand-ins for what has effects. In ordinary code they pass
everything on, at the cost of looking at a context variable. Inside of a check they record what was tried, and answer.

Danger: a stand-in only helps where it is used. A function that another module has imported before, or a bound method
that was taken from the real object, is performed. The fence (`shadowmig.wire.fence`) stops most of what is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import getattr_static, isroutine
from typing import Any, TypeVar, overload

from shadowmig.errors import ConfigError
from shadowmig.wire.effects import _stand_in as stand_ins
from shadowmig.wire.effects._check import Effect
from shadowmig.wire.effects._clients import ClientPlan, Performs, Writes, kind_of
from shadowmig.wire.fence import Fence
from shadowmig.wire.fence._allowed import Allowed

__all__ = ["Effect", "Effects"]

T = TypeVar("T")


class Effects:
    """
    Makes the stand-ins of a service, and says what its consumers may reach all the same.

    What a stand-in records are names and arguments as plain data, copied at that moment: tuples as lists, members of
    enums as their values, other objects as dicts of their public fields with the class under ``"$type"``, or of their
    ``repr`` if they have no such fields and it shows a value, functions by name. Stand-ins record whichever check they
    run in, and need no check to be made.

    Args:
        allow: Addresses that may be connected to in a check: those of the sisters' servers, if code takes clients
            straight from `SisterStore.client`. As for `Fence`.

    Raises:
        ConfigError: An address is none.
    """

    def __init__(self, *, allow: str | tuple[str, int] | Iterable[str | tuple[str, int]] = ()) -> None:
        self._allowed: Any = Allowed(allow)

    def fence(self) -> Fence:
        """Give a fence for one check."""
        return Fence(allow=self._allowed)

    @overload
    def wrap(self, real: T, *, name: str = "", returns: Any = None, reads: Iterable[str] = ()) -> T: ...
    @overload
    def wrap(self, *, name: str = "", returns: Any = None, reads: Iterable[str] = ()) -> Callable[[T], T]: ...
    def wrap(self, real: Any = None, *, name: str = "", returns: Any = None, reads: Iterable[str] = ()) -> Any:
        """
        Stand in for a function or an object.

        In ordinary code the stand-in does what the real one does, with the same values, exceptions and attributes; only
        code in C that wants the very class, as `json` wants a dict, does not take it. In a check a function, or any
        method of an object, is recorded and not called. Attributes that are data can be read, containers as copies;
        those that are objects get stand-ins of their own, unless they were taken out before. An object in a ``with``
        block gives itself. To copy or pickle an object is refused.

        Args:
            real: The function, coroutine function or object. Left out, this is a decorator.
            name: What effects call it; by default its own name.
            returns: What calls give in a check: a value, of which containers are copied for each call, or a function
                that is called with the arguments; a coroutine function where code awaits what a plain function gives.
                For an object also a dict of these by method; other methods then give ``None``.
            reads: Methods of an object that only read: they are performed in a check too, outside of the fence.

        Raises:
            ConfigError: ``reads`` is given for a function, it or ``returns`` names a method that the object has not, or
                there is no name.
        """
        if real is None:
            return partial(self.wrap, name=name, returns=returns, reads=reads)
        routine = isroutine(real) or isinstance(real, type | partial)
        name = name or (getattr(real, "__qualname__", "") if routine else type(real).__qualname__)
        _check_name(name)
        if not routine:
            _check_methods(real, reads=_names(reads), returns=returns if isinstance(returns, Mapping) else ())
            plan = stand_ins.Plan(name, lambda: real, returns=returns, reads=_names(reads))
            return stand_ins.stand_in(plan)
        if reads:
            raise ConfigError("reads is given for a function.", remedy="It names methods of an object.", field="reads")
        return stand_ins.of_function(real, name, returns)

    def client(
        self,
        store: Any,
        *,
        name: str = "",
        perform: Performs = False,
        returns: Any = None,
        reads: Iterable[str] = (),
    ) -> Any:
        """
        Stand in for the client of a store.

        In ordinary code it is the client itself: of a `SisterStore` what its `client` gives to whoever asks. In a check
        reads are performed on the sister's client, outside of the fence, and writes are recorded. Both events of a
        pair so find the same state. A write that is not performed answers as if it had gone well, by looking at the
        sister where that depends on what is there: ``SET`` with ``NX``, ``add``, ``incr``. One of which nobody knows
        what it gives, as ``SPOP``, is recorded and then refused by its name. What the handler has written it does not
        read back.

        Known are the clients of pymemcache, `redis.Redis` with its pipelines, connections and pools of psycopg, and
        that of `MemoryStore`. Of any other, every method not named in ``reads`` is a write that gives ``None``.

        Danger: a client that is given instead of a `SisterStore` is used as it is. On a connection of psycopg there is
        then the transaction that is rolled back, so nobody else must use it meanwhile.

        Args:
            store: A `SisterStore`, or a client.
            name: What effects call it; by default the store's name, or the client's class.
            perform: Whether writes are performed on the sister too. ``"rollback"``, for SQL: they are performed in a
                transaction that is rolled back at the end of a block or of the check, so that ids and counts are
                real. ``True``: they stay, and the second event of a pair finds what the first one did.
            returns: What writes give that are not performed: a value or a function of the arguments, or a dict of
                these by method, by command of Redis, or by ``"execute"``; for SQL the rows.
            reads: More methods that only read.

        Raises:
            ConfigError: ``perform`` is wrong, or cannot be had of this client.
        """
        from shadowmig.stores.sister import SisterStore

        if perform not in (False, True, "rollback"):
            raise ConfigError(
                f"perform is {perform!r}.", remedy='Use False, True or "rollback".', field="perform", value=perform
            )
        sister = isinstance(store, SisterStore)
        find = store.client if sister else lambda: store
        name = name or (store.name if sister else type(store).__name__)
        _check_name(name)
        kind = kind_of(find())
        if perform and (not kind or (perform == "rollback" and kind != "sql")):
            unknown = "which has no transactions" if kind else "of which it is not known what writes"
            raise ConfigError(
                f"perform is {perform!r} for a {type(find()).__name__}, {unknown}.",
                remedy="Leave it out, or wrap the functions that use the client.",
                field="perform",
                value=perform,
            )
        if not kind:
            return stand_ins.stand_in(stand_ins.Plan(name, find, returns=returns, reads=_names(reads)))
        writes = Writes(name, perform, returns)
        return stand_ins.stand_in(ClientPlan(name, find, writes=writes, reads=_names(reads)))


def _names(reads: Iterable[str]) -> frozenset[str]:
    return frozenset((reads,) if isinstance(reads, str) else reads)


def _check_methods(real: object, **given: Iterable[str]) -> None:
    if hasattr(type(real), "__getattr__"):  # it may have any
        return
    for field, names in given.items():
        for name in names:
            try:
                getattr_static(real, name)
            except AttributeError:
                raise ConfigError(
                    f"{field} names {name!r}, which a {type(real).__name__} does not have.",
                    remedy="Name its methods.",
                    field=field,
                    value=name,
                ) from None


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"name is {name!r}.", remedy="Use a text.", field="name", value=name)
