"""Codecs: what they wrote they read, and what they cannot read they do not guess at."""

import json
import math
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymemcache.serde import compressed_serde, pickle_serde

from shadowmig import wire
from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire import Compressed, Json, Raw, Serde, codecs

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
FLAGS = st.integers(0, 2**32 - 1)
LONG = b"x" * 10_000


def same(left, right):
    """Whether two documents are equal in types too."""
    return repr(left) == repr(right) and left == right


@given(data=st.binary(), flags=FLAGS)
def test_raw(data, flags):
    """Raw gives bytes as they are, whatever the flags, and writes the flags it was built with."""
    assert Raw().decode(data, flags) == data
    assert Raw(flags=flags).encode(data) == (data, flags)


@pytest.mark.parametrize(
    "codec", [Json(limit=100), Compressed(Raw(), above=10, limit=100), Compressed(Json(limit=100), above=10)]
)
def test_what_is_too_long_to_be_read_is_not_written(codec):
    """A value whose bytes the codec would refuse to read is not written, compressed or not."""
    value = b"x" * 101 if codec == Compressed(Raw(), above=10, limit=100) else "x" * 99
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    assert caught.value.reason == "too large"
    assert codec.decode(*codec.encode(value[:-1])) == value[:-1]


@pytest.mark.parametrize("value", ["text", None, 1, bytearray(b"x")])
def test_raw_writes_only_bytes(value):
    """Raw refuses to write anything but bytes, and does not show it."""
    with pytest.raises(CodecError, match=type(value).__name__) as caught:
        Raw().encode(value)
    assert caught.value.reason == "no such type"


@given(document=DOCUMENTS, flags=FLAGS)
def test_json_is_lossless(document, flags):
    """JSON gives back the same document, ints and floats told apart."""
    data, written = Json(flags=flags).encode(document)
    assert written == flags
    assert json.loads(data) == document
    found = Json().decode(data, 12345)
    assert found == document
    assert json.dumps(found, sort_keys=True) == json.dumps(document, sort_keys=True)


@given(document=st.dictionaries(TEXT, DOCUMENTS, max_size=5), seed=st.randoms())
def test_json_is_deterministic(document, seed):
    """Equal documents give equal bytes, whatever the order of their members."""
    members = list(document.items())
    seed.shuffle(members)
    assert Json().encode(dict(members)) == Json().encode(document)


def test_json_is_compact():
    """JSON is written without spaces and without escapes that UTF-8 does not need."""
    assert Json().encode({"b": [1, 2.0], "a": "ü"}) == ('{"a":"ü","b":[1,2.0]}'.encode(), 0)


def test_json_ints_are_exact():
    """An int of any common size comes through exactly, and a float of the same value stays a float."""
    document = [2**53 + 1, -(2**70), 2.0, 1e300]
    assert same(Json().decode(Json().encode(document)[0], 0), document)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{broken",
        b"{'a':1}",
        b"[1,]",
        b"1 2",
        b"[1]\x00",
        b"\xff",
        b'"\xff"',
        b"\xef\xbb\xbf1",
        '"a"'.encode("utf-16"),
        '"a"'.encode("utf-32"),
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"a":2}}]',
        b"1" * 5000,
        pickle.dumps([1]),
    ],
)
def test_json_is_strict(data):
    """What is no JSON in UTF-8, says a thing twice, or is no number is refused."""
    with pytest.raises(ValueError, match=r"."):
        Json().decode(data, 0)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, [-math.inf], "\ud800", {"a": b"x"}, {1: 1, "1": 2}, {(1,): 1}, object()]
)
def test_json_refuses_to_write(value):
    """What JSON does not have is refused when it is written."""
    with pytest.raises(CodecError):
        Json().encode(value)


def test_json_nested_too_deeply():
    """A document nested more deeply than Python can follow is an error, not a crash."""
    with pytest.raises(CodecError) as caught:
        Json().decode(b"[" * 200_000 + b"]" * 200_000, 0)
    assert caught.value.reason == "too deep"


@pytest.mark.parametrize("serde", [pickle_serde, compressed_serde])
@given(value=st.one_of(DOCUMENTS, st.binary(), TEXT, st.integers()))
def test_serde(serde, value):
    """A serde of pymemcache gives and takes the same values, bytes and flags as in a client."""
    codec = Serde(serde)
    data, flags = codec.encode(value)
    theirs, their_flags = serde.serialize("key", value)
    assert isinstance(data, bytes)
    assert (data, flags) == (theirs if isinstance(theirs, bytes) else theirs.encode(), their_flags)
    assert codec.decode(data, flags) == value


def test_serde_of_ones_own():
    """Any object with the two methods will do, and what it raises is raised."""

    class Own:
        def serialize(self, key, value):
            assert key == ""
            return value.hex(), 5

        def deserialize(self, key, value, flags):
            assert (key, flags) == ("", 5)
            return bytes.fromhex(value.decode())

    codec = Serde(Own())
    assert codec.encode(b"\x01") == (b"01", 5)
    assert codec.decode(b"01", 5) == b"\x01"
    with pytest.raises(ValueError, match="fromhex"):
        codec.decode(b"?", 5)


@given(data=st.binary(max_size=200), above=st.integers(0, 100), flags=st.integers(0, 7), level=st.integers(-1, 9))
def test_compressed_is_lossless(data, above, flags, level):
    """Whether it was worth to compress or not, the value comes back, and the other codec's flags are kept."""
    codec = Compressed(Raw(flags=flags), above=above, level=level)
    packed, written = codec.encode(data)
    assert len(packed) <= len(data)
    assert written & 7 == flags
    assert bool(written & 8) == (packed != data)
    assert codec.decode(packed, written) == data


def test_compressed_above():
    """Only what is larger than the limit and gets shorter is compressed."""
    codec = Compressed(Raw(), above=100)
    assert codec.encode(b"x" * 100) == (b"x" * 100, 0)
    packed, flags = codec.encode(b"x" * 101)
    assert (zlib.decompress(packed), flags) == (b"x" * 101, 8)
    random = bytes(range(256))
    assert codec.encode(random) == (random, 0)


def test_compressed_as_in_pymemcache():
    """The usual flag makes it read what pymemcache's compressed serde wrote, and the other way round."""
    codec = Compressed(Serde(pickle_serde), above=400)
    for value in ("y" * 5000, ["z" * 5000], LONG, b"short"):
        assert codec.decode(*compressed_serde.serialize("", value)) == value
        data, flags = codec.encode(value)
        assert compressed_serde.deserialize("", data, flags) == value


def test_compressed_with_another_flag():
    """The flag may be any one bit, and the other codec never sees it."""
    seen = []

    class Spy(Raw):
        def decode(self, data, flags):
            seen.append(flags)
            return data

    codec = Compressed(Spy(flags=8), flag=2**31)
    data, flags = codec.encode(LONG)
    assert flags == 2**31 | 8
    assert codec.decode(data, flags) == LONG
    assert seen == [8]


def test_compressed_flag_in_use():
    """A flag that the other codec uses itself is refused when it is written."""
    with pytest.raises(CodecError, match="flag 8") as caught:
        Compressed(Raw(flags=12)).encode(b"x")
    assert caught.value.reason == "flag in use"


PACKED = zlib.compress(LONG)


@pytest.mark.parametrize("data", [b"", PACKED[:-1], PACKED[:5], PACKED + b"x", PACKED + PACKED, b"no zlib", PACKED[1:]])
def test_compressed_is_strict(data):
    """Bytes marked as compressed that are cut, broken, or followed by others are refused."""
    with pytest.raises(CodecError) as caught:
        Compressed(Raw()).decode(data, 8)
    assert caught.value.reason in {"cut", "something follows", "not zlib"}


def test_compressed_has_a_limit():
    """Bytes that come to just the limit are read, and those that come to more are refused in time."""
    assert Compressed(Raw(), limit=len(LONG)).decode(PACKED, 8) == LONG
    with pytest.raises(ValueError, match="more than 9999"):
        Compressed(Raw(), limit=len(LONG) - 1).decode(PACKED, 8)
    bomb = zlib.compress(bytes(100_000_000))
    with pytest.raises(CodecError, match="more than") as caught:
        Compressed(Raw()).decode(bomb, 8)
    assert caught.value.reason == "too large"


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Raw(flags=-1), "flags"),
        (lambda: Raw(flags=2**32), "flags"),
        (lambda: Json(flags="1"), "flags"),
        (lambda: Json(flags=True), "flags"),
        (lambda: Json(limit=0), "limit"),
        (lambda: Json(limit=1.5), "limit"),
        (lambda: Serde(object()), "serde"),
        (lambda: Serde(None), "serde"),
        (lambda: Compressed(object()), "codec"),
        (lambda: Compressed(Raw), "codec"),
        (lambda: Compressed(Raw(), flag=0), "flag"),
        (lambda: Compressed(Raw(), flag=3), "flag"),
        (lambda: Compressed(Raw(), flag=2**32), "flag"),
        (lambda: Compressed(Raw(), above=-1), "above"),
        (lambda: Compressed(Raw(), level=10), "level"),
        (lambda: Compressed(Raw(), limit=0), "limit"),
    ],
)
def test_wrong_codec_options(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field


def test_the_room_lists_its_names():
    """The room has each name it lists, shows it, and no other."""
    assert set(wire.__all__) <= set(dir(wire))
    assert all(hasattr(wire, name) for name in wire.__all__)
    assert not hasattr(wire, "Pickles")


def test_the_list_of_codecs():
    """The package of codecs has each name it lists, shows it, and no other."""
    assert set(codecs.__all__) <= set(dir(codecs))
    assert all(hasattr(codecs, name) for name in codecs.__all__)
    assert not hasattr(codecs, "Xml")
