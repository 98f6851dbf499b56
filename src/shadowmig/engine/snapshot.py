"""
Freezing values at hand-over, so that nobody's later mutation can be seen.

A frozen value is a value that cannot change, kept as it is, or the bytes of a pickle made and read in this process
only. Pickle copies JSON-like trees in one C call that holds the GIL, and takes attrs classes, dataclasses, namedtuples
and whatever else knows how to pickle itself. Classes and functions are kept by reference, so local ones work too.

Danger: freezing runs on the caller's path, and objects that define ``__reduce__`` run their code here. The byte limit
bounds the rest.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Container, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from itertools import islice, zip_longest
from typing import Any, Final, NoReturn
from uuid import UUID

from shadowmig.engine.guard import sent_from_outside
from shadowmig.errors import SnapshotError, SnapshotTooLarge
from shadowmig.model import Missing

ATOMS: Final = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, UUID, Fraction, range, Missing, type(...)}
    | {date, datetime, time, timedelta, timezone}
)
"""Exact types whose values never change."""

_BY_REFERENCE: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
_ONE_SHOT: Final = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_LAZY: Final = frozenset({"LazyObject", "QuerySet"})
"""Classes of Django whose objects run a query when they are copied."""
_FRAMEWORKS: Final = frozenset(
    {"aiohttp", "bottle", "django", "falcon", "fastapi", "flask", "pyramid", "quart", "sanic", "sqlalchemy"}
    | {"starlette", "tornado", "werkzeug"}
)
"""Packages whose objects (requests, sessions, models) are no arguments to copy: half of the application hangs on them,
and some of it is loaded by copying."""
_DATA: Final = (dict, list, tuple, set, frozenset, str, bytes, int, float, BaseException)


class Frozen:
    """
    A value as it was when it was frozen.

    `thaw` gives an equal value that shares nothing mutable with the original, nor with another `thaw`.
    """

    __slots__ = ("_blob", "_references")

    def __init__(self, blob: bytes, references: list[Any] | None = None) -> None:
        self._blob = blob
        self._references = references

    def thaw(self) -> Any:
        """Build the value again, in the time it takes to unpickle it."""
        if self._references is None:
            return pickle.loads(self._blob)  # noqa: S301 - bytes we made in this process and never let out
        return _Thawer(self._blob, self._references).load()


class Kept:
    """A value that needs no copy, or that can have none; `thaw` gives the value itself."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def thaw(self) -> Any:
        """Give the value."""
        return self._value


def _reference(index: int) -> NoReturn:  # its name stands in the pickle; `_Thawer` replaces it
    raise SnapshotError(f"reference {index} read outside of a snapshot")


class _Buffer:
    """Collects a pickle and stops it at the limit; the pickler writes in frames of 64 KiB."""

    __slots__ = ("left", "parts")

    def __init__(self, limit: int = 0) -> None:
        self.parts: list[bytes] = []
        self.left = limit

    def write(self, part: bytes) -> None:
        self.left -= len(part)
        if self.left < 0:
            raise _Full
        self.parts.append(bytes(part))  # a large text comes as a view that is valid only now

    def take(self) -> bytes:
        blob = self.parts.pop() if len(self.parts) == 1 else b"".join(self.parts)
        self.parts.clear()
        return blob


_REMEDY: Final = "Give extract= a function that turns the answer into plain data."
_SHARE: Final = "Decorate a function that takes plain data, or name the argument in share=."


class _Full(Exception):
    pass


class _Freezer(pickle.Pickler):
    """
    The C pickler, which asks `reducer_override` about everything but the built-in kinds.

    Keeps classes and functions by reference, and refuses what must not be copied.
    """

    def __init__(self, buffer: _Buffer) -> None:
        super().__init__(buffer, 5)
        self.buffer = buffer
        self.references: list[Any] = []
        self.arguments = False

    def reducer_override(self, value: Any) -> Any:
        """Say how to copy a value that is no built-in container or atom."""
        kind = type(value)
        if kind in ATOMS or value is _reference:
            return NotImplemented
        # By type: `isinstance` would ask the object for its `__class__`, which a lazy one loads itself to answer.
        if issubclass(kind, _BY_REFERENCE):
            self.references.append(value)
            return _reference, (len(self.references) - 1,)
        remedy = _SHARE if self.arguments else _REMEDY
        if issubclass(kind, _ONE_SHOT):
            raise SnapshotError(f"A {kind.__name__} can be read only once.", remedy=remedy)
        if hasattr(kind, "__del__"):
            # The copy would be finalised too, and close what belongs to the original.
            raise SnapshotError(f"A {kind.__name__} has a finalizer.", remedy=remedy)
        if any(base.__name__ in _LAZY and base.__module__.startswith("django.") for base in kind.__mro__):
            raise SnapshotError(f"A {kind.__name__} would be loaded by copying it.", remedy=remedy)
        if self.arguments and not issubclass(kind, _DATA) and _of_a_framework(kind):
            raise SnapshotError(f"A {kind.__name__} of a framework is no plain data.", remedy=remedy)
        return NotImplemented


class _Thawer(pickle.Unpickler):
    def __init__(self, blob: bytes, references: list[Any]) -> None:
        super().__init__(BytesIO(blob))
        self._references = references

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reference" and module == __name__:
            return self._references.__getitem__
        return super().find_class(module, name)


_freezers: list[_Freezer] = []
"""Freezers at rest: making one costs as much as freezing a small answer."""

_SMALL: Final = 1 << 16
"""Bytes up to which a freezer is used again; one that has seen more keeps a large table."""


def freeze(value: Any, *, limit: int, argument: bool = False) -> Frozen | Kept:
    """
    Freeze a value.

    Args:
        value: Anything. Immutable values are kept as they are; lists, dicts, sets, attrs classes, dataclasses,
            namedtuples and everything that pickles are copied; classes, functions and modules are kept by reference.
        limit: The largest copy, in bytes.
        argument: Whether it is an argument of a call; then objects of web frameworks and ORMs are refused too.

    Returns:
        Something with a `thaw` method.

    Raises:
        SnapshotTooLarge: The copy would be larger than `limit`.
        SnapshotError: It holds a part that cannot be copied (a lock, a generator, an object with a finalizer), is
            nested too deep, or changed while being read.
    """
    kind = type(value)
    if kind in ATOMS:
        if (kind is str or kind is bytes) and len(value) > limit:
            raise SnapshotTooLarge(f"The value is larger than {limit} bytes.", limit=limit)
        return Kept(value)
    try:
        freezer = _freezers.pop()
    except IndexError:
        freezer = _Freezer(_Buffer())
    buffer = freezer.buffer
    buffer.left = limit
    freezer.arguments = argument
    try:
        freezer.dump(value)  # if this raises, the freezer is not used again
    except _Full:
        raise SnapshotTooLarge(f"The value is larger than {limit} bytes.", limit=limit) from None
    except SnapshotError:
        raise
    except Exception as error:
        if sent_from_outside(error):
            raise
        problem = f"A {kind.__name__} cannot be frozen: copying it raised {type(error).__name__}."
        raise SnapshotError(problem, remedy=_SHARE if argument else _REMEDY) from error
    freezer.clear_memo()  # it holds the value's parts
    blob, references = buffer.take(), freezer.references
    if references:
        freezer.references = []
    if len(blob) < _SMALL:
        _freezers.append(freezer)
    return Frozen(blob, references or None)


def all_atoms(args: tuple[Any, ...], kwargs: dict[str, Any], limit: int) -> bool:
    """Whether no argument can change, so that none needs a copy."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind not in ATOMS or ((kind is str or kind is bytes) and len(value) > limit):
            return False
    return True


class Arguments:
    """
    Frozen positional and keyword arguments.

    Args:
        own: The handler's own leading argument (``self``), kept by reference.
        values: The other positional arguments.
        named: The keyword arguments.
    """

    __slots__ = ("_named", "_own", "_values")

    def __init__(self, own: tuple[Any, ...], values: list[Frozen | Kept], named: dict[str, Frozen | Kept]) -> None:
        self._own, self._values, self._named = own, values, named

    def thaw(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give a copy for one side to work with."""
        named = {name: value.thaw() for name, value in self._named.items()}
        return self._own + tuple(value.thaw() for value in self._values), named


def freeze_arguments(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    limit: int,
    names: tuple[str, ...] = (),
    own: int = 0,
    share: Container[str] = (),
) -> Arguments:
    """
    Freeze the arguments of a call.

    Nothing that can change is passed on by reference unless the user says so: the checked side runs while the caller
    goes on, and would work on the caller's own session or request.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        limit: The largest copy of one argument, in bytes.
        names: Names of the positional ones.
        own: How many leading positional ones are the handler's own (``self``) and stay by reference.
        share: Names of arguments that are passed on by reference.

    Raises:
        SnapshotTooLarge: One is above the limit.
        SnapshotError: One cannot be copied.
    """

    def freeze_one(name: str, value: Any) -> Frozen | Kept:
        return Kept(value) if name in share else freeze(value, limit=limit, argument=True)

    positions = zip_longest(names[: len(args)], args, fillvalue="")
    values = [freeze_one(name, value) for name, value in islice(positions, own, None)]
    return Arguments(args[:own], values, {name: freeze_one(name, value) for name, value in kwargs.items()})


def _of_a_framework(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] in _FRAMEWORKS for base in kind.__mro__)
