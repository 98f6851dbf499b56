"""MsgPack: strict, deterministic, and with moments to the nanosecond."""

import contextlib
import datetime as dt
import math
import subprocess
import sys
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs import MsgPack
from shadowmig.wire.values import Instant

UTC = dt.UTC
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MOMENTS = st.datetimes(timezones=st.just(UTC))
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=300)
    | MOMENTS
    | st.builds(Instant, MOMENTS, st.integers(1, 999))
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT | st.binary(), inner, max_size=20),
    max_leaves=20,
)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
MEMBERS = st.dictionaries(TEXT | NUMBERS | st.booleans() | st.none(), TEXT)


def reason_of(data, **options):
    """The reason for which bytes are refused."""
    with pytest.raises(CodecError) as caught:
        MsgPack(**options).decode(data, 0)
    return caught.value.reason


@given(value=VALUES, flags=st.integers(0, 2**32 - 1))
def test_msgpack_is_lossless(value, flags):
    """Values come back, types told apart, moments to the nanosecond."""
    data, written = MsgPack(flags=flags).encode(value)
    found = MsgPack().decode(data, 5)
    assert written == flags
    assert found == value
    assert type(found) is type(value)


@given(value=MEMBERS, seed=st.randoms())
def test_msgpack_is_deterministic(value, seed):
    """Equal values give equal bytes, whatever the order of their members, for keys of all types."""
    codec = MsgPack(text_keys=False)
    members = list(value.items())
    seed.shuffle(members)
    assert codec.encode(dict(members)) == codec.encode(value)
    assert codec.decode(*codec.encode(value)) == value


def test_msgpack_unsorted():
    """Without sorting members stay in their order."""
    codec = MsgPack(sort_keys=False)
    assert codec.encode({"b": 1, "a": 2}) == (b"\x82\xa1b\x01\xa1a\x02", 0)
    assert MsgPack().encode({"b": 1, "a": 2}) == (b"\x82\xa1a\x02\xa1b\x01", 0)


@given(value=VALUES)
def test_msgpack_against_the_library(value):
    """What the library writes is read as the library reads it, and the other way round, save for nanoseconds."""
    theirs = msgpack.packb(value, datetime=True, default=lambda each: msgpack.Timestamp.from_datetime(each.at))
    ours = MsgPack().decode(theirs, 0)
    assert ours == msgpack.unpackb(theirs, timestamp=3, strict_map_key=False)
    assert msgpack.unpackb(MsgPack().encode(ours)[0], timestamp=3, strict_map_key=False) == ours


@given(data=st.binary(max_size=60) | VALUES.map(lambda value: MsgPack().encode(value)[0]), flip=st.integers(0))
def test_msgpack_reads_what_the_library_reads(data, flip):
    """Whatever the bytes, there is a value or a CodecError; and what is read the library reads as the same."""
    for bytes_ in (data, data[: flip % (len(data) + 1)], _flipped(data, flip)):
        try:
            found = MsgPack(text_keys=False).decode(bytes_, 0)
        except CodecError:
            continue
        theirs = msgpack.unpackb(bytes_, timestamp=0, strict_map_key=False)
        assert repr(theirs) == repr(found) or "Timestamp" in repr(theirs)


def _flipped(data, flip):
    spoiled = bytearray(data or b"\0")
    spoiled[flip % len(spoiled)] ^= 1 << (flip % 8)
    return bytes(spoiled)


def test_old_specification():
    """By the old specification text and bytes are one type, which is read as bytes."""
    codec = MsgPack(raw=True)
    assert codec.encode({"a": b"b"}) == (b"\x81\xa1a\xa1b", 0)
    assert codec.decode(b"\x81\xa1a\xa1\xff", 0) == {b"a": b"\xff"}


def test_values_of_other_types():
    """Tuples are written as lists, enough of a subclass as what it derives from, and bytes of all kinds as bytes."""
    assert MsgPack().decode(*MsgPack().encode((1, bytearray(b"x"), True))) == [1, b"x", True]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut"),
        (b"\x92\x01", "cut"),
        (b"\xdd\xff\xff\xff\xff", "cut"),
        (b"\xdf\xff\xff\xff\xff", "cut"),
        (b"\xdb\xff\xff\xff\xff", "cut"),
        (b"\xc6\xff\xff\xff\xff\x00", "cut"),
        (b"\xc9\xff\xff\xff\xff\x00", "cut"),
        (b"\xd9", "cut"),
        (b"\xda\x00", "cut"),
        (b"\xcf\x00", "cut"),
        (b"\x01\x02", "something follows"),
        (b"\xc1", "not msgpack"),
        (b"\xd4\xfb\x00", "not msgpack"),
        (b"\xd5\xff\x00\x00", "not msgpack"),
        (b"\xd7\xff" + b"\xff" * 8, "not msgpack"),
        (b"\xc7\x0c\xff" + b"\x00" * 4 + b"\x7f" + b"\xff" * 7, "time out of range"),
        (b"\xa1\xff", "not UTF-8"),
        (b"\xa3\xed\xa0\x80", "not UTF-8"),
        (b"\x82\xa1a\x01\xa1a\x02", "duplicate key"),
        (b"\x81\x01\x01", "bad key"),
        (b"\x81\xc0\x01", "bad key"),
        (b"\x81\x90\x01", "bad key"),
        pytest.param(b"\x91" * 5000 + b"\x01", "too deep", id="deep list"),
        pytest.param(b"\x81\xa1a" * 5000 + b"\x01", "too deep", id="deep map"),
    ],
)
def test_msgpack_is_strict(data, reason):
    """What is cut, broken, said twice, or no text is refused by a name."""
    assert reason_of(data) == reason


@pytest.mark.parametrize("data", [b"\x81\x90\x01", b"\x81\x80\x01", b"\x81\xd6\xff\x00\x00\x00\x01\x01"])
def test_keys_that_are_none(data):
    """Lists, maps and moments are no keys, where other keys than text are allowed too."""
    assert reason_of(data, text_keys=False) == "bad key"
    assert reason_of(b"\x82\x01\x01\xc3\x01", text_keys=False) == "duplicate key"


@pytest.mark.parametrize(
    ("value", "options", "reason"),
    [
        (2**64, {}, "number too large"),
        ([-(2**63) - 1], {}, "number too large"),
        ({"a": 2**70}, {}, "number too large"),
        ("\ud800", {}, "lone surrogate"),
        ({"\ud800": 1}, {}, "lone surrogate"),
        ({1: 2}, {}, "bad key"),
        ({(1,): 2}, {"text_keys": False}, "bad key"),
        ({math.nan: 2}, {"text_keys": False}, "bad key"),
        (dt.datetime(2020, 1, 1), {}, "no such type"),  # noqa: DTZ001 - that it has no zone is the point
        (dt.date(2020, 1, 1), {}, "no such type"),
        (object(), {}, "no such type"),
        ({1, 2}, {}, "no such type"),
    ],
)
def test_msgpack_does_not_write(value, options, reason):
    """What MessagePack does not have is refused when it is written."""
    with pytest.raises(CodecError) as caught:
        MsgPack(**options).encode(value)
    assert caught.value.reason == reason


def test_msgpack_nested_too_deeply_to_write():
    """A value that is too deep, or holds itself, is refused when it is written."""
    itself = []
    itself.append(itself)
    deep = 1
    for _ in range(600):
        deep = [deep]
    for value in (itself, deep, {"a": itself}):
        with pytest.raises(CodecError) as caught:
            MsgPack().encode(value)
        assert caught.value.reason == "too deep"


SIZE = 256 * 1024


@pytest.mark.parametrize(
    "data",
    [
        (b"\xdd" + SIZE.to_bytes(4, "big")) * 1000 + b"\xc0" * SIZE,
        b"\xdd" + SIZE.to_bytes(4, "big") + b"\x90" * SIZE,
        b"\xdd" + SIZE.to_bytes(4, "big") + b"\x80" * SIZE,
    ],
    ids=["claims", "lists", "maps"],
)
def test_msgpack_bombs(data):
    """Arrays that each say they are as long as all, and many that are empty, take at most 32 times the limit."""
    tracemalloc.start()
    try:
        with contextlib.suppress(CodecError):
            MsgPack(limit=len(data)).decode(data, 0)
        assert tracemalloc.get_traced_memory()[1] < 32 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: MsgPack(text_keys=1), "text_keys"),
        (lambda: MsgPack(sort_keys=None), "sort_keys"),
        (lambda: MsgPack(raw="no"), "raw"),
        (lambda: MsgPack(flags=-1), "flags"),
        (lambda: MsgPack(limit=-1), "limit"),
    ],
)
def test_wrong_options_of_msgpack(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("codec", "package", "extra"),
    [("MsgPack", "msgpack", "msgpack"), ("Protobuf", "google.protobuf", "protobuf"), ("Avro", "fastavro", "avro")],
)
def test_a_package_that_is_missing(codec, package, extra):
    """Without the package that a codec needs, the error says what to install, and other codecs work."""
    program = f"""
import sys
sys.modules[{package!r}] = None
from shadowmig.wire import codecs
assert codecs.Json().encode([1]) == (b"[1]", 0)
assert codecs.Pickle().decode(b"N.", 0) is None
try:
    codecs.{codec}
except ValueError as error:
    assert type(error).__name__ == "ConfigError"
    assert "pip install 'shadowmig[{extra}]'" in str(error), str(error)
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_importing_codecs_is_light():
    """Importing the codecs loads no package of others but attrs, and no asyncio."""
    program = """
import sys
import shadowmig, shadowmig.wire, shadowmig.wire.codecs
heavy = {"asyncio", "cattrs", "msgpack", "google.protobuf", "fastavro", "hypothesis", "redis", "psycopg"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
shadowmig.wire.codecs.Json, shadowmig.wire.codecs.Pickle, shadowmig.wire.codecs.Flagged
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


EAST, WEST = dt.timezone(dt.timedelta(hours=5)), dt.timezone(dt.timedelta(hours=-5))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (dt.datetime(1, 1, 1, tzinfo=EAST), "time out of range"),
        (dt.datetime(9999, 12, 31, 23, tzinfo=WEST), "time out of range"),
        (Instant(dt.datetime(1, 1, 1, tzinfo=EAST), 7), "time out of range"),
        ([msgpack.Timestamp(2**40)], "time out of range"),
        (memoryview(b"abcd")[::2], "no such type"),
    ],
)
def test_msgpack_does_not_write_what_it_cannot_read(value, reason):
    """A moment without a date in UTC is not written, and neither are bytes with gaps."""
    with pytest.raises(CodecError) as caught:
        MsgPack().encode(value)
    assert caught.value.reason == reason


def test_msgpack_of_text_and_bytes_that_become_one_key():
    """Where text and bytes are written alike, two keys that become one are refused."""
    assert MsgPack(raw=True).decode(*MsgPack(raw=True).encode({"a": 1, b"b": 2})) == {b"a": 1, b"b": 2}
    with pytest.raises(CodecError) as caught:
        MsgPack(raw=True).encode([{"a": 1, b"a": 2}])
    assert caught.value.reason == "duplicate key"


@pytest.mark.parametrize("value", ["a" * 1000, [None] * 900, [{}] * 300, [[]] * 300])
def test_msgpack_does_not_write_what_is_too_large_to_read(value):
    """A value that is too long, or makes too much, for the codec's own limit is not written."""
    codec = MsgPack(limit=1000)
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    assert caught.value.reason == "too large"
    assert codec.decode(*codec.encode(value[:100])) == value[:100]
