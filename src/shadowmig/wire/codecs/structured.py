"""`Structured`: another codec's values as the service's own models."""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, get_origin
from uuid import UUID

import cattrs
from attrs import field, frozen
from cattrs.cols import is_any_set, is_sequence
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError, StructureHandlerNotFoundError
from cattrs.strategies import configure_union_passthrough

from shadowmig.errors import CodecError, ConfigError
from shadowmig.protocols import Codec
from shadowmig.wire.codecs._flags import too_deep
from shadowmig.wire.codecs.framing import check_codec


@frozen
class Structured:
    """
    Another codec's values as objects of a model of attrs or dataclasses, or of anything else that cattrs knows.

    Without a converter of its own it is strict: a key that is no field is refused; text, ints, floats, truth values and
    bytes are taken only as what they are, save that a whole number will do for a float; a list is made of a list only,
    and a member of an enum of a value of its own type only. A field that is missing takes the model's default, or is
    refused if it has none.

    What the other codec has no type for is text in it: with `Json` that are ``datetime``, ``date`` and ``time`` (ISO
    8601), ``UUID``, ``Decimal`` and ``bytes`` (base64). `MsgPack` and `Protobuf` have moments and bytes, and `Pickle`
    and `Avro` have all of them. A set is a list in all but `Pickle`. Text of a moment with more than six decimals is
    refused, for Python would drop them.

    Args:
        codec: The other codec.
        model: The class of the values, or a type such as ``list[Comment]``.
        converter: The service's own converter of cattrs, used as it is.

    Raises:
        ConfigError: An option is wrong, or the converter does not know the model.
    """

    codec: Codec = field(validator=check_codec)
    model: Any = field()
    converter: Any = field(default=None, kw_only=True)
    _used: Any = field(init=False, repr=False, eq=False)
    _hook: Any = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.converter is not None and not isinstance(self.converter, cattrs.BaseConverter):
            raise ConfigError(
                f"converter is {self.converter!r}.",
                remedy="Give a converter of cattrs.",
                field="converter",
                value=self.converter,
            )
        used = strict_converter(self.codec) if self.converter is None else self.converter
        try:
            hook = used.get_structure_hook(self.model)
        except Exception as error:
            raise ConfigError(
                f"model is {self.model!r}: {error}.",
                remedy="Give a class that cattrs knows, or a converter that knows this one.",
                field="model",
                value=self.model,
            ) from error
        object.__setattr__(self, "_used", used)
        object.__setattr__(self, "_hook", hook)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Take an object apart, and write it by the other codec.

        Raises:
            CodecError: It is no object of the model (``not the model``), is nested too deeply (``too deep``), or the
                other codec cannot write it.
        """
        try:
            plain = self._used.unstructure(value, unstructure_as=self.model)
        except RecursionError as error:
            raise too_deep() from error
        except Exception as error:
            raise CodecError(f"The value is no {_name(self.model)}.", reason="not the model") from error
        return self.codec.encode(plain)

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read by the other codec, and make an object of what came.

        Raises:
            CodecError: The other codec cannot read it, or it is not of the model (``not the model``): the error's
                ``path`` says where first; or it is nested too deeply (``too deep``).
        """
        plain = self.codec.decode(data, flags)
        try:
            return self._hook(plain, self.model)
        except RecursionError as error:
            raise too_deep() from error
        except Exception as error:
            told = _told(error)
            raise CodecError(
                f"The value is no {_name(self.model)}: {'; '.join(told[:_SHOWN])}.",
                reason="not the model",
                path=told[0].rpartition(" @ ")[2],
            ) from error


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
    """Makes lists and sets of lists and sets only; cattrs would take a text for the list of its characters."""

    def get_structure_hook(self, type: Any, cache_result: bool = True) -> Any:  # noqa: A002, FBT002 - as in cattrs
        """Give the function that makes one of a type."""
        hook: Any = super().get_structure_hook(type, cache_result)
        if is_any_set(type):
            return _of(hook, list, tuple, set, frozenset)
        if is_sequence(type) or get_origin(type) is tuple:
            return _of(hook, list, tuple)
        return hook

    def structure(self, obj: Any, cl: Any) -> Any:
        """Make one of a type."""
        return self.get_structure_hook(cl)(obj, cl)


def _of(hook: Callable[[Any, Any], Any], *kinds: type) -> Callable[[Any, Any], Any]:
    def take(value: Any, kind: Any) -> Any:
        if not isinstance(value, kinds):
            raise _Unfit(f"it is a list, not {type(value).__name__}")
        return hook(value, kind)

    return take


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
            raise _Unfit(f"it is {kind.__name__}, not {type(value).__name__}")
        return value if wanted is kind else wanted(value)

    return take


def _float(value: Any, _: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    raise _Unfit(f"it is float, not {type(value).__name__}")


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _enum(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    for member in kind:
        if type(member.value) is type(value) and member.value == value:
            return member
    raise _Unfit(f"no member of {kind.__name__} has this value")


def _from_text(read: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def take(value: Any, kind: Any) -> Any:
        if type(value) is not str:
            raise _Unfit(f"it is text, not {type(value).__name__}")
        try:
            return read(value)
        except (ValueError, ArithmeticError) as error:
            raise _Unfit(f"the text is no {kind.__name__}") from error

    return take


def _moment(text: str) -> datetime:
    if _FINER.search(text):
        raise ValueError("finer than microseconds")
    return datetime.fromisoformat(text)


def _time(text: str) -> time:
    if _FINER.search(text):
        raise ValueError("finer than microseconds")
    return time.fromisoformat(text)


def _as_it_is(value: Any) -> Any:
    return value


class _Unfit(Exception):
    """A value does not fit its place; the text says why, without the value."""


def _told(error: BaseException) -> list[str]:
    """Give what is wrong, and where, without values."""
    if isinstance(error, BaseValidationError):
        try:
            return list(dict.fromkeys(cattrs.transform_error(error, format_exception=_why)))
        except RecursionError:
            raise too_deep() from error
    return [f"{_why(error, None)} @ $"]


def _why(error: BaseException, _: Any) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return "there is a key that is no field"
    if isinstance(error, _Unfit):
        return str(error)
    if isinstance(error, KeyError):
        return "a field is missing"
    if isinstance(error, AttributeError | TypeError):
        return "it is of a wrong type"
    if isinstance(error, StructureHandlerNotFoundError):
        return "cattrs has nothing for its type"
    return type(error).__name__


def _name(model: Any) -> str:
    return getattr(model, "__name__", None) or str(model)


_FINER: Final = re.compile(r"[.,][0-9]{7}")
_SHOWN: Final = 5
_TEXTS: Final[dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]]] = {
    datetime: (datetime.isoformat, _moment),
    date: (date.isoformat, date.fromisoformat),
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
