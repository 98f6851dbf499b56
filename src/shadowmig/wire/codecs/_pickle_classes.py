"""The classes of a pickle: which names it may use, and what is made in their place."""

from __future__ import annotations

import re
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, TypeVar, cast
from zoneinfo import ZoneInfo

from attrs import field, frozen

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._keys import Keys

_Moment = TypeVar("_Moment", date, time)


@frozen(hash=False)
class StandIn:
    """
    What stands for an instance of a class that is not imported.

    Attributes:
        cls: The name of the class or function, ``module.Name``.
        state: What the instance held: a dict of its attributes; ``None`` if the pickle gives none.
        args: What the class or function would have been called with.
        items: The elements, or the dict of members, of an instance of a class that derives from list, set or dict.
    """

    cls: str
    state: Any = None
    args: tuple[Any, ...] = ()
    items: Any = None


@frozen(eq=False)
class Named:
    """
    What a name in a pickle means; never part of a value.

    Attributes:
        name: ``module.Name``.
        call: Makes a value of the arguments, as the class itself would.
        new: Makes one without running ``__init__``, for a class; ``None`` if only `call` makes one.
        real: The class, if it is one that the user allowed.
        stands_in: Whether instances become `StandIn`.
        keyed: Whether `call` is given the `Keys` first, because it makes something that has keys.
    """

    name: str
    call: Callable[..., Any]
    new: Callable[..., Any] | None = None
    real: type | None = None
    stands_in: bool = field(default=False)
    keyed: bool = field(default=False)


def stand_in(name: str) -> Named:
    """Give the meaning of a name whose instances become `StandIn`."""

    def make(*args: Any) -> StandIn:
        return StandIn(name, args=args)

    return Named(name, make, make, stands_in=True)


def real(name: str, cls: type) -> Named:
    """Give the meaning of a name whose instances are made, by the class's own code."""

    def new(*args: Any, **options: Any) -> Any:
        return cls.__new__(cls, *args, **options)

    return Named(name, cls, new, real=cls)


def old_names(name: str) -> str:
    """Give the name that Python 3 has for one of Python 2."""
    module, _, rest = name.partition(".")
    return f"{_OLD[module]}.{_OLD_BUILTINS.get(rest, rest)}" if module in _OLD else name


_OLD: Final = {"__builtin__": "builtins", "copy_reg": "copyreg", "UserDict": "collections"}
_OLD_BUILTINS: Final = {"unicode": "str", "long": "int", "xrange": "range"}


def raw_bytes(text: Any, *encoding: Any) -> bytes:
    """Give the bytes that a text of Latin-1 stands for, as protocols before 3 write bytes."""
    if type(text) is bytes and not encoding:
        return text
    if type(text) is not str or encoding not in (("latin1",), ("latin-1",), (b"latin-1",)):
        raise ValueError("bytes of a wrong kind")
    return text.encode("latin1")


def _state(value: Any, size: int) -> bytes:
    if type(value) is not bytes or len(value) != size:
        raise ValueError("a state of a wrong kind")
    return value


def _datetime(state: Any, *zone: Any) -> datetime:
    moment: Any = datetime  # its signature does not tell that it takes a pickled state
    return cast("datetime", _checked(moment(_state(state, 10), *map(_zone, zone))))


def _date(state: Any) -> date:
    return _checked(date(_state(state, 4)))  # type: ignore[call-arg,arg-type]  # a pickled state, undocumented


def _time(state: Any, *zone: Any) -> time:
    made = time(_state(state, 6), *map(_zone, zone))  # type: ignore[arg-type]  # a pickled state, undocumented
    return _checked(made)


def _checked(moment: _Moment) -> _Moment:
    # A state is taken as it is, with a day 255 too; new ones are made of looked at parts only.
    return moment.replace()


def _zone(value: Any) -> timezone | ZoneInfo:
    if not isinstance(value, timezone | ZoneInfo):
        raise TypeError("a zone of a wrong kind")
    return value


def _timedelta(days: Any = 0, seconds: Any = 0, microseconds: Any = 0) -> timedelta:
    _only((days, seconds, microseconds), int)
    return timedelta(days, seconds, microseconds)


def _timezone(offset: Any, *name: Any) -> timezone:
    _only((offset,), timedelta)
    _only(name, str)
    return timezone(offset, *name)


def _zoneinfo(key: Any, *_: Any) -> ZoneInfo:
    _only((key,), str)
    try:
        return ZoneInfo(key)
    except OSError as error:
        raise ValueError("no such zone") from error


def _pytz(name: Any, *offsets: Any) -> timezone:
    # As pytz writes a zone that was settled for one moment: offset and summer time in seconds, abbreviation.
    offset, _, short = offsets
    _only((offset,), int)
    _text(name)
    return timezone(timedelta(seconds=offset), _text(short))


def _decimal(text: Any) -> Decimal:
    number = _text(text)
    if len(number) > DIGITS:
        raise number_too_large()
    return Decimal(number)


def number_too_large() -> CodecError:
    """Give the error for a number that Python would not print."""
    return CodecError(f"A number has more than {DIGITS} digits.", reason="number too large")


def _text(value: Any) -> str:
    _only((value,), str, bytes)
    return value.decode("ascii") if type(value) is bytes else str(value)


def _uuid() -> uuid.UUID:
    return uuid.UUID(int=0)


def set_uuid(value: uuid.UUID, state: Any) -> None:
    """Give a new UUID what it is, as its own state says."""
    number = state.get("int", state.get(b"int"))
    _only((number,), int)
    # UUID is immutable to everybody else; its own __setstate__ would take anything.
    object.__setattr__(value, "int", uuid.UUID(int=number).int)


def _ordered(keys: Keys, pairs: Any = ()) -> OrderedDict[Any, Any]:
    _only((pairs,), list, tuple)
    for pair in pairs:
        _only((pair,), list, tuple)
        key, _ = pair
        keys.check(key)
    return OrderedDict(pairs)


def _default(*factory: Any) -> defaultdict[Any, Any]:
    (made,) = factory or (None,)
    if made is None:
        return defaultdict(None)
    if type(made) is not Named or made.name not in _FACTORIES:
        raise TypeError("a factory of a wrong kind")
    return defaultdict(_FACTORIES[made.name])


def _set(keys: Keys, items: Any = ()) -> set[Any]:
    return set(_elements(keys, items))


def _frozenset(keys: Keys, items: Any = ()) -> frozenset[Any]:
    return frozenset(_elements(keys, items))


def _elements(keys: Keys, items: Any) -> Any:
    _only((items,), list, tuple)
    for each in items:
        keys.check(each)
    return items


def _bytes(*args: Any) -> bytes:
    return raw_bytes(*args) if args else b""


def _bytearray(*args: Any) -> bytearray:
    return bytearray(_bytes(*args))


def _complex(real_part: Any, imaginary: Any) -> complex:
    _only((real_part, imaginary), float)
    return complex(real_part, imaginary)


def _only(values: tuple[Any, ...], *types: type) -> None:
    if any(type(value) not in types for value in values):
        raise TypeError("an argument of a wrong type")


def refused(name: str) -> CodecError:
    """Give the error for a name that may not be used."""
    # What is in quotes was written by whoever wrote the bytes.
    shown = re.sub(r"[^\w.]", "?", name[:100])
    return CodecError(
        f"The pickle uses {shown!r}, which is not allowed.",
        remedy="Give its name to allow= or stand_ins= if it belongs there.",
        reason="class not allowed",
        name=shown,
    )


def _never(name: str) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise refused(name)

    return call


class Args(tuple[Any, ...]):
    """A tuple that holds something with a name: arguments, and never part of a value."""

    __slots__ = ()


DIGITS: Final = 4300

_FACTORIES: Final[dict[str, Callable[[], Any]]] = {
    f"builtins.{kind.__name__}": kind for kind in (list, dict, set, int, float, str, tuple, bool, bytes)
}

_MAKERS: Final[dict[str, Callable[..., Any]]] = {
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    "zoneinfo.ZoneInfo._unpickle": _zoneinfo,
    "pytz._UTC": lambda: UTC,
    "pytz._p": _pytz,
    "decimal.Decimal": _decimal,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytearray,
    "builtins.complex": _complex,
    "_codecs.encode": raw_bytes,
}

BASES: Final[dict[str, type]] = {
    f"builtins.{kind.__name__}": kind
    for kind in (object, list, dict, set, frozenset, tuple, str, bytes, int, float, bool)
}
"""The bases that the older protocols name beside a class."""

SPECIAL: Final = frozenset({"copyreg._reconstructor", "builtins.getattr", "zoneinfo.ZoneInfo"})
"""Names that mean something to the reader itself, and make no values."""

DEFAULT: Final[dict[str, Named]] = {
    **{name: Named(name, _never(name)) for name in (*BASES, *SPECIAL)},
    **{name: Named(name, call, keyed=call in (_set, _frozenset, _ordered)) for name, call in _MAKERS.items()},
    "uuid.UUID": Named("uuid.UUID", _never("uuid.UUID"), _uuid),
}
"""What every pickle may use: plain data, moments, and numbers."""
