"""
Values for round trips, made from a model: valid, and crowded where languages, libraries and stores differ.

    from shadowmig.wire.strategies import sample, values_of

    values = sample(values_of(Comment), 10_000, seed=1)

`values_of` reads attrs classes, dataclasses, typed dicts, annotations, JSON Schema and protobuf messages. It gives a
strategy of hypothesis, to be used as any other: in ``@given``, in ``hypothesis.find``, inside other strategies.

Danger: a boundary is drawn some thousand times as often as production has it. How often a value fails here says
nothing about how often calls will.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Literal
from weakref import WeakKeyDictionary

from shadowmig.errors import ConfigError

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ConfigError(
        "shadowmig.wire.strategies needs the package hypothesis.",
        remedy="Install it: pip install 'shadowmig[hypothesis]'.",
        field="hypothesis",
    ) from error

from shadowmig.wire.strategies import _leaves as leaves
from shadowmig.wire.strategies import _times as clocks
from shadowmig.wire.strategies._nodes import KNOWN
from shadowmig.wire.strategies._options import Options, Overrides, json_node, refuse
from shadowmig.wire.strategies._proto import MessageReader, descriptor_of
from shadowmig.wire.strategies._root import Root
from shadowmig.wire.strategies._sample import stream_of
from shadowmig.wire.strategies._schema import SchemaReader
from shadowmig.wire.strategies._source import DrawSource
from shadowmig.wire.strategies._types import TypeReader

__all__ = ["binaries", "floats", "integers", "json_values", "sample", "stream", "texts", "times", "values_of"]

_ROOTS: WeakKeyDictionary[st.SearchStrategy[Any], Root] = WeakKeyDictionary()


@st.composite
def _drawn(draw: st.DrawFn, root: Root) -> Any:
    return root.draw(DrawSource(draw))


def _strategy(name: str, node: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    root = Root(name, node, depth)
    strategy = _drawn(root)
    _ROOTS[strategy], KNOWN[strategy] = root, node
    return strategy


def values_of(
    model: Any,
    *,
    overrides: Mapping[Any, st.SearchStrategy[Any]] | None = None,
    depth: int = 5,
    nan: bool | None = None,
    surrogates: bool = False,
    bits: int | None = None,
    nanos: bool = False,
    zones: bool = True,
    naive: bool = False,
    longest: int = 70_000,
    unknown_enums: bool = False,
    unknown_fields: bool = False,
    enums: Literal["names", "numbers"] = "names",
) -> st.SearchStrategy[Any]:
    """
    Give a strategy for the values of a model.

    Every value is valid for the model, but for what ``unknown_enums`` and ``unknown_fields`` ask for. At each place an
    edge is drawn with a likelihood that is chosen anew for each value: 1/16, 1/4 or 5/8.

    Args:
        model: A class of attrs, a dataclass, a typed dict, a named tuple, any annotation built of these and plain
            types (its metadata and the validators of attrs are limits); a JSON Schema (2020-12) as a mapping; or a
            protobuf message, as class or descriptor, which gives dicts as `shadowmig.wire.codecs.Protobuf` takes them.
        overrides: Strategies for parts of the model, by type, or by path: ``"author.name"``; items of a list and values
            of a mapping are ``"tags[]"``, keys ``"props{}"``, places of a tuple ``"pair[0]"``.
        depth: How often a recursive model may go down into itself.
        nan: Whether there are NaN and infinities; by default not for a JSON Schema.
        surrogates: Whether text may hold lone surrogates, which UTF-8 cannot write; never in protobuf.
        bits: Ints without bounds of their own are of this width, signed; by default they reach past 64 bits.
        nanos: Whether an `Instant` may stand for a datetime; protobuf's Timestamp has it anyway.
        zones: Whether moments may be in other zones than UTC.
        naive: Whether a datetime may be without a zone.
        longest: Very long texts and bytes, drawn rarely, have this size; 0 for none.
        unknown_enums: Whether there may be values that an enum does not have (yet): where a model is dict-like, in a
            JSON Schema, and for open enums of protobuf. An attribute of a class is always a member.
        unknown_fields: Whether dict-like models have members (text keys, any JSON) that they do not name, some of them
            their own in another spelling; and messages of protobuf fields of numbers that they do not have. Classes
            cannot hold any.
        enums: How values of enums are given in messages of protobuf: as their codec does.

    Raises:
        ConfigError: A part of the model has no values or is of no known type; the message names its path. Or an option
            is wrong, or an override leads nowhere.
    """
    schema = isinstance(model, Mapping)
    options = Options(
        nan=not schema if nan is None else nan,
        surrogates=surrogates,
        bits=bits,
        nanos=nanos,
        zones=zones,
        naive=naive,
        depth=depth,
        longest=longest,
        unknown_enums=unknown_enums,
        unknown_fields=unknown_fields,
        enums=enums,
    )
    given = Overrides(overrides)
    descriptor = descriptor_of(model)
    reader: Any
    try:
        if schema:
            reader = SchemaReader(model, options, given)
        elif descriptor is not None:
            reader, model = MessageReader(options, given), descriptor
        else:
            reader = TypeReader(options, given)
        node = reader.node(model)
    except leaves.Contradiction as error:
        refuse(error.path or "", str(error))
    except RecursionError:
        raise ConfigError("The model is nested too deeply.", remedy="Give a part of it.", field="model") from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if not schema or isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"The schema cannot be read: {error}.", remedy="Have a validator of JSON Schema check it.", field="model"
        ) from error
    name = getattr(model, "__name__", None) or getattr(model, "full_name", None) or type(model).__name__
    strategy = _strategy(f"values_of({name})", node, depth)
    given.check_used(reader.seen)
    return strategy


def json_values(
    *, depth: int = 3, nan: bool = False, surrogates: bool = False, bits: int | None = None, longest: int = 70_000
) -> st.SearchStrategy[Any]:
    """
    Give a strategy for JSON documents of every form; rarely one nested 60 deep.

    Args:
        depth: How deep lists and objects are nested otherwise.
        nan: Whether there are NaN and infinities, which JSON itself does not have.
        surrogates: Whether text may hold lone surrogates.
        bits: The width of ints, signed; by default they reach past 64 bits.
        longest: Very long texts, drawn rarely, have this many code points; 0 for none.
    """
    options = Options(nan=nan, surrogates=surrogates, bits=bits, depth=depth, longest=longest)
    return _strategy("json_values()", json_node(options), depth)


def integers(
    *, bits: int | None = None, signed: bool = True, low: int | None = None, high: int | None = None
) -> st.SearchStrategy[int]:
    """
    Give a strategy for ints.

    Args:
        bits: Their width; by default they reach past 64 bits.
        signed: Whether there are negative ones.
        low: The least one.
        high: The largest one.
    """
    first, last = Options(bits=bits).span
    if not signed:
        first, last = 0, None if bits is None else 2**bits - 1
    least = first if low is None else low if first is None else max(low, first)
    most = last if high is None else high if last is None else min(high, last)
    return _checked("integers", lambda: leaves.integers(least, most))


def floats(
    *, bits: int = 64, nan: bool = True, low: float | None = None, high: float | None = None
) -> st.SearchStrategy[float]:
    """
    Give a strategy for floats.

    Args:
        bits: 64, or 32 for those that a float of 32 bits holds exactly.
        nan: Whether there are NaN and infinities: each as far as there are no bounds.
        low: The least one.
        high: The largest one.
    """
    if bits not in {32, 64}:
        raise ConfigError(f"bits is {bits!r}.", remedy="Use 32 or 64.", field="bits", value=bits)
    return _checked("floats", lambda: leaves.floats(low, high, width=bits, nan=nan))


def texts(
    *, min_size: int = 0, max_size: int | None = None, surrogates: bool = False, longest: int = 70_000
) -> st.SearchStrategy[str]:
    """
    Give a strategy for text.

    Args:
        min_size: The fewest code points.
        max_size: The most of them.
        surrogates: Whether there are lone surrogates.
        longest: Very long ones, drawn rarely, have this many code points; 0 for none.
    """
    most = float("inf") if max_size is None else max_size
    return _checked("texts", lambda: leaves.texts(min_size, most, surrogates=surrogates, longest=longest))


def binaries(*, min_size: int = 0, max_size: int | None = None, longest: int = 70_000) -> st.SearchStrategy[bytes]:
    """
    Give a strategy for bytes: many of them are no UTF-8.

    Args:
        min_size: The fewest bytes.
        max_size: The most of them.
        longest: Very long ones, drawn rarely, have this many bytes; 0 for none.
    """
    most = float("inf") if max_size is None else max_size
    return _checked("binaries", lambda: leaves.binaries(min_size, most, longest=longest))


def times(
    *,
    low: datetime | None = None,
    high: datetime | None = None,
    zones: bool = True,
    nanos: bool = False,
    naive: bool = False,
) -> st.SearchStrategy[Any]:
    """
    Give a strategy for moments.

    Args:
        low: The earliest one; it has a zone.
        high: The latest one; it has a zone.
        zones: Whether there are other zones than UTC.
        nanos: Whether some are an `Instant`, finer than a microsecond.
        naive: Whether some have no zone.
    """
    return _checked("times", lambda: clocks.times(low, high, zones=zones, nanos=nanos, naive=naive))


def _checked(name: str, make: Any) -> st.SearchStrategy[Any]:
    try:
        return _strategy(f"{name}()", make())
    except leaves.Contradiction as error:
        raise ConfigError(f"{name}(): {error}.", remedy="Widen the bounds.", field=name) from None


def sample(strategy: st.SearchStrategy[Any], count: int, seed: int = 0) -> list[Any]:
    """
    Draw different values at once, without a test around them.

    The strategies of this module choose by Python's `random` here, not by hypothesis: the same tree of choices,
    many times quicker. Strategies of others, patterns and most overrides among them, are drawn by hypothesis,
    without its database, deadlines and health checks, and so not inside one of its tests; within a model, 500 values
    of each are drawn and then picked from.

    Args:
        strategy: Any strategy.
        count: How many values.
        seed: The same seed gives the same values, in the same version of shadowmig, Python and hypothesis.

    Returns:
        ``count`` values, no two alike (``1``, ``1.0`` and ``True`` are not alike); fewer if 1 000 draws in a row, or a
        run of hypothesis, brought nothing new: the model has hardly more.

    Raises:
        ConfigError: There are no values, ``strategy`` is none, or ``count`` or ``seed`` is not a whole number.
    """
    if type(count) is not int or not 0 <= count <= sys.maxsize:
        raise ConfigError(f"count is {count!r}.", remedy="Give a whole number.", field="count", value=count)
    return list(islice(stream(strategy, seed), count))


def stream(strategy: st.SearchStrategy[Any], seed: int = 0) -> Iterator[Any]:
    """
    Draw one by one, when asked for, what `sample` gives at once; it ends where there is nothing new.

    Args:
        strategy: Any strategy.
        seed: As for `sample`.

    Raises:
        ConfigError: ``strategy`` is none, or ``seed`` is not a whole number; or, when drawing, there are no values.
    """
    if type(seed) is not int:
        raise ConfigError(f"seed is {seed!r}.", remedy="Give a whole number.", field="seed", value=seed)
    if not isinstance(strategy, st.SearchStrategy):
        raise ConfigError(
            f"strategy is {strategy!r}.", remedy="Use values_of(model).", field="strategy", value=strategy
        )
    return stream_of(strategy, _ROOTS.get(strategy), seed)
