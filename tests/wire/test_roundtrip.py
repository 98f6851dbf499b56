"""The matrix: cells and their counts, what counts as a fault, ways back, batches, hostile sides, and bounds of time."""

import itertools
import json
import sys
import time
from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.compare import structural
from shadowmig.errors import CodecError, CodecUnavailable, ConfigError
from shadowmig.model import MISSING
from shadowmig.wire.codecs import Compressed, Json
from shadowmig.wire.roundtrip import CLASSES, Outcome, RoundTrip

JSON = Json()
VALUES = [{"id": number, "body": "text", "tags": ["a"], "big": 2**53 + number} for number in range(20)]


def encode(value):
    """Write as Python's own JSON does by default."""
    return json.dumps(value).encode()


class Floats:
    """A side that keeps numbers as floats."""

    def encode(self, value):
        return JSON.encode(value)

    def decode(self, data, flags):
        return json.loads(data, parse_int=lambda text: int(float(text)))


class Batches:
    """A codec for batches; it notes how large they are, and fails as it is told."""

    def __init__(self, fail=None):
        self.sizes = []
        self.fail = fail

    def encode(self, value):
        raise AssertionError("it is asked in batches only")

    decode = encode

    def encode_many(self, values):
        self.sizes.append(len(values))
        return [self._one(JSON.encode, value) for value in values]

    def decode_many(self, items):
        return [self._one(JSON.decode, *item) for item in items]

    def _one(self, function, *arguments):
        try:
            if self.fail and self.fail(arguments[0]):
                raise self.fail(arguments[0])
            return function(*arguments)
        except CodecError as error:
            return error


def pair(legacy, new, **options):
    """Make a matrix of two sides that write and read."""
    return RoundTrip({"legacy": legacy, "new": new}, {"legacy": legacy, "new": new}, **options)


def found(report):
    """Give names and cells of the faults."""
    return {(fault.name, fault.place) for fault in report.faults}


def counts(report):
    """Give the outcomes by cell."""
    return {str(cell): {outcome.value: n for outcome, n in cell.counts.items() if n} for cell in report.cells}


def test_all_cells():
    """There is a cell for each writer and reader, and one for each way back."""
    report = pair(JSON, JSON).check(VALUES)
    assert report.ok
    assert counts(report) == {
        place: {"identical": 20}
        for place in (
            "legacy -> legacy",
            "legacy -> new",
            "new -> legacy",
            "new -> new",
            "legacy -> new -> legacy",
            "new -> legacy -> new",
        )
    }
    assert (report.values, report.complete, report.seed, report.conclusive) == (20, True, 0, True)


def test_fault_is_in_its_cells():
    """A fault is told for each cell, with the sides whose own round trip shows it too."""
    report = pair(JSON, Floats()).check(VALUES)
    name = "integer above 2**53 lost precision"
    assert found(report) == {(name, "legacy -> new"), (name, "new -> new")}
    assert [fault.own for fault in report.faults] == [("new",), ()]
    assert {fault.count for fault in report.faults} == {10}
    assert report.faults[0].value == {"big": 2**53 + 1}
    assert counts(report)["legacy -> new -> legacy"] == {"identical": 10, "silently wrong": 10}


def test_baseline():
    """What the baseline has too, at the same place and in the same way, is shown and does not count."""
    report = pair(Floats(), Floats(), baseline="legacy").check(VALUES)
    assert report.ok
    assert {fault.accepted for fault in report.accepted} == {"the own round trip of legacy shows it too"}
    assert len(report.accepted) == 4
    assert not pair(Floats(), Floats()).check(VALUES).ok


def test_baseline_is_no_excuse_for_another_loss():
    """A loss of the same class that is not the same as the baseline's counts."""

    def cut(length):
        return lambda data: {key: each[:length] for key, each in json.loads(data).items()}

    trip = RoundTrip({"legacy": encode}, {"legacy": cut(30), "new": cut(10)}, baseline="legacy")
    report = trip.check([{"body": "word " * 20}])
    assert found(report) == {("text truncated", "legacy -> new")}
    assert [fault.place for fault in report.accepted] == ["legacy -> legacy"]


def test_accept():
    """A class that is accepted by its name does not count."""
    report = pair(JSON, Floats(), accept="integer above 2**53 lost precision").check(VALUES)
    assert report.ok
    assert {fault.accepted for fault in report.accepted} == {"accepted by name"}


def test_own_comparator():
    """A comparator of one's own decides what counts, and what a rule ignores makes values equal, not identical."""
    report = pair(JSON, Floats(), compare=structural(ignore=["$.big"])).check(VALUES)
    assert report.ok
    assert counts(report)["legacy -> new"] == {"identical": 10, "equal": 10}


def test_models_and_dicts_mix():
    """A reader may give models of what was written as dicts."""

    @attrs.frozen
    class Comment:
        id: int
        body: str = ""

    readers = {"model": lambda data: Comment(**json.loads(data)), "dict": json.loads}
    report = RoundTrip({"dict": encode}, readers).check([{"id": 1, "body": "a"}, {"id": 2}])
    assert found(report) == {("missing became default", "dict -> model")}
    (fault,) = report.faults
    assert (fault.value, fault.path, fault.want, fault.got) == ({"id": 0}, "$.body", MISSING, "")


def test_model_is_shrunk_as_a_model():
    """A value that is an object stays one: its fields take their defaults, or the smallest value that it lets them."""

    @attrs.frozen
    class Comment:
        id: int = attrs.field(validator=attrs.validators.ge(5))
        body: str = "none"
        score: float = attrs.field(factory=lambda: 1.0, alias="points")

    trip = RoundTrip(
        {"a": lambda value: encode(attrs.asdict(value))}, {"b": lambda data: json.loads(data, parse_float=int)}
    )
    report = trip.check([Comment(99, "long", 1.0), Comment(77, "longer", 2.0)], seconds=20)
    (fault,) = report.broken + report.faults
    assert fault.name == "wrong type refused"
    trip = RoundTrip(trip.writers, {"b": lambda data: json.loads(data, parse_float=lambda text: int(float(text)))})
    (fault,) = trip.check([Comment(99, "long", 1.5), Comment(77, "longer", 2.5)]).faults
    assert fault.name == "float lost its fraction"
    assert (type(fault.value), fault.value.body, fault.value.score) == (Comment, "", 0.5)
    assert fault.value.id == 5


def test_undecodable():
    """What a reader raises is kept in its own words, and named by the smallest value."""

    def strict(data):
        if b"\\ud8" in data:
            raise ValueError("strange escape")
        return json.loads(data)

    report = RoundTrip({"python": encode}, {"go": strict}).check([{"a": "some\ud800", "b": 1}, {"a": "good"}])
    (fault,) = report.faults
    assert (fault.name, fault.outcome) == ("lone surrogate refused", Outcome.UNDECODABLE)
    assert (fault.error, fault.value, fault.data) == (
        "ValueError: strange escape",
        {"a": "\ud800"},
        b'{"a": "\\ud800"}',
    )
    assert counts(report) == {"python -> go": {"identical": 1, "undecodable": 1}}


def test_many_errors_of_one_class_are_one_fault():
    """Errors that say their values are told apart by their words, and counted together under their name."""

    def choosy(data):
        raise KeyError("no field " + json.loads(data)["a"])

    report = RoundTrip({"a": encode}, {"b": choosy}).check([{"a": "abcdefghij"[n % 10] * 5} for n in range(200)])
    (fault,) = report.faults
    assert (fault.name, fault.count) == ("missing field refused", 200)


def test_refused():
    """A writer that raises is at fault only if another writes the value."""
    both_refuse, one_refuses = {"a": float("nan")}, {"a": {1: 2, "b": 3}}
    trip = RoundTrip({"strict": JSON, "loose": encode}, {"any": json.loads}, accept=["integer key became text"])
    report = trip.check([both_refuse, one_refuses, {"a": 1}])
    assert ("key refused", "strict") in found(report)
    assert counts(report)["strict -> any"] == {"refused": 2, "identical": 1}
    only = RoundTrip({"strict": JSON}, {"strict": JSON})
    assert only.check([one_refuses, {"a": 1}]).ok
    nothing = only.check([one_refuses])
    assert (nothing.ok, nothing.conclusive, nothing.faults) == (False, False, ())


def test_baseline_may_refuse():
    """What the baseline does not write is no fault."""
    trip = RoundTrip(
        {"legacy": JSON, "new": encode}, {"legacy": json.loads}, baseline="legacy", accept=["integer key became text"]
    )
    assert trip.check([{"a": {1: 2, "b": 3}}, {"a": 1}]).ok


@pytest.mark.parametrize("miss", [None, lambda value: value is None])
def test_miss(miss):
    """A reader that takes bytes for a miss is named for that."""
    report = RoundTrip({"a": encode}, {"b": lambda data: None if b"x" in data else json.loads(data)}, miss=miss).check(
        [{"body": "x y z", "n": 1}, {"body": "y"}]
    )
    (fault,) = report.faults
    assert (fault.name, fault.outcome, fault.value) == ("reads as a miss", Outcome.MISS, {"body": "x"})


def test_missing_is_a_miss():
    """`MISSING` is a miss whatever was written."""
    (fault,) = RoundTrip({"a": encode}, {"b": lambda data: MISSING}).check([5]).faults
    assert fault.name == "reads as a miss"


def test_own_miss():
    """What a miss is can be told by a function."""
    trip = RoundTrip({"a": encode}, {"b": lambda data: -1}, miss=lambda value: value == -1)
    assert [fault.outcome for fault in trip.check([5]).faults] == [Outcome.MISS]


def test_equal_is_no_fault_unless_asked():
    """Other bytes for the same value are told by what differs, and count if all sides must write the same."""
    values = [{"b": "<\u00e9>", "a": 1}]
    cases = {
        "HTML escaped (bytes only)": lambda v: JSON.encode(v)[0].replace(b"<", b"\\u003c").replace(b">", b"\\u003E"),
        "white space differs (bytes only)": lambda v: json.dumps(v, sort_keys=True, ensure_ascii=False).encode(),
        "escapes differ (bytes only)": lambda v: json.dumps(v, sort_keys=True, separators=(",", ":")).encode(),
        "map reordered (bytes only)": lambda v: json.dumps(v).encode(),
        "numbers spelled differently (bytes only)": lambda v: JSON.encode(v)[0].replace(b":1", b":1e0"),
        "flags differ": lambda v: (JSON.encode(v)[0], 7),
    }
    for name, writer in cases.items():
        writers, readers = {"a": JSON, "b": writer}, {"a": JSON, "b": JSON}
        compare = structural(numbers="value")
        report = RoundTrip(writers, readers, compare=compare).check(values)
        assert report.ok
        assert counts(report)["a -> b"] == {"equal": 1}
        notes = {(fault.name, fault.accepted) for fault in report.accepted if fault.place == "a -> b"}
        assert notes == {(name, "the bytes need not be the same")}
        report = RoundTrip(writers, readers, compare=compare, same_bytes=True).check(values)
        assert (name, "a -> b") in found(report)


def test_bytes_of_another_kind():
    """Bytes that are no JSON just differ."""
    report = pair(JSON, Compressed(JSON, above=0)).check([{"a": "x" * 99}], shrink=False)
    assert {fault.name for fault in report.accepted} == {"bytes differ"}
    assert not report.ok  # for the legacy cannot read what is compressed


def test_writer_without_reader_is_identical():
    """A reader that does not write has no bytes of its own to compare with."""
    assert counts(RoundTrip({"a": encode}, {"b": json.loads}).check([1])) == {"a -> b": {"identical": 1}}


def test_unstable_bytes():
    """A writer that gives other bytes each time is told, and counts if it must be stable."""
    number = itertools.count()

    def restless(value):
        return encode({**value, "at": next(number)})

    def read(data):
        return {key: each for key, each in json.loads(data).items() if key != "at"}

    trip = RoundTrip({"a": restless, "b": encode}, {"r": read})
    report = trip.check(VALUES)
    assert report.ok
    assert {(fault.name, fault.place) for fault in report.accepted} == {
        ("unstable bytes", "a"),
        ("bytes depend on the order of keys", "b"),
    }
    report = RoundTrip(trip.writers, trip.readers, stable=["a"]).check(VALUES)
    assert found(report) == {("unstable bytes", "a")}
    report = RoundTrip(trip.writers, trip.readers, stable=True).check(VALUES)
    assert found(report) == {("unstable bytes", "a"), ("bytes depend on the order of keys", "b")}
    (order,) = [fault for fault in report.faults if fault.writer == "b"]
    assert len(order.value) == 2
    assert order.count == 20


def test_stable_models():
    """The order of keys is looked at inside models too, and one that cannot be built anew is written twice as it is."""

    @attrs.frozen
    class Model:
        inner: dict

    @attrs.frozen
    class Fixed:
        inner: dict
        made: int = attrs.field(init=False, default=1)

        def __attrs_post_init__(self):
            if list(self.inner) != ["a", "b"]:
                raise ValueError("only so")

    trip = RoundTrip(
        {"a": lambda value: encode(value.inner)}, {"a": json.loads}, plain=lambda v: getattr(v, "inner", v), stable=True
    )
    assert found(trip.check([Model({"a": 1, "b": [{"c": 1}]})])) == {("bytes depend on the order of keys", "a")}
    assert trip.check([Fixed({"a": 1, "b": 2})]).ok


def test_way_back():
    """What one side loses when it writes back what it read is found on the way back, and only there."""

    class Keeps(Floats):
        """Reads all, and writes what it knows."""

        def encode(self, value):
            return JSON.encode({key: each for key, each in value.items() if key != "new_field"})

        def decode(self, data, flags):
            return JSON.decode(data, flags)

    report = pair(Keeps(), JSON).check([{"id": 1, "new_field": [7, 8], "more": "text"}])
    assert ("re-encoding drops unknown fields", "new -> legacy -> new") in found(report)
    (fault,) = [fault for fault in report.faults if fault.via]
    assert (fault.value, fault.path, fault.outcome) == ({"new_field": 1}, "$.new_field", Outcome.SILENTLY_WRONG)
    assert found(report) - {(fault.name, fault.place)} == {
        ("field not written", "legacy -> legacy"),
        ("field not written", "legacy -> new"),
    }


def test_way_back_refused():
    """A side that cannot write what it read is at fault on the way back."""

    class Times:
        def encode(self, value):
            if type(value["at"]) is not str:
                raise TypeError("no text")
            return JSON.encode(value)

        def decode(self, data, flags):
            value = JSON.decode(data, flags)
            return {"at": datetime.fromisoformat(value["at"])}

    report = pair(JSON, Times(), compare=structural(timestamps=True)).check([{"at": "2024-01-01T00:00:00+00:00"}])
    assert found(report) == {("re-encoding refused", "legacy -> new -> legacy")}
    assert report.faults[0].error == "TypeError: no text"
    assert counts(report)["legacy -> new -> legacy"] == {"refused": 1}


def test_way_back_unreadable():
    """Bytes that only come about on the way back can be unreadable, too."""

    class Adds(Floats):
        def decode(self, data, flags):
            return JSON.decode(data, flags) | {"seen": True}

    class Strict(Floats):
        def decode(self, data, flags):
            if b"seen" in data:
                raise ValueError("unknown field")
            return JSON.decode(data, flags)

    report = pair(Strict(), Adds(), compare=structural(ignore=["$.seen"])).check([{"id": 1}])
    assert found(report) == {("unknown field refused", "legacy -> new -> legacy")}


def test_batches():
    """Codecs that take batches get batches, and one that fails for one value does not fail for the others."""
    codec = Batches(fail=lambda value: value == {"id": 3} and CodecError("no", reason="odd"))
    report = RoundTrip({"a": codec, "b": JSON}, {"a": codec}).check([{"id": number} for number in range(100)])
    assert counts(report)["a -> a"] == {"identical": 99, "refused": 1}
    assert found(report) == {("unwritable", "a")}
    assert max(codec.sizes) > 10


def test_batch_that_dies_of_one_value():
    """A value at which the codec's program dies is found among the others of its batch, and is broken."""

    def die(value):
        if value == {"id": 70}:
            raise CodecUnavailable("it died")

    report = RoundTrip({"a": Batches(fail=die)}, {"a": JSON}).check([{"id": number} for number in range(100)])
    assert counts(report)["a -> a"] == {"identical": 99, "broken": 1}
    (fault,) = report.broken
    assert (fault.name, fault.value, fault.writer) == ("codec unavailable", {"id": 70}, "a")
    assert (report.ok, report.faults) == (False, ())


@pytest.mark.parametrize("result", [lambda items: items[1:], lambda items: None, lambda items: 1 / 0])
def test_batch_that_lies(result):
    """A batch with too few results, with none, or that raises, ends as what is broken or undecodable."""
    codec = Batches()
    codec.decode_many = result
    report = RoundTrip({"a": JSON}, {"a": codec}).check([{"id": number} for number in range(9)])
    assert not report.ok
    assert not report.cells[0].counts[Outcome.IDENTICAL]


def test_batch_is_not_retried_for_ever():
    """A codec that is gone is asked a bounded number of times."""
    calls = itertools.count()

    def gone(items):
        next(calls)
        raise CodecUnavailable("gone")

    codec = Batches()
    codec.decode_many = gone
    report = RoundTrip({"a": JSON}, {"a": codec}).check([{"id": number} for number in range(500)], seconds=5)
    assert counts(report) == {"a -> a": {"broken": 500}}
    assert next(calls) < 500


@pytest.mark.parametrize("given", ["text", None, ("text", 0), (b"bytes", "0"), (b"", 0, 0), 5])
def test_writer_without_bytes(given):
    """What is no bytes could not be told."""
    report = RoundTrip({"a": lambda value: given}, {"a": json.loads}).check([1])
    assert (report.ok, report.conclusive) == (False, False)
    assert [fault.name for fault in report.broken] == ["not bytes"]


def test_writer_with_other_bytes():
    """A bytearray and a memoryview are bytes."""
    writers = {"a": lambda value: bytearray(b"1"), "b": lambda value: (memoryview(b"1"), 0)}
    assert RoundTrip(writers, {"a": json.loads}).check([1]).ok


def test_hostile_reader():
    """A reader may raise what it likes, exit, give what holds itself, or what cannot be looked at."""

    class Nasty:
        def __eq__(self, other):
            raise RuntimeError("never")

        def __repr__(self):
            raise RuntimeError("never")

        __hash__ = None

    endless = []
    endless.append(endless)

    def recurses(data):
        return recurses(data)

    def silent(_):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("never")

        raise Mute

    readers = {
        "exits": lambda data: sys.exit(3),
        "recurses": recurses,
        "mute": silent,
        "endless": lambda data: endless,
        "nasty": lambda data: {"a": Nasty()},
        "huge": lambda data: MemoryError,
    }
    report = RoundTrip({"a": encode}, readers).check([{"a": 1}], seconds=20)
    names = {fault.reader: (fault.name, fault.outcome.value) for fault in report.faults}
    assert names == {
        "exits": ("unreadable", "undecodable"),
        "recurses": ("nesting refused", "undecodable"),
        "mute": ("unreadable", "undecodable"),
        "endless": ("value holds itself", "silently wrong"),
        "nasty": ("wrong type", "silently wrong"),
        "huge": ("wrong type", "silently wrong"),
    }
    assert "Mute" in str(report)
    assert json.dumps(report.to_json())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit])
def test_what_passes(kind):
    """Whoever presses the key is heard."""

    def raises(data):
        raise kind

    with pytest.raises(kind):
        RoundTrip({"a": encode}, {"a": raises}).check([1])


def test_reader_that_gives_one_object():
    """A reader that gives the same object each time is judged by what it held then."""
    shared = {}

    def read(data):
        shared.clear()
        shared.update(json.loads(data))
        return shared

    trip = RoundTrip({"a": encode}, {"a": read})
    assert trip.check([{"id": number} for number in range(50)]).ok


def test_writer_that_changes_the_value():
    """A writer that changes the value is found out, and the others get what was there before."""

    def takes(value):
        value.pop("secret", None)
        return encode(value)

    values = [{"id": number, "secret": "x"} for number in range(3)]
    report = RoundTrip({"takes": takes, "other": encode}, {"any": json.loads}).check(values)
    assert ("writer changed the value", "takes") in found(report)
    assert counts(report)["other -> any"] == {"identical": 3}
    assert counts(report)["takes -> any"] == {"silently wrong": 3}


def test_other_writers_are_never_blamed():
    """Whatever a writer does to a value, and each time another thing, the writers after it do as they would alone."""
    number = itertools.count()

    def pops(value):
        value.pop("secret", None)
        return encode(value)

    def stamps(value):
        value["at"] = next(number)
        return encode(value)

    for changes in (pops, stamps):
        report = RoundTrip({"changes": changes, "other": encode}, {"any": json.loads}, stable=["changes"]).check(
            [{"secret": "x"}, {"secret": "x", "b": 1}], shrink=False
        )
        assert counts(report)["other -> any"] == {"identical": 2}
        assert ("writer changed the value", "changes") in found(report)
        assert {fault.writer for fault in report.faults} == {"changes"}


def test_value_with_a_model_is_not_put_back():
    """A dict that was changed and holds an object cannot be put back, so no more is said of it."""

    @attrs.frozen
    class Author:
        name: str

    def changes(value):
        value.pop("secret")
        return encode({"by": value["by"].name})

    report = RoundTrip(
        {"changes": changes, "other": lambda value: encode({"by": value["by"].name, "secret": value["secret"]})},
        {"any": lambda data: {**json.loads(data), "by": Author(json.loads(data)["by"])}},
    ).check([{"secret": 5, "by": Author("a")}], shrink=False)
    assert found(report) == {("writer changed the value", "changes")}
    assert counts(report)["other -> any"] == {"broken": 1}


def test_value_too_large_to_be_compared(monkeypatch):
    """A value that takes the comparator too long could not be told."""
    monkeypatch.setattr("shadowmig.wire.roundtrip._matrix.STRICT", structural(max_nodes=10_000))
    report = RoundTrip({"a": encode}, {"a": json.loads}).check([[[n] for n in range(20_000)]], shrink=False)
    assert report.faults == ()
    assert {fault.name for fault in report.broken} == {"comparison failed"}
    assert not report.ok


def test_reader_that_gives_one_object_writes_back_the_right_one():
    """On the way back each value is written when it was read, also by a side that reads into one object."""

    class Shared:
        def __init__(self):
            self.value = {}

        def encode(self, value):
            return encode(value), 0

        def decode(self, data, flags):
            self.value.clear()
            self.value.update(json.loads(data))
            return self.value

    report = pair(Shared(), JSON).check([{"id": number} for number in range(50)])
    assert report.ok
    assert counts(report)["new -> legacy -> new"] == {"equal": 50}


def test_writer_that_changes_a_model():
    """An object that was changed cannot be put back, so no more is said of it."""

    @attrs.define
    class Model:
        id: int

    def changes(value):
        value.id += 1
        return encode(attrs.asdict(value))

    report = RoundTrip({"changes": changes}, {"any": json.loads}).check([Model(1)], shrink=False)
    assert found(report) == {("writer changed the value", "changes")}
    assert counts(report) == {"changes -> any": {"broken": 1}}


def test_values_without_plain_form():
    """A value that holds itself, or that cannot be read, could not be told."""
    endless = {}
    endless["x"] = endless
    report = RoundTrip({"a": encode}, {"a": json.loads}).check([endless, {"a": 1}])
    assert [fault.name for fault in report.broken] == ["no plain form"]
    assert counts(report) == {"a -> a": {"broken": 1, "identical": 1}}


@pytest.mark.parametrize("option", ["compare", "miss", "plain"])
def test_user_functions_may_raise(option):
    """A comparator or another function that raises makes it broken, never a fault."""

    def raises(*_, **__):
        raise RuntimeError("not today")

    report = RoundTrip({"a": encode}, {"a": json.loads}, **{option: raises}).check([{"a": 1}])
    assert report.faults == ()
    assert [fault.error for fault in report.broken] == ["RuntimeError: not today"]


@pytest.fixture
def little_recursion():
    """Let recursion reach no further than 500 levels: what is deeper then is made more quickly."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(500)
    yield
    sys.setrecursionlimit(usual)


@pytest.mark.usefixtures("little_recursion")
def test_deep_values():
    """Values deeper than recursion reaches are compared, and shrunk to the depth at which a reader gives up."""

    def nested(depth):
        value = []
        for _ in range(depth):
            value = [value]
        return value

    def write(value):
        depth = 0
        while value:
            value, depth = value[0], depth + 1
        return str(depth).encode()

    def read(data):
        if int(data) > 520:
            raise ValueError("exceeded max depth")
        return nested(int(data))

    report = RoundTrip({"a": write}, {"a": read}).check([nested(10), nested(510), nested(800)], seconds=60)
    (fault,) = report.faults
    assert (fault.name, fault.data, fault.shrunk) == ("nesting refused", b"521", True)
    assert counts(report) == {"a -> a": {"identical": 2, "undecodable": 1}}
    assert len(str(report)) < 5_000
    assert json.dumps(report.to_json())


def test_large_values():
    """A value of 16 MB takes its time and no more memory than some copies, and is shrunk as others are."""

    def read(data):
        if len(data) > 1_000_000:
            raise ValueError("message too long")
        return json.loads(data)

    start = time.monotonic()
    report = RoundTrip({"a": encode}, {"a": read}).check([{"a": "x" * (16 << 20)}], seconds=40)
    assert time.monotonic() - start < 100
    (fault,) = report.faults
    assert (fault.name, fault.shrunk) == ("too long refused", True)
    assert len(fault.value["a"]) == 1_000_001 - len(encode({"a": ""}))
    assert len(str(report)) < 5_000
    assert len(json.dumps(report.to_json())) < 200_000


def test_time_is_bounded():
    """An endless source ends when the time is up, and the report says that it is not complete."""
    report = RoundTrip({"a": encode}, {"a": json.loads}).check(
        ({"id": n} for n in itertools.count()), seconds=timedelta(seconds=0.2)
    )
    assert report.values > 1
    assert not report.complete
    assert report.ok
    assert report.seconds < 20
    assert "time ran out" in str(report)


def test_slow_sides_are_bounded():
    """A side that is slow for each value is asked for few at a time."""

    def slow(data):
        time.sleep(0.02)
        return json.loads(data)

    report = RoundTrip({"a": encode}, {"a": slow}).check([{"id": 1}] * 10_000, seconds=0.5)
    assert 1 < report.values < 1_000
    assert report.seconds < 20


def test_slow_values_are_bounded():
    """A source that gets slow is not waited for once the time is up."""

    def values():
        yield from ({"id": number} for number in range(600))
        while True:
            time.sleep(0.05)
            yield {"id": 1}

    report = RoundTrip({"a": encode}, {"a": json.loads}).check(values(), seconds=0.5)
    assert 0 < report.values < 650
    assert (report.ok, report.complete) == (True, False)


def test_shrinking_is_bounded():
    """When time runs out while a value is shrunk, the fault has the smallest so far and says so."""

    calls = []

    def slow(data):
        calls.append(data)
        time.sleep(0.05)
        return json.loads(data, parse_int=lambda text: int(float(text)))

    value = {"x": [2**60 + 1] * 9, "y": "text" * 50, "z": {"more": [1, 2, 3] * 20}}
    report = RoundTrip({"a": encode}, {"a": slow}).check([value], seconds=0.8)
    (fault,) = report.faults
    assert (fault.name, fault.shrunk) == ("integer above 2**53 lost precision", False)
    assert len(calls) < 60
    assert "may not be the smallest" in str(report)


def test_without_shrinking():
    """Shrinking can be left out."""
    (fault,) = RoundTrip({"a": encode}, {"a": Floats()}).check(VALUES, shrink=False).faults
    assert fault.shrunk is False
    assert fault.value in VALUES


def test_count_and_values_of_the_matrix():
    """A number of values can be given, and the values with the matrix."""
    trip = RoundTrip({"a": encode}, {"a": json.loads}, values=VALUES)
    assert trip.check(count=7).values == 7
    assert trip.check(count=7).complete
    assert trip.check().values == 20
    assert trip.check(count=10**30).complete
    assert trip.check([], count=5).values == 0
    assert not trip.check([]).ok


def test_values_are_drawn():
    """Values are drawn from a strategy: as many as wanted, and the same for the same seed."""
    seen = []
    trip = RoundTrip({"a": lambda value: seen.append(value) or encode(value)}, {"a": json.loads})
    strategy = st.fixed_dictionaries({"n": st.integers()})
    assert trip.check(strategy, count=110, seed=5).values == 110
    first, seen[:] = list(seen), []
    trip.check(strategy, count=110, seed=5)
    assert seen == first
    seen.clear()
    trip.check(strategy, count=110, seed=6)
    assert seen != first


def test_a_class_is_no_codec():
    """A codec's class in place of an object of it is refused when the round trip is built."""
    with pytest.raises(ConfigError, match="is the class Json"):
        RoundTrip({"a": Json}, {"a": Json()})


def test_few_values_to_draw():
    """A strategy with few values gives those, again and again, or nothing to check."""
    trip = RoundTrip({"a": encode}, {"a": json.loads})
    assert trip.check(st.booleans(), count=5).ok
    with pytest.raises(ConfigError, match="no values"):
        trip.check(st.integers().filter(lambda _: False))


def test_drawing_is_bounded():
    """A strategy that takes long ends with the time."""
    slow = st.integers().map(lambda number: time.sleep(0.01) or number)
    report = RoundTrip({"a": encode}, {"a": json.loads}).check(slow, count=100_000, seconds=0.5)
    assert 0 < report.values < 10_000
    assert not report.complete


def test_model_is_a_source():
    """Values are derived from a model or a schema."""

    @attrs.frozen
    class Comment:
        id: int
        body: str

    trip = RoundTrip({"a": lambda value: encode(attrs.asdict(value))}, {"a": json.loads})
    assert trip.check(Comment, count=50).values == 50
    trip = RoundTrip({"a": encode}, {"a": json.loads})
    assert trip.check({"type": "object", "properties": {"a": {"type": "boolean"}}}, count=20).ok
    assert trip.check(list[bool], count=20).ok


@pytest.mark.parametrize("values", [None, "text", b"bytes", 5])
def test_wrong_values(values):
    """What is nothing to check is refused."""
    with pytest.raises(ConfigError) as caught:
        RoundTrip({"a": encode}, {"a": json.loads}).check(values)
    assert caught.value.field in ("values", "model")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("writers", {"writers": {}}),
        ("writers", {"writers": 5}),
        ("writers", {"writers": ["ab"]}),
        ("writers", {"writers": {"a": 5}}),
        ("writers", {"writers": {"a": "json"}}),
        ("writers", {"writers": {"": encode}}),
        ("writers", {"writers": {5: encode}}),
        ("readers", {"readers": {}}),
        ("readers", {"readers": {"a": "json"}}),
        ("compare", {"compare": 5}),
        ("miss", {"miss": 5}),
        ("plain", {"plain": None}),
        ("baseline", {"baseline": "c"}),
        ("accept", {"accept": ["integer overflow"]}),
        ("accept", {"accept": 5}),
        ("stable", {"stable": ["c"]}),
        ("stable", {"stable": 1}),
        ("same_bytes", {"same_bytes": "no"}),
    ],
)
def test_wrong_options(field, options):
    """A wrong option is refused with its name."""
    with pytest.raises(ConfigError) as caught:
        RoundTrip(**{"writers": {"a": encode}, "readers": {"a": json.loads}} | options)
    assert caught.value.field == field


@pytest.mark.parametrize("options", [{"seconds": 0}, {"seconds": "5"}, {"count": 0}, {"count": True}, {"seed": 1.5}])
def test_wrong_arguments(options):
    """A wrong argument is refused with its name."""
    with pytest.raises(ConfigError) as caught:
        RoundTrip({"a": encode}, {"a": json.loads}).check([1], **options)
    assert caught.value.field == next(iter(options))


def test_classes_may_be_functions():
    """A class is called, even if it has methods of the name of a codec's."""

    class Text(bytes):
        def decode(self, *_):
            raise AssertionError("it is no codec")

    assert counts(RoundTrip({"a": encode}, {"a": Text}, plain=lambda value: value).check([1])) == {
        "a -> a": {"silently wrong": 1}
    }


def test_text_of_the_report():
    """The report as text has the table, and for each class the cells, the smallest value and what to do."""
    report = pair(JSON, Floats()).check(VALUES)
    text = str(report)
    lines = text.splitlines()
    assert lines[0].startswith("20 values in 6 cells, ")
    assert "1 class of faults" in lines[0]
    assert lines[2].split() == ["identical", "silently", "wrong"]
    assert lines[3].split() == ["legacy", "->", "legacy", "20", "-"]
    assert "       10 x legacy -> new; so does the own round trip of new" in text
    assert "    value   {'big': 9007199254740993}" in lines
    assert "    bytes   b'{\"big\":9007199254740993}'" in lines
    assert "    wrote   9007199254740993" in lines
    assert "    read    9007199254740992" in lines
    assert max(map(len, lines)) <= 100
    assert text.isascii()


def test_text_of_strange_values():
    """Names and values that cannot be printed are escaped, and long ones are cut."""
    name = "le\x1bgacy" * 30
    long = {f"k{number}": "\u202e" + "x" * 999 for number in range(50)}
    report = RoundTrip({name: encode}, {name: lambda data: 1 / 0}).check([long | {"b": 2**9999}], shrink=False)
    text = str(report)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\u2026" in text
    assert len(text) < 4_000


def test_json_of_the_report():
    """The report as JSON has cells, faults with tagged values and bytes in base64, and what they mean."""
    told = json.loads(json.dumps(pair(JSON, Floats()).check(VALUES).to_json()))
    assert (told["format"], told["version"], told["ok"], told["values"]) == ("shadowmig.roundtrip", 1, False, 20)
    assert told["cells"][1]["counts"]["silently wrong"] == 10
    fault = told["faults"][0]
    assert fault["value"] == {"tagged": {"big": {"$int": "9007199254740993"}}}
    assert fault["data"] == "eyJiaWciOjkwMDcxOTkyNTQ3NDA5OTN9"
    assert (fault["size"], fault["path"], fault["own"]) == (24, "$.big", ["new"])
    assert fault["remedy"] == CLASSES[fault["name"]].remedy


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(settings.get_profile("slow"))
@given(st.lists(JSONS, min_size=1, max_size=5))
def test_good_pair_has_no_faults(values):
    """A pair that loses nothing never has faults, in whatever values."""
    report = pair(JSON, Json(flags=3)).check(values)
    assert report.ok
    assert report.faults == ()


@settings(settings.get_profile("slow"))
@given(st.lists(JSONS, min_size=1, max_size=5))
def test_counts_add_up(values):
    """The counts of each cell add up to the number of values, whatever goes wrong."""
    report = pair(JSON, Floats()).check(values, shrink=False)
    assert {cell.values for cell in report.cells} == {len(values)}
    assert report.ok == (not report.faults)


@settings(settings.get_profile("slow"))
@given(JSONS)
def test_smallest_value_shows_the_same(value):
    """Shrinking keeps class, cell and path: the smallest value, checked alone, shows the same fault."""
    trip = RoundTrip({"a": JSON}, {"b": lambda data: json.loads(data, parse_float=lambda text: int(float(text)))})
    for fault in trip.check([value], seconds=20).faults:
        again = trip.check([fault.value], shrink=False)
        assert (fault.name, fault.path, fault.data) in {(each.name, each.path, each.data) for each in again.faults}


def test_what_no_writer_writes_is_told():
    """Where no writer writes a value, the report says why: as what could not be told, if nothing was written at all."""
    nothing = RoundTrip({"py": Json()}, {"py": Json()}).check([{1, 2}, {3}])
    assert (nothing.ok, nothing.faults, [fault.name for fault in nothing.broken]) == (False, (), ["wrong type refused"])
    assert "no such type" in str(nothing)
    some = RoundTrip({"py": Json()}, {"py": Json()}).check([{1, 2}, [3]])
    assert (some.ok, some.faults, some.broken) == (True, (), ())
    assert [(fault.name, fault.accepted) for fault in some.accepted] == [("wrong type refused", "no writer writes it")]


@pytest.mark.parametrize("value", [{"id": 1, "body": "x"}, "text", 5, None, attrs.make_class("One", ["a"])(1)], ids=str)
def test_single_values_are_no_values(value):
    """One value that was recorded, in no list, is refused rather than taken for a schema."""
    with pytest.raises(ConfigError, match=r"nothing to check.*one value in a list"):
        RoundTrip({"py": Json()}, {"py": Json()}).check(value)
