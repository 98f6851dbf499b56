"""`Raw`: bytes as they are."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._flags import check_flags


@frozen
class Raw:
    """
    The bytes as they are; what the flags say is left to others.

    Args:
        flags: Client flags to write.

    Raises:
        ConfigError: ``flags`` are not 32 bits.
    """

    flags: int = field(default=0, kw_only=True, validator=check_flags)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """
        Give bytes back.

        Raises:
            CodecError: The value is of another type (``no such type``).
        """
        if not isinstance(value, bytes):
            raise CodecError(f"Raw writes bytes, not {type(value).__name__}.", reason="no such type")
        return value, self.flags

    def decode(self, data: bytes, flags: int) -> Any:
        """Give the bytes back."""
        return data
