"""
`Json`: strict, because it is to show what another program could not read.

`look` tells what in a document readers of several languages take differently.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from attrs import field, frozen

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._flags import LIMIT, check_flags, check_limit, check_size, too_deep
from shadowmig.wire.codecs._json_look import NOTES, Oddity, look

__all__ = ["NOTES", "Json", "Oddity", "look"]


@frozen
class Json:
    """
    JSON in UTF-8, the whole value one document.

    Numbers without fraction or exponent are exact ints, all others floats. What JSON cannot tell apart in Python
    cannot be told apart here: a tuple is written as a list, and a key 1 as ``"1"``.

    Args:
        flags: Client flags to write; any are read.
        limit: The most bytes that are read. Reading takes up to 32 times as much memory.

    Raises:
        ConfigError: ``flags`` are not 32 bits, or ``limit`` is no number of bytes.
    """

    flags: int = field(default=0, kw_only=True, validator=check_flags)
    limit: int = field(default=LIMIT, kw_only=True, validator=check_limit)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write without spaces and with sorted keys, so that equal values give equal bytes.

        Raises:
            CodecError: There is a NaN or an infinity (``NaN``), a surrogate alone (``lone surrogate``), a number that
                `decode` would refuse (``number too large``), something that JSON does not have, or keys of several
                types (``no such type``), or the value is nested too deeply or holds itself (``too deep``), or too long
                for `decode` (``too large``).
        """
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
            data = text.encode()
        except UnicodeEncodeError as error:
            raise CodecError("A text has a surrogate alone, which UTF-8 cannot write.", reason="lone surrogate") from (
                error
            )
        except RecursionError as error:
            raise too_deep() from error
        except TypeError as error:
            raise CodecError(f"JSON cannot write this: {error}.", reason="no such type") from error
        except ValueError as error:
            if "ircular" in str(error):
                raise too_deep() from error
            if "JSON" in str(error):
                raise CodecError("NaN and the infinities are no JSON.", reason="NaN") from error
            raise _too_large() from error
        check_size(data, self.limit)
        return data, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one document.

        Raises:
            CodecError: It is longer than ``limit`` (``too large``), no UTF-8 (``not UTF-8``), no JSON or more than one
                document (``not JSON``), or nested too deeply for Python (``too deep``); a key is there twice
                (``duplicate key``); a number is none (``NaN``), or too large for a float or, with more than 4300
                digits, for Python (``number too large``); a surrogate stands alone (``lone surrogate``).
        """
        check_size(data, self.limit)
        try:
            # As text: given bytes, the parser would guess at other encodings.
            text = data.decode()
            value = _READER.decode(text)
        except UnicodeDecodeError as error:
            raise CodecError(f"This is no UTF-8 at byte {error.start}.", reason="not UTF-8") from error
        except json.JSONDecodeError as error:
            raise CodecError(
                f"This is no JSON at character {error.pos}: {error.msg.lower()}.", reason="not JSON"
            ) from error
        except RecursionError as error:
            raise too_deep() from error
        except CodecError:
            raise
        except ValueError as error:
            raise _too_large() from error
        if ("\\ud" in text or "\\uD" in text) and any(found[1] for found in _ESCAPES.finditer(text)):
            raise CodecError("A text has a surrogate alone.", reason="lone surrogate")
        return value


_ESCAPES: Final = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]|(u[dD][89a-fA-F])|.)")
"""The escapes of a good document; those of half a pair are the group."""


def _too_large() -> CodecError:
    return CodecError("A number is too large.", reason="number too large")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise CodecError("A key is there twice.", reason="duplicate key")
    return members


def _no_constant(name: str) -> NoReturn:
    raise CodecError(f"{name} is no JSON.", reason="NaN")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _too_large()
    return number


_READER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
