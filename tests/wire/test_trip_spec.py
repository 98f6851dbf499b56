"""Specs: what they make, and that whatever is wrong in one is told with its name."""

import sys

import pytest

from shadowmig.errors import ConfigError
from shadowmig.wire.codecs import Compressed, HttpCodec, Json, MsgPack, ProcessCodec, Structured
from shadowmig.wire.spec import load

MODULE = """
import json
from attrs import frozen
from shadowmig.wire.values import plain
from shadowmig.wire.roundtrip import RoundTrip

@frozen
class Comment:
    id: bool
    body: str = ""

def plainly(value): return json.dumps(plain(value)).encode()
def encode(value): return json.dumps(value).encode()
decode = json.loads
def values(): return [{"a": 1}, {"a": 2}]
some = [{"a": 1}]
trip = RoundTrip({"a": encode}, {"a": decode}, values=some)
bare = RoundTrip({"a": encode}, {"a": decode})
def make(): return trip
def fails(): raise RuntimeError("not today")
def leaves(): raise SystemExit(0)
class inner:
    number = 5
class Own:
    def __init__(self, key="a"): self.key = key
    def encode(self, value): return json.dumps(value[self.key]).encode(), 0
    def decode(self, data, flags): return {self.key: json.loads(data)}
"""

SIDES = '[codecs.a]\ncodec = "json"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module that no other test has imported."""
    name = f"given_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "lines.jsonl").write_text('{"a": 1}\n\n{"a": {"$int": "9007199254740993"}}\n')
    (tmp_path / "schema.json").write_text('{"type": "object", "properties": {"a": {"type": "boolean"}}}')
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path, name
    sys.modules.pop(name, None)


@pytest.fixture
def spec(folder):
    """Load a spec of this text; MODULE stands for the module."""
    path, name = folder
    made = []

    def loads(text):
        file = path / "spec.toml"
        file.write_text(text.replace("MODULE", name))
        made.append(load(str(file)))
        return made[-1]

    yield loads
    for each in made:
        each.close()


def test_codecs(spec):
    """Codecs are made by their names with their options; those that write and read are one object."""
    made = spec(
        """
        baseline = "a"
        accept = ["flags differ"]
        stable = ["a"]
        same_bytes = true
        [compare]
        numbers = "value"
        [codecs.a]
        codec = "json"
        flags = 3
        [codecs.b]
        codec = "json"
        model = "MODULE:Comment"
        [writers.c]
        python = "MODULE:encode"
        [readers.d]
        codec = "Msg-Pack"
        [values]
        python = "MODULE:some"
        """
    )
    trip = made.trip
    assert (trip.baseline, trip.accept, trip.stable, trip.same_bytes) == ("a", ("flags differ",), ["a"], True)
    assert (list(trip.writers), list(trip.readers)) == (["a", "b", "c"], ["a", "b", "d"])
    assert trip.writers["a"] is trip.readers["a"]
    assert trip.writers["a"] == Json(flags=3)
    assert type(trip.writers["b"]) is Structured
    assert trip.writers["c"]({"a": 1}) == b'{"a": 1}'
    assert type(trip.readers["d"]) is MsgPack
    assert not trip.compare(control=1, candidate=1.0)
    assert (made.values, made.count) == ([{"a": 1}], None)


def test_classes_of_codecs(spec):
    """A class in Python is made with the options beside it."""
    made = spec('[codecs.a]\npython = "MODULE:Own"\nkey = "a"\n[values]\npython = "MODULE:some"')
    assert made.trip.check(made.values).ok
    with pytest.raises(ConfigError, match=r"codecs\.a"):
        spec('[codecs.a]\npython = "MODULE:Own"\nother = 1\n[values]\npython = "MODULE:some"')


def test_options_that_are_more_than_texts(folder, spec):
    """An option may be another codec, an object of Python, or a file of JSON; any other table is taken as it is."""
    (folder[0] / "avro.json").write_text('{"type": "map", "values": "long"}')
    made = spec(
        """
        [codecs.a]
        codec = "compressed"
        of = {codec = "avro", schema = {json = "avro.json"}}
        above = 0
        [codecs.b]
        codec = "ormiss"
        of = {codec = "avro", schema = {type = "map", values = "long"}}
        [writers.c]
        codec = "json"
        flags = {python = "MODULE:inner.number"}
        [values]
        python = "MODULE:values"
        """
    )
    assert type(made.trip.writers["a"]) is Compressed
    assert made.trip.writers["c"] == Json(flags=5)
    assert made.values == [{"a": 1}, {"a": 2}]
    assert not made.trip.check(made.values, shrink=False).broken


def test_process(folder, spec):
    """A program is looked for beside the spec, and ended with it; a service is asked over HTTP."""
    program = folder[0] / "codec"
    program.write_text("#!/bin/sh\nexec cat")
    program.chmod(0o755)
    made = spec(
        """
        [codecs.a]
        process = ["./codec", "x"]
        timeout = 2.5
        [readers.b]
        http = "http://127.0.0.1:1/codec"
        [values]
        python = "MODULE:some"
        """
    )
    codec = made.trip.writers["a"]
    assert type(codec) is ProcessCodec
    assert (codec.timeout, codec.cwd) == (2.5, str(folder[0]))
    assert type(made.trip.readers["b"]) is HttpCodec


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ('model = "MODULE:Comment"\ncount = 7', 7),
        ('schema = "schema.json"', None),
        ('schema = "schema.json"\noptions = {unknown_fields = true}', None),
        ('recorded = "lines.jsonl"', None),
    ],
)
def test_values(spec, values, count):
    """Values are drawn from a model or a schema, or recorded in a file."""
    made = spec(f'[writers.a]\npython = "MODULE:plainly"\n[readers.a]\npython = "MODULE:decode"\n[values]\n{values}')
    assert made.count == count
    report = made.trip.check(made.values, count=made.count or 9, shrink=False)
    assert report.ok
    assert report.values in (2, 3, 7, 9)


def test_recorded_values(spec):
    """Recorded values are what their tagged form stands for; a line that cannot be read is told by its number."""
    made = spec(SIDES + '[values]\nrecorded = "lines.jsonl"')
    assert list(made.values) == [{"a": 1}, {"a": 2**53 + 1}]


def test_recorded_line_that_cannot_be_read(folder, spec):
    """A line that cannot be read is told by its number, when it is its turn."""
    (folder[0] / "lines.jsonl").write_text('1\n{"$no": 1}\n')
    made = spec(SIDES + '[values]\nrecorded = "lines.jsonl"')
    with pytest.raises(ConfigError, match="line 2 cannot be read"):
        list(made.values)
    (folder[0] / "lines.jsonl").write_bytes(b'"a"\n"\xff"\n')
    with pytest.raises(ConfigError, match="line 2 cannot be read"):
        list(spec(SIDES + '[values]\nrecorded = "lines.jsonl"').values)


@pytest.mark.parametrize("name", ["trip", "make"])
def test_python(folder, monkeypatch, name):
    """A round trip of Python code is taken as it is; modules of the current folder are found."""
    monkeypatch.chdir(folder[0])
    made = load(f"{folder[1]}:{name}")
    assert made.trip.check().ok
    assert str(folder[0]) in sys.path
    made.close()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("MODULE:bare", "has no values"),
        ("MODULE:some", "is a list"),
        ("MODULE:fails", "RuntimeError: not today"),
        ("MODULE:leaves", "SystemExit: 0"),
        ("this_script_exits:x", "SystemExit: 0"),
        ("MODULE:nothing", "cannot be imported"),
        ("nowhere_to_be_found:x", "cannot be imported"),
        ("nowhere.json", "is no file"),
        ("nowhere.toml", "cannot be read"),
    ],
)
def test_wrong_python(folder, monkeypatch, name, what):
    """What is no round trip is told, and what exits instead of being one."""
    (folder[0] / "this_script_exits.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(folder[0])
    with pytest.raises(ConfigError, match=what) as caught:
        load(name.replace("MODULE", folder[1]))
    assert caught.value.field == "spec"


VALUES = '[values]\npython = "MODULE:some"\n'


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("spec", "[["),
        ("the spec", "reader = 1\n" + SIDES + VALUES),
        ("the spec", VALUES),
        ("the spec", 'baseline = "x"\n' + SIDES + VALUES),
        ("codecs", "codecs = 5"),
        ("writers", "writers = []"),
        ("values", "values = 5\n" + SIDES),
        ("values", SIDES),
        ("values", SIDES + VALUES + "number = 5"),
        ("values", SIDES + VALUES + 'model = "MODULE:Comment"'),
        ("values.count", SIDES + VALUES + "count = 0"),
        ("values.count", SIDES + VALUES + "count = true"),
        ("values.model", SIDES + '[values]\nmodel = "MODULE:decode"'),
        ("values.model", SIDES + "[values]\nmodel = 5"),
        ("values.model", SIDES + '[values]\nmodel = "MODULE:Comment"\noptions = {wrong = 1}'),
        ("values.options", SIDES + '[values]\nmodel = "MODULE:Comment"\noptions = 5'),
        ("values.python", SIDES + '[values]\npython = "MODULE:fails"'),
        ("values.python", SIDES + '[values]\npython = "MODULE:leaves"'),
        ("values.schema", SIDES + '[values]\nschema = "nowhere.json"'),
        ("values.schema", SIDES + "[values]\nschema = 5"),
        ("values.recorded", SIDES + '[values]\nrecorded = "nowhere"'),
        ("codecs.a", "[codecs.a]\nflags = 1\n" + VALUES),
        ("codecs.a", "codecs.a = 5\n" + VALUES),
        ("codecs.a", '[codecs.a]\ncodec = "json"\npython = "MODULE:trip"\n' + VALUES),
        ("codecs.a.codec", '[codecs.a]\ncodec = "bson"\n' + VALUES),
        ("codecs.a.codec", "[codecs.a]\ncodec = 5\n" + VALUES),
        ("codecs.a", '[codecs.a]\ncodec = "json"\nindent = 1\n' + VALUES),
        ("codecs.a", '[codecs.a]\ncodec = "json"\nflags = -1\n' + VALUES),
        ("codecs.a", '[codecs.a]\nprocess = ["./nowhere"]\n' + VALUES),
        ("codecs.a.cwd", '[codecs.a]\nprocess = ["cat"]\ncwd = 5\n' + VALUES),
        ("codecs.a", '[codecs.a]\npython = "MODULE:encode"\nflags = 1\n' + VALUES),
        ("codecs.a.python", '[codecs.a]\npython = "MODULE.encode"\n' + VALUES),
        ("codecs.a.model", '[codecs.a]\ncodec = "json"\nmodel = "MODULE:Nothing"\n' + VALUES),
        ("readers.a.flags", '[readers.a]\ncodec = "json"\nflags = {json = "nowhere"}\n' + VALUES),
        ("compare", SIDES + VALUES + '[compare]\nnumbers = "any"'),
        ("compare", SIDES + VALUES + "[compare]\nnothing = 1"),
    ],
)
def test_wrong_spec(spec, field, text):
    """What is wrong in a spec is told with the name of its field, and what to do."""
    with pytest.raises(ConfigError) as caught:
        spec(text)
    assert caught.value.field == field
    assert caught.value.remedy
