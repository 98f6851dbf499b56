"""Hostile bytes: whatever they are, each codec gives a value or a CodecError, in bounded time and memory."""

import subprocess
import sys
import zlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_proto_support import Comment

from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Avro, Compressed, Flagged, Json, MsgPack, Pickle, Protobuf, Structured


@attrs.frozen
class Model:
    id: int
    body: str


SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}, {"name": "body", "type": "string"}]}
VALUE = {"id": 12345, "body": "a body, <b>ü</b>" * 20}
CODECS = {
    "json": Json(),
    "msgpack": MsgPack(),
    "pickle": Pickle(stand_ins="*"),
    "pickle0": Pickle(protocol=0),
    "protobuf": Protobuf(Comment),
    "avro": Avro(SCHEMA),
    "structured": Structured(MsgPack(), Model),
    "compressed": Compressed(Json(), above=0),
    "flagged": Compressed(Flagged(Pickle()), above=10**9),
}


def written(name):
    """What a codec writes for the same value."""
    return CODECS[name].encode(Model(**VALUE) if name == "structured" else VALUE)


def read(codec, data, flags):
    """A value, or the reason why there is none."""
    try:
        found = codec.decode(data, flags)
    except CodecError as error:
        found = error
    assert not isinstance(found, CodecError) or (found.reason and len(str(found)) < 400)
    return found


@pytest.mark.parametrize("name", CODECS)
def test_cut_at_every_byte(name):
    """Bytes cut anywhere never give the whole value."""
    codec = CODECS[name]
    data, flags = written(name)
    whole = codec.decode(data, flags)
    for end in range(len(data)):
        found = read(codec, data[:end], flags)
        assert isinstance(found, CodecError) or (name == "protobuf" and found != whole)


@pytest.mark.parametrize("name", CODECS)
def test_every_bit_flipped(name):
    """Bytes with any one bit flipped are a value or a CodecError."""
    codec = CODECS[name]
    data, flags = written(name)
    for at in range(len(data)):
        for bit in range(8):
            spoiled = bytearray(data)
            spoiled[at] ^= 1 << bit
            read(codec, bytes(spoiled), flags)


@pytest.mark.parametrize("reader", CODECS)
@pytest.mark.parametrize("writer", CODECS)
def test_bytes_of_another_codec(writer, reader):
    """Bytes of another codec are refused, or are a value, and never another exception."""
    data, flags = written(writer)
    for given_ in {flags, 0, 1, 8, 9}:
        found = read(CODECS[reader], data, given_)
        same = writer == reader and given_ == flags
        assert not same or not isinstance(found, CodecError)


@given(data=st.binary(max_size=200), flags=st.integers(0, 31), name=st.sampled_from(list(CODECS)))
def test_whatever_bytes_for_all(data, flags, name):
    """Whatever the bytes and flags, there is a value or a CodecError."""
    read(CODECS[name], data, flags)


HUGE = 64 * 1024 * 1024


@pytest.mark.parametrize("name", ["json", "msgpack", "pickle", "protobuf", "avro", "structured"])
@pytest.mark.parametrize("byte", [b"\0", b"[", b"(", b"\x90", b"\x8f", b"]"])
def test_huge(name, byte):
    """64 MB are refused at once."""
    found = read(CODECS[name], byte * HUGE, 0)
    assert found.reason == "too large"


@pytest.mark.parametrize("name", ["json", "msgpack", "pickle", "protobuf", "avro"])
def test_zip_bombs(name):
    """Few bytes that come to more than the limit are refused, and what comes to less is read by the other codec."""
    bomb = zlib.compress(bytes(HUGE + 1), 9)
    assert len(bomb) < 100_000
    assert read(Compressed(CODECS[name]), bomb, 8).reason == "too large"
    assert read(Compressed(CODECS[name], limit=1000), bomb, 8).reason == "too large"
    assert read(Compressed(CODECS[name]), zlib.compress(bytes(1000)), 8).reason != "too large"


@pytest.mark.timeout(120)
def test_bounded_memory():
    """What is made to grow most is refused, or read, in a process that has 32 times the limit and little more."""
    program = """
import resource
from pathlib import Path
from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Avro, Json, MsgPack, Pickle
SIZE = 1 << 20
claims = (b"\\xdd" + (SIZE // 2).to_bytes(4, "big")) * 1000
json, msgpack, pickle = (codec(limit=SIZE) for codec in (Json, MsgPack, Pickle))
avro = Avro({"type": "array", "items": "null"}, limit=SIZE)
bombs = [
    (json, b"[" + b"[]," * (SIZE // 3 - 2) + b"[]]"),
    (json, b"[" + b'{"":0},' * (SIZE // 7 - 2) + b"[]]"),
    (json, b"[" * SIZE),
    (msgpack, claims + b"\\xc0" * (SIZE // 2)),
    (msgpack, b"\\xdd" + (SIZE // 2).to_bytes(4, "big") + b"\\x80" * (SIZE // 2)),
    (pickle, b"(" + b"\\x8f" * (SIZE - 3) + b"t."),
    (pickle, b"Nr\\xff\\xff\\xff\\x7f."),
    (pickle, b"\\x80\\x04\\x96" + (2**62).to_bytes(8, "little") + b"."),
    (pickle, b")" + b"\\x85" * (SIZE // 4) + b"."),
    (avro, b"\\xfe\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x7f"),
]
most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 40 * SIZE
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for codec, data in bombs:
    try:
        codec.decode(data, 0)
    except CodecError as error:
        print(type(codec).__name__, error.reason)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[:-1] == [
        "Json too deep",
        "MsgPack cut",
        "MsgPack too large",
        "Pickle too large",
        "Pickle cut",
        "Pickle too deep",
        "Avro too large",
    ]
