"""Objects: by their fields, their class strict, none of their code run."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import types
from collections import UserDict, UserList
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

import attrs
import pytest

from shadowmig.compare import structural


@dataclasses.dataclass
class Data:
    x: Any
    cache: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass
class SameFields:
    x: Any


@dataclasses.dataclass(slots=True)
class Nothing:
    pass


@attrs.define
class Attrs:
    x: Any
    cache: Any = attrs.field(default=None, eq=False)


class Slots:
    __slots__ = ("__hidden", "x")

    def __init__(self, x: Any, hidden: Any = None) -> None:
        self.x = x
        self.__hidden = hidden


class OneSlot(Slots):
    __slots__ = "y"  # noqa: PLC0205 - a lone name is allowed there


class Plain:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Tagged(int):
    pass


class Named(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def _paths(control: Any, candidate: Any, **options: Any) -> list[tuple[str, str]]:
    return [(one.path, one.kind) for one in structural(**options)(control=control, candidate=candidate)]


@pytest.mark.parametrize("make", [Data, Attrs, Slots, OneSlot, lambda x: Plain(x=x)])
def test_fields(make: Any) -> None:
    """Objects of one class are compared field by field, rules included."""
    assert not _paths([make(1)], [make(1)])
    assert _paths([make(1)], [make(True)]) == [("$[0].x", "type")]
    assert _paths(make({"a": [1]}), make({"a": [2]})) == [("$.x.a[0]", "changed")]
    assert not _paths(make(1), make(2), ignore=["$.x"])
    assert _paths([make(1), make(2)], [make(2), make(1)]) == [("$", "order")]
    assert not _paths([make(1), make(2.0)], [make(2.0), make(1)], unordered=True, tolerance=0.1)


def test_class_is_strict() -> None:
    """Objects of two classes differ though their fields agree."""
    assert _paths(Data(1), SameFields(1)) == [("$", "type")]
    assert _paths(Data(1), {"x": 1}) == [("$", "type")]


def test_fields_left_out_of_equality() -> None:
    """Fields that a class leaves out of its own comparison are left out."""
    assert not _paths(Data(1, 1), Data(1, 2))
    assert not _paths(Attrs(1, 1), Attrs(1, 2))


def test_objects_without_state() -> None:
    """Objects with nothing in them equal only themselves, but for records without fields."""
    empty = Plain()
    assert _paths([empty], [Plain()]) == [("$[0]", "changed")]
    assert not _paths([empty], [empty])
    assert _paths([empty, 1], [1, Plain()], unordered=True) == [("$", "changed")]
    assert not _paths([Nothing()], [Nothing()])
    assert _paths(partial(int), partial(int)) == [("$", "changed")]


def test_private_slots() -> None:
    """Slots with mangled names are seen, and unset slots are no trouble."""
    assert _paths(Slots(1, 2), Slots(1, 3)) == [("$.__hidden", "changed")]
    one = OneSlot(1)
    one.y = 2  # type: ignore[attr-defined]  # made by hand here
    assert _paths(one, OneSlot(1)) == [("$.y", "missing")]


def test_subclasses_of_scalars() -> None:
    """What an instance of a subclass holds besides its value counts; its own ``__eq__`` decides if it has one."""
    a, b = Tagged(1), Tagged(1)
    assert not _paths([a], [b])
    a.unit = "s"  # type: ignore[attr-defined]  # made by hand here
    assert _paths([a], [b]) == [("$[0].unit", "missing")]
    assert _paths([a, 2], [2, b], unordered=["$"]) == [("$", "changed")]
    assert not _paths([Named("a")], [Named("b")])
    assert _paths([Tagged(1)], [1]) == [("$[0]", "type")]
    assert not _paths([Tagged(1)], [1], numbers="value")


def test_cyclic_objects() -> None:
    """Objects that refer to themselves are compared once."""
    a, b = Plain(x=1), Plain(x=1)
    a.me, b.me = a, b  # type: ignore[attr-defined]  # made by hand here
    assert not _paths(a, b)
    b.x = 2  # type: ignore[attr-defined]  # made by hand here
    assert _paths(a, b) == [("$.x", "changed")]


def test_mappings_and_sequences_of_others() -> None:
    """Mapping views and user containers are compared by content."""
    assert _paths(types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})) == [("$.a", "changed")]
    assert not _paths(types.MappingProxyType({"a": 1}), {"a": 1}, dict_types="any")
    assert _paths(UserDict(a=1), UserDict(a=True)) == [("$.a", "type")]
    assert not _paths([UserDict(a=1), 1], [1, UserDict(a=1)], unordered=True)
    assert not _paths(UserList([1]), UserList([1]))
    assert _paths(UserList([1]), UserList([2])) == [("$", "changed")]


def test_tuple_keys_are_typed() -> None:
    """Keys inside tuples are told apart by type, as keys are."""
    assert _paths({(1, "a"): 1}, {(True, "a"): 1}) == [("$[(1, 'a')]", "missing"), ("$[(True, 'a')]", "unexpected")]
    assert not _paths({(1, "a"): [1], frozenset({2}): 1}, {frozenset({2}): 1, (1, "a"): [1]})
    assert _paths({(1, "a"): [1]}, {(1, "a"): [2]}) == [("$[(1, 'a')][0]", "changed")]
    assert not _paths({(1,): 2}, {(1.0,): 2}, numbers="value")


def test_pydantic() -> None:
    """Pydantic models are compared by field and extra, whether set or left at the default."""
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]  # made by hand here
        model_config = pydantic.ConfigDict(extra="allow")
        x: int = 0
        inner: Any = None

    assert not _paths(Model(), Model(x=0))
    assert _paths(Model(inner=Model(x=1)), Model(inner=Model(x=2))) == [("$.inner.x", "changed")]
    assert _paths(Model(y=1), Model(y=2)) == [("$.y", "changed")]
    assert _paths(Model(y=1), Model()) == [("$.y", "missing")]
    assert _paths([Model(x=1), Model(x=2)], [Model(x=2), Model(x=1)]) == [("$", "order")]


def test_generic_pydantic() -> None:
    """Parametrised models are classes of their own."""
    pydantic = pytest.importorskip("pydantic")
    T = TypeVar("T")

    class Box(pydantic.BaseModel, Generic[T]):  # type: ignore[misc, name-defined]  # made by hand here
        x: T

    assert _paths(Box[int](x=1), Box[float](x=1)) == [("$", "type")]


def _message(name: str) -> Any:
    """A proto3 message class: a plain int, an optional one, a repeated one, a map, a child."""
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto3")
    message = file.message_type.add(name="M")
    message.field.add(name="n", number=1, type=5, label=1)
    message.oneof_decl.add(name="_o")
    message.field.add(name="o", number=2, type=5, label=1, proto3_optional=True, oneof_index=0)
    message.field.add(name="r", number=3, type=5, label=3)
    entry = message.nested_type.add(name="MEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=5, label=1)
    message.field.add(name="m", number=4, type=11, label=3, type_name=f".{name}.M.MEntry")
    message.field.add(name="child", number=5, type=11, label=1, type_name=f".{name}.M")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{name}.M"))


def test_protobuf() -> None:
    """Messages are compared by meaning: presence where the schema has it, unknown fields, maps, children."""
    make = _message("compare_one")
    assert not _paths(make(n=0), make())
    assert _paths(make(n=1), make()) == [("$.n", "changed")]
    assert _paths(make(o=0), make()) == [("$.o", "missing")]
    assert _paths(make(), make(o=0)) == [("$.o", "unexpected")]
    assert _paths(make(r=[1, 2]), make(r=[2, 1])) == [("$.r", "order")]
    assert not _paths(make(r=[1, 2]), make(r=[2, 1]), unordered=["$.r"])
    assert _paths(make(m={"a": 1}), make(m={"a": 2})) == [("$.m.a", "changed")]
    assert _paths(make(child=make(n=1)), make(child=make(n=2))) == [("$.child.n", "changed")]
    assert _paths(make(child=make()), make()) == [("$.child", "missing")]
    assert _paths(make.FromString(b"\x78\x01"), make()) == [("$['(unknown)']", "missing")]
    assert not _paths(make.FromString(b"\x7b\x08\x01\x7c"), make.FromString(b"\x7b\x08\x01\x7c"))
    assert _paths([make(n=1), make(n=2)], [make(n=2), make(n=1)]) == [("$", "order")]
    assert _paths(make(), _message("compare_two")()) == [("$", "type")]


def test_protobuf_extensions() -> None:
    """Extensions of proto2 messages are compared under their full name."""
    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="compare_ext.proto", package="compare_ext")
    message = file.message_type.add(name="M")
    message.extension_range.add(start=10, end=20)
    file.extension.add(name="e", number=10, type=5, label=1, extendee=".compare_ext.M")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    make = message_factory.GetMessageClass(pool.FindMessageTypeByName("compare_ext.M"))
    extension = pool.FindExtensionByName("compare_ext.e")
    a, b = make(), make()
    a.Extensions[extension] = 1
    b.Extensions[extension] = 2
    assert _paths(a, b) == [("$['[compare_ext.e]']", "changed")]


def test_datetime_subclasses() -> None:
    """A subclass of datetime is another type than datetime, and is compared like one."""

    class Moment(datetime):
        pass

    a = Moment(2026, 1, 1, tzinfo=UTC)
    assert _paths([a], [datetime(2026, 1, 1, tzinfo=UTC)]) == [("$[0]", "type")]
    assert not _paths([a], [Moment(2026, 1, 1, tzinfo=UTC)])


MODELS = """
from django.conf import settings
settings.configure(INSTALLED_APPS=[])
import django; django.setup()
from django.db import models
from shadowmig import structural

class Comment(models.Model):
    author = models.CharField(max_length=9)
    class Meta:
        app_label = "x"

left, right, same = (Comment(id=1, author=author) for author in "aba")
left._state.adding = False
assert left == right
print([d.path for d in structural()(control=left, candidate=right)], len(structural()(control=left, candidate=same)))
"""


def test_django_models() -> None:
    """Two Django objects with one primary key are compared by their columns, unlike by their own ``==``."""
    done = subprocess.run([sys.executable, "-c", MODELS], capture_output=True, text=True, check=True)
    assert done.stdout == "['$.author'] 0\n"


def test_sqlalchemy_models() -> None:
    """Of an object that SQLAlchemy maps, its bookkeeping is left out."""

    class Comment:
        _sa_class_manager = object()

        def __init__(self, author: str) -> None:
            self.author = author
            self._sa_instance_state = object()

    assert _paths(Comment("a"), Comment("b")) == [("$.author", "changed")]
    assert not _paths(Comment("a"), Comment("a"))
