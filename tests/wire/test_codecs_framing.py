"""Framing by flags: as the clients of Memcached do it, without running what is in the bytes."""

import pickle
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymemcache.client.base import Client
from pymemcache.serde import compressed_serde, pickle_serde

from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.model import MISSING
from shadowmig.wire.codecs import Compressed, Flagged, Json, MsgPack, OrMiss, Pickle, Raw, Serde

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)
VALUES = PLAIN | st.binary(max_size=900)


@given(value=VALUES)
def test_flagged_reads_and_writes_as_pymemcache(value):
    """With the restricted pickle, bytes and flags are those of pymemcache, and each reads what the other wrote."""
    codec = Compressed(Flagged(Pickle(protocol=5)), above=400)
    data, flags = codec.encode(value)
    theirs, their_flags = compressed_serde.serialize("", value)
    theirs = theirs if isinstance(theirs, bytes) else theirs.encode()
    assert flags & ~8 == their_flags & ~8
    assert codec.decode(theirs, their_flags) == value
    assert compressed_serde.deserialize("", data, flags) == value
    if not flags & 8:
        assert (data, flags) == (theirs, their_flags)


@given(value=PLAIN)
def test_flagged_with_json(value):
    """With another codec everything but bytes, text and ints is in its format, under the flag of a pickle."""
    codec = Flagged(Json())
    data, flags = codec.encode(value)
    assert codec.decode(data, flags) == value
    if type(value) not in (str, int):
        assert (data, flags) == (Json().encode(value)[0], 1)


@pytest.mark.parametrize(
    ("client", "value", "data", "flags"),
    [
        ("pymemcache", b"\xff", b"\xff", 0),
        ("pymemcache", "ü", "ü".encode(), 16),
        ("pymemcache", -12, b"-12", 2),
        ("python-memcached", 2**70, b"%d" % 2**70, 2),
        ("pymemcache", True, b"true", 1),
        ("pymemcache", None, b"null", 1),
        ("pylibmc", 12, b"12", 4),
        ("pylibmc", True, b"1", 2),
        ("pylibmc", False, b"0", 2),
        ("pylibmc", "a", b"a", 16),
        ("pylibmc", [1], b"[1]", 1),
    ],
)
def test_flags_of_the_clients(client, value, data, flags):
    """Each client's way of writing is followed, and what it makes of the types that it cannot tell apart."""
    codec = Flagged(Json(), client=client)
    assert codec.encode(value) == (data, flags)
    found = codec.decode(data, flags)
    assert found == value
    assert type(found) is (int if client == "pylibmc" and isinstance(value, bool) else type(value))


@pytest.mark.parametrize(
    ("data", "flags", "reason"),
    [
        (b"x", 32, "unknown flags"),
        (b"x", 18, "unknown flags"),
        (b"x", 8, "unknown flags"),
        (b"x", 6, "unknown flags"),
        (b"1", 3, "unknown flags"),
        (b"x", 2, "not an int"),
        (b"", 2, "not an int"),
        (b"1_0", 2, "not an int"),
        (b"1.5", 4, "not an int"),
        (b"0x1f", 2, "not an int"),
        (b" 1", 2, "not an int"),
        pytest.param(b"1" * 4301, 2, "not an int", id="digits"),
        (b"\xff", 16, "not UTF-8"),
        (b"{", 1, "not JSON"),
    ],
)
def test_flagged_is_strict(data, flags, reason):
    """Flags of no type or of several, and bytes that are not of the type that the flags tell, are refused."""
    with pytest.raises(CodecError) as caught:
        Flagged(Json()).decode(data, flags)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("codec", "value", "reason"),
    [
        (Flagged(Json()), "\ud800", "lone surrogate"),
        pytest.param(Flagged(Json()), 10**5000, "number too large", id="digits"),
        (Flagged(Raw(flags=2)), None, "no such type"),
        (Flagged(Json(flags=2)), None, "flag in use"),
        (Flagged(Json(flags=1)), None, "flag in use"),
        (Flagged(Json()), object(), "no such type"),
    ],
)
def test_flagged_does_not_write(codec, value, reason):
    """What could not be read back is refused when it is written."""
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    assert caught.value.reason == reason


def test_flags_of_the_other_codec():
    """Flags of the other codec that mean nothing to this one come through."""
    codec = Flagged(Json(flags=256))
    assert codec.encode(None) == (b"null", 257)
    assert codec.decode(b"null", 257) is None


def test_flagged_runs_nothing(tmp_path):
    """A pickle that would run a program is refused, where pymemcache's own serde runs it."""
    mark = tmp_path / "mark"

    class Harm:
        def __reduce__(self):
            return subprocess.call, (["touch", str(mark)],)

    data = pickle.dumps(Harm())
    with pytest.raises(CodecError) as caught:
        Flagged(Pickle()).decode(data, 1)
    assert caught.value.reason == "class not allowed"
    assert not mark.exists()
    assert pickle_serde.deserialize("", data, 1) == 0
    assert mark.exists()


def test_counters_of_a_real_server(memcached, memcached_prefix):
    """A counter that the server counted down, and padded with spaces, is read as a number."""
    codec = Flagged(Json())
    client = Client((memcached.host, memcached.port), timeout=5, default_noreply=False)
    try:
        data, flags = codec.encode(10)
        client.set(f"{memcached_prefix}c", data, flags=flags)
        client.decr(f"{memcached_prefix}c", 1)
        found = client.get(f"{memcached_prefix}c")
    finally:
        client.close()
    assert found == b"9 "
    assert codec.decode(found, flags) == 9


@pytest.mark.parametrize(
    ("data", "flags"),
    [(b"{", 1), (b"x", 32), (b"\x78\x9c", 9), (b"\xff", 16), (pickle.dumps([1]), 1)],
)
def test_a_miss(data, flags):
    """What such a reader cannot read is MISSING, which is not None."""
    codec = OrMiss(Compressed(Flagged(Json())))
    assert codec.decode(data, flags) is MISSING
    assert codec.decode(*codec.encode({"a": None})) == {"a": None}
    assert codec.decode(b"null", 1) is None


def test_a_miss_of_whatever_is_raised():
    """Whatever the other codec raises is a miss, but not that it could not do its work."""

    class Own:
        def __init__(self, error):
            self.error = error

        def encode(self, value):
            raise self.error

        def decode(self, data, flags):
            raise self.error

    assert OrMiss(Own(KeyError("x"))).decode(b"", 0) is MISSING
    with pytest.raises(KeyError):
        OrMiss(Own(KeyError("x"))).encode(1)
    with pytest.raises(CodecUnavailable):
        OrMiss(Own(CodecUnavailable("gone"))).decode(b"", 0)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Flagged(Json), "codec"),
        (lambda: Flagged(None), "codec"),
        (lambda: Flagged(Json(), client="memcache"), "client"),
        (lambda: Flagged(Json(), client=[]), "client"),
        (lambda: OrMiss(object()), "codec"),
    ],
)
def test_wrong_options_of_framing(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field


def test_framing_of_several_layers():
    """Framings nest, and each takes its own flag off."""
    codec = Compressed(Flagged(Compressed(MsgPack(), flag=64, above=10)), above=10)
    value = {"a": "x" * 1000}
    data, flags = codec.encode(value)
    assert flags == 1 | 64 | (flags & 8)
    assert codec.decode(data, flags) == value
    assert Serde(pickle_serde).decode(*Flagged(Pickle()).encode([1])) == [1]
