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

    `thaw` gives an equal value that shares nothing mutable with the original, nor with another `thaw`; for values kept
    by reference (see `freeze`) it gives the original.
    """

    __slots__ = ("_blob", "_references")

    def __init__(self, blob: bytes, references: list[Any]) -> None:
        self._blob = blob
        self._references = references

    def thaw(self) -> Any:
        """Build the value again, in the time it takes to unpickle it."""
        if not self._references:
            return pickle.loads(self._blob)  # noqa: S301 - bytes we made in this process and never let out
        return _Thawer(self._blob, self._references).load()


class _Kept:
    """A frozen value that needs no copy."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def thaw(self) -> Any:
        return self._value


def _reference(index: int) -> NoReturn:  # its name stands in the pickle; `_Thawer` replaces it
    raise SnapshotError(f"reference {index} read outside of a snapshot")


class _Buffer:
    """Collects a pickle and stops it at the limit; the pickler writes in frames of 64 KiB."""

    __slots__ = ("_left", "_limit", "parts")

    def __init__(self, limit: int) -> None:
        self.parts: list[bytes] = []
        self._left = self._limit = limit

    def write(self, part: bytes) -> None:
        self._left -= len(part)
        if self._left < 0:
            raise SnapshotTooLarge(f"The value is larger than {self._limit} bytes.", limit=self._limit)
        self.parts.append(bytes(part))


class _Freezer(pickle.Pickler):
    """The C pickler calls `reducer_override` for everything but the built-in kinds."""

    def __init__(self, buffer: _Buffer, share: bool) -> None:
        super().__init__(buffer, 5)
        self.references: list[Any] = []
        self._share = share

    def _keep(self, value: Any) -> tuple[Callable[..., Any], tuple[int]]:
        self.references.append(value)
        return _reference, (len(self.references) - 1,)

    def reducer_override(self, value: Any) -> Any:
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
        from io import BytesIO

        super().__init__(BytesIO(blob))
        self._references = references

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reference" and module == __name__:
            return self._references.__getitem__
        return super().find_class(module, name)


def freeze(value: Any, *, limit: int, share: bool = False) -> Frozen | _Kept:
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
    if kind in ATOMS:
        if (kind is str or kind is bytes) and len(value) > limit:
            raise SnapshotTooLarge(f"The value is larger than {limit} bytes.", limit=limit)
        return _Kept(value)
    buffer = _Buffer(limit)
    freezer = _Freezer(buffer, share)
    try:
        freezer.dump(value)
    except SnapshotError:
        raise
    except Exception as error:
        raise SnapshotError(
            f"A {kind.__name__} cannot be frozen: {type(error).__name__}: {error}",
            remedy="Give extract= a function that turns it into plain data.",
        ) from error
    parts = buffer.parts
    return Frozen(parts[0] if len(parts) == 1 else b"".join(parts), freezer.references)


class Arguments:
    """Frozen positional and keyword arguments; the first `kept` positional ones (``self``) stay by reference."""

    __slots__ = ("_frozen", "_kept")

    def __init__(self, kept: tuple[Any, ...], frozen: Any) -> None:
        self._kept = kept
        self._frozen = frozen

    def thaw(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give a copy of the arguments for one side to work with."""
        args, kwargs = self._frozen.thaw()
        return self._kept + args, dict(kwargs)


_shared_types: set[type] = set()
"""Argument types that once proved too large or impossible to copy: passed by reference at once from then on."""


def freeze_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any], *, kept: int, limit: int) -> Arguments:
    """
    Freeze the arguments of a call.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        kept: How many leading positional ones are the handler's own (``self``) and stay by reference.
        limit: The largest copy, in bytes.

    An argument that cannot be copied (a request, a session) is shared by reference, as is every later argument of that
    class.

    Raises:
        SnapshotTooLarge: Plain data above the limit.
    """
    own, rest = (args[:kept], args[kept:]) if kept else ((), args)
    for value in (*rest, *kwargs.values()) if kwargs else rest:
        kind = type(value)
        if kind not in ATOMS or ((kind is str or kind is bytes) and len(value) > limit):
            break
    else:
        return Arguments(own, _Kept((rest, kwargs)))
    frozen = [_freeze_argument(value, limit) for value in rest]
    named = {name: _freeze_argument(value, limit) for name, value in kwargs.items()}
    return Arguments(own, _Each(frozen, named))


class _Each:
    __slots__ = ("_named", "_values")

    def __init__(self, values: list[Frozen | _Kept], named: dict[str, Frozen | _Kept]) -> None:
        self._values, self._named = values, named

    def thaw(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named = {name: value.thaw() for name, value in self._named.items()}
        return tuple(value.thaw() for value in self._values), named


def _freeze_argument(value: Any, limit: int) -> Frozen | _Kept:
    kind = type(value)
    if kind in _shared_types:
        return _Kept(value)
    try:
        return freeze(value, limit=limit, share=True)
    except SnapshotError:
        if kind in _PLAIN:
            raise
        _shared_types.add(kind)
        return _Kept(value)
