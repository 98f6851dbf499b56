"""The stack and the memo of a reader of pickles: numbers, text, and containers."""

from __future__ import annotations

import re
import struct
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._keys import Keys
from shadowmig.wire.codecs._pickle_classes import DIGITS, Args, Named, StandIn, number_too_large, refused


class Stack:
    """
    The stack, the memo, and what is left of the memory that may be used. Its methods are the steps of opcodes.

    Args:
        data: The pickle.
        names: Gives the meaning of a name, or ``None`` if it is not allowed.
        encoding: How text of Python 2 is read.
        memory: The most bytes that what is made may come to.
    """

    def __init__(self, data: bytes, names: Callable[[str], Named | None], encoding: str, memory: int) -> None:
        self.data = data
        self.at = 0
        self.names = names
        self.encoding = encoding
        self.memory = memory
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.keys = Keys(memory)
        self.escaped: set[str] = set()  # text of Python 2 that is none; only the states of moments may be so
        self.shared = False
        self.parts: dict[int, list[Any]] = {}  # what instances of real classes were made of, by their id
        self.frail: list[defaultdict[Any, Any] | deque[Any]] = []  # see `let_go`

    # What the steps are made of.

    def take(self, size: int) -> bytes:
        end = self.at + size
        if size < 0 or end > len(self.data):
            raise cut()
        found = self.data[self.at : end]
        self.at = end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def signed(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise cut()
        return self.take(end + 1 - self.at)[:-1]

    def pop(self) -> Any:
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def items(self) -> list[Any]:
        """Give what was pushed since the last mark."""
        found = self.stack
        self.stack = self.marked.pop()
        return found

    def use(self, size: int) -> None:
        """Count what takes memory, or time as if it did."""
        self.memory -= size
        if self.memory < 0:
            raise too_much()

    def copied(self, values: Iterable[Any], *, each: int = 64) -> None:
        """Count what is made of values, which may be as large as they are, and may be made many times."""
        for value in values:
            if type(value) in (list, tuple):
                self.use(len(value) * each)
            elif type(value) is dict:
                self.use(len(value) * 2 * each)
            elif type(value) in (str, bytes):
                self.use(len(value))

    def plain(self, values: Iterable[Any]) -> None:
        """Refuse a class that stands where a value should."""
        for value in values:
            if type(value) is Named:
                raise refused(value.name)
            if type(value) is Args:
                raise refused(next(each.name for each in value if type(each) is Named))

    def let_go(self, kept: Collection[int] = ()) -> None:
        """
        Empty what Python itself cannot forget if it holds its like by ten thousands of levels: its process would end.

        Args:
            kept: The ids of what is part of the value, and good.
        """
        for each in self.frail:
            if id(each) not in kept:
                each.clear()

    # Steps: numbers, text and bytes.

    def decimal_int(self) -> None:
        text = self.line()
        self.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else whole(text))

    def decimal_long(self) -> None:
        self.push(whole(self.line().removesuffix(b"L")))

    def push_long(self, size: int) -> None:
        data = self.take(size)
        if size > _LONG:
            raise number_too_large()
        self.push(int.from_bytes(data, "little", signed=True))

    def float_line(self) -> None:
        text = self.line()
        if len(text) > DIGITS:
            raise number_too_large()
        self.push(float(text))

    def push_float(self) -> None:
        self.push(struct.unpack(">d", self.take(8))[0])

    def quoted(self) -> None:
        text = self.line()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise ValueError("a text without quotes")
        self.old_text(_ESCAPE.sub(_escaped, text[1:-1]))

    def old_text(self, data: bytes) -> None:
        if self.encoding == "bytes":
            self.push(data)
            return
        try:
            self.push(data.decode(self.encoding))
        except UnicodeDecodeError:
            text = data.decode(self.encoding, "surrogateescape")
            self.escaped.add(text)
            self.push(text)

    def text_line(self) -> None:
        self.push(self.line().decode("raw-unicode-escape"))

    def push_text(self, size: int) -> None:
        self.push(self.take(size).decode("utf-8", "surrogatepass"))

    # Steps: containers.

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_any(self) -> None:
        if self.stack:
            self.pop()
        else:
            self.items()

    def push_tuple(self, items: list[Any]) -> None:
        kinds = {type(item) for item in items}
        if Args in kinds:
            self.plain(items)
        self.push(Args(items) if Named in kinds else tuple(items))

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("too few values")
        found = self.stack[-count:]
        del self.stack[-count:]
        return found

    def push_dict(self) -> None:
        items = self.items()
        self.push({})
        self.set_items(items)

    def push_list(self) -> None:
        items = self.items()
        self.plain(items)
        self.push(items)

    def push_frozenset(self) -> None:
        items = self.items()
        self.plain(items)
        for item in items:
            self.keys.check(item)
        self.push(frozenset(items))

    def add(self, items: list[Any]) -> None:
        """Append to a list, or add to a set."""
        self.plain(items)
        to = self.stack[-1]
        kind = type(to)
        if kind is StandIn:
            to = _items_of(to, list)
        if type(to) is list:
            to.extend(items)
        elif kind is set:
            for item in items:
                self.keys.check(item)
            to.update(items)
        elif id(to) in self.parts:
            self.parts[id(to)] += items
            put = to.add if isinstance(to, set) else to.append
            for item in items:
                run_allowed(put, item)
        else:
            raise TypeError("not a list")

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("a key without a value")
        self.plain(items)
        to = self.stack[-1]
        if type(to) is StandIn:
            to = _items_of(to, dict)
        if id(to) in self.parts:
            self.parts[id(to)] += items
        elif type(to) not in (dict, OrderedDict, defaultdict):
            raise TypeError("not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.keys.check(key)
            if id(to) in self.parts:
                run_allowed(to.__setitem__, key, value)
            else:
                to[key] = value

    # Steps: the memo.

    def index(self) -> int:
        """Read an index of the memo; of longer numbers many have one hash."""
        text = self.line()
        if len(text) > len(str(_MEMO)):
            raise ValueError("no index of a memo")
        return int(text)

    def put(self, index: int) -> None:
        if not 0 <= index <= _MEMO:
            raise ValueError("no index of a memo")
        self.memo[index] = self.stack[-1]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        value = self.memo[index]
        self.shared = self.shared or type(value) not in _ATOMS
        self.push(value)

    def twice(self) -> None:
        self.shared = True
        self.push(self.stack[-1])

    # Steps: the frame around.

    def protocol(self) -> None:
        found = self.number(1)
        if found > 5:
            raise CodecError(f"There is no protocol {found}.", reason="unknown protocol")

    def frame(self) -> None:
        if self.number(8) > len(self.data) - self.at:
            raise cut()


def cut() -> CodecError:
    """Give the error for bytes that end too early."""
    return CodecError("The pickle is cut.", reason="cut")


def too_much() -> CodecError:
    """Give the error for bytes that make too much."""
    return CodecError("The pickle makes too much.", reason="too large")


def run_allowed(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Run code of a class that the user allowed."""
    try:
        return call(*args, **options)
    except Exception as error:
        raise CodecError(f"An allowed class raised {type(error).__name__}.", reason="class refused") from error


def whole(text: bytes) -> int:
    """Read an int in decimal."""
    if len(text) > DIGITS:
        raise number_too_large()
    return int(text)


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes((int(found[1], 16),))
    return _ESCAPES[found[2]]


def _items_of(to: StandIn, kind: type) -> Any:
    if to.items is None:
        object.__setattr__(to, "items", kind())
    return to.items


_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes, Named})
_LONG: Final = 1786  # bytes of 4300 digits
_MEMO: Final = 10**18 - 1  # below what Python hashes anything else to
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.?))", re.DOTALL)
_ESCAPES: Final = {b"\\": b"\\", b"'": b"'", b'"': b'"', b"n": b"\n", b"r": b"\r", b"t": b"\t"}
"""Those that Python 2 wrote."""
