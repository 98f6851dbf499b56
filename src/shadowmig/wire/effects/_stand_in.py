"""What stands in for a function or an object: the real one in ordinary code, a recorder inside of a check."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.wire.effects._check import CHECK, Check, answer, perform
from shadowmig.wire.fence import lifted

Answers = Any
"""What calls return that are not performed: a value, a function, or for objects a mapping of these by method."""

_DATA: Final = (type(None), bool, int, float, str, bytes, frozenset, type)
_CONTAINERS: Final = (list, tuple, dict, set)


def of_function(real: Callable[..., Any], name: str, returns: Any = None) -> Callable[..., Any]:
    """Stand in for a function or a class, and for what can be called among its attributes."""
    made = _recorder(real, name, returns)
    for attribute in dir(real):
        value = None
        with contextlib.suppress(Exception):  # what cannot be had of the real one cannot be had here
            value = None if attribute.startswith("__") else getattr(real, attribute)
        if inspect.isroutine(value):
            setattr(made, attribute, _recorder(value, f"{name}.{attribute}", None))
        elif callable(value) and not isinstance(value, type):
            setattr(made, attribute, stand_in(Plan(f"{name}.{attribute}", functools.partial(_same, value))))
        elif value is not None:
            setattr(made, attribute, value)
    return made


def _same(value: Any) -> Any:
    return value


def _recorder(real: Callable[..., Any], name: str, returns: Any) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        check = CHECK.get()
        if check is None:
            return real(*args, **kwargs)
        check.note(name, "", args, kwargs)
        return answer(returns, args, kwargs)

    return _dressed(stand_in, real)


def _dressed(stand_in: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    wraps = functools.wraps(real, updated=() if isinstance(real, type) else ("__dict__",))
    if not inspect.iscoroutinefunction(real):
        return wraps(stand_in)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        value = stand_in(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    return wraps(coroutine)


class Plan:
    """
    What a stand-in for an object does.

    Args:
        name: What effects call it.
        find: Gives the real object, which may depend on the context.
        returns: What calls return that are recorded.
        reads: Methods that are performed in a check too.
    """

    def __init__(
        self, name: str, find: Callable[[], Any], *, returns: Answers = None, reads: frozenset[str] = frozenset()
    ) -> None:
        self.name = name
        self.find = find
        self.returns = returns
        self.reads = reads
        self._methods: dict[str, Any] = {}

    def real(self) -> Any:
        """Give the real object, for this context."""
        if CHECK.get() is None:
            return self.find()
        with lifted():
            return self.find()

    def attribute(self, name: str) -> Any:
        """Give an attribute as code gets it that asks the stand-in for it."""
        method = self._methods.get(name)
        if method is not None:
            return method
        value, check = getattr(self.real(), name), CHECK.get()
        if callable(value) and not isinstance(value, type):
            made = self._method(name, value) if inspect.isroutine(value) else stand_in(_Member(self, name))
            return self._methods.setdefault(name, made)
        if check is None:
            return value
        if isinstance(value, _CONTAINERS):
            try:
                return copy.deepcopy(value)
            except Exception:  # noqa: BLE001 - what lies in it may be anything
                check.refuse(f"{self.name}.{name}", "It cannot be copied: wrap what uses it.")
        return value if isinstance(value, _DATA) else self.nested(check, name, value)

    def nested(self, check: Check, name: str, value: Any) -> Any:
        """Give an attribute that is an object as code gets it inside of a check."""
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


class _Member(Plan):
    """An attribute that can be called and is no function: it has attributes of its own, and calls are its owner's."""

    def __init__(self, owner: Plan, name: str) -> None:
        super().__init__(f"{owner.name}.{name}", lambda: getattr(owner.find(), name), reads=owner.reads)
        self._owner = owner
        self._called = name

    def call(self, check: Check, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what a method does inside of a check."""
        if name == "__call__":
            return self._owner.call(check, self._called, args, kwargs)
        return super().call(check, name, args, kwargs)


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
            plan.call(check, name, args, {})

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

    def __reduce_ex__(self, protocol: Any) -> Any:
        plan, check = self._shadowmig_plan, CHECK.get()
        if check is not None:
            check.refuse(f"{plan.name}.copy", "A copy would have real effects: wrap what makes it.")
        return plan.find().__reduce_ex__(protocol)


def real_of(value: Any) -> Any:
    """Give what a stand-in stands in for in this context, and anything else as it is."""
    return value._shadowmig_plan.real() if issubclass(type(value), StandIn) else value


def _special(name: str) -> Callable[..., Any]:
    def method(self: StandIn, *args: Any, **kwargs: Any) -> Any:
        plan, check = self._shadowmig_plan, CHECK.get()
        if check is not None:
            return plan.call(check, name, args, kwargs)
        real = plan.find()
        value = getattr(real, name)(*args, **kwargs)
        return self if value is real else value  # as after ``+=``, or the name would hold the real one

    return method


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


_BLOCKS: Final[Mapping[str, Callable[..., Any]]] = {
    "__enter__": _entered,
    "__exit__": _left,
    "__aenter__": _aentered,
    "__aexit__": _aleft,
}
_OWN: Final = frozenset(vars(StandIn)) | frozenset(
    "__new__ __init__ __del__ __getattribute__ __init_subclass__ __subclasshook__ __class_getitem__ __set_name__ "
    "__get__ __set__ __delete__ __sizeof__ __ne__".split()
)
"""Special methods that a stand-in has itself, or that belong to the class."""


def stand_in(plan: Plan) -> Any:
    """Make the stand-in of an object."""
    return _for(type(plan.real()), plan)


@functools.cache
def _class_for(kind: type) -> type[StandIn]:
    # Python looks for these on the class, so a stand-in has those that the real one has.
    names = {
        name
        for base in kind.__mro__[:-1]
        for name, each in vars(base).items()
        if name.startswith("__") and name.endswith("__") and callable(each) and name not in _OWN
    }
    return type(
        "StandIn", (StandIn,), {"__slots__": (), **{name: _BLOCKS.get(name) or _special(name) for name in names}}
    )


def _for(kind: type, plan: Plan) -> StandIn:
    made = object.__new__(_class_for(kind))
    object.__setattr__(made, "_shadowmig_plan", plan)
    return made
