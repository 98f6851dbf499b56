"""Tagged JSON: every value comes back as it was, through JSON text, and nothing else is taken for one."""

import dataclasses
import enum
import json
import math
import sys
import tracemalloc
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmig.errors import CodecError, CodecUnavailable
from shadowmig.model import MISSING
from shadowmig.wire.tagged import from_tagged, to_tagged
from shadowmig.wire.tagged._protocol import answers, item_of_data, item_of_value, request
from shadowmig.wire.values import Instant, plain

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=ZONES).map(lambda at: at.replace(fold=0))
TEXTS = st.text(st.characters(codec=None, categories=None, exclude_categories=[]))
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([sign * (2**53 + step) for step in (-1, 0, 1) for sign in (1, -1)]),
    st.floats(allow_nan=False),
    TEXTS,
    st.binary(),
    MOMENTS,
    st.datetimes().map(lambda at: at.replace(fold=0)),
    st.builds(Instant, MOMENTS, st.integers(1, 999)),
    st.dates(),
    st.times().map(lambda at: at.replace(fold=0)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.just(MISSING),
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ATOMS | st.just("$int"), inner, max_size=4)
)


def same(one, two):
    """Tell whether two values are equal in value, type, sign, digits and offset."""
    if isinstance(one, dict):
        return isinstance(two, dict) and len(one) == len(two) and all(map(same, one.items(), two.items()))
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, datetime) and one.tzinfo is not None:
        return isinstance(two, datetime) and one.isoformat() == two.isoformat()
    if isinstance(one, Instant):
        return isinstance(two, Instant) and one.nanos == two.nanos and same(one.at, two.at)
    return type(one) is type(two) and repr(one) == repr(two)


@given(VALUES)
def test_values_come_back_through_json(value):
    """Every value comes back from JSON text as it was: equal, of its type, with its sign, digits and offset."""
    assert same(value, from_tagged(json.loads(json.dumps(to_tagged(value), allow_nan=False))))


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(
                "$int $float $bytes $time $local $date $clock $duration $decimal $uuid $text $map $missing".split()
            ),
            inner,
            max_size=2,
        )
    ),
)


@given(JSONS)
def test_other_json_is_read_or_refused(document):
    """Whatever JSON is given, it is read, and then written and read again to the same, or refused by name."""
    try:
        value = from_tagged(document)
    except CodecError:
        return
    assert repr(from_tagged(to_tagged(value))) == repr(value)


SPELLED = [
    (7, 7),
    (2**53, 2**53),
    (-(2**53) - 1, {"$int": "-9007199254740993"}),
    (True, True),
    (1.5, 1.5),
    (1.0, {"$float": "1.0"}),
    (-0.0, {"$float": "-0.0"}),
    (math.nan, {"$float": "NaN"}),
    (-math.inf, {"$float": "-Infinity"}),
    ("é", "é"),
    ("a\ud800", {"$text": [97, 0xD800]}),
    (b"\xff", {"$bytes": "/w=="}),
    (bytearray(b"a"), {"$bytes": "YQ=="}),
    (memoryview(b"a"), {"$bytes": "YQ=="}),
    (datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC), {"$time": "2024-02-03T04:05:06+00:00"}),
    (datetime.fromisoformat("0001-02-03T04:05:06.000007"), {"$local": "0001-02-03T04:05:06.000007"}),
    (Instant(datetime(1, 2, 3, tzinfo=UTC), 5), {"$time": "0001-02-03T00:00:00.000000005+00:00"}),
    (date(1, 2, 3), {"$date": "0001-02-03"}),
    (time(1, 2, 3, 4), {"$clock": "01:02:03.000004"}),
    (timedelta(microseconds=-1), {"$duration": "-0.000001"}),
    (Decimal("1.10"), {"$decimal": "1.10"}),
    (UUID(int=1), {"$uuid": "00000000-0000-0000-0000-000000000001"}),
    ({1: 2}, {"$map": [[1, 2]]}),
    ({"$a": None}, {"$map": [["$a", None]]}),
    ({"a": {"b": [b""]}}, {"a": {"b": [{"$bytes": ""}]}}),
    (MISSING, {"$missing": True}),
]


@pytest.mark.parametrize(("value", "tagged"), SPELLED)
def test_tagged_form_is_as_documented(value, tagged):
    """Each kind of value has the tagged form that the reference shows."""
    made = to_tagged(value)
    assert made == tagged
    assert type(made) is type(tagged)
    assert same(value, from_tagged(tagged)) or isinstance(value, bytearray | memoryview)


class Color(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 2


@attrs.define
class Point:
    x: int
    inner: object = None


@dataclasses.dataclass
class Pair:
    one: object


class Text(str):
    def __str__(self):
        raise AssertionError


class Number(int):
    pass


class Real(float):
    pass


class Moment(datetime):
    pass


class Day(date):
    pass


class Raw(bytes):
    pass


MODELS = [
    (Color.RED, "red"),
    (Size.BIG, 2),
    (Point(1, Pair((Color.RED, Size.BIG))), {"x": 1, "inner": {"one": ["red", 2]}}),
    (OrderedDict(a=(1, 2)), {"a": [1, 2]}),
    (namedtuple("Two", "a b")(1, 2), [1, 2]),
    ([Text("a"), Number(2**60), Real(0.5)], ["a", {"$int": str(2**60)}, 0.5]),
    ({Text("a"): 1}, {"$map": [["a", 1]]}),
    (Moment(2024, 1, 1, tzinfo=UTC), {"$time": "2024-01-01T00:00:00+00:00"}),
    (Day(2024, 1, 1), {"$date": "2024-01-01"}),
    (Raw(b"a"), {"$bytes": "YQ=="}),
    (datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")), {"$time": "2024-07-01T12:00:00+02:00"}),
    (datetime(1900, 1, 1, 12, tzinfo=timezone(timedelta(seconds=53))), {"$time": "1900-01-01T11:59:07+00:00"}),
]


@pytest.mark.parametrize(("value", "tagged"), MODELS)
def test_models_are_taken_by_their_plain_form(value, tagged):
    """Models, enums, subclasses and mappings are written as what they are made of, and odd offsets as UTC."""
    assert to_tagged(value) == tagged


def nested(levels, wrap):
    """Give a value of so many levels."""
    value = 0
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: {"$map": [["a", inner]]}]
)
def test_levels_are_limited(wrap):
    """Four hundred levels pass, and more than that, also any number of them, are refused by name."""
    plain = wrap("$map") != {"$map": [["a", "$map"]]}
    if plain:
        assert from_tagged(to_tagged(nested(400, wrap))) == nested(400, wrap)
    for levels in (401, 100_000):
        for turn in (from_tagged, to_tagged) if plain else (from_tagged,):
            with pytest.raises(CodecError) as caught:
                turn(nested(levels, wrap))
            assert caught.value.reason == "too deep"


def test_value_that_holds_itself_is_refused():
    """A value that holds itself is refused as too deep, also inside a model."""
    loop = []
    loop.append(loop)
    for value in (loop, Point(1, loop)):
        with pytest.raises(CodecError) as caught:
            to_tagged(value)
        assert caught.value.reason == "too deep"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "no tagged form"),
        ({1, 2}, "no tagged form"),
        ({"a": [1j]}, "no tagged form"),
        (time(1, tzinfo=UTC), "no tagged form"),
        (Decimal("sNaN"), "no tagged form"),
        pytest.param(10**4300, "number", id="long"),
        pytest.param(2**1_000_000, "number", id="longer"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(seconds=30))), "time"),
        (Instant(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(seconds=30))), 1), "time"),
    ],
)
def test_value_without_tagged_form_is_refused(value, reason):
    """What has no tagged form is refused by name."""
    with pytest.raises(CodecError) as caught:
        to_tagged(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (2**53 + 1, "number"),
        (math.nan, "number"),
        (math.inf, "number"),
        (object(), "number"),
        ((1,), "number"),
        ("\ud800", "text"),
        ({"a\ud800": 1}, "tag"),
        ({1: 1}, "tag"),
        ({"$odd": 1}, "tag"),
        ({"$int": "1", "a": 1}, "tag"),
        ({"a": 1, "$int": "1"}, "tag"),
        ({"$int": 1}, "tag"),
        ({"$int": "1.0"}, "$int"),
        ({"$int": "01"}, "$int"),
        ({"$int": "٣"}, "$int"),
        ({"$int": "9" * 4301}, "$int"),
        ({"$float": "1e999"}, "$float"),
        ({"$float": "nan"}, "$float"),
        ({"$float": "1_0"}, "$float"),
        ({"$bytes": "a"}, "$bytes"),
        ({"$bytes": "YQ"}, "$bytes"),
        ({"$bytes": "Y Q=="}, "$bytes"),
        ({"$bytes": "é"}, "$bytes"),
        ({"$time": "2024-01-01T00:00:00"}, "$time"),
        ({"$time": "0000-01-01T00:00:00Z"}, "$time"),
        ({"$time": "2024-02-30T00:00:00Z"}, "$time"),
        ({"$time": "2024-01-01T00:00:00.1234567890Z"}, "$time"),
        ({"$time": "2024-01-01T00:00:00+99:00"}, "$time"),
        ({"$local": "2024-01-01T00:00:00Z"}, "$local"),
        ({"$date": "2024-1-1"}, "$date"),
        ({"$clock": "24:00:01"}, "$clock"),
        ({"$clock": "1:00"}, "$clock"),
        ({"$duration": "1e9"}, "$duration"),
        ({"$duration": "0.0000001"}, "$duration"),
        ({"$duration": "99999999999999"}, "$duration"),
        ({"$decimal": "sNaN"}, "$decimal"),
        ({"$decimal": "1e9999999999999999999"}, "$decimal"),
        ({"$decimal": "10e999999999999999999"}, "$decimal"),
        ({"$uuid": "0"}, "$uuid"),
        ({"$text": ["a"]}, "tag"),
        ({"$text": [True]}, "tag"),
        ({"$text": [-1]}, "$text"),
        ({"$text": [0x110000]}, "$text"),
        ({"$text": [10**30]}, "$text"),
        ({"$map": [1]}, "tag"),
        ({"$map": [[1]]}, "tag"),
        ({"$map": [[{}, 1]]}, "tag"),
        ({"$map": [["a", 1], ["a", 2]]}, "duplicate key"),
        ({"$map": [[1, 1], [True, 2]]}, "duplicate key"),
        ({"$missing": False}, "$missing"),
    ],
)
def test_wrong_form_is_refused(document, reason):
    """What is no tagged JSON, or nothing that Python has, is refused by name, and its content is not shown."""
    with pytest.raises(CodecError) as caught:
        from_tagged([document])
    assert caught.value.reason == reason
    assert "9999" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"$time": "2024-01-01t00:00:00.1z"}, datetime(2024, 1, 1, 0, 0, 0, 100_000, UTC)),
        ({"$time": "2024-01-01 00:00:00.123456000-00:00"}, datetime(2024, 1, 1, 0, 0, 0, 123_456, UTC)),
        ({"$float": "1"}, 1.0),
        ({"$float": "1E+2"}, 100.0),
        ({"$int": "5"}, 5),
        ({"$duration": "3"}, timedelta(seconds=3)),
        ({"$decimal": "-Infinity"}, Decimal("-Infinity")),
        ({"$map": [[[1, ["a"]], 2]]}, {(1, ("a",)): 2}),
        ({"$map": []}, {}),
    ],
)
def test_other_spellings_are_read(document, value):
    """Spellings that other languages prefer are read too."""
    assert same(value, from_tagged(document))


def test_requests_are_lines_of_json():
    """A request is one line of JSON with id, work and items."""
    items = [item_of_value({"a": "é\n"}), item_of_value(None)]
    assert json.loads(request(3, "encode", items)) == {
        "id": 3,
        "op": "encode",
        "items": [{"value": {"a": "é\n"}}, {"value": None}],
    }
    line = request(4, "decode", [item_of_data(b"\xff", 2)])
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"id": 4, "op": "decode", "items": [{"data": "/w==", "flags": 2}]}


def test_replies_are_read_item_by_item():
    """In a reply, an item whose value is none has an error of its own, and the others are read."""
    line = (
        '{"id": 1, "more": 1, "items": [{"value": 1}, {"value": {"a": 1, "a": 2}}, {"value": 99999999999999999999},'
        ' {"value": NaN}, {"value": 1e999}, {"miss": true}, {"error": "no \\u001b[31m", "reason": "cut"},'
        f' {{"value": {"9" * 100_000}}}, {{"value": "\\ud800"}}, {{"value": {"[" * 500}{"]" * 500}}}]}}'
    )
    first, *bad, deep = answers(line.encode(), 1, "decode", 10)
    assert first == 1
    assert bad.pop(4) is MISSING
    assert [each.reason for each in bad] == ["tag", "number", "number", "number", "cut", "number", "text"]
    assert str(bad[4]) == "no \\x1b[31m"
    assert deep.reason == "too deep"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 1_000_000, "levels"),
        (b"[]", "no object"),
        (b'{"id": true, "items": [{"data": ""}]}', "id"),
        (b'{"id": 1, "items": {}}', "items"),
        (b'{"id": 1, "id": 1, "items": [{"data": ""}]}', "id"),
        (b'{"id": 1, "items": [1]}', "no answer"),
        (b'{"id": 1, "items": [{"value": 1}]}', "no answer"),
        (b'{"id": 1, "items": [{"data": "a"}]}', "base64"),
        (b'{"id": 1, "items": [{"data": "", "flags": 1.0}]}', "32 bits"),
    ],
)
def test_reply_that_breaks_the_protocol_is_refused(line, text):
    """A reply that is none says nothing about the items: the codec is unavailable."""
    with pytest.raises(CodecUnavailable, match=text) as caught:
        answers(line, 1, "encode", 1)
    assert caught.value.reason == "broke the protocol"


def test_value_with_too_many_levels_is_not_sent():
    """A value that the writer of JSON cannot follow is refused by name."""
    value = 0
    for _ in range(399):
        value = {1: value}
    with pytest.raises(CodecError) as caught:
        item_of_value(value)
    assert caught.value.reason == "too deep"


def test_tagged_form_is_not_changed():
    """Reading a tagged form leaves it as it is."""
    document = {"a": [{"$int": "9007199254740993"}, {"$map": [[{"$bytes": "YQ=="}, [{"$float": "1.0"}]]]}]}
    text = json.dumps(document)
    assert from_tagged(document) == {"a": [2**53 + 1, {b"a": [1.0]}]}
    assert json.dumps(document) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (lambda number: {"$int": str(number * sys.hash_info.modulus)}, "too many keys"),
        (lambda number: {"$uuid": str(UUID(int=number * sys.hash_info.modulus))}, "too many keys"),
        (lambda number: [number] * 300, "key too large"),
    ],
    ids=["ints", "uuids", "lists"],
)
def test_keys_that_take_long_to_find_are_refused(key, reason):
    """Keys of which thousands have one hash, or that are large, are refused before they take long."""
    count = 12_000 if reason == "too many keys" else 1000
    pairs = [[key(number), 0] for number in range(4000, 4000 + count)]
    document = [{"$map": pairs[start : start + 1000]} for start in range(0, count, 1000)]
    with pytest.raises(CodecError) as caught:
        from_tagged(document)
    assert caught.value.reason == reason


@pytest.mark.parametrize("piece", ["[]", "{}", '{"":0}', '{"$map":[]}'])
def test_replies_take_bounded_memory(piece):
    """What a reply becomes takes no more than 32 times its bytes, with the reply itself."""
    count = 200_000 // len(piece)
    line = ('{"id":1,"items":[{"value":[' + ",".join([piece] * count) + "]}]}\n").encode()
    tracemalloc.start()
    try:
        (value,) = answers(line, 1, "decode", 1)
        assert tracemalloc.get_traced_memory()[1] < 32 * len(line)
    finally:
        tracemalloc.stop()
    assert len(value) == count


class Letter(enum.Enum):
    A = "a"
    LIST = [1]  # noqa: RUF012 - a value that is no key


class Angry(dict):
    """A dict that shows nothing of itself."""

    def values(self):
        raise LookupError("secret")


@attrs.define
class Unset:
    field: int = attrs.field(init=False)


@pytest.mark.parametrize("value", [Unset(), [Unset()], Angry(a=1), memoryview(b"abcd")[::2], attrs.make_class("C", [])])
def test_values_that_raise_have_no_tagged_form(value):
    """A value whose own code raises, or that lacks an attribute, is refused as any other without a tagged form."""
    with pytest.raises(CodecError) as caught:
        to_tagged(value)
    assert caught.value.reason == "no tagged form"
    assert "secret" not in str(caught.value)


def test_keys_that_would_become_one_are_kept():
    """Members of enums that are keys become their values, unless an entry would be lost by that."""
    assert plain({Letter.A: 1, "b": 2}) == {"a": 1, "b": 2}
    for value in ({Letter.A: 1, "a": 2}, {Letter.LIST: 1}):
        assert plain(value) == value
    assert to_tagged(OrderedDict({Letter.A: 1, "a": 2})) == {"$map": [["a", 1], ["a", 2]]}
