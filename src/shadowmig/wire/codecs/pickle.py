"""
`Pickle`: legacy caches, read without running what is in them.

Danger: a class that you allow is made by its own code, with arguments that come from the bytes. Allow plain classes
that hold data, or let a `StandIn` take their place.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final, Literal

from attrs import field, frozen

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs._flags import LIMIT, check_flags, check_limit, check_size, too_deep
from shadowmig.wire.codecs._pickle_classes import DEFAULT, Named, StandIn, real, stand_in
from shadowmig.wire.codecs._pickle_machine import read

__all__ = ["Pickle", "StandIn"]


def _texts(value: Iterable[str] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Pickle:
    """
    Pickles of the protocols 0 to 5, read by a reader of its own that runs none of the code a pickle can name.

    Always allowed are plain data (with bytearray, set, frozenset and complex), ``OrderedDict``, ``defaultdict`` of a
    builtin, ``datetime``, ``date``, ``time``, ``timedelta``, ``timezone``, ``ZoneInfo``, the zones of pytz (read as
    ``timezone``), ``Decimal`` and ``UUID``. Everything else is refused by its name, unless it is named here.

    Parts that are in several places stay one object, as in the process that wrote them. A value that holds itself is
    refused.

    Args:
        allow: Classes whose instances are made, by their own code: the classes, or their names as ``"module.Name"``,
            which are imported when the codec is built. Or a dict from the name in the pickle to the class, for one
            that has moved.
        stand_ins: Names whose instances become a `StandIn`, with nothing imported and nothing run: ``"r2.models.Link"``
            for one, ``"r2.*"`` for all that begins so, ``"*"`` for all.
        protocol: The protocol that is written.
        encoding: How text of Python 2 is read: ``"ASCII"``, ``"utf-8"``, ``"latin1"``, or ``"bytes"`` to keep it as
            bytes. Moments that Python 2 wrote are read with each of them.
        flags: Client flags to write; any are read.
        limit: The most bytes that are read. What they make may take 32 times as much memory.

    Raises:
        ConfigError: An option is wrong, or a class cannot be imported.
    """

    allow: Iterable[type | str] | Mapping[str, type | str] = field(default=())
    stand_ins: tuple[str, ...] = field(default=(), kw_only=True, converter=_texts)
    protocol: int = field(default=pickle.DEFAULT_PROTOCOL, kw_only=True)
    encoding: Literal["ASCII", "utf-8", "latin1", "bytes"] = field(default="ASCII", kw_only=True)
    flags: int = field(default=0, kw_only=True, validator=check_flags)
    limit: int = field(default=LIMIT, kw_only=True, validator=check_limit)
    _names: dict[str, Named] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name, good, remedy in (
            ("protocol", type(self.protocol) is int and 0 <= self.protocol <= 5, "Use 0 to 5."),
            ("encoding", self.encoding in _ENCODINGS, f"Use one of {', '.join(_ENCODINGS)}."),
            ("stand_ins", all(map(_is_pattern, self.stand_ins)), "Use names as 'r2.models.Link' or 'r2.*'."),
        ):
            if not good:
                value = getattr(self, name)
                raise ConfigError(f"{name} is {value!r}.", remedy=remedy, field=name, value=value)
        object.__setattr__(self, "_names", {**DEFAULT, **_allowed(self.allow)})

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write what the standard module writes, if it can be read back.

        Which texts and parts are one object shows in the bytes; of sets, the order too. So equal values may give other
        bytes, and the same object the same.

        Raises:
            CodecError: The value cannot be pickled (``no such type``), or `decode` would refuse it.
        """
        try:
            data = pickle.dumps(value, self.protocol)
        except RecursionError as error:
            raise too_deep() from error
        except Exception as error:
            raise CodecError(f"The value cannot be pickled: {type(error).__name__}.", reason="no such type") from error
        self.decode(data, self.flags)
        return data, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one pickle.

        Raises:
            CodecError: It uses a class or function that is not allowed (``class not allowed``), or one that is allowed
                raised (``class refused``); it is cut (``cut``), no pickle (``not a pickle``, ``unknown protocol``), or
                one that nobody writes (``broken``); something follows it; it needs something from outside
                (``persistent id``, ``extension registry``, ``out of band``); text of Python 2 is of another encoding
                (``not text``); it is longer than ``limit``, or makes too much of its bytes (``too large``, ``number too
                large``, ``key too large``, ``too many keys``); it is nested more than 1000 deep (``too deep``) or
                holds itself (``holds itself``).
        """
        check_size(data, self.limit)
        return read(data, names=self._named, encoding=self.encoding, limit=self.limit)

    def _named(self, name: str) -> Named | None:
        found = self._names.get(name)
        if found is None and name != _STAND_IN and any(_fits(pattern, name) for pattern in self.stand_ins):
            return stand_in(name)
        return found


_STAND_IN: Final = f"{StandIn.__module__}.{StandIn.__qualname__}"
"""A name that only `encode` may come across: a `StandIn` cannot be written as what it stands for."""

_ENCODINGS: Final = ("ASCII", "utf-8", "latin1", "bytes")


def _is_pattern(pattern: object) -> bool:
    if not isinstance(pattern, str):
        return False
    name = pattern.removesuffix("*").removesuffix(".") if pattern != "*" else "any"
    return all(part.isidentifier() for part in name.split(".")) and (pattern[-1] != "*" or pattern[-2:] in ("*", ".*"))


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _allowed(allow: object) -> dict[str, Named]:
    if isinstance(allow, str | type) or not isinstance(allow, Iterable):
        raise _wrong(allow, "Give several classes, or names as 'module.Name'.")
    pairs = allow.items() if isinstance(allow, Mapping) else ((None, each) for each in allow)
    found = {}
    for name, given in pairs:
        cls = _imported(given) if isinstance(given, str) else given
        if not isinstance(cls, type) or issubclass(cls, type) or cls is object:
            raise _wrong(given, "Give classes that hold data.")
        full = f"{cls.__module__}.{cls.__qualname__}" if name is None else name
        if not isinstance(full, str) or not _is_pattern(full) or full.endswith("*"):
            raise _wrong(name, "Give names as 'module.Name'.")
        found[full] = real(full, cls)
    return found


def _imported(name: str) -> Any:
    module, _, rest = name.rpartition(".")
    try:
        return getattr(import_module(module), rest)
    except (ImportError, AttributeError, ValueError) as error:
        raise _wrong(name, "It cannot be imported; stand_ins= needs no import.") from error


def _wrong(value: object, remedy: str) -> ConfigError:
    return ConfigError(f"allow has {value!r}.", remedy=remedy, field="allow", value=value)
