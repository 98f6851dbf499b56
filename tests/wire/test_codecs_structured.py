"""Structured: another codec's values as models, strict unless the service's own converter says otherwise."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Any

import attrs
import cattrs
import pytest
from cattrs.preconf.json import make_converter
from hypothesis import given
from hypothesis import strategies as st
from wire_proto_support import Small

from shadowmig.errors import CodecError, ConfigError
from shadowmig.wire.codecs import Avro, Compressed, Flagged, Json, MsgPack, Pickle, Protobuf, Structured


class Kind(enum.Enum):
    LINK = "link"
    ONE = 1


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Name(str):
    """A text of its own type."""


@attrs.define
class Words:
    word: Word
    name: Name


@dataclasses.dataclass
class Part:
    x: int
    y: float = 1.0


@attrs.frozen
class Comment:
    id: int
    body: str
    at: dt.datetime
    day: dt.date
    time: dt.time
    key: uuid.UUID
    price: decimal.Decimal
    raw: bytes
    kind: Kind
    level: Level
    parts: list[Part]
    votes: int | None = None
    hidden: bool = False
    tags: dict[str, float] = attrs.field(factory=dict)
    parent: "Comment | None" = None
    pair: tuple[int, str] = (1, "a")
    names: frozenset[str] = frozenset()
    either: int | str = 0


@attrs.define
class Entry:
    id: int


@attrs.define
class Event:
    at: dt.datetime
    kind: Kind


@attrs.define
class Wait:
    time: dt.timedelta


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
FIELDS = {
    "id": st.integers(-(2**63), 2**63 - 1),
    "body": TEXT,
    "at": st.datetimes(timezones=st.just(dt.UTC)),
    "day": st.dates(),
    "time": st.times(),
    "key": st.uuids(),
    "price": st.decimals(allow_nan=False),
    "raw": st.binary(max_size=9),
    "kind": st.sampled_from(Kind),
    "level": st.sampled_from(Level),
    "parts": st.lists(st.builds(Part, st.integers(0, 9), st.floats(allow_nan=False, allow_infinity=False)), max_size=2),
    "votes": st.none() | st.integers(0, 9),
    "hidden": st.booleans(),
    "tags": st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    "pair": st.tuples(st.integers(0, 9), TEXT),
    "names": st.frozensets(TEXT, max_size=2),
    "either": st.integers(0, 9) | TEXT,
}
FLAT = st.builds(Comment, **FIELDS)
COMMENTS = st.builds(Comment, **FIELDS, parent=st.none() | FLAT)
OTHERS = [Json(), MsgPack(), Pickle(), Compressed(Flagged(Json()), above=50), Flagged(MsgPack())]
ONE = Comment(
    1, "a", dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.date(2020, 1, 1), dt.time(1, 2), uuid.UUID(int=5),
    decimal.Decimal("1.20"), b"\0\xff", Kind.LINK, Level.LOW, [Part(1, 2.0)],
)  # fmt: skip
CODEC = Structured(Json(), Comment)
PLAIN = json.loads(CODEC.encode(ONE)[0])


@pytest.mark.parametrize("other", OTHERS, ids=lambda codec: type(codec).__name__)
@given(value=COMMENTS)
def test_structured_is_lossless(other, value):
    """Models come back, by each codec, its types or texts in their place."""
    codec = Structured(other, Comment)
    data, flags = codec.encode(value)
    found = codec.decode(data, flags)
    assert found == value
    assert [type(part) for part in attrs.astuple(found)] == [type(part) for part in attrs.astuple(value)]
    assert codec.encode(value) == (data, flags)


def test_what_other_codecs_lack_is_text():
    """With JSON moments, numbers and bytes are text; with MessagePack moments and bytes are its own."""
    assert (PLAIN["at"], PLAIN["price"], PLAIN["raw"]) == ("2020-01-01T00:00:00+00:00", "1.20", "AP8=")
    packed = MsgPack().decode(*Structured(MsgPack(), Comment).encode(ONE))
    assert (packed["at"], packed["price"], packed["raw"]) == (ONE.at, "1.20", ONE.raw)
    pickled = Pickle().decode(*Structured(Pickle(), Comment).encode(ONE))
    assert (pickled["at"], pickled["price"], pickled["key"]) == (ONE.at, ONE.price, ONE.key)


def test_other_models():
    """Whatever cattrs knows is a model: lists, dicts, dataclasses, and messages of other codecs."""
    codec = Structured(Json(), list[Part])
    assert codec.decode(*codec.encode([Part(1)])) == [Part(1)]
    codec = Structured(Json(), dict[str, Any])
    assert codec.decode(*codec.encode({"a": [1, None]})) == {"a": [1, None]}
    for other in (Protobuf(Small), Avro({"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}]})):
        codec = Structured(other, Entry)
        assert codec.decode(*codec.encode(Entry(5))) == Entry(5)
    codec = Structured(Json(), Words)
    found = codec.decode(*codec.encode(Words(Word.YES, Name("n"))))
    assert (found, type(found.name), found.word) == (Words(Word.YES, Name("n")), Name, Word.YES)
    codec = Structured(Pickle(), Wait)
    assert codec.decode(*codec.encode(Wait(dt.timedelta(1)))) == Wait(dt.timedelta(1))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": "1"}, "$.id"),
        ({"id": True}, "$.id"),
        ({"id": 1.0}, "$.id"),
        ({"id": None}, "$.id"),
        ({"body": 5}, "$.body"),
        ({"hidden": 1}, "$.hidden"),
        ({"at": "soon"}, "$.at"),
        ({"at": 5}, "$.at"),
        ({"at": "2020-01-01T00:00:00.123456789+00:00"}, "$.at"),
        ({"time": "01:02:03.1234567"}, "$.time"),
        ({"day": "2020-01-01T00:00:00"}, "$.day"),
        ({"key": "zz"}, "$.key"),
        ({"price": "x"}, "$.price"),
        ({"price": 1.5}, "$.price"),
        ({"raw": "!!"}, "$.raw"),
        ({"kind": "other"}, "$.kind"),
        ({"kind": True}, "$.kind"),
        ({"level": True}, "$.level"),
        ({"level": "1"}, "$.level"),
        ({"parts": [{"x": "1"}]}, "$.parts[0].x"),
        ({"parts": [{"x": 1}, {"x": 1, "z": 2}]}, "$.parts[1]"),
        ({"parts": {"x": 1}}, "$.parts"),
        ({"parts": "ab"}, "$.parts"),
        ({"parts": None}, "$.parts"),
        ({"parts": [5]}, "$.parts[0]"),
        ({"votes": "x"}, "$.votes"),
        ({"tags": {"a": 1, "b": "x"}}, "$.tags['b']"),
        ({"tags": {"a": 2**53 + 1}}, "$.tags['a']"),
        ({"tags": []}, "$.tags"),
        ({"pair": "ab"}, "$.pair"),
        ({"pair": [1]}, "$.pair"),
        ({"names": "ab"}, "$.names"),
        ({"names": {"a": 1}}, "$.names"),
        ({"either": None}, "$.either"),
        ({"either": True}, "$.either"),
        ({"parent": 5}, "$.parent"),
        ({"parent": {**PLAIN, "id": "1"}}, "$.parent.id"),
        ({"none": 1}, "$"),
        ({"id": ...}, "$.id"),
    ],
)
def test_structured_is_strict(change, path):
    """What is of another type, not there, or too much is refused, with its path and without its value."""
    document = {key: value for key, value in {**PLAIN, **change}.items() if value is not ...}
    with pytest.raises(CodecError) as caught:
        CODEC.decode(json.dumps(document).encode(), 0)
    assert (caught.value.reason, caught.value.path) == ("not the model", path)
    assert "1234567" not in str(caught.value)


@pytest.mark.parametrize("document", [None, 5, "a", [1], {}, [[]], True])
def test_documents_that_are_no_model(document):
    """A document of another shape altogether is refused."""
    with pytest.raises(CodecError) as caught:
        CODEC.decode(Json().encode(document)[0], 0)
    assert caught.value.reason == "not the model"


def test_defaults_and_whole_numbers():
    """What is missing takes the model's default, and a whole number will do for a float."""
    document = {key: value for key, value in PLAIN.items() if key not in ("votes", "tags")}
    document["parts"] = [{"x": 1, "y": 2}]
    found = CODEC.decode(Json().encode(document)[0], 0)
    assert found == ONE
    assert type(found.parts[0].y) is float


@pytest.mark.parametrize("value", [None, 5, "a", [1], Part(1)])
def test_values_that_are_no_model(value):
    """What is no object of the model is not written."""
    with pytest.raises(CodecError) as caught:
        CODEC.encode(value)
    assert caught.value.reason == "not the model"


def test_errors_of_the_other_codec():
    """What the other codec refuses is its own error."""
    with pytest.raises(CodecError) as caught:
        CODEC.decode(b"{", 0)
    assert caught.value.reason == "not JSON"
    with pytest.raises(CodecError) as caught:
        CODEC.encode(attrs.evolve(ONE, body="\ud800"))
    assert caught.value.reason == "lone surrogate"


def test_own_converter():
    """The service's own converter is used as it is, lenient or not, and whatever it raises is told."""
    codec = Structured(Json(), Part, converter=cattrs.Converter())
    assert codec.decode(b'{"x":"5","y":"1","z":0}', 0) == Part(5, 1.0)
    codec = Structured(Json(), Event, converter=make_converter())
    event = Event(ONE.at, Kind.LINK)
    assert codec.decode(*codec.encode(event)) == event
    own = cattrs.Converter(detailed_validation=False)

    def refuse(value, _):
        raise LookupError(f"secret {value}")

    own.register_structure_hook(Part, refuse)
    with pytest.raises(CodecError) as caught:
        Structured(Json(), Part, converter=own).decode(b"{}", 0)
    assert caught.value.reason == "not the model"
    assert "secret" not in str(caught.value)


def test_structured_nested_too_deeply():
    """Models nested too deeply are refused, read or written, and so is one that holds itself."""
    data, value = b"null", None
    for _ in range(3000):
        value = attrs.evolve(ONE, parent=value)
    for _ in range(700):
        data = CODEC.encode(ONE)[0].replace(b'"parent":null', b'"parent":' + data)
    with pytest.raises(CodecError) as caught:
        CODEC.encode(value)
    assert caught.value.reason == "too deep"
    with pytest.raises(CodecError) as caught:
        CODEC.decode(data, 0)
    assert caught.value.reason in {"too deep", "not the model"}


def test_models_that_cattrs_does_not_know():
    """A type that the strict converter has nothing for is refused when the codec is built."""

    class Unknown:
        pass

    for model in (Unknown, Wait, list[Unknown]):
        with pytest.raises(ConfigError) as caught:
            Structured(Json(), model)
        assert caught.value.field == "model"


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Structured(None, Part), "codec"),
        (lambda: Structured(Json, Part), "codec"),
        (lambda: Structured(Json(), Part, converter=dict), "converter"),
    ],
)
def test_wrong_options_of_structured(build, field):
    """A wrong option is refused when the codec is built, by its name."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert caught.value.field == field
