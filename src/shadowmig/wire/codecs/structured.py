"""`Structured`: another codec's values as the service's own models."""

from __future__ import annotations

from typing import Any, Final

import cattrs
from attrs import field, frozen
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError, StructureHandlerNotFoundError

from shadowmig.errors import CodecError, ConfigError
from shadowmig.protocols import Codec
from shadowmig.wire.codecs._flags import too_deep
from shadowmig.wire.codecs._structured_strict import Unfit, strict_converter
from shadowmig.wire.codecs.framing import check_codec
from shadowmig.wire.tagged._protocol import printable

__all__ = ["Structured", "strict_converter"]


@frozen
class Structured:
    """
    Another codec's values as objects of a model of attrs or dataclasses, or of anything else that cattrs knows.

    Without a converter of its own it is strict: a key that is no field is refused; text, ints, floats, truth values and
    bytes are taken only as what they are, save that a whole number will do for a float; a list is made of a list only,
    a dict of a dict, and a member of an enum or of a ``Literal`` of a value of its own type only. A field that is
    missing takes the model's default, or is refused if it has none.

    What the other codec has no type for is text in it: with `Json` that are ``datetime``, ``date`` and ``time`` (ISO
    8601), ``UUID``, ``Decimal`` and ``bytes`` (base64). `MsgPack` and `Protobuf` have moments and bytes, and `Pickle`
    and `Avro` have all of them. A set is a list in all but `Pickle`. Text of a moment with more than six decimals is
    refused, for Python would drop them.

    Danger: a converter of the service's own is bounded as cattrs is. With ``detailed_validation``, its default, it
    keeps each fault of a value with its traceback: bytes that are all faults take a thousand times their size.

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
            CodecError: It is no object of the model (``not the model``), is nested too deeply (``too deep``), the
                other codec cannot write it, or, without a converter of its own, `decode` would refuse it.
        """
        try:
            plain = self._used.unstructure(value, unstructure_as=self.model)
        except RecursionError as error:
            raise too_deep() from error
        except Exception as error:
            raise CodecError(f"The value is no {_name(self.model)}.", reason="not the model") from error
        data, flags = self.codec.encode(plain)
        if self.converter is None:
            self.decode(data, flags)  # a model may hold what is not of its types
        return data, flags

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
            told = [(what, printable(where, _LONGEST)) for what, where in _told(error)[:_SHOWN]]
            raise CodecError(
                f"The value is no {_name(self.model)}: {'; '.join(map(' @ '.join, told))}.",
                reason="not the model",
                path=told[0][1],
            ) from error


def _told(error: BaseException) -> list[tuple[str, str]]:
    """Give what is wrong, without values, and where."""
    if isinstance(error, BaseValidationError):
        try:
            told = dict.fromkeys(cattrs.transform_error(error, format_exception=_why))
        except RecursionError:
            raise too_deep() from error
        return [(what, where) for what, _, where in (one.partition(" @ ") for one in told)]
    return [(_why(error, None), "$")]


def _why(error: BaseException, _: Any) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return "there is a key that is no field"
    if isinstance(error, Unfit):
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


_SHOWN: Final = 5
_LONGEST: Final = 200
