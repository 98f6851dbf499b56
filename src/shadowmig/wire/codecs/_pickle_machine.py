"""
A reader of pickles that runs nothing: every opcode of the protocols 0 to 5, in plain Python.

The standard reader cannot be made safe by looking at names only: a few bytes make it allocate gigabytes, and ``BUILD``
changes a class that it was allowed to name. Here a name is never an object of the process but an entry of a table, and
what the opcodes make is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shadowmig.errors import CodecError
from shadowmig.wire.codecs._flags import GROWTH
from shadowmig.wire.codecs._nesting import DEEPEST, check_nesting
from shadowmig.wire.codecs._pickle_classes import Named
from shadowmig.wire.codecs._pickle_objects import Machine
from shadowmig.wire.codecs._pickle_stack import cut, too_much


def read(data: bytes, *, names: Callable[[str], Named | None], encoding: str, limit: int) -> Any:
    """
    Read one pickle.

    Args:
        data: The pickle.
        names: Gives the meaning of a name, or ``None`` if it is not allowed.
        encoding: How text of Python 2 is read: the name of an encoding, or ``"bytes"``.
        limit: The bytes that a codec reads; what is made may come to 32 times as much.

    Raises:
        CodecError: It cannot be read; the reasons are those of `Pickle.decode`.
    """
    machine = Machine(data, names, encoding, limit * GROWTH)
    try:
        return _run(machine)
    except BaseException as error:
        machine.let_go()
        if isinstance(error, CodecError) or not isinstance(error, _BROKEN):
            raise
        raise CodecError("The pickle makes no sense.", reason="broken") from error


def _run(machine: Machine) -> Any:
    data, weights, steps = machine.data, _WEIGHTS, _STEPS
    if not data:
        raise cut()
    while True:
        if machine.at >= len(data):
            raise cut()
        code = data[machine.at]
        machine.at += 1
        machine.memory -= weights[code]
        if machine.memory < 0:
            raise too_much()
        if code == _STOP:
            return _end(machine)
        step = steps[code]
        if step is None:
            raise CodecError(f"There is no opcode {code}.", reason="not a pickle")
        step(machine)


def _end(machine: Machine) -> Any:
    value = machine.pop()
    if machine.stack or machine.marked:
        raise CodecError("The pickle leaves values over.", reason="broken")
    machine.plain((value,))
    if machine.at < len(machine.data):
        raise CodecError("Something follows the pickle.", reason="something follows")
    if machine.escaped:
        raise CodecError(
            f"A text of Python 2 is not {machine.encoding}.",
            remedy="Use encoding='utf-8', 'latin1' or 'bytes'.",
            reason="not text",
        )
    if machine.shared or len(machine.data) > DEEPEST:  # each level takes a byte at least
        machine.let_go(check_nesting(value, parts=machine.parts, shared=machine.shared or bool(machine.frail)))
    return value


def _refuse(reason: str, what: str) -> Callable[[Machine], None]:
    def step(_: Machine) -> None:
        raise CodecError(f"The pickle needs {what}.", reason=reason)

    return step


_BROKEN: Final = (IndexError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError)
_STOP: Final = ord(".")
_Step = Callable[[Machine], None]
_CODES: Final[dict[bytes, _Step]] = {
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"I": Machine.decimal_int,
    b"J": lambda m: m.push(m.signed()),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"L": Machine.decimal_long,
    b"\x8a": lambda m: m.push_long(m.number(1)),
    b"\x8b": lambda m: m.push_long(m.signed()),
    b"F": Machine.float_line,
    b"G": Machine.push_float,
    b"S": Machine.quoted,
    b"T": lambda m: m.old_text(m.take(m.signed())),
    b"U": lambda m: m.old_text(m.take(m.number(1))),
    b"V": Machine.text_line,
    b"X": lambda m: m.push_text(m.number(4)),
    b"\x8c": lambda m: m.push_text(m.number(1)),
    b"\x8d": lambda m: m.push_text(m.number(8)),
    b"B": lambda m: m.push(m.take(m.number(4))),
    b"C": lambda m: m.push(m.take(m.number(1))),
    b"\x8e": lambda m: m.push(m.take(m.number(8))),
    b"\x96": lambda m: m.push(bytearray(m.take(m.number(8)))),
    b"(": Machine.mark,
    b"0": Machine.pop_any,
    b"1": lambda m: _drop(m.items()),
    b"2": Machine.twice,
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push_tuple(m.items()),
    b"\x85": lambda m: m.push_tuple(m.last(1)),
    b"\x86": lambda m: m.push_tuple(m.last(2)),
    b"\x87": lambda m: m.push_tuple(m.last(3)),
    b"]": lambda m: m.push([]),
    b"l": Machine.push_list,
    b"a": lambda m: m.add(m.last(1)),
    b"e": lambda m: m.add(m.items()),
    b"}": lambda m: m.push({}),
    b"d": Machine.push_dict,
    b"s": lambda m: m.set_items(m.last(2)),
    b"u": lambda m: m.set_items(m.items()),
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.add(m.items()),
    b"\x91": Machine.push_frozenset,
    b"p": lambda m: m.put(m.index()),
    b"q": lambda m: m.put(m.number(1)),
    b"r": lambda m: m.put(m.number(4)),
    b"\x94": Machine.memoize,
    b"g": lambda m: m.get(m.index()),
    b"h": lambda m: m.get(m.number(1)),
    b"j": lambda m: m.get(m.number(4)),
    b"c": Machine.global_lines,
    b"\x93": Machine.stack_global,
    b"R": Machine.reduce,
    b"\x81": lambda m: m.new(named_args=False),
    b"\x92": lambda m: m.new(named_args=True),
    b"i": Machine.inst,
    b"o": Machine.obj,
    b"b": Machine.build,
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b"P": _refuse("persistent id", "a value that is kept elsewhere"),
    b"Q": _refuse("persistent id", "a value that is kept elsewhere"),
    b"\x82": _refuse("extension registry", "the registry of its process"),
    b"\x83": _refuse("extension registry", "the registry of its process"),
    b"\x84": _refuse("extension registry", "the registry of its process"),
    b"\x97": _refuse("out of band", "a buffer that is kept elsewhere"),
    b"\x98": _refuse("out of band", "a buffer that is kept elsewhere"),
}


def _drop(_: object) -> None:
    """Forget what was popped."""


_STEPS: Final[tuple[_Step | None, ...]] = tuple(_CODES.get(bytes((code,))) for code in range(256))

# Bytes that an opcode may come to, what it stays in included.
_HEAVY: Final = {512: b"R\x81\x92io", 256: b"\x8f\x91b", 128: b"(}dpqr\x94", 96: b"]l"}
_WEIGHTS: Final[tuple[int, ...]] = tuple(
    next((weight for weight, codes in _HEAVY.items() if code in codes), 64) for code in range(256)
)
