"""`ProcessCodec` and the Go program of the examples, against the legacy service in Python."""

import re
import subprocess
from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_go_support import FOLDER, build, legacy, wire_go, wire_go_program  # noqa: F401 - these are fixtures

from shadowmig.errors import CodecError
from shadowmig.model import MISSING
from shadowmig.wire.codecs.process import ProcessCodec
from shadowmig.wire.values import plain

INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | INTS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
DOCUMENTS = st.dictionaries(
    TEXTS, SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=3), max_size=3
)
KNOWN = {name.upper() for name in legacy.FIELDS} | set(legacy.FIELDS)
TIMES = st.datetimes(timezones=st.just(UTC))
FLAIRS = st.builds(legacy.Flair, TEXTS, st.none() | TEXTS)


def comments(children):
    """Draw comments of the legacy model."""
    return st.builds(
        legacy.Comment,
        id=INTS,
        parent_id=st.none() | INTS,
        body=TEXTS,
        author=TEXTS,
        score=INTS,
        ups=INTS,
        created=TIMES,
        edited=st.just(False) | TIMES,
        tags=st.lists(TEXTS, max_size=3),
        gildings=st.dictionaries(TEXTS, INTS, max_size=3),
        blob=st.binary(max_size=6),
        counts=st.dictionaries(INTS, INTS, max_size=3),
        ratio=st.floats(allow_nan=False, allow_infinity=False),
        meta=DOCUMENTS,
        distinguished=st.none() | st.sampled_from(legacy.Distinguished),
        children=children,
        flair=st.none() | FLAIRS,
        stickied=st.booleans(),
        send_replies=st.booleans(),
        # Its own fields in other case are fields that it does not know.
        rest=st.dictionaries(TEXTS.filter(lambda name: name not in KNOWN) | st.sampled_from(["ID", "Body"]), SCALARS),
    )


LEAVES = comments(st.just([]))
BATCHES = st.lists(comments(st.lists(LEAVES, max_size=2)), min_size=1, max_size=10)
SIDES = {"json": legacy.LegacyJson, "msgpack": legacy.LegacyMsgPack, "protobuf": legacy.LegacyProtobuf}
PLAIN = legacy.Comment(
    id=7,
    parent_id=None,
    body="hi",
    author="ann",
    score=3,
    created=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    tags=["a"],
    gildings={"gold": 1},
    blob=b"abc",
    counts={},
    ratio=0.5,
    meta={"a": "b"},
    edited=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def same(one, two):
    """Tell whether two plain values are equal in value, type and sign."""
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and repr(one) == repr(two)


@pytest.mark.parametrize("name", SIDES)
def test_corrected_go_agrees_with_the_legacy_service(name, wire_go):  # noqa: F811 - it is the fixture
    """What either side writes of any comment, with the mistakes corrected, the other one reads as it was."""
    go, python = wire_go("--fixed", name), SIDES[name]()

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(BATCHES)
    def agree(batch):
        want = [plain(value) for value in batch]
        read = go.decode_many([python.encode(value) for value in batch])
        assert all(map(same, want, read)), (want, read)
        back = [plain(python.decode(*result)) for result in go.encode_many(batch)]
        assert all(map(same, want, back)), (want, back)

    agree()


DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def test_corrected_go_agrees_about_documents(wire_go):  # noqa: F811 - it is the fixture
    """JSON documents of any kind pass both ways, with the mistakes corrected."""
    go, python = wire_go("--fixed", "json-any"), legacy.LegacyDocument()

    @given(st.lists(DOCUMENT, min_size=1, max_size=20))
    def agree(batch):
        assert all(map(same, batch, go.decode_many([python.encode(value) for value in batch])))
        assert all(map(same, batch, [python.decode(*result) for result in go.encode_many(batch)]))

    agree()


CHANGED = [
    # Format, change to a plain comment, place and what Go reads there; or none, and what it says.
    ("json", {"score": 2**31}, None, "cannot unmarshal number"),
    ("json", {"edited": False}, None, "not a JSON string"),
    ("json", {"parent_id": 5}, None, "string"),
    ("json", {"blob": b"\xff\xfe"}, None, "base64"),
    ("json", {"ups": -1}, None, "cannot unmarshal number"),
    ("json", {"ratio": 1e300}, None, "cannot unmarshal number"),
    ("json", {"ratio": 0.1}, "ratio", 0.10000000149011612),
    ("json", {"meta": {"a": 1}}, "meta", {"a": 1.0}),
    ("json", {"meta": {"a": 2**53 + 1}}, "meta", {"a": float(2**53)}),
    ("json", {"counts": {5: 6}}, "counts", {"5": 6}),
    ("json", {"flair": legacy.Flair("x", None)}, "flair", {"text": "x", "css": ""}),
    ("json", {"distinguished": legacy.Distinguished.SPECIAL}, "distinguished", None),
    ("json", {"rest": {"added": 1}}, "rest", {}),
    ("json", {"rest": {"Body": "other"}}, "body", "other"),
    ("msgpack", {"score": 2**31}, "score", -(2**31)),
    ("msgpack", {"edited": False}, None, "decoding"),
    ("msgpack", {"counts": {5: 6}}, None, "decoding string"),
    ("msgpack", {"flair": legacy.Flair("x", "y")}, "flair", {"text": "", "css": ""}),
    ("protobuf", {"parent_id": None}, "parent_id", 0),
    ("protobuf", {"score": 2**31}, "score", -(2**31)),
    ("protobuf", {"ratio": 0.5}, "ratio", 0.0),
    ("protobuf", {"blob": b"\xff"}, None, "UTF-8"),
]


@pytest.mark.parametrize(("name", "change", "path", "found"), CHANGED)
def test_first_go_misreads_what_the_legacy_service_wrote(name, change, path, found, wire_go):  # noqa: F811 - it is the fixture
    """Go as first written misreads what the legacy service wrote, in one place, or refuses it with its own words."""
    python, go = SIDES[name](), wire_go(name)
    assert go.decode(*python.encode(PLAIN))["body"] == "hi"
    data = python.encode(evolve(PLAIN, **change))
    if path is None:
        with pytest.raises(CodecError, match=found):
            go.decode(*data)
    else:
        assert same(go.decode(*data)[path], found)


WRITTEN = [
    ("json", {"tags": []}, None, "NoneType"),
    ("json", {"gildings": {}}, None, "NoneType"),
    ("json", {"author": ""}, None, "author"),
    ("json", {"ups": 0}, "ups", 1),
    ("json", {"send_replies": False}, "send_replies", True),
    ("json", {"score": 2**31}, "score", -(2**31)),
    ("json", {"created": datetime(2024, 1, 1, 0, 0, 0, 5, UTC)}, "created", datetime(2024, 1, 1, tzinfo=UTC)),
    ("json", {"edited": datetime(2024, 1, 1, tzinfo=UTC)}, "edited", datetime.fromisoformat("2024-01-01")),
    ("json", {"meta": {"a": 1.0}}, "meta", {"a": 1}),
    ("json", {"meta": {}}, "meta", None),
    ("json", {"ratio": -0.0}, "ratio", 0.0),
    ("msgpack", {"blob": b"\xff"}, None, "utf-8"),
    ("msgpack", {"flair": legacy.Flair("x", "y")}, None, "list indices"),
    ("msgpack", {"edited": datetime(2024, 1, 1, tzinfo=UTC)}, "edited", "2024-01-01T00:00:00"),
    ("protobuf", {"parent_id": 0}, "parent_id", None),
    ("protobuf", {"send_replies": False}, "send_replies", True),
    ("protobuf", {"flair": legacy.Flair("x", "")}, "flair", {"text": "x", "css": None}),
    ("protobuf", {"ratio": 0.5}, "ratio", 0.0),
]


@pytest.mark.parametrize(("name", "change", "path", "found"), WRITTEN)
def test_legacy_service_misreads_what_the_first_go_wrote(name, change, path, found, wire_go):  # noqa: F811 - it is the fixture
    """The legacy service misreads what Go as first written wrote, in one place, or cannot read it."""
    python, go = SIDES[name](), wire_go(name)
    data = go.encode(evolve(PLAIN, **change))
    if path is None:
        with pytest.raises(Exception, match=found):
            python.decode(*data)
    else:
        assert same(plain(python.decode(*data))[path], found)


def test_go_takes_pickles_for_a_miss(wire_go):  # noqa: F811 - it is the fixture
    """Go takes what the flags mark as a pickle for a miss; the legacy service reads it."""
    python = legacy.LegacyPickle()
    data, flags = python.encode(PLAIN)
    assert python.decode(data, flags) == PLAIN
    assert wire_go("json").decode(data, flags) is MISSING


def test_go_survives_broken_bytes(wire_go):  # noqa: F811 - it is the fixture
    """Bytes that are cut, of another format or nested without end are refused, and the next ones are read."""
    for name, side in SIDES.items():
        go, python = wire_go("--fixed", name), side()
        data, _ = python.encode(PLAIN)
        broken = [b"", data[:-3], b"\x93" * 50, b"[" * 100_000, b"\xff" * 1000]
        results = go.decode_many([(data, 0), *((each, 0) for each in broken), (data, 0)])
        assert results[0] == results[-1] == plain(PLAIN)
        assert all(isinstance(each, CodecError) for each in results[1:-1]), (name, results)


def test_go_is_formatted_and_vetted(wire_go_program):  # noqa: F811 - it is the fixture
    """The Go program is as gofmt and go vet want it."""
    formatted = subprocess.run(["gofmt", "-l", "."], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert formatted.stdout == formatted.stderr == ""
    vetted = subprocess.run(["go", "vet", "./..."], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert vetted.returncode == 0, vetted.stderr


@pytest.fixture
def small(wire_go_program):  # noqa: F811 - it is the fixture
    """The path of the codec in one file."""
    return build(wire_go_program.parent, "./small")


def test_codec_in_one_file_is_complete(small):
    """The codec that the docs show passes ints, texts and moments both ways, and names what it refuses."""
    with ProcessCodec([str(small)]) as codec:
        for number in (0, -5, 2**53, 2**53 + 1, 2**63 - 1):
            value = {"id": number, "body": "<é> 😀", "created": datetime(2024, 2, 29, 1, 2, 3, 456789, UTC)}
            assert same(codec.decode(*codec.encode(value)), value)
        bad, good = codec.decode_many([(b"?", 0), (b"{}", 0)])
        assert isinstance(bad, CodecError)
        assert good["body"] == ""
        with pytest.raises(CodecError, match="cannot unmarshal"):
            codec.encode({"id": "text"})


@pytest.mark.parametrize("page", ["docs/how-to/codec-in-another-language.md", "examples/wire_go/README.md"])
def test_pages_show_what_the_programs_say(page, wire_go_program, small):  # noqa: F811 - it is the fixture
    """What the pages show of requests and replies in a terminal is what the programs say."""
    text = (FOLDER.parents[1] / page).read_text(encoding="utf-8")
    asked, program, said = re.search(r"\$ echo '(.*)' \| \./(.*)\n((?:\{.*\n)+)", text).groups()
    name, *arguments = program.split()
    path = {"codec": small, "wire-go": wire_go_program}[name]
    done = subprocess.run([path, *arguments], input=f"{asked}\n", capture_output=True, text=True, check=True)
    assert done.stdout == said


def test_program_explains_its_arguments(wire_go_program):  # noqa: F811 - it is the fixture
    """Without a known format the program shows how it is used, and a line that is no request ends it."""
    wrong = subprocess.run([wire_go_program, "xml"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "json|json-any|msgpack|protobuf" in wrong.stderr
    broken = subprocess.run([wire_go_program, "json"], input="oops\n", capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "no request" in broken.stderr
