"""Structured: documents with millions of faults or very long keys, and types that are easily mixed up."""

import collections
import collections.abc
import dataclasses
import datetime as dt
import enum
import tracemalloc
from typing import Any, Literal, TypedDict

import attrs
import pytest

from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Json, Pickle, Structured
from shadowmig.wire.codecs.structured import strict_converter


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Rights(enum.IntFlag, boundary=enum.CONFORM):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


class Vote(TypedDict):
    by: int


@attrs.frozen
class Thread:
    id: int
    votes: list[int]
    replies: "list[Thread]" = attrs.field(factory=list)


@dataclasses.dataclass
class Page:
    threads: list[Thread]
    tags: dict[str, int] | None = None


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("model", "element"),
    [
        (list[int], '""'),
        (tuple[int, ...], '""'),
        (set[int], '""'),
        (frozenset[int], '""'),
        (collections.deque[int], '""'),
        (list[int | str], "[]"),
        (list[int | None], '""'),
        (list[Literal[1]], '""'),
        (list[Level], '""'),
        (list[list[int]], '[""]'),
        (list[dict[str, int]], '{"a":""}'),
        (list[Vote], "{}"),
        (list[Thread], "{}"),
        (list[Thread], '{"id":1,"votes":["",""],"other":0}'),
        (list[Page], '{"threads":[{}]}'),
        (list[bytes], "5"),
        (list[dict], "[]"),
    ],
)
def test_many_faults_take_no_memory(model, element):
    """Of a document full of faults the first few are told, and the others take no memory."""
    codec = Structured(Json(), model)
    data = f"[{','.join([element] * 50_000)}]".encode()
    tracemalloc.start()
    try:
        plain = Json().decode(data, 0)
        read = tracemalloc.get_traced_memory()[1]
        del plain
        tracemalloc.reset_peak()
        with pytest.raises(CodecError) as caught:
            codec.decode(data, 0)
        assert tracemalloc.get_traced_memory()[1] < read + 3_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.path.startswith("$[0]")
    assert len(str(caught.value)) < 400


def test_faults_do_not_outlive_their_document():
    """After a document with many faults the next one is read as if nothing had been, by the converter itself too."""
    codec = Structured(Json(), list[int])
    converter = strict_converter(Json())
    for _ in range(3):
        with pytest.raises(CodecError):
            codec.decode(b'["","","","","","","","",""]', 0)
        assert codec.decode(b"[1,2]", 0) == [1, 2]
        with pytest.raises(ExceptionGroup):
            converter.structure([""] * 20, list[int])
        assert converter.structure([1, 2], list[int]) == [1, 2]


def test_faults_that_a_hook_gets_over():
    """A hook that gets over faults of its own is let be, until there are so many that nothing more is looked at."""
    converter = strict_converter(Json())

    def lenient(value: Any, _: Any) -> dt.timedelta:
        try:
            return dt.timedelta(seconds=converter.structure(value, int))
        except Exception:
            return dt.timedelta(0)

    converter.register_structure_hook(dt.timedelta, lenient)
    codec = Structured(Json(), list[dt.timedelta], converter=converter)
    assert codec.decode(b'["", 1]', 0) == [dt.timedelta(0), dt.timedelta(seconds=1)]
    with pytest.raises(CodecError, match="too many faults"):
        codec.decode(b'["","","","","","","","",1]', 0)


@pytest.mark.parametrize("key", ["k" * 5_000_000, "a @ b", "\x1b[31m"])
def test_keys_in_errors_are_cut(key):
    """A key is shown in an error as the path needs it: cut, and safe for a terminal."""
    codec = Structured(Json(), dict[str, int])
    with pytest.raises(CodecError) as caught:
        codec.decode(Json().encode({key: "x"})[0], 0)
    assert len(str(caught.value)) < 400
    assert caught.value.path.startswith("$['")
    assert str(caught.value).isprintable()
    assert caught.value.path in str(caught.value)


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (Literal[1], b"true"),
        (Literal[1], b"1.0"),
        (Literal[True], b"1"),
        (Literal[0] | None, b"false"),
        (Literal[Level.LOW], b"true"),
        (Literal["a"], b"1"),
        (dict, b'[["a",1]]'),
        (dict, b"[]"),
        (dict[str, int], b"[]"),
        (Access, b"8"),
        (Access, b"true"),
        (Rights, b"8"),
        (Rights, b"1.0"),
    ],
)
def test_what_python_takes_for_the_same_is_refused(model, document):
    """A value that is equal to what the model has, or can be made into it, but is of another type is refused."""
    with pytest.raises(CodecError) as caught:
        Structured(Json(), model).decode(document, 0)
    assert caught.value.reason == "not the model"


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Literal[1, "a"], 1),
        (Literal[Level.LOW], Level.LOW),
        (Access, Access.READ | Access.WRITE),
        (Access, Access(0)),
        (Rights, Rights.READ | Rights.WRITE),
        (set[int], {1}),
        (frozenset[int], frozenset({1})),
        (collections.abc.Set[int], frozenset({1})),
        (collections.abc.MutableSet[int], {1}),
        (collections.deque[int], collections.deque([1])),
        (collections.deque, collections.deque([1])),
        (set, {1}),
        (tuple[int, ...], (1, 2)),
        (tuple[Any, ...], (1, "a")),
        (tuple[int, str], (1, "a")),
        (dict, {"a": [1]}),
    ],
)
def test_values_of_many_types_come_back(model, value):
    """Values of each type that a model may have come back as the same type."""
    codec = Structured(Json(), model)
    found = codec.decode(*codec.encode(value))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("other", "model", "value"),
    [
        (Json(), int, True),
        (Json(), str, 5),
        (Json(), Thread, Thread("5", [])),
        (Json(), list[Thread], [Thread(5, [1.0])]),
        (Json(), dict[int, str], {1: "a"}),
        (Json(), dt.date, dt.datetime(2024, 1, 1, 3, tzinfo=dt.UTC)),
        (Pickle(), dt.date, dt.datetime(2024, 1, 1, 3, tzinfo=dt.UTC)),
    ],
)
def test_what_could_not_be_read_is_not_written(other, model, value):
    """An object that holds what is not of its model is not written, for it could not be read."""
    with pytest.raises(CodecError) as caught:
        Structured(other, model).encode(value)
    assert caught.value.reason == "not the model"


@pytest.mark.parametrize("innermost", ['"x"', "[]"])
def test_structured_at_any_depth(innermost):
    """However deep a document is, and whether it has a fault there or not, it is read or refused by a CodecError."""
    codec = Structured(Json(), Thread)
    reasons = set()
    for depth in range(1, 400, 9):
        data = f'{{"id":1,"votes":{innermost}}}'
        for _ in range(depth):
            data = f'{{"id":1,"votes":[],"replies":[{data}]}}'
        try:
            assert codec.decode(data.encode(), 0).id == 1
            reasons.add("read")
        except CodecError as error:
            reasons.add(error.reason)
    assert reasons <= {"read", "not the model", "too deep"}
    assert ("read" in reasons) == (innermost == "[]")
    assert reasons != {"read"}


def test_type_that_cattrs_learns_of_too_late():
    """A type that turns out to be unknown only when there is a value for it is refused by a CodecError."""
    codec = Structured(Json(), list[int] | dict[str, int] | None)
    assert codec.decode(b"null", 0) is None
    with pytest.raises(CodecError, match="cattrs has nothing for its type"):
        codec.decode(b"[1]", 0)
