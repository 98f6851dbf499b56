"""The strict converter of cattrs: what each type is made of, and of nothing else."""

from __future__ import annotations

import base64
import enum
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

import cattrs
from cattrs.cols import is_abstract_set, is_any_set, is_frozenset, is_mapping, is_sequence
from cattrs.strategies import configure_union_passthrough

from shadowmig.protocols import Codec


class Unfit(Exception):
    """A value does not fit its place; the text says why, without the value."""


def strict_converter(codec: Codec) -> cattrs.Converter:
    """
    Make the converter that is used with a codec if there is no other, to be added to.

    Args:
        codec: The codec; what it has no type for becomes text.
    """
    lacking = _lacking(codec)
    converter = _Strict(
        forbid_extra_keys=True,
        detailed_validation=True,
        unstruct_collection_overrides={AbstractSet: _in_order} if set in lacking else {},
    )
    # The second one first: where there is no bool, none is taken for an int.
    for union in (int | float | str | bytes | bool | None, int | float | str | bytes | None):
        configure_union_passthrough(union, converter)
    for atom in (int, str, bool):
        converter.register_structure_hook(atom, _exactly(atom))
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook_func(_is_enum, _enum)
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_factory(_is_like_list, _like_list)
    for kind, (write, read) in _TEXTS.items():
        if kind in lacking:
            converter.register_structure_hook(kind, _from_text(read))
            converter.register_unstructure_hook(kind, write)
        else:
            converter.register_structure_hook(kind, _exactly(kind))
            converter.register_unstructure_hook(kind, _as_it_is)
    if timedelta not in lacking:
        converter.register_structure_hook(timedelta, _exactly(timedelta))
    return converter


class _Strict(cattrs.Converter):
    """
    Makes lists of lists only, and dicts of dicts; cattrs would take a text for the list of its characters.

    It stops when it has found a few faults: cattrs would keep each of the millions that few bytes can have, with its
    traceback.
    """

    def __init__(self, **options: Any) -> None:
        self._found = threading.local()
        super().__init__(**options)

    def get_structure_hook(self, type: Any, cache_result: bool = True) -> Any:  # noqa: A002, FBT002 - as in cattrs
        """Give the function that makes one of a type."""
        hook: Any = super().get_structure_hook(type, cache_result)
        kinds, name = _made_of(type)
        found = self._found

        @wraps(hook)
        def make(value: Any, kind: Any) -> Any:
            faults = getattr(found, "faults", None)
            if faults is None:
                return outermost(value, kind)
            if faults > _MOST:
                return None  # whatever is made of it, the outermost one refuses
            try:
                if kinds and not isinstance(value, kinds):
                    raise Unfit(f"it is a {name}, not {_type_name(value)}")
                return hook(value, kind)
            except Exception:
                found.faults += 1
                raise

        def outermost(value: Any, kind: Any) -> Any:
            found.faults = 0
            try:
                made = make(value, kind)
                if found.faults > _MOST:
                    raise Unfit("it has too many faults")
            finally:
                found.faults = None
            return made

        return make

    def structure(self, obj: Any, cl: Any) -> Any:
        """Make one of a type."""
        return self.get_structure_hook(cl)(obj, cl)


def _made_of(kind: Any) -> tuple[tuple[type, ...], str]:
    """Tell what something is to be made of, and the name of that; nothing if it does not matter here."""
    if is_any_set(kind):
        return (list, tuple, set, frozenset), "list"
    if is_sequence(kind) or get_origin(kind) is tuple:
        return (list, tuple), "list"
    return ((Mapping,), "dict") if is_mapping(kind) else ((), "")


def _is_like_list(kind: Any) -> bool:
    return is_any_set(kind) or get_args(kind)[1:] == (...,) or (get_origin(kind) or kind) is deque


def _like_list(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Make sets and the like out of a list; cattrs does not ask the converter for what makes their elements."""
    of = get_args(kind)[:1] or (Any,)
    items = converter.get_structure_hook(list[of[0]])  # type: ignore[valid-type]  # a type that is only known now
    if is_any_set(kind):
        made: Any = frozenset if is_frozenset(kind) or is_abstract_set(kind) else set
    else:
        made = get_origin(kind) or kind
    return lambda value, _: made(items(list(value), list))


def _type_name(value: Any) -> str:
    return type(value).__name__


def _in_order(items: Iterable[Any]) -> list[Any]:
    # A set has no order, and that of its iteration is another one in each process.
    return sorted(items, key=repr)


def _lacking(codec: Any) -> frozenset[type]:
    while (inner := getattr(codec, "codec", None)) is not None:
        codec = inner
    return _LACKING.get(f"{type(codec).__module__}.{type(codec).__name__}", frozenset())


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def take(value: Any, wanted: Any) -> Any:
        # cattrs asks for what derives from a registered class too, as an IntEnum does from int.
        if _is_enum(wanted):
            return _enum(value, wanted)
        if type(value) is not kind:
            raise Unfit(f"it is {kind.__name__}, not {type(value).__name__}")
        return value if wanted is kind else wanted(value)

    return take


def _float(value: Any, _: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    raise Unfit(f"it is float, not {type(value).__name__}")


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _enum(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    for member in kind:
        if type(member.value) is type(value) and member.value == value:
            return member
    if issubclass(kind, enum.Flag) and type(value) is int:
        with suppress(ValueError):
            several = kind(value)
            if isinstance(several, kind) and several.value == value:  # some flags drop bits that they do not know
                return several
    raise Unfit(f"no member of {kind.__name__} has this value")


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _literal(value: Any, kind: Any) -> Any:
    for one in get_args(kind):
        plain = one.value if isinstance(one, enum.Enum) else one
        if type(plain) is type(value) and plain == value:
            return one
    raise Unfit("it is none of the values that it can have")


def _from_text(read: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def take(value: Any, kind: Any) -> Any:
        if type(value) is not str:
            raise Unfit(f"it is text, not {type(value).__name__}")
        try:
            return read(value)
        except (ValueError, ArithmeticError) as error:
            raise Unfit(f"the text is no {kind.__name__}") from error

    return take


def _moment(text: str) -> datetime:
    if _FINER.search(text):
        raise ValueError("finer than microseconds")
    return datetime.fromisoformat(text)


def _time(text: str) -> time:
    if _FINER.search(text):
        raise ValueError("finer than microseconds")
    return time.fromisoformat(text)


def _day(value: date) -> str:
    if isinstance(value, datetime):
        raise Unfit("it is a date, not a moment")
    return value.isoformat()


def _as_it_is(value: Any) -> Any:
    return value


_FINER: Final = re.compile(r"[.,][0-9]{7}")
_TEXTS: Final[dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]]] = {
    datetime: (datetime.isoformat, _moment),
    date: (_day, date.fromisoformat),
    time: (time.isoformat, _time),
    UUID: (str, UUID),
    Decimal: (str, Decimal),
    bytes: (lambda value: base64.b64encode(value).decode(), lambda text: base64.b64decode(text, validate=True)),
}
"""How each type is written as text and read from it."""

_LACKING: Final = {
    "shadowmig.wire.codecs.json.Json": frozenset({*_TEXTS, timedelta, set}),
    "shadowmig.wire.codecs.msgpack.MsgPack": frozenset({date, time, UUID, Decimal, timedelta, set}),
    "shadowmig.wire.codecs.protobuf.Protobuf": frozenset({date, time, UUID, Decimal, set}),
    "shadowmig.wire.codecs.avro.Avro": frozenset({set}),
}
"""What codecs have no type for."""

_MOST: Final = 5
