"""The keys of a dict, and the elements of a set, that come from bytes: finding them must not take long."""

from __future__ import annotations

from typing import Any, Final

from shadowmig.errors import CodecError


class Keys:
    """
    Looks at each key of a dict and each element of a set, for finding them can take long, or end the process.

    Text, bytes, and what is small is hashed well. Of the rest a writer can make as many as it likes with one hash, and
    tuples so deep that hashing them overflows the stack. And two texts that are equal are compared to their end
    whenever one of them is looked for and the other found.

    Args:
        length: The most characters and bytes of all keys together, each counted whenever it is used.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.left = 10_000

    def check(self, key: Any) -> None:
        """
        Look at one key.

        Raises:
            CodecError: It is a tuple of more than a hundred elements in all (``key too large``), there are more than
                10 000 keys that are neither text, bytes nor small (``too many keys``), or the texts and bytes in all
                keys are too long together (``too large``).
        """
        kind = type(key)
        if kind is str or kind is bytes:
            self._count(key)
            return
        if key is None or kind is bool or (kind is int and -_SMALL <= key <= _SMALL):
            return
        self.left -= 1
        if self.left < 0:
            raise CodecError("There are too many keys of other types than text.", reason="too many keys")
        waiting, seen = [key], 0
        while waiting:
            value = waiting.pop()
            seen += 1
            if type(value) in (tuple, frozenset):
                seen += len(value)
                if seen <= _LARGE:
                    waiting += value
            elif type(value) in (str, bytes):
                self._count(value)
            if seen > _LARGE:
                raise CodecError("A key is too large.", reason="key too large")

    def _count(self, text: str | bytes) -> None:
        self.length -= len(text)
        if self.length < 0:
            raise CodecError("The keys are too long.", reason="too large")


_LARGE: Final = 200
_SMALL: Final = 2**63
