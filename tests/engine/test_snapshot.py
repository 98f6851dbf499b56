"""Snapshots: what was frozen stays as it was."""

from __future__ import annotations

import collections
import enum
import gc
import tempfile
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.engine import snapshot
from shadowmig.engine.snapshot import Kept, all_atoms, freeze, freeze_arguments
from shadowmig.errors import SnapshotError, SnapshotTooLarge

LIMIT = 1 << 20


@attrs.define
class Comment:
    """A comment as an attrs class."""

    id: int
    tags: list[str]


@dataclass
class Row:
    """A comment as a dataclass."""

    id: int
    tags: list[str] = field(default_factory=list)


class Point(NamedTuple):
    """A pair with a mutable part."""

    x: int
    y: list[int]


class Color(enum.Enum):
    """An enumeration."""

    RED = 1


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Whether two values have the same types and text all the way down."""
    return repr(left) == repr(right)


@given(TREES)
def test_what_is_thawed_is_what_was_frozen(value: Any) -> None:
    """Thawing gives the value back, types and all."""
    assert same(freeze(value, limit=LIMIT).thaw(), value)


def change(value: Any) -> None:
    """Change every list and dict in a tree."""
    if isinstance(value, tuple):
        for item in value:
            change(item)
    elif isinstance(value, list):
        for item in value:
            change(item)
        value.append("changed")
    elif isinstance(value, dict):
        for item in value.values():
            change(item)
        value["changed"] = True


@given(TREES)
def test_later_changes_are_not_seen(value: Any) -> None:
    """Neither changes of the original nor of another thawed copy reach a thawed copy."""
    before = repr(value)
    frozen = freeze(value, limit=LIMIT)
    change(frozen.thaw())
    change(value)
    assert repr(frozen.thaw()) == before


@pytest.mark.parametrize(
    "value",
    [
        Comment(1, ["a"]),
        Row(1, ["a"]),
        Point(1, [2]),
        {"when": datetime(2020, 1, 1, tzinfo=UTC), "price": Decimal("1.10"), "id": uuid4(), "color": Color.RED},
        {1, 2},
        frozenset({(1, 2)}),
        bytearray(b"abc"),
        collections.OrderedDict(a=[1]),
        collections.deque([1, [2]]),
        collections.Counter("aab"),
        ValueError("no", [1]),
        [Color.RED, date(2020, 1, 1), timedelta(seconds=1)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_kinds_that_are_copied(value: Any) -> None:
    """Containers, attrs classes, dataclasses, namedtuples and what pickles come back equal and of the same class."""
    thawed = freeze(value, limit=LIMIT).thaw()
    assert type(thawed) is type(value)
    assert same(thawed, value)
    assert thawed is not value


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "a", b"a", Decimal(1), uuid4(), date(2020, 1, 1), 1j, ...])
def test_kinds_that_are_kept(value: Any) -> None:
    """Immutable values are kept as they are."""
    assert isinstance(freeze(value, limit=LIMIT), Kept)
    assert freeze(value, limit=LIMIT).thaw() is value


def test_local_classes_are_copied() -> None:
    """Objects of classes that pickle cannot find by name are copied all the same, their class kept by reference."""

    @dataclass
    class Local:
        tags: list[str]

    value = Local(["a"])
    frozen = freeze({"x": [value, Local]}, limit=LIMIT)
    value.tags.append("b")
    thawed = frozen.thaw()
    assert thawed["x"][0] == Local(["a"])
    assert thawed["x"][1] is Local


def test_functions_are_kept_by_reference() -> None:
    """A lambda inside a value is the same lambda after thawing."""
    function = lambda: 1  # noqa: E731 - a lambda on purpose
    assert freeze([function, len, collections], limit=LIMIT).thaw() == [function, len, collections]


@pytest.mark.parametrize("value", [(n for n in "a"), {"rows": (n for n in "a")}])
def test_one_shot_values_are_refused_and_not_consumed(value: Any) -> None:
    """A generator is refused, and the user can still read it."""
    with pytest.raises(SnapshotError, match=r"generator can be read only once|cannot be frozen"):
        freeze(value, limit=LIMIT)
    inner = value["rows"] if isinstance(value, dict) else value
    assert list(inner) == ["a"]


def test_a_lock_is_refused() -> None:
    """An answer that holds something that cannot be copied is refused, with what to do."""
    with pytest.raises(SnapshotError, match=r"cannot be frozen.*extract="):
        freeze({"lock": threading.Lock()}, limit=LIMIT)


def test_objects_with_a_finalizer_are_refused() -> None:
    """No copy is made whose finalizer would close what belongs to the original."""

    class Handle:
        def __del__(self) -> None:
            pass

    with pytest.raises(SnapshotError, match="Handle has a finalizer"):
        freeze([Handle()], limit=LIMIT)


@pytest.mark.parametrize("value", ["x" * 2000, b"x" * 2000, ["x" * 2000], {"a": b"x" * 2000}, list(range(2000))])
def test_the_limit_holds(value: Any) -> None:
    """A copy above the limit is refused, with the limit in the error."""
    with pytest.raises(SnapshotTooLarge, match="larger than 1000 bytes") as caught:
        freeze(value, limit=1000)
    assert caught.value.limit == 1000


def test_a_huge_value_is_not_copied_first() -> None:
    """Above the limit, freezing stops within a frame of 64 KiB instead of copying all of it."""
    seen = []

    class Part:
        def __init__(self, number: int) -> None:
            self.number = number
            self.text = "x" * 10_000

        def __reduce__(self) -> tuple[Any, ...]:
            seen.append(self.number)
            return list, ((self.text + str(self.number),),)

    with pytest.raises(SnapshotTooLarge):
        freeze([Part(number) for number in range(10_000)], limit=100_000)
    assert len(seen) < 100


def test_large_parts_survive() -> None:
    """Texts and bytes beyond a pickle frame come back whole."""
    value = {"text": "\u00e9" * 200_000, "bytes": b"x" * 200_000, "more": list(range(50_000))}
    assert freeze(value, limit=LIMIT * 4).thaw() == value


def test_depth_is_an_error_not_a_crash() -> None:
    """A value nested 100 000 deep is refused."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SnapshotError, match="RecursionError"):
        freeze(value, limit=LIMIT * 100)
    while value:
        value = value.pop()


def test_cycles_survive() -> None:
    """A value that contains itself thaws into one that contains itself."""
    value: list[Any] = [1]
    value.append(value)
    thawed = freeze(value, limit=LIMIT).thaw()
    assert thawed[1] is thawed
    assert thawed is not value


def test_objects_that_refuse() -> None:
    """An object whose ``__reduce__`` raises is refused by name."""

    class Refuses:
        def __reduce__(self) -> Any:
            raise RuntimeError("no")

    with pytest.raises(SnapshotError, match=r"A list cannot be frozen: copying it raised RuntimeError"):
        freeze([Refuses()], limit=LIMIT)


def test_arguments_without_mutable_parts_need_no_copy() -> None:
    """Only arguments that can change, or are too long, are copied."""
    assert all_atoms((1, "a", None), {"b": 2.0}, 100)
    assert not all_atoms(([],), {}, 100)
    assert not all_atoms((1,), {"b": {}}, 100)
    assert not all_atoms(("x" * 101,), {}, 100)


def test_each_side_gets_its_own_arguments() -> None:
    """Every thaw of the arguments gives other lists, and ``self`` as it is."""

    class Service:
        pass

    service, tags, options = Service(), ["a"], {"deep": [1]}
    arguments = freeze_arguments((service, tags, 5), {"options": options}, own=1, limit=LIMIT)
    tags.append("b")
    (own, first, number), named = arguments.thaw()
    assert (own, first, number, named) == (service, ["a"], 5, {"options": {"deep": [1]}})
    first.append("mine")
    named["options"]["deep"].append("mine")
    assert arguments.thaw() == ((service, ["a"], 5), {"options": {"deep": [1]}})


def test_arguments_that_cannot_be_copied_are_refused() -> None:
    """A lock, an open file or an object with a finalizer is no argument to hand to the checked side."""

    class Handle:
        def __del__(self) -> None:
            pass

    with tempfile.NamedTemporaryFile() as file:
        for value in (threading.Lock(), file, Handle(), [file], {"a": [Handle()]}):
            with pytest.raises(SnapshotError, match="share="):
                freeze_arguments((value,), {}, limit=LIMIT)
        gc.collect()
        assert not file.closed


def test_arguments_can_be_shared_by_name() -> None:
    """What the user names is passed on by reference, by position or by name; the rest is copied."""
    lock, client, tags = threading.Lock(), threading.Lock(), ["a"]
    arguments = freeze_arguments(
        (lock, tags), {"client": client}, limit=LIMIT, names=("lock", "tags"), share={"lock", "client"}
    )
    (first, second), named = arguments.thaw()
    assert (first, named) == (lock, {"client": client})
    assert second == tags
    assert second is not tags


def test_more_arguments_than_names() -> None:
    """Arguments taken by ``*args`` have no name and are copied."""
    assert freeze_arguments((1, [2], [3]), {}, limit=LIMIT, names=("a",)).thaw() == ((1, [2], [3]), {})


def test_objects_of_frameworks_are_refused() -> None:
    """A request or a model is no argument to copy, and nothing of it is loaded; its dicts of plain data are."""
    from django.db.models.query import QuerySet
    from django.utils.datastructures import ImmutableList, MultiValueDict
    from django.utils.functional import SimpleLazyObject
    from starlette.requests import Request

    query = MultiValueDict({"a": ["1"]})
    assert freeze_arguments((query, ImmutableList([1])), {}, limit=LIMIT).thaw() == ((query, (1,)), {})
    with pytest.raises(SnapshotError, match="Request of a framework"):
        freeze_arguments(([Request({"type": "http"})],), {}, limit=LIMIT)
    user = SimpleLazyObject(lambda: pytest.fail("the user was loaded"))
    for value in ({"user": user}, [QuerySet()]):
        with pytest.raises(SnapshotError, match="would be loaded"):
            freeze(value, limit=LIMIT)


def test_plain_arguments_nested_too_deep_are_refused() -> None:
    """An argument nested 100 000 deep is refused."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SnapshotError, match="RecursionError"):
        freeze_arguments((value,), {}, limit=LIMIT * 100)
    while value:
        value = value.pop()


def test_arguments_that_are_too_large_to_copy() -> None:
    """A large argument of any kind is refused."""

    class Big:
        def __init__(self) -> None:
            self.data = list(range(10_000))

    for value in (Big(), list(range(10_000)), "x" * 10_000):
        with pytest.raises(SnapshotTooLarge):
            freeze_arguments((value,), {}, limit=1000)


def test_a_reference_outside_of_a_snapshot_is_an_error() -> None:
    """The stand-in for references cannot be called by accident."""
    with pytest.raises(SnapshotError, match="outside of a snapshot"):
        snapshot._reference(0)
