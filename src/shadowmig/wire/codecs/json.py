"""`Json`: strict, because it is to show what another program could not read."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from attrs import field, frozen

from shadowmig.wire.codecs._flags import check_flags


@frozen
class Json:
    """
    JSON in UTF-8, the whole value one document.

    Numbers without fraction or exponent are exact ints, all others floats. What JSON cannot tell apart in Python
    cannot be told apart here: a tuple is written as a list, and a key 1 as ``"1"``.

    Args:
        flags: Client flags to write; any are read.

    Raises:
        ConfigError: ``flags`` are not 32 bits.
    """

    flags: int = field(default=0, kw_only=True, validator=check_flags)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Write without spaces and with sorted keys, so that equal values give equal bytes.

        Raises:
            ValueError: There is a NaN, an infinity, a lone surrogate or a cycle.
            TypeError: There is something that JSON does not have, or keys of several types.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return text.encode(), self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """
        Read one document.

        Raises:
            ValueError: It is no JSON in UTF-8 or more than one document, a key is there twice, or a number is no
                number (``NaN``) or none that a float can hold (``1e999``).
        """
        # As text: given bytes, the parser would guess at other encodings.
        return _READER.decode(data.decode())


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a float")
    return number


_READER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
