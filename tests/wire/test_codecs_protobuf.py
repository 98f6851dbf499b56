"""Protobuf: presence, unknown fields and well-known types are told, and what is no field is refused."""

import datetime as dt
import math

import pytest
from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st
from wire_proto_support import Comment, Old, Small

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs import Protobuf
from shadowmig.wire.codecs.protobuf import UNKNOWN
from shadowmig.wire.values import Instant

UTC = dt.UTC
TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
I32, I64, U64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
KIND = st.sampled_from(["NONE", "LINK", "SELF"]) | st.integers(3, 2**31 - 1)
MOMENTS = st.datetimes(timezones=st.just(UTC))
TIMES = MOMENTS | st.builds(Instant, MOMENTS, st.integers(1, 999))
JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ALWAYS = {
    "id": I64, "body": TEXT, "score": st.floats(allow_nan=False), "hidden": st.booleans(), "raw": st.binary(),
    "kind": KIND, "tags": st.lists(TEXT, max_size=3), "numbers": st.lists(I32, max_size=3),
    "names": st.dictionaries(I64, TEXT, max_size=3), "f64": U64, "f32": U32, "s64": I64, "u64": U64,
    "single": st.floats(width=32, allow_nan=False), "kinds": st.dictionaries(st.booleans(), KIND),
    "many": st.lists(KIND, max_size=3), "blobs": st.dictionaries(TEXT, st.binary(), max_size=2), "u32": U32,
    "sf32": I32, "times": st.dictionaries(I32, TIMES, max_size=2), "values": st.lists(JSONISH, max_size=3),
}  # fmt: skip
MAYBE = {
    "votes": I32, "note": TEXT, "at": TIMES, "took": st.timedeltas(dt.timedelta(-99999), dt.timedelta(99999)),
    "extra": st.dictionaries(TEXT, JSONISH, max_size=3), "any": JSONISH, "list": st.lists(JSONISH, max_size=3),
    "big": I64, "word": TEXT, "blob": st.binary(), "maybe": KIND,
}  # fmt: skip
WHO = st.fixed_dictionaries({}) | st.fixed_dictionaries({"user": TEXT}) | st.fixed_dictionaries({"bot": I64})


def comments(inner):
    """Whole values of the message, with messages in it."""
    parts = {"replies": st.dictionaries(TEXT, inner, max_size=2), "children": st.lists(inner, max_size=2)}
    flat = st.fixed_dictionaries({**ALWAYS, **parts}, optional={**MAYBE, "parent": inner})
    return st.builds(lambda found, who: {**found, **who}, flat, WHO)


LEAF = st.fixed_dictionaries({**ALWAYS, "replies": st.just({}), "children": st.just([])})
VALUES = LEAF | comments(LEAF)
EMPTY = Protobuf(Comment).decode(b"", 0)


def refused(codec, value):
    """The error for a value that is refused."""
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    return caught.value


@given(value=VALUES, flags=st.integers(0, 2**32 - 1))
def test_protobuf_is_lossless(value, flags):
    """Whole values come back, of every type, presence and all."""
    data, written = Protobuf(Comment, flags=flags).encode(value)
    found = Protobuf(Comment).decode(data, 3)
    assert written == flags
    assert found == value


@given(value=VALUES, seed=st.randoms())
def test_protobuf_is_deterministic(value, seed):
    """Equal values give equal bytes, whatever the order of members and of keys in maps."""

    def shuffled(each):
        if isinstance(each, dict):
            members = [(key, shuffled(inner)) for key, inner in each.items()]
            seed.shuffle(members)
            return dict(members)
        return [shuffled(inner) for inner in each] if isinstance(each, list) else each

    codec = Protobuf(Comment)
    data, _ = codec.encode(value)
    assert codec.encode(shuffled(value))[0] == data
    assert codec.encode(Comment.FromString(data))[0] == data


@given(value=VALUES)
def test_protobuf_against_the_library(value):
    """The library's own JSON form, of the same bytes, has the same fields, and comes to the same bytes."""
    codec = Protobuf(Comment, enums="numbers")
    data, _ = codec.encode(value)
    theirs = json_format.MessageToDict(
        Comment.FromString(data), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    ours = codec.decode(data, 0)
    assert ours.keys() - {"any"} == theirs.keys() - {"any"}
    assert ours["id"] == int(theirs["id"])
    assert [int(key) for key in sorted(theirs["names"])] == sorted(ours["names"], key=str)
    assert codec.encode(ours)[0] == data


def test_presence():
    """Fields that tell whether they are set are there only then; all others always."""
    codec = Protobuf(Comment)
    assert set(EMPTY) == {*ALWAYS, "replies", "children"}
    assert EMPTY["id"] == 0
    for name, value in {
        "votes": 0,
        "note": "",
        "parent": EMPTY,
        "any": None,
        "word": "",
        "user": "",
        "extra": {},
    }.items():
        found = codec.decode(codec.encode({name: value})[0], 0)
        assert found == {**EMPTY, name: value}
        if name != "any":
            assert codec.encode({name: None}) == (b"", 0)
    assert codec.decode(codec.encode({})[0], 0) == EMPTY


def test_default_of_proto2():
    """In proto2 all fields tell whether they are set, so a default of the schema is not taken for a value."""
    codec = Protobuf(Old)
    assert codec.decode(codec.encode({"id": 1})[0], 0) == {"id": 1}
    value = {"id": 1, "shape": "ROUND", "count": 7, "part": {"x": 5}}
    assert codec.decode(codec.encode(value)[0], 0) == value


def test_required_fields():
    """A required field that is missing is refused, read or written, by its name."""
    assert "id" in str(refused(Protobuf(Old), {}))
    assert refused(Protobuf(Old), {}).reason == "required field"
    with pytest.raises(CodecError, match="id") as caught:
        Protobuf(Old).decode(b"", 0)
    assert caught.value.reason == "required field"


def test_enums():
    """Values of enums are names, or numbers where they have none or names are not wanted."""
    for given_, names, numbers in (("LINK", "LINK", 1), (2, "SELF", 2), (9, 9, 9), (-1, -1, -1)):
        data, _ = Protobuf(Comment).encode({"kind": given_})
        assert Protobuf(Comment).decode(data, 0)["kind"] == names
        assert Protobuf(Comment, enums="numbers").decode(data, 0)["kind"] == numbers
    assert refused(Protobuf(Comment), {"kind": "OTHER"}).reason == "unknown enum name"


def test_unknown_fields():
    """What a message does not know is there under its own key, in each message, and is written back."""
    whole = {
        **EMPTY, "id": 5, "f64": 6, "f32": 7, "body": "b", "parent": {**EMPTY, "body": "x"}, "s64": -2,
        "votes": 2**31 - 1,
    }  # fmt: skip
    data, _ = Protobuf(Comment).encode(whole)
    found = Protobuf(Small).decode(data, 0)
    assert found["id"] == 5
    assert [25, "fixed64", 6] in found[UNKNOWN]
    assert [26, "fixed32", 7] in found[UNKNOWN]
    assert [2, "bytes", b"b"] in found[UNKNOWN]
    assert [27, "varint", 3] in found[UNKNOWN]
    again, _ = Protobuf(Small).encode(found)
    assert Protobuf(Comment).decode(again, 0) == whole
    group = b"\x1b\x08\x05\x1c"
    found = Protobuf(Small).decode(group, 0)
    assert found == {"id": 0, UNKNOWN: [[3, "group", [[1, "varint", 5]]]]}
    assert Protobuf(Small).encode(found)[0] == group
    old = Protobuf(Old).decode(b"\x08\x01\x10\x09", 0)
    assert old == {"id": 1, UNKNOWN: [[2, "varint", 9]]}


@pytest.mark.parametrize(
    "fields",
    [5, [5], [[1, "x", 1]], [[1, "varint", -1]], [[1, "varint", "a"]], [[1, "bytes", "a"]], [[0, "varint", 1]],
     [[1, "group", 5]], [[1, "fixed32", 2**32]], [[1, "", 5]], [[2**40, "varint", 1]]],
)  # fmt: skip
def test_wrong_unknown_fields(fields):
    """What is given back as unknown fields, and is none, is refused."""
    assert refused(Protobuf(Small), {UNKNOWN: fields}).reason == "wrong type"


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (wrappers_pb2.Int64Value, 2**60),
        (wrappers_pb2.BoolValue, False),
        (timestamp_pb2.Timestamp, dt.datetime(1, 1, 1, tzinfo=UTC)),
        (timestamp_pb2.Timestamp, Instant(dt.datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), 999)),
        (timestamp_pb2.Timestamp, Instant(dt.datetime(1969, 12, 31, 23, 59, 59, 5, UTC), 1)),
        (duration_pb2.Duration, dt.timedelta(microseconds=-1)),
        (duration_pb2.Duration, {"seconds": 0, "nanos": 1}),
        (duration_pb2.Duration, {"seconds": 2**60, "nanos": 0}),
        (duration_pb2.Duration, {"seconds": 1, "nanos": -5000}),
        (struct_pb2.Struct, {"a": [None, True, 1.5, "x", {"b": []}]}),
        (struct_pb2.Value, None),
        (struct_pb2.Value, {}),
        (struct_pb2.ListValue, []),
    ],
)
def test_well_known_types(message, value):
    """Well-known types are what they stand for, alone too."""
    found = Protobuf(message).decode(*Protobuf(message).encode(value))
    assert found == value
    assert type(found) is type(value)


def test_moments_of_other_zones():
    """A moment of another zone is written as the same moment."""
    at = dt.datetime(2020, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert Protobuf(Comment).decode(*Protobuf(Comment).encode({"at": at}))["at"] == dt.datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        ({"none": 1}, "unknown field", "$.none"),
        ({5: 1}, "unknown field", "$[5]"),
        ({"children": [{}, {"a b": 1}]}, "unknown field", "$.children[1]['a b']"),
        ({"id": "1"}, "wrong type", "$.id"),
        ({"id": True}, "wrong type", "$.id"),
        ({"id": 1.0}, "wrong type", "$.id"),
        ({"id": None}, "wrong type", "$.id"),
        ({"id": 2**63}, "number too large", "$.id"),
        ({"numbers": [1, 2**31]}, "number too large", "$.numbers[1]"),
        ({"u64": -1}, "number too large", "$.u64"),
        ({"kind": 2**31}, "number too large", "$.kind"),
        ({"kind": 1.5}, "wrong type", "$.kind"),
        ({"body": b"x"}, "wrong type", "$.body"),
        ({"raw": "x"}, "wrong type", "$.raw"),
        ({"hidden": 1}, "wrong type", "$.hidden"),
        ({"score": "x"}, "wrong type", "$.score"),
        ({"score": True}, "wrong type", "$.score"),
        ({"score": 2**53 + 1}, "number too large", "$.score"),
        pytest.param({"score": 10**400}, "number too large", "$.score", id="huge"),
        ({"single": 1e300}, "number too large", "$.single"),
        ({"body": "\ud800"}, "lone surrogate", "$.body"),
        ({"tags": "ab"}, "wrong type", "$.tags"),
        ({"tags": [1]}, "wrong type", "$.tags[0]"),
        ({"names": [1]}, "wrong type", "$.names"),
        ({"names": {"1": "x"}}, "wrong type", "$.names['1']"),
        ({"names": {2**63: "x"}}, "number too large", f"$.names[{2**63}]"),
        ({"names": {1: 2}}, "wrong type", "$.names[1]"),
        ({"replies": {"a": 5}}, "wrong type", "$.replies.a"),
        ({"replies": {"\ud800": {}}}, "lone surrogate", "$.replies['\\ud800']"),
        ({"replies": {"a": {"id": "1"}}}, "wrong type", "$.replies.a.id"),
        ({"parent": 5}, "wrong type", "$.parent"),
        ({"children": [None]}, "wrong type", "$.children[0]"),
        ({"user": "a", "bot": 1}, "oneof", "$.bot"),
        ({"at": dt.datetime(2020, 1, 1)}, "wrong type", "$.at"),  # noqa: DTZ001 - that it has no zone is the point
        ({"at": "2020"}, "wrong type", "$.at"),
        ({"took": 5}, "wrong type", "$.took"),
        ({"extra": []}, "wrong type", "$.extra"),
        ({"extra": {1: 2}}, "wrong type", "$.extra[1]"),
        ({"extra": {"a": b"x"}}, "wrong type", "$.extra.a"),
        ({"extra": {"\ud800": 1}}, "lone surrogate", "$.extra"),
        ({"list": {}}, "wrong type", "$.list"),
        ({"any": 2**53 + 1}, "number too large", "$.any"),
        ({"any": "\ud800"}, "lone surrogate", "$.any"),
        ({"big": "5"}, "wrong type", "$.big"),
        (5, "wrong type", "$"),
        (None, "wrong type", "$"),
        (Small(id=1), "wrong type", "$"),
    ],
)
def test_protobuf_does_not_write(value, reason, path):
    """What is no field, of a wrong type, or too large is refused with its path."""
    error = refused(Protobuf(Comment), value)
    assert (error.reason, error.path) == (reason, path)


def nested(levels, wrap):
    """A value in a value, and so on."""
    value = {}
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: {"parent": value},
        lambda value: {"children": [value]},
        lambda value: {"replies": {"a": value}},
        lambda value: {"by": value},
    ],
    ids=["parent", "children", "replies", "by"],
)
def test_protobuf_nested(wrap):
    """What is not nested too deeply is read and written, and what is is refused, as are values that hold themselves."""
    codec = Protobuf(Comment)
    assert codec.decode(codec.encode(nested(45, wrap))[0], 0)
    assert refused(codec, nested(5000, wrap)).reason == "too deep"


def test_protobuf_values_nested():
    """Values of Struct are read and written to some depth, and refused beyond."""
    codec = Protobuf(struct_pb2.Value)
    for wrap in (lambda value: {"a": value}, lambda value: [value]):
        assert codec.decode(codec.encode(nested(30, wrap))[0], 0) == nested(30, wrap)
        assert refused(codec, nested(5000, wrap)).reason == "too deep"


DEEP = b""
for _ in range(200):
    DEEP = b"\x6a" + bytes([len(DEEP) & 127 | 128, len(DEEP) >> 7]) + DEEP


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08", "not the message"),
        (b"\x12\x7fabc", "not the message"),
        (b"\x12\xff\xff\xff\xff\x0fabc", "not the message"),
        (b"\x12\x01\xff", "not the message"),
        (b"\xff" * 20, "not the message"),
        (b"\x0c", "not the message"),
        (b"\x1b\x08\x05", "not the message"),
        pytest.param(DEEP, "not the message", id="deep"),
        (b"\x7a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "time out of range"),
        (b"\x7a\x06\x10\x80\x94\xeb\xdc\x03", "time out of range"),
        (b"\x92\x01\x00", "empty Value"),
        (bytes(4 * 1024 * 1024 + 1), "too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:8].hex(),
)
def test_protobuf_is_strict(data, reason):
    """What is cut, broken, too deep, or no value is refused by a name."""
    with pytest.raises(CodecError) as caught:
        Protobuf(Comment).decode(data, 0)
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 200


def test_extensions():
    """An extension that the process knows is refused by its name, so that it is not lost unseen."""
    with pytest.raises(CodecError) as caught:
        Protobuf(Old).decode(b"\x08\x01\xa0\x06\x05", 0)
    assert caught.value.reason == "extension"


def test_protobuf_bombs():
    """Messages that come to more than 32 times the limit as dicts are refused."""
    with pytest.raises(CodecError) as caught:
        Protobuf(Comment, limit=10_000).decode(b"\x72\x00" * 5000, 0)
    assert caught.value.reason == "too large"
    with pytest.raises(CodecError):
        Protobuf(Small, limit=10_000).decode(b"\x18\x00" * 5000, 0)


@given(value=VALUES, flip=st.integers(0), cut=st.booleans())
def test_spoiled_messages(value, flip, cut):
    """Bytes with a bit flipped, or cut anywhere, are a value or a CodecError, and a value can be written again."""
    codec = Protobuf(Comment)
    data = bytearray(codec.encode(value)[0] or b"\0")
    at = flip % len(data)
    data[at] ^= 1 << (flip % 8)
    try:
        found = codec.decode(bytes(data[:at] if cut else data), 0)
    except CodecError:
        return
    if not _has_nan(found):
        assert codec.decode(codec.encode(found)[0], 0) == found


def _has_nan(value):
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return any(map(_has_nan, value)) if isinstance(value, list) else isinstance(value, float) and math.isnan(value)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Protobuf(Comment()), "message"),
        (lambda: Protobuf(dict), "message"),
        (lambda: Protobuf(None), "message"),
        (lambda: Protobuf(Comment, enums="both"), "enums"),
        (lambda: Protobuf(Comment, flags=-1), "flags"),
        (lambda: Protobuf(Comment, limit=0), "limit"),
    ],
)
def test_wrong_options_of_protobuf(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field


@pytest.mark.parametrize("wrap", [lambda value: {"parent": value}, lambda value: {"children": [value]}])
@pytest.mark.parametrize("depth", [99, 100, 101, 150, 200])
def test_protobuf_writes_no_deeper_than_it_reads(wrap, depth):
    """A message is written if it can be read, to the very level."""
    codec = Protobuf(Comment)
    if depth > 100:
        assert refused(codec, nested(depth, wrap)).reason == "too deep"
    else:
        assert codec.decode(codec.encode(nested(depth, wrap))[0], 0)


@pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]])
def test_protobuf_writes_no_deeper_values_than_it_reads(wrap):
    """A Value is written if it can be read, whatever its depth."""
    codec = Protobuf(struct_pb2.Value)
    reasons = set()
    for depth in range(20, 120, 5):
        try:
            data, flags = codec.encode(nested(depth, wrap))
        except CodecError as error:
            reasons.add(error.reason)
        else:
            assert codec.decode(data, flags) == nested(depth, wrap)
    assert reasons == {"too deep"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"single": 2**24 + 1}, "number too large"),
        ({"single": -(2**24) - 1}, "number too large"),
        ({"score": 2**53 + 1}, "number too large"),
        ({"at": dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))}, "time out of range"),
        ({"at": Instant(dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(dt.timedelta(hours=-5))), 1)},
         "time out of range"),
        ({"times": {1: dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))}}, "time out of range"),
        ({"body": "a" * 70_000}, "too large"),
        ({"numbers": [1] * 30_000}, "too large"),
        (Comment.FromString(b"\x7a\x0a\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40"), "time out of range"),
        (Comment.FromString(b"\x92\x01\x00"), "empty Value"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)  # fmt: skip
def test_protobuf_does_not_write_what_it_cannot_read(value, reason):
    """What the message could not hold, or the codec not read again, is not written, messages included."""
    assert refused(Protobuf(Comment, limit=64 * 1024), value).reason == reason


def test_protobuf_writes_whole_numbers_that_a_float_holds():
    """A whole number that 32 bits hold exactly is written for a float, and comes back as one."""
    codec = Protobuf(Comment)
    assert codec.decode(codec.encode({"single": 2**24 + 2})[0], 0)["single"] == 2.0**24 + 2
    with pytest.raises(CodecError):
        codec.encode({"single": 2**60 + 1})
