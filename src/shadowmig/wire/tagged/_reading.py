"""Reads tagged JSON; `shadowmig.wire.tagged` says what it is."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn
from uuid import UUID

from shadowmig.errors import CodecError
from shadowmig.model import MISSING, Missing
from shadowmig.wire.codecs._keys import Keys
from shadowmig.wire.values import Instant

EXACT: Final = 2**53
"""The largest int that JavaScript, and whoever reads numbers as floats, takes for itself."""

LONGEST: Final = 4300
"""The most digits of an int: turning digits into ints and back takes quadratic time."""

DEEPEST: Final = 400
"""The most levels of a value."""


def from_tagged(value: Any) -> Any:
    """
    Give the value that a tagged form stands for.

    Args:
        value: JSON as `json.loads` gives it.

    Raises:
        CodecError: It is no tagged form: an unknown tag, a wrong content, a whole number beyond 2**53 without its tag,
            a key that is there twice, more than 400 levels; or one of what Python does not have, as of the year 0. Or
            a ``$map`` has keys that would take long to find: lists of more than a hundred elements in all, or more than
            10 000 that are neither text, bytes nor small.
    """
    try:
        return untag(_copied(value))
    except RecursionError as error:
        raise too_deep() from error


def untag(value: Any) -> Any:
    """
    Give the value that a tagged form stands for, made in its place, so that it takes no more memory than that.

    Raises:
        CodecError: As `from_tagged`.
    """
    try:
        return _untag(value, 0, Keys(_KEYS))
    except RecursionError as error:
        raise too_deep() from error


def is_text(text: str) -> bool:
    """Tell whether a text is Unicode: without lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def too_deep() -> CodecError:
    """Give the error about a value of too many levels."""
    return CodecError(f"The value has more than {DEEPEST} levels.", reason="too deep")


def wrong(what: str, *, reason: str = "tag") -> CodecError:
    """Give the error about a wrong form."""
    return CodecError(f"This is no tagged JSON: {what}.", reason=reason)


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    if type(value) is list:
        return [_copied(each) for each in value]
    return value


def _untag(value: Any, depth: int, keys: Keys) -> Any:
    kind = type(value)
    if kind is str:
        if not is_text(value):
            raise wrong("there is a lone surrogate in a text", reason="text")
        return value
    if kind is int:
        if not -EXACT <= value <= EXACT:
            raise wrong("a whole number beyond 2**53 has no $int", reason="number")
        return value
    if kind is bool or value is None:
        return value
    if kind is dict:
        return _object(value, depth + 1, keys)
    if kind is list:
        return _list(value, depth, keys)
    if kind is float and isfinite(value):
        return value
    raise wrong("there is a number that is none" if kind is float else f"there is a {kind.__name__}", reason="number")


def _list(value: list[Any], depth: int, keys: Keys) -> list[Any]:
    if depth >= DEEPEST:
        raise too_deep()
    for place, each in enumerate(value):
        value[place] = _untag(each, depth + 1, keys)
    return value


def _object(value: dict[Any, Any], depth: int, keys: Keys) -> Any:
    if depth > DEEPEST:
        raise too_deep()
    for key, each in value.items():
        if type(key) is not str or key[:1] == "$" or not is_text(key):
            return _tagged(value, depth, keys)
        value[key] = _untag(each, depth, keys)
    return value


def _tagged(value: dict[Any, Any], depth: int, keys: Keys) -> Any:
    (tag, content), *more = value.items()
    if more or type(tag) is not str or tag not in _READERS:
        raise wrong("there is an unknown tag, or a key that needs $map")
    if tag == "$map" and type(content) is list:
        return _map(content, depth, keys)
    wanted, read = _READERS[tag]
    if type(content) is not wanted:
        raise wrong(f"the content of {tag} is of the wrong type")
    try:
        return read(content)
    except CodecError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise wrong(f"the content of {tag} is wrong, or nothing that Python has", reason=tag) from error


def _map(pairs: list[Any], depth: int, keys: Keys) -> dict[Any, Any]:
    made = {}
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:
            raise wrong("$map has something that is no pair")
        key = _key(_untag(pair[0], depth, keys))
        keys.check(key)
        made[key] = _untag(pair[1], depth, keys)
    if len(made) < len(pairs):
        raise wrong("$map has a key twice, or two that are equal in Python", reason="duplicate key")
    return made


def _key(key: Any) -> Any:
    if type(key) is list:
        return tuple(_key(each) for each in key)
    if type(key) is dict:
        raise wrong("$map has a map for a key")
    return key


def _int(text: str) -> int:
    if len(text) > LONGEST:
        _no("int of so many digits")
    return int(_matching(_INT, text))


def _float(text: str) -> float:
    if text in _CONSTANTS:
        return float(text)
    number = float(_matching(_FLOAT, text))
    if not isfinite(number):
        _no("float")
    return number


def _text(codes: list[Any]) -> str:
    if not all(type(code) is int for code in codes):
        raise wrong("$text has something that is no code point")
    try:
        return "".join(map(chr, codes))
    except OverflowError:
        _no("code point")


def _moment(text: str) -> datetime | Instant:
    found = _TIME.fullmatch(text)
    if found is None:
        _no("moment")
    seconds, fraction, zone = found.groups()
    digits = f"{fraction or '':0<9}"
    at = datetime.fromisoformat(f"{seconds.replace(' ', 'T').upper()}.{digits[:6]}{zone.upper()}")
    nanos = int(digits[6:])
    return Instant(at, nanos) if nanos else at


def _duration(text: str) -> timedelta:
    found = _SECONDS.fullmatch(text)
    if found is None:
        _no("duration")
    sign, whole, fraction = found.groups()
    digits = f"{fraction or '':0<9}"
    if digits[6:] != "000":
        raise wrong("$duration has parts of a microsecond, which Python does not have", reason="$duration")
    length = timedelta(seconds=int(whole), microseconds=int(digits[:6]))
    return -length if sign else length


def _missing(content: bool) -> Missing:
    if not content:
        _no("such content")
    return MISSING


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        _no("such form")
    return text


def _no(what: str) -> NoReturn:
    raise ValueError(f"no {what}")


_KEYS: Final = 2**29
_CONSTANTS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_INT: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,1200})?([eE][+-]?[0-9]{1,4})?")
_DECIMAL: Final = re.compile(r"-?([0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,18})?|Infinity|NaN[0-9]*)")
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIME: Final = re.compile(rf"({_DAY}[Tt ]{_CLOCK})(?:\.([0-9]{{1,9}}))?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})")
_DATE: Final = re.compile(_DAY)
_LOCAL: Final = re.compile(rf"{_DAY}T{_CLOCK}(\.[0-9]{{1,6}})?")
_OF_DAY: Final = re.compile(rf"{_CLOCK}(\.[0-9]{{1,6}})?")
_SECONDS: Final = re.compile(r"(-?)([0-9]{1,14})(?:\.([0-9]{1,9}))?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_READERS: Final[dict[str, tuple[type, Callable[[Any], Any]]]] = {
    "$int": (str, _int),
    "$float": (str, _float),
    "$bytes": (str, lambda text: binascii.a2b_base64(text, strict_mode=True)),
    "$time": (str, _moment),
    "$local": (str, lambda text: datetime.fromisoformat(_matching(_LOCAL, text))),
    "$date": (str, lambda text: date.fromisoformat(_matching(_DATE, text))),
    "$clock": (str, lambda text: time.fromisoformat(_matching(_OF_DAY, text))),
    "$duration": (str, _duration),
    "$decimal": (str, lambda text: Decimal(_matching(_DECIMAL, text))),
    "$uuid": (str, lambda text: UUID(_matching(_UUID, text))),
    "$text": (list, _text),
    "$map": (list, list),  # by `_map`
    "$missing": (bool, _missing),
}
"""What the content of each tag is in JSON, and what reads it."""
