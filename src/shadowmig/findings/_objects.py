"""
Looking into objects without running their code: the attributes they store, and a stand-in for showing them.

Danger: a property or a ``__repr__`` of somebody's class may query a database, hang, or print a password. Nothing here
calls one, but `opaque`, for objects that show nothing else.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import pathlib
import types
import uuid
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

# Their repr is quick, and safe to call. Checked by exact type: a subclass may have its own repr.
PLAIN: Final = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        complex,
        type(...),
        type(NotImplemented),
        dt.date,
        dt.datetime,
        dt.time,
        dt.timedelta,
        dt.timezone,
        decimal.Decimal,
        fractions.Fraction,
        uuid.UUID,
        range,
        types.FunctionType,
        types.BuiltinFunctionType,
        types.ModuleType,
    }
)


_SAFE_REPRS: Final = tuple(
    vars(kind)["__repr__"] for kind in (type, enum.EnumType, enum.Enum, enum.Flag, pathlib.PurePath)
)


@frozen(eq=False)
class Shown:
    """
    An object as it is shown after redaction.

    Attributes:
        name: Name of its class.
        fields: Its attributes, redacted.
    """

    name: str
    fields: Mapping[str, Any]


@frozen(eq=False)
class Verbatim:
    """
    Text shown without quotes.

    Attributes:
        text: The text.
    """

    text: str


def is_plain(value: object) -> bool:
    """Tell whether a value is atomic and its repr safe."""
    kind = type(value)
    if kind in PLAIN:
        return True
    return issubclass(kind, (type, enum.Enum, pathlib.PurePath)) and _repr_of(kind) in _SAFE_REPRS


def _repr_of(kind: type) -> object:
    # Looked up as the interpreter does it, but without asking the metaclass.
    for base in type.__dict__["__mro__"].__get__(kind):
        namespace = type.__dict__["__dict__"].__get__(base)
        if "__repr__" in namespace:
            return namespace["__repr__"]
    return None  # pragma: no cover - object has one


def attributes(value: object) -> dict[str, Any]:
    """
    Return what an object stores in its ``__dict__`` and slots; empty when there is nothing.

    No property, ``__getattr__`` or other code of the class runs.
    """
    found: dict[str, Any] = {}
    for base in reversed(type.__dict__["__mro__"].__get__(type(value))):
        namespace = type.__dict__["__dict__"].__get__(base)
        if "__slots__" not in namespace:
            continue
        for name, slot in list(namespace.items()):
            if type(slot) is types.MemberDescriptorType:
                try:
                    found[name] = slot.__get__(value)
                except AttributeError:
                    continue  # a slot that was never filled
    try:
        stored = object.__getattribute__(value, "__dict__")
    except AttributeError:
        stored = None
    if type(stored) is dict:
        found.update((name, item) for name, item in list(stored.items()) if type(name) is str)
    return found


def class_name(value: object) -> str:
    """Return the bare name of a value's class."""
    return str(type.__dict__["__name__"].__get__(type(value)))


def opaque(value: object) -> str:
    """Return ``repr(value)``, or a note that it failed; never raises."""
    try:
        return str.__str__(repr(value))
    except BaseException as error:  # noqa: BLE001 - somebody's __repr__ may raise anything
        return f"<{class_name(value)} whose repr raised {class_name(error)}>"


def length(value: Any) -> int:
    """Return the number of characters or bytes of text or bytes, whatever a subclass says."""
    return str.__len__(value) if issubclass(type(value), str) else len(memoryview(value))
