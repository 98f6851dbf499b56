"""Values of Python types: valid for the class and its validators, within limits, bounded, and with overrides."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import re
import typing
import uuid
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)

import annotated_types
import attrs
import pytest
from attrs import define, field, validators
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowmig.errors import ConfigError
from shadowmig.model import MISSING, Missing
from shadowmig.wire.strategies import sample, texts, values_of
from shadowmig.wire.values import Instant

T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
Either = TypeVar("Either", int, str)
UserId = NewType("UserId", int)


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    """Have hypothesis draw fewer values of each pattern, for it takes long, and they are much alike."""
    monkeypatch.setattr("shadowmig.wire.strategies._source.POOL", 60)


class State(enum.Enum):
    """An enum of texts."""

    OPEN = "open"
    GONE = "gone"


class Level(enum.IntEnum):
    """An enum of ints."""

    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    """Flags."""

    READ = 1
    WRITE = 2


@define
class Author:
    """A class with validators that can be read."""

    id: int = field(validator=[validators.instance_of(int), validators.ge(1), validators.lt(2**63)])
    name: str = field(validator=[validators.min_len(1), validators.max_len(40)])
    kind: str = field(default="user", validator=validators.in_(["user", "bot"]))
    email: str | None = field(default=None, validator=validators.optional(validators.matches_re(r"[a-z]{1,5}@[a-z]+")))
    tags: list[str] = field(
        factory=list, validator=validators.deep_iterable(validators.max_len(3), validators.max_len(2))
    )
    counts: dict[str, int] = field(
        factory=dict,
        validator=validators.deep_mapping(validators.max_len(2), validators.gt(0), validators.max_len(3)),
    )
    level: Any = field(default=1, validator=validators.instance_of(int))
    either: int | str = field(default="", validator=validators.instance_of(str))
    odd: int = field(default=1, validator=validators.not_(validators.in_([0])))
    role: str | None = field(default=None, validator=validators.optional(validators.in_(("a", "b"))))
    hidden: int = field(default=0, init=False)
    _own: float = field(default=0.5, validator=validators.le(1))


@define
class Comment:
    """A recursive class with names that are not yet known."""

    id: UserId
    author: "Author"
    at: datetime.datetime
    state: State = State.OPEN
    parent: "Comment | None" = None
    replies: list["Comment"] = field(factory=list)

    def depth(self):
        """Count how often it holds itself."""
        return 1 + max((one.depth() for one in (*self.replies, *filter(None, [self.parent]))), default=0)


@define
class Writer:
    """A class without patterns, whose values hypothesis would have to draw."""

    id: int = field(validator=validators.ge(1))
    name: str
    tags: list[str] = field(factory=list)
    counts: dict[str, int] = field(factory=dict)


@define
class Letter:
    """The same as a comment, from such a writer."""

    id: UserId
    author: Writer
    state: State = State.OPEN
    parent: "Letter | None" = None
    replies: list["Letter"] = field(factory=list)

    depth = Comment.depth


@define
class Even:
    """A class that refuses what nobody can read from it."""

    number: int = field()
    _check: Any = field(default=None, init=False)

    @number.validator
    def check(self, _, value):
        """Refuse half of all."""
        if value % 2:
            raise ValueError("odd")


@dataclasses.dataclass
class Place:
    """A dataclass with everything that one may have."""

    at: datetime.date
    known: dataclasses.InitVar[int]
    names: tuple[str, ...] = ()
    shared: typing.ClassVar[int] = 3
    made: int = dataclasses.field(default=0, init=False)
    box: list[int] = dataclasses.field(default_factory=list)

    def __post_init__(self, known):
        """Keep what is given."""
        assert type(known) is int
        self.made = known


@attrs.frozen
class Box(Generic[T]):
    """A generic class."""

    value: T
    more: list[T]


class Pair(NamedTuple):
    """A named tuple."""

    first: int
    second: str = "x"


class Base(TypedDict, total=False):
    """A dict whose keys may be missing."""

    id: Required[int]
    note: str


class Post(Base):
    """A dict with more keys."""

    body: str
    color: NotRequired[Annotated[Literal["red", "blue"], "doc"]]
    state: Annotated[NotRequired[State], "doc"]


class Alias:
    """What an alias of newer Pythons looks like."""

    def __init__(self, name):
        self.__name__ = name
        self.__type_params__ = ()
        self.__value__ = None

    def __hash__(self):
        return id(self)


JSON_ALIAS = Alias("Tree")
JSON_ALIAS.__value__ = int | list[JSON_ALIAS]


def instance(kind):
    """Check for exactly this type."""
    return lambda value: type(value) is kind


NAIVE = datetime.datetime(2024, 1, 1)  # noqa: DTZ001 - a bound without a zone is what is tested

MODELS = [
    (None, lambda value: value is None),
    (bool, instance(bool)),
    (int, instance(int)),
    (float, instance(float)),
    (str, instance(str)),
    (bytes, instance(bytes)),
    (bytearray, instance(bytearray)),
    (datetime.datetime, instance(datetime.datetime)),
    (datetime.date, instance(datetime.date)),
    (datetime.time, instance(datetime.time)),
    (datetime.timedelta, instance(datetime.timedelta)),
    (decimal.Decimal, instance(decimal.Decimal)),
    (fractions.Fraction, instance(fractions.Fraction)),
    (uuid.UUID, instance(uuid.UUID)),
    (Instant, instance(Instant)),
    (UserId, instance(int)),
    (State, instance(State)),
    (Level, instance(Level)),
    (Rights, instance(Rights)),
    (Author, instance(Author)),
    (Comment, lambda value: type(value) is Comment and isinstance(value.author, Author)),
    (Even, lambda value: value.number % 2 == 0),
    (
        Place,
        lambda value: value.made is not None and isinstance(value.names, tuple) and set(map(type, value.box)) <= {int},
    ),
    (Box[int], lambda value: type(value.value) is int and set(map(type, value.more)) <= {int}),
    (Box[list[State]], lambda value: type(value.value) is list and set(map(type, value.value)) <= {State}),
    (Pair, lambda value: type(value) is Pair and type(value.first) is int),
    (Post, lambda value: {"id", "body"} <= value.keys() <= {"id", "body", "note", "color", "state"}),
    (list[int], lambda value: set(map(type, value)) <= {int}),
    (list, instance(list)),
    (collections.abc.Sequence[bool], lambda value: set(map(type, value)) <= {bool}),
    (collections.deque[int], instance(collections.deque)),
    (set[int], instance(set)),
    (set, lambda value: set(map(type, value)) <= {str}),
    (frozenset[Literal[1, 2]], lambda value: value <= {1, 2}),
    (tuple[int, str], lambda value: type(value) is tuple and list(map(type, value)) == [int, str]),
    (tuple[int, ...], lambda value: type(value) is tuple and set(map(type, value)) <= {int}),
    (tuple, instance(tuple)),
    (dict[int, str], lambda value: set(map(type, value)) <= {int} and set(map(type, value.values())) <= {str}),
    (dict, lambda value: set(map(type, value)) <= {str}),
    (collections.abc.Mapping[State, None], lambda value: set(map(type, value)) <= {State}),
    (collections.OrderedDict[str, int], instance(collections.OrderedDict)),
    (int | None, lambda value: value is None or type(value) is int),
    (typing.Union[str, None], lambda value: value is None or type(value) is str),  # noqa: UP007 - a form of its own
    (bool | int, lambda value: type(value) in {bool, int}),
    (str | Missing, lambda value: value is MISSING or type(value) is str),
    (Literal[1, "a"] | None, lambda value: value in (1, "a", None)),
    (Any, lambda value: type(value) in {type(None), bool, int, float, str, list, dict}),
    (object, lambda value: value is not MISSING),
    (T, lambda value: value is not MISSING),
    (Bound, instance(int)),
    (Either, lambda value: type(value) in {int, str}),
    (JSON_ALIAS, lambda value: type(value) in {int, list}),
    (Annotated[int, st.just(5)], lambda value: value == 5),
    (Annotated[int, annotated_types.Ge(3), annotated_types.Lt(6)], lambda value: value in {3, 4, 5}),
    (Annotated[int, annotated_types.Gt(2.5), annotated_types.Le(4.5)], lambda value: value in {3, 4}),
    (Annotated[int, annotated_types.Interval(gt=1, le=4), annotated_types.Ge(0)], lambda value: value in {2, 3, 4}),
    (Annotated[int, annotated_types.MultipleOf(7)], lambda value: value % 7 == 0),
    (Annotated[int, annotated_types.MultipleOf(2.5)], lambda value: value % 5 == 0),
    (Annotated[float, annotated_types.Gt(0), annotated_types.Lt(1)], lambda value: 0 < value < 1),
    (Annotated[float, annotated_types.Ge(0)], lambda value: value >= 0),
    (
        Annotated[float, annotated_types.MultipleOf(0.25), annotated_types.Ge(1)],
        lambda value: value * 4 == int(value * 4),
    ),
    (Annotated[float, annotated_types.MultipleOf(0.1), annotated_types.Le(10)], lambda value: value <= 10),
    (Annotated[str, annotated_types.Len(2, 3)], lambda value: 2 <= len(value) <= 3),
    (Annotated[str, annotated_types.Predicate(str.islower)], str.islower),
    (Annotated[bytes, annotated_types.MinLen(2)], lambda value: len(value) >= 2),
    (Annotated[list[int], annotated_types.Len(1, 2)], lambda value: 1 <= len(value) <= 2),
    (Annotated[set[bool], annotated_types.MinLen(2)], lambda value: value == {True, False}),
    (Annotated[dict[str, int], annotated_types.MinLen(2)], lambda value: len(value) >= 2),
    (Annotated[str, annotated_types.Ge, "a note"], instance(str)),
    (
        Annotated[datetime.datetime, annotated_types.Ge(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))],
        lambda value: value >= datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    ),
    (
        Annotated[datetime.datetime, annotated_types.Lt(NAIVE)],
        lambda value: value < NAIVE,
    ),
    (Annotated[datetime.date, annotated_types.Ge(datetime.date(1900, 1, 1))], lambda value: value.year >= 1900),
    (
        Annotated[datetime.timedelta, annotated_types.Ge(datetime.timedelta(0))],
        lambda value: value >= datetime.timedelta(0),
    ),
    (Annotated[decimal.Decimal, annotated_types.Interval(ge=0, le=2)], lambda value: 0 <= value <= 2),
    (Annotated[decimal.Decimal, annotated_types.Ge(5)], lambda value: value >= 5),
    (Annotated[decimal.Decimal, annotated_types.Le(5)], lambda value: value <= 5),
    (
        Annotated[decimal.Decimal, annotated_types.MultipleOf(decimal.Decimal("0.05"))],
        lambda value: value * 20 == int(value * 20),
    ),
]


@pytest.mark.parametrize(("model", "check"), MODELS, ids=[str(number) for number in range(len(MODELS))])
def test_values_are_valid(model, check):
    """Whatever is drawn for a type is of the type and within its limits, by both ways of drawing."""
    values = sample(values_of(model), 400, seed=2)
    assert values
    assert [value for value in values if not check(value)] == []

    @settings(database=None, max_examples=25, deadline=None)
    @given(values_of(model))
    def holds(value):
        assert check(value)

    holds()


def test_pydantic_field_is_read():
    """Limits that stand in a field of pydantic hold too."""
    pydantic = pytest.importorskip("pydantic")
    model = Annotated[int, pydantic.Field(ge=1, le=3)]
    assert set(sample(values_of(model), 100)) == {1, 2, 3}
    pattern = Annotated[str, pydantic.StringConstraints(pattern="^[ab]{2}$", max_length=2)]
    assert all(re.search("^[ab]{2}$", value) for value in sample(values_of(pattern), 20))


def test_validators_of_attrs_hold():
    """Values reach every part of what validators allow, and nothing else."""
    values = sample(values_of(Author), 2000, seed=1)
    assert all(1 <= value.id < 2**63 and 1 <= len(value.name) <= 40 for value in values)
    assert {value.kind for value in values} == {"user", "bot"}
    assert {value.role for value in values} == {None, "a", "b"}
    assert {value.email is None for value in values} == {True, False}
    assert all(value.email is None or re.fullmatch("[a-z]{1,5}@[a-z]+", value.email) for value in values)
    assert max(len(value.tags) for value in values) == 2
    assert max(len(tag) for value in values for tag in value.tags) == 3
    assert all(count > 0 for value in values for count in value.counts.values())
    assert {type(value.either) for value in values} == {str}
    assert {type(value.level) for value in values} == {int}


def test_fields_with_defaults_are_left_out_at_times():
    """A field with a default has it in some values and another value in others."""
    values = sample(values_of(Pair), 500)
    assert 0 < sum(value.second == "x" for value in values) < 500


def test_class_as_an_option_of_in():
    """Members may be given as a set, an enum or a range; from what cannot be listed, tries are made."""

    class Odd:
        def __contains__(self, value):
            return value % 2 == 1

    @define
    class Listed:
        one: str = field(validator=validators.in_({"a", "b"}))
        two: State = field(validator=validators.in_(State))
        three: int = field(validator=validators.in_(range(10**12)))
        four: int = field(validator=validators.in_(Odd()))

    values = sample(values_of(Listed), 200)
    assert {value.one for value in values} == {"a", "b"}
    assert {value.two for value in values} == set(State)
    assert all(value.four % 2 for value in values)


def test_union_with_members():
    """Members hold for a whole union; None is one of them only where a validator is optional."""

    @define
    class Listed:
        one: int | str | None = field(validator=validators.in_([1, "a"]))
        two: int | str | None = field(validator=validators.optional(validators.in_([1, "a"])))

    values = sample(values_of(Listed), 200)
    assert {value.one for value in values} == {1, "a"}
    assert {value.two for value in values} == {1, "a", None}


def test_recursion_is_bounded():
    """A recursive class holds itself as often as it may, and no more often."""
    for depth in (0, 1, 3):
        depths = {value.depth() for value in sample(values_of(Letter, depth=depth), 1500, seed=5)}
        assert depths == set(range(1, depth + 2))


@pytest.mark.parametrize("depth", [2, 40])
def test_many_branches_end(depth):
    """A model with many recursive branches gives values of bounded size."""

    @define
    class Branches:
        one: "list[Branches]"
        two: "dict[str, Branches]"
        three: "tuple[Branches | None, Branches | None]"
        four: "Branches | None" = None

    def size(value):
        return 1 + sum(
            size(one) for one in (*value.one, *value.two.values(), *filter(None, [*value.three, value.four]))
        )

    sizes = [size(value) for value in sample(values_of(Branches, depth=depth), 300)]
    assert 1 < max(sizes) < 1000


def test_deeper_than_wanted_where_there_is_no_other_way():
    """A part that must be there is made even if there is no room for it."""

    class Leaf(TypedDict):
        left: "list[Leaf]"

    class Root(TypedDict):
        one: Annotated["list[Root | Leaf]", annotated_types.MinLen(1)]

    globals()["Leaf"], globals()["Root"] = Leaf, Root
    try:
        assert all(value["one"] for value in sample(values_of(Root, depth=0), 50))
    finally:
        del globals()["Leaf"], globals()["Root"]


@pytest.mark.parametrize(
    ("overrides", "check"),
    [
        ({"id": st.just(7)}, lambda value: value.id == 7),
        ({"author.name": st.just("x")}, lambda value: value.author.name == "x"),
        ({"author.tags[]": st.just("t")}, lambda value: set(value.author.tags) <= {"t"}),
        ({"author.counts[]": st.just(3)}, lambda value: set(value.author.counts.values()) <= {3}),
        ({State: st.just(State.GONE)}, lambda value: value.state is State.GONE or value.state is State.OPEN),
        ({Writer: st.builds(Writer, id=st.just(1), name=st.just("a"))}, lambda value: value.author.name == "a"),
        ({UserId: st.just(9)}, lambda value: value.id == 9),
        ({"replies[].author.name": st.just("r")}, lambda value: {one.author.name for one in value.replies} <= {"r"}),
        ({"parent": values_of(None)}, lambda value: value.parent is None),
        ({"author.name": texts(min_size=2, max_size=2)}, lambda value: len(value.author.name) == 2),
    ],
)
def test_overrides_stand_in(overrides, check):
    """A strategy stands in for a field by its path, or for a type."""
    values = sample(values_of(Letter, overrides=overrides), 200)
    assert [value for value in values if not check(value)] == []
    assert len({value.author.id for value in values}) > 1 or Writer in overrides


def test_override_of_one_place_only():
    """A path leads to one place of a class that is used in several."""

    @define
    class Two:
        one: Pair
        other: Pair

    values = sample(values_of(Two, overrides={"one.first": st.just(1)}), 100)
    assert {value.one.first for value in values} == {1}
    assert len({value.other.first for value in values}) > 10


def test_overridden_values_are_not_shared():
    """Each value has its own copy of what a strategy gave."""
    values = sample(values_of(list[list[int]], overrides={"[]": st.just([1])}), 50)
    inner = [one for value in values for one in value]
    assert len({id(one) for one in inner}) == len(inner)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"bodi": st.just(1)}, ["'bodi'", "author.name"]),
        ({bytes: st.just(b"")}, ["bytes"]),
        ({"id": 5}, ["'id'", "int", "strategy"]),
    ],
)
def test_wrong_override_is_refused(overrides, words):
    """An override that leads nowhere, or is no strategy, is named together with the paths that there are."""
    with pytest.raises(ConfigError) as caught:
        values_of(Letter, overrides=overrides)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.field == "overrides"


class Unknown(TypedDict):
    """Dict-like, with an enum inside."""

    state: State
    level: Level
    letter: Literal["a"]
    odd: Literal["a", 1]
    inner: dict[State, int]
    answer: Letter


def test_unknown_values_of_enums():
    """Values of no member stand where a model is dict-like, and never as an attribute of a class."""
    values = sample(values_of(Unknown, unknown_enums=True), 800)
    assert {"open_LATER", State.OPEN, State.GONE} <= {value["state"] for value in values}
    assert {3, -1, Level.LOW} <= {value["level"] for value in values}
    assert {"a", "A", "a_LATER"} <= {value["letter"] for value in values}
    assert {value["odd"] for value in values} == {"a", 1}
    assert {State.OPEN, "open_LATER"} <= {key for value in values for key in value["inner"]}
    assert {type(value["answer"].state) for value in values} == {State}
    assert {type(value["state"]) for value in sample(values_of(Unknown), 300)} == {State}


def test_unknown_fields():
    """Members that a typed dict does not have stand beside its own, and never with their names."""
    values = sample(values_of(Post, unknown_fields=True), 800)
    keys = {key for value in values for key in value}
    assert {"added_later", "BODY", "Body", "__proto__"} <= keys
    assert all(type(value["id"]) is int and type(value["body"]) is str for value in values)
    assert all(value.keys() <= {"id", "body", "note", "color", "state"} for value in sample(values_of(Post), 200))


@pytest.mark.parametrize(
    ("options", "model", "check"),
    [
        ({"nan": False}, float, math.isfinite),
        ({"bits": 32}, int, lambda value: -(2**31) <= value < 2**31),
        ({"zones": False}, datetime.datetime, lambda value: value.tzinfo is datetime.UTC),
        ({"longest": 0}, str, lambda value: len(value) < 300),
    ],
)
def test_options_hold_everywhere(options, model, check):
    """An option holds in the inside of a model."""
    assert all(check(one) for value in sample(values_of(list[model], **options), 1500) for one in value)


@pytest.mark.parametrize(
    ("options", "model", "check"),
    [
        ({"nanos": True}, datetime.datetime, lambda value: isinstance(value, Instant)),
        ({"naive": True}, datetime.datetime, lambda value: value.tzinfo is None),
        ({"surrogates": True}, str, lambda value: any("\ud800" <= letter <= "\udfff" for letter in value)),
        ({"nan": True}, decimal.Decimal, lambda value: value.is_nan()),
        ({}, float, math.isnan),
    ],
)
def test_options_are_reached(options, model, check):
    """What an option allows is drawn."""
    assert any(check(value) for value in sample(values_of(model, **options), 2000))


@define
class Holds:
    """A class with a field of one type."""

    field: Any


def holding(kind):
    """Make a class with one field of a type."""
    return attrs.make_class("Holding", {"one": attrs.field(type=kind)})


@define
class Endless:
    """A class that holds itself without end."""

    name: str
    again: "Pair2"


@define
class Pair2:
    """What leads back to it."""

    back: Endless


@pytest.mark.parametrize(
    ("model", "path", "word"),
    [
        (complex, "", "complex"),
        (holding(complex), "one", "complex"),
        (holding(dict[str, list[type]]), "one[][]", "type"),
        (holding(dict[complex, int]), "one{}", "complex"),
        (holding(tuple[int, complex]), "one[1]", "complex"),
        (holding("Nowhere"), "one", "Nowhere"),
        (holding(list[typing.ForwardRef("Nowhere")]), "one[]", "Nowhere"),
        (holding(Annotated[int, annotated_types.Ge(3), annotated_types.Le(2)]), "one", "no int"),
        (holding(Annotated[float, annotated_types.Ge(3), annotated_types.Le(2)]), "one", "no float"),
        (holding(Annotated[str, annotated_types.Len(3, 2)]), "one", "no length"),
        (holding(Annotated[bytes, annotated_types.Len(3, 2)]), "one", "no length"),
        (
            holding(
                Annotated[
                    datetime.timedelta, annotated_types.Interval(ge=datetime.timedelta(1), le=datetime.timedelta(0))
                ]
            ),
            "one",
            "no duration",
        ),
        (holding(Annotated[decimal.Decimal, annotated_types.Interval(ge=2, le=1)]), "one", "no decimal"),
        (holding(enum.Enum("Empty", {})), "one", "without members"),
        (Endless, "again.back", "without end"),
        (collections.abc.Callable[[int], int], "", "Callable"),
        (attrs.make_class("Empty", {"one": attrs.field(type=int, validator=validators.in_([]))}), "one", "no values"),
    ],
)
def test_bad_model_is_named(model, path, word):
    """A part that has no values, or is of no known type, is refused with its path and what to do."""
    with pytest.raises(ConfigError) as caught:
        values_of(model)
    assert caught.value.field == path
    assert word in str(caught.value)
    assert caught.value.remedy


def test_forward_reference_with_text_annotations():
    """Of a class with one unknown name the other fields are read as they are meant."""

    class Half:
        __annotations__ = {"good": "int | None", "bad": "Nowhere"}
        good = attrs.field()
        bad = attrs.field()

    with pytest.raises(ConfigError) as caught:
        values_of(attrs.define(Half))
    assert caught.value.field == "bad"
    values = sample(values_of(attrs.define(Half), overrides={"bad": st.just(1)}), 20)
    assert {type(value.good) for value in values} == {int, type(None)}


def test_resolved_types_of_attrs_are_used():
    """Types that were resolved by hand hold where the module itself does not know the names."""

    @define
    class Inside:
        one: "Elsewhere"  # noqa: F821 - it is resolved by hand

    attrs.resolve_types(Inside, localns={"Elsewhere": int})
    assert {type(value.one) for value in sample(values_of(Inside), 20)} == {int}


def test_class_refuses_by_an_error_of_its_own():
    """What a class refuses is drawn anew, whatever it raises."""

    class OddError(Exception):
        pass

    @define
    class Picky:
        number: int = field(validator=validators.ge(0))

        def __attrs_post_init__(self):
            if self.number % 2:
                raise OddError

    assert all(value.number % 2 == 0 for value in sample(values_of(Picky), 50))


def test_nothing_passes_a_check():
    """A class that refuses everything is named with its path when values are drawn."""

    @define
    class Never:
        one: int = field()

        @one.validator
        def check(self, _, value):
            raise ValueError("never")

    strategy = values_of(holding(Never))
    with pytest.raises(ConfigError, match="all were refused") as caught:
        sample(strategy, 1)
    assert caught.value.field == "one"


@pytest.mark.parametrize(
    "model",
    [
        Annotated[set[bool], annotated_types.MinLen(3)],
        Annotated[dict[bool, int], annotated_types.MinLen(3)],
        Annotated[int, annotated_types.Predicate(lambda _: False)],
    ],
)
def test_impossible_sizes_are_given_up(model):
    """What turns out to be impossible while drawing ends with an error, not in a loop."""
    with pytest.raises(ConfigError, match="refused"):
        sample(values_of(model), 1)


def test_model_nested_too_deeply():
    """A model that is nested too deeply to be read is refused."""
    model = int
    for _ in range(5000):
        model = list[model]
    with pytest.raises(ConfigError, match="nested too deeply"):
        values_of(model)
