"""Values of protobuf messages: the dicts that the codec takes, and gives back as they were."""

import datetime
from functools import cache, partial

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, struct_pb2, timestamp_pb2
from google.protobuf import wrappers_pb2 as wrappers
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.wire.codecs.protobuf import Protobuf
from shadowmig.wire.strategies import sample, values_of
from shadowmig.wire.values import Instant

SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
RANGES = {
    **dict.fromkeys(("int64", "sfixed64", "sint64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("int32", "sfixed32", "sint32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("uint64", "fixed64"), (0, 2**64 - 1)),
    **dict.fromkeys(("uint32", "fixed32"), (0, 2**32 - 1)),
}


class Fields:
    """Adds fields to a message, numbered as they come."""

    def __init__(self, message):
        self.message = message

    def add(self, name, kind, *, label=1, **more):
        self.message.field.add(name=name, number=len(self.message.field) + 1, type=kind, label=label, **more)


def new_file():
    """Describe a file of today's syntax with every kind of field."""
    new = descriptor_pb2.FileDescriptorProto(name="new.proto", package="new", syntax="proto3")
    new.dependency.extend(f"google/protobuf/{name}.proto" for name in ("timestamp", "duration", "struct", "wrappers"))
    color = new.enum_type.add(name="Color")
    for number, name in enumerate(("COLOR_UNSET", "RED", "BLUE")):
        color.value.add(name=name, number=number)
    message = new.message_type.add(name="Comment")
    fields = Fields(message)
    for name, kind in SCALARS.items():
        fields.add(f"one_{name}", kind)
        fields.add(f"many_{name}", kind, label=3)
    message.oneof_decl.add(name="body")
    fields.add("text", 9, oneof_index=0)
    fields.add("blob", 12, oneof_index=0)
    fields.add("other", 11, oneof_index=0, type_name=".new.Comment")
    fields.add("color", 14, type_name=".new.Color")
    fields.add("colors", 14, label=3, type_name=".new.Color")
    fields.add("replies", 11, label=3, type_name=".new.Comment")
    fields.add("parent", 11, type_name=".new.Comment")
    for name in ("Timestamp", "Duration", "Struct", "Value", "ListValue", "Int64Value", "StringValue"):
        fields.add(name.lower(), 11, type_name=f".google.protobuf.{name}")
    for index, name in enumerate(("int64", "bytes")):
        message.oneof_decl.add(name=f"_maybe_{name}")
        fields.add(f"maybe_{name}", SCALARS[name], oneof_index=1 + index, proto3_optional=True)
    for key, value, kind in (("string", 9, None), ("int32", 11, ".new.Comment"), ("bool", 14, ".new.Color")):
        entry = message.nested_type.add(name=f"Map{key.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=SCALARS[key], label=1)
        entry.field.add(name="value", number=2, type=value, label=1, type_name=kind)
        fields.add(f"map_{key}", 11, label=3, type_name=f".new.Comment.{entry.name}")
    return new


def old_file():
    """Describe a file of the older syntax: a required field, a closed enum, a group, a message without end."""
    old = descriptor_pb2.FileDescriptorProto(name="old.proto", package="old", syntax="proto2")
    kind = old.enum_type.add(name="Kind")
    kind.value.add(name="A", number=5)
    kind.value.add(name="B", number=-1)
    legacy = old.message_type.add(name="Legacy")
    fields = Fields(legacy)
    fields.add("id", 3, label=2)
    fields.add("kind", 14, type_name=".old.Kind")
    fields.add("inner", 10, type_name=".old.Legacy.Inner")
    Fields(legacy.nested_type.add(name="Inner")).add("x", 5)
    Fields(old.message_type.add(name="Endless")).add("again", 11, label=2, type_name=".old.Endless")
    return old


def build():
    """Build the messages of both files."""
    pool = descriptor_pool.DescriptorPool()
    for known in (timestamp_pb2, duration_pb2, struct_pb2, wrappers):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for one in (new_file(), old_file()):
        pool.AddSerializedFile(one.SerializeToString())
    names = ("new.Comment", "old.Legacy", "old.Endless")
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


COMMENT, LEGACY, ENDLESS = build()


def spelled(value):
    """Spell a value, for a NaN is not equal to itself and members of a map have no order."""
    if isinstance(value, dict):
        return sorted((repr(key), spelled(each)) for key, each in value.items())
    return [spelled(each) for each in value] if isinstance(value, list) else repr(value)


MODELS = [
    (COMMENT, {"depth": 2}),
    (COMMENT, {"depth": 2, "enums": "numbers", "unknown_enums": True, "unknown_fields": True}),
    (LEGACY, {"unknown_enums": True, "unknown_fields": True}),
    (struct_pb2.Struct, {"nan": True}),
    (struct_pb2.Value, {}),
    (struct_pb2.ListValue, {}),
    (duration_pb2.Duration, {}),
    (timestamp_pb2.Timestamp, {}),
    (wrappers.UInt32Value, {}),
]


@pytest.mark.parametrize(("model", "options"), MODELS, ids=lambda value: getattr(value, "__name__", None))
def test_codec_gives_the_values_back(model, options):
    """Each value is written by the codec and read as it was."""
    codec = Protobuf(model, enums=options.get("enums", "names"))
    values = sample(values_of(model, **options), 200, seed=4)
    assert len(values) == 200
    for value in values:
        assert spelled(codec.decode(*codec.encode(value))) == spelled(value)


def test_codec_takes_what_hypothesis_draws():
    """The other way of drawing gives values that come back, too."""
    codec = Protobuf(COMMENT)

    @settings(database=None, max_examples=20, deadline=None)
    @given(values_of(COMMENT, depth=1))
    def same(value):
        assert spelled(codec.decode(*codec.encode(value))) == spelled(value)

    same()


def test_class_and_descriptor_are_one_model():
    """A message's class and its descriptor give the same values."""
    assert spelled(sample(values_of(COMMENT), 20)) == spelled(sample(values_of(COMMENT.DESCRIPTOR), 20))


@cache
def flat_comments():
    """Draw once for the numbers of every kind."""
    return sample(values_of(COMMENT, depth=0), 3000)


@pytest.mark.parametrize("name", RANGES)
def test_widths_of_numbers(name):
    """A number of each kind reaches both ends of its own width and nothing beyond."""
    low, high = RANGES[name]
    values = flat_comments()
    found = {value[f"one_{name}"] for value in values} | {one for value in values for one in value[f"many_{name}"]}
    assert {min(found), max(found)} == {low, high}


def test_presence():
    """Fields with presence are left out at times, those without never, and of a oneof there is one at most."""
    values = sample(values_of(COMMENT, depth=1), 400)
    for name in ("maybe_int64", "maybe_bytes", "parent", "timestamp", "value"):
        assert 0 < sum(name in value for value in values) < 400
    assert all({"one_int64", "many_bytes", "map_string", "color"} <= value.keys() for value in values)
    groups = {frozenset({"text", "blob", "other"} & value.keys()) for value in values}
    assert groups == {frozenset(), frozenset({"text"}), frozenset({"blob"}), frozenset({"other"})}
    assert all("id" in value for value in sample(values_of(LEGACY), 100))
    assert {"kind" in value for value in sample(values_of(LEGACY), 100)} == {True, False}


def test_enums_and_their_unknown_numbers():
    """Open enums have numbers without a name when asked for, closed ones never."""
    flat = partial(values_of, COMMENT, depth=0)
    assert {value["color"] for value in sample(flat(), 100)} == {"COLOR_UNSET", "RED", "BLUE"}
    assert {value["color"] for value in sample(flat(enums="numbers"), 100)} == {0, 1, 2}
    found = {value["color"] for value in sample(flat(unknown_enums=True), 800)}
    assert {"RED", 3, -1, 2**31 - 1} <= found
    assert {value.get("kind") for value in sample(values_of(LEGACY, unknown_enums=True), 300)} == {None, "A", "B"}


def test_unknown_fields_of_messages():
    """Fields of a later version have numbers that the message does not have, and every kind."""
    values = sample(values_of(LEGACY, unknown_fields=True), 600)
    found = [one for value in values for one in value.get("$unknown", [])]
    assert {kind for _, kind, _ in found} == {"varint", "fixed32", "fixed64", "bytes", "group"}
    assert all(number > 3 for number, _, _ in found)


def test_moments_and_durations():
    """Timestamps reach from the year 1 to 9999 with nanoseconds, durations below microseconds."""
    moments = sample(values_of(timestamp_pb2.Timestamp), 3000)
    assert {1, 1969, 9999} <= {value.year for value in moments if isinstance(value, datetime.datetime)}
    assert any(isinstance(value, Instant) for value in moments)
    durations = sample(values_of(duration_pb2.Duration), 3000)
    fine = [value for value in durations if isinstance(value, dict)]
    assert all(value["nanos"] % 1000 and value["seconds"] * value["nanos"] >= 0 for value in fine)
    assert {value["nanos"] > 0 for value in fine} == {True, False}


def test_overrides_in_messages():
    """A strategy stands in for a field, for items, keys and values, and for a message by its class."""
    overrides = {
        "one_string": st.just("x"),
        "many_int32[]": st.just(5),
        "map_int32{}": st.just(7),
        "map_string": st.just({"a": "b"}),
        "timestamp": st.just(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
    }
    values = sample(values_of(COMMENT, overrides=overrides, depth=1), 100)
    assert {value["one_string"] for value in values} == {"x"}
    assert {one for value in values for one in value["many_int32"]} == {5}
    assert {key for value in values for key in value["map_int32"]} == {7}
    assert all(value["map_string"] == {"a": "b"} for value in values)
    moment = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    values = sample(values_of(COMMENT, overrides={timestamp_pb2.Timestamp.DESCRIPTOR: st.just(moment)}, depth=0), 50)
    assert {value["timestamp"] for value in values if "timestamp" in value} == {moment}
    known = values_of(timestamp_pb2.Timestamp, overrides={timestamp_pb2.Timestamp: st.just(moment)})
    assert sample(known, 10) == [moment]


def test_endless_message_is_refused():
    """A message that must hold itself is named with the path."""
    with pytest.raises(ConfigError, match="without end") as caught:
        values_of(ENDLESS)
    assert caught.value.field == "again"
