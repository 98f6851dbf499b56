"""Avro: what is written is of the schema, and what is read cannot lie about lengths or depth."""

import datetime as dt
import decimal
import json
import uuid
from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs import Avro

UTC = dt.UTC
SCHEMA = {
    "type": "record",
    "name": "wire.Comment",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "number", "type": "int"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "score", "type": "double"},
        {"name": "raw", "type": "bytes"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["LINK", "SELF"]}},
        {"name": "names", "type": {"type": "map", "values": "long"}},
        {"name": "children", "type": {"type": "array", "items": ["null", "Comment"]}},
        {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 3}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "hidden", "type": "boolean"},
        {"name": "single", "type": "float"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    ],
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
LONG = st.integers(-(2**63), 2**63 - 1)
FLAT = {
    "id": LONG,
    "number": st.integers(-(2**31), 2**31 - 1),
    "note": st.none() | TEXT,
    "score": st.floats(allow_nan=False),
    "raw": st.binary(max_size=20),
    "kind": st.sampled_from(["LINK", "SELF"]),
    "names": st.dictionaries(TEXT, LONG, max_size=3),
    "mark": st.binary(min_size=3, max_size=3),
    "at": st.datetimes(timezones=st.just(UTC)),
    "price": st.decimals("-9999999", "9999999", places=2),
    "uuid": st.uuids(),
    "hidden": st.booleans(),
    "single": st.floats(width=32, allow_nan=False),
    "day": st.dates(),
}
VALUES = st.recursive(
    st.fixed_dictionaries({**FLAT, "children": st.just([])}),
    lambda inner: st.fixed_dictionaries({**FLAT, "children": st.lists(st.none() | inner, max_size=3)}),
    max_leaves=3,
)
ONE = {
    "id": 1, "number": 2, "note": "x", "score": 1.5, "raw": b"z", "kind": "SELF", "names": {"a": 1}, "children": [None],
    "mark": b"abc", "at": dt.datetime(2020, 1, 1, tzinfo=UTC), "price": decimal.Decimal("1.25"), "hidden": True,
    "uuid": uuid.UUID(int=7), "single": 0.5, "day": dt.date(2020, 1, 1),
}  # fmt: skip
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
CODEC = Avro(SCHEMA)


@given(
    value=VALUES,
    flags=st.integers(0, 2**32 - 1),
    header=st.sampled_from([{}, {"single_object": True}, {"schema_id": 7}]),
)
def test_avro_is_lossless(value, flags, header):
    """Values come back of every type, with each way to begin the bytes."""
    codec = Avro(SCHEMA, flags=flags, **header)
    data, written = codec.encode(value)
    assert written == flags
    assert codec.decode(data, 1) == value
    assert codec.encode(value)[0] == data


@given(value=VALUES)
def test_avro_against_the_library(value):
    """The bytes are those of the library, and each reads what the other wrote."""
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), value)
    data, _ = CODEC.encode(value)
    assert data == out.getvalue()
    assert fastavro.schemaless_reader(BytesIO(data), fastavro.parse_schema(SCHEMA), None) == CODEC.decode(data, 0)


def test_ways_to_give_a_schema():
    """A schema is a dict, a list, a name, or the text of any of them."""
    for schema in (
        "long",
        '"long"',
        ["long"],
        '["null", "long"]',
        {"type": "long"},
        json.dumps({"type": "long"}),
    ):
        codec = Avro(schema)
        assert codec.decode(*codec.encode(5)) == 5


def test_headers():
    """The bytes begin with the fingerprint of the schema, or its id, and those of another schema are refused."""
    single, registered = Avro(SCHEMA, single_object=True), Avro(SCHEMA, schema_id=258)
    plain = CODEC.encode(ONE)[0]
    assert single.encode(ONE)[0][:2] == b"\xc3\x01"
    assert single.encode(ONE)[0][10:] == plain
    assert registered.encode(ONE)[0] == b"\x00\x00\x00\x01\x02" + plain
    # The fingerprint of "int" by the specification's own algorithm, little end first.
    assert Avro("int", single_object=True).encode(1)[0] == bytes.fromhex("c3018f5c393f1ad57572") + b"\x02"
    for codec in (single, registered, Avro(SCHEMA, schema_id=1)):
        for data in (plain, b"", Avro("int", single_object=True).encode(1)[0]):
            with pytest.raises(CodecError) as caught:
                codec.decode(data, 0)
            assert caught.value.reason == "another schema"


def test_reader_schema():
    """Another schema reads what this one wrote, by the rules of Avro, or refuses."""
    reader = {**SCHEMA, "fields": [SCHEMA["fields"][0], {"name": "more", "type": "string", "default": "d"}]}
    codec = Avro(SCHEMA, reader_schema=reader)
    assert codec.decode(*codec.encode(ONE)) == {"id": 1, "more": "d"}
    for schema in ("string", {**reader, "fields": [{"name": "new", "type": "long"}]}):
        with pytest.raises(CodecError) as caught:
            Avro(SCHEMA, reader_schema=schema).decode(*CODEC.encode(ONE))
        assert caught.value.reason == "not the reader's schema"


def test_what_avro_does_not_tell_apart():
    """A whole number for a float comes back as a float, and a missing field takes the schema's default."""
    found = CODEC.decode(*CODEC.encode({**{key: value for key, value in ONE.items() if key != "note"}, "score": 1}))
    assert found["note"] is None
    assert (found["score"], type(found["score"])) == (1.0, float)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "5"}, {"id": True}, {"id": 2**63}, {"id": None}, {"id": 1.0}, {"number": 2**31},
        {"note": 5}, {"score": "x"}, {"score": True}, {"raw": "x"}, {"kind": "OTHER"}, {"kind": []},
        {"names": {"a": "x"}}, {"names": {1: 1}}, {"mark": b"ab"}, {"at": "2020"}, {"price": decimal.Decimal("1.255")},
        {"price": decimal.Decimal("NaN")},
        {"uuid": "none"}, {"hidden": 1}, {"children": [5]}, {"children": {}}, {"children": [{}]},
        {"note": ("string", "x")}, {"note": ("x",)}, {"zzz": 1}, {"names": {"a": 10**5000}},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_avro_does_not_write(change):
    """What is not of the schema, a field too many included, is refused, and its value is not shown."""
    with pytest.raises(CodecError) as caught:
        CODEC.encode({**ONE, **change})
    assert caught.value.reason == "not the schema"
    assert len(str(caught.value)) < 100


def test_missing_fields():
    """A field without a default is not made up."""
    for name in ONE.keys() - {"note"}:
        with pytest.raises(CodecError) as caught:
            CODEC.encode({key: value for key, value in ONE.items() if key != name})
        assert caught.value.reason == "not the schema"
    with pytest.raises(CodecError, match=r"not of the schema"):
        CODEC.encode(None)


def nodes(levels):
    """A value of the recursive schema."""
    value = {"next": None}
    for _ in range(levels):
        value = {"next": value}
    return value


def test_avro_nested():
    """Some depth is read and written; more is refused, where the library would end the process."""
    codec = Avro(NODE)
    assert codec.decode(*codec.encode(nodes(90))) == nodes(90)
    itself = {}
    itself["next"] = itself
    for value, reason in ((nodes(5000), "too deep"), (itself, "holds itself")):
        with pytest.raises(CodecError) as caught:
            codec.encode(value)
        assert caught.value.reason == reason
    with pytest.raises(CodecError) as caught:
        codec.decode(b"\x02" * 1_000_000, 0)
    assert caught.value.reason == "too deep"


MANY = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
LONGEST = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"


@pytest.mark.parametrize(
    ("schema", "data", "reason"),
    [
        ("string", b"", "cut"),
        ("string", b"\x0aabc", "cut"),
        ("string", LONGEST, "cut"),
        ("bytes", LONGEST, "cut"),
        ("double", b"\x00", "cut"),
        ("string", b"\x01", "not the schema"),
        ("string", b"\x02\xff", "not UTF-8"),
        ("int", LONGEST, "number too large"),
        ("long", b"\xff" * 9 + b"\x7f", "number too large"),
        ("long", b"\xff" * 11, "not the schema"),
        ("int", b"\x02\x02", "something follows"),
        ("null", b"\x00", "something follows"),
        (["null", "int"], b"\x04", "not the schema"),
        (["null", "int"], b"\x01", "not the schema"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x02", "not the schema"),
        ({"type": "array", "items": "null"}, MANY + b"\x00", "too large"),
        ({"type": "array", "items": "int"}, MANY + b"\x00", "cut"),
        ({"type": "map", "values": "null"}, MANY + b"\x00", "cut"),
        ({"type": "array", "items": "int"}, b"\x01\x04\x02\x00", "not the schema"),
        ({"type": "map", "values": "int"}, b"\x02\x02\xff\x02\x00", "not UTF-8"),
        ({"type": "string", "logicalType": "uuid"}, b"\x02a", "out of range"),
        ({"type": "long", "logicalType": "timestamp-micros"}, LONGEST, "out of range"),
        ("string", bytes(16 * 1024 * 1024 + 1), "too large"),
    ],
    ids=lambda value: value[:10].hex() if isinstance(value, bytes) else None,
)
def test_avro_is_strict(schema, data, reason):
    """What is cut, lies about a length, or is not of the schema is refused by a name."""
    with pytest.raises(CodecError) as caught:
        Avro(schema).decode(data, 0)
    assert caught.value.reason == reason


def test_blocks_that_tell_their_size():
    """A block may be preceded by its size in bytes, as other languages write it."""
    assert Avro({"type": "array", "items": "int"}).decode(b"\x03\x04\x02\x04\x00", 0) == [1, 2]


def test_every_cut():
    """Bytes cut anywhere are refused as such."""
    data, _ = CODEC.encode(ONE)
    for end in range(len(data)):
        with pytest.raises(CodecError) as caught:
            CODEC.decode(data[:end], 0)
        assert caught.value.reason == "cut"


@given(data=st.binary(max_size=80) | VALUES.map(lambda value: CODEC.encode(value)[0]), flip=st.integers(0))
def test_spoiled_data(data, flip):
    """Whatever the bytes, there is a value that the library reads too, or a CodecError."""
    spoiled = bytearray(data or b"\0")
    spoiled[flip % len(spoiled)] ^= 1 << (flip % 8)
    try:
        found = CODEC.decode(bytes(spoiled), 0)
    except CodecError:
        return
    theirs = fastavro.schemaless_reader(BytesIO(bytes(spoiled)), fastavro.parse_schema(SCHEMA), None)
    assert repr(found) == repr(theirs)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Avro({"type": "none"}), "schema"),
        (lambda: Avro("[1"), "schema"),
        (lambda: Avro(5), "schema"),
        (lambda: Avro(None), "schema"),
        (lambda: Avro("int", reader_schema="none"), "reader_schema"),
        (lambda: Avro("int", single_object=1), "single_object"),
        (lambda: Avro("int", schema_id=-1), "schema_id"),
        (lambda: Avro("int", schema_id=True), "schema_id"),
        (lambda: Avro("int", schema_id=1, single_object=True), "schema_id"),
        (lambda: Avro("int", flags=-1), "flags"),
        (lambda: Avro("int", limit=0), "limit"),
    ],
)
def test_wrong_options_of_avro(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field


def test_surrogates_in_avro():
    """A surrogate alone is refused when it is written."""
    with pytest.raises(CodecError) as caught:
        CODEC.encode({**ONE, "note": "\ud800"})
    assert caught.value.reason == "lone surrogate"
