"""
A look at MessagePack before it is read: that lengths are true, and that what comes of it fits into memory.

The reader of the package makes room for as many elements as an array says it has, before it has seen one.
"""

from __future__ import annotations

from typing import Final

from shadowmig.errors import CodecError


def scan(data: bytes, memory: int) -> bool:
    """
    Look through one document.

    Args:
        data: The document.
        memory: The most bytes that it may come to.

    Returns:
        Whether there is a timestamp in it.

    Raises:
        CodecError: See `MsgPack.decode`.
    """
    at, need, end, stamps = 0, 1, len(data), False
    while need:
        need -= 1
        if need >= end - at:
            raise _cut()
        code = data[at]
        size, width, each = _CODES[code]
        at += 1
        if width:
            number = int.from_bytes(data[at : at + width], "big")
            at += width
            size += number if not each else 0
        else:
            number = code & 15
        if each:  # an array or a map
            need += each * number
            memory -= _HOLDER * each
        elif size < 0:
            raise CodecError(f"There is no code {code}.", reason="not msgpack")
        else:
            stamps = stamps or (code in _EXT and data[at : at + 1] == b"\xff")
        memory -= _VALUE
        if memory < 0:
            raise CodecError("The document makes too much.", reason="too large")
        at += size
    if at > end:
        raise _cut()
    if at < end:
        raise CodecError("Something follows the document.", reason="something follows")
    return stamps


_VALUE: Final = 40  # bytes that each value may come to
_HOLDER: Final = 80  # and an array besides; a map twice that
HEAVIEST: Final = _VALUE + 2 * _HOLDER
"""The most that is counted for one byte."""


def _cut() -> CodecError:
    return CodecError("The document is cut.", reason="cut")


def _code(code: int) -> tuple[int, int, int]:
    """Tell of a code: bytes that follow, bytes of a length that follows first, and values for each of that length."""
    if code < 0x80 or code >= 0xE0 or code in (0xC0, 0xC2, 0xC3):
        return 0, 0, 0
    if code < 0x90:
        return 0, 0, 2
    if code < 0xA0:
        return 0, 0, 1
    if code < 0xC0:
        return code & 31, 0, 0
    return _OTHERS.get(code, (-1, 0, 0))


_OTHERS: Final = {
    0xC4: (0, 1, 0), 0xC5: (0, 2, 0), 0xC6: (0, 4, 0),  # bytes
    0xC7: (1, 1, 0), 0xC8: (1, 2, 0), 0xC9: (1, 4, 0),  # extensions, with a byte for their type
    0xCA: (4, 0, 0), 0xCB: (8, 0, 0),  # floats
    0xCC: (1, 0, 0), 0xCD: (2, 0, 0), 0xCE: (4, 0, 0), 0xCF: (8, 0, 0),  # ints
    0xD0: (1, 0, 0), 0xD1: (2, 0, 0), 0xD2: (4, 0, 0), 0xD3: (8, 0, 0),
    0xD4: (2, 0, 0), 0xD5: (3, 0, 0), 0xD6: (5, 0, 0), 0xD7: (9, 0, 0), 0xD8: (17, 0, 0),  # extensions
    0xD9: (0, 1, 0), 0xDA: (0, 2, 0), 0xDB: (0, 4, 0),  # text
    0xDC: (0, 2, 1), 0xDD: (0, 4, 1), 0xDE: (0, 2, 2), 0xDF: (0, 4, 2),  # arrays and maps
}  # fmt: skip
_EXT: Final = frozenset({0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8})
_CODES: Final = tuple(map(_code, range(256)))
