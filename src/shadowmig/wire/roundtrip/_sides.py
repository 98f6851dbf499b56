"""
Writers and readers as they are called: one by one or in batches, with whatever they do turned into a result.

What they raise is kept as text, so that no frame of theirs, and no value in it, stays alive. ``Exception`` and
``SystemExit`` become results; `KeyboardInterrupt`, `GeneratorExit` and what else is no ``Exception`` passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from shadowmig.errors import CodecUnavailable, ConfigError
from shadowmig.protocols import BatchCodec

_TEXT = 2_000
"""Characters of an error that are kept."""

_RETRIES = 40
"""Calls made to find the values of a batch at which a codec fails as a whole."""

Written: TypeAlias = "tuple[bytes, int] | Failed"
"""Bytes and flags, or why there are none."""


@frozen
class Failed:
    """
    No result, and why.

    Attributes:
        kind: Name of the exception's class.
        text: Its text.
        reason: The ``reason`` of a `CodecError`.
        broken: Whether it says nothing of value and bytes.
    """

    kind: str
    text: str
    reason: str = ""
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


def failed(error: BaseException, *, broken: bool = False) -> Failed:
    """Keep what an exception says."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - an exception's own text may raise anything
        text = f"its text raises {type(second).__name__}"
    reason = getattr(error, "reason", "")
    unavailable = isinstance(error, CodecUnavailable)
    return Failed(type(error).__name__, text[:_TEXT], reason if type(reason) is str else "", broken or unavailable)


class Side:
    """
    One writer or reader by its name.

    Args:
        name: What the user calls it.
        given: A codec or a function.
        method: ``"encode"`` or ``"decode"``.

    Raises:
        ConfigError: It is neither.
    """

    __slots__ = ("_many", "_one", "name")

    def __init__(self, name: str, given: Any, method: str) -> None:
        field = "writers" if method == "encode" else "readers"
        if type(name) is not str or not name:
            raise ConfigError(f"{field}: {name!r} is no name.", remedy="Use text.", field=field, value=name)
        self.name = name
        self._many: Callable[[Sequence[Any]], Any] | None = None
        if isinstance(given, type) and hasattr(given, "encode") and hasattr(given, "decode"):
            raise ConfigError(
                f"{field}: {name!r} is the class {given.__name__}.",
                remedy="Give an object of it.",
                field=field,
                value=given,
            )
        # Text has a method encode of its own, and a class may have those of a codec.
        codec = not isinstance(given, type | str | bytes) and callable(getattr(given, method, None))
        if codec and isinstance(given, BatchCodec):
            self._many = getattr(given, f"{method}_many")
        elif codec:
            function = getattr(given, method)
            self._one = function if method == "encode" else lambda item: function(item[0], item[1])
        elif callable(given):
            self._one = given if method == "encode" else lambda item: given(item[0])
        else:
            raise ConfigError(
                f"{field}: {name!r} is {given!r}.",
                remedy=f"Give a codec with {method}, or a function.",
                field=field,
                value=given,
            )

    def run(self, items: Iterable[Any], until: float = float("inf")) -> Iterator[Any]:
        """
        Give one result for each item, in their order: what the side gives, or `Failed`.

        A side without batches is called when its result is asked for, so that an object that it gives twice is seen
        as it was the first time.

        Args:
            items: Values for a writer, pairs of bytes and flags for a reader.
            until: Monotonic time after which a batch that failed as a whole is not tried again in parts.
        """
        if self._many is not None:
            yield from self._batch(self._many, list(items), until)
            return
        one = self._one
        for item in items:
            try:
                result = one(item)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything; that is what is looked for
                result = failed(error)
            yield result

    def _batch(self, many: Callable[[Sequence[Any]], Any], items: Sequence[Any], until: float) -> list[Any]:
        """Ask for all at once; where that fails as a whole, for halves, so that one value does not hide the others."""
        results: list[Any] = [None] * len(items)
        left = _RETRIES
        todo = [(0, len(items))] if items else []
        while todo:
            start, end = todo.pop()
            found = self._ask(many, items[start:end])
            if isinstance(found, Failed):
                if end - start > 1 and left > 0 and time.monotonic() < until:
                    left -= 1
                    middle = (start + end) // 2
                    todo += [(middle, end), (start, middle)]
                    continue
                found = [found] * (end - start)
            results[start:end] = [failed(each) if isinstance(each, BaseException) else each for each in found]
        return results

    @staticmethod
    def _ask(many: Callable[[Sequence[Any]], Any], items: Sequence[Any]) -> list[Any] | Failed:
        try:
            found = many(items)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the codec itself failed, however it says so
            return failed(error)
        if not isinstance(found, list | tuple) or len(found) != len(items):
            return Failed("TypeError", "a batch has not one result for each item", broken=True)
        return list(found)


def written(result: Any) -> Written:
    """Give what a writer gave as bytes and flags; anything else is broken."""
    if type(result) is bytes:
        return result, 0
    if isinstance(result, Failed):
        return result
    if type(result) is tuple and len(result) == 2:
        data, flags = result
        if type(data) is bytes and type(flags) is int:
            return result
    else:
        data, flags = result, 0
    if isinstance(data, bytes | bytearray | memoryview) and type(flags) is int:
        return bytes(data), flags
    return Failed("TypeError", f"the writer gave {type(result).__name__}, not bytes", "not bytes", broken=True)
