"""
What can be decorated or compared against, worked out once: sync or async, a method or not, its parameters.

Everything that cannot work is refused here, when the service is built, with what to do instead.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from shadowmig.errors import ConfigError, HandlerError
from shadowmig.model import Parameters


@frozen
class Implementation:
    """
    One side's implementation.

    Attributes:
        function: What to call.
        name: Its qualified name, for people.
        is_async: Whether calling it gives a coroutine.
        own: Its first parameter if that is ``self`` or ``cls``, else empty.
        parameters: Names and defaults.
        takes_any: Whether it takes any keyword.
    """

    function: Callable[..., Any]
    name: str
    is_async: bool
    own: str
    parameters: Parameters
    takes_any: bool

    def adapted(self, handler: Implementation) -> Callable[..., Any]:
        """
        Give something that can be called as the handler is.

        Drops the handler's ``self`` if this has none, and passes arguments on under this one's own names.
        """
        function = self.function
        drop = bool(handler.own) and not self.own
        names = _renamed(handler.parameters.names[drop:], self)
        if names:
            function = functools.partial(_with_names, function, names)
        return functools.partial(_without_first, function) if drop else function


def _renamed(theirs: tuple[str, ...], other: Implementation) -> dict[str, str]:
    """Give the other side's names of the handler's parameters, where they differ."""
    ours = other.parameters.names
    return (
        {}
        if other.takes_any
        else {name: own for name, own in zip(theirs, ours, strict=False) if name != own and name not in ours}
    )


def _with_names(function: Callable[..., Any], names: dict[str, str], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **{names.get(name, name): value for name, value in kwargs.items()})


def _without_first(function: Callable[..., Any], _own: object, /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def implementation(function: Any, field: str) -> Implementation:
    """
    Describe a callable.

    Args:
        function: A function, method, ``functools.partial``, or object with ``__call__``.
        field: The option it was given as, for the message.

    Raises:
        HandlerError: It cannot be called, or it is a generator function.
    """
    if not callable(function):
        raise HandlerError(
            f"{field} is {function!r}, which cannot be called.", remedy="Pass a function.", field=field, value=function
        )
    inner = _inner(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise HandlerError(
            f"{field} is a generator function ({_name(function)}): its answer can be read only once, by the user.",
            remedy="Put the decorator on a function that returns the whole answer (a list), and stream from that.",
            field=field,
            value=function,
        )
    signature = _signature(function)
    return Implementation(
        function=function,
        name=_name(function),
        is_async=inspect.iscoroutinefunction(inner),
        own=_own(signature),
        parameters=_parameters(signature),
        takes_any=signature is None
        or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values()),
    )


def _inner(function: Any) -> Any:
    """Look through partials, and at ``__call__`` of objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # built-in functions may have none
        return None


def _own(signature: inspect.Signature | None) -> str:
    first = next(iter(signature.parameters), "") if signature is not None else ""
    return first if first in ("self", "cls") else ""


def _parameters(signature: inspect.Signature | None) -> Parameters:
    if signature is None:
        return Parameters()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    values = signature.parameters.values()
    return Parameters(
        names=tuple(parameter.name for parameter in values if parameter.kind in positional),
        defaults={p.name: p.default for p in values if p.default is not inspect.Parameter.empty},
        all=tuple(signature.parameters),
    )


def check_shared(handler: Implementation, share: Iterable[str]) -> None:
    """
    Check that the handler has the parameters that are to be shared.

    Raises:
        ConfigError: It has not.
    """
    unknown = sorted(set(share) - set(handler.parameters.all))
    if unknown and not handler.takes_any:
        raise ConfigError(
            f"share names {', '.join(unknown)}, which {handler.name} does not take.",
            remedy=f"Its parameters are: {', '.join(handler.parameters.all)}.",
            field="share",
            value=share,
        )


def check_other(handler: Implementation, other: Implementation, field: str) -> None:
    """
    Check that the other side can be called as the handler is.

    Raises:
        HandlerError: It lacks a parameter the handler requires, or requires one that the handler does not have.
    """
    ours, theirs = _signature(handler.function), _signature(other.function)
    if ours is None or theirs is None:
        return
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    values = list(ours.parameters.values())
    if any(parameter.kind in variable for parameter in values):
        return
    args, kwargs = _least_call(values[1:] if handler.own and not other.own else values)
    try:
        theirs.bind(*args, **kwargs)
    except TypeError as error:
        raise HandlerError(
            f"{field} {other.name}{theirs} cannot be called like {handler.name}{ours}: {error}.",
            remedy="Wrap it in a function with the handler's parameters.",
            field=field,
            value=other.function,
        ) from None


def _least_call(values: list[inspect.Parameter]) -> tuple[list[None], Mapping[str, None]]:
    """The shortest call a handler accepts."""
    required = [parameter for parameter in values if parameter.default is inspect.Parameter.empty]
    keyword = inspect.Parameter.KEYWORD_ONLY
    args = [None for parameter in required if parameter.kind is not keyword]
    return args, {parameter.name: None for parameter in required if parameter.kind is keyword}
