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
from collections.abc import Callable, Mapping
from copyreg import dispatch_table
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any, Final, NoReturn
from uuid import UUID

from shadowmig.errors import SnapshotError, SnapshotTooLarge
from shadowmig.model import Missing

ATOMS: Final = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, UUID, Fraction, range, Missing, type(...)}
    | {date, datetime, time, timedelta, timezone}
)
"""Exact types whose values never change."""

_BY_REFERENCE: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
_ONE_SHOT: Final = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
_PLAIN: Final = ATOMS | {dict, list, tuple, set, frozenset, bytearray}


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


class _Full(Exception):
    pass


class _Freezer(pickle.Pickler):
    """Keeps classes, functions and, if told so, what cannot be copied by reference; slower than the plain pickler."""

    def __init__(self, buffer: _Buffer, share: bool) -> None:
        super().__init__(buffer, 5)
        self.references: list[Any] = []
        self._share = share

    def _keep(self, value: Any) -> tuple[Callable[..., Any], tuple[int]]:
        self.references.append(value)
        return _reference, (len(self.references) - 1,)

    def reducer_override(self, value: Any) -> Any:
        """Called by the C pickler for everything but the built-in kinds."""
        if value is _reference:
            return NotImplemented
        if isinstance(value, _BY_REFERENCE):
            return self._keep(value)
        if isinstance(value, _ONE_SHOT) and not self._share:
            raise SnapshotError(f"A {type(value).__name__} can be read only once.")
        reduce = dispatch_table.get(type(value))
        try:
            return reduce(value) if reduce is not None else value.__reduce_ex__(5)
        except Exception:
            if self._share:
                return self._keep(value)
            raise


class _Thawer(pickle.Unpickler):
    def __init__(self, blob: bytes, references: list[Any]) -> None:
        super().__init__(BytesIO(blob))
        self._references = references

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reference" and module == __name__:
            return self._references.__getitem__
        return super().find_class(module, name)


_picklers: list[tuple[_Buffer, pickle.Pickler]] = []
"""Picklers at rest: making one costs a quarter of the freezing of a small answer."""

_SMALL: Final = 1 << 16
"""Bytes up to which a pickler is used again; one that has seen more keeps a large table."""


def _dump(value: Any, limit: int) -> bytes:
    try:
        buffer, pickler = _picklers.pop()
    except IndexError:
        buffer = _Buffer()
        pickler = pickle.Pickler(buffer, 5)
    buffer.left = limit
    pickler.dump(value)  # if this raises, the pickler is not used again
    pickler.clear_memo()  # it holds the value's parts
    blob = buffer.take()
    if len(blob) < _SMALL:
        _picklers.append((buffer, pickler))
    return blob


def freeze(value: Any, *, limit: int, share: bool = False) -> Frozen | Kept:
    """
    Freeze a value.

    Args:
        value: Anything. Immutable values are kept as they are; lists, dicts, sets, attrs classes, dataclasses,
            namedtuples and everything that pickles are copied; classes, functions and modules are kept by reference.
        limit: The largest copy, in bytes.
        share: What to do with a part that is none of these (a lock, a socket, a request): keep that part by reference
            if true, else refuse.

    Returns:
        Something with a `thaw` method.

    Raises:
        SnapshotTooLarge: The copy would be larger than `limit`.
        SnapshotError: It holds a part that cannot be copied, is nested too deep, or changed while being read.
    """
    kind = type(value)
    try:
        if kind in ATOMS:
            if (kind is str or kind is bytes) and len(value) > limit:
                raise _Full
            return Kept(value)
        try:
            return Frozen(_dump(value, limit))
        except _Full:
            raise
        except Exception:
            return _freeze_with_references(value, limit, share)
    except _Full:
        raise SnapshotTooLarge(f"The value is larger than {limit} bytes.", limit=limit) from None


def _freeze_with_references(value: Any, limit: int, share: bool) -> Frozen:
    buffer = _Buffer(limit)
    freezer = _Freezer(buffer, share)
    try:
        freezer.dump(value)
    except (_Full, SnapshotError):
        raise
    except Exception as error:
        raise SnapshotError(
            f"A {type(value).__name__} cannot be frozen: {type(error).__name__}: {error}",
            remedy="Give extract= a function that turns it into plain data.",
        ) from error
    return Frozen(buffer.take(), freezer.references)


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


_shared_types: set[type] = set()
"""Argument types that once proved too large or impossible to copy: passed by reference at once from then on."""


def freeze_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any], *, own: int, limit: int) -> Arguments:
    """
    Freeze the arguments of a call.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        own: How many leading positional ones are the handler's own (``self``) and stay by reference.
        limit: The largest copy of one argument, in bytes.

    An argument that cannot be copied (a request, a session) is shared by reference, as is every later argument of that
    class.

    Raises:
        SnapshotTooLarge: Plain data above the limit.
    """
    values = [_freeze_argument(value, limit) for value in args[own:]]
    return Arguments(args[:own], values, {name: _freeze_argument(value, limit) for name, value in kwargs.items()})


def _freeze_argument(value: Any, limit: int) -> Frozen | Kept:
    kind = type(value)
    if kind in _shared_types:
        return Kept(value)
    try:
        return freeze(value, limit=limit, share=True)
    except SnapshotError:
        if kind in _PLAIN:
            raise
        _shared_types.add(kind)
        return Kept(value)
