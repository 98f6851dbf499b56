"""Json: what it refuses has a name; and `look`: what readers of several languages take differently is listed."""

import json
import math
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import CodecError
from shadowmig.wire.codecs import Json, look
from shadowmig.wire.codecs.json import NOTES

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def kinds(data, **options):
    """The kinds of what is seen in a document."""
    return [oddity.kind for oddity in look(data, **options)]


def seen(data):
    """Kinds and paths of what is seen in a document."""
    return [(oddity.kind, oddity.path) for oddity in look(data)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"1 2", "not JSON"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "NaN"),
        (b"1e999", "number too large"),
        pytest.param(b"1" * 4301, "number too large", id="digits"),
        (b'{"a":1,"a":2}', "duplicate key"),
        (b'{"a":1,"\\u0061":2}', "duplicate key"),
        (rb'"\ud800"', "lone surrogate"),
        (rb'"\uDC00"', "lone surrogate"),
        (rb'"\ud83d\ud83d\ude00"', "lone surrogate"),
        (rb'"\ud83d\\ude00"', "lone surrogate"),
        (rb'{"\ud800":1}', "lone surrogate"),
        pytest.param(b"[" * 100_000, "too deep", id="deep"),
        pytest.param(b"1" * (16 * 1024 * 1024 + 1), "too large", id="long"),
    ],
)
def test_json_says_why_it_cannot_read(data, reason):
    """What cannot be read is an error with a reason, and without the bytes in its text."""
    with pytest.raises(CodecError) as caught:
        Json().decode(data, 0)
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("data", [rb'"\ud83d\ude00"', rb'"\\ud800"', rb'"\\\\uD800"', rb'"\uD83D\uDE00\\ud8"'])
def test_json_reads_pairs_of_surrogates(data):
    """A pair of surrogates is a character, and an escaped backslash begins no escape."""
    assert Json().decode(data, 0) == json.loads(data)


def itself():
    """A list that holds itself."""
    value = []
    value.append(value)
    return value


def deep(levels):
    """A list in a list, and so on."""
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "NaN"),
        ([math.inf], "NaN"),
        ("\ud800", "lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        (object(), "no such type"),
        (b"x", "no such type"),
        ({1: 1, "1": 1}, "no such type"),
        ({(1,): 1}, "no such type"),
        (itself(), "too deep"),
        (deep(100_000), "too deep"),
        pytest.param(10**5000, "number too large", id="digits"),
    ],
)
def test_json_says_why_it_cannot_write(value, reason):
    """What cannot be written is an error with a reason."""
    with pytest.raises(CodecError) as caught:
        Json().encode(value)
    assert caught.value.reason == reason


@given(value=ANYTHING)
def test_json_against_the_standard_library(value):
    """What Json writes the standard library reads as the same value, and what Json refuses is a NaN or a surrogate."""
    theirs = json.dumps(value)
    try:
        data, _ = Json().encode(value)
    except CodecError as error:
        data, reason = b"", error.reason
    if data:
        assert json.loads(data) == value == Json().decode(data, 0)
    else:
        assert reason in {"NaN", "lone surrogate"}
        assert "NaN" in theirs or "Infinity" in theirs or "\\ud" in theirs


@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | ANYTHING.map(json.dumps).map(str.encode))
def test_json_reads_what_the_standard_library_reads(data):
    """Json reads as the standard library does, or refuses."""
    try:
        value = Json().decode(data, 0)
    except CodecError:
        return
    assert repr(json.loads(data)) == repr(value)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a":[1,{"b":1,"b":2}]}', [("duplicate key", "$.a[1].b")]),
        (b'{"a":1,"\\u0061":1}', [("duplicate key", "$.a")]),
        (rb'["a","\ud800"]', [("lone surrogate", "$[1]")]),
        (b'["\xed\xa0\x80"]', [("lone surrogate", "$[0]")]),
        (rb'{"\ud800":1}', [("lone surrogate", "$['\\ud800']")]),
        (b"[NaN,-Infinity,Infinity]", [("NaN", "$[0]"), ("NaN", "$[1]"), ("NaN", "$[2]")]),
        (b"[9007199254740992,-9007199254740992]", []),
        (b"[9007199254740993]", [("integer beyond 2**53", "$[0]")]),
        (b"[-9007199254740993]", [("integer beyond 2**53", "$[0]")]),
        (b"[9223372036854775807]", [("integer beyond 2**53", "$[0]")]),
        (b"[9223372036854775808]", [("integer beyond int64", "$[0]")]),
        (b"[18446744073709551615]", [("integer beyond int64", "$[0]")]),
        (b"[18446744073709551616]", [("integer beyond 64 bits", "$[0]")]),
        (b"[-9223372036854775809]", [("integer beyond 64 bits", "$[0]")]),
        (b"[1.0]", [("float spelled integer", "$[0]")]),
        (b"[1e2,0.0,1E+2]", [("float spelled integer", f"$[{at}]") for at in range(3)]),
        (b"[-0,-0.0,-0e5]", [("negative zero", f"$[{at}]") for at in range(3)]),
        (b"[1e999]", [("number too large", "$[0]")]),
        (b"[-1e-999]", [("number too small", "$[0]")]),
        (b"[0.1,0.10,1.5,5e-324]", []),
        (b"[0.12345678901234567890]", [("digits lost", "$[0]")]),
        pytest.param(b"[0." + b"1" * 2000 + b"]", [("digits lost", "$[0]")], id="decimals"),
        (b"\xef\xbb\xbf{}", [("byte order mark", "$")]),
        (rb'["\u003cb\u003E","\u0026","\u2028"]', [("escaped HTML", f"$[{at}]") for at in range(3)]),
        (rb'["\\u003c"]', []),
        (rb'["\u0000"]', [("NUL", "$[0]")]),
        ('["é"]'.encode(), []),
        ('["e\u0301"]'.encode(), [("not NFC", "$[0]")]),
        (b"[1] [2]", [("something follows", "$")]),
        (b"01", [("something follows", "$")]),
        (b' {"a" : [ ] , "b":{}} \n', []),
        (b'["a",true,false,null,12,-3,0.5,{"b":"c"}]', []),
        ('{"a b":1.0}'.encode("utf-16"), [("not UTF-8", "$"), ("float spelled integer", "$['a b']")]),
        (b'["\xff"]', [("not UTF-8", "$")]),
    ],
)
def test_look(data, found):
    """What readers take differently is listed by kind and path, in its order, and nothing else is."""
    assert seen(data) == found
    assert all(oddity.note == NOTES[oddity.kind] for oddity in look(data))


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"", "$"),
        (b"[1,]", "$[1]"),
        (b"[1 2]", "$[0]"),
        (b"[", "$[0]"),
        (b"[}", "$[0]"),
        (b"{1:1}", "$"),
        (b'{"a"}', "$.a"),
        (b'{"a" 1}', "$.a"),
        (b'{"a":}', "$.a"),
        (b'{"a":1 "b":2}', "$.a"),
        (b'{"a":1,}', "$.a"),
        (b'{"a":1,2', "$.a"),
        (b'["a', "$[0]"),
        (b'["\\x"]', "$[0]"),
        (b'["\x01"]', "$[0]"),
        (b"[nul]", "$[0]"),
        (b"[,1]", "$[0]"),
        (b"[-]", "$[0]"),
        (b"nulls", "$"),
        (b"\x00", "$"),
    ],
)
def test_look_at_what_is_no_json(data, path):
    """What is no JSON is listed too, with the place at which the look ended."""
    found = look(data)
    assert [oddity.kind for oddity in found if oddity.kind != "not UTF-8"] == ["not JSON"]
    assert found[-1].path == path


@given(value=ANYTHING)
def test_look_reads_what_the_standard_library_writes(value):
    """No document of the standard library is taken for none."""
    for document in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        found = set(kinds(document.encode("utf-8", "surrogatepass")))
        assert not found & {"not JSON", "something follows", "not UTF-8"}


@given(data=st.text(st.sampled_from('[]{}:," \\u01eE.-tfn\n'), max_size=40))
def test_look_agrees_with_the_reader(data):
    """A document has no oddity of being none exactly if the standard library reads it."""
    try:
        json.loads(data)
        good = True
    except ValueError:
        good = False
    assert good == (not set(kinds(data.encode())) & {"not JSON", "something follows"})


@given(value=ANYTHING)
def test_look_finds_all_that_json_refuses(value):
    """Whatever the strict reader refuses has an oddity."""
    data = json.dumps(value).encode()
    try:
        Json().decode(data, 0)
    except CodecError as error:
        refused = {error.reason, "integer beyond 64 bits"}
    else:
        return
    assert set(kinds(data)) & refused


def test_look_at_deep_nesting():
    """Nesting is told of once from 64 levels on, and the look ends at 10 000."""
    assert kinds(b"[" * 64 + b"]" * 64) == []
    (found,) = look(b"[" * 65 + b"]" * 65)
    assert (found.kind, found.path) == ("deep nesting", "$" + "[0]" * 64)
    assert kinds(b"[" * 10_000 + b"]" * 10_000) == ["deep nesting"]
    assert kinds(b'{"a":' * 20_000) == ["deep nesting", "too deep"]
    assert look(b"[" * 99 + b"NaN" + b"]" * 99)[1].path == "$" + "[0]" * 64 + "…"


def test_look_has_limits():
    """There are no more oddities than asked for, the last one says if there are more, and long bytes are not read."""
    assert kinds(b"[" + b"NaN," * 99 + b"NaN]") == ["NaN"] * 100
    assert kinds(b"[" + b"NaN," * 100 + b"NaN]") == ["NaN"] * 99 + ["many more"]
    assert kinds(b"[NaN,NaN,NaN]", most=1) == ["many more"]
    assert kinds(b"x" * 101, limit=100) == ["too large"]
    assert kinds(bytes(64 * 1024 * 1024)) == ["too large"]


MB = 1024 * 1024


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"1" * MB, ["integer beyond 64 bits"]),
        (b"0." + b"1" * MB, ["digits lost"]),
        (b"-" * MB, ["not JSON"]),
        (b" " * MB, ["not JSON"]),
        (b"a" * MB, ["not JSON"]),
        (b'"' + b"\\n" * MB + b'"', []),
        (('"q' + "\u0301" * MB + '"').encode(), []),
        (b"[" + b"1," * (MB // 4) + b"1]", []),
    ],
    ids=["digits", "decimals", "minus", "space", "letters", "escapes", "marks", "many"],
)
def test_look_takes_time_in_proportion(data, found):
    """Long numbers, words, spaces and rows of combining marks take no more time than their length is worth."""
    assert kinds(data) == found


def test_normal_forms_are_looked_at_whole():
    """A text that is not in NFC is found wherever in a long text that is."""
    for before in (0, 998, 999, 1000, 1001, 5555):
        text = "é" * before + "e\u0301" + "é" * 2000
        assert not unicodedata.is_normalized("NFC", text)
        assert kinds(json.dumps(text, ensure_ascii=False).encode()) == ["not NFC"]


def test_json_at_the_end_of_the_stack():
    """Also where the caller has left little of the stack, nothing but a CodecError comes out."""

    def down(levels):
        if levels:
            return down(levels - 1)
        with pytest.raises(CodecError):
            Json().decode(b"[" * 300 + b"]" * 300, 0)
        return True

    used = len(__import__("inspect").stack(0))
    assert down(max(1, sys.getrecursionlimit() - used - 200))
