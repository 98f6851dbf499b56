"""What stands in for a function or an object: the real one in ordinary code, a recorder inside of a check."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.wire.effects._check import CHECK, Check, answer, perform

Answers = Any
"""What calls return that are not performed: a value, a function, or for objects a mapping of these by method."""

_DATA: Final = (type(None), bool, int, float, str, bytes, list, tuple, dict, set, frozenset, type)


def of_function(real: Callable[..., Any], name: str, returns: Any) -> Callable[..., Any]:
    """Stand in for a function; for a coroutine function by one."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        check = CHECK.get()
        if check is None:
            return real(*args, **kwargs)
        check.note(name, "", args, kwargs)
        return answer(returns, args, kwargs)

    return _dressed(stand_in, real)


def _dressed(stand_in: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(real):
        return functools.wraps(real)(stand_in)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        value = stand_in(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    return functools.wraps(real)(coroutine)


class Plan:
    """
    What a stand-in for an object does.

    Args:
        name: What effects call it.
        find: Gives the real object, which may depend on the context.
        returns: What calls return that are recorded.
        reads: Methods that are performed in a check too.
    """

    nested = True
    """Whether objects that are attributes of the real one get stand-ins inside of a check."""

    def __init__(self, name: str, find: Callable[[], Any], *, returns: Answers = None, reads: frozenset[str]) -> None:
        self.name = name
        self.find = find
        self.returns = returns
        self.reads = reads
        self._methods: dict[str, Callable[..., Any]] = {}

    def real(self) -> Any:
        """Give the real object, for this context."""
        return self.find() if CHECK.get() is None else perform(self.find, (), {})

    def attribute(self, name: str) -> Any:
        """Give an attribute as code gets it that asks the stand-in for it."""
        method = self._methods.get(name)
        if method is not None:
            return method
        value = getattr(self.real(), name)
        if callable(value) and not isinstance(value, type):
            return self._methods.setdefault(name, self._method(name, value))
        if CHECK.get() is None or not self.nested or isinstance(value, _DATA):
            return value
        return stand_in(Plan(f"{self.name}.{name}", lambda: value, returns=self.returns, reads=self.reads))

    def _method(self, name: str, value: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            check = CHECK.get()
            if check is None:
                return getattr(self.find(), name)(*args, **kwargs)
            return self.call(check, name, args, kwargs)

        return _dressed(method, value)

    def call(self, check: Check, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what a method does inside of a check."""
        if name in self.reads:
            return perform(getattr(self.real(), name), args, kwargs)
        check.note(self.name, name, args, kwargs)
        return self.answer(name, args, kwargs)

    def enter(self, check: Check, stand_in: Any) -> Any:
        """Say what a ``with`` block is given inside of a check."""
        return stand_in

    def leave(self, check: Check, error: tuple[Any, ...]) -> Any:
        """Do what is to be done at the end of such a block."""

    def answer(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Give what a call returns that is not performed."""
        returns = self.returns
        return answer(returns.get(name) if isinstance(returns, Mapping) else returns, args, kwargs)


class StandIn:
    """Passes all attributes on to its plan; made by `stand_in`, of a class with the special methods of the real one."""

    __slots__ = ("_shadowmig_plan",)
    _shadowmig_plan: Plan

    def __getattr__(self, name: str) -> Any:
        return self._shadowmig_plan.attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._shadowmig_change("__setattr__", name, value)

    def __delattr__(self, name: str) -> None:
        self._shadowmig_change("__delattr__", name)

    def _shadowmig_change(self, name: str, *args: Any) -> None:
        plan, check = self._shadowmig_plan, CHECK.get()
        if check is None:
            getattr(plan.find(), name)(*args)
        else:
            check.note(plan.name, name, args)

    @property
    def __class__(self) -> type:
        return type(self._shadowmig_plan.real())

    @__class__.setter
    def __class__(self, kind: type) -> None:  # pragma: no cover - the type checker wants both
        raise TypeError("a stand-in keeps its class")

    def __repr__(self) -> str:
        return repr(self._shadowmig_plan.real())

    def __str__(self) -> str:
        return str(self._shadowmig_plan.real())

    def __dir__(self) -> list[str]:
        return dir(self._shadowmig_plan.real())

    def __bool__(self) -> bool:
        return bool(self._shadowmig_plan.real())

    def __eq__(self, other: object) -> bool:
        return bool(self._shadowmig_plan.real() == real_of(other))

    def __hash__(self) -> int:
        return hash(self._shadowmig_plan.real())


def real_of(value: Any) -> Any:
    """Give what a stand-in stands in for in this context, and anything else as it is."""
    return value._shadowmig_plan.real() if issubclass(type(value), StandIn) else value


def _special(name: str) -> Callable[..., Any]:
    def method(self: StandIn, *args: Any) -> Any:
        plan, check = self._shadowmig_plan, CHECK.get()
        if check is None:
            return getattr(plan.find(), name)(*args)
        return plan.call(check, name, args, {})

    return method


def _called(self: StandIn, *args: Any, **kwargs: Any) -> Any:
    plan, check = self._shadowmig_plan, CHECK.get()
    return plan.find()(*args, **kwargs) if check is None else plan.call(check, "__call__", args, kwargs)


def _entered(self: StandIn) -> Any:
    plan, check = self._shadowmig_plan, CHECK.get()
    return plan.find().__enter__() if check is None else plan.enter(check, self)


def _left(self: StandIn, *error: Any) -> Any:
    plan, check = self._shadowmig_plan, CHECK.get()
    return plan.find().__exit__(*error) if check is None else plan.leave(check, error)


async def _aentered(self: StandIn) -> Any:
    return self if CHECK.get() is not None else await self._shadowmig_plan.find().__aenter__()


async def _aleft(self: StandIn, *error: Any) -> Any:
    return None if CHECK.get() is not None else await self._shadowmig_plan.find().__aexit__(*error)


_SPECIAL: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: _special(name) for name in ("__getitem__", "__setitem__", "__delitem__", "__contains__", "__len__")},
    "__iter__": _special("__iter__"),
    "__call__": _called,
    "__enter__": _entered,
    "__exit__": _left,
    "__aenter__": _aentered,
    "__aexit__": _aleft,
}


def stand_in(plan: Plan) -> Any:
    """Make the stand-in of an object."""
    return _for(type(plan.real()), plan)


@functools.cache
def _class_for(kind: type) -> type[StandIn]:
    # Python looks for these on the class, so a stand-in has those that the real one has.
    # Not by `hasattr`, which finds what makes the class itself callable.
    body = {name: each for name, each in _SPECIAL.items() if any(base.__dict__.get(name) for base in kind.__mro__)}
    return type("StandIn", (StandIn,), {"__slots__": (), **body})


def _for(kind: type, plan: Plan) -> StandIn:
    made = object.__new__(_class_for(kind))
    object.__setattr__(made, "_shadowmig_plan", plan)
    return made
