"""
A look at Avro before it is read: that lengths and indices are true, and nesting is not too deep.

fastavro follows a recursive schema as deep as the bytes say, until the process ends, and makes as many elements as an
array of nothing says it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._flags import too_deep

DEEPEST: Final = 200


class Scan:
    """
    One look through one datum.

    Args:
        data: The datum, without what is put before it.
        named: The schemas that have names.
        memory: The most bytes that it may come to.
    """

    def __init__(self, data: bytes, named: Mapping[str, Any], memory: int) -> None:
        self.data = data
        self.named = named
        self.memory = memory
        self.at = 0

    def whole(self, schema: Any) -> None:
        """
        Look through all of the datum.

        Raises:
            CodecError: See `Avro.decode`.
        """
        self._skip(schema, 0)
        if self.at < len(self.data):
            raise CodecError("Something follows the datum.", reason="something follows")

    def _skip(self, schema: Any, depth: int) -> None:
        if depth > DEEPEST:
            raise too_deep()
        self.memory -= _NODE
        if self.memory < 0:
            raise _too_much()
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, list):
            self._skip(kind[self._index(len(kind))], depth + 1)
        elif kind in _STEPS:
            _STEPS[kind](self, schema, depth)
        else:
            self._skip(self.named[kind], depth)

    def _record(self, schema: Mapping[str, Any], depth: int) -> None:
        for one in schema["fields"]:
            self._skip(one["type"], depth + 1)

    def _blocks(self, schema: Mapping[str, Any], depth: int) -> None:
        items = schema["items"] if schema["type"] == "array" else schema["values"]
        while count := self._number(64):
            end = None
            if count < 0:
                size = self._number(64)
                end = self.at + size
                count = -count
            for left in range(count, 0, -1):
                at = self.at
                if schema["type"] == "map":
                    self._text()
                self._skip(items, depth + 1)
                if self.at == at and left * _NODE > self.memory:  # nothing, and as many as a few bytes say
                    raise _too_much()
            if end not in (None, self.at):
                raise CodecError("A block is of another size than it says.", reason="not the schema")

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise CodecError("The datum is cut.", reason="cut")
        found = self.data[self.at : end]
        self.at = end
        return found

    def _text(self) -> None:
        try:
            self._sized().decode()
        except UnicodeDecodeError as error:
            raise CodecError("A text is no UTF-8.", reason="not UTF-8") from error

    def _sized(self) -> bytes:
        size = self._number(64)
        if size < 0:
            raise CodecError("A length is less than zero.", reason="not the schema")
        return self._take(size)

    def _bytes(self, schema: Any, data: bytes) -> None:
        # As a decimal they are turned into digits, which takes quadratic time, and then cut down to the precision.
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            most = 10 ** schema["precision"]
            if not -most < int.from_bytes(data, "big", signed=True) < most:
                raise CodecError("A decimal has more digits than its schema.", reason="number too large")

    def _index(self, count: int) -> int:
        found = self._number(32)
        if not 0 <= found < count:
            raise CodecError("An index is beyond the schema.", reason="not the schema")
        return found

    def _number(self, bits: int) -> int:
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift > 63:
                raise CodecError("An int has no end.", reason="not the schema")
        if number >= 2**bits:
            raise CodecError(f"An int is beyond {bits} bits.", reason="number too large")
        return (number >> 1) ^ -(number & 1)


def _too_much() -> CodecError:
    return CodecError("The datum makes too much.", reason="too large")


_NODE: Final = 100  # bytes that each value may come to
_STEPS: Final[dict[str, Callable[[Scan, Any, int], object]]] = {
    "null": lambda scan, schema, depth: None,
    "boolean": lambda scan, schema, depth: scan._take(1),
    "float": lambda scan, schema, depth: scan._take(4),
    "double": lambda scan, schema, depth: scan._take(8),
    "int": lambda scan, schema, depth: scan._number(32),
    "long": lambda scan, schema, depth: scan._number(64),
    "bytes": lambda scan, schema, depth: scan._bytes(schema, scan._sized()),
    "string": lambda scan, schema, depth: scan._text(),
    "fixed": lambda scan, schema, depth: scan._bytes(schema, scan._take(schema["size"])),
    "enum": lambda scan, schema, depth: scan._index(len(schema["symbols"])),
    "record": Scan._record,
    "error": Scan._record,
    "array": Scan._blocks,
    "map": Scan._blocks,
}
