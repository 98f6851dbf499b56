"""Avro: numbers that would take hours, and values that a schema would change without a word."""

import datetime as dt
import decimal
import math
import uuid

import pytest

from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Avro


def logical(kind, meaning, **more):
    """A schema of a logical type."""
    return {"type": kind, "logicalType": meaning, **more}


MOMENT = dt.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=dt.UTC)
PRICE = logical("bytes", "decimal", precision=6, scale=2)
FIXED = logical("fixed", "decimal", precision=6, scale=2, size=2_000_000, name="Price")


def sized(data):
    """Bytes with their length before them."""
    size, found = 2 * len(data), bytearray()
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes((*found, size)) + data


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (PRICE, sized(b"\x7f" * 2_000_000)),
        (PRICE, sized(b"\x80" * 2_000_000)),
        (PRICE, sized((10**6).to_bytes(4, "big"))),
        (PRICE, sized((-(10**6)).to_bytes(4, "big", signed=True))),
        (FIXED, b"\x7f" * 2_000_000),
    ],
    ids=["long", "long negative", "one digit", "one digit negative", "fixed"],
)
def test_decimals_beyond_their_precision(schema, data):
    """A decimal of more digits than its schema allows is refused at once, and not rounded."""
    with pytest.raises(CodecError) as caught:
        Avro(schema).decode(data, 0)
    assert caught.value.reason == "number too large"


def test_decimals_within_their_precision():
    """The largest and the smallest decimal of a schema are read, also where zeros stand before them."""
    for number in (10**6 - 1, 1 - 10**6, 0):
        value = decimal.Decimal(number) / 100
        assert Avro(PRICE).decode(*Avro(PRICE).encode(value)) == value
        assert Avro(PRICE).decode(sized(number.to_bytes(100_000, "big", signed=True)), 0) == value


@pytest.mark.timeout(30)
@pytest.mark.parametrize("number", ["1E+1000000000", "0E+999999999999", "1E+30", "-1E-999999999", "1E+5"])
def test_decimals_of_many_zeros(number):
    """A decimal with so large an exponent that it has too many digits is refused before they are written out."""
    codec = Avro(
        {"type": "record", "name": "R", "fields": [{"name": "all", "type": {"type": "array", "items": PRICE}}]}
    )
    with pytest.raises(CodecError) as caught:
        codec.encode({"all": (decimal.Decimal(number),)})
    assert caught.value.reason in {"number too large", "not the schema"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (logical("long", "timestamp-millis"), MOMENT),
        (logical("long", "timestamp-micros"), MOMENT.replace(tzinfo=None)),
        (logical("long", "timestamp-micros"), 5),
        (logical("long", "local-timestamp-micros"), MOMENT),
        (logical("long", "local-timestamp-millis"), MOMENT.replace(tzinfo=None)),
        (logical("int", "date"), MOMENT),
        (logical("int", "time-millis"), dt.time(1, 2, 3, 456789)),
        (logical("long", "time-micros"), dt.time(1, 2, 3, tzinfo=dt.UTC)),
        (logical("string", "uuid"), str(uuid.UUID(int=5))),
        (PRICE, b"\1"),
        ("double", 2**53 + 1),
        ("float", 2**24 + 1),
        ("float", 1e300),
        (["null", "double"], 2**53 + 1),
        ({"type": "map", "values": "float"}, {"a": 1.0, "b": 1e300}),
        ({"type": "array", "items": ["string", "float"]}, ["a", 1e300]),
    ],
)
def test_what_a_schema_cannot_hold_is_not_written(schema, value):
    """A value that would come back as another, or as one of another type, is refused."""
    with pytest.raises(CodecError) as caught:
        Avro(schema).encode(value)
    assert caught.value.reason == "not the schema"


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        (logical("long", "timestamp-millis"), MOMENT.replace(microsecond=123000), None),
        (logical("long", "timestamp-micros"), MOMENT.astimezone(dt.timezone(dt.timedelta(hours=2))), MOMENT),
        (logical("long", "local-timestamp-micros"), MOMENT.replace(tzinfo=None), None),
        (logical("int", "time-millis"), dt.time(1, 2, 3, 456000), None),
        (logical("string", "uuid"), uuid.UUID(int=5), None),
        (PRICE, decimal.Decimal("1E+3"), decimal.Decimal("1000.00")),
        ("double", 2**60, float(2**60)),
        ("float", 0.1, 0.10000000149011612),
        ("float", -0.0, None),
        ("float", -math.inf, None),
        ("bytes", bytearray(b"a"), b"a"),
        ({"type": "array", "items": "int"}, (1, 2), [1, 2]),
    ],
)
def test_what_a_schema_holds_is_written(schema, value, found):
    """A value that the schema can hold comes back, with the types of Avro."""
    wanted = value if found is None else found
    read = Avro(schema).decode(*Avro(schema).encode(value))
    assert (read, type(read), str(read)) == (wanted, type(wanted), str(wanted))


@pytest.mark.timeout(30)
def test_what_cannot_be_read_again_is_not_written():
    """A value that is too long, or makes too much, for the codec's own limit is not written."""
    with pytest.raises(CodecError) as caught:
        Avro("string", limit=1000).encode("a" * 1000)
    assert caught.value.reason == "too large"
    with pytest.raises(CodecError) as caught:
        Avro({"type": "array", "items": "null"}, limit=1000).encode([None] * 1000)
    assert caught.value.reason == "too large"
