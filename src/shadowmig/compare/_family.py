"""
What kind of value a value is, and how to look inside it without running its code.

Decided by ``type(value)``, never by ``isinstance`` (a value may lie about its ``__class__``). Containers are read
through the methods of the built-in class, attributes through the slots and dicts they are stored in: overridden
methods, properties and ``__getattr__`` of the value never run. Pydantic, protobuf and the models of Django and
SQLAlchemy are recognised when the service has imported them; they are never imported here.
"""

from __future__ import annotations

import enum
import sys
import types
import uuid
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from attrs import frozen

from shadowmig.compare.json_text import DuplicateKey

SCALAR: Final = "scalar"
MAP: Final = "map"
SEQ: Final = "seq"
SET: Final = "set"
OBJECT: Final = "object"
FOREIGN: Final = "foreign"
OPAQUE: Final = "opaque"


@frozen(eq=False)
class Family:
    """
    How values of one type are compared.

    Attributes:
        group: ``SCALAR`` by value, ``MAP`` ``SEQ`` ``SET`` ``OBJECT`` by content, ``FOREIGN`` by its own guarded
            ``__eq__``, ``OPAQUE`` by identity.
        base: The built-in type a scalar is, or is derived from.
        read: Gives a container's content: a dict (``MAP``, ``OBJECT``), a list or tuple (``SEQ``, ``SET``).
        guarded: Whether reading runs code that is not ours.
        hollow: Whether an object with no content is different from every other one.
    """

    group: str
    base: type[Any] = object
    read: Callable[[Any], Any] = lambda value: value
    guarded: bool = False
    hollow: bool = False


_SCALARS: Final[tuple[type[Any], ...]] = (
    bool, int, float, complex, str, bytes, bytearray, memoryview, type(None), Decimal, Fraction,
    datetime, date, time, timedelta, tzinfo, uuid.UUID, range, type(NotImplemented), type(...),
)  # fmt: skip
_IDENTITY: Final[tuple[type[Any], ...]] = (
    type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.GeneratorType, types.CoroutineType,
    types.AsyncGeneratorType, types.CodeType, types.FrameType, types.TracebackType,
)  # fmt: skip

_known: dict[type[Any], Family] = {
    dict: Family(MAP),
    list: Family(SEQ),
    tuple: Family(SEQ),
    DuplicateKey: Family(SCALAR, DuplicateKey),
}
_known.update((kind, Family(SCALAR, kind)) for kind in _SCALARS if kind is not tzinfo)
_learned: weakref.WeakKeyDictionary[type[Any], Family] = weakref.WeakKeyDictionary()


def family(kind: type[Any]) -> Family:
    """The family of a type; worked out once per type, which is held weakly."""
    try:
        found = _known.get(kind) or _learned.get(kind)
        if found is None:
            found = _learned[kind] = _classify(kind)
        return found
    except Exception:  # noqa: BLE001 - a metaclass with a hostile __hash__ or __eq__
        return _OPAQUE


_OPAQUE: Final = Family(OPAQUE)
_ARGS: Final[Any] = BaseException.__dict__["args"]


def _classify(kind: type[Any]) -> Family:
    mro = type.__dict__["__mro__"].__get__(kind)
    if enum.Enum in mro:
        base = next((base for base in (int, float, str) if base in mro), object)
        return Family(OPAQUE, base)
    if any(base in mro for base in _IDENTITY):
        return _OPAQUE
    return _container(kind, mro) or _record(kind, mro) or _scalar(mro) or _plain(kind, mro)


def _container(kind: type[Any], mro: tuple[type[Any], ...]) -> Family | None:
    if tuple in mro:
        fields = _attribute(mro, "_fields")
        if type(fields) is tuple and all(type(name) is str for name in fields):
            return Family(OBJECT, tuple, lambda value: dict(zip(fields, tuple.__iter__(value), strict=True)))
        return Family(SEQ, tuple, lambda value: [*tuple.__iter__(value)])
    if OrderedDict in mro:
        return Family(MAP, OrderedDict, _ordered)
    if dict in mro:
        # Not dict.copy: it asks an overridden __iter__.
        return Family(MAP, dict, lambda value: dict(dict.items(value)))
    if list in mro:
        return Family(SEQ, list, list.copy)
    if deque in mro:
        return Family(SEQ, deque, lambda value: [*deque.__iter__(value)])
    if set in mro:
        return Family(SET, set, lambda value: [*set.__iter__(value)])
    if frozenset in mro:
        return Family(SET, frozenset, lambda value: [*frozenset.__iter__(value)])
    if kind is types.MappingProxyType or Mapping in mro:
        return Family(MAP, Mapping, _items, guarded=True)
    return None


def _ordered(value: Any) -> dict[Any, Any]:
    return {key: dict.__getitem__(value, key) for key in OrderedDict.__iter__(value)}


def _items(value: Any) -> Any:
    # Not dict(value): its length is not known, and the caller ticks while it reads.
    return ((key, value[key]) for key in value)


def _record(kind: type[Any], mro: tuple[type[Any], ...]) -> Family | None:
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    if base is not None and base in mro:
        return Family(OBJECT, base, _pydantic)
    message = getattr(sys.modules.get("google.protobuf.message"), "Message", None)
    if message is not None and message in mro:
        return Family(OBJECT, message, _protobuf, guarded=True)
    model = getattr(sys.modules.get("django.db.models"), "Model", None)
    if (model is not None and model in mro) or _attribute(mro, "_sa_class_manager") is not None:
        return Family(OBJECT, object, _columns)
    fields = _attribute(mro, "__attrs_attrs__")
    if fields is not None:
        return Family(OBJECT, object, _only([f.name for f in fields if f.eq]))
    fields = _attribute(mro, "__dataclass_fields__")
    if type(fields) is dict:
        return Family(OBJECT, object, _only([name for name, f in fields.items() if _compared(f)]))
    if BaseException in mro:
        return Family(OBJECT, object, lambda value: {"args": _ARGS.__get__(value), **state(value)})
    return None


def _compared(field: Any) -> bool:
    return getattr(field, "compare", True) is not False and getattr(field._field_type, "name", "") == "_FIELD"


def _only(names: list[str]) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        found = state(value)
        return {name: found[name] for name in names if name in found}

    return read


def _scalar(mro: tuple[type[Any], ...]) -> Family | None:
    for base in _SCALARS:
        if base in mro:
            own = _attribute(mro, "__eq__") is not base.__eq__ or base is tzinfo
            return Family(FOREIGN if own else SCALAR, base)
    return None


def _plain(kind: type[Any], mro: tuple[type[Any], ...]) -> Family:
    if _attribute(mro, "__eq__") is not object.__dict__["__eq__"]:
        return Family(FOREIGN)
    if mro == (object,):
        return _OPAQUE
    return Family(OBJECT, object, state, hollow=True)


def _attribute(mro: tuple[type[Any], ...], name: str) -> Any:
    """A class attribute as stored, past metaclasses and descriptors."""
    for base in mro:
        namespace = type.__dict__["__dict__"].__get__(base)
        if name in namespace:
            return namespace[name]
    return None


def state(value: Any) -> dict[str, Any]:
    """What an object holds in its ``__dict__`` and slots, by attribute name."""
    found: dict[str, Any] = {}
    for base in reversed(type.__dict__["__mro__"].__get__(type(value))):
        namespace = type.__dict__["__dict__"].__get__(base)
        holder = namespace.get("__dict__")
        if type(holder) is types.GetSetDescriptorType and base is not type:
            found.update((key, held) for key, held in holder.__get__(value).items() if type(key) is str)
        slots = namespace.get("__slots__", ())
        for name in (slots,) if type(slots) is str else slots:
            slot = namespace.get(_mangled(name, base))
            if type(slot) is types.MemberDescriptorType:
                try:
                    found[name] = slot.__get__(value)
                except AttributeError:
                    continue
    return found


def _mangled(name: str, owner: type[Any]) -> str:
    if name.startswith("__") and not name.endswith("__"):
        return f"_{owner.__name__.lstrip('_')}{name}"
    return name


def _pydantic(value: Any) -> dict[str, Any]:
    found = state(value)
    fields = {name: held for name, held in found.items() if not name.startswith("__pydantic_")}
    return {**fields, **(found.get("__pydantic_extra__") or {})}


def _columns(value: Any) -> dict[str, Any]:
    """What is loaded of a Django or SQLAlchemy object; Django's own ``__eq__`` looks at the primary key only."""
    return {name: held for name, held in state(value).items() if not name.startswith("_")}


def _protobuf(value: Any) -> dict[str, Any]:
    """
    The fields of a message that mean something: those with presence only when set, the others always.

    An explicit default therefore equals an omitted one where the schema has no presence, as on the wire.
    """
    found: dict[str, Any] = {}
    for spec in value.DESCRIPTOR.fields:
        held = getattr(value, spec.name)
        if _repeated(spec):
            entry = spec.message_type
            found[spec.name] = dict(held.items()) if entry and entry.GetOptions().map_entry else list(held)
        elif not spec.has_presence or value.HasField(spec.name):
            found[spec.name] = held
    for spec, held in value.ListFields():
        if spec.is_extension:
            found[f"[{spec.full_name}]"] = list(held) if _repeated(spec) else held
    if unknown := _unknown(value):
        found["(unknown)"] = unknown
    return found


def _repeated(spec: Any) -> bool:
    told = getattr(spec, "is_repeated", None)  # protobuf 6.31 and later; `label` warns there
    return bool(spec.label == spec.LABEL_REPEATED if told is None else told)


def _unknown(value: Any) -> list[Any]:
    from google.protobuf import unknown_fields  # the service has loaded protobuf already

    fields: Any = unknown_fields.UnknownFieldSet(value)
    return [_unknown_field(one) for one in fields]


def _unknown_field(one: Any) -> tuple[Any, ...]:
    data = one.data
    return one.field_number, one.wire_type, data if isinstance(data, (int, bytes)) else [*map(_unknown_field, data)]
