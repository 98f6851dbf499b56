"""Messages of protobuf that tests use, made without its compiler."""

from google.protobuf import (  # the last three are found by their names
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

TYPES = {
    one.name.removeprefix("TYPE_").lower(): one.number
    for one in descriptor_pb2.FieldDescriptorProto.Type.DESCRIPTOR.values
}
KNOWN = (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)

FIELDS = """
1 int64 id; 2 string body; 3 double score; 4 bool hidden; 5 bytes raw; 6 Kind kind; 7 repeated string tags
8 repeated int32 numbers; 9 map<int64,string> names; 10 map<string,Comment> replies; 11 optional int32 votes
12 optional string note; 13 Comment parent; 14 repeated Comment children; 15 Timestamp at; 16 Duration took
17 Struct extra; 18 Value any; 19 ListValue list; 20 Int64Value big; 21 StringValue word; 22 BytesValue blob
23 oneof:who string user; 24 oneof:who int64 bot; 25 fixed64 f64; 26 fixed32 f32; 27 sint64 s64; 28 uint64 u64
29 float single; 30 map<bool,Kind> kinds; 31 repeated Kind many; 32 oneof:who Comment by; 33 map<string,bytes> blobs
34 uint32 u32; 35 sfixed32 sf32; 36 optional Kind maybe; 37 map<int32,Timestamp> times; 38 repeated Value values
"""


def _messages():
    pool = descriptor_pool.DescriptorPool()
    for module in KNOWN:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        pool.Add(file)
    pool.Add(_proto3())
    pool.Add(_proto2())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"wire.{name}"))
        for name in ("Comment", "Small", "Old")
    }


def _proto3():
    file = descriptor_pb2.FileDescriptorProto(name="wire.proto", package="wire", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in KNOWN)
    kind = file.enum_type.add(name="Kind")
    for number, name in enumerate(("NONE", "LINK", "SELF")):
        kind.value.add(name=name, number=number)
    message = file.message_type.add(name="Comment")
    message.oneof_decl.add(name="who")
    for text in FIELDS.replace("\n", ";").split(";"):
        if text.strip():
            _field(message, *text.split())
    for field in [field for field in message.field if field.proto3_optional]:
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")
    file.message_type.add(name="Small").field.add(name="id", number=1, type=TYPES["int64"], label=1)
    return file


def _field(message, number, *words):
    *label, kind, name = words
    field = message.field.add(name=name, number=int(number), label=3 if label == ["repeated"] else 1)
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(",")
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _field(entry, 1, key, "key")
        _field(entry, 2, value, "value")
        field.label, field.type, field.type_name = 3, TYPES["message"], f".wire.Comment.{entry.name}"
    else:
        _type(field, kind)
    if label == ["optional"]:
        field.proto3_optional = True
    if label == ["oneof:who"]:
        field.oneof_index = 0


def _type(field, kind):
    if kind in TYPES:
        field.type = TYPES[kind]
    else:
        field.type = TYPES["enum" if kind == "Kind" else "message"]
        field.type_name = f".wire.{kind}" if kind in ("Comment", "Kind") else f".google.protobuf.{kind}"


def _proto2():
    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="wire", syntax="proto2")
    file.enum_type.add(name="Shape").value.add(name="ROUND", number=1)
    message = file.message_type.add(name="Old")
    message.field.add(name="id", number=1, type=TYPES["int32"], label=2)
    message.field.add(name="shape", number=2, type=TYPES["enum"], type_name=".wire.Shape", label=1)
    message.field.add(name="count", number=3, type=TYPES["int32"], label=1, default_value="7")
    group = message.nested_type.add(name="Part")
    group.field.add(name="x", number=1, type=TYPES["int32"], label=1)
    message.field.add(name="part", number=4, type=TYPES["group"], type_name=".wire.Old.Part", label=1)
    message.extension_range.add(start=100, end=200)
    file.extension.add(name="more", number=100, type=TYPES["int32"], label=1, extendee=".wire.Old")
    return file


MESSAGES = _messages()
Comment, Small, Old = MESSAGES["Comment"], MESSAGES["Small"], MESSAGES["Old"]
